//! `overlay`: a Kustomize component that hardens a folder of others.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::hardened::hardened;
use super::inputs::{Inputs, Select, has_failed};
use super::{Global, Helped, Outcome, say};
use crate::apply;
use crate::model::Model;
use crate::overlay::{ComponentFile, component};
use crate::plan::Purpose;
use crate::render::{escaped, plural};
use crate::repo;

/// Write a Kustomize component that hardens a folder which is not yours to edit
///
/// The folder stays as it is. A kustomization that lists it under `resources:` and the component under `components:`
/// builds what `apply` would have made of the folder. Run again, it keeps its files up to date; files that somebody
/// else wrote are never replaced.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden overlay vendor/ingress\n  \
    caseharden overlay vendor/ingress --output components/harden-ingress\n  \
    caseharden overlay upstream/operator --select pod --level safe\n\n\
    Exit codes: 0 done, 2 something failed or could not be read (the rest was still done)")]
pub(super) struct OverlayArgs {
    /// Folder to harden
    folder: PathBuf,
    /// Folder of the component; `harden-` and the folder's name beside it without one
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    #[command(flatten)]
    select: Select,
}

/// In the first line of every component and patch that is written here.
const MARK: &str = "Written by caseharden.";

pub(super) fn run(args: &OverlayArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    anyhow::ensure!(args.folder.is_dir(), "`{}` is not a folder", args.folder.display());
    // What is not edited where it is, is what this is for.
    let select = Select { include_generated: true, ..args.select.clone() };
    let inputs = Inputs::from_disk(std::slice::from_ref(&args.folder), &select, global)?;
    let folder = inputs.root.wanted.first().cloned().unwrap_or_default();
    let failed = inputs.plan(&select, Purpose::Findings, |planner| {
        Ok(has_failed(&inputs, planner, &crate::render::Counts::default()))
    })?;
    let files = match hardened(&inputs, &select)? {
        None => Vec::new(),
        Some(after) => {
            let before = Model::new(&inputs.repo, &inputs.config.workloads);
            let after = Model::new(&after, &inputs.config.workloads);
            let made = component(&inputs.templates, &folder, &before, &after)?;
            for note in made.notes {
                say(&format!("note: {}\n", escaped(&note)));
            }
            made.files
        }
    };
    if files.is_empty() {
        say("nothing to harden: no component was written\n");
        return Ok(if failed { Outcome::Failed } else { Outcome::Done });
    }
    let target = output(args)?;
    let written = write(&target, &files)?;
    for name in &written {
        writeln!(out, "{}", escaped(&target.join(name).display().to_string()))?;
    }
    out.flush()?;
    if !global.quiet {
        say(&format!("wrote {} of {}\n", plural(written.len(), "file"), files.len()));
    }
    Ok(if failed { Outcome::Failed } else { Outcome::Done })
}

fn output(args: &OverlayArgs) -> anyhow::Result<PathBuf> {
    if let Some(output) = &args.output {
        return Ok(output.clone());
    }
    let real = std::fs::canonicalize(&args.folder).with_context(|| args.folder.display().to_string())?;
    let name = real.file_name().with_context(|| format!("`{}` has no name", real.display()))?;
    Ok(real.with_file_name(format!("harden-{}", name.to_string_lossy())))
}

/// Writes the files that are not there as they should be; their names.
fn write(target: &Path, files: &[ComponentFile]) -> anyhow::Result<Vec<String>> {
    // The nearest folder that exists is the one that nothing may lead out of.
    let absolute = std::path::absolute(target)?;
    let root = absolute.ancestors().find(|folder| folder.is_dir()).context("no folder to write to")?;
    let below = absolute.strip_prefix(root)?;
    let listing = apply::read_if_there(root, &below.join("kustomization.yaml"))?.filter(|text| is_ours(text));
    let is_listed = |name: &str| {
        listing.as_ref().is_some_and(|text| memchr::memmem::find(text, name.as_bytes()).is_some())
    };
    let mut wanted = Vec::new();
    for file in files {
        let path = below.join(repo::native(&file.name));
        let present = apply::read_if_there(root, &path)?;
        if present.as_deref() == Some(file.text.as_bytes()) {
            continue;
        }
        if let Some(present) = &present
            && !is_ours(present)
            && !is_listed(&file.name)
        {
            return Err(Helped {
                message: format!("{}: not written by caseharden", target.join(&file.name).display()),
                help: Some("choose another folder with `--output`".to_owned()),
            }
            .into());
        }
        wanted.push((path, file, present));
    }
    let mut written = Vec::new();
    for (path, file, present) in wanted {
        apply::write(root, &path, file.text.as_bytes(), present.as_deref())?;
        written.push(file.name.clone());
    }
    Ok(written)
}

fn is_ours(text: &[u8]) -> bool {
    let first_line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    memchr::memmem::find(first_line, MARK.as_bytes()).is_some()
}
