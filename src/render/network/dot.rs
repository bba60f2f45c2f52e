//! Connections for Graphviz: a box for each namespace, an arrow for each connection.

use std::io::{self, Write};

use super::super::escaped;
use super::drawing::{Arrow, Drawing};
use crate::network_policy::{Direction, Graph};

pub(super) fn graph(out: &mut dyn Write, graph: &Graph<'_>, shows: &dyn Fn(usize) -> bool) -> io::Result<()> {
    writeln!(out, "digraph connections {{")?;
    writeln!(out, "  rankdir=LR; node [shape=box];")?;
    let drawing = Drawing::of(graph, shows);
    for (number, (space, workloads)) in drawing.spaces.iter().enumerate() {
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
    for (end, number) in &drawing.ends {
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
    for Arrow { workload, direction, end, ports } in &drawing.arrows {
        let ports = quoted(ports);
        match direction {
            Direction::Egress => writeln!(out, "  w{workload} -> o{end} [label={ports}];")?,
            Direction::Ingress => writeln!(out, "  o{end} -> w{workload} [label={ports}];")?,
        }
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
