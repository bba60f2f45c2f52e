//! See the rule's own docs below.

use serde_json::Value;

use crate::model::{Container, Pod};
use crate::pss;
use crate::rules::{Area, Change, Check, Finding, Safety, Severity, Workload};

crate::rules::rule! {
    /// A container may run as root.
    ///
    /// ## Why
    /// A process that escapes from a container as uid 0 is root on the node, unless the pod has a user namespace.
    /// Nothing but `runAsNonRoot: true` stops an image that was built to run as root, or becomes so with its next
    /// release.
    ///
    /// ## Fix
    /// Sets `runAsNonRoot: true`: once for the pod where all its containers agree, else on each container, along
    /// with the user and group that the team's own template gives. An explicit `runAsUser: 0` is left to a person
    /// when the template names no user to put there.
    ///
    /// ## What could break
    /// The kubelet refuses to start a container whose image runs as root, or as a user given by name only
    /// (`container has runAsNonRoot and image has non-numeric user`). A process that is no longer root cannot bind
    /// ports below 1024 unless the runtime lowers `net.ipv4.ip_unprivileged_port_start` (containerd 2 and CRI-O
    /// may, containerd 1 does not), read directories such as `/root`, or write to volumes owned by root.
    ///
    /// ## Sources
    /// - Pod Security Standards, restricted: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>
    /// - Checks `runAsNonRoot` and `runAsUser`: k8s.io/pod-security-admission, `policy/check_runAsNonRoot.go`, `policy/check_runAsUser.go`
    /// - What the kubelet refuses: kubernetes/kubernetes, `pkg/kubelet/kuberuntime/security_context.go`, `verifyRunAsNonRoot`
    {
        id: "runs-as-root",
        area: Area::Pod,
        severity: Severity::High,
        pss: Some((pss::Level::Restricted, "runAsNonRoot")),
        known_as: &[
            ("CIS", "5.2.7"),
            ("NSA", "1.0, 1.6"),
            ("kube-linter", "run-as-non-root"),
            ("kubescape", "C-0013"),
            ("polaris", "runAsRootAllowed"),
            ("checkov", "CKV_K8S_23"),
            ("trivy", "KSV-0012, KSV-0105"),
            ("kubeaudit", "RunAsNonRootPSCNilCSCNil, RunAsUserPSCRoot, RunAsUserCSCRoot"),
        ],
        check: Check::Workload(check),
    }
}

/// Fields of a user that a template may give along with `runAsNonRoot`.
const USER_FIELDS: [&str; 3] = ["runAsUser", "runAsGroup", "supplementalGroups"];
/// The same with those that only a pod has. The API server refuses all of them on Windows.
const POD_FIELDS: [&str; 5] =
    ["runAsUser", "runAsGroup", "supplementalGroups", "fsGroup", "fsGroupChangePolicy"];

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    if workload.wanted_of_pod("runAsNonRoot").or(workload.wanted("runAsNonRoot")) != Some(&Value::Bool(true))
    {
        return;
    }
    for pod in &workload.pods {
        if !is_relaxed(workload, pod) {
            check_pod(workload, pod, findings);
        }
    }
}

/// From version 1.35 on the checks let a pod with its own user namespace run as root in it (KEP-127).
fn is_relaxed(workload: &Workload<'_>, pod: &Pod<'_>) -> bool {
    pod.spec["hostUsers"] == false && workload.settings.version >= pss::Version::Minor(35)
}

fn check_pod(workload: &Workload<'_>, pod: &Pod<'_>, findings: &mut Vec<Finding>) {
    let of_pod = &pod.spec["securityContext"];
    let template_user = workload.wanted_of_pod("runAsUser").or(workload.wanted("runAsUser"));
    let is_root = |container: &Container<'_>| effective_user(of_pod, container) == Some(0);
    let rooted: Vec<_> = pod.containers.iter().filter(|container| is_root(container)).collect();
    if template_user.is_none() && (!rooted.is_empty() || of_pod["runAsUser"] == 0) {
        report_root_user(workload, pod, &rooted, findings);
        // One container that stays root keeps `runAsNonRoot` away from the pod: the others get it themselves.
        for container in pod.containers.iter().filter(|container| !is_root(container)) {
            if effective_non_root(of_pod, container) != Some(true) {
                findings.push(on_container(workload, pod, container));
            }
        }
        return;
    }
    let unset: Vec<_> = pod
        .containers
        .iter()
        .filter(|container| effective_non_root(of_pod, container) != Some(true))
        .collect();
    let denied_of_pod = of_pod["runAsNonRoot"] == false;
    let is_settled = unset.is_empty() && !denied_of_pod && rooted.is_empty();
    let operated = !pod.has_containers && of_pod["runAsNonRoot"] != true;
    if is_settled && !operated && of_pod["runAsUser"] != 0 {
        return;
    }
    if pod.fields.security_context {
        findings.push(on_pod(workload, pod, &unset, template_user));
    } else {
        findings.extend(unset.iter().map(|container| on_container(workload, pod, container)));
    }
}

