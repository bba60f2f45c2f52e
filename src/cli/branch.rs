//! `branch`: commit the changes to new branches.

mod changes;
mod division;
mod message;
mod pull_requests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;

use self::changes::{Changes, collect};
use self::division::{Group, Per};
use self::pull_requests::{Desk, Made, PullArgs};
use super::inputs::{Inputs, Select, count_report, counts, decide, has_failed};
use super::prove::ProveArgs;
use super::{Global, Outcome, say};
use crate::forge::CodeOwners;
use crate::git::{BranchOutcome, BranchRequest, GitError, HeadTree, ObjectId, Repository};
use crate::plan::{Fate, Judged, Planned, Planner, Purpose, Selection, Tally};
use crate::render::{Counts, DiffFormat, MAX_MARKDOWN, Renderer, Style, closing, escaped, plural};
use crate::repo::{self, Root, Snapshot};

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
    /// How to divide the changes into branches
    #[arg(long, value_name = "GROUP", default_value = "run")]
    per: Per,
    /// What branch names start with
    #[arg(long, value_name = "PREFIX", default_value = "caseharden/")]
    prefix: String,
    /// Commit to stand on, instead of HEAD
    #[arg(long, value_name = "REVISION")]
    base: Option<String>,
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
    /// Show what would be made, pushed, opened and closed, and do none of it
    #[arg(long)]
    dry_run: bool,
    /// Push the branches with your own git
    #[arg(long, value_name = "REMOTE")]
    push: Option<String>,
    #[command(flatten)]
    pub(super) prove: ProveArgs,
    #[command(flatten)]
    pulls: PullArgs,
    #[command(flatten)]
    pub(super) select: Select,
}

pub(super) fn run(args: &BranchArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    anyhow::ensure!(
        !(global.offline && args.push.is_some()),
        "`--push` needs the network, which `--offline` refuses"
    );
    let paths: Vec<PathBuf> = args.path.iter().cloned().collect();
    let root = Root::find(&paths)?;
    let Some(repository) = Repository::discover(&root.folder).map_err(helped)? else {
        anyhow::bail!(
            "`{}` is not in a git repository: there is nothing to branch from",
            root.folder.display()
        );
    };
    if global.verbose {
        say(&format!("git: {}\n", repository.road()));
    }
    let base = repository.base(args.base.as_deref()).map_err(helped)?;
    let tree = repository.files(base, &[]).map_err(helped)?;
    let mut inputs = read_tree(&repository, &tree, root, args, global)?;
    let unproved = prove(&repository, &tree, &mut inputs, args, global)?;
    say_dirty(&repository, &inputs, global)?;

    let owners = code_owners(&repository, &tree, args)?;
    let mut desk = match &args.push {
        Some(remote) if args.pulls.pull_request => {
            Some(Desk::new(&args.pulls, &repository, remote, base, args.scope(), args.dry_run)?)
        }
        _ => None,
    };
    let longest = desk.as_ref().map_or(MAX_MARKDOWN, |desk| Desk::longest_summary(desk.kind()));
    let mut session = Session {
        args,
        global,
        repository: &repository,
        owners,
        longest,
        made: Vec::new(),
        failed: unproved,
    };
    let counts = session.commit_groups(&inputs, base, out)?;
    match &mut desk {
        Some(desk) => session.settle(desk, out)?,
        None => session.push(global)?,
    }
    if !global.quiet {
        say(&closing(&counts, &[]));
    }
    Ok(if session.failed { Outcome::Failed } else { Outcome::Done })
}

/// Who owns what in the base commit, where that is asked for.
fn code_owners(repository: &Repository, tree: &HeadTree, args: &BranchArgs) -> anyhow::Result<CodeOwners> {
    if args.per != Per::Owner {
        return Ok(CodeOwners::default());
    }
    let found = CodeOwners::PLACES
        .iter()
        .find_map(|place| tree.files.iter().find(|file| repo::slashed(&file.path) == **place));
    let Some(file) = found else {
        anyhow::bail!("`--per owner` needs a file of owners: {}", CodeOwners::PLACES.join(", "));
    };
    // GitHub reads no larger one.
    anyhow::ensure!(
        repository.blob_size(file.id).map_err(helped)? <= 3 << 20,
        "`{}` is larger than 3 MiB",
        file.path.display()
    );
    Ok(CodeOwners::parse(&String::from_utf8_lossy(&repository.blob(file.id).map_err(helped)?)))
}

