//! Connections for programs: one object whose shape is a promise, with a schema.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::shown_peer;
use crate::connections::{Certainty, Connection};
use crate::network_policy::{
    Direction, Foreign, Graph, Namespaces, Need, Note, Outside, PortSet, shown_space,
};

/// The output of `caseharden network graph --format json`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "caseharden network graph")]
struct GraphReport {
    /// Of this format.
    version: u32,
    workloads: Vec<JsonWorkload>,
    /// What policies allow between two workloads. Those from a workload whose egress is not restricted to one whose
    /// ingress is not restricted are listed only when something needs them: all of them are allowed on any port.
    connections: Vec<JsonConnection>,
    /// What is needed and has an end outside the repo.
    outer_needs: Vec<JsonOuterNeed>,
    /// Objects of other kinds that limit traffic as well.
    not_judged: Vec<JsonForeign>,
    notes: Vec<JsonNote>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct JsonWorkload {
    /// As the other fields call it; no two workloads have the same.
    name: String,
    kind: String,
    object: String,
    /// Null when nothing tells.
    namespace: Option<String>,
    path: String,
    line: usize,
    /// Policies do not apply to pods of the node's network.
    host_network: bool,
    egress: JsonSide,
    ingress: JsonSide,
    /// Whether objects that are not judged limit its traffic as well.
    judged: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct JsonSide {
    /// Whether any policy selects its pods for this direction; without one everything is allowed.
    restricted: bool,
    policies: Vec<JsonPolicy>,
    /// Addresses outside the cluster that are allowed.
    addresses: Vec<JsonSpan>,
    /// Pods that are allowed and that no workload of the repo makes, or not only.
    other_pods: Vec<JsonPods>,
    /// Ends outside the cluster, and nodes, that policies call by names of their own.
    named: Vec<JsonNamed>,
    /// Policies of administrators decide about those pods as well, by labels that no manifest shows.
    up_to_admins: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct JsonPolicy {
    kind: &'static str,
    name: String,
    path: String,
    pub(super) line: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct JsonSpan {
    first: String,
    last: String,
    ports: Vec<JsonPorts>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct JsonPods {
    /// A label selector of namespaces, empty for any; null for the one in `namespace`.
    namespaces: Option<String>,
    namespace: Option<String>,
    /// A label selector, empty for all.
    pods: String,
    ports: Vec<JsonPorts>,
    /// Ports by name, whose numbers only their containers tell.
    named_ports: Vec<JsonNamedPort>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct JsonNamed {
    name: String,
    ports: Vec<JsonPorts>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct JsonNamedPort {
    protocol: &'static str,
    name: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct JsonPorts {
    protocol: &'static str,
    first: u16,
    last: u16,
}

#[derive(Debug, Serialize, JsonSchema)]
struct JsonConnection {
    from: String,
    to: String,
    /// Of the pods of `to`; empty when the connection is needed and denied.
    ports: Vec<JsonPorts>,
    needs: Vec<JsonNeed>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct JsonNeed {
    /// On the side of the pod that takes the connection; null for all of them.
    port: Option<String>,
    #[schemars(regex(pattern = "^(sure|likely)$"))]
    certainty: &'static str,
    /// Whether policies allow it.
    allowed: bool,
    evidence: Vec<JsonEvidence>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct JsonEvidence {
    path: String,
    line: usize,
    words: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct JsonOuterNeed {
    from: String,
    to: String,
    need: JsonNeed,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct JsonForeign {
    kind: String,
    name: String,
    /// Null for the whole cluster.
    namespace: Option<String>,
    path: String,
    line: usize,
    reason: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct JsonNote {
    path: String,
    line: usize,
    message: String,
}

/// The JSON Schema of `network graph --format json`.
pub fn graph_schema() -> Value {
    schemars::schema_for!(GraphReport).to_value()
}

pub fn graph_json(out: &mut dyn Write, graph: &Graph<'_>, shows: &dyn Fn(usize) -> bool) -> io::Result<()> {
    let workloads = (0..graph.cluster.workloads.len()).filter(|idx| shows(*idx));
    let edges = graph.edges.iter().filter(|edge| shows(edge.from) || shows(edge.to));
    let outer = graph.outer.iter().filter(|need| {
        let connection = graph.connection(need);
        [connection.source(), connection.target()].into_iter().flatten().any(|id| shows(id.0))
    });
    let report = GraphReport {
        version: 1,
        workloads: workloads.map(|idx| workload(graph, idx)).collect(),
        connections: edges
            .map(|edge| JsonConnection {
                from: graph.names.of(edge.from).to_owned(),
                to: graph.names.of(edge.to).to_owned(),
                ports: ports(&edge.ports),
                needs: edge.needs.iter().map(|need| json_need(graph, need)).collect(),
            })
            .collect(),
        outer_needs: outer.map(|need| outer_need(graph, need)).collect(),
        not_judged: graph.cluster.foreign.iter().map(foreign).collect(),
        notes: graph.cluster.notes.iter().map(note).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
}

fn workload(graph: &Graph<'_>, idx: usize) -> JsonWorkload {
    let workload = &graph.cluster.workloads[idx];
    let side = |direction| {
        let outside = graph.outside(idx, direction);
        JsonSide {
            restricted: graph.is_restricted(idx, direction),
            policies: graph
                .evaluator
                .selecting(idx, direction)
                .map(|policy| {
                    let line = graph.cluster.policies[policy].place.line;
                    json_policy(graph, policy, line)
                })
                .collect(),
            addresses: addresses(&outside),
            other_pods: other_pods(&outside),
            named: named(&outside),
            up_to_admins: outside.is_up_to_admins,
        }
    };
    JsonWorkload {
        name: graph.names.of(idx).to_owned(),
        kind: workload.kind.clone(),
        object: workload.name.clone(),
        namespace: workload.space.name().map(str::to_owned),
        path: workload.place.path.clone(),
        line: workload.place.line,
        host_network: workload.host_network,
        egress: side(Direction::Egress),
        ingress: side(Direction::Ingress),
        judged: graph.foreign_of(idx).next().is_none(),
    }
}

/// A policy, at one of its lines.
pub(super) fn json_policy(graph: &Graph<'_>, policy: usize, line: usize) -> JsonPolicy {
    let policy = &graph.cluster.policies[policy];
    JsonPolicy { kind: policy.kind(), name: policy.name.clone(), path: policy.place.path.clone(), line }
}

pub(super) fn addresses(outside: &Outside) -> Vec<JsonSpan> {
    let spans = outside.addresses.spans().iter();
    spans
        .map(|span| JsonSpan {
            first: span.first().to_string(),
            last: span.last().to_string(),
            ports: ports(&span.ports),
        })
        .collect()
}

pub(super) fn other_pods(outside: &Outside) -> Vec<JsonPods> {
    let pods = outside.pods.iter();
    pods.map(|pods| JsonPods {
        namespaces: match &pods.namespaces {
            Namespaces::Any => Some(String::new()),
            Namespaces::Selected(selector) => Some(selector.clone()),
            Namespaces::Own(_) => None,
        },
        namespace: match &pods.namespaces {
            Namespaces::Own(space) => Some(shown_space(space)),
            _ => None,
        },
        pods: pods.pods.clone(),
        ports: ports(&pods.ports),
        named_ports: pods
            .names
            .iter()
            .map(|(protocol, name)| JsonNamedPort { protocol: protocol.as_str(), name: name.clone() })
            .collect(),
    })
    .collect()
}

pub(super) fn named(outside: &Outside) -> Vec<JsonNamed> {
    let each = outside.named.iter();
    each.map(|(end, of)| JsonNamed { name: end.to_string(), ports: ports(of) }).collect()
}

pub(super) fn ports(set: &PortSet) -> Vec<JsonPorts> {
    set.ranges()
        .map(|(protocol, first, last)| JsonPorts { protocol: protocol.as_str(), first, last })
        .collect()
}

pub(super) fn json_need(graph: &Graph<'_>, need: &Need) -> JsonNeed {
    let connection: &Connection = graph.connection(need);
    let evidence = connection.evidence.iter();
    JsonNeed {
        port: connection.port.as_ref().map(ToString::to_string),
        certainty: if connection.certainty == Certainty::Sure { "sure" } else { "likely" },
        allowed: need.is_met,
        evidence: evidence
            .map(|evidence| JsonEvidence {
                path: evidence.path.clone(),
                line: evidence.line,
                words: evidence.words.clone(),
            })
            .collect(),
    }
}

pub(super) fn outer_need(graph: &Graph<'_>, need: &Need) -> JsonOuterNeed {
    let connection = graph.connection(need);
    JsonOuterNeed {
        from: shown_peer(&graph.names, &connection.from),
        to: shown_peer(&graph.names, &connection.to),
        need: json_need(graph, need),
    }
}

pub(super) fn foreign(foreign: &Foreign) -> JsonForeign {
    JsonForeign {
        kind: foreign.kind.clone(),
        name: foreign.name.clone(),
        namespace: foreign.space.as_ref().map(shown_space),
        path: foreign.place.path.clone(),
        line: foreign.place.line,
        reason: foreign.reason.clone(),
    }
}

pub(super) fn note(note: &Note) -> JsonNote {
    JsonNote { path: note.place.path.clone(), line: note.place.line, message: note.message.clone() }
}
