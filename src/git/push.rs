//! Hands branches to a remote with the user's own `git push`: their transport, their credentials, their
//! `pre-push` hook.

use super::settings::Settings;
use super::{GitError, ObjectId, Repository, branch, names};

pub(super) fn push(
    repository: &Repository,
    remote: &str,
    branches: &[String],
    force: bool,
) -> Result<String, GitError> {
    let existing = repository.store.branches()?;
    let mut leases = Vec::new();
    let mut refspecs = Vec::new();
    for name in branches {
        names::check_branch(name)?;
        if !existing.iter().any(|branch| branch.name == *name) {
            return Err(GitError::NoBranch { branch: name.clone() });
        }
        refspecs.push(format!("refs/heads/{name}:refs/heads/{name}"));
        if force {
            let seen = last_seen(repository, remote, name)?.map(|id| id.to_string()).unwrap_or_default();
            leases.push(format!("--force-with-lease=refs/heads/{name}:{seen}"));
        }
    }
    if refspecs.is_empty() {
        return Ok(String::new());
    }
    run(repository, remote, leases, refspecs)
}

/// Pushes, and says what git said.
pub(super) fn run(
    repository: &Repository,
    remote: &str,
    leases: Vec<String>,
    refspecs: Vec<String>,
) -> Result<String, GitError> {
    // Only these branches: no tags that happen to be reachable, no submodules.
    let fixed = ["push", "--porcelain", "--no-follow-tags", "--recurse-submodules=no"].map(str::to_owned);
    let target = ["--".to_owned(), remote.to_owned()];
    let arguments = fixed.into_iter().chain(leases).chain(target).chain(refspecs);
    let output = repository.program.remote(arguments).output(&[])?;

    let [report, talk] =
        [&output.stdout, &output.stderr].map(|bytes| redact(&String::from_utf8_lossy(bytes)));
    let said = format!("{talk}{report}");
    if output.status.success() {
        return Ok(said);
    }
    let names: Vec<String> = report.lines().filter_map(refused).collect();
    if names.is_empty() {
        return Err(GitError::Program { command: "push".to_owned(), output: said.trim().to_owned() });
    }
    let stale = report.lines().any(|line| line.starts_with('!') && line.contains("stale info"));
    Err(GitError::PushRefused { names, stale, output: said })
}

/// What the remote's branch may be replaced for: what our last fetch or push saw there. A remote given by its
/// address has no such memory; there, what it has now counts if it is a commit of ours.
fn last_seen(repository: &Repository, remote: &str, name: &str) -> Result<Option<ObjectId>, GitError> {
    let settings = Settings::load(&repository.program, &repository.git_dir)?;
    let is_named =
        ["url", "pushurl"].iter().any(|key| settings.text(&format!("remote.{remote}.{key}")).is_some());
    if is_named && let Some(seen) = repository.store.resolve(&format!("refs/remotes/{remote}/{name}"))? {
        return Ok(Some(seen));
    }
    let reference = format!("refs/heads/{name}");
    let listing = repository.program.remote(["ls-remote", "--", remote, &reference]).read(&[])?;
    let listing = String::from_utf8_lossy(&listing);
    let there = listing.lines().find_map(|line| {
        let (id, found) = line.split_once('\t')?;
        (found == reference).then(|| ObjectId::from_hex(id)).flatten()
    });
    let Some(there) = there else { return Ok(None) };
    // In doubt no lease: git then refuses to replace what is there.
    Ok((repository.store.resolve(&there.to_string())?.is_some() && is_our_commit(repository, there)?)
        .then_some(there))
}

fn is_our_commit(repository: &Repository, id: ObjectId) -> Result<bool, GitError> {
    let Some(&parent) = repository.store.commit(id)?.parents.first() else { return Ok(false) };
    Ok(repository.store.messages_between(parent, id)?.iter().all(|message| branch::is_ours(message)))
}

/// Reads `! TAB refs/heads/a:refs/heads/a TAB [rejected] (reason)`.
fn refused(line: &str) -> Option<String> {
    let mut fields = line.strip_prefix("!\t")?.split('\t');
    let branch = fields.next()?.rsplit(':').next()?.trim_start_matches("refs/heads/");
    Some(format!("`{branch}` {}", fields.next()?))
}

/// Takes user names and passwords out of the addresses in a text.
pub(super) fn redact(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let end =
            after.find(|c: char| c == '/' || c.is_whitespace() || "'\"<>".contains(c)).unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            Some(user_ends) => &after[user_ends + 1..],
            None => after,
        };
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, clean: &str) {
        assert_eq!(redact(text), clean);
    }

    #[test]
    fn addresses_lose_their_credentials() {
        check("fatal: 'https://ann:s3@cr3t@host/x' no", "fatal: 'https://host/x' no");
        check(
            "To https://token@host/a@b.git\nssh://git@host:22/x",
            "To https://host/a@b.git\nssh://host:22/x",
        );
        check("git@host:x and https://host/@scope", "git@host:x and https://host/@scope");
        check("a:// b@c ://", "a:// b@c ://");
    }

    #[test]
    fn a_refusal_names_branch_and_reason() {
        let line = "!\trefs/heads/h/x:refs/heads/h/x\t[rejected] (stale info)";
        assert_eq!(refused(line).as_deref(), Some("`h/x` [rejected] (stale info)"));
        assert_eq!(refused("*\trefs/heads/h:refs/heads/h\t[new branch]"), None);
    }
}
