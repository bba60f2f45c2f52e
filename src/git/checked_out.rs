//! Which worktree has a branch in use, so that it is not moved under somebody's feet.

use std::fs;
use std::path::{Path, PathBuf};

use super::{GitError, Repository, Road};

/// Files of a worktree's git directory that name the branch it is busy with: HEAD, and while a rebase or a
/// bisect has detached HEAD, the branch it will come back to.
const HOLDERS: &[&str] =
    &["HEAD", "rebase-merge/head-name", "rebase-apply/head-name", "rebase-merge/update-refs", "BISECT_START"];

/// Returns the worktree that has `branch` in use.
pub(super) fn worktree_of(repository: &Repository, branch: &str) -> Result<Option<PathBuf>, GitError> {
    if !repository.bare_main && holds(&repository.common_dir, branch) {
        return Ok(Some(main_worktree(repository)));
    }
    let linked = fs::read_dir(repository.common_dir.join("worktrees"));
    let mut linked: Vec<PathBuf> = linked.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    linked.sort();
    if let Some(holder) = linked.into_iter().find(|git_dir| holds(git_dir, branch)) {
        let link = fs::read_to_string(holder.join("gitdir")).unwrap_or_default();
        return Ok(Some(Path::new(link.trim_end()).parent().unwrap_or(&holder).to_owned()));
    }
    match repository.road() {
        Road::Library => Ok(None),
        // Such a repository may keep its refs in another way than in files.
        Road::Program(_) => worktree_by_program(repository, branch),
    }
}

fn holds(git_dir: &Path, branch: &str) -> bool {
    let full = format!("refs/heads/{branch}");
    HOLDERS.iter().any(|holder| {
        let text = fs::read_to_string(git_dir.join(holder)).unwrap_or_default();
        let names = text.lines().map(|line| line.strip_prefix("ref:").unwrap_or(line).trim());
        names.into_iter().any(|name| name == full || *holder == "BISECT_START" && name == branch)
    })
}

fn main_worktree(repository: &Repository) -> PathBuf {
    if repository.git_dir == repository.common_dir {
        return repository.workdir.clone();
    }
    let directory = &repository.common_dir;
    if directory.ends_with(".git") {
        directory.parent().unwrap_or(directory).to_owned()
    } else {
        directory.clone()
    }
}

fn worktree_by_program(repository: &Repository, branch: &str) -> Result<Option<PathBuf>, GitError> {
    let listing = repository.program.local(["worktree", "list", "--porcelain"]).read(&[])?;
    let listing = String::from_utf8_lossy(&listing);
    let wanted = format!("branch refs/heads/{branch}");
    let holder = listing.split("\n\n").find(|block| block.lines().any(|line| line == wanted));
    let path = holder.and_then(|block| block.lines().next()?.strip_prefix("worktree "));
    Ok(path.map(PathBuf::from))
}
