//! CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy (cilium.io/v2): <https://docs.cilium.io/en/stable/security/policy/language/>.
//!
//! Selectors follow `getEndpointSelector` of pkg/k8s/apis/cilium.io/utils, isolation `Rule.Sanitize` of pkg/policy/api.
//! Requests within a connection (`rules` of `toPorts`) and ICMP are not judged: a connection that only some requests may
//! use is a connection. Judges no traffic.

use serde_json::Value;

use super::address::Block;
use super::admin::Unread;
use super::cluster::NAME_LABEL;
use super::dialect::{DialectSpec, Part, Reader, any_address, cidr, items};
use super::policy::{Action, Direction, LineOf, NamedEnd, Order, Peer, PortMatch, Refused, Rule, Subject};
use super::ports::{PROTOCOLS, PortSet, protocol};
use super::selector::{About, Selector};

const NAMESPACE: &str = "io.kubernetes.pod.namespace";
const NAMESPACE_LABELS: &str = "io.cilium.k8s.namespace.labels.";
const POLICY_LABELS: &str = "io.cilium.k8s.policy.";

/// Reads an object; `is_clusterwide` for one that is in no namespace.
pub(super) fn read(object: &Value, is_clusterwide: bool, line_of: LineOf<'_>) -> Result<DialectSpec, Unread> {
    let mut reader = Reader { line_of, left_out: Vec::new() };
    let mut parts = Vec::new();
    let single = (!object["spec"].is_null()).then(|| (&object["spec"], "/spec".to_owned()));
    let specs: Vec<(&Value, String)> = single.into_iter().chain(items(&object["specs"], "/specs")).collect();
    if specs.is_empty() {
        return Err(Refused::new("/spec", "it needs a `spec` or `specs`").into());
    }
    for (spec, at) in specs {
        parts.extend(of_spec(&mut reader, spec, &at, is_clusterwide)?);
    }
    Ok(DialectSpec { parts, left_out: reader.left_out })
}

/// What it allows, and before that what it denies.
fn of_spec(
    reader: &mut Reader<'_>,
    spec: &Value,
    at: &str,
    is_clusterwide: bool,
) -> Result<Vec<Part>, Unread> {
    match (spec["endpointSelector"].is_null(), spec["nodeSelector"].is_null()) {
        (true, true) => {
            return Err(Refused::new(at, "it needs an `endpointSelector` or a `nodeSelector`").into());
        }
        (true, false) => {
            reader.left_out.push((format!("{at}/nodeSelector"), "policies for nodes".to_owned()));
            return Ok(Vec::new());
        }
        _ => {}
    }
    let pointer = format!("{at}/endpointSelector");
    let selected = endpoints(&spec["endpointSelector"], is_clusterwide);
    let (mut namespaces, pods) = selected
        .map_err(|key| Unread::Beyond(format!("its `endpointSelector` is about `{key}`").into()))
        .inspect_err(|_| reader.left_out.push((pointer, "its subject".to_owned())))?;
    // It is for its own namespace, whatever it says of others.
    if !is_clusterwide {
        namespaces = None;
    }
    let subject = Subject { namespaces, pods };
    let mut parts = Vec::new();
    for (suffix, action, order) in [("Deny", Action::Deny, Order::FIRST), ("", Action::Allow, Order::core())]
    {
        let mut part =
            Part { order, subject: subject.clone(), ingress: None, egress: None, keeps_open: Vec::new() };
        for direction in [Direction::Ingress, Direction::Egress] {
            let key = format!("{}{suffix}", direction.as_str());
            let rules: Vec<Rule> = items(&spec[&key], &format!("{at}/{key}"))
                .map(|(value, at)| rule(reader, value, &at, direction, action, is_clusterwide))
                .collect();
            if rules.is_empty() {
                continue;
            }
            if spec["enableDefaultDeny"][direction.as_str()] == false {
                part.keeps_open.push(direction);
            }
            match direction {
                Direction::Ingress => part.ingress = Some(rules),
                Direction::Egress => part.egress = Some(rules),
            }
        }
        if part.ingress.is_some() || part.egress.is_some() {
            parts.push(part);
        }
    }
    Ok(parts)
}

