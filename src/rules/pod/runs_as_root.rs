//! See the rule's own docs below.

use serde_json::Value;

use super::low_port::{low_port, who_may_bind};
use super::persistent_volume::Shared;
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
    /// it brings for its job, for review, or is left to a person. Where such a container writes to a persistent volume,
    /// the pod gets the account's group as `fsGroup` too, or the volume would stay root's.
    ///
    /// ## What could break
    /// The kubelet refuses to start a container whose image runs as root, or as a user given by name only
    /// (`container has runAsNonRoot and image has non-numeric user`). A process that is no longer root cannot bind
    /// ports below 1024 unless the runtime lowers `net.ipv4.ip_unprivileged_port_start` (containerd does from 2.0 on;
    /// containerd 1 and CRI-O only when configured; nobody on the host's network), read directories such as `/root`, or
    /// write to volumes owned by root. `fsGroup` has no effect on shared storage whose driver leaves owners alone (NFS).
    ///
    /// ## Sources
    /// - Pod Security Standards, restricted: <https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted>
    /// - Checks `runAsNonRoot` and `runAsUser`: k8s.io/pod-security-admission, `policy/check_runAsNonRoot.go`, `policy/check_runAsUser.go`
    /// - Ports below 1024: <https://github.com/containerd/containerd/pull/11502>, <https://github.com/cri-o/cri-o/issues/10050>
    /// - `fsGroup` and its change policy: <https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#configure-volume-permission-and-ownership-change-policy-for-pods>
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
    let is_rooted = |user: &User<'_>| matches!(user, User::Root | User::RootImage(_) | User::NotInImage(_));
    if template_user.is_none() && (users.iter().any(is_rooted) || of_pod["runAsUser"] == 0) {
        report_root(workload, pod, &users, findings);
        // One container that stays root keeps `runAsNonRoot` away from the pod: the others get it themselves.
        let others: Vec<_> = containers()
            .filter(|(container, user)| {
                !is_rooted(user) && effective_non_root(of_pod, container) != Some(true)
            })
            .collect();
        let shared = shared_volume(workload, pod, others.iter().copied());
        for (container, user) in others {
            findings.push(on_container(workload, pod, container, user, shared.as_ref()));
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
        findings
            .extend(unset.iter().map(|(container, user)| on_container(workload, pod, container, user, None)));
    }
}

/// Who a container runs as, as far as the manifest and the image tell.
enum User<'a> {
    /// `runAsUser: 0`.
    Root,
    /// The image's own user is root, and nothing overrides it.
    RootImage(&'a Facts),
    /// The image's user is a name that its own `/etc/passwd` does not have.
    NotInImage(&'a Facts),
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
        None => User::NotInImage(facts),
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
            User::NotInImage(facts) => {
                let message = format!(
                    "{} runs an image whose user `{}` is not in its /etc/passwd",
                    workload.container(container),
                    facts.user
                );
                let finding = Finding::new(field("runAsNonRoot"), message).container(container);
                findings.push(finding.evidence(read_from(facts)).note(
                    "no runtime can start it as that user: find out its number, and give it as `runAsUser`",
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
    if template_user.is_none() {
        let shared = shared_volume(workload, pod, unset.iter().copied());
        finding = with_shared_volume(pod, shared.as_ref(), finding);
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
    shared: Option<&Shared<'_>>,
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
    finding = with_user(workload, pod, container, user, has_user, finding);
    if !has_user {
        finding = with_shared_volume(pod, shared.filter(|shared| shared.is_of(container)), finding);
    }
    decide_privileged_first(&[(container, user)], finding)
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
    // Without a group the runtime takes the user's own.
    let numbers = |uid: u32, gid: Option<u32>| {
        let user = Change::set(format!("{context}/runAsUser"), uid);
        let group = gid.map(|gid| Change::set(format!("{context}/runAsGroup"), gid));
        [user].into_iter().chain(group)
    };
    if !matches!(user, User::Root | User::RootImage(_)) {
        finding = note_other_platforms(workload, container, finding);
    }
    match user {
        User::Number(fact) => return finding.evidence(fact.clone()),
        User::Named { facts, uid } if !template_decides => {
            let group = facts.gid.map_or_else(
                || "its group is in no /etc/group of it".to_owned(),
                |gid| format!("its group is {gid}"),
            );
            return finding.changes(numbers(*uid, facts.gid)).evidence(format!(
                "the image of `{}` runs as `{}`, which is user {uid} in its /etc/passwd, and {group}; the kubelet takes \
                 numbers only",
                container.name, facts.user
            ));
        }
        User::Account { facts, account } if !template_decides => {
            finding = finding
                .safety(Safety::Review)
                .changes(numbers(account.uid, Some(account.gid)))
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
    note_what_root_can(workload, pod, container, finding)
}

/// Facts are one platform's: where another has another user, nothing is safe.
fn note_other_platforms(workload: &Workload<'_>, container: &Container<'_>, finding: Finding) -> Finding {
    let others = workload.locked(container).map_or(&[][..], |locked| &locked.other_users);
    others.iter().fold(finding, |finding, other| {
        let user = if other.user.is_empty() { "no `USER`, so root" } else { other.user.as_str() };
        finding.safety(Safety::Review).note(format!(
            "for {} the image of `{}` has another user: {user}",
            other.platform, container.name
        ))
    })
}

/// The group that persistent volumes have to go to, when a container that wrote to them as root gets another user.
fn shared_volume<'a>(
    workload: &Workload<'_>,
    pod: &Pod<'_>,
    containers: impl IntoIterator<Item = (&'a Container<'a>, &'a User<'a>)>,
) -> Option<Shared<'a>> {
    if workload.wanted_of_pod("fsGroup").is_some() {
        return None;
    }
    let changed = containers.into_iter().filter_map(|(container, user)| match user {
        User::Account { account, .. } => Some((container, account.uid, account.gid)),
        _ => None,
    });
    Shared::find(workload, pod, changed)
}

fn with_shared_volume(pod: &Pod<'_>, shared: Option<&Shared<'_>>, finding: Finding) -> Finding {
    let Some(shared) = shared else { return finding };
    let context = pod.security_context();
    let mut finding =
        finding.change(Change::set(format!("{context}/fsGroup"), shared.group)).evidence(shared.fact());
    if pod.spec["securityContext"]["fsGroupChangePolicy"].is_null() {
        finding = finding.change(Change::set(format!("{context}/fsGroupChangePolicy"), "OnRootMismatch"));
    }
    finding
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
fn note_what_root_can(
    workload: &Workload<'_>,
    pod: &Pod<'_>,
    container: &Container<'_>,
    mut finding: Finding,
) -> Finding {
    if let Some((port, source)) = low_port(workload, container)
        && let Some(who) = who_may_bind(pod, port)
    {
        finding = finding.note(format!("`{}` listens on port {port} by {source}: {who}", container.name));
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
