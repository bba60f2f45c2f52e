//! Whether the policies there are allow what a rule would, so that only what is missing is added.
//!
//! Says yes only where it is sure; a rule too many does no harm, a missing one does.

use std::collections::BTreeMap;

use super::View;
use crate::connections::{Member, MemberId, Space};
use crate::network_policy::{Action, Cidr, Direction, NamedEnd, Peer, Policy, PortMatch, Rule, Selector};
use crate::template::{InNamespace, WantedPeer, WantedPort, WantedRule};

/// Policies that select a member's pods.
pub(super) fn selecting<'v>(view: &'v View<'_>, id: MemberId) -> Vec<&'v Policy> {
    let member = view.member(id);
    // The evaluator's workloads have the labels that controllers add.
    let labels = &view.cluster.workloads[id.0].labels;
    view.policies(&member.space).into_iter().filter(|policy| policy.subject.pods.matches(labels)).collect()
}

/// Whether some policy isolates every pod of a namespace in a direction.
pub(super) fn isolates_all(view: &View<'_>, space: &Space, direction: Direction) -> bool {
    let mut policies = view.policies(space).into_iter();
    policies.any(|policy| policy.subject.pods.is_empty() && policy.isolates(direction))
}

/// Whether policies already allow what a rule would, all of it.
pub(super) fn allows(
    view: &View<'_>,
    own: &Member,
    policies: &[&Policy],
    direction: Direction,
    wanted: &WantedRule,
) -> bool {
    // What a policy denies is somebody's decision, which another policy cannot and should not change.
    let rules = policies.iter().filter_map(|policy| policy.rules(direction)).flatten();
    let rules: Vec<&Rule> = rules.filter(|rule| rule.action == Action::Allow).collect();
    let each_port: Vec<Option<&WantedPort>> =
        if wanted.ports.is_empty() { vec![None] } else { wanted.ports.iter().map(Some).collect() };
    let each_peer: Vec<Option<&WantedPeer>> =
        if wanted.peers.is_empty() { vec![None] } else { wanted.peers.iter().map(Some).collect() };
    each_port.iter().all(|port| {
        each_peer
            .iter()
            .all(|peer| rules.iter().any(|rule| has_port(rule, *port) && has_peer(view, own, rule, *peer)))
    })
}

/// Whether one of the peers of a wanted rule is among those that a policy's peer stands for.
pub(super) fn reaches(view: &View<'_>, own: &Member, peer: &Peer, wanted: &WantedRule) -> bool {
    wanted.peers.iter().any(|wanted| is_among(view, own, peer, wanted))
}

fn has_port(rule: &Rule, wanted: Option<&WantedPort>) -> bool {
    let Some(ports) = &rule.ports else { return true };
    let Some(wanted) = wanted else { return false };
    ports.iter().any(|port| match (port, &wanted.name) {
        (PortMatch::Named(protocol, name), Some(wanted_name)) => {
            name == wanted_name && protocol.is_none_or(|protocol| protocol == wanted.protocol)
        }
        (PortMatch::Numbers(set), _) if wanted.number > 0 => {
            let last = wanted.end.unwrap_or(wanted.number);
            (wanted.number..=last).all(|number| set.contains(wanted.protocol, number))
        }
        _ => false,
    })
}

fn has_peer(view: &View<'_>, own: &Member, rule: &Rule, wanted: Option<&WantedPeer>) -> bool {
    let Some(peers) = &rule.peers else { return true };
    let Some(wanted) = wanted else { return false };
    peers.iter().any(|peer| is_among(view, own, peer, wanted))
}

fn is_among(view: &View<'_>, own: &Member, peer: &Peer, wanted: &WantedPeer) -> bool {
    match (peer, wanted) {
        (Peer::Named(end), WantedPeer::ApiServer) => *end == NamedEnd::ApiServer,
        (Peer::Named(end), WantedPeer::Host(host)) => end.is_host(host),
        (Peer::Block(block) | Peer::Addresses(block), WantedPeer::Block { cidr, except }) => {
            let Some(cidr) = Cidr::parse(cidr) else { return false };
            let same = |list: &[Cidr]| {
                list.iter().all(|own| except.iter().any(|other| Cidr::parse(other) == Some(*own)))
            };
            (block.cidr == cidr || block.cidr.is_strictly_around(&cidr)) && same(&block.except)
        }
        (Peer::Pods { namespaces, pods }, WantedPeer::Pods { namespace, labels, .. }) => {
            in_namespace(view, own, namespaces.as_ref(), namespace) && selects(view, pods, labels)
        }
        _ => false,
    }
}

fn in_namespace(view: &View<'_>, own: &Member, allowed: Option<&Selector>, wanted: &InNamespace) -> bool {
    match (allowed, wanted) {
        (None, InNamespace::Own) => true,
        (None, InNamespace::Named(name)) => own.space.name() == Some(name),
        (None, InNamespace::Any) => false,
        (Some(selector), _) if selector.is_empty() => true,
        (Some(_), InNamespace::Any) => false,
        (Some(selector), InNamespace::Own) => selector.matches(&view.cluster.namespace(&own.space).labels),
        (Some(selector), InNamespace::Named(name)) => {
            selector.matches(&view.cluster.namespace(&Space::Named(name.clone())).labels)
        }
    }
}

/// Whether a selector takes all pods that have the labels: it asks for nothing beyond them, or beyond what the only
/// workload with them has.
fn selects(view: &View<'_>, selector: &Selector, labels: &BTreeMap<String, String>) -> bool {
    if selector.is_empty() || selector.matches(labels) {
        return true;
    }
    let mut having = view.connections.members().filter(|(_, member)| {
        !labels.is_empty() && labels.iter().all(|(key, value)| member.labels.get(key) == Some(value))
    });
    let first = having.next();
    first.is_some_and(|(_, member)| selector.matches(&member.labels))
        && having.all(|(_, member)| selector.matches(&member.labels))
}
