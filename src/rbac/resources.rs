//! The resources that requests can be about: whether they are in namespaces, and which verbs they have.
//!
//! From the record of a server, and from the CustomResourceDefinitions of a repo.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::yaml::{Kind, Node};

/// The verbs of a resource that can be stored, in the order people write them.
pub const VERBS: [&str; 8] =
    ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

/// One resource, or a subresource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Resource {
    /// Empty for the core group.
    pub group: String,
    /// In the plural: `pods`; a subresource with its resource: `pods/log`.
    pub name: String,
    pub namespaced: bool,
    pub verbs: Vec<String>,
}

/// All that is known, by group and name.
#[derive(Debug, Clone, Default)]
pub struct Resources {
    groups: BTreeMap<String, BTreeMap<String, Resource>>,
}

impl Resource {
    pub fn is_subresource(&self) -> bool {
        self.name.contains('/')
    }
}

impl Resources {
    pub fn new(resources: impl IntoIterator<Item = Resource>) -> Resources {
        let mut known = Resources::default();
        // Served by an extension that nearly every cluster has: <https://github.com/kubernetes/metrics>.
        for (name, namespaced) in [("pods", true), ("nodes", false)] {
            let verbs = ["get", "list"].map(str::to_owned).to_vec();
            known.add(Resource {
                group: "metrics.k8s.io".to_owned(),
                name: name.to_owned(),
                namespaced,
                verbs,
            });
        }
        resources.into_iter().for_each(|resource| known.add(resource));
        known
    }

    pub fn add(&mut self, mut resource: Resource) {
        let place = |verb: &String| VERBS.iter().position(|known| known == verb).unwrap_or(VERBS.len());
        resource.verbs.sort_by_key(place);
        self.groups.entry(resource.group.clone()).or_default().insert(resource.name.clone(), resource);
    }

    /// Reads a CustomResourceDefinition (apiextensions.k8s.io/v1 or v1beta1).
    pub fn add_definition(&mut self, definition: Node<'_>) {
        let text = |pointer: &str| definition.at(pointer).and_then(Node::as_str);
        let (Some(group), Some(plural)) = (text("/spec/group"), text("/spec/names/plural")) else {
            return;
        };
        let namespaced = text("/spec/scope").as_deref() != Some("Cluster");
        let resource = |name: String, verbs: &[&str]| Resource {
            group: group.to_string(),
            name,
            namespaced,
            verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        };
        self.add(resource(plural.to_string(), &VERBS));
        let spec = definition.get("spec");
        let versions = spec.and_then(|spec| spec.get("versions"));
        let all = versions.into_iter().flat_map(Node::items).chain(spec);
        let parts: Vec<Node<'_>> = all.filter_map(|version| version.get("subresources")).collect();
        for name in ["status", "scale"] {
            let is_object = |part: Node<'_>| matches!(part.kind(), Kind::Mapping | Kind::Alias);
            if parts.iter().filter_map(|part| part.get(name)).any(is_object) {
                self.add(resource(format!("{plural}/{name}"), &["get", "patch", "update"]));
            }
        }
    }

    pub fn get(&self, group: &str, name: &str) -> Option<&Resource> {
        self.groups.get(group)?.get(name)
    }

    /// Those of a group; `None` when nothing is known of it.
    pub fn of_group(&self, group: &str) -> Option<impl Iterator<Item = &Resource>> {
        self.groups.get(group).map(|resources| resources.values())
    }

    /// Everything, ordered by group and name.
    pub fn all(&self) -> impl Iterator<Item = &Resource> {
        self.groups.values().flat_map(BTreeMap::values)
    }

    /// Groups that have a resource of this name.
    pub fn groups_with<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r str> {
        self.groups
            .iter()
            .filter(move |(_, resources)| resources.contains_key(name))
            .map(|(group, _)| group.as_str())
    }

