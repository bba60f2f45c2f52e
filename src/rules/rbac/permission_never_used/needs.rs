//! What of a role's rules was used, and where.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit_log::{Names, Permission, Use};
use crate::rbac::resources::VERBS;
use crate::rbac::rule::ALL;
use crate::rbac::{PolicyRule, Request, Scope};

/// Few enough to be written out.
const MOST_NAMES: usize = 5;
/// Verbs that are checked while another request is handled: no event of their own tells of them.
/// <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping>,
/// <https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#authorization>.
const UNSEEN_VERBS: [&str; 6] = ["escalate", "bind", "approve", "sign", "attest", "use"];
/// Admission asks for it when owners of objects are named.
const ALL_FINALIZERS: &str = "*/finalizers";
/// Verbs of informers.
const READ: [&str; 3] = ["get", "list", "watch"];

/// Which objects of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Which {
    /// All that the rule is about.
    All,
    /// Each with how often it was asked for.
    Names(BTreeMap<String, u64>),
}

/// What of one rule was used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RuleNeeds {
    /// By group and resource (`pods/log`), then by verb.
    pub(super) cells: BTreeMap<(String, String), BTreeMap<String, Which>>,
    /// Paths as the rule writes them, or as they were asked for; with verbs.
    pub(super) paths: BTreeMap<String, BTreeSet<String>>,
    /// Names of what was created, by group and resource; `None` for too many.
    created: BTreeMap<(String, String), Option<BTreeSet<String>>>,
}

/// What of all rules was used: by namespace (empty: the whole cluster), then in the order of the rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) places: BTreeMap<String, Vec<RuleNeeds>>,
    pub(super) n_requests: u64,
    /// Bindings that the log says have allowed some of it.
    pub(super) through: BTreeSet<String>,
}

impl Needs {
    /// Adds what of `rules` in `scope` one permission came to. `has_anyway` tells what everybody may do without them.
    pub(super) fn add(
        &mut self,
        rules: &[PolicyRule],
        scope: &Scope,
        (permission, used): (&Permission, &Use),
        informers: bool,
        has_anyway: &dyn Fn(&Request) -> bool,
    ) {
        let request = permission.request("");
        if !scope.covers(request.namespace()) {
            return;
        }
        let mut is_used = false;
        for (idx, rule) in rules.iter().enumerate() {
            if rule.verbs.is_empty() || is_wild(rule) && has_anyway(&request) {
                continue;
            }
            match permission {
                Permission::Path { verb, path } => {
                    if rule.allows(&request) {
                        let needs = self.at(request.namespace(), rules.len(), idx);
                        needs.paths.entry(path_of(rule, path)).or_default().insert(verb.clone());
                        is_used = true;
                    }
                }
                Permission::Resource { .. } => {
                    if let Some(which) = matched(rule, permission, used) {
                        let needs = self.at(request.namespace(), rules.len(), idx);
                        needs.add(rule, permission, used, which, informers);
                        is_used = true;
                    }
                }
            }
        }
        if is_used {
            self.n_requests += used.count;
            self.through.extend(used.through.iter().cloned());
        }
    }

    fn at(&mut self, place: &str, n_rules: usize, idx: usize) -> &mut RuleNeeds {
        let rules =
            self.places.entry(place.to_owned()).or_insert_with(|| vec![RuleNeeds::default(); n_rules]);
        &mut rules[idx]
    }

    /// Adds what stays though no log shows it, wherever something was used.
    pub(super) fn keep_unseen(&mut self, rules: &[PolicyRule]) -> BTreeSet<String> {
        let mut kept = BTreeSet::new();
        for needs in self.places.values_mut() {
            for (needs, rule) in needs.iter_mut().zip(rules) {
                needs.keep_unseen(rule, &mut kept);
            }
        }
        kept
    }

    /// Makes all names that cannot be relied on any.
    pub(super) fn settle_names(&mut self, rules: &[PolicyRule]) {
        for needs in self.places.values_mut() {
            let all = needs.clone();
            for (needs, rule) in needs.iter_mut().zip(rules) {
                if rule.resource_names.is_empty() {
                    needs.settle_names(&all);
                }
            }
        }
    }

