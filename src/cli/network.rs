//! `network`: what network policies allow, as the repo is and as its fixes would make it.

mod diff;
mod explain;
mod graph;
mod probe;
mod state;

use std::io::Write;

use self::graph::shown;
use self::state::State;
use super::inputs::{Inputs, Select};
use super::{Global, Outcome};
use crate::network_policy::Graph;
use crate::render::network::graph_svg;

/// Show which connections network policies allow, why, and what the fixes change
///
/// Judges NetworkPolicies (and AdminNetworkPolicies whose peers are pods) of the manifests as a cluster would, without
/// one. Ports are those of pods, which policies see, not those of Services.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden network graph apps/                 who may connect to whom, and what needs it\n  \
    caseharden network explain web db:5432         allowed or denied, and by which line\n  \
    caseharden network diff                        what the fixes would newly deny or allow\n  \
    caseharden network probe | kubectl apply -f -  try connections in a staging cluster")]
pub(super) struct NetworkArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Graph(graph::GraphArgs),
    Explain(explain::ExplainArgs),
    Diff(diff::DiffArgs),
    Probe(probe::ProbeArgs),
}

pub(super) fn run(args: &NetworkArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    match &args.action {
        Action::Graph(args) => graph::run(args, global, out),
        Action::Explain(args) => explain::run(args, global, out),
        Action::Diff(args) => diff::run(args, global, out),
        Action::Probe(args) => probe::run(args, global, out),
    }
}

/// Pictures of the connections as they are, and as the fixes would make them.
pub(super) fn pictures(inputs: &Inputs, select: &Select) -> Option<(String, String)> {
    let now = State::now(inputs);
    let after = State::after(inputs, select).ok()??;
    let picture = |state: &State| {
        graph_svg(&Graph::new(&state.cluster, &state.connections), &shown(&state.cluster, select))
    };
    Some((picture(&now), picture(&after)))
}
