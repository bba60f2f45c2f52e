//! Connections for people: each workload with what it may reach and what may reach it.

use std::io::{self, Write};

use super::super::text::plural;
use super::super::{Style, escaped};
use super::lines;
use super::{shown_evidence, shown_foreign, shown_peer, shown_policy};
use crate::network_policy::{Direction, Edge, Graph, PortSet, ports};

/// Wide enough for most names; longer ones push their line's ports to the right.
const NAME_WIDTH: usize = 34;
const PORTS_WIDTH: usize = 14;

pub(super) fn graph(
    out: &mut dyn Write,
    graph: &Graph<'_>,
    shows: &dyn Fn(usize) -> bool,
    style: Style,
) -> io::Result<()> {
    let mut egress: Vec<Vec<&Edge>> = vec![Vec::new(); graph.cluster.workloads.len()];
    let mut ingress = egress.clone();
    for edge in &graph.edges {
        egress[edge.from].push(edge);
        ingress[edge.to].push(edge);
    }
    for workload in (0..graph.cluster.workloads.len()).filter(|workload| shows(*workload)) {
        let mut page = Page { out, graph, workload, style };
        page.head()?;
        page.side(Direction::Egress, &egress[workload])?;
        page.side(Direction::Ingress, &ingress[workload])?;
        writeln!(out)?;
    }
    summary(out, graph, shows)
}

struct Page<'a, 'g> {
    out: &'a mut dyn Write,
    graph: &'a Graph<'g>,
    workload: usize,
    style: Style,
}

impl<'a> Page<'a, '_> {
    fn head(&mut self) -> io::Result<()> {
        let workload = &self.graph.cluster.workloads[self.workload];
        let bold = self.style.paint(anstyle::Style::new().bold());
        let line = format!("{}  {}", workload.kind, workload.place);
        let name = escaped(self.graph.names.of(self.workload));
        writeln!(self.out, "{bold}{name}{bold:#}  {}", escaped(&line))?;
        if workload.host_network {
            writeln!(self.out, "  uses the node's network: policies do not apply to it")?;
        }
        for foreign in self.graph.foreign_of(self.workload) {
            writeln!(self.out, "  {}", escaped(&shown_foreign(foreign)))?;
        }
        Ok(())
    }

    fn side(&mut self, direction: Direction, edges: &[&Edge]) -> io::Result<()> {
        let (graph, workload) = (self.graph, self.workload);
        let word = if direction == Direction::Egress { "to" } else { "from" };
        let is_restricted = graph.is_restricted(workload, direction);
        if !is_restricted {
            let name = direction.as_str();
            self.line(word, "everything", "any port", &format!("no policy restricts its {name}"))?;
        } else if self.style.verbose {
            for policy in graph.evaluator.selecting(workload, direction) {
                let policy = shown_policy(&graph.cluster.policies[policy]);
                writeln!(self.out, "  {} restricted by {}", direction.as_str(), escaped(&policy))?;
            }
        }
        let mut is_nothing = is_restricted;
        for edge in edges {
            let other = if direction == Direction::Egress { edge.to } else { edge.from };
            let needs = if direction == Direction::Egress { self.needs(edge) } else { String::new() };
            // What is open to everything names only what something needs.
            if !is_restricted && needs.is_empty() {
                continue;
            }
            if edge.ports.is_empty() {
                if direction == Direction::Egress {
                    self.line("denied", self.near(other), "", &needs)?;
                }
                continue;
            }
            is_nothing = false;
            self.line(word, self.near(other), &self.ports(edge), &needs)?;
        }
        if is_restricted {
            for line in lines::outside(&graph.outside(workload, direction)) {
                is_nothing = false;
                self.line(word, &line.ends, &line.ports, "")?;
            }
        }
        if is_nothing {
            self.line(word, "nothing", "", "")?;
        }
        self.outer(direction)
    }

    /// Needs that lead out of the repo and that policies deny.
    fn outer(&mut self, direction: Direction) -> io::Result<()> {
        let graph = self.graph;
        for need in graph.outer.iter().filter(|need| !need.is_met) {
            let connection = graph.connection(need);
            let (own, other) = match direction {
                Direction::Egress => (connection.source(), &connection.to),
                Direction::Ingress => (connection.target(), &connection.from),
            };
            if own.is_some_and(|id| id.0 == self.workload) {
                let ports = connection.port.as_ref().map(ToString::to_string).unwrap_or_default();
                let why = format!("needed: {}", shown_evidence(connection));
                self.line("denied", &shown_peer(&graph.names, other), &ports, &why)?;
            }
        }
        Ok(())
    }

    fn near(&self, other: usize) -> &'a str {
        let graph = self.graph;
        graph.names.beside(graph.cluster, self.workload, other)
    }

    /// What is allowed; between workloads that nothing restricts, what is needed of it.
    fn ports(&self, edge: &Edge) -> String {
        let mut needed = PortSet::none();
        for need in &edge.needs {
            let port = self.graph.connection(need).port.as_ref();
            match ports(port, Some(&self.graph.cluster.workloads[edge.to])) {
                Some(ports) => needed.add(&ports),
                None => return edge.ports.to_string(),
            }
        }
        if edge.ports.is_all() && !needed.is_empty() { needed.to_string() } else { edge.ports.to_string() }
    }

    fn needs(&self, edge: &Edge) -> String {
        let Some(need) = edge.needs.first() else { return String::new() };
        // Where policies allow less than is needed, the need that is not met is what to know.
        let need = edge.needs.iter().find(|need| !need.is_met).unwrap_or(need);
        let connection = self.graph.connection(need);
        let port = match &connection.port {
            Some(port) if !need.is_met => format!(" {port}"),
            _ => String::new(),
        };
        let word = if need.is_met { "needed" } else { "needed and denied" };
        format!("{word}{port}: {}", shown_evidence(connection))
    }

    fn line(&mut self, word: &str, name: &str, ports: &str, rest: &str) -> io::Result<()> {
        line(self.out, word, name, ports, rest)
    }
}

