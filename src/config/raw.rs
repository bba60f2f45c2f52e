//! `caseharden.toml` as it is written: every key, its type and what it means. The JSON Schema comes from
//! here, so the comments of the fields are what an editor shows. Knows no defaults and joins nothing.

use std::collections::BTreeMap;

use jiff::civil;
use json_patch::jsonptr::PointerBuf;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::network::{Dialect, Mode};
use super::secrets::{Provider, Scope, StoreKind, StoreName};
use super::{Distribution, Encryption, ImageGlob, KubernetesVersion, Level, NameGlob, PathGlob, Profile};
use crate::pss::Version;

/// Configuration of caseharden for one repo.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[schemars(title = "caseharden.toml")]
pub(crate) struct RawConfig {
    /// Kubernetes minor version of the clusters the manifests go to. Decides fixes that need a version.
    /// Default: "1.37".
    #[schemars(with = "Option<String>", extend("pattern" = "^v?1\\.(0|[1-9][0-9]*)$"))]
    pub(crate) target_version: Option<KubernetesVersion>,
    /// What the clusters run. Default: "generic".
    pub(crate) distribution: Option<Distribution>,
    /// Pod Security level that rules ask for and the version it is judged by, as `level[@version]`.
    /// Default: "restricted@latest".
    #[schemars(
        with = "Option<String>",
        extend("pattern" = "^(privileged|baseline|restricted)(@(latest|v?1\\.(0|[1-9][0-9]*)))?$")
    )]
    pub(crate) profile: Option<Profile>,
    /// Least trusted changes that are proposed: "review" (they may change behaviour) or "safe" (they cannot).
    /// Default: "review".
    pub(crate) level: Option<Level>,
    /// Only these rules or areas. Default: all.
    #[schemars(with = "Vec<String>")]
    pub(crate) select: Vec<Spanned<String>>,
    /// Not these rules or areas; wins over `select`.
    #[schemars(with = "Vec<String>")]
    pub(crate) ignore: Vec<Spanned<String>>,
    /// Patterns of files that are not read, as in a .gitignore.
    #[schemars(with = "Vec<String>")]
    pub(crate) exclude: Vec<Spanned<String>>,
    /// Patterns of files that are generated or vendored though nothing in them says so.
    #[schemars(with = "Vec<String>")]
    pub(crate) generated: Vec<Spanned<String>>,
    /// Whether generated and vendored files are changed too. Default: false.
    pub(crate) include_generated: Option<bool>,
    /// Larger files are skipped. Bytes. Default: 16777216.
    #[schemars(with = "Option<u64>", extend("minimum" = 1))]
    pub(crate) max_file_size: Option<Spanned<i64>>,
    /// Version written to pod-security.kubernetes.io/enforce-version. Default: "v" and `target-version`.
    #[schemars(with = "Option<String>", extend("pattern" = "^(latest|v?1\\.(0|[1-9][0-9]*))$"))]
    pub(crate) enforce_version: Option<Version>,
    /// File, relative to the repo, that records workloads kept below their namespace's target.
    /// Default: "pod-security-exceptions.yaml".
    #[schemars(with = "Option<String>")]
    pub(crate) exceptions_file: Option<Spanned<String>>,
    /// Name of a generated Namespace manifest, beside what it protects. Default: "namespace.yaml".
    #[schemars(with = "Option<String>")]
    pub(crate) namespace_file: Option<Spanned<String>>,
    /// Name of a file of generated roles, bindings and service accounts, beside what they are for.
    /// Default: "rbac.yaml".
    #[schemars(with = "Option<String>")]
    pub(crate) rbac_file: Option<Spanned<String>>,
    /// Size limit of the `emptyDir` volumes that are added, as a Kubernetes quantity. Default: no limit.
    #[schemars(with = "Option<String>")]
    pub(crate) tmp_size: Option<Spanned<String>>,
    /// Namespaces that host node-level software (CNI, CSI, node agents).
    pub(crate) system_namespaces: RawSystemNamespaces,
    /// Custom resources that embed a pod spec.
    #[schemars(with = "Vec<RawWorkload>")]
    pub(crate) workload: Vec<Spanned<RawWorkload>>,
    /// Fields of custom resources that name images, beside those that are known.
    #[schemars(with = "Vec<RawImageField>")]
    pub(crate) image_field: Vec<Spanned<RawImageField>>,
    /// Directories that images write to; they get an `emptyDir` under a read-only root file system.
    #[schemars(with = "Vec<RawWritablePath>")]
    pub(crate) writable_path: Vec<Spanned<RawWritablePath>>,
    /// Who has to have signed which images.
    #[schemars(with = "Vec<RawSignature>")]
    pub(crate) signature: Vec<Spanned<RawSignature>>,
    /// How the registries of images are reached by `caseharden lock`.
    pub(crate) registries: RawRegistries,
    /// Which network policies are wanted, and where the peers live that no manifest shows.
    pub(crate) network: RawNetwork,
    /// What takes the place of Secrets in plain text.
    pub(crate) secrets: RawSecrets,
    /// How control planes are configured.
    pub(crate) cluster: RawCluster,
    /// What quotas are made with.
    pub(crate) resources: RawResources,
    /// What pipelines are made of: commits of actions, digests of images.
    pub(crate) pipeline: RawPipeline,
    /// Findings that are accepted, each with its reason.
    #[schemars(with = "Vec<RawAllow>")]
    pub(crate) allow: Vec<Spanned<RawAllow>>,
}

