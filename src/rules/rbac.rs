//! Rules about who may do what: bindings that give more than is needed, roles that allow more than they say.

use std::collections::BTreeSet;

use super::{Change, Finding, Placed, RepoFindings, Rule, Safety, Settings, placement};
use crate::model::{Model, Object};
use crate::rbac::access::{BindingObject, RoleObject, RoleSource};
use crate::rbac::difference::{Scoped, lost};
use crate::rbac::subject::MASTERS;
use crate::rbac::{Access, Policy, PolicyRule, Scope, Subject};
use crate::repo::folder;

mod cluster_admin_bound;
mod cluster_role_binding_could_be_role_binding;
mod cluster_role_only_used_in_namespace;
mod dangling_role_ref;
mod dangling_subject;
mod default_account_bound;
mod escalation_path;
mod everyone_bound;
mod long_lived_token_secret;
mod narrowing;
mod permission_never_used;
mod rbac_api_removed;
mod resource_names_without_effect;
mod role_grants_wildcard;
mod role_unused;
mod secrets_readable_in_bulk;

pub(super) const RULES: &[&Rule] = &[
    &cluster_admin_bound::RULE,
    &everyone_bound::RULE,
    &default_account_bound::RULE,
    &role_grants_wildcard::RULE,
    &cluster_role_only_used_in_namespace::RULE,
    &cluster_role_binding_could_be_role_binding::RULE,
    &escalation_path::RULE,
    &secrets_readable_in_bulk::RULE,
    &resource_names_without_effect::RULE,
    &long_lived_token_secret::RULE,
    &dangling_role_ref::RULE,
    &dangling_subject::RULE,
    &role_unused::RULE,
    &rbac_api_removed::RULE,
    &permission_never_used::RULE,
];

/// How a rule of this area is asked.
type Ask = fn(&Context<'_>, &mut RepoFindings);

const ASKED: &[(&Rule, Ask)] = &[
    (&cluster_admin_bound::RULE, cluster_admin_bound::check),
    (&everyone_bound::RULE, everyone_bound::check),
    (&default_account_bound::RULE, default_account_bound::check),
    (&role_grants_wildcard::RULE, role_grants_wildcard::check),
    (&cluster_role_only_used_in_namespace::RULE, cluster_role_only_used_in_namespace::check),
    (&cluster_role_binding_could_be_role_binding::RULE, cluster_role_binding_could_be_role_binding::check),
    (&escalation_path::RULE, escalation_path::check),
    (&secrets_readable_in_bulk::RULE, secrets_readable_in_bulk::check),
    (&resource_names_without_effect::RULE, resource_names_without_effect::check),
    (&long_lived_token_secret::RULE, long_lived_token_secret::check),
    (&dangling_role_ref::RULE, dangling_role_ref::check),
    (&dangling_subject::RULE, dangling_subject::check),
    (&role_unused::RULE, role_unused::check),
    (&rbac_api_removed::RULE, rbac_api_removed::check),
    (&permission_never_used::RULE, permission_never_used::check),
];

/// What the rules of this area see.
struct Context<'a> {
    model: &'a Model<'a>,
    settings: &'a Settings<'a>,
    access: &'a Access<'a>,
    policy: &'a Policy,
    /// Paths that new files of other areas will have.
    planned: BTreeSet<String>,
    /// Where the findings of this area begin among those about new files.
    own_files: usize,
}

/// Asks the rules about roles, bindings, accounts and their tokens.
pub(super) fn check_repo(
    model: &Model<'_>,
    settings: &Settings<'_>,
    selected: &dyn Fn(&Rule) -> bool,
    found: &mut RepoFindings,
) {
    let concerns =
        |object: &Object| object.id.group() == "rbac.authorization.k8s.io" || *object.id.kind == *"Secret";
    if !RULES.iter().any(|rule| selected(rule)) || !model.objects().any(concerns) {
        return;
    }
    let access = Access::new(model, settings.config.target_version);
    let policy = access.policy();
    let planned = new_paths(&found.new_files).map(str::to_owned).collect();
    let own_files = found.new_files.len();
    let context = Context { model, settings, access: &access, policy: &policy, planned, own_files };
    for (_, ask) in ASKED.iter().filter(|(rule, _)| selected(rule)) {
        ask(&context, found);
    }
}

/// Paths of new files that findings want.
fn new_paths(placed: &[Placed]) -> impl Iterator<Item = &str> {
    placed.iter().flat_map(|placed| &placed.finding.new_files).map(|file| file.path.as_str())
}

