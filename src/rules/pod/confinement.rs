//! What seccomp and AppArmor profiles have in common: a type in the security context of the pod or of a container,
//! and annotations from before there was a field.
//!
//! Knows how both are written, not what a rule makes of it.

use serde_json::{Map, Value, json};

use crate::model::{Container, Pod};
use crate::rules::Change;

/// The type of a profile: empty when there is a profile that names none, nothing when there is no profile.
pub(super) fn profile_type<'a>(context: &'a Value, field: &str) -> Option<&'a str> {
    context[field].as_object().map(|profile| profile.get("type").and_then(Value::as_str).unwrap_or_default())
}

pub(super) fn is_confined(profile_type: &str) -> bool {
    matches!(profile_type, "RuntimeDefault" | "Localhost")
}

/// The type of the pod's profile if it confines nothing.
pub(super) fn unconfined_pod<'a>(pod: &'a Pod<'_>, field: &str) -> Option<&'a str> {
    profile_type(&pod.spec["securityContext"], field).filter(|kind| !is_confined(kind))
}

/// Containers that choose a profile that confines nothing, with its type.
pub(super) fn unconfined_containers<'p, 'a>(
    pod: &'p Pod<'a>,
    field: &'p str,
) -> impl Iterator<Item = (&'p Container<'a>, &'p str)> {
    pod.containers.iter().filter_map(move |container| {
        let kind =
            profile_type(&container.value["securityContext"], field).filter(|kind| !is_confined(kind))?;
        Some((container, kind))
    })
}

/// Makes the profile at `pointer` the runtime's own, with one line where that is possible.
pub(super) fn use_runtime_default(pointer: &str, profile: &Value) -> Change {
    // The API server takes the name of a profile with the type `Localhost` only.
    if profile.get("localhostProfile").is_some() {
        return Change::set(pointer, json!({"type": "RuntimeDefault"}));
    }
    Change::set(format!("{pointer}/type"), "RuntimeDefault")
}

/// Names a type in a message.
pub(super) fn described(profile_type: &str) -> String {
    if profile_type.is_empty() { "a profile without a type".to_owned() } else { format!("`{profile_type}`") }
}

/// Annotations of the pod whose key starts with `prefix` and whose value does not confine.
pub(super) fn unconfined_annotations<'p>(
    pod: &'p Pod<'_>,
    prefix: &'p str,
    is_confined: fn(&str) -> bool,
) -> impl Iterator<Item = (&'p str, &'p str)> {
    let annotations = pod.annotations.into_iter().flat_map(Map::iter);
    annotations
        .map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
        .filter(move |(key, value)| key.starts_with(prefix) && !is_confined(value))
}

/// Where an annotation of the pod is.
pub(super) fn annotation(pod: &Pod<'_>, key: &str) -> String {
    format!("{}/annotations/{}", pod.metadata, crate::pointer::token(key))
}
