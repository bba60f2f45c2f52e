//! A ClusterRole that is bound once in the whole cluster, and used in a few namespaces: Roles there.

use std::collections::BTreeSet;

use super::evidence::Judge;
use super::needs::{CLUSTER, Needs};
use super::*;
use crate::template::{NewBinding, NewRole, TemplateError};

/// More namespaces than these stay the whole cluster.
pub(super) const MOST_NAMESPACES: usize = 5;

/// A Role or ClusterRole with its binding, to be rendered.
pub(super) struct Pair {
    /// Empty for the whole cluster.
    pub(super) namespace: String,
    pub(super) role: String,
    pub(super) binding: String,
    pub(super) rules: Vec<PolicyRule>,
}

/// Whether it has been dealt with: narrowed to the namespaces of its use.
pub(super) fn convert(
    judge: &Judge<'_>,
    role: &RoleObject,
    bindings: &[&BindingObject],
    needs: &Needs,
    kept: &BTreeSet<String>,
    found: &mut RepoFindings,
) -> bool {
    let context = judge.context;
    let [binding] = bindings else { return false };
    let namespaces: Vec<&String> = needs.places.keys().filter(|place| *place != CLUSTER).collect();
    if !role.is_cluster_wide() || !binding.is_cluster_wide() || namespaces.is_empty() {
        return false;
    }
    if namespaces.len() > MOST_NAMESPACES || !can_be_scoped(context, role, binding, &namespaces) {
        return false;
    }
    let known = &context.access.resources;
    let rules_at = |place: &str| -> Vec<PolicyRule> {
        needs.places.get(place).map_or_else(Vec::new, |needs| minimal::all(&role.rules, needs, known))
    };
    let cluster = rules_at(CLUSTER);
    let home = home(binding, &namespaces);
    // With nothing left for the cluster, the objects themselves become those of the first namespace.
    let first = cluster.is_empty().then_some(home);
    let pairs: Vec<Pair> = namespaces
        .iter()
        .filter(|namespace| first != Some(namespace.as_str()))
        .map(|namespace| Pair {
            namespace: (*namespace).clone(),
            role: role.object.id.name.to_string(),
            binding: binding.object.id.name.to_string(),
            rules: rules_at(namespace),
        })
        .collect();
    let stays = match first {
        Some(namespace) => (Scope::Namespace(namespace.to_owned()), rules_at(namespace)),
        None => (Scope::Cluster, cluster),
    };
    let left = needs.places.get(first.unwrap_or(CLUSTER)).map_or(&[][..], Vec::as_slice);
    let who = judge.who(binding);
    let message = format!(
        "{} gives {who} more, and in more namespaces, than the {} that used it {}",
        role_name(role),
        requests(needs.n_requests),
        judge.period()
    );
    let before = scoped(&Scope::Cluster, &role.rules);
    let mut after = scoped(&stays.0, &stays.1);
    for pair in &pairs {
        after.extend(scoped(&Scope::Namespace(pair.namespace.clone()), &pair.rules));
    }
    let fix = format!("{} {} {}", RULE.id, binding_name(binding), context.model.file(&role.object).path);
    let mut finding = Finding::new("/rules", message)
        .changes(minimal::changes(&role.rules, left, known))
        .safety(Safety::Review);
    finding = judge.explained(finding, needs, kept, &who, &before, &after).together(&fix);
    if let Some(namespace) = first {
        finding = moved(context, role.object.clone(), finding, "Role", namespace);
        let message = format!(
            "{} gives {who} rights in every namespace; they were used in {}",
            binding_name(binding),
            listed_all(&namespaces)
        );
        let part = Finding::new("/kind", message).safety(Safety::Review).together(&fix);
        let part = moved(context, binding.object.clone(), part, "RoleBinding", namespace)
            .change(Change::set("/roleRef/kind", "Role"))
            .note("to a cluster it is a new object: delete the old one, as tools that prune do");
        context.place(&RULE, &binding.object, part, found);
    }
    context.place(&RULE, &role.object, finding, found);
    if !pairs.is_empty() {
        add_file(context, binding, &role.object, &pairs, &fix, found);
    }
    true
}

