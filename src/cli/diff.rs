//! `diff`: show what `apply` would do.

mod kustomize;

use std::collections::BTreeSet;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::path::PathBuf;

use self::kustomize::Asked;
use super::component_files::take_out_own;
use super::inputs::{Inputs, Select, has_failed};
use super::patch_files::PatchFiles;
use super::prove::{ProveArgs, on_disk};
use super::terminal::{self, Pager};
use super::{Global, Outcome, network, review, say};
use crate::plan::Purpose;
use crate::render::{self, DiffFormat, closing, plural};
use crate::repo::Root;

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
    caseharden diff --format kustomize overlays/prod | git apply\n  \
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
    /// Go through the changes one by one, then write the files or make a branch of those taken
    #[arg(short, long, conflicts_with = "format")]
    interactive: bool,
    /// Write straight to the terminal, without the pager that git would use
    #[arg(long)]
    no_pager: bool,
    /// Longest `--format markdown`, in bytes; forges take 65,536 (GitHub) to 4,000 (Azure)
    #[arg(long, value_name = "N", default_value_t = render::MAX_MARKDOWN,
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2_000..))]
    max_bytes: usize,
    /// Write `--format json-patch` or `kustomize` as files into this folder, which becomes as deep as the repo
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    #[command(flatten)]
    prove: ProveArgs,
    #[command(flatten)]
    select: Select,
}

pub(super) fn run(args: &DiffArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let purpose = match args.format {
        _ if args.show_secrets => Purpose::Changes,
        DiffFormat::JsonPatch => Purpose::Values,
        _ => Purpose::Diff,
    };
    if args.interactive {
        return review::run(&args.paths, &args.select, &args.prove, purpose, global, out);
    }
    let (is_patch, is_component) =
        (args.format == DiffFormat::JsonPatch, args.format == DiffFormat::Kustomize);
    anyhow::ensure!(
        args.output_dir.is_none() || is_patch || is_component,
        "`--output-dir` goes with `--format json-patch` and `--format kustomize`"
    );
    anyhow::ensure!(
        !is_component || args.paths.iter().all(|path| path.as_os_str() != "-"),
        "`--format kustomize` makes components for folders, not for standard input"
    );
    let asked = if is_component { Some(Root::find(&args.paths)?) } else { None };
    // Builds take from anywhere in a repo, so all of it is hardened.
    let whole = asked.as_ref().map(|root| root.folder.clone());
    let paths = whole.as_ref().map_or(args.paths.as_slice(), std::slice::from_ref);
    // The process ends with this; see `Inputs::show`.
    let mut inputs = ManuallyDrop::new(Inputs::from_disk(paths, &args.select, global)?);
    let own = if is_component { take_out_own(&mut inputs.repo) } else { BTreeSet::new() };
    let files = on_disk(&inputs.root.folder);
    let unproved = args.prove.hold(&mut inputs, &args.select, &files, global)?;
    let pictures = || network::pictures(&inputs, &args.select);
    let renderer = args.format.renderer(global.style(), terminal::width(), args.max_bytes, &pictures);
    if let Some(Root { wanted: folders, .. }) = &asked {
        let asked = Asked { folders, own: &own, output_dir: args.output_dir.as_deref() };
        let outcome = kustomize::run(&inputs, &asked, &args.select, &*renderer, global, out)?;
        return Ok(if unproved { Outcome::Failed } else { outcome });
    }
    let for_people = matches!(args.format, DiffFormat::Unified | DiffFormat::SideBySide);
    let mut pager = if for_people && !args.no_pager { Pager::start() } else { None };
    let mut files;
    let out: &mut dyn Write = match &args.output_dir {
        Some(folder) => {
            files = PatchFiles::new(folder, out);
            &mut files
        }
        None => match &mut pager {
            Some(pager) => pager,
            None => out,
        },
    };
    let mut talk = String::new();
    let outcome = inputs.show(&args.select, purpose, &*renderer, out, |planner, counts| {
        if counts.tally.hidden > 0 {
            talk.push_str(&hidden(counts.tally.hidden, purpose));
        }
        if !global.quiet {
            talk.push_str(&closing(counts, &inputs.skipped(planner)));
            let new: usize = planner.new_files().iter().map(|new| new.files.len()).sum();
            if is_patch && new > 0 {
                let files = plural(new, "new file");
                talk.push_str(&format!("left out: {files}, which no patch makes, and what goes with them\n"));
            }
        }
        match counts.tally.changed_files {
            _ if unproved || has_failed(&inputs, planner, counts) => Outcome::Failed,
            0 if counts.tally.hidden == 0 => Outcome::Done,
            _ => Outcome::Found,
        }
    });
    // What is said comes behind what is shown.
    drop(pager);
    say(&talk);
    outcome
}

/// Said even with `-q`: without it the diff would pass for all there is.
fn hidden(count: usize, purpose: Purpose) -> String {
    let why = match purpose {
        Purpose::Values => "in no patch: it would write a secret",
        _ => "not in this diff: a line that goes, or one beside it, holds a secret",
    };
    format!(
        "note: {} {why}\n  \
         help: `apply` and `branch` make them too; `--show-secrets` shows them with the secret\n",
        plural(count, "change is").replace("change iss", "changes are")
    )
}
