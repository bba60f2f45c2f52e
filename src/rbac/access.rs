//! The roles, bindings and accounts of a repo, which workload runs as which account, and all of it as a policy.
//!
//! A repo is rarely one cluster: names repeat between applications and overlays. A binding refers to the nearest
//! role of its name, and what a build puts into several namespaces is in all of them.

mod index;
mod read;

use std::collections::{BTreeSet, HashSet};

use self::index::Index;
pub use self::read::{LegacyToken, TokenUse};
use super::policy::{Binding, Policy, Role, RoleKey, Selector};
use super::recorded::Recorded;
use super::resources::Resources;
use super::rule::PolicyRule;
use super::subject::Subject;
use crate::config::KubernetesVersion;
use crate::model::{Model, Object};

/// Where an object without any namespace ends up with most clients.
pub const DEFAULT_NAMESPACE: &str = "default";
/// The account of pods that name none.
pub const DEFAULT_ACCOUNT: &str = "default";

/// What a repo says about access.
#[derive(Debug)]
pub struct Access<'m> {
    pub model: &'m Model<'m>,
    pub resources: Resources,
    pub roles: Vec<RoleObject>,
    pub bindings: Vec<BindingObject>,
    pub accounts: Vec<AccountObject>,
    pub users: Vec<AccountUser>,
    /// Secrets that hold a token of an account for as long as they exist.
    pub tokens: Vec<LegacyToken>,
    index: Index,
    recorded: Recorded,
}

/// A Role or ClusterRole of the repo.
#[derive(Debug, Clone)]
pub struct RoleObject {
    pub object: Object,
    /// Namespaces it lands in; empty for a ClusterRole.
    pub places: Vec<String>,
    pub rules: Vec<PolicyRule>,
    pub labels: std::collections::BTreeMap<String, String>,
    pub aggregates: Option<Vec<Selector>>,
    /// Tells roles of one name apart.
    pub variant: usize,
}

/// A RoleBinding or ClusterRoleBinding of the repo.
#[derive(Debug, Clone)]
pub struct BindingObject {
    pub object: Object,
    /// Namespaces it lands in; empty for a ClusterRoleBinding.
    pub places: Vec<String>,
    pub role: RoleSource,
    /// `roleRef` as written.
    pub role_kind: String,
    pub role_name: String,
    pub subjects: Vec<BoundSubject>,
}

/// A subject of a binding, by its place in the list.
#[derive(Debug, Clone)]
pub struct BoundSubject {
    pub index: usize,
    /// As written.
    pub kind: String,
    pub name: String,
    pub namespace: Option<String>,
    /// Who it is, once for every build, with the namespace of the binding there.
    pub is: Vec<(String, Subject)>,
}

/// What a binding refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleSource {
    /// Of the repo: its place among [`Access::roles`].
    Repo(usize),
    /// Every server has it.
    BuiltIn(RoleKey),
    Missing,
}

/// A ServiceAccount of the repo.
#[derive(Debug, Clone)]
pub struct AccountObject {
    pub object: Object,
    pub places: Vec<String>,
    /// Whether it has pull secrets or annotations that another account would lack.
    pub carries: Option<&'static str>,
}

/// A workload, by the account its pods run as.
#[derive(Debug, Clone)]
pub struct AccountUser {
    pub object: Object,
    pub account: String,
    /// Empty when nothing tells.
    pub namespaces: Vec<String>,
    /// Pointer of the pod spec, where a plain one is.
    pub pod_spec: Option<String>,
    /// Secrets its pods mount or refer to.
    pub secrets: BTreeSet<String>,
    /// What says that it acts in its own namespace only.
    pub stays_home: Option<String>,
    /// What says that it acts in all namespaces.
    pub roams: Option<String>,
    /// Service account token Secrets it mounts.
    pub mounts: Vec<TokenUse>,
}