fn can_be_scoped(
    context: &Context<'_>,
    role: &RoleObject,
    binding: &BindingObject,
    namespaces: &[&String],
) -> bool {
    let is_taken = |namespace: &String| {
        context.access.roles.iter().any(|other| {
            !other.is_cluster_wide()
                && other.object.id.name == role.object.id.name
                && other.places.contains(namespace)
        })
    };
    // A build that gives all its objects one namespace would move the others there.
    let objects = [&role.object, &binding.object];
    let is_given = |object: &&Object| {
        let mut given = context.model.builds.given_namespaces(&context.model.file(object).path);
        given.any(|given| namespaces.iter().any(|namespace| *given != **namespace))
    };
    !namespaces.iter().any(|namespace| is_taken(namespace))
        && !objects.iter().any(is_given)
        && objects.iter().all(|object| context.reason_against_edits(object).is_none())
        && context.reason_against_listing(&role.object).is_none()
}

/// The namespace of the account, or the first.
pub(super) fn home<'n>(binding: &BindingObject, namespaces: &[&'n String]) -> &'n str {
    let own = |namespace: &&&String| {
        binding.bound().iter().any(
            |subject| matches!(subject, Subject::ServiceAccount { namespace: own, .. } if own == **namespace),
        )
    };
    namespaces.iter().find(own).or(namespaces.first()).map_or("", |namespace| namespace.as_str())
}

fn listed_all(namespaces: &[&String]) -> String {
    listed(&namespaces.iter().map(|namespace| (*namespace).clone()).collect::<Vec<_>>())
}

/// Makes an object one of a namespace.
pub(super) fn moved(
    context: &Context<'_>,
    object: Object,
    finding: Finding,
    kind: &str,
    namespace: &str,
) -> Finding {
    let finding = finding.change(Change::set("/kind", kind));
    let is_given = context.model.builds.given_namespaces(&context.model.file(&object).path).next().is_some();
    if is_given { finding } else { finding.change(Change::set("/metadata/namespace", namespace)) }
}

/// Adds roles and bindings in a file of their own, beside `beside`.
pub(super) fn add_file(
    context: &Context<'_>,
    binding: &BindingObject,
    beside: &Object,
    pairs: &[Pair],
    fix: &str,
    found: &mut RepoFindings,
) {
    let path = context.new_path(beside, &beside.id.name, found);
    let message = format!("{} needs roles of its own", binding_name(binding));
    let mut finding = Finding::new("/roleRef", message).safety(Safety::Review).together(fix);
    finding.rule = &RULE;
    match (rendered(context, binding, pairs), path) {
        (Ok(text), Some(path)) => {
            finding.new_files.push(NewFile { path: path.clone(), text });
            found.new_files.push(Placed { object: binding.object.clone(), finding, needs_file: None });
            context.list_new_file(beside, &path, &RULE, fix, found);
        }
        // Held back along with the other parts.
        (Err(error), _) => {
            finding.make_manual(error.to_string());
            context.place(&RULE, &binding.object, finding, found);
        }
        (_, None) => {
            finding.make_manual("there is no free name for the new file");
            context.place(&RULE, &binding.object, finding, found);
        }
    }
}

fn rendered(context: &Context<'_>, binding: &BindingObject, pairs: &[Pair]) -> Result<String, TemplateError> {
    let templates = context.settings.templates;
    let accounts: Vec<(String, String)> = binding
        .bound()
        .iter()
        .filter_map(|subject| match subject {
            Subject::ServiceAccount { namespace, name } => Some((namespace.clone(), name.clone())),
            _ => None,
        })
        .collect();
    let mut parts = Vec::new();
    for pair in pairs {
        let namespace = (!pair.namespace.is_empty()).then_some(pair.namespace.as_str());
        let kind = if namespace.is_some() { "Role" } else { "ClusterRole" };
        parts.push(templates.role(&NewRole { namespace, name: &pair.role, rules: &pair.rules })?.text);
        if !pair.binding.is_empty() {
            let new = NewBinding {
                namespace,
                name: &pair.binding,
                role_kind: kind,
                role_name: &pair.role,
                accounts: &accounts,
            };
            parts.push(templates.role_binding(&new)?.text);
        }
    }
    Ok(parts.join("---\n"))
}
