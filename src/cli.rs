//! The command line: arguments, what a command reads, exit codes. The only place that prints.
//!
//! Exit codes: 0 nothing found, or done · 1 findings, or a diff that is not empty · 2 something failed or could
//! not be read; the rest was still done.

mod apply;
mod branch;
mod check;
mod checklist;
mod completions;
mod component_files;
mod diff;
mod evidence;
mod explain;
mod fleet;
mod generate;
mod hardened;
mod init;
mod inputs;
mod lock;
mod man;
mod network;
mod overlay;
mod patch_files;
mod prove;
mod rbac;
mod review;
mod rules;
mod templates;
mod terminal;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::config::ConfigError;
use crate::render::shown;

/// Hardens the Kubernetes manifests of a repo with minimal, proved, reviewable edits
///
/// Finds what is not hardened, shows the changes as a diff, writes them in place, or commits them to branches.
/// Only the bytes that must change do: comments, order and formatting stay.
#[derive(Debug, Parser)]
#[command(
    name = "caseharden",
    version,
    max_term_width = 100,
    after_help = "Examples:\n  \
        caseharden check                  what is not hardened here, and which level each namespace could enforce\n  \
        caseharden diff apps/             the changes that would harden apps/, for `git apply`\n  \
        caseharden diff --level safe      only those that cannot change what runs\n  \
        caseharden apply --select pod     write the changes of the pod rules in place\n  \
        caseharden branch --per rule      one branch for each rule, the checkout untouched\n  \
        caseharden explain runs-as-root   why, how it is fixed, what could break"
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::CheckArgs),
    Checklist(checklist::ChecklistArgs),
    Diff(diff::DiffArgs),
    Apply(apply::ApplyArgs),
    Branch(branch::BranchArgs),
    Fleet(fleet::FleetArgs),
    Overlay(overlay::OverlayArgs),
    Lock(lock::LockArgs),
    Network(network::NetworkArgs),
    Rbac(rbac::RbacArgs),
    Generate(generate::GenerateArgs),
    Rules(rules::RulesArgs),
    Explain(explain::ExplainArgs),
    Templates(templates::TemplatesArgs),
    Init(init::InitArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Say less: results only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more: notes, evidence, every skipped file
    #[arg(short, long, global = true)]
    verbose: bool,
    /// When to colour the output; NO_COLOR and CLICOLOR_FORCE count too
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: Color,
    /// Threads to use; all cores without it
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Configuration to use instead of the repo's caseharden.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of templates that replace the built-in ones of the same name
    #[arg(long, global = true, value_name = "DIR")]
    templates: Option<PathBuf>,
    /// Refuse everything that needs the network
    #[arg(long, global = true)]
    offline: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

/// What a command has to say for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Done,
    Found,
    Failed,
}

impl Outcome {
    fn code(self) -> ExitCode {
        match self {
            Outcome::Done => ExitCode::SUCCESS,
            Outcome::Found => ExitCode::from(1),
            Outcome::Failed => ExitCode::from(2),
        }
    }
}

/// An error with what the user can do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Helped {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// Parses the process's arguments and runs the command.
pub fn main() -> ExitCode {
    let cli = parsed();
    if let Some(jobs) = cli.global.jobs {
        // Fails only when a pool is there already, which then serves as well.
        rayon::ThreadPoolBuilder::new().num_threads(usize::from(jobs)).build_global().ok();
    }
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout());
    let result = run(&cli, &mut out).and_then(|outcome| {
        out.flush()?;
        Ok(outcome)
    });
    match result {
        Ok(outcome) => outcome.code(),
        // Whoever closed the pipe has what they wanted.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            Outcome::Failed.code()
        }
    }
}

/// The process's arguments. As a plugin of kubectl, usage lines say what was typed:
/// <https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/>.
fn parsed() -> Cli {
    let own_name = std::env::args_os().next().map(PathBuf::from);
    let is_plugin = own_name.as_deref().and_then(Path::file_stem).is_some_and(|name| name == PLUGIN);
    let command = Cli::command();
    let command = if is_plugin { command.bin_name("kubectl caseharden") } else { command };
    Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

/// What kubectl looks for in `PATH`.
const PLUGIN: &str = "kubectl-caseharden";

fn run(cli: &Cli, out: &mut (dyn Write + Send)) -> anyhow::Result<Outcome> {
    let global = &cli.global;
    match &cli.command {
        Command::Check(args) => check::run(args, global, out),
        Command::Checklist(args) => checklist::run(args, global, out),
        Command::Diff(args) => diff::run(args, global, out),
        Command::Apply(args) => apply::run(args, global, out),
        Command::Branch(args) => branch::run(args, global, out),
        Command::Fleet(args) => fleet::run(args, global, out),
        Command::Overlay(args) => overlay::run(args, global, out),
        Command::Lock(args) => lock::run(args, global, out),
        Command::Network(args) => network::run(args, global, out),
        Command::Rbac(args) => rbac::run(args, global, out),
        Command::Generate(args) => generate::run(args, global, out),
        Command::Rules(args) => rules::run(args, out),
        Command::Explain(args) => explain::run(args, out),
        Command::Templates(args) => templates::run(args, global, out),
        Command::Init(args) => init::run(args, global, out),
        Command::Completions(args) => completions::run(args, out),
        Command::Man(args) => man::run(args, out),
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// One cause a line, the help at the end. An error about several places has a line for each.
fn report(error: &anyhow::Error) {
    let mut text = String::new();
    if let Some(ConfigError::Invalid(mistakes)) = error.downcast_ref::<ConfigError>() {
        for mistake in mistakes {
            text.push_str(&format!("error: {}\n", shown(&mistake.to_string())));
            text.extend(mistake.help.iter().map(|help| format!("  help: {}\n", shown(help))));
        }
        return say(&text);
    }
    for line in error.to_string().lines() {
        text.push_str(&format!("error: {}\n", shown(line)));
    }
    for cause in error.chain().skip(1) {
        text.push_str(&format!("  cause: {}\n", shown(&cause.to_string())));
    }
    let help = error.chain().find_map(|cause| cause.downcast_ref::<Helped>()?.help.clone());
    if let Some(help) = help {
        text.push_str(&format!("  help: {}\n", shown(&help)));
    }
    say(&text);
}

/// Talk goes to stderr; a closed one is no reason to stop.
fn say(text: &str) {
    io::stderr().write_all(text.as_bytes()).ok();
}

impl Global {
    fn style(&self) -> crate::render::Style {
        let terminal = io::stdout().is_terminal();
        let color = match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                !matches!(anstream::AutoStream::choice(&io::stdout()), anstream::ColorChoice::Never)
            }
        };
        crate::render::Style {
            terminal,
            color,
            quiet: self.quiet,
            verbose: self.verbose,
            links: terminal::has_links(),
        }
    }
}
