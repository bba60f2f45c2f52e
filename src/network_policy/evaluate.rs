//! What the policies of a cluster allow between two ends.
//!
//! Semantics: a pod that some NetworkPolicy selects for a direction is isolated in it, and then only what one of
//! those policies allows is allowed; both the source's egress and the destination's ingress must allow a connection;
//! traffic from the pod's own node always gets in
//! (<https://kubernetes.io/docs/concepts/services-networking/network-policies/>, `NetworkPolicySpec` of
//! k8s.io/api/networking/v1). AdminNetworkPolicies are asked before, in the order of their priorities, and the
//! BaselineAdminNetworkPolicy after, about pods that no NetworkPolicy isolates
//! (<https://network-policy-api.sigs.k8s.io/api-overview/>). Policies of Calico are asked in their order, the first rule
//! that speaks of a port decides it, and NetworkPolicies are among them
//! (<https://docs.tigera.io/calico/latest/reference/resources/networkpolicy>); what policies of Cilium deny is denied,
//! whatever else allows it (<https://docs.cilium.io/en/stable/security/policy/language/#deny-policies>). Ports are those
//! of the destination's pod.
//!
//! Every answer is a pair: what is allowed for sure, and what may be allowed beside it. The second is larger where
//! the API leaves the answer to the network plugin (pods of the node's network as peers, pods inside an `ipBlock`) or
//! to labels that no manifest shows. Reads nothing and prints nothing.

mod index;
mod outside;

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use self::index::Index;
pub use self::outside::{Namespaces, Outside, OutsidePods};
use super::cluster::{Cluster, Workload};
use super::policy::{Action, Api, Direction, NamedEnd, Peer, Policy, PortMatch, Rule, Tier};
use super::ports::PortSet;
use super::selector::Selector;

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End<'a> {
    /// Index of a workload of the cluster.
    Workload(usize),
    /// Pods that are none of the cluster's workloads.
    Pods(&'a Workload),
    /// An address outside the cluster.
    Address(IpAddr),
    /// The node that the pod at the other end runs on: its kubelet, for example.
    OwnNode,
}

/// What is allowed from one end to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub egress: Side,
    pub ingress: Side,
    /// What both sides allow.
    pub allowed: PortSet,
    /// What both sides may allow; holds `allowed`.
    pub possible: PortSet,
}

/// What one end's policies say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Policies that select the pod for this direction, by index.
    pub selecting: Vec<usize>,
    /// Rules that speak of the other end, in the order they are asked.
    pub rules: Vec<Said>,
    pub allowed: PortSet,
    pub possible: PortSet,
}

/// What a rule says of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Index of the policy.
    pub policy: usize,
    /// Index of the rule among those of its direction.
    pub rule: usize,
    pub line: usize,
    pub action: Action,
    pub ports: PortSet,
    /// Whether it is certain that the rule is about this other end.
    pub is_sure: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    No,
    Maybe,
    Sure,
}

/// Two workloads, and what the first may use of the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    pub from: usize,
    pub to: usize,
    pub ports: PortSet,
}

/// Judges connections of a cluster.
#[derive(Debug)]
pub struct Evaluator<'c> {
    cluster: &'c Cluster,
    index: Index,
}

impl<'c> Evaluator<'c> {
    pub fn new(cluster: &'c Cluster) -> Evaluator<'c> {
        Evaluator { cluster, index: Index::new(cluster) }
    }

    pub fn cluster(&self) -> &'c Cluster {
        self.cluster
    }

    /// What is allowed from one end to another. A pod always reaches itself, which is not asked here: two ends of one
    /// workload are two of its pods.
    pub fn verdict(&self, from: End<'_>, to: End<'_>) -> Verdict {
        let egress = self.side(Direction::Egress, from, to);
        let ingress = self.side(Direction::Ingress, to, from);
        let (allowed, possible) =
            (egress.allowed.and(&ingress.allowed), egress.possible.and(&ingress.possible));
        Verdict { egress, ingress, allowed, possible }
    }

