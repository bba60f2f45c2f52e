use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::audit_log::Reading;
use crate::config::KubernetesVersion;
use crate::rbac::{Recorded, Request, Scope};
use crate::rules::rbac::permission_never_used::needs::Needs;

const USER: &str = "system:serviceaccount:shop:web";

fn known() -> Resources {
    Resources::new(Recorded::of(KubernetesVersion { minor: 37 }).resources)
}

/// A request that was allowed, as the log has it: verb, group, resource with subresource, namespace, name.
type Asked = (String, String, String, String, String);

fn asked(verb: &str, group: &str, resource: &str, namespace: &str, name: &str) -> Asked {
    [verb, group, resource, namespace, name].map(str::to_owned).into()
}

fn log(asked: &[Asked]) -> Reading {
    let mut reading = Reading::default();
    let lines: String = asked
        .iter()
        .map(|(verb, group, resource, namespace, name)| {
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            let event = json!({
                "kind": "Event", "apiVersion": "audit.k8s.io/v1", "stage": "ResponseComplete", "verb": verb,
                "user": {"username": USER}, "responseStatus": {"code": 200},
                "objectRef": {"apiGroup": group, "resource": resource, "subresource": subresource,
                    "namespace": namespace, "name": name},
                "annotations": {"authorization.k8s.io/decision": "allow"},
            });
            format!("{event}\n")
        })
        .collect();
    reading.add("audit.log", lines.as_bytes()).unwrap();
    assert_eq!(reading.n_faults, 0);
    reading
}

fn needs(rules: &[PolicyRule], scope: &Scope, asked: &[Asked], informers: bool) -> Needs {
    let reading = log(asked);
    let mut needs = Needs::default();
    if let Some(account) = reading.usage.of(USER) {
        for entry in account.used.iter() {
            needs.add(rules, scope, entry, informers, &|_| false);
        }
    }
    needs.keep_unseen(rules);
    needs.settle_names(rules);
    needs.fold();
    needs
}

#[track_caller]
fn check(rules: serde_json::Value, used: &[Asked], expected: serde_json::Value) {
    let rules: Vec<PolicyRule> = serde_json::from_value(rules).unwrap();
    let needs = needs(&rules, &Scope::Cluster, used, false);
    assert_eq!(json!(all(&rules, &needs.joined(), &known())), expected);
}

#[test]
fn what_was_not_used_goes_and_the_order_stays() {
    check(
        json!([{"verbs": ["watch", "list", "get"], "apiGroups": [""], "resources": ["services", "pods", "nodes"]}]),
        &[
            asked("get", "", "pods", "shop", ""),
            asked("list", "", "pods", "shop", ""),
            asked("get", "", "services", "shop", ""),
            asked("list", "", "services", "shop", ""),
        ],
        json!([{"verbs": ["list", "get"], "apiGroups": [""], "resources": ["services", "pods"]}]),
    );
}

#[test]
fn different_verbs_make_several_rules() {
    check(
        json!([{"verbs": ["get", "list", "delete"], "apiGroups": [""], "resources": ["pods", "services"]}]),
        &[
            asked("list", "", "pods", "shop", ""),
            asked("delete", "", "pods", "shop", ""),
            asked("list", "", "services", "shop", ""),
        ],
        json!([
            {"verbs": ["list", "delete"], "apiGroups": [""], "resources": ["pods"]},
            {"verbs": ["list"], "apiGroups": [""], "resources": ["services"]},
        ]),
    );
}

#[test]
fn pairs_that_no_server_has_make_no_rule() {
    check(
        json!([{"verbs": ["list", "get"], "apiGroups": ["", "apps"], "resources": ["pods", "deployments"]}]),
        &[asked("list", "", "pods", "", ""), asked("list", "apps", "deployments", "", "")],
        json!([{"verbs": ["list"], "apiGroups": ["", "apps"], "resources": ["pods", "deployments"]}]),
    );
}

#[test]
fn groups_that_were_not_used_do_not_say_what_others_have() {
    let wanted = json!([
        {"verbs": ["create"], "apiGroups": ["apps"], "resources": ["pods"]},
        {"verbs": ["create"], "apiGroups": ["x.example"], "resources": ["pods/log"]},
    ]);
    let used =
        [asked("create", "apps", "pods", "shop", ""), asked("create", "x.example", "pods/log", "shop", "")];
    check(json!([{"verbs": ["*"], "apiGroups": ["", "*"], "resources": ["*"]}]), &used, wanted.clone());
    check(wanted.clone(), &used, wanted);
}