/// Corrections to the built-in list of system namespaces. `*` matches any run of characters.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct RawSystemNamespaces {
    /// Further system namespaces.
    #[schemars(with = "Vec<String>")]
    pub(crate) extra: Vec<Spanned<String>>,
    /// Namespaces that are ordinary ones here; wins over `extra` and the built-in list.
    #[schemars(with = "Vec<String>")]
    pub(crate) not: Vec<Spanned<String>>,
}

/// A custom resource that embeds a pod spec.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct RawWorkload {
    /// API group without version, "" for the core group.
    pub(crate) group: String,
    /// Kind, as in the manifest.
    #[schemars(with = "String", length(min = 1))]
    pub(crate) kind: Spanned<String>,
    /// Where the pod spec is: an RFC 6901 pointer such as "/spec/template/spec".
    #[serde(deserialize_with = "pointer")]
    #[schemars(with = "String", extend("pattern" = "^/"))]
    pub(crate) pod_spec: PointerBuf,
}

/// Fields of a custom resource that name images for the containers its operator makes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct RawImageField {
    /// API group without version, "" for the core group.
    pub(crate) group: String,
    /// Kind, as in the manifest.
    #[schemars(with = "String", length(min = 1))]
    pub(crate) kind: Spanned<String>,
    /// Where the images are: RFC 6901 pointers such as "/spec/image"; `*` stands for every item of a list.
    #[schemars(with = "Vec<String>", length(min = 1), inner(regex(pattern = "^/")))]
    pub(crate) paths: Vec<Spanned<String>>,
}

/// Directories an image writes to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct RawWritablePath {
    /// Pattern over the image name without tag and digest.
    #[schemars(with = "String")]
    pub(crate) image: ImageGlob,
    /// Absolute paths in the container.
    #[schemars(with = "Vec<String>", length(min = 1))]
    pub(crate) paths: Vec<Spanned<String>>,
}

/// Who has to have signed some images, with cosign and a key. `caseharden lock` checks it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct RawSignature {
    /// Pattern over the image name without tag and digest. Where several match, the keys of all count.
    #[schemars(with = "String")]
    pub(crate) image: ImageGlob,
    /// Files, relative to the repo, each with one public key (PEM). A signature by one of them is enough.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) keys: Vec<Spanned<String>>,
    /// For signing without keys: URL of the issuer of the signer's identity. Needs `subject`. Only admission policies
    /// check it.
    pub(crate) issuer: Option<String>,
    /// For signing without keys: the signer, as the issuer knows it; `*` is any run of characters. Needs `issuer`.
    pub(crate) subject: Option<String>,
}

/// How the registries of images are reached by `caseharden lock`. A host is written with its port, if it has one.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct RawRegistries {
    /// Hosts without TLS. This machine (localhost, 127.0.0.1) need not be named. No login is ever sent to the others.
    #[schemars(with = "Vec<String>")]
    pub(crate) plain_http: Vec<Spanned<String>>,
    /// Hosts with a certificate authority of their own: the file, relative to the repo, with its certificates (PEM).
    /// Only they are trusted for the host.
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) ca: BTreeMap<Spanned<String>, Spanned<String>>,
    /// Where to ask before a registry itself, in this order; with a path where a mirror serves several registries.
    #[schemars(with = "BTreeMap<String, Vec<String>>")]
    pub(crate) mirrors: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
    /// Images whose layers are larger are pinned without their facts. Bytes as sent. Default: 2147483648.
    #[schemars(with = "Option<u64>", extend("minimum" = 1))]
    pub(crate) max_image_size: Option<Spanned<i64>>,
}

