//! What a forge knows of a repo: who owns which file.
//!
//! Knows nothing of manifests, rules or findings.

mod owners;

pub use owners::CodeOwners;
