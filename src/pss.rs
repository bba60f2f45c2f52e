//! The Pod Security Standards' verdict on a pod: the checks of `k8s.io/pod-security-admission` at the levels
//! baseline and restricted, for every policy version, in upstream's order and words.
//!
//! Knows pods as values; nothing of files, rules or fixes.
//!
//! The verdict is the evaluator's on the pod as it is written. An API server fills in defaults before it asks:
//! see [`Pod::with_default_volumes`], and under `hostNetwork` (which baseline forbids anyway) it makes every
//! container port a host port. It also refuses values of a wrong type; here these read as `null`, so that the rest
//! of the pod can still be judged.

mod check;
mod host;
mod level;
mod pod;
mod privilege;
mod profile;
mod user;
mod version;
mod volume;
mod wording;

use std::fmt;

use json_patch::jsonptr::PointerBuf;

pub use check::{Check, Revision, check, checks};
pub use level::{InvalidLevel, Level};
pub use pod::Pod;
pub use version::{InvalidVersion, NEWEST, Version};

/// Volume sources that restricted allows.
pub const ALLOWED_VOLUMES: [&str; 9] = volume::ALLOWED_SOURCES;

/// The sysctls that baseline allows since the revision of a minor version.
pub fn safe_sysctls(since: u32) -> impl Iterator<Item = &'static str> {
    host::safe_sysctls(since)
}

/// A check that a pod does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Level of the check, not the one that was asked for: restricted includes the checks of baseline.
    pub level: Level,
    /// Upstream's id of the check, such as `capabilities_restricted`.
    pub check: &'static str,
    /// What is wrong in short, such as `unrestricted capabilities`. Upstream prints it for each pod of a namespace.
    pub reason: &'static str,
    /// Who is at fault and how, such as `container "web" must set securityContext.capabilities.drop=["ALL"]`.
    pub detail: String,
    /// The values that `detail` speaks of, in its order: those that are wrong, and those that are missing at the
    /// place where they could be set. RFC 6901 relative to the pod spec, except `/metadata/annotations/…`.
    pub fields: Vec<PointerBuf>,
}

impl Violation {
    /// Reason and detail as the API server's refusals and warnings print them: `reason (detail)`.
    pub fn message(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.detail.is_empty() {
            return f.write_str(self.reason);
        }
        write!(f, "{} ({})", self.reason, self.detail)
    }
}

/// Returns every check of `level` that the pod does not pass, in upstream's order: baseline's first.
///
/// Nothing is ever wrong at [`Level::Privileged`]. Versions newer than [`NEWEST`] are judged as that one.
pub fn evaluate(pod: &Pod<'_>, level: Level, version: Version) -> Vec<Violation> {
    let violation = |(check, judge): &(&'static Check, check::Judge)| {
        let forbidden = judge(pod)?;
        Some(Violation {
            level: check.level,
            check: check.id,
            reason: forbidden.reason,
            detail: forbidden.detail,
            fields: forbidden.fields,
        })
    };
    check::active(level, version).iter().filter_map(violation).collect()
}

/// Whether [`evaluate`] finds nothing. Stops at the first check that fails.
pub fn allows(pod: &Pod<'_>, level: Level, version: Version) -> bool {
    check::active(level, version).iter().all(|(_, judge)| judge(pod).is_none())
}

/// Returns the strictest level that a namespace may enforce without refusing the pod.
pub fn highest_level(pod: &Pod<'_>, version: Version) -> Level {
    let strictest_first = [Level::Restricted, Level::Baseline];
    strictest_first.into_iter().find(|&level| allows(pod, level, version)).unwrap_or(Level::Privileged)
}

#[cfg(test)]
mod tests;
