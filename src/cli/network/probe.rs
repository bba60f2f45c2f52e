//! `network probe`: Jobs that try the connections in a real cluster.

use std::io::Write;
use std::path::PathBuf;

use super::graph::shown;
use super::state::{State, say_skipped};
use crate::cli::inputs::{Inputs, Select};
use crate::cli::{Global, Outcome, say};
use crate::image::Reference;
use crate::network_policy::{Graph, probes};
use crate::render::plural;
use crate::template::{ProbeRow, WantedProbe};

/// Print Jobs that try connections in a cluster: some that must work, some that must be blocked
///
/// For each pair of namespaces a few of both, or with `--all` every workload with every Service. A Job's pods have the
/// labels of the workload they stand for, so that its policies apply to them; they are never ready, so that no Service
/// sends to them. They meet the restricted Pod Security level. Each prints pass or FAIL for every connection and fails
/// when one is not as the policies say. Meant for staging: what counts pods by labels (HorizontalPodAutoscalers,
/// PodDisruptionBudgets) sees them too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden network probe | kubectl apply -f -\n  \
    kubectl wait job -A -l app.kubernetes.io/part-of=caseharden-probe --for=condition=complete\n  \
    kubectl logs -A -l batch.kubernetes.io/job-name=probe-web-0\n  \
    caseharden network probe --after --namespace shop\n\n\
    Exit codes: 0 done, 2 there is nothing to try, or something could not be read")]
pub(super) struct ProbeArgs {
    /// Files and folders to read; `-` for standard input
    paths: Vec<PathBuf>,
    /// Try what is allowed after the fixes
    #[arg(long)]
    after: bool,
    /// Every workload with every Service
    #[arg(long)]
    all: bool,
    /// Image with `sh`, `nc` and `nslookup`; pinned when caseharden.lock has its digest
    #[arg(long, value_name = "IMAGE", default_value = "docker.io/library/busybox:1.37")]
    image: String,
    #[command(flatten)]
    select: Select,
}

pub(super) fn run(args: &ProbeArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let reference = Reference::parse(&args.image)
        .map_err(|error| anyhow::anyhow!("`--image {}`: {error}", args.image))?;
    let inputs = Inputs::from_disk(&args.paths, &args.select, global)?;
    let image = match inputs.lock.get(&reference) {
        Some(locked) => format!("{}@{}", args.image, locked.digest),
        None => args.image.clone(),
    };
    let state = match args.after {
        true => State::after(&inputs, &args.select)?.unwrap_or_else(|| State::now(&inputs)),
        false => State::now(&inputs),
    };
    let graph = Graph::new(&state.cluster, &state.connections);
    let shows = shown(&state.cluster, &args.select);
    let probes = probes(&graph, &state.connections.services, &shows, args.all);
    let (mut works, mut blocked) = (0, 0);
    for probe in &probes {
        let workload = &state.cluster.workloads[probe.from];
        let rows: Vec<ProbeRow> = probe
            .attempts
            .iter()
            .map(|attempt| ProbeRow {
                host: attempt.host.clone(),
                port: attempt.port,
                should_work: attempt.should_work,
            })
            .collect();
        works += rows.iter().filter(|row| row.should_work).count();
        blocked += rows.iter().filter(|row| !row.should_work).count();
        let wanted = WantedProbe {
            name: probe.name(workload),
            namespace: workload.space.name().map(str::to_owned),
            labels: workload.labels.clone(),
            image: image.clone(),
            rows,
        };
        let rendered = inputs.templates.probe(&wanted)?;
        writeln!(out, "---\n# Stands for {}.", crate::render::escaped(graph.names.of(probe.from)))?;
        out.write_all(rendered.text.as_bytes())?;
    }
    let has_failed = say_skipped(&inputs, global.quiet);
    if probes.is_empty() {
        say("error: there is nothing to try: no Service of the repo leads to one workload\n");
        return Ok(Outcome::Failed);
    }
    if !global.quiet {
        say(&format!(
            "{}: {works} connections must work, {blocked} must be blocked\n",
            plural(probes.len(), "job")
        ));
        if blocked == 0 {
            say(
                "note: the policies block nothing that can be tried; `--after` tries what the fixes would block\n",
            );
        }
    }
    Ok(if has_failed { Outcome::Failed } else { Outcome::Done })
}
