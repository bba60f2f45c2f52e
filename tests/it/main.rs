//! The integration tests: one binary, so that it links once.

mod pss;

// Modes, symlinks, signals and scripts as filters: these two speak Unix.
#[cfg(unix)]
mod apply;
#[cfg(unix)]
mod git;
#[cfg(unix)]
mod isolated;