    /// Whether any policy selects the workload for the direction.
    pub fn is_restricted(&self, workload: usize, direction: Direction) -> bool {
        !self.index.selecting(workload, direction).is_empty()
    }

    /// Policies that select the workload for the direction, in the order they are asked.
    pub fn selecting(&self, workload: usize, direction: Direction) -> impl Iterator<Item = usize> {
        self.index.selecting(workload, direction).iter().map(|(policy, _)| *policy)
    }

    /// What the policies of `own` say of traffic with `other`.
    pub fn side(&self, direction: Direction, own: End<'_>, other: End<'_>) -> Side {
        let mut side = self.said(direction, own, other);
        // `NetworkPolicySpec.ingress`: "OR if the traffic source is the pod's local node".
        let gets_in = direction == Direction::Ingress && other == End::OwnNode;
        if !side.selecting.is_empty() && !gets_in {
            side.allowed = self.decide(direction, &side, false);
            side.possible = self.decide(direction, &side, true);
        }
        side
    }

    /// What the policies of a workload allow for sure, towards another one.
    fn allowed(&self, direction: Direction, own: usize, other: usize) -> PortSet {
        if !self.is_restricted(own, direction) {
            return PortSet::all();
        }
        let side = self.said(direction, End::Workload(own), End::Workload(other));
        self.decide(direction, &side, false)
    }

    /// The policies and rules that have a say, with nothing decided yet.
    fn said(&self, direction: Direction, own: End<'_>, other: End<'_>) -> Side {
        let open = Side {
            selecting: Vec::new(),
            rules: Vec::new(),
            allowed: PortSet::all(),
            possible: PortSet::all(),
        };
        let selecting = match own {
            End::Workload(workload) => Cow::Borrowed(self.index.selecting(workload, direction)),
            End::Pods(pods) => Cow::Owned(self.selecting_pods(pods, direction)),
            End::Address(_) | End::OwnNode => return open,
        };
        if selecting.is_empty() {
            return open;
        }
        let destination = if direction == Direction::Ingress { own } else { other };
        let mut rules = Vec::new();
        for (policy, is_sure) in selecting.iter() {
            let of = &self.cluster.policies[*policy];
            for (idx, rule) in of.rules(direction).unwrap_or_default().iter().enumerate() {
                let found = self.matches(*policy, direction, idx, rule, other);
                if found == Match::No {
                    continue;
                }
                let ports = self.ports(rule, destination);
                if ports.is_empty() {
                    continue;
                }
                let is_sure = *is_sure && found == Match::Sure;
                let (line, action) = (rule.line, rule.action);
                rules.push(Said { policy: *policy, rule: idx, line, action, ports, is_sure });
            }
        }
        Side { selecting: selecting.iter().map(|(policy, _)| *policy).collect(), rules, ..open }
    }

    /// What the rules come to. Where it is open whether a rule counts, `hopeful` takes what allows more.
    fn decide(&self, direction: Direction, side: &Side, hopeful: bool) -> PortSet {
        let policies = &self.cluster.policies;
        let of = |wanted: &dyn Fn(Tier) -> bool| -> Vec<&Said> {
            side.rules.iter().filter(|said| wanted(policies[said.policy].tier)).collect()
        };
        let admin = of(&|tier| matches!(tier, Tier::Admin { .. }));
        let namespaced = of(&|tier| tier == Tier::Namespaced);
        let baseline = of(&|tier| tier == Tier::Baseline);
        let is_isolated = side.selecting.iter().any(|policy| policies[*policy].isolates(direction));
        let mut below = PortSet::all();
        if !baseline.is_empty() {
            below = ordered(&baseline, hopeful, PortSet::all(), &PortSet::all());
        }
        let end = if is_isolated { PortSet::none() } else { below.clone() };
        below = ordered(&namespaced, hopeful, end, &below);
        if admin.is_empty() { below } else { ordered(&admin, hopeful, below.clone(), &below) }
    }

