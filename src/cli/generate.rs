//! `generate`: whole new files from templates, for what a repo does not have yet.

mod apiserver;
mod output;

use std::io::Write;

use super::{Global, Outcome};

/// Write configuration that a repo does not have yet, from templates
///
/// Prints the files, or writes them into a folder with `--output`. What is there already and differs is not
/// overwritten without `--force`. The templates can be replaced: see `caseharden templates --help`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden generate apiserver                     show the files\n  \
    caseharden generate apiserver --output control-plane/")]
pub(super) struct GenerateArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Apiserver(apiserver::ApiserverArgs),
}

pub(super) fn run(args: &GenerateArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    match &args.what {
        What::Apiserver(args) => apiserver::run(args, global, out),
    }
}