fn report_root_user(
    workload: &Workload<'_>,
    pod: &Pod<'_>,
    rooted: &[&Container<'_>],
    findings: &mut Vec<Finding>,
) {
    let note = "give it the numeric user of its image, or a user in the pod-security-context template";
    let of_pod = format!("{}/runAsUser", pod.security_context());
    if pod.spec["securityContext"]["runAsUser"] == 0 {
        let message = format!("{} runs as uid 0 (`runAsUser: 0` for the whole pod)", workload.subject(pod));
        findings.push(Finding::new(of_pod, message).note(note));
    }
    for container in rooted.iter().filter(|container| container.security_context("runAsUser").is_some()) {
        let pointer = format!("{}/securityContext/runAsUser", container.pointer);
        let message = format!("{} runs as uid 0 (`runAsUser: 0`)", workload.container(container));
        findings.push(Finding::new(pointer, message).container(container).note(note));
    }
}

/// One value for the pod; containers that say otherwise are corrected.
fn on_pod(workload: &Workload<'_>, pod: &Pod<'_>, unset: &[&Container<'_>], user: Option<&Value>) -> Finding {
    let context = pod.security_context();
    let of_pod = &pod.spec["securityContext"];
    let pointer = format!("{context}/runAsNonRoot");
    let message = match unset {
        [container] if pod.containers.len() > 1 => {
            format!("{} may run as root", workload.container(container))
        }
        _ => format!("{} may run as root", workload.subject(pod)),
    };
    let mut finding = Finding::new(pointer.clone(), message).change(Change::set(pointer, true));
    let mut on_purpose = of_pod["runAsNonRoot"] == false;
    let fields = if pod.windows { &[][..] } else { &POD_FIELDS[..] };
    for field in fields {
        let replaces_root = *field == "runAsUser" && of_pod["runAsUser"] == 0;
        if let Some(value) = workload.wanted_of_pod(field)
            && (of_pod.get(field).is_none_or(Value::is_null) || replaces_root)
        {
            on_purpose |= replaces_root;
            finding = finding.change(Change::set(format!("{context}/{field}"), value.clone()));
        }
    }
    for container in &pod.containers {
        if container.security_context("runAsNonRoot") == Some(&Value::Bool(false)) {
            on_purpose = true;
            finding =
                finding.change(Change::remove(format!("{}/securityContext/runAsNonRoot", container.pointer)));
        }
        if container.security_context("runAsUser") == Some(&Value::from(0))
            && let Some(user) = user
        {
            on_purpose = true;
            finding = finding.change(Change::set(
                format!("{}/securityContext/runAsUser", container.pointer),
                user.clone(),
            ));
        }
    }
    let proved =
        !unset.is_empty() && unset.iter().all(|container| effective_user(of_pod, container) > Some(0));
    finding = finding.safety(if proved && !on_purpose { Safety::Safe } else { Safety::Review });
    if on_purpose {
        finding = finding.note("root was asked for explicitly: find out why");
    }
    let mut finding = describe(pod, finding, unset, proved);
    decide_privileged_first(unset, proved, &mut finding);
    finding
}

fn on_container(workload: &Workload<'_>, pod: &Pod<'_>, container: &Container<'_>) -> Finding {
    let context = format!("{}/securityContext", container.pointer);
    let pointer = format!("{context}/runAsNonRoot");
    let message = format!("{} may run as root", workload.container(container));
    let on_purpose = container.security_context("runAsNonRoot").is_some();
    let mut finding =
        Finding::new(pointer.clone(), message).container(container).change(Change::set(pointer, true));
    for field in USER_FIELDS {
        if let Some(value) = workload.wanted(field)
            && container.security_context(field).is_none()
        {
            finding = finding.change(Change::set(format!("{context}/{field}"), value.clone()));
        }
    }
    let proved = effective_user(&pod.spec["securityContext"], container) > Some(0);
    finding = finding.safety(if proved && !on_purpose { Safety::Safe } else { Safety::Review });
    let mut finding = describe(pod, finding, &[container], proved);
    decide_privileged_first(&[container], proved, &mut finding);
    finding
}

/// What asks for the whole node is written to be root of it: another user only stops it.
fn decide_privileged_first(containers: &[&Container<'_>], proved: bool, finding: &mut Finding) {
    if let Some(container) = containers.iter().find(|container| container.is_privileged() && !proved) {
        finding.make_manual(format!("`{}` is privileged, which has to be decided first", container.name));
    }
}

/// Says what the verdict rests on, and what a process that is not root will miss.
fn describe(pod: &Pod<'_>, mut finding: Finding, containers: &[&Container<'_>], proved: bool) -> Finding {
    if proved {
        return finding.evidence("`runAsUser` is set to a user that is not root");
    }
    if !pod.windows {
        finding = finding
            .note("the image must name a numeric user that is not root, or the kubelet will not start it");
    }
    for container in containers {
        let ports = container.value["ports"].as_array().into_iter().flatten();
        let low =
            ports.filter_map(|port| port["containerPort"].as_u64()).find(|port| (1..1024).contains(port));
        if let Some(port) = low {
            finding = finding.note(format!(
                "`{}` listens on port {port}: only root may bind it where the runtime leaves \
                 net.ipv4.ip_unprivileged_port_start at 1024",
                container.name
            ));
        }
        let mounts = container.value["volumeMounts"].as_array().into_iter().flatten();
        for path in mounts.filter_map(|mount| mount["mountPath"].as_str()) {
            if path == "/root" || path.starts_with("/root/") {
                finding =
                    finding.note(format!("`{}` mounts {path}, which only root can reach", container.name));
            }
        }
    }
    finding
}

fn effective_non_root(of_pod: &Value, container: &Container<'_>) -> Option<bool> {
    container.security_context("runAsNonRoot").unwrap_or(&of_pod["runAsNonRoot"]).as_bool()
}

fn effective_user(of_pod: &Value, container: &Container<'_>) -> Option<i64> {
    container.security_context("runAsUser").unwrap_or(&of_pod["runAsUser"]).as_i64()
}
