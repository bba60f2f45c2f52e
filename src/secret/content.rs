//! The entries of a Secret: which keys it has, and what the value of each is.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::text::{is_default, is_placeholder, is_reference};
use crate::model::ObjectId;
use crate::pointer;

/// A key of a Secret with its value.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    /// Where its value is, from the object.
    pub pointer: String,
    /// Decoded. Not to be shown to anybody.
    pub value: Vec<u8>,
    pub nature: Nature,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    Empty,
    /// Filled in when it is deployed: `${VAR}`, a placeholder of a plugin, a template.
    FilledIn,
    /// Asks to be replaced, as `CHANGEME` does.
    Placeholder,
    /// A certificate or a public key.
    Public,
    Secret,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("key", &self.key).field("nature", &self.nature).finish_non_exhaustive()
    }
}

/// Whether an object is a Secret of Kubernetes' own.
pub fn is_secret_object(id: &ObjectId) -> bool {
    &*id.kind == "Secret" && &*id.api_version == "v1"
}

/// The entries of a Secret, those of `stringData` in place of their namesakes in `data`, as the API server writes
/// them: <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/>.
pub fn entries(secret: &Value) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (field, is_encoded) in [("data", true), ("stringData", false)] {
        for (key, value) in secret[field].as_object().into_iter().flatten() {
            let entry = entry(field, key, value, is_encoded);
            match entries.iter_mut().find(|known| known.key == *key) {
                Some(known) => *known = entry,
                None => entries.push(entry),
            }
        }
    }
    entries
}

/// Whether some value of a Secret is neither empty nor filled in or replaced later, nor public.
pub fn holds_real_values(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| entry.nature == Nature::Secret)
}

fn entry(field: &str, key: &str, value: &Value, is_encoded: bool) -> Entry {
    let written = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let pointer = format!("/{field}/{}", pointer::token(key));
    let (nature, value) = nature_of(&written, is_encoded);
    Entry { key: key.to_owned(), pointer, value, nature }
}

/// What a value is, and the value decoded.
pub(super) fn nature_of(written: &str, is_encoded: bool) -> (Nature, Vec<u8>) {
    // What is no base64 is refused by the API server as it stands: something has to make it base64 before.
    let decoded = is_encoded.then(|| STANDARD.decode(without_breaks(written)).ok()).flatten();
    match decoded {
        None if is_encoded && is_reference(written) => (Nature::FilledIn, written.as_bytes().to_vec()),
        None => (nature(written.as_bytes()), written.as_bytes().to_vec()),
        Some(bytes) => (nature(&bytes), bytes),
    }
}

fn without_breaks(text: &str) -> String {
    text.chars().filter(|char| !char.is_ascii_whitespace()).collect()
}

fn nature(value: &[u8]) -> Nature {
    let Ok(text) = std::str::from_utf8(value) else { return Nature::Secret };
    let text = text.trim();
    if text.is_empty() {
        Nature::Empty
    } else if is_filled_in(text) {
        Nature::FilledIn
    } else if is_default(text) || is_placeholder(text) {
        Nature::Placeholder
    } else if is_public(text) {
        Nature::Public
    } else {
        Nature::Secret
    }
}

/// References to what fills them in; a value that merely has a variable in it counts only where it is nothing else.
fn is_filled_in(text: &str) -> bool {
    is_reference(text) && text.lines().count() == 1
        // The placeholders of the Argo CD Vault plugin: <https://argocd-vault-plugin.readthedocs.io/en/stable/howitworks/>.
        || text.starts_with('<') && text.ends_with('>') && text.lines().count() == 1
}

fn is_public(text: &str) -> bool {
    let mut begins = text.lines().filter(|line| line.starts_with("-----BEGIN ")).peekable();
    text.starts_with("-----BEGIN ")
        && begins.peek().is_some()
        && begins.all(|line| line.contains("CERTIFICATE") || line.contains("PUBLIC KEY"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(secret: Value, expected: &[(&str, Nature)]) {
        let found = entries(&secret);
        let found: Vec<(&str, Nature)> =
            found.iter().map(|entry| (entry.key.as_str(), entry.nature)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn plain_and_encoded_values_are_told_apart_from_what_is_filled_in() {
        let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        check(
            json!({
                "data": {
                    "password": "aHVudGVyMg==", "variable": "${DB_PASSWORD}", "encoded": "JHtEQl9QQVNTV09SRH0=",
                    "ca.crt": STANDARD.encode(certificate), "empty": "", "null": null, "split": "aHVu\ndGVyMg==",
                },
                "stringData": {"user": "admin", "todo": "CHANGEME", "plugin": "<path:db#password>", "number": 5},
            }),
            &[
                ("password", Nature::Secret),
                ("variable", Nature::FilledIn),
                ("encoded", Nature::FilledIn),
                ("ca.crt", Nature::Public),
                ("empty", Nature::Empty),
                ("null", Nature::Empty),
                ("split", Nature::Secret),
                ("user", Nature::Secret),
                ("todo", Nature::Placeholder),
                ("plugin", Nature::FilledIn),
                ("number", Nature::Secret),
            ],
        );
    }

    #[test]
    fn string_data_takes_the_place_of_data() {
        let found = entries(&json!({"data": {"a": "b2xk"}, "stringData": {"a": "new"}}));
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].value.as_slice(), found[0].pointer.as_str()),
            (b"new".as_slice(), "/stringData/a")
        );
    }

    #[test]
    fn no_debug_output_shows_a_value() {
        let shown = format!("{:?}", entries(&json!({"stringData": {"a": "hunter2"}})));
        assert!(!shown.contains("hunter2") && !shown.contains("104"), "{shown}");
    }
}
