//! Runs a test in a process of its own, with an environment nobody else has a part in.
//!
//! A process may not change its own environment while other threads read it, and what git does depends on
//! the environment; so the test binary runs itself again for the one test.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

const HOME_MARK: &str = "CASEHARDEN_TEST_HOME";

/// Runs `body` in a child whose home is an empty directory, given to `body` as its place to work in.
pub(crate) fn isolated<F: FnOnce(&Path)>(body: F) {
    isolated_with(&[], body);
}

/// [`isolated`] with more variables set.
pub(crate) fn isolated_with<F: FnOnce(&Path)>(variables: &[(&str, &str)], body: F) {
    if let Some(home) = std::env::var_os(HOME_MARK) {
        return body(Path::new(&home));
    }
    let home = tempfile::tempdir().unwrap();
    let mut command = this_test::<F>(home.path(), &[]);
    command.envs(variables.iter().copied());
    run(command);
}

/// Runs `body` in a child that `wrapper` starts (`setpriv …`, `unshare …`). Returns whether it ran: false
/// when the wrapper is not allowed here.
pub(crate) fn wrapped<F: FnOnce(&Path)>(wrapper: &[&str], home: &Path, body: F) -> bool {
    if let Some(home) = std::env::var_os(HOME_MARK) {
        body(Path::new(&home));
        return true;
    }
    let allowed = Command::new(wrapper[0]).args(&wrapper[1..]).arg("true").output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        return false;
    }
    run(this_test::<F>(home, wrapper));
    true
}

/// Prepares another run of the test that `F` is a closure of.
pub(crate) fn this_test<F>(home: &Path, wrapper: &[&str]) -> Command {
    let closure = std::any::type_name::<F>();
    let path = closure.split("::{{closure}}").next().unwrap();
    let name = path.split_once("::").unwrap().1;
    let mut words: Vec<OsString> = wrapper.iter().map(OsString::from).collect();
    words.push(std::env::current_exe().unwrap().into());
    words.extend(["--exact", name, "--nocapture", "--test-threads=1"].map(OsString::from));
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env_clear();
    let kept =
        |name: &OsStr| ["PATH", "TMPDIR", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"].iter().any(|k| name == *k);
    command.envs(std::env::vars_os().filter(|(name, _)| kept(name)));
    command.env("HOME", home).env("XDG_CONFIG_HOME", home.join("xdg")).env(HOME_MARK, home);
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CEILING_DIRECTORIES", home);
    command
}

#[track_caller]
fn run(mut command: Command) {
    let output = command.output().unwrap();
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "the child ran another test, or none: {text}");
}
