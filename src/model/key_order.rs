//! Where Kubernetes people put a key among the others of its mapping.
//!
//! The order is that of the API reference's own examples: what a thing is, then what it runs, then how.

use crate::yaml::{KeyOrder, Pointer, Slot};

/// Orders keys by the mapping they are in.
#[derive(Debug, Clone, Copy, Default)]
pub struct KubernetesOrder;

const OBJECT: &[&str] = &["apiVersion", "kind", "metadata", "spec", "data", "stringData", "type", "status"];
const METADATA: &[&str] =
    &["name", "generateName", "namespace", "labels", "annotations", "ownerReferences", "finalizers"];
const POD_SPEC: &[&str] = &[
    "restartPolicy",
    "terminationGracePeriodSeconds",
    "activeDeadlineSeconds",
    "priorityClassName",
    "schedulerName",
    "os",
    "nodeSelector",
    "affinity",
    "tolerations",
    "topologySpreadConstraints",
    "serviceAccount",
    "serviceAccountName",
    "automountServiceAccountToken",
    "imagePullSecrets",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "hostUsers",
    "dnsPolicy",
    "dnsConfig",
    "securityContext",
    "initContainers",
    "containers",
    "ephemeralContainers",
    "volumes",
];
const CONTAINER: &[&str] = &[
    "name",
    "image",
    "imagePullPolicy",
    "restartPolicy",
    "securityContext",
    "command",
    "args",
    "workingDir",
    "ports",
    "envFrom",
    "env",
    "resources",
    "volumeDevices",
    "volumeMounts",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];
const SECURITY_CONTEXT: &[&str] = &[
    "privileged",
    "allowPrivilegeEscalation",
    "capabilities",
    "procMount",
    "readOnlyRootFilesystem",
    "runAsNonRoot",
    "runAsUser",
    "runAsGroup",
    "fsGroup",
    "fsGroupChangePolicy",
    "supplementalGroups",
    "sysctls",
    "seLinuxOptions",
    "seccompProfile",
    "appArmorProfile",
    "windowsOptions",
];
const CAPABILITIES: &[&str] = &["drop", "add"];
const KUSTOMIZATION: &[&str] =
    &["apiVersion", "kind", "metadata", "namespace", "resources", "components", "patches"];
const IMAGE: &[&str] = &["registry", "repository", "name", "newName", "tag", "newTag", "digest"];

fn order(at: &Pointer, existing: &[&str]) -> &'static [&'static str] {
    let parent = at.last().map(|token| token.decoded().into_owned()).unwrap_or_default();
    match parent.as_str() {
        "securityContext" => SECURITY_CONTEXT,
        "capabilities" => CAPABILITIES,
        "metadata" => METADATA,
        "template" if existing.contains(&"spec") => OBJECT,
        _ if existing.contains(&"repository") || existing.contains(&"newTag") => IMAGE,
        _ if existing.contains(&"image") && existing.contains(&"name") => CONTAINER,
        _ if existing.contains(&"containers") || existing.contains(&"templates") => POD_SPEC,
        "" if existing.contains(&"resources") => KUSTOMIZATION,
        "" => OBJECT,
        _ if existing.contains(&"apiVersion") && existing.contains(&"metadata") => OBJECT,
        _ => &[],
    }
}

impl KeyOrder for KubernetesOrder {
    /// Behind the nearest key that comes before it; in front of everything when all known ones come after it.
    fn slot(&self, at: &Pointer, existing: &[&str], key: &str) -> Slot {
        let order = order(at, existing);
        let Some(rank) = order.iter().position(|known| *known == key) else { return Slot::Last };
        // The fields of a security context are alike: no two of them belong side by side.
        if std::ptr::eq(order, SECURITY_CONTEXT) {
            let last = existing.iter().rposition(|present| order[..rank].contains(present));
            let unknown = !existing.iter().any(|present| order.contains(present));
            return last.map_or(if unknown { Slot::Last } else { Slot::First }, Slot::After);
        }
        for earlier in order[..rank].iter().rev() {
            if let Some(idx) = existing.iter().position(|present| present == earlier) {
                return Slot::After(idx);
            }
        }
        if existing.iter().any(|present| order.contains(present)) { Slot::First } else { Slot::Last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(at: &str, existing: &[&str], key: &str, expected: Slot) {
        let at = Pointer::parse(at).unwrap();
        assert_eq!(KubernetesOrder.slot(at, existing, key), expected);
    }

    #[test]
    fn security_context_goes_behind_the_image() {
        check(
            "/spec/containers/0",
            &["name", "image", "ports", "resources"],
            "securityContext",
            Slot::After(1),
        );
        check("/spec/containers/0", &["args", "image", "name"], "securityContext", Slot::After(1));
        check("/spec/containers/0", &["image", "imagePullPolicy", "name"], "securityContext", Slot::After(1));
    }

    #[test]
    fn pod_fields_stand_before_the_containers() {
        check("/spec", &["containers", "volumes"], "securityContext", Slot::First);
        check("/spec", &["serviceAccountName", "containers"], "securityContext", Slot::After(0));
        check("/spec", &["containers"], "volumes", Slot::After(0));
    }

    #[test]
    fn fields_of_a_security_context_come_behind_all_that_come_before() {
        check(
            "/spec/securityContext",
            &["fsGroup", "runAsNonRoot", "runAsUser"],
            "seccompProfile",
            Slot::After(2),
        );
        check("/spec/securityContext", &["runAsUser", "fsGroup"], "runAsNonRoot", Slot::First);
        check("/spec/securityContext", &["custom"], "runAsNonRoot", Slot::Last);
    }

    #[test]
    fn unknown_keys_go_last() {
        check("/spec/template", &["a", "b"], "c", Slot::Last);
    }
}
