//! `check`: list findings.

use std::io::Write;
use std::mem::ManuallyDrop;
use std::path::PathBuf;

use super::inputs::{Inputs, Select, has_failed};
use super::{Global, Outcome};
use crate::plan::Purpose;
use crate::render::{self, CheckFormat};

/// List what is not hardened, and which Pod Security level each namespace could enforce
///
/// Reads all manifests below the paths (the current folder without any). Changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden check\n  \
    caseharden check apps/web --select pod\n  \
    caseharden check --format json | jq '.namespaces'\n  \
    kubectl get deploy web -o yaml | caseharden check -\n\n\
    Exit codes: 0 nothing found, 1 findings, 2 something could not be read (the rest was still judged)")]
pub(super) struct CheckArgs {
    /// Files and folders to read; `-` for standard input
    paths: Vec<PathBuf>,
    /// How to show the findings
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: CheckFormat,
    /// Print the JSON Schema of `--format json` and stop
    #[arg(long)]
    schema: bool,
    /// Longest `--format markdown`, in bytes; forges take 65,536 (GitHub) to 4,000 (Azure)
    #[arg(long, value_name = "N", default_value_t = render::MAX_MARKDOWN,
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2_000..))]
    max_bytes: usize,
    #[command(flatten)]
    select: Select,
}

pub(super) fn run(args: &CheckArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    if args.schema {
        writeln!(out, "{:#}", render::schema())?;
        return Ok(Outcome::Done);
    }
    // The process ends with this; see `Inputs::show`.
    let inputs = ManuallyDrop::new(Inputs::from_disk(&args.paths, &args.select, global)?);
    let renderer = args.format.renderer(inputs.config.profile.version, global.style(), args.max_bytes);
    inputs.show(&args.select, Purpose::Findings, &*renderer, out, |planner, counts| {
        match counts.tally.findings {
            _ if has_failed(&inputs, planner, counts) => Outcome::Failed,
            0 => Outcome::Done,
            _ => Outcome::Found,
        }
    })
}