/// Fields that name peers, in one direction.
const PEERS: &[&str] = &["Endpoints", "Entities", "CIDR", "CIDRSet", "Nodes"];

fn rule(
    reader: &mut Reader<'_>,
    value: &Value,
    at: &str,
    direction: Direction,
    action: Action,
    is_clusterwide: bool,
) -> Rule {
    let prefix = direction.peers_key();
    let names: Vec<String> = PEERS.iter().map(|name| format!("{prefix}{name}")).collect();
    let mut known: Vec<&str> = names.iter().map(String::as_str).collect();
    known.extend(["toFQDNs", "toPorts", "icmps", "authentication"]);
    let mut peers: Option<Vec<Peer>> = None;
    for (name, key) in PEERS.iter().zip(&names).filter(|(_, key)| !value[key.as_str()].is_null()) {
        let peers = peers.get_or_insert_default();
        for (item, at) in items(&value[key.as_str()], &format!("{at}/{key}")) {
            peers.extend(of_peer(reader, name, item, &at, is_clusterwide));
        }
    }
    for (item, _) in items(&value["toFQDNs"], &format!("{at}/toFQDNs")) {
        let host = item["matchName"].as_str().or_else(|| item["matchPattern"].as_str()).unwrap_or_default();
        let host = host.to_ascii_lowercase();
        peers.get_or_insert_default().push(Peer::Named(NamedEnd::Host(host)));
    }
    for field in Reader::other_fields(value, &known) {
        let peer = reader.unknown(&format!("{at}/{field}"), format!("`{field}`"));
        peers.get_or_insert_default().push(peer);
    }
    if !value["authentication"].is_null() && value["authentication"]["mode"] != "disabled" {
        let peer = reader.unknown(&format!("{at}/authentication"), "`authentication`");
        // Whether its peers prove who they are.
        peers = Some(vec![peer]);
    }
    let is_everybody = |peer: &Peer| *peer == everybody();
    if peers.as_ref().is_some_and(|peers| peers.iter().any(is_everybody)) {
        peers = None;
    } else if peers.is_none() && value["toPorts"].is_null() {
        // A rule that says nothing allows nothing: it only isolates.
        peers = Some(Vec::new());
    }
    let line = (reader.line_of)(at);
    Rule { action, peers, ports: ports(reader, value, at), line }
}

/// What stands for `all` while a rule is read.
fn everybody() -> Peer {
    Peer::Named(NamedEnd::Host("*".to_owned()))
}

fn of_peer(reader: &mut Reader<'_>, name: &str, value: &Value, at: &str, is_clusterwide: bool) -> Vec<Peer> {
    match name {
        "Endpoints" => match endpoints(value, is_clusterwide) {
            Ok((namespaces, pods)) => vec![Peer::Pods { namespaces, pods }],
            Err(key) => vec![reader.unknown(at, format!("label `{key}`"))],
        },
        "Entities" => entity(reader, value, at),
        "Nodes" => vec![Peer::Named(NamedEnd::OwnNode), Peer::Named(NamedEnd::OtherNodes)],
        _ => {
            let (whole, except) = match value {
                Value::Object(_) => (&value["cidr"], &value["except"]),
                text => (text, &Value::Null),
            };
            match cidr(whole) {
                Some(whole) => {
                    let except = items(except, at).filter_map(|(hole, _)| cidr(hole)).collect();
                    vec![Peer::Addresses(Block { cidr: whole, except })]
                }
                None => vec![reader.unknown(at, "groups of CIDRs")],
            }
        }
    }
}

