//! See the rule's own docs below.

use serde_json::{Value, json};

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// An audit policy leaves requests out, or writes secrets into the log.
    ///
    /// ## Why
    /// The first rule that matches a request decides, and a request that none matches is not logged at all. A policy with
    /// one rule of level `None`, which RKE2's CIS profile writes, satisfies every scanner and logs nothing. And a level
    /// that logs bodies makes the log a copy of all Secrets and tokens.
    ///
    /// ## Fix
    /// Judged as the API server does, for requests of everybody: a last rule of level `Metadata` where nothing catches the
    /// rest; `RequestResponse` for objects of RBAC, in front of the first rule that gives them less; `Metadata` for
    /// Secrets, ConfigMaps, token requests and token reviews, in front of the first that gives them more
    /// (unless `cluster.audit-secret-bodies` asks for the bodies). Other rules stay as they are. Rules about some users or
    /// namespaces are taken for noise that was chosen.
    ///
    /// ## What could break
    /// The log grows. An API server reads its policy when it starts.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/#audit-policy>
    {
        id: "audit-policy-too-thin",
        area: Area::Cluster,
        severity: Severity::High,
        pss: None,
        known_as: &[("CIS", "3.2.2"), ("kubescape", "C-0161")],
        check: Check::Repo,
    }
}

/// A kind of request that stands for its like: group, resource with subresource, verb.
type Request = (&'static str, &'static str, &'static str);

const RBAC: [Request; 4] = [
    ("rbac.authorization.k8s.io", "roles", "update"),
    ("rbac.authorization.k8s.io", "rolebindings", "create"),
    ("rbac.authorization.k8s.io", "clusterroles", "update"),
    ("rbac.authorization.k8s.io", "clusterrolebindings", "create"),
];
const CREDENTIALS: [Request; 4] = [
    ("", "secrets", "get"),
    ("", "configmaps", "get"),
    ("", "serviceaccounts/token", "create"),
    ("authentication.k8s.io", "tokenreviews", "create"),
];
const OTHERS: [Request; 5] = [
    ("", "pods", "create"),
    ("", "pods/exec", "create"),
    ("apps", "deployments", "patch"),
    ("", "nodes", "delete"),
    // An API that nobody has heard of yet.
    ("unheard.example.com", "things", "create"),
];
const LEVELS: [&str; 4] = ["None", "Metadata", "Request", "RequestResponse"];

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    let bodies = context.settings.config.cluster.audit_secret_bodies;
    for part in context.parts.iter().filter(|part| part.is("Policy")) {
        judge(
            context,
            &part.object,
            &part.value,
            bodies,
            &|pointer| (part.pointer(pointer), pointer.to_owned(), part.inside.clone()),
            found,
        );
    }
    for plane in context.planes.iter().filter(|plane| plane.dialect == Dialect::Talos) {
        const POLICY: &str = "/cluster/apiServer/auditPolicy";
        if let Some(policy) = plane.value.pointer(POLICY) {
            let place = |pointer: &str| {
                let pointer = format!("{POLICY}{pointer}");
                (pointer.clone(), pointer, None)
            };
            judge(context, &plane.object, policy, bodies, &place, found);
        }
    }
}

/// Where a pointer of the policy is shown, and where it is changed: in the object, or in the string.
type Place<'p> = &'p dyn Fn(&str) -> (String, String, Option<String>);

fn judge(
    context: &Context<'_>,
    object: &Object,
    policy: &Value,
    bodies: bool,
    place: Place<'_>,
    found: &mut RepoFindings,
) {
    let Some(rules) = policy["rules"].as_array() else { return };
    let (wanted, problems) = repaired(rules, bodies);
    if problems.is_empty() {
        return;
    }
    let (shown, at, inside) = place("/rules");
    let change = Change::set(at, Value::Array(wanted));
    let change = match inside {
        Some(text) => change.inside(text),
        None => change,
    };
    let message = format!("the audit policy {}", problems.join(", and "));
    let finding = Finding::new(shown, message)
        .change(change)
        .safety(Safety::Review)
        .note("copy it to every control-plane node; an API server reads it when it starts");
    context.place(&RULE, object, finding, found);
}

/// The rules with what they lack, and what that is.
fn repaired(rules: &[Value], bodies: bool) -> (Vec<Value>, Vec<String>) {
    let mut wanted = rules.to_vec();
    let mut problems = Vec::new();
    let missed: Vec<String> = OTHERS
        .iter()
        .filter(|request| level(&wanted, request) == "None")
        .map(|(_, name, _)| (*name).to_owned())
        .collect();
    if !missed.is_empty() {
        problems.push(format!("logs nothing of {}", missed.join(", ")));
        match wanted.last_mut().filter(|rule| is_catch_all(rule)) {
            Some(last) => last["level"] = json!("Metadata"),
            None => wanted.push(json!({"level": "Metadata"})),
        }
    }
    if let Some((_, name, _)) = RBAC.iter().find(|request| level(&wanted, request) != "RequestResponse") {
        problems.push(format!("logs {name} without their content"));
        let resources = RBAC.iter().map(|(_, name, _)| *name).collect::<Vec<_>>();
        let rule = json!({
            "level": "RequestResponse",
            "resources": [{"group": "rbac.authorization.k8s.io", "resources": resources}],
        });
        insert(&mut wanted, rule, &RBAC, &|level| level != "RequestResponse");
    }
    let leaks = |level: &str| LEVELS.iter().position(|known| *known == level).is_some_and(|rank| rank > 1);
    let leaked = CREDENTIALS.iter().find(|request| leaks(level(&wanted, request)));
    if let (Some((_, name, _)), false) = (leaked, bodies) {
        problems.push(format!("writes the content of {name} into the log"));
        let rule = json!({
            "level": "Metadata",
            "resources": [
                {"group": "", "resources": ["secrets", "configmaps", "serviceaccounts/token"]},
                {"group": "authentication.k8s.io", "resources": ["tokenreviews"]},
            ],
        });
        insert(&mut wanted, rule, &CREDENTIALS, &leaks);
    }
    (wanted, problems)
}

