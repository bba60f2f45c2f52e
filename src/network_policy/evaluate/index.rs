//! Who a policy selects and who its peers are, worked out once: policies by namespace, workloads by label, every
//! different peer one time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rayon::prelude::*;

use super::{Allowed, Match};
use crate::connections::Space;
use crate::network_policy::cluster::{Cluster, Namespace};
use crate::network_policy::policy::{Api, Direction, Peer, Policy, Rule, Tier};
use crate::network_policy::selector::Selector;

/// Above this share of all workloads, a list of candidates is no shorter way to the connections.
const DENSE_SHARE: usize = 8;

#[derive(Debug)]
pub(super) struct Index {
    /// For each workload, policies with whether it is certain that they select it; in the order they are asked.
    egress: Vec<Vec<(usize, bool)>>,
    ingress: Vec<Vec<(usize, bool)>>,
    /// For each policy and rule, who is meant.
    egress_peers: Vec<Vec<Peers>>,
    ingress_peers: Vec<Vec<Peers>>,
}

/// The workloads that a rule's peers are.
#[derive(Debug)]
enum Peers {
    Everyone,
    /// In the order of the list; `None` for what may be any pod: an `ipBlock` may hold its address.
    Some(Vec<Option<Arc<Found>>>),
}

/// The workloads of one peer, sorted. Rules share them.
#[derive(Debug, Default)]
struct Found {
    sure: Vec<u32>,
    maybe: Vec<u32>,
}

impl Index {
    pub(super) fn new(cluster: &Cluster) -> Index {
        let lookup = Lookup::new(cluster);
        let mut order: Vec<usize> = (0..cluster.policies.len()).collect();
        order.sort_by_key(|idx| (cluster.policies[*idx].tier, cluster.policies[*idx].order, *idx));
        let count = cluster.workloads.len();
        let mut index = Index {
            egress: vec![Vec::new(); count],
            ingress: vec![Vec::new(); count],
            egress_peers: Vec::new(),
            ingress_peers: Vec::new(),
        };
        for idx in order {
            let policy = &cluster.policies[idx];
            let found = lookup.subject(policy);
            let each = found.sure.iter().map(|w| (*w, true)).chain(found.maybe.iter().map(|w| (*w, false)));
            for (workload, is_sure) in each {
                let workload = workload as usize;
                // Policies do not apply to pods of the node's network.
                if cluster.workloads[workload].host_network {
                    continue;
                }
                if policy.egress.is_some() {
                    index.egress[workload].push((idx, is_sure));
                }
                if policy.ingress.is_some() {
                    index.ingress[workload].push((idx, is_sure));
                }
            }
        }
        let mut known: Known<'_> = HashMap::new();
        for policy in &cluster.policies {
            for (rules, list) in
                [(&policy.egress, &mut index.egress_peers), (&policy.ingress, &mut index.ingress_peers)]
            {
                let rules = rules.iter().flatten();
                list.push(rules.map(|rule| lookup.peers(policy, rule, &mut known)).collect());
            }
        }
        index
    }

    pub(super) fn selecting(&self, workload: usize, direction: Direction) -> &[(usize, bool)] {
        match direction {
            Direction::Egress => &self.egress[workload],
            Direction::Ingress => &self.ingress[workload],
        }
    }

    fn peers(&self, policy: usize, direction: Direction, rule: usize) -> &Peers {
        match direction {
            Direction::Egress => &self.egress_peers[policy][rule],
            Direction::Ingress => &self.ingress_peers[policy][rule],
        }
    }

    pub(super) fn peer_match(
        &self,
        policy: usize,
        direction: Direction,
        rule: usize,
        workload: usize,
    ) -> Match {
        match self.peers(policy, direction, rule) {
            Peers::Everyone => Match::Sure,
            Peers::Some(list) => {
                let workload = workload as u32;
                let each = list.iter().map(|found| match found {
                    None => Match::Maybe,
                    Some(found) if found.sure.binary_search(&workload).is_ok() => Match::Sure,
                    Some(found) if found.maybe.binary_search(&workload).is_ok() => Match::Maybe,
                    Some(_) => Match::No,
                });
                each.max().unwrap_or(Match::No)
            }
        }
    }

    /// A number for each workload: the same for those that no policy tells apart, at either end.
    pub(super) fn classes(&self, cluster: &Cluster) -> Vec<u32> {
        let mut membership: Vec<Vec<u32>> = vec![Vec::new(); cluster.workloads.len()];
        let mut seen: HashSet<*const Found> = HashSet::new();
        let rules = self.egress_peers.iter().chain(&self.ingress_peers).flatten();
        let peers = rules.filter_map(|peers| match peers {
            Peers::Everyone => None,
            Peers::Some(list) => Some(list.iter().flatten()),
        });
        for found in peers.flatten() {
            let number = 2 * seen.len() as u32;
            if seen.insert(Arc::as_ptr(found)) {
                found.sure.iter().for_each(|workload| membership[*workload as usize].push(number));
                found.maybe.iter().for_each(|workload| membership[*workload as usize].push(number + 1));
            }
        }
        let mut numbers = HashMap::new();
        let each = cluster.workloads.iter().enumerate().map(|(idx, workload)| {
            let key = (&self.egress[idx], &self.ingress[idx], &membership[idx], &workload.ports);
            let next = numbers.len() as u32;
            *numbers.entry(key).or_insert(next)
        });
        each.collect()
    }

