//! What templates are given. Only values and the names of variables; nothing of how they are rendered.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::config::{Config, Distribution, KubernetesVersion, Profile};
use crate::pss::{Level, Version};

/// What security contexts depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standard {
    pub level: Level,
    pub version: Version,
    pub target_version: KubernetesVersion,
    pub distribution: Distribution,
}

/// The modes of Pod Security Admission that are set on a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AdmissionLabels {
    pub enforce: Option<Profile>,
    pub warn: Option<Profile>,
    pub audit: Option<Profile>,
}

/// A directory that stays writable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WritableDirectory<'a> {
    /// Of the volume.
    pub name: &'a str,
    /// Where it is mounted.
    pub path: &'a str,
    /// A Kubernetes quantity.
    pub size_limit: Option<&'a str>,
}

/// A workload that needs more than the target of its namespace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExceptionRecord {
    pub workload: ExceptedWorkload,
    /// Of its file, relative to the repo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Ids of Pod Security checks, as upstream spells them.
    pub checks: Vec<String>,
    /// The values that the checks object to, by the path of their field.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
    pub reason: String,
}

/// Which workload an [`ExceptionRecord`] is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExceptedWorkload {
    pub api_version: String,
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub name: String,
}

impl From<&Config> for Standard {
    fn from(config: &Config) -> Self {
        Standard {
            level: config.profile.level,
            version: config.profile.version,
            target_version: config.target_version,
            distribution: config.distribution,
        }
    }
}

impl Standard {
    pub(crate) fn variables(&self) -> Value {
        json!({
            "level": self.level.as_str(),
            "version": self.version.to_string(),
            "target_version": self.target_version.to_string(),
            "distribution": self.distribution.as_str(),
        })
    }
}

impl AdmissionLabels {
    pub(crate) fn variables(&self) -> Value {
        let level = |mode: Option<Profile>| mode.map(|profile| profile.level.as_str());
        let version = |mode: Option<Profile>| mode.map(|profile| profile.version.to_string());
        json!({
            "enforce": level(self.enforce), "enforce_version": version(self.enforce),
            "warn": level(self.warn), "warn_version": version(self.warn),
            "audit": level(self.audit), "audit_version": version(self.audit),
        })
    }
}

impl ExceptionRecord {
    pub(crate) fn variables(&self) -> Value {
        let fields = self.fields.iter().map(|(path, value)| json!({"path": path, "value": value}));
        let workload = &self.workload;
        json!({
            "workload": {
                "apiVersion": workload.api_version, "kind": workload.kind,
                "namespace": workload.namespace, "name": workload.name,
            },
            "path": self.path, "checks": self.checks, "fields": fields.collect::<Vec<_>>(),
            "reason": self.reason,
        })
    }
}
