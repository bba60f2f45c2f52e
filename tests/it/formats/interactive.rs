//! `diff --interactive` on a terminal of its own: `script` makes one and takes the answers.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;

use super::{POD_RULES, small};
use crate::program::Folder;

/// Answers the questions of a review; what was on the terminal.
fn review(folder: &Folder, args: &[&str], answers: &str) -> String {
    review_with(folder, args, answers, "true")
}

fn review_with(folder: &Folder, args: &[&str], answers: &str, editor: &str) -> String {
    let args = format!("--interactive --color never {}", args.join(" "));
    on_terminal(folder, &args, answers, &[("VISUAL", editor), ("TERM", "dumb")])
}

/// What `diff` puts on a terminal.
fn on_terminal(folder: &Folder, args: &str, answers: &str, variables: &[(&str, &str)]) -> String {
    let program = env!("CARGO_BIN_EXE_caseharden");
    let command = format!("{program} diff {args}");
    let mut child = folder.command(&folder.path(), "script", &["-qec", &command, "/dev/null"]);
    child.envs(variables.iter().copied());
    let mut child =
        child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The end of the input is the end of the terminal's, so that nothing waits for ever.
    child.stdin.take().unwrap().write_all(format!("{answers}\n\u{4}").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}

fn changed(before: &BTreeMap<String, Vec<u8>>, folder: &Folder) -> Vec<String> {
    let after = folder.tree();
    let changed = after.iter().filter(|(path, bytes)| before.get(*path) != Some(bytes));
    changed.map(|(path, _)| path.clone()).collect()
}

#[test]
fn takes_all_as_apply_does() {
    let (folder, applied) = (small(), small());
    let screen = review(&folder, &[POD_RULES], "y\ny\ny\nw");
    applied.run(&["apply", POD_RULES]).expect_code(0);
    assert_eq!(folder.tree(), applied.tree(), "{screen}");
    assert!(screen.contains("(1/3) Take this change"), "{screen}");
    assert!(screen.contains("# seccomp-not-set (review): Deployment/web has no seccomp profile"), "{screen}");
}

#[test]
fn takes_one_hunk_and_leaves_the_other() {
    let folder = small();
    let before = folder.tree();
    let screen = review(&folder, &[POD_RULES], "n\nn\ny\nw");
    assert_eq!(changed(&before, &folder), ["apps/web app.yaml"], "{screen}");
    let text = folder.read("apps/web app.yaml");
    let (deployment, pod) = text.split_once("\n---\n").unwrap();
    assert!(deployment.ends_with(super::DEPLOYMENT.split_once("\n---\n").unwrap().0), "{text}");
    assert!(pod.contains("capabilities: {drop: [ALL]}"), "{text}");
}

#[test]
fn a_rule_is_taken_or_skipped_everywhere() {
    let folder = small();
    // Of the rules of the first hunk the first: it is settled in the second hunk too.
    let screen = review(&folder, &["--select=seccomp-not-set,capabilities-not-dropped"], "s\n1\ny\ny\nw");
    let text = folder.read("apps/web app.yaml");
    assert!(!text.contains("seccompProfile"), "{screen}\n{text}");
    assert_eq!(text.matches("drop: [ALL]").count(), 2, "{screen}\n{text}");
    let folder = small();
    let screen = review(&folder, &["--select=seccomp-not-set"], "a\nw");
    assert_eq!(folder.read("apps/web app.yaml").matches("seccompProfile").count(), 2, "{screen}");
}

#[test]
fn explains_and_quits_without_a_change() {
    let folder = small();
    let before = folder.tree();
    let screen = review(&folder, &[POD_RULES], "?\nq");
    assert!(screen.contains("What could break:") && screen.contains("q - stop here"), "{screen}");
    assert_eq!(folder.tree(), before);
    let screen = review(&folder, &[POD_RULES], "y\ny\ny\nq");
    assert!(screen.contains("[w]rite the files"), "{screen}");
    assert_eq!(folder.tree(), before);
}

#[test]
fn makes_a_branch_of_what_was_taken() {
    let folder = small();
    let before = folder.tree();
    let screen = review(&folder, &[POD_RULES], "n\nn\ny\nb");
    assert_eq!(folder.tree(), before, "{screen}");
    let diff = folder.git(&["diff", "main", "caseharden/harden"]);
    assert!(
        diff.contains("+    - {name: tool") && !diff.contains("allowPrivilegeEscalation: true"),
        "{screen}\n{diff}"
    );
}

#[test]
fn takes_what_was_edited_by_hand_if_it_is_sound() {
    let folder = small();
    let editor = "sed -i s/RuntimeDefault/Localhost/";
    let screen = review_with(&folder, &["--select=seccomp-not-set"], "e\nn\nw", editor);
    let text = folder.read("apps/web app.yaml");
    assert!(text.contains("type: Localhost") && !text.contains("RuntimeDefault"), "{screen}\n{text}");
    let folder = small();
    let screen =
        review_with(&folder, &["--select=seccomp-not-set"], "e\nn\nw", "sed -i 's/type: R.*/type: [/'");
    assert!(screen.contains("not changed: the edited text is not YAML"), "{screen}");
    assert_eq!(folder.read("apps/web app.yaml"), super::DEPLOYMENT);
}

#[test]
fn asks_nobody_without_a_terminal() {
    let run = small().run(&["diff", "--interactive"]).expect_code(2);
    assert!(run.stderr.contains("needs a terminal"), "{}", run.stderr);
}

#[test]
fn the_pager_of_git_gets_what_is_shown_and_nothing_else() {
    let folder = small();
    let paged = |args: &str, variables: &[(&str, &str)]| on_terminal(&folder, args, "", variables);
    let args = &format!("--color never {POD_RULES}");
    let pager = ("GIT_PAGER", "sed 's/^/> /'");
    let screen = paged(args, &[pager, ("PAGER", "false")]);
    assert!(screen.contains("> diff --git a/apps/web app.yaml"), "{screen}");
    // Talk comes behind, and not through the pager.
    assert!(
        screen.trim_end().ends_with("findings left to a person: `caseharden check` lists them"),
        "{screen}"
    );
    assert!(!screen.contains("> 3 findings"), "{screen}");
    let screen = paged(&format!("--no-pager {args}"), &[pager]);
    assert!(screen.contains("\ndiff --git") && !screen.contains("> diff"), "{screen}");
    folder.git(&["config", "core.pager", "sed 's/^/git> /'"]);
    assert!(paged(args, &[]).contains("git> diff --git"));
    assert!(paged(args, &[("GIT_PAGER", "cat")]).contains("\ndiff --git"));
}

#[test]
fn rules_are_links_where_the_terminal_has_them() {
    let folder = small();
    let args = &format!("--no-pager {POD_RULES}");
    let link = "\u{1b}]8;;https://kubernetes.io/";
    assert!(on_terminal(&folder, args, "", &[("FORCE_HYPERLINK", "1")]).contains(link));
    assert!(on_terminal(&folder, args, "", &[("VTE_VERSION", "7000"), ("TERM", "xterm")]).contains(link));
    assert!(!on_terminal(&folder, args, "", &[("TERM", "dumb")]).contains(link));
    let run = folder.run(&["diff", POD_RULES]);
    assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
}
