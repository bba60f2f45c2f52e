//! See the rule's own docs below.

use crate::model::{Layout, Pod};
use crate::pss;
use crate::rules::{Area, Change, Check, Finding, Safety, Severity, Workload};

crate::rules::rule! {
    /// A pod for Windows nodes does not say that it is one.
    ///
    /// ## Why
    /// The restricted standard asks Linux-only fields of every pod unless `spec.os.name` is `windows`. A node selector
    /// does not count, nor does an image that `caseharden.lock` knows for Windows only. Windows nodes refuse pods with those fields, so without `os` no setting satisfies both.
    ///
    /// ## Fix
    /// Sets `os.name: windows`, which changes neither scheduling nor the containers. The standard reads it from
    /// version 1.25 on.
    ///
    /// ## What could break
    /// The API server refuses a pod with `os.name: windows` that still has a Linux-only field; a pod that has one
    /// is left to a person.
    ///
    /// ## Sources
    /// - Pod OS: <https://kubernetes.io/docs/concepts/workloads/pods/#pod-os>
    /// - The fields that are refused: k8s.io/api, `core/v1/types.go`, `PodSpec.OS`
    /// - Pod Security Standards and Windows: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#os-specific-policy-controls>
    {
        id: "windows-os-unset",
        area: Area::Pod,
        severity: Severity::Low,
        pss: Some((pss::Level::Restricted, "allowPrivilegeEscalation")),
        known_as: &[],
        check: Check::Workload(check),
    }
}

const OF_SPEC: [&str; 4] = ["hostPID", "hostIPC", "hostUsers", "shareProcessNamespace"];
const OF_POD: [&str; 10] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
];
const OF_CONTAINER: [&str; 10] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    if workload.settings.level < pss::Level::Restricted {
        return;
    }
    let is_known = workload.settings.version >= pss::Version::Minor(25);
    for pod in workload.pods.iter().filter(|pod| pod.windows) {
        if pod.spec["os"]["name"] != "windows" {
            findings.push(unset(workload, pod, is_known));
        } else if !is_known {
            let message = format!(
                "{} is for Windows nodes, which the standard knows from v1.25 on",
                workload.subject(pod)
            );
            findings.push(Finding::new(format!("{}/os", pod.pointer), message).note(NOT_KNOWN));
        }
    }
}

const NOT_KNOWN: &str =
    "before version 1.25 the standard asks Linux-only fields of Windows pods too: judge by a newer one";

fn unset(workload: &Workload<'_>, pod: &Pod<'_>, is_known: bool) -> Finding {
    let pointer = format!("{}/os", pod.pointer);
    let message = format!("{} is for Windows nodes without `os.name: windows`", workload.subject(pod));
    let mut finding = Finding::new(pointer.clone(), message)
        .change(Change::set(format!("{pointer}/name"), "windows"))
        .safety(Safety::Review);
    let locked = |container| Some((container, workload.locked(container)?));
    for (container, locked) in
        pod.containers.iter().filter_map(locked).filter(|(_, locked)| locked.is_for_windows())
    {
        let platforms = locked.platforms.join(", ");
        finding = finding.evidence(format!("the image of `{}` is for {platforms} only", container.name));
    }
    let linux_only = linux_only(pod);
    if !linux_only.is_empty() {
        finding.make_manual(format!(
            "remove the fields that exist on Linux only first: {}",
            linux_only.join(", ")
        ));
    } else if !(matches!(workload.object.layout, Some(Layout::PodSpec { .. })) && pod.fields.security_context)
    {
        finding.make_manual(format!("{} has no field for it", workload.object.id.kind));
    } else if !is_known {
        finding.make_manual(NOT_KNOWN);
    } else {
        finding = finding.note("clusters read it from version 1.25 on");
    }
    finding
}

fn linux_only(pod: &Pod<'_>) -> Vec<&'static str> {
    let mut found: Vec<&'static str> =
        OF_SPEC.into_iter().filter(|field| !pod.spec[field].is_null()).collect();
    let of_pod = &pod.spec["securityContext"];
    found.extend(OF_POD.into_iter().filter(|field| !of_pod[field].is_null()));
    for container in &pod.containers {
        found.extend(OF_CONTAINER.into_iter().filter(|field| container.security_context(field).is_some()));
    }
    found.sort_unstable();
    found.dedup();
    found
}
