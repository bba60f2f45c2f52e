//! One run over one repo: its groups become commits, those become branches, and these go to the remote.

use std::collections::BTreeSet;
use std::io::Write;

use super::base::Base;
use super::changes::{Changes, collect};
use super::delivery::{Draft, Remote};
use super::division::Group;
use super::pull_requests::Desk;
use super::{Job, helped, message};
use crate::cli::inputs::{Inputs, count_report, counts, has_failed};
use crate::cli::{Global, report, say};
use crate::forge::CodeOwners;
use crate::git::{BranchOutcome, BranchRequest, ObjectId};
use crate::lock;
use crate::plan::{Fate, Judged, Planned, Planner, Purpose, Selection, Tally};
use crate::render::branches::{Branch, Delivery, Made};
use crate::render::{Counts, DiffFormat, Renderer, Style, escaped, plural};
use crate::repo;

pub(super) struct Session<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) global: &'a Global,
    pub(super) base: &'a Base<'a>,
    pub(super) owners: CodeOwners,
    /// The lock's new text, which goes into every branch.
    pub(super) lock: Option<String>,
    /// Bytes of what a pull request may say.
    pub(super) longest: usize,
    pub(super) drafts: Vec<Draft>,
    pub(super) failed: bool,
}

/// What becomes one branch.
struct Piece<'g> {
    group: &'g Group,
    name: String,
    title: String,
    changes: Changes,
    /// What it stands on.
    at: ObjectId,
}

