//! `generate`: whole new files from templates, for what a repo does not have yet.

mod admission;
mod apiserver;
mod fleet;
mod output;
mod pipeline;
mod resources;

use std::io::Write;

use super::{Global, Outcome};

/// Write configuration that a repo does not have yet, from templates
///
/// Prints the files, or writes them into a folder with `--output`. What is there already and differs is not
/// overwritten without `--force`. The templates can be replaced: see `caseharden templates --help`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden generate apiserver --for kubeadm       show the files\n  \
    caseharden generate apiserver --for kind --output kind/\n  \
    caseharden generate admission --engine kyverno    policies that keep the repo as its fixes make it\n  \
    caseharden generate quota --output quotas/        what each namespace may take")]
pub(super) struct GenerateArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Admission(admission::AdmissionArgs),
    Pipeline(pipeline::PipelineArgs),
    Fleet(fleet::FleetArgs),
    Quota(resources::QuotaArgs),
    Limits(resources::LimitsArgs),
    Budgets(resources::BudgetsArgs),
    Apiserver(apiserver::ApiserverArgs),
}

pub(super) fn run(args: &GenerateArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    match &args.what {
        What::Admission(args) => admission::run(args, global, out),
        What::Pipeline(args) => pipeline::run(args, global, out),
        What::Fleet(args) => fleet::run(args, global, out),
        What::Quota(args) => resources::quota(args, global, out),
        What::Limits(args) => resources::limits(args, global, out),
        What::Budgets(args) => resources::budgets(args, global, out),
        What::Apiserver(args) => apiserver::run(args, global, out),
    }
}
