//! kOps' `Cluster`: a field for each flag, and files as text.
//!
//! <https://kops.sigs.k8s.io/cluster_spec/>

use serde_json::Value;

use super::{Component, Dialect, FieldType, FlagList, Mounts, Plane, Style, version};
use crate::config::Config;
use crate::model::Object;

type Field = (&'static str, &'static str, FieldType);

const API_SERVER: &[Field] = &[
    ("admission-control-config-file", "admissionControlConfigFile", FieldType::Text),
    ("anonymous-auth", "anonymousAuth", FieldType::Truth),
    ("audit-log-maxage", "auditLogMaxAge", FieldType::Number),
    ("audit-log-maxbackup", "auditLogMaxBackups", FieldType::Number),
    ("audit-log-maxsize", "auditLogMaxSize", FieldType::Number),
    ("audit-log-path", "auditLogPath", FieldType::Text),
    ("audit-policy-file", "auditPolicyFile", FieldType::Text),
    ("audit-webhook-config-file", "auditWebhookConfigFile", FieldType::Text),
    ("authentication-config", "authenticationConfigFile", FieldType::Text),
    ("authorization-mode", "authorizationMode", FieldType::Text),
    ("basic-auth-file", "basicAuthFile", FieldType::Text),
    ("disable-admission-plugins", "disableAdmissionPlugins", FieldType::List),
    ("enable-admission-plugins", "enableAdmissionPlugins", FieldType::List),
    ("insecure-port", "insecurePort", FieldType::Number),
    ("insecure-bind-address", "insecureBindAddress", FieldType::Text),
    ("profiling", "enableProfiling", FieldType::Truth),
    ("tls-cipher-suites", "tlsCipherSuites", FieldType::List),
    ("tls-min-version", "tlsMinVersion", FieldType::Text),
    ("token-auth-file", "tokenAuthFile", FieldType::Text),
];

const MANAGER: &[Field] = &[
    ("profiling", "enableProfiling", FieldType::Truth),
    ("use-service-account-credentials", "useServiceAccountCredentials", FieldType::Truth),
];

const SCHEDULER: &[Field] = &[("profiling", "enableProfiling", FieldType::Truth)];

const KUBELET: &[Field] = &[
    ("anonymous-auth", "anonymousAuth", FieldType::Truth),
    ("authorization-mode", "authorizationMode", FieldType::Text),
    ("read-only-port", "readOnlyPort", FieldType::Number),
];

/// What kOps writes without being asked; its probes carry a client certificate.
const DEFAULTS: &[(&str, &str)] = &[
    ("kube-apiserver anonymous-auth", "false"),
    ("kube-apiserver enable-admission-plugins", "NodeRestriction"),
    ("kube-apiserver authorization-mode", "Node,RBAC"),
    ("kube-controller-manager use-service-account-credentials", "true"),
    ("kube-controller-manager bind-address", "127.0.0.1"),
    ("kube-scheduler bind-address", "127.0.0.1"),
    ("kubelet authorization-mode", "Webhook"),
    ("kubelet read-only-port", "0"),
];

pub(super) fn read(object: &Object, value: &Value, config: &Config) -> Plane {
    let list = |component, field: &str, known| {
        FlagList::read(value, component, format!("/spec/{field}"), Style::Fields(known))
    };
    let written = value.pointer("/spec/kubernetesVersion").and_then(Value::as_str);
    Plane {
        object: object.clone(),
        dialect: Dialect::Kops,
        version: written.and_then(version).unwrap_or(config.target_version),
        inside: None,
        value: value.clone(),
        lists: vec![
            list(Component::ApiServer, "kubeAPIServer", API_SERVER),
            list(Component::ControllerManager, "kubeControllerManager", MANAGER),
            list(Component::Scheduler, "kubeScheduler", SCHEDULER),
            list(Component::Kubelet, "kubelet", KUBELET),
        ],
        mounts: Mounts::Assets { list: "/spec/fileAssets".to_owned() },
        directory: "/etc/kubernetes/audit/",
        log_directory: "/var/log/",
        defaults: DEFAULTS,
        roll_out: "takes effect with `kops replace -f FILE`, `kops update cluster --yes` and `kops rolling-update cluster \
                   --yes`",
    }
}
