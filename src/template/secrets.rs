//! What takes the place of Secrets in plain text, rendered. Knows shapes; never sees a value in plain text.

mod types;

use serde_json::{Value, json};

use self::types::{ExternalSecret, SealedSecret, SecretProviderClass, SecretStore};
use super::access::must_have_namespace;
use super::decode::{self, Problem};
use super::{RenderedFile, TemplateError, Templates, VolumeAndMount, WritableVolume, must_be};
use crate::config::{ExternalStore, Provider, Vault};

const EXTERNAL: &str = "secrets/external-secret.yaml";
const STORE: &str = "secrets/secret-store.yaml";
const SEALED: &str = "secrets/sealed-secret.yaml";
const PROVIDER_CLASS: &str = "secrets/secret-provider-class.yaml";
const CSI_VOLUME: &str = "secrets/csi-volume.yaml";
const FILE_VOLUME: &str = "secrets/file-volume.yaml";

/// What a Secret is, without its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretOutline {
    pub namespace: Option<String>,
    pub name: String,
    /// Those that a person wrote.
    pub labels: Vec<(String, String)>,
    pub annotations: Vec<(String, String)>,
    /// As written; nothing stands for `Opaque`.
    pub kind: Option<String>,
    pub immutable: bool,
    pub keys: Vec<OutlinedKey>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlinedKey {
    pub key: String,
    /// Its value is no text.
    pub is_binary: bool,
}

/// Where the value of a key is, beside the key: the name of a secret, and one of its properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteKey {
    pub key: String,
    pub property: Option<String>,
}

/// A volume and its mount, as templates render them.
pub type VolumeWithMount = WritableVolume;

impl Templates {
    /// The ExternalSecret in the place of a Secret; `remote` has the place of every key.
    pub fn external_secret(
        &self,
        secret: &SecretOutline,
        store: &ExternalStore,
        remote: &[RemoteKey],
    ) -> Result<RenderedFile, TemplateError> {
        let data: Vec<Value> = secret
            .keys
            .iter()
            .zip(remote)
            .map(|(key, remote)| {
                let remote = json!({"key": remote.key, "property": remote.property});
                json!({"key": key.key, "remote": remote, "binary": key.is_binary})
            })
            .collect();
        let mut variables = variables(secret);
        variables["store"] = json!({"kind": store.kind.as_str(), "name": store.name});
        variables["data"] = Value::Array(data);
        self.file(EXTERNAL, variables, |text| {
            let value = decode::typed::<ExternalSecret>(text)?;
            is_named(&value, secret)?;
            must_be(&value, "/spec/secretStoreRef/kind", &json!(store.kind.as_str()))?;
            must_be(&value, "/spec/secretStoreRef/name", &json!(store.name))?;
            must_be(&value, "/spec/target/name", &json!(secret.name))?;
            if let Some(kind) = &secret.kind {
                must_be(&value, "/spec/target/template/type", &json!(kind))?;
            }
            has_keys(value["spec"]["data"].as_array(), "secretKey", secret)?;
            Ok(value)
        })
    }

    /// The store that ExternalSecrets read from, in a namespace unless the build gives it one or it has none.
    pub fn secret_store(
        &self,
        namespace: Option<&str>,
        store: &ExternalStore,
        vault: &Vault,
    ) -> Result<RenderedFile, TemplateError> {
        let role = match (&vault.role, vault.provider) {
            (None, Provider::Vault) => Some(namespace.unwrap_or(&store.name).to_owned()),
            (role, _) => role.clone(),
        };
        let variables = json!({
            "kind": store.kind.as_str(), "name": store.name, "namespace": namespace,
            "provider": vault.provider.as_str(), "region": vault.region, "project": vault.project,
            "url": vault.url, "mount": vault.mount, "role": role, "tenant": vault.tenant,
        });
        self.file(STORE, variables, |text| {
            let value = decode::typed::<SecretStore>(text)?;
            must_be(&value, "/kind", &json!(store.kind.as_str()))?;
            must_be(&value, "/metadata/name", &json!(store.name))?;
            must_have_namespace(&value, namespace)?;
            match value["spec"]["provider"].as_object() {
                Some(providers) if providers.len() == 1 => Ok(value),
                _ => Err(Problem::new("`spec.provider` must have one provider")),
            }
        })
    }

