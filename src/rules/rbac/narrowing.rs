//! ClusterRoleBindings of accounts that act in one namespace: what of them holds there, and what must stay.
//!
//! Conditions: <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#api-overview> (a RoleBinding gives a
//! ClusterRole's namespaced part in one namespace; `roleRef` cannot change, but an object of another kind is a new one).

use super::*;
use crate::rbac::access::AccountUser;
use crate::rbac::escalation::is_everything;

/// A binding that could hold in one namespace.
pub(super) struct Narrowing<'a> {
    pub(super) binding: &'a BindingObject,
    pub(super) namespace: String,
    /// What it gives today.
    pub(super) rules: &'a [PolicyRule],
    /// What of each rule is namespaced, and what is not; in the order of the rules.
    pub(super) parts: Vec<Parts>,
    /// Why it is thought to act there only.
    pub(super) evidence: Vec<String>,
}

/// A rule, taken apart.
pub(super) struct Parts {
    pub(super) namespaced: Option<PolicyRule>,
    pub(super) rest: Option<PolicyRule>,
}

impl Narrowing<'_> {
    /// Whether nothing of it needs the cluster.
    pub(super) fn is_whole(&self) -> bool {
        self.parts.iter().all(|parts| parts.rest.is_none())
    }

    /// What is wrong with the binding.
    pub(super) fn message(&self) -> String {
        format!(
            "{} gives {} the rights of {}/{} in every namespace; it acts in {}",
            binding_name(self.binding),
            named(self.binding.bound()),
            self.binding.role_kind,
            self.binding.role_name,
            self.namespace
        )
    }

    /// Makes the object of a finding one of a kind that is namespaced.
    pub(super) fn moved(&self, context: &Context<'_>, finding: Finding, kind: &str) -> Finding {
        let finding = finding.change(Change::set("/kind", kind)).safety(Safety::Review);
        match self.written_namespace(context) {
            Some(namespace) => finding.change(Change::set("/metadata/namespace", namespace)),
            None => finding,
        }
    }

    /// What is written as the namespace of the new objects: nothing where a build gives it.
    pub(super) fn written_namespace(&self, context: &Context<'_>) -> Option<&str> {
        let path = &context.model.file(&self.binding.object).path;
        let is_given = context.model.builds.given_namespaces(path).next().is_some();
        (!is_given).then_some(self.namespace.as_str())
    }

    pub(super) fn namespaced_rules(&self) -> Vec<PolicyRule> {
        self.parts.iter().filter_map(|parts| parts.namespaced.clone()).collect()
    }

    /// Adds why, and what the accounts lose when only `rest` stays cluster-wide.
    pub(super) fn explained(
        &self,
        context: &Context<'_>,
        mut finding: Finding,
        rest: &[PolicyRule],
    ) -> Finding {
        for fact in &self.evidence {
            finding = finding.evidence(fact.clone());
        }
        let here = Scope::Namespace(self.namespace.clone());
        let mut after = scoped(&here, self.rules);
        after.extend(scoped(&Scope::Cluster, rest));
        let losses = context.losses(&scoped(&Scope::Cluster, self.rules), &after);
        let who = all_named(self.binding.bound());
        with_losses(finding, &who, &losses).note(
            "the program must ask for its own namespace only: a request about all namespaces is refused then",
        )
    }
}

/// Says which ClusterRoleBindings could hold in the namespace of their accounts. Programs that show signs of working
/// in all namespaces are passed over: their bindings are as wide as they must be.
pub(super) fn candidates<'a>(context: &'a Context<'_>) -> Vec<Narrowing<'a>> {
    context.access.bindings.iter().filter_map(|binding| candidate(context, binding)).collect()
}

fn candidate<'a>(context: &'a Context<'_>, binding: &'a BindingObject) -> Option<Narrowing<'a>> {
    if !binding.is_cluster_wide() || binding.role_name == "cluster-admin" {
        return None;
    }
    let mut namespaces = BTreeSet::new();
    let mut users: Vec<&AccountUser> = Vec::new();
    for subject in binding.bound() {
        let Subject::ServiceAccount { namespace, .. } = subject else { return None };
        if context.is_system(subject) {
            return None;
        }
        let identity = subject.identity();
        let has_everything = context
            .policy
            .grants(&identity)
            .any(|grant| grant.binding.namespace.is_none() && is_everything(grant.rule));
        if has_everything {
            return None;
        }
        namespaces.insert(namespace);
        let before = users.len();
        users.extend(context.access.users_of(subject));
        if users.len() == before {
            return None;
        }
    }
    let (1, Some(namespace)) = (namespaces.len(), namespaces.first()) else { return None };
    let namespace = (*namespace).clone();
    let rules = context.access.rules_of(binding, context.policy);
    let stays = users.iter().all(|user| user.stays_home.is_some());
    if users.iter().any(|user| user.roams.is_some()) && !stays {
        return None;
    }
    // The rules of a role that every server has tell nothing of the program.
    let tells = matches!(binding.role, RoleSource::Repo(_));
    if tells && !stays && rules.iter().any(|rule| is_for_the_cluster(context, rule)) {
        return None;
    }
    let parts: Option<Vec<Parts>> = rules.iter().map(|rule| taken_apart(context, rule, tells)).collect();
    let parts = parts?;
    if parts.iter().all(|parts| parts.namespaced.is_none()) {
        return None;
    }
    let mut evidence: Vec<String> = users
        .iter()
        .map(|user| format!("{}/{} runs in {namespace}", user.object.id.kind, user.object.id.name))
        .collect();
    evidence.extend(users.iter().filter_map(|user| user.stays_home.clone()));
    evidence.dedup();
    Some(Narrowing { binding, namespace, rules, parts, evidence })
}

/// Rules of programs that look after the whole cluster: they watch things that are in no namespace, or kinds of their
/// own, which people make anywhere.
fn is_for_the_cluster(context: &Context<'_>, rule: &PolicyRule) -> bool {
    let watches = rule.has_verb("list") || rule.has_verb("watch");
    let resources = &context.access.resources;
    let on_cluster = rule
        .api_groups
        .iter()
        .any(|group| rule.resources.iter().any(|name| resources.is_namespaced(group, name) == Some(false)));
    let own_kinds = rule.api_groups.iter().any(|group| group.contains('.') && !group.ends_with(".k8s.io"));
    watches && on_cluster || own_kinds
}

/// `None` where the scope of a resource is not known and `must_know` it: the roles of a server still name groups that it
/// serves no more.
fn taken_apart(context: &Context<'_>, rule: &PolicyRule, must_know: bool) -> Option<Parts> {
    if !rule.is_about_resources() {
        return Some(Parts { namespaced: None, rest: Some(rule.clone()) });
    }
    let mut here = Vec::new();
    let mut rest = Vec::new();
    for name in &rule.resources {
        let known =
            rule.api_groups.iter().filter_map(|group| context.access.resources.is_namespaced(group, name));
        let scopes: BTreeSet<bool> = known.collect();
        match (scopes.len(), scopes.first()) {
            (1, Some(true)) => here.push(name.clone()),
            (1, Some(false)) => rest.push(name.clone()),
            (0, _) if !must_know => here.push(name.clone()),
            _ => return None,
        }
    }
    let with =
        |resources: Vec<String>| (!resources.is_empty()).then(|| PolicyRule { resources, ..rule.clone() });
    Some(Parts { namespaced: with(here), rest: with(rest) })
}