#[test]
fn names_limit_what_a_name_can_limit() {
    let lease = |verb: &str| asked(verb, "coordination.k8s.io", "leases", "shop", "l");
    check(
        json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]),
        &[lease("create"), lease("update"), lease("update"), lease("get")],
        json!([
            {"verbs": ["create"], "apiGroups": ["coordination.k8s.io"], "resources": ["leases"]},
            {"verbs": ["get", "update"], "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["l"]},
        ]),
    );
}

#[test]
fn names_that_were_listed_or_seen_once_are_any() {
    let secret = |verb: &str, name: &str| asked(verb, "", "secrets", "shop", name);
    let rules = || json!([{"verbs": ["get", "list", "delete"], "apiGroups": [""], "resources": ["secrets"]}]);
    let get = || json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]);
    check(rules(), &[secret("get", "a")], get());
    check(rules(), &[secret("get", "a-x2k9p"), secret("get", "a-x2k9p")], get());
    check(
        rules(),
        &[secret("get", "a"), secret("get", "a"), secret("list", "")],
        json!([{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["secrets"]}]),
    );
    check(
        rules(),
        &[secret("get", "a"), secret("get", "a")],
        json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"]}]),
    );
}

#[test]
fn what_no_log_shows_stays_where_it_is_written() {
    check(
        json!([
            {"verbs": ["get", "bind"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"]},
            {"verbs": ["create", "patch"], "apiGroups": [""], "resources": ["events"]},
            {"verbs": ["update"], "apiGroups": ["x.example"], "resources": ["things", "things/finalizers"]},
        ]),
        &[asked("update", "x.example", "things", "shop", "")],
        json!([
            {"verbs": ["bind"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"]},
            {"verbs": ["create", "patch"], "apiGroups": [""], "resources": ["events"]},
            {"verbs": ["update"], "apiGroups": ["x.example"], "resources": ["things", "things/finalizers"]},
        ]),
    );
}

#[test]
fn finalizers_that_were_used_by_name_stay_with_those_that_were_not() {
    let rules = json!([{
        "verbs": ["create"],
        "apiGroups": ["x.example"],
        "resources": ["things/finalizers", "*/finalizers"],
    }]);
    let used = vec![asked("create", "x.example", "things/finalizers", "", "a"); 2];
    check(rules.clone(), &used, rules);
}

#[test]
fn informers_keep_their_verbs_where_they_are_granted() {
    let rules: Vec<PolicyRule> = serde_json::from_value(json!([
        {"verbs": ["get", "list", "watch", "delete"], "apiGroups": [""], "resources": ["pods"]},
        {"verbs": ["list", "delete"], "apiGroups": [""], "resources": ["services"]},
    ]))
    .unwrap();
    let used = [asked("list", "", "pods", "", ""), asked("list", "", "services", "", "")];
    let needs = needs(&rules, &Scope::Cluster, &used, true);
    let verbs: Vec<Vec<String>> =
        all(&rules, &needs.joined(), &known()).into_iter().map(|rule| rule.verbs).collect();
    assert_eq!(verbs, [vec!["get", "list", "watch"], vec!["list"]]);
}

#[test]
fn paths_stay_as_they_are_written() {
    let rules: Vec<PolicyRule> = serde_json::from_value(json!([
        {"verbs": ["get", "post"], "nonResourceURLs": ["/healthz", "/metrics/*", "/logs"]},
        {"verbs": ["get"], "nonResourceURLs": ["*"]},
    ]))
    .unwrap();
    let mut needs = Needs::default();
    let event = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "stage": "ResponseComplete", "verb": "get",
        "user": {"username": USER}, "requestURI": "/metrics/slis?x", "responseStatus": {"code": 200},
    });
    let mut reading = Reading::default();
    reading.add("audit.log", event.to_string().as_bytes()).unwrap();
    for entry in reading.usage.of(USER).unwrap().used.iter() {
        needs.add(&rules, &Scope::Cluster, entry, false, &|_| false);
    }
    assert_eq!(
        json!(all(&rules, &needs.joined(), &known())),
        json!([
            {"verbs": ["get"], "nonResourceURLs": ["/metrics/*"]},
            {"verbs": ["get"], "nonResourceURLs": ["/metrics/slis"]},
        ])
    );
}

fn some(items: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::sample::subsequence(items.to_vec(), 1..=items.len().min(3))
        .prop_map(|items| items.into_iter().map(str::to_owned).collect())
}

const VERBS: &[&str] =
    &["get", "list", "watch", "create", "update", "delete", "deletecollection", "bind", "*"];
const GROUPS: &[&str] = &["", "apps", "x.example", "*"];
const RESOURCES: &[&str] = &[
    "pods",
    "pods/log",
    "deployments",
    "deployments/scale",
    "things",
    "things/finalizers",
    "*/scale",
    "*/finalizers",
    "*",
];
const NAMES: &[&str] = &["a", "b", "c-x2k9p"];
const NAMESPACES: &[&str] = &["", "shop", "other"];

fn rule() -> impl Strategy<Value = PolicyRule> {
    (some(VERBS), some(GROUPS), some(RESOURCES), prop_oneof![Just(Vec::new()), some(NAMES)]).prop_map(
        |(verbs, api_groups, resources, resource_names)| PolicyRule {
            verbs,
            api_groups,
            resources,
            resource_names,
            non_resource_urls: Vec::new(),
        },
    )
}

fn concrete(items: &'static [&'static str]) -> impl Strategy<Value = String> {
    let items: Vec<&str> = items.iter().copied().filter(|item| !item.contains('*')).collect();
    prop::sample::select(items).prop_map(str::to_owned)
}

fn request() -> impl Strategy<Value = Asked> {
    let name = prop_oneof![Just(String::new()), concrete(NAMES)];
    (concrete(VERBS), concrete(GROUPS), concrete(RESOURCES), concrete(NAMESPACES), name)
}

/// What the authorizer saw of it: no name where a request cannot have one.
fn seen(asked: &Asked) -> Request {
    let (verb, group, resource, namespace, name) = asked;
    let request = Request::resource(verb, group, resource, namespace);
    let is_unnamed = verb == "create" && !resource.contains('/') || verb == "deletecollection";
    if is_unnamed { request } else { request.named(name) }
}

fn allows(rules: &[(Scope, PolicyRule)], request: &Request) -> bool {
    rules.iter().any(|(scope, rule)| scope.covers(request.namespace()) && rule.allows(request))
}

/// Everything that could be asked for in the small world of these tests.
fn universe() -> Vec<Request> {
    let without_star = |items: &[&'static str]| -> Vec<&'static str> {
        items.iter().copied().filter(|item| !item.contains('*')).collect()
    };
    let mut all = Vec::new();
    for verb in without_star(VERBS).into_iter().chain(["unheard-of"]) {
        for group in without_star(GROUPS).into_iter().chain(["y.example"]) {
            for resource in without_star(RESOURCES).into_iter().chain(["others"]) {
                for namespace in NAMESPACES.iter().chain(&["third"]) {
                    for name in NAMES.iter().chain(&["", "z"]) {
                        all.push(Request::resource(verb, group, resource, namespace).named(name));
                    }
                }
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn never_more_than_was_granted_never_less_than_was_used(
        rules in prop::collection::vec(rule(), 1..4),
        asked in prop::collection::vec(request(), 0..12),
        repeats in 1..3usize,
        scope in prop_oneof![Just(Scope::Cluster), Just(Scope::Namespace("shop".to_owned()))],
        informers: bool,
    ) {
        let before: Vec<(Scope, PolicyRule)> = rules.iter().map(|rule| (scope.clone(), rule.clone())).collect();
        // The log holds what was allowed.
        let used: Vec<Asked> = asked.into_iter().filter(|asked| allows(&before, &seen(asked))).collect();
        let used: Vec<Asked> = std::iter::repeat_n(used, repeats).flatten().collect();
        let known = known();
        let needs = needs(&rules, &scope, &used, informers);
        // As a role in place, and as roles where it was used.
        let joined = all(&rules, &needs.joined(), &known);
        let in_place: Vec<(Scope, PolicyRule)> = joined.iter().map(|rule| (scope.clone(), rule.clone())).collect();
        let mut apart = Vec::new();
        for (place, at) in &needs.places {
            let scope = if place.is_empty() { Scope::Cluster } else { Scope::Namespace(place.clone()) };
            apart.extend(all(&rules, at, &known).into_iter().map(|rule| (scope.clone(), rule)));
        }
        for after in [&in_place, &apart] {
            for request in universe() {
                prop_assert!(!allows(after, &request) || allows(&before, &request), "{request:?} is new in {after:?}");
            }
            for asked in &used {
                prop_assert!(allows(after, &seen(asked)), "{asked:?} is gone from {after:?}");
            }
        }
        // A second run leaves it as it is.
        let again = self::needs(&joined, &scope, &used, informers);
        prop_assert_eq!(all(&joined, &again.joined(), &known), joined);
    }
}