impl Session<'_> {
    pub(super) fn commit_groups(&mut self, inputs: &Inputs, out: &mut dyn Write) -> anyhow::Result<Counts> {
        let (groups, counts) = inputs
            .plan(&self.job.making.select, Purpose::Changes, |planner| Ok(self.groups(inputs, planner)))?;
        if groups.is_empty() {
            say("nothing to change: no branch was made\n");
        }
        let mut at = self.base.commit;
        for group in &groups {
            // What a branch below has changed is part of what this one finds.
            let below = if at == self.base.commit { None } else { Some(self.read_again(at, inputs)?) };
            let inputs = below.as_ref().unwrap_or(inputs);
            let changes = self.changes(inputs, group)?;
            let pieces = changes.pieces(self.job.making.max_files.map(|most| most as usize));
            let n_pieces = pieces.len();
            for (number, changes) in pieces.into_iter().enumerate() {
                let (name, title) = match n_pieces {
                    1 => (group.name.clone(), group.title.clone()),
                    _ => (
                        format!("{}-{}", group.name, number + 1),
                        format!("{} ({} of {n_pieces})", group.title, number + 1),
                    ),
                };
                let made = self.commit(inputs, Piece { group, name, title, changes, at }, out)?;
                at = made.filter(|_| self.job.making.stacked).unwrap_or(at);
            }
        }
        Ok(counts)
    }

    /// A commit of the stack, without what was held back at its bottom.
    fn read_again(&self, commit: ObjectId, bottom: &Inputs) -> anyhow::Result<Inputs> {
        let above = Base::new(self.base.repository, commit, self.job, self.global)?;
        let inputs = above.read(self.job.root.clone())?;
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
        self.job.making.pulls.pull_request.then(markdown)
    }

    fn selection<'i>(&self, inputs: &'i Inputs, group: &Group) -> anyhow::Result<Selection<'i>>
    where
        Self: 'i,
    {
        let mut selection = inputs.selection(&self.job.making.select)?;
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
        let per = self.job.making.per;
        let mut keys = BTreeSet::new();
        let mut counts = counts(inputs, planner);
        let mut note = |path: &str, judged: &Judged| {
            if judged.fate == Fate::Planned {
                keys.extend(per.keys(planner, &self.owners, path, judged));
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
        (keys.into_iter().map(|key| per.group(&self.job.making.prefix, key)).collect(), counts)
    }

    /// Makes a branch; the commit it points to then.
    fn commit(
        &mut self,
        inputs: &Inputs,
        piece: Piece<'_>,
        out: &mut dyn Write,
    ) -> anyhow::Result<Option<ObjectId>> {
        if piece.changes.files.is_empty() {
            return Ok(None);
        }
        let making = self.job.making;
        let mut draft = self.draft(inputs, &piece)?;
        let Piece { name, changes, at, .. } = piece;
        let n_files = draft.branch.files;
        if making.dry_run {
            let title = escaped(&draft.branch.title);
            writeln!(out, "{name}  would hold {}: {title}", plural(n_files, "file"))?;
            draft.branch.made = Some(Made::Planned);
            self.drafts.push(draft);
            return Ok(None);
        }
        let message = message::message(
            &inputs.templates,
            &message::wanted(piece.group, making.per, &piece.title, &changes),
            &making.trailer,
        )?;
        let mut files: Vec<_> =
            changes.files.into_iter().map(|(path, text)| (repo::native(&path), text)).collect();
        files.extend(self.lock.iter().map(|text| (lock::FILE_NAME.into(), text.clone().into_bytes())));
        let renews = making.pulls.pull_request || self.job.is_one_of_many;
        let request =
            BranchRequest { branch: name.clone(), base: at, message, files, force: making.force, renews };
        match self.base.repository.commit(&request) {
            Ok(outcome) => {
                writeln!(out, "{name}  {}  {}", describe(&outcome), plural(n_files, "file"))?;
                let (made, commit) = match outcome {
                    BranchOutcome::Created { commit } => (Made::Created, commit),
                    BranchOutcome::Replaced { commit, .. } => (Made::Replaced, commit),
                    BranchOutcome::Unchanged { commit } => (Made::Unchanged, commit),
                    BranchOutcome::NothingToCommit => return Ok(None),
                };
                draft.branch.made = Some(made);
                draft.branch.commit = Some(commit.to_string());
                self.drafts.push(Draft { commit: Some(commit), ..draft });
                Ok(Some(commit))
            }
            Err(error) => {
                draft.branch.error = Some(error.to_string());
                self.fail(&helped(error));
                self.job.is_one_of_many.then(|| self.drafts.push(draft));
                Ok(None)
            }
        }
    }

    /// What a branch is called, and what its pull request says.
    fn draft(&self, inputs: &Inputs, piece: &Piece<'_>) -> anyhow::Result<Draft> {
        let making = self.job.making;
        let wanted = message::wanted(piece.group, making.per, &piece.title, &piece.changes);
        let message = message::message(&inputs.templates, &wanted, &making.trailer)?;
        let branch = Branch {
            name: piece.name.clone(),
            title: message.lines().next().unwrap_or_default().to_owned(),
            files: piece.changes.files.len(),
            ..Branch::default()
        };
        let below = self.drafts.last().filter(|_| making.stacked).map(|below| below.branch.name.clone());
        let mut draft = Draft { branch, commit: None, body: String::new(), labels: Vec::new(), below };
        if let Some(renderer) = self.renderer() {
            let summary = piece.changes.show(inputs, &*renderer)?;
            draft.body = inputs.templates.pull_request_body(&wanted, &summary)?;
            draft.labels = inputs.templates.pull_request_labels(&wanted, &making.pulls.label)?;
        }
        Ok(draft)
    }

    /// Pushes all branches at once, as the user's git would.
    pub(super) fn push(&mut self, remote: Remote<'_>) -> anyhow::Result<()> {
        let names: Vec<String> = self.drafts.iter().map(|draft| draft.branch.name.clone()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let branches = plural(names.len(), "branch");
        if self.job.making.dry_run {
            say(&format!("would push {branches} to {}\n", escaped(remote.name)));
            return Ok(());
        }
        let said = remote.repository.push(remote.name, &names, self.job.making.force).map_err(helped)?;
        if self.global.verbose {
            say(&said);
        }
        say(&format!("pushed {branches} to {}\n", escaped(remote.name)));
        Ok(())
    }

    /// Pushes each branch that nobody else has touched; one that fails does not stop the others.
    pub(super) fn deliver(&mut self, remote: Remote<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
        self.each_draft(&mut |draft| remote.deliver(draft), "not pushed", out)
    }

    /// Pushes each branch and sees to its pull request; one that fails does not stop the others.
    pub(super) fn settle(&mut self, desk: &mut Desk<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
        self.each_draft(&mut |draft| desk.settle(draft), "no pull request", out)?;
        // After a failure nobody knows what a whole run would have made.
        if self.failed {
            return Ok(());
        }
        let names: BTreeSet<&str> = self.drafts.iter().map(|draft| draft.branch.name.as_str()).collect();
        for (name, result) in desk.close_empty(&names) {
            let branch = Branch { name, ..Branch::default() };
            let draft = Draft { branch, commit: None, body: String::new(), labels: Vec::new(), below: None };
            self.drafts.push(draft);
            self.note(self.drafts.len() - 1, result, "no pull request", out)?;
        }
        Ok(())
    }

    fn each_draft(
        &mut self,
        act: &mut dyn FnMut(&Draft) -> anyhow::Result<Delivery>,
        without: &str,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        for idx in 0..self.drafts.len() {
            let draft = &self.drafts[idx];
            if draft.branch.error.is_none() {
                let result = act(draft);
                self.note(idx, result, without, out)?;
            }
        }
        Ok(())
    }

    fn note(
        &mut self,
        idx: usize,
        result: anyhow::Result<Delivery>,
        without: &str,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let branch = &mut self.drafts[idx].branch;
        match result {
            Ok(delivery) => {
                writeln!(out, "{}  {delivery}", branch.name)?;
                branch.delivered = Some(delivery);
            }
            Err(error) => {
                branch.error = Some(error.to_string());
                let error = error.context(format!("{}: {without}", branch.name));
                self.fail(&error);
            }
        }
        Ok(())
    }

    fn fail(&mut self, error: &anyhow::Error) {
        self.failed = true;
        report(error);
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
