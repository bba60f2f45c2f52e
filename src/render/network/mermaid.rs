//! Connections as a Mermaid flowchart: a box for each namespace, an arrow for each connection.

use std::io::{self, Write};

use super::super::escaped;
use super::drawing::{Arrow, Drawing};
use crate::network_policy::{Direction, Graph};

pub(super) fn graph(out: &mut dyn Write, graph: &Graph<'_>, shows: &dyn Fn(usize) -> bool) -> io::Result<()> {
    writeln!(out, "flowchart LR")?;
    let drawing = Drawing::of(graph, shows);
    for (number, (space, workloads)) in drawing.spaces.iter().enumerate() {
        writeln!(out, "  subgraph s{number}[{}]", quoted(space))?;
        for idx in workloads {
            let workload = &graph.cluster.workloads[*idx];
            writeln!(out, "    w{idx}[{}]", quoted(&workload.name))?;
        }
        writeln!(out, "  end")?;
    }
    for (end, number) in &drawing.ends {
        writeln!(out, "  o{number}([{}])", quoted(end))?;
    }
    for edge in graph.edges.iter().filter(|edge| shows(edge.from) && shows(edge.to)) {
        let (from, to) = (edge.from, edge.to);
        let (arrow, label) = match (edge.ports.is_empty(), edge.needs.is_empty()) {
            (true, _) => ("-.-x", "denied".to_owned()),
            (false, true) => ("-->", edge.ports.to_string()),
            (false, false) => ("==>", edge.ports.to_string()),
        };
        writeln!(out, "  w{from} {arrow}|{}| w{to}", quoted(&label))?;
    }
    for Arrow { workload, direction, end, ports } in &drawing.arrows {
        let ports = quoted(ports);
        match direction {
            Direction::Egress => writeln!(out, "  w{workload} -->|{ports}| o{end}")?,
            Direction::Ingress => writeln!(out, "  o{end} -->|{ports}| w{workload}")?,
        }
    }
    Ok(())
}

/// Within quotes, entities stand for what would end them or be read as HTML:
/// <https://mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters>.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in escaped(text).chars() {
        match char {
            '"' | '#' | '<' | '>' | '&' | '|' | '`' => quoted.push_str(&format!("#{};", u32::from(char))),
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_quotes() {
        assert_eq!(quoted("a\"]\n#x|"), r##""a#34;]\u{a}#35;x#124;""##);
    }
}
