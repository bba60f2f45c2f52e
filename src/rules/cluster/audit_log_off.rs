//! See the rule's own docs below.

use serde_json::{Value, json};

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// The API server keeps no audit log.
    ///
    /// ## Why
    /// Without one nobody can tell who read a Secret, who bound whom to what, or what an intruder did.
    ///
    /// ## Fix
    /// Adds a policy file (from the template `cluster/audit-policy.yaml`), the flag that names it, a log of 30 days in at
    /// most 10 files of 100 MiB, and the mounts that a container needs: `--audit-log-path` alone logs nothing without a
    /// policy, and a policy nothing without a log or webhook. The policy logs who did what to which object for everything
    /// but noise, and bodies for RBAC objects and authorization reviews. Of Secrets and token requests it never logs
    /// bodies: checklists ask for `RequestResponse` there, which would write the secret values into the log, and CIS 3.2.2
    /// for the opposite. `cluster.audit-secret-bodies = true` in caseharden.toml follows the checklist all the same. For
    /// EKS, turns on the log types `api`, `audit` and `authenticator`. Talos keeps an audit log by itself.
    ///
    /// ## What could break
    /// The API server restarts, and does not start when the file is missing on its host: copy it first. The log takes up
    /// to 1 GiB of disk. To keep it where an intruder cannot change it, name a receiver in
    /// `cluster.audit-webhook` (see `audit-log-not-shipped`), or run a log shipper on each host.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/>
    /// - <https://docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html>
    {
        id: "audit-log-off",
        area: Area::Cluster,
        severity: Severity::High,
        pss: None,
        known_as: &[
            ("CIS", "3.2.1, 1.2.16"),
            ("kubescape", "C-0067, C-0130, C-0160, C-0254"),
            ("checkov", "CKV_K8S_91"),
            ("trivy", "KCV-0019"),
        ],
        check: Check::Repo,
    }
}

const POLICY_FILE: &str = "audit-policy.yaml";
const SERVER: Component = Component::ApiServer;
/// Flags of the log itself: name and value.
pub(super) const ROTATION: [(&str, &str); 3] =
    [("audit-log-maxage", "30"), ("audit-log-maxbackup", "10"), ("audit-log-maxsize", "100")];
/// What EKS can log of requests: <https://docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html>.
const EKS_TYPES: [&str; 3] = ["api", "audit", "authenticator"];

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    for plane in &context.planes {
        if plane.dialect == Dialect::Eksctl {
            check_eks(context, plane, found);
        } else if plane.runs(SERVER) {
            check_server(context, plane, found);
        }
    }
}

fn check_server(context: &Context<'_>, plane: &Plane, found: &mut RepoFindings) {
    let own_policy = plane.dialect == Dialect::Rke2 && plane.value.get("audit-policy-file").is_some();
    let has_policy = own_policy || plane.effective(SERVER, "audit-policy-file").is_some();
    // RKE2 writes the log of any policy to its own folder: https://docs.rke2.io/reference/server_config
    let has_log = ["audit-log-path", "audit-webhook-config-file"]
        .iter()
        .any(|flag| plane.effective(SERVER, flag).is_some_and(|value| !value.is_empty()))
        || plane.dialect == Dialect::Rke2;
    if has_policy && has_log {
        return;
    }
    let lacks = match (has_policy, has_log) {
        (false, _) => "has no audit policy, so it logs no request",
        _ => "has an audit policy, but neither a log file nor a webhook to log to",
    };
    let flag = if has_policy { "audit-log-path" } else { "audit-policy-file" };
    let message = format!("the API server of {} {lacks}", subject(plane));
    let mut finding = Finding::new(plane.pointer(SERVER, flag), message).safety(Safety::Review);
    if !has_log {
        finding = with_log(plane, finding);
    }
    if has_policy {
        return context.place_on(&RULE, plane, finding, found);
    }
    let bodies = context.settings.config.cluster.audit_secret_bodies;
    let Ok(policy) = context.settings.templates.audit_policy(bodies) else { return };
    let finding = match bodies {
        false => finding.note(
            "of Secrets and tokens the policy logs who and when, never the value: RequestResponse, as checklists ask, \
             would make the log a copy of all secrets",
        ),
        true => finding.note(
            "the log holds the values of Secrets and tokens, as `cluster.audit-secret-bodies` asks: encrypt it, let few \
             read it, and drop the bodies before it is shipped",
        ),
    };
    if plane.dialect == Dialect::Rke2 {
        return rke2(context, plane, finding, &policy.text, found);
    }
    let wanted =
        WantedFile { flag: "audit-policy-file", instead_of: None, name: POLICY_FILE, text: &policy.text };
    context.place_with_file(&RULE, plane, finding, &wanted, found);
}

/// The log's file, when it is kept for how long, and the mount it needs.
fn with_log(plane: &Plane, finding: Finding) -> Finding {
    let folder = plane.log_directory;
    let path =
        format!("{folder}{}", if folder == "/var/log/" { "kube-apiserver-audit.log" } else { "audit.log" });
    let unset = ROTATION.iter().filter(|(flag, _)| plane.flag(SERVER, flag).is_none());
    let flags = std::iter::once(("audit-log-path", &*path)).chain(unset.copied());
    let changes: Vec<Change> = flags.filter_map(|(flag, value)| plane.set(SERVER, flag, value)).collect();
    let folder = folder.trim_end_matches('/');
    finding.changes(changes).changes(plane.mount("audit-log", folder, folder, false, "DirectoryOrCreate"))
}

/// RKE2 has a key of its own, which also mounts the file.
fn rke2(context: &Context<'_>, plane: &Plane, finding: Finding, text: &str, found: &mut RepoFindings) {
    let finding = finding.evidence(
        "`profile: cis` writes a policy with the one rule `level: None`: scanners are content, and nothing is logged",
    );
    // The key stands in the place of a flag: as one of a list, it would have no mount.
    let mut own = plane.clone();
    own.lists = vec![plane::FlagList::read(
        &plane.value,
        SERVER,
        "",
        plane::Style::Fields(&[("audit-policy-file", "audit-policy-file", plane::FieldType::Text)]),
    )];
    let wanted = WantedFile { flag: "audit-policy-file", instead_of: None, name: POLICY_FILE, text };
    context.place_with_file(&RULE, &own, finding, &wanted, found);
}

fn check_eks(context: &Context<'_>, plane: &Plane, found: &mut RepoFindings) {
    const TYPES: &str = "/cloudWatch/clusterLogging/enableTypes";
    let on: Vec<&str> = plane
        .value
        .pointer(TYPES)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if on.iter().any(|kind| ["*", "all"].contains(kind)) {
        return;
    }
    let missing: Vec<&str> = EKS_TYPES.into_iter().filter(|kind| !on.contains(kind)).collect();
    if !missing.contains(&"audit") {
        return;
    }
    let message = format!("{} keeps no audit log", subject(plane));
    let mut finding = Finding::new(TYPES, message)
        .changes(missing.iter().map(|kind| Change::append(TYPES, *kind)))
        .safety(Safety::Review)
        .note("CloudWatch charges for what it stores; `logRetentionInDays` says for how long it does");
    if plane.value.pointer("/cloudWatch/clusterLogging/logRetentionInDays").is_none() {
        finding = finding.change(Change::set("/cloudWatch/clusterLogging/logRetentionInDays", json!(365)));
    }
    context.place_on(&RULE, plane, finding, found);
}