/// How control planes are configured.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct RawCluster {
    /// Whether audit logs hold the bodies of requests about Secrets and tokens, which are the secrets themselves.
    /// Default: false, only who did what to which one.
    pub(crate) audit_secret_bodies: Option<bool>,
    /// Where API servers send their audit log beside the file: an `https://` URL, or `http://` of the host itself, without
    /// credentials. Default: nowhere.
    #[schemars(with = "Option<String>", extend("pattern" = "^https?://."))]
    pub(crate) audit_webhook: Option<Spanned<String>>,
    /// What encrypts Secrets at rest: "kms" (a plugin on every control-plane node), "secretbox" (a key that is filled in on
    /// the hosts) or "report", which changes nothing. Default: "report".
    pub(crate) encryption: Option<Encryption>,
    /// Where the KMS plugin listens. Default: "unix:///var/run/kmsplugin/socket.sock".
    #[schemars(with = "Option<String>", extend("pattern" = "^unix:///."))]
    pub(crate) kms_endpoint: Option<Spanned<String>>,
}

/// Which network policies are wanted, and where the peers live that no manifest shows.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct RawNetwork {
    /// "ingress" (deny connections to pods only), "known" (both directions, except what the repo does not explain) or
    /// "full" (everything without evidence). Default: "known".
    pub(crate) mode: Option<Mode>,
    /// Whose policies are written: "core", "cilium" or "calico". Default: "core".
    pub(crate) dialect: Option<Dialect>,
    /// Name of the file that policies are written to, beside what they protect. Default: "network-policy.yaml".
    #[schemars(with = "Option<String>")]
    pub(crate) file: Option<Spanned<String>>,
    /// What names of Services end in. Default: "cluster.local".
    pub(crate) cluster_domain: Option<String>,
    /// The pods that answer DNS queries. Default: those of the distribution.
    pub(crate) dns: Option<RawPeer>,
    /// The port those pods listen on. Default: 53, and 5353 on OpenShift.
    #[schemars(with = "Option<u16>", extend("minimum" = 1))]
    pub(crate) dns_port: Option<Spanned<i64>>,
    /// Address of NodeLocal DNSCache, such as "169.254.20.10". Default: there is none.
    #[schemars(with = "Option<String>")]
    pub(crate) node_local_dns: Option<Spanned<String>>,
    /// Pods of ingress controllers by class; "*" for all other classes. Default: those of widely used controllers.
    pub(crate) ingress_controllers: BTreeMap<String, RawPeer>,
    /// The pods that collect metrics. Default: the namespace "monitoring".
    pub(crate) monitoring: Option<RawPeer>,
    /// Addresses of the Kubernetes API server, as CIDRs. Default: not known, so any address on its ports.
    #[schemars(with = "Vec<String>")]
    pub(crate) api_server: Vec<Spanned<String>>,
    /// Ports of the Kubernetes API server. Default: 443 and 6443.
    #[schemars(with = "Option<Vec<u16>>")]
    pub(crate) api_server_ports: Option<Vec<Spanned<i64>>>,
    /// Addresses of the nodes, as CIDRs: what pods see of traffic that a node translates. Default: not known.
    #[schemars(with = "Vec<String>")]
    pub(crate) nodes: Vec<Spanned<String>>,
}

