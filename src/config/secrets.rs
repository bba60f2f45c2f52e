//! `[secrets]`: what takes the place of Secrets in plain text, and what is needed to write it. Data only: nothing is
//! asked or run here.

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::mistake::Mistakes;
use super::raw::RawSecrets;
use super::reading::span_of;
use super::registries::file_inside;

/// What takes the place of Secrets in plain text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// `None`: nothing does, they are reported only.
    pub store: Option<Store>,
    /// Whether all Secrets and ConfigMaps that nothing updates are to be immutable.
    pub immutable: bool,
}

/// A way to keep secrets out of the repo, or readable for nobody there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// The External Secrets Operator fetches them: <https://external-secrets.io>.
    External(ExternalStore),
    /// Encrypted for the controller of a cluster: <https://github.com/bitnami-labs/sealed-secrets>.
    Sealed {
        /// File with the controller's public certificate, relative to the repo.
        certificate: Option<String>,
        scope: Scope,
    },
    /// Encrypted with SOPS: <https://getsops.io>.
    Sops {
        /// Public keys of age.
        recipients: Vec<String>,
    },
    /// A driver mounts them: <https://secrets-store-csi-driver.sigs.k8s.io>.
    Csi { vault: Vault, path: Option<String> },
}

/// The store that ExternalSecrets read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalStore {
    pub name: String,
    pub kind: StoreKind,
    /// What is behind it, if the store is to be written too.
    pub vault: Option<Vault>,
    /// Name of a secret in there, with `{namespace}`, `{name}` and perhaps `{key}`.
    pub path: Option<String>,
}

/// Where values live in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vault {
    pub provider: Provider,
    pub region: Option<String>,
    pub project: Option<String>,
    pub url: Option<String>,
    pub mount: String,
    pub role: Option<String>,
    pub tenant: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StoreName {
    ExternalSecrets,
    SealedSecrets,
    Sops,
    Csi,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, JsonSchema)]
pub enum StoreKind {
    /// Of one namespace.
    #[default]
    SecretStore,
    /// Of the cluster.
    ClusterSecretStore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    Aws,
    Gcp,
    Azure,
    Vault,
}

/// Which names a sealed Secret may get: <https://github.com/bitnami-labs/sealed-secrets#scopes>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Its own name in its own namespace only.
    #[default]
    Strict,
    /// Any name in its namespace.
    NamespaceWide,
    /// Any name in any namespace.
    ClusterWide,
}

impl StoreKind {
    pub fn as_str(self) -> &'static str {
        match self {
            StoreKind::SecretStore => "SecretStore",
            StoreKind::ClusterSecretStore => "ClusterSecretStore",
        }
    }
}

impl Provider {
    pub fn as_str(self) -> &'static str {
        match self {
            Provider::Aws => "aws",
            Provider::Gcp => "gcp",
            Provider::Azure => "azure",
            Provider::Vault => "vault",
        }
    }

    /// The name of a secret where the configuration has none. Google's and Azure's know no `/`.
    pub fn default_path(self) -> &'static str {
        match self {
            Provider::Aws | Provider::Vault => "{namespace}/{name}",
            Provider::Gcp | Provider::Azure => "{namespace}-{name}",
        }
    }
}

impl Scope {
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Strict => "strict",
            Scope::NamespaceWide => "namespace-wide",
            Scope::ClusterWide => "cluster-wide",
        }
    }
}

