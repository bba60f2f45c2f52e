//! See the rule's own docs below.

use serde_json::{Map, Value};

use crate::rules::{Area, Change, Check, Finding, Safety, Severity, Workload};

crate::rules::rule! {
    /// A pod lacks what the team's own template asks for.
    ///
    /// ## Why
    /// A team that puts more into the security context templates than the profile asks for (a fixed user, an
    /// `fsGroup`, SELinux options) wants it in all its workloads. With the built-in templates this rule is silent.
    ///
    /// ## Fix
    /// Sets the fields of the pod and container security context templates that no other rule is about, where the
    /// workload does not set them itself. A value that is there is kept.
    ///
    /// ## What could break
    /// That depends on the field: a user changes who owns what the container writes, an `fsGroup` the groups of
    /// its volumes.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/tasks/configure-pod-container/security-context/>
    {
        id: "standard-not-met",
        area: Area::Pod,
        severity: Severity::Low,
        pss: None,
        known_as: &[],
        check: Check::Workload(check),
    }
}

/// Fields that other rules are about.
const OTHERS: [&str; 5] =
    ["allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem", "runAsNonRoot", "seccompProfile"];

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    let standard = &workload.settings.standard;
    for pod in workload.linux() {
        if pod.fields.security_context {
            let missing = missing(&standard.pod, |field| pod.spec["securityContext"].get(field));
            findings.extend(finding(&pod.security_context(), &missing, &workload.subject(pod)));
        }
        for container in pod.containers.iter().filter(|container| !container.is_privileged()) {
            let missing = missing(&standard.container, |field| container.security_context(field));
            let context = format!("{}/securityContext", container.pointer);
            let found = finding(&context, &missing, &workload.container(container));
            findings.extend(found.map(|finding| finding.container(container)));
        }
    }
}

fn missing<'s>(
    standard: &'s Map<String, Value>,
    present: impl Fn(&str) -> Option<&'s Value>,
) -> Vec<(&'s str, &'s Value)> {
    let asked = standard.iter().map(|(field, value)| (field.as_str(), value));
    asked.filter(|(field, _)| !OTHERS.contains(field) && present(field).is_none_or(Value::is_null)).collect()
}

fn finding(context: &str, missing: &[(&str, &Value)], subject: &str) -> Option<Finding> {
    let (first, _) = missing.first()?;
    let names: Vec<String> = missing.iter().map(|(field, _)| format!("`{field}`")).collect();
    let message = format!("{subject} lacks {} of the template", names.join(", "));
    let changes =
        missing.iter().map(|(field, value)| Change::set(format!("{context}/{field}"), (*value).clone()));
    Some(Finding::new(format!("{context}/{first}"), message).changes(changes).safety(Safety::Review))
}
