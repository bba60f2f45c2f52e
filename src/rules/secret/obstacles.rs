//! Why another object cannot take the place of a Secret.

use serde_json::Value;

use crate::model::{Model, Object};
use crate::repo::folder;
use crate::secret::{Entry, Nature};
use crate::template::{OutlinedKey, SecretOutline};

/// Written by `kubectl apply`: the whole object as it was, values included. It never goes along.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What keeps a Secret where it is, if anything does.
pub(super) fn obstacle(
    model: &Model<'_>,
    object: &Object,
    value: &Value,
    entries: &[Entry],
) -> Option<String> {
    let file = model.file(object);
    if let Some(marker) = file.marker {
        return Some(format!("not edited: {}", marker.detail()));
    }
    if !object.pointer.is_empty() {
        return Some("it is an item of a list: give it a document of its own".to_owned());
    }
    if object.id.name.is_empty() || object.id.name.contains('*') || object.id.name.contains('$') {
        return Some("its name is not known before it is deployed".to_owned());
    }
    if value["metadata"]["namespace"].as_str().is_none() && !value["metadata"]["namespace"].is_null() {
        return Some("its namespace is no text: put it in quotes".to_owned());
    }
    let in_metadata = |key: &str| value["metadata"].get(key).is_some();
    if let Some(key) =
        ["ownerReferences", "finalizers", "deletionTimestamp"].into_iter().find(|key| in_metadata(key))
    {
        return Some(format!("its metadata has `{key}`: something else looks after it"));
    }
    by_type(value)
        .or_else(|| by_value(entries))
        .or_else(|| by_builds(model, object))
        .or_else(|| other_maker(model, object))
}

fn by_type(value: &Value) -> Option<String> {
    match value["type"].as_str() {
        Some("helm.sh/release.v1") => Some("Helm keeps a release in it: take it out of the repo".to_owned()),
        Some("bootstrap.kubernetes.io/token") => {
            Some("it lets nodes join: make such tokens when they are needed, for a day".to_owned())
        }
        _ => {
            let annotations = value["metadata"]["annotations"].as_object();
            let hook = annotations
                .into_iter()
                .flat_map(|map| map.keys())
                .find(|key| ["helm.sh/hook", "argocd.argoproj.io/hook"].contains(&key.as_str()))?;
            Some(format!("`{hook}` says when it is made: a controller would make it whenever it likes"))
        }
    }
}

fn by_value(entries: &[Entry]) -> Option<String> {
    let first = |nature: Nature| entries.iter().find(|entry| entry.nature == nature).map(|entry| &entry.key);
    let filled = first(Nature::FilledIn)
        .map(|key| format!("`{key}` is filled in when it is deployed: that would be lost"));
    let placeholder =
        || first(Nature::Placeholder).map(|key| format!("`{key}` asks to be replaced: fill it in first"));
    let empty =
        || first(Nature::Empty).map(|key| format!("`{key}` is empty: fill it in or take it out first"));
    filled.or_else(placeholder).or_else(empty)
}

fn by_builds(model: &Model<'_>, object: &Object) -> Option<String> {
    let path = &model.file(object).path;
    if let Some(patch) = model.builds.patches_on(path, &object.id).next() {
        return Some(format!("a patch changes it: {}", patch.path));
    }
    for kustomization in model.builds.using(path) {
        if kustomization.renames() {
            return Some(format!("{} gives it another name", kustomization.path));
        }
        if kustomization.generated_secrets.iter().any(|name| **name == *object.id.name) {
            return Some(format!("a generator of {} adds to it", kustomization.path));
        }
    }
    None
}

/// Another object that makes a Secret of the same name.
fn other_maker(model: &Model<'_>, object: &Object) -> Option<String> {
    let places = model.namespaces(object);
    let shares = |other: &Object| {
        let others = model.namespaces(other);
        others.is_empty() || places.is_empty() || others.iter().any(|place| places.contains(place))
    };
    let maker = model.objects().find(|other| {
        let target = match &*other.id.kind {
            "ExternalSecret" => target_name(model, other, "/spec/target/name"),
            "SealedSecret" => target_name(model, other, "/spec/template/metadata/name"),
            "Certificate" => target_name(model, other, "/spec/secretName"),
            _ => return false,
        };
        target.as_deref() == Some(&*object.id.name) && shares(other)
    })?;
    let (kind, name) = (&maker.id.kind, &maker.id.name);
    Some(format!("{kind}/{name} ({}) makes it too", model.file(maker).path))
}

fn target_name(model: &Model<'_>, object: &Object, pointer: &str) -> Option<String> {
    let value = model.value(object)?;
    let name = value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    name.or_else(|| Some(object.id.name.to_string()))
}

/// A Secret without its values, in the namespace it writes itself.
pub(super) fn outline(object: &Object, value: &Value, entries: &[Entry]) -> SecretOutline {
    let texts = |field: &str| -> Vec<(String, String)> {
        let pairs = value["metadata"][field].as_object().into_iter().flatten();
        let kept = pairs.filter(|(key, _)| *key != LAST_APPLIED);
        kept.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    let key = |entry: &Entry| OutlinedKey {
        key: entry.key.clone(),
        is_binary: std::str::from_utf8(&entry.value).is_err(),
    };
    SecretOutline {
        namespace: object.id.namespace.as_deref().map(str::to_owned),
        name: object.id.name.to_string(),
        labels: texts("labels"),
        annotations: texts("annotations"),
        kind: value["type"].as_str().filter(|kind| *kind != "Opaque" && !kind.is_empty()).map(str::to_owned),
        immutable: value["immutable"] == true,
        keys: entries.iter().map(key).collect(),
    }
}

/// The folder an object's file is in.
pub(super) fn home<'m>(model: &'m Model<'_>, object: &Object) -> &'m str {
    folder(&model.file(object).path)
}
