//! Google Kubernetes Engine: Cloud Audit Logs of the service `k8s.io`, which are made of audit events but are none.
//!
//! The entry: <https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry>; its payload:
//! <https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog>; what GKE writes into it:
//! <https://cloud.google.com/kubernetes-engine/docs/how-to/audit-logging>. The method ends in the verb
//! (`io.k8s.core.v1.pods.exec.create`), the resource's name is the path of the request with `core` for the core group
//! (`core/v1/namespaces/shop/pods/web-0/exec`). Whom somebody acted as is not written in a documented place: such
//! requests are those of who made them.

use serde::Deserialize;

use super::event::{Annotations, Event, ObjectReference, User};
use super::text::Text;

/// google.rpc.Code of a request that was refused.
const PERMISSION_DENIED: i64 = 7;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Payload<'a> {
    #[serde(borrow)]
    service_name: Text<'a>,
    #[serde(borrow)]
    method_name: Text<'a>,
    #[serde(borrow)]
    resource_name: Text<'a>,
    #[serde(borrow)]
    authentication_info: Option<AuthenticationInfo<'a>>,
    authorization_info: Option<Vec<AuthorizationInfo>>,
    status: Option<Status>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AuthenticationInfo<'a> {
    #[serde(borrow)]
    principal_email: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AuthorizationInfo {
    granted: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    code: Option<i64>,
}

/// The event that an entry was made of; `None` for entries of other services.
pub(super) fn event<'a>(
    payload: &Payload<'a>,
    labels: Option<&Annotations<'a>>,
    received: &Text<'a>,
) -> Option<Event<'a>> {
    if &*payload.service_name != "k8s.io" {
        return None;
    }
    let verb = payload.method_name.rsplit('.').next()?;
    let object_ref = reference(&payload.resource_name, verb)?;
    let user = payload.authentication_info.as_ref()?.principal_email.clone();
    let is_refused = payload.status.as_ref().and_then(|status| status.code) == Some(PERMISSION_DENIED)
        || payload.authorization_info.iter().flatten().any(|info| info.granted == Some(false));
    Some(Event {
        stage: Text::from("ResponseComplete".to_owned()),
        verb: Text::from(verb.to_owned()),
        request_uri: Text::default(),
        user: User { username: user, ..User::default() },
        impersonated_user: None,
        object_ref: Some(object_ref),
        code: Some(if is_refused { 403 } else { 200 }),
        annotations: labels.cloned().unwrap_or_default(),
        at: received.clone(),
    })
}

/// Reads `group/version/[namespaces/NS/]resource[/name[/subresource]]`. `namespaces/NS` alone is the object, and its
/// subresources `status` and `finalize` are the only ones:
/// <https://github.com/kubernetes/kubernetes/blob/v1.37.0/staging/src/k8s.io/apiserver/pkg/endpoints/request/requestinfo.go>.
fn reference(resource_name: &str, verb: &str) -> Option<ObjectReference<'static>> {
    let mut parts = resource_name.split('/');
    let group = parts.next().filter(|group| !group.is_empty())?;
    parts.next().filter(|version| version.starts_with('v'))?;
    let parts: Vec<&str> = parts.collect();
    let (namespace, rest) = match parts.as_slice() {
        ["namespaces", namespace, rest @ ..] if !matches!(rest, [] | ["status" | "finalize"]) => {
            (*namespace, rest)
        }
        // A namespace is about itself.
        ["namespaces", namespace, ..] => (*namespace, parts.as_slice()),
        _ => ("", parts.as_slice()),
    };
    let text = |text: Option<&&str>| Text::from(text.copied().unwrap_or_default().to_owned());
    let is_about_many = matches!(verb, "list" | "watch" | "deletecollection");
    rest.first().map(|resource| ObjectReference {
        api_group: Text::from(if group == "core" { String::new() } else { group.to_owned() }),
        resource: Text::from((*resource).to_owned()),
        namespace: Text::from(namespace.to_owned()),
        name: if is_about_many { Text::default() } else { text(rest.get(1)) },
        subresource: text(rest.get(2)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(resource_name: &str, expected: Option<[&str; 5]>) {
        let found = reference(resource_name, "get");
        let found = found.as_ref().map(|found| {
            [&*found.api_group, &*found.resource, &*found.subresource, &*found.namespace, &*found.name]
        });
        assert_eq!(found, expected, "{resource_name}");
    }

    #[test]
    fn names_of_resources_are_paths() {
        check("core/v1/namespaces/shop/pods/web-0/exec", Some(["", "pods", "exec", "shop", "web-0"]));
        check("core/v1/namespaces/shop/pods/web-0", Some(["", "pods", "", "shop", "web-0"]));
        check("core/v1/namespaces/shop/pods", Some(["", "pods", "", "shop", ""]));
        check("core/v1/pods", Some(["", "pods", "", "", ""]));
        check("core/v1/nodes/n1/proxy", Some(["", "nodes", "proxy", "", "n1"]));
        check("core/v1/namespaces/shop", Some(["", "namespaces", "", "shop", "shop"]));
        check("core/v1/namespaces/shop/finalize", Some(["", "namespaces", "finalize", "shop", "shop"]));
        check("core/v1/namespaces", Some(["", "namespaces", "", "", ""]));
        check("apps/v1/namespaces/shop/deployments/web", Some(["apps", "deployments", "", "shop", "web"]));
        check(
            "rbac.authorization.k8s.io/v1/clusterroles/x",
            Some(["rbac.authorization.k8s.io", "clusterroles", "", "", "x"]),
        );
        check("", None);
        check("livez", None);
    }
}
