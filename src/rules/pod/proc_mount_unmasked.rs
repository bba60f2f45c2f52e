//! See the rule's own docs below.

use crate::model::Pod;
use crate::pss;
use crate::rules::{Area, Check, Finding, Safety, Severity, Workload};

crate::rules::rule! {
    /// A container sees all of /proc.
    ///
    /// ## Why
    /// Container runtimes mask parts of `/proc` (`kcore`, `keys`, `sched_debug`) and mount others read-only (`sys`,
    /// `irq`). `procMount: Unmasked` takes that away: root in the container reads kernel memory addresses and
    /// writes kernel settings.
    ///
    /// ## Fix
    /// Removes `procMount`; the default is masked. From version 1.35 on baseline accepts any value in a pod with its
    /// own user namespace (`hostUsers: false`), restricted does not.
    ///
    /// ## What could break
    /// Containers that start containers of their own (nested runtimes, image builders without root).
    ///
    /// ## Sources
    /// - Pod Security Standards, baseline: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline>
    /// - Checks `procMount` and `procMount_restricted`: k8s.io/pod-security-admission, `policy/check_procMount.go`
    /// - KEP-4265, procMount option: <https://github.com/kubernetes/enhancements/issues/4265>
    {
        id: "proc-mount-unmasked",
        area: Area::Pod,
        severity: Severity::Medium,
        pss: Some((pss::Level::Baseline, "procMount")),
        known_as: &[
            ("kube-linter", "unsafe-proc-mount"),
            ("polaris", "procMount"),
            ("trivy", "KSV-0027"),
        ],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for (pod, container) in workload.linux_containers() {
        let Some(kind) = container.security_context("procMount").and_then(|kind| kind.as_str()) else {
            continue;
        };
        if kind == "Default" || is_relaxed(workload, pod) {
            continue;
        }
        let pointer = format!("{}/securityContext/procMount", container.pointer);
        let message =
            format!("{} mounts /proc unmasked (`procMount: {kind}`)", workload.container(container));
        findings.push(
            Finding::new(pointer.clone(), message)
                .container(container)
                .change(container.without(&pointer, "Default"))
                .safety(Safety::Review)
                .note("find out whether it starts containers of its own: those need an unmasked /proc"),
        );
    }
}

/// KEP-4265: at baseline a user namespace takes the risk away.
fn is_relaxed(workload: &Workload<'_>, pod: &Pod<'_>) -> bool {
    pod.spec["hostUsers"] == false
        && workload.settings.version >= pss::Version::Minor(35)
        && workload.settings.level < pss::Level::Restricted
}