    fn matches(&self, policy: usize, direction: Direction, idx: usize, rule: &Rule, other: End<'_>) -> Match {
        let Some(peers) = &rule.peers else { return Match::Sure };
        match other {
            End::Workload(workload) => self.index.peer_match(policy, direction, idx, workload),
            End::Pods(pods) => {
                let policy = &self.cluster.policies[policy];
                peers.iter().map(|peer| self.peer_is(policy, peer, pods)).max().unwrap_or(Match::No)
            }
            End::Address(address) => {
                let each = peers.iter().map(|peer| match peer {
                    Peer::Block(block) | Peer::Addresses(block) if block.contains(address) => Match::Sure,
                    // It may be the address of such an end.
                    Peer::Named(_) | Peer::Unknown(_) => Match::Maybe,
                    Peer::Block(_) | Peer::Addresses(_) | Peer::Pods { .. } => Match::No,
                });
                each.max().unwrap_or(Match::No)
            }
            // Its address is not known; what is needed of it gets in anyway.
            End::OwnNode => {
                let each = peers.iter().map(|peer| match peer {
                    Peer::Named(NamedEnd::OwnNode) => Match::Sure,
                    Peer::Block(_) | Peer::Addresses(_) | Peer::Unknown(_) => Match::Maybe,
                    Peer::Named(NamedEnd::ApiServer) => Match::Maybe,
                    Peer::Named(_) | Peer::Pods { .. } => Match::No,
                });
                each.max().unwrap_or(Match::No)
            }
        }
    }

    /// The policies that select pods which are no workload of the cluster.
    fn selecting_pods(&self, pods: &Workload, direction: Direction) -> Vec<(usize, bool)> {
        let mut selecting: Vec<(usize, bool)> = Vec::new();
        for (idx, policy) in self.cluster.policies.iter().enumerate() {
            if policy.rules(direction).is_none() || pods.host_network {
                continue;
            }
            match self.selects(policy, policy.subject.namespaces.as_ref(), &policy.subject.pods, pods) {
                Match::Sure => selecting.push((idx, true)),
                Match::Maybe => selecting.push((idx, false)),
                Match::No => {}
            }
        }
        let place = |idx: usize| (self.cluster.policies[idx].tier, self.cluster.policies[idx].order, idx);
        selecting.sort_by_key(|(idx, _)| place(*idx));
        selecting
    }

    fn selects(
        &self,
        policy: &Policy,
        namespaces: Option<&Selector>,
        labels: &Selector,
        pods: &Workload,
    ) -> Match {
        if !labels.matches(&pods.labels) {
            return Match::No;
        }
        match namespaces {
            None if policy.namespace.as_ref() == Some(&pods.space) => Match::Sure,
            None => Match::No,
            Some(selector) => {
                let namespace = self.cluster.namespace(&pods.space);
                match selector.matches_known(&namespace.labels, |key| namespace.knows(key)) {
                    Some(true) => Match::Sure,
                    Some(false) => Match::No,
                    None => Match::Maybe,
                }
            }
        }
    }

    fn peer_is(&self, policy: &Policy, peer: &Peer, pods: &Workload) -> Match {
        match peer {
            Peer::Block(_) | Peer::Unknown(_) => Match::Maybe,
            Peer::Named(end) if end.is_node() && pods.host_network => Match::Maybe,
            Peer::Addresses(_) | Peer::Named(_) => Match::No,
            Peer::Pods { namespaces, pods: labels } => {
                match (self.selects(policy, namespaces.as_ref(), labels, pods), pods.host_network) {
                    (found, false) | (found @ Match::No, true) => found,
                    (_, true) if policy.api == Api::Core => Match::Maybe,
                    (_, true) => Match::No,
                }
            }
        }
    }

