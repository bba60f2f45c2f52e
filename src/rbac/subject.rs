//! Who a binding names, and who makes a request: users and groups, service accounts among them.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-subjects>

use std::fmt;

/// Bypasses RBAC: the API server allows its members everything before it asks any authorizer.
pub const MASTERS: &str = "system:masters";
/// Every user that proved who they are.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Everybody else.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The user that a request without credentials is.
pub const ANONYMOUS: &str = "system:anonymous";
/// All service accounts; with `:namespace` behind it, those of one namespace.
pub const ACCOUNTS: &str = "system:serviceaccounts";
const ACCOUNT_USER: &str = "system:serviceaccount:";

/// Whom a binding gives rights to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    ServiceAccount { namespace: String, name: String },
    User(String),
    Group(String),
}

/// Who makes a request, as the authorizer sees them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    pub user: String,
    pub groups: Vec<String>,
}

impl Subject {
    pub fn account(namespace: &str, name: &str) -> Subject {
        Subject::ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// Reads `ServiceAccount/ns/name`, `User/name`, `Group/name`, a full user name, `ns/name` or `ns:name`.
    pub fn parse(text: &str) -> Option<Subject> {
        if let Some(rest) = text.strip_prefix(ACCOUNT_USER) {
            let (namespace, name) = rest.split_once(':')?;
            return Some(Subject::account(namespace, name));
        }
        let (kind, name) = text.split_once('/').unwrap_or(("", text));
        match kind.to_ascii_lowercase().as_str() {
            _ if name.is_empty() => None,
            "user" | "users" => Some(Subject::User(name.to_owned())),
            "group" | "groups" => Some(Subject::Group(name.to_owned())),
            "serviceaccount" | "serviceaccounts" | "sa" => {
                let (namespace, name) = name.split_once(['/', ':'])?;
                Some(Subject::account(namespace, name))
            }
            "" if is_group(name) => Some(Subject::Group(name.to_owned())),
            "" if name.starts_with("system:") => Some(Subject::User(name.to_owned())),
            "" => name.split_once(':').map(|(namespace, name)| Subject::account(namespace, name)),
            _ if !name.contains('/') => Some(Subject::account(kind_as_written(text), name)),
            _ => None,
        }
    }

    /// A service account that is named as a user is that account.
    pub fn normal(self) -> Subject {
        match &self {
            Subject::User(name) => {
                match name.strip_prefix(ACCOUNT_USER).and_then(|rest| rest.split_once(':')) {
                    Some((namespace, account)) => Subject::account(namespace, account),
                    None => self,
                }
            }
            _ => self,
        }
    }

    /// The identity of the subject itself, with the groups that the API server puts it in.
    pub fn identity(&self) -> Identity {
        match self {
            Subject::ServiceAccount { namespace, name } => Identity::account(namespace, name),
            Subject::User(name) if name == ANONYMOUS => {
                Identity { user: name.clone(), groups: vec![UNAUTHENTICATED.to_owned()] }
            }
            Subject::User(name) => Identity { user: name.clone(), groups: vec![AUTHENTICATED.to_owned()] },
            // Somebody who is in this group and in those that follow from it.
            Subject::Group(name) => {
                let mut groups = vec![name.clone()];
                if name.starts_with("system:serviceaccounts:") {
                    groups.push(ACCOUNTS.to_owned());
                }
                if name != AUTHENTICATED && name != UNAUTHENTICATED {
                    groups.push(AUTHENTICATED.to_owned());
                }
                Identity { user: String::new(), groups }
            }
        }
    }

    /// Whether the identity is who the subject names.
    pub fn applies_to(&self, identity: &Identity) -> bool {
        match self {
            Subject::ServiceAccount { namespace, name } => identity
                .user
                .strip_prefix(ACCOUNT_USER)
                .and_then(|rest| rest.split_once(':'))
                .is_some_and(|user| user == (namespace, name)),
            Subject::User(name) => !name.is_empty() && *name == identity.user,
            Subject::Group(name) => identity.groups.contains(name),
        }
    }
}

/// The part before the first `/`: a namespace.
fn kind_as_written(text: &str) -> &str {
    text.split_once('/').map_or("", |(kind, _)| kind)
}

/// Names of groups that Kubernetes gives out itself.
fn is_group(name: &str) -> bool {
    [MASTERS, AUTHENTICATED, UNAUTHENTICATED, ACCOUNTS, "system:nodes", "system:monitoring"].contains(&name)
        || name.starts_with("system:serviceaccounts:")
        || name.starts_with("system:bootstrappers")
}

impl Identity {
    /// A service account with its groups:
    /// <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens>.
    pub fn account(namespace: &str, name: &str) -> Identity {
        Identity {
            user: format!("{ACCOUNT_USER}{namespace}:{name}"),
            groups: vec![ACCOUNTS.to_owned(), format!("{ACCOUNTS}:{namespace}"), AUTHENTICATED.to_owned()],
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::ServiceAccount { namespace, name } if namespace.is_empty() => {
                write!(f, "ServiceAccount {name}")
            }
            Subject::ServiceAccount { namespace, name } => write!(f, "ServiceAccount {namespace}/{name}"),
            Subject::User(name) => write!(f, "User {name}"),
            Subject::Group(name) => write!(f, "Group {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Subject>) {
        assert_eq!(Subject::parse(text), expected, "{text}");
    }

    #[test]
    fn subjects_are_read_as_people_write_them() {
        check("shop/web", Some(Subject::account("shop", "web")));
        check("shop:web", Some(Subject::account("shop", "web")));
        check("sa/shop/web", Some(Subject::account("shop", "web")));
        check("ServiceAccount/shop/web", Some(Subject::account("shop", "web")));
        check("system:serviceaccount:shop:web", Some(Subject::account("shop", "web")));
        check("User/jane", Some(Subject::User("jane".to_owned())));
        check("Group/devs", Some(Subject::Group("devs".to_owned())));
        check("system:authenticated", Some(Subject::Group("system:authenticated".to_owned())));
        check("system:anonymous", Some(Subject::User("system:anonymous".to_owned())));
        check("web", None);
        check("a/b/c", None);
        check("User/", None);
    }

    #[test]
    fn accounts_are_in_the_groups_of_accounts() {
        let web = Identity::account("shop", "web");
        for (subject, expected) in [
            (Subject::account("shop", "web"), true),
            (Subject::account("shop", "we"), false),
            (Subject::account("other", "web"), false),
            (Subject::User("system:serviceaccount:shop:web".to_owned()), true),
            (Subject::Group("system:serviceaccounts".to_owned()), true),
            (Subject::Group("system:serviceaccounts:shop".to_owned()), true),
            (Subject::Group("system:serviceaccounts:other".to_owned()), false),
            (Subject::Group("system:authenticated".to_owned()), true),
            (Subject::Group("system:unauthenticated".to_owned()), false),
        ] {
            assert_eq!(subject.applies_to(&web), expected, "{subject}");
        }
    }

    #[test]
    fn a_user_that_is_an_account_becomes_one() {
        let user = Subject::User("system:serviceaccount:shop:web".to_owned());
        assert_eq!(user.normal(), Subject::account("shop", "web"));
    }
}
