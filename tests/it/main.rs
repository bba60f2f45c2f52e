//! The integration tests: one binary, so that it links once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod canary;
mod cli;
mod dependencies;
mod docs;
mod golden;
mod integrations;
mod network;
mod pins;
mod program;
mod pss;
mod readme;

// Modes, symlinks, signals and scripts as filters: these two speak Unix.
#[cfg(unix)]
mod apply;
#[cfg(unix)]
mod corpus;
#[cfg(unix)]
mod field;
mod fleet;
#[cfg(unix)]
mod forge;
mod formats;
#[cfg(unix)]
mod git;
#[cfg(unix)]
mod isolated;
#[cfg(unix)]
mod real;
#[cfg(unix)]
mod registry;
