//! Checks on the kernel's confinement of a container: AppArmor, seccomp, SELinux, as fields and as the annotations
//! that came before them. Knows the pod as read.

use std::collections::{BTreeMap, BTreeSet};

use json_patch::jsonptr::PointerBuf;
use serde_json::Value;

use super::pod::{Pod, SeLinuxOptions, SecurityContext, text};
use super::wording::{Culprits, Forbidden, counted, go_quoted, quoted_list};

fn is_confined(profile_type: &str) -> bool {
    matches!(profile_type, "RuntimeDefault" | "Localhost")
}

fn annotations<'a>(pod: &Pod<'a>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let entries = pod.annotations.into_iter().flatten();
    entries.map(|(key, value): (&String, &Value)| (key.as_str(), text(Some(value))))
}

fn annotation_field(key: &str) -> PointerBuf {
    PointerBuf::from_tokens(["metadata", "annotations", key])
}

/// Blames pod and containers for profiles of a type that confines nothing, and returns these types.
fn blame_unconfined<'a>(
    pod: &Pod<'a>,
    path: &[&str],
    profile: impl Fn(&SecurityContext<'a>) -> Option<&'a str>,
    culprits: &mut Culprits<'a>,
) -> BTreeSet<&'a str> {
    let unconfined = |security| profile(security).filter(|kind| !is_confined(kind));
    let mut kinds = BTreeSet::new();
    if let Some(kind) = unconfined(&pod.security) {
        culprits.blame_pod(path);
        kinds.insert(kind);
    }
    for container in &pod.containers {
        if let Some(kind) = unconfined(&container.security) {
            culprits.blame(container, path);
            kinds.insert(kind);
        }
    }
    kinds
}

pub(super) fn app_armor(pod: &Pod<'_>) -> Option<Forbidden> {
    const PREFIX: &str = "container.apparmor.security.beta.kubernetes.io/";
    let allowed =
        |profile: &str| matches!(profile, "" | "runtime/default") || profile.starts_with("localhost/");
    let mut culprits = Culprits::default();
    let path = ["securityContext", "appArmorProfile", "type"];
    let kinds = blame_unconfined(pod, &path, |security| security.app_armor, &mut culprits);
    // By text, because upstream sorts the texts.
    let annotated: BTreeMap<String, &str> = annotations(pod)
        .filter(|(key, profile)| key.starts_with(PREFIX) && !allowed(profile))
        .map(|(key, profile)| (format!("{key}={}", go_quoted(profile)), key))
        .collect();
    if culprits.is_empty() && annotated.is_empty() {
        return None;
    }
    let mut setters = culprits.setters();
    match annotated.len() {
        0 => {}
        1 => setters.push("annotation".to_owned()),
        _ => setters.push("annotations".to_owned()),
    }
    let reason = match kinds.len() + annotated.len() {
        1 => "forbidden AppArmor profile",
        _ => "forbidden AppArmor profiles",
    };
    let values = quoted_list(kinds.into_iter().chain(annotated.keys().map(String::as_str)));
    let detail = format!("{} must not set AppArmor profile type to {values}", setters.join(" and "));
    let mut forbidden = culprits.forbidden(reason, detail)?;
    forbidden.fields.extend(annotated.values().map(|key| annotation_field(key)));
    Some(forbidden)
}

/// Before 1.19 a seccomp profile was an annotation of the pod, or one of the pod per container.
pub(super) fn seccomp_annotations(pod: &Pod<'_>) -> Option<Forbidden> {
    const POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
    const PREFIX: &str = "container.seccomp.security.alpha.kubernetes.io/";
    let allowed = |profile: &str| {
        matches!(profile, "runtime/default" | "docker/default") || profile.starts_with("localhost/")
    };
    let is_container = |name: &str| pod.containers.iter().any(|container| container.name == name);
    let counts = |key: &str| key == POD || key.strip_prefix(PREFIX).is_some_and(is_container);
    let bad: BTreeMap<String, &str> = annotations(pod)
        .filter(|(key, profile)| !allowed(profile) && counts(key))
        .map(|(key, profile)| (format!("{key}={}", go_quoted(profile)), key))
        .collect();
    if bad.is_empty() {
        return None;
    }
    let fields = bad.values().map(|key| annotation_field(key)).collect();
    let noun = if bad.len() == 1 { "annotation" } else { "annotations" };
    let detail = format!("forbidden {noun} {}", Vec::from_iter(bad.into_keys()).join(", "));
    Some(Forbidden { reason: "seccompProfile", detail, fields })
}