    /// Takes from each namespace what is needed in all of them. What is listed in all namespaces is found in any: the
    /// other verbs on it stay as wide.
    pub(super) fn fold(&mut self) {
        let Some(mut cluster) = self.places.get(CLUSTER).cloned() else { return };
        let is_found = |needs: &[RuleNeeds], resource: &(String, String)| {
            let of = (resource.0.clone(), resource.1.split('/').next().unwrap_or_default().to_owned());
            needs
                .iter()
                .filter_map(|needs| needs.cells.get(&of))
                .any(|cell| READ[1..].iter().any(|verb| cell.get(*verb) == Some(&Which::All)))
        };
        let found = cluster.clone();
        for needs in self.places.iter().filter(|(place, _)| *place != CLUSTER).map(|(_, needs)| needs) {
            for (into, from) in cluster.iter_mut().zip(needs) {
                let wide = from.cells.iter().filter(|(resource, _)| is_found(&found, resource));
                let wide = RuleNeeds {
                    cells: wide.map(|(of, cell)| (of.clone(), cell.clone())).collect(),
                    ..RuleNeeds::default()
                };
                into.join(&wide);
            }
        }
        self.places.insert(CLUSTER.to_owned(), cluster.clone());
        for (_, needs) in self.places.iter_mut().filter(|(place, _)| *place != CLUSTER) {
            for (needs, wider) in needs.iter_mut().zip(&cluster) {
                needs.take(wider);
            }
        }
        self.places.retain(|place, needs| place == CLUSTER || needs.iter().any(|needs| !needs.is_empty()));
    }

    /// All of it in one place.
    pub(super) fn joined(&self) -> Vec<RuleNeeds> {
        let mut joined: Vec<RuleNeeds> = Vec::new();
        for needs in self.places.values() {
            joined.resize_with(needs.len(), RuleNeeds::default);
            for (into, from) in joined.iter_mut().zip(needs) {
                into.join(from);
            }
        }
        joined
    }
}

/// The place of what is in no namespace, or in all.
pub(super) const CLUSTER: &str = "";

impl RuleNeeds {
    pub(super) fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.paths.is_empty()
    }

    fn add(&mut self, rule: &PolicyRule, permission: &Permission, used: &Use, which: Which, informers: bool) {
        let Permission::Resource { verb, group, resource, subresource, .. } = permission else { return };
        let name = match subresource.as_str() {
            "" => resource.clone(),
            // Stays as it is written: see `keep_unseen`.
            "finalizers" if rule.resources.iter().any(|written| written == ALL_FINALIZERS) => {
                ALL_FINALIZERS.to_owned()
            }
            _ => format!("{resource}/{subresource}"),
        };
        let key = (group.clone(), name);
        if verb == "create" && subresource.is_empty() {
            let known = self.created.entry(key.clone()).or_insert_with(|| Some(BTreeSet::new()));
            match (&used.names, known.as_mut()) {
                (Names::Few(names), Some(known)) if !names.is_empty() => known.extend(names.keys().cloned()),
                // Without a name in the log: `generateName`, or a log that leaves it out.
                _ => *known = None,
            }
        }
        // Names would set it apart from the finalizers that stay unseen.
        let which = if subresource == "finalizers" { Which::All } else { which };
        let cell = self.cells.entry(key).or_default();
        if informers && READ[1..].contains(&verb.as_str()) && which == Which::All {
            for verb in READ.into_iter().filter(|verb| rule.has_verb(verb)) {
                join(cell, verb, &Which::All);
            }
        }
        join(cell, verb, &which);
    }

    fn keep_unseen(&mut self, rule: &PolicyRule, kept: &mut BTreeSet<String>) {
        for group in rule.api_groups.iter().filter(|group| *group != ALL) {
            let written = |resource: &&String| !resource.starts_with(ALL) || *resource == ALL_FINALIZERS;
            for resource in rule.resources.iter().filter(written) {
                for verb in &rule.verbs {
                    // The one verb that finalizers are asked about.
                    let verb = if verb == ALL { "update" } else { verb };
                    if is_unseen(group, resource, verb) {
                        let cell = self.cells.entry((group.clone(), resource.clone())).or_default();
                        if !cell.contains_key(verb) {
                            kept.insert(format!("{verb} on {resource}"));
                            cell.insert(verb.to_owned(), Which::All);
                        }
                    }
                }
            }
        }
    }

    /// Names stay only for what is few, asked for again, not generated, and not found by listing.
    fn settle_names(&mut self, all: &[RuleNeeds]) {
        for ((group, resource), cell) in &mut self.cells {
            let of = (group.clone(), resource.split('/').next().unwrap_or_default().to_owned());
            let names: BTreeMap<&String, u64> = cell.values().fold(BTreeMap::new(), |mut names, which| {
                if let Which::Names(more) = which {
                    more.iter().for_each(|(name, count)| *names.entry(name).or_default() += count);
                }
                names
            });
            let is_found = all.iter().filter_map(|needs| needs.cells.get(&of)).any(|cell| {
                ["list", "watch", "deletecollection"].iter().any(|verb| cell.get(*verb) == Some(&Which::All))
            });
            let mut created = all.iter().filter_map(|needs| needs.created.get(&of));
            let is_made = created.any(|created| {
                created.as_ref().is_none_or(|created| created.iter().any(|name| !names.contains_key(name)))
            });
            let is_stable = names.iter().all(|(name, count)| *count > 1 && !looks_generated(name));
            if names.len() > MOST_NAMES || is_found || is_made || !is_stable {
                cell.values_mut().for_each(|which| *which = Which::All);
            }
        }
    }

    fn take(&mut self, wider: &RuleNeeds) {
        for (key, cell) in &mut self.cells {
            let Some(wider) = wider.cells.get(key) else { continue };
            cell.retain(|verb, which| {
                let has = wider.get(verb);
                has != Some(&Which::All) && has != Some(which)
            });
        }
        self.cells.retain(|_, cell| !cell.is_empty());
    }

    fn join(&mut self, other: &RuleNeeds) {
        for (key, cell) in &other.cells {
            let into = self.cells.entry(key.clone()).or_default();
            cell.iter().for_each(|(verb, which)| join(into, verb, which));
        }
        for (path, verbs) in &other.paths {
            self.paths.entry(path.clone()).or_default().extend(verbs.iter().cloned());
        }
    }
}

