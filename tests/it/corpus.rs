//! Real repos: `$CASEHARDEN_CORPORA` names a folder with one in each of its folders. Tests work on copies under git.

#![expect(clippy::print_stderr, reason = "a test says what it looked at and what it skipped")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::program::Folder;

/// The repos, by name; `None`, said aloud, where there are none. `$CASEHARDEN_FIELD_ONLY` picks some by a part of
/// their names.
pub(crate) fn repos() -> Option<Vec<PathBuf>> {
    let Some(corpora) = std::env::var_os("CASEHARDEN_CORPORA") else {
        eprintln!("skipped: CASEHARDEN_CORPORA is not set");
        return None;
    };
    let only = std::env::var("CASEHARDEN_FIELD_ONLY").unwrap_or_default();
    let entries = fs::read_dir(&corpora).unwrap().map(|entry| entry.unwrap().path());
    let mut repos: Vec<PathBuf> =
        entries.filter(|path| path.is_dir() && name(path).contains(&only)).collect();
    repos.sort();
    assert!(!repos.is_empty(), "no repos in {}", Path::new(&corpora).display());
    Some(repos)
}

pub(crate) fn name(repo: &Path) -> String {
    repo.file_name().unwrap().to_string_lossy().into_owned()
}

pub(crate) fn copy(repo: &Path) -> Folder {
    let folder = Folder::new();
    copy_folder(repo, &folder.path());
    folder.git(&["init", "--quiet", "--initial-branch=main"]);
    git_tree(&folder);
    folder.git(&["commit", "--quiet", "--message=as found"]);
    folder
}

/// The tree that git makes of all files as they are now, ignored ones too.
pub(crate) fn git_tree(folder: &Folder) -> String {
    folder.git(&["add", "--all", "--force"]);
    folder.git(&["write-tree"])
}

/// Files come out writable, whatever they were.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else if kind.is_dir() {
            if entry.file_name() != ".git" {
                copy_folder(&entry.path(), &target);
            }
        } else {
            fs::write(target, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}
