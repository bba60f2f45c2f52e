//! `overlay`: a Kustomize component that hardens a folder of others.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;

use super::component_files::{self, Components, components};
use super::inputs::{Inputs, Select};
use super::{Global, Outcome, say};
use crate::overlay::ComponentFile;
use crate::render::{escaped, plural};

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

pub(super) fn run(args: &OverlayArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    anyhow::ensure!(args.folder.is_dir(), "`{}` is not a folder", args.folder.display());
    // What is not edited where it is, is what this is for.
    let select = Select { include_generated: true, ..args.select.clone() };
    let inputs = Inputs::from_disk(std::slice::from_ref(&args.folder), &select, global)?;
    let folder = inputs.root.wanted.first().cloned().unwrap_or_default();
    let Components { made, failed, .. } = components(&inputs, &select, &|_| vec![folder.clone()])?;
    let files: Vec<ComponentFile> = made.into_iter().flat_map(|(_, component)| component.files).collect();
    if files.is_empty() {
        say("nothing to harden: no component was written\n");
        return Ok(if failed { Outcome::Failed } else { Outcome::Done });
    }
    let target = output(args)?;
    let written = component_files::write(&target, &files)?;
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
