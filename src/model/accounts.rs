//! Which service accounts some binding of the repo gives rights to.
//!
//! Says who is bound, not what they may do.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::object::ObjectId;

#[derive(Debug, Default)]
pub struct Accounts {
    /// Bound accounts by name, with the namespaces they are bound in; `None` where a build decides it.
    bound: BTreeMap<String, BTreeSet<Option<String>>>,
    /// Groups of accounts that are bound: all, or those of a namespace.
    everyone: bool,
    namespaces: BTreeSet<String>,
    /// Accounts that set `automountServiceAccountToken` themselves.
    automount: BTreeMap<(Option<String>, String), bool>,
}

impl Accounts {
    pub(super) fn reads(id: &ObjectId) -> bool {
        matches!(&*id.kind, "RoleBinding" | "ClusterRoleBinding" | "ServiceAccount")
    }

    pub(super) fn read(&mut self, id: &ObjectId, value: &Value) {
        match &*id.kind {
            "RoleBinding" | "ClusterRoleBinding" => {
                for subject in value["subjects"].as_array().into_iter().flatten() {
                    self.bind(id, subject);
                }
            }
            "ServiceAccount" => {
                if let Some(automount) = value["automountServiceAccountToken"].as_bool() {
                    let namespace = id.namespace.as_deref().map(str::to_owned);
                    self.automount.insert((namespace, id.name.to_string()), automount);
                }
            }
            _ => {}
        }
    }

    fn bind(&mut self, id: &ObjectId, subject: &Value) {
        let Some(name) = subject["name"].as_str() else { return };
        match subject["kind"].as_str() {
            Some("ServiceAccount") => {
                let namespace = subject["namespace"].as_str().or(id.namespace.as_deref());
                self.bound.entry(name.to_owned()).or_default().insert(namespace.map(str::to_owned));
            }
            // <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-subjects>
            Some("Group") => match name.strip_prefix("system:serviceaccounts") {
                Some("") => self.everyone = true,
                Some(rest) => {
                    self.namespaces.insert(rest.trim_start_matches(':').to_owned());
                }
                None => self.everyone |= name == "system:authenticated",
            },
            Some("User") => {
                if let Some((namespace, account)) =
                    name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'))
                {
                    self.bound.entry(account.to_owned()).or_default().insert(Some(namespace.to_owned()));
                }
            }
            _ => {}
        }
    }

    pub(super) fn extend(&mut self, other: Accounts) {
        for (name, namespaces) in other.bound {
            self.bound.entry(name).or_default().extend(namespaces);
        }
        self.everyone |= other.everyone;
        self.namespaces.extend(other.namespaces);
        self.automount.extend(other.automount);
    }

    /// Whether a binding of the repo may give rights to the account. Builds rename namespaces, so an account
    /// whose namespace is not written counts as bound by every binding of its name.
    pub fn is_bound(&self, namespaces: &[String], name: &str) -> bool {
        if self.everyone || namespaces.iter().any(|namespace| self.namespaces.contains(namespace)) {
            return true;
        }
        self.bound.get(name).is_some_and(|bound| {
            namespaces.is_empty()
                || bound.iter().any(|bound| bound.as_ref().is_none_or(|bound| namespaces.contains(bound)))
        })
    }

    /// What the account itself says about mounting its token.
    pub fn automount(&self, namespaces: &[String], name: &str) -> Option<bool> {
        let own = |namespace: Option<String>| self.automount.get(&(namespace, name.to_owned())).copied();
        namespaces.iter().find_map(|namespace| own(Some(namespace.clone()))).or_else(|| own(None))
    }
}
