//! Has other programs encrypt Secrets: `kubeseal` for Sealed Secrets, `sops` for SOPS.
//!
//! Values go to a program's standard input and nowhere else: no argument, file, environment or message has them. What it
//! answers is looked at before anybody sees it. Nothing here talks to a network; both programs are told all they need.

mod program;

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rayon::prelude::*;
use serde_json::{Value, json};

use self::program::Program;
use crate::config::{Scope, Store};
use crate::template::{RenderedFile, SecretOutline, Templates};

/// What became of the Secrets that were to be encrypted, by file and document.
#[derive(Debug, Default)]
pub enum Sealing {
    /// It is done when somebody wants to see it.
    #[default]
    Later,
    Done(BTreeMap<(usize, usize), Result<RenderedFile, String>>),
}

/// A Secret to encrypt.
pub struct ToSeal {
    /// File and document.
    pub place: (usize, usize),
    pub outline: SecretOutline,
    /// The value of each key of the outline.
    pub values: Vec<Vec<u8>>,
}

impl std::fmt::Debug for ToSeal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToSeal").field("outline", &self.outline).finish_non_exhaustive()
    }
}

/// Encrypts all of them. `root` is the folder that paths of the configuration start from.
pub fn seal(store: &Store, root: &Path, templates: &Templates, secrets: &[ToSeal]) -> Sealing {
    let one = |secret: &ToSeal| match store {
        Store::Sealed { certificate, scope } => {
            let certificate = certificate.as_ref().ok_or("no `certificate` is configured")?;
            kubeseal(&root.join(certificate), *scope, templates, secret)
        }
        Store::Sops { recipients } => sops(recipients, secret),
        Store::External(_) | Store::Csi { .. } => Err("nothing is encrypted for this store".to_owned()),
    };
    Sealing::Done(secrets.par_iter().map(|secret| (secret.place, one(secret))).collect())
}

fn kubeseal(
    certificate: &Path,
    scope: Scope,
    templates: &Templates,
    secret: &ToSeal,
) -> Result<RenderedFile, String> {
    if !certificate.is_file() {
        return Err("the `certificate` of the configuration is not there".to_owned());
    }
    let mut program = Program::new("kubeseal");
    program.argument("--cert").argument(certificate);
    program.argument("--scope").argument(scope.as_str()).argument("--format").argument("json");
    let answer = program.run(secret.manifest().to_string().as_bytes(), &secret.forbidden())?;
    let answer: Value = serde_json::from_slice(&answer).map_err(|_| "`kubeseal` did not answer with JSON")?;
    if answer["kind"] != "SealedSecret" || answer["metadata"]["name"] != secret.outline.name.as_str() {
        return Err("`kubeseal` did not answer with the SealedSecret".to_owned());
    }
    let encrypted = secret.outline.keys.iter().map(|key| {
        let value = answer["spec"]["encryptedData"][&key.key].as_str()?;
        // An RSA-encrypted key of 2048 bits and more goes first.
        STANDARD.decode(value).is_ok_and(|bytes| bytes.len() > 256).then(|| value.to_owned())
    });
    let encrypted: Vec<String> =
        encrypted.collect::<Option<_>>().ok_or("`kubeseal` did not encrypt every key")?;
    let n_keys = answer["spec"]["encryptedData"].as_object().map_or(0, serde_json::Map::len);
    if n_keys != secret.outline.keys.len() {
        return Err("`kubeseal` answered with other keys".to_owned());
    }
    // <https://github.com/bitnami-labs/sealed-secrets#scopes>
    let annotation = match scope {
        Scope::Strict => None,
        Scope::NamespaceWide => Some("sealedsecrets.bitnami.com/namespace-wide"),
        Scope::ClusterWide => Some("sealedsecrets.bitnami.com/cluster-wide"),
    };
    let scope: Vec<(String, String)> =
        annotation.into_iter().map(|key| (key.to_owned(), "true".to_owned())).collect();
    templates.sealed_secret(&secret.outline, &scope, &encrypted).map_err(|error| error.to_string())
}

