//! Restricted checks on the user that processes run as. The pod's value counts for containers without one; a wrong
//! value of the pod is refused even if every container overrides it. Knows the pod as read.

use super::pod::Pod;
use super::wording::{Culprits, Forbidden};

pub(super) fn not_forced_non_root(pod: &Pod<'_>) -> Option<Forbidden> {
    const FIELD: [&str; 2] = ["securityContext", "runAsNonRoot"];
    let (mut explicit, mut implicit) = (Culprits::default(), Culprits::default());
    if pod.security.run_as_non_root == Some(false) {
        explicit.blame_pod(&FIELD);
    }
    for container in &pod.containers {
        match container.security.run_as_non_root.or(pod.security.run_as_non_root.filter(|&yes| yes)) {
            Some(true) => {}
            Some(false) => explicit.blame(container, &FIELD),
            None => implicit.blame(container, &FIELD),
        }
    }
    let reason = "runAsNonRoot != true";
    if !explicit.is_empty() {
        let setters = explicit.setters().join(" and ");
        return explicit
            .forbidden(reason, format!("{setters} must not set securityContext.runAsNonRoot=false"));
    }
    if implicit.is_empty() {
        return None;
    }
    let (containers, _) = implicit.containers();
    implicit.forbidden(reason, format!("pod or {containers} must set securityContext.runAsNonRoot=true"))
}

pub(super) fn root(pod: &Pod<'_>) -> Option<Forbidden> {
    const FIELD: [&str; 2] = ["securityContext", "runAsUser"];
    let mut culprits = Culprits::default();
    if pod.security.run_as_user == Some(0) {
        culprits.blame_pod(&FIELD);
    }
    for container in &pod.containers {
        if container.security.run_as_user == Some(0) {
            culprits.blame(container, &FIELD);
        }
    }
    if culprits.is_empty() {
        return None;
    }
    let setters = culprits.setters().join(" and ");
    culprits.forbidden("runAsUser=0", format!("{setters} must not set runAsUser=0"))
}
