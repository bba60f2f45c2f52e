//! What both roads to the object store can do, and what a commit's tree looks like.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::{Component, Path, PathBuf};

use super::identity::Identity;
use super::{GitError, ObjectId};

/// The objects and branches of one repository.
pub(super) trait Store: Debug + Send + Sync {
    /// The commit a revision names; `None` when it names none.
    fn resolve(&self, revision: &str) -> Result<Option<ObjectId>, GitError>;

    fn commit(&self, id: ObjectId) -> Result<CommitFacts, GitError>;

    /// All that is not a directory in a commit's tree at or below `under`, in git's order.
    fn entries(&self, commit: ObjectId, under: &[PathBuf]) -> Result<Vec<Entry>, GitError>;

    fn blob(&self, id: ObjectId) -> Result<Vec<u8>, GitError>;

    fn blob_size(&self, id: ObjectId) -> Result<u64, GitError>;

    fn prefetch(&self, commit: ObjectId, ids: &[ObjectId]) -> Result<(), GitError>;

    /// Writes the tree of `commit` with `files` replaced or added.
    fn write_tree(&self, commit: ObjectId, files: &BTreeMap<&Path, &[u8]>) -> Result<ObjectId, GitError>;

    fn write_commit(&self, commit: &NewCommit) -> Result<ObjectId, GitError>;

    fn branches(&self) -> Result<Vec<Branch>, GitError>;

    /// Makes `branch` point to `new`, provided that it points to `old` now, or does not exist.
    fn set_branch(&self, branch: &str, new: ObjectId, old: Option<ObjectId>) -> Result<(), GitError>;

    /// The messages of the commits that `tip` has and `base` has not.
    fn messages_between(&self, base: ObjectId, tip: ObjectId) -> Result<Vec<Vec<u8>>, GitError>;

    fn uncommitted(&self, paths: &BTreeSet<PathBuf>) -> Result<BTreeSet<PathBuf>, GitError>;
}

#[derive(Debug)]
pub(super) struct CommitFacts {
    pub(super) tree: ObjectId,
    pub(super) parents: Vec<ObjectId>,
}

#[derive(Debug)]
pub(super) struct NewCommit<'a> {
    pub(super) tree: ObjectId,
    pub(super) parent: ObjectId,
    pub(super) message: &'a str,
    pub(super) identity: &'a Identity,
}

/// A branch without its `refs/heads/`; no commit when it is symbolic.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) name: String,
    pub(super) tip: Option<ObjectId>,
}

/// One line of `git ls-tree -r`.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) id: ObjectId,
}

pub(super) const MODE_FILE: u32 = 0o100_644;
pub(super) const MODE_EXECUTABLE: u32 = 0o100_755;
const MODE_SYMLINK: u32 = 0o120_000;
const MODE_SUBMODULE: u32 = 0o160_000;

/// What a commit holds. Every list is ordered by the bytes of the paths.
#[derive(Debug)]
pub struct HeadTree {
    pub commit: ObjectId,
    /// Regular files.
    pub files: Vec<HeadFile>,
    pub symlinks: Vec<PathBuf>,
    pub submodules: Vec<PathBuf>,
    /// Entries that git itself would not check out (`..`, `.git`), or of a kind it does not know.
    pub unusable: Vec<PathBuf>,
}

/// A regular file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadFile {
    pub path: PathBuf,
    pub executable: bool,
    pub id: ObjectId,
}

impl HeadTree {
    pub(super) fn new(commit: ObjectId, entries: Vec<Entry>) -> Self {
        let mut tree = Self { commit, files: vec![], symlinks: vec![], submodules: vec![], unusable: vec![] };
        for Entry { path, mode, id } in entries {
            let harmless = path
                .components()
                .all(|part| matches!(part, Component::Normal(name) if !name.eq_ignore_ascii_case(".git")));
            match mode {
                _ if !harmless => tree.unusable.push(path),
                MODE_SYMLINK => tree.symlinks.push(path),
                MODE_SUBMODULE => tree.submodules.push(path),
                // Old trees have files of mode 100664.
                _ if mode & 0o170_000 == 0o100_000 => {
                    tree.files.push(HeadFile { path, executable: mode & 0o100 != 0, id });
                }
                _ => tree.unusable.push(path),
            }
        }
        tree
    }
}
