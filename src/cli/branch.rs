//! `branch`: commit the changes to new branches.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;

use super::inputs::{Inputs, Select, count_report, counts, decide, has_failed};
use super::prove::ProveArgs;
use super::{Global, Outcome, say};
use crate::git::{BranchOutcome, BranchRequest, GitError, HeadTree, Repository};
use crate::plan::{Fate, Judged, Planned, Planner, Purpose, Selection, Tally};
use crate::render::{Counts, closing, escaped, plural};
use crate::repo::{self, Root, Snapshot};
use crate::rules;

/// Commit the changes to new branches
///
/// Works from the files of HEAD and writes straight to git's object store: the checkout, the index, HEAD and hooks
/// are never touched, whatever state they are in. Run again without new findings, it makes no new commit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden branch\n  \
    caseharden branch --per rule --level safe\n  \
    caseharden branch --per namespace --push origin\n\n\
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
    /// Push the branches with your own git
    #[arg(long, value_name = "REMOTE")]
    push: Option<String>,
    #[command(flatten)]
    pub(super) prove: ProveArgs,
    #[command(flatten)]
    pub(super) select: Select,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Per {
    /// One branch for everything
    Run,
    /// One for each area of rules
    Area,
    /// One for each rule
    Rule,
    /// One for each namespace that workloads land in
    Namespace,
    /// One for each folder with changes
    Directory,
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

    let mut session = Session {
        args,
        inputs: &inputs,
        repository: &repository,
        tree: &tree,
        made: Vec::new(),
        failed: unproved,
    };
    let counts = session.commit_groups(out)?;
    session.push(global)?;
    if !global.quiet {
        say(&closing(&counts, &[]));
    }
    Ok(if session.failed { Outcome::Failed } else { Outcome::Done })
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
    inputs: &'a Inputs,
    repository: &'a Repository,
    tree: &'a HeadTree,
    made: Vec<String>,
    failed: bool,
}

/// A branch to be, and which findings it is about.
struct Group {
    name: String,
    title: String,
    rule: Option<String>,
    namespace: Option<String>,
    folder: Option<String>,
}

/// What goes into one commit.
#[derive(Default)]
struct Changes {
    files: Vec<(PathBuf, Vec<u8>)>,
    findings: Vec<(String, Judged)>,
}