/// What takes the place of Secrets in plain text, and what is needed to write it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct RawSecrets {
    /// "external-secrets" (an ExternalSecret for each), "sealed-secrets" (`kubeseal` encrypts them), "sops" (`sops` does)
    /// or "csi" (a SecretProviderClass for each). Default: Secrets in plain text are only reported.
    #[schemars(with = "Option<StoreName>")]
    pub(crate) store: Option<Spanned<StoreName>>,
    /// Name of the store that ExternalSecrets read.
    #[schemars(with = "Option<String>")]
    pub(crate) store_name: Option<Spanned<String>>,
    /// "SecretStore" or "ClusterSecretStore". Default: "SecretStore".
    pub(crate) store_kind: Option<StoreKind>,
    /// Where values live: "aws" (Secrets Manager), "gcp" (Secret Manager), "azure" (Key Vault) or "vault" (KV version 2).
    #[schemars(with = "Option<Provider>")]
    pub(crate) provider: Option<Spanned<Provider>>,
    /// Name of a secret there, with `{namespace}`, `{name}` and, for one secret for every key, `{key}`.
    /// Default: "{namespace}/{name}", with "-" for gcp and azure.
    #[schemars(with = "Option<String>")]
    pub(crate) path: Option<Spanned<String>>,
    /// Region (aws).
    pub(crate) region: Option<String>,
    /// Project (gcp).
    pub(crate) project: Option<String>,
    /// URL of the Key Vault (azure) or of the server (vault).
    pub(crate) url: Option<String>,
    /// Where the KV engine is mounted (vault). Default: "secret".
    pub(crate) mount: Option<String>,
    /// Role to take (aws: its ARN; vault: that of the Kubernetes auth method). Default: none, for vault that of the
    /// namespace's name.
    pub(crate) role: Option<String>,
    /// Tenant (azure).
    pub(crate) tenant: Option<String>,
    /// File, relative to the repo, with the public certificate of the Sealed Secrets controller (`kubeseal --fetch-cert`).
    #[schemars(with = "Option<String>")]
    pub(crate) certificate: Option<Spanned<String>>,
    /// Scope of SealedSecrets: "strict", "namespace-wide" or "cluster-wide". Default: "strict".
    pub(crate) scope: Option<Scope>,
    /// Public keys of age that SOPS encrypts for.
    #[schemars(with = "Vec<String>")]
    pub(crate) age: Vec<Spanned<String>>,
    /// Whether Secrets and ConfigMaps that nothing updates are to be immutable, even under names that stay when their
    /// contents change: each change then needs a new name, or the old object deleted first. Default: false.
    pub(crate) immutable: Option<bool>,
}

/// What `generate quota` makes quotas with.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct RawResources {
    /// What is added to what the workloads ask for, in percent. Default: 50.
    pub(crate) headroom: Option<u16>,
    /// How many nodes run a pod of each DaemonSet. Default: 3.
    #[schemars(extend("minimum" = 1))]
    pub(crate) nodes: Option<std::num::NonZeroU16>,
}

/// What `generate pipeline` pins. What is not pinned here stands as REPLACE in what it writes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct RawPipeline {
    /// The image that has caseharden, with its digest.
    #[schemars(with = "Option<String>")]
    pub(crate) image: Option<Spanned<String>>,
    /// Commits of actions, in full: "owner/action" = 40 hex digits.
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) actions: BTreeMap<String, Spanned<String>>,
    /// Digests of images by their names: "sha256:" and 64 hex digits.
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) images: BTreeMap<String, Spanned<String>>,
}

/// Pods by namespace and labels.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct RawPeer {
    /// Their namespace.
    #[schemars(with = "String")]
    pub(crate) namespace: Spanned<String>,
    /// Their labels; all pods of the namespace without any.
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
}

/// An accepted finding.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct RawAllow {
    /// A rule, an area, or "*".
    #[schemars(with = "String")]
    pub(crate) rule: Spanned<String>,
    /// Pattern over file paths, as in a .gitignore.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) path: Option<PathGlob>,
    /// Pattern over `Kind/name`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) object: Option<Spanned<NameGlob>>,
    /// Pattern over namespaces.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(crate) namespace: Option<NameGlob>,
    /// Why this is accepted.
    #[schemars(with = "String", length(min = 1))]
    pub(crate) reason: Spanned<String>,
    /// Last day it holds, as 2027-01-31.
    #[serde(default, deserialize_with = "date")]
    #[schemars(with = "Option<String>", extend("format" = "date"))]
    pub(crate) expires: Option<civil::Date>,
}

fn pointer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PointerBuf, D::Error> {
    let text = String::deserialize(deserializer)?;
    match PointerBuf::parse(text.as_str()) {
        Ok(pointer) if !pointer.is_root() => Ok(pointer),
        _ => Err(serde::de::Error::custom(format!(
            "`{}` is not a pointer like `/spec/template/spec`",
            text.escape_debug()
        ))),
    }
}

/// TOML has dates of its own; a string is accepted too.
fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<civil::Date>, D::Error> {
    let text = match toml::Value::deserialize(deserializer)? {
        toml::Value::Datetime(date) => date.to_string(),
        toml::Value::String(text) => text,
        other => other.to_string(),
    };
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-';
    match text.parse() {
        Ok(date) if shaped => Ok(Some(date)),
        _ => Err(serde::de::Error::custom(format!(
            "`{}` is not a date like `2027-01-31`",
            text.escape_debug()
        ))),
    }
}
