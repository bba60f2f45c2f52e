//! Connections → the rules that allow them, seen from one member.

use std::collections::{BTreeMap, BTreeSet};

use super::operated::{behind, collectors};
use super::{View, doubt};
use crate::config::{Dialect, Mode, PodPeer};
use crate::connections::{Connection, Evidence, Member, MemberId, Peer, Port, Space};
use crate::repo::folder;
use crate::template::{InNamespace, WantedPeer, WantedPort, WantedRule};

/// Ranges that no address on the internet is from: <https://www.iana.org/assignments/iana-ipv4-special-registry>.
const PRIVATE: &[&str] =
    &["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"];
const PRIVATE_V6: &[&str] = &["fc00::/7", "fe80::/10"];

/// What a member needs, and what stays open because nothing explains it.
#[derive(Debug, Clone, Default)]
pub(super) struct Needs {
    pub(super) ingress: Vec<WantedRule>,
    pub(super) egress: Vec<WantedRule>,
    /// Whether egress stays open because it is not explained.
    pub(super) open_egress: bool,
    /// Whether ingress stays open because nobody is known to call it.
    pub(super) open_ingress: bool,
}

pub(super) fn needs(view: &View<'_>, id: MemberId) -> Needs {
    let member = view.member(id);
    let mode = view.settings.config.network.mode;
    let mut needs = Needs {
        ingress: ingress(view, id, member),
        egress: if mode == Mode::Ingress { Vec::new() } else { egress(view, id, member) },
        ..Needs::default()
    };
    if mode != Mode::Full {
        let hidden: Vec<&str> = view.hidden_in(&member.space).collect();
        if let Some(rule) = unknown_callers(view, id, member, &hidden) {
            needs.open_ingress = true;
            needs.ingress.push(rule);
        }
    }
    if mode == Mode::Known && !view.explains_egress(id) {
        needs.open_egress = true;
        needs.egress.push(open_egress(view, id));
    }
    needs
}

fn ingress(view: &View<'_>, id: MemberId, member: &Member) -> Vec<WantedRule> {
    let rules = view.of(&view.ingress, id).map(|connection| {
        let peers = match &connection.from {
            Peer::Member(from) => callers(view, member, view.member(*from)),
            Peer::IngressController { class } => {
                vec![configured(&view.settings.config.network.ingress_controller(class.as_deref()))]
            }
            Peer::Monitoring => collectors(view, member, &view.settings.config.network.monitoring),
            Peer::ApiServer => api_server(view),
            Peer::Everything => everything(),
            Peer::IpBlock { cidr, except } => vec![block(cidr, except)],
            Peer::Pods { namespace, labels } => vec![pods_of(&member.space, namespace, labels.clone())],
            Peer::Dns | Peer::Host(_) => Vec::new(),
        };
        rule(view, member, connection, peers, true)
    });
    merged(rules)
}

fn egress(view: &View<'_>, id: MemberId, member: &Member) -> Vec<WantedRule> {
    let rules = view.of(&view.egress, id).map(|connection| {
        let peers = match &connection.to {
            Peer::Member(to) => called(view, member, view.member(*to)),
            Peer::Pods { namespace, labels } => vec![pods_of(&member.space, namespace, labels.clone())],
            Peer::ApiServer => api_server(view),
            Peer::Host(host) if view.dialect() == Dialect::Cilium => vec![WantedPeer::Host(host.clone())],
            Peer::Host(host) => of_host(host, connection.port.as_ref()),
            Peer::IpBlock { cidr, except } => vec![block(cidr, except)],
            Peer::Everything => everything(),
            Peer::IngressController { .. } | Peer::Monitoring | Peer::Dns => Vec::new(),
        };
        rule(view, member, connection, peers, false)
    });
    merged(rules)
}

/// Who calls, as the policy of the called one names it.
fn callers(view: &View<'_>, own: &Member, caller: &Member) -> Vec<WantedPeer> {
    if caller.host_network {
        return blocks(&view.settings.config.network.nodes);
    }
    match (&own.space, &caller.space) {
        // Nothing tells where the caller runs.
        (Space::Named(_), Space::Unnamed(_)) if own.space.name() != Some("default") => {
            vec![WantedPeer::Pods {
                namespace: InNamespace::Any,
                labels: selector(view, caller),
                foreign: false,
            }]
        }
        _ => of_member(view, own, caller),
    }
}

fn called(view: &View<'_>, own: &Member, target: &Member) -> Vec<WantedPeer> {
    if target.host_network {
        return blocks(&view.settings.config.network.nodes);
    }
    of_member(view, own, target)
}

