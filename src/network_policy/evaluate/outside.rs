//! What a workload may exchange with everything that is none of the cluster's known workloads: addresses, and pods
//! that only selectors speak of.

use std::collections::{BTreeMap, BTreeSet};

use super::Evaluator;
use crate::connections::{Protocol, Space};
use crate::network_policy::address::{AddressMap, Block, Cidr};
use crate::network_policy::policy::{Action, Direction, Peer, PortMatch, Rule, Tier};
use crate::network_policy::ports::PortSet;

/// Ports that a policy names and that nothing known numbers.
type PortNames = BTreeSet<(Protocol, String)>;

/// What lies beyond the known workloads, for one direction of one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outside {
    pub addresses: AddressMap,
    /// Ordered by namespace and labels.
    pub pods: Vec<OutsidePods>,
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
        self.pods.iter().any(is_any) && self.addresses == Outside::everything().addresses
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
        }
    }
}

impl Evaluator<'_> {
    /// What NetworkPolicies leave open between a workload and what is not known. AdminNetworkPolicies are not asked:
    /// their peers are pods, whose labels would have to be known.
    pub fn outside(&self, workload: usize, direction: Direction) -> Outside {
        let policies = self.selecting(workload, direction);
        let plain: Vec<usize> =
            policies.filter(|policy| self.cluster.policies[*policy].tier == Tier::Namespaced).collect();
        if plain.is_empty() {
            return Outside::everything();
        }
        let mut blocks: Vec<(Block, PortSet)> = Vec::new();
        let mut pods: BTreeMap<(Namespaces, String), (PortSet, PortNames)> = BTreeMap::new();
        for policy in plain {
            let of = &self.cluster.policies[policy];
            for (idx, rule) in of.rules(direction).unwrap_or_default().iter().enumerate() {
                debug_assert!(rule.action == Action::Allow, "a NetworkPolicy only allows");
                let (ports, names) = self.ports_outside(rule, workload, direction);
                let mut add = |namespaces: Namespaces, selected: String| {
                    let known = pods.entry((namespaces, selected)).or_default();
                    known.0.add(&ports);
                    known.1.extend(names.iter().cloned());
                };
                let Some(peers) = &rule.peers else {
                    blocks.extend(Cidr::ANY.map(|cidr| (Block { cidr, except: Vec::new() }, ports.clone())));
                    add(Namespaces::Any, String::new());
                    continue;
                };
                for (n, peer) in peers.iter().enumerate() {
                    match peer {
                        Peer::Block(block) => blocks.push((block.clone(), ports.clone())),
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
                            add(namespaces, pods.to_string());
                        }
                    }
                }
            }
        }
        let pods = pods.into_iter().map(|((namespaces, pods), (ports, names))| OutsidePods {
            namespaces,
            pods,
            ports,
            names,
        });
        Outside {
            addresses: AddressMap::new(blocks.iter().map(|(block, ports)| (block, ports))),
            pods: pods.filter(|pods| !pods.ports.is_empty() || !pods.names.is_empty()).collect(),
        }
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
