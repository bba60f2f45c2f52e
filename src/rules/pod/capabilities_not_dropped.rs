//! See the rule's own docs below.

use serde_json::Value;

use super::capability::{self, Capability};
use super::low_port::{low_port, who_may_bind};
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
    /// Adds `ALL` to `capabilities.drop`; what the container adds back, such as `NET_BIND_SERVICE`, stays. Where a program
    /// of the image carries that capability in its file (`caseharden.lock`), it is added back. The standard
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
    let finding = with_file_capabilities(workload, container, missing, finding.safety(Safety::Review));
    explain(workload, finding, pod, container)
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
        && workload.locked(container).is_some_and(|locked| locked.other_users.is_empty())
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
            finding =
                finding.evidence(format!("it runs as user {user}, which has no capabilities of its own"));
            if workload.facts(container).is_none() {
                finding = finding.note(
                    "the program's file must carry no capabilities (`getcap`): a file that does cannot start without them",
                );
            }
        }
        // The image's own user has none either.
        None if workload.facts(container).is_some_and(|facts| facts.runs_as_root() == Some(false)) => {}
        _ if workload.facts(container).is_some_and(|facts| facts.shell.is_none()) => {
            finding = finding.note(
                "its process stays root and can no longer change owners or its user; the image has no shell, so only \
                 the program itself could try to",
            );
        }
        _ => {
            finding = finding.note(
                "an entrypoint that starts as root and changes user (gosu, su-exec, chown) stops working: run it as its \
                 final user",
            );
        }
    }
    match low_port(workload, container) {
        Some((port, source)) if !adds_net_bind_service(container) => match who_may_bind(pod, port) {
            Some(who) => finding.note(format!(
                "it listens on port {port} by {source}: if its process stays root, add NET_BIND_SERVICE, which the standard \
                 allows; for other users {who}"
            )),
            None => finding,
        },
        _ => finding,
    }
}

fn adds_net_bind_service(container: &Container<'_>) -> bool {
    capability::listed(container, "add")
        .any(|capability| ["NET_BIND_SERVICE", "ALL"].contains(&&*capability.name()))
}

/// What the image's programs carry decides: the kernel starts none whose file asks for a capability that is gone.
/// `NET_BIND_SERVICE`, the one that the standard lets a container keep, stays for those that need no other.
fn with_file_capabilities(
    workload: &Workload<'_>,
    container: &Container<'_>,
    missing: &[&str],
    mut finding: Finding,
) -> Finding {
    let Some(facts) = workload.facts(container).filter(|facts| !facts.file_capabilities.is_empty()) else {
        return finding;
    };
    let needs = |program: &&String| program.contains("cap_net_bind_service");
    let list = facts.file_capabilities.join(", ");
    finding = finding.evidence(format!("programs of the image carry capabilities: {list}"));
    if facts.file_capabilities.iter().any(|program| needs(&program))
        && missing.contains(&"ALL")
        && !adds_net_bind_service(container)
    {
        let add = format!("{}/securityContext/capabilities/add", container.pointer);
        finding = finding.change(Change::append(add, "NET_BIND_SERVICE")).note(
            "NET_BIND_SERVICE is kept for the program that carries it: without it the kernel refuses to start it",
        );
    }
    let others: Vec<&str> = facts
        .file_capabilities
        .iter()
        .filter(|program| program.split(' ').nth(1) != Some("cap_net_bind_service"))
        .map(String::as_str)
        .collect();
    match others.is_empty() {
        true => finding,
        false => finding.note(format!("these programs of the image no longer start: {}", others.join(", "))),
    }
}
