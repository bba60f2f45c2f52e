//! Takes back fixes that a patch of some overlay would break, or that it would turn into an object the API
//! server or the kubelet refuses.
//!
//! Knows what patches say; nothing of single rules beyond the fields they set.

use serde_json::Value;

use super::{Change, Finding, Workload};
use crate::model::{Patch, PatchBody, Pod};
use crate::pointer::within;

pub(super) fn hold_back(workload: &Workload<'_>, findings: &mut [Finding]) {
    if workload.patches.is_empty() {
        return;
    }
    for finding in findings.iter_mut().filter(|finding| !finding.changes.is_empty()) {
        let against = workload.patches.iter().find_map(|patch| {
            let is_alone = finding.changes.len() == 1;
            let conflict = |change| conflict(workload, patch, change, is_alone);
            let reason = finding.changes.iter().find_map(conflict)?;
            Some(format!("{reason}: {}", patch.path))
        });
        if let Some(reason) = against {
            finding.make_manual(reason);
        }
    }
}

fn conflict(workload: &Workload<'_>, patch: &Patch, change: &Change, is_alone: bool) -> Option<&'static str> {
    match &patch.body {
        PatchBody::Json(_) => {
            patch.steps().find_map(|(operation, path)| json_conflict(operation, path, change, is_alone))
        }
        PatchBody::Merge(merge) => workload.pods.iter().find_map(|pod| merge_conflict(pod, merge, change)),
    }
}

/// `is_alone`: whether the change is all of its fix.
fn json_conflict(operation: &str, path: &str, change: &Change, is_alone: bool) -> Option<&'static str> {
    let pointer = change.pointer();
    match change {
        Change::Remove { .. } if within(path, pointer) => {
            Some("a patch refers to the value that the fix removes")
        }
        _ if operation == "test" && (within(pointer, path) || within(path, pointer)) => {
            Some("a patch tests a value that the fix changes")
        }
        // What the fix appends goes with the list that the patch replaces; its mount or its use stays behind.
        Change::Append { .. }
            if !is_alone && matches!(operation, "add" | "replace" | "remove") && within(pointer, path) =>
        {
            Some("a patch replaces the list that the fix appends to")
        }
        _ => None,
    }
}

/// A strategic merge keeps what the fix sets and adds its own: some pairs are refused.
fn merge_conflict(pod: &Pod<'_>, merge: &Value, change: &Change) -> Option<&'static str> {
    let pointer = change.pointer();
    let spec = merge.pointer(&pod.pointer)?;
    if replaces_lists(spec) && matches!(change, Change::Append { .. }) {
        return Some("a patch replaces a list that the fix appends to");
    }
    let field = pointer.rsplit('/').next()?;
    let contexts = contexts(pod, spec, pointer);
    match field {
        "allowPrivilegeEscalation" if contexts.iter().any(|context| gains_privileges(context)) => Some(
            "a patch makes the container privileged, which the API server refuses without privilege escalation",
        ),
        "runAsNonRoot" if contexts.iter().any(|context| runs_as_root(context)) => {
            Some("a patch runs it as root, which the kubelet refuses with `runAsNonRoot: true`")
        }
        _ => None,
    }
}

fn replaces_lists(spec: &Value) -> bool {
    ["containers", "initContainers", "volumes"]
        .iter()
        .any(|list| spec[list].as_array().into_iter().flatten().any(|item| item["$patch"] == "replace"))
}

/// Security contexts in the patch that are merged with the one at `pointer`: those of the same container, or of
/// all of them when the pointer is the pod's.
fn contexts<'a>(pod: &Pod<'_>, spec: &'a Value, pointer: &str) -> Vec<&'a Value> {
    let container = pod.containers.iter().find(|container| within(pointer, &container.pointer));
    let mut contexts = vec![&spec["securityContext"]];
    for list in ["containers", "initContainers"] {
        for item in spec[list].as_array().into_iter().flatten() {
            if container.is_none_or(|container| item["name"] == container.name) {
                contexts.push(&item["securityContext"]);
            }
        }
    }
    contexts
}

fn gains_privileges(context: &Value) -> bool {
    let added = context["capabilities"]["add"].as_array().into_iter().flatten();
    context["privileged"] == true
        || added.into_iter().any(|name| name == "SYS_ADMIN" || name == "CAP_SYS_ADMIN")
}

fn runs_as_root(context: &Value) -> bool {
    context["runAsUser"] == 0 || context["runAsNonRoot"] == false
}
