//! Finds roles, accounts, users and bindings without going through all of them. Knows names and places only.

use std::collections::HashMap;

use super::{Access, BindingObject, RoleSource};

/// Places in the lists of an [`Access`], each list in order.
#[derive(Debug, Default)]
pub(super) struct Index {
    roles: HashMap<Box<str>, Vec<usize>>,
    accounts: HashMap<Box<str>, Vec<usize>>,
    /// By the account they run as.
    users: HashMap<Box<str>, Vec<usize>>,
    /// By the role of the repo that they refer to.
    bindings: HashMap<usize, Vec<usize>>,
}

impl Index {
    /// Of everything but the bindings, which are read with its help.
    pub(super) fn of(access: &Access<'_>) -> Index {
        Index {
            roles: by_name(access.roles.iter().map(|role| &*role.object.id.name)),
            accounts: by_name(access.accounts.iter().map(|account| &*account.object.id.name)),
            users: by_name(access.users.iter().map(|user| user.account.as_str())),
            bindings: HashMap::new(),
        }
    }

    pub(super) fn add_bindings(&mut self, bindings: &[BindingObject]) {
        for (idx, binding) in bindings.iter().enumerate() {
            if let RoleSource::Repo(role) = binding.role {
                self.bindings.entry(role).or_default().push(idx);
            }
        }
    }

    pub(super) fn roles_named(&self, name: &str) -> &[usize] {
        self.roles.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn accounts_named(&self, name: &str) -> &[usize] {
        self.accounts.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn users_named(&self, account: &str) -> &[usize] {
        self.users.get(account).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn bindings_of(&self, role: usize) -> &[usize] {
        self.bindings.get(&role).map(Vec::as_slice).unwrap_or_default()
    }
}

fn by_name<'n>(names: impl Iterator<Item = &'n str>) -> HashMap<Box<str>, Vec<usize>> {
    let mut map: HashMap<Box<str>, Vec<usize>> = HashMap::new();
    for (idx, name) in names.enumerate() {
        match map.get_mut(name) {
            Some(known) => known.push(idx),
            None => drop(map.insert(name.into(), vec![idx])),
        }
    }
    map
}