    /// The SealedSecret in the place of a Secret. `encrypted` has the value of every key; `scope` the annotations that
    /// tell the controller which names it may have.
    pub fn sealed_secret(
        &self,
        secret: &SecretOutline,
        scope: &[(String, String)],
        encrypted: &[String],
    ) -> Result<RenderedFile, TemplateError> {
        let data = secret.keys.iter().zip(encrypted);
        let data: Vec<Value> = data.map(|(key, value)| json!({"key": key.key, "value": value})).collect();
        let mut variables = variables(secret);
        variables["data"] = Value::Array(data);
        variables["scope"] = pairs(scope);
        self.file(SEALED, variables, |text| {
            let value = decode::typed::<SealedSecret>(text)?;
            is_named(&value, secret)?;
            for (key, value_of_key) in secret.keys.iter().zip(encrypted) {
                let pointer = format!("/spec/encryptedData/{}", crate::pointer::token(&key.key));
                must_be(&value, &pointer, &json!(value_of_key))?;
            }
            for (key, annotation) in scope {
                let pointer = format!("/metadata/annotations/{}", crate::pointer::token(key));
                must_be(&value, &pointer, &json!(annotation))?;
            }
            if let Some(kind) = &secret.kind {
                must_be(&value, "/spec/template/type", &json!(kind))?;
            }
            Ok(value)
        })
    }

    /// The SecretProviderClass in the place of a Secret. `objects` has the name by which the provider gives each key.
    pub fn secret_provider_class(
        &self,
        secret: &SecretOutline,
        provider: Provider,
        parameters: &[(String, String)],
        objects: &[String],
    ) -> Result<RenderedFile, TemplateError> {
        let data = secret.keys.iter().zip(objects);
        let data: Vec<Value> = data.map(|(key, object)| json!({"key": key.key, "object": object})).collect();
        let kind = secret.kind.as_deref().unwrap_or("Opaque");
        let mut variables = variables(secret);
        variables["data"] = Value::Array(data);
        variables["type"] = json!(kind);
        variables["provider"] = json!(provider.as_str());
        variables["parameters"] = pairs(parameters);
        self.file(PROVIDER_CLASS, variables, |text| {
            let value = decode::typed::<SecretProviderClass>(text)?;
            is_named(&value, secret)?;
            must_be(&value, "/spec/provider", &json!(provider.as_str()))?;
            must_be(&value, "/spec/secretObjects/0/secretName", &json!(secret.name))?;
            must_be(&value, "/spec/secretObjects/0/type", &json!(kind))?;
            has_keys(value["spec"]["secretObjects"][0]["data"].as_array(), "key", secret)?;
            Ok(value)
        })
    }

    /// The volume by which a pod has the driver make the Secret of a class.
    pub fn csi_volume(&self, name: &str, class: &str, path: &str) -> Result<VolumeWithMount, TemplateError> {
        let pinned = [("/volume/csi/volumeAttributes/secretProviderClass", class)];
        self.volume(CSI_VOLUME, json!({"name": name, "class": class, "path": path}), name, path, &pinned)
    }

    /// The volume that has one key of a Secret as a file.
    pub fn file_volume(
        &self,
        name: &str,
        secret: &str,
        key: &str,
        path: &str,
    ) -> Result<VolumeWithMount, TemplateError> {
        let pinned = [("/volume/secret/secretName", secret), ("/volume/secret/items/0/key", key)];
        let variables = json!({"name": name, "secret": secret, "key": key, "path": path});
        self.volume(FILE_VOLUME, variables, name, path, &pinned)
    }

