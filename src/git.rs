//! Reads commits and makes branches, without ever touching the work tree, the index, HEAD or a hook.
//!
//! The only place that calls libgit2 or the `git` program. Two roads lead to the object store, and which one
//! is taken is settled once, when a repository is opened: libgit2 wherever it can, the user's `git` where
//! libgit2 cannot (partial clones, SHA-256, extensions it has never heard of). Transport, credentials and
//! signing are always the user's `git`.
//!
//! Knows nothing about YAML or Kubernetes. All paths are relative to the top of the work tree.

use std::fmt;
use std::path::{Path, PathBuf};

mod branch;
mod cat_file;
mod checked_out;
mod discover;
mod error;
mod fetched;
mod identity;
mod library;
mod names;
mod object_id;
mod plumbing;
mod program;
mod push;
mod remote_branch;
mod settings;
mod store;
mod uncommitted;

pub use branch::{BranchOutcome, BranchRequest};
pub use error::GitError;
pub use fetched::{REMOTE, fetched};
pub use object_id::ObjectId;
pub use remote_branch::Standing;
pub use store::{HeadFile, HeadTree};

use program::Program;
use store::Store;

/// A repository with a work tree. Can be shared between threads.
#[derive(Debug)]
pub struct Repository {
    workdir: PathBuf,
    prefix: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
    bare_main: bool,
    road: Road,
    store: Box<dyn Store>,
    program: Program,
}

/// The id that git gives a blob with these bytes, in a repository of the usual object format (SHA-1).
pub fn blob_id(bytes: &[u8]) -> String {
    git2::Oid::hash_object(git2::ObjectType::Blob, bytes).map_or_else(|_| "0".repeat(40), |id| id.to_string())
}

/// An address, or a text with addresses, without the users and passwords in it.
pub fn without_credentials(text: &str) -> String {
    push::redact(text)
}

/// URLs of the remotes of the repository whose work tree this is; none where libgit2 cannot tell.
pub fn remotes(workdir: &Path) -> Vec<String> {
    let read = || {
        let config = git2::Repository::open(workdir)?.config()?.snapshot()?;
        let mut urls = Vec::new();
        let mut entries = config.entries(Some("^remote\\..*\\.url$"))?;
        while let Some(entry) = entries.next() {
            urls.extend(entry?.value().ok().map(str::to_owned));
        }
        Ok::<_, git2::Error>(urls)
    };
    read().unwrap_or_default()
}

/// The user and password that the user's git has for a host; it asks nobody. `in_folder` has the repository whose own
/// configuration counts too.
///
/// # Errors
/// When there is no `git`.
pub fn login(
    in_folder: &Path,
    scheme: &str,
    host: &str,
    path: &str,
) -> Result<Option<(String, String)>, GitError> {
    remote_branch::login(&Program::new(in_folder, "logins are asked of it"), scheme, host, path)
}

/// How objects are read and written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Road {
    /// libgit2, in this process.
    Library,
    /// The user's `git` program, and why.
    Program(String),
}

impl fmt::Display for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Library => f.write_str("libgit2"),
            Self::Program(reason) => write!(f, "the `git` program, because {reason}"),
        }
    }
}

impl Repository {
    /// Opens the repository whose work tree `root` lies in, or returns `None` when it lies in none.
    ///
    /// `GIT_DIR` and its kin are not heeded: `root` alone decides.
    ///
    /// # Errors
    /// A bare repository, one of another user that git is not told to trust, and one that neither libgit2
    /// nor an installed `git` can read.
    pub fn discover(root: &Path) -> Result<Option<Self>, GitError> {
        discover::discover(root)
    }

    /// Returns the top of the work tree, with symlinks resolved.
    pub fn workdir(&self) -> &Path {
        &self.workdir
    }

    /// Returns where the directory given to [`Self::discover`] lies in the work tree; empty at its top.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// Returns which road is taken, and why.
    pub fn road(&self) -> &Road {
        &self.road
    }

