//! Repositories made and read with the real git.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

use caseharden::git::{BranchOutcome, BranchRequest, GitError, ObjectId, Repository};

pub(crate) const POD: &str = "kind: Pod\n";
pub(crate) const HARDENED: &str = "kind: Pod\nspec: {}\n";

/// What a hook, or a confused shell, may have set. We must not heed it.
pub(crate) const MISLEADING: [(&str, &str); 5] = [
    ("GIT_DIR", "/nonexistent/git"),
    ("GIT_WORK_TREE", "/nonexistent/tree"),
    ("GIT_INDEX_FILE", "/nonexistent/index"),
    ("GIT_OBJECT_DIRECTORY", "/nonexistent/objects"),
    ("GIT_NAMESPACE", "elsewhere"),
];

/// A directory that is, or will be, a work tree.
pub(crate) struct Sandbox {
    pub(crate) dir: PathBuf,
}

impl Sandbox {
    /// An empty repository with an identity. SHA-256 ones must go through the `git` program.
    pub(crate) fn empty(dir: PathBuf, format: &str) -> Self {
        fs::create_dir_all(&dir).unwrap();
        let sandbox = Self { dir };
        sandbox.git(&["init", "-q", "-b", "main", &format!("--object-format={format}")]);
        sandbox.git(&["config", "user.name", "Ann Author"]);
        sandbox.git(&["config", "user.email", "ann@example.org"]);
        sandbox
    }

    /// A repository with some files in one commit.
    pub(crate) fn new(dir: PathBuf, format: &str) -> Self {
        let sandbox = Self::empty(dir, format);
        for path in ["pod.yaml", "apps/web/deploy.yaml", "apps/db/deploy.yaml", "apps.yaml"] {
            sandbox.put(path, POD);
        }
        sandbox.put("run.sh", "#!/bin/sh\n");
        sandbox.make_executable("run.sh");
        sandbox.commit_all("first");
        sandbox
    }

    pub(crate) fn put(&self, path: &str, contents: impl AsRef<[u8]>) {
        let path = self.dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    pub(crate) fn make_executable(&self, path: &str) {
        fs::set_permissions(self.dir.join(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[track_caller]
    pub(crate) fn commit_all(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    /// Runs git and returns its output without the last line end.
    #[track_caller]
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let bytes = self.git_bytes(arguments);
        String::from_utf8(bytes).unwrap().trim_end_matches('\n').to_owned()
    }

    #[track_caller]
    pub(crate) fn git_bytes(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.try_git(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {stderr}");
        output.stdout
    }

    pub(crate) fn try_git(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("git");
        for misleading in MISLEADING {
            command.env_remove(misleading.0);
        }
        command.arg("-C").arg(&self.dir).args(arguments).output().unwrap()
    }

    /// A script that fails if it is ever run.
    pub(crate) fn failing_hook(&self, name: &str) {
        let hooks = self.dir.join(self.git(&["rev-parse", "--git-path", "hooks"]));
        fs::create_dir_all(&hooks).unwrap();
        fs::write(hooks.join(name), "#!/bin/sh\ntouch \"$HOME/hook-ran\"\nexit 1\n").unwrap();
        fs::set_permissions(hooks.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[track_caller]
    pub(crate) fn open(&self) -> Repository {
        Repository::discover(&self.dir).unwrap().expect("a repository")
    }

    /// Commits [`HARDENED`] as `path` to `branch`.
    pub(crate) fn harden(&self, branch: &str, path: &str, force: bool) -> Result<BranchOutcome, GitError> {
        let repository = self.open();
        repository.commit(&BranchRequest { force, ..request(&repository, branch, &[(path, HARDENED)]) })
    }

    /// Everything that making a branch must leave alone: the work tree, the index, HEAD and its log.
    pub(crate) fn untouchables(&self) -> BTreeMap<PathBuf, (Vec<u8>, u32, SystemTime)> {
        let mut found = BTreeMap::new();
        let git_dir = PathBuf::from(self.git(&["rev-parse", "--absolute-git-dir"]));
        let mut pending = vec![self.dir.clone()];
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                match entry.file_type().unwrap() {
                    _ if entry.file_name() == ".git" => {}
                    kind if kind.is_dir() => pending.push(entry.path()),
                    kind if kind.is_file() => remember(&mut found, &entry.path()),
                    _ => {}
                }
            }
        }
        for name in ["index", "HEAD", "config", "logs/HEAD"] {
            remember(&mut found, &git_dir.join(name));
        }
        found
    }
}

fn remember(found: &mut BTreeMap<PathBuf, (Vec<u8>, u32, SystemTime)>, path: &Path) {
    if let Ok(metadata) = fs::metadata(path) {
        let facts = (fs::read(path).unwrap(), metadata.permissions().mode(), metadata.modified().unwrap());
        found.insert(path.to_owned(), facts);
    }
}

pub(crate) fn request(repository: &Repository, branch: &str, files: &[(&str, &str)]) -> BranchRequest {
    BranchRequest {
        branch: branch.to_owned(),
        base: repository.base(None).unwrap(),
        message: "Harden the pod\n\nWhy: because.".to_owned(),
        files: files.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect(),
        renews: false,
        force: false,
    }
}

#[track_caller]
pub(crate) fn created(outcome: Result<BranchOutcome, GitError>) -> ObjectId {
    match outcome {
        Ok(BranchOutcome::Created { commit }) => commit,
        other => panic!("not created: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(outcome: Result<T, GitError>, text: &str) -> GitError {
    let error = outcome.expect_err("refused");
    assert_eq!(error.to_string(), text);
    error
}
