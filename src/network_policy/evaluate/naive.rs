//! A second implementation, for tests only: reads the objects' JSON anew for every question, one protocol and port at
//! a time, and shares no code with the first.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;

type Labels = BTreeMap<String, String>;

/// Objects as they would be applied.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    /// Name and labels, the automatic one left out.
    pub(super) namespaces: Vec<(String, Labels)>,
    pub(super) pods: Vec<Pod>,
    pub(super) policies: Vec<Value>,
}

#[derive(Debug, Clone)]
pub(super) struct Pod {
    pub(super) namespace: String,
    pub(super) labels: Labels,
    /// Name, protocol, number.
    pub(super) ports: Vec<(String, &'static str, u16)>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Other {
    Pod(usize),
    Address(IpAddr),
}

impl World {
    pub(super) fn allows(&self, from: Other, to: Other, protocol: &str, port: u16) -> bool {
        let leaves = match from {
            Other::Pod(pod) => self.passes("egress", pod, to, to, protocol, port),
            Other::Address(_) => true,
        };
        let enters = match to {
            Other::Pod(pod) => self.passes("ingress", pod, from, to, protocol, port),
            Other::Address(_) => true,
        };
        leaves && enters
    }

    fn passes(&self, way: &str, own: usize, other: Other, to: Other, protocol: &str, port: u16) -> bool {
        let of_kind = |kind: &'static str| self.policies.iter().filter(move |policy| policy["kind"] == kind);
        let hits = |rule: &Value| -> bool {
            self.admin_peer(rule, way, other) && self.admin_port(rule, to, protocol, port)
        };
        let mut admins: Vec<&Value> = of_kind("AdminNetworkPolicy").collect();
        admins.sort_by_key(|policy| policy["spec"]["priority"].as_u64());
        'admins: for policy in admins {
            if !self.admin_pods(&policy["spec"]["subject"], own) {
                continue;
            }
            for rule in rows(&policy["spec"][way]) {
                if hits(rule) {
                    match rule["action"].as_str() {
                        Some("Allow") => return true,
                        Some("Deny") => return false,
                        _ => break 'admins,
                    }
                }
            }
        }
        let isolating: Vec<&Value> =
            of_kind("NetworkPolicy").filter(|policy| self.isolates(policy, way, own)).collect();
        if !isolating.is_empty() {
            return isolating.iter().any(|policy| {
                rows(&policy["spec"][way])
                    .any(|rule| self.peer(rule, way, policy, other) && self.port(rule, to, protocol, port))
            });
        }
        for policy in of_kind("BaselineAdminNetworkPolicy") {
            if self.admin_pods(&policy["spec"]["subject"], own)
                && let Some(rule) = rows(&policy["spec"][way]).find(|rule| hits(rule))
            {
                return rule["action"] == "Allow";
            }
        }
        true
    }

    fn isolates(&self, policy: &Value, way: &str, own: usize) -> bool {
        let pod = &self.pods[own];
        let spec = &policy["spec"];
        let is_for_it = match spec["policyTypes"].as_array().filter(|types| !types.is_empty()) {
            Some(types) => types.iter().any(|name| name.as_str().unwrap().to_lowercase() == way),
            None => way == "ingress" || rows(&spec["egress"]).count() > 0,
        };
        is_for_it
            && policy["metadata"]["namespace"] == pod.namespace.as_str()
            && selects(&spec["podSelector"], &pod.labels)
    }

