//! `generate admission`: policies that hold a cluster to what the repo meets once its fixes are made.

mod policies;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use super::output::Destination;
use crate::admission::{Allowed, Judgement, Requirement, SignedImages, judge, signed_images};
use crate::cli::hardened::hardened;
use crate::cli::inputs::{Inputs, Select};
use crate::cli::{Global, Helped, Outcome, say};
use crate::image::Reference;
use crate::model::Model;
use crate::model::references::references;
use crate::plan::{Planner, Purpose};
use crate::render::{escaped, plural};
use crate::repo::Repo;
use crate::rules::Rule;

/// Write admission policies that keep a cluster as hardened as the repo is after its fixes
///
/// Each policy asks for what every workload of the repo meets, so that nothing of it is refused. What it does not meet
/// yet is left out, and said; what somebody allowed is an exception, written out. Policies warn and audit until
/// `--enforce` is given: look at the reports of the cluster first, other things may run in the same namespaces.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden generate admission --engine vap | kubectl apply -f -\n  \
    caseharden generate admission --engine kyverno --output policies/\n  \
    caseharden generate admission --engine gatekeeper --select pod\n  \
    caseharden generate admission --engine policy-controller       signatures only\n  \
    caseharden generate admission --engine vap --enforce           refuse, after a time of warnings\n\n\
    Exit codes: 0 done, 2 there is nothing to ask for, or something could not be read")]
pub(super) struct AdmissionArgs {
    /// Files and folders whose workloads are looked at
    paths: Vec<PathBuf>,
    /// What enforces the policies in the cluster
    #[arg(long, value_name = "ENGINE")]
    engine: Engine,
    /// Refuse what breaks a policy, instead of warning
    #[arg(long)]
    enforce: bool,
    #[command(flatten)]
    destination: Destination,
    #[command(flatten)]
    select: Select,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    /// Kyverno 1.15 or newer: ValidatingPolicy and ImageValidatingPolicy
    Kyverno,
    /// Gatekeeper 3.18 or newer: templates in CEL, and constraints
    Gatekeeper,
    /// ValidatingAdmissionPolicy: the API server itself, from Kubernetes 1.30 on
    Vap,
    /// Sigstore's policy-controller: signatures of images
    PolicyController,
}

pub(super) fn run(args: &AdmissionArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let inputs = Inputs::from_disk(&args.paths, &args.select, global)?;
    let after = hardened(&inputs, &args.select)?;
    let repo = after.as_ref().unwrap_or(&inputs.repo);
    let state = State::of(&inputs, repo, args)?;
    let (files, left_out) = policies::files(&inputs, &state, args)?;
    if !global.quiet {
        say(&state.said(args, &left_out));
    }
    let has_failed = inputs.repo.skipped.iter().any(|skip| skip.reason.is_failure());
    if files.is_empty() {
        let help = match state.judgement.workloads {
            0 => "no workload was found in the paths, or none outside of system namespaces",
            _ => "what was left out says why",
        };
        let message = "there is nothing that a policy could ask for".to_owned();
        return Err(Helped { message, help: Some(help.to_owned()) }.into());
    }
    let outcome = args.destination.take(&files, out)?;
    Ok(if has_failed { Outcome::Failed } else { outcome })
}

/// The repo as its fixes would make it.
struct State {
    judgement: Judgement,
    signed: Vec<SignedImages>,
}

impl State {
    fn of(inputs: &Inputs, repo: &Repo, args: &AdmissionArgs) -> anyhow::Result<State> {
        let model = Model::new(repo, &inputs.config.workloads);
        let selection = inputs.selection(&args.select)?;
        inputs.plan_model(&model, &selection, Purpose::Findings, |planner| {
            let takes = |rule: &Rule| selection.takes_rule(rule);
            let takes_all = args.select.select.is_empty();
            let asks = |requirement: &Requirement| {
                let mut rules = requirement.rules.iter().filter_map(|id| crate::rules::find(id));
                rules.any(takes) || requirement.rules.is_empty() && takes_all
            };
            let judgement = judge(
                &model,
                planner.settings,
                &allowed(planner),
                &|object| selection.takes_object(&model, object),
                &asks,
            );
            let signed = if takes_all || args.select.select.iter().any(|id| id == "image") {
                signed_images(&inputs.config, &inputs.lock, &images(&model, inputs))
            } else {
                Vec::new()
            };
            Ok(State { judgement, signed })
        })
    }

    /// What a person should know before the policies are applied.
    fn said(&self, args: &AdmissionArgs, left_out: &[String]) -> String {
        let mut text: String =
            left_out.iter().map(|reason| format!("left out: {}\n", escaped(reason))).collect();
        let mut note = |line: &str| text.push_str(&format!("note: {}\n", escaped(line)));
        let judgement = &self.judgement;
        if let Some(names) = &judgement.scope.all_but {
            note(&format!(
                "some workloads name no namespace: the policies hold in all but {}",
                names.join(", ")
            ));
        }
        if let [first, rest @ ..] = judgement.system.as_slice() {
            let others = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            note(&format!("system namespaces are left alone: {first}{others}"));
        }
        if let [first, rest @ ..] = judgement.unseen.as_slice() {
            let others = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            note(&format!(
                "an operator makes the pods of {first}{others}: nothing here tells what these meet"
            ));
        }
        let workloads = plural(judgement.workloads, "workload");
        if judgement.workloads == 0 && self.signed.is_empty() {
            return text;
        }
        let mode = if args.enforce { "refuse" } else { "warn and audit; `--enforce` refuses" };
        note(&format!("made of {workloads} as the fixes make them; the policies {mode}"));
        text
    }
}

/// What somebody allowed, by rule and object.
fn allowed(planner: &Planner<'_>) -> Allowed {
    let place = |path: &str, line| format!("{path}:{line}");
    planner
        .allowed()
        .into_iter()
        .map(|(path, judged)| {
            let key = (judged.finding.rule.id, path.to_owned(), judged.object.clone());
            (key, place(path, judged.line))
        })
        .collect()
}

/// The images that the repo names, each once.
fn images(model: &Model<'_>, inputs: &Inputs) -> Vec<Reference> {
    let uses = references(model, &inputs.config.workloads, &inputs.config.image_fields);
    let images: BTreeSet<Reference> = uses.into_iter().filter_map(|image| image.target.ok()).collect();
    images.into_iter().collect()
}