fn of_member(view: &View<'_>, own: &Member, other: &Member) -> Vec<WantedPeer> {
    let here =
        WantedPeer::Pods { namespace: InNamespace::Own, labels: selector(view, other), foreign: false };
    match (&own.space, &other.space) {
        (Space::Unnamed(_), Space::Named(name)) => {
            let there = WantedPeer::Pods {
                namespace: InNamespace::Named(name.clone()),
                labels: selector(view, other),
                foreign: false,
            };
            // Where nothing names the namespace it is often `default`.
            if name == "default" { vec![here, there] } else { vec![there] }
        }
        (Space::Named(own), Space::Named(other_name)) if own != other_name => {
            vec![WantedPeer::Pods {
                namespace: InNamespace::Named(other_name.clone()),
                labels: selector(view, other),
                foreign: false,
            }]
        }
        _ => vec![here],
    }
}

/// The labels that select a member's pods, once fixes have added those that it lacks; none where nothing can.
pub(super) fn selector(view: &View<'_>, member: &Member) -> BTreeMap<String, String> {
    match view.new_labels.get(&(member.file, member.object)) {
        Some(label) => label.selector(),
        None => member.selector.clone(),
    }
}

fn pods_of(own: &Space, namespace: &Space, labels: BTreeMap<String, String>) -> WantedPeer {
    let namespace = match namespace {
        other if other == own => InNamespace::Own,
        Space::Named(name) => InNamespace::Named(name.clone()),
        Space::Unnamed(_) => InNamespace::Own,
    };
    WantedPeer::Pods { namespace, labels, foreign: false }
}

/// Pods that the configuration describes.
pub(super) fn configured(peer: &PodPeer) -> WantedPeer {
    let namespace =
        if peer.namespace.is_empty() { InNamespace::Any } else { InNamespace::Named(peer.namespace.clone()) };
    WantedPeer::Pods { namespace, labels: peer.labels.clone(), foreign: false }
}

/// Its own name where the dialect has one, else its addresses, else any.
fn api_server(view: &View<'_>) -> Vec<WantedPeer> {
    match view.dialect() {
        Dialect::Core => blocks(&view.settings.config.network.api_server),
        Dialect::Cilium | Dialect::Calico => vec![WantedPeer::ApiServer],
    }
}

/// Blocks; any peer where none is known.
fn blocks(cidrs: &[String]) -> Vec<WantedPeer> {
    cidrs.iter().map(|cidr| block(cidr, &[])).collect()
}

fn block(cidr: &str, except: &[String]) -> WantedPeer {
    WantedPeer::Block { cidr: cidr.to_owned(), except: except.to_vec() }
}

fn everything() -> Vec<WantedPeer> {
    vec![block("0.0.0.0/0", &[]), block("::/0", &[])]
}

/// The core API knows no names. A web host is on the internet; others are often within the company's own network.
fn of_host(host: &str, port: Option<&Port>) -> Vec<WantedPeer> {
    let is_web = port.and_then(|port| port.number).is_some_and(|number| matches!(number, 80 | 443));
    if is_web && !is_private_name(host) {
        let owned = |list: &[&str]| list.iter().map(|cidr| (*cidr).to_owned()).collect::<Vec<_>>();
        return vec![block("0.0.0.0/0", &owned(PRIVATE)), block("::/0", &owned(PRIVATE_V6))];
    }
    everything()
}

fn is_private_name(host: &str) -> bool {
    let end = host.rsplit('.').next().unwrap_or_default();
    matches!(end, "internal" | "local" | "lan" | "corp" | "home" | "intranet" | "private")
}

/// What a comment says of a piece of evidence: without the line, which soon is another, and without the folder where
/// that is the workload's own.
fn in_comment(view: &View<'_>, own: &Member, evidence: &Evidence) -> String {
    let here = folder(&view.model.repo().files[own.file].path);
    let path = if folder(&evidence.path) == here {
        evidence.path.rsplit('/').next().unwrap_or(&evidence.path)
    } else {
        &evidence.path
    };
    format!("{path}: {}", evidence.words)
}

fn rule(
    view: &View<'_>,
    own: &Member,
    connection: &Connection,
    peers: Vec<WantedPeer>,
    is_ingress: bool,
) -> WantedRule {
    let mut comments: Vec<String> = Vec::new();
    for evidence in &connection.evidence {
        // Once for each thing that is said, wherever copies of it are.
        if !comments.iter().any(|known| known.ends_with(&evidence.words)) {
            comments.push(in_comment(view, own, evidence));
        }
    }
    if let Some(why) = doubt(&connection.certainty) {
        comments.push(format!("check: {why}"));
    }
    if let (Peer::Host(host), false, false) = (&connection.to, is_ingress, view.dialect() == Dialect::Cilium)
    {
        comments.push(format!("policies have no names here: {host} by address and port"));
        if peers.iter().any(|peer| matches!(peer, WantedPeer::Block { except, .. } if !except.is_empty())) {
            comments.push("check: private addresses are left out".to_owned());
        }
    }
    let ports = connection.port.iter().map(|port| wanted_port(port, is_ingress)).collect();
    WantedRule { comments, peers, ports }
}

/// By name on the pod's own side, by number on the other: names of ports are resolved where they are declared.
fn wanted_port(port: &Port, is_ingress: bool) -> WantedPort {
    let by_name = port.name.is_some() && (is_ingress || port.number.is_none());
    WantedPort {
        name: port.name.clone().filter(|_| by_name),
        number: port.number.unwrap_or_default(),
        end: port.end,
        protocol: port.protocol,
    }
}