    /// Whether a resource is in namespaces. A subresource that is not served is taken for one of its resource;
    /// `None` when nothing is known.
    pub fn is_namespaced(&self, group: &str, name: &str) -> Option<bool> {
        let of = || self.get(group, name.split_once('/')?.0);
        self.get(group, name).or_else(of).map(|resource| resource.namespaced)
    }

    /// The group and the plural that somebody means by `deployments`, `deployment.apps`, `pods/log`.
    pub fn find(&self, text: &str) -> Option<(String, String)> {
        let (name, subresource) = text.split_once('/').unwrap_or((text, ""));
        let (name, group) = name.split_once('.').map_or((name, None), |(name, group)| (name, Some(group)));
        let name = name.to_ascii_lowercase();
        let candidates = [name.clone(), format!("{name}s"), format!("{name}es"), plural_of_y(&name)];
        let known = candidates.into_iter().find_map(|candidate| {
            let mut groups = self
                .groups
                .iter()
                .filter(|(_, resources)| resources.contains_key(&candidate))
                .map(|(group, _)| group.as_str());
            // The core group comes first, and what is served by extensions last.
            let group = match group {
                Some(group) => groups.find(|known| *known == group),
                None => groups.min_by_key(|known| (known.ends_with("metrics.k8s.io"), known.to_string())),
            }?;
            Some((group.to_owned(), candidate))
        });
        let (group, name) = known.or_else(|| Some((group?.to_owned(), name)))?;
        Some((group, if subresource.is_empty() { name } else { format!("{name}/{subresource}") }))
    }
}

fn plural_of_y(name: &str) -> String {
    name.strip_suffix('y').map_or_else(String::new, |stem| format!("{stem}ies"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::KubernetesVersion;
    use crate::rbac::Recorded;
    use crate::yaml::{Limits, Stream};

    fn known() -> Resources {
        Resources::new(Recorded::of(KubernetesVersion { minor: 37 }).resources)
    }

    #[test]
    fn a_definition_brings_its_resource_and_subresources() {
        let mut known = known();
        let definition = json!({"spec": {
            "group": "x.example", "names": {"plural": "things"}, "scope": "Namespaced",
            "versions": [{"name": "v1", "subresources": {"status": {}}}, {"name": "v2", "subresources": {"scale": {}}}],
        }});
        let stream = Stream::parse(definition.to_string(), &Limits::default()).unwrap();
        known.add_definition(stream.root(0).unwrap());
        let names: Vec<&str> = known.of_group("x.example").unwrap().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["things", "things/scale", "things/status"]);
        assert_eq!(known.is_namespaced("x.example", "things/status"), Some(true));
        assert_eq!(known.is_namespaced("x.example", "things/finalizers"), Some(true));
        assert_eq!(known.is_namespaced("x.example", "others"), None);
    }

    #[test]
    fn the_scope_of_what_a_server_serves_is_known() {
        for (group, name, expected) in [
            ("", "pods", Some(true)),
            ("", "nodes", Some(false)),
            ("", "nodes/proxy", Some(false)),
            ("apps", "deployments/scale", Some(true)),
            ("rbac.authorization.k8s.io", "clusterroles", Some(false)),
            ("apps", "pods", None),
        ] {
            assert_eq!(known().is_namespaced(group, name), expected, "{group} {name}");
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str)>) {
        let found = known().find(text);
        assert_eq!(found, expected.map(|(group, name)| (group.to_owned(), name.to_owned())), "{text}");
    }

    #[test]
    fn resources_are_found_as_people_name_them() {
        check("pods", Some(("", "pods")));
        check("pod", Some(("", "pods")));
        check("deployments.apps", Some(("apps", "deployments")));
        check("deployment", Some(("apps", "deployments")));
        check("pods/log", Some(("", "pods/log")));
        check("ingresses", Some(("networking.k8s.io", "ingresses")));
        check("networkpolicy", Some(("networking.k8s.io", "networkpolicies")));
        check("things.x.example", Some(("x.example", "things")));
        check("things", None);
        check("events", Some(("", "events")));
    }
}
