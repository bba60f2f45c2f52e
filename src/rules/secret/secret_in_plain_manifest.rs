//! See the rule's own docs below.

use super::obstacles::obstacle;
use super::{Context, listed, place, replacement};
use crate::model::Object;
use crate::rules::{Area, Check, Finding, RepoFindings, Severity};
use crate::secret::{
    Entry, Nature, entries, file_content, holds_real_values, is_secret_name, is_secret_object, literal,
};

crate::rules::rule! {
    /// A Secret in the repo holds its values in plain text.
    ///
    /// ## Why
    /// Base64 is no encryption: whoever can read the repo, a copy of it or its history has the values.
    ///
    /// ## Fix
    /// With `[secrets] store` in the configuration, another object takes the Secret's place, in the same document, and makes
    /// the same Secret in the cluster: same name, keys and type, so that everything that refers to it stays as it is.
    ///
    /// - `external-secrets`: an ExternalSecret, and with a `provider` the store it reads from.
    /// - `sealed-secrets`: a SealedSecret, encrypted by `kubeseal` with the certificate that is configured.
    /// - `sops`: the same Secret, encrypted by `sops`; a file of its own when others are in its file.
    /// - `csi`: a SecretProviderClass, and the volume in the workloads that use the Secret.
    ///
    /// No value is ever printed or written anywhere. Since the lines that go hold the values, `diff` leaves such changes
    /// out unless it is told to `--show-secrets`; `apply` and `branch` make them.
    ///
    /// Whatever the fix: **the values have been seen. Replace them where they come from.** The history of the repo keeps
    /// them, and so do the audit log, backups and etcd of every cluster they went to.
    ///
    /// Not reported: values that are filled in when they are deployed (`${VAR}` and the like), certificates and public keys
    /// alone, and tokens of service accounts (`long-lived-token-secret`).
    ///
    /// ## What could break
    /// Everything that uses the Secret, until its store holds the values and its controller runs in the cluster.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/security/secrets-good-practices/>
    /// - <https://external-secrets.io/latest/api/externalsecret/>
    /// - <https://github.com/bitnami-labs/sealed-secrets>
    /// - <https://getsops.io/docs/>
    /// - <https://secrets-store-csi-driver.sigs.k8s.io/topics/sync-as-kubernetes-secret>
    {
        id: "secret-in-plain-manifest",
        area: Area::Secret,
        severity: Severity::Critical,
        pss: None,
        known_as: &[("CIS", "5.4.2"), ("kubescape", "C-0208, C-0234")],
        check: Check::Repo,
    }
}

pub(super) fn check(context: &mut Context<'_>, found: &mut RepoFindings) {
    let model = context.model;
    for object in model.objects().filter(|object| is_secret_object(&object.id)) {
        let Some(value) = model.value(object) else { continue };
        if model.file(object).context_only || value["type"] == "kubernetes.io/service-account-token" {
            continue;
        }
        let entries = entries(&value);
        if !holds_real_values(&entries) {
            if let Some(finding) = placeholder(object, &entries) {
                place(model, &RULE, object, finding, found);
            }
            continue;
        }
        let finding = described(context, object, &entries);
        match obstacle(model, object, &value, &entries) {
            Some(reason) => place(model, &RULE, object, by_hand(finding, reason), found),
            None => replacement::propose(context, object, &value, &entries, finding, found),
        }
    }
    generators(context, found);
    replacement::missing_stores(context, found);
}

pub(super) fn by_hand(mut finding: Finding, reason: impl Into<String>) -> Finding {
    finding.make_manual(reason);
    finding
}