fn helped(error: GitError) -> anyhow::Error {
    let help = error.help();
    anyhow::Error::new(super::Helped { message: error.to_string(), help })
}

/// Reads the manifests of the base commit.
fn read_tree(
    repository: &Repository,
    tree: &HeadTree,
    root: Root,
    args: &BranchArgs,
    global: &Global,
) -> anyhow::Result<Inputs> {
    let (config, templates) = decide(&root.folder, &args.select, global)?;
    let ids: BTreeMap<String, _> =
        tree.files.iter().map(|file| (repo::slashed(&file.path), file.id)).collect();
    let limit = config.max_file_size;
    let snapshot = Snapshot::new(|path: &str| {
        let id = ids.get(path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let size = repository.blob_size(*id).map_err(io::Error::other)?;
        // One byte more than allowed tells the reader that there is more.
        if size > limit {
            Ok(vec![b' '; limit as usize + 1])
        } else {
            repository.blob(*id).map_err(io::Error::other)
        }
    });
    let listing = snapshot.list(ids.keys().cloned(), &root.wanted);
    let wanted: Vec<_> = listing.entries.iter().filter_map(|entry| ids.get(&entry.path).copied()).collect();
    repository.prefetch(tree.commit, &wanted).map_err(helped)?;
    let flows = super::inputs::flows(&args.select.flow_log)?;
    let audit = args.select.evidence.read(global)?;
    Ok(Inputs { flows, audit, ..Inputs::read(root, config, templates, &snapshot, listing, global)? })
}

/// Has kustomize build what the base commit holds, if asked for; whether a build failed.
fn prove(
    repository: &Repository,
    tree: &HeadTree,
    inputs: &mut Inputs,
    args: &BranchArgs,
    global: &Global,
) -> anyhow::Result<bool> {
    let files: Vec<_> = tree.files.iter().map(|file| (repo::slashed(&file.path), file.id)).collect();
    let below = |folder: &str| {
        let is_below = |path: &str| folder.is_empty() || path.starts_with(&format!("{folder}/"));
        let inside = files.iter().filter(|(path, _)| is_below(path));
        let read =
            inside.map(|(path, id)| Ok((path.clone(), repository.blob(*id).map_err(io::Error::other)?)));
        read.collect()
    };
    args.prove.hold(inputs, &args.select, &below, global)
}

/// The branches come from the base commit: says so when the checkout holds something else.
fn say_dirty(repository: &Repository, inputs: &Inputs, global: &Global) -> anyhow::Result<()> {
    let paths: Vec<PathBuf> = inputs.repo.files.iter().map(|file| repo::native(&file.path)).collect();
    let dirty = repository.uncommitted(&paths).map_err(helped)?;
    if !dirty.is_empty() && !global.quiet {
        say(&format!(
            "note: {} with uncommitted changes: the branches are made from the commit, not from the checkout\n",
            plural(dirty.len(), "manifest")
        ));
    }
    Ok(())
}

struct Session<'a> {
    args: &'a BranchArgs,
    global: &'a Global,
    repository: &'a Repository,
    owners: CodeOwners,
    /// Bytes of what a pull request may say.
    longest: usize,
    made: Vec<Made>,
    failed: bool,
}

