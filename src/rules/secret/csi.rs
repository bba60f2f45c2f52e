//! The Secrets Store CSI driver in the place of a Secret: it makes the Secret while a pod mounts it, so the workloads that use
//! it have to.
//!
//! Parameters are those of each provider:
//! <https://github.com/aws/secrets-store-csi-driver-provider-aws>,
//! <https://github.com/GoogleCloudPlatform/secrets-store-csi-driver-provider-gcp>,
//! <https://azure.github.io/secrets-store-csi-driver-provider-azure/docs/getting-started/usage/>,
//! <https://developer.hashicorp.com/vault/docs/platform/k8s/csi/configurations>.

use std::collections::BTreeMap;

use super::replacement::{load_command, places, remote_keys};
use super::secret_in_plain_manifest::{RULE, by_hand};
use super::uses::{How, Use};
use super::{Context, place};
use crate::config::{Provider, Vault};
use crate::model::{Layout, Object};
use crate::rules::{Change, Finding, RepoFindings, Safety, Severity, Whole};
use crate::template::{RemoteKey, SecretOutline};

/// Files what takes the Secret's place, and the volumes of the workloads that use it: all of it or nothing.
pub(super) fn propose(
    context: &Context<'_>,
    object: &Object,
    secret: &SecretOutline,
    vault: &Vault,
    path: Option<&str>,
    finding: Finding,
    found: &mut RepoFindings,
) {
    match proposal(context, object, secret, vault, path, finding.clone()) {
        Err(reason) => place(context.model, &RULE, object, by_hand(finding, reason), found),
        Ok((finding, mounts)) => {
            let fix = format!("secret {} {}", context.model.file(object).path, object.id);
            place(context.model, &RULE, object, finding.together(fix.clone()), found);
            for (workload, mount) in mounts {
                place(context.model, &RULE, &workload, mount.together(fix.clone()), found);
            }
        }
    }
}

fn proposal(
    context: &Context<'_>,
    object: &Object,
    secret: &SecretOutline,
    vault: &Vault,
    path: Option<&str>,
    finding: Finding,
) -> Result<(Finding, Vec<(Object, Finding)>), String> {
    // Without a key in its name, a secret of Azure's holds one value.
    let path = match (path, vault.provider) {
        (None, Provider::Azure) => Some("{namespace}-{name}-{key}"),
        (path, _) => path,
    };
    let remote = remote_keys(context, object, secret, Some(vault.provider), path)?;
    if remote.iter().any(|key| key.property.is_some())
        && matches!(vault.provider, Provider::Azure | Provider::Gcp)
    {
        return Err(
            "the driver's provider gives whole secrets only: configure a `path` with `{key}`".to_owned()
        );
    }
    let namespaces = context.model.namespaces(object);
    let users: Vec<&Use> = context.uses.of_secret(context.model, &secret.name, &namespaces).collect();
    let mounts = mounts(context, secret, &users)?;
    let parameters = parameters(context, object, secret, vault, &remote);
    let objects: Vec<String> =
        secret.keys.iter().zip(&remote).map(|(key, remote)| alias(vault, &key.key, remote)).collect();
    let templates = context.settings.templates;
    let rendered = templates.secret_provider_class(secret, vault.provider, &parameters, &objects);
    let rendered = rendered.map_err(|error| error.to_string())?;
    let finding = finding
        .safety(Safety::Review)
        .whole(Whole::Replaced(rendered))
        .note(format!("first put new values where the driver finds them: {}", places(&remote)))
        .note(load_command(vault, &remote))
        .note("the driver must be installed to make Secrets (`syncSecret.enabled`), and the accounts of the pods may read them");
    Ok((finding, mounts))
}

/// The volume and the mount in every workload that uses the Secret.
fn mounts(
    context: &Context<'_>,
    secret: &SecretOutline,
    users: &[&Use],
) -> Result<Vec<(Object, Finding)>, String> {
    let mut by_object: BTreeMap<(usize, usize, &str), &Object> = BTreeMap::new();
    for user in users {
        let (kind, name) = (&user.object.id.kind, &user.object.id.name);
        if user.how == How::PullSecret {
            return Err(format!("{kind}/{name} pulls images with it, before anything is mounted"));
        }
        let file = context.model.file(&user.object);
        if matches!(user.object.layout, Some(Layout::PodSpec { .. })) {
            if let Some(marker) = file.marker {
                return Err(format!("{kind}/{name} must mount it and is not edited: {}", marker.detail()));
            }
            if let Some(patch) = context.model.builds.patches_on(&file.path, &user.object.id).next() {
                return Err(format!("{kind}/{name} must mount it, and a patch changes that: {}", patch.path));
            }
            let at = (user.object.file, user.object.document, &*user.object.pointer);
            by_object.insert(at, &user.object);
        }
    }
    if by_object.is_empty() {
        return Err(
            "the driver makes a Secret only while a pod mounts it, and no workload of the repo uses this one"
                .to_owned(),
        );
    }
    let name = volume_name(&secret.name);
    let path = format!("/mnt/secrets-store/{}", secret.name);
    let rendered = context.settings.templates.csi_volume(&name, &secret.name, &path);
    let rendered = rendered.map_err(|error| error.to_string())?;
    let mut mounts = Vec::new();
    for object in by_object.into_values() {
        let Some(value) = context.model.value(object) else { continue };
        let Some(layout) = &object.layout else { continue };
        let pods = crate::model::pods(layout, &value);
        let first = pods
            .first()
            .and_then(|pod| Some((pod, pod.containers.iter().find(|c| c.role == crate::model::Role::Main)?)));
        let Some((pod, container)) = first else { continue };
        let (kind, object_name) = (&object.id.kind, &object.id.name);
        let message =
            format!("{kind}/{object_name} must mount Secret/{} for the driver to make it", secret.name);
        let finding = Finding::new(format!("{}/volumes", pod.pointer), message)
            .safety(Safety::Review)
            .severe(Severity::Medium)
            .change(Change::append(format!("{}/volumes", pod.pointer), rendered.volume.clone()))
            .change(Change::append(format!("{}/volumeMounts", container.pointer), rendered.mount.clone()));
        mounts.push((object.clone(), finding));
    }
    Ok(mounts)
}

