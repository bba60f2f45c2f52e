//! The rules that allow what was used of a rule, and nothing that it did not allow.
//!
//! As close to the rule as that goes: its own lists with items left out, or, where no lists say it, several rules.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::needs::{RuleNeeds, Which, usual};
use crate::rbac::{PolicyRule, Resources};
use crate::rules::Change;

/// Names, verbs, and what both are about.
type Key = (Option<BTreeSet<String>>, BTreeSet<String>);

/// What is left of a rule; none when nothing of it was used.
pub(super) fn narrowed(rule: &PolicyRule, needs: &RuleNeeds, known: &Resources) -> Vec<PolicyRule> {
    if !rule.is_about_resources() {
        return paths(rule, needs);
    }
    if needs.cells.is_empty() {
        return Vec::new();
    }
    as_one(rule, needs, known).map_or_else(|| split(rule, needs), |one| vec![one])
}

/// All rules of a role.
pub(super) fn all(rules: &[PolicyRule], needs: &[RuleNeeds], known: &Resources) -> Vec<PolicyRule> {
    by_rule(rules, needs, known).into_iter().flatten().collect()
}

/// What is left of each rule; what another one says already is left out.
fn by_rule(rules: &[PolicyRule], needs: &[RuleNeeds], known: &Resources) -> Vec<Vec<PolicyRule>> {
    let mut wanted: Vec<Vec<PolicyRule>> = Vec::new();
    for (rule, needs) in rules.iter().zip(needs) {
        let mut parts = narrowed(rule, needs, known);
        parts.retain(|part| !wanted.iter().flatten().any(|other| other == part));
        wanted.push(parts);
    }
    wanted
}

/// The changes that make a role's rules the wanted ones: every rule stays where it is, with its comments, and what it
/// takes beside it comes at the end.
pub(super) fn changes(rules: &[PolicyRule], needs: &[RuleNeeds], known: &Resources) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut appended = Vec::new();
    for (at, (rule, parts)) in rules.iter().zip(by_rule(rules, needs, known)).enumerate().rev() {
        let mut parts = parts.into_iter();
        match parts.next() {
            None => changes.push(Change::remove(format!("/rules/{at}"))),
            Some(first) => changes.extend(lists(at, rule, &first)),
        }
        appended.splice(..0, parts);
    }
    changes.extend(appended.into_iter().map(|rule| Change::append("/rules", json!(rule))));
    changes
}

fn lists(at: usize, old: &PolicyRule, new: &PolicyRule) -> Vec<Change> {
    let lists = [
        ("verbs", &old.verbs, &new.verbs),
        ("apiGroups", &old.api_groups, &new.api_groups),
        ("resources", &old.resources, &new.resources),
        ("resourceNames", &old.resource_names, &new.resource_names),
        ("nonResourceURLs", &old.non_resource_urls, &new.non_resource_urls),
    ];
    let changed = lists.into_iter().filter(|(_, old, new)| old != new);
    changed.map(|(key, _, new)| Change::set(format!("/rules/{at}/{key}"), new.clone())).collect()
}

fn paths(rule: &PolicyRule, needs: &RuleNeeds) -> Vec<PolicyRule> {
    let mut by_verbs: BTreeMap<&BTreeSet<String>, Vec<String>> = BTreeMap::new();
    for (path, verbs) in &needs.paths {
        by_verbs.entry(verbs).or_default().push(path.clone());
    }
    let made = by_verbs.into_iter().map(|(verbs, paths)| PolicyRule {
        verbs: in_order(verbs, &rule.verbs),
        non_resource_urls: in_order(&paths, &rule.non_resource_urls),
        ..PolicyRule::default()
    });
    made.collect()
}

