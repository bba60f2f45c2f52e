//! Files that an API server reads, rendered. Knows their shapes; not where they are kept, nor which flag names them.

use clap::ValueEnum as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::decode::{self, Problem};
use super::{RenderedFile, TemplateError, Templates, must_be};
use crate::config::{Config, KubernetesVersion};

const ADMISSION: &str = "cluster/admission-config.yaml";
const AUTHENTICATION: &str = "cluster/authentication-config.yaml";
const ENCRYPTION: &str = "cluster/encryption-config.yaml";
/// Stands where the key goes. No base64, so no API server takes it for one.
const PLACEHOLDER: &str = "<FILL-IN-ON-EACH-HOST>";
/// `AuthenticationConfiguration` is `v1` from here on, and `v1beta1` before.
const AUTHENTICATION_V1: u16 = 34;
const AUDIT_POLICY: &str = "cluster/audit-policy.yaml";
const AUDIT_WEBHOOK: &str = "cluster/audit-webhook.yaml";

/// `audit.k8s.io/v1 Policy`: <https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/>. The API server
/// passes unknown fields over in silence, so here they are errors.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AuditPolicy {
    api_version: String,
    kind: String,
    rules: Vec<AuditRule>,
    #[serde(default)]
    omit_stages: Vec<Stage>,
    omit_managed_fields: Option<bool>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AuditRule {
    level: AuditLevel,
    users: Option<Vec<String>>,
    user_groups: Option<Vec<String>>,
    verbs: Option<Vec<String>>,
    resources: Option<Vec<GroupResources>>,
    namespaces: Option<Vec<String>>,
    #[serde(rename = "nonResourceURLs")]
    non_resource_urls: Option<Vec<String>>,
    omit_stages: Option<Vec<Stage>>,
    omit_managed_fields: Option<bool>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GroupResources {
    group: Option<String>,
    resources: Option<Vec<String>>,
    resource_names: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
enum AuditLevel {
    None,
    Metadata,
    Request,
    RequestResponse,
}

#[derive(Serialize, Deserialize)]
enum Stage {
    RequestReceived,
    ResponseStarted,
    ResponseComplete,
    Panic,
}

/// Arguments are a list from this version on.
const KUBEADM_LISTS: u16 = 31;

/// Whose control plane is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ControlPlane {
    /// ClusterConfiguration, and KubeletConfiguration
    Kubeadm,
    /// Server configuration
    K3s,
    /// Server configuration
    Rke2,
    /// Cluster, with its files as text
    Kops,
    /// Cluster with patches and mounts
    Kind,
    /// A patch of machine configurations
    Talos,
    /// eksctl's ClusterConfig
    Eks,
    /// kube-apiserver.yaml of control-plane nodes
    StaticPod,
}

impl ControlPlane {
    fn template(self) -> &'static str {
        match self {
            ControlPlane::Kubeadm => "cluster/for-kubeadm.yaml",
            ControlPlane::K3s => "cluster/for-k3s.yaml",
            ControlPlane::Rke2 => "cluster/for-rke2.yaml",
            ControlPlane::Kops => "cluster/for-kops.yaml",
            ControlPlane::Kind => "cluster/for-kind.yaml",
            ControlPlane::Talos => "cluster/for-talos.yaml",
            ControlPlane::Eks => "cluster/for-eks.yaml",
            ControlPlane::StaticPod => "cluster/for-static-pod.yaml",
        }
    }
}

/// Which requests may be anonymous.
#[derive(Debug, Clone, Copy)]
pub struct AnonymousPaths {
    pub version: KubernetesVersion,
    /// Whether nodes join with a token.
    pub joins: bool,
}

/// What encrypts Secrets at rest.
#[derive(Debug, Clone, Copy)]
pub enum EncryptedWith<'a> {
    Kms {
        /// `unix://` and the path of a socket.
        endpoint: &'a str,
    },
    /// A key that is filled in on the hosts.
    Secretbox,
}

impl Templates {
    /// The authentication configuration of an API server.
    pub fn authentication_config(&self, paths: &AnonymousPaths) -> Result<RenderedFile, TemplateError> {
        let version = if paths.version.minor >= AUTHENTICATION_V1 { "v1" } else { "v1beta1" };
        let api_version = format!("apiserver.config.k8s.io/{version}");
        self.file(AUTHENTICATION, json!({"api_version": api_version, "joins": paths.joins}), |text| {
            let value = decode::value(text)?;
            must_be(&value, "/apiVersion", &json!(api_version))?;
            must_be(&value, "/kind", &json!("AuthenticationConfiguration"))?;
            must_be(&value, "/anonymous/enabled", &json!(true))?;
            let conditions = value.pointer("/anonymous/conditions").and_then(Value::as_array);
            let is_path =
                |condition: &Value| condition["path"].as_str().is_some_and(|path| path.starts_with('/'));
            match conditions {
                Some(list) if !list.is_empty() && list.iter().all(is_path) => Ok(value),
                _ => Err(Problem::new("`anonymous.conditions` must be paths, or every path is allowed")),
            }
        })
    }

