//! Network policies: what their templates are given, and what must come out of them.
//!
//! A template may add labels, annotations and comments; the spec must say what was asked for, no more and no less.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicySpec};
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use super::decode::{self, Problem};
use super::network_dialects::{CALICO, CILIUM, CalicoSpec, CiliumSpec, Manifest};
use super::{RenderedFile, TemplateError, Templates, must_be};
use crate::config::Dialect;
use crate::connections::Protocol;

pub(super) const CORE: &str = "network/policy.yaml";

/// A policy as it is wanted, in no dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedPolicy {
    pub kind: PolicyKind,
    pub name: String,
    /// `None` leaves it to the build, as the workload does.
    pub namespace: Option<String>,
    /// Lines that explain it.
    pub comments: Vec<String>,
    /// Empty for all pods.
    pub selector: BTreeMap<String, String>,
    /// As of [`WantedPeer::Pods`], of the pods it is for.
    pub foreign: bool,
    /// `None`: not a policy for this direction.
    pub ingress: Option<Vec<WantedRule>>,
    pub egress: Option<Vec<WantedRule>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyKind {
    DefaultDeny,
    AllowDns,
    Workload,
}

/// Allowed traffic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedRule {
    pub comments: Vec<String>,
    /// Empty for any peer.
    pub peers: Vec<WantedPeer>,
    /// Empty for all ports.
    pub ports: Vec<WantedPort>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum WantedPeer {
    Pods {
        namespace: InNamespace,
        labels: BTreeMap<String, String>,
        /// Whether a build would write labels of its own into `matchLabels`, which these pods do not have:
        /// <https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/commonlabels/>.
        foreign: bool,
    },
    Block {
        cidr: String,
        except: Vec<String>,
    },
    /// In dialects that know it.
    ApiServer,
    /// A host by its name, in dialects that know names.
    Host(String),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum InNamespace {
    /// The policy's own.
    Own,
    Named(String),
    Any,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WantedPort {
    /// A name where it is not known by number.
    pub name: Option<String>,
    pub number: u16,
    pub end: Option<u16>,
    pub protocol: Protocol,
}

impl Templates {
    /// Whether every policy can be rendered, so that nobody has to try. A team's own template may have its limits.
    pub fn renders_all_policies(&self, dialect: Dialect) -> bool {
        let name = match dialect {
            Dialect::Core => CORE,
            Dialect::Cilium => CILIUM,
            Dialect::Calico => CALICO,
        };
        self.is_built_in(name)
    }

    /// A file of policies, one document each.
    pub fn network_policies(
        &self,
        policies: &[WantedPolicy],
        dialect: Dialect,
    ) -> Result<RenderedFile, TemplateError> {
        let mut text = String::new();
        let mut values = Vec::new();
        for policy in policies {
            let rendered = self.network_policy(policy, dialect)?;
            if !text.is_empty() {
                text.push_str("---\n");
            }
            text.push_str(&rendered.text);
            values.push(rendered.value);
        }
        Ok(RenderedFile { text, value: Value::Array(values) })
    }

    fn network_policy(&self, policy: &WantedPolicy, dialect: Dialect) -> Result<RenderedFile, TemplateError> {
        let named = |value: Value| {
            must_be(&value, "/metadata/name", &json!(policy.name))?;
            match &policy.namespace {
                Some(namespace) => must_be(&value, "/metadata/namespace", &json!(namespace))?,
                None if !value["metadata"]["namespace"].is_null() => {
                    return Err(Problem::new("`metadata.namespace` must be left to the build"));
                }
                None => {}
            }
            Ok(value)
        };
        match dialect {
            Dialect::Core => self.file(CORE, policy.variables(), |text| {
                let value = named(decode::typed::<NetworkPolicy>(text)?)?;
                says_the_same(&value["spec"], &policy.spec())?;
                Ok(value)
            }),
            Dialect::Cilium => self.file(CILIUM, policy.cilium_variables(), |text| {
                let value = named(decode::typed::<Manifest<CiliumSpec>>(text)?)?;
                is_spec(&value["spec"], &policy.cilium_spec())?;
                Ok(value)
            }),
            Dialect::Calico => self.file(CALICO, policy.calico_variables(), |text| {
                let value = named(decode::typed::<Manifest<CalicoSpec>>(text)?)?;
                is_spec(&value["spec"], &policy.calico_spec())?;
                Ok(value)
            }),
        }
    }
}

fn is_spec(spec: &Value, wanted: &Value) -> Result<(), Problem> {
    if spec == wanted {
        return Ok(());
    }
    let keys = ["endpointSelector", "selector", "types", "ingress", "egress"];
    let field = keys.into_iter().find(|key| spec[*key] != wanted[*key]);
    Err(Problem::new(format!("`spec.{}` does not say what was asked for", field.unwrap_or_default())))
}

fn says_the_same(spec: &Value, wanted: &Value) -> Result<(), Problem> {
    let typed = |value: &Value| {
        NetworkPolicySpec::deserialize(value).map_err(|error| Problem::new(error.to_string()))
    };
    if spec == wanted || typed(spec)? == typed(wanted)? {
        return Ok(());
    }
    let field = ["podSelector", "policyTypes", "ingress", "egress"]
        .into_iter()
        .find(|key| spec[*key] != wanted[*key]);
    Err(Problem::new(format!("`spec.{}` does not say what was asked for", field.unwrap_or_default())))
}

impl WantedPolicy {
    /// Makes sure that labels which a build adds do not reach selectors of pods that it does not build: those of other
    /// namespaces, and those of its own that are not `built_here` with those labels.
    pub fn keep_from_labels(&mut self, built_here: &dyn Fn(&BTreeMap<String, String>) -> bool) {
        self.foreign = !self.selector.is_empty() && !built_here(&self.selector);
        for rule in [&mut self.ingress, &mut self.egress].into_iter().flatten().flatten() {
            for peer in &mut rule.peers {
                if let WantedPeer::Pods { namespace, foreign, labels } = peer {
                    *foreign = *namespace != InNamespace::Own || !labels.is_empty() && !built_here(labels);
                }
            }
        }
    }

    fn directions(&self) -> [(&'static str, &'static str, &'static str, &Option<Vec<WantedRule>>); 2] {
        [("Ingress", "ingress", "from", &self.ingress), ("Egress", "egress", "to", &self.egress)]
    }

    pub(super) fn types(&self) -> Vec<&'static str> {
        self.directions().into_iter().filter(|(.., rules)| rules.is_some()).map(|(name, ..)| name).collect()
    }

    pub(super) fn variables(&self) -> Value {
        let directions: Vec<Value> = self
            .directions()
            .into_iter()
            .filter_map(|(_, key, peers_key, rules)| {
                let rules: Vec<Value> = rules.as_ref()?.iter().map(WantedRule::variables).collect();
                Some(json!({"key": key, "peers_key": peers_key, "rules": rules}))
            })
            .collect();
        let (selector, expressions) = written(&self.selector, self.foreign);
        json!({
            "kind": match self.kind {
                PolicyKind::DefaultDeny => "default-deny",
                PolicyKind::AllowDns => "allow-dns",
                PolicyKind::Workload => "workload",
            },
            "name": self.name, "namespace": self.namespace, "comments": self.comments,
            "selector": selector, "expressions": expressions, "types": self.types(), "directions": directions,
        })
    }

    /// The spec in the core API, made without a template.
    pub fn spec(&self) -> Value {
        let mut spec = Map::new();
        spec.insert("podSelector".to_owned(), selector(&self.selector, self.foreign));
        spec.insert("policyTypes".to_owned(), json!(self.types()));
        for (_, key, peers_key, rules) in self.directions() {
            if let Some(rules) = rules.as_ref().filter(|rules| !rules.is_empty()) {
                let rules: Vec<Value> = rules.iter().map(|rule| rule.value(peers_key)).collect();
                spec.insert(key.to_owned(), Value::Array(rules));
            }
        }
        Value::Object(spec)
    }
}

impl WantedRule {
    fn variables(&self) -> Value {
        let peers: Vec<Value> = self.peers.iter().map(WantedPeer::variables).collect();
        let ports = self.ports.iter().map(
            |port| json!({"port": port.port(), "end_port": port.end, "protocol": port.protocol.as_str()}),
        );
        json!({"comments": self.comments, "peers": peers, "ports": ports.collect::<Vec<_>>()})
    }

    /// The rule in the core API; `peers_key` is `from` or `to`.
    pub fn value(&self, peers_key: &str) -> Value {
        let mut rule = Map::new();
        if !self.peers.is_empty() {
            rule.insert(peers_key.to_owned(), self.peers.iter().map(WantedPeer::value).collect());
        }
        if !self.ports.is_empty() {
            let ports = self.ports.iter().map(|port| {
                let mut value = json!({"port": port.port(), "protocol": port.protocol.as_str()});
                if let Some(end) = port.end {
                    value["endPort"] = json!(end);
                }
                value
            });
            rule.insert("ports".to_owned(), ports.collect());
        }
        Value::Object(rule)
    }
}

impl WantedPeer {
    fn variables(&self) -> Value {
        match self {
            // Needs are written with these only for dialects that know them.
            WantedPeer::ApiServer | WantedPeer::Host(_) => Value::Null,
            WantedPeer::Block { cidr, except } => json!({"cidr": cidr, "except": except}),
            WantedPeer::Pods { namespace, labels, foreign } => {
                let namespace = match namespace {
                    InNamespace::Own => None,
                    InNamespace::Named(name) => Some(name.as_str()),
                    InNamespace::Any => Some("*"),
                };
                let (plain, expressions) = written(labels, *foreign);
                json!({"namespace": namespace, "labels": plain, "expressions": expressions})
            }
        }
    }

    fn value(&self) -> Value {
        match self {
            WantedPeer::ApiServer | WantedPeer::Host(_) => Value::Null,
            WantedPeer::Block { cidr, except } if except.is_empty() => json!({"ipBlock": {"cidr": cidr}}),
            WantedPeer::Block { cidr, except } => json!({"ipBlock": {"cidr": cidr, "except": except}}),
            WantedPeer::Pods { namespace, labels, foreign } => {
                let pods = selector(labels, *foreign);
                let namespaces = match namespace {
                    InNamespace::Own => return json!({"podSelector": pods}),
                    InNamespace::Named(name) => json!({"matchLabels": {"kubernetes.io/metadata.name": name}}),
                    InNamespace::Any => json!({}),
                };
                if labels.is_empty() {
                    json!({"namespaceSelector": namespaces})
                } else {
                    json!({"namespaceSelector": namespaces, "podSelector": pods})
                }
            }
        }
    }
}

impl WantedPort {
    /// As dialects write it that have text for every port.
    pub(super) fn text(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.number.to_string())
    }

    pub(super) fn port(&self) -> Value {
        match &self.name {
            Some(name) => json!(name),
            None => json!(self.number),
        }
    }
}

fn pairs(labels: &BTreeMap<String, String>) -> Vec<Value> {
    labels.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

/// The labels for `matchLabels`, and those for `matchExpressions`.
fn written(labels: &BTreeMap<String, String>, foreign: bool) -> (Vec<Value>, Vec<Value>) {
    if foreign { (Vec::new(), pairs(labels)) } else { (pairs(labels), Vec::new()) }
}

fn selector(labels: &BTreeMap<String, String>, foreign: bool) -> Value {
    if labels.is_empty() {
        return json!({});
    }
    if !foreign {
        return json!({"matchLabels": labels});
    }
    let expressions =
        labels.iter().map(|(key, value)| json!({"key": key, "operator": "In", "values": [value]}));
    json!({"matchExpressions": expressions.collect::<Vec<_>>()})
}