    /// Returns those of `paths` that have staged or unstaged changes or are not in the last commit's care at
    /// all (untracked, ignored). A symlink counts as what it leads to. In the order given.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn uncommitted(&self, paths: &[PathBuf]) -> Result<Vec<PathBuf>, GitError> {
        uncommitted::uncommitted(self, paths)
    }

    /// Returns the commit that `revision` names; that of HEAD without one.
    ///
    /// # Errors
    /// An unborn HEAD, or a revision that names no commit.
    pub fn base(&self, revision: Option<&str>) -> Result<ObjectId, GitError> {
        match revision {
            None => self.store.resolve("HEAD")?.map_or_else(|| Err(self.headless()), Ok),
            Some(revision) => self
                .store
                .resolve(revision)?
                .ok_or_else(|| GitError::NoSuchRevision { revision: revision.to_owned() }),
        }
    }

    /// Why HEAD leads to no commit: there is none yet, or it is gone.
    fn headless(&self) -> GitError {
        match self.program.local(["rev-parse", "--verify", "--quiet", "HEAD"]).line(&[]) {
            Ok(commit) if !commit.is_empty() => GitError::Lost { commit },
            _ => GitError::Unborn,
        }
    }

    /// Returns the files of HEAD's commit at or below `under`; all of them when `under` is empty.
    ///
    /// # Errors
    /// As for [`Self::base`] and [`Self::files`].
    pub fn head_files(&self, under: &[PathBuf]) -> Result<HeadTree, GitError> {
        self.files(self.base(None)?, under)
    }

    /// Returns the files of `commit` at or below `under`, ordered by the bytes of their paths; all of them
    /// when `under` is empty. What `.gitignore` says does not matter: what is committed is not ignored.
    ///
    /// # Errors
    /// When the commit or one of its trees cannot be read.
    pub fn files(&self, commit: ObjectId, under: &[PathBuf]) -> Result<HeadTree, GitError> {
        Ok(HeadTree::new(commit, self.store.entries(commit, under)?))
    }

    /// Returns a blob's bytes. Meant to be called from many threads at once.
    ///
    /// # Errors
    /// When there is no such blob, and when a partial clone cannot fetch it.
    pub fn blob(&self, id: ObjectId) -> Result<Vec<u8>, GitError> {
        self.store.blob(id)
    }

    /// Returns a blob's size in bytes, mostly without reading it.
    ///
    /// # Errors
    /// As for [`Self::blob`].
    pub fn blob_size(&self, id: ObjectId) -> Result<u64, GitError> {
        self.store.blob_size(id)
    }

    /// Fetches those blobs of `commit` among `ids` that a partial clone lacks in one go, instead of one by
    /// one when they are read. Does nothing in a complete repository.
    ///
    /// # Errors
    /// When the user's `git` cannot fetch.
    pub fn prefetch(&self, commit: ObjectId, ids: &[ObjectId]) -> Result<(), GitError> {
        self.store.prefetch(commit, ids)
    }

    /// Makes a branch with one commit on top of the request's base.
    ///
    /// Only objects and the branch are written; a process killed at any moment leaves the branch as it was
    /// or as it should be.
    ///
    /// # Errors
    /// See [`GitError`]. After an error the branch is as it was.
    pub fn commit(&self, request: &BranchRequest) -> Result<BranchOutcome, GitError> {
        branch::commit(self, request)
    }

    /// Pushes `branches` with the user's own `git push`, and returns what it said, without credentials.
    ///
    /// With `force`, a branch on the remote is replaced only while it is what we last saw or pushed.
    ///
    /// # Errors
    /// When the remote refuses a branch or cannot be reached.
    pub fn push(&self, remote: &str, branches: &[String], force: bool) -> Result<String, GitError> {
        push::push(self, remote, branches, force)
    }

    /// Returns the address behind a remote's name, as the user's git would use it.
    ///
    /// # Errors
    /// When there is no `git`.
    pub fn remote_address(&self, remote: &str) -> Result<String, GitError> {
        remote_branch::address(self, remote)
    }

    /// Returns the branch that a remote shows first, which pull requests are for.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub fn default_branch(&self, remote: &str) -> Result<Option<String>, GitError> {
        remote_branch::default_branch(self, remote)
    }

    /// Returns what a remote's branch holds now, seen from `base`; fetches it without touching any ref.
    ///
    /// # Errors
    /// When the remote cannot be reached.
    pub fn standing(&self, remote: &str, branch: &str, base: ObjectId) -> Result<Standing, GitError> {
        remote_branch::standing(self, remote, branch, base)
    }

    /// Returns whether two commits hold the same files on the same parents.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn is_same(&self, one: ObjectId, other: ObjectId) -> Result<bool, GitError> {
        remote_branch::is_same(self, one, other)
    }

    /// Pushes a branch in the place of `seen`, which is what the remote must still have, or nothing.
    ///
    /// # Errors
    /// As for [`Self::push`].
    pub fn publish(&self, remote: &str, branch: &str, seen: Option<ObjectId>) -> Result<String, GitError> {
        remote_branch::publish(self, remote, branch, seen)
    }
}