    /// The encryption configuration of an API server. Never holds a key.
    pub fn encryption_config(&self, with: &EncryptedWith<'_>) -> Result<RenderedFile, TemplateError> {
        let kms = match with {
            EncryptedWith::Kms { endpoint } => Some(*endpoint),
            EncryptedWith::Secretbox => None,
        };
        self.file(ENCRYPTION, json!({"kms": kms, "placeholder": PLACEHOLDER}), |text| {
            let value = decode::value(text)?;
            must_be(&value, "/apiVersion", &json!("apiserver.config.k8s.io/v1"))?;
            must_be(&value, "/kind", &json!("EncryptionConfiguration"))?;
            let first = value.pointer("/resources/0/providers/0").and_then(Value::as_object);
            if first.is_none_or(|provider| provider.contains_key("identity")) {
                return Err(Problem::new(
                    "the first provider is the one that encrypts: it must not be `identity`",
                ));
            }
            Ok(value)
        })
    }

    /// The admission configuration of an API server: Pod Security for namespaces without labels.
    pub fn admission_config(&self, config: &Config) -> Result<RenderedFile, TemplateError> {
        let named = config.system_namespaces.extra.iter().map(ToString::to_string);
        let plain = named.filter(|name| !name.contains('*') && name != "kube-system");
        let exempt: Vec<String> = std::iter::once("kube-system".to_owned()).chain(plain).collect();
        let level = config.profile.level.as_str();
        let version = config.profile.version.to_string();
        let variables = json!({"level": level, "version": version, "exempt": exempt});
        self.file(ADMISSION, variables, |text| {
            let value = decode::value(text)?;
            must_be(&value, "/apiVersion", &json!("apiserver.config.k8s.io/v1"))?;
            must_be(&value, "/kind", &json!("AdmissionConfiguration"))?;
            let plugins = value["plugins"].as_array().into_iter().flatten();
            let mut defaults = plugins
                .filter(|plugin| plugin["name"] == "PodSecurity")
                .filter_map(|plugin| plugin.pointer("/configuration/defaults/enforce")?.as_str());
            match defaults.next() {
                Some("baseline" | "restricted") => Ok(value),
                _ => Err(Problem::new("PodSecurity must enforce at least baseline")),
            }
        })
    }

    /// What `generate apiserver` starts from.
    pub fn control_plane(&self, of: ControlPlane, config: &Config) -> Result<String, TemplateError> {
        let version = config.target_version;
        let api_version = if version.minor >= KUBEADM_LISTS { "v1beta4" } else { "v1beta3" };
        let variables = json!({
            "api_version": format!("kubeadm.k8s.io/{api_version}"),
            "image": format!("registry.k8s.io/kube-apiserver:v{version}.0"),
        });
        let text = self.render(of.template(), &variables)?;
        Ok(match of {
            ControlPlane::Talos => {
                let policy = self.audit_policy(config.cluster.audit_secret_bodies)?.text;
                let lines = policy.lines().map(|line| format!("      {line}\n"));
                lines.fold(text, |text, line| text + &line)
            }
            _ => text,
        })
    }

    /// The audit policy of an API server. `secret_bodies`: whether it logs the values of Secrets and tokens.
    pub fn audit_policy(&self, secret_bodies: bool) -> Result<RenderedFile, TemplateError> {
        self.file(AUDIT_POLICY, json!({"secret_bodies": secret_bodies}), |text| {
            let value = decode::typed::<AuditPolicy>(text)?;
            must_be(&value, "/apiVersion", &json!("audit.k8s.io/v1"))?;
            must_be(&value, "/kind", &json!("Policy"))?;
            if value["rules"].as_array().is_none_or(Vec::is_empty) {
                return Err(Problem::new("the API server refuses a policy without rules"));
            }
            Ok::<Value, Problem>(value)
        })
    }

    /// The kubeconfig of the receiver of an audit log. Holds no credentials.
    pub fn audit_webhook(&self, url: &str) -> Result<RenderedFile, TemplateError> {
        self.file(AUDIT_WEBHOOK, json!({"url": url}), |text| {
            let value = decode::value(text)?;
            must_be(&value, "/apiVersion", &json!("v1"))?;
            must_be(&value, "/kind", &json!("Config"))?;
            must_be(&value, "/clusters/0/cluster/server", &json!(url))?;
            must_be(&value, "/current-context", &value["contexts"][0]["name"])?;
            must_be(&value, "/contexts/0/context/cluster", &value["clusters"][0]["name"])?;
            Ok(value)
        })
    }

    /// Renders the templates of this file with every kind of input.
    pub(super) fn try_out_cluster(&self) -> Vec<TemplateError> {
        let mut results = vec![self.admission_config(&Config::default())];
        results.extend([false, true].map(|bodies| self.audit_policy(bodies)));
        results.push(self.audit_webhook("https://audit.example/events"));
        for joins in [false, true] {
            let versions = [32, 37].map(|minor| KubernetesVersion { minor });
            results.extend(
                versions.map(|version| self.authentication_config(&AnonymousPaths { version, joins })),
            );
        }
        let endpoint = "unix:///run/kms/socket.sock";
        let ways = [EncryptedWith::Secretbox, EncryptedWith::Kms { endpoint }];
        results.extend(ways.map(|with| self.encryption_config(&with)));
        let mut errors: Vec<TemplateError> = results.into_iter().filter_map(Result::err).collect();
        let config = Config::default();
        let planes = ControlPlane::value_variants().iter();
        errors.extend(planes.filter_map(|of| self.control_plane(*of, &config).err()));
        errors
    }
}
