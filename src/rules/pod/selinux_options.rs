//! See the rule's own docs below.

use serde_json::Value;

use crate::pss;
use crate::rules::{Area, Check, Finding, Severity, Workload};

crate::rules::rule! {
    /// A pod chooses an SELinux context that may leave the container policy.
    ///
    /// ## Why
    /// The runtime gives each container a type and categories that keep it away from the node and from other
    /// containers. Another type (`spc_t` above all), user or role undoes that.
    ///
    /// ## Fix
    /// Delete `user` and `role`, and a `type` other than `container_t`, `container_init_t`, `container_kvm_t` (and,
    /// from version 1.31 on, `container_engine_t`). A `level` may stay. Only a person knows which files the context
    /// was chosen for: nothing is changed.
    ///
    /// ## What could break
    /// Access to files of the node or of shared volumes that are labelled for the chosen context.
    ///
    /// ## Sources
    /// - Pod Security Standards, baseline: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline>
    /// - Check `seLinuxOptions`: k8s.io/pod-security-admission, `policy/check_seLinuxOptions.go`
    {
        id: "selinux-options",
        area: Area::Pod,
        severity: Severity::Medium,
        pss: Some((pss::Level::Baseline, "seLinuxOptions")),
        known_as: &[("NSA", "1.8"), ("trivy", "KSV-0025")],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for pod in workload.linux() {
        let options = &pod.spec["securityContext"]["seLinuxOptions"];
        let pointer = format!("{}/seLinuxOptions", pod.security_context());
        findings.extend(finding(workload, options, &pointer, &workload.subject(pod)));
        for container in &pod.containers {
            let options = container.security_context("seLinuxOptions").unwrap_or(&Value::Null);
            let pointer = format!("{}/securityContext/seLinuxOptions", container.pointer);
            let finding = finding(workload, options, &pointer, &workload.container(container));
            findings.extend(finding.map(|finding| finding.container(container)));
        }
    }
}

fn finding(workload: &Workload<'_>, options: &Value, pointer: &str, subject: &str) -> Option<Finding> {
    let set = |field: &str| options[field].as_str().filter(|value| !value.is_empty());
    let kind = set("type").filter(|kind| !is_allowed(kind, workload.settings.version));
    let wrong = [("type", kind), ("user", set("user")), ("role", set("role"))];
    let wrong: Vec<_> = wrong.into_iter().filter_map(|(field, value)| Some((field, value?))).collect();
    let (first, _) = wrong.first()?;
    let named: Vec<_> = wrong.iter().map(|(field, value)| format!("{field} `{value}`")).collect();
    let message = format!("{subject} asks for the SELinux {}", named.join(", "));
    Some(
        Finding::new(format!("{pointer}/{first}"), message)
            .note("find out which files it needs the context for"),
    )
}

fn is_allowed(kind: &str, version: pss::Version) -> bool {
    matches!(kind, "container_t" | "container_init_t" | "container_kvm_t")
        || kind == "container_engine_t" && version >= pss::Version::Minor(31)
}