/// <https://docs.cilium.io/en/stable/security/policy/language/#entities-based>
fn entity(reader: &mut Reader<'_>, value: &Value, at: &str) -> Vec<Peer> {
    let world = |idx: usize| Peer::Addresses(any_address(&[])[idx].clone());
    let named = Peer::Named;
    match value.as_str().unwrap_or_default() {
        "all" => vec![everybody()],
        "world" => vec![world(0), world(1)],
        "world-ipv4" => vec![world(0)],
        "world-ipv6" => vec![world(1)],
        "cluster" => vec![
            Peer::Pods { namespaces: Some(Selector::default()), pods: Selector::default() },
            named(NamedEnd::OwnNode),
            named(NamedEnd::OtherNodes),
        ],
        "host" => vec![named(NamedEnd::OwnNode)],
        "remote-node" => vec![named(NamedEnd::OtherNodes)],
        "kube-apiserver" => vec![named(NamedEnd::ApiServer)],
        "ingress" => vec![named(NamedEnd::CiliumIngress)],
        "health" => vec![named(NamedEnd::Health)],
        "none" => Vec::new(),
        other => vec![reader.unknown(at, format!("entity `{other}`"))],
    }
}

/// What selects the namespaces (none for the policy's own) and the pods there.
///
/// # Errors
/// A label that is about something else.
fn endpoints(value: &Value, is_clusterwide: bool) -> Result<(Option<Selector>, Selector), String> {
    let selector = Selector::read(value).map_err(|(_, message)| message)?;
    let (pods, namespaces) = selector.split(&|key| {
        let bare = key.split_once(':').map_or(key, |(_, bare)| bare);
        match (key.split_once(':').map(|(source, _)| source), bare) {
            (Some(source), _) if source != "k8s" && source != "any" => About::Other,
            (_, NAMESPACE) => About::Namespace(NAME_LABEL.to_owned()),
            (_, bare) if bare.starts_with(POLICY_LABELS) => About::Other,
            (_, bare) => match bare.strip_prefix(NAMESPACE_LABELS) {
                Some(label) => About::Namespace(label.to_owned()),
                None => About::Pod(bare.to_owned()),
            },
        }
    })?;
    let is_own = namespaces.is_empty() && !is_clusterwide;
    // Every namespace has a name.
    Ok(((!is_own).then(|| namespaces.without_presence_of(NAME_LABEL)), pods))
}

fn ports(reader: &mut Reader<'_>, rule: &Value, at: &str) -> Option<Vec<PortMatch>> {
    let at = format!("{at}/toPorts");
    if items(&rule["toPorts"], &at).next().is_none() {
        // A rule about ICMP is about no port.
        return (!rule["icmps"].is_null()).then(Vec::new);
    }
    let mut ports = Vec::new();
    for (item, at) in items(&rule["toPorts"], &at) {
        if let Some(kind) = narrowed(&item["rules"]) {
            reader.left_out.push((format!("{at}/rules"), format!("which requests of `{kind}` it allows")));
        }
        let list: Vec<(&Value, String)> = items(&item["ports"], &format!("{at}/ports")).collect();
        if list.is_empty() {
            ports.push(PortMatch::Numbers(PortSet::all()));
        }
        list.iter().for_each(|(item, _)| ports.extend(port(item)));
    }
    Some(ports)
}

/// What sort of requests it chooses among, if it does.
fn narrowed(rules: &Value) -> Option<&str> {
    let is_any = |rule: &Value| {
        let fields = rule.as_object().map_or(0, serde_json::Map::len);
        fields == 0 || fields == 1 && rule["matchPattern"] == "*"
    };
    let mut kinds = rules.as_object()?.iter();
    let chooses = |list: &Value| list.as_array().is_none_or(|list| !list.iter().any(is_any));
    kinds.find(|(_, list)| chooses(list)).map(|(kind, _)| kind.as_str())
}

/// A port is text: a number, 0 for all of them, or a name.
fn port(value: &Value) -> Vec<PortMatch> {
    let protocols: Vec<_> = match value["protocol"].as_str() {
        None | Some("ANY") => PROTOCOLS.to_vec(),
        Some(name) => protocol(&name.to_ascii_uppercase()).into_iter().collect(),
    };
    let text = value["port"].as_str().map_or_else(|| value["port"].to_string(), str::to_owned);
    let number = text.parse::<u16>().ok();
    let last = value["endPort"].as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let each = protocols.into_iter().map(|protocol| match number {
        Some(0) => PortMatch::Numbers(PortSet::of(protocol)),
        Some(first) => PortMatch::Numbers(PortSet::range(protocol, first, last.unwrap_or(first))),
        None => PortMatch::Named(Some(protocol), text.clone()),
    });
    each.collect()
}
