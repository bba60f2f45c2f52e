//! What a change makes of connections: newly allowed, newly denied, and whether something needs what is denied.

use std::collections::BTreeMap;

use super::evaluate::{End, Outside};
use super::graph::{Graph, Need, is_met};
use super::policy::Direction;
use super::ports::PortSet;
use crate::connections::{MemberId, Peer, Space};

/// Everything that differs, by workload of the state before. A workload that only one state has is left out.
#[derive(Debug, Default)]
pub struct Diff {
    /// Ordered by workload, egress first.
    pub sides: Vec<SideChange>,
    /// Pairs of workloads of which either state has an edge, where they differ. Ordered by source, then destination.
    pub pairs: Vec<PairChange>,
    /// Needs that were met before and are not any more.
    pub lost: Vec<Need>,
    /// Needs that are met now and were not before.
    pub gained: Vec<Need>,
}

/// One direction of a workload.
#[derive(Debug, PartialEq, Eq)]
pub struct SideChange {
    /// In the state before.
    pub workload: usize,
    pub direction: Direction,
    pub was_restricted: bool,
    pub is_restricted: bool,
    pub before: Outside,
    pub after: Outside,
}

#[derive(Debug, PartialEq, Eq)]
pub struct PairChange {
    /// Both in the state before.
    pub from: usize,
    pub to: usize,
    pub before: PortSet,
    pub after: PortSet,
    /// What needs the connection, judged in the state after.
    pub needs: Vec<Need>,
}

impl Diff {
    pub fn new(before: &Graph<'_>, after: &Graph<'_>) -> Diff {
        let to_after = matched(before, after);
        let mut to_before: Vec<Option<usize>> = vec![None; after.cluster.workloads.len()];
        for (old, new) in to_after.iter().enumerate() {
            if let Some(new) = new {
                to_before[*new] = Some(old);
            }
        }
        let mut diff = Diff::default();
        for (old, new) in to_after.iter().enumerate() {
            let Some(new) = *new else { continue };
            for direction in [Direction::Egress, Direction::Ingress] {
                let change = SideChange {
                    workload: old,
                    direction,
                    was_restricted: before.is_restricted(old, direction),
                    is_restricted: after.is_restricted(new, direction),
                    before: before.outside(old, direction),
                    after: after.outside(new, direction),
                };
                if change.was_restricted != change.is_restricted || change.before != change.after {
                    diff.sides.push(change);
                }
            }
        }
        diff.compare_pairs(before, after, &to_after, &to_before);
        diff.compare_needs(before, after, &to_after);
        diff
    }

    pub fn is_empty(&self) -> bool {
        self.sides.is_empty() && self.pairs.is_empty()
    }

    fn compare_pairs(
        &mut self,
        before: &Graph<'_>,
        after: &Graph<'_>,
        to_after: &[Option<usize>],
        to_before: &[Option<usize>],
    ) {
        // Both as ends of the state before, with the ports of each state where it has the edge.
        let mut pairs: BTreeMap<(usize, usize), [Option<&PortSet>; 2]> = BTreeMap::new();
        for edge in &before.edges {
            pairs.entry((edge.from, edge.to)).or_default()[0] = Some(&edge.ports);
        }
        for edge in &after.edges {
            if let (Some(from), Some(to)) = (to_before[edge.from], to_before[edge.to]) {
                pairs.entry((from, to)).or_default()[1] = Some(&edge.ports);
            }
        }
        for ((from, to), [old, new]) in pairs {
            let (Some(new_from), Some(new_to)) = (to_after[from], to_after[to]) else { continue };
            let judged = |graph: &Graph<'_>, from, to| {
                graph.evaluator.verdict(End::Workload(from), End::Workload(to)).allowed
            };
            let old = old.cloned().unwrap_or_else(|| judged(before, from, to));
            let new = new.cloned().unwrap_or_else(|| judged(after, new_from, new_to));
            if old != new {
                self.pairs.push(PairChange { from, to, before: old, after: new, needs: Vec::new() });
            }
        }
    }

    fn compare_needs(&mut self, before: &Graph<'_>, after: &Graph<'_>, to_after: &[Option<usize>]) {
        let moved = |peer: &Peer| match peer {
            Peer::Member(id) => to_after[id.0].map(|idx| Peer::Member(MemberId(idx))),
            other => Some(other.clone()),
        };
        let by_pair: BTreeMap<(usize, usize), usize> =
            self.pairs.iter().enumerate().map(|(idx, pair)| ((pair.from, pair.to), idx)).collect();
        let all = before.edges.iter().flat_map(|edge| &edge.needs).chain(&before.outer);
        for need in all {
            let connection = before.connection(need);
            let (Some(from), Some(to)) = (moved(&connection.from), moved(&connection.to)) else { continue };
            let is_met =
                is_met(&after.evaluator, &crate::connections::Connection { from, to, ..connection.clone() });
            let now = Need { connection: need.connection, is_met };
            if let (Some(from), Some(to)) = (connection.source(), connection.target())
                && let Some(pair) = by_pair.get(&(from.0, to.0))
            {
                self.pairs[*pair].needs.push(now.clone());
            }
            match (need.is_met, is_met) {
                (true, false) => self.lost.push(now),
                (false, true) => self.gained.push(now),
                _ => {}
            }
        }
    }
}

/// For each workload before, the same one after: by file, kind, name and namespace, the first with the first.
fn matched(before: &Graph<'_>, after: &Graph<'_>) -> Vec<Option<usize>> {
    type Key<'a> = (&'a str, &'a str, &'a str, &'a Space);
    fn keys<'a>(graph: &'a Graph<'_>) -> impl Iterator<Item = (Key<'a>, usize)> {
        let mut seen: BTreeMap<Key<'a>, usize> = BTreeMap::new();
        graph.cluster.workloads.iter().map(move |workload| {
            let key = (&*workload.place.path, &*workload.kind, &*workload.name, &workload.space);
            let nth = seen.entry(key).or_default();
            *nth += 1;
            (key, *nth)
        })
    }
    let after: BTreeMap<(Key<'_>, usize), usize> =
        keys(after).enumerate().map(|(idx, key)| (key, idx)).collect();
    keys(before).map(|key| after.get(&key).copied()).collect()
}
