//! What a workload may exchange with everything that is none of the cluster's known workloads: addresses, and pods
//! that only selectors speak of.

use std::collections::{BTreeMap, BTreeSet};

use super::Evaluator;
use crate::connections::{Protocol, Space};
use crate::network_policy::address::{AddressMap, Block, Cidr};
use crate::network_policy::policy::{Action, Direction, NamedEnd, Peer, PortMatch, Rule, Tier};
use crate::network_policy::ports::PortSet;

/// Ports that a policy names and that nothing known numbers.
type PortNames = BTreeSet<(Protocol, String)>;

/// What lies beyond the known workloads, for one direction of one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outside {
    pub addresses: AddressMap,
    /// Ordered by namespace and labels. Of what NetworkPolicies leave open, where `is_up_to_admins`.
    pub pods: Vec<OutsidePods>,
    /// Policies of administrators select the workload: which pods they let through depends on labels that no manifest
    /// shows.
    pub is_up_to_admins: bool,
    /// Ends with names of their own, ordered by these.
    pub named: Vec<(NamedEnd, PortSet)>,
}

/// Pods that a rule allows and that no known workload makes, or not only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutsidePods {
    /// What selects their namespace: nothing for any, a selector, or the policy's own.
    pub namespaces: Namespaces,
    /// What selects them there; empty for all.
    pub pods: String,
    pub ports: PortSet,
    /// Ports that only their own containers could number.
    pub names: PortNames,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Namespaces {
    Any,
    Selected(String),
    Own(Space),
}

impl Outside {
    /// Whether every address and every pod may be reached on every port.
    pub fn is_everything(&self) -> bool {
        let is_any = |pods: &OutsidePods| {
            pods.namespaces == Namespaces::Any && pods.pods.is_empty() && pods.ports.is_all()
        };
        !self.is_up_to_admins
            && self.pods.iter().any(is_any)
            && self.addresses == Outside::everything().addresses
    }

    fn everything() -> Outside {
        let blocks = Cidr::ANY.map(|cidr| Block { cidr, except: Vec::new() });
        let ports = PortSet::all();
        Outside {
            addresses: AddressMap::new(blocks.iter().map(|block| (block, &ports))),
            pods: vec![OutsidePods {
                namespaces: Namespaces::Any,
                pods: String::new(),
                ports,
                names: BTreeSet::new(),
            }],
            is_up_to_admins: false,
            named: Vec::new(),
        }
    }
}

/// Ends that the rules speak of, in the order they are asked.
#[derive(Default)]
struct Listed {
    pods: BTreeMap<(Namespaces, String), (PortSet, PortNames)>,
    named: BTreeMap<NamedEnd, PortSet>,
    /// What was denied to some of them so far; nothing is said of it any more.
    denied: PortSet,
    /// Whether what no rule speaks of is allowed.
    open: bool,
}

impl Listed {
    fn deny(&mut self, rule: &Rule, ports: &PortSet) {
        let is_outside = |peer: &Peer| matches!(peer, Peer::Addresses(_));
        if !rule.peers.as_ref().is_some_and(|peers| peers.iter().all(is_outside)) {
            self.denied.add(ports);
        }
    }

    fn allow(&mut self, namespaces: Namespaces, pods: String, ports: &PortSet, names: &PortNames) {
        let known = self.pods.entry((namespaces, pods)).or_default();
        known.0.add(&ports.without(&self.denied));
        // Whether a name is among what is denied depends on its number.
        if self.denied.is_empty() {
            known.1.extend(names.iter().cloned());
        }
    }

    fn allow_named(&mut self, end: &NamedEnd, ports: &PortSet) {
        self.named.entry(end.clone()).or_default().add(&ports.without(&self.denied));
    }

    fn into_outside(mut self, addresses: AddressMap, is_up_to_admins: bool) -> Outside {
        if self.open {
            self.allow(Namespaces::Any, String::new(), &PortSet::all(), &PortNames::new());
        }
        let pods = self.pods.into_iter().map(|((namespaces, pods), (ports, names))| OutsidePods {
            namespaces,
            pods,
            ports,
            names,
        });
        Outside {
            addresses,
            pods: pods.filter(|pods| !pods.ports.is_empty() || !pods.names.is_empty()).collect(),
            is_up_to_admins,
            named: self.named.into_iter().filter(|(_, ports)| !ports.is_empty()).collect(),
        }
    }
}

