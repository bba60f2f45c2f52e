//! See the rule's own docs below.

use serde_json::{Value, json};

use super::capability::{self, Capability};
use crate::model::Container;
use crate::pss;
use crate::rules::{Area, Change, Check, Finding, Safety, Severity, Workload};

crate::rules::rule! {
    /// A container adds capabilities.
    ///
    /// ## Why
    /// Each capability is a part of what root may do. Several of them (`SYS_ADMIN`, `SYS_MODULE`, `SYS_PTRACE`,
    /// `NET_ADMIN`) are ways to the node or to other pods.
    ///
    /// ## Fix
    /// Removes the entries that the profile does not allow: restricted allows `NET_BIND_SERVICE` alone, baseline the
    /// thirteen that runtimes grant anyway. Names are compared exactly: `CAP_NET_BIND_SERVICE` is corrected, not removed.
    /// Privileged containers are left out, they have every capability anyway.
    ///
    /// ## What could break
    /// What the capability was added for. The finding names what typically needs each.
    ///
    /// ## Sources
    /// - Pod Security Standards: <https://kubernetes.io/docs/concepts/security/pod-security-standards/>
    /// - Checks `capabilities_baseline` and `capabilities_restricted`: k8s.io/pod-security-admission, `policy/check_capabilities_baseline.go`, `policy/check_capabilities_restricted.go`
    /// - capabilities(7): <https://man7.org/linux/man-pages/man7/capabilities.7.html>
    {
        id: "capability-added",
        area: Area::Pod,
        severity: Severity::High,
        pss: Some((pss::Level::Baseline, "capabilities_baseline")),
        known_as: &[
            ("CIS", "5.2.8, 5.2.9"),
            ("kubescape", "C-0046"),
            ("polaris", "dangerousCapabilities, insecureCapabilities"),
            ("checkov", "CKV_K8S_25, CKV_K8S_39"),
            ("trivy", "KSV-0005, KSV-0022, KSV-0119, KSV-0120"),
            ("kubeaudit", "CapabilityAdded"),
        ],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for (_, container) in workload.linux_containers() {
        if container.is_privileged() {
            continue;
        }
        let added: Vec<Capability<'_>> = capability::listed(container, "add").collect();
        let is_allowed = |name: &str| is_allowed(workload, name);
        if added.iter().any(|capability| !is_allowed(capability.text)) {
            findings.push(finding(workload, container, &added, &is_allowed));
        }
    }
}

/// The evaluator's own verdict: it has the lists.
fn is_allowed(workload: &Workload<'_>, name: &str) -> bool {
    // No other name is allowed by both levels.
    if name == "NET_BIND_SERVICE" {
        return true;
    }
    let spec =
        json!({"containers": [{"securityContext": {"capabilities": {"add": [name], "drop": ["ALL"]}}}]});
    let level = workload.settings.level.max(pss::Level::Baseline);
    let violations = pss::evaluate(&pss::Pod::new(None, &spec), level, workload.settings.version);
    !violations.iter().any(|violation| violation.check.starts_with("capabilities_"))
}

fn finding(
    workload: &Workload<'_>,
    container: &Container<'_>,
    added: &[Capability<'_>],
    is_allowed: &dyn Fn(&str) -> bool,
) -> Finding {
    let list = format!("{}/securityContext/capabilities/add", container.pointer);
    let wrong = || added.iter().filter(|capability| !is_allowed(capability.text));
    let misspelt = |capability: &Capability<'_>| is_allowed(&capability.name());
    let removed: Vec<String> =
        wrong().filter(|capability| !misspelt(capability)).map(Capability::name).collect();
    let subject = workload.container(container);
    if removed.is_empty() {
        return respelled(list, &subject, container, wrong());
    }
    let kept: Vec<String> = added.iter().map(Capability::name).filter(|name| is_allowed(name)).collect();
    let change = if kept.is_empty() && !container.is_merged() {
        remove(workload, container, &list)
    } else {
        Change::set(list.clone(), Value::from(kept))
    };
    let mut finding = Finding::new(list, format!("{subject} adds {}", removed.join(", ")))
        .container(container)
        .change(change)
        .safety(Safety::Review);
    for name in &removed {
        if let Some(needed) = capability::typical_use(name) {
            finding = finding.note(format!("{name} is for {needed}"));
        }
    }
    finding
}

/// The list, with the mapping around it when nothing else is or comes in there.
fn remove(workload: &Workload<'_>, container: &Container<'_>, list: &str) -> Change {
    let alone = container
        .security_context("capabilities")
        .and_then(Value::as_object)
        .is_some_and(|map| map.len() == 1);
    match list.strip_suffix("/add") {
        Some(capabilities) if alone && workload.wanted("capabilities").is_none() => {
            Change::remove(capabilities)
        }
        _ => Change::remove(list),
    }
}

fn respelled<'a>(
    list: String,
    subject: &str,
    container: &Container<'_>,
    wrong: impl Iterator<Item = &'a Capability<'a>>,
) -> Finding {
    let mut finding = Finding::new(list.clone(), String::new()).container(container).safety(Safety::Safe);
    let mut named = Vec::new();
    for capability in wrong {
        named.push(format!("`{}` for `{}`", capability.text, capability.name()));
        finding = finding.change(Change::set(format!("{list}/{}", capability.idx), capability.name()));
        if capability.has_prefix() {
            finding = finding.safety(Safety::Review).note(
                "runtimes that do not know the name with a prefix have not granted it so far: it may not be needed",
            );
        }
    }
    finding.message = format!("{subject} adds {}, which the standard refuses", named.join(", "));
    if container.is_merged() {
        finding.make_manual("it may come from the step template: correct it there");
    }
    finding
}
