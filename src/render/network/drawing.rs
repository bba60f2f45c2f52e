//! What a picture of connections shows, before it is written in a language for pictures.

use std::collections::BTreeMap;

use super::lines;
use crate::network_policy::{Direction, Graph, shown_space};

pub(super) struct Drawing {
    /// Indices of the workloads that are shown, by namespace.
    pub(super) spaces: BTreeMap<String, Vec<usize>>,
    /// What lies beyond the known workloads, and its number.
    pub(super) ends: BTreeMap<String, usize>,
    pub(super) arrows: Vec<Arrow>,
}

/// Connections of a workload with one of the ends.
pub(super) struct Arrow {
    pub(super) workload: usize,
    /// Seen from the workload.
    pub(super) direction: Direction,
    pub(super) end: usize,
    pub(super) ports: String,
}

impl Drawing {
    pub(super) fn of(graph: &Graph<'_>, shows: &dyn Fn(usize) -> bool) -> Drawing {
        let mut spaces: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (idx, workload) in graph.cluster.workloads.iter().enumerate().filter(|(idx, _)| shows(*idx)) {
            spaces.entry(shown_space(&workload.space)).or_default().push(idx);
        }
        let mut ends: BTreeMap<String, usize> = BTreeMap::new();
        let mut arrows = Vec::new();
        for workload in spaces.values().flatten().copied() {
            for direction in [Direction::Egress, Direction::Ingress] {
                if !graph.is_restricted(workload, direction) {
                    continue;
                }
                for line in lines::outside(&graph.outside(workload, direction)) {
                    let next = ends.len();
                    let end = *ends.entry(line.ends).or_insert(next);
                    arrows.push(Arrow { workload, direction, end, ports: line.ports });
                }
            }
        }
        Drawing { spaces, ends, arrows }
    }
}
