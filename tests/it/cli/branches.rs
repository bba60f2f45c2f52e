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
fn what_is_of_use_only_together_is_in_one_branch() {
    let folder = Folder::committed(&[
        ("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
        ("web/values.yaml", "resources: {}\n"),
        (
            "web/templates/web.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n    - name: web\n      image: registry.example.com/web:1.0\n      {{- with .Values.resources }}\n      resources: {{- toYaml . | nindent 8 }}\n      {{- end }}\n",
        ),
    ]);
    folder.run(&["branch", "--per", "directory", "--select", "privilege-escalation-allowed"]).expect_code(0);
    let [branch] = &branches(&folder)[..] else { panic!("{:?}", branches(&folder)) };
    let files = files_of(&folder, branch);
    let text = |path: &str| String::from_utf8_lossy(&files[path]).into_owned();
    assert!(text("web/values.yaml").contains("allowPrivilegeEscalation: false"));
    assert!(text("web/templates/web.yaml").contains(".Values.securityContext"));
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

/// The shop, with owners who share it.
fn owned_shop() -> Folder {
    let folder = shop();
    folder.write(".github/CODEOWNERS", "* @platform\n/base/web.yaml @web-team\n/overlays/ @ops @platform\n");
    folder.commit();
    folder
}

fn changed(folder: &Folder, from: &str, to: &str) -> Vec<String> {
    folder.git(&["diff", "--name-only", from, to]).lines().map(str::to_owned).collect()
}

#[test]
fn each_set_of_owners_gets_a_branch_of_its_files() {
    let folder = owned_shop();
    folder.run(&["branch", "--per", "owner"]).expect_code(0);
    let made = branches(&folder);
    assert!(made.iter().any(|name| name.contains("owner-")) && made.len() >= 2, "{made:?}");
    let mut all: Vec<String> = made.iter().flat_map(|branch| changed(&folder, "HEAD", branch)).collect();
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "a file is in two branches: {all:?}");
    let whole = owned_shop();
    whole.run(&["branch"]).expect_code(0);
    assert_eq!(all, changed(&whole, "HEAD", "caseharden/harden"));
    let run = shop().run(&["branch", "--per", "owner"]).expect_code(2);
    assert!(run.stderr.contains(".github/CODEOWNERS"), "{}", run.stderr);
}

#[test]
fn a_file_that_names_a_new_one_is_in_its_branch() {
    for args in [&["--per", "owner"][..], &["--max-files", "1"]] {
        let folder = owned_shop();
        folder.write(
            ".github/CODEOWNERS",
            "* @platform\nnetwork-policy.yaml @net\nkustomization.yaml @kustomize\n",
        );
        folder.commit();
        folder.run(&[&["branch"][..], args].concat()).expect_code(0);
        for branch in branches(&folder) {
            for (path, text) in files_of(&folder, &branch) {
                let text = String::from_utf8_lossy(&text);
                if path.ends_with("kustomization.yaml") && text.contains("- network-policy.yaml") {
                    let beside = path.replace("kustomization.yaml", "network-policy.yaml");
                    let listing = folder.git(&["ls-tree", "-r", "--name-only", &branch]);
                    assert!(listing.lines().any(|line| line == beside), "{branch}: {path} names no file");
                }
            }
        }
    }
}

#[test]
fn branches_of_bounded_size_add_up_to_the_whole() {
    let folder = shop();
    folder.run(&["branch", "--max-files", "2"]).expect_code(0);
    let made = branches(&folder);
    assert!(made.len() >= 3 && made.contains(&"caseharden/harden-1".to_owned()), "{made:?}");
    for (number, branch) in made.iter().enumerate() {
        let subject = folder.git(&["log", "-1", "--format=%s", branch]);
        assert!(subject.trim_end().ends_with(&format!("of {})", made.len())), "{number}: {subject}");
        folder.git(&["merge", "--quiet", "--no-edit", branch]);
    }
    let whole = shop();
    whole.run(&["apply"]).expect_code(0);
    assert_eq!(folder.tree(), whole.tree());
}

#[test]
fn a_stack_ends_with_what_one_branch_would_hold() {
    for per in ["area", "namespace", "directory"] {
        let folder = shop();
        let run = folder.run(&["branch", "--per", per, "--stacked"]).expect_code(0);
        let names: Vec<&str> = run.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert!(names.len() >= 2, "{}", run.stdout);
        let mut below = folder.git(&["rev-parse", "HEAD"]);
        for name in &names {
            assert_eq!(folder.git(&["rev-parse", &format!("{name}^")]), below, "{per}: {name}");
            below = folder.git(&["rev-parse", name]);
        }
        let top = names.last().unwrap();
        folder.git(&["checkout", "--quiet", top]);
        let left = folder.run(&["diff", "-q"]);
        assert_eq!((left.code, left.stdout.as_str()), (0, ""), "{per}");
        let again = folder.run(&["branch", "--per", per, "--stacked", "--base", "main"]).expect_code(0);
        assert!(again.stdout.lines().all(|line| line.contains("unchanged")), "{}", again.stdout);
    }
}

#[test]
fn a_team_words_its_commits_and_adds_trailers() {
    let folder = shop();
    folder.write("words/branch/title.txt", "[{{ per }}] {{ title }} ({{ rules | length }} rules)");
    folder.write("words/branch/message.txt", "See RUN-7.\n\n{{ details }}");
    let args = ["branch", "--templates", "words", "--trailer", "Reviewed-by: Ann <ann@example.com>"];
    folder.run(&args).expect_code(0);
    let message = folder.git(&["log", "-1", "--format=%B", "caseharden/harden"]);
    assert!(
        message.starts_with("[run] Harden workloads and namespaces (")
            && message.contains("\n\nSee RUN-7.\n")
    );
    let trailers = folder.git(&["log", "-1", "--format=%(trailers:only)", "caseharden/harden"]);
    assert!(
        trailers.starts_with("Reviewed-by: Ann <ann@example.com>\nHardened-by: caseharden/"),
        "{trailers}"
    );
    folder.write("words/branch/title.txt", "two\nlines");
    let run = folder.run(&args).expect_code(2);
    assert!(run.stderr.contains("branch/title.txt: must render one line"), "{}", run.stderr);
    folder.run(&["branch", "--trailer", "no trailer"]).expect_code(2);
}

#[test]
fn a_dry_run_makes_nothing_and_says_what_it_would_make() {
    let folder = shop();
    let before = folder.git(&["count-objects", "-v"]);
    let run = folder.run(&["branch", "--per", "area", "--dry-run"]).expect_code(0);
    assert!(run.stdout.contains("caseharden/pod  would hold "), "{}", run.stdout);
    assert!(branches(&folder).is_empty());
    assert_eq!(folder.git(&["count-objects", "-v"]), before);
}