impl<'m> Access<'m> {
    pub fn new(model: &'m Model<'m>, version: KubernetesVersion) -> Access<'m> {
        read::read(model, Recorded::of(version))
    }

    /// Everything as one cluster, with what a server brings along.
    pub fn policy(&self) -> Policy {
        let roles =
            self.roles.iter().flat_map(RoleObject::as_roles).chain(self.recorded.roles.iter().cloned());
        let bindings = self
            .bindings
            .iter()
            .flat_map(|binding| self.as_bindings(binding))
            .chain(self.recorded.bindings.iter().cloned());
        Policy::new(roles, bindings)
    }

    /// Each binding as the API server sees it: once for every namespace it lands in.
    fn as_bindings(&self, binding: &BindingObject) -> Vec<Binding> {
        let name = binding.object.id.name.to_string();
        let make = |namespace: Option<&String>| {
            let subjects = binding.subjects.iter().flat_map(|subject| &subject.is);
            let subjects: BTreeSet<Subject> = subjects
                .filter(|(place, _)| namespace.is_none_or(|namespace| namespace == place))
                .map(|(_, subject)| subject.clone())
                .collect();
            Binding {
                namespace: namespace.cloned(),
                name: name.clone(),
                role: self.role_key(binding, namespace.map(String::as_str)),
                subjects: subjects.into_iter().collect(),
            }
        };
        if binding.is_cluster_wide() {
            vec![make(None)]
        } else {
            binding.places.iter().map(|place| make(Some(place))).collect()
        }
    }

    /// The role a binding refers to, in one of its namespaces.
    fn role_key(&self, binding: &BindingObject, namespace: Option<&str>) -> RoleKey {
        match &binding.role {
            RoleSource::Repo(idx) => self.roles[*idx].key(namespace),
            RoleSource::BuiltIn(key) => key.clone(),
            RoleSource::Missing if binding.role_kind == "Role" => {
                RoleKey::in_namespace(namespace.unwrap_or_default(), &binding.role_name)
            }
            RoleSource::Missing => RoleKey::cluster(&binding.role_name),
        }
    }

    /// The rules that a binding gives; those of aggregated roles as far as the repo tells.
    pub fn rules_of<'p>(&self, binding: &BindingObject, policy: &'p Policy) -> &'p [PolicyRule] {
        let namespace = binding.places.first().map(String::as_str);
        policy.role(&self.role_key(binding, namespace)).map_or(&[], |role| &role.rules)
    }

    /// The bindings of a role of the repo.
    pub fn bindings_of(&self, role: usize) -> impl Iterator<Item = &BindingObject> {
        self.index.bindings_of(role).iter().map(|idx| &self.bindings[*idx])
    }

    /// The accounts of a name, whatever namespace they are in.
    fn accounts_named(&self, name: &str) -> impl Iterator<Item = &AccountObject> {
        self.index.accounts_named(name).iter().map(|idx| &self.accounts[*idx])
    }

    /// The workloads that run as an account. One whose namespace nothing tells counts by its name.
    pub fn users_of<'a>(&'a self, subject: &'a Subject) -> impl Iterator<Item = &'a AccountUser> {
        let account = match subject {
            Subject::ServiceAccount { namespace, name } => Some((namespace, name)),
            _ => None,
        };
        account.into_iter().flat_map(|(namespace, name)| {
            let users = self.index.users_named(name).iter().map(|idx| &self.users[*idx]);
            users.filter(move |user| user.namespaces.is_empty() || user.namespaces.contains(namespace))
        })
    }

    /// Every service account that the repo defines, runs something as, or binds.
    pub fn known_accounts(&self) -> BTreeSet<Subject> {
        let mut known = BTreeSet::new();
        for account in &self.accounts {
            known.extend(account.places.iter().map(|place| Subject::account(place, &account.object.id.name)));
        }
        for binding in &self.bindings {
            let subjects = binding.subjects.iter().flat_map(|subject| &subject.is);
            let accounts = subjects.filter(|(_, subject)| matches!(subject, Subject::ServiceAccount { .. }));
            known.extend(accounts.map(|(_, subject)| subject.clone()));
        }
        let names: HashSet<&str> = known
            .iter()
            .filter_map(|subject| match subject {
                Subject::ServiceAccount { name, .. } => Some(name.as_str()),
                _ => None,
            })
            .collect();
        let mut placed: BTreeSet<Subject> = BTreeSet::new();
        for user in &self.users {
            placed.extend(user.namespaces.iter().map(|place| Subject::account(place, &user.account)));
            if user.namespaces.is_empty() && !names.contains(user.account.as_str()) {
                placed.insert(Subject::account(DEFAULT_NAMESPACE, &user.account));
            }
        }
        known.extend(placed);
        known
    }

    /// Whether an account is defined here, or is one that every namespace has.
    pub fn is_defined(&self, namespace: &str, name: &str) -> bool {
        name == DEFAULT_ACCOUNT
            || self.accounts_named(name).any(|account| {
                account.places.is_empty()
                    || account.places.iter().any(|place| place == namespace)
                    || self.model.namespaces(&account.object).is_empty()
            })
    }
}

impl RoleObject {
    pub fn is_cluster_wide(&self) -> bool {
        *self.object.id.kind == *"ClusterRole"
    }

    fn key(&self, namespace: Option<&str>) -> RoleKey {
        let namespace = if self.is_cluster_wide() { None } else { namespace.map(str::to_owned) };
        RoleKey { namespace, name: self.object.id.name.to_string(), variant: self.variant }
    }

    fn as_roles(&self) -> Vec<Role> {
        let make = |namespace: Option<&str>| Role {
            key: self.key(namespace),
            rules: self.rules.clone(),
            labels: self.labels.clone(),
            aggregates: self.aggregates.clone(),
        };
        if self.is_cluster_wide() {
            vec![make(None)]
        } else {
            self.places.iter().map(|place| make(Some(place))).collect()
        }
    }
}

impl BindingObject {
    pub fn is_cluster_wide(&self) -> bool {
        *self.object.id.kind == *"ClusterRoleBinding"
    }

    /// Whom it gives rights to, each once.
    pub fn bound(&self) -> BTreeSet<&Subject> {
        self.subjects.iter().flat_map(|subject| &subject.is).map(|(_, subject)| subject).collect()
    }
}

#[cfg(test)]
mod tests;
