//! NetworkPolicy and GlobalNetworkPolicy of Calico (projectcalico.org/v3, and crd.projectcalico.org/v1 as it is stored):
//! <https://docs.tigera.io/calico/latest/reference/resources/networkpolicy>,
//! <https://docs.tigera.io/calico/latest/reference/resources/globalnetworkpolicy>.
//!
//! Policies of the tier `default` are read: those of others are asked before, in an order that no manifest need tell.
//! Judges no traffic.

use serde_json::Value;

use super::address::{Block, Cidr};
use super::admin::Unread;
use super::cluster::NAME_LABEL;
use super::dialect::{DialectSpec, Part, Reader, any_address, cidr, items};
use super::expression;
use super::policy::{Action, Direction, LineOf, NamedEnd, Order, Peer, PortMatch, Refused, Rule, Subject};
use super::ports::{PROTOCOLS, PortSet};
use super::selector::{About, Selector};
use crate::connections::Protocol;

/// Calico's own labels of pods and namespaces.
const OF_CALICO: &str = "projectcalico.org/";

/// Reads an object; `is_global` for one that is in no namespace.
pub(super) fn read(object: &Value, is_global: bool, line_of: LineOf<'_>) -> Result<DialectSpec, Unread> {
    let spec = &object["spec"];
    if let Some(tier) = spec["tier"].as_str().filter(|tier| !matches!(*tier, "" | "default")) {
        return Err(Unread::Beyond(format!("it is of tier `{tier}`").into()));
    }
    if ["doNotTrack", "preDNAT"].iter().any(|key| spec[key] == true) {
        return Err(Unread::Beyond("it is for the interfaces of nodes".into()));
    }
    if !spec["serviceAccountSelector"].is_null() && spec["serviceAccountSelector"] != "" {
        return Err(Unread::Beyond("its subject is chosen by service accounts".into()));
    }
    let text = |key: &str| spec[key].as_str().unwrap_or_default();
    let namespaces = is_global.then(|| text("namespaceSelector"));
    let (namespaces, pods) = selected(text("selector"), namespaces, is_global)
        .map_err(|problem| problem.of("/spec/selector", "its subject"))?;
    let mut reader = Reader { line_of, left_out: Vec::new() };
    let (is_ingress, is_egress) = types(spec)?;
    let mut rules = |direction: Direction| -> Vec<Rule> {
        let key = direction.as_str();
        let at = format!("/spec/{key}");
        items(&spec[key], &at)
            .filter_map(|(value, at)| rule(&mut reader, value, &at, direction, is_global))
            .collect()
    };
    let (ingress, egress) = (rules(Direction::Ingress), rules(Direction::Egress));
    let part = Part {
        order: spec["order"].as_f64().map_or(Order::LAST, Order::number),
        subject: Subject { namespaces, pods },
        ingress: is_ingress.then_some(ingress),
        egress: is_egress.then_some(egress),
        keeps_open: Vec::new(),
    };
    Ok(DialectSpec { parts: vec![part], left_out: reader.left_out })
}

/// Without `types` they follow from the rules: ingress, unless there are rules for egress only.
fn types(spec: &Value) -> Result<(bool, bool), Refused> {
    let has = |key: &str| spec[key].as_array().is_some_and(|rules| !rules.is_empty());
    let Some(types) = spec["types"].as_array().filter(|types| !types.is_empty()) else {
        return Ok((has("ingress") || !has("egress"), has("egress")));
    };
    let (mut ingress, mut egress) = (false, false);
    for (idx, name) in types.iter().enumerate() {
        match name.as_str() {
            Some("Ingress") => ingress = true,
            Some("Egress") => egress = true,
            _ => {
                let message = format!("{name} is neither \"Ingress\" nor \"Egress\"");
                return Err(Refused::new(format!("/spec/types/{idx}"), message));
            }
        }
    }
    Ok((ingress, egress))
}

/// Why a selector tells nothing.
enum Problem {
    /// Calico refuses it.
    Bad(String),
    /// It asks for this label.
    Label(String),
}

impl Problem {
    fn of(self, at: &str, what: &str) -> Unread {
        match self {
            Problem::Bad(message) => Refused::new(at, message).into(),
            Problem::Label(key) => Unread::Beyond(format!("{what} is chosen by label `{key}`").into()),
        }
    }
}