impl Evaluator<'_> {
    /// What NetworkPolicies leave open between a workload and what is not known. AdminNetworkPolicies are not asked:
    /// their peers are pods, whose labels would have to be known.
    pub fn outside(&self, workload: usize, direction: Direction) -> Outside {
        let policies = self.selecting(workload, direction);
        let (plain, admin): (Vec<usize>, Vec<usize>) =
            policies.partition(|policy| self.cluster.policies[*policy].tier == Tier::Namespaced);
        let is_up_to_admins = !admin.is_empty();
        if plain.is_empty() {
            return Outside { is_up_to_admins, ..Outside::everything() };
        }
        let addresses = self.addresses(workload, direction, &plain);
        let isolates = |policy: &usize| self.cluster.policies[*policy].isolates(direction);
        let mut listed = Listed::default();
        if !plain.iter().any(isolates) {
            // Nothing is isolated: what no rule denies is allowed.
            listed.open = true;
        }
        for policy in plain {
            let of = &self.cluster.policies[policy];
            for (idx, rule) in of.rules(direction).unwrap_or_default().iter().enumerate() {
                let (ports, names) = self.ports_outside(rule, workload, direction);
                if rule.action != Action::Allow {
                    listed.deny(rule, &ports);
                    continue;
                }
                let Some(peers) = &rule.peers else {
                    listed.allow(Namespaces::Any, String::new(), &ports, &names);
                    continue;
                };
                for (n, peer) in peers.iter().enumerate() {
                    match peer {
                        Peer::Named(end) => listed.allow_named(end, &ports),
                        Peer::Block(_) | Peer::Addresses(_) | Peer::Unknown(_) => {}
                        Peer::Pods { namespaces, pods } => {
                            let is_whole = pods.is_empty() && namespaces.is_some();
                            if !is_whole && self.index.knows_peer(policy, direction, idx, n) {
                                continue;
                            }
                            let namespaces = match (namespaces, &of.namespace) {
                                (Some(selector), _) if selector.is_empty() => Namespaces::Any,
                                (Some(selector), _) => Namespaces::Selected(selector.to_string()),
                                (None, Some(own)) => Namespaces::Own(own.clone()),
                                (None, None) => Namespaces::Any,
                            };
                            listed.allow(namespaces, pods.to_string(), &ports, &names);
                        }
                    }
                }
            }
        }
        listed.into_outside(addresses, is_up_to_admins)
    }

    fn addresses(&self, workload: usize, direction: Direction, policies: &[usize]) -> AddressMap {
        let rules = policies
            .iter()
            .flat_map(|policy| self.cluster.policies[*policy].rules(direction).unwrap_or_default());
        let blocks = rules.flat_map(|rule| rule.peers.iter().flatten()).filter_map(|peer| match peer {
            Peer::Block(block) | Peer::Addresses(block) => Some(block),
            _ => None,
        });
        AddressMap::asked(blocks, |address| {
            self.side(direction, super::End::Workload(workload), super::End::Address(address)).allowed
        })
    }

    /// The ports of a rule; those of its names that nothing known numbers stay names.
    fn ports_outside(&self, rule: &Rule, workload: usize, direction: Direction) -> (PortSet, PortNames) {
        if direction == Direction::Ingress {
            return (self.ports(rule, super::End::Workload(workload)), BTreeSet::new());
        }
        let mut names = PortNames::new();
        let Some(list) = &rule.ports else { return (PortSet::all(), names) };
        let mut ports = PortSet::none();
        for port in list {
            match port {
                PortMatch::Numbers(set) => ports.add(set),
                PortMatch::Named(protocol, name) => {
                    names.insert((protocol.unwrap_or_default(), name.clone()));
                }
            }
        }
        (ports, names)
    }
}
