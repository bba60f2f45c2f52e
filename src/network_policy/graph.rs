//! The connections of a repo: what policies allow beside what something says is needed.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::cluster::{Cluster, Foreign, Workload};
use super::evaluate::{End, Evaluator, Outside};
use super::names::Names;
use super::policy::{Direction, NamedEnd, Place};
use super::ports::PortSet;
use crate::connections::{Connection, Connections, MemberId, Peer, Port, Space};

/// Everything there is to show of a state of a repo.
#[derive(Debug)]
pub struct Graph<'a> {
    pub cluster: &'a Cluster,
    pub evaluator: Evaluator<'a>,
    pub connections: &'a Connections,
    pub names: Names,
    /// Ordered by source, then by destination. Pairs that no policy restricts are there only when something needs
    /// them: everything is allowed between these.
    pub edges: Vec<Edge>,
    /// Needs with one end that is no workload of the repo.
    pub outer: Vec<Need>,
}

/// What one workload may use of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    pub from: usize,
    pub to: usize,
    /// Empty when something needs the connection and policies deny it.
    pub ports: PortSet,
    pub needs: Vec<Need>,
}

/// Something that says a connection is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Index into [`Connections::list`].
    pub connection: usize,
    pub is_met: bool,
}

impl<'a> Graph<'a> {
    /// `cluster` was read with these connections.
    pub fn new(cluster: &'a Cluster, connections: &'a Connections) -> Graph<'a> {
        let evaluator = Evaluator::new(cluster);
        let mut edges: BTreeMap<(usize, usize), Edge> = BTreeMap::new();
        for allowed in evaluator.connections() {
            let edge = Edge { from: allowed.from, to: allowed.to, ports: allowed.ports, needs: Vec::new() };
            edges.insert((allowed.from, allowed.to), edge);
        }
        let mut outer = Vec::new();
        for (idx, connection) in connections.list.iter().enumerate() {
            if !connection.is_needed() {
                continue;
            }
            let need = Need { connection: idx, is_met: is_met(&evaluator, connection) };
            match (&connection.from, &connection.to) {
                (Peer::Member(MemberId(from)), Peer::Member(MemberId(to))) => {
                    let edge = edges.entry((*from, *to)).or_insert_with(|| {
                        let ends = (End::Workload(*from), End::Workload(*to));
                        let ports = evaluator.verdict(ends.0, ends.1).allowed;
                        Edge { from: *from, to: *to, ports, needs: Vec::new() }
                    });
                    edge.needs.push(need);
                }
                _ => outer.push(need),
            }
        }
        let names = Names::new(cluster);
        Graph { cluster, evaluator, connections, names, edges: edges.into_values().collect(), outer }
    }

    pub fn connection(&self, need: &Need) -> &'a Connection {
        &self.connections.list[need.connection]
    }

    /// Whether any policy selects the workload for the direction.
    pub fn is_restricted(&self, workload: usize, direction: Direction) -> bool {
        self.evaluator.is_restricted(workload, direction)
    }

    pub fn outside(&self, workload: usize, direction: Direction) -> Outside {
        self.evaluator.outside(workload, direction)
    }

    /// Objects that limit the workload's traffic and are not judged.
    pub fn foreign_of(&self, workload: usize) -> impl Iterator<Item = &'a Foreign> {
        self.cluster.foreign_of(&self.cluster.workloads[workload])
    }
}

/// Whether policies allow a connection that something needs. An end that no manifest shows (DNS, a host's addresses)
/// is taken to be reached when a rule may be about it.
pub fn is_met(evaluator: &Evaluator<'_>, connection: &Connection) -> bool {
    let destination = connection.to.member().map(|id| &evaluator.cluster().workloads[id.0]);
    let wanted = ports(connection.port.as_ref(), destination);
    let holds = |allowed: &PortSet| match &wanted {
        Some(wanted) => !wanted.is_empty() && allowed.contains_all(wanted),
        None => !allowed.is_empty(),
    };
    let side = |direction: Direction, own: MemberId, other: &Peer| {
        let own = own.0;
        match known_end(other) {
            Some(Known::Address(address)) => {
                holds(&evaluator.side(direction, End::Workload(own), End::Address(address)).allowed)
            }
            Some(Known::Pods(pods)) => {
                holds(&evaluator.side(direction, End::Workload(own), End::Pods(&pods)).allowed)
            }
            None => {
                let outside = evaluator.outside(own, direction);
                outside.is_up_to_admins
                    || outside.addresses.spans().iter().any(|span| holds(&span.ports))
                    || outside.pods.iter().any(|pods| !pods.names.is_empty() || holds(&pods.ports))
                    || outside.named.iter().any(|(end, ports)| is_named(end, other) && holds(ports))
            }
        }
    };
    match (&connection.from, &connection.to) {
        (Peer::Member(from), Peer::Member(to)) => {
            holds(&evaluator.verdict(End::Workload(from.0), End::Workload(to.0)).allowed)
        }
        (Peer::Member(from), other) => side(Direction::Egress, *from, other),
        (other, Peer::Member(to)) => side(Direction::Ingress, *to, other),
        _ => true,
    }
}

/// Whether a policy's name for an end is about the one that is needed.
fn is_named(end: &NamedEnd, peer: &Peer) -> bool {
    match (end, peer) {
        (NamedEnd::ApiServer, Peer::ApiServer) => true,
        (NamedEnd::CiliumIngress, Peer::IngressController { .. }) => true,
        (NamedEnd::Host(_), Peer::Host(host)) => end.is_host(host),
        _ => false,
    }
}

enum Known {
    Address(IpAddr),
    Pods(Workload),
}

/// An end of which enough is known to judge it exactly.
fn known_end(peer: &Peer) -> Option<Known> {
    match peer {
        Peer::Host(host) => host.parse().ok().map(Known::Address),
        Peer::Pods { namespace, labels } if !labels.is_empty() => {
            Some(Known::Pods(unseen_pods(namespace.clone(), labels.clone())))
        }
        Peer::IpBlock { cidr, .. } => cidr.split('/').next()?.parse().ok().map(Known::Address),
        _ => None,
    }
}

/// Pods that no manifest shows.
pub fn unseen_pods(space: Space, labels: super::selector::Labels) -> Workload {
    Workload {
        kind: "Pod".to_owned(),
        name: String::new(),
        space,
        labels,
        ports: Vec::new(),
        host_network: false,
        place: Place { path: String::new(), line: 0 },
    }
}

/// The ports that a need is about; `None`: it does not say.
pub fn ports(port: Option<&Port>, destination: Option<&Workload>) -> Option<PortSet> {
    let port = port?;
    match (port.number, port.end, &port.name) {
        (Some(first), end, _) => Some(PortSet::range(port.protocol, first, end.unwrap_or(first))),
        (None, _, Some(name)) => {
            let mut ports = PortSet::none();
            for named in destination?.named_ports(name, Some(port.protocol)) {
                ports.add(&PortSet::one(named.protocol, named.number));
            }
            (!ports.is_empty()).then_some(ports)
        }
        (None, _, None) => Some(PortSet::of(port.protocol)),
    }
}
