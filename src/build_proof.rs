//! Proves with the user's kustomize that builds change by the wanted values and by nothing else.
//!
//! ```text
//! before, after ──> builds that take a changed file ──> kustomize, twice ──> compared with what was wanted
//! ```
//!
//! Builds copies in a temporary folder. A build that fetches something, or that did not work before, proves nothing
//! and is counted. Knows nothing of rules.

mod compare;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use rayon::prelude::*;

use crate::kustomize::{BuildError, Kustomize};
use crate::model::Model;
use crate::overlay;
use crate::pointer::within;
use crate::repo::{folder, native};

/// The files of a folder and of those below it, by path from the root.
pub type FilesBelow<'f> = dyn Fn(&str) -> io::Result<Vec<(String, Vec<u8>)>> + Sync + 'f;

/// What the proof came to.
#[derive(Debug, Default)]
pub struct BuildProof {
    /// Builds that are changed as wanted.
    pub proved: usize,
    /// Builds of which nothing can be said, each with the reason.
    pub unproved: Vec<(String, String)>,
    /// Builds that are not, each with the reason and the changed files it takes.
    pub failed: Vec<FailedBuild>,
}

#[derive(Debug)]
pub struct FailedBuild {
    pub path: String,
    pub reason: String,
    pub files: Vec<String>,
}

enum Verdict {
    Proved,
    Unproved(String),
    Failed(String),
}

/// Builds everything that takes one of the `changed` files, before and after.
///
/// # Errors
/// When files cannot be read or copied.
pub fn prove(
    kustomize: &Kustomize,
    before: &Model<'_>,
    after: &Model<'_>,
    changed: &BTreeMap<String, String>,
    files_below: &FilesBelow<'_>,
) -> io::Result<BuildProof> {
    let builds: Vec<(String, Vec<String>)> = after
        .builds
        .outermost_builds()
        .filter_map(|top| {
            let taken = after.builds.taken_by(top);
            let files: Vec<String> = changed.keys().filter(|path| taken.contains(*path)).cloned().collect();
            (!files.is_empty()).then(|| (top.to_owned(), files))
        })
        .collect();
    let verdicts: io::Result<Vec<Verdict>> = builds
        .par_iter()
        .map(|(top, _)| judge(kustomize, before, after, top, changed, files_below))
        .collect();
    let mut proof = BuildProof::default();
    for ((path, files), verdict) in builds.into_iter().zip(verdicts?) {
        match verdict {
            Verdict::Proved => proof.proved += 1,
            Verdict::Unproved(reason) => proof.unproved.push((path, reason)),
            Verdict::Failed(reason) => proof.failed.push(FailedBuild { path, reason, files }),
        }
    }
    Ok(proof)
}

fn judge(
    kustomize: &Kustomize,
    before: &Model<'_>,
    after: &Model<'_>,
    top: &str,
    changed: &BTreeMap<String, String>,
    files_below: &FilesBelow<'_>,
) -> io::Result<Verdict> {
    if let Some(remote) = after.builds.fetched_by(top).or_else(|| before.builds.fetched_by(top)) {
        return Ok(Verdict::Unproved(format!("it fetches {remote}")));
    }
    let place = tempfile::tempdir()?;
    let (root, home) = (place.path().join("repo"), place.path().join("home"));
    std::fs::create_dir_all(&home)?;
    let folders = outermost([before, after].iter().flat_map(|model| model.builds.folders_of(top)));
    for folder in &folders {
        copy(&root, files_below(folder)?)?;
    }
    let target = folder(top);
    let old = match kustomize.build(&root, target, &home) {
        Ok(old) => old,
        Err(BuildError::Program(error)) => return Err(error),
        Err(error) => return Ok(Verdict::Unproved(format!("it does not build today: {error}"))),
    };
    let is_inside = |path: &str| folders.iter().any(|folder| folder.is_empty() || within(path, folder));
    let texts = changed.iter().filter(|(path, _)| is_inside(path));
    copy(&root, texts.map(|(path, text)| (path.clone(), text.clone().into_bytes())).collect())?;
    let new = match kustomize.build(&root, target, &home) {
        Ok(new) => new,
        Err(BuildError::Program(error)) => return Err(error),
        Err(error) => return Ok(Verdict::Failed(format!("it does not build any more: {error}"))),
    };
    let wanted = overlay::changes(before, after, target);
    let said = compare::Said::between(before, after);
    Ok(match compare::difference(&old, &new, &wanted, &said) {
        None => Verdict::Proved,
        Some(difference) => Verdict::Failed(difference),
    })
}

/// Without those that lie in another one.
fn outermost(folders: impl Iterator<Item = String>) -> BTreeSet<String> {
    let all: BTreeSet<String> = folders.collect();
    let lies_in = |inner: &str, outer: &str| inner != outer && (outer.is_empty() || within(inner, outer));
    let is_outer = |folder: &&String| !all.iter().any(|other| lies_in(folder, other));
    all.iter().filter(is_outer).cloned().collect()
}

fn copy(root: &Path, files: Vec<(String, Vec<u8>)>) -> io::Result<()> {
    for (path, bytes) in files {
        let target = root.join(native(&path));
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(target, bytes)?;
    }
    Ok(())
}
