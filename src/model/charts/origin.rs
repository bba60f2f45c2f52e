//! Which sources of Flux and Argo CD are this repo. A path that exists here may be one of another repository.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::Model;

/// What names this repo, and the Git repositories that Flux knows by name.
#[derive(Debug, Default)]
pub(super) struct Origin {
    /// Names of this repo, as far as anything tells: those of its remotes, else that of the repository which Flux'
    /// bootstrap syncs. Owners are left out: a fork has another one.
    own: BTreeSet<String>,
    /// Flux' GitRepositories: namespace and URL by name.
    repositories: BTreeMap<String, Vec<(Option<String>, String)>>,
}

/// The repository that `flux bootstrap` syncs is the one its manifests are in.
/// <https://fluxcd.io/flux/installation/bootstrap/generic-git-server/>
const BOOTSTRAP: &str = "flux-system";

impl Origin {
    pub(super) fn new(model: &Model<'_>) -> Origin {
        let mut origin = Origin::default();
        for object in model.objects().filter(|object| {
            &*object.id.kind == "GitRepository" && object.id.group() == "source.toolkit.fluxcd.io"
        }) {
            let Some(value) = model.value(object) else { continue };
            let Some(url) = value["spec"]["url"].as_str() else { continue };
            let of_name = origin.repositories.entry(object.id.name.to_string()).or_default();
            of_name.push((object.id.namespace.as_deref().map(str::to_owned), url.to_owned()));
        }
        origin.own = model.repo().remotes.iter().filter_map(|url| name(url)).collect();
        if origin.own.is_empty() {
            let synced = origin.repositories.get(BOOTSTRAP).into_iter().flatten();
            origin.own = synced.filter_map(|(_, url)| name(url)).collect();
        }
        origin
    }

    /// Whether a URL clearly is that of another repository.
    pub(super) fn is_elsewhere(&self, url: &str) -> bool {
        !self.own.is_empty() && name(url).is_some_and(|name| !self.own.contains(&name))
    }

    /// The same for a `sourceRef` of Flux in an object of a namespace.
    pub(super) fn is_source_elsewhere(&self, source: &Value, namespace: Option<&str>) -> bool {
        let Some(name) = source["name"].as_str().filter(|name| *name != BOOTSTRAP) else { return false };
        let namespace = source["namespace"].as_str().or(namespace);
        let may_be_meant =
            |own: &Option<String>| own.is_none() || namespace.is_none() || own.as_deref() == namespace;
        let known = self.repositories.get(name).into_iter().flatten();
        known.filter(|(own, _)| may_be_meant(own)).any(|(_, url)| self.is_elsewhere(url))
    }
}

/// The last part of a repository's URL, without `.git`; `None` where a tool fills it in.
fn name(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next().unwrap_or(url).trim_end_matches('/');
    let last = path.rsplit(['/', ':']).next()?;
    let name = last.strip_suffix(".git").unwrap_or(last).to_lowercase();
    (!name.is_empty() && !name.contains(['{', '$'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_known_by_the_last_part_of_its_url() {
        for url in [
            "https://git.example.com/team/Fleet.git",
            "https://user:secret@git.example.com/other/fleet/",
            "git@git.example.com:team/fleet.git",
            "ssh://git@git.example.com:22/fleet",
            "git@git.example.com:fleet",
        ] {
            assert_eq!(name(url).as_deref(), Some("fleet"), "{url}");
        }
        for url in ["", "https://git.example.com/{{name}}", "https://git.example.com/${REPO}.git"] {
            assert_eq!(name(url), None, "{url}");
        }
    }
}
