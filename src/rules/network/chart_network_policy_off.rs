//! See the rule's own docs below.

use serde_json::Value;

use crate::rules::{Area, Check, Finding, Severity};

crate::rules::rule! {
    /// A chart has network policies of its own, and a value keeps them off.
    ///
    /// ## Why
    /// Whoever wrote the chart knows which connections its pods need. Without its policies every pod of the cluster
    /// reaches them, and they reach everything.
    ///
    /// ## Fix
    /// The value is switched on, where the chart then renders network policies and all else as before. Charts that are
    /// not in the repository are not looked at.
    ///
    /// ## What could break
    /// Connections that the chart does not expect: clients without the labels it asks for, scrapers, neighbours. The
    /// finding says what its policies let in and out; compare it with a flow log.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/services-networking/network-policies/>
    /// - CIS Kubernetes Benchmark 5.3.2
    {
        id: "chart-network-policy-off",
        area: Area::Network,
        severity: Severity::Medium,
        pss: None,
        known_as: &[("CIS", "5.3.2")],
        check: Check::Repo,
    }
}

/// What is said of a switch, given the policies that it brings. The fix is the caller's.
pub(in crate::rules) fn finding(chart: &str, switch: &str, policies: &[&Value]) -> Finding {
    let message = match policies.len() {
        1 => format!("{chart} has a network policy of its own, which `{switch}` keeps off"),
        many => format!("{chart} has {many} network policies of its own, which `{switch}` keeps off"),
    };
    let mut finding = Finding::new("", message);
    for policy in policies {
        finding = finding.note(allows(policy));
    }
    finding
}

/// What a policy lets in and out, in short.
fn allows(policy: &Value) -> String {
    let spec = &policy["spec"];
    let name = crate::helm::concrete::readable(policy["metadata"]["name"].as_str().unwrap_or_default());
    let types: Vec<&str> =
        spec["policyTypes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    // Without types, ingress is always meant, and egress where there are rules for it:
    // <https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/#NetworkPolicySpec>.
    let is_about = |kind: &str, rules: &Value| match types.is_empty() {
        true => kind == "Ingress" || rules.is_array(),
        false => types.contains(&kind),
    };
    let side = |kind: &str, key: &str, peers: &str| match is_about(kind, &spec[key]) {
        false => "anything".to_owned(),
        true => rules(&spec[key], peers),
    };
    let (into, out) = (side("Ingress", "ingress", "from"), side("Egress", "egress", "to"));
    format!("NetworkPolicy/{name} lets in {into}, and lets out {out}")
}

fn rules(list: &Value, peers: &str) -> String {
    let told = |rule: &Value| {
        let ports: Vec<String> = rule["ports"].as_array().into_iter().flatten().map(port).collect();
        let ports = if ports.is_empty() { "all ports".to_owned() } else { ports.join(", ") };
        match rule[peers].as_array().is_some_and(|peers| !peers.is_empty()) {
            true => format!("{ports} {peers} some peers"),
            false => format!("{ports} {peers} everybody"),
        }
    };
    let told: Vec<String> = list.as_array().into_iter().flatten().map(told).collect();
    if told.is_empty() { "nothing".to_owned() } else { told.join("; ") }
}

fn port(port: &Value) -> String {
    let protocol = port["protocol"].as_str().unwrap_or("TCP");
    match (&port["port"], port["endPort"].as_u64()) {
        (Value::Null, _) => format!("every {protocol} port"),
        (first, Some(last)) => format!("{first}-{last}/{protocol}"),
        (Value::String(name), None) => format!("{name}/{protocol}"),
        (number, None) => format!("{number}/{protocol}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(spec: Value, expected: &str) {
        let policy = json!({"metadata": {"name": "web"}, "spec": spec});
        assert_eq!(allows(&policy), format!("NetworkPolicy/web lets in {expected}"));
    }

    #[test]
    fn what_a_policy_allows_is_told_in_short() {
        check(json!({"podSelector": {}}), "nothing, and lets out anything");
        check(
            json!({"policyTypes": ["Ingress", "Egress"], "ingress": [{"ports": [{"port": 8080}]}]}),
            "8080/TCP from everybody, and lets out nothing",
        );
        check(
            json!({"ingress": [{"from": [{"podSelector": {}}]}], "egress": [{"ports": [{"port": 53, "protocol": "UDP"}, {"port": "http"}]}, {"to": []}]}),
            "all ports from some peers, and lets out 53/UDP, http/TCP to everybody; all ports to everybody",
        );
        check(
            json!({"policyTypes": ["Egress"], "egress": [{}]}),
            "anything, and lets out all ports to everybody",
        );
    }
}
