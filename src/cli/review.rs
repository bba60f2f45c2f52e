//! `diff --interactive`: hunk by hunk, as `git add -p` goes through a work tree.
//!
//! What is picked are findings, not lines: what was taken is planned again by itself, and proved like any other plan,
//! before a file is written or a branch made.

mod edited;
mod items;
mod prompt;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::Parser as _;

use self::edited::Edited;
use self::items::{Item, items};
use self::prompt::{ask, explain};
use super::inputs::{Inputs, Select};
use super::prove::ProveArgs;
use super::{Global, Outcome, apply, branch, say};
use crate::plan::Purpose;
use crate::render::{escaped, plural};

/// What was decided so far.
#[derive(Default)]
struct Choice {
    /// Findings by their keys: taken or not.
    decided: BTreeMap<String, bool>,
    rules: BTreeMap<&'static str, bool>,
    edited: Vec<Edited>,
}

const KEYS: &str = "\
y - take this change
n - leave it
a - take all changes of its rules, here and further on
s - skip its rules: leave all their changes
e - edit the change by hand
? - explain it, and these keys
q - stop here; what is left is left";

/// Goes through the changes and does what is wanted with those that were taken.
pub(super) fn run(
    paths: &[PathBuf],
    select: &Select,
    prove: &ProveArgs,
    purpose: Purpose,
    global: &Global,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    anyhow::ensure!(
        io::stdin().is_terminal() && io::stdout().is_terminal(),
        "`--interactive` asks questions: it needs a terminal"
    );
    let choice = choose(paths, select, purpose, global, out)?;
    let taken: BTreeSet<String> =
        choice.decided.iter().filter(|(_, taken)| **taken).map(|(key, _)| key.clone()).collect();
    if taken.is_empty() && choice.edited.is_empty() {
        say("nothing was taken\n");
        return Ok(Outcome::Done);
    }
    let select = Select { chosen: Some(taken), ..select.clone() };
    finish(paths, select, prove.clone(), &choice.edited, global, out)
}

fn choose(
    paths: &[PathBuf],
    select: &Select,
    purpose: Purpose,
    global: &Global,
    out: &mut dyn Write,
) -> anyhow::Result<Choice> {
    let inputs = Inputs::from_disk(paths, select, global)?;
    anyhow::ensure!(!inputs.stdin, "`--interactive` reads answers from standard input, not a manifest");
    let items = inputs.plan(select, purpose, |planner| Ok(items(planner, &inputs)))?;
    let mut choice = Choice::default();
    let mut path = "";
    for (idx, item) in items.iter().enumerate() {
        choice.settle_by_rule(item);
        if choice.is_decided(item) {
            continue;
        }
        if path != item.path {
            path = &item.path;
            prompt::heading(out, item, global.style())?;
        }
        loop {
            prompt::show(out, item, global.style())?;
            let place = format!("({}/{})", idx + 1, items.len());
            match ask(out, &format!("{place} Take this change [y,n,a,s,e,q,?]? "))?.as_deref() {
                Some("y") => choice.decide(item, true),
                Some("n") => choice.decide(item, false),
                Some("a") => choice.decide_rules(out, item, true)?,
                Some("s") => choice.decide_rules(out, item, false)?,
                Some("e") => match edited::edit(item) {
                    Ok(Some(edited)) => {
                        choice.decide(item, false);
                        choice.edited.push(edited);
                    }
                    Ok(None) => say("left as it was\n"),
                    Err(error) => say(&format!("error: {}\n", escaped(&format!("{error:#}")))),
                },
                Some("?") => {
                    writeln!(out, "{KEYS}\n")?;
                    explain(out, item)?;
                }
                None | Some("q") => return Ok(choice),
                Some(_) => writeln!(out, "{KEYS}\n")?,
            }
            if choice.is_decided(item) {
                break;
            }
        }
    }
    choice.link(&items);
    Ok(choice)
}

impl Choice {
    fn is_decided(&self, item: &Item) -> bool {
        item.findings.iter().all(|finding| self.decided.contains_key(&finding.key))
    }

