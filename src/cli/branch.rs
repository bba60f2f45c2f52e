//! `branch`: commit the changes to new branches.

mod base;
mod changes;
mod delivery;
mod division;
mod message;
mod pull_requests;
mod session;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use self::base::Base;
use self::delivery::Remote;
use self::division::Per;
pub(super) use self::pull_requests::forge_of_org;
use self::pull_requests::{Desk, PullArgs};
use self::session::Session;
use super::inputs::Select;
use super::prove::ProveArgs;
use super::{Global, Outcome, say};
use crate::git::{GitError, Repository};
use crate::render::branches::{FORMAT, Record};
use crate::render::{MAX_MARKDOWN, closing};
use crate::repo::{self, Root};

/// Commit the changes to new branches
///
/// Works from the files of HEAD and writes straight to git's object store: the checkout, the index, HEAD and hooks
/// are never touched, whatever state they are in. Run again without new findings, it makes no new commit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden branch\n  \
    caseharden branch --per rule --level safe\n  \
    caseharden branch --per namespace --push origin\n  \
    caseharden branch --per owner --max-files 40 --dry-run\n  \
    caseharden branch --per area --stacked\n  \
    caseharden branch --per area --push origin --pull-request --draft\n\n\
    Exit codes: 0 done, 2 something failed or could not be read (the rest was still done)")]
pub(super) struct BranchArgs {
    /// Folder or file of the repo; all of it without one
    pub(super) path: Option<PathBuf>,
    /// Commit to stand on, instead of HEAD
    #[arg(long, value_name = "REVISION")]
    base: Option<String>,
    /// Push the branches with your own git
    #[arg(long, value_name = "REMOTE")]
    push: Option<String>,
    /// How to show what was made
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    pub(super) making: Making,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people: a line for each branch as it is made
    Text,
    /// For programs: one object at the end
    Json,
}

/// How branches are made, in one repo or in many.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Making {
    /// How to divide the changes into branches
    #[arg(long, value_name = "GROUP", default_value = "run")]
    per: Per,
    /// What branch names start with
    #[arg(long, value_name = "PREFIX", default_value = "caseharden/")]
    prefix: String,
    /// Replace branches that exist and hold something else
    #[arg(long)]
    force: bool,
    /// Most files in a branch; what cannot be merged apart stays together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_files: Option<u32>,
    /// Let each branch stand on the one before it; otherwise each applies alone to the base
    #[arg(long)]
    stacked: bool,
    /// Trailer of the commits, as `Reviewed-by: Ann <ann@example.com>` (can be repeated)
    #[arg(long, value_name = "TRAILER", value_parser = message::trailer)]
    trailer: Vec<String>,
    /// Ask the registries first, as `caseharden lock` does, and commit caseharden.lock with the changes
    #[arg(long)]
    lock: bool,
    /// Show what would be made, pushed, opened and closed, and do none of it
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) prove: ProveArgs,
    #[command(flatten)]
    pub(super) pulls: PullArgs,
    #[command(flatten)]
    pub(super) select: Select,
}

/// One repo whose branches are to be made.
pub(super) struct Job<'a> {
    pub(super) making: &'a Making,
    pub(super) root: Root,
    /// What of it, as the user named it.
    pub(super) path: Option<&'a Path>,
    pub(super) base: Option<&'a str>,
    pub(super) push: Option<&'a str>,
    /// Whether a branch is only pushed over what is ours alone, even without a pull request.
    pub(super) is_one_of_many: bool,
    /// Most pull requests that may be opened.
    pub(super) most_opened: u32,
}

pub(super) fn run(args: &BranchArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let paths: Vec<PathBuf> = args.path.iter().cloned().collect();
    let job = Job {
        making: &args.making,
        root: Root::find(&paths)?,
        path: args.path.as_deref(),
        base: args.base.as_deref(),
        push: args.push.as_deref(),
        is_one_of_many: false,
        most_opened: args.making.pulls.most_opened(),
    };
    let record = match args.format {
        Format::Text => make(job, global, out)?,
        Format::Json => {
            let record = make(job, global, &mut io::sink())?;
            writeln!(out, "{}", serde_json::to_string_pretty(&record)?)?;
            record
        }
    };
    Ok(if record.failed { Outcome::Failed } else { Outcome::Done })
}

/// Makes the branches of one repo, hands them on as asked, and says so line by line.
pub(super) fn make(job: Job<'_>, global: &Global, out: &mut dyn Write) -> anyhow::Result<Record> {
    anyhow::ensure!(
        !(global.offline && job.push.is_some()),
        "`--push` needs the network, which `--offline` refuses"
    );
    anyhow::ensure!(
        !(global.offline && job.making.lock),
        "`--lock` asks registries, and `--offline` refuses the network"
    );
    let Some(repository) = Repository::discover(&job.root.folder).map_err(helped)? else {
        anyhow::bail!(
            "`{}` is not in a git repository: there is nothing to branch from",
            job.root.folder.display()
        );
    };
    if global.verbose {
        say(&format!("git: {}\n", repository.road()));
    }
    let commit = repository.base(job.base).map_err(helped)?;
    let base = Base::new(&repository, commit, &job, global)?;
    let mut inputs = base.read(job.root.clone())?;
    let lock = match job.making.lock {
        true => Some(base.lock(&mut inputs)?),
        false => None,
    };
    let unproved = base.prove(&mut inputs)?;
    base.say_dirty(&inputs)?;

    let owners = base.code_owners()?;
    let scope = job.scope();
    let remote = job.push.map(|name| Remote { repository: &repository, name, base: commit });
    let mut desk = match remote {
        Some(remote) if job.making.pulls.pull_request => Some(Desk::new(&job, remote, scope)?),
        _ => None,
    };
    let longest = desk.as_ref().map_or(MAX_MARKDOWN, |desk| Desk::longest_summary(desk.kind()));
    let (lock, lock_failed) = lock.unwrap_or_default();
    let mut session = Session {
        job: &job,
        global,
        base: &base,
        owners,
        lock,
        longest,
        drafts: Vec::new(),
        failed: unproved || lock_failed,
    };
    let counts = session.commit_groups(&inputs, out)?;
    match (&mut desk, remote) {
        (Some(desk), _) => session.settle(desk, out)?,
        (None, Some(remote)) if job.is_one_of_many => session.deliver(remote, out)?,
        (None, Some(remote)) => session.push(remote)?,
        (None, None) => {}
    }
    if !global.quiet {
        say(&closing(&counts, &[]));
    }
    Ok(Record {
        format: FORMAT,
        base: commit.to_string(),
        workloads: counts.workloads,
        findings: counts.tally.findings,
        fixed: counts.tally.fixable,
        failed: session.failed,
        branches: session.drafts.into_iter().map(|draft| draft.branch).collect(),
    })
}

fn helped(error: GitError) -> anyhow::Error {
    let help = error.help();
    anyhow::Error::new(super::Helped { message: error.to_string(), help })
}

impl Job<'_> {
    /// What tells runs apart that divide or select differently: each sees to its own pull requests only.
    fn scope(&self) -> String {
        let Making { per, prefix, max_files, stacked, select, .. } = self.making;
        let Select { select, ignore, namespace, object, .. } = select;
        let path = self.path.map(repo::slashed).unwrap_or_default();
        let text = format!(
            "{per:?} {prefix} {path} {} {} {namespace:?} {object:?} {max_files:?} {stacked}",
            select.join(","),
            ignore.join(","),
        );
        crate::git::blob_id(text.as_bytes())[..16].to_owned()
    }
}
