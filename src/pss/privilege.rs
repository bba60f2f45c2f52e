//! Checks on what a container may do beyond its user: privileged mode, escalation, capabilities, unmasked /proc.
//! Knows the pod as read; which version wants which of them is said by the check table.

use std::collections::BTreeSet;

use super::pod::{Container, Pod, text};
use super::wording::{Culprits, Forbidden, quoted_list};

pub(super) fn privileged(pod: &Pod<'_>) -> Option<Forbidden> {
    let mut culprits = Culprits::default();
    for container in &pod.containers {
        if container.security.privileged == Some(true) {
            culprits.blame(container, &["securityContext", "privileged"]);
        }
    }
    if culprits.is_empty() {
        return None;
    }
    let (containers, _) = culprits.containers();
    culprits.forbidden("privileged", format!("{containers} must not set securityContext.privileged=true"))
}

pub(super) fn escalation(pod: &Pod<'_>) -> Option<Forbidden> {
    let mut culprits = Culprits::default();
    for container in &pod.containers {
        if container.security.allow_privilege_escalation != Some(false) {
            culprits.blame(container, &["securityContext", "allowPrivilegeEscalation"]);
        }
    }
    if culprits.is_empty() {
        return None;
    }
    let (containers, _) = culprits.containers();
    let detail = format!("{containers} must set securityContext.allowPrivilegeEscalation=false");
    culprits.forbidden("allowPrivilegeEscalation != false", detail)
}

pub(super) fn proc_mount(pod: &Pod<'_>) -> Option<Forbidden> {
    let mut culprits = Culprits::default();
    let mut kinds = BTreeSet::new();
    for container in &pod.containers {
        if let Some(kind) = container.security.proc_mount.filter(|&kind| kind != "Default") {
            culprits.blame(container, &["securityContext", "procMount"]);
            kinds.insert(kind);
        }
    }
    if culprits.is_empty() {
        return None;
    }
    let (containers, _) = culprits.containers();
    let kinds = quoted_list(kinds);
    culprits.forbidden("procMount", format!("{containers} must not set securityContext.procMount to {kinds}"))
}

/// What container runtimes grant by default, without NET_RAW.
const DEFAULT_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Capabilities are compared as they are written, as upstream does: `CAP_CHOWN` and `chown` are not `CHOWN`.
fn blame_added<'a>(
    container: &Container<'a>,
    allowed: &[&str],
    culprits: &mut Culprits<'a>,
    forbidden: &mut BTreeSet<&'a str>,
) {
    for (index, capability) in container.security.add.iter().enumerate() {
        let capability = text(Some(capability));
        if !allowed.contains(&capability) {
            culprits.blame(container, &["securityContext", "capabilities", "add", &index.to_string()]);
            forbidden.insert(capability);
        }
    }
}

fn must_not_add(culprits: &Culprits<'_>, forbidden: BTreeSet<&str>) -> String {
    let (containers, _) = culprits.containers();
    format!("{containers} must not include {} in securityContext.capabilities.add", quoted_list(forbidden))
}

pub(super) fn added_capabilities(pod: &Pod<'_>) -> Option<Forbidden> {
    let mut adding = Culprits::default();
    let mut forbidden = BTreeSet::new();
    for container in &pod.containers {
        blame_added(container, &DEFAULT_CAPABILITIES, &mut adding, &mut forbidden);
    }
    if adding.is_empty() {
        return None;
    }
    let detail = must_not_add(&adding, forbidden);
    adding.forbidden("non-default capabilities", detail)
}

pub(super) fn kept_capabilities(pod: &Pod<'_>) -> Option<Forbidden> {
    let (mut keeping, mut adding) = (Culprits::default(), Culprits::default());
    let mut forbidden = BTreeSet::new();
    for container in &pod.containers {
        if !container.security.drop.iter().any(|capability| capability == "ALL") {
            keeping.blame(container, &["securityContext", "capabilities", "drop"]);
        }
        blame_added(container, &["NET_BIND_SERVICE"], &mut adding, &mut forbidden);
    }
    let mut details = Vec::new();
    if !keeping.is_empty() {
        let (containers, _) = keeping.containers();
        details.push(format!("{containers} must set securityContext.capabilities.drop=[\"ALL\"]"));
    }
    if !adding.is_empty() {
        details.push(must_not_add(&adding, forbidden));
    }
    if details.is_empty() {
        return None;
    }
    keeping.forbidden_with(adding, "unrestricted capabilities", details.join("; "))
}