fn line(out: &mut dyn Write, word: &str, name: &str, ports: &str, rest: &str) -> io::Result<()> {
    let (name, rest) = (escaped(name), escaped(rest));
    let line = format!("  {word:<6}  {name:<NAME_WIDTH$}  {ports:<PORTS_WIDTH$}  {rest}");
    writeln!(out, "{}", line.trim_end())
}

fn summary(out: &mut dyn Write, graph: &Graph<'_>, shows: &dyn Fn(usize) -> bool) -> io::Result<()> {
    let shown: Vec<usize> = (0..graph.cluster.workloads.len()).filter(|workload| shows(*workload)).collect();
    let restricted = |direction| shown.iter().filter(|idx| graph.is_restricted(**idx, direction)).count();
    let edges = graph.edges.iter().filter(|edge| shows(edge.from) || shows(edge.to));
    let (mut allowed, mut needs, mut met) = (0, 0, 0);
    for edge in edges {
        allowed += usize::from(!edge.ports.is_empty());
        needs += edge.needs.len();
        met += edge.needs.iter().filter(|need| need.is_met).count();
    }
    writeln!(
        out,
        "{}: policies restrict the ingress of {} and the egress of {}",
        plural(shown.len(), "workload"),
        restricted(Direction::Ingress),
        restricted(Direction::Egress)
    )?;
    if graph.cluster.policies.is_empty() {
        writeln!(out, "there is no network policy: everything may connect to everything")?;
    } else {
        writeln!(out, "{} between workloads allowed by policies", plural(allowed, "connection"))?;
        if needs > 0 {
            writeln!(out, "{} between workloads needed, {met} of them allowed", plural(needs, "connection"))?;
        }
    }
    for note in &graph.cluster.notes {
        writeln!(out, "note: {}: {}", escaped(&note.place.to_string()), escaped(&note.message))?;
    }
    Ok(())
}
