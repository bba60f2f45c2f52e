//! `network graph`: workloads, and the connections that policies allow between them.

use std::io::Write;
use std::path::PathBuf;

use super::state::{State, say_skipped};
use crate::cli::inputs::{Inputs, Select};
use crate::cli::{Global, Outcome, say};
use crate::network_policy::{Cluster, Graph, shown_space};
use crate::render::network::{self, GraphFormat};

/// Show workloads and the connections that policies allow, with what says that they are needed
///
/// A workload that no policy selects may connect to everything, and everything to it; only what something needs is
/// then listed. Ends that no manifest shows are shown as the policies name them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden network graph\n  \
    caseharden network graph apps/ --namespace shop\n  \
    caseharden network graph --after --format mermaid > connections.mmd\n  \
    caseharden network graph --format dot | dot -Tsvg > connections.svg\n  \
    caseharden network graph --format json | jq '.connections[] | select(.ports == [])'\n\n\
    Exit codes: 0 done, 2 something could not be read (the rest is shown)")]
pub(super) struct GraphArgs {
    /// Files and folders to read; `-` for standard input
    paths: Vec<PathBuf>,
    /// How to show the connections
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: GraphFormat,
    /// Show them as they are after the fixes
    #[arg(long)]
    after: bool,
    /// Print the JSON Schema of `--format json` and stop
    #[arg(long)]
    schema: bool,
    #[command(flatten)]
    select: Select,
}

pub(super) fn run(args: &GraphArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    if args.schema {
        writeln!(out, "{:#}", network::graph_schema())?;
        return Ok(Outcome::Done);
    }
    let inputs = Inputs::from_disk(&args.paths, &args.select, global)?;
    let state = match args.after {
        true => State::after(&inputs, &args.select)?.unwrap_or_else(|| State::now(&inputs)),
        false => State::now(&inputs),
    };
    let graph = Graph::new(&state.cluster, &state.connections);
    let shows = shown(&state.cluster, &args.select);
    network::graph(out, args.format, &graph, &shows, global.style())?;
    if state.cluster.workloads.is_empty() {
        say("warning: no workload was found\n");
    }
    let has_failed = say_skipped(&inputs, global.quiet);
    Ok(if has_failed { Outcome::Failed } else { Outcome::Done })
}

/// The workloads that the selection is about.
pub(super) fn shown<'a>(cluster: &'a Cluster, select: &'a Select) -> impl Fn(usize) -> bool + 'a {
    move |idx| {
        let workload = &cluster.workloads[idx];
        let in_namespace = select.namespace.as_ref().is_none_or(|name| *name == shown_space(&workload.space));
        let is_object = select.object.as_ref().is_none_or(|object| {
            object.split_once('/').is_some_and(|(kind, name)| kind == workload.kind && name == workload.name)
        });
        in_namespace && is_object
    }
}