impl Session<'_> {
    fn commit_groups(&mut self, out: &mut dyn Write) -> anyhow::Result<Counts> {
        let (groups, counts) =
            self.inputs.plan(&self.args.select, Purpose::Changes, |planner| Ok(self.groups(planner)))?;
        if groups.is_empty() {
            say("nothing to change: no branch was made\n");
        }
        for group in groups {
            let selection = self.selection(&group)?;
            let changes = self
                .inputs
                .plan_selected(&selection, Purpose::Changes, |planner| Ok(collect(planner, &group)))?;
            self.commit(&group, changes, out)?;
        }
        Ok(counts)
    }

    fn selection(&self, group: &Group) -> anyhow::Result<Selection<'_>> {
        let mut selection = self.inputs.selection(&self.args.select)?;
        if let Some(rule) = &group.rule {
            selection.select = vec![rule.clone()];
        }
        if group.namespace.is_some() {
            selection.namespace.clone_from(&group.namespace);
        }
        Ok(selection)
    }

    /// The groups that have something to change, and what the whole run found.
    fn groups(&mut self, planner: &Planner<'_>) -> (Vec<Group>, Counts) {
        let mut keys = BTreeSet::new();
        let mut counts = counts(self.inputs, planner);
        let mut note = |path: &str, judged: &Judged| {
            if judged.fate == Fate::Planned {
                keys.extend(self.args.per.keys(planner, path, judged));
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
        self.failed |= has_failed(self.inputs, planner, &counts);
        for skip in self.inputs.skipped(planner).iter().filter(|skip| skip.reason.is_failure()) {
            say(&format!("skipped: {}: {}\n", escaped(&skip.path), escaped(&skip.detail)));
        }
        (keys.into_iter().map(|key| self.args.per.group(&self.args.prefix, key)).collect(), counts)
    }

    fn commit(&mut self, group: &Group, changes: Changes, out: &mut dyn Write) -> anyhow::Result<()> {
        if changes.files.is_empty() {
            return Ok(());
        }
        let (n_files, message) = (changes.files.len(), message(group, &changes));
        let request = BranchRequest {
            branch: group.name.clone(),
            base: self.tree.commit,
            message,
            files: changes.files,
            force: self.args.force,
        };
        match self.repository.commit(&request) {
            Ok(outcome) => {
                let what = describe(&outcome);
                writeln!(out, "{}  {what}  {}", group.name, plural(n_files, "file"))?;
                if outcome != BranchOutcome::NothingToCommit {
                    self.made.push(group.name.clone());
                }
            }
            Err(error) => {
                self.failed = true;
                say(&format!("error: {}\n", escaped(&error.to_string())));
                if let Some(help) = error.help() {
                    say(&format!("  help: {}\n", escaped(&help)));
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, global: &Global) -> anyhow::Result<()> {
        let Some(remote) = &self.args.push else { return Ok(()) };
        if self.made.is_empty() {
            return Ok(());
        }
        let said = self.repository.push(remote, &self.made, self.args.force).map_err(helped)?;
        if global.verbose {
            say(&said);
        }
        say(&format!("pushed {} to {}\n", plural(self.made.len(), "branch"), escaped(remote)));
        Ok(())
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

/// The new texts of a group, and the findings they answer.
fn collect(planner: &Planner<'_>, group: &Group) -> Changes {
    let mut changes = Changes::default();
    let in_folder = |path: &str| group.folder.as_deref().is_none_or(|folder| repo::folder(path) == folder);
    planner.reports(|report| {
        let Some(after) = report.after.filter(|_| in_folder(report.path)) else { return };
        changes.files.push((repo::native(report.path), after.into_bytes()));
        let planned = report.findings.into_iter().filter(|judged| judged.fate == Fate::Planned);
        changes.findings.extend(planned.map(|judged| (report.path.to_owned(), judged)));
    });
    for Planned { path, findings, files } in planner.new_files() {
        let files: Vec<_> = files.into_iter().filter(|file| in_folder(&file.path)).collect();
        let planned = findings.into_iter().filter(|judged| judged.fate == Fate::Planned && in_folder(path));
        changes.findings.extend(planned.map(|judged| (path.to_owned(), judged)));
        changes
            .files
            .extend(files.into_iter().map(|file| (repo::native(&file.path), file.text.into_bytes())));
    }
    changes
}

impl Per {
    /// The groups a planned finding belongs to.
    fn keys(self, planner: &Planner<'_>, path: &str, judged: &Judged) -> Vec<String> {
        match self {
            Per::Run => vec![String::new()],
            Per::Area => vec![judged.finding.rule.area.id().to_owned()],
            Per::Rule => vec![judged.finding.rule.id.to_owned()],
            Per::Directory => {
                let new = judged.finding.new_files.iter().map(|file| repo::folder(&file.path).to_owned());
                std::iter::once(repo::folder(path).to_owned()).chain(new).collect()
            }
            Per::Namespace if &*judged.object.kind == "Namespace" => vec![judged.object.name.to_string()],
            Per::Namespace => {
                let namespaces = planner.model.namespaces_at(path, &judged.object);
                if namespaces.is_empty() { vec![String::new()] } else { namespaces }
            }
        }
    }

    fn group(self, prefix: &str, key: String) -> Group {
        let (name, title) = match self {
            Per::Run => ("harden".to_owned(), "Harden workloads and namespaces".to_owned()),
            Per::Area => (key.clone(), format!("Harden: {key} rules")),
            Per::Rule => {
                let summary = rules::find(&key).map_or("", rules::Rule::summary);
                (key.clone(), format!("Harden: {summary}"))
            }
            Per::Namespace if key.is_empty() => {
                ("no-namespace".to_owned(), "Harden objects without a namespace".to_owned())
            }
            Per::Namespace => (format!("namespace-{}", slug(&key)), format!("Harden namespace {key}")),
            Per::Directory if key.is_empty() => {
                ("directory-root".to_owned(), "Harden the root folder".to_owned())
            }
            Per::Directory => (format!("directory-{}", slug(&key)), format!("Harden {key}")),
        };
        let of = |per: &[Per]| per.contains(&self).then(|| key.clone());
        Group {
            name: format!("{prefix}{name}"),
            title,
            rule: of(&[Per::Area, Per::Rule]),
            namespace: of(&[Per::Namespace]),
            folder: of(&[Per::Directory]),
        }
    }
}

/// Letters that every forge takes in a branch name; long ones keep a hash of what is cut.
fn slug(text: &str) -> String {
    let slug: String = text
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() || char == '.' { char } else { '-' })
        .collect();
    let slug = slug.trim_matches(['-', '.']).replace("..", "-");
    if slug == text.replace('/', "-") && slug.len() <= 60 {
        return slug;
    }
    let id = crate::git::blob_id(text.as_bytes());
    format!("{}-{}", slug.chars().take(50).collect::<String>(), &id[..8])
}

/// Names at most this many objects for a rule; the diff has them all.
const OBJECTS_IN_MESSAGE: usize = 40;

/// Subject, then for each rule: why, the objects, what to check.
fn message(group: &Group, changes: &Changes) -> String {
    let mut by_rule: BTreeMap<&str, Vec<&(String, Judged)>> = BTreeMap::new();
    for finding in &changes.findings {
        by_rule.entry(finding.1.finding.rule.id).or_default().push(finding);
    }
    let mut message = format!("{}\n", group.title);
    for (id, findings) in by_rule {
        let Some(rule) = rules::find(id) else { continue };
        message.push_str(&format!("\n{id}: {}.\n", rule.summary()));
        let objects: BTreeSet<String> =
            findings.iter().map(|(path, judged)| format!("{} ({path})", judged.object)).collect();
        for object in objects.iter().take(OBJECTS_IN_MESSAGE) {
            message.push_str(&format!("  - {}\n", escaped(object)));
        }
        if objects.len() > OBJECTS_IN_MESSAGE {
            message.push_str(&format!("  - and {} more\n", objects.len() - OBJECTS_IN_MESSAGE));
        }
        let notes: BTreeSet<&str> =
            findings.iter().flat_map(|(_, judged)| &judged.finding.notes).map(String::as_str).collect();
        for note in notes.iter().take(OBJECTS_IN_MESSAGE) {
            message.push_str(&format!("  Check: {}\n", escaped(note)));
        }
    }
    message
}
