//! What rules in their scopes allow that others do not: every lost permission by name.
//!
//! Asks the same question as the authorizer for everything that is known or written: all resources and their verbs,
//! all names and namespaces that the rules mention, and one namespace that none of them does.

use std::collections::{BTreeMap, BTreeSet};

use super::policy::Scope;
use super::resources::{Resources, VERBS};
use super::rule::{ALL, PolicyRule, Request};

/// A rule with the scope it is given in.
pub type Scoped<'a> = (Scope, &'a PolicyRule);

/// Stands for every namespace that no rule names; no namespace can be called so.
const ELSEWHERE: &str = "\u{0}";

/// Where a permission is lost.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In all namespaces, or of a resource that is in none.
    Everywhere,
    /// In all namespaces but these, and in requests about all of them.
    Outside(Vec<String>),
    In(Vec<String>),
}

/// A permission that is lost: these verbs on these resources or paths.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lost {
    pub place: Place,
    /// Of the object, where it is lost for one only.
    pub name: Option<String>,
    pub verbs: Vec<String>,
    /// `pods`, `deployments.apps`, `/healthz`.
    pub resources: Vec<String>,
}

/// What `before` allows and `after` does not, in the order of resources.
pub fn lost(before: &[Scoped<'_>], after: &[Scoped<'_>], resources: &Resources) -> Vec<Lost> {
    let both = || before.iter().chain(after).map(|(_, rule)| *rule);
    let mentioned = Mentioned::new(before.iter().chain(after));
    // Verbs by where and of what, then what by those verbs: one line for each set.
    let mut by_resource: BTreeMap<(Place, Option<String>, String), Vec<String>> = BTreeMap::new();
    for (group, name, served, namespaced) in universe(before, both(), resources) {
        let verbs = verbs(&mentioned, &served);
        let shown = shown(&group, &name);
        for verb in verbs {
            let request = Request::resource(&verb, &group, &name, "");
            let without_name = lost_places(before, after, &request, namespaced, &mentioned);
            let named = mentioned.names.iter().filter_map(|object| {
                let request = request.clone().named(object);
                let place = lost_places(before, after, &request, namespaced, &mentioned)?;
                (Some(&place) != without_name.as_ref()).then(|| (place, Some((*object).to_owned())))
            });
            let places = without_name.clone().map(|place| (place, None)).into_iter().chain(named);
            for (place, object) in places {
                by_resource.entry((place, object, shown.clone())).or_default().push(verb.clone());
            }
        }
    }
    for url in both().flat_map(|rule| &rule.non_resource_urls).collect::<BTreeSet<_>>() {
        for verb in mentioned.verbs.iter().filter(|verb| *verb != ALL || url == ALL) {
            let request = Request::path(verb, url);
            if allows(before, &request, "") && !allows(after, &request, "") {
                by_resource.entry((Place::Everywhere, None, url.clone())).or_default().push(verb.clone());
            }
        }
    }
    grouped(by_resource)
}

fn grouped(by_resource: BTreeMap<(Place, Option<String>, String), Vec<String>>) -> Vec<Lost> {
    let mut lost: Vec<Lost> = Vec::new();
    for ((place, name, resource), verbs) in by_resource {
        let same = |known: &&mut Lost| known.place == place && known.name == name && known.verbs == verbs;
        match lost.iter_mut().find(same) {
            Some(known) => known.resources.push(resource),
            None => lost.push(Lost { place, name, verbs, resources: vec![resource] }),
        }
    }
    lost
}

/// `deployments.apps/scale` as kubectl takes it.
fn shown(group: &str, name: &str) -> String {
    match name.split_once('/') {
        _ if group.is_empty() => name.to_owned(),
        Some((of, part)) => format!("{of}.{group}/{part}"),
        None => format!("{name}.{group}"),
    }
}

