//! `generate quota`, `limits` and `budgets`: what bounds the workloads of a namespace, and what may be taken of them,
//! from what the repo's own manifests say.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use super::output::{Destination, Generated};
use crate::availability::{Asked, Availability, NamespaceUse, Resource, Sized, shown};
use crate::cli::inputs::{Inputs, Select};
use crate::cli::{Global, Helped, Outcome, say};
use crate::model::Model;
use crate::render::{escaped, plural};
use crate::template::{Amounts, WantedBound, WantedLimits};

/// `unhealthyPodEvictionPolicy` is on by default from here on (KEP-3017).
const EVICTS_UNHEALTHY_SINCE: u16 = 27;

/// Write a ResourceQuota for each namespace that has none
///
/// Sums up what the workloads of the namespace request, at the highest number of replicas that an overlay or autoscaler
/// gives them, and adds headroom for rollouts and growth. A resource that some container does not request is left
/// out: a quota on it would refuse that container's pods.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden generate quota\n  \
    caseharden generate quota --headroom 100 --nodes 12 --output quotas/\n  \
    caseharden generate quota --namespace shop")]
pub(super) struct QuotaArgs {
    #[command(flatten)]
    shared: ResourceArgs,
    /// What is added to the sums, in percent; `[resources] headroom` without it
    #[arg(long, value_name = "PERCENT")]
    headroom: Option<u16>,
    /// How many nodes run a pod of each DaemonSet; `[resources] nodes` without it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    nodes: Option<u16>,
}

/// Write a LimitRange for each namespace that has none
///
/// Containers that request nothing get what the others of the namespace request in the middle. Memory limits and the most
/// that a container may ask for are written only where all containers state theirs: a default limit would end those
/// that need more.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden generate limits\n  \
    caseharden generate limits apps/ --output limits/")]
pub(super) struct LimitsArgs {
    #[command(flatten)]
    shared: ResourceArgs,
}

/// Write a PodDisruptionBudget for each workload with two replicas or more that has none
///
/// Each lets one pod go at a time, so that the drain of a node goes on and the workload stays up. A workload that may
/// run with one replica gets none: a budget would keep its node from being drained.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden generate budgets\n  \
    caseharden generate budgets apps/ --output budgets/")]
pub(super) struct BudgetsArgs {
    #[command(flatten)]
    shared: ResourceArgs,
}

#[derive(Debug, clap::Args)]
struct ResourceArgs {
    /// Files and folders whose workloads are looked at
    paths: Vec<PathBuf>,
    /// Only this namespace
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    #[command(flatten)]
    destination: Destination,
}

impl ResourceArgs {
    fn inputs(&self, global: &Global) -> anyhow::Result<Inputs> {
        Inputs::from_disk(&self.paths, &Select::default(), global)
    }

    fn takes(&self, inputs: &Inputs, namespace: &str) -> bool {
        self.namespace.as_ref().is_none_or(|wanted| wanted == namespace)
            && !inputs.config.is_system_namespace(namespace)
    }

    /// Says what was left out, and hands over the files.
    fn finish(
        &self,
        global: &Global,
        availability: &Availability,
        files: Vec<Generated>,
        notes: &[String],
        out: &mut dyn Write,
    ) -> anyhow::Result<Outcome> {
        let mut text: String = notes.iter().map(|note| format!("note: {}\n", escaped(note))).collect();
        if let [first, rest @ ..] = availability.homeless.as_slice() {
            let others = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            text.push_str(&format!(
                "note: {} name no namespace and are left out\n",
                escaped(&(first.clone() + &others))
            ));
        }
        if files.is_empty() {
            if !global.quiet {
                say(&text);
            }
            let help = "no namespace of the repo lacks it, or none with workloads was found".to_owned();
            return Err(Helped { message: "there is nothing to write".to_owned(), help: Some(help) }.into());
        }
        text.push_str(&format!(
            "note: {} to review: the numbers are those of the manifests\n",
            plural(files.len(), "file")
        ));
        if !global.quiet {
            say(&text);
        }
        self.destination.take(&files, out)
    }
}

pub(super) fn quota(args: &QuotaArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let inputs = args.shared.inputs(global)?;
    let headroom = u64::from(args.headroom.unwrap_or(inputs.config.resources.headroom));
    let nodes = u64::from(args.nodes.unwrap_or(inputs.config.resources.nodes));
    let model = Model::new(&inputs.repo, &inputs.config.workloads);
    let availability = Availability::with_nodes(&model, nodes);
    let (mut files, mut said) = (Vec::new(), Vec::new());
    for (namespace, used) in lacking(&availability, |used| used.has_quota) {
        if !args.shared.takes(&inputs, namespace) {
            continue;
        }
        let more = |sum: u64| sum + (sum * headroom).div_ceil(100);
        let mut hard: Amounts = vec![("pods".to_owned(), more(used.pods).max(used.pods + 1).to_string())];
        let mut notes = vec![format!(
            "What {} of {namespace} ask for at most, and {headroom} % for rollouts and growth.",
            plural(usize::try_from(used.pods).unwrap_or(usize::MAX), "pod")
        )];
        for (prefix, asked, resources) in
            [("requests", &used.requests, &Resource::ALL[..]), ("limits", &used.limits, &[Resource::Memory])]
        {
            for resource in resources {
                bounded(prefix, *resource, asked, &more, &mut hard, &mut notes);
            }
        }
        if let [first, rest @ ..] = used.on_each_node.as_slice() {
            let others = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            notes.push(format!("{first}{others}: counted for {nodes} nodes."));
            said.push(format!(
                "{namespace}: {first}{others} counted for {nodes} nodes; `--nodes` says how many there are"
            ));
        }
        let bound = WantedBound { name: "quota".to_owned(), namespace: namespace.clone(), notes };
        let text = inputs.templates.resource_quota(&bound, &hard)?.text;
        files.push(Generated { path: format!("{namespace}/resource-quota.yaml").into(), text });
    }
    args.shared.finish(global, &availability, files, &said, out)
}