/// One rule for each set of peers, with all their ports.
pub(super) fn merged(rules: impl Iterator<Item = WantedRule>) -> Vec<WantedRule> {
    let mut by_peers: BTreeMap<(bool, Vec<WantedPeer>), WantedRule> = BTreeMap::new();
    for rule in rules {
        // Rules without ports allow all of them, and must not be lost among others.
        let known = by_peers
            .entry((rule.ports.is_empty(), rule.peers.clone()))
            .or_insert_with(|| WantedRule { peers: rule.peers.clone(), ..WantedRule::default() });
        for comment in rule.comments {
            if !known.comments.contains(&comment) {
                known.comments.push(comment);
            }
        }
        let ports: BTreeSet<WantedPort> = known.ports.drain(..).chain(rule.ports).collect();
        known.ports = ports.into_iter().collect();
    }
    // The open rule is the widest, and comes last.
    let (open, narrow): (Vec<_>, Vec<_>) =
        by_peers.into_values().partition(|rule| rule.peers.is_empty() && rule.ports.is_empty());
    narrow.into_iter().chain(open).collect()
}

/// For a workload that is meant to be called, and nothing says by whom.
fn unknown_callers(view: &View<'_>, id: MemberId, member: &Member, hidden: &[&str]) -> Option<WantedRule> {
    if view.connections.injected.contains(&id) {
        let why = "open: sidecars of other pods call the one that is added to these".to_owned();
        let peer = WantedPeer::Pods { namespace: InNamespace::Any, labels: BTreeMap::new(), foreign: false };
        return Some(WantedRule { comments: vec![why], peers: vec![peer], ports: Vec::new() });
    }
    let is_known = view.of(&view.ingress, id).any(|connection| !matches!(connection.from, Peer::Monitoring));
    if (is_known || view.connections.shown_targets.contains(&id)) && hidden.is_empty() {
        return None;
    }
    // Without a Service, pods are called by their addresses on what they declare.
    let declared = || {
        member.ports.iter().map(|port| Port {
            name: port.name.clone(),
            number: Some(port.number),
            end: None,
            protocol: port.protocol,
        })
    };
    let served = view.connections.served(id);
    let mut ports: Vec<Port> = if served.is_empty() { declared().collect() } else { served.to_vec() };
    let mut said = Vec::new();
    if ports.is_empty() {
        // Nothing in the manifest says that it listens at all; its image may.
        for (port, evidence) in view.connections.exposed.get(&id).into_iter().flatten() {
            said.push(format!("check: {}", in_comment(view, member, evidence)));
            ports.push(port.clone());
        }
    }
    if ports.is_empty() {
        return None;
    }
    let unexplained = |other: &MemberId| *other != id && !view.explains_egress(*other);
    let within = !hidden.is_empty() || view.in_space(&member.space).iter().any(unexplained);
    let (namespace, why) = if let Some(first) = hidden.first() {
        (InNamespace::Own, format!("open: the pods of {first} are not in the repo, and may call this"))
    } else if within {
        let why = "open: nothing in the repo says who calls this; list the callers and drop this rule";
        (InNamespace::Own, why.to_owned())
    } else {
        let why = "open: no workload of this namespace calls this; name the namespaces that do";
        (InNamespace::Any, why.to_owned())
    };
    // Where all that is hidden is made by an operator whose labels are known, and others are not.
    let known = if hidden.is_empty() || !is_known { None } else { behind(view, member, hidden) };
    let peers = known
        .unwrap_or_else(|| vec![WantedPeer::Pods { namespace, labels: BTreeMap::new(), foreign: false }]);
    let ports = ports.iter().map(|port| wanted_port(port, true)).collect();
    let comments = std::iter::once(why).chain(said).collect();
    Some(WantedRule { comments, peers, ports })
}

/// The last rule, so that what is known is there when this one goes.
fn open_egress(view: &View<'_>, id: MemberId) -> WantedRule {
    let own = view.member(id);
    let open = view.unresolved_of(id);
    let mut words: Vec<String> = open
        .map(|item| format!("not known: {}: {}", in_comment(view, own, &item.evidence), item.reason))
        .collect();
    let guesses = view.of(&view.guesses, id).flat_map(|connection| &connection.evidence);
    words.extend(guesses.map(|evidence| format!("not sure: {}", in_comment(view, own, evidence))));
    if view.of(&view.egress, id).any(|connection| connection.to == Peer::ApiServer) {
        words.push("it reads the API, and may find there what it connects to".to_owned());
    } else if words.is_empty() {
        words.push("the repo names no address that it is given".to_owned());
    }
    words.dedup();
    let mut comments =
        vec!["open: not everything that this opens is known; drop this rule when it is".to_owned()];
    comments.extend(words);
    WantedRule { comments, ..WantedRule::default() }
}
