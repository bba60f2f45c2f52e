//! The sum of a log: by account and permission, how often, when, of which objects.
//!
//! Bounded: names beyond a few become any name, paths and permissions beyond a limit make an account one that is not
//! judged. Knows nothing of roles.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use crate::rbac::Request;
use crate::rbac::rule;

/// Names of one permission that are kept; one more makes them any.
pub const MOST_NAMES: usize = 16;
/// Permissions of one account that are kept apart; no program needs as many.
const MOST_PERMISSIONS: usize = 20_000;
/// Accounts that are kept apart, people among them.
const MOST_ACCOUNTS: usize = 50_000;
/// Bindings that are named as the reason of one permission.
const MOST_BINDINGS: usize = 4;

/// What the authorizer was asked, without the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    Resource {
        verb: String,
        /// Empty for the core group.
        group: String,
        resource: String,
        /// Empty for the resource itself.
        subresource: String,
        /// Empty for cluster-scoped resources and requests about all namespaces.
        namespace: String,
    },
    Path {
        verb: String,
        path: String,
    },
}

/// Objects that requests named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// Each with how often; none when no request named one.
    Few(BTreeMap<String, u64>),
    Any,
}

/// How a permission was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Requests that were answered.
    pub count: u64,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    pub names: Names,
    /// Whether some request named no object.
    pub unnamed: bool,
    /// Bindings that allowed it: `RoleBinding "web/shop"`.
    pub through: BTreeSet<String>,
}

/// What one account did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    pub used: Uses,
    pub denied: Uses,
    /// Whether it did more than is kept apart.
    pub overflows: bool,
}

/// The sum of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    accounts: HashMap<String, Account>,
    /// Answered requests of everybody.
    pub n_requests: u64,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
    /// Whether there are more accounts than are kept apart.
    pub overflows: bool,
    /// Whether requests that only read are in the log: exports of some clouds lack them.
    pub has_reads: bool,
}