const SECCOMP_TYPE: [&str; 3] = ["securityContext", "seccompProfile", "type"];

pub(super) fn seccomp_unconfined(pod: &Pod<'_>) -> Option<Forbidden> {
    let mut culprits = Culprits::default();
    let kinds = blame_unconfined(pod, &SECCOMP_TYPE, |security| security.seccomp, &mut culprits);
    if culprits.is_empty() {
        return None;
    }
    let (setters, kinds) = (culprits.setters().join(" and "), quoted_list(kinds));
    let detail = format!("{setters} must not set securityContext.seccompProfile.type to {kinds}");
    culprits.forbidden("seccompProfile", detail)
}

pub(super) fn seccomp_missing(pod: &Pod<'_>) -> Option<Forbidden> {
    if let Some(unconfined) = seccomp_unconfined(pod) {
        return Some(unconfined);
    }
    if pod.security.seccomp.is_some() {
        return None;
    }
    let mut culprits = Culprits::default();
    for container in pod.containers.iter().filter(|container| container.security.seccomp.is_none()) {
        culprits.blame(container, &SECCOMP_TYPE);
    }
    if culprits.is_empty() {
        return None;
    }
    let (containers, _) = culprits.containers();
    let detail = format!(
        r#"pod or {containers} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost""#
    );
    culprits.forbidden("seccompProfile", detail)
}

/// SELinux types that stay inside the container policy, with the minor version that began to allow them.
const CONTAINER_TYPES: [(u32, &str); 5] = [
    (0, ""),
    (0, "container_t"),
    (0, "container_init_t"),
    (0, "container_kvm_t"),
    (31, "container_engine_t"),
];

pub(super) fn se_linux(pod: &Pod<'_>, minor: u32) -> Option<Forbidden> {
    let allowed =
        |kind: &str| CONTAINER_TYPES.iter().any(|&(since, allowed)| since <= minor && allowed == kind);
    let wrong = |options: &SeLinuxOptions<'_>| {
        let all = [
            ("type", !allowed(options.kind)),
            ("user", !options.user.is_empty()),
            ("role", !options.role.is_empty()),
        ];
        all.into_iter().filter(|(_, wrong)| *wrong).map(|(field, _)| field)
    };
    let mut culprits = Culprits::default();
    let mut blamed = Vec::new();
    for field in wrong(&pod.security.se_linux) {
        culprits.blame_pod(&["securityContext", "seLinuxOptions", field]);
        blamed.push((field, pod.security.se_linux.kind));
    }
    for container in &pod.containers {
        for field in wrong(&container.security.se_linux) {
            culprits.blame(container, &["securityContext", "seLinuxOptions", field]);
            blamed.push((field, container.security.se_linux.kind));
        }
    }
    if culprits.is_empty() {
        return None;
    }
    let kinds: BTreeSet<&str> =
        blamed.iter().filter(|(field, _)| *field == "type").map(|&(_, kind)| kind).collect();
    let mut faults = Vec::new();
    if !kinds.is_empty() {
        faults.push(counted("type", kinds.len(), kinds));
    }
    for (field, fault) in [("user", "user may not be set"), ("role", "role may not be set")] {
        if blamed.iter().any(|(blamed, _)| *blamed == field) {
            faults.push(fault.to_owned());
        }
    }
    let setters = culprits.setters().join(" and ");
    let detail = format!("{setters} set forbidden securityContext.seLinuxOptions: {}", faults.join("; "));
    culprits.forbidden("seLinuxOptions", detail)
}
