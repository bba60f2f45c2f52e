//! An audit event (audit.k8s.io/v1), and the requests it tells of, as the authorizer saw them.
//!
//! Fields: <https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/>.

use serde::Deserialize;

use super::text::Text;
use super::usage::{Observed, Target, Usage};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct User<'a> {
    #[serde(borrow)]
    pub(super) username: Text<'a>,
    #[serde(borrow)]
    pub(super) groups: Option<Vec<Text<'a>>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ObjectReference<'a> {
    #[serde(borrow)]
    pub(super) api_group: Text<'a>,
    #[serde(borrow)]
    pub(super) resource: Text<'a>,
    #[serde(borrow)]
    pub(super) subresource: Text<'a>,
    #[serde(borrow)]
    pub(super) namespace: Text<'a>,
    #[serde(borrow)]
    pub(super) name: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) code: Option<i64>,
}

/// Of the authorizer; what others annotate is passed over:
/// <https://github.com/kubernetes/kubernetes/blob/v1.37.0/staging/src/k8s.io/apiserver/pkg/endpoints/filters/authorization.go>.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Annotations<'a> {
    #[serde(borrow, rename = "authorization.k8s.io/decision")]
    decision: Text<'a>,
    #[serde(borrow, rename = "authorization.k8s.io/reason")]
    reason: Text<'a>,
}

#[derive(Debug)]
pub(super) struct Event<'a> {
    pub(super) stage: Text<'a>,
    pub(super) verb: Text<'a>,
    pub(super) request_uri: Text<'a>,
    pub(super) user: User<'a>,
    pub(super) impersonated_user: Option<User<'a>>,
    pub(super) object_ref: Option<ObjectReference<'a>>,
    pub(super) code: Option<i64>,
    pub(super) annotations: Annotations<'a>,
    pub(super) at: Text<'a>,
}

impl Event<'_> {
    /// Adds the request to the sum, with what it takes beside it.
    pub(super) fn add_to(&self, usage: &mut Usage) {
        let is_counted = match &*self.stage {
            "ResponseComplete" | "Panic" => true,
            // A watch that goes on beyond the log's end has no other event.
            "ResponseStarted" => false,
            _ => return,
        };
        let asked =
            self.impersonated_user.as_ref().filter(|user| !user.username.is_empty()).unwrap_or(&self.user);
        if asked.username.is_empty() {
            return;
        }
        let is_allowed = match &*self.annotations.decision {
            "allow" => true,
            "forbid" => false,
            // Whom admission refuses gets 403 too, but then the decision is there.
            _ => !matches!(self.code, Some(401 | 403)),
        };
        let observed = Observed {
            user: &asked.username,
            verb: &self.verb,
            target: self.target(),
            is_allowed,
            is_counted,
            at: &self.at,
            through: binding(&self.annotations.reason),
        };
        usage.add(&observed);
        self.add_creation(&observed, usage);
        self.add_impersonation(&observed, usage);
    }

    fn target(&self) -> Target<'_> {
        match &self.object_ref {
            Some(object) if !object.resource.is_empty() => Target::Resource {
                group: &object.api_group,
                resource: &object.resource,
                subresource: &object.subresource,
                namespace: &object.namespace,
                name: &object.name,
            },
            _ => Target::Path(self.request_uri.split('?').next().unwrap_or_default()),
        }
    }

    /// A patch or an update of what was not there yet is authorized as `create` as well:
    /// <https://github.com/kubernetes/kubernetes/blob/v1.37.0/staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go>.
    fn add_creation(&self, observed: &Observed<'_>, usage: &mut Usage) {
        if observed.is_allowed && self.code == Some(201) && matches!(&*self.verb, "patch" | "update") {
            usage.add(&Observed { verb: "create", through: None, ..*observed });
        }
    }

    /// Who acts as somebody else may `impersonate` them, which no event of its own tells:
    /// <https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/>. The groups that everybody of a
    /// kind is in come without being asked for.
    fn add_impersonation(&self, observed: &Observed<'_>, usage: &mut Usage) {
        let Some(user) = self.impersonated_user.as_ref().filter(|user| !user.username.is_empty()) else {
            return;
        };
        if self.user.username.is_empty() || self.user.username == user.username {
            return;
        }
        let mut add = |resource: &str, namespace: &str, name: &str| {
            let target = Target::Resource { group: "", resource, subresource: "", namespace, name };
            let by = &self.user.username;
            usage.add(&Observed {
                user: by,
                verb: "impersonate",
                target,
                is_allowed: true,
                through: None,
                ..*observed
            });
        };
        match account(&user.username) {
            Some((namespace, name)) => add("serviceaccounts", namespace, name),
            None => add("users", "", &user.username),
        }
        for group in user.groups.iter().flatten() {
            if &**group != "system:authenticated" && !group.starts_with("system:serviceaccounts") {
                add("groups", "", group);
            }
        }
    }
}

/// Namespace and name of a service account.
fn account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?.split_once(':')
}

/// `RBAC: allowed by RoleBinding "web/shop" of Role "web" to …`: the kind and name of the binding, as text. Written by
/// <https://github.com/kubernetes/kubernetes/blob/v1.37.0/pkg/registry/rbac/validation/rule.go>.
fn binding(reason: &str) -> Option<&str> {
    reason.strip_prefix("RBAC: allowed by ")?.split(" of ").next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_names_the_binding() {
        let reason =
            "RBAC: allowed by RoleBinding \"web/shop\" of Role \"web\" to ServiceAccount \"web/shop\"";
        assert_eq!(binding(reason), Some("RoleBinding \"web/shop\""));
        assert_eq!(
            binding("RBAC: allowed by ClusterRoleBinding \"a\" of ClusterRole \"b\" to Group \"g\""),
            Some("ClusterRoleBinding \"a\"")
        );
        assert_eq!(binding(""), None);
    }
}
