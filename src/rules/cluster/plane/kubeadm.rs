//! kubeadm's `ClusterConfiguration`, and the kubelets of its `InitConfiguration` and `JoinConfiguration`.
//!
//! Arguments are a mapping up to v1beta3 and a list of names and values from v1beta4 on, which is served since 1.31:
//! <https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/>. v1beta3 is gone in 1.36.

use serde_json::Value;

use super::{Component, Dialect, FlagList, Mounts, Plane, Style, version};
use crate::config::Config;
use crate::model::Object;

/// What kubeadm passes to every component it starts:
/// <https://kubernetes.io/docs/reference/setup-tools/kubeadm/implementation-details/#api-server>.
pub(super) const DEFAULTS: &[(&str, &str)] = &[
    ("kube-apiserver authorization-mode", "Node,RBAC"),
    ("kube-apiserver enable-admission-plugins", "NodeRestriction"),
    ("kube-controller-manager bind-address", "127.0.0.1"),
    ("kube-controller-manager use-service-account-credentials", "true"),
    ("kube-scheduler bind-address", "127.0.0.1"),
    ("kubelet anonymous-auth", "false"),
    ("kubelet authorization-mode", "Webhook"),
    ("kubelet read-only-port", "0"),
];

pub(super) fn read(object: &Object, value: &Value, config: &Config) -> Option<Plane> {
    let style = match value["apiVersion"].as_str()?.rsplit_once('/')?.1 {
        "v1beta1" | "v1beta2" | "v1beta3" => Style::Map,
        _ => Style::Pairs,
    };
    plane(object, value, config, style)
}

/// With the style given, for patches that leave out their version.
pub(super) fn plane(object: &Object, value: &Value, config: &Config, style: Style) -> Option<Plane> {
    let list = |component, pointer: &str| FlagList::read(value, component, pointer, style);
    let lists = match value["kind"].as_str()? {
        "ClusterConfiguration" => vec![
            list(Component::ApiServer, "/apiServer/extraArgs"),
            list(Component::ControllerManager, "/controllerManager/extraArgs"),
            list(Component::Scheduler, "/scheduler/extraArgs"),
        ],
        "InitConfiguration" | "JoinConfiguration" => {
            vec![list(Component::Kubelet, "/nodeRegistration/kubeletExtraArgs")]
        }
        _ => return None,
    };
    Some(Plane {
        object: object.clone(),
        dialect: Dialect::Kubeadm,
        version: value["kubernetesVersion"].as_str().and_then(version).unwrap_or(config.target_version),
        inside: None,
        value: value.clone(),
        lists,
        mounts: Mounts::Kubeadm { volumes: "/apiServer/extraVolumes".to_owned(), nodes: Vec::new() },
        directory: "/etc/kubernetes/apiserver/",
        log_directory: "/var/log/kubernetes/audit/",
        defaults: DEFAULTS,
        roll_out: "a running cluster takes it with `kubeadm init phase control-plane all --config FILE` on each \
                   control-plane node, one after the other, and `kubeadm init phase upload-config kubeadm`",
    })
}
