//! Folders that Flux and Argo CD deploy, with the namespace they give.
//!
//! Reads their objects; resolves only what the repo itself tells. Sources:
//! <https://fluxcd.io/flux/components/kustomize/kustomizations/>,
//! <https://argo-cd.readthedocs.io/en/stable/operator-manual/applicationset/Generators-Git/>.

use serde_json::Value;

use crate::model::object::ObjectId;
use crate::repo::{File, Repo, join};

/// A folder that Flux or Argo CD deploys, with the namespace it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::model) struct EntryPoint {
    pub(super) folder: String,
    pub(super) namespace: Option<String>,
    /// Flux's `targetNamespace` replaces an object's own namespace; Argo CD's destination only fills it in.
    pub(super) replaces: bool,
}

impl EntryPoint {
    pub(in crate::model) fn reads(id: &ObjectId) -> bool {
        matches!(
            (id.group(), &*id.kind),
            ("kustomize.toolkit.fluxcd.io", "Kustomization")
                | ("argoproj.io", "Application" | "ApplicationSet")
        )
    }

    pub(in crate::model) fn read(id: &ObjectId, value: &Value) -> Vec<EntryPoint> {
        let spec = &value["spec"];
        match &*id.kind {
            "Kustomization" => {
                EntryPoint::new(&spec["path"], &spec["targetNamespace"], true).into_iter().collect()
            }
            "Application" => application(spec),
            "ApplicationSet" => application(&spec["template"]["spec"]),
            _ => Vec::new(),
        }
    }

    fn new(path: &Value, namespace: &Value, replaces: bool) -> Option<EntryPoint> {
        let namespace = namespace.as_str().filter(|name| !name.is_empty() && !is_placeholder(name));
        Some(EntryPoint {
            folder: join("", path.as_str().filter(|path| !is_placeholder(path))?)?,
            namespace: namespace.map(str::to_owned),
            replaces,
        })
    }

    /// The files of the folder and of those below it.
    pub(super) fn files<'r>(&self, repo: &'r Repo) -> impl Iterator<Item = &'r File> {
        let prefix = if self.folder.is_empty() { String::new() } else { format!("{}/", self.folder) };
        let from = repo.files.partition_point(|file| file.path < prefix);
        repo.files[from..].iter().take_while(move |file| file.path.starts_with(&prefix))
    }
}

/// An Application's own source, or several of them.
fn application(spec: &Value) -> Vec<EntryPoint> {
    let sources = spec["sources"].as_array().into_iter().flatten().chain([&spec["source"]]);
    let namespace = &spec["destination"]["namespace"];
    sources.filter_map(|source| EntryPoint::new(&source["path"], namespace, false)).collect()
}

/// Written by a generator or a substitution: `{{path}}`, `${cluster}`.
fn is_placeholder(text: &str) -> bool {
    text.contains("{{") || text.contains("${")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(id: (&str, &str), spec: Value, expected: &[(&str, Option<&str>)]) {
        let id = ObjectId::named(id.0, id.1, "x");
        assert!(EntryPoint::reads(&id));
        let found = EntryPoint::read(&id, &json!({"spec": spec}));
        let found: Vec<(&str, Option<&str>)> =
            found.iter().map(|entry| (entry.folder.as_str(), entry.namespace.as_deref())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn flux_gives_a_namespace_or_none() {
        let flux = ("kustomize.toolkit.fluxcd.io/v1", "Kustomization");
        check(flux, json!({"path": "./apps/a", "targetNamespace": "web"}), &[("apps/a", Some("web"))]);
        check(flux, json!({"path": "./"}), &[("", None)]);
        check(flux, json!({"path": "./clusters/${cluster}"}), &[]);
    }

    #[test]
    fn applications_have_one_source_or_many() {
        let argo = ("argoproj.io/v1alpha1", "Application");
        let destination = json!({"namespace": "web"});
        check(
            argo,
            json!({"source": {"path": "."}, "destination": destination.clone()}),
            &[("", Some("web"))],
        );
        check(
            argo,
            json!({"sources": [{"path": "a"}, {"chart": "x"}, {"path": "b"}], "destination": destination}),
            &[("a", Some("web")), ("b", Some("web"))],
        );
        let generated = json!({"template": {"spec": {"source": {"path": "{{path}}"}}}});
        check(("argoproj.io/v1alpha1", "ApplicationSet"), generated, &[]);
        let literal = json!({"template": {"spec": {
            "source": {"path": "deploy"}, "destination": {"namespace": "{{name}}"},
        }}});
        check(("argoproj.io/v1alpha1", "ApplicationSet"), literal, &[("deploy", None)]);
    }
}