    fn volume(
        &self,
        template: &'static str,
        variables: Value,
        name: &str,
        path: &str,
        pinned: &[(&str, &str)],
    ) -> Result<VolumeWithMount, TemplateError> {
        let value = self.cached(template, variables, |text| {
            let value = decode::typed::<VolumeAndMount>(text)?;
            must_be(&value, "/volume/name", &json!(name))?;
            must_be(&value, "/mount/name", &json!(name))?;
            must_be(&value, "/mount/mountPath", &json!(path))?;
            for (pointer, wanted) in pinned {
                must_be(&value, pointer, &json!(wanted))?;
            }
            Ok(value)
        })?;
        Ok(WritableVolume { volume: value["volume"].clone(), mount: value["mount"].clone() })
    }

    /// Renders all of these with sample values.
    pub(super) fn try_out_secrets(&self) -> Vec<TemplateError> {
        let mut results = vec![
            self.csi_volume("sample", "sample", "/mnt/sample").map(drop),
            self.file_volume("sample", "sample", "a: b", "/run/secrets/sample").map(drop),
        ];
        let texts = |texts: &[(&str, &str)]| -> Vec<(String, String)> {
            texts.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let key = |key: &str, is_binary| OutlinedKey { key: key.to_owned(), is_binary };
        let least = SecretOutline {
            name: "sample".to_owned(),
            keys: vec![key("a", false)],
            ..SecretOutline::default()
        };
        let most = SecretOutline {
            namespace: Some("sample".to_owned()),
            labels: texts(&[("app", "yes"), ("a/b", "1.10")]),
            annotations: texts(&[("note", "a: b\n#c")]),
            kind: Some("kubernetes.io/tls".to_owned()),
            immutable: true,
            keys: vec![key("tls.key", false), key("on", true)],
            ..least.clone()
        };
        for secret in [&least, &most] {
            let remote = |property: Option<&str>| RemoteKey {
                key: "sample/a".to_owned(),
                property: property.map(str::to_owned),
            };
            let remotes = [remote(None), remote(Some("on"))];
            let objects = ["a".to_owned(), "on".to_owned()];
            for provider in [Provider::Aws, Provider::Gcp, Provider::Azure, Provider::Vault] {
                let (vault, store) = super::samples::secret_store(provider, secret.immutable);
                results.push(self.external_secret(secret, &store, &remotes).map(drop));
                results.push(self.secret_store(secret.namespace.as_deref(), &store, &vault).map(drop));
                let parameters = texts(&[("objects", "- a: b\n  c: d\n")]);
                results.push(self.secret_provider_class(secret, provider, &parameters, &objects).map(drop));
            }
            let scope = if secret.immutable { texts(&[("sealed/scope", "true")]) } else { Vec::new() };
            results.push(self.sealed_secret(secret, &scope, &objects).map(drop));
        }
        results.into_iter().filter_map(Result::err).collect()
    }
}

fn variables(secret: &SecretOutline) -> Value {
    json!({
        "name": secret.name, "namespace": secret.namespace, "labels": pairs(&secret.labels),
        "annotations": pairs(&secret.annotations), "type": secret.kind, "immutable": secret.immutable,
    })
}

fn pairs(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

fn is_named(value: &Value, secret: &SecretOutline) -> Result<(), Problem> {
    must_be(value, "/metadata/name", &json!(secret.name))?;
    must_have_namespace(value, secret.namespace.as_deref())
}

fn has_keys(items: Option<&Vec<Value>>, field: &str, secret: &SecretOutline) -> Result<(), Problem> {
    let found = items.into_iter().flatten().map(|item| item[field].as_str());
    if found.eq(secret.keys.iter().map(|key| Some(key.key.as_str()))) {
        return Ok(());
    }
    Err(Problem::new("it must have every key of the Secret, in their order"))
}
