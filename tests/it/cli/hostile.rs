//! Input that means harm, or is just broken: everything else is still done, and each skip has its reason.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::SOFT;
use crate::program::{Folder, Run};

/// No control character but newline and tab.
#[track_caller]
fn printable(run: &Run) {
    for text in [&run.stdout, &run.stderr] {
        let raw = text.chars().find(|char| char.is_control() && !matches!(char, '\n' | '\t'));
        assert_eq!(raw, None, "{text:?}");
    }
}

#[test]
fn escape_sequences_in_names_never_come_out_raw() {
    let pod = SOFT
        .replace("metadata:\n  name: web", "metadata:\n  name: \"web\\e[31m\\a\\u009b2J\\u202e\"")
        .replace("- name: web", "- name: \"web\\e]0;title\\a\"")
        .replace("registry.example.com/web:1.0", "\"registry.example.com/web\\e[2K:1.0\"");
    let folder = Folder::committed(&[("web.yaml", &pod), ("we\u{1b}[31mb.yaml", SOFT)]);
    for args in [
        &["check"][..],
        &["check", "-v"],
        &["check", "--format", "json"],
        &["diff"],
        &["branch", "--per", "rule"],
        &["branch", "--per", "directory"],
        &["apply"],
    ] {
        let run = folder.run(args);
        printable(&run);
        assert!(run.code < 2, "{args:?}: {}", run.stderr);
    }
    let message = folder.git(&["log", "-1", "--format=%B", "caseharden/runs-as-root"]);
    assert!(!message.contains('\u{1b}'), "{message:?}");
}

#[test]
fn a_diff_of_a_file_with_a_strange_name_applies() {
    for name in ["a b.yaml", "ta\tb.yaml", "quo\"te.yaml", "es\u{1b}c.yaml", "größe.yaml", "back\\slash.yaml"]
    {
        let folder = Folder::committed(&[(name, SOFT)]);
        let diff = folder.run(&["diff", "-q"]).expect_code(1).stdout;
        let run = folder.run_in(&folder.path(), "git", &["apply", "-"], diff.as_bytes());
        assert_eq!(run.code, 0, "{name:?}: {}\n{diff}", run.stderr);
        folder.run(&["diff"]).expect_code(0);
    }
}

#[test]
fn a_workload_that_the_decoder_refuses_is_listed() {
    let refused = SOFT.replace("spec:\n", "spec:\n  nodeSelector:\n    <<: [a, b]\n");
    let folder = Folder::committed(&[("web.yaml", &refused)]);
    let report = folder.run(&["check", "--format", "json"]).json();
    let skipped = report["skipped"].as_array().unwrap();
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    assert_eq!(skipped[0]["reason"], "invalid-object");
    let detail = skipped[0]["detail"].as_str().unwrap();
    assert!(detail.contains("a merge key needs a mapping"), "{detail}");
}

fn alias_bomb() -> String {
    let mut text = String::from("apiVersion: v1\nkind: Pod\nmetadata:\n  name: bomb\nx0: &x0 [lol, lol]\n");
    for idx in 1..60 {
        let last = idx - 1;
        text.push_str(&format!("x{idx}: &x{idx} [*x{last}, *x{last}, *x{last}, *x{last}]\n"));
    }
    text
}

