//! One policy rule, one request, and whether the first allows the second.
//!
//! Follows `RuleAllows` of the API server's RBAC authorizer and its helpers word by word:
//! <https://github.com/kubernetes/kubernetes/blob/v1.37.0/pkg/apis/rbac/v1/evaluation_helpers.go>.

use serde::{Deserialize, Serialize};

/// Matches everything where a list names it.
pub const ALL: &str = "*";

/// A rule of a Role or ClusterRole (rbac.authorization.k8s.io/v1 PolicyRule).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyRule {
    #[serde(deserialize_with = "list")]
    pub verbs: Vec<String>,
    #[serde(deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    #[serde(deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    #[serde(deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    #[serde(rename = "nonResourceURLs", deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub non_resource_urls: Vec<String>,
}

/// `null` stands for no items, as it does for Kubernetes' decoder.
fn list<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// What somebody asks the API server for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request {
    /// In lower case: `get`, `deletecollection`, `impersonate` …
    pub verb: String,
    pub target: Target,
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    Resource {
        /// Empty for the core group.
        group: String,
        resource: String,
        /// Empty when the request is about the resource itself.
        subresource: String,
        /// Empty for cluster-scoped resources and for requests about all namespaces.
        namespace: String,
        /// Empty where a request names no object: list, watch, create, deletecollection.
        name: String,
    },
    /// A path outside of the resources: `/healthz`.
    Path(String),
}

impl Request {
    /// A request about a resource; `resource` may carry a subresource behind a `/`.
    pub fn resource(verb: &str, group: &str, resource: &str, namespace: &str) -> Request {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        Request {
            verb: verb.to_owned(),
            target: Target::Resource {
                group: group.to_owned(),
                resource: resource.to_owned(),
                subresource: subresource.to_owned(),
                namespace: namespace.to_owned(),
                name: String::new(),
            },
        }
    }

    /// The same for one object.
    pub fn named(mut self, wanted: &str) -> Request {
        if let Target::Resource { name, .. } = &mut self.target {
            wanted.clone_into(name);
        }
        self
    }

    pub fn path(verb: &str, path: &str) -> Request {
        Request { verb: verb.to_owned(), target: Target::Path(path.to_owned()) }
    }

    /// The namespace it is about; empty for none.
    pub fn namespace(&self) -> &str {
        match &self.target {
            Target::Resource { namespace, .. } => namespace,
            Target::Path(_) => "",
        }
    }
}

impl PolicyRule {
    /// Whether the rule allows the request, in a scope that covers the request's namespace.
    pub fn allows(&self, request: &Request) -> bool {
        if !self.has_verb(&request.verb) {
            return false;
        }
        match &request.target {
            Target::Resource { group, resource, subresource, name, .. } => {
                self.has_group(group)
                    && self.has_resource(resource, subresource)
                    && (self.resource_names.is_empty() || self.resource_names.contains(name))
            }
            Target::Path(path) => self.has_path(path),
        }
    }

    pub fn has_verb(&self, verb: &str) -> bool {
        self.verbs.iter().any(|allowed| allowed == ALL || allowed == verb)
    }

    pub fn has_group(&self, group: &str) -> bool {
        self.api_groups.iter().any(|allowed| allowed == ALL || allowed == group)
    }

    /// `*` covers subresources too; `*/scale` covers that subresource of every resource.
    pub fn has_resource(&self, resource: &str, subresource: &str) -> bool {
        self.resources.iter().any(|allowed| match allowed.split_once('/') {
            _ if allowed == ALL => true,
            None => subresource.is_empty() && allowed == resource,
            // As text: `pods/` is no name of `pods`.
            Some((of, sub)) => !subresource.is_empty() && sub == subresource && (of == ALL || of == resource),
        })
    }

    fn has_path(&self, path: &str) -> bool {
        self.non_resource_urls.iter().any(|allowed| {
            allowed == ALL
                || allowed == path
                || allowed.ends_with('*') && path.starts_with(allowed.trim_end_matches('*'))
        })
    }

