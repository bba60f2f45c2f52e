//! Inputs of every kind, for trying out templates before they are needed.

use serde_json::json;

use super::{AdmissionLabels, ExceptedWorkload, ExceptionRecord, Standard, WritableDirectory};
use crate::config::{Distribution, KubernetesVersion, Profile};
use crate::pss::{Level, Version};

pub(super) const DIRECTORIES: [WritableDirectory<'static>; 2] = [
    WritableDirectory { name: "sample", path: "/tmp", size_limit: None },
    WritableDirectory { name: "sample", path: "/var/with: colon", size_limit: Some("64Mi") },
];

pub(super) fn standards() -> impl Iterator<Item = Standard> {
    let target_version = KubernetesVersion { minor: 37 };
    let levels = [Level::Privileged, Level::Baseline, Level::Restricted];
    let versions = [Version::Latest, Version::Minor(u32::from(target_version.minor))];
    let pairs = levels.into_iter().flat_map(move |level| versions.map(|version| (level, version)));
    pairs.map(move |(level, version)| Standard {
        level,
        version,
        target_version,
        distribution: Distribution::Generic,
    })
}

pub(super) fn labels() -> [AdmissionLabels; 2] {
    let profile = Some(Profile { level: Level::Baseline, version: Version::Latest });
    [AdmissionLabels::default(), AdmissionLabels { enforce: profile, warn: profile, audit: profile }]
}

/// One with everything and text that needs quotes, one with the least.
pub(super) fn exceptions() -> [ExceptionRecord; 2] {
    let workload = |namespace: Option<&str>| ExceptedWorkload {
        api_version: "apps/v1".to_owned(),
        kind: "DaemonSet".to_owned(),
        namespace: namespace.map(str::to_owned),
        name: "sample".to_owned(),
    };
    let fields = json!({"spec.hostNetwork": true, "spec.volumes[0]": {"hostPath": {"path": "/"}}});
    [
        ExceptionRecord {
            workload: workload(Some("kube-system")),
            path: Some("a: b/c.yaml".to_owned()),
            checks: vec!["hostNamespaces".to_owned(), "hostPathVolumes".to_owned()],
            fields: fields.as_object().cloned().unwrap_or_default(),
            reason: "needs: the \"host\" # network".to_owned(),
        },
        ExceptionRecord {
            workload: workload(None),
            path: None,
            checks: vec!["privileged".to_owned()],
            fields: serde_json::Map::new(),
            reason: "sample".to_owned(),
        },
    ]
}
