//! Network policies as values: who is meant, and what is allowed, each with the line that says so.
//!
//! NetworkPolicy is read here, as the API server defaults and validates it:
//! <https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/>, defaults in
//! `pkg/apis/networking/v1/defaults.go` and validation in `pkg/apis/networking/validation` of k8s.io/kubernetes.
//! AdminNetworkPolicies share these types and are read in [`super::admin`]. Judges no traffic.

use serde_json::Value;

use super::address::{Block, Cidr};
use super::ports::{PortSet, protocol};
use super::selector::Selector;
use crate::connections::{Protocol, Space};

/// A line of a file, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub path: String,
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.path, self.line)
    }
}

/// In which order kinds of policies are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// AdminNetworkPolicy; the lowest number is asked first.
    Admin { priority: u16 },
    /// NetworkPolicy, and the policies of Cilium and Calico: what selects a pod isolates it. The rules are asked in turn,
    /// which makes no difference among NetworkPolicies: what any of them allows is allowed.
    Namespaced,
    /// BaselineAdminNetworkPolicy: asked about pods that no NetworkPolicy isolates.
    Baseline,
}

/// Whose API a policy is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    Core,
    Admin,
    Baseline,
    Cilium,
    CiliumClusterwide,
    Calico,
    CalicoGlobal,
}

impl Api {
    pub fn kind(self) -> &'static str {
        match self {
            Api::Core => "NetworkPolicy",
            Api::Admin => "AdminNetworkPolicy",
            Api::Baseline => "BaselineAdminNetworkPolicy",
            Api::Cilium => "CiliumNetworkPolicy",
            Api::CiliumClusterwide => "CiliumClusterwideNetworkPolicy",
            Api::Calico => "Calico's NetworkPolicy",
            Api::CalicoGlobal => "GlobalNetworkPolicy",
        }
    }
}

/// Where a policy stands among those that are asked in turn: Calico's `order`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Order(u64);

impl Order {
    /// Before all others: what Cilium denies.
    pub const FIRST: Order = Order(0);
    /// Behind all others: Calico's policies without an `order`.
    pub const LAST: Order = Order(u64::MAX);

    /// That of NetworkPolicies: Calico counts them as policies of order 1000
    /// (<https://docs.tigera.io/calico/latest/reference/resources/networkpolicy>); Cilium asks its own along with them.
    pub fn core() -> Order {
        Order::number(1000.0)
    }

    pub fn number(number: f64) -> Order {
        // The bits of numbers in their order, as `f64::total_cmp` has them.
        let bits = number.to_bits();
        let sign = 1 << 63;
        Order(if bits & sign == 0 { bits | sign } else { !bits })
    }
}

/// A policy in one namespace, or of the whole cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub api: Api,
    pub tier: Tier,
    /// Among those of its tier.
    pub order: Order,
    pub name: String,
    /// Of a NetworkPolicy: it selects pods in this namespace only.
    pub namespace: Option<Space>,
    pub place: Place,
    pub subject: Subject,
    /// `None`: says nothing of this direction, and so isolates nothing in it.
    pub ingress: Option<Vec<Rule>>,
    pub egress: Option<Vec<Rule>>,
    /// Directions in which it isolates no pod that it selects: Cilium's `enableDefaultDeny: false`.
    pub keeps_open: Vec<Direction>,
}

impl Policy {
    /// One of the core API.
    pub fn core(name: String, namespace: Space, place: Place, spec: NetworkPolicySpec) -> Policy {
        Policy {
            api: Api::Core,
            tier: Tier::Namespaced,
            order: Order::core(),
            name,
            namespace: Some(namespace),
            place,
            subject: Subject { namespaces: None, pods: spec.pods },
            ingress: spec.ingress,
            egress: spec.egress,
            keeps_open: Vec::new(),
        }
    }