impl Context<'_> {
    /// A path for a new file beside an object; nothing where all that come to mind are taken.
    fn new_path(&self, beside: &Object, name: &str, found: &RepoFindings) -> Option<String> {
        let is_taken = |path: &str| {
            self.model.repo().file(path).is_some()
                || self.planned.contains(path)
                || new_paths(&found.new_files[self.own_files..]).any(|planned| planned == path)
        };
        let home = folder(&self.model.file(beside).path);
        placement::free_path(&self.settings.config.rbac_file, home, name, is_taken)
    }

    /// Files the finding under its object. What must not be edited is only reported.
    fn place(&self, rule: &'static Rule, object: &Object, mut finding: Finding, found: &mut RepoFindings) {
        let file = self.model.file(object);
        if file.context_only {
            return;
        }
        finding.rule = rule;
        if !finding.changes.is_empty()
            && let Some(reason) = self.reason_against_edits(object)
        {
            finding.make_manual(reason);
        }
        let placed = Placed { object: object.clone(), finding, needs_file: None };
        found.place(placed);
    }

    /// Why an object is not edited, if so.
    fn reason_against_edits(&self, object: &Object) -> Option<String> {
        let file = self.model.file(object);
        if let Some(marker) = file.marker {
            return Some(format!("not edited: {}", marker.detail()));
        }
        if object.layout.is_some() {
            return None;
        }
        let patch = self.model.builds.patches_on(&file.path, &object.id).next()?;
        Some(format!("a patch changes it: {}", patch.path))
    }

    /// Why a file beside an object cannot be made a part of the object's builds, if so.
    fn reason_against_listing(&self, beside: &Object) -> Option<String> {
        let listing = self.model.builds.listing(&self.model.file(beside).path);
        let marked = |path: &str| {
            let file = self.model.repo().file(path)?;
            (file.marker.is_some() || file.context_only).then(|| format!("{path} is not edited"))
        };
        listing.map(|kustomization| kustomization.path.as_str()).find_map(marked)
    }

    /// Lists a new file in the kustomizations that list the file beside it.
    fn list_new_file(
        &self,
        beside: &Object,
        path: &str,
        rule: &'static Rule,
        fix: &str,
        found: &mut RepoFindings,
    ) {
        for kustomization in self.model.builds.listing(&self.model.file(beside).path) {
            placement::list_in(self.model, &kustomization.path, path, rule, Some(fix), found);
        }
    }

    /// Whether a subject belongs to Kubernetes itself or to what nodes depend on.
    fn is_system(&self, subject: &Subject) -> bool {
        match subject {
            Subject::ServiceAccount { namespace, .. } => self.settings.config.is_system_namespace(namespace),
            Subject::User(name) => name.starts_with("system:") && name != crate::rbac::subject::ANONYMOUS,
            Subject::Group(name) => name == MASTERS || name.starts_with("system:nodes"),
        }
    }

    /// Whom the bindings of a role give it to, and where; each once, without those of the system.
    fn holders(&self, role: usize) -> BTreeSet<(Scope, &Subject)> {
        self.all_holders(role).into_iter().filter(|(_, subject)| !self.is_system(subject)).collect()
    }

    /// The same with those of the system.
    fn all_holders(&self, role: usize) -> BTreeSet<(Scope, &Subject)> {
        let bindings = self.access.bindings_of(role);
        let held = bindings.flat_map(|binding| {
            binding.subjects.iter().flat_map(|subject| &subject.is).map(move |(place, subject)| {
                let is_wide = binding.is_cluster_wide();
                (if is_wide { Scope::Cluster } else { Scope::Namespace(place.clone()) }, subject)
            })
        });
        held.collect()
    }

    /// What an account may no longer do when `after` takes the place of `before`, a line each.
    fn losses(&self, before: &[Scoped<'_>], after: &[Scoped<'_>]) -> Vec<String> {
        lost(before, after, &self.access.resources).iter().map(ToString::to_string).collect()
    }
}

/// Adds what an account loses to what the reviewer is told.
fn with_losses(mut finding: Finding, who: &str, losses: &[String]) -> Finding {
    for loss in losses {
        finding = finding.note(format!("{who} can no longer: {loss}"));
    }
    finding
}

/// `a`, `a and b`, `a, b and 3 more`.
fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} more", rest.len()),
    }
}

/// Names of all subjects, for what must leave out none.
fn all_named<'s>(subjects: impl IntoIterator<Item = &'s Subject>) -> String {
    let names: BTreeSet<String> = subjects.into_iter().map(ToString::to_string).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// Names of subjects, each once; the first of many.
fn named<'s>(subjects: impl IntoIterator<Item = &'s Subject>) -> String {
    let names: BTreeSet<String> = subjects.into_iter().map(ToString::to_string).collect();
    listed(&names.into_iter().collect::<Vec<_>>())
}

fn in_scope(scope: &Scope) -> String {
    match scope {
        Scope::Cluster => "in the whole cluster".to_owned(),
        Scope::Namespace(namespace) => format!("in namespace {namespace}"),
    }
}

/// The rules of a role in one scope.
fn scoped<'r>(scope: &Scope, rules: &'r [PolicyRule]) -> Vec<Scoped<'r>> {
    rules.iter().map(|rule| (scope.clone(), rule)).collect()
}

/// Whether a role is filled in by a controller, is part of another one, or belongs to Kubernetes itself.
fn is_owned_elsewhere(role: &RoleObject) -> Option<&'static str> {
    if role.aggregates.is_some() {
        Some("its rules are filled in by the aggregation controller")
    } else if role.object.id.name.starts_with("system:") || &*role.object.id.name == "cluster-admin" {
        Some("it belongs to Kubernetes, which restores it")
    } else {
        None
    }
}

/// Whether its rules become part of another role.
fn is_aggregated(role: &RoleObject) -> bool {
    role.labels.keys().any(|label| label.starts_with("rbac.authorization.k8s.io/aggregate-to-"))
}

/// How messages name a binding.
fn binding_name(binding: &BindingObject) -> String {
    format!("{}/{}", binding.object.id.kind, binding.object.id.name)
}

fn role_name(role: &RoleObject) -> String {
    format!("{}/{}", role.object.id.kind, role.object.id.name)
}