/// A volume's name is a DNS label.
fn volume_name(secret: &str) -> String {
    let name: String = secret.chars().map(|c| if c == '.' { '-' } else { c }).take(50).collect();
    format!("{}-store", name.trim_end_matches('-'))
}

/// The name by which the driver knows the value of a key.
fn alias(vault: &Vault, key: &str, remote: &RemoteKey) -> String {
    match vault.provider {
        Provider::Azure => remote.key.clone(),
        Provider::Gcp | Provider::Vault => key.to_owned(),
        Provider::Aws if remote.property.is_some() => key.to_owned(),
        Provider::Aws => remote.key.clone(),
    }
}

fn parameters(
    context: &Context<'_>,
    object: &Object,
    secret: &SecretOutline,
    vault: &Vault,
    remote: &[RemoteKey],
) -> Vec<(String, String)> {
    let text =
        |key: &str, value: &Option<String>| value.as_ref().map(|value| (key.to_owned(), value.clone()));
    let pairs: Vec<(&str, &RemoteKey)> = secret.keys.iter().map(|key| key.key.as_str()).zip(remote).collect();
    let mut objects = String::new();
    match vault.provider {
        Provider::Aws => {
            let names: std::collections::BTreeSet<&str> = remote.iter().map(|key| key.key.as_str()).collect();
            for name in names {
                objects += &format!("- objectName: {}\n  objectType: secretsmanager\n", quoted(name));
                let inner: Vec<&str> = pairs
                    .iter()
                    .filter(|(_, r)| r.key == name && r.property.is_some())
                    .map(|(key, _)| *key)
                    .collect();
                if !inner.is_empty() {
                    objects += "  jmesPath:\n";
                }
                for key in inner {
                    objects += &format!(
                        "  - path: {}\n    objectAlias: {}\n",
                        quoted(&identifier(key)),
                        quoted(key)
                    );
                }
            }
            [text("region", &vault.region), Some(("objects".to_owned(), objects))]
                .into_iter()
                .flatten()
                .collect()
        }
        Provider::Gcp => {
            let project = vault.project.as_deref().unwrap_or_default();
            for (key, remote) in &pairs {
                let resource = format!("projects/{project}/secrets/{}/versions/latest", remote.key);
                objects += &format!("- resourceName: {}\n  path: {}\n", quoted(&resource), quoted(key));
            }
            vec![("secrets".to_owned(), objects)]
        }
        Provider::Azure => {
            objects += "array:\n";
            for (_, remote) in &pairs {
                objects += &format!("- |\n  objectName: {}\n  objectType: secret\n", quoted(&remote.key));
            }
            let url = vault.url.as_deref().unwrap_or_default();
            let name = url.trim_start_matches("https://").split('.').next().unwrap_or_default().to_owned();
            let name = Some(("keyvaultName".to_owned(), name));
            [name, text("tenantId", &vault.tenant), Some(("objects".to_owned(), objects))]
                .into_iter()
                .flatten()
                .collect()
        }
        Provider::Vault => {
            for (key, remote) in &pairs {
                let path = format!("{}/data/{}", vault.mount, remote.key);
                let inner = remote.property.as_deref().unwrap_or("value");
                objects += &format!(
                    "- objectName: {}\n  secretPath: {}\n  secretKey: {}\n",
                    quoted(key),
                    quoted(&path),
                    quoted(inner)
                );
            }
            let namespace = context.model.namespaces(object).into_iter().next();
            let role = vault.role.clone().or(namespace).unwrap_or_else(|| "default".to_owned());
            vec![
                ("vaultAddress".to_owned(), vault.url.clone().unwrap_or_default()),
                ("roleName".to_owned(), role),
                ("objects".to_owned(), objects),
            ]
        }
    }
}

/// A string of YAML, quoted where it may have to be.
fn quoted(text: &str) -> String {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let is_word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .contains(&text.to_ascii_lowercase().as_str());
    match text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_inner) && !is_word {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

/// A JMESPath identifier; with quotes it may have any character.
fn identifier(key: &str) -> String {
    let is_plain = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_plain { key.to_owned() } else { serde_json::Value::from(key).to_string() }
}