    pub fn kind(&self) -> &'static str {
        self.api.kind()
    }

    /// Whether what it selects is denied what nothing allows.
    pub fn isolates(&self, direction: Direction) -> bool {
        self.tier == Tier::Namespaced
            && self.rules(direction).is_some()
            && !self.keeps_open.contains(&direction)
    }

    /// Whether two policies differ in their places only.
    pub(super) fn says_the_same(&self, other: &Policy) -> bool {
        let bare = |rules: &Option<Vec<Rule>>| -> Option<Vec<Rule>> {
            rules.as_ref().map(|rules| rules.iter().map(|rule| Rule { line: 0, ..rule.clone() }).collect())
        };
        (self.api, self.tier, self.order) == (other.api, other.tier, other.order)
            && self.keeps_open == other.keeps_open
            && self.subject == other.subject
            && bare(&self.ingress) == bare(&other.ingress)
            && bare(&self.egress) == bare(&other.egress)
    }

    pub fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }
}

/// `NetworkPolicy/web in shop`.
impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind(), self.name)?;
        match &self.namespace {
            Some(Space::Named(namespace)) => write!(f, " in {namespace}"),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    Egress,
    Ingress,
}

impl Direction {
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Egress => "egress",
            Direction::Ingress => "ingress",
        }
    }

    /// The field of a rule that holds its peers.
    pub fn peers_key(self) -> &'static str {
        match self {
            Direction::Egress => "to",
            Direction::Ingress => "from",
        }
    }
}

/// The pods that a policy is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// `None`: the policy's own namespace.
    pub namespaces: Option<Selector>,
    pub pods: Selector,
}

/// Traffic, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub action: Action,
    /// `None`: whoever is at the other end.
    pub peers: Option<Vec<Peer>>,
    /// `None`: every port.
    pub ports: Option<Vec<PortMatch>>,
    /// The line it starts on.
    pub line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Allow,
    Deny,
    /// Leaves the decision to the NetworkPolicies below.
    Pass,
}

/// One end of a connection, seen from the pod that a policy is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    Pods {
        /// `None`: the policy's own namespace.
        namespaces: Option<Selector>,
        pods: Selector,
    },
    /// Whoever has one of these addresses.
    Block(Block),
    /// The same outside the cluster only.
    Addresses(Block),
    Named(NamedEnd),
    /// Somebody whom nothing here can tell; what says who it is.
    Unknown(String),
}

/// An end that policies call by a name of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NamedEnd {
    ApiServer,
    /// Hosts whose DNS names fit a pattern.
    Host(String),
    /// What brings traffic in, where Cilium itself does.
    CiliumIngress,
    /// The node that a pod is on.
    OwnNode,
    OtherNodes,
    /// Cilium's own probes of its network.
    Health,
}

impl NamedEnd {
    pub fn is_node(&self) -> bool {
        matches!(self, NamedEnd::OwnNode | NamedEnd::OtherNodes)
    }

    /// Whether a host's name fits. `*` is any part of one label; alone it is any name
    /// (<https://docs.cilium.io/en/stable/security/policy/language/#dns-based>).
    pub fn is_host(&self, host: &str) -> bool {
        let NamedEnd::Host(pattern) = self else { return false };
        fn fits(pattern: &[u8], text: &[u8]) -> bool {
            match pattern.split_first() {
                None => text.is_empty(),
                Some((b'*', rest)) => {
                    let label = text.iter().take_while(|byte| **byte != b'.').count();
                    (0..=label).any(|taken| fits(rest, &text[taken..]))
                }
                Some((first, rest)) => {
                    text.first().is_some_and(|byte| byte.eq_ignore_ascii_case(first))
                        && fits(rest, &text[1..])
                }
            }
        }
        pattern == "*"
            || fits(pattern.trim_end_matches('.').as_bytes(), host.trim_end_matches('.').as_bytes())
    }
}

impl std::fmt::Display for NamedEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            NamedEnd::ApiServer => "the Kubernetes API server",
            NamedEnd::Host(host) => return write!(f, "host {host}"),
            NamedEnd::CiliumIngress => "Cilium's ingress",
            NamedEnd::OwnNode => "the pod's own node",
            NamedEnd::OtherNodes => "other nodes",
            NamedEnd::Health => "Cilium's health checks",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortMatch {
    Numbers(PortSet),
    /// A port by the name that a container of the destination gives it. The name counts for one protocol in a
    /// NetworkPolicy and for all in an AdminNetworkPolicy.
    Named(Option<Protocol>, String),
}

/// Why the API server would refuse a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// From the object.
    pub pointer: String,
    pub message: String,
}

