//! See the rule's own docs below.

use serde_json::{Value, json};

use super::*;
use crate::config::Encryption;
use crate::rules::{Area, Check, Severity};
use crate::template::EncryptedWith;

crate::rules::rule! {
    /// Secrets are stored in plain text.
    ///
    /// ## Why
    /// Whoever gets a disk, a snapshot or a backup of etcd has every Secret of the cluster.
    ///
    /// ## Fix
    /// k3s: `secrets-encryption: true`, which makes its key on the host; RKE2 encrypts unless told not to. kOps:
    /// `encryptionConfig: true`, with the configuration in kOps' secret store. kubeadm, kind and static pods: with
    /// `cluster.encryption = "kms"` (and `kms-endpoint`) in caseharden.toml an `EncryptionConfiguration` for a KMS v2
    /// plugin, or with `"secretbox"` one whose key is filled in on each host, the flag and the mounts (template
    /// `cluster/encryption-config.yaml`). Never a key: one that is in git protects nothing. Without the setting it is
    /// reported only, as none of these can be guessed. EKS: needs the ARN of a key, reported. A configuration that is
    /// there already: `identity` in the first place stores new Secrets in plain text, which no API server complains about;
    /// it goes to the end. `aescbc` (padding oracle), `aesgcm` without rotation and KMS v1 are reported.
    ///
    /// ## What could break
    /// Without its key no API server can read a Secret again: back the key up where etcd's backups are not. What is there
    /// stays as it is until it is written again.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/>
    /// - <https://kubernetes.io/docs/tasks/administer-cluster/kms-provider/>
    {
        id: "encryption-at-rest-off",
        area: Area::Cluster,
        severity: Severity::High,
        pss: None,
        known_as: &[
            ("CIS", "1.2.27, 1.2.28"),
            ("kubescape", "C-0066, C-0141, C-0142"),
            ("checkov", "CKV_K8S_104"),
            ("trivy", "KCV-0030"),
        ],
        check: Check::Repo,
    }
}

const SERVER: Component = Component::ApiServer;
const FLAG: &str = "encryption-provider-config";
const FILE: &str = "encryption-config.yaml";
const REWRITE: &str = "when every API server has it, write all Secrets again: `kubectl get secrets -A -o json | kubectl \
                       replace -f -`; then, and in a later change, take `identity` out";
/// KMS v2 needs no feature gate: <https://kubernetes.io/docs/tasks/administer-cluster/kms-provider/>.
const KMS_2_FROM: u16 = 29;

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    for plane in &context.planes {
        match plane.dialect {
            Dialect::K3s | Dialect::Rke2 => check_rancher(context, plane, found),
            Dialect::Kops => check_kops(context, plane, found),
            Dialect::Eksctl => check_eks(context, plane, found),
            // Talos generates a key with every configuration.
            Dialect::Talos => {}
            _ if plane.runs(SERVER) && plane.effective(SERVER, FLAG).is_none() => {
                check_server(context, plane, found);
            }
            _ => {}
        }
    }
    for part in context.parts.iter().filter(|part| part.is("EncryptionConfiguration")) {
        check_configuration(context, part, found);
    }
}

fn finding(plane: &Plane, pointer: impl Into<String>) -> Finding {
    Finding::new(pointer, format!("{} stores Secrets in plain text", subject(plane)))
}

fn check_server(context: &Context<'_>, plane: &Plane, found: &mut RepoFindings) {
    let settings = context.settings;
    let finding = finding(plane, plane.pointer(SERVER, FLAG));
    let with = match settings.config.cluster.encryption {
        Encryption::Report => None,
        Encryption::Kms => Some(EncryptedWith::Kms { endpoint: &settings.config.cluster.kms_endpoint }),
        Encryption::Secretbox => Some(EncryptedWith::Secretbox),
    };
    let Some(with) = with else {
        let finding = finding.note(
            "say how with `cluster.encryption` in caseharden.toml: \"kms\" where a KMS plugin runs on each control-plane \
             node, else \"secretbox\", whose key is made on the hosts",
        );
        return context.place(&RULE, &plane.object, finding, found);
    };
    if matches!(with, EncryptedWith::Kms { .. }) && plane.version.minor < KMS_2_FROM {
        let finding = finding.note(format!(
            "1.{} has KMS v2 only behind a feature gate, and v1 is gone later: upgrade to 1.{KMS_2_FROM}, or use secretbox",
            plane.version.minor
        ));
        return context.place(&RULE, &plane.object, finding, found);
    }
    let Ok(rendered) = settings.templates.encryption_config(&with) else { return };
    let mut finding = finding.safety(Safety::Review).note(REWRITE);
    match with {
        EncryptedWith::Kms { endpoint } => {
            let socket = endpoint.trim_start_matches("unix://");
            let folder = socket.rsplit_once('/').map_or(socket, |(folder, _)| folder);
            finding = finding
                .changes(plane.mount("kms-socket", folder, folder, false, "DirectoryOrCreate"))
                .note(format!("the KMS plugin must listen at {endpoint} on every control-plane node before"));
        }
        EncryptedWith::Secretbox => {
            finding = finding.note(
                "fill the key in on the hosts, the same on each (`head -c 32 /dev/urandom | base64`), mode 0600; never \
                 commit it: an API server refuses the placeholder and does not start",
            );
        }
    }
    let wanted = WantedFile { flag: FLAG, instead_of: None, name: FILE, text: &rendered.text };
    context.place_with_file(&RULE, plane, finding, &wanted, found);
}

