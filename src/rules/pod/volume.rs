//! Volumes of a pod and who mounts them.
//!
//! Knows the lists, not what a rule makes of them.

use serde_json::Value;

use crate::model::{Container, Layout, Pod};
use crate::rules::Workload;

pub(super) fn all<'a>(pod: &'a Pod<'_>) -> impl Iterator<Item = (usize, &'a Value)> {
    pod.spec["volumes"].as_array().into_iter().flatten().enumerate()
}

/// Where a volume is written, as far as that is known: the volumes of an Argo pod come from two lists.
pub(super) fn pointer(workload: &Workload<'_>, pod: &Pod<'_>, idx: usize) -> String {
    let list = format!("{}/volumes", pod.pointer);
    if matches!(workload.object.layout, Some(Layout::Argo { .. })) { list } else { format!("{list}/{idx}") }
}

/// How messages name a volume.
pub(super) fn named(workload: &Workload<'_>, volume: &Value) -> String {
    let (kind, name) = (&workload.object.id.kind, &workload.object.id.name);
    format!("volume `{}` of {kind}/{name}", volume["name"].as_str().unwrap_or_default())
}

pub(super) fn has_source(volume: &Value, source: &str) -> bool {
    volume.get(source).is_some_and(Value::is_object)
}

/// Mounts of a container, with the index of each.
pub(super) fn mounts<'a>(container: &'a Container<'_>) -> impl Iterator<Item = (usize, &'a Value)> {
    container.value["volumeMounts"].as_array().into_iter().flatten().enumerate()
}