impl Refused {
    pub(super) fn new(pointer: impl Into<String>, message: impl Into<String>) -> Refused {
        Refused { pointer: pointer.into(), message: message.into() }
    }
}

/// Gives the line of a pointer.
pub(super) type LineOf<'a> = &'a dyn Fn(&str) -> usize;

/// What a NetworkPolicy says, whatever it is called and wherever it is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPolicySpec {
    pub pods: Selector,
    pub ingress: Option<Vec<Rule>>,
    pub egress: Option<Vec<Rule>>,
}

impl NetworkPolicySpec {
    /// Reads the object of a NetworkPolicy.
    ///
    /// # Errors
    /// What the API server would refuse.
    pub fn read(object: &Value, line_of: LineOf<'_>) -> Result<NetworkPolicySpec, Refused> {
        let spec = &object["spec"];
        if !spec.is_object() && !spec.is_null() {
            return Err(Refused::new("/spec", "`spec` is no mapping"));
        }
        known(spec, "/spec", &["podSelector", "policyTypes", "ingress", "egress"])?;
        let pods = selector(&spec["podSelector"], "/spec/podSelector")?;
        let (is_ingress, is_egress) = directions(spec)?;
        let rules = |key: &str, peers: &str| -> Result<Vec<Rule>, Refused> {
            let at = format!("/spec/{key}");
            let items = list(&spec[key], &at)?.iter().enumerate();
            items.map(|(idx, item)| rule(item, peers, &format!("{at}/{idx}"), line_of)).collect()
        };
        // Both are read even where one does not count: an error in it is an error all the same.
        let (ingress, egress) = (rules("ingress", "from")?, rules("egress", "to")?);
        Ok(NetworkPolicySpec {
            pods,
            ingress: is_ingress.then_some(ingress),
            egress: is_egress.then_some(egress),
        })
    }
}

/// `SetDefaults_NetworkPolicy`: without `policyTypes` it is for ingress, and for egress when there is an egress rule.
/// `egress: []` has none.
fn directions(spec: &Value) -> Result<(bool, bool), Refused> {
    let types = list(&spec["policyTypes"], "/spec/policyTypes")?;
    if types.is_empty() {
        let has_egress_rules = spec["egress"].as_array().is_some_and(|rules| !rules.is_empty());
        return Ok((true, has_egress_rules));
    }
    let (mut ingress, mut egress) = (false, false);
    for (idx, name) in types.iter().enumerate() {
        match name.as_str() {
            Some("Ingress") => ingress = true,
            Some("Egress") => egress = true,
            _ => {
                let at = format!("/spec/policyTypes/{idx}");
                return Err(Refused::new(at, format!("{name} is neither \"Ingress\" nor \"Egress\"")));
            }
        }
    }
    Ok((ingress, egress))
}

fn rule(value: &Value, peers: &str, at: &str, line_of: LineOf<'_>) -> Result<Rule, Refused> {
    if !value.is_object() {
        return Err(Refused::new(at, "a rule is a mapping: `{}` allows everything"));
    }
    known(value, at, &[peers, "ports"])?;
    let each = |key: &str| -> Result<_, Refused> {
        let at = format!("{at}/{key}");
        let items = list(&value[key], &at)?;
        Ok(items.iter().enumerate().map(move |(idx, item)| (item, format!("{at}/{idx}"))))
    };
    let peers: Vec<Peer> = each(peers)?.map(|(item, at)| peer(item, &at)).collect::<Result<_, _>>()?;
    let ports: Vec<PortMatch> = each("ports")?.map(|(item, at)| port(item, &at)).collect::<Result<_, _>>()?;
    Ok(Rule {
        action: Action::Allow,
        // An empty list is the same as none: no restriction.
        peers: (!peers.is_empty()).then_some(peers),
        ports: (!ports.is_empty()).then_some(ports),
        line: line_of(at),
    })
}