/// Adds the bound on a resource, or says which container would have no pod any more.
fn bounded(
    prefix: &str,
    resource: Resource,
    asked: &Asked,
    more: &dyn Fn(u64) -> u64,
    hard: &mut Amounts,
    notes: &mut Vec<String>,
) {
    let key = format!("{prefix}.{}", resource.id());
    match (asked.silent.get(&resource), asked.sum.get(&resource)) {
        (Some(silent), _) => notes.push(format!("No {key}: {silent} states none, and would be refused.")),
        (None, Some(sum)) if *sum > 0 => hard.push((key, shown(more(*sum), resource))),
        (None, _) => {}
    }
}

fn lacking(
    availability: &Availability,
    has: impl Fn(&NamespaceUse) -> bool,
) -> impl Iterator<Item = (&String, &NamespaceUse)> {
    availability.namespaces.iter().filter(move |(_, used)| used.pods > 0 && !has(used))
}

pub(super) fn limits(args: &LimitsArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let inputs = args.shared.inputs(global)?;
    let model = Model::new(&inputs.repo, &inputs.config.workloads);
    let availability = Availability::of(&model);
    let (mut files, mut said) = (Vec::new(), Vec::new());
    for (namespace, used) in lacking(&availability, |used| used.has_limit_range) {
        if !args.shared.takes(&inputs, namespace) {
            continue;
        }
        let Some((wanted, notes)) = limits_of(used) else {
            said.push(format!("{namespace}: no container states a request, so there is nothing to go by"));
            continue;
        };
        let bound = WantedBound { name: "limits".to_owned(), namespace: namespace.clone(), notes };
        let text = inputs.templates.limit_range(&bound, &wanted)?.text;
        files.push(Generated { path: format!("{namespace}/limit-range.yaml").into(), text });
    }
    args.shared.finish(global, &availability, files, &said, out)
}

/// Nothing where no container says anything.
fn limits_of(used: &NamespaceUse) -> Option<(WantedLimits, Vec<String>)> {
    let mut wanted = WantedLimits::default();
    let mut notes =
        vec!["For containers that request nothing: what the others request in the middle.".to_owned()];
    for resource in Resource::ALL {
        let key = resource.id().to_owned();
        if let Some(middle) = middle(&used.each_request, resource) {
            wanted.requests.push((key.clone(), shown(middle, resource)));
        }
    }
    if wanted.requests.is_empty() {
        return None;
    }
    let memory = Resource::Memory;
    let key = memory.id().to_owned();
    match used.limits.silent.get(&memory) {
        None => {
            let limit = middle(&used.each_limit, memory).max(middle(&used.each_request, memory));
            let most = used.each_limit.get(&memory).and_then(|all| all.iter().max()).copied().max(limit);
            wanted.limits.extend(limit.map(|limit| (key.clone(), shown(limit, memory))));
            wanted.most.extend(most.map(|most| (key, shown(most, memory))));
        }
        Some(silent) => {
            notes.push(format!("No limits: {silent} has none, and would be ended where it needs more."));
        }
    }
    notes.push("No limit on cpu: it would slow containers down while the node has time to give.".to_owned());
    Some((wanted, notes))
}

/// The median, the higher one of two.
fn middle(each: &BTreeMap<Resource, Vec<u64>>, resource: Resource) -> Option<u64> {
    let mut all = each.get(&resource)?.clone();
    all.sort_unstable();
    all.get(all.len() / 2).copied()
}

pub(super) fn budgets(args: &BudgetsArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let inputs = args.shared.inputs(global)?;
    let model = Model::new(&inputs.repo, &inputs.config.workloads);
    let availability = Availability::of(&model);
    let evicts_unhealthy = inputs.config.target_version.minor >= EVICTS_UNHEALTHY_SINCE;
    let (mut files, mut said) = (Vec::new(), Vec::new());
    for workload in availability.replicated().filter(|workload| workload.budget.is_none()) {
        let Sized { namespace, kind, name, replicas, selector, .. } = workload;
        if !args.shared.takes(&inputs, namespace) {
            continue;
        }
        if let Some(other) = &workload.shares_with {
            said.push(format!(
                "{kind}/{name} in {namespace}: its selector takes pods of {other} too; left out"
            ));
            continue;
        }
        let notes = vec![format!("{kind}/{name} runs with {replicas} replicas or more.")];
        let bound = WantedBound { name: name.clone(), namespace: namespace.clone(), notes };
        let text = inputs.templates.disruption_budget(&bound, selector, evicts_unhealthy)?.text;
        files.push(Generated { path: format!("{namespace}/{name}-budget.yaml").into(), text });
    }
    args.shared.finish(global, &availability, files, &said, out)
}
