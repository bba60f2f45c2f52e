//! See the rule's own docs below.

use serde_json::Value;

use crate::model::Container;
use crate::pss;
use crate::rules::{Area, Change, Check, Finding, Safety, Severity, Workload};

crate::rules::rule! {
    /// A container's processes can gain more privileges than their parent.
    ///
    /// ## Why
    /// Without `allowPrivilegeEscalation: false` a setuid binary or one with file capabilities turns any process
    /// of the container into root of it. The field sets the kernel's `no_new_privs`, which nothing can undo.
    ///
    /// ## Fix
    /// Sets `allowPrivilegeEscalation: false` on the container. Privileged containers are left out: the API
    /// server refuses the two together.
    ///
    /// ## What could break
    /// Only programs that rely on setuid or file capabilities: `sudo`, `su`, `ping` on old images. A container
    /// that calls one of the former, adds `SYS_ADMIN`, or sets the field to `true` on purpose is for review.
    ///
    /// ## Sources
    /// - Pod Security Standards, restricted: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>
    /// - Check `allowPrivilegeEscalation`: k8s.io/pod-security-admission, `policy/check_allowPrivilegeEscalation.go`
    /// - The refused pairs: kubernetes/kubernetes, `pkg/apis/core/validation/validation.go`, `ValidateSecurityContext`
    /// - `no_new_privs`: <https://docs.kernel.org/userspace-api/no_new_privs.html>
    {
        id: "privilege-escalation-allowed",
        area: Area::Pod,
        severity: Severity::High,
        pss: Some((pss::Level::Restricted, "allowPrivilegeEscalation")),
        known_as: &[
            ("CIS", "5.2.6"),
            ("NSA", "1.7"),
            ("kube-linter", "privilege-escalation-container"),
            ("kubescape", "C-0016"),
            ("polaris", "privilegeEscalationAllowed"),
            ("checkov", "CKV_K8S_20"),
            ("trivy", "KSV-0001"),
            ("kubeaudit", "AllowPrivilegeEscalationNil, AllowPrivilegeEscalationTrue"),
        ],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    let Some(wanted) = workload.wanted("allowPrivilegeEscalation") else { return };
    for (_, container) in workload.linux_containers() {
        let found = container.security_context("allowPrivilegeEscalation");
        if found == Some(&Value::Bool(false)) || container.is_privileged() {
            continue;
        }
        let pointer = format!("{}/securityContext/allowPrivilegeEscalation", container.pointer);
        let message = format!("{} allows privilege escalation", workload.container(container));
        let mut finding = Finding::new(pointer.clone(), message)
            .container(container)
            .change(Change::set(pointer, wanted.clone()))
            .safety(Safety::Safe);
        if found.is_some() {
            finding =
                finding.safety(Safety::Review).note("it is allowed explicitly: find out for which program");
        }
        if let Some(program) = escalating_program(container) {
            finding = finding
                .safety(Safety::Review)
                .note(format!("its command mentions `{program}`, which stops working"));
        }
        if adds_sys_admin(container) {
            finding = finding
                .safety(Safety::Review)
                .note("it adds SYS_ADMIN, which has to go with the same change");
        }
        findings.push(with_facts(workload, container, finding));
    }
}

/// What the image has that the fix takes away.
fn with_facts(workload: &Workload<'_>, container: &Container<'_>, finding: Finding) -> Finding {
    let Some(facts) = workload.facts(container) else { return finding };
    match (facts.setuid.as_slice(), facts.file_capabilities.as_slice()) {
        ([], []) => finding.evidence("the image has no program with setuid or file capabilities"),
        (setuid, []) => {
            finding.evidence(format!("of the image, these lose their setuid bit: {}", setuid.join(", ")))
        }
        (_, capable) => finding
            .safety(Safety::Review)
            .note(format!("these programs of the image lose their capabilities: {}", capable.join(", "))),
    }
}

/// Programs that are setuid by nature.
fn escalating_program(container: &Container<'_>) -> Option<&'static str> {
    let words = ["command", "args"].into_iter().filter_map(|key| container.value[key].as_array()).flatten();
    let words: Vec<&str> = words.filter_map(Value::as_str).collect();
    ["sudo", "su", "doas", "newuidmap", "fusermount"].into_iter().find(|program| {
        words.iter().any(|text| {
            text.split(|c: char| c.is_whitespace() || c == '/' || c == ';').any(|word| word == *program)
        })
    })
}

fn adds_sys_admin(container: &Container<'_>) -> bool {
    let added =
        container.security_context("capabilities").and_then(|capabilities| capabilities["add"].as_array());
    added.into_iter().flatten().any(|name| name == "SYS_ADMIN" || name == "CAP_SYS_ADMIN")
}
