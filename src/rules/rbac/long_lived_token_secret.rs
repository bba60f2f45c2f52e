//! See the rule's own docs below.

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A Secret holds a token of a service account that never expires.
    ///
    /// ## Why
    /// Whoever has seen it once has the account's rights until somebody deletes the Secret. Tokens that the kubelet
    /// projects into a pod last an hour, and end with the pod.
    ///
    /// ## Fix
    /// Where a workload mounts the Secret of its own account: mounts a projected token instead, with the same three files
    /// (`token`, `ca.crt`, `namespace`) in the same place. The Secret itself is left for a person to delete, once nothing
    /// outside of the repo uses it either: those clients can ask for short-lived tokens (`kubectl create token`).
    ///
    /// ## What could break
    /// Programs that read the token only once and run for more than an hour.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/configuration/secret/#serviceaccount-token-secrets>
    /// - <https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#serviceaccount-token-volume-projection>
    {
        id: "long-lived-token-secret",
        area: Area::Rbac,
        severity: Severity::High,
        pss: None,
        known_as: &[("CIS", "3.1.2"), ("NSA", "1.11"), ("kubescape", "C-0287")],
        check: Check::Repo,
    }
}

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    for token in &context.access.tokens {
        let name = &*token.object.id.name;
        let account = token.account.as_deref().unwrap_or("a service account");
        let message = format!("Secret/{name} holds a token of {account} that never expires");
        let mut used = false;
        for user in &context.access.users {
            let same_place = user.namespaces.is_empty()
                || user.namespaces.iter().any(|namespace| token.places.contains(namespace));
            for mount in user.mounts.iter().filter(|mount| mount.secret == name && same_place) {
                used = true;
                let who = format!("{}/{}", user.object.id.kind, user.object.id.name);
                let message = format!("{who} mounts Secret/{name}, a token of {account} that never expires");
                let mut finding = Finding::new(mount.volume.clone(), message);
                finding = if token.account.as_deref() != Some(&user.account) {
                    finding.make_manual(format!(
                        "{who} runs as {}: a projected token would be one of that account",
                        user.account
                    ));
                    finding
                } else if mount.mapped || user.pod_spec.is_none() {
                    finding.make_manual(
                        "the files of the volume are chosen one by one: choose those of a projected token",
                    );
                    finding
                } else {
                    replaced(context, finding, &mount.volume, user.object.layout.is_some())
                };
                context.place(&RULE, &user.object, finding, found);
            }
        }
        let finding = Finding::new("/type", message).note(if used {
            "delete it once its workload runs with a projected token"
        } else {
            "nothing in the repo mounts it: find out who uses it, give them short-lived tokens, and delete it"
        });
        context.place(&RULE, &token.object, finding, found);
    }
}

fn replaced(context: &Context<'_>, mut finding: Finding, volume: &str, is_workload: bool) -> Finding {
    let patched = !is_workload;
    let index = volume.rsplit('/').next().unwrap_or_default();
    match context.settings.templates.token_volume("token") {
        Ok(rendered) if !patched => finding
            .change(Change::remove(format!("{volume}/secret")))
            .change(Change::set(format!("{volume}/projected"), rendered["projected"].clone()))
            .safety(Safety::Review)
            .note("check that the program reads the token anew when it changes"),
        Ok(_) => {
            finding.make_manual(format!("volume {index} is not in a pod template"));
            finding
        }
        Err(error) => {
            finding.make_manual(error.to_string());
            finding
        }
    }
}
