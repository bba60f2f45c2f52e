//! Talos' machine configuration, and patches of it.
//!
//! Talos starts its components hardened in most points, and keeps an audit log by itself:
//! <https://docs.siderolabs.com/talos/latest/reference/configuration/v1alpha1/config>.

use serde_json::Value;

use super::{Component, Dialect, FlagList, Mounts, Plane, Style, version};
use crate::config::Config;
use crate::model::Object;

const DEFAULTS: &[(&str, &str)] = &[
    ("kube-apiserver anonymous-auth", "false"),
    ("kube-apiserver profiling", "false"),
    ("kube-apiserver authorization-mode", "Node,RBAC"),
    ("kube-apiserver enable-admission-plugins", "NodeRestriction"),
    ("kube-apiserver tls-min-version", "VersionTLS12"),
    ("kube-apiserver audit-policy-file", "of the machine configuration"),
    ("kube-apiserver audit-log-path", "/var/log/audit/kube/kube-apiserver.log"),
    ("kube-apiserver audit-log-maxage", "30"),
    ("kube-apiserver audit-log-maxbackup", "10"),
    ("kube-apiserver audit-log-maxsize", "100"),
    ("kube-controller-manager profiling", "false"),
    ("kube-controller-manager bind-address", "127.0.0.1"),
    ("kube-controller-manager use-service-account-credentials", "true"),
    ("kube-scheduler profiling", "false"),
    ("kube-scheduler bind-address", "127.0.0.1"),
    ("kubelet anonymous-auth", "false"),
    ("kubelet authorization-mode", "Webhook"),
    ("kubelet read-only-port", "0"),
];

pub(super) fn read(object: &Object, value: &Value, config: &Config) -> Option<Plane> {
    let is_worker = value.pointer("/machine/type").and_then(Value::as_str) == Some("worker");
    if is_worker {
        return None;
    }
    let list = |component, name: &str| {
        FlagList::read(value, component, format!("/cluster/{name}/extraArgs"), Style::Map)
    };
    let image = value.pointer("/cluster/apiServer/image").and_then(Value::as_str).unwrap_or_default();
    let tag = image.split('@').next().and_then(|image| image.rsplit_once(':')).map(|(_, tag)| tag);
    Some(Plane {
        object: object.clone(),
        dialect: Dialect::Talos,
        version: tag.and_then(version).unwrap_or(config.target_version),
        inside: None,
        value: value.clone(),
        lists: vec![
            list(Component::ApiServer, "apiServer"),
            list(Component::ControllerManager, "controllerManager"),
            list(Component::Scheduler, "scheduler"),
            FlagList::read(value, Component::Kubelet, "/machine/kubelet/extraArgs", Style::Map),
        ],
        mounts: Mounts::Nowhere,
        directory: "/etc/kubernetes/",
        log_directory: "/var/log/audit/kube/",
        defaults: DEFAULTS,
        roll_out: "takes effect with `talosctl apply-config`, one control-plane node after the other",
    })
}
