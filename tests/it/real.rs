//! What other programs make of hardened repos: kustomize still builds them, Kubernetes' own decoder and evaluator
//! say what ours say. `tests/real/run` installs these programs and names them in the environment.

mod builds;
mod decoders;

use std::ffi::OsString;

/// The program a variable names; `None`, said aloud, where it is unset.
fn program(variable: &str) -> Option<OsString> {
    let program = std::env::var_os(variable);
    if program.is_none() {
        eprintln!("skipped: {variable} is not set: tests/real/run does so");
    }
    program
}

/// Says all that is wrong before it fails.
#[track_caller]
fn none_of(faults: &[String]) {
    faults.iter().for_each(|fault| eprintln!("real: FAULT {fault}"));
    assert!(faults.is_empty(), "{} faults, listed above", faults.len());
}
