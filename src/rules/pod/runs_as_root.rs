//! See the rule's own docs below.

use serde_json::Value;

use crate::image_facts::{Account, Facts};
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
    /// With the facts of the image in `caseharden.lock`: a numeric user that is not root makes the fix safe; a user
    /// given by name gets its number from the image's own `/etc/passwd`; an image that runs as root gets the account
    /// it brings for its job, for review, or is left to a person.
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
    let users: Vec<User<'_>> =
        pod.containers.iter().map(|container| user(workload, pod, container)).collect();
    let containers = || pod.containers.iter().zip(&users);
    let is_rooted = |user: &User<'_>| matches!(user, User::Root) || matches!(user, User::RootImage(_));
    if template_user.is_none() && (users.iter().any(is_rooted) || of_pod["runAsUser"] == 0) {
        report_root(workload, pod, &users, findings);
        // One container that stays root keeps `runAsNonRoot` away from the pod: the others get it themselves.
        for (container, user) in containers().filter(|(_, user)| !is_rooted(user)) {
            if effective_non_root(of_pod, container) != Some(true) {
                findings.push(on_container(workload, pod, container, user));
            }
        }
        return;
    }
    let unset: Vec<_> =
        containers().filter(|(container, _)| effective_non_root(of_pod, container) != Some(true)).collect();
    let denied_of_pod = of_pod["runAsNonRoot"] == false;
    let is_settled = unset.is_empty() && !denied_of_pod && !users.iter().any(is_rooted);
    let operated = !pod.has_containers && of_pod["runAsNonRoot"] != true;
    if is_settled && !operated && of_pod["runAsUser"] != 0 {
        return;
    }
    if pod.fields.security_context {
        findings.push(on_pod(workload, pod, &unset, template_user));
    } else {
        findings.extend(unset.iter().map(|(container, user)| on_container(workload, pod, container, user)));
    }
}

/// Who a container runs as, as far as the manifest and the image tell.
enum User<'a> {
    /// `runAsUser: 0`.
    Root,
    /// The image's own user is root, and nothing overrides it.
    RootImage(&'a Facts),
    /// The manifest or the image gives a number that is not root; where it is from.
    Number(String),
    /// The image gives a name, which the kubelet cannot check: its number is written down.
    Named {
        facts: &'a Facts,
        uid: u32,
    },
    /// The image runs as root, and brings an account for a user that is not.
    Account {
        facts: &'a Facts,
        account: &'a Account,
    },
    Unknown,
}

fn user<'a>(workload: &Workload<'a>, pod: &Pod<'_>, container: &Container<'_>) -> User<'a> {
    match effective_user(&pod.spec["securityContext"], container) {
        Some(0) => return User::Root,
        Some(_) => return User::Number("`runAsUser` is set to a user that is not root".to_owned()),
        None => {}
    }
    // Facts speak of the Linux image.
    let Some(facts) = workload.facts(container).filter(|_| !pod.windows) else { return User::Unknown };
    match facts.uid {
        Some(0) => match facts.unprivileged_account(container.image().unwrap_or_default()) {
            Some(account) => User::Account { facts, account },
            None => User::RootImage(facts),
        },
        Some(uid) if facts.has_numeric_user() => User::Number(format!(
            "the image of `{}` runs as user {uid} (`USER {}`)",
            container.name, facts.user
        )),
        Some(uid) => User::Named { facts, uid },
        None => User::Unknown,
    }
}