/// What selects namespaces (none for the policy's own) and pods there.
fn selected(
    pods: &str,
    namespaces: Option<&str>,
    is_global: bool,
) -> Result<(Option<Selector>, Selector), Problem> {
    let pods = expression::parse(pods).map_err(Problem::Bad)?;
    let (pods, by_pod_label) = pods
        .split(&|key| match key.strip_prefix(OF_CALICO) {
            Some("namespace") => About::Namespace(NAME_LABEL.to_owned()),
            Some(_) => About::Other,
            None if key.starts_with("pcsa.") => About::Other,
            None => match key.strip_prefix("pcns.") {
                Some(label) => About::Namespace(label.to_owned()),
                None => About::Pod(key.to_owned()),
            },
        })
        .map_err(Problem::Label)?;
    let given = match namespaces.filter(|text| !text.is_empty()) {
        Some(text) => {
            let selector = expression::parse(text).map_err(Problem::Bad)?;
            let named = |key: &str| {
                let is_name = key == "projectcalico.org/name";
                About::Pod(if is_name { NAME_LABEL.to_owned() } else { key.to_owned() })
            };
            Some(selector.split(&named).map_err(Problem::Label)?.0)
        }
        None if is_global || !by_pod_label.is_empty() => Some(Selector::default()),
        None => None,
    };
    Ok((given.map(|given| given.and(by_pod_label).without_presence_of(NAME_LABEL)), pods))
}

const ENTITY: &[&str] = &[
    "selector",
    "notSelector",
    "namespaceSelector",
    "nets",
    "notNets",
    "ports",
    "notPorts",
    "services",
    "domains",
];

/// A rule; nothing for one that only logs, or that is about no port.
fn rule(
    reader: &mut Reader<'_>,
    value: &Value,
    at: &str,
    direction: Direction,
    is_global: bool,
) -> Option<Rule> {
    let action = match value["action"].as_str().unwrap_or_default().to_ascii_lowercase().as_str() {
        "allow" => Action::Allow,
        "deny" => Action::Deny,
        "pass" | "next-tier" => Action::Pass,
        _ => return None,
    };
    let protocols = protocols(value)?;
    let (own_key, other_key) = match direction {
        Direction::Ingress => ("destination", "source"),
        Direction::Egress => ("source", "destination"),
    };
    let (own, other) = (&value[own_key], &value[other_key]);
    let mut unknown = Vec::new();
    for field in Reader::other_fields(
        value,
        &[
            "action",
            "protocol",
            "notProtocol",
            "source",
            "destination",
            "metadata",
            "http",
            "icmp",
            "notICMP",
        ],
    ) {
        unknown.push(reader.unknown(&format!("{at}/{field}"), format!("`{field}`")));
    }
    if !value["http"].is_null() {
        let what = "which requests of `http` it is about";
        if action == Action::Allow {
            reader.left_out.push((format!("{at}/http"), what.to_owned()));
        } else {
            unknown.push(reader.unknown(&format!("{at}/http"), what));
        }
    }
    // Only the destination's ports are those that a connection is to.
    let ends = [(own_key, own), (other_key, other)];
    for (key, entity) in ends {
        for field in Reader::other_fields(entity, ENTITY) {
            unknown.push(reader.unknown(&format!("{at}/{key}/{field}"), format!("`{field}`")));
        }
    }
    for key in ["ports", "notPorts"].iter().filter(|key| !value["source"][**key].is_null()) {
        unknown.push(reader.unknown(&format!("{at}/source/{key}"), "the source's ports"));
    }
    for field in Reader::other_fields(own, &["ports", "notPorts"]) {
        if ENTITY.contains(&field) {
            let what = format!("a rule for some of its pods only (`{own_key}.{field}`)");
            unknown.push(reader.unknown(&format!("{at}/{own_key}/{field}"), what));
        }
    }
    let mut peers = peers(reader, other, &format!("{at}/{other_key}"), is_global);
    let mut ports = ports(&value["destination"], &protocols);
    if peers.as_ref().is_some_and(|peers| peers.contains(&Peer::Named(NamedEnd::ApiServer))) {
        // The Service brings its ports.
        ports = None;
    }
    if !unknown.is_empty() {
        peers = Some(unknown);
    }
    let line = (reader.line_of)(at);
    Some(Rule { action, peers, ports, line })
}

