//! See the rule's own docs below.

use serde_json::Value;

use super::capability::{self, Capability};
use crate::model::{Container, Pod};
use crate::pss;
use crate::rules::{Area, Change, Check, Finding, Safety, Severity, Workload};

crate::rules::rule! {
    /// A container keeps the capabilities that its runtime grants by default.
    ///
    /// ## Why
    /// A container that runs as root has a dozen capabilities unless it drops them: it may forge packets, take over
    /// any file of its volumes and change to any user. One that does not run as root can still gain them through
    /// files that carry capabilities.
    ///
    /// ## Fix
    /// Adds `ALL` to `capabilities.drop`; what the container adds back, such as `NET_BIND_SERVICE`, stays. The standard
    /// compares names exactly: `all` or `CAP_ALL` is refused, and corrected here. Privileged containers are left out,
    /// they have every capability whatever they drop.
    ///
    /// ## What could break
    /// Images that start as root, prepare files and then change user (`chown`, `gosu`, `su-exec`): they need `CHOWN`,
    /// `SETUID`, `SETGID`, `DAC_OVERRIDE` or `FOWNER`, which restricted does not allow to add back; run them as their
    /// final user instead. Programs whose file carries a capability (`getcap`) do not start at all without it, not even
    /// as another user and on a high port. A root process needs `NET_BIND_SERVICE` for ports below 1024.
    ///
    /// ## Sources
    /// - Pod Security Standards, restricted: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>
    /// - Check `capabilities_restricted`: k8s.io/pod-security-admission, `policy/check_capabilities_restricted.go`
    /// - How the kernel computes capabilities at `execve`: <https://man7.org/linux/man-pages/man7/capabilities.7.html>
    {
        id: "capabilities-not-dropped",
        area: Area::Pod,
        severity: Severity::High,
        pss: Some((pss::Level::Restricted, "capabilities_restricted")),
        known_as: &[
            ("CIS", "5.2.8, 5.2.9"),
            ("kube-linter", "drop-net-raw-capability"),
            ("kubescape", "C-0046"),
            ("polaris", "insecureCapabilities"),
            ("checkov", "CKV_K8S_37, CKV_K8S_28"),
            ("trivy", "KSV-0003, KSV-0004, KSV-0106"),
            ("kubeaudit", "CapabilityOrSecurityContextMissing, CapabilityShouldDropAll"),
        ],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    let Some(wanted) = workload.wanted("capabilities").and_then(|wanted| wanted["drop"].as_array()) else {
        return;
    };
    let wanted: Vec<&str> = wanted.iter().filter_map(Value::as_str).collect();
    for (pod, container) in workload.linux_containers() {
        let dropped: Vec<Capability<'_>> = capability::listed(container, "drop").collect();
        let drops = |name: &str| dropped.iter().any(|capability| capability.text == name);
        let missing: Vec<&str> =
            wanted.iter().copied().filter(|name| !drops(name) && !drops("ALL")).collect();
        if !missing.is_empty() && !container.is_privileged() {
            findings.push(finding(workload, pod, container, &dropped, &missing));
        }
    }
}

fn finding(
    workload: &Workload<'_>,
    pod: &Pod<'_>,
    container: &Container<'_>,
    dropped: &[Capability<'_>],
    missing: &[&str],
) -> Finding {
    let list = format!("{}/securityContext/capabilities/drop", container.pointer);
    let mut misspelt = Vec::new();
    let mut changes = Vec::new();
    for name in missing {
        let same =
            dropped.iter().find(|capability| capability.name() == *name).filter(|_| !container.is_merged());
        changes.push(match same {
            Some(capability) => {
                misspelt.push(*capability);
                Change::set(format!("{list}/{}", capability.idx), *name)
            }
            None => Change::append(list.clone(), *name),
        });
    }
    let subject = workload.container(container);
    let only_spelling = misspelt.len() == missing.len();
    let message = match misspelt.first() {
        Some(capability) if only_spelling => {
            format!(
                "{subject} drops `{}`, which the standard does not take for `{}`",
                capability.text,
                capability.name()
            )
        }
        _ => format!("{subject} does not drop {} capabilities", described(missing)),
    };
    let finding = Finding::new(list, message).container(container).changes(changes);
    // Runtimes ignore case; not all of them know the names with a prefix.
    if only_spelling && misspelt.iter().all(|capability| !capability.has_prefix()) {
        return finding
            .safety(Safety::Safe)
            .evidence("container runtimes already read it as the standard's name");
    }
    explain(workload, finding.safety(Safety::Review), pod, container)
}

fn described(missing: &[&str]) -> String {
    if missing.contains(&"ALL") { "all".to_owned() } else { format!("the {}", missing.join(", ")) }
}

/// What dropping may take from this container. A user that is not root is no proof of the contrary: the kernel does
/// not start a program whose file asks for a capability that is dropped.
fn explain(
    workload: &Workload<'_>,
    mut finding: Finding,
    pod: &Pod<'_>,
    container: &Container<'_>,
) -> Finding {
    if let Some(facts) = workload.facts(container)
        && facts.file_capabilities.is_empty()
        && facts.uid.is_some_and(|uid| uid != 0)
        && container
            .security_context("runAsUser")
            .unwrap_or(&pod.spec["securityContext"]["runAsUser"])
            .is_null()
    {
        return finding.safety(Safety::Safe).evidence(format!(
            "the image runs as user {}, and no program of it has file capabilities",
            facts.uid.unwrap_or_default()
        ));
    }
    let user =
        container.security_context("runAsUser").unwrap_or(&pod.spec["securityContext"]["runAsUser"]).as_i64();
    match user {
        Some(user) if user > 0 => {
            finding = finding.evidence(format!("it runs as user {user}, which has no capabilities of its own")).note(
                "the program's file must carry no capabilities (`getcap`): a file that does cannot start without them",
            );
        }
        _ => {
            finding = finding.note(
                "an entrypoint that starts as root and changes user (gosu, su-exec, chown) stops working: run it as its \
                 final user",
            );
        }
    }
    let keeps_ports =
        capability::listed(container, "add").any(|capability| capability.name() == "NET_BIND_SERVICE");
    let ports = container.value["ports"].as_array().into_iter().flatten();
    let low = ports.filter_map(|port| port["containerPort"].as_u64()).find(|port| (1..1024).contains(port));
    match low {
        Some(port) if !keeps_ports => finding.note(format!(
            "it listens on port {port}: if its process stays root, add NET_BIND_SERVICE, which the standard allows"
        )),
        _ => finding,
    }
}
