//! See the rule's own docs below.

use super::*;
use crate::rbac::Request;
use crate::rbac::escalation::is_everything;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// An account can read every Secret of a namespace or of the cluster.
    ///
    /// ## Why
    /// Secrets hold passwords, keys and tokens of other programs and accounts. `list` and `watch` show their contents
    /// just as `get` does.
    ///
    /// ## Fix
    /// Where one workload has the role, the rule is about `get` on Secrets only and the workload refers to Secrets by
    /// name: limits the rule to those names. With `list` or `watch`, or without a name to go by, it is reported only:
    /// programs that watch Secrets need all of them.
    ///
    /// ## What could break
    /// Requests for Secrets whose names are not written in the workload. Secrets that are merely mounted need no
    /// permission: the kubelet reads those.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/security/rbac-good-practices/#listing-secrets>
    {
        id: "secrets-readable-in-bulk",
        area: Area::Rbac,
        severity: Severity::High,
        pss: None,
        known_as: &[
            ("CIS", "5.1.2"),
            ("kube-linter", "access-to-secrets"),
            ("kubescape", "C-0015, C-0186, C-0255"),
            ("checkov", "CKV2_K8S_5"),
            ("trivy", "KSV-0041, KSV-0113"),
        ],
        check: Check::Repo,
    }
}

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    for (idx, role) in context.access.roles.iter().enumerate() {
        let holders = context.holders(idx);
        let Some((scope, _)) = holders.first() else { continue };
        for (at, rule) in role.rules.iter().enumerate() {
            let verbs: Vec<&str> = ["get", "list", "watch"]
                .into_iter()
                .filter(|verb| rule.allows(&Request::resource(verb, "", "secrets", "")))
                .collect();
            if verbs.is_empty() || is_everything(rule) {
                continue;
            }
            let message = format!(
                "{} lets {} read every Secret {} ({})",
                role_name(role),
                named(holders.iter().map(|(_, subject)| *subject)),
                in_scope(scope),
                verbs.join(", ")
            );
            let mut finding = Finding::new(format!("/rules/{at}"), message);
            if *scope != Scope::Cluster {
                finding = finding.severe(Severity::Medium);
            }
            let finding = match names(context, role, rule, &verbs, &holders) {
                Ok(names) => limited(context, finding, at, rule, &names, &holders),
                Err(reason) => {
                    finding.make_manual(reason);
                    finding
                }
            };
            context.place(&RULE, &role.object, finding, found);
        }
    }
}

/// The Secrets that the one workload with the role refers to, or why there are none to limit it to.
fn names(
    context: &Context<'_>,
    role: &RoleObject,
    rule: &PolicyRule,
    verbs: &[&str],
    holders: &BTreeSet<(Scope, &Subject)>,
) -> Result<Vec<String>, String> {
    if let Some(reason) = is_owned_elsewhere(role) {
        return Err(reason.to_owned());
    }
    if is_aggregated(role) {
        return Err("it is part of another role".to_owned());
    }
    let known: BTreeSet<&String> = holders
        .iter()
        .flat_map(|(_, subject)| context.access.users_of(subject))
        .flat_map(|user| &user.secrets)
        .collect();
    let example = if known.is_empty() {
        String::new()
    } else {
        let names: Vec<String> = known.iter().map(|name| (*name).clone()).collect();
        format!("; its workload refers to {}", listed(&names))
    };
    if verbs != ["get"] {
        return Err(format!(
            "`list` and `watch` show all of them: find out whether it needs more than a few by name{example}"
        ));
    }
    if rule.has_verb("*") || rule.has_group("*") || rule.resources.iter().any(|name| name == "*") {
        return Err("write the wildcard out first".to_owned());
    }
    if holders.len() != 1 {
        return Err("several accounts have the role: each may need other Secrets".to_owned());
    }
    if rule.api_groups.len() != 1 || rule.verbs.len() != 1 {
        return Err(format!("its other verbs are not about single Secrets{example}"));
    }
    if rule.resources.len() != 1 {
        return Err(format!("give Secrets a rule of their own, with `resourceNames`{example}"));
    }
    if known.is_empty() {
        return Err("which Secrets it needs is not written in its workload".to_owned());
    }
    Ok(known.into_iter().cloned().collect())
}

fn limited(
    context: &Context<'_>,
    finding: Finding,
    at: usize,
    rule: &PolicyRule,
    names: &[String],
    holders: &BTreeSet<(Scope, &Subject)>,
) -> Finding {
    let after = PolicyRule { resource_names: names.to_vec(), ..rule.clone() };
    let losses = context.losses(
        &scoped(&Scope::Cluster, std::slice::from_ref(rule)),
        &scoped(&Scope::Cluster, std::slice::from_ref(&after)),
    );
    let who = all_named(holders.iter().map(|(_, subject)| *subject));
    let finding = finding
        .change(Change::set(format!("/rules/{at}/resourceNames"), names.to_vec()))
        .safety(Safety::Review)
        .evidence(format!("its workload refers to {}", listed(names)))
        .note("the program must ask for no other Secret");
    with_losses(finding, &who, &losses)
}
