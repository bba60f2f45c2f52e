//! `templates`: list and export what everything that is added is rendered from.

use std::io::Write;
use std::path::PathBuf;

use super::{Global, Outcome, inputs};

/// List or export the templates that everything added is rendered from
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: a fixed user for all pods\n  \
    caseharden templates export hardening\n  \
    echo 'runAsUser: 10001' >> hardening/pod-security-context.yaml\n  \
    caseharden diff --templates hardening")]
pub(super) struct TemplatesArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the templates and what they are for
    List,
    /// Write the templates to a folder, to be changed and given back with `--templates`
    Export {
        dir: PathBuf,
        /// Overwrite files that differ
        #[arg(long)]
        force: bool,
    },
}

pub(super) fn run(args: &TemplatesArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let templates = inputs::templates(global)?;
    match &args.action {
        Action::List => {
            for template in templates.list() {
                writeln!(out, "{}", template.name)?;
                for line in template.description.lines() {
                    writeln!(out, "    {line}")?;
                }
                if let Some(path) = template.overridden_by {
                    writeln!(out, "    replaced by {}", path.display())?;
                }
            }
        }
        Action::Export { dir, force } => {
            for exported in templates.export(dir, *force)? {
                let verb = if exported.written { "wrote" } else { "unchanged" };
                writeln!(out, "{verb} {}", exported.path.display())?;
            }
        }
    }
    Ok(Outcome::Done)
}
