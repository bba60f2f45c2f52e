//! `completions`: scripts for shells.

use std::io::Write;

use clap::CommandFactory;

use super::{Cli, Outcome};

/// Print the completion script of a shell
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  caseharden completions bash > ~/.local/share/bash-completion/completions/caseharden"
)]
pub(super) struct CompletionsArgs {
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &CompletionsArgs, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "caseharden", &mut script);
    out.write_all(&script)?;
    Ok(Outcome::Done)
}
