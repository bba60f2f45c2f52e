use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::rbac::rule::Target;

fn role(namespace: Option<&str>, name: &str, rules: serde_json::Value) -> Role {
    Role {
        key: RoleKey { namespace: namespace.map(str::to_owned), ..RoleKey::cluster(name) },
        rules: serde_json::from_value(rules).unwrap(),
        labels: BTreeMap::new(),
        aggregates: None,
    }
}

fn binding(namespace: Option<&str>, role: RoleKey, subject: Subject) -> Binding {
    Binding { namespace: namespace.map(str::to_owned), name: "b".to_owned(), role, subjects: vec![subject] }
}

fn pods() -> serde_json::Value {
    json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}])
}

fn web() -> Subject {
    Subject::account("shop", "web")
}

#[track_caller]
fn check(policy: &Policy, namespace: &str, expected: bool) {
    let request = Request::resource("get", "", "pods", namespace);
    assert_eq!(policy.allows(&web().identity(), &request), expected, "in `{namespace}`");
}

#[test]
fn a_cluster_role_binding_holds_everywhere() {
    let policy = Policy::new([role(None, "r", pods())], [binding(None, RoleKey::cluster("r"), web())]);
    check(&policy, "shop", true);
    check(&policy, "other", true);
    check(&policy, "", true);
}

#[test]
fn a_role_binding_holds_in_its_namespace() {
    for key in [RoleKey::cluster("r"), RoleKey::in_namespace("shop", "r")] {
        let roles = [role(None, "r", pods()), role(Some("shop"), "r", pods())];
        let policy = Policy::new(roles, [binding(Some("shop"), key, web())]);
        check(&policy, "shop", true);
        check(&policy, "other", false);
        check(&policy, "", false);
    }
}

#[test]
fn a_binding_without_its_role_gives_nothing() {
    let policy = Policy::new([], [binding(None, RoleKey::cluster("r"), web())]);
    check(&policy, "shop", false);
}

#[test]
fn masters_are_not_asked() {
    let request = Request::resource("delete", "", "nodes", "");
    let root = Subject::Group(MASTERS.to_owned()).identity();
    assert!(Policy::default().allows(&root, &request));
}

#[test]
fn aggregated_roles_take_the_rules_of_what_they_select_through_each_other() {
    let selector =
        |value: &str| serde_json::from_value::<Selector>(json!({"matchLabels": {"to": value}})).unwrap();
    let mut source = role(None, "source", pods());
    source.labels.insert("to".to_owned(), "inner".to_owned());
    let mut inner = role(None, "inner", json!([]));
    inner.labels.insert("to".to_owned(), "outer".to_owned());
    inner.aggregates = Some(vec![selector("inner")]);
    // What is written in an aggregated role does not stay.
    let written = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]);
    let mut outer = role(None, "outer", written);
    outer.aggregates = Some(vec![selector("outer"), selector("inner")]);
    let policy = Policy::new([outer, inner, source], []);
    let expected: Vec<PolicyRule> = serde_json::from_value(pods()).unwrap();
    for name in ["inner", "outer"] {
        assert_eq!(policy.role(&RoleKey::cluster(name)).unwrap().rules, expected, "{name}");
    }
}

#[test]
fn selectors_know_expressions() {
    let labels = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
    for (expression, expected) in [
        (json!({"key": "a", "operator": "In", "values": ["1", "2"]}), true),
        (json!({"key": "a", "operator": "In", "values": ["2"]}), false),
        (json!({"key": "a", "operator": "NotIn", "values": ["2"]}), true),
        (json!({"key": "b", "operator": "NotIn", "values": ["2"]}), true),
        (json!({"key": "a", "operator": "Exists"}), true),
        (json!({"key": "a", "operator": "DoesNotExist"}), false),
        (json!({"key": "b", "operator": "DoesNotExist"}), true),
    ] {
        let selector: Selector =
            serde_json::from_value(json!({"matchExpressions": [expression.clone()]})).unwrap();
        assert_eq!(selector.selects(&labels), expected, "{expression}");
    }
}

/// The same decision from the documentation, as a table of everything that is allowed: slow, and sharing no code.
mod naive {
    use super::*;

    pub(super) const VERBS: [&str; 3] = ["get", "create", "bind"];
    pub(super) const GROUPS: [&str; 2] = ["", "apps"];
    pub(super) const RESOURCES: [&str; 4] = ["pods", "pods/log", "scales", "scales/log"];
    pub(super) const NAMES: [&str; 3] = ["", "a", "b"];
    pub(super) const NAMESPACES: [&str; 3] = ["", "n", "m"];
    pub(super) const PATHS: [&str; 4] = ["/a", "/a/b", "/ab", "/c"];

