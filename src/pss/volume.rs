//! Checks on where a pod's volumes come from. Knows the pod as read.

use std::collections::BTreeSet;

use json_patch::jsonptr::PointerBuf;
use serde_json::Value;

use super::pod::{Pod, text};
use super::wording::{Forbidden, counted};

/// Sources that give a pod nothing of its node and no network client inside the kernel.
pub(super) const ALLOWED_SOURCES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// Everything else, in the order upstream looks for them: the first that is set names the volume's type.
const RESTRICTED_SOURCES: [&str; 21] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "nfs",
    "iscsi",
    "glusterfs",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "fc",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
];

fn has_source(volume: &Value, source: &str) -> bool {
    volume.get(source).is_some_and(Value::is_object)
}

pub(super) fn host_paths(pod: &Pod<'_>) -> Option<Forbidden> {
    let mut names = Vec::new();
    let mut fields = Vec::new();
    for (index, volume) in pod.volumes.iter().enumerate() {
        if has_source(volume, "hostPath") {
            names.push(text(volume.get("name")));
            fields.push(PointerBuf::from_tokens(["volumes", &index.to_string(), "hostPath"]));
        }
    }
    let forbidden =
        || Forbidden { reason: "hostPath volumes", detail: counted("volume", names.len(), &names), fields };
    (!names.is_empty()).then(forbidden)
}

pub(super) fn restricted(pod: &Pod<'_>) -> Option<Forbidden> {
    let mut names = Vec::new();
    let mut kinds = BTreeSet::new();
    let mut fields = Vec::new();
    for (index, volume) in pod.volumes.iter().enumerate() {
        // One walk over the few keys a volume has, instead of a look-up for each source there is.
        let mut sources = volume.as_object().into_iter().flatten();
        if sources.any(|(key, source)| source.is_object() && ALLOWED_SOURCES.contains(&key.as_str())) {
            continue;
        }
        let kind = RESTRICTED_SOURCES.into_iter().find(|source| has_source(volume, source));
        if kind.is_none() && pod.default_volumes {
            continue;
        }
        names.push(text(volume.get("name")));
        kinds.insert(kind.unwrap_or("unknown"));
        let index = index.to_string();
        let place = ["volumes", index.as_str()].into_iter().chain(kind);
        fields.push(PointerBuf::from_tokens(place));
    }
    if names.is_empty() {
        return None;
    }
    let volumes = counted("volume", names.len(), &names);
    let verb = if names.len() == 1 { "uses" } else { "use" };
    let kinds = counted("restricted volume type", kinds.len(), kinds);
    Some(Forbidden { reason: "restricted volume types", detail: format!("{volumes} {verb} {kinds}"), fields })
}
