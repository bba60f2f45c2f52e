//! `network`: what network policies allow, as the repo is and as its fixes would make it.

mod diff;
mod explain;
mod graph;
mod state;

use std::io::Write;

use super::{Global, Outcome};

/// Show which connections network policies allow, why, and what the fixes change
///
/// Judges NetworkPolicies (and AdminNetworkPolicies whose peers are pods) of the manifests as a cluster would, without
/// one. Ports are those of pods, which policies see, not those of Services.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden network graph apps/                 who may connect to whom, and what needs it\n  \
    caseharden network explain web db:5432         allowed or denied, and by which line\n  \
    caseharden network diff                        what the fixes would newly deny or allow")]
pub(super) struct NetworkArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Graph(graph::GraphArgs),
    Explain(explain::ExplainArgs),
    Diff(diff::DiffArgs),
}

pub(super) fn run(args: &NetworkArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    match &args.action {
        Action::Graph(args) => graph::run(args, global, out),
        Action::Explain(args) => explain::run(args, global, out),
        Action::Diff(args) => diff::run(args, global, out),
    }
}