/// Those of a rule, as far as connections have them; nothing when it is about others only.
fn protocols(rule: &Value) -> Option<Vec<Protocol>> {
    let of = |value: &Value| -> Option<Protocol> {
        match (value.as_u64(), value.as_str().map(str::to_ascii_uppercase).as_deref()) {
            (Some(6), _) | (_, Some("TCP" | "6")) => Some(Protocol::Tcp),
            (Some(17), _) | (_, Some("UDP" | "17")) => Some(Protocol::Udp),
            (Some(132), _) | (_, Some("SCTP" | "132")) => Some(Protocol::Sctp),
            _ => None,
        }
    };
    let mut protocols = match &rule["protocol"] {
        Value::Null if !rule["icmp"].is_null() => Vec::new(),
        Value::Null => PROTOCOLS.to_vec(),
        one => of(one).into_iter().collect(),
    };
    let not = of(&rule["notProtocol"]);
    protocols.retain(|protocol| Some(*protocol) != not);
    (!protocols.is_empty()).then_some(protocols)
}

fn ports(destination: &Value, protocols: &[Protocol]) -> Option<Vec<PortMatch>> {
    let list = |key: &str| destination[key].as_array().filter(|list| !list.is_empty());
    let each = |list: &[Value]| -> Vec<PortMatch> {
        let of = |value: &Value| protocols.iter().map(|protocol| port(value, *protocol)).collect::<Vec<_>>();
        list.iter().flat_map(of).collect()
    };
    let mut allowed = PortSet::none();
    protocols.iter().for_each(|protocol| allowed.add(&PortSet::of(*protocol)));
    let Some(except) = list("notPorts") else {
        return match list("ports") {
            Some(ports) => Some(each(ports)),
            None if allowed.is_all() => None,
            None => Some(vec![PortMatch::Numbers(allowed)]),
        };
    };
    let mut matches = list("ports").map_or_else(|| vec![PortMatch::Numbers(allowed)], |list| each(list));
    for hole in each(except) {
        for port in &mut matches {
            if let (PortMatch::Numbers(set), PortMatch::Numbers(hole)) = (port, &hole) {
                *set = set.without(hole);
            }
        }
    }
    Some(matches)
}

/// A number, a range as `80:90`, or a name.
fn port(value: &Value, protocol: Protocol) -> PortMatch {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (first, last) = text.split_once(':').unwrap_or((&text, &text));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) => PortMatch::Numbers(PortSet::range(protocol, first, last)),
        _ => PortMatch::Named(Some(protocol), text),
    }
}

/// Who is at the other end; `None` for anybody.
fn peers(reader: &mut Reader<'_>, entity: &Value, at: &str, is_global: bool) -> Option<Vec<Peer>> {
    let text = |key: &str| entity[key].as_str().filter(|text| !text.is_empty());
    let cidrs =
        |key: &str| -> Vec<Cidr> { items(&entity[key], at).filter_map(|(net, _)| cidr(net)).collect() };
    let (nets, holes) = (cidrs("nets"), cidrs("notNets"));
    let selects = ["selector", "notSelector", "namespaceSelector"].iter().any(|key| text(key).is_some());
    let by_address = !nets.is_empty() || !holes.is_empty();
    if !entity["services"].is_null() {
        let service = &entity["services"];
        let is_api = service["name"] == "kubernetes" && service["namespace"] == "default";
        return Some(vec![match is_api {
            true => Peer::Named(NamedEnd::ApiServer),
            false => reader.unknown(&format!("{at}/services"), "`services`"),
        }]);
    }
    if selects && by_address {
        return Some(vec![reader.unknown(at, "selectors along with `nets`")]);
    }
    let mut peers: Vec<Peer> = Vec::new();
    let hosts = items(&entity["domains"], at).filter_map(|(host, _)| host.as_str());
    peers.extend(hosts.map(|host| Peer::Named(NamedEnd::Host(host.to_ascii_lowercase()))));
    if by_address {
        let of = |cidr: &Cidr| Block { cidr: *cidr, except: holes.clone() };
        let blocks: Vec<Block> =
            if nets.is_empty() { any_address(&holes).to_vec() } else { nets.iter().map(of).collect() };
        peers.extend(blocks.into_iter().map(Peer::Block));
    }
    if !selects {
        return (!peers.is_empty()).then_some(peers);
    }
    let not = text("notSelector").map(|not| format!("!({not})"));
    let both: Vec<String> = text("selector").map(|text| format!("({text})")).into_iter().chain(not).collect();
    let found = selected(&both.join(" && "), text("namespaceSelector"), is_global);
    peers.push(match found {
        Ok((namespaces, pods)) => Peer::Pods { namespaces, pods },
        Err(Problem::Bad(message)) => reader.unknown(at, format!("a selector that is none: {message}")),
        Err(Problem::Label(key)) => reader.unknown(at, format!("label `{key}`")),
    });
    Some(peers)
}
