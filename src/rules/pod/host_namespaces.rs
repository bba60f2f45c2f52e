//! See the rule's own docs below.

use crate::pss;
use crate::rules::{Area, Check, Finding, Severity, Workload};

crate::rules::rule! {
    /// A pod shares a namespace of its node.
    ///
    /// ## Why
    /// With `hostNetwork` the pod reaches everything that listens on the node's loopback, sees its traffic, and no
    /// NetworkPolicy applies to it. With `hostPID` it sees, and as root may signal or inspect, every process of the
    /// node. With `hostIPC` it shares their memory segments.
    ///
    /// ## Fix
    /// Only a person can tell what it reads or serves there: delete the field, or move the workload to a system
    /// namespace and record it as an exception. Baseline forbids all three, so a namespace that hosts such a pod
    /// cannot enforce even that, whatever a checklist says of "baseline for system namespaces".
    ///
    /// ## What could break
    /// What others reach through the node's address, and agents that measure or manage the node itself.
    ///
    /// ## Sources
    /// - Pod Security Standards, baseline: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline>
    /// - Check `hostNamespaces`: k8s.io/pod-security-admission, `policy/check_hostNamespaces.go`
    {
        id: "host-namespaces",
        area: Area::Pod,
        severity: Severity::High,
        pss: Some((pss::Level::Baseline, "hostNamespaces")),
        known_as: &[
            ("CIS", "5.2.3, 5.2.4, 5.2.5"),
            ("NSA", "1.3, 1.4, 1.5"),
            ("kube-linter", "host-network, host-pid, host-ipc"),
            ("kubescape", "C-0041, C-0038"),
            ("polaris", "hostNetworkSet, hostPIDSet, hostIPCSet"),
            ("checkov", "CKV_K8S_19, CKV_K8S_17, CKV_K8S_18"),
            ("trivy", "KSV-0009, KSV-0010, KSV-0008"),
            ("kubeaudit", "NamespaceHostNetworkTrue, NamespaceHostPIDTrue, NamespaceHostIPCTrue"),
        ],
        check: Check::Workload(check),
    }
}

/// Field, what is shared, what to look at.
const NAMESPACES: [(&str, &str, &str); 3] = [
    (
        "hostNetwork",
        "the network of its node",
        "a Service, or a pod network address with the ports it needs, replaces it unless it manages the node's network",
    ),
    ("hostPID", "the process table of its node", "only agents that inspect processes of the node need it"),
    (
        "hostIPC",
        "the memory segments of its node",
        "hardly anything needs it: an emptyDir in memory serves pods",
    ),
];

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for pod in &workload.pods {
        for (field, what, note) in NAMESPACES {
            if pod.spec[field] == true {
                let message = format!("{} shares {what} (`{field}`)", workload.subject(pod));
                findings.push(Finding::new(format!("{}/{field}", pod.pointer), message).note(note));
            }
        }
    }
}