    /// The ports of a rule at a destination. Names are those of its containers; an address has none.
    fn ports(&self, rule: &Rule, destination: End<'_>) -> PortSet {
        let Some(list) = &rule.ports else { return PortSet::all() };
        let mut ports = PortSet::none();
        for port in list {
            match port {
                PortMatch::Numbers(set) => ports.add(set),
                PortMatch::Named(protocol, name) => {
                    let pods = match destination {
                        End::Workload(workload) => &self.cluster.workloads[workload],
                        End::Pods(pods) => pods,
                        End::Address(_) | End::OwnNode => continue,
                    };
                    for port in pods.named_ports(name, *protocol) {
                        ports.add(&PortSet::one(port.protocol, port.number));
                    }
                }
            }
        }
        ports
    }

    /// All allowed connections between workloads, but for those from a workload whose egress no policy restricts to
    /// one whose ingress none restricts: between these everything is allowed, and there may be millions of them.
    pub fn connections(&self) -> Vec<Allowed> {
        let known = Known::new(self.index.classes(self.cluster));
        let mut connections = self.index.candidates(self.cluster, &|from, to| {
            let is_self = from == to;
            if is_self && !self.cluster.workloads[from].may_have_many_pods() {
                return None;
            }
            let ports = known.ports(from, to, || {
                let egress = self.allowed(Direction::Egress, from, to);
                if egress.is_empty() {
                    return egress;
                }
                egress.and(&self.allowed(Direction::Ingress, to, from))
            });
            (!ports.is_empty()).then_some(Allowed { from, to, ports })
        });
        connections.sort_unstable_by_key(|connection| (connection.from, connection.to));
        connections
    }
}

/// What was judged for pairs of workloads that no policy tells from others: a repo of many copies of few applications has
/// millions of pairs and few answers.
struct Known {
    classes: Vec<u32>,
    /// Nothing where hardly any workload is like another.
    answers: Vec<Mutex<HashMap<(u32, u32), PortSet>>>,
}

impl Known {
    /// So that threads seldom wait for each other.
    const SHARDS: usize = 64;

    fn new(classes: Vec<u32>) -> Known {
        let distinct = classes.iter().max().map_or(0, |last| *last as usize + 1);
        let is_worth_it = distinct * 4 <= classes.len() * 3;
        let shards = if is_worth_it { Known::SHARDS } else { 0 };
        Known { classes, answers: (0..shards).map(|_| Mutex::default()).collect() }
    }

    fn ports(&self, from: usize, to: usize, judge: impl Fn() -> PortSet) -> PortSet {
        let pair = (self.classes[from], self.classes[to]);
        let Some(shard) = self.answers.get((pair.0 as usize + pair.1 as usize) % Known::SHARDS) else {
            return judge();
        };
        let lock = || shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ports) = lock().get(&pair) {
            return ports.clone();
        }
        let ports = judge();
        lock().insert(pair, ports.clone());
        ports
    }
}

/// Rules that are asked in turn; the first that speaks of a port decides it. `end` is for what none speaks of, `below`
/// for what is passed on. Worked out from the last rule to the first: what each makes of what those behind it allow.
/// Where it is open whether a rule counts, both answers are, and `hopeful` takes the one that allows more.
fn ordered(rules: &[&Said], hopeful: bool, end: PortSet, below: &PortSet) -> PortSet {
    let mut allowed = end;
    for said in rules.iter().rev() {
        match (said.action, said.is_sure) {
            (Action::Allow, false) if !hopeful => {}
            (Action::Allow, _) => allowed.add(&said.ports),
            (Action::Deny, false) if hopeful => {}
            (Action::Deny, _) => allowed = allowed.without(&said.ports),
            (Action::Pass, is_sure) => {
                let passed = below.and(&said.ports);
                let kept = if is_sure || !hopeful { allowed.without(&said.ports) } else { allowed.clone() };
                let decided = if is_sure || hopeful { passed } else { passed.and(&allowed) };
                allowed = kept;
                allowed.add(&decided);
            }
        }
    }
    allowed
}

#[cfg(test)]
mod naive;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