pub(super) fn secrets(raw: RawSecrets, mistakes: &mut Mistakes<'_>) -> Secrets {
    let immutable = raw.immutable.unwrap_or_default();
    let span = span_of(&raw.store);
    let Some(name) = raw.store.as_ref().map(|store| *store.get_ref()) else {
        return Secrets { store: None, immutable };
    };
    let path = raw.path.as_ref().and_then(|path| pattern(path, mistakes));
    let vault = vault(&raw, mistakes);
    let store = match name {
        StoreName::ExternalSecrets => external(&raw, vault, path, mistakes),
        StoreName::SealedSecrets => Some(Store::Sealed {
            certificate: raw.certificate.as_ref().and_then(|file| file_inside(file, mistakes)),
            scope: raw.scope.unwrap_or_default(),
        }),
        StoreName::Sops => {
            let recipients = raw.age.iter().filter_map(|key| recipient(key, mistakes)).collect();
            Some(Store::Sops { recipients })
        }
        StoreName::Csi => {
            if vault.is_none() {
                mistakes.add(span, "`store = \"csi\"` needs a `provider`", None);
            }
            vault.map(|vault| Store::Csi { vault, path })
        }
    };
    Secrets { store, immutable }
}

fn external(
    raw: &RawSecrets,
    vault: Option<Vault>,
    path: Option<String>,
    mistakes: &mut Mistakes<'_>,
) -> Option<Store> {
    let kind = raw.store_kind.unwrap_or_default();
    let Some(name) = &raw.store_name else {
        let help = Some(format!("the name of the {} that ExternalSecrets are to read", kind.as_str()));
        mistakes.add(span_of(&raw.store), "`store = \"external-secrets\"` needs a `store-name`", help);
        return None;
    };
    if !is_object_name(name.get_ref()) {
        mistakes.add(
            name.span(),
            format!("`{}` is no name of an object", name.get_ref().escape_debug()),
            None,
        );
        return None;
    }
    Some(Store::External(ExternalStore { name: name.get_ref().clone(), kind, vault, path }))
}

fn vault(raw: &RawSecrets, mistakes: &mut Mistakes<'_>) -> Option<Vault> {
    let provider = raw.provider.as_ref()?;
    let needed = match provider.get_ref() {
        Provider::Aws => ("region", &raw.region),
        Provider::Gcp => ("project", &raw.project),
        Provider::Azure | Provider::Vault => ("url", &raw.url),
    };
    if needed.1.is_none() {
        let message = format!("`provider = \"{}\"` needs a `{}`", provider.get_ref().as_str(), needed.0);
        mistakes.add(provider.span(), message, None);
        return None;
    }
    Some(Vault {
        provider: *provider.get_ref(),
        region: raw.region.clone(),
        project: raw.project.clone(),
        url: raw.url.clone(),
        mount: raw.mount.clone().unwrap_or_else(|| "secret".to_owned()),
        role: raw.role.clone(),
        tenant: raw.tenant.clone(),
    })
}

/// A name with `{namespace}`, `{name}` and `{key}` in it; those of different Secrets must differ.
fn pattern(path: &Spanned<String>, mistakes: &mut Mistakes<'_>) -> Option<String> {
    let text = path.get_ref();
    let left =
        ["{namespace}", "{name}", "{key}"].iter().fold(text.clone(), |text, hole| text.replace(hole, ""));
    if text.contains("{name}") && !left.contains(['{', '}']) {
        return Some(text.clone());
    }
    let help = Some("write it like `{namespace}/{name}`; `{key}` makes one secret of every key".to_owned());
    mistakes.add(
        path.span(),
        format!("`{}` does not tell one Secret from another", text.escape_debug()),
        help,
    );
    None
}

fn recipient(key: &Spanned<String>, mistakes: &mut Mistakes<'_>) -> Option<String> {
    let text = key.get_ref();
    let is_key =
        |rest: &str| rest.len() >= 58 && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if text.strip_prefix("age1").is_some_and(is_key) {
        return Some(text.clone());
    }
    let message = if text.starts_with("AGE-SECRET-KEY-") {
        // Not even here.
        "this is a private key: write the public one, `age1…`, and replace the private one".to_owned()
    } else {
        format!("`{}` is no public key of age", text.escape_debug())
    };
    mistakes.add(key.span(), message, None);
    None
}

fn is_object_name(name: &str) -> bool {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    !name.is_empty() && name.len() <= 253 && name.bytes().all(is_inner)
}