fn check_rancher(context: &Context<'_>, plane: &Plane, found: &mut RepoFindings) {
    const KEY: &str = "/secrets-encryption";
    let written = plane.value.pointer(KEY).and_then(Value::as_bool);
    let is_on = match plane.dialect {
        // https://docs.rke2.io/security/secrets_encryption
        Dialect::Rke2 => written != Some(false),
        _ => written == Some(true),
    };
    if is_on || plane.effective(SERVER, FLAG).is_some() || is_agent(plane) {
        return;
    }
    let program = if plane.dialect == Dialect::Rke2 { "rke2" } else { "k3s" };
    let finding = finding(plane, KEY)
        .change(Change::set(KEY, json!(true)))
        .safety(Safety::Review)
        .note("set it on every server; the key is made on the first one and lies in its database for the others")
        .note(format!(
            "a server that ran without it needs `{program} secrets-encrypt enable`, a restart, and `{program} \
             secrets-encrypt reencrypt`; `{program} secrets-encrypt status` tells"
        ));
    context.place_on(&RULE, plane, finding, found);
}

/// Agents have a server to join and no component of the control plane.
fn is_agent(plane: &Plane) -> bool {
    let is_server =
        ["kube-apiserver-arg", "kube-apiserver-arg+", "cluster-init", "tls-san", "write-kubeconfig-mode"]
            .iter()
            .any(|key| plane.value.get(key).is_some());
    plane.value.get("server").is_some() && !is_server
}

fn check_kops(context: &Context<'_>, plane: &Plane, found: &mut RepoFindings) {
    const KEY: &str = "/spec/encryptionConfig";
    if plane.value.pointer(KEY).and_then(Value::as_bool) == Some(true) {
        return;
    }
    let finding = finding(plane, KEY)
        .change(Change::set(KEY, json!(true)))
        .safety(Safety::Review)
        .note(
            "first `kops create secret encryptionconfig -f FILE`, with a file that is nowhere in git: `caseharden generate \
             apiserver --for kops` has the form",
        )
        .note(REWRITE);
    context.place_on(&RULE, plane, finding, found);
}

fn check_eks(context: &Context<'_>, plane: &Plane, found: &mut RepoFindings) {
    const KEY: &str = "/secretsEncryption/keyARN";
    if plane.value.pointer(KEY).is_some() {
        return;
    }
    let message = format!("{} encrypts Secrets with no key of yours", subject(plane));
    let finding = Finding::new(KEY, message).severe(Severity::Medium).note(
        "set `secretsEncryption: {keyARN: ARN-OF-A-KMS-KEY}`; a cluster that runs takes it with `eksctl utils \
         enable-secrets-encryption`, which also writes all Secrets again, and never gives it back",
    );
    context.place(&RULE, &plane.object, finding, found);
}

/// A configuration that is there: what is it worth?
fn check_configuration(context: &Context<'_>, part: &Part, found: &mut RepoFindings) {
    let resources = part.value["resources"].as_array().into_iter().flatten();
    for (idx, entry) in resources.enumerate() {
        let covers = entry["resources"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if !covers.into_iter().any(|name| ["secrets", "*.", "*.*"].contains(&name)) {
            continue;
        }
        let Some(providers) = entry["providers"].as_array() else { continue };
        let kind = |provider: &Value| {
            provider.as_object().and_then(|map| map.keys().next().cloned()).unwrap_or_default()
        };
        let pointer = format!("/resources/{idx}/providers");
        let at = part.pointer(&format!("{pointer}/0"));
        let first = providers.first().map(kind).unwrap_or_default();
        let report = |text: &str, note: &str| {
            Finding::new(at.clone(), text.to_owned()).severe(Severity::Medium).note(note)
        };
        let finding = match first.as_str() {
            "identity" if providers.len() > 1 => {
                let mut wanted = providers[1..].to_vec();
                wanted.push(providers[0].clone());
                Finding::new(
                    at.clone(),
                    "the EncryptionConfiguration stores Secrets in plain text: identity is first",
                )
                .change(part.wrap(Change::set(pointer, Value::Array(wanted))))
                .safety(Safety::Review)
                .note(REWRITE)
            }
            "identity" => {
                let finding = report(
                    "the EncryptionConfiguration stores Secrets in plain text",
                    "name a KMS, or secretbox",
                );
                finding.severe(Severity::High)
            }
            "aescbc" => report(
                "the EncryptionConfiguration encrypts with aescbc, which upstream discourages for padding oracles",
                "add a KMS v2 plugin or secretbox as first provider, keep aescbc behind it, then write all Secrets again",
            ),
            "aesgcm" => report(
                "the EncryptionConfiguration encrypts with aesgcm, which is safe only with keys that change by themselves",
                "a key must change at least every 200000 writes: use a KMS v2 plugin or secretbox",
            ),
            "kms" if providers[0]["kms"]["apiVersion"].as_str() != Some("v2") => report(
                "the EncryptionConfiguration uses KMS v1, which is off by default since 1.29",
                "add the plugin with `apiVersion: v2` as first provider, keep v1 behind it, then write all Secrets again",
            ),
            _ => continue,
        };
        context.place(&RULE, &part.object, finding, found);
    }
}
