//! Real repos, judged from outside.
//!
//! Everything here is read with other eyes than the program's: another YAML parser, the real git, the evaluator on
//! values. Lines that start with `field:` say how much was looked at.

mod levels;
mod lines;
mod network;

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use serde_json::Value;

use self::lines::Hunk;
use crate::corpus;
use crate::program::{Folder, Run};

/// Where `branch` puts everything.
const BRANCH: &str = "caseharden/harden";

/// What was looked at in one repo, and what was wrong.
#[derive(Debug, Default)]
struct Verdict {
    name: String,
    files: usize,
    changed: usize,
    created: usize,
    documents: usize,
    comments: usize,
    added: usize,
    removed: usize,
    workloads: usize,
    restricted: usize,
    explained: usize,
    labels: usize,
    faults: Vec<String>,
}

#[test]
fn hardens_real_repos_without_a_scratch() {
    let Some(repos) = corpus::repos() else { return };
    let verdicts: Vec<Verdict> = repos.par_iter().with_max_len(1).map(|repo| judge(repo)).collect();
    let sum = |count: fn(&Verdict) -> usize| verdicts.iter().map(count).sum::<usize>();
    for verdict in &verdicts {
        eprintln!("field: {}", verdict.line());
        for fault in &verdict.faults {
            eprintln!("field: {}: FAULT {fault}", verdict.name);
        }
    }
    eprintln!(
        "field: {} repos, {} files, {} changed, {} created, {} documents, {} comments, +{} -{} lines, \
         {} workloads, {} restricted, {} explained, {} labels",
        verdicts.len(),
        sum(|v| v.files),
        sum(|v| v.changed),
        sum(|v| v.created),
        sum(|v| v.documents),
        sum(|v| v.comments),
        sum(|v| v.added),
        sum(|v| v.removed),
        sum(|v| v.workloads),
        sum(|v| v.restricted),
        sum(|v| v.explained),
        sum(|v| v.labels),
    );
    assert_eq!(sum(|v| v.faults.len()), 0, "faults are listed above");
}

impl Verdict {
    fn line(&self) -> String {
        format!(
            "{}: {} files, {} changed, {} created, {} documents, {} comments, +{} -{} lines, {} workloads, \
             {} restricted, {} explained, {} labels, {} faults",
            self.name,
            self.files,
            self.changed,
            self.created,
            self.documents,
            self.comments,
            self.added,
            self.removed,
            self.workloads,
            self.restricted,
            self.explained,
            self.labels,
            self.faults.len()
        )
    }

    fn expect(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(fault());
        }
    }
}

fn judge(repo: &Path) -> Verdict {
    let mut verdict = Verdict { name: corpus::name(repo), ..Verdict::default() };
    let applied = corpus::copy(repo);
    let before = applied.tree();
    let earlier = report(&applied, &mut verdict);
    let unreadable = unreadable(&earlier);

    // What `apply` does, with the lines that hold secrets.
    let diff = applied.run(&["diff", "--show-secrets"]);
    ran_well(&mut verdict, "diff", &diff, if unreadable { 2 } else { i32::from(!diff.stdout.is_empty()) });
    let branched = applied.run(&["branch"]);
    ran_well(&mut verdict, "branch", &branched, if unreadable { 2 } else { 0 });
    let wrote = applied.run(&["apply"]);
    ran_well(&mut verdict, "apply", &wrote, if unreadable { 2 } else { 0 });
    same_trees(&mut verdict, repo, &applied, &diff);

    let after = applied.tree();
    let diff =
        applied.git(&["-c", "core.quotePath=false", "diff", "-U0", "--no-renames", "--no-ext-diff", "HEAD"]);
    compare(&mut verdict, &before, &after, &lines::hunks_by_file(&diff));
    let later = report(&applied, &mut verdict);
    verdict.expect(unreadable == self::unreadable(&later), || "what cannot be read has changed".to_owned());
    levels::judge(&mut verdict, &before, &after, &later);

    let again = applied.run(&["diff", "--show-secrets"]);
    ran_well(&mut verdict, "second diff", &again, if unreadable { 2 } else { 0 });
    verdict.expect(again.stdout.is_empty(), || format!("a second run wants more:\n{}", again.stdout));
    let twice = applied.run(&["apply", "--allow-dirty"]);
    ran_well(&mut verdict, "second apply", &twice, if unreadable { 2 } else { 0 });
    verdict.expect(after == applied.tree(), || "a second apply changes files".to_owned());
    verdict
}

