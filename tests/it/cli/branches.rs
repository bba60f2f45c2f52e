//! `branch`: the checkout stays as it is, and what it commits is what `apply` writes.

use std::collections::BTreeMap;

use super::{SOFT, shop};
use crate::program::Folder;

/// Everything git knows of the checkout.
fn state(folder: &Folder) -> (String, String, BTreeMap<String, Vec<u8>>) {
    (
        folder.git(&["status", "--porcelain=v2", "--branch"]),
        folder.git(&["ls-files", "--stage"]),
        folder.tree(),
    )
}

/// The files of a branch, out of a checkout of their own.
fn files_of(folder: &Folder, branch: &str) -> BTreeMap<String, Vec<u8>> {
    let copy = folder.path().join(format!("../{}", branch.replace('/', "-")));
    let copy = copy.to_str().unwrap();
    folder.git(&["clone", "--quiet", "--branch", branch, ".", copy]);
    crate::program::tree(copy.as_ref())
}

fn branches(folder: &Folder) -> Vec<String> {
    let listed = folder.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads/caseharden"]);
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn commits_what_apply_writes_and_leaves_the_checkout_alone() {
    let folder = shop();
    let before = state(&folder);
    folder.run(&["branch"]).expect_code(0);
    assert_eq!(state(&folder), before);
    let branched = files_of(&folder, "caseharden/harden");
    let applied = shop();
    applied.run(&["apply"]).expect_code(0);
    assert_eq!(branched, applied.tree());
}

#[test]
fn works_from_the_commit_when_the_checkout_is_dirty() {
    let folder = shop();
    folder.write("base/web.yaml", SOFT);
    folder.git(&["add", "base/web.yaml"]);
    folder.write("base/web.yaml", format!("{SOFT}# edited again\n"));
    let before = state(&folder);
    let run = folder.run(&["branch"]).expect_code(0);
    assert!(run.stderr.contains("uncommitted changes"), "{}", run.stderr);
    assert_eq!(state(&folder), before);
    let applied = shop();
    applied.run(&["apply"]).expect_code(0);
    assert_eq!(files_of(&folder, "caseharden/harden"), applied.tree());
}

#[test]
fn makes_no_second_commit_of_the_same() {
    let folder = shop();
    folder.run(&["branch"]).expect_code(0);
    let first = folder.git(&["rev-parse", "caseharden/harden"]);
    let run = folder.run(&["branch"]).expect_code(0);
    assert!(run.stdout.contains("unchanged"), "{}", run.stdout);
    assert_eq!(folder.git(&["rev-parse", "caseharden/harden"]), first);
}

#[test]
fn replaces_another_branch_only_when_forced() {
    let folder = shop();
    folder.git(&["branch", "caseharden/harden"]);
    folder.git(&["commit", "--quiet", "--allow-empty", "--message=later"]);
    folder.git(&["update-ref", "refs/heads/caseharden/harden", "HEAD"]);
    folder.git(&["commit", "--quiet", "--allow-empty", "--message=last"]);
    let other = folder.git(&["rev-parse", "caseharden/harden"]);
    folder.run(&["branch"]).expect_code(2);
    assert_eq!(folder.git(&["rev-parse", "caseharden/harden"]), other);
    folder.run(&["branch", "--force"]).expect_code(0);
    assert_ne!(folder.git(&["rev-parse", "caseharden/harden"]), other);
}

#[test]
fn every_branch_of_a_division_stands_on_head_alone() {
    for (per, least) in [("rule", 8), ("area", 2), ("namespace", 3), ("directory", 4)] {
        let folder = shop();
        let before = state(&folder);
        folder.run(&["branch", "--per", per]).expect_code(0);
        assert_eq!(state(&folder), before, "{per}");
        let made = branches(&folder);
        assert!(made.len() >= least, "{per}: {made:?}");
        let head = folder.git(&["rev-parse", "HEAD"]);
        for branch in made {
            assert_eq!(folder.git(&["rev-parse", &format!("{branch}^")]), head, "{branch}");
            let diff = folder.git(&["diff", "HEAD", &branch]);
            assert!(!diff.is_empty(), "{branch} changes nothing");
            let run = folder.run_in(&folder.path(), "git", &["apply", "--check", "-"], diff.as_bytes());
            assert_eq!(run.code, 0, "{branch}: {}", run.stderr);
        }
    }
}

#[test]
fn a_branch_of_a_rule_is_what_apply_writes_for_it() {
    let folder = shop();
    folder.run(&["branch", "--per", "rule"]).expect_code(0);
    let applied = shop();
    applied.run(&["apply", "--select", "seccomp-not-set"]).expect_code(0);
    assert_eq!(files_of(&folder, "caseharden/seccomp-not-set"), applied.tree());
}

#[test]
fn the_message_names_rules_objects_and_what_to_check() {
    let folder = shop();
    folder.run(&["branch"]).expect_code(0);
    let message = folder.git(&["log", "-1", "--format=%B", "caseharden/harden"]);
    let subject = message.lines().next().unwrap();
    assert!(subject.len() <= 72 && !subject.ends_with('.'), "{subject}");
    for part in ["runs-as-root: ", "  - Deployment/api (base/api.yaml)", "  Check: "] {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
    assert_eq!(
        folder.git(&["log", "-1", "--format=%an <%ae>", "caseharden/harden"]),
        "Test <test@example.com>\n"
    );
}