fn join(cell: &mut BTreeMap<String, Which>, verb: &str, which: &Which) {
    let Some(known) = cell.get_mut(verb) else {
        cell.insert(verb.to_owned(), which.clone());
        return;
    };
    match (&mut *known, which) {
        (Which::Names(known), Which::Names(more)) => {
            more.iter().for_each(|(name, count)| *known.entry(name.clone()).or_default() += count);
        }
        _ => *known = Which::All,
    }
}

/// Which objects of a rule the requests of a permission were about; `None` when the rule does not allow them.
fn matched(rule: &PolicyRule, permission: &Permission, used: &Use) -> Option<Which> {
    let Permission::Resource { verb, group, resource, subresource, .. } = permission else { return None };
    if !rule.has_verb(verb) || !rule.has_group(group) || !rule.has_resource(resource, subresource) {
        return None;
    }
    let names = match &used.names {
        // Too many to tell.
        Names::Any => return Some(Which::All),
        Names::Few(names) => names,
    };
    if rule.resource_names.is_empty() {
        let is_named = permission.is_named() && !used.unnamed && !names.is_empty();
        return Some(if is_named { Which::Names(names.clone()) } else { Which::All });
    }
    let known = names.iter().filter(|(name, _)| rule.resource_names.contains(name));
    let known: BTreeMap<String, u64> = known.map(|(name, count)| (name.clone(), *count)).collect();
    (!known.is_empty()).then_some(Which::Names(known))
}

/// How the rule writes a path, unless it writes them all.
fn path_of(rule: &PolicyRule, path: &str) -> String {
    let covers = |pattern: &&String| {
        *pattern != ALL
            && (*pattern == path || pattern.strip_suffix('*').is_some_and(|start| path.starts_with(start)))
    };
    rule.non_resource_urls.iter().find(covers).cloned().unwrap_or_else(|| path.to_owned())
}

fn is_wild(rule: &PolicyRule) -> bool {
    [&rule.resources, &rule.api_groups, &rule.non_resource_urls]
        .iter()
        .any(|list| list.iter().any(|item| item == ALL))
}

/// Checked without an event, or rare by its nature: a handover of leadership, an event, a token that is reviewed.
fn is_unseen(group: &str, resource: &str, verb: &str) -> bool {
    if UNSEEN_VERBS.contains(&verb) || resource.ends_with("/finalizers") {
        return true;
    }
    match (group, resource) {
        ("" | "events.k8s.io", "events") => matches!(verb, "create" | "patch" | "update"),
        ("coordination.k8s.io", "leases") => matches!(verb, "get" | "create" | "update" | "patch"),
        ("authentication.k8s.io", "tokenreviews") | ("authorization.k8s.io", "subjectaccessreviews") => {
            verb == "create"
        }
        _ => false,
    }
}

/// Whether a name ends in what `generateName`, a ReplicaSet, a CronJob or a digest makes:
/// <https://github.com/kubernetes/kubernetes/blob/v1.37.0/staging/src/k8s.io/apimachinery/pkg/util/rand/rand.go>.
fn looks_generated(name: &str) -> bool {
    let Some((_, end)) = name.rsplit_once(['-', '.']) else { return false };
    let of = |alphabet: &str| end.chars().all(|letter| alphabet.contains(letter));
    match end.len() {
        5 | 8..=10 if of("bcdfghjklmnpqrstvwxz2456789") => true,
        7.. => of("0123456789abcdef"),
        _ => false,
    }
}

/// The usual order of verbs, then the alphabet.
pub(super) fn usual(verb: &str) -> (usize, &str) {
    (VERBS.iter().position(|known| *known == verb).unwrap_or(VERBS.len()), verb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_told_from_chosen_ones() {
        for (name, expected) in [
            ("web-7d4b9c6f5d-x2k9p", true),
            ("web-x2k9p", true),
            ("report-28374650", true),
            ("plan.17a3f0c2b9d4e5f6", true),
            ("web", false),
            ("web-0", false),
            ("shop-leader", false),
            ("kube-root-ca.crt", false),
            ("web-config", false),
        ] {
            assert_eq!(looks_generated(name), expected, "{name}");
        }
    }
}
