//! `diff`: show what `apply` would do.

use std::io::Write;
use std::mem::ManuallyDrop;
use std::path::PathBuf;

use super::inputs::{Inputs, Select, has_failed};
use super::prove::{ProveArgs, on_disk};
use super::{Global, Outcome, say};
use crate::plan::Purpose;
use crate::render::{DiffFormat, closing, plural};

/// Show the changes that would harden a repo
///
/// Writes nothing. The diff applies from the root of the repo with `git apply` or `patch -p1`; the reason of every
/// change stands above its file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden diff\n  \
    caseharden diff --level safe | git apply\n  \
    caseharden diff --select runs-as-root,seccomp-not-set apps/\n  \
    caseharden diff --object Deployment/web\n  \
    caseharden diff - < deployment.yaml\n\n\
    Exit codes: 0 nothing to change, 1 a diff was shown, 2 something could not be read (the rest was still done)")]
pub(super) struct DiffArgs {
    /// Files and folders to read; `-` for standard input
    paths: Vec<PathBuf>,
    /// How to show the changes
    #[arg(long, value_name = "FORMAT", default_value = "unified")]
    format: DiffFormat,
    /// Also show changes on or beside lines that hold a secret: the diff then shows the secret
    #[arg(long)]
    show_secrets: bool,
    #[command(flatten)]
    prove: ProveArgs,
    #[command(flatten)]
    select: Select,
}

pub(super) fn run(args: &DiffArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    // The process ends with this; see `Inputs::show`.
    let mut inputs = ManuallyDrop::new(Inputs::from_disk(&args.paths, &args.select, global)?);
    let files = on_disk(&inputs.root.folder);
    let unproved = args.prove.hold(&mut inputs, &args.select, &files, global)?;
    let renderer = args.format.renderer(global.style());
    let purpose = if args.show_secrets { Purpose::Changes } else { Purpose::Diff };
    inputs.show(&args.select, purpose, &*renderer, out, |planner, counts| {
        if counts.tally.hidden > 0 {
            say(&hidden(counts.tally.hidden));
        }
        if !global.quiet {
            say(&closing(counts, &inputs.skipped(planner)));
        }
        match counts.tally.changed_files {
            _ if unproved || has_failed(&inputs, planner, counts) => Outcome::Failed,
            0 if counts.tally.hidden == 0 => Outcome::Done,
            _ => Outcome::Found,
        }
    })
}

/// Said even with `-q`: without it the diff would pass for all there is.
fn hidden(count: usize) -> String {
    format!(
        "note: {} not in this diff: a line that goes, or one beside it, holds a secret\n  \
         help: `apply` and `branch` make them too; `--show-secrets` shows them with the secret\n",
        plural(count, "change is").replace("change iss", "changes are")
    )
}
