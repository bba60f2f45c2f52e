//! See the rule's own docs below.

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// The audit log stays on the host that an intruder may own.
    ///
    /// ## Why
    /// Who gets root on a control-plane node can change or remove the file that tells what they did. A copy elsewhere
    /// stays as it was.
    ///
    /// ## Fix
    /// With a receiver in `cluster.audit-webhook` of caseharden.toml, writes a kubeconfig for it (from the template
    /// `cluster/audit-webhook.yaml`), and sets `--audit-webhook-config-file` with the mount that a container needs. The mode
    /// is the API server's default, `batch`: it never waits for the receiver. Without a receiver nothing is reported: a log
    /// shipper on each host, which no manifest shows, does as well.
    ///
    /// ## What could break
    /// The API server restarts, and does not start when the file is missing on its host: copy it first. Events that a full
    /// buffer has no room for are dropped, so the log file stays.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/#webhook-backend>
    /// - <https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/>
    {
        id: "audit-log-not-shipped",
        area: Area::Cluster,
        severity: Severity::Low,
        pss: None,
        known_as: &[],
        check: Check::Repo,
    }
}

const FILE: &str = "audit-webhook.yaml";
const FLAG: &str = "audit-webhook-config-file";
const SERVER: Component = Component::ApiServer;

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    let Some(url) = &context.settings.config.cluster.audit_webhook else { return };
    let Ok(webhook) = context.settings.templates.audit_webhook(url) else { return };
    for plane in context.planes.iter().filter(|plane| plane.runs(SERVER) && plane.dialect != Dialect::Eksctl)
    {
        if plane.effective(SERVER, FLAG).is_some_and(|file| !file.is_empty()) {
            continue;
        }
        let message = format!("the API server of {} sends its audit log nowhere", subject(plane));
        let finding = Finding::new(plane.pointer(SERVER, FLAG), message)
            .safety(Safety::Review)
            .evidence(format!("`cluster.audit-webhook` names the receiver {url}"));
        let wanted = WantedFile { flag: FLAG, instead_of: None, name: FILE, text: &webhook.text };
        context.place_with_file(&RULE, plane, finding, &wanted, found);
    }
}
