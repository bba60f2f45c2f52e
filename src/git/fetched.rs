//! A remote's newest commit in a repository of our own: no checkout, and of the files only those that are read.

use std::path::Path;

use super::program::Program;
use super::remote_branch::checked;
use super::{GitError, ObjectId, names};
use crate::apply::PathError;

/// What commands that fetch and push call the remote.
pub const REMOTE: &str = "origin";

/// Makes `folder` a repository whose HEAD is the newest commit of the remote's branch, or of its default one; what was
/// fetched before is not fetched again. `None` for a remote without any commit.
///
/// # Errors
/// A remote that cannot be reached or has no such branch, and a folder that cannot be written.
pub fn fetched(address: &str, folder: &Path, branch: Option<&str>) -> Result<Option<ObjectId>, GitError> {
    checked(address)?;
    branch.map_or(Ok(()), names::check_branch)?;
    std::fs::create_dir_all(folder).map_err(|source| PathError { path: folder.to_owned(), source })?;
    let program = Program::new(folder, "repositories are fetched with it");
    if !folder.join(".git").exists() {
        program.local(["init", "--quiet", "--template=", "."]).read(&[])?;
    }
    let settings = [
        ("remote.origin.url", address),
        ("remote.origin.promisor", "true"),
        ("remote.origin.partialclonefilter", "blob:none"),
    ];
    for (key, value) in settings {
        program.local(["config", key, value]).read(&[])?;
    }
    let wanted = branch.map_or("HEAD".to_owned(), |branch| format!("refs/heads/{branch}"));
    let listing = program.remote(["ls-remote", "--symref", "--", REMOTE, &wanted]).read(&[])?;
    let listing = String::from_utf8_lossy(&listing);
    let named = listing.lines().find_map(|line| line.strip_prefix("ref: ")?.strip_suffix("\tHEAD"));
    let has_commit =
        listing.lines().any(|line| line.split_once('\t').is_some_and(|(_, name)| name == wanted));
    if !has_commit {
        let heads = program.remote(["ls-remote", "--heads", "--", REMOTE]).read(&[])?;
        return match branch {
            None if heads.is_empty() => Ok(None),
            _ => Err(GitError::NoSuchRevision { revision: branch.unwrap_or("HEAD").to_owned() }),
        };
    }
    let source = named.unwrap_or(&wanted);
    let ours = "refs/remotes/origin/base";
    let refspec = format!("+{source}:{ours}");
    let options = ["fetch", "--quiet", "--no-tags", "--filter=blob:none", "--recurse-submodules=no"];
    let target = ["--no-write-fetch-head", "--", REMOTE, &refspec];
    program.remote(options.into_iter().chain(target)).read(&[])?;
    let commit = program.local(["rev-parse", "--verify", &format!("{ours}^{{commit}}")]).line(&[])?;
    program.local(["update-ref", "--no-deref", "HEAD", &commit]).read(&[])?;
    Ok(ObjectId::from_hex(&commit))
}
