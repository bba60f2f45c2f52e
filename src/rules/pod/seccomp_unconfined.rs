//! See the rule's own docs below.

use super::confinement::{
    annotation, described, is_confined, profile_type, unconfined_annotations, unconfined_containers,
    unconfined_pod, use_runtime_default,
};
use crate::model::Pod;
use crate::pss;
use crate::rules::{Area, Change, Check, Finding, Safety, Severity, Workload};

crate::rules::rule! {
    /// A pod or container switches seccomp off.
    ///
    /// ## Why
    /// `Unconfined` leaves all system calls of the kernel open, with the rarely used ones that most escapes from
    /// containers went through.
    ///
    /// ## Fix
    /// Sets the type `RuntimeDefault`; in a container whose pod has a profile the container's own is removed
    /// instead. An annotation that says the same is removed: since version 1.27 nothing reads it.
    ///
    /// ## What could break
    /// Programs that need the blocked calls: image builders, browsers with their own sandbox, debuggers, eBPF
    /// agents. Such a container may get a profile of its own (`Localhost`), which baseline accepts.
    ///
    /// ## Sources
    /// - Pod Security Standards, baseline: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline>
    /// - Checks `seccompProfile_baseline` and `seccompProfile_restricted`: k8s.io/pod-security-admission, `policy/check_seccompProfile_baseline.go`, `policy/check_seccompProfile_restricted.go`
    /// - What the default profile blocks: <https://docs.docker.com/engine/security/seccomp/>
    {
        id: "seccomp-unconfined",
        area: Area::Pod,
        severity: Severity::High,
        pss: Some((pss::Level::Baseline, "seccompProfile_baseline")),
        known_as: &[
            ("CIS", "5.6.2"),
            ("NSA", "1.10"),
            ("kubescape", "C-0055"),
            ("trivy", "KSV-0104"),
            ("kubeaudit", "SeccompDisabledPod, SeccompDisabledContainer"),
        ],
        check: Check::Workload(check),
    }
}

const FIELD: &str = "seccompProfile";
const NOTE: &str = "find out which system calls it was switched off for";

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for pod in workload.linux() {
        check_fields(workload, pod, findings);
        check_annotations(workload, pod, findings);
    }
}

fn check_fields(workload: &Workload<'_>, pod: &Pod<'_>, findings: &mut Vec<Finding>) {
    let of_pod = &pod.spec["securityContext"];
    if let Some(kind) = unconfined_pod(pod, FIELD) {
        let pointer = format!("{}/{FIELD}", pod.security_context());
        let message = format!("{} runs without seccomp ({})", workload.subject(pod), described(kind));
        let change = use_runtime_default(&pointer, &of_pod[FIELD]);
        findings.push(Finding::new(pointer, message).change(change).safety(Safety::Review).note(NOTE));
    }
    let inherits = profile_type(of_pod, FIELD).is_some_and(is_confined);
    for (container, kind) in unconfined_containers(pod, FIELD) {
        let pointer = format!("{}/securityContext/{FIELD}", container.pointer);
        let message = format!("{} runs without seccomp ({})", workload.container(container), described(kind));
        let change = if inherits && !container.is_merged() {
            Change::remove(pointer.clone())
        } else {
            use_runtime_default(&pointer, &container.value["securityContext"][FIELD])
        };
        let finding = Finding::new(pointer, message).container(container);
        findings.push(finding.change(change).safety(Safety::Review).note(NOTE));
    }
}

fn check_annotations(workload: &Workload<'_>, pod: &Pod<'_>, findings: &mut Vec<Finding>) {
    let prefixes =
        ["seccomp.security.alpha.kubernetes.io/pod", "container.seccomp.security.alpha.kubernetes.io/"];
    for prefix in prefixes {
        for (key, _) in unconfined_annotations(pod, prefix, is_confined_annotation) {
            let pointer = annotation(pod, key);
            let message =
                format!("an annotation of {} switches seccomp off (`{key}`)", workload.subject(pod));
            let finding = Finding::new(pointer.clone(), message).change(Change::remove(pointer));
            findings.push(finding.safety(Safety::Review).note("only clusters before version 1.27 read it"));
        }
    }
}

fn is_confined_annotation(value: &str) -> bool {
    matches!(value, "runtime/default" | "docker/default") || value.starts_with("localhost/")
}
