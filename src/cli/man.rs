//! `man`: manual pages from the command line's own definition.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::CommandFactory;

use super::{Cli, Outcome};

/// Print the manual page, or write the pages of all commands to a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  caseharden man | man -l -\n  caseharden man ~/.local/share/man/man1")]
pub(super) struct ManArgs {
    /// Folder to write one page for each command to
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &ManArgs, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let mut command = Cli::command();
    command.build();
    let Some(dir) = &args.dir else {
        clap_mangen::Man::new(command).render(&mut *out)?;
        return Ok(Outcome::Done);
    };
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    for (name, page) in pages(command)? {
        let path = dir.join(name);
        fs::write(&path, page).with_context(|| path.display().to_string())?;
        writeln!(out, "wrote {}", path.display())?;
    }
    Ok(Outcome::Done)
}

fn pages(command: clap::Command) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut pages = Vec::new();
    for subcommand in command.get_subcommands().filter(|command| command.get_name() != "help") {
        pages.push(page(subcommand.clone())?);
    }
    pages.insert(0, page(command)?);
    Ok(pages)
}

fn page(command: clap::Command) -> anyhow::Result<(String, Vec<u8>)> {
    let man = clap_mangen::Man::new(command);
    let mut text = Vec::new();
    man.render(&mut text)?;
    Ok((man.get_filename(), text))
}
