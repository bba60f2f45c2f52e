//! Branches of ours on a remote: what is there, whether anybody else touched it, and putting a new one in its place.

use super::branch::is_ours;
use super::program::Program;
use super::{GitError, ObjectId, Repository, names, push};

/// What a remote's branch holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There is no such branch.
    Absent,
    /// Commits of ours only, as we made them.
    Ours(ObjectId),
    /// Somebody added, changed or rebased a commit.
    Touched,
}

/// The address that the user's git would push to or fetch from: `insteadOf` counts.
pub(super) fn address(repository: &Repository, remote: &str) -> Result<String, GitError> {
    let remote = checked(remote)?;
    repository.program.local(["ls-remote", "--get-url", "--", remote]).line(&[])
}

/// The branch that the remote's HEAD names.
pub(super) fn default_branch(repository: &Repository, remote: &str) -> Result<Option<String>, GitError> {
    let listing =
        repository.program.remote(["ls-remote", "--symref", "--", checked(remote)?, "HEAD"]).read(&[])?;
    let listing = String::from_utf8_lossy(&listing);
    let named =
        listing.lines().find_map(|line| line.strip_prefix("ref: refs/heads/")?.strip_suffix("\tHEAD"));
    Ok(named.map(str::to_owned))
}

/// Fetches the remote's branch, without any ref of ours, and looks at it.
pub(super) fn standing(
    repository: &Repository,
    remote: &str,
    branch: &str,
    base: ObjectId,
) -> Result<Standing, GitError> {
    names::check_branch(branch)?;
    let reference = format!("refs/heads/{branch}");
    let listing = repository.program.remote(["ls-remote", "--", checked(remote)?, &reference]).read(&[])?;
    let listing = String::from_utf8_lossy(&listing);
    let tip = listing.lines().find_map(|line| {
        let (id, found) = line.split_once('\t')?;
        (found == reference).then(|| ObjectId::from_hex(id)).flatten()
    });
    let Some(tip) = tip else { return Ok(Standing::Absent) };
    if repository.store.resolve(&tip.to_string()).ok().flatten().is_none() {
        let options =
            ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--"];
        let arguments = options.into_iter().chain([remote, reference.as_str()]);
        repository.program.remote(arguments).read(&[])?;
    }
    Ok(if is_untouched(repository, base, tip)? { Standing::Ours(tip) } else { Standing::Touched })
}

/// Whether all that `tip` has and `base` has not is of ours, each commit with the files that we gave it: a commit that
/// somebody amended has other files than its message says.
pub(super) fn is_untouched(repository: &Repository, base: ObjectId, tip: ObjectId) -> Result<bool, GitError> {
    let mut at = tip;
    let mut n_ours = 0;
    loop {
        let facts = repository.store.commit(at)?;
        let [parent] = facts.parents[..] else { break };
        let own = repository.store.messages_between(parent, at)?;
        let [message] = own.as_slice() else { break };
        if !is_ours(message) || tree_of(message).as_deref() != Some(&*facts.tree.to_string()) {
            break;
        }
        n_ours += 1;
        at = parent;
    }
    // Those below are of the base, now or when the branch was made.
    Ok(n_ours > 0 && repository.store.messages_between(base, at)?.is_empty())
}

const TREE: &str = "Hardened-tree: ";

/// The trailer that says which files a commit has.
pub(super) fn tree_trailer(tree: ObjectId) -> String {
    format!("{TREE}{tree}")
}

fn tree_of(message: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(message);
    text.lines().rev().find_map(|line| line.strip_prefix(TREE)).map(|tree| tree.trim().to_owned())
}

/// Puts a branch in the place of what was seen there; of anything else it is refused.
pub(super) fn publish(
    repository: &Repository,
    remote: &str,
    branch: &str,
    seen: Option<ObjectId>,
) -> Result<String, GitError> {
    names::check_branch(branch)?;
    let seen = seen.map(|id| id.to_string()).unwrap_or_default();
    let lease = format!("--force-with-lease=refs/heads/{branch}:{seen}");
    let refspec = format!("refs/heads/{branch}:refs/heads/{branch}");
    push::run(repository, checked(remote)?, vec![lease], vec![refspec])
}

/// Whether two commits hold the same files on the same commits.
pub(super) fn is_same(repository: &Repository, one: ObjectId, other: ObjectId) -> Result<bool, GitError> {
    let (one, other) = (repository.store.commit(one)?, repository.store.commit(other)?);
    Ok(one.tree == other.tree && one.parents == other.parents)
}

/// The login that the user's git has for a host, without asking anybody: user and password.
pub(super) fn login(
    program: &Program,
    scheme: &str,
    host: &str,
    path: &str,
) -> Result<Option<(String, String)>, GitError> {
    let question = format!("protocol={scheme}\nhost={host}\npath={path}\n\n");
    if [scheme, host, path].iter().any(|part| part.contains(['\n', '\0'])) {
        return Ok(None);
    }
    let run = program.remote(["credential", "fill"]);
    let run = run.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "true").env("SSH_ASKPASS", "true");
    let output = run.output(question.as_bytes())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.split_once('=').filter(|(name, _)| *name == key))
            .map(|(_, value)| value)
    };
    let found = value("password").filter(|password| !password.is_empty() && output.status.success());
    Ok(found.map(|password| (value("username").unwrap_or_default().to_owned(), password.to_owned())))
}

/// A remote that git could take for an option, or for a program to run, is none.
pub(super) fn checked(remote: &str) -> Result<&str, GitError> {
    if remote.starts_with('-') || remote.contains("::") {
        let why = "is no name or address of a remote";
        return Err(GitError::Path { path: remote.into(), why });
    }
    Ok(remote)
}