    fn namespace_labels(&self, name: &str) -> Labels {
        let mut labels = self
            .namespaces
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, labels)| labels.clone())
            .unwrap();
        labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
        labels
    }

    fn peer(&self, rule: &Value, way: &str, policy: &Value, other: Other) -> bool {
        let peers = &rule[if way == "ingress" { "from" } else { "to" }];
        if rows(peers).count() == 0 {
            return true;
        }
        rows(peers).any(|peer| match other {
            Other::Address(address) => in_block(&peer["ipBlock"], address),
            Other::Pod(_) if peer["ipBlock"].is_object() => false,
            Other::Pod(other) => {
                let pod = &self.pods[other];
                let in_namespace = match &peer["namespaceSelector"] {
                    Value::Null => policy["metadata"]["namespace"] == pod.namespace.as_str(),
                    selector => selects(selector, &self.namespace_labels(&pod.namespace)),
                };
                in_namespace && selects(&peer["podSelector"], &pod.labels)
            }
        })
    }

    fn port(&self, rule: &Value, to: Other, protocol: &str, port: u16) -> bool {
        if rows(&rule["ports"]).count() == 0 {
            return true;
        }
        rows(&rule["ports"]).any(|entry| {
            let is_protocol = entry["protocol"].as_str().unwrap_or("TCP") == protocol;
            is_protocol
                && match &entry["port"] {
                    Value::Null => true,
                    Value::String(name) => self.is_called(to, name, protocol, port),
                    first => {
                        let first = first.as_u64().unwrap();
                        let last = entry["endPort"].as_u64().unwrap_or(first);
                        (first..=last).contains(&u64::from(port))
                    }
                }
        })
    }

    fn is_called(&self, to: Other, name: &str, protocol: &str, port: u16) -> bool {
        let Other::Pod(pod) = to else { return false };
        self.pods[pod]
            .ports
            .iter()
            .any(|(known, of, number)| known == name && *of == protocol && *number == port)
    }

    /// `{namespaces: SELECTOR}` or `{pods: {namespaceSelector, podSelector}}`.
    fn admin_pods(&self, value: &Value, pod: usize) -> bool {
        let pod = &self.pods[pod];
        let labels = self.namespace_labels(&pod.namespace);
        match &value["pods"] {
            Value::Null => selects(&value["namespaces"], &labels),
            both => {
                selects(&both["namespaceSelector"], &labels) && selects(&both["podSelector"], &pod.labels)
            }
        }
    }

    fn admin_peer(&self, rule: &Value, way: &str, other: Other) -> bool {
        let Other::Pod(pod) = other else { return false };
        rows(&rule[if way == "ingress" { "from" } else { "to" }]).any(|peer| self.admin_pods(peer, pod))
    }

    fn admin_port(&self, rule: &Value, to: Other, protocol: &str, port: u16) -> bool {
        if rows(&rule["ports"]).count() == 0 {
            return true;
        }
        rows(&rule["ports"]).any(|entry| {
            if let Some(name) = entry["namedPort"].as_str() {
                return self.is_called(to, name, protocol, port);
            }
            let (value, first, last) = match &entry["portNumber"] {
                Value::Null => (&entry["portRange"], "start", "end"),
                number => (number, "port", "port"),
            };
            value["protocol"].as_str().unwrap_or("TCP") == protocol
                && (value[first].as_u64().unwrap()..=value[last].as_u64().unwrap()).contains(&u64::from(port))
        })
    }
}

fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn selects(selector: &Value, labels: &Labels) -> bool {
    let pairs = selector["matchLabels"].as_object().into_iter().flatten();
    for (key, value) in pairs {
        if labels.get(key).map(String::as_str) != value.as_str() {
            return false;
        }
    }
    for expression in rows(&selector["matchExpressions"]) {
        let label = labels.get(expression["key"].as_str().unwrap());
        let is_listed = label.is_some_and(|label| rows(&expression["values"]).any(|value| value == label));
        let holds = match expression["operator"].as_str().unwrap() {
            "In" => is_listed,
            "NotIn" => !is_listed,
            "Exists" => label.is_some(),
            _ => label.is_none(),
        };
        if !holds {
            return false;
        }
    }
    true
}

/// IPv4 only, by dividing away the bits below the prefix.
fn in_block(block: &Value, address: IpAddr) -> bool {
    let in_cidr = |cidr: &str| {
        let (base, prefix) = cidr.split_once('/').unwrap();
        let (IpAddr::V4(address), Ok(base)) = (address, base.parse::<Ipv4Addr>()) else { return false };
        let size = 1u64 << (32 - prefix.parse::<u32>().unwrap());
        u64::from(address.to_bits()) / size == u64::from(base.to_bits()) / size
    };
    block["cidr"].as_str().is_some_and(in_cidr)
        && !rows(&block["except"]).any(|hole| in_cidr(hole.as_str().unwrap()))
}
