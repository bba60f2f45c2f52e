//! The only integration-test binary: one link, one place to run.

mod pss;
