//! `config.yaml` of k3s and RKE2: arguments of components are lists of `name=value`.
//!
//! <https://docs.k3s.io/cli/server>, <https://docs.rke2.io/reference/server_config>

use serde_json::Value;

use super::{Component, Dialect, FlagList, Mounts, Plane, Style};
use crate::config::{Config, Distribution};
use crate::model::Object;

/// Keys that only RKE2 knows.
const RKE2_ONLY: [&str; 6] = [
    "cni",
    "audit-policy-file",
    "pod-security-admission-config-file",
    "profile",
    "kube-apiserver-extra-mount",
    "ingress-controller",
];

/// Both start all components hardened in these points: <https://docs.k3s.io/security/hardening-guide>.
const DEFAULTS: &[(&str, &str)] = &[
    ("kube-apiserver anonymous-auth", "false"),
    ("kube-apiserver profiling", "false"),
    ("kube-apiserver authorization-mode", "Node,RBAC"),
    ("kube-apiserver enable-admission-plugins", "NodeRestriction"),
    ("kube-apiserver tls-min-version", "VersionTLS12"),
    ("kube-controller-manager profiling", "false"),
    ("kube-controller-manager bind-address", "127.0.0.1"),
    ("kube-controller-manager use-service-account-credentials", "true"),
    ("kube-scheduler profiling", "false"),
    ("kube-scheduler bind-address", "127.0.0.1"),
    ("kubelet anonymous-auth", "false"),
    ("kubelet authorization-mode", "Webhook"),
    ("kubelet read-only-port", "0"),
];

pub(super) fn read(object: &Object, value: &Value, config: &Config) -> Plane {
    let is_rke2 =
        config.distribution == Distribution::Rke2 || RKE2_ONLY.iter().any(|key| value.get(key).is_some());
    // In files that add to others the key has a `+`: <https://docs.k3s.io/installation/configuration>.
    let list = |component, key: &str| {
        let added = format!("/{key}+");
        let pointer = if value.pointer(&added).is_some() { added } else { format!("/{key}") };
        FlagList::read(value, component, pointer, Style::Words(""))
    };
    let (dialect, directory, log_directory, roll_out) = if is_rke2 {
        let restart = "takes effect with `systemctl restart rke2-server`, one server after the other";
        (Dialect::Rke2, "/etc/rancher/rke2/", "/var/lib/rancher/rke2/server/logs/", restart)
    } else {
        let restart = "takes effect with `systemctl restart k3s`, one server after the other";
        (Dialect::K3s, "/var/lib/rancher/k3s/server/", "/var/lib/rancher/k3s/server/logs/", restart)
    };
    Plane {
        object: object.clone(),
        dialect,
        version: config.target_version,
        inside: None,
        value: value.clone(),
        lists: vec![
            list(Component::ApiServer, "kube-apiserver-arg"),
            list(Component::ControllerManager, "kube-controller-manager-arg"),
            list(Component::Scheduler, "kube-scheduler-arg"),
            list(Component::Kubelet, "kubelet-arg"),
        ],
        mounts: Mounts::Host,
        directory,
        log_directory,
        defaults: DEFAULTS,
        roll_out,
    }
}
