//! Where a new file goes, and who has to know of it. Knows folders and kustomizations; nothing of what is in the file.

use std::collections::BTreeSet;

use super::{Change, Finding, Placed, RepoFindings, Rule, Safety};
use crate::model::{Model, Object, ObjectId};

/// A path in `folder` that nothing has yet: `file` itself, or with `name` behind its stem.
pub(super) fn free_path(file: &str, folder: &str, name: &str, taken: &BTreeSet<String>) -> Option<String> {
    let (stem, extension) = file.rsplit_once('.').unwrap_or((file, "yaml"));
    let at = |file: &str| if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") };
    [at(file), at(&format!("{stem}-{name}.{extension}"))].into_iter().find(|path| !taken.contains(path))
}

/// Lists a new file in the kustomization of its folder, if that builds the object the file is for.
pub(super) fn mention(
    model: &Model<'_>,
    beside: &Object,
    folder: &str,
    path: &str,
    rule: &'static Rule,
    together: Option<&str>,
    found: &mut RepoFindings,
) {
    let Some(kustomization) = model.builds.kustomization(folder) else { return };
    if kustomization.component || !model.builds.takes(&kustomization.path, &model.file(beside).path) {
        return;
    }
    let Some(file) = model.repo().files.iter().position(|file| file.path == kustomization.path) else {
        return;
    };
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut finding = Finding::new("/resources", format!("{} does not list {name}", kustomization.path))
        .change(Change::append("/resources", name))
        .safety(Safety::Review);
    finding.rule = rule;
    finding.together = together.map(str::to_owned);
    let object = Object {
        file,
        document: 0,
        pointer: "".into(),
        id: ObjectId::named("kustomize.config.k8s.io/v1beta1", "Kustomization", &kustomization.path),
        layout: None,
    };
    let placed = Placed { object, finding, needs_file: Some(path.to_owned()) };
    found.by_file.entry(file).or_default().push(placed);
}
