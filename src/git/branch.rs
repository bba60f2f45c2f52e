//! Makes a branch with one commit: checks the name, builds the commit, moves the ref if nobody else did.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use super::identity::identity;
use super::remote_branch::{is_untouched, tree_trailer};
use super::settings::Settings;
use super::store::{Branch, NewCommit};
use super::{GitError, ObjectId, Repository, checked_out, names, plumbing};

/// The start of the line by which our own commits are known again.
const TRAILER: &str = "Hardened-by: caseharden/";

/// A branch to be made.
#[derive(Debug)]
pub struct BranchRequest {
    /// Without `refs/heads/`.
    pub branch: String,
    /// The commit to stand on, from [`Repository::base`].
    pub base: ObjectId,
    /// Subject and body; a line that says it is ours is added at the end.
    pub message: String,
    /// The files that change, whole, made from the base's blobs. An existing file keeps its mode; a new one
    /// goes through the same filters as with `git add`.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// Whether an existing branch that holds something else is replaced.
    pub force: bool,
    /// Whether an existing branch is replaced if all its commits are ours, as we made them.
    pub renews: bool,
}

/// What became of a [`BranchRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BranchOutcome {
    Created {
        commit: ObjectId,
    },
    /// The branch pointed to `previous`.
    Replaced {
        commit: ObjectId,
        previous: ObjectId,
        /// How many commits of others went with it; `previous` still names them.
        foreign_commits: usize,
    },
    /// The branch holds the same files on the same base already.
    Unchanged {
        commit: ObjectId,
    },
    /// The base holds the same files already: there is no branch to make.
    NothingToCommit,
}

pub(super) fn commit(repository: &Repository, request: &BranchRequest) -> Result<BranchOutcome, GitError> {
    let branch = &request.branch;
    names::check_branch(branch)?;
    let branches = repository.store.branches()?;
    refuse_collision(branch, &branches)?;
    let files: BTreeMap<_, _> =
        request.files.iter().map(|(path, contents)| (path.as_path(), contents.as_slice())).collect();
    let tree = repository.store.write_tree(request.base, &files)?;
    if tree == repository.store.commit(request.base)?.tree {
        return Ok(BranchOutcome::NothingToCommit);
    }
    let previous = match branches.iter().find(|existing| existing.name == *branch) {
        None => None,
        Some(Branch { tip: None, .. }) => return Err(GitError::SymbolicBranch { branch: branch.clone() }),
        Some(Branch { tip: Some(tip), .. }) => {
            let facts = repository.store.commit(*tip)?;
            if facts.tree == tree && facts.parents == [request.base] {
                return Ok(BranchOutcome::Unchanged { commit: *tip });
            }
            let renews = request.renews && is_untouched(repository, request.base, *tip)?;
            if !(request.force || renews) {
                return Err(GitError::BranchExists { branch: branch.clone() });
            }
            Some(*tip)
        }
    };
    // Also for a branch that does not exist: an unborn one can be checked out.
    if let Some(worktree) = checked_out::worktree_of(repository, branch)? {
        return Err(GitError::CheckedOut { branch: branch.clone(), worktree });
    }
    let foreign_commits = previous.map_or(Ok(0), |tip| foreign_commits(repository, request.base, tip))?;
    let commit = write_commit(repository, request, tree)?;
    repository.store.set_branch(branch, commit, previous)?;
    Ok(match previous {
        None => BranchOutcome::Created { commit },
        Some(previous) => BranchOutcome::Replaced { commit, previous, foreign_commits },
    })
}

/// A ref is a file in a directory: `harden` cannot be both.
fn refuse_collision(branch: &str, branches: &[Branch]) -> Result<(), GitError> {
    let is_below = |name: &str, top: &str| name.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'));
    match branches.iter().find(|other| is_below(&other.name, branch) || is_below(branch, &other.name)) {
        Some(other) => {
            Err(GitError::BranchCollides { branch: branch.to_owned(), existing: other.name.clone() })
        }
        None => Ok(()),
    }
}

fn foreign_commits(repository: &Repository, base: ObjectId, tip: ObjectId) -> Result<usize, GitError> {
    let messages = repository.store.messages_between(base, tip)?;
    Ok(messages.iter().filter(|message| !is_ours(message)).count())
}

/// Whether a commit message has our line.
pub(super) fn is_ours(message: &[u8]) -> bool {
    message.split(|&byte| byte == b'\n').any(|line| line.starts_with(TRAILER.as_bytes()))
}

fn write_commit(
    repository: &Repository,
    request: &BranchRequest,
    tree: ObjectId,
) -> Result<ObjectId, GitError> {
    let settings = Settings::load(&repository.program, &repository.git_dir)?;
    let identity = identity(&settings, &|name| env::var(name).ok())?;
    let message = with_trailer(&request.message);
    let message = format!("{message}{}\n", tree_trailer(tree));
    let commit = NewCommit { tree, parent: request.base, message: &message, identity: &identity };
    let sign = settings.is_true("commit.gpgsign");
    // Git reads dates in a dozen forms; what the user has set is for git to read.
    let dated = ["GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"].iter().any(|name| env::var_os(name).is_some());
    if sign || dated {
        plumbing::commit_tree(&repository.program, &commit, sign)
    } else {
        repository.store.write_commit(&commit)
    }
}

/// Ends the message with our line, in the block of trailers that is there or in one of its own.
fn with_trailer(message: &str) -> String {
    let message = message.replace('\0', "");
    let message = message.trim_end();
    // `Signed-off-by: …`, and not `Why: …`, which is prose.
    let is_trailer = |line: &str| {
        line.split_once(": ").is_some_and(|(token, _)| {
            token.contains('-') && token.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        })
    };
    let in_block = message.rsplit_once("\n\n").is_some_and(|(_, block)| block.lines().all(is_trailer));
    let gap = if in_block { "\n" } else { "\n\n" };
    format!("{message}{gap}{TRAILER}{}\n", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &str, before_trailer: &str) {
        let whole = with_trailer(message);
        assert_eq!(whole, format!("{before_trailer}{TRAILER}{}\n", env!("CARGO_PKG_VERSION")));
        assert!(is_ours(whole.as_bytes()) && !is_ours(message.as_bytes()));
    }

    #[test]
    fn the_trailer_joins_a_block_of_trailers_or_starts_one() {
        check("Subject", "Subject\n\n");
        check("pod: drop it\n", "pod: drop it\n\n");
        check("Subject\n\nBody: a line.\nAnd more.\n\n", "Subject\n\nBody: a line.\nAnd more.\n\n");
        check("Subject\n\nWhy: it is not needed.", "Subject\n\nWhy: it is not needed.\n\n");
        check("Subject\n\nSigned-off-by: A <a@b>\n", "Subject\n\nSigned-off-by: A <a@b>\n");
    }

    #[test]
    fn one_name_cannot_be_a_directory_of_another() {
        let branches = ["harden/pods", "main"].map(|name| Branch { name: name.to_owned(), tip: None });
        let refused = |name| refuse_collision(name, &branches).is_err();
        assert!(refused("harden") && refused("main/x") && refused("harden/pods/x"));
        assert!(!refused("harden/pod") && !refused("harden/pods") && !refused("mai"));
    }
}
