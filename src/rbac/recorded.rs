//! What an API server of a version brings along: its own roles and bindings, and the resources it serves.
//!
//! Recorded from real servers by `tests/real/rbac`, which also fails when the record and a server differ. Versions
//! older or newer than those recorded are taken for the nearest one.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::policy::{Binding, Role, RoleKey, Selector};
use super::resources::Resource;
use super::rule::PolicyRule;
use super::subject::Subject;
use crate::config::KubernetesVersion;

/// One line of the record, with the minor versions it holds for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub from: u16,
    pub to: u16,
    #[serde(flatten)]
    pub fact: Fact,
}

/// Something that a server has from the start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Fact {
    #[serde(rename_all = "camelCase")]
    Role {
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
        labels: serde_json::Map<String, serde_json::Value>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        aggregates: Option<serde_json::Value>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rules: Vec<PolicyRule>,
    },
    #[serde(rename_all = "camelCase")]
    Binding {
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        /// Whether it refers to a Role of its namespace rather than to a ClusterRole.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        local: bool,
        role: String,
        /// As [`Subject::parse`] reads them.
        subjects: Vec<String>,
    },
    Resource(Resource),
}

const RECORD: &str = include_str!("recorded.jsonl");

/// The part of the record that holds for one version.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    pub roles: Vec<Role>,
    pub bindings: Vec<Binding>,
    pub resources: Vec<Resource>,
}

/// The whole record.
pub fn entries() -> &'static [Entry] {
    static ENTRIES: OnceLock<Vec<Entry>> = OnceLock::new();
    ENTRIES.get_or_init(|| {
        let lines = RECORD.lines().filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_str(line).expect("a test reads every line of the record")).collect()
    })
}

impl Recorded {
    /// What a server of this version brings along.
    pub fn of(version: KubernetesVersion) -> Recorded {
        let (oldest, newest) = versions();
        let minor = version.minor.clamp(oldest, newest);
        let mut recorded = Recorded::default();
        for entry in entries().iter().filter(|entry| (entry.from..=entry.to).contains(&minor)) {
            recorded.take(&entry.fact);
        }
        recorded
    }

    fn take(&mut self, fact: &Fact) {
        match fact.clone() {
            Fact::Role { name, namespace, labels, aggregates, rules } => {
                let labels = labels.into_iter();
                let selectors = aggregates
                    .map(|selectors| serde_json::from_value::<Vec<Selector>>(selectors).unwrap_or_default());
                self.roles.push(Role {
                    key: RoleKey { namespace, ..RoleKey::cluster(&name) },
                    labels: labels
                        .filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())))
                        .collect(),
                    aggregates: selectors,
                    rules,
                });
            }
            Fact::Binding { name, namespace, local, role, subjects } => {
                let of = if local { namespace.clone() } else { None };
                self.bindings.push(Binding {
                    namespace,
                    name,
                    role: RoleKey { namespace: of, ..RoleKey::cluster(&role) },
                    subjects: subjects.iter().filter_map(|subject| Subject::parse(subject)).collect(),
                });
            }
            Fact::Resource(resource) => self.resources.push(resource),
        }
    }
}

/// The oldest and the newest minor version of the record.
pub fn versions() -> (u16, u16) {
    let all = entries();
    let oldest = all.iter().map(|entry| entry.from).min();
    let newest = all.iter().map(|entry| entry.to).max();
    (oldest.unwrap_or(0), newest.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_can_be_read() {
        for (idx, line) in RECORD.lines().enumerate() {
            let read: Result<Entry, _> = serde_json::from_str(line);
            assert!(read.is_ok(), "line {}: {read:?}", idx + 1);
        }
    }

    #[test]
    fn every_version_has_the_roles_that_people_bind() {
        let (oldest, newest) = versions();
        for minor in oldest..=newest {
            let recorded = Recorded::of(KubernetesVersion { minor });
            for name in ["cluster-admin", "admin", "edit", "view", "system:discovery"] {
                let found = recorded.roles.iter().find(|role| role.key == RoleKey::cluster(name));
                assert!(
                    found.is_some_and(|role| !role.rules.is_empty() || role.aggregates.is_some()),
                    "{name}"
                );
            }
            assert!(recorded.resources.iter().any(|resource| resource.name == "pods/exec"));
        }
    }

    #[test]
    fn subjects_survive_their_text() {
        for entry in entries() {
            if let Fact::Binding { subjects, name, .. } = &entry.fact {
                assert!(subjects.iter().all(|subject| Subject::parse(subject).is_some()), "{name}");
            }
        }
    }
}
