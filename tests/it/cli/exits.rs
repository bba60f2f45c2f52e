//! Exit codes, standard input, closed pipes, mistakes of the user.

use std::io::Read;
use std::process::Stdio;

use super::{HARD, SOFT, hard, shop, soft};
use crate::program::Folder;

/// What the tests do is the same for all rules; those about pods find nothing in `HARD`.
const PODS: &str = "--select=pod,image";

#[track_caller]
fn ends(folder: &Folder, args: &[&str], code: i32) {
    let run = folder.run(args);
    assert_eq!(run.code, code, "{args:?}: {}{}", run.stdout, run.stderr);
}

#[test]
fn says_by_its_exit_code_whether_there_is_something_to_do() {
    for command in ["check", "diff"] {
        ends(&hard(), &[command, PODS], 0);
        ends(&soft(), &[command], 1);
        ends(&soft(), &[command, "no/such/folder"], 2);
    }
    for command in ["apply", "branch"] {
        ends(&hard(), &[command, PODS], 0);
        ends(&soft(), &[command], 0);
        ends(&soft(), &[command, "no/such/folder"], 2);
    }
}

#[test]
fn finds_by_hand_only_and_has_no_diff() {
    let folder = Folder::committed(&[(
        "web.yaml",
        &HARD.replace("1.0@sha256", "latest@sha256").replace("spec:\n  a", "spec:\n  hostPID: true\n  a"),
    )]);
    ends(&folder, &["check", PODS], 1);
    ends(&folder, &["diff", PODS], 0);
}

#[test]
fn ends_with_two_when_a_file_is_broken_and_still_does_the_rest() {
    let folder =
        Folder::committed(&[("web.yaml", SOFT), ("bad.yaml", "apiVersion: v1\nkind: Pod\n  bad: [\n")]);
    for command in ["check", "diff"] {
        let run = folder.run(&[command]).expect_code(2);
        assert!(run.stdout.contains("web.yaml"), "{}", run.stdout);
    }
    let run = folder.run(&["branch"]).expect_code(2);
    assert!(run.stdout.contains("created"), "{}", run.stdout);
    let run = folder.run(&["apply", PODS]).expect_code(2);
    assert_eq!(run.stdout, "web.yaml\n");
}

#[test]
fn other_commands_end_well_or_with_two() {
    let folder = hard();
    for args in [
        &["rules"][..],
        &["rules", "--format", "markdown"],
        &["explain", "runs-as-root"],
        &["templates", "list"],
        &["templates", "export", "hardening"],
        &["init"],
        &["init", "--schema"],
        &["check", "--schema"],
        &["--version"],
        &["help", "check"],
    ] {
        ends(&folder, args, 0);
    }
    for args in
        [&["explain", "runs-as-rot"][..], &["init"], &["frobnicate"], &["check", "--format", "xml"], &[]]
    {
        ends(&folder, args, 2);
    }
}

#[test]
fn reads_standard_input() {
    let folder = Folder::new();
    let run = folder.run_with(&["diff", "-q", "-"], SOFT.as_bytes()).expect_code(1);
    assert!(run.stdout.contains("+    runAsNonRoot: true\n"), "{}", run.stdout);
    folder.run_with(&["check", PODS, "-"], HARD.as_bytes()).expect_code(0);
    folder.run_with(&["apply", "-"], SOFT.as_bytes()).expect_code(2);
    folder.run_with(&["diff", "-", "web.yaml"], SOFT.as_bytes()).expect_code(2);
}

#[test]
fn says_so_when_it_looked_at_nothing() {
    let run = Folder::committed(&[("notes.txt", "none")]).run(&["check"]);
    assert!(run.stderr.contains("no Kubernetes manifest was found"), "{}", run.stderr);
}

#[test]
fn output_does_not_depend_on_the_number_of_threads() {
    let folder = shop();
    for args in [&["check", "--format", "json"][..], &["check", "-v"], &["diff"]] {
        let runs = ["1", "4"].map(|jobs| folder.run(&[args, &["--jobs", jobs]].concat()));
        assert_eq!(runs[0].stdout, runs[1].stdout, "{args:?}");
        assert_eq!(runs[0].stderr, runs[1].stderr, "{args:?}");
        assert!(!runs[0].stdout.is_empty());
    }
}

#[test]
fn a_closed_pipe_is_success() {
    let folder = Folder::new();
    // More than a pipe holds, so that the program meets the closed end.
    for idx in 0..200 {
        folder.write(&format!("{idx}.yaml"), SOFT);
    }
    let mut command = folder.command(&folder.path(), env!("CARGO_BIN_EXE_caseharden"), &["diff"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 100]).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn unknown_names_come_with_the_nearest_known_one() {
    let folder = soft();
    let run = folder.run(&["check", "--select", "runs-as-rot"]).expect_code(2);
    assert_eq!(
        run.stderr,
        "error: unknown rule `runs-as-rot`\n  help: did you mean `runs-as-root`? `caseharden rules` lists all of them\n"
    );
    folder.write("caseharden.toml", "level = \"safe\"\nprofil = \"baseline\"\nignore = [\"host-prot\"]\n");
    let run = folder.run(&["check"]).expect_code(2);
    for part in
        ["caseharden.toml:2:1", "unknown key `profil`", "did you mean `profile`", "did you mean `host-port`"]
    {
        assert!(run.stderr.contains(part), "no {part:?} in {}", run.stderr);
    }
}

#[test]
fn apply_leaves_files_with_uncommitted_changes_alone() {
    let folder = Folder::committed(&[("api.yaml", SOFT), ("web.yaml", SOFT)]);
    let edited = format!("{SOFT}# being edited\n");
    folder.write("web.yaml", &edited);
    let run = folder.run(&["apply", PODS]).expect_code(2);
    assert_eq!(run.stdout, "api.yaml\n");
    assert!(run.stderr.contains("web.yaml: not changed: has uncommitted changes"), "{}", run.stderr);
    assert_eq!(folder.read("web.yaml"), edited);
    let run = folder.run(&["apply", PODS, "--allow-dirty", "web.yaml"]).expect_code(0);
    assert_eq!(run.stdout, "web.yaml\n");
}

#[test]
fn explicit_configuration_and_templates_win() {
    let folder = soft();
    folder.write("other.toml", "select = [\"seccomp-not-set\"]\n");
    let run = folder.run(&["diff", "-q", "--config", "other.toml"]).expect_code(1);
    assert!(run.stdout.contains("seccompProfile") && !run.stdout.contains("runAsNonRoot"), "{}", run.stdout);
    folder.run(&["templates", "export", "hardening"]).expect_code(0);
    let same = folder.run(&["diff", "--templates", "hardening"]).expect_code(1);
    assert_eq!(same.stdout, folder.run(&["diff"]).stdout);
    folder.write("hardening/container-security-context.yaml", "readOnlyRootFilesytem: true\n");
    let run = folder.run(&["diff", "--templates", "hardening"]).expect_code(2);
    for part in ["container-security-context.yaml", "readOnlyRootFilesytem"] {
        assert!(run.stderr.contains(part), "no {part} in {}", run.stderr);
    }
}