fn described(context: &Context<'_>, object: &Object, entries: &[Entry]) -> Finding {
    let secret = entries.iter().filter(|entry| entry.nature == Nature::Secret);
    let keys: Vec<String> = secret.clone().map(|entry| format!("`{}`", entry.key)).collect();
    let name = &object.id.name;
    let message = match keys.as_slice() {
        [key] => format!("Secret/{name} holds {key} in plain text"),
        keys => format!("Secret/{name} holds {} values in plain text: {}", keys.len(), listed(keys)),
    };
    let pointer = secret.map(|entry| entry.pointer.clone()).next().unwrap_or_default();
    let mut finding = Finding::new(pointer, message)
        .note("replace the values where they come from: the history of the repo keeps the old ones");
    if !entries.iter().any(looks_secret) {
        finding =
            finding.severe(Severity::Medium).note("none of them looks like a secret: a ConfigMap may do");
    }
    let namespaces = context.model.namespaces(object);
    let users = context.uses.of_secret(context.model, name, &namespaces);
    let users: Vec<String> = users.map(ToString::to_string).collect();
    if !users.is_empty() {
        finding = finding.evidence(format!("used by {}", listed(&users)));
    }
    let readers = context.readers.of(&namespaces, name);
    if !readers.is_empty() {
        finding = finding.evidence(format!("roles of the repo let {} read it", listed(&readers)));
    }
    finding
}

/// Whether a value is a secret by its name or its form, as opposed to settings that were put into a Secret.
fn looks_secret(entry: &Entry) -> bool {
    entry.nature == Nature::Secret
        && match std::str::from_utf8(&entry.value) {
            Err(_) => true,
            Ok(text) if text.trim().contains('\n') => !file_content(text).is_empty(),
            Ok(text) => {
                is_secret_name(&entry.key) || literal("key", text).is_some() || entry.key.ends_with("key")
            }
        }
}

/// A Secret that asks to be filled in, and works without.
fn placeholder(object: &Object, entries: &[Entry]) -> Option<Finding> {
    let entry = entries.iter().find(|entry| entry.nature == Nature::Placeholder)?;
    let message = format!("Secret/{} asks to have `{}` replaced", object.id.name, entry.key);
    let note = "deployed as it is, everybody knows the value; filled in here, the repo holds it";
    Some(Finding::new(entry.pointer.clone(), message).severe(Severity::Low).note(note))
}

/// Literals of `secretGenerator`: their names get a suffix of the contents, so nothing else can take their place as they
/// stand.
fn generators(context: &Context<'_>, found: &mut RepoFindings) {
    for kustomization in context.model.builds.kustomizations() {
        if kustomization.generated_secrets.is_empty() {
            continue;
        }
        let Some(file) = context.model.repo().files.iter().position(|file| file.path == kustomization.path)
        else {
            continue;
        };
        let stream = &context.model.repo().files[file].stream;
        let Some(value) = stream.root(0).and_then(|root| root.value().ok()) else { continue };
        for (idx, generator) in value["secretGenerator"].as_array().into_iter().flatten().enumerate() {
            let literals: Vec<&str> = generator["literals"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|literal| literal.as_str())
                .collect();
            let Some((at, key)) = first_literal(&literals) else { continue };
            let name = generator["name"].as_str().unwrap_or_default();
            let id = crate::model::ObjectId::named(
                "kustomize.config.k8s.io/v1beta1",
                "Kustomization",
                &kustomization.path,
            );
            let object = Object { file, document: 0, pointer: "".into(), id, layout: None };
            let message = format!("the generator of Secret/{name} holds `{key}` in plain text");
            let finding = Finding::new(format!("/secretGenerator/{idx}/literals/{at}"), message)
                .note("replace the values where they come from: the history of the repo keeps the old ones")
                .note(
                    "its name gets a suffix of its contents, so that it cannot be sealed as it stands: generate it from a \
                     file that the repo does not have, or have a store make a Secret of a fixed name",
                );
            place(context.model, &RULE, &object, finding, found);
        }
    }
}

fn first_literal<'l>(literals: &[&'l str]) -> Option<(usize, &'l str)> {
    literals.iter().enumerate().find_map(|(at, literal)| {
        let (key, value) = literal.split_once('=')?;
        let secret = serde_json::json!({"stringData": {key: value.trim_matches(['"', '\''])}});
        holds_real_values(&entries(&secret)).then_some((at, key))
    })
}