    /// Whether it is about resources at all, not about paths only.
    pub fn is_about_resources(&self) -> bool {
        !self.resources.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]) -> PolicyRule {
        let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
        PolicyRule {
            verbs: list(verbs),
            api_groups: list(groups),
            resources: list(resources),
            resource_names: list(names),
            non_resource_urls: Vec::new(),
        }
    }

    fn paths(verbs: &[&str], urls: &[&str]) -> PolicyRule {
        let urls = urls.iter().map(|url| (*url).to_owned()).collect();
        PolicyRule { non_resource_urls: urls, ..rule(verbs, &[], &[], &[]) }
    }

    #[track_caller]
    fn check(rule: &PolicyRule, request: Request, expected: bool) {
        assert_eq!(rule.allows(&request), expected, "{rule:?} {request:?}");
    }

    #[test]
    fn verbs_groups_and_resources_must_all_match() {
        let pods = rule(&["get", "list"], &[""], &["pods"], &[]);
        check(&pods, Request::resource("get", "", "pods", "a"), true);
        check(&pods, Request::resource("watch", "", "pods", "a"), false);
        check(&pods, Request::resource("get", "apps", "pods", "a"), false);
        check(&pods, Request::resource("get", "", "services", "a"), false);
        check(&pods, Request::path("get", "/pods"), false);
        check(&rule(&["GET"], &[""], &["pods"], &[]), Request::resource("get", "", "pods", ""), false);
        check(&rule(&["get"], &[], &["pods"], &[]), Request::resource("get", "", "pods", ""), false);
    }

    #[test]
    fn a_star_matches_everything_in_its_list() {
        let all = rule(&["*"], &["*"], &["*"], &[]);
        check(&all, Request::resource("escalate", "x.example", "things/status", "a"), true);
        check(&all, Request::path("get", "/healthz"), false);
        check(&rule(&["*"], &[""], &["pods"], &[]), Request::resource("x", "", "pods", ""), true);
    }

    #[test]
    fn subresources_are_named_on_their_own() {
        let pods = rule(&["get"], &[""], &["pods"], &[]);
        check(&pods, Request::resource("get", "", "pods/log", "a"), false);
        let log = rule(&["get"], &[""], &["pods/log"], &[]);
        check(&log, Request::resource("get", "", "pods/log", "a"), true);
        check(&log, Request::resource("get", "", "pods", "a"), false);
        let star = rule(&["get"], &[""], &["*"], &[]);
        check(&star, Request::resource("get", "", "pods/log", "a"), true);
    }

    #[test]
    fn a_subresource_of_every_resource_is_just_that() {
        let scale = rule(&["update"], &["apps"], &["*/scale"], &[]);
        check(&scale, Request::resource("update", "apps", "deployments/scale", "a"), true);
        check(&scale, Request::resource("update", "apps", "deployments", "a"), false);
        check(&scale, Request::resource("update", "apps", "deployments/status", "a"), false);
        check(&rule(&["get"], &[""], &["pods/*"], &[]), Request::resource("get", "", "pods/log", "a"), false);
    }

    #[test]
    fn names_limit_to_requests_that_name_one_of_them() {
        let named = rule(&["get", "list", "create"], &[""], &["configmaps"], &["a", "b"]);
        check(&named, Request::resource("get", "", "configmaps", "x").named("a"), true);
        check(&named, Request::resource("get", "", "configmaps", "x").named("c"), false);
        check(&named, Request::resource("list", "", "configmaps", "x"), false);
        check(&named, Request::resource("create", "", "configmaps", "x"), false);
        check(&named, Request::resource("list", "", "configmaps", "x").named("a"), true);
        let star = rule(&["get"], &[""], &["configmaps"], &["*"]);
        check(&star, Request::resource("get", "", "configmaps", "x").named("a"), false);
    }

    #[test]
    fn paths_match_whole_or_by_a_trailing_star() {
        check(&paths(&["get"], &["/healthz"]), Request::path("get", "/healthz"), true);
        check(&paths(&["get"], &["/healthz"]), Request::path("get", "/healthz/etcd"), false);
        check(&paths(&["get"], &["/healthz*"]), Request::path("get", "/healthz/etcd"), true);
        check(&paths(&["get"], &["/apis/*"]), Request::path("get", "/apis"), false);
        check(&paths(&["*"], &["*"]), Request::path("post", "/x"), true);
        check(&paths(&["get"], &["/a*b"]), Request::path("get", "/axb"), false);
        check(&paths(&["get"], &["*"]), Request::resource("get", "", "pods", ""), false);
        check(&paths(&["get"], &["/a**"]), Request::path("get", "/ab"), true);
    }

    #[test]
    fn missing_and_null_lists_are_empty() {
        let read: PolicyRule = serde_json::from_str(r#"{"verbs": ["get"], "resources": null}"#).unwrap();
        assert_eq!(read, rule(&["get"], &[], &[], &[]));
    }
}