fn peer(value: &Value, at: &str) -> Result<Peer, Refused> {
    known(value, at, &["podSelector", "namespaceSelector", "ipBlock"])?;
    let has = |key: &str| !value[key].is_null();
    match (has("podSelector"), has("namespaceSelector"), has("ipBlock")) {
        (false, false, false) => {
            Err(Refused::new(at, "a peer needs a `podSelector`, a `namespaceSelector` or an `ipBlock`"))
        }
        (false, false, true) => Ok(Peer::Block(block(&value["ipBlock"], &format!("{at}/ipBlock"))?)),
        (_, _, true) => Err(Refused::new(at, "`ipBlock` goes with no selector")),
        (_, is_selected, false) => Ok(Peer::Pods {
            namespaces: is_selected
                .then(|| selector(&value["namespaceSelector"], &format!("{at}/namespaceSelector")))
                .transpose()?,
            pods: selector(&value["podSelector"], &format!("{at}/podSelector"))?,
        }),
    }
}

fn block(value: &Value, at: &str) -> Result<Block, Refused> {
    known(value, at, &["cidr", "except"])?;
    let cidr = |value: &Value, at: String| {
        let text = value.as_str().unwrap_or_default();
        Cidr::parse(text).ok_or_else(|| Refused::new(at, format!("{value} is no CIDR")))
    };
    let whole = cidr(&value["cidr"], format!("{at}/cidr"))?;
    let mut except = Vec::new();
    for (idx, item) in list(&value["except"], &format!("{at}/except"))?.iter().enumerate() {
        let at = format!("{at}/except/{idx}");
        let hole = cidr(item, at.clone())?;
        if !whole.is_strictly_around(&hole) {
            return Err(Refused::new(at, format!("{hole} is not a part of {whole}")));
        }
        except.push(hole);
    }
    Ok(Block { cidr: whole, except })
}

fn port(value: &Value, at: &str) -> Result<PortMatch, Refused> {
    known(value, at, &["protocol", "port", "endPort"])?;
    let protocol = match &value["protocol"] {
        // `SetDefaults_NetworkPolicyPort`.
        Value::Null => Protocol::Tcp,
        name => name.as_str().and_then(protocol).ok_or_else(|| {
            Refused::new(format!("{at}/protocol"), format!("{name} is none of TCP, UDP, SCTP"))
        })?,
    };
    let end = &value["endPort"];
    match &value["port"] {
        _ if !end.is_null() && !value["port"].is_number() => {
            Err(Refused::new(format!("{at}/endPort"), "`endPort` needs a `port` that is a number"))
        }
        Value::Null => Ok(PortMatch::Numbers(PortSet::of(protocol))),
        Value::String(name) if is_port_name(name) => Ok(PortMatch::Named(Some(protocol), name.clone())),
        first => {
            let first = port_number(first, &format!("{at}/port"))?;
            let last = if end.is_null() { first } else { port_number(end, &format!("{at}/endPort"))? };
            if last < first {
                return Err(Refused::new(format!("{at}/endPort"), "`endPort` is below `port`"));
            }
            Ok(PortMatch::Numbers(PortSet::range(protocol, first, last)))
        }
    }
}

pub(super) fn port_number(value: &Value, at: &str) -> Result<u16, Refused> {
    let number = value.as_u64().and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
    number.ok_or_else(|| Refused::new(at, format!("{value} is no port: write 1 to 65535, or a port's name")))
}

/// `IsValidPortName`: a name, not a number in quotes.
pub(super) fn is_port_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=15).contains(&name.len())
        && name.bytes().all(allowed)
        && name.bytes().any(|byte| byte.is_ascii_lowercase())
        && !name.contains("--")
        && !name.starts_with('-')
        && !name.ends_with('-')
}

pub(super) fn selector(value: &Value, at: &str) -> Result<Selector, Refused> {
    Selector::read(value).map_err(|(pointer, message)| Refused::new(format!("{at}{pointer}"), message))
}

pub(super) fn list<'a>(value: &'a Value, at: &str) -> Result<&'a [Value], Refused> {
    match value {
        Value::Null => Ok(&[]),
        Value::Array(items) => Ok(items),
        _ => Err(Refused::new(at, "no list")),
    }
}

/// A misspelt field would be dropped, and `fromm:` would open what it should restrict.
pub(super) fn known(value: &Value, at: &str, fields: &[&str]) -> Result<(), Refused> {
    let unknown = value.as_object().and_then(|map| map.keys().find(|key| !fields.contains(&key.as_str())));
    match unknown {
        None => Ok(()),
        Some(field) => {
            Err(Refused::new(format!("{at}/{field}"), format!("there is no field `{field}` here")))
        }
    }
}

#[cfg(test)]
mod tests;
