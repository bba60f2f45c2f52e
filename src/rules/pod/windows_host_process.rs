//! See the rule's own docs below.

use crate::pss;
use crate::rules::{Area, Check, Finding, Severity, Workload};

crate::rules::rule! {
    /// A Windows container runs as a process of its node.
    ///
    /// ## Why
    /// `hostProcess: true` is what `privileged: true` is on Linux: the process runs on the node, with its file
    /// system, network and accounts.
    ///
    /// ## Fix
    /// Only a person can tell what it manages there: delete the field, or move the workload to a system namespace
    /// and record it as an exception.
    ///
    /// ## What could break
    /// Everything that the container does to its node.
    ///
    /// ## Sources
    /// - Pod Security Standards, baseline: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline>
    /// - Check `windowsHostProcess`: k8s.io/pod-security-admission, `policy/check_windowsHostProcess.go`
    /// - HostProcess pods: <https://kubernetes.io/docs/tasks/configure-pod-container/create-hostprocess-pod/>
    {
        id: "windows-host-process",
        area: Area::Pod,
        severity: Severity::High,
        pss: Some((pss::Level::Baseline, "windowsHostProcess")),
        known_as: &[
            ("CIS", "5.2.10"),
            ("kubescape", "C-0202"),
            ("polaris", "hostProcess"),
            ("trivy", "KSV-0103"),
        ],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for pod in &workload.pods {
        if pod.spec["securityContext"]["windowsOptions"]["hostProcess"] == true {
            let pointer = format!("{}/windowsOptions/hostProcess", pod.security_context());
            let message = format!("{} runs as processes of its node (`hostProcess`)", workload.subject(pod));
            findings.push(Finding::new(pointer, message));
        }
        for container in &pod.containers {
            if container
                .security_context("windowsOptions")
                .is_some_and(|options| options["hostProcess"] == true)
            {
                let pointer = format!("{}/securityContext/windowsOptions/hostProcess", container.pointer);
                let message = format!(
                    "{} runs as a process of its node (`hostProcess`)",
                    workload.container(container)
                );
                findings.push(Finding::new(pointer, message).container(container));
            }
        }
    }
}
