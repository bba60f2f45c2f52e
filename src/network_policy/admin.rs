//! AdminNetworkPolicy and BaselineAdminNetworkPolicy (policy.networking.k8s.io/v1alpha1), as far as their peers are
//! pods: <https://network-policy-api.sigs.k8s.io/api-overview/>.
//!
//! Peers that are nodes, networks or domain names are not read: a rule for `0.0.0.0/0` counts for pods as well, whose
//! addresses no manifest tells, so what such a policy decides is not known here. Judges no traffic.

use std::borrow::Cow;

use serde_json::Value;

use super::policy::{
    Action, LineOf, Peer, PortMatch, Refused, Rule, Subject, Tier, is_port_name, known, list, port_number,
    selector,
};
use super::ports::{PortSet, protocol};
use super::selector::Selector;
use crate::connections::Protocol;

/// What one of the two kinds says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AdminSpec {
    pub(super) tier: Tier,
    pub(super) subject: Subject,
    pub(super) ingress: Option<Vec<Rule>>,
    pub(super) egress: Option<Vec<Rule>>,
}

/// Why a policy is not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unread {
    /// The API server refuses it.
    Refused(Refused),
    /// It is in force, and says something that nothing here can tell.
    Beyond(Cow<'static, str>),
}

impl From<Refused> for Unread {
    fn from(refused: Refused) -> Unread {
        Unread::Refused(refused)
    }
}

/// Reads the object of an AdminNetworkPolicy or, for `is_baseline`, a BaselineAdminNetworkPolicy.
pub(super) fn read(object: &Value, is_baseline: bool, line_of: LineOf<'_>) -> Result<AdminSpec, Unread> {
    let spec = &object["spec"];
    let tier = if is_baseline {
        if object["metadata"]["name"] != "default" {
            let message = "a BaselineAdminNetworkPolicy must be named `default`";
            return Err(Refused::new("/metadata/name", message).into());
        }
        Tier::Baseline
    } else {
        let priority = spec["priority"].as_u64().filter(|priority| *priority <= 1000);
        let priority =
            priority.ok_or_else(|| Refused::new("/spec/priority", "`priority` is a number up to 1000"))?;
        Tier::Admin { priority: priority as u16 }
    };
    let (namespaces, pods) = match pods(&spec["subject"], "/spec/subject")? {
        Some(selected) => selected,
        None => return Err(Refused::new("/spec/subject", "a subject needs `namespaces` or `pods`").into()),
    };
    let rules = |key: &str, peers: &str| -> Result<Option<Vec<Rule>>, Unread> {
        let at = format!("/spec/{key}");
        let mut rules = Vec::new();
        for (idx, item) in list(&spec[key], &at)?.iter().enumerate() {
            rules.push(rule(item, peers, is_baseline, &format!("{at}/{idx}"), line_of)?);
        }
        Ok((!rules.is_empty()).then_some(rules))
    };
    Ok(AdminSpec {
        tier,
        subject: Subject { namespaces: Some(namespaces), pods },
        ingress: rules("ingress", "from")?,
        egress: rules("egress", "to")?,
    })
}

fn rule(
    value: &Value,
    peers: &str,
    is_baseline: bool,
    at: &str,
    line_of: LineOf<'_>,
) -> Result<Rule, Unread> {
    known(value, at, &["name", "action", peers, "ports"])?;
    let action = match value["action"].as_str() {
        Some("Allow") => Action::Allow,
        Some("Deny") => Action::Deny,
        Some("Pass") if !is_baseline => Action::Pass,
        _ => return Err(Refused::new(format!("{at}/action"), "`action` is none that this kind has").into()),
    };
    let mut read = Vec::new();
    for (idx, item) in list(&value[peers], &format!("{at}/{peers}"))?.iter().enumerate() {
        let at = format!("{at}/{peers}/{idx}");
        match pods(item, &at)? {
            Some((namespaces, pods)) => read.push(Peer::Pods { namespaces: Some(namespaces), pods }),
            None if !item["nodes"].is_null() => return Err(Unread::Beyond("it names nodes".into())),
            None if !item["networks"].is_null() => return Err(Unread::Beyond("it names networks".into())),
            None if !item["domainNames"].is_null() => return Err(Unread::Beyond("it names domains".into())),
            None => return Err(Refused::new(at, "a peer needs `namespaces` or `pods`").into()),
        }
    }
    if read.is_empty() {
        return Err(Refused::new(format!("{at}/{peers}"), format!("`{peers}` needs an item")).into());
    }
    let mut ports = Vec::new();
    for (idx, item) in list(&value["ports"], &format!("{at}/ports"))?.iter().enumerate() {
        ports.push(port(item, &format!("{at}/ports/{idx}"))?);
    }
    let ports = (!ports.is_empty()).then_some(ports);
    Ok(Rule { action, peers: Some(read), ports, line: line_of(at) })
}