fn allows(rules: &[Scoped<'_>], request: &Request, namespace: &str) -> bool {
    rules.iter().any(|(scope, rule)| scope.covers(namespace) && rule.allows(request))
}

fn lost_places(
    before: &[Scoped<'_>],
    after: &[Scoped<'_>],
    request: &Request,
    namespaced: bool,
    mentioned: &Mentioned<'_>,
) -> Option<Place> {
    let is_lost = |namespace: &str| allows(before, request, namespace) && !allows(after, request, namespace);
    if !namespaced {
        return is_lost("").then_some(Place::Everywhere);
    }
    let (gone, kept): (Vec<&str>, Vec<&str>) =
        mentioned.namespaces.iter().partition(|namespace| is_lost(namespace));
    let owned = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
    match is_lost(ELSEWHERE) || is_lost("") {
        true if kept.is_empty() => Some(Place::Everywhere),
        true => Some(Place::Outside(owned(kept))),
        false if gone.is_empty() => None,
        false => Some(Place::In(owned(gone))),
    }
}

/// What the rules name.
struct Mentioned<'a> {
    verbs: BTreeSet<String>,
    names: BTreeSet<&'a str>,
    namespaces: BTreeSet<&'a str>,
}

impl<'a> Mentioned<'a> {
    fn new(scoped: impl Iterator<Item = &'a Scoped<'a>>) -> Mentioned<'a> {
        let mut mentioned =
            Mentioned { verbs: BTreeSet::new(), names: BTreeSet::new(), namespaces: BTreeSet::new() };
        for (scope, rule) in scoped {
            mentioned.verbs.extend(rule.verbs.iter().cloned());
            mentioned.names.extend(rule.resource_names.iter().map(String::as_str));
            if let Scope::Namespace(namespace) = scope {
                mentioned.namespaces.insert(namespace);
            }
        }
        mentioned
    }
}

/// Verbs that are asked of a resource beside those it is served with: what only authorizers know (`bind`, `use`), and
/// for rules that name all verbs, all others.
fn verbs(mentioned: &Mentioned<'_>, served: &[String]) -> Vec<String> {
    let special = mentioned.verbs.iter().filter(|verb| !VERBS.contains(&verb.as_str()));
    let mut verbs = served.to_vec();
    verbs.extend(special.filter(|verb| !served.contains(verb)).cloned());
    verbs
}

/// Group, name, verbs and scope of every known resource that can be lost, and of those that the rules name.
fn universe<'a>(
    before: &[Scoped<'_>],
    rules: impl Iterator<Item = &'a PolicyRule>,
    resources: &Resources,
) -> Vec<(String, String, Vec<String>, bool)> {
    let mut all: BTreeMap<(String, String), (Vec<String>, bool)> = resources
        .all()
        // What was not allowed is not lost; a repo can define thousands of resources.
        .filter(|known| before.iter().any(|(_, rule)| rule.has_group(&known.group)))
        .map(|known| ((known.group.clone(), known.name.clone()), (known.verbs.clone(), known.namespaced)))
        .collect();
    let standard = || VERBS.map(str::to_owned).to_vec();
    for rule in rules {
        for group in rule.api_groups.iter().filter(|group| *group != ALL) {
            for name in rule.resources.iter().filter(|name| !name.starts_with(ALL)) {
                let namespaced = resources.is_namespaced(group, name).unwrap_or(true);
                all.entry((group.clone(), name.clone())).or_insert_with(|| (standard(), namespaced));
            }
        }
    }
    all.into_iter().map(|((group, name), (verbs, namespaced))| (group, name, verbs, namespaced)).collect()
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verbs: Vec<&str> =
            self.verbs.iter().map(|verb| if verb == ALL { "every other verb" } else { verb }).collect();
        write!(f, "{} on {}", verbs.join(", "), self.resources.join(", "))?;
        if let Some(name) = &self.name {
            write!(f, " called {name}")?;
        }
        match &self.place {
            Place::Everywhere => Ok(()),
            Place::Outside(kept) => write!(f, " outside of {}", kept.join(", ")),
            Place::In(gone) => write!(f, " in {}", gone.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::KubernetesVersion;
    use crate::rbac::Recorded;

    fn rules(value: serde_json::Value) -> Vec<PolicyRule> {
        serde_json::from_value(value).unwrap()
    }

    #[track_caller]
    fn check(before: (Scope, serde_json::Value), after: (Scope, serde_json::Value), expected: &[&str]) {
        let resources = Resources::new(Recorded::of(KubernetesVersion { minor: 37 }).resources);
        let (b, a) = (rules(before.1), rules(after.1));
        let scoped = |scope: &Scope, rules: &'static [PolicyRule]| -> Vec<Scoped<'static>> {
            rules.iter().map(|rule| (scope.clone(), rule)).collect()
        };
        let found = lost(&scoped(&before.0, b.leak()), &scoped(&after.0, a.leak()), &resources);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_narrower_scope_loses_the_rest_of_the_cluster() {
        let pods = json!([{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}]);
        check(
            (Scope::Cluster, pods.clone()),
            (Scope::Namespace("app".to_owned()), pods),
            &["get, list on pods outside of app"],
        );
    }

    #[test]
    fn equal_rules_lose_nothing() {
        let before = json!([{"verbs": ["get", "list"], "apiGroups": ["apps"], "resources": ["deployments"]}]);
        let after = json!([
            {"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments"]},
            {"verbs": ["list"], "apiGroups": ["apps", ""], "resources": ["deployments"]},
        ]);
        check((Scope::Cluster, before), (Scope::Cluster, after), &[]);
    }

    #[test]
    fn verbs_that_no_resource_is_served_with_are_named() {
        let rule = |verbs: serde_json::Value| json!([{"verbs": verbs, "apiGroups": ["x.example"], "resources": ["things"]}]);
        let standard = json!(VERBS);
        check(
            (Scope::Cluster, rule(json!(["*"]))),
            (Scope::Cluster, rule(standard)),
            &["every other verb on things.x.example"],
        );
    }

    #[test]
    fn names_and_paths_are_told() {
        let before = json!([
            {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a", "b"]},
            {"verbs": ["get"], "nonResourceURLs": ["/metrics"]},
        ]);
        let after =
            json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["b"]}]);
        check(
            (Scope::Cluster, before),
            (Scope::Cluster, after),
            &["get on /metrics", "get on secrets called a"],
        );
    }
}