    /// Whether workloads that are known are among those that a rule's peer (by its place in the list) selects.
    pub(super) fn knows_peer(&self, policy: usize, direction: Direction, rule: usize, peer: usize) -> bool {
        match self.peers(policy, direction, rule) {
            Peers::Everyone => true,
            Peers::Some(list) => list[peer].as_ref().is_some_and(|found| !found.sure.is_empty()),
        }
    }

    /// Asks `judge` about every pair that may be connected, but for those that nothing restricts.
    pub(super) fn candidates(
        &self,
        cluster: &Cluster,
        judge: &(dyn Fn(usize, usize) -> Option<Allowed> + Sync),
    ) -> Vec<Allowed> {
        let count = cluster.workloads.len();
        let egress: Vec<Option<Vec<u32>>> =
            (0..count).into_par_iter().map(|w| self.reach(cluster, w, Direction::Egress)).collect();
        let ingress: Vec<Option<Vec<u32>>> =
            (0..count).into_par_iter().map(|w| self.reach(cluster, w, Direction::Ingress)).collect();
        let wide: Vec<usize> = (0..count).filter(|to| ingress[*to].is_none()).collect();
        // Sources that may reach many, by each narrow destination that expects them.
        let by_source = (0..count).into_par_iter().map(|from| match &egress[from] {
            Some(reach) => reach.iter().filter_map(|to| judge(from, *to as usize)).collect::<Vec<_>>(),
            None => {
                let is_open = self.egress[from].is_empty();
                let restricted = wide.iter().filter(|to| !(is_open && self.ingress[**to].is_empty()));
                restricted.filter_map(|to| judge(from, *to)).collect()
            }
        });
        let by_destination = (0..count).into_par_iter().map(|to| {
            let sources = ingress[to].iter().flatten().map(|from| *from as usize);
            sources.filter(|from| egress[*from].is_none()).filter_map(|from| judge(from, to)).collect()
        });
        let mut found: Vec<Vec<Allowed>> = by_source.collect();
        found.extend(by_destination.collect::<Vec<Vec<_>>>());
        found.into_iter().flatten().collect()
    }

    /// Workloads at the other end that some rule speaks of; `None` when they are too many to list, or when more
    /// than NetworkPolicies decide.
    fn reach(&self, cluster: &Cluster, workload: usize, direction: Direction) -> Option<Vec<u32>> {
        let selecting = self.selecting(workload, direction);
        let plain = |policy: usize| cluster.policies[policy].tier == Tier::Namespaced;
        let isolates = |policy: usize| cluster.policies[policy].isolates(direction);
        if !selecting.iter().all(|(policy, _)| plain(*policy))
            || !selecting.iter().any(|(policy, _)| isolates(*policy))
        {
            return None;
        }
        let mut reach = Vec::new();
        for (policy, _) in selecting {
            let rules = cluster.policies[*policy].rules(direction).unwrap_or_default();
            for rule in 0..rules.len() {
                match self.peers(*policy, direction, rule) {
                    Peers::Everyone => return None,
                    Peers::Some(list) => {
                        list.iter().flatten().for_each(|found| reach.extend_from_slice(&found.sure));
                    }
                }
            }
        }
        reach.sort_unstable();
        reach.dedup();
        (reach.len() <= cluster.workloads.len() / DENSE_SHARE + DENSE_SHARE).then_some(reach)
    }
}

/// Peers that were looked up: by the namespace they are of, whether a NetworkPolicy names them, and themselves.
type Known<'c> = HashMap<(Option<&'c Space>, bool, &'c Peer), Arc<Found>>;

/// Finds workloads by namespace and label.
struct Lookup<'c> {
    cluster: &'c Cluster,
    namespaces: Vec<(&'c Space, Namespace)>,
    by_space: HashMap<&'c Space, Vec<u32>>,
    by_label: HashMap<(&'c str, &'c str), Vec<u32>>,
}

