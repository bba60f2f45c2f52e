//! See the rule's own docs below.

use super::confinement::{
    annotation, described, unconfined_annotations, unconfined_containers, unconfined_pod,
};
use crate::model::Pod;
use crate::pss;
use crate::rules::{Area, Change, Check, Finding, Safety, Severity, Workload};

crate::rules::rule! {
    /// A pod or container switches AppArmor off.
    ///
    /// ## Why
    /// On nodes with AppArmor the runtime's default profile denies mounts, raw access to `/proc` and `/sys`, and
    /// tracing of other processes. `Unconfined` gives that up.
    ///
    /// ## Fix
    /// Removes the profile, as field or as annotation: then the default applies wherever a node has AppArmor.
    /// Writing `RuntimeDefault` instead would keep the pod from starting on nodes without it.
    ///
    /// ## What could break
    /// Programs that mount or trace: FUSE, nested runtimes, debuggers, node agents.
    ///
    /// ## Sources
    /// - Pod Security Standards, baseline: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline>
    /// - Check `appArmorProfile`: k8s.io/pod-security-admission, `policy/check_appArmorProfile.go`
    /// - AppArmor in Kubernetes: <https://kubernetes.io/docs/tutorials/security/apparmor/>
    {
        id: "apparmor-unconfined",
        area: Area::Pod,
        severity: Severity::Medium,
        pss: Some((pss::Level::Baseline, "appArmorProfile")),
        known_as: &[
            ("NSA", "1.9"),
            ("kubescape", "C-0055"),
            ("trivy", "KSV-0002"),
            ("kubeaudit", "AppArmorDisabled, AppArmorBadValue"),
        ],
        check: Check::Workload(check),
    }
}

const FIELD: &str = "appArmorProfile";
const PREFIX: &str = "container.apparmor.security.beta.kubernetes.io/";
const NOTE: &str =
    "find out what it was switched off for: mounts and tracing are denied by the default profile";

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for pod in workload.linux() {
        check_pod(workload, pod, findings);
    }
}

fn check_pod(workload: &Workload<'_>, pod: &Pod<'_>, findings: &mut Vec<Finding>) {
    let remove = |pointer: String, message: String| {
        Finding::new(pointer.clone(), message)
            .change(Change::remove(pointer))
            .safety(Safety::Review)
            .note(NOTE)
    };
    if let Some(kind) = unconfined_pod(pod, FIELD) {
        let pointer = format!("{}/{FIELD}", pod.security_context());
        findings.push(remove(
            pointer,
            format!("{} runs without AppArmor ({})", workload.subject(pod), described(kind)),
        ));
    }
    for (container, kind) in unconfined_containers(pod, FIELD) {
        let pointer = format!("{}/securityContext/{FIELD}", container.pointer);
        let message =
            format!("{} runs without AppArmor ({})", workload.container(container), described(kind));
        let mut finding = remove(pointer, message).container(container);
        if container.is_merged() {
            finding.make_manual("the profile may come from the step template: remove it there");
        }
        findings.push(finding);
    }
    for (key, value) in unconfined_annotations(pod, PREFIX, is_confined_annotation) {
        let container = key.trim_start_matches(PREFIX);
        let message =
            format!("container `{container}` of {} runs without AppArmor (`{value}`)", workload.subject(pod));
        let mut finding = remove(annotation(pod, key), message);
        finding.container = Some(container.to_owned());
        findings.push(finding);
    }
}

fn is_confined_annotation(value: &str) -> bool {
    matches!(value, "" | "runtime/default") || value.starts_with("localhost/")
}
