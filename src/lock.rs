//! `caseharden.lock`: what each image of a repo was when somebody looked. Everything after `caseharden lock` works
//! from it, offline.
//!
//! TOML, one table an image, its header the reference: git lines blocks up by a line that is unique, two branches
//! that add images conflict at most where they add at the same place, and a merge that kept an image twice is an
//! error of every TOML reader. The same content always gives the same bytes.
//!
//! A plain value; talks to no registry, reads and writes no file. [`resolve`] fills it.

pub mod charts;
mod parse;
mod render;
pub mod resolve;
pub mod signatures;
mod wanted;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::charts::LockedChart;
pub use self::wanted::{Contradiction, Wanted, wanted};
use crate::image::{Digest, Reference};
use crate::image_facts::Facts;

/// Name of the lock file, at the root of the repo.
pub const FILE_NAME: &str = "caseharden.lock";

/// Larger than any lock file: a bound on what is read.
pub const LARGEST_FILE: u64 = 64 << 20;

/// The images of a repo.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lock {
    images: BTreeMap<Reference, Locked>,
    /// By what [`RemoteChart`](crate::model::charts::RemoteChart) says of it.
    charts: BTreeMap<String, LockedChart>,
}

/// An image as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// Of the index where there is one, so that every platform stays available.
    pub digest: Digest,
    pub media_type: String,
    /// Like `linux/arm64/v8`, sorted.
    pub platforms: Vec<String>,
    /// Where the tag has an index of which this digest is one platform only: the index. Other nodes cannot run it.
    pub index: Option<Digest>,
    /// Kinds of signatures that are there: `cosign`, `sigstore-bundle`, `notation`. `None` when the registry would
    /// not say.
    pub signatures: Option<Vec<String>>,
    /// What they are worth by the keys of the repo. `None` when it had none for the image.
    pub verification: Option<Verification>,
    /// For `latest`: a version tag that has the same digest.
    pub version_tag: Option<String>,
    pub facts: Option<Facts>,
    /// Other platforms whose image has another `USER` than the one the facts are of.
    pub other_users: Vec<OtherUser>,
    /// Why there are no facts.
    pub no_facts: Option<String>,
}

/// A platform whose image runs as somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherUser {
    pub platform: String,
    /// `USER` as written; empty means root.
    pub user: String,
}

impl Locked {
    /// Whether no other system can run it.
    pub fn is_for_windows(&self) -> bool {
        !self.platforms.is_empty() && self.platforms.iter().all(|platform| platform.starts_with("windows/"))
    }
}

/// The signatures of an image, checked with keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// The keys that would have been accepted: each file, and its content's digest.
    pub keys: Vec<(String, Digest)>,
    pub verdict: Verdict,
}

/// What checking the signatures of an image came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// By the key of this file.
    Verified(String),
    /// There are signatures, and none counts: why.
    Invalid(String),
    /// There is none that a key could have made.
    Absent,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Verified(key) => write!(f, "signed by {key}"),
            Verdict::Invalid(fault) => write!(f, "a signature that does not count: {fault}"),
            Verdict::Absent => f.write_str("not signed"),
        }
    }
}

impl Lock {
    /// Reads a lock file. `path` is how mistakes name it.
    ///
    /// # Errors
    /// What is wrong with the text, each mistake at its place.
    pub fn parse(text: &str, path: &std::path::Path) -> Result<Lock, Vec<crate::config::Mistake>> {
        parse::parse(text, path)
    }

    /// The text of the lock file.
    pub fn render(&self) -> String {
        render::render(self)
    }

    /// What a reference, as a manifest writes it, runs. One with a digest is found only if that digest was locked.
    pub fn lookup(&self, reference: &str) -> Option<&Locked> {
        if self.is_empty() {
            return None;
        }
        self.find(&Reference::parse(reference).ok()?)
    }

    /// As [`Lock::lookup`].
    pub fn find(&self, reference: &Reference) -> Option<&Locked> {
        if let Some(locked) = self.images.get(reference) {
            return Some(locked);
        }
        let digest = reference.digest()?;
        self.of_tag(reference).filter(|locked| locked.digest == *digest)
    }

    /// What a reference's tag was locked to, whatever digest the reference has.
    pub fn of_tag(&self, reference: &Reference) -> Option<&Locked> {
        self.images.get(&reference.tagged()?)
    }

    /// The entry of exactly this reference.
    pub fn get(&self, reference: &Reference) -> Option<&Locked> {
        self.images.get(reference)
    }

    /// All entries, ordered by reference.
    pub fn iter(&self) -> impl Iterator<Item = (&Reference, &Locked)> {
        self.images.iter()
    }

    pub fn insert(&mut self, reference: Reference, locked: Locked) {
        self.images.insert(reference, locked);
    }

    /// Keeps the entries that `keep` says; returns those that went.
    pub fn retain(&mut self, keep: impl Fn(&Reference) -> bool) -> Vec<Reference> {
        let gone: Vec<Reference> = self.images.keys().filter(|reference| !keep(reference)).cloned().collect();
        self.images.retain(|reference, _| keep(reference));
        gone
    }

    /// What is known of a chart.
    pub fn chart(&self, name: &str) -> Option<&LockedChart> {
        self.charts.get(name)
    }

    pub fn insert_chart(&mut self, name: String, chart: LockedChart) {
        self.charts.insert(name, chart);
    }

    /// Keeps the charts that `keep` says.
    pub fn retain_charts(&mut self, keep: impl Fn(&str) -> bool) {
        self.charts.retain(|name, _| keep(name));
    }

    pub fn charts(&self) -> usize {
        self.charts.len()
    }

    pub fn len(&self) -> usize {
        self.images.len()
    }

    pub fn is_empty(&self) -> bool {
        self.images.is_empty() && self.charts.is_empty()
    }
}

#[cfg(test)]
mod tests;