impl Session<'_> {
    fn commit_groups(
        &mut self,
        inputs: &Inputs,
        base: ObjectId,
        out: &mut dyn Write,
    ) -> anyhow::Result<Counts> {
        let (groups, counts) =
            inputs.plan(&self.args.select, Purpose::Changes, |planner| Ok(self.groups(inputs, planner)))?;
        if groups.is_empty() {
            say("nothing to change: no branch was made\n");
        }
        let mut at = base;
        for group in groups {
            // What a branch below has changed is part of what this one finds.
            let below = if at == base { None } else { Some(self.read_again(at, inputs)?) };
            let inputs = below.as_ref().unwrap_or(inputs);
            let changes = self.changes(inputs, &group)?;
            let pieces = changes.pieces(self.args.max_files.map(|most| most as usize));
            let n_pieces = pieces.len();
            for (number, changes) in pieces.into_iter().enumerate() {
                let (name, title) = match n_pieces {
                    1 => (group.name.clone(), group.title.clone()),
                    _ => (
                        format!("{}-{}", group.name, number + 1),
                        format!("{} ({} of {n_pieces})", group.title, number + 1),
                    ),
                };
                let made = self.commit(inputs, &group, &name, &title, changes, at, out)?;
                at = made.filter(|_| self.args.stacked).unwrap_or(at);
            }
        }
        Ok(counts)
    }

    /// A commit of the stack, without what was held back at its bottom.
    fn read_again(&self, commit: ObjectId, bottom: &Inputs) -> anyhow::Result<Inputs> {
        let paths: Vec<PathBuf> = self.args.path.iter().cloned().collect();
        let tree = self.repository.files(commit, &[]).map_err(helped)?;
        let inputs = read_tree(self.repository, &tree, Root::find(&paths)?, self.args, self.global)?;
        Ok(Inputs { held: bottom.held.clone(), ..inputs })
    }

    fn changes(&self, inputs: &Inputs, group: &Group) -> anyhow::Result<Changes> {
        let selection = self.selection(inputs, group)?;
        let renderer = self.renderer();
        inputs.plan_selected(&selection, Purpose::Changes, |planner| {
            Ok(collect(planner, group, &self.owners, renderer.as_deref()))
        })
    }

    /// What writes the bodies of pull requests, if there are to be any.
    fn renderer(&self) -> Option<Box<dyn Renderer>> {
        let markdown = || DiffFormat::Markdown.renderer(Style::default(), 0, self.longest, &|| None);
        self.args.pulls.pull_request.then(markdown)
    }

    fn selection<'i>(&self, inputs: &'i Inputs, group: &Group) -> anyhow::Result<Selection<'i>>
    where
        Self: 'i,
    {
        let mut selection = inputs.selection(&self.args.select)?;
        if let Some(rule) = &group.rule {
            selection.select = vec![rule.clone()];
        }
        if group.namespace.is_some() {
            selection.namespace.clone_from(&group.namespace);
        }
        Ok(selection)
    }

    /// The groups that have something to change, and what the whole run found.
    fn groups(&mut self, inputs: &Inputs, planner: &Planner<'_>) -> (Vec<Group>, Counts) {
        let mut keys = BTreeSet::new();
        let mut counts = counts(inputs, planner);
        let mut note = |path: &str, judged: &Judged| {
            if judged.fate == Fate::Planned {
                keys.extend(self.args.per.keys(planner, &self.owners, path, judged));
            }
        };
        planner.reports(|report| {
            count_report(&mut counts, &report);
            report.findings.iter().for_each(|judged| note(report.path, judged));
        });
        for Planned { path, findings, .. } in planner.new_files() {
            counts.tally += Tally::of(&findings);
            findings.iter().for_each(|judged| note(path, judged));
        }
        self.failed |= has_failed(inputs, planner, &counts);
        for skip in inputs.skipped(planner).iter().filter(|skip| skip.reason.is_failure()) {
            say(&format!("skipped: {}: {}\n", escaped(&skip.path), escaped(&skip.detail)));
        }
        (keys.into_iter().map(|key| self.args.per.group(&self.args.prefix, key)).collect(), counts)
    }

    /// Makes a branch; the commit it points to then.
    #[expect(
        clippy::too_many_arguments,
        reason = "a branch is of a group, of a piece, on a base, from inputs"
    )]
    fn commit(
        &mut self,
        inputs: &Inputs,
        group: &Group,
        name: &str,
        title: &str,
        changes: Changes,
        base: ObjectId,
        out: &mut dyn Write,
    ) -> anyhow::Result<Option<ObjectId>> {
        if changes.files.is_empty() {
            return Ok(None);
        }
        let n_files = changes.files.len();
        let wanted = message::wanted(group, self.args.per, title, &changes);
        let message = message::message(&inputs.templates, &wanted, &self.args.trailer)?;
        let mut made = Made {
            name: name.to_owned(),
            commit: None,
            title: message.lines().next().unwrap_or_default().to_owned(),
            body: String::new(),
            labels: Vec::new(),
            below: self.made.last().filter(|_| self.args.stacked).map(|below| below.name.clone()),
        };
        if let Some(renderer) = self.renderer() {
            let summary = changes.show(inputs, &*renderer)?;
            made.body = inputs.templates.pull_request_body(&wanted, &summary)?;
            made.labels = inputs.templates.pull_request_labels(&wanted, &self.args.pulls.label)?;
        }
        if self.args.dry_run {
            writeln!(out, "{name}  would hold {}: {}", plural(n_files, "file"), escaped(&made.title))?;
            self.made.push(made);
            return Ok(None);
        }
        let files = changes.files.into_iter().map(|(path, text)| (repo::native(&path), text)).collect();
        let (force, renews) = (self.args.force, self.args.pulls.pull_request);
        let request = BranchRequest { branch: name.to_owned(), base, message, files, force, renews };
        match self.repository.commit(&request) {
            Ok(outcome) => {
                writeln!(out, "{name}  {}  {}", describe(&outcome), plural(n_files, "file"))?;
                let commit = match outcome {
                    BranchOutcome::Created { commit }
                    | BranchOutcome::Replaced { commit, .. }
                    | BranchOutcome::Unchanged { commit } => commit,
                    BranchOutcome::NothingToCommit => return Ok(None),
                };
                self.made.push(Made { commit: Some(commit), ..made });
                Ok(Some(commit))
            }
            Err(error) => {
                self.failed = true;
                say(&format!("error: {}\n", escaped(&error.to_string())));
                if let Some(help) = error.help() {
                    say(&format!("  help: {}\n", escaped(&help)));
                }
                Ok(None)
            }
        }
    }

    fn push(&mut self, global: &Global) -> anyhow::Result<()> {
        let Some(remote) = &self.args.push else { return Ok(()) };
        let names: Vec<String> = self.made.iter().map(|made| made.name.clone()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let branches = plural(names.len(), "branch");
        if self.args.dry_run {
            say(&format!("would push {branches} to {}\n", escaped(remote)));
            return Ok(());
        }
        let said = self.repository.push(remote, &names, self.args.force).map_err(helped)?;
        if global.verbose {
            say(&said);
        }
        say(&format!("pushed {branches} to {}\n", escaped(remote)));
        Ok(())
    }

    /// Pushes each branch and sees to its pull request; one that fails does not stop the others.
    fn settle(&mut self, desk: &mut Desk<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
        let mut settled: Vec<(String, anyhow::Result<String>)> = Vec::new();
        for made in &self.made {
            settled.push((made.name.clone(), desk.settle(made)));
        }
        // After a failure nobody knows what a whole run would have made.
        if !self.failed {
            settled.extend(desk.close_empty(&self.made.iter().map(|made| made.name.as_str()).collect()));
        }
        for (name, result) in settled {
            match result {
                Ok(what) => writeln!(out, "{name}  {}", escaped(&what))?,
                Err(error) => {
                    self.failed = true;
                    super::report(&error.context(format!("{name}: no pull request")));
                }
            }
        }
        Ok(())
    }
}

