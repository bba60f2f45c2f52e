//! Connections for Graphviz: a box for each namespace, an arrow for each connection.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::super::escaped;
use super::lines;
use crate::network_policy::{Direction, Graph, shown_space};

pub(super) fn graph(out: &mut dyn Write, graph: &Graph<'_>, shows: &dyn Fn(usize) -> bool) -> io::Result<()> {
    writeln!(out, "digraph connections {{")?;
    writeln!(out, "  rankdir=LR; node [shape=box];")?;
    let mut spaces: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (idx, workload) in graph.cluster.workloads.iter().enumerate().filter(|(idx, _)| shows(*idx)) {
        spaces.entry(shown_space(&workload.space)).or_default().push(idx);
    }
    for (number, (space, workloads)) in spaces.iter().enumerate() {
        writeln!(out, "  subgraph cluster_{number} {{")?;
        writeln!(out, "    label={};", quoted(space))?;
        for idx in workloads {
            let workload = &graph.cluster.workloads[*idx];
            let label = quoted(&format!("{}\n{}", workload.name, workload.kind));
            // Open to everything: dashed.
            let is_open = !graph.is_restricted(*idx, Direction::Ingress);
            writeln!(out, "    w{idx} [label={label}{}];", if is_open { ", style=dashed" } else { "" })?;
        }
        writeln!(out, "  }}")?;
    }
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    let mut arrows = Vec::new();
    for idx in spaces.values().flatten() {
        for direction in [Direction::Egress, Direction::Ingress] {
            if !graph.is_restricted(*idx, direction) {
                continue;
            }
            for line in lines::outside(&graph.outside(*idx, direction)) {
                let next = ends.len();
                let end = *ends.entry(line.ends).or_insert(next);
                let ports = quoted(&line.ports);
                arrows.push(match direction {
                    Direction::Egress => format!("  w{idx} -> o{end} [label={ports}];"),
                    Direction::Ingress => format!("  o{end} -> w{idx} [label={ports}];"),
                });
            }
        }
    }
    for (end, number) in &ends {
        writeln!(out, "  o{number} [label={}, shape=ellipse];", quoted(end))?;
    }
    for edge in graph.edges.iter().filter(|edge| shows(edge.from) && shows(edge.to)) {
        let (from, to) = (edge.from, edge.to);
        let look = match (edge.ports.is_empty(), edge.needs.is_empty()) {
            (true, _) => ", color=red, style=dotted",
            (false, true) => "",
            (false, false) => ", style=bold",
        };
        let label = if edge.ports.is_empty() { "denied".to_owned() } else { edge.ports.to_string() };
        writeln!(out, "  w{from} -> w{to} [label={}{look}];", quoted(&label))?;
    }
    for arrow in arrows {
        writeln!(out, "{arrow}")?;
    }
    writeln!(out, "}}")
}

/// <https://graphviz.org/doc/info/lang.html>: in a quoted string only the quote is escaped; `\n` breaks the line.
fn quoted(text: &str) -> String {
    let lines: Vec<String> =
        text.split('\n').map(|line| escaped(line).replace('\\', "\\\\").replace('"', "\\\"")).collect();
    format!("\"{}\"", lines.join("\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_quotes() {
        assert_eq!(quoted("a\"; b [x=\\"), r#""a\"; b [x=\\""#);
        assert_eq!(quoted("a\nb"), r#""a\nb""#);
    }
}
