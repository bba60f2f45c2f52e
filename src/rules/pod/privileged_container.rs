//! See the rule's own docs below.

use crate::pss;
use crate::rules::{Area, Check, Finding, Severity, Workload};

crate::rules::rule! {
    /// A container runs privileged.
    ///
    /// ## Why
    /// A privileged container has every capability, sees every device of the node and runs without seccomp,
    /// AppArmor or SELinux confinement: root in it is root on the node. All other hardening of such a container
    /// has no effect, so it is not proposed before this is decided.
    ///
    /// ## Fix
    /// Only a person can tell which devices or capabilities it really needs: delete `privileged: true`, or move
    /// the workload to a system namespace and record it as an exception.
    ///
    /// ## What could break
    /// Everything that the container does to its node.
    ///
    /// ## Sources
    /// - Pod Security Standards, baseline: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline>
    /// - Check `privileged`: k8s.io/pod-security-admission, `policy/check_privileged.go`
    {
        id: "privileged-container",
        area: Area::Pod,
        severity: Severity::Critical,
        pss: Some((pss::Level::Baseline, "privileged")),
        known_as: &[
            ("CIS", "5.2.2"),
            ("NSA", "1.2"),
            ("kube-linter", "privileged-container"),
            ("kubescape", "C-0057"),
            ("polaris", "runAsPrivileged"),
            ("checkov", "CKV_K8S_16"),
            ("trivy", "KSV-0017"),
            ("kubeaudit", "PrivilegedTrue"),
        ],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for (_, container) in workload.linux_containers().filter(|(_, container)| container.is_privileged()) {
        findings.push(
            Finding::new(
                format!("{}/securityContext/privileged", container.pointer),
                format!("{} runs privileged", workload.container(container)),
            )
            .container(container)
            .note("find out what it needs: a device plugin, single capabilities or a read-only host path often do"),
        );
    }
}
