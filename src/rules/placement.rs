//! Where a new file goes, and who has to know of it. Knows folders and kustomizations; nothing of what is in the file.

use super::{Change, Finding, Placed, RepoFindings, Rule, Safety};
use crate::model::{Model, Object, ObjectId};
use crate::repo::folder;

/// A path in `folder` that nothing has yet: `file` itself, or with `name` behind its stem.
pub(super) fn free_path(
    file: &str,
    folder: &str,
    name: &str,
    is_taken: impl Fn(&str) -> bool,
) -> Option<String> {
    let (stem, extension) = file.rsplit_once('.').unwrap_or((file, "yaml"));
    let at = |file: &str| if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") };
    [at(file), at(&format!("{stem}-{name}.{extension}"))].into_iter().find(|path| !is_taken(path))
}

/// Lists a new file in the kustomization of its folder, if that builds the object the file is for.
pub(super) fn mention(
    model: &Model<'_>,
    beside: &Object,
    folder: &str,
    path: &str,
    rule: &'static Rule,
    found: &mut RepoFindings,
) {
    let Some(kustomization) = model.builds.kustomization(folder) else { return };
    if !kustomization.component && model.builds.takes(&kustomization.path, &model.file(beside).path) {
        list_in(model, &kustomization.path, path, rule, None, found);
    }
}

/// Lists a new file in a kustomization. `together`: the fix that both are parts of.
pub(super) fn list_in(
    model: &Model<'_>,
    kustomization: &str,
    path: &str,
    rule: &'static Rule,
    together: Option<&str>,
    found: &mut RepoFindings,
) {
    let Some(file) = model.repo().position(kustomization) else { return };
    let name = relative(folder(kustomization), path);
    let mut finding = Finding::new("/resources", format!("{kustomization} does not list {name}"))
        .change(Change::append("/resources", name))
        .safety(Safety::Review);
    finding.rule = rule;
    finding.together = together.map(str::to_owned);
    let id = ObjectId::named("kustomize.config.k8s.io/v1beta1", "Kustomization", kustomization);
    let object = Object { file, document: 0, pointer: "".into(), id, layout: None };
    let placed = Placed { object, finding, needs_file: Some(path.to_owned()) };
    found.place(placed);
}

/// `path` as a file in `folder` names it.
fn relative(folder: &str, path: &str) -> String {
    let from: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    let to: Vec<&str> = path.split('/').collect();
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..", from.len() - shared);
    up.chain(to[shared..].iter().copied()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_from_the_kustomization() {
        assert_eq!(relative("", "a/b.yaml"), "a/b.yaml");
        assert_eq!(relative("a", "a/b.yaml"), "b.yaml");
        assert_eq!(relative("overlays/dev", "base/b.yaml"), "../../base/b.yaml");
    }
}
