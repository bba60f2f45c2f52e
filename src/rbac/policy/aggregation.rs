//! Fills in the rules of aggregated ClusterRoles, as the controller manager does.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Role, RoleKey};

/// A label selector (meta/v1 LabelSelector).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    match_labels: BTreeMap<String, String>,
    match_expressions: Vec<Requirement>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Requirement {
    key: String,
    operator: String,
    values: Vec<String>,
}

impl Selector {
    /// Whether an object with these labels is selected. An empty selector selects everything.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator.as_str() {
            "In" => value.is_some_and(|value| self.values.contains(value)),
            "NotIn" => value.is_none_or(|value| !self.values.contains(value)),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    }
}

/// Roles may select aggregated ones, so this goes on until nothing changes. Rules are only ever added, and there
/// are finitely many.
pub(super) fn resolve(roles: &mut BTreeMap<RoleKey, Role>) {
    let aggregated: Vec<RoleKey> = roles
        .values()
        .filter(|role| role.key.namespace.is_none() && role.aggregates.is_some())
        .map(|role| role.key.clone())
        .collect();
    // The controller owns the rules of such a role: what is written there is replaced.
    for key in &aggregated {
        if let Some(role) = roles.get_mut(key) {
            role.rules.clear();
        }
    }
    loop {
        let mut changed = false;
        for key in &aggregated {
            let rules = selected(roles, key);
            if let Some(role) = roles.get_mut(key)
                && role.rules.len() != rules.len()
            {
                role.rules = rules;
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
}

fn selected(roles: &BTreeMap<RoleKey, Role>, key: &RoleKey) -> Vec<super::PolicyRule> {
    let selectors = roles.get(key).and_then(|role| role.aggregates.as_deref()).unwrap_or_default();
    let mut rules = Vec::new();
    for selector in selectors {
        let others = roles.values().filter(|role| role.key.namespace.is_none() && role.key != *key);
        for rule in others.filter(|role| selector.selects(&role.labels)).flat_map(|role| &role.rules) {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    rules
}
