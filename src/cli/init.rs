//! `init`: a commented configuration to start from.

use std::io::Write;
use std::path::PathBuf;

use super::{Global, Helped, Outcome, inputs};
use crate::apply::{self, WriteError};
use crate::config;
use crate::repo::Root;

/// Write a commented caseharden.toml at the root of the repo
#[derive(Debug, clap::Args)]
pub(super) struct InitArgs {
    /// A path in the repo
    path: Option<PathBuf>,
    /// Print the JSON Schema of the configuration instead
    #[arg(long)]
    schema: bool,
}

pub(super) fn run(args: &InitArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    if args.schema {
        writeln!(out, "{:#}", config::schema())?;
        return Ok(Outcome::Done);
    }
    let paths: Vec<PathBuf> = args.path.iter().cloned().collect();
    let root = Root::find(&paths)?;
    let text = inputs::templates(global)?.config()?;
    match apply::write(&root.folder, config::FILE_NAME.as_ref(), text.as_bytes(), None) {
        Ok(()) => {
            writeln!(out, "wrote {}", root.folder.join(config::FILE_NAME).display())?;
            Ok(Outcome::Done)
        }
        Err(WriteError::Exists(_)) => Err(Helped {
            message: format!("{} exists already", root.folder.join(config::FILE_NAME).display()),
            help: Some("`caseharden templates export DIR` writes the commented one elsewhere".to_owned()),
        }
        .into()),
        Err(error) => Err(error.into()),
    }
}
