//! See the rule's own docs below.

use super::narrowing::{Narrowing, candidates};
use super::*;
use crate::rules::{Area, Check, NewFile, Severity};
use crate::template::{NewBinding, NewRole};

crate::rules::rule! {
    /// A ClusterRole is bound in the whole cluster to an account that acts in one namespace.
    ///
    /// ## Why
    /// The account can do the same in every other namespace, and so can whoever takes it over.
    ///
    /// ## Fix
    /// Makes the ClusterRole a Role and the ClusterRoleBinding a RoleBinding, in the namespace of the workload. Rules
    /// about things that are in no namespace (nodes, paths) stay in the ClusterRole, and the others move to a Role of
    /// the same name. Both objects are changed or none. Only where the role is bound once, and where nothing suggests
    /// that the program works in all namespaces: lists of cluster-scoped things, kinds of its own, an empty
    /// `WATCH_NAMESPACE`, an image that is known to.
    ///
    /// ## What could break
    /// Requests about other namespaces, or about all of them. To a cluster the objects are new ones: the old ones
    /// have to be deleted, which tools that prune do.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/security/rbac-good-practices/#least-privilege>
    /// - The checklist item "prefer Role over ClusterRole".
    {
        id: "cluster-role-only-used-in-namespace",
        area: Area::Rbac,
        severity: Severity::Medium,
        pss: None,
        known_as: &[("CIS", "5.1.1")],
        check: Check::Repo,
    }
}

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    for narrowing in candidates(context) {
        let RoleSource::Repo(idx) = narrowing.binding.role else { continue };
        if is_shared(context, idx) {
            continue;
        }
        if narrowing.is_whole() {
            convert(context, &narrowing, idx, found);
        } else {
            split(context, &narrowing, idx, found);
        }
    }
}

/// Whether a role has more than one binding, or a life beyond its bindings.
pub(super) fn is_shared(context: &Context<'_>, role: usize) -> bool {
    let object = &context.access.roles[role];
    context.access.bindings_of(role).count() > 1
        || is_aggregated(object)
        || is_owned_elsewhere(object).is_some()
}

/// Why the two objects cannot be changed together, if so.
fn reason_against(context: &Context<'_>, narrowing: &Narrowing<'_>, role: &RoleObject) -> Option<String> {
    let taken = context.access.roles.iter().any(|other| {
        !other.is_cluster_wide()
            && other.object.id.name == role.object.id.name
            && other.places.contains(&narrowing.namespace)
    });
    if taken {
        return Some(format!("there is a Role of that name in {} already", narrowing.namespace));
    }
    [&narrowing.binding.object, &role.object]
        .into_iter()
        .find_map(|object| context.reason_against_edits(object))
}

fn convert(context: &Context<'_>, narrowing: &Narrowing<'_>, idx: usize, found: &mut RepoFindings) {
    let role = &context.access.roles[idx];
    let message = narrowing.message();
    if let Some(reason) = reason_against(context, narrowing, role) {
        let mut finding = narrowing.explained(context, Finding::new("/kind", message), &[]);
        finding.make_manual(reason);
        return context.place(&RULE, &narrowing.binding.object, finding, found);
    }
    let fix =
        format!("{} {} {}", RULE.id, binding_name(narrowing.binding), context.model.file(&role.object).path);
    let finding = narrowing
        .moved(context, Finding::new("/kind", message), "RoleBinding")
        .change(Change::set("/roleRef/kind", "Role"))
        .together(&fix);
    let finding = narrowing.explained(context, finding, &[]);
    context.place(&RULE, &narrowing.binding.object, finding, found);
    let message = format!("{} holds nothing that needs the whole cluster", role_name(role));
    let finding = narrowing.moved(context, Finding::new("/kind", message), "Role").together(&fix);
    context.place(&RULE, &role.object, finding, found);
}

/// Moves what is namespaced to a Role of the same name.
fn split(context: &Context<'_>, narrowing: &Narrowing<'_>, idx: usize, found: &mut RepoFindings) {
    let role = &context.access.roles[idx];
    let binding = narrowing.binding;
    let rest: Vec<PolicyRule> = narrowing.parts.iter().filter_map(|parts| parts.rest.clone()).collect();
    let stay: Vec<String> =
        rest.iter().flat_map(|rule| rule.resources.iter().chain(&rule.non_resource_urls)).cloned().collect();
    let stays = format!("{} stay cluster-wide: they are in no namespace", stay.join(", "));
    let mut finding = Finding::new("/rules", narrowing.message()).safety(Safety::Review).note(stays);
    for (at, parts) in narrowing.parts.iter().enumerate().rev() {
        finding = match (&parts.namespaced, &parts.rest) {
            (Some(_), None) => finding.change(Change::remove(format!("/rules/{at}"))),
            (Some(_), Some(rest)) => {
                finding.change(Change::set(format!("/rules/{at}/resources"), rest.resources.clone()))
            }
            _ => finding,
        };
    }
    finding = narrowing.explained(context, finding, &rest);
    let path = context.new_path(&role.object, &role.object.id.name, found);
    let reason =
        reason_against(context, narrowing, role).or_else(|| context.reason_against_listing(&role.object));
    let (text, path) = match (rendered(context, narrowing, role), path) {
        (Some(text), Some(path)) if reason.is_none() => (text, path),
        _ => {
            finding
                .make_manual(reason.unwrap_or_else(|| "there is no free name for the new file".to_owned()));
            return context.place(&RULE, &role.object, finding, found);
        }
    };
    let fix = format!("{} {} {path}", RULE.id, binding_name(binding));
    context.place(&RULE, &role.object, finding.together(&fix), found);
    let message =
        format!("{} needs a Role for what it gives in {}", binding_name(binding), narrowing.namespace);
    let mut finding = Finding::new("/roleRef", message).safety(Safety::Review).together(&fix);
    finding.rule = &RULE;
    finding.new_files.push(NewFile { path: path.clone(), text });
    found.new_files.push(Placed { object: binding.object.clone(), finding, needs_file: None });
    context.list_new_file(&role.object, &path, &RULE, &fix, found);
}

fn rendered(context: &Context<'_>, narrowing: &Narrowing<'_>, role: &RoleObject) -> Option<String> {
    let namespace = Some(narrowing.written_namespace(context).unwrap_or_default());
    let name = &*role.object.id.name;
    let rules = narrowing.namespaced_rules();
    let accounts: Vec<(String, String)> = narrowing
        .binding
        .subjects
        .iter()
        .map(|subject| (subject.namespace.clone().unwrap_or_default(), subject.name.clone()))
        .collect();
    let templates = context.settings.templates;
    let role = templates.role(&NewRole { namespace, name, rules: &rules }).ok()?;
    let binding = NewBinding {
        namespace,
        name: &narrowing.binding.object.id.name,
        role_kind: "Role",
        role_name: name,
        accounts: &accounts,
    };
    let binding = templates.role_binding(&binding).ok()?;
    Some(format!("{}---\n{}", role.text, binding.text))
}