    pub(super) fn requests() -> Vec<Request> {
        let mut requests = Vec::new();
        for verb in VERBS {
            requests.extend(PATHS.map(|path| Request::path(verb, path)));
            for (group, resource) in GROUPS.iter().flat_map(|g| RESOURCES.map(|r| (*g, r))) {
                for (namespace, name) in NAMESPACES.iter().flat_map(|n| NAMES.map(|name| (*n, name))) {
                    requests.push(Request::resource(verb, group, resource, namespace).named(name));
                }
            }
        }
        requests
    }

    /// Turns a list with wildcards into the texts of `universe` that it stands for.
    fn spelled_out(list: &[String], universe: &[&str], by_end: bool) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for item in list {
            for candidate in universe {
                let subresource = by_end && item.starts_with("*/") && candidate.ends_with(&item[1..]);
                if item == "*" || item == candidate || subresource {
                    all.insert((*candidate).to_owned());
                }
            }
        }
        all
    }

    pub(super) fn allowed(policy: &[(Option<String>, Vec<PolicyRule>)]) -> BTreeSet<Request> {
        let mut allowed = BTreeSet::new();
        for (namespace, rules) in policy {
            for rule in rules {
                for verb in spelled_out(&rule.verbs, &VERBS, false) {
                    for group in spelled_out(&rule.api_groups, &GROUPS, false) {
                        for resource in spelled_out(&rule.resources, &RESOURCES, true) {
                            let names: Vec<&str> = if rule.resource_names.is_empty() {
                                NAMES.to_vec()
                            } else {
                                rule.resource_names.iter().map(String::as_str).collect()
                            };
                            let namespaces = match namespace {
                                None => NAMESPACES.to_vec(),
                                Some(own) => vec![own.as_str()],
                            };
                            for (name, namespace) in
                                names.iter().flat_map(|n| namespaces.iter().map(move |s| (n, s)))
                            {
                                allowed.insert(
                                    Request::resource(&verb, &group, &resource, namespace).named(name),
                                );
                            }
                        }
                    }
                    if namespace.is_none() {
                        for path in PATHS {
                            let matches =
                                rule.non_resource_urls.iter().any(|url| match url.strip_suffix('*') {
                                    Some(start) => path.starts_with(start),
                                    None => path == url,
                                });
                            if matches {
                                allowed.insert(Request::path(&verb, path));
                            }
                        }
                    }
                }
            }
        }
        allowed
    }
}

fn some_of(choices: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop::sample::select(choices).prop_map(str::to_owned), 0..3)
}

fn any_rule() -> impl Strategy<Value = PolicyRule> {
    let parts = (
        some_of(&["get", "create", "bind", "*"]),
        some_of(&["", "apps", "*"]),
        some_of(&["pods", "pods/log", "scales", "*/log", "*", "pods/*", "log"]),
        some_of(&["a", "b", "*"]),
        some_of(&["/a", "/a*", "/a/*", "*", "/c"]),
    );
    parts.prop_map(|(verbs, api_groups, resources, resource_names, non_resource_urls)| PolicyRule {
        verbs,
        api_groups,
        resources,
        resource_names,
        non_resource_urls,
    })
}

proptest! {
    #[test]
    fn decisions_equal_those_of_a_table(
        bound in prop::collection::vec((prop::sample::select(vec![None, Some("n".to_owned()), Some("m".to_owned())]), prop::collection::vec(any_rule(), 0..3)), 0..4)
    ) {
        let roles = bound.iter().enumerate().map(|(idx, (_, rules))| Role {
            key: RoleKey::cluster(&idx.to_string()),
            rules: rules.clone(),
            labels: BTreeMap::new(),
            aggregates: None,
        });
        let bindings = bound.iter().enumerate().map(|(idx, (namespace, _))| {
            binding(namespace.as_deref(), RoleKey::cluster(&idx.to_string()), web())
        });
        let policy = Policy::new(roles, bindings);
        let expected = naive::allowed(&bound);
        let identity = web().identity();
        for request in naive::requests() {
            let named_by_star = matches!(&request.target, Target::Resource { name, .. } if name == "*");
            prop_assert!(!named_by_star);
            prop_assert_eq!(policy.allows(&identity, &request), expected.contains(&request), "{:?}", request);
        }
    }
}