/// Uses by permission; found by a key that is written into one buffer, so that a request allocates nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    by_key: HashMap<String, usize>,
    uses: Vec<(Permission, Use)>,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observed<'a> {
    pub(super) user: &'a str,
    pub(super) verb: &'a str,
    pub(super) target: Target<'a>,
    pub(super) is_allowed: bool,
    /// Whether this is the one event of a request that counts.
    pub(super) is_counted: bool,
    /// RFC 3339.
    pub(super) at: &'a str,
    pub(super) through: Option<&'a str>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Target<'a> {
    Resource { group: &'a str, resource: &'a str, subresource: &'a str, namespace: &'a str, name: &'a str },
    Path(&'a str),
}

impl Usage {
    /// What a user did, by its full name: `system:serviceaccount:shop:web`.
    pub fn of(&self, user: &str) -> Option<&Account> {
        self.accounts.get(user)
    }

    pub fn n_accounts(&self) -> usize {
        self.accounts.len()
    }

    pub(super) fn add(&mut self, observed: &Observed<'_>) {
        let at: Option<Timestamp> = observed.at.parse().ok();
        widen(&mut self.first, &mut self.last, at);
        self.n_requests += u64::from(observed.is_counted);
        self.has_reads |= matches!(observed.verb, "get" | "list" | "watch");
        if !self.accounts.contains_key(observed.user) {
            if self.accounts.len() == MOST_ACCOUNTS {
                self.overflows = true;
                return;
            }
            self.accounts.insert(observed.user.to_owned(), Account::default());
        }
        let Some(account) = self.accounts.get_mut(observed.user) else { return };
        let uses = if observed.is_allowed { &mut account.used } else { &mut account.denied };
        account.overflows |= !uses.add(observed, at);
    }
}

impl Uses {
    pub fn iter(&self) -> impl Iterator<Item = (&Permission, &Use)> {
        self.uses.iter().map(|(permission, used)| (permission, used))
    }

    pub fn is_empty(&self) -> bool {
        self.uses.is_empty()
    }

    /// Answered requests.
    pub fn count(&self) -> u64 {
        self.uses.iter().map(|(_, used)| used.count).sum()
    }

    /// Whether there was room for it.
    fn add(&mut self, observed: &Observed<'_>, at: Option<Timestamp>) -> bool {
        thread_local! {
            static KEY: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
        }
        let idx = KEY.with_borrow_mut(|key| {
            write_key(observed, key);
            if let Some(idx) = self.by_key.get(key.as_str()) {
                return Some(*idx);
            }
            if self.uses.len() == MOST_PERMISSIONS {
                return None;
            }
            self.by_key.insert(key.clone(), self.uses.len());
            self.uses.push((Permission::of(observed), Use::new()));
            Some(self.uses.len() - 1)
        });
        let Some(idx) = idx else { return false };
        let used = &mut self.uses[idx].1;
        used.count += u64::from(observed.is_counted);
        widen(&mut used.first, &mut used.last, at);
        match observed.target {
            Target::Resource { name, .. } if !name.is_empty() => used.names.add(name),
            _ => used.unnamed = true,
        }
        if let Some(binding) = observed.through
            && used.through.len() < MOST_BINDINGS
            && !used.through.contains(binding)
        {
            used.through.insert(binding.to_owned());
        }
        true
    }
}

fn write_key(observed: &Observed<'_>, key: &mut String) {
    key.clear();
    let parts = match observed.target {
        Target::Resource { group, resource, subresource, namespace, .. } => {
            [observed.verb, group, resource, subresource, namespace]
        }
        Target::Path(path) => [observed.verb, "\n", path, "", ""],
    };
    for part in parts {
        key.push_str(part);
        // In no name of Kubernetes.
        key.push('\n');
    }
}

fn widen(first: &mut Option<Timestamp>, last: &mut Option<Timestamp>, at: Option<Timestamp>) {
    if let Some(at) = at {
        *first = Some(first.map_or(at, |first| first.min(at)));
        *last = Some(last.map_or(at, |last| last.max(at)));
    }
}

impl Permission {
    fn of(observed: &Observed<'_>) -> Permission {
        let verb = observed.verb.to_owned();
        match observed.target {
            Target::Resource { group, resource, subresource, namespace, .. } => Permission::Resource {
                verb,
                group: group.to_owned(),
                resource: resource.to_owned(),
                subresource: subresource.to_owned(),
                namespace: namespace.to_owned(),
            },
            Target::Path(path) => Permission::Path { verb, path: path.to_owned() },
        }
    }

    pub fn verb(&self) -> &str {
        match self {
            Permission::Resource { verb, .. } | Permission::Path { verb, .. } => verb,
        }
    }

    /// As the authorizer was asked, for an object or for none.
    pub fn request(&self, name: &str) -> Request {
        match self {
            Permission::Resource { verb, group, resource, subresource, namespace } => Request {
                verb: verb.clone(),
                target: rule::Target::Resource {
                    group: group.clone(),
                    resource: resource.clone(),
                    subresource: subresource.clone(),
                    namespace: namespace.clone(),
                    name: name.to_owned(),
                },
            },
            Permission::Path { verb, path } => Request::path(verb, path),
        }
    }

    /// Whether a request for it names its object to the authorizer. A `create` does not, though the log fills the name
    /// in from the answer: <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources>.
    pub fn is_named(&self) -> bool {
        match self {
            Permission::Resource { verb, subresource, .. } => {
                !(verb == "create" && subresource.is_empty() || verb == "deletecollection")
            }
            Permission::Path { .. } => false,
        }
    }
}

impl Names {
    fn add(&mut self, name: &str) {
        let Names::Few(names) = self else { return };
        if let Some(count) = names.get_mut(name) {
            *count += 1;
        } else if names.len() == MOST_NAMES {
            *self = Names::Any;
        } else {
            names.insert(name.to_owned(), 1);
        }
    }
}

impl Use {
    fn new() -> Use {
        Use {
            count: 0,
            first: None,
            last: None,
            names: Names::Few(BTreeMap::new()),
            unnamed: false,
            through: BTreeSet::new(),
        }
    }
}
