//! What other programs make of hardened repos: kustomize still builds them, Kubernetes' own decoder and evaluator
//! say what ours say, and so does another simulator of network policies. `tests/real/run` installs these programs and names them in the environment.

#![expect(clippy::print_stderr, reason = "a test says what it looked at and what it skipped")]

mod access;
mod access_replay;
mod admission;
mod analyzer;
mod builds;
mod charts;
mod decoders;
mod hardened_charts;
mod kustomized_images;
mod overlays;
mod policies;
mod renderings;
mod secrets;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::corpus;

/// The program a variable names; `None`, said aloud, where it is unset.
fn program(variable: &str) -> Option<OsString> {
    let program = std::env::var_os(variable);
    if program.is_none() {
        eprintln!("skipped: {variable} is not set: tests/real/run does so");
    }
    program
}

/// The project's own example, and real repos where there are some.
fn repos() -> Vec<PathBuf> {
    let mut repos = corpus::repos().unwrap_or_default();
    repos.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/shop"));
    repos
}

/// Says all that is wrong before it fails.
#[track_caller]
fn none_of(faults: &[String]) {
    faults.iter().for_each(|fault| eprintln!("real: FAULT {fault}"));
    assert!(faults.is_empty(), "{} faults, listed above", faults.len());
}