fn sops(recipients: &[String], secret: &ToSeal) -> Result<RenderedFile, String> {
    if recipients.is_empty() {
        return Err("no `age` recipient is configured".to_owned());
    }
    let mut program = Program::new("sops");
    program.argument("--encrypt").argument("--age").argument(recipients.join(","));
    program.argument("--encrypted-regex").argument("^(data|stringData)$");
    program.argument("--input-type").argument("json").argument("--output-type").argument("yaml");
    program.argument("/dev/stdin");
    let manifest = secret.manifest();
    let answer = program.run(manifest.to_string().as_bytes(), &secret.forbidden())?;
    let text = String::from_utf8(answer).map_err(|_| "`sops` did not answer with text")?;
    let value: Value =
        serde_yaml::from_str(&text).map_err(|_| "`sops` did not answer with YAML".to_owned())?;
    let mut rest = value.clone();
    let is_encrypted = |value: &Value| value.as_str().is_some_and(|text| text.starts_with("ENC["));
    let encrypted = &value["data"];
    let all_encrypted = encrypted.as_object().is_some_and(|map| {
        map.keys().eq(secret.outline.keys.iter().map(|key| &key.key)) && map.values().all(is_encrypted)
    });
    if let Some(map) = rest.as_object_mut() {
        map.remove("sops");
        map.insert("data".to_owned(), manifest["data"].clone());
    }
    if !all_encrypted || rest != manifest || !value["sops"]["mac"].is_string() {
        return Err("`sops` did not answer with the encrypted Secret".to_owned());
    }
    Ok(RenderedFile { text: format!("{}\n", text.trim_end()), value })
}

impl ToSeal {
    /// The Secret as JSON, which no two parsers read differently.
    fn manifest(&self) -> Value {
        let outline = &self.outline;
        let texts = |pairs: &[(String, String)]| -> Value {
            pairs
                .iter()
                .map(|(key, value)| (key.clone(), json!(value)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let mut metadata = json!({"name": outline.name});
        if let Some(namespace) = &outline.namespace {
            metadata["namespace"] = json!(namespace);
        }
        if !outline.labels.is_empty() {
            metadata["labels"] = texts(&outline.labels);
        }
        if !outline.annotations.is_empty() {
            metadata["annotations"] = texts(&outline.annotations);
        }
        let mut manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata});
        let data = outline.keys.iter().zip(&self.values);
        let data = data.map(|(key, value)| (key.key.clone(), json!(STANDARD.encode(value))));
        manifest["data"] = data.collect::<serde_json::Map<_, _>>().into();
        if let Some(kind) = &outline.kind {
            manifest["type"] = json!(kind);
        }
        if outline.immutable {
            manifest["immutable"] = json!(true);
        }
        manifest
    }

    /// Texts that no message may have.
    fn forbidden(&self) -> Vec<String> {
        let plain = self.values.iter().filter_map(|value| std::str::from_utf8(value).ok()).map(str::to_owned);
        let encoded = self.values.iter().map(|value| STANDARD.encode(value));
        plain.chain(encoded).filter(|text| !text.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::OutlinedKey;

    fn secret() -> ToSeal {
        let key = |key: &str| OutlinedKey { key: key.to_owned(), is_binary: false };
        let outline = SecretOutline {
            name: "db".to_owned(),
            namespace: Some("n".to_owned()),
            kind: Some("kubernetes.io/basic-auth".to_owned()),
            keys: vec![key("username"), key("password")],
            ..SecretOutline::default()
        };
        ToSeal { place: (0, 0), outline, values: vec![b"app".to_vec(), b"hunter2".to_vec()] }
    }

    #[test]
    fn a_program_gets_the_secret_as_json_with_its_namespace_as_text() {
        assert_eq!(
            secret().manifest().to_string(),
            r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"db","namespace":"n"},"data":{"username":"YXBw","password":"aHVudGVyMg=="},"type":"kubernetes.io/basic-auth"}"#
        );
    }

    #[test]
    fn what_is_missing_is_said_before_a_program_is_started() {
        let store = Store::Sealed { certificate: None, scope: Scope::Strict };
        let Sealing::Done(done) = seal(&store, Path::new("."), &Templates::builtin(), &[secret()]) else {
            panic!("it is done")
        };
        assert_eq!(done[&(0, 0)], Err("no `certificate` is configured".to_owned()));
        assert_eq!(sops(&[], &secret()), Err("no `age` recipient is configured".to_owned()));
    }

    #[test]
    fn nothing_shows_a_value() {
        let shown = format!("{:?}", secret());
        assert!(!shown.contains("hunter2") && !shown.contains("104, 117"), "{shown}");
    }
}
