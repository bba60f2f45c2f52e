//! See the rule's own docs below.

use serde_json::Value;

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A key that encrypts Secrets at rest is in the repo.
    ///
    /// ## Why
    /// Whoever reads the repo, or ever had a clone of it, can decrypt etcd and its backups. The key in git undoes what the
    /// encryption is for.
    ///
    /// ## Fix
    /// None by itself, and its value is never shown: taking it out of the file does not take it out of the history. Make a
    /// new key on the hosts, put it first and the old one second, restart all API servers, write all Secrets again
    /// (`kubectl get secrets -A -o json | kubectl replace -f -`), then drop the old key. In the repo leave a placeholder
    /// that is filled in at deployment, or better, a KMS.
    ///
    /// ## What could break
    /// Dropping a key before everything is written again loses what it encrypted.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/#rotating-a-decryption-key>
    {
        id: "encryption-key-in-repo",
        area: Area::Cluster,
        severity: Severity::Critical,
        pss: None,
        known_as: &[("CIS", "1.2.28")],
        check: Check::Repo,
    }
}

const TALOS: [&str; 2] = ["/cluster/secretboxEncryptionSecret", "/cluster/aescbcEncryptionSecret"];
const STEPS: &str = "it stays in git's history: make a new key on the hosts and rotate to it (`caseharden explain \
                     encryption-key-in-repo` has the steps), then leave a placeholder here";

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    for part in context.parts.iter().filter(|part| part.is("EncryptionConfiguration")) {
        for pointer in keys(&part.value) {
            let message = "a key of the EncryptionConfiguration is in the repo".to_owned();
            let finding = Finding::new(part.pointer(&pointer), message).note(STEPS);
            context.place(&RULE, &part.object, finding, found);
        }
    }
    for plane in context.planes.iter().filter(|plane| plane.dialect == Dialect::Talos) {
        for pointer in TALOS {
            let Some(text) = plane.value.pointer(pointer).and_then(Value::as_str) else { continue };
            if is_key(text) {
                let message = format!("the key that encrypts Secrets is in {}", subject(plane));
                let finding = Finding::new(pointer, message)
                    .note("keep it in the secrets bundle (`talosctl gen secrets`), encrypted with SOPS or outside of git")
                    .note(STEPS);
                context.place(&RULE, &plane.object, finding, found);
            }
        }
    }
}

/// Pointers of the keys in a configuration.
fn keys(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (idx, entry) in value["resources"].as_array().into_iter().flatten().enumerate() {
        for (provider_idx, provider) in entry["providers"].as_array().into_iter().flatten().enumerate() {
            for name in ["secretbox", "aescbc", "aesgcm"] {
                for (key_idx, key) in provider[name]["keys"].as_array().into_iter().flatten().enumerate() {
                    if key["secret"].as_str().is_some_and(is_key) {
                        let at =
                            format!("/resources/{idx}/providers/{provider_idx}/{name}/keys/{key_idx}/secret");
                        found.push(at);
                    }
                }
            }
        }
    }
    found
}

/// Base64 of 16, 24 or 32 bytes: no placeholder or variable is.
fn is_key(text: &str) -> bool {
    let text = text.trim();
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let is_base64 = digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    is_base64 && matches!((digits.len(), padding), (22, 2) | (32, 0) | (43, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_base64_of_a_keys_length() {
        for key in ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "AAECAwQFBgcICQoLDA0ODw=="] {
            assert!(is_key(key), "{key}");
        }
        for other in ["", "${ENCRYPTION_KEY}", "<BASE 64 ENCODED SECRET>", "REPLACE-ON-EACH-HOST", "c2VjcmV0"]
        {
            assert!(!is_key(other), "{other}");
        }
    }
}