/// The rule's own lists with items left out, if they then say what was used.
fn as_one(rule: &PolicyRule, needs: &RuleNeeds, known: &Resources) -> Option<PolicyRule> {
    let groups: BTreeSet<&String> = needs.cells.keys().map(|(group, _)| group).collect();
    let resources: BTreeSet<&String> = needs.cells.keys().map(|(_, resource)| resource).collect();
    let mut keys = needs.cells.values().flat_map(|cell| keys(rule, cell).into_iter());
    let key = keys.next()?;
    if keys.any(|other| other != key) {
        return None;
    }
    for group in &groups {
        for resource in &resources {
            let cell = ((*group).clone(), (*resource).clone());
            if !needs.cells.contains_key(&cell) && is_served(&groups, group, resource, known) {
                return None;
            }
        }
    }
    let (names, verbs) = key;
    Some(PolicyRule {
        verbs: in_order(&verbs, &rule.verbs),
        api_groups: in_order(groups, &rule.api_groups),
        resources: in_order(resources, &rule.resources),
        resource_names: names.map_or_else(Vec::new, |names| in_order(&names, &rule.resource_names)),
        non_resource_urls: Vec::new(),
    })
}

/// Whether one of the groups that were used has a resource, as far as anybody can tell. `apiGroups` and `resources` name
/// all pairs, of which most are none. Groups that were not used say nothing: they are gone at the next run.
fn is_served(used: &BTreeSet<&String>, group: &str, resource: &str, known: &Resources) -> bool {
    if known.of_group(group).is_some() {
        return known.is_namespaced(group, resource).is_some();
    }
    !used.iter().any(|other| known.is_namespaced(other, resource).is_some())
}

/// The verbs of a cell, apart by the names they are limited to.
fn keys(rule: &PolicyRule, cell: &BTreeMap<String, Which>) -> BTreeSet<Key> {
    let mut verbs: BTreeMap<Option<BTreeSet<String>>, BTreeSet<String>> = BTreeMap::new();
    for (verb, which) in cell {
        let names = match which {
            Which::Names(names) => Some(names.keys().cloned().collect()),
            Which::All if rule.resource_names.is_empty() => None,
            Which::All => Some(rule.resource_names.iter().cloned().collect()),
        };
        verbs.entry(names).or_default().insert(verb.clone());
    }
    verbs.into_iter().collect()
}

/// A rule for each set of verbs and names, in the order of the rule's resources.
fn split(rule: &PolicyRule, needs: &RuleNeeds) -> Vec<PolicyRule> {
    let mut by_key: BTreeMap<Key, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for ((group, resource), cell) in &needs.cells {
        for key in keys(rule, cell) {
            by_key.entry(key).or_default().entry(group.clone()).or_default().insert(resource.clone());
        }
    }
    let mut made = Vec::new();
    for ((names, verbs), groups) in by_key {
        let mut by_resources: BTreeMap<BTreeSet<String>, BTreeSet<String>> = BTreeMap::new();
        for (group, resources) in groups {
            by_resources.entry(resources).or_default().insert(group);
        }
        made.extend(by_resources.into_iter().map(|(resources, groups)| PolicyRule {
            verbs: in_order(&verbs, &rule.verbs),
            api_groups: in_order(&groups, &rule.api_groups),
            resources: in_order(&resources, &rule.resources),
            resource_names:
                names.as_ref().map_or_else(Vec::new, |names| in_order(names, &rule.resource_names)),
            non_resource_urls: Vec::new(),
        }));
    }
    let place = |list: &[String], items: &[String]| {
        items.iter().filter_map(|item| list.iter().position(|old| old == item)).min().unwrap_or(list.len())
    };
    made.sort_by_cached_key(|new| {
        (
            place(&rule.api_groups, &new.api_groups),
            place(&rule.resources, &new.resources),
            !new.resource_names.is_empty(),
        )
    });
    made
}

/// Items in the order of `old`; those that only a wildcard stood for come behind, as usual.
fn in_order<'i>(items: impl IntoIterator<Item = &'i String>, old: &[String]) -> Vec<String> {
    let mut items: Vec<&String> = items.into_iter().collect();
    let place = |item: &String| old.iter().position(|known| known == item).unwrap_or(old.len());
    items.sort_by_key(|item| (place(item), usual(item)));
    items.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests;
