//! Runs the built program as a user would, with an environment nobody else has a part in, and holds the
//! folders such runs work in.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Run {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

/// A folder with a home beside it, both gone when it is dropped.
pub(crate) struct Folder {
    place: tempfile::TempDir,
}

impl Folder {
    pub(crate) fn new() -> Folder {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("repo")).unwrap();
        fs::create_dir(place.path().join("home")).unwrap();
        Folder { place }
    }

    /// A git repo that holds `files`, all committed.
    pub(crate) fn committed(files: &[(&str, &str)]) -> Folder {
        let folder = Folder::new();
        folder.git(&["init", "--quiet", "--initial-branch=main"]);
        for (path, text) in files {
            folder.write(path, text);
        }
        folder.commit();
        folder
    }

    pub(crate) fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message=before"]);
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.place.path().join("repo").canonicalize().unwrap()
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap()
    }

    /// Every file below the folder but git's own.
    pub(crate) fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        tree(&self.path())
    }

    #[track_caller]
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let run = self.run_in(&self.path(), "git", args, b"");
        assert_eq!(run.code, 0, "git {args:?}: {}{}", run.stdout, run.stderr);
        run.stdout
    }

    pub(crate) fn run(&self, args: &[&str]) -> Run {
        self.run_with(args, b"")
    }

    pub(crate) fn run_with(&self, args: &[&str], stdin: &[u8]) -> Run {
        self.run_in(&self.path(), env!("CARGO_BIN_EXE_caseharden"), args, stdin)
    }

    pub(crate) fn run_in(&self, at: &Path, program: &str, args: &[&str], stdin: &[u8]) -> Run {
        let mut child = self.command(at, program, args);
        let mut child =
            child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let stdin = stdin.to_vec();
        // On a thread of its own: a program that answers while it reads would otherwise wait for us, and we for it.
        let writer = std::thread::spawn(move || pipe.write_all(&stdin).ok());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub(crate) fn command(&self, at: &Path, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(at).env_clear();
        let kept = ["PATH", "TMPDIR", "LLVM_PROFILE_FILE"];
        command.envs(kept.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        let home = self.place.path().join("home");
        command.env("HOME", &home).env("XDG_CONFIG_HOME", &home).env("LC_ALL", "C.UTF-8");
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CEILING_DIRECTORIES", self.place.path());
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), "Test")
                .env(format!("GIT_{role}_EMAIL"), "test@example.com");
        }
        command
    }
}

/// Paths below `root`, with `/` between their parts, and what the files hold.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                if path.file_name().unwrap() != ".git" {
                    open.push(path);
                }
            } else if path.is_file() {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}
