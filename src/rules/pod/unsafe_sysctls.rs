//! See the rule's own docs below.

use serde_json::json;

use crate::pss;
use crate::rules::{Area, Check, Finding, Severity, Workload};

crate::rules::rule! {
    /// A pod sets a kernel parameter outside the safe set.
    ///
    /// ## Why
    /// A sysctl that is not namespaced, or that harms other pods of the node, is a setting of the node. The kubelet
    /// refuses those that its operator did not allow by name.
    ///
    /// ## Fix
    /// Delete the entry, set it on the nodes, or judge by a newer version where that one allows it. Only a person
    /// knows why it is set: nothing is changed.
    ///
    /// ## What could break
    /// Programs tuned by the parameter: connection tables, buffers, memory maps of databases.
    ///
    /// ## Sources
    /// - Pod Security Standards, baseline: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline>
    /// - Check `sysctls`: k8s.io/pod-security-admission, `policy/check_sysctls.go`
    /// - Safe and unsafe sysctls: <https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/>
    {
        id: "unsafe-sysctls",
        area: Area::Pod,
        severity: Severity::Medium,
        pss: Some((pss::Level::Baseline, "sysctls")),
        known_as: &[("kube-linter", "unsafe-sysctls"), ("trivy", "KSV-0026")],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for pod in workload.linux() {
        let sysctls = pod.spec["securityContext"]["sysctls"].as_array().into_iter().flatten().enumerate();
        for (idx, name) in sysctls.map(|(idx, sysctl)| (idx, sysctl["name"].as_str().unwrap_or_default())) {
            if is_safe(name, workload.settings.version) {
                continue;
            }
            let pointer = format!("{}/sysctls/{idx}/name", pod.security_context());
            let message = format!("{} sets the sysctl `{name}`", workload.subject(pod));
            let note = match first_version(name) {
                Some(version) => format!("it is in the safe set from {version} on"),
                None => "no version of the standard has it in the safe set".to_owned(),
            };
            findings.push(Finding::new(pointer, message).note(note));
        }
    }
}

/// The evaluator's own verdict: it has the list.
fn is_safe(name: &str, version: pss::Version) -> bool {
    let spec = json!({"securityContext": {"sysctls": [{"name": name}]}});
    pss::allows(&pss::Pod::new(None, &spec), pss::Level::Baseline, version)
}

fn first_version(name: &str) -> Option<pss::Version> {
    let revisions = pss::check("sysctls")?.revisions.iter();
    revisions.map(|revision| pss::Version::Minor(revision.since)).find(|version| is_safe(name, *version))
}