/// Puts a rule in front of the first one that decides one of the requests as it should not.
fn insert(rules: &mut Vec<Value>, rule: Value, requests: &[Request], is_wrong: &dyn Fn(&str) -> bool) {
    let decides = |request: &Request| {
        let idx = rules.iter().position(|rule| matches(rule, request))?;
        is_wrong(rules[idx]["level"].as_str().unwrap_or_default()).then_some(idx)
    };
    let at = requests.iter().filter_map(decides).min().unwrap_or(rules.len());
    rules.insert(at, rule);
}

/// The level that everybody's request gets: `k8s.io/apiserver/pkg/audit/policy/checker.go`.
fn level<'r>(rules: &'r [Value], request: &Request) -> &'r str {
    let rule = rules.iter().find(|rule| matches(rule, request));
    rule.and_then(|rule| rule["level"].as_str()).unwrap_or("None")
}

/// Whether the rule is about the request, whoever makes it and wherever.
fn matches(rule: &Value, (group, resource, verb): &Request) -> bool {
    let list = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let is_empty = |key: &str| rule[key].as_array().is_none_or(Vec::is_empty);
    if !is_empty("users") || !is_empty("userGroups") || !is_empty("namespaces") {
        return false;
    }
    let verbs = list(&rule["verbs"]);
    if !verbs.is_empty() && !verbs.iter().any(|known| known == verb || known == "*") {
        return false;
    }
    let Some(resources) = rule["resources"].as_array().filter(|list| !list.is_empty()) else {
        return is_empty("nonResourceURLs");
    };
    resources.iter().any(|entry| {
        let names = list(&entry["resources"]);
        let written = entry["group"].as_str().unwrap_or_default();
        let of_group = written == *group || written == "*";
        let is_named = |name: &String| match (name.as_str(), resource.split_once('/')) {
            ("*", _) => true,
            (name, None) => name == *resource,
            (name, Some((parent, sub))) => match name.split_once('/') {
                Some((of, below)) => (of == "*" || of == parent) && (below == "*" || below == sub),
                None => false,
            },
        };
        let narrows = !list(&entry["resourceNames"]).is_empty();
        of_group && !narrows && (names.is_empty() || names.iter().any(is_named))
    })
}

fn is_catch_all(rule: &Value) -> bool {
    ["users", "userGroups", "namespaces", "verbs", "resources", "nonResourceURLs"]
        .iter()
        .all(|key| rule[*key].as_array().is_none_or(Vec::is_empty))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Templates;

    #[track_caller]
    fn check(rules: Value, expected: &[&str]) -> Vec<Value> {
        let (wanted, problems) = repaired(rules.as_array().unwrap(), false);
        assert_eq!(problems, expected);
        let (again, problems) = repaired(&wanted, false);
        assert_eq!((again, problems), (wanted.clone(), Vec::new()), "a second repair finds nothing");
        wanted
    }

    #[test]
    fn the_own_template_lacks_nothing() {
        for bodies in [false, true] {
            let policy = Templates::builtin().audit_policy(bodies).unwrap().value;
            let (_, problems) = repaired(policy["rules"].as_array().unwrap(), bodies);
            assert_eq!(problems, [""; 0]);
        }
    }

    #[test]
    fn a_policy_that_logs_nothing_becomes_one_that_does() {
        let wanted = check(
            json!([{"level": "None"}]),
            &[
                "logs nothing of pods, pods/exec, deployments, nodes, things",
                "logs roles without their content",
            ],
        );
        assert_eq!(wanted.len(), 2);
    }

    #[test]
    fn subresources_are_matched_as_the_server_does() {
        let rules = json!([{"level": "Metadata", "resources": [{"group": "", "resources": ["pods"]}]}]);
        assert_eq!(level(rules.as_array().unwrap(), &("", "pods/exec", "create")), "None");
        let rules = json!([{"level": "Request", "resources": [{"group": "", "resources": ["*/exec"]}]}]);
        assert_eq!(level(rules.as_array().unwrap(), &("", "pods/exec", "create")), "Request");
    }

    #[test]
    fn secrets_in_bodies_are_taken_out_in_front_of_what_logs_them() {
        let wanted = check(
            json!([
                {"level": "None", "users": ["system:kube-proxy"]},
                {"level": "RequestResponse"},
            ]),
            &["writes the content of secrets into the log"],
        );
        assert_eq!(wanted[1]["level"], "Metadata");
    }
}