impl<'c> Lookup<'c> {
    fn new(cluster: &'c Cluster) -> Lookup<'c> {
        let mut by_space: HashMap<&Space, Vec<u32>> = HashMap::new();
        let mut by_label: HashMap<(&str, &str), Vec<u32>> = HashMap::new();
        for (idx, workload) in cluster.workloads.iter().enumerate() {
            by_space.entry(&workload.space).or_default().push(idx as u32);
            for (key, value) in &workload.labels {
                by_label.entry((key, value)).or_default().push(idx as u32);
            }
        }
        let mut spaces: Vec<&Space> = by_space.keys().copied().collect();
        spaces.sort_unstable();
        let namespaces = spaces.into_iter().map(|space| (space, cluster.namespace(space))).collect();
        Lookup { cluster, namespaces, by_space, by_label }
    }

    fn subject(&self, policy: &Policy) -> Found {
        self.pods(policy, policy.subject.namespaces.as_ref(), &policy.subject.pods)
    }

    /// Pods by namespace (`None`: the policy's own) and labels.
    fn pods(&self, policy: &Policy, namespaces: Option<&Selector>, pods: &Selector) -> Found {
        let mut found = Found::default();
        let (mut sure, mut maybe) = (Vec::new(), Vec::new());
        match namespaces {
            None => sure.extend(policy.namespace.as_ref()),
            Some(selector) => {
                for (space, namespace) in &self.namespaces {
                    match selector.matches_known(&namespace.labels, |key| namespace.knows(key)) {
                        Some(true) => sure.push(*space),
                        None => maybe.push(*space),
                        Some(false) => {}
                    }
                }
            }
        }
        // Whichever is shorter: the pods of the namespaces, or those with a label that they must have.
        let of_spaces: usize =
            sure.iter().chain(&maybe).map(|space| self.by_space.get(space).map_or(0, Vec::len)).sum();
        let nobody = Vec::new();
        let labelled = pods
            .required_labels()
            .map(|label| self.by_label.get(&label).unwrap_or(&nobody))
            .min_by_key(|list| list.len())
            .filter(|list| list.len() < of_spaces);
        let mut take = |workload: u32, is_sure: bool| {
            if pods.matches(&self.cluster.workloads[workload as usize].labels) {
                (if is_sure { &mut found.sure } else { &mut found.maybe }).push(workload);
            }
        };
        match labelled {
            Some(list) => {
                for workload in list {
                    let space = &self.cluster.workloads[*workload as usize].space;
                    if sure.contains(&space) {
                        take(*workload, true);
                    } else if maybe.contains(&space) {
                        take(*workload, false);
                    }
                }
            }
            None => {
                let each =
                    sure.iter().map(|space| (space, true)).chain(maybe.iter().map(|space| (space, false)));
                for (space, is_sure) in each {
                    self.by_space
                        .get(*space)
                        .into_iter()
                        .flatten()
                        .for_each(|workload| take(*workload, is_sure));
                }
            }
        }
        found.sure.sort_unstable();
        found.maybe.sort_unstable();
        found
    }

    fn peers(&self, policy: &'c Policy, rule: &'c Rule, known: &mut Known<'c>) -> Peers {
        let Some(list) = &rule.peers else { return Peers::Everyone };
        let is_plain = policy.api == Api::Core;
        let found = list.iter().map(|peer| {
            let (namespaces, pods) = match peer {
                Peer::Pods { namespaces, pods } => (namespaces, pods),
                Peer::Block(_) | Peer::Unknown(_) => return None,
                Peer::Named(end) if end.is_node() => {
                    let hosts =
                        known.entry((None, false, peer)).or_insert_with(|| Arc::new(self.host_pods()));
                    return Some(Arc::clone(hosts));
                }
                Peer::Addresses(_) | Peer::Named(_) => return Some(Arc::default()),
            };
            let own = namespaces.is_none().then_some(policy.namespace.as_ref()).flatten();
            let of_peer = known.entry((own, is_plain, peer)).or_insert_with(|| {
                let mut found = self.pods(policy, namespaces.as_ref(), pods);
                self.set_aside_host_pods(&mut found, is_plain);
                Arc::new(found)
            });
            Some(Arc::clone(of_peer))
        });
        Peers::Some(found.collect())
    }

    /// Pods that may have the address of the node that is meant.
    fn host_pods(&self) -> Found {
        let workloads = self.cluster.workloads.iter().enumerate();
        let hosts = workloads.filter(|(_, workload)| workload.host_network);
        Found { sure: Vec::new(), maybe: hosts.map(|(idx, _)| idx as u32).collect() }
    }

    /// Pods of the node's network have the node's address: whether the selector of a NetworkPolicy finds them is up to
    /// the network plugin, and all others leave them out.
    fn set_aside_host_pods(&self, found: &mut Found, is_plain: bool) {
        let is_host = |workload: &u32| self.cluster.workloads[*workload as usize].host_network;
        let hosts: Vec<u32> = found.sure.iter().copied().filter(is_host).collect();
        found.sure.retain(|workload| !is_host(workload));
        if is_plain {
            found.maybe.extend(hosts);
            found.maybe.sort_unstable();
        } else {
            found.maybe.retain(|workload| !is_host(workload));
        }
    }
}