fn report_root(workload: &Workload<'_>, pod: &Pod<'_>, users: &[User<'_>], findings: &mut Vec<Finding>) {
    let note = "give it the numeric user of its image, or a user in the pod-security-context template";
    if pod.spec["securityContext"]["runAsUser"] == 0 {
        let message = format!("{} runs as uid 0 (`runAsUser: 0` for the whole pod)", workload.subject(pod));
        findings.push(Finding::new(format!("{}/runAsUser", pod.security_context()), message).note(note));
    }
    for (container, user) in pod.containers.iter().zip(users) {
        let field = |name: &str| format!("{}/securityContext/{name}", container.pointer);
        match user {
            User::Root if container.security_context("runAsUser").is_some() => {
                let message = format!("{} runs as uid 0 (`runAsUser: 0`)", workload.container(container));
                findings.push(Finding::new(field("runAsUser"), message).container(container).note(note));
            }
            User::RootImage(facts) => {
                let message = format!("{} runs an image whose user is root", workload.container(container));
                let finding = Finding::new(field("runAsNonRoot"), message).container(container);
                findings.push(finding.evidence(read_from(facts)).note(
                    "the image has no other user: rebuild it with a numeric `USER`, or take its unprivileged variant",
                ));
            }
            _ => {}
        }
    }
}

/// One value for the pod; containers that say otherwise are corrected.
fn on_pod(
    workload: &Workload<'_>,
    pod: &Pod<'_>,
    unset: &[(&Container<'_>, &User<'_>)],
    template_user: Option<&Value>,
) -> Finding {
    let context = pod.security_context();
    let of_pod = &pod.spec["securityContext"];
    let pointer = format!("{context}/runAsNonRoot");
    let message = match unset {
        [(container, _)] if pod.containers.len() > 1 => {
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
            && let Some(user) = template_user
        {
            on_purpose = true;
            finding = finding.change(Change::set(
                format!("{}/securityContext/runAsUser", container.pointer),
                user.clone(),
            ));
        }
    }
    finding = finding.safety(if unset.is_empty() { Safety::Review } else { Safety::Safe });
    if on_purpose {
        finding = finding.safety(Safety::Review).note("root was asked for explicitly: find out why");
    }
    for (container, user) in unset {
        finding = with_user(workload, pod, container, user, template_user.is_some(), finding);
    }
    if !pod.has_containers {
        finding = finding.note(IMAGE_DECIDES);
    }
    decide_privileged_first(unset, finding)
}

fn on_container(
    workload: &Workload<'_>,
    pod: &Pod<'_>,
    container: &Container<'_>,
    user: &User<'_>,
) -> Finding {
    let context = format!("{}/securityContext", container.pointer);
    let pointer = format!("{context}/runAsNonRoot");
    let message = format!("{} may run as root", workload.container(container));
    let on_purpose = container.security_context("runAsNonRoot").is_some();
    let mut finding =
        Finding::new(pointer.clone(), message).container(container).change(Change::set(pointer, true));
    finding = finding.safety(if on_purpose { Safety::Review } else { Safety::Safe });
    let mut has_user = false;
    for field in USER_FIELDS {
        if let Some(value) = workload.wanted(field)
            && container.security_context(field).is_none()
            && !pod.windows
        {
            has_user |= field == "runAsUser";
            finding = finding.change(Change::set(format!("{context}/{field}"), value.clone()));
        }
    }
    decide_privileged_first(
        &[(container, user)],
        with_user(workload, pod, container, user, has_user, finding),
    )
}

const IMAGE_DECIDES: &str =
    "the image must name a numeric user that is not root, or the kubelet will not start it";

/// Adds what is known of a container's user: the fact the fix rests on, or the user it needs, or what to find out.
fn with_user(
    workload: &Workload<'_>,
    pod: &Pod<'_>,
    container: &Container<'_>,
    user: &User<'_>,
    template_decides: bool,
    mut finding: Finding,
) -> Finding {
    let context = format!("{}/securityContext", container.pointer);
    let numbers = |uid: u32, gid: u32| {
        [Change::set(format!("{context}/runAsUser"), uid), Change::set(format!("{context}/runAsGroup"), gid)]
    };
    match user {
        User::Number(fact) => return finding.evidence(fact.clone()),
        User::Named { facts, uid } if !template_decides => {
            return finding.changes(numbers(*uid, facts.gid.unwrap_or_default())).evidence(format!(
                "the image of `{}` runs as `{}`, which is user {uid} in its /etc/passwd; the kubelet takes numbers only",
                container.name, facts.user
            ));
        }
        User::Account { facts, account } if !template_decides => {
            finding = finding
                .safety(Safety::Review)
                .changes(numbers(account.uid, account.gid))
                .evidence(read_from(facts))
                .note(format!(
                    "the image runs as root and brings the account `{}` (user {}): find out whether it can start as that",
                    account.name, account.uid
                ));
        }
        _ => {
            finding = finding.safety(Safety::Review);
            if !pod.windows {
                finding = finding.note(IMAGE_DECIDES);
            }
        }
    }
    note_what_root_can(workload, container, finding)
}

/// What asks for the whole node is written to be root of it: another user only stops it.
fn decide_privileged_first(containers: &[(&Container<'_>, &User<'_>)], mut finding: Finding) -> Finding {
    let mut asking =
        containers.iter().filter(|(_, user)| !matches!(user, User::Number(_) | User::Named { .. }));
    if let Some((container, _)) = asking.find(|(container, _)| container.is_privileged()) {
        finding.make_manual(format!("`{}` is privileged, which has to be decided first", container.name));
    }
    finding
}

fn read_from(facts: &Facts) -> String {
    let user = if facts.user.is_empty() { "no `USER`" } else { facts.user.as_str() };
    format!("the image for {} has {user}", facts.platform)
}

/// What a process that is not root will miss.
fn note_what_root_can(workload: &Workload<'_>, container: &Container<'_>, mut finding: Finding) -> Finding {
    let ports = container.value["ports"].as_array().into_iter().flatten();
    let declared = ports.filter_map(|port| port["containerPort"].as_u64());
    let exposed = workload.facts(container).into_iter().flat_map(Facts::low_ports).map(u64::from);
    if let Some(port) = declared.chain(exposed).find(|port| (1..1024).contains(port)) {
        finding = finding.note(format!(
            "`{}` listens on port {port}: only root may bind it where the runtime leaves \
             net.ipv4.ip_unprivileged_port_start at 1024",
            container.name
        ));
    }
    let mounts = container.value["volumeMounts"].as_array().into_iter().flatten();
    for path in mounts.filter_map(|mount| mount["mountPath"].as_str()) {
        if path == "/root" || path.starts_with("/root/") {
            finding = finding.note(format!("`{}` mounts {path}, which only root can reach", container.name));
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
