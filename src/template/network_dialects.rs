//! Network policies as Cilium and Calico write them: what their templates are given, the types that what they render
//! must have, and the spec that must come out.
//!
//! The types hold the fields that are generated, no more: a field that a template adds is an error, because nothing
//! here could say what it allows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::network::{InNamespace, PolicyKind, WantedPeer, WantedPolicy, WantedPort, WantedRule};

pub(super) const CILIUM: &str = "network/cilium-policy.yaml";
pub(super) const CALICO: &str = "network/calico-policy.yaml";

/// Cilium's name for a pod's namespace: <https://docs.cilium.io/en/stable/network/kubernetes/policy/#namespaces>.
const NAMESPACE: &str = "k8s:io.kubernetes.pod.namespace";

/// An object of which only name, namespace, labels and annotations are free.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Manifest<S> {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: S,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct CiliumSpec {
    endpoint_selector: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ingress: Option<Vec<CiliumRule>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    egress: Option<Vec<CiliumRule>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
struct CiliumRule {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    from_endpoints: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    from_entities: Vec<String>,
    #[serde(rename = "fromCIDRSet", skip_serializing_if = "Vec::is_empty")]
    from_cidr_set: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    to_endpoints: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    to_entities: Vec<String>,
    #[serde(rename = "toCIDRSet", skip_serializing_if = "Vec::is_empty")]
    to_cidr_set: Vec<Value>,
    #[serde(rename = "toFQDNs", skip_serializing_if = "Vec::is_empty")]
    to_fqdns: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    to_ports: Vec<Value>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CalicoSpec {
    selector: String,
    types: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ingress: Option<Vec<CalicoRule>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    egress: Option<Vec<CalicoRule>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CalicoRule {
    action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    destination: Option<Value>,
}

/// A rule as a dialect writes it: its comments and its fields, in order.
struct Part {
    comments: Vec<String>,
    fields: Vec<(&'static str, Value)>,
}

impl Part {
    fn variables(&self) -> Value {
        let parts = self.fields.iter().map(|(key, value)| json!({"key": key, "value": value}));
        json!({"comments": self.comments, "parts": parts.collect::<Vec<_>>()})
    }

    fn value(&self) -> Value {
        let fields = self.fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
        Value::Object(fields.collect())
    }
}

impl WantedPolicy {
    /// What the template of Cilium is given.
    pub(super) fn cilium_variables(&self) -> Value {
        self.dialect_variables(labels_selector(&self.selector), Self::cilium_parts)
    }

    /// The spec in Cilium's API.
    pub fn cilium_spec(&self) -> Value {
        let mut spec = Map::new();
        spec.insert("endpointSelector".to_owned(), labels_selector(&self.selector));
        self.add_directions(&mut spec, Self::cilium_parts);
        Value::Object(spec)
    }

    pub(super) fn calico_variables(&self) -> Value {
        self.dialect_variables(json!(expression(&self.selector)), Self::calico_parts)
    }

    /// The spec in Calico's API.
    pub fn calico_spec(&self) -> Value {
        let mut spec = Map::new();
        spec.insert("selector".to_owned(), json!(expression(&self.selector)));
        spec.insert("types".to_owned(), json!(self.types()));
        self.add_directions(&mut spec, Self::calico_parts);
        Value::Object(spec)
    }

    fn dialect_variables(
        &self,
        selector: Value,
        parts: fn(&Self, bool, &[WantedRule]) -> Vec<Part>,
    ) -> Value {
        let mut variables = self.variables();
        let directions = [("ingress", &self.ingress), ("egress", &self.egress)].into_iter();
        let directions = directions.filter_map(|(key, rules)| {
            let parts = parts(self, key == "ingress", rules.as_ref()?);
            Some(json!({"key": key, "rules": parts.iter().map(Part::variables).collect::<Vec<_>>()}))
        });
        variables["directions"] = directions.collect();
        variables["selector"] = selector;
        variables
    }

    fn add_directions(
        &self,
        spec: &mut Map<String, Value>,
        parts: fn(&Self, bool, &[WantedRule]) -> Vec<Part>,
    ) {
        for (key, rules) in [("ingress", &self.ingress), ("egress", &self.egress)] {
            let Some(rules) = rules else { continue };
            let parts = parts(self, key == "ingress", rules);
            if !parts.is_empty() {
                spec.insert(key.to_owned(), parts.iter().map(Part::value).collect());
            }
        }
    }

    /// Cilium takes one sort of peer for each rule, and an empty rule allows nothing: it only isolates.
    fn cilium_parts(&self, is_ingress: bool, rules: &[WantedRule]) -> Vec<Part> {
        if rules.is_empty() {
            return vec![Part { comments: Vec::new(), fields: Vec::new() }];
        }
        let key = |ingress: &'static str, egress: &'static str| if is_ingress { ingress } else { egress };
        let mut parts = Vec::new();
        for rule in rules {
            let mut by_key: Vec<(&'static str, Vec<Value>)> = Vec::new();
            let mut put =
                |key: &'static str, value: Value| match by_key.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, values)) => values.push(value),
                    None => by_key.push((key, vec![value])),
                };
            for peer in &rule.peers {
                match peer {
                    WantedPeer::Pods { namespace, labels, .. } => {
                        put(key("fromEndpoints", "toEndpoints"), endpoint(namespace, labels));
                    }
                    WantedPeer::Block { cidr, except } if except.is_empty() => {
                        put(key("fromCIDRSet", "toCIDRSet"), json!({"cidr": cidr}));
                    }
                    WantedPeer::Block { cidr, except } => {
                        put(key("fromCIDRSet", "toCIDRSet"), json!({"cidr": cidr, "except": except}));
                    }
                    WantedPeer::ApiServer => put(key("fromEntities", "toEntities"), json!("kube-apiserver")),
                    WantedPeer::Host(host) => put("toFQDNs", json!({"matchName": host})),
                }
            }
            if rule.peers.is_empty() {
                put(key("fromEntities", "toEntities"), json!("all"));
            }
            for (idx, (key, values)) in by_key.into_iter().enumerate() {
                let mut fields = vec![(key, Value::Array(values))];
                if !rule.ports.is_empty() {
                    fields.push(("toPorts", json!([self.cilium_ports(&rule.ports)])));
                }
                let comments = if idx == 0 { rule.comments.clone() } else { Vec::new() };
                parts.push(Part { comments, fields });
            }
        }
        parts
    }

    /// `toFQDNs` works with the answers that pass Cilium's DNS proxy, which sees the queries that a rule sends to it.
    fn cilium_ports(&self, ports: &[WantedPort]) -> Value {
        let list = ports.iter().map(|port| {
            let mut value = json!({"port": port.text(), "protocol": port.protocol.as_str()});
            if let Some(end) = port.end {
                value["endPort"] = json!(end);
            }
            value
        });
        let mut value = json!({"ports": list.collect::<Vec<_>>()});
        if self.kind == PolicyKind::AllowDns {
            value["rules"] = json!({"dns": [{"matchPattern": "*"}]});
        }
        value
    }

    /// Calico takes one protocol and one sort of peer for each rule.
    fn calico_parts(&self, is_ingress: bool, rules: &[WantedRule]) -> Vec<Part> {
        let mut parts = Vec::new();
        for rule in rules {
            let mut protocols: Vec<Option<&'static str>> =
                rule.ports.iter().map(|port| Some(port.protocol.as_str())).collect();
            protocols.dedup();
            if protocols.is_empty() {
                protocols.push(None);
            }
            let mut peers: Vec<Option<Value>> =
                rule.peers.iter().map(|peer| Some(calico_peer(peer))).collect();
            if peers.is_empty() {
                peers.push(None);
            }
            for (idx, peer) in peers.iter().enumerate() {
                for (at, protocol) in protocols.iter().enumerate() {
                    let first = idx == 0 && at == 0;
                    let comments = if first { rule.comments.clone() } else { Vec::new() };
                    parts.push(calico_rule(is_ingress, comments, peer.as_ref(), *protocol, rule));
                }
            }
        }
        parts
    }
}

fn calico_rule(
    is_ingress: bool,
    comments: Vec<String>,
    peer: Option<&Value>,
    protocol: Option<&str>,
    rule: &WantedRule,
) -> Part {
    let mut fields = vec![("action", json!("Allow"))];
    let ports: Vec<Value> = rule
        .ports
        .iter()
        .filter(|port| Some(port.protocol.as_str()) == protocol)
        .map(|port| match port.end {
            Some(end) => json!(format!("{}:{end}", port.number)),
            None => port.port(),
        })
        .collect();
    // The API server's rule brings its ports with it: they are those of its Service.
    let brings_ports = peer.is_some_and(|peer| peer.get("services").is_some());
    fields.extend(protocol.filter(|_| !brings_ports).map(|protocol| ("protocol", json!(protocol))));
    let mut destination = if is_ingress { Map::new() } else { fields_of(peer) };
    if !ports.is_empty() && !brings_ports {
        destination.insert("ports".to_owned(), Value::Array(ports));
    }
    if let (true, Some(peer)) = (is_ingress, peer) {
        fields.push(("source", peer.clone()));
    }
    if !destination.is_empty() {
        fields.push(("destination", Value::Object(destination)));
    }
    Part { comments, fields }
}

fn fields_of(peer: Option<&Value>) -> Map<String, Value> {
    peer.and_then(Value::as_object).cloned().unwrap_or_default()
}

fn calico_peer(peer: &WantedPeer) -> Value {
    match peer {
        WantedPeer::Pods { namespace, labels, .. } => {
            let pods = expression(labels);
            match namespace {
                InNamespace::Own => json!({"selector": pods}),
                InNamespace::Named(name) => {
                    json!({"namespaceSelector": format!("kubernetes.io/metadata.name == '{name}'"), "selector": pods})
                }
                InNamespace::Any => json!({"namespaceSelector": "all()", "selector": pods}),
            }
        }
        WantedPeer::Block { cidr, except } if except.is_empty() => json!({"nets": [cidr]}),
        WantedPeer::Block { cidr, except } => json!({"nets": [cidr], "notNets": except}),
        WantedPeer::ApiServer => json!({"services": {"name": "kubernetes", "namespace": "default"}}),
        // Names need Calico's commercial editions; needs are never written with them for Calico.
        WantedPeer::Host(host) => json!({"domains": [host]}),
    }
}

/// Labels are names with a known alphabet, which has no quote.
fn expression(labels: &BTreeMap<String, String>) -> String {
    if labels.is_empty() {
        return "all()".to_owned();
    }
    let terms = labels.iter().map(|(key, value)| format!("{key} == '{}'", value.replace('\'', "")));
    terms.collect::<Vec<_>>().join(" && ")
}

fn endpoint(namespace: &InNamespace, labels: &BTreeMap<String, String>) -> Value {
    let mut all: BTreeMap<String, String> = labels.clone();
    match namespace {
        InNamespace::Own => labels_selector(&all),
        InNamespace::Named(name) => {
            all.insert(NAMESPACE.to_owned(), name.clone());
            labels_selector(&all)
        }
        InNamespace::Any => {
            let mut selector = labels_selector(&all);
            selector["matchExpressions"] = json!([{"key": NAMESPACE, "operator": "Exists"}]);
            selector
        }
    }
}

fn labels_selector(labels: &BTreeMap<String, String>) -> Value {
    if labels.is_empty() { json!({}) } else { json!({"matchLabels": labels}) }
}
