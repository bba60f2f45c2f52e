//! See the rule's own docs below.

use serde_json::Value;

use super::confinement::{is_confined, profile_type};
use crate::model::{Container, Pod};
use crate::pss;
use crate::rules::{Area, Change, Check, Finding, Safety, Severity, Workload};

crate::rules::rule! {
    /// A pod does not ask for a seccomp profile.
    ///
    /// ## Why
    /// Without a profile all system calls of the kernel stay open, unless the kubelet was told otherwise
    /// (`seccompDefault`). The runtime's default profile blocks those that ordinary programs never make and that
    /// many kernel exploits need.
    ///
    /// ## Fix
    /// Sets the profile for the whole pod; containers that chose their own keep it. Kinds that take no pod-level
    /// context get it on each container.
    ///
    /// ## What could break
    /// Programs that need the blocked calls: image builders, browsers with their own sandbox, debuggers, eBPF
    /// agents. Pods with a container that looks like one are for review.
    ///
    /// ## Sources
    /// - Pod Security Standards, restricted: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>
    /// - Check `seccompProfile_restricted`: k8s.io/pod-security-admission, `policy/check_seccompProfile_restricted.go`
    /// - Kubernetes and seccomp: <https://kubernetes.io/docs/tutorials/security/seccomp/>
    {
        id: "seccomp-not-set",
        area: Area::Pod,
        severity: Severity::Medium,
        pss: Some((pss::Level::Restricted, "seccompProfile_restricted")),
        known_as: &[
            ("CIS", "5.6.2"),
            ("NSA", "1.10"),
            ("kubescape", "C-0210"),
            ("polaris", "linuxHardening"),
            ("checkov", "CKV_K8S_31"),
            ("trivy", "KSV-0030"),
            ("kubeaudit", "SeccompProfileMissing"),
        ],
        check: Check::Workload(check),
    }
}

const FIELD: &str = "seccompProfile";
const LEGACY: &str = "seccomp.security.alpha.kubernetes.io/pod";

/// Parts of names of programs that make calls the default profile blocks.
const NEEDS_BLOCKED_CALLS: [&str; 22] = [
    "buildkit",
    "buildah",
    "kaniko",
    "podman",
    "dind",
    "docker-in-docker",
    "sysbox",
    "chrome",
    "chromium",
    "browserless",
    "selenium",
    "puppeteer",
    "playwright",
    "bpf",
    "perf",
    "strace",
    "falco",
    "tetragon",
    "pixie",
    "parca",
    "tracee",
    "criu",
];

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    let Some(wanted) = workload.wanted_of_pod(FIELD).or(workload.wanted(FIELD)) else { return };
    for pod in workload.linux() {
        // A profile that confines nothing is another rule's.
        if profile_type(&pod.spec["securityContext"], FIELD).is_some() {
            continue;
        }
        let unset: Vec<_> = pod.containers.iter().filter(|container| profile(container).is_none()).collect();
        if unset.is_empty() && pod.has_containers {
            continue;
        }
        if pod.fields.security_context {
            findings.push(on_pod(workload, pod, &unset, wanted));
        } else {
            findings.extend(unset.iter().map(|container| on_container(workload, container, wanted)));
        }
    }
}

fn profile<'a>(container: &'a Container<'_>) -> Option<&'a str> {
    profile_type(&container.value["securityContext"], FIELD)
}

fn on_pod(workload: &Workload<'_>, pod: &Pod<'_>, unset: &[&Container<'_>], wanted: &Value) -> Finding {
    let pointer = format!("{}/{FIELD}", pod.security_context());
    let subject = workload.subject(pod);
    let message = match pod.containers.iter().find(|container| profile(container).is_some_and(is_confined)) {
        Some(_) => format!("{subject} has containers without a seccomp profile"),
        None => format!("{subject} has no seccomp profile"),
    };
    let finding = Finding::new(pointer.clone(), message).change(Change::set(pointer, wanted.clone()));
    let mut finding = judged(finding, unset.iter().copied());
    let legacy = pod.annotations.and_then(|annotations| annotations.get(LEGACY)?.as_str());
    if let Some(profile) = legacy.and_then(|value| value.strip_prefix("localhost/")) {
        finding = finding.safety(Safety::Review).note(format!(
            "an annotation names the profile `{profile}`, which nothing reads since version 1.27: move it to the field if \
             it is still wanted"
        ));
    }
    if pod.has_containers && pod.containers.iter().all(Container::is_privileged) {
        finding.notes.clear();
        finding.make_manual("all its containers are privileged: no profile reaches them");
    }
    finding
}

fn on_container(workload: &Workload<'_>, container: &Container<'_>, wanted: &Value) -> Finding {
    let pointer = format!("{}/securityContext/{FIELD}", container.pointer);
    let message = format!("{} has no seccomp profile", workload.container(container));
    let finding = Finding::new(pointer.clone(), message).container(container);
    judged(finding.change(Change::set(pointer, wanted.clone())), [container])
}

fn judged<'a>(mut finding: Finding, containers: impl IntoIterator<Item = &'a Container<'a>>) -> Finding {
    finding = finding.safety(Safety::Safe);
    for container in containers {
        if container.is_privileged() {
            finding = finding
                .safety(Safety::Review)
                .note(format!("`{}` is privileged: no profile reaches it", container.name));
        }
        if let Some(part) = needs_blocked_calls(container) {
            finding = finding.safety(Safety::Review).note(format!(
                "`{}` looks like a program that needs calls the default profile blocks ({part})",
                container.name
            ));
        }
    }
    finding
}

fn needs_blocked_calls(container: &Container<'_>) -> Option<&'static str> {
    let words = [container.name, container.image().unwrap_or_default()].map(str::to_lowercase);
    NEEDS_BLOCKED_CALLS.into_iter().find(|part| {
        // Whole words of the short ones: "perf" is in "performance", "bpf" in "ebpf" is meant.
        let named = |word: &String| match *part {
            "perf" | "dind" => word.split(|c: char| !c.is_ascii_alphanumeric()).any(|token| token == *part),
            part => word.contains(part),
        };
        words.iter().any(named)
    })
}