fn ran_well(verdict: &mut Verdict, what: &str, ran: &Run, code: i32) {
    verdict
        .expect(ran.code == code, || format!("{what} ended with {}, not {code}: {}", ran.code, ran.stderr));
    for word in ["bug of caseharden", "panicked", "proof"] {
        verdict.expect(!ran.stderr.contains(word), || format!("{what} says: {}", ran.stderr));
    }
}

/// The findings, as programs read them.
fn report(copy: &Folder, verdict: &mut Verdict) -> Value {
    let ran = copy.run(&["check", "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
    let found = report["findings"].as_array().is_some_and(|findings| !findings.is_empty());
    let code = if unreadable(&report) { 2 } else { i32::from(found) };
    ran_well(verdict, "check", &ran, code);
    report
}

fn unreadable(report: &Value) -> bool {
    const FAILURES: [&str; 5] = ["syntax-error", "unreadable", "not-utf8", "too-large", "too-deep"];
    let skipped = report["skipped"].as_array().into_iter().flatten();
    skipped.filter_map(|skip| skip["reason"].as_str()).any(|reason| FAILURES.contains(&reason))
}

/// `git apply` of the diff, `apply` and `branch` must lead to one tree.
fn same_trees(verdict: &mut Verdict, repo: &Path, applied: &Folder, diff: &Run) {
    let tree = corpus::git_tree(applied);
    if diff.stdout.is_empty() {
        return verdict.expect(tree == applied.git(&["rev-parse", "HEAD^{tree}"]), || {
            "the diff is empty and yet files have changed".to_owned()
        });
    }
    let patched = corpus::copy(repo);
    let took = patched.run_in(&patched.path(), "git", &["apply", "-"], diff.stdout.as_bytes());
    verdict.expect(took.code == 0, || format!("git apply: {}", took.stderr));
    verdict.expect(patched.tree() == applied.tree(), || "diff and apply differ".to_owned());
    let branch = applied.git(&["for-each-ref", "--format=%(tree)", &format!("refs/heads/{BRANCH}")]);
    verdict.expect(branch == tree, || {
        let stat = applied.git(&["diff", "--stat", "--cached", "HEAD"]);
        format!("branch has {branch:?} and apply wrote {tree:?}: {stat}")
    });
}

type Files = BTreeMap<String, Vec<u8>>;

fn compare(verdict: &mut Verdict, before: &Files, after: &Files, hunks: &BTreeMap<String, Vec<Hunk>>) {
    verdict.files = before.len();
    for (path, old) in before {
        let Some(new) = after.get(path) else {
            verdict.faults.push(format!("{path} is gone"));
            continue;
        };
        if new == old {
            continue;
        }
        verdict.changed += 1;
        match (std::str::from_utf8(old), std::str::from_utf8(new)) {
            (Ok(old), Ok(new)) => {
                let hunks = hunks.get(path).map_or(&[][..], Vec::as_slice);
                lines::compare(verdict, path, old, new, hunks);
            }
            _ => verdict.faults.push(format!("{path} is not text and was changed")),
        }
    }
    for (path, new) in after.iter().filter(|(path, _)| !before.contains_key(*path)) {
        verdict.created += 1;
        let parsed = std::str::from_utf8(new).ok().and_then(lines::documents);
        verdict.expect(parsed.is_some(), || format!("{path} is new and does not parse"));
    }
}
