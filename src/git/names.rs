//! Names of branches and paths: what git accepts, and how it spells them.

use std::path::{Component, Path, PathBuf};

use super::GitError;

/// Says why git would not take a branch of this name.
pub(super) fn check_branch(branch: &str) -> Result<(), GitError> {
    match why_not(branch) {
        Some(why) => Err(GitError::BranchName { branch: branch.to_owned(), why }),
        None => Ok(()),
    }
}

/// The rules of `git check-ref-format --branch`, each with its own words.
fn why_not(branch: &str) -> Option<String> {
    let unusable = |c: char| c.is_ascii_control() || " ~^:?*[\\".contains(c);
    let why = if branch.is_empty() {
        "it is empty".into()
    } else if let Some(bad) = branch.chars().find(|&c| unusable(c)) {
        format!("it has {bad:?} in it")
    } else if branch.starts_with('-') {
        "it starts with `-`".into()
    } else if branch == "HEAD" || branch == "@" {
        "it means something else to git".into()
    } else if branch.contains("..") || branch.contains("@{") {
        "`..` and `@{` mean something else to git".into()
    } else if branch.ends_with('.') {
        "it ends with a dot".into()
    } else if branch.split('/').any(str::is_empty) {
        "a part between slashes is empty".into()
    } else if branch.split('/').any(|part| part.starts_with('.')) {
        "a part starts with a dot".into()
    } else if branch.split('/').any(|part| part.ends_with(".lock")) {
        "a part ends with `.lock`".into()
    } else {
        return None;
    };
    Some(why)
}

/// Spells a path as git does, and refuses one that no tree can hold.
pub(super) fn to_git(path: &Path) -> Result<Vec<u8>, GitError> {
    let refuse = |why| GitError::Path { path: path.to_owned(), why };
    let mut spelled = Vec::new();
    for part in path.components() {
        let Component::Normal(name) = part else { return Err(refuse("not a path inside the repo")) };
        if name.eq_ignore_ascii_case(".git") {
            return Err(refuse("`.git` cannot be committed"));
        }
        if !spelled.is_empty() {
            spelled.push(b'/');
        }
        spelled.extend_from_slice(name.as_encoded_bytes());
    }
    if spelled.is_empty() { Err(refuse("not a path inside the repo")) } else { Ok(spelled) }
}

/// Reads a path as git spells it; `None` when this system cannot name it.
#[cfg(unix)]
pub(super) fn from_git(spelled: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    Some(std::ffi::OsStr::from_bytes(spelled).into())
}

#[cfg(not(unix))]
pub(super) fn from_git(spelled: &[u8]) -> Option<PathBuf> {
    str::from_utf8(spelled).ok().map(PathBuf::from)
}

/// Whether `path` is one of `under` or below it. An empty list and an empty path hold everything.
pub(super) fn is_under(path: &Path, under: &[PathBuf]) -> bool {
    under.is_empty() || under.iter().any(|top| path.starts_with(top))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares with what libgit2 thinks of the same name.
    #[track_caller]
    fn check(branch: &str, valid: bool) {
        assert_eq!(why_not(branch).is_none(), valid, "{branch}");
        let full = format!("refs/heads/{branch}");
        if !branch.starts_with('-') && branch != "HEAD" && branch != "@" && !branch.contains('\0') {
            assert_eq!(git2::Reference::is_valid_name(&full), valid, "libgit2 disagrees on {branch}");
        }
    }

    #[test]
    fn branch_names_are_judged_as_git_does() {
        for branch in ["harden", "harden/pod/privileged-container", "härten", "a.b", "x@y", "feature/#1"] {
            check(branch, true);
        }
        for branch in [
            "", "-x", "HEAD", "@", "a b", "a..b", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "a@{1}",
            "a.lock", "a.lock/b", "/a", "a/", "a//b", ".a", "a/.b", "a.", "a\tb", "a\u{7f}",
        ] {
            check(branch, false);
        }
    }

    #[test]
    fn paths_that_no_tree_holds_are_refused() {
        for path in ["", "/abs", "../x", "a/../b", ".git/config", "a/.GIT"] {
            assert!(to_git(Path::new(path)).is_err(), "{path}");
        }
        assert_eq!(to_git(Path::new("a/./b c.yaml")).unwrap(), b"a/b c.yaml");
    }
}
