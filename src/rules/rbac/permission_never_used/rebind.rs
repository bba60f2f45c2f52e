//! An account that has a role of Kubernetes, or one that others share: roles of its own, and the binding pointed there.
//!
//! `roleRef` cannot be changed, so the binding gets another name and is a new object:
//! <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#clusterrolebinding-example>.

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::Judge;
use super::needs::{CLUSTER, Needs};
use super::scoped_roles::{MOST_NAMESPACES, Pair, add_file, home, moved};
use super::*;

pub(super) fn to_own_roles(
    judge: &Judge<'_>,
    binding: &BindingObject,
    rules: &[PolicyRule],
    needs: &Needs,
    kept: &BTreeSet<String>,
    found: &mut RepoFindings,
) {
    let context = judge.context;
    let known = &context.access.resources;
    let who = judge.who(binding);
    let mut at: BTreeMap<String, Vec<PolicyRule>> = needs
        .places
        .iter()
        .map(|(place, needs)| (place.clone(), minimal::all(rules, needs, known)))
        .collect();
    let namespaces = at.keys().filter(|place| *place != CLUSTER).count();
    if binding.is_cluster_wide() && namespaces > MOST_NAMESPACES {
        at = BTreeMap::from([(CLUSTER.to_owned(), minimal::all(rules, &needs.joined(), known))]);
    }
    if !binding.is_cluster_wide() && at.values().flatten().collect::<BTreeSet<_>>() == rules.iter().collect()
    {
        return;
    }
    let message = format!(
        "{} gives {who} the rights of {}/{}, far more than the {} that used them {}",
        binding_name(binding),
        binding.role_kind,
        binding.role_name,
        requests(needs.n_requests),
        judge.period()
    );
    let scopes = scopes(&[binding]);
    let before: Vec<_> = scopes.iter().flat_map(|scope| scoped(scope, rules)).collect();
    let scope_of =
        |place: &str| if place == CLUSTER { Scope::Cluster } else { Scope::Namespace(place.to_owned()) };
    let after: Vec<_> = at.iter().flat_map(|(place, rules)| scoped(&scope_of(place), rules)).collect();
    let finding = Finding::new("/roleRef/name", message).safety(Safety::Review);
    let mut finding = judge.explained(finding, needs, kept, &who, &before, &after);
    let name = free_name(context, binding);
    if let Some(reason) = reason_against(context, binding, &at) {
        finding.make_manual(reason);
        return context.place(&RULE, &binding.object, finding, found);
    }
    let fix = format!("{} {} {}", RULE.id, binding_name(binding), context.model.file(&binding.object).path);
    let own_place = own_place(binding, &at);
    let kind = if own_place == CLUSTER { "ClusterRole" } else { "Role" };
    finding = finding
        .change(Change::set("/metadata/name", name.clone()))
        .change(Change::set("/roleRef/kind", kind))
        .change(Change::set("/roleRef/name", name.clone()))
        .note("to a cluster it is a new object: delete the old one, as tools that prune do")
        .together(&fix);
    if binding.is_cluster_wide() && own_place != CLUSTER {
        finding = moved(context, binding.object.clone(), finding, "RoleBinding", &own_place);
    }
    context.place(&RULE, &binding.object, finding, found);
    let is_given =
        context.model.builds.given_namespaces(&context.model.file(&binding.object).path).next().is_some();
    debug_assert!(!is_given || at.len() == 1);
    let pairs: Vec<Pair> = at
        .into_iter()
        .map(|(place, rules)| Pair {
            binding: if place == own_place { String::new() } else { name.clone() },
            namespace: place,
            role: name.clone(),
            rules,
        })
        .collect();
    add_file(context, binding, &binding.object, &pairs, &fix, found);
}

/// Where the binding itself goes: the cluster while something needs it, else the account's namespace.
fn own_place(binding: &BindingObject, at: &BTreeMap<String, Vec<PolicyRule>>) -> String {
    if at.contains_key(CLUSTER) {
        return CLUSTER.to_owned();
    }
    let namespaces: Vec<&String> = at.keys().collect();
    home(binding, &namespaces).to_owned()
}

fn reason_against(
    context: &Context<'_>,
    binding: &BindingObject,
    at: &BTreeMap<String, Vec<PolicyRule>>,
) -> Option<String> {
    if binding.bound().iter().any(|subject| !matches!(subject, Subject::ServiceAccount { .. })) {
        return Some("people are given roles by those who administer them".to_owned());
    }
    if !binding.is_cluster_wide() && binding.places.len() > 1 {
        return Some("it lands in several namespaces, which may need different rights".to_owned());
    }
    let given: Vec<_> =
        context.model.builds.given_namespaces(&context.model.file(&binding.object).path).collect();
    if !given.is_empty() && at.len() > 1 {
        return Some("its build gives all objects one namespace".to_owned());
    }
    context.reason_against_edits(&binding.object).or_else(|| context.reason_against_listing(&binding.object))
}

/// A name that no role has: the account's, or the binding's with what it is.
fn free_name(context: &Context<'_>, binding: &BindingObject) -> String {
    let bound = binding.bound();
    let own = match bound.iter().next() {
        Some(Subject::ServiceAccount { name, .. }) if bound.len() == 1 => name.clone(),
        _ => binding.object.id.name.to_string(),
    };
    let is_taken = |name: &str| {
        context.policy.roles().any(|role| role.key.name == name)
            || context.access.bindings.iter().any(|other| *other.object.id.name == *name)
    };
    let numbered = (2..).map(|n| format!("{own}-used-{n}"));
    let mut candidates = [own.clone(), format!("{own}-used")].into_iter().chain(numbered);
    candidates.find(|name| !is_taken(name)).expect("numbers do not end")
}
