//! Connections as text, JSON, DOT and Mermaid. Shows what it is given and judges nothing.

mod diff;
mod dot;
mod drawing;
mod explain;
mod json;
mod lines;
mod mermaid;
mod svg;
mod text;

use std::io::{self, Write};

pub use self::diff::{diff_json, diff_text};
pub use self::explain::{Answer, Explanation, Question, explain_json, explain_text};
pub use self::json::{graph_json, graph_schema};
pub use self::svg::graph_svg;
use super::Style;
use crate::connections::{Connection, Peer};
use crate::network_policy::{Foreign, Graph, Names, Policy, shown_space};

/// How `network graph` shows connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum GraphFormat {
    /// For people: by workload, with what says that a connection is needed
    Text,
    /// For programs: one stable object; `--schema` describes it
    Json,
    /// For Graphviz
    Dot,
    /// For Markdown that draws Mermaid diagrams
    Mermaid,
}

/// Shows a graph; `shows` picks the workloads.
pub fn graph(
    out: &mut dyn Write,
    format: GraphFormat,
    graph: &Graph<'_>,
    shows: &dyn Fn(usize) -> bool,
    style: Style,
) -> io::Result<()> {
    match format {
        GraphFormat::Text => text::graph(out, graph, shows, style),
        GraphFormat::Json => graph_json(out, graph, shows),
        GraphFormat::Dot => dot::graph(out, graph, shows),
        GraphFormat::Mermaid => mermaid::graph(out, graph, shows),
    }
}

/// One end of a need, as people call it.
pub(super) fn shown_peer(names: &Names, peer: &Peer) -> String {
    match peer {
        Peer::Member(id) => names.of(id.0).to_owned(),
        Peer::Pods { namespace, labels } if labels.is_empty() => {
            format!("pods of {}", shown_space(namespace))
        }
        Peer::Pods { namespace, labels } => {
            let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("pods {} of {}", labels.join(","), shown_space(namespace))
        }
        Peer::IngressController { class: None } => "the ingress controller".to_owned(),
        Peer::IngressController { class: Some(class) } => format!("the ingress controller `{class}`"),
        Peer::Monitoring => "monitoring".to_owned(),
        Peer::ApiServer => "the Kubernetes API server".to_owned(),
        Peer::Dns => "the cluster's DNS".to_owned(),
        Peer::Host(host) => host.clone(),
        Peer::IpBlock { cidr, except } if except.is_empty() => cidr.clone(),
        Peer::IpBlock { cidr, except } => format!("{cidr} except {}", except.join(", ")),
        Peer::Everything => "anywhere".to_owned(),
    }
}

/// Where a need is written: `web.yaml:20`, and how many more places there are.
pub(super) fn shown_evidence(connection: &Connection) -> String {
    match connection.evidence.as_slice() {
        [] => String::new(),
        [first] => format!("{}:{}: {}", first.path, first.line, first.words),
        [first, rest @ ..] => {
            format!("{}:{}: {} (and {} more)", first.path, first.line, first.words, rest.len())
        }
    }
}

/// `NetworkPolicy/web (web.yaml:3)`.
pub(super) fn shown_policy(policy: &Policy) -> String {
    format!("{}/{} ({})", policy.kind(), policy.name, policy.place)
}

pub(super) fn shown_foreign(foreign: &Foreign) -> String {
    format!("not judged: {}/{} ({}): {}", foreign.kind, foreign.name, foreign.place, foreign.reason)
}
