//! `--prove-builds`: whatever kustomize is found has the last word. Scripts stand in for it here; tests/real has the
//! real one.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;

use super::SOFT;
use crate::program::{Folder, Run};

const KUSTOMIZATION: &str = "resources:\n- web.yaml\n";

/// Runs `diff --prove-builds` with a folder of programs as the whole `PATH`.
fn diff(folder: &Folder, script: Option<&str>) -> Run {
    let programs = folder.path().join("../programs");
    std::fs::create_dir_all(&programs).unwrap();
    if let Some(script) = script {
        let path = programs.join("kustomize");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let args = ["diff", "--prove-builds", "-v", "--select", "privilege-escalation-allowed"];
    let mut command = folder.command(&folder.path(), env!("CARGO_BIN_EXE_caseharden"), &args);
    let path: OsString = programs.canonicalize().unwrap().into();
    let output = command.env("PATH", path).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

#[track_caller]
fn check(kustomization: &str, script: Option<&str>, code: i32, is_changed: bool, says: &str) {
    let folder = Folder::committed(&[("kustomization.yaml", kustomization), ("web.yaml", SOFT)]);
    let run = diff(&folder, script);
    assert_eq!((run.code, !run.stdout.is_empty()), (code, is_changed), "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.contains(says), "{}", run.stderr);
}

#[test]
fn without_a_kustomize_nothing_is_said_to_be_proved() {
    check(KUSTOMIZATION, None, 2, false, "neither `kustomize` nor `kubectl` is in PATH");
}

#[test]
fn a_build_that_changes_as_wanted_is_proved() {
    check(
        KUSTOMIZATION,
        Some("while IFS= read -r line; do printf '%s\\n' \"$line\"; done < web.yaml"),
        1,
        true,
        "proved 1 build",
    );
}

#[test]
fn a_build_that_changes_otherwise_keeps_its_files_as_they_are() {
    let script = "echo 'apiVersion: v1'; echo 'kind: Pod'; echo 'metadata: {name: web}'";
    check(KUSTOMIZATION, Some(script), 2, false, "Pod/web changes otherwise than wanted");
}

#[test]
fn a_build_that_breaks_keeps_its_files_as_they_are() {
    let script = "while IFS= read -r line; do case $line in *allowPrivilegeEscalation*) echo 'no such field' >&2; exit 1;; \
                  esac; printf '%s\\n' \"$line\"; done < web.yaml";
    check(KUSTOMIZATION, Some(script), 2, false, "it does not build any more: no such field");
}

#[test]
fn what_would_be_fetched_is_never_built() {
    let remote = "resources:\n- web.yaml\n- https://example.org/base?ref=v1\n";
    check(remote, Some("touch ran"), 1, true, "it fetches https://example.org/base?ref=v1");
}

#[test]
fn kustomize_gets_no_environment_and_a_copy() {
    let script = "[ -z \"$CANARY$SSH_AUTH_SOCK\" ] && [ ! -e .git ] && [ \"$1\" = build ] || exit 1\n\
                  while IFS= read -r line; do printf '%s\\n' \"$line\"; done < web.yaml";
    check(KUSTOMIZATION, Some(script), 1, true, "proved 1 build");
}