    /// Decides what is open; what an earlier answer has taken stays taken.
    fn decide(&mut self, item: &Item, taken: bool) {
        for finding in &item.findings {
            self.decided.entry(finding.key.clone()).or_insert(taken);
        }
    }

    fn settle_by_rule(&mut self, item: &Item) {
        for finding in &item.findings {
            if let Some(taken) = self.rules.get(finding.rule.id) {
                self.decided.entry(finding.key.clone()).or_insert(*taken);
            }
        }
    }

    /// Decides a rule of the hunk, or all of them.
    fn decide_rules(&mut self, out: &mut dyn Write, item: &Item, taken: bool) -> anyhow::Result<()> {
        let mut rules: Vec<&'static str> = Vec::new();
        for finding in item.findings.iter().filter(|finding| !self.decided.contains_key(&finding.key)) {
            if !rules.contains(&finding.rule.id) {
                rules.push(finding.rule.id);
            }
        }
        if rules.len() > 1 {
            for (idx, rule) in rules.iter().enumerate() {
                writeln!(out, "{:>3} {rule}", idx + 1)?;
            }
            let answer = ask(out, "Which rule (a number, or * for all)? ")?.unwrap_or_default();
            match answer.parse::<usize>().ok().and_then(|number| rules.get(number.checked_sub(1)?)) {
                Some(rule) => rules = vec![*rule],
                None if answer == "*" => {}
                None => return Ok(()),
            }
        }
        self.rules.extend(rules.into_iter().map(|rule| (rule, taken)));
        self.settle_by_rule(item);
        Ok(())
    }

    /// A fix of several parts is taken whole: one part that was left leaves the others.
    fn link(&mut self, items: &[Item]) {
        let findings = || items.iter().flat_map(|item| &item.findings);
        loop {
            let left: BTreeSet<&String> = findings()
                .filter(|finding| self.decided.get(&finding.key) != Some(&true))
                .flat_map(|finding| &finding.parts)
                .collect();
            let broken: Vec<String> = findings()
                .filter(|finding| self.decided.get(&finding.key) == Some(&true))
                .filter(|finding| finding.parts.iter().any(|part| left.contains(part)))
                .map(|finding| finding.key.clone())
                .collect();
            if broken.is_empty() {
                return;
            }
            say(&format!(
                "{} not taken: other parts of the same fix were left\n",
                plural(broken.len(), "change")
            ));
            self.decided.extend(broken.into_iter().map(|key| (key, false)));
        }
    }
}

#[derive(clap::Parser)]
struct BranchDefaults {
    #[command(flatten)]
    args: branch::BranchArgs,
}

/// Asks what becomes of what was taken, and does it.
fn finish(
    paths: &[PathBuf],
    select: Select,
    prove: ProveArgs,
    edited: &[Edited],
    global: &Global,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let taken = select.chosen.as_ref().map_or(0, BTreeSet::len);
    writeln!(
        out,
        "{} taken{}.",
        plural(taken, "fix"),
        match edited.len() {
            0 => String::new(),
            edits => format!(", {} edited", plural(edits, "change")),
        }
    )?;
    // A branch is made of the commit; what was edited was edited in the files.
    let can_branch = paths.len() <= 1 && edited.is_empty();
    let keys = if can_branch { "[w]rite the files, make a [b]ranch" } else { "[w]rite the files" };
    loop {
        match ask(out, &format!("{keys} or [q]uit? "))?.as_deref() {
            Some("w") => {
                let args = apply::ApplyArgs { paths: paths.to_vec(), allow_dirty: false, select, prove };
                let outcome = if taken == 0 { Outcome::Done } else { apply::run(&args, global, out)? };
                return Ok(outcome.max(edited::write_all(paths, edited, out)?));
            }
            Some("b") if can_branch => {
                let BranchDefaults { mut args } = BranchDefaults::try_parse_from(["branch"])?;
                args.path = paths.first().cloned();
                args.making.select = select;
                args.making.prove = prove;
                return branch::run(&args, global, out);
            }
            None | Some("q") => return Ok(Outcome::Found),
            Some(_) => {}
        }
    }
}
