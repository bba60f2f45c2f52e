//! `network diff`: which connections the fixes would newly deny or allow.

use std::io::Write;
use std::path::PathBuf;

use super::graph::shown;
use super::state::{State, say_skipped};
use crate::cli::inputs::{Inputs, Select};
use crate::cli::{Global, Outcome};
use crate::network_policy::{Diff, Graph};
use crate::render::network::{diff_json, diff_text};

/// Show which connections the fixes would newly deny or allow
///
/// The fixes are those that `caseharden diff` shows for the same options; nothing is written. A connection that
/// something needs, that is allowed now and that the fixes would deny, makes the exit code 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden network diff\n  \
    caseharden network diff --namespace shop\n  \
    caseharden network diff --format json | jq '.lost_needs'\n\n\
    Exit codes: 0 nothing that is needed is lost, 1 something is, 2 something could not be read")]
pub(super) struct DiffArgs {
    /// Files and folders to read; `-` for standard input
    paths: Vec<PathBuf>,
    /// How to show the changes
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    select: Select,
}

/// How answers about connections are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

pub(super) fn run(args: &DiffArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let inputs = Inputs::from_disk(&args.paths, &args.select, global)?;
    let now = State::now(&inputs);
    let planned = State::after(&inputs, &args.select)?;
    let after = planned.as_ref().unwrap_or(&now);
    let before = Graph::new(&now.cluster, &now.connections);
    let after = Graph::new(&after.cluster, &after.connections);
    let diff = Diff::new(&before, &after);
    let shows = shown(&now.cluster, &args.select);
    match args.format {
        Format::Text => diff_text(out, &before, &diff, &shows, global.style())?,
        Format::Json => diff_json(out, &before, &diff, &shows)?,
    }
    Ok(match say_skipped(&inputs, global.quiet) {
        true => Outcome::Failed,
        false if !diff.lost.is_empty() => Outcome::Found,
        false => Outcome::Done,
    })
}
