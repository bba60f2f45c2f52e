//! `diff --format kustomize`: the changes as Kustomize components, so that no file of the repo changes.
//!
//! Without a folder to write to, the components are shown as the diff that makes their files.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use anyhow::Context;

use super::super::component_files::{self, Components, components, shown};
use super::super::inputs::{Inputs, Select};
use super::super::{Global, Outcome, say};
use crate::model::Model;
use crate::overlay::{Component, ComponentFile};
use crate::render::{Created, Renderer, escaped, plural};
use crate::repo;
use crate::rules::NewFile;

/// Most paths that a note names.
const MOST_NAMED: usize = 3;

/// What is asked for.
pub(super) struct Asked<'a> {
    /// Folders, from the root.
    pub(super) folders: &'a [String],
    /// Folders of components that were taken out of what was read.
    pub(super) own: &'a BTreeSet<String>,
    pub(super) output_dir: Option<&'a Path>,
}

pub(super) fn run(
    inputs: &Inputs,
    asked: &Asked<'_>,
    select: &Select,
    renderer: &dyn Renderer,
    global: &Global,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let root = &inputs.root.folder;
    let is_folder = |path: &String| root.join(repo::native(path)).is_dir();
    anyhow::ensure!(
        asked.folders.iter().all(is_folder),
        "`--format kustomize` makes components for folders, not for single files"
    );
    let Components { made, mut unsaid, failed } =
        components(inputs, select, &|model| targets(model, asked.folders, asked.own))?;
    unsaid.retain(|path| asked.folders.iter().any(|folder| is_in(path, folder)));
    let mut n_files = 0;
    for (folder, component) in &made {
        n_files += match asked.output_dir {
            Some(dir) => write(&dir.join(repo::native(folder)), &component.files, out)?,
            None => show(root, &beside(folder), &component.files, renderer, out)?,
        };
    }
    out.flush()?;
    if !unsaid.is_empty() {
        say(&not_said(&unsaid, &made));
    }
    if !global.quiet && n_files > 0 {
        say(&format!(
            "{} in {}, for a kustomization that lists the folder under `resources:` and the component under \
             `components:`\n",
            plural(made.len(), "component"),
            plural(n_files, "file")
        ));
    }
    Ok(match n_files + unsaid.len() {
        _ if failed => Outcome::Failed,
        0 => Outcome::Done,
        _ => Outcome::Found,
    })
}

/// The folders that get a component: those that were asked for, or the builds below them if they are none themselves.
/// A build that has a component of ours already is there for the folder that the component hardens.
fn targets(model: &Model<'_>, wanted: &[String], own: &BTreeSet<String>) -> Vec<String> {
    let mut folders = BTreeSet::new();
    for folder in wanted {
        if model.builds.kustomization(folder).is_some() {
            folders.insert(folder.clone());
            continue;
        }
        let mut below = BTreeSet::new();
        for build in model.builds.outermost_builds().filter(|path| is_in(path, folder)) {
            let taken = model.builds.taken_by(build);
            let hardened: Vec<String> = own
                .iter()
                .filter(|component| taken.contains(*component))
                .filter_map(|component| hardened_by(component))
                .filter(|folder| model.builds.kustomization(folder).is_some())
                .collect();
            match hardened.is_empty() {
                true => drop(below.insert(repo::folder(build).to_owned())),
                false => below.extend(hardened),
            }
        }
        if below.is_empty() {
            below.insert(folder.clone());
        }
        folders.extend(below);
    }
    folders.into_iter().collect()
}

fn is_in(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Where a component stands in the repo: beside its folder, because no folder can be taken by one within it.
fn beside(folder: &str) -> String {
    match folder.rsplit_once('/') {
        _ if folder.is_empty() => "harden".to_owned(),
        Some((parent, name)) => format!("{parent}/harden-{name}"),
        None => format!("harden-{folder}"),
    }
}

/// The folder that a component stands beside.
fn hardened_by(component: &str) -> Option<String> {
    let (parent, name) = component.rsplit_once('/').unwrap_or(("", component));
    match name.strip_prefix("harden-") {
        Some(name) if parent.is_empty() => Some(name.to_owned()),
        Some(name) => Some(format!("{parent}/{name}")),
        None => (component == "harden").then(String::new),
    }
}

fn write(target: &Path, files: &[ComponentFile], out: &mut dyn Write) -> anyhow::Result<usize> {
    let written = component_files::write(target, files)?;
    for name in &written {
        writeln!(out, "{}", escaped(&target.join(name).display().to_string()))?;
    }
    Ok(written.len())
}

fn show(
    root: &Path,
    target: &str,
    files: &[ComponentFile],
    renderer: &dyn Renderer,
    out: &mut dyn Write,
) -> anyhow::Result<usize> {
    let present = component_files::present(root, &repo::native(target), files)?;
    let mut n_shown = 0;
    for (file, before) in files.iter().zip(present) {
        if before.as_deref() == Some(file.text.as_bytes()) {
            continue;
        }
        let path = format!("{target}/{}", file.name);
        let before = before.map(String::from_utf8).transpose().with_context(|| path.clone())?;
        let new = NewFile { path, text: file.text.clone() };
        let created = Created { file: &new, before: before.as_deref() };
        renderer.created(out, &new.path, &[], &[created])?;
        n_shown += 1;
    }
    Ok(n_shown)
}

fn not_said(paths: &[String], made: &[(String, Component)]) -> String {
    let named: Vec<_> = paths.iter().take(MOST_NAMED).map(|path| escaped(path)).collect();
    let more = if paths.len() > MOST_NAMED { " …" } else { "" };
    let changes = plural(paths.len(), "change is").replace("change iss", "changes are");
    let mut text = format!("note: {changes} in no component: {}{more}\n", named.join(", "));
    // A folder with builds below it stands for those.
    let has_component = |folder: &str| made.iter().any(|(other, _)| other == folder || is_in(other, folder));
    if let Some(folder) = paths.iter().map(|path| repo::folder(path)).find(|folder| !has_component(folder)) {
        let folder = escaped(shown(folder));
        text.push_str(&format!(
            "  help: a folder that is named gets a component of its own, like {folder}\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_beside_a_folder_is_known_by_its_name() {
        for folder in ["", "web", "apps/web", "apps/harden-web"] {
            assert_eq!(hardened_by(&beside(folder)).as_deref(), Some(folder));
        }
        assert_eq!(hardened_by("components/mine"), None);
        assert_eq!(hardened_by("apps/harden"), None);
    }
}
