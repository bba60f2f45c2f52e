//! A copy of a repo under git.

use std::fs;
use std::path::Path;

use crate::program::Folder;

pub(super) fn copy(repo: &Path) -> Folder {
    let folder = Folder::new();
    copy_folder(repo, &folder.path());
    folder.git(&["init", "--quiet", "--initial-branch=main"]);
    git_tree(&folder);
    folder.git(&["commit", "--quiet", "--message=as found"]);
    folder
}

/// The tree that git makes of all files as they are now, ignored ones too.
pub(super) fn git_tree(folder: &Folder) -> String {
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