impl BranchArgs {
    /// What tells runs apart that divide or select differently: each sees to its own pull requests only.
    fn scope(&self) -> String {
        let Select { select, ignore, namespace, object, .. } = &self.select;
        let path = self.path.as_deref().map(repo::slashed).unwrap_or_default();
        let text = format!(
            "{:?} {} {path} {} {} {namespace:?} {object:?} {:?} {}",
            self.per,
            self.prefix,
            select.join(","),
            ignore.join(","),
            self.max_files,
            self.stacked
        );
        crate::git::blob_id(text.as_bytes())[..16].to_owned()
    }
}

fn describe(outcome: &BranchOutcome) -> String {
    let short = |id: &dyn std::fmt::Display| id.to_string().chars().take(12).collect::<String>();
    match outcome {
        BranchOutcome::Created { commit } => format!("created {}", short(commit)),
        BranchOutcome::Replaced { commit, previous, foreign_commits: 0 } => {
            format!("replaced {} by {}", short(previous), short(commit))
        }
        BranchOutcome::Replaced { commit, previous, foreign_commits } => format!(
            "replaced {} by {}, dropping {} of others",
            short(previous),
            short(commit),
            plural(*foreign_commits, "commit")
        ),
        BranchOutcome::Unchanged { commit } => format!("unchanged {}", short(commit)),
        BranchOutcome::NothingToCommit => "nothing to commit".to_owned(),
    }
}
