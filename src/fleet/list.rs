//! Reads a list of repos: a path or an address on each line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::git;

/// A repo of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What the list calls it, without credentials.
    pub name: String,
    pub place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A repository with a work tree, where branches are made in place.
    Folder(PathBuf),
    /// What git fetches from and pushes to; with the branch to stand on, when the list names one.
    Remote { address: String, branch: Option<String> },
}

/// The repos of a list, each once, in its order. Paths are relative to `folder`. `#` starts a comment; after an address
/// may stand the branch to work from, instead of the remote's default.
pub fn targets(text: &str, folder: &Path) -> Vec<Target> {
    let mut seen = BTreeSet::new();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| target(line, folder)).filter(|target| seen.insert(target.name.clone())).collect()
}

fn target(line: &str, folder: &Path) -> Target {
    if !is_address(line) {
        let path = folder.join(line);
        // A repository without a work tree is as good as a remote one.
        let is_bare = path.join("HEAD").is_file() && path.join("objects").is_dir();
        let place = match path.to_str().filter(|_| is_bare) {
            Some(address) => Place::Remote { address: address.to_owned(), branch: None },
            None => Place::Folder(path),
        };
        return Target { name: line.to_owned(), place };
    }
    let (address, branch) = match line.split_once(char::is_whitespace) {
        Some((address, branch)) => (address, Some(branch.trim().to_owned())),
        None => (line, None),
    };
    let name = git::without_credentials(address);
    let name = branch.as_ref().map_or(name.clone(), |branch| format!("{name} {branch}"));
    Target { name, place: Place::Remote { address: address.to_owned(), branch } }
}

/// `https://…`, `ssh://…`, `file://…` and `git@host:path`; `./a:b` and `C:\a` are paths.
fn is_address(line: &str) -> bool {
    if line.contains("://") {
        return true;
    }
    line.split_once(':').is_some_and(|(host, _)| host.len() > 1 && !host.contains(['/', '\\']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, Place)]) {
        let found: Vec<_> =
            targets(text, Path::new("/list")).into_iter().map(|target| (target.name, target.place)).collect();
        let expected: Vec<_> =
            expected.iter().map(|(name, place)| ((*name).to_owned(), place.clone())).collect();
        assert_eq!(found, expected);
    }

    fn remote(address: &str, branch: Option<&str>) -> Place {
        Place::Remote { address: address.to_owned(), branch: branch.map(str::to_owned) }
    }

    #[test]
    fn a_line_is_a_path_or_an_address() {
        check(
            "# ours\n\n  apps/shop with space \r\n../x\nhttps://forge/a/b.git\ngit@forge:a/b\n",
            &[
                ("apps/shop with space", Place::Folder("/list/apps/shop with space".into())),
                ("../x", Place::Folder("/list/../x".into())),
                ("https://forge/a/b.git", remote("https://forge/a/b.git", None)),
                ("git@forge:a/b", remote("git@forge:a/b", None)),
            ],
        );
    }

    #[test]
    fn an_address_may_name_its_branch_and_never_shows_its_password() {
        check(
            "https://ann:s3cret@forge/a/b  release-1\n",
            &[("https://forge/a/b release-1", remote("https://ann:s3cret@forge/a/b", Some("release-1")))],
        );
    }

    #[test]
    fn a_repo_is_done_once() {
        check(
            "a\na\nhttps://x@h/a\nhttps://h/a\n",
            &[("a", Place::Folder("/list/a".into())), ("https://h/a", remote("https://x@h/a", None))],
        );
    }
}
