//! A copy of a repo under git, and the program run in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

pub(super) struct Copy {
    /// Holds `repo`, the copy, and what is kept beside it.
    place: TempDir,
}

/// How a run of the program ended.
pub(super) struct Ran {
    /// None after a signal.
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Copy {
    pub(super) fn of(repo: &Path) -> Copy {
        let copy = Copy { place: tempfile::tempdir().unwrap() };
        copy_folder(repo, &copy.root());
        copy.git(&["init", "-q", "-b", "main"]);
        copy.git(&["add", "-A", "-f"]);
        copy.git(&["commit", "-q", "-m", "as found"]);
        copy
    }

    fn root(&self) -> std::path::PathBuf {
        self.place.path().join("repo")
    }

    /// Writes a file beside the repo.
    pub(super) fn keep(&self, name: &str, text: &str) -> String {
        let path = self.place.path().join(name);
        fs::write(&path, text).unwrap();
        path.into_os_string().into_string().unwrap()
    }

    pub(super) fn caseharden(&self, arguments: &[&str]) -> Ran {
        let output = self.run(env!("CARGO_BIN_EXE_caseharden"), arguments);
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ran { code: output.status.code(), stdout, stderr }
    }

    #[track_caller]
    pub(super) fn git(&self, arguments: &[&str]) -> String {
        self.try_git(arguments).unwrap()
    }

    pub(super) fn try_git(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.run("git", arguments);
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let person = [("NAME", "A Person"), ("EMAIL", "person@example.com")];
        let mut command = Command::new(program);
        for role in ["AUTHOR", "COMMITTER"] {
            command.envs(person.map(|(key, value)| (format!("GIT_{role}_{key}"), value)));
        }
        command.env("HOME", self.place.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        command.args(arguments).current_dir(self.root()).output().unwrap()
    }

    /// The tree that git makes of all files as they are now.
    pub(super) fn tree(&self) -> String {
        self.git(&["add", "-A", "-f"]);
        self.git(&["write-tree"])
    }

    /// All files but git's own.
    pub(super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let kind = entry.file_type().unwrap();
                if kind.is_dir() && entry.file_name() != ".git" {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    let path = entry.path().strip_prefix(self.root()).unwrap().to_str().unwrap().to_owned();
                    files.insert(path, fs::read(entry.path()).unwrap());
                }
            }
        }
        files
    }
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
