//! Which files have work in them that no commit has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::program::Program;
use super::{GitError, Repository, names};

pub(super) fn uncommitted(repository: &Repository, paths: &[PathBuf]) -> Result<Vec<PathBuf>, GitError> {
    let real: Vec<Option<PathBuf>> = paths.iter().map(|path| real_path(repository.workdir(), path)).collect();
    let asked: BTreeSet<PathBuf> = real.iter().flatten().cloned().collect();
    if asked.is_empty() {
        return Ok(paths.to_vec());
    }
    let found = repository.store.uncommitted(&asked)?;
    let mut result = Vec::new();
    for (path, real) in paths.iter().zip(&real) {
        let dirty = match real {
            None => true,
            Some(real) => found.contains(real) && !is_committed_below(repository.workdir(), real)?,
        };
        if dirty {
            result.push(path.clone());
        }
    }
    Ok(result)
}

/// Where a path leads, relative to the work tree; `None` when it leads out. A path of nothing is itself.
fn real_path(workdir: &Path, path: &Path) -> Option<PathBuf> {
    match workdir.join(path).canonicalize() {
        Ok(real) => real.strip_prefix(workdir).ok().map(Path::to_owned),
        Err(_) => Some(path.to_owned()),
    }
}

/// Whether a submodule, or another repository inside this one, has the file in its last commit.
fn is_committed_below(workdir: &Path, path: &Path) -> Result<bool, GitError> {
    let above = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
    let Some(top) = above.map(|above| workdir.join(above)).find(|above| above.join(".git").exists()) else {
        return Ok(false);
    };
    let Some(inner) = Repository::discover(&top)? else { return Ok(false) };
    match workdir.join(path).strip_prefix(inner.workdir()) {
        Ok(path) if inner.workdir() != workdir => Ok(inner.uncommitted(&[path.to_owned()])?.is_empty()),
        _ => Ok(false),
    }
}

/// Asks `git status` and `git ls-files`.
pub(super) fn by_program(
    program: &Program,
    workdir: &Path,
    paths: &BTreeSet<PathBuf>,
) -> Result<BTreeSet<PathBuf>, GitError> {
    let names_of = |listing: &[u8], skip: usize| -> BTreeSet<PathBuf> {
        let lines = listing.split(|&byte| byte == 0).filter_map(|line| line.get(skip..));
        lines.filter(|line| !line.is_empty()).filter_map(names::from_git).collect()
    };
    let status =
        ["status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=all", "--no-renames"];
    // Two letters of state and a space go before each path.
    let changed = names_of(&program.local(status).read(&[])?, 3);
    let tracked = names_of(&program.local(["ls-files", "-z", "--full-name"]).read(&[])?, 0);
    let dirty =
        |path: &&PathBuf| changed.contains(*path) || !tracked.contains(*path) && workdir.join(path).exists();
    Ok(paths.iter().filter(dirty).cloned().collect())
}
