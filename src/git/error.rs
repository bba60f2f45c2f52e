//! What can go wrong between us and a repository, in words that say what to do.

use std::io;
use std::path::PathBuf;

use crate::apply::PathError;

/// Why git could not do what was asked. [`GitError::help`] has the next step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    #[error("{}: a bare repository has no work tree", .0.display())]
    Bare(PathBuf),
    #[error("{}: the repository belongs to another user, and git is not told to trust it", .0.display())]
    Untrusted(PathBuf),
    #[error("HEAD has no commit yet, so there is nothing to branch from")]
    Unborn,
    /// A shallow or damaged copy, or a write that was cut short.
    #[error("HEAD is {commit}, and the repository has no such commit")]
    Lost { commit: String },
    #[error("`{revision}` names no commit")]
    NoSuchRevision { revision: String },
    #[error("git does not know who you are: no {missing}")]
    NoIdentity { missing: &'static str },
    #[error("`{branch}` cannot be a branch name: {why}")]
    BranchName { branch: String, why: String },
    /// The branch holds something else than what is to be committed.
    #[error("branch `{branch}` already exists")]
    BranchExists { branch: String },
    /// `harden` and `harden/x` cannot both be: one would be a file, the other a directory.
    #[error("branch `{branch}` cannot be made beside `{existing}`: one name is a directory of the other")]
    BranchCollides { branch: String, existing: String },
    #[error("branch `{branch}` is checked out in `{}`", worktree.display())]
    CheckedOut { branch: String, worktree: PathBuf },
    #[error("branch `{branch}` was moved by somebody else meanwhile")]
    Moved { branch: String },
    #[error("branch `{branch}` is a symbolic ref")]
    SymbolicBranch { branch: String },
    #[error("no branch `{branch}`")]
    NoBranch { branch: String },
    #[error("{}: {why}", path.display())]
    Path { path: PathBuf, why: &'static str },
    #[error("the remote refused {}", names.join(", "))]
    PushRefused {
        /// Each branch in backticks, with the remote's reason.
        names: Vec<String>,
        stale: bool,
        /// All that `git push` said, without credentials.
        output: String,
    },
    /// The user's `git` ended with an error; `output` is its own words, without credentials.
    #[error("`git {command}` failed: {output}")]
    Program { command: String, output: String },
    #[error("the `git` program is needed, because {reason}")]
    NoProgram { reason: String, source: io::Error },
    #[error("cannot {action}")]
    Library { action: String, source: git2::Error },
    #[error(transparent)]
    Io(#[from] PathError),
}

impl GitError {
    /// Returns what the user can do about it.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Self::Bare(_) => "run in a clone or a linked worktree of it".into(),
            Self::Untrusted(path) => {
                format!("if you trust it: git config --global --add safe.directory '{}'", path.display())
            }
            Self::Unborn => "make a first commit".into(),
            Self::Lost { .. } => "`git fsck` says what is missing; fetch it, or clone again".into(),
            Self::NoIdentity { missing } => format!("git config --global {missing} 'your own'"),
            Self::BranchExists { .. } => "`--force` replaces it; another name leaves it alone".into(),
            Self::BranchCollides { existing, .. } => {
                format!("choose another name, or `git branch -m {existing} …` first")
            }
            Self::CheckedOut { .. } => {
                "choose another name: moving it would leave that worktree dirty".into()
            }
            Self::Moved { .. } => "run again".into(),
            Self::PushRefused { stale: true, .. } => {
                "somebody else changed the remote branch: `git fetch`, look at it, then push again".into()
            }
            Self::PushRefused { .. } => "`--force` replaces what is ours there; see what git said".into(),
            Self::NoProgram { .. } => "install git, or put it on PATH".into(),
            Self::Program { command, .. } if command.starts_with("commit-tree -S") => {
                "the commit could not be signed: see `git config user.signingkey` and `gpg.format`".into()
            }
            _ => return None,
        };
        Some(help)
    }

    pub(super) fn library(action: impl Into<String>) -> impl FnOnce(git2::Error) -> Self {
        move |source| Self::Library { action: action.into(), source }
    }
}
