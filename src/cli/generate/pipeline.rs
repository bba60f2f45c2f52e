//! `generate pipeline`: the gate, scans and signing for a CI system.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::output::{Destination, Generated};
use crate::cli::inputs::{Select, decide};
use crate::cli::{Global, Outcome, say};
use crate::config::Config;
use crate::pipeline::{Filled, Scanner, check, scan, sign};
use crate::repo::Root;
use crate::template::{Templates, WantedPipeline};

pub(super) const CHECKOUT: &str = "actions/checkout";
const COSIGN: &str = "ghcr.io/sigstore/cosign/cosign";

/// Write a pipeline that keeps the repo hardened: a gate, scans on change and by schedule, signing
///
/// `caseharden check` is the gate. Every image of caseharden.lock is scanned on change and every day; a known critical or
/// high vulnerability that has a fix fails the job. Pushed images are signed with cosign, by digest. Actions and images
/// are pinned: what `[pipeline]` in caseharden.toml does not pin stands there as REPLACE, and is named.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden generate pipeline --ci github --scanner trivy --output .\n  \
    caseharden generate pipeline --ci gitlab --scanner grype\n  \
    caseharden generate pipeline --ci jenkins --scanner snyk --output ci/")]
pub(super) struct PipelineArgs {
    /// What runs it
    #[arg(long, value_name = "CI")]
    ci: Ci,
    /// What scans the images
    #[arg(long, value_name = "SCANNER", default_value = "trivy")]
    scanner: Scanner,
    /// The repo whose configuration counts
    #[arg(default_value = ".")]
    path: PathBuf,
    #[command(flatten)]
    destination: Destination,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Ci {
    /// Workflows of GitHub Actions
    Github,
    /// Jobs of GitLab CI, to be included
    Gitlab,
    /// Tasks and a Pipeline
    Tekton,
    /// A Jenkinsfile
    Jenkins,
}

pub(super) fn run(args: &PipelineArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let root = Root::find(std::slice::from_ref(&args.path))?;
    let (config, templates) = decide(&root.folder, &Select::default(), global)?;
    let mut pins = Filled::new(&config.pipeline);
    let files = files(args, &config, &templates, &mut pins)?;
    if !global.quiet {
        for missing in &pins.missing {
            say(&format!("note: to be pinned: {missing} of caseharden.toml\n"));
        }
        if !pins.missing.is_empty() {
            say("note: until then REPLACE stands there, and the pipeline fails: a tag could be moved\n");
        }
        if args.ci != Ci::Github {
            say("note: the images of scanner and cosign must bring a shell (cosign: its `-dev` variant)\n");
        }
        if !root.folder.join(crate::lock::FILE_NAME).is_file() {
            say("note: there is no caseharden.lock to scan yet: `caseharden lock` writes it\n");
        }
    }
    args.destination.take(&files, out)
}

fn files(
    args: &PipelineArgs,
    config: &Config,
    templates: &Templates,
    pins: &mut Filled<'_>,
) -> anyhow::Result<Vec<Generated>> {
    let docker = args.ci == Ci::Github;
    // The others have no identity that an issuer of certificates knows by itself.
    let has_identity = matches!(args.ci, Ci::Github | Ci::Gitlab);
    let with_keys = config.signatures.iter().any(|entry| !entry.keys.is_empty());
    let keyless = config.signatures.iter().any(|entry| entry.keyless.is_some());
    let key = !has_identity || with_keys && !keyless;
    let wanted = WantedPipeline {
        checkout: if docker { pins.action(CHECKOUT) } else { String::new() },
        caseharden: pins.caseharden(),
        scanner: pins.image(args.scanner.image(!docker)),
        cosign: pins.image(COSIGN),
        token: args.scanner.needs_token(),
        key,
        check: check(docker),
        scan: scan(args.scanner, docker),
        sign: sign(key, docker),
    };
    let file = |path: &str, text: String| Generated { path: Path::new(path).to_owned(), text };
    Ok(match args.ci {
        Ci::Github => {
            let [changes, pushed] = templates.github_workflows(&wanted)?;
            vec![
                file(".github/workflows/caseharden.yaml", changes),
                file(".github/workflows/caseharden-sign.yaml", pushed),
            ]
        }
        Ci::Gitlab => vec![file("caseharden.gitlab-ci.yml", templates.gitlab_jobs(&wanted)?)],
        Ci::Tekton => vec![file("caseharden-tekton.yaml", templates.tekton_tasks(&wanted)?)],
        Ci::Jenkins => vec![file("Jenkinsfile", templates.jenkinsfile(&wanted)?)],
    })
}
