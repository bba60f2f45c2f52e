//! See the rule's own docs below.

use super::*;
use crate::rbac::escalation::is_everything;
use crate::rbac::resources::VERBS;
use crate::rbac::rule::ALL;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A role allows `*`.
    ///
    /// ## Why
    /// A wildcard allows what nobody thought of: `escalate`, `bind` and `impersonate` among the verbs, `pods/exec` and
    /// `serviceaccounts/token` among the resources, and everything that is installed later.
    ///
    /// ## Fix
    /// Writes the list out that a server of the target version (and the repo's own CRDs) gives the group: the resources
    /// without their subresources, the verbs that they are served with. What that takes away is told. Groups that
    /// nothing is known of keep their resources and get the eight verbs of stored objects. `*` for all groups is
    /// reported only, as are rules that a controller fills in.
    ///
    /// ## What could break
    /// Requests for subresources (`pods/log`, `deployments/scale`, `*/status`) and for verbs that are not in the list.
    /// Take out of the list what is not needed: that is the point of having one.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/security/rbac-good-practices/#least-privilege>
    {
        id: "role-grants-wildcard",
        area: Area::Rbac,
        severity: Severity::High,
        pss: None,
        known_as: &[
            ("CIS", "5.1.3"),
            ("kube-linter", "wildcard-in-rules"),
            ("kubescape", "C-0187"),
            ("checkov", "CKV_K8S_49"),
            ("trivy", "KSV-0044, KSV-0045, KSV-0046, KSV-0112"),
        ],
        check: Check::Repo,
    }
}

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    for (idx, role) in context.access.roles.iter().enumerate() {
        if role.aggregates.is_some() {
            continue;
        }
        for (at, rule) in role.rules.iter().enumerate() {
            if let Some(finding) = finding(context, idx, role, at, rule) {
                context.place(&RULE, &role.object, finding, found);
            }
        }
    }
}

fn has_all(list: &[String]) -> bool {
    list.iter().any(|item| item == ALL)
}

fn finding(
    context: &Context<'_>,
    idx: usize,
    role: &RoleObject,
    at: usize,
    rule: &PolicyRule,
) -> Option<Finding> {
    let wild: Vec<&str> = [
        ("verbs", &rule.verbs),
        ("apiGroups", &rule.api_groups),
        ("resources", &rule.resources),
        ("nonResourceURLs", &rule.non_resource_urls),
    ]
    .into_iter()
    .filter(|(_, list)| has_all(list))
    .map(|(key, _)| key)
    .collect();
    let first = *wild.first()?;
    let holders = context.holders(idx);
    let who = match holders.len() {
        0 => String::new(),
        _ => format!(" to {}", named(holders.iter().map(|(_, subject)| *subject))),
    };
    let on = if rule.is_about_resources() { shown_resources(rule) } else { shown_paths(rule) };
    let message = if is_everything(rule) {
        format!("{} allows everything{who}", role_name(role))
    } else {
        let verbs = if has_all(&rule.verbs) { "every verb".to_owned() } else { rule.verbs.join(", ") };
        format!("{} allows {verbs} on {on}{who}", role_name(role))
    };
    let mut finding = Finding::new(format!("/rules/{at}/{first}"), message);
    if is_everything(rule) && holders.iter().any(|(scope, _)| *scope == Scope::Cluster) {
        finding = finding.severe(Severity::Critical);
    }
    if let Some(reason) = is_owned_elsewhere(role) {
        finding.make_manual(reason);
        return Some(finding);
    }
    Some(match expanded(context, rule) {
        Err(reason) => {
            finding.make_manual(reason);
            finding
        }
        Ok(wanted) => {
            let changes =
                [("verbs", &rule.verbs, &wanted.verbs), ("resources", &rule.resources, &wanted.resources)];
            for (key, old, new) in changes {
                if old != new {
                    finding = finding.change(Change::set(format!("/rules/{at}/{key}"), new.clone()));
                }
            }
            let before = scoped(&Scope::Cluster, std::slice::from_ref(rule));
            let after = scoped(&Scope::Cluster, std::slice::from_ref(&wanted));
            let losses = context.losses(&before, &after);
            let who = match context.all_holders(idx) {
                all if all.is_empty() => "whoever has the role".to_owned(),
                all => all_named(all.into_iter().map(|(_, subject)| subject)),
            };
            let own_kinds =
                rule.api_groups.iter().any(|group| group.contains('.') && !group.ends_with(".k8s.io"));
            if own_kinds && has_all(&rule.resources) {
                finding = finding.note("kinds of the group that the repo does not define are left out");
            }
            let finding = with_losses(finding.safety(Safety::Review), &who, &losses);
            finding.note("take out of the list what is not needed")
        }
    })
}

/// `everything in apps`, where it is not everything at all.
fn shown_resources(rule: &PolicyRule) -> String {
    if !has_all(&rule.resources) || has_all(&rule.api_groups) {
        return shown(&rule.resources);
    }
    let groups = rule.api_groups.iter();
    let groups: Vec<&str> =
        groups.map(|group| if group.is_empty() { "the core group" } else { group }).collect();
    format!("everything in {}", groups.join(", "))
}

fn shown_paths(rule: &PolicyRule) -> String {
    if has_all(&rule.non_resource_urls) { "every path".to_owned() } else { rule.non_resource_urls.join(", ") }
}

fn shown(list: &[String]) -> String {
    if has_all(list) { "everything".to_owned() } else { list.join(", ") }
}

/// The rule with the lists that its wildcards stand for, or why there is none.
fn expanded(context: &Context<'_>, rule: &PolicyRule) -> Result<PolicyRule, String> {
    if has_all(&rule.non_resource_urls) {
        return Err("which paths are needed only the program's documentation tells".to_owned());
    }
    if has_all(&rule.api_groups) {
        return Err(
            "`*` stands for all groups, those that are installed later among them: name them".to_owned()
        );
    }
    if !rule.is_about_resources() {
        return Err("which methods are needed only the program's documentation tells".to_owned());
    }
    let known = &context.access.resources;
    let mut wanted = rule.clone();
    if has_all(&rule.resources) {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for group in &rule.api_groups {
            let Some(resources) = known.of_group(group) else {
                return Err(format!("what is in the group {group} is not known: no manifest defines it"));
            };
            // What is served with none of the verbs gives nothing: `get` on `bindings`.
            let of_use = resources.filter(|known| {
                !known.is_subresource() && known.verbs.iter().any(|verb| rule.has_verb(verb))
            });
            names.extend(of_use.map(|known| known.name.clone()));
        }
        // Subresources that are named stay.
        names.extend(rule.resources.iter().filter(|name| name.contains('/')).cloned());
        wanted.resources = names.into_iter().collect();
    }
    if has_all(&rule.verbs) {
        wanted.verbs = verbs(context, &wanted);
    }
    Ok(wanted)
}

/// The verbs that the rule's resources are served with, in the usual order.
fn verbs(context: &Context<'_>, rule: &PolicyRule) -> Vec<String> {
    let mut verbs: BTreeSet<&str> = BTreeSet::new();
    for group in &rule.api_groups {
        for name in &rule.resources {
            match context.access.resources.get(group, name) {
                Some(known) => verbs.extend(known.verbs.iter().map(String::as_str)),
                None if context.access.resources.of_group(group).is_none() => verbs.extend(VERBS),
                None => {}
            }
        }
    }
    if verbs.is_empty() {
        verbs.extend(VERBS);
    }
    let usual = VERBS.into_iter().filter(|verb| verbs.contains(verb));
    usual.map(str::to_owned).collect()
}
