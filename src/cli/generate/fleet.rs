//! `generate fleet`: jobs that share a list of repos between them.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::output::{Destination, Generated};
use super::pipeline::CHECKOUT;
use crate::cli::inputs::{Select, decide};
use crate::cli::{Global, Outcome, say};
use crate::pipeline::Filled;
use crate::repo::Root;
use crate::template::WantedFleet;

/// Write jobs that work on many repos together, each with `caseharden fleet` on its shard of one list
///
/// For Kubernetes an Indexed Job that the restricted profile takes, for CI systems a matrix. The image is that of
/// `[pipeline]` in caseharden.toml; it must bring git and a shell. What is not pinned there stands as REPLACE.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden generate fleet --for job --shards 20 --author 'Platform <platform@example.com>'\n  \
    caseharden generate fleet --for github --author 'Platform <platform@example.com>' --output .")]
pub(super) struct FleetArgs {
    /// What runs the jobs
    #[arg(long = "for", value_name = "WHAT")]
    target: Target,
    /// How many jobs share the list
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u32).range(1..=200))]
    shards: u32,
    /// Who the commits are of, as `Name <mail@example.com>` or the address alone
    #[arg(long, value_name = "AUTHOR", value_parser = author)]
    author: (String, String),
    /// The repo whose configuration counts
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    destination: Destination,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Target {
    /// An Indexed Job of Kubernetes
    Job,
    /// A workflow of GitHub Actions
    Github,
    /// A job of GitLab CI, to be included
    Gitlab,
}

fn author(text: &str) -> Result<(String, String), String> {
    // Who gives no name is known by the address.
    let parts = match text.contains(['<', '>']) {
        true => text.strip_suffix('>').and_then(|text| text.split_once('<')),
        false => Some((text, text)),
    };
    match parts.map(|(name, mail)| (name.trim(), mail.trim())) {
        Some((name, mail)) if !name.is_empty() && mail.contains('@') && !text.contains(char::is_control) => {
            Ok((name.to_owned(), mail.to_owned()))
        }
        _ => Err("write it as `Name <mail@example.com>`".to_owned()),
    }
}

pub(super) fn run(args: &FleetArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let root = Root::find(std::slice::from_ref(&args.path))?;
    let (config, templates) = decide(&root.folder, &Select::default(), global)?;
    let mut pins = Filled::new(&config.pipeline);
    let (author, email) = args.author.clone();
    let wanted = WantedFleet {
        image: pins.caseharden(),
        checkout: if args.target == Target::Github { pins.action(CHECKOUT) } else { String::new() },
        shards: args.shards,
        author,
        email,
    };
    let (path, text) = match args.target {
        Target::Job => ("caseharden-fleet.yaml", templates.fleet_job(&wanted)?),
        Target::Github => (".github/workflows/caseharden-fleet.yaml", templates.fleet_workflow(&wanted)?),
        Target::Gitlab => ("caseharden-fleet.gitlab-ci.yml", templates.fleet_gitlab(&wanted)?),
    };
    if !global.quiet {
        for missing in &pins.missing {
            say(&format!("note: to be pinned: {missing} of caseharden.toml\n"));
        }
        say("note: the image must bring git and a shell\n");
    }
    args.destination.take(&[Generated { path: Path::new(path).to_owned(), text }], out)
}
