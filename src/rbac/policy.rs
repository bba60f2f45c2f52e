//! The roles and bindings of one cluster, and the authorizer's decision over them.
//!
//! Follows the RBAC authorizer: <https://github.com/kubernetes/kubernetes/blob/v1.37.0/plugin/pkg/auth/authorizer/rbac/rbac.go>
//! and the controller that fills in aggregated roles:
//! <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles>.

mod aggregation;

use std::collections::BTreeMap;
use std::fmt;

use super::rule::{PolicyRule, Request};
use super::subject::{Identity, MASTERS, Subject};
pub use aggregation::Selector;

/// Names a role in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleKey {
    /// `None` for a ClusterRole.
    pub namespace: Option<String>,
    pub name: String,
    /// Tells roles of one name apart where a repo has several; 0 for the only one.
    pub variant: usize,
}

/// A Role or ClusterRole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub key: RoleKey,
    /// Those of an aggregated role are what it selects, once it is in a [`Policy`].
    pub rules: Vec<PolicyRule>,
    pub labels: BTreeMap<String, String>,
    /// The selectors of `aggregationRule`, when it has one.
    pub aggregates: Option<Vec<Selector>>,
}

/// A RoleBinding or ClusterRoleBinding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// `None` for a ClusterRoleBinding.
    pub namespace: Option<String>,
    pub name: String,
    pub role: RoleKey,
    pub subjects: Vec<Subject>,
}

/// Where a grant holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    Cluster,
    Namespace(String),
}

/// A rule that an identity has, with the binding that gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant<'p> {
    pub binding: &'p Binding,
    pub subject: &'p Subject,
    pub role: &'p Role,
    pub rule: &'p PolicyRule,
}

/// Everything the authorizer knows.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    roles: BTreeMap<RoleKey, Role>,
    bindings: Vec<Binding>,
}

impl RoleKey {
    pub fn cluster(name: &str) -> RoleKey {
        RoleKey { namespace: None, name: name.to_owned(), variant: 0 }
    }

    pub fn in_namespace(namespace: &str, name: &str) -> RoleKey {
        RoleKey { namespace: Some(namespace.to_owned()), name: name.to_owned(), variant: 0 }
    }
}

impl fmt::Display for RoleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            None => write!(f, "ClusterRole/{}", self.name),
            Some(namespace) if namespace.is_empty() => write!(f, "Role/{}", self.name),
            Some(namespace) => write!(f, "Role/{} in {namespace}", self.name),
        }
    }
}

impl Binding {
    pub fn scope(&self) -> Scope {
        match &self.namespace {
            None => Scope::Cluster,
            Some(namespace) => Scope::Namespace(namespace.clone()),
        }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            None => write!(f, "ClusterRoleBinding/{}", self.name),
            Some(namespace) if namespace.is_empty() => write!(f, "RoleBinding/{}", self.name),
            Some(namespace) => write!(f, "RoleBinding/{} in {namespace}", self.name),
        }
    }
}

impl Scope {
    /// Whether a request about this namespace (empty: none, or all of them) falls into the scope.
    pub fn covers(&self, namespace: &str) -> bool {
        match self {
            Scope::Cluster => true,
            Scope::Namespace(own) => !namespace.is_empty() && own == namespace,
        }
    }
}

impl Policy {
    /// A cluster with these roles and bindings. The first of several roles of one name is the one that counts.
    pub fn new(roles: impl IntoIterator<Item = Role>, bindings: impl IntoIterator<Item = Binding>) -> Policy {
        let mut policy = Policy { roles: BTreeMap::new(), bindings: bindings.into_iter().collect() };
        for role in roles {
            policy.roles.entry(role.key.clone()).or_insert(role);
        }
        aggregation::resolve(&mut policy.roles);
        policy
    }

    pub fn role(&self, key: &RoleKey) -> Option<&Role> {
        self.roles.get(key)
    }

    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.values()
    }

    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// Whether the API server lets the identity do it, as far as RBAC decides.
    pub fn allows(&self, identity: &Identity, request: &Request) -> bool {
        identity.groups.iter().any(|group| group == MASTERS)
            || self
                .grants(identity)
                .any(|grant| grant.binding.scope().covers(request.namespace()) && grant.rule.allows(request))
    }

    /// All rules of an identity, in the order of the bindings.
    pub fn grants<'p>(&'p self, identity: &'p Identity) -> impl Iterator<Item = Grant<'p>> {
        self.bindings.iter().flat_map(move |binding| {
            let subject = binding.subjects.iter().find(|subject| subject.applies_to(identity));
            let role = self.roles.get(&binding.role);
            subject.zip(role).into_iter().flat_map(move |(subject, role)| {
                role.rules.iter().map(move |rule| Grant { binding, subject, role, rule })
            })
        })
    }

    /// Every subject of a binding that may do it, with the grant that says so; one line each for every binding.
    pub fn who_can<'p>(&'p self, request: &Request) -> Vec<Grant<'p>> {
        let mut able = Vec::new();
        for binding in self.bindings.iter().filter(|binding| binding.scope().covers(request.namespace())) {
            let Some(role) = self.roles.get(&binding.role) else { continue };
            let Some(rule) = role.rules.iter().find(|rule| rule.allows(request)) else { continue };
            able.extend(binding.subjects.iter().map(|subject| Grant { binding, subject, role, rule }));
        }
        able
    }
}

#[cfg(test)]
mod tests;
