//! Persistent volumes that a pod writes to: a fresh one belongs to root, and one in use to whoever wrote to it.
//!
//! The kubelet gives a volume to the pod's `fsGroup` before containers start, and everybody in the pod is in that group:
//! <https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#configure-volume-permission-and-ownership-change-policy-for-pods>.
//! `OnRootMismatch` makes it look at the top of the volume only, so that not every start waits for all its files.

use serde_json::Value;

use super::volume;
use crate::model::{Container, Pod};
use crate::rules::Workload;

/// Why a pod whose user changes needs an `fsGroup`, and which.
pub(super) struct Shared<'a> {
    pub(super) group: u32,
    container: &'a str,
    volume: &'a str,
    path: &'a str,
}

impl<'a> Shared<'a> {
    /// For the first of the containers, each with the user and group it gets, that writes to a persistent volume.
    pub(super) fn find(
        workload: &Workload<'_>,
        pod: &Pod<'_>,
        changed: impl IntoIterator<Item = (&'a Container<'a>, u32, u32)>,
    ) -> Option<Shared<'a>> {
        if !pod.fields.security_context || !pod.spec["securityContext"]["fsGroup"].is_null() {
            return None;
        }
        changed.into_iter().find_map(|(container, uid, gid)| {
            let (_, mount) = volume::mounts(container).find(|(_, mount)| is_written(workload, pod, mount))?;
            Some(Shared {
                // Root's group is no group of its own.
                group: if gid == 0 { uid } else { gid },
                container: container.name,
                volume: mount["name"].as_str()?,
                path: mount["mountPath"].as_str()?,
            })
        })
    }

    /// Whether it is for this container that the pod needs the group.
    pub(super) fn is_of(&self, container: &Container<'_>) -> bool {
        self.container == container.name
    }

    /// The fact that the group rests on.
    pub(super) fn fact(&self) -> String {
        format!(
            "`{}` mounts the persistent volume `{}` at {}, which belongs to root until the kubelet gives it to group {}",
            self.container, self.volume, self.path, self.group
        )
    }
}

fn is_written(workload: &Workload<'_>, pod: &Pod<'_>, mount: &Value) -> bool {
    if mount["readOnly"] == true {
        return false;
    }
    let source = volume::all(pod).map(|(_, value)| value).find(|value| value["name"] == mount["name"]);
    match source {
        Some(source) => {
            let is_claim = ["persistentVolumeClaim", "ephemeral"]
                .into_iter()
                .any(|kind| volume::has_source(source, kind));
            is_claim && source["persistentVolumeClaim"]["readOnly"] != true
        }
        None => mount["name"].as_str().is_some_and(|name| workload.claim_templates.contains(&name)),
    }
}