/// A repo with one good file among everything that can be wrong with others.
fn mixed() -> Folder {
    let folder = Folder::new();
    folder.git(&["init", "--quiet"]);
    folder.write("good.yaml", SOFT);
    folder.write("bomb.yaml", alias_bomb());
    folder.write(
        "deep.yaml",
        format!("apiVersion: v1\nkind: Pod\nspec: {}{}\n", "[".repeat(10_000), "]".repeat(10_000)),
    );
    let indents: String =
        (0..10_000).map(|depth| format!("{}a:\n", " ".repeat(depth % 500 + depth / 500))).collect();
    folder.write("ladder.yaml", format!("apiVersion: v1\nkind: Pod\n{indents}"));
    folder.write("huge.yaml", format!("apiVersion: v1\nkind: Pod\n{}", "# filler\n".repeat(11_700_000)));
    folder.write("latin1.yaml", b"apiVersion: v1\nkind: Pod\nmetadata: {name: caf\xe9}\n");
    folder.write("broken.yaml", "apiVersion: v1\nkind: Pod\n  bad: [\n");
    let junk: Vec<u8> = b"apiVersion kind ".iter().copied().chain((0..=255).cycle().take(5000)).collect();
    folder.write("junk.yaml", junk);
    folder.write("helmfile.yaml", "releases:\n  - name: web\n    chart: {{ .Values.chart }}\n");
    let round =
        "helmfiles: [ring.yaml, helmfile.yaml, ../../out.yaml]\nreleases: [{name: 1, chart: [x]}, x]\n";
    folder.write("ring/helmfile.yaml", round);
    folder.write("ring/ring.yaml", round);
    folder.write("folder.yaml/inner.yaml", SOFT);
    symlink("loop-b.yaml", folder.path().join("loop-a.yaml")).unwrap();
    symlink("loop-a.yaml", folder.path().join("loop-b.yaml")).unwrap();
    symlink(".", folder.path().join("self")).unwrap();
    folder.write("../outside.yaml", SOFT);
    symlink("../outside.yaml", folder.path().join("outside.yaml")).unwrap();
    let pipe = folder.path().join("pipe.yaml");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    folder
}

#[test]
fn everything_else_is_done_and_each_skip_has_a_reason() {
    let folder = mixed();
    let report = folder.run(&["check", "--format", "json"]).expect_code(2).json();
    let skipped: Vec<(&str, &str)> = report["skipped"]
        .as_array()
        .unwrap()
        .iter()
        .map(|skip| (skip["path"].as_str().unwrap(), skip["detail"].as_str().unwrap()))
        .collect();
    for path in
        ["bomb.yaml", "deep.yaml", "huge.yaml", "latin1.yaml", "broken.yaml", "junk.yaml", "helmfile.yaml"]
    {
        let found = skipped.iter().find(|(skipped, _)| *skipped == path);
        assert!(found.is_some_and(|(_, detail)| detail.len() > 5), "{path} is not among {skipped:?}");
    }
    let run = folder.run(&["apply", "--select=pod", "--allow-dirty"]).expect_code(2);
    assert_eq!(run.stdout, "folder.yaml/inner.yaml\ngood.yaml\n");
    printable(&run);
    assert_eq!(folder.read("../outside.yaml"), SOFT);
    assert_eq!(folder.read("broken.yaml"), "apiVersion: v1\nkind: Pod\n  bad: [\n");
    let said = folder.run(&["check", "-v"]);
    printable(&said);
    for (path, _) in skipped {
        assert!(said.stdout.contains(path) || said.stderr.contains(path), "-v does not list {path}");
    }
}

/// 2 GiB of address space are enough, whatever the input.
#[test]
fn memory_stays_bounded() {
    let folder = mixed();
    let script = format!("ulimit -v 2097152 && exec {} check --jobs 2", env!("CARGO_BIN_EXE_caseharden"));
    let run = folder.run_in(&folder.path(), "sh", &["-c", &script], b"");
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stdout.contains("good.yaml"), "{}", run.stdout);
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    let folder = Folder::new();
    folder.write("good.yaml", SOFT);
    folder.write("locked.yaml", SOFT);
    let root = folder.path();
    let locked = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(root.join("locked.yaml"), locked).unwrap();
    let run = if std::fs::read(root.join("locked.yaml")).is_err() {
        folder.run(&["check", "--color", "never"])
    } else {
        let Some(run) = as_nobody(&folder, &root) else {
            eprintln!("skipped: root reads everything, and setpriv may not change the user here");
            return;
        };
        run
    };
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("good.yaml"), "{}", run.stdout);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains("locked.yaml"), "{said}");
}

/// The program as a user without rights, which needs a copy of it where such a user can reach it.
fn as_nobody(folder: &Folder, root: &Path) -> Option<Run> {
    let place = root.parent().unwrap();
    for open in [place, root] {
        std::fs::set_permissions(open, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let program = place.join("caseharden");
    std::fs::copy(env!("CARGO_BIN_EXE_caseharden"), &program).unwrap();
    let user = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let allowed = std::process::Command::new("setpriv").args(user).arg("true").status();
    if !allowed.is_ok_and(|status| status.success()) {
        return None;
    }
    let args = [&user[..], &[program.to_str().unwrap(), "check", "--color", "never"]].concat();
    Some(folder.run_in(root, "setpriv", &args, b""))
}
