//! Kustomize components for folders of a repo, and their files: what `overlay` and `diff --format kustomize` share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::hardened::{planned_and, with_changes};
use super::inputs::{Inputs, Select, has_failed};
use super::{Helped, say};
use crate::apply;
use crate::model::Model;
use crate::overlay::{Component, ComponentFile, component};
use crate::render::escaped;
use crate::repo::{self, File, Repo};

/// In the first line of every component and patch that is written here.
const MARK: &str = "Written by caseharden.";

/// What was made for some folders.
#[derive(Default)]
pub(super) struct Components {
    /// By folder; those that have nothing to say are left out.
    pub(super) made: Vec<(String, Component)>,
    /// New texts that no component stands for, by path.
    pub(super) unsaid: Vec<String>,
    /// Whether something of the run failed.
    pub(super) failed: bool,
}

/// The components that make of folders what `apply` would; what they cannot say is told.
pub(super) fn components(
    inputs: &Inputs,
    select: &Select,
    folders: &dyn Fn(&Model<'_>) -> Vec<String>,
) -> anyhow::Result<Components> {
    let (changed, failed) =
        planned_and(inputs, select, |planner, counts| has_failed(inputs, planner, counts))?;
    if changed.is_empty() {
        return Ok(Components { failed, ..Components::default() });
    }
    let hardened = with_changes(inputs, &changed);
    let before = Model::new(&inputs.repo, &inputs.config.workloads);
    let after = Model::new(&hardened, &inputs.config.workloads);
    let folders = folders(&before);
    let mut made = Vec::new();
    for folder in &folders {
        let component = component(&inputs.templates, folder, &before, &after)?;
        for note in &component.notes {
            say(&format!("note: {}: {}\n", escaped(shown(folder)), escaped(note)));
        }
        if !component.files.is_empty() {
            made.push((folder.clone(), component));
        }
    }
    Ok(Components { made, unsaid: unsaid(&after, &changed, &folders), failed })
}

/// Takes the components that were made here before out of what was read, because new ones are made as if there were
/// none. Returns their folders.
pub(super) fn take_out_own(repo: &mut Repo) -> BTreeSet<String> {
    let is_own = |file: &File| {
        file.path.ends_with("/kustomization.yaml")
            && is_ours(file.stream.text().as_bytes())
            && file.stream.text().contains("\nkind: Component\n")
    };
    let own = repo.files.iter().filter(|file| is_own(file));
    let own: BTreeSet<String> = own.map(|file| repo::folder(&file.path).to_owned()).collect();
    repo.files.retain(|file| !own.contains(repo::folder(&file.path)));
    own
}

/// A folder for people.
pub(super) fn shown(folder: &str) -> &str {
    if folder.is_empty() { "." } else { folder }
}

fn unsaid(after: &Model<'_>, changed: &BTreeMap<String, String>, folders: &[String]) -> Vec<String> {
    let is_said = |path: &str| {
        folders.iter().any(|folder| match after.builds.kustomization(folder) {
            Some(build) => after.builds.taken_by(&build.path).contains(path),
            None => folder.is_empty() || path.starts_with(&format!("{folder}/")),
        })
    };
    changed.keys().filter(|path| !is_said(path)).cloned().collect()
}

/// Writes the files that are not there as they should be; their names.
pub(super) fn write(target: &Path, files: &[ComponentFile]) -> anyhow::Result<Vec<String>> {
    // The nearest folder that exists is the one that nothing may lead out of.
    let absolute = std::path::absolute(target)?;
    let root = absolute.ancestors().find(|folder| folder.is_dir()).context("no folder to write to")?;
    let below = absolute.strip_prefix(root)?;
    let present = present(root, below, files)?;
    let mut written = Vec::new();
    for (file, present) in files.iter().zip(&present) {
        if present.as_deref() != Some(file.text.as_bytes()) {
            let path = below.join(repo::native(&file.name));
            apply::write(root, &path, file.text.as_bytes(), present.as_deref())?;
            written.push(file.name.clone());
        }
    }
    Ok(written)
}

/// What is there of a component's files; an error where somebody else wrote one.
pub(super) fn present(
    root: &Path,
    below: &Path,
    files: &[ComponentFile],
) -> anyhow::Result<Vec<Option<Vec<u8>>>> {
    let listing = apply::read_if_there(root, &below.join("kustomization.yaml"))?.filter(|text| is_ours(text));
    let is_listed = |name: &str| {
        listing.as_ref().is_some_and(|text| memchr::memmem::find(text, name.as_bytes()).is_some())
    };
    let mut found = Vec::new();
    for file in files {
        let path: PathBuf = below.join(repo::native(&file.name));
        let present = apply::read_if_there(root, &path)?;
        let is_foreign = |present: &Vec<u8>| {
            *present != file.text.as_bytes() && !is_ours(present) && !is_listed(&file.name)
        };
        if present.as_ref().is_some_and(is_foreign) {
            return Err(Helped {
                message: format!("{}: not written by caseharden", root.join(path).display()),
                help: Some("write elsewhere: `--output` of `overlay`, `--output-dir` of `diff`".to_owned()),
            }
            .into());
        }
        found.push(present);
    }
    Ok(found)
}

fn is_ours(text: &[u8]) -> bool {
    let first_line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    memchr::memmem::find(first_line, MARK.as_bytes()).is_some()
}