/// `namespaces: SELECTOR`, or `pods: {namespaceSelector, podSelector}`; nothing when it is another form.
fn pods(value: &Value, at: &str) -> Result<Option<(Selector, Selector)>, Refused> {
    match (&value["namespaces"], &value["pods"]) {
        (Value::Null, Value::Null) => Ok(None),
        (namespaces, Value::Null) => {
            Ok(Some((selector(namespaces, &format!("{at}/namespaces"))?, Selector::default())))
        }
        (Value::Null, both) => {
            let at = format!("{at}/pods");
            known(both, &at, &["namespaceSelector", "podSelector"])?;
            if both["namespaceSelector"].is_null() || both["podSelector"].is_null() {
                return Err(Refused::new(at, "`pods` needs a `namespaceSelector` and a `podSelector`"));
            }
            let part = |key: &str| selector(&both[key], &format!("{at}/{key}"));
            Ok(Some((part("namespaceSelector")?, part("podSelector")?)))
        }
        _ => Err(Refused::new(at, "either `namespaces` or `pods`, not both")),
    }
}

fn port(value: &Value, at: &str) -> Result<PortMatch, Refused> {
    known(value, at, &["portNumber", "portRange", "namedPort"])?;
    let protocol_of = |value: &Value, at: &str| match &value["protocol"] {
        Value::Null => Ok(Protocol::Tcp),
        name => name.as_str().and_then(protocol).ok_or_else(|| {
            Refused::new(format!("{at}/protocol"), format!("{name} is none of TCP, UDP, SCTP"))
        }),
    };
    match (&value["portNumber"], &value["portRange"], &value["namedPort"]) {
        (number, Value::Null, Value::Null) if number.is_object() => {
            let at = format!("{at}/portNumber");
            let port = port_number(&number["port"], &format!("{at}/port"))?;
            Ok(PortMatch::Numbers(PortSet::one(protocol_of(number, &at)?, port)))
        }
        (Value::Null, range, Value::Null) if range.is_object() => {
            let at = format!("{at}/portRange");
            let end = |key: &str| port_number(&range[key], &format!("{at}/{key}"));
            let (start, end) = (end("start")?, end("end")?);
            if end < start {
                return Err(Refused::new(format!("{at}/end"), "`end` is below `start`"));
            }
            Ok(PortMatch::Numbers(PortSet::range(protocol_of(range, &at)?, start, end)))
        }
        (Value::Null, Value::Null, Value::String(name)) if is_port_name(name) => {
            Ok(PortMatch::Named(None, name.clone()))
        }
        _ => Err(Refused::new(at, "a port is one of `portNumber`, `portRange` and `namedPort`")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(rule: Value) -> Value {
        json!({
            "metadata": {"name": "default"},
            "spec": {"priority": 5, "subject": {"namespaces": {}}, "ingress": [rule]},
        })
    }

    #[test]
    fn both_forms_of_peers_and_all_forms_of_ports_are_read() {
        let rule = json!({
            "action": "Pass",
            "from": [{"namespaces": {}}, {"pods": {"namespaceSelector": {}, "podSelector": {}}}],
            "ports": [
                {"portNumber": {"protocol": "UDP", "port": 53}},
                {"portRange": {"start": 80, "end": 90}},
                {"namedPort": "http"},
            ],
        });
        let spec = read(&policy(rule), false, &|_| 1).unwrap();
        assert_eq!(spec.tier, Tier::Admin { priority: 5 });
        assert!(spec.egress.is_none());
        let rules = spec.ingress.unwrap();
        assert_eq!(rules[0].action, Action::Pass);
        assert_eq!(rules[0].peers.as_ref().unwrap().len(), 2);
        assert_eq!(
            rules[0].ports.as_deref().unwrap(),
            [
                PortMatch::Numbers(PortSet::one(Protocol::Udp, 53)),
                PortMatch::Numbers(PortSet::range(Protocol::Tcp, 80, 90)),
                PortMatch::Named(None, "http".to_owned()),
            ]
        );
    }

    #[test]
    fn a_baseline_passes_nothing_and_has_one_name() {
        let pass = json!({"action": "Pass", "from": [{"namespaces": {}}]});
        assert!(matches!(read(&policy(pass.clone()), true, &|_| 1), Err(Unread::Refused(_))));
        let mut other = policy(json!({"action": "Deny", "from": [{"namespaces": {}}]}));
        assert_eq!(read(&other, true, &|_| 1).unwrap().tier, Tier::Baseline);
        other["metadata"]["name"] = "other".into();
        assert!(read(&other, true, &|_| 1).is_err());
    }

    #[test]
    fn peers_that_are_no_pods_put_it_beyond_judgement() {
        for peer in
            [json!({"nodes": {}}), json!({"networks": ["0.0.0.0/0"]}), json!({"domainNames": ["a.b"]})]
        {
            let found = read(&policy(json!({"action": "Deny", "from": [peer]})), false, &|_| 1);
            assert!(matches!(found, Err(Unread::Beyond(_))), "{found:?}");
        }
    }
}
