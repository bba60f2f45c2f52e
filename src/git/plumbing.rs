//! The road through the `git` program: its plumbing commands only, whose output does not change.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::cat_file::CatFiles;
use super::program::Program;
use super::store::{Branch, CommitFacts, Entry, MODE_EXECUTABLE, MODE_FILE, NewCommit, Store};
use super::{GitError, ObjectId, names, uncommitted};
use crate::apply::PathError;

#[derive(Debug)]
pub(super) struct Plumbing {
    workdir: PathBuf,
    program: Program,
    blobs: CatFiles,
}

impl Plumbing {
    pub(super) fn new(workdir: &Path, program: Program) -> Self {
        Self { workdir: workdir.to_owned(), program, blobs: CatFiles::default() }
    }

    /// Writes blobs byte for byte, all with one process.
    fn write_blobs(&self, contents: &[&[u8]], scratch: &Path) -> Result<Vec<ObjectId>, GitError> {
        let mut list = Vec::new();
        for (number, bytes) in contents.iter().enumerate() {
            let file = scratch.join(number.to_string());
            fs::write(&file, bytes).map_err(|source| PathError { path: file.clone(), source })?;
            list.extend_from_slice(file.as_os_str().as_encoded_bytes());
            list.push(b'\n');
        }
        if contents.is_empty() {
            return Ok(Vec::new());
        }
        let answer =
            self.program.local(["hash-object", "-w", "--no-filters", "--stdin-paths"]).read(&list)?;
        String::from_utf8_lossy(&answer).lines().map(|line| parse_id("hash-object", line)).collect()
    }
}

impl Store for Plumbing {
    fn resolve(&self, revision: &str) -> Result<Option<ObjectId>, GitError> {
        if revision.starts_with('-') {
            return Ok(None);
        }
        let commit = format!("{revision}^{{commit}}");
        let output = self.program.local(["rev-parse", "--verify", "--quiet", &commit]).output(&[])?;
        Ok(ObjectId::from_hex(String::from_utf8_lossy(&output.stdout).trim())
            .filter(|_| output.status.success()))
    }

    fn commit(&self, id: ObjectId) -> Result<CommitFacts, GitError> {
        let text = self.program.local(["cat-file", "commit", &id.to_string()]).read(&[])?;
        let text = String::from_utf8_lossy(&text);
        let header = text.split("\n\n").next().unwrap_or_default();
        let ids = |key: &str| {
            let lines = header.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix(' '));
            lines.map(|hex| parse_id("cat-file", hex)).collect::<Result<Vec<_>, _>>()
        };
        let tree = ids("tree")?.first().copied();
        let tree = tree.ok_or_else(|| unexpected("cat-file", header))?;
        Ok(CommitFacts { tree, parents: ids("parent")? })
    }

    fn entries(&self, commit: ObjectId, under: &[PathBuf]) -> Result<Vec<Entry>, GitError> {
        let listing =
            self.program.local(["ls-tree", "-r", "-z", "--full-tree", &commit.to_string()]).read(&[])?;
        let mut entries = Vec::new();
        for line in listing.split(|&byte| byte == 0).filter(|line| !line.is_empty()) {
            let entry =
                parse_entry(line).ok_or_else(|| unexpected("ls-tree", &String::from_utf8_lossy(line)))?;
            entries.extend(entry.filter(|entry| names::is_under(&entry.path, under)));
        }
        Ok(entries)
    }

    fn blob(&self, id: ObjectId) -> Result<Vec<u8>, GitError> {
        self.blobs.blob(&self.program, id)
    }

    fn blob_size(&self, id: ObjectId) -> Result<u64, GitError> {
        let line = self.program.local(["cat-file", "-s", &id.to_string()]).line(&[])?;
        line.parse().map_err(|_| unexpected("cat-file", &line))
    }

    fn prefetch(&self, commit: ObjectId, ids: &[ObjectId]) -> Result<(), GitError> {
        let Some(remote) = promisor(&self.program)? else { return Ok(()) };
        let mut missing = missing_objects(&self.program, commit)?;
        missing.retain(|id| ids.contains(id));
        if missing.is_empty() {
            return Ok(());
        }
        // What git itself runs when it meets a missing object, only for all of them together.
        let fetch = ["-c", "fetch.negotiationAlgorithm=noop", "fetch", &remote, "--no-tags"];
        let options = ["--no-write-fetch-head", "--recurse-submodules=no", "--filter=blob:none", "--stdin"];
        let list: String = missing.iter().map(|id| format!("{id}\n")).collect();
        self.program.local(fetch.iter().chain(&options)).read(list.as_bytes()).map(drop)
    }

    fn write_tree(&self, commit: ObjectId, files: &BTreeMap<&Path, &[u8]>) -> Result<ObjectId, GitError> {
        let scratch =
            tempfile::tempdir().map_err(|source| PathError { path: std::env::temp_dir(), source })?;
        let present = Present::new(self.entries(commit, &[])?);
        let mut lines = Vec::new();
        let mut edited = Vec::new();
        for (&path, &contents) in files {
            let spelled = names::to_git(path)?;
            match present.mode(path)? {
                Some(mode) => edited.push((spelled, mode, contents)),
                None => {
                    let id = hash_as_added(&self.program, path, contents)?;
                    lines.push((spelled, MODE_FILE, id));
                }
            }
        }
        let contents: Vec<&[u8]> = edited.iter().map(|(.., contents)| *contents).collect();
        let ids = self.write_blobs(&contents, scratch.path())?;
        lines.extend(edited.into_iter().zip(ids).map(|((path, mode, _), id)| (path, mode, id)));

        let mut input = Vec::new();
        for (path, mode, id) in lines {
            input.extend_from_slice(format!("{mode:o} {id}\t").as_bytes());
            input.extend_from_slice(&path);
            input.push(0);
        }
        // An index of our own: the user's is never opened for writing.
        let index = scratch.path().join("index");
        let with_index = |arguments: &[&str]| self.program.local(arguments).env("GIT_INDEX_FILE", &index);
        with_index(&["read-tree", &commit.to_string()]).read(&[])?;
        with_index(&["update-index", "-z", "--index-info"]).read(&input)?;
        // Blobs that a partial clone has not fetched are no reason to fetch them.
        let tree = with_index(&["write-tree", "--missing-ok"]).line(&[])?;
        parse_id("write-tree", &tree)
    }

    fn write_commit(&self, commit: &NewCommit<'_>) -> Result<ObjectId, GitError> {
        commit_tree(&self.program, commit, false)
    }

    fn branches(&self) -> Result<Vec<Branch>, GitError> {
        let format = "--format=%(objectname) %(symref)%00%(refname)";
        let listing = self.program.local(["for-each-ref", format, "refs/heads/"]).read(&[])?;
        let listing = String::from_utf8_lossy(&listing);
        let branches = listing.lines().filter_map(|line| {
            let (facts, name) = line.split_once('\0')?;
            let (id, symbolic) = facts.split_once(' ')?;
            let tip = ObjectId::from_hex(id).filter(|_| symbolic.is_empty());
            Some(Branch { name: name.strip_prefix("refs/heads/")?.to_owned(), tip })
        });
        Ok(branches.collect())
    }

    fn set_branch(&self, branch: &str, new: ObjectId, old: Option<ObjectId>) -> Result<(), GitError> {
        let reference = format!("refs/heads/{branch}");
        let (new, old) = (new.to_string(), old.map(|id| id.to_string()).unwrap_or_default());
        let log = "branch: written by caseharden";
        let update = ["update-ref", "-m", log, "--no-deref", &reference, &new, &old];
        match self.program.local(update).read(&[]) {
            Err(GitError::Program { output, .. })
                if output.contains("but expected") || output.contains("already exists") =>
            {
                Err(GitError::Moved { branch: branch.to_owned() })
            }
            result => result.map(drop),
        }
    }

    fn messages_between(&self, base: ObjectId, tip: ObjectId) -> Result<Vec<Vec<u8>>, GitError> {
        let range = format!("{base}..{tip}");
        let log = self.program.local(["rev-list", "--format=%B%x00", &range]).read(&[])?;
        let messages = log.split(|&byte| byte == 0).map(<[u8]>::trim_ascii_start).map(<[u8]>::to_vec);
        let mut messages: Vec<Vec<u8>> = messages.collect();
        messages.pop();
        Ok(messages)
    }

    fn uncommitted(&self, paths: &BTreeSet<PathBuf>) -> Result<BTreeSet<PathBuf>, GitError> {
        uncommitted::by_program(&self.program, &self.workdir, paths)
    }
}

/// Writes a commit with `git commit-tree`, signed as the user's git is configured to when `sign` is set.
pub(super) fn commit_tree(
    program: &Program,
    commit: &NewCommit<'_>,
    sign: bool,
) -> Result<ObjectId, GitError> {
    let (tree, parent) = (commit.tree.to_string(), commit.parent.to_string());
    let mut arguments = vec!["commit-tree"];
    arguments.extend(sign.then_some("-S"));
    arguments.extend(["-p", &parent, &tree]);
    let (author, committer) = (&commit.identity.author, &commit.identity.committer);
    let run = program
        .local(arguments)
        .env("GIT_AUTHOR_NAME", &author.name)
        .env("GIT_AUTHOR_EMAIL", &author.email)
        .env("GIT_COMMITTER_NAME", &committer.name)
        .env("GIT_COMMITTER_EMAIL", &committer.email);
    let line = run.line(commit.message.as_bytes())?;
    parse_id("commit-tree", &line)
}

/// Writes the blob that `git add` would make of a file with this path and these bytes.
pub(super) fn hash_as_added(program: &Program, path: &Path, contents: &[u8]) -> Result<ObjectId, GitError> {
    let mut arguments: Vec<std::ffi::OsString> =
        ["hash-object", "-w", "--stdin", "--path"].map(Into::into).into();
    arguments.push(path.into());
    let line = program.local(arguments).line(contents)?;
    parse_id("hash-object", &line)
}

/// The paths of a commit, to find out what a new path would sit on.
struct Present {
    modes: BTreeMap<PathBuf, u32>,
}

impl Present {
    fn new(entries: Vec<Entry>) -> Self {
        Self { modes: entries.into_iter().map(|entry| (entry.path, entry.mode)).collect() }
    }

    /// The mode to keep for an existing file, none for a new one.
    fn mode(&self, path: &Path) -> Result<Option<u32>, GitError> {
        let refuse = |why| Err(GitError::Path { path: path.to_owned(), why });
        if path.ancestors().skip(1).any(|above| self.modes.contains_key(above)) {
            return refuse("a directory above it is a file in the commit");
        }
        match self.modes.get(path) {
            Some(mode) if mode & 0o170_000 != 0o100_000 => refuse("not a regular file in the commit"),
            Some(mode) => Ok(Some(if mode & 0o100 == 0 { MODE_FILE } else { MODE_EXECUTABLE })),
            // `Path` orders by components, so what is below a directory follows it at once.
            None => match self.modes.range(path.to_owned()..).next() {
                Some((next, _)) if next.starts_with(path) => refuse("not a regular file in the commit"),
                _ => Ok(None),
            },
        }
    }
}

/// Reads `MODE TYPE ID TAB PATH`. The inner `None` is a path that this system cannot name.
fn parse_entry(line: &[u8]) -> Option<Option<Entry>> {
    let tab = line.iter().position(|&byte| byte == b'\t')?;
    let mut facts = str::from_utf8(&line[..tab]).ok()?.split(' ');
    let mode = u32::from_str_radix(facts.next()?, 8).ok()?;
    let id = ObjectId::from_hex(facts.nth(1)?)?;
    Some(names::from_git(&line[tab + 1..]).map(|path| Entry { path, mode, id }))
}

/// The remote that has what a partial clone has left out.
fn promisor(program: &Program) -> Result<Option<String>, GitError> {
    let listing = program.local(["config", "--list", "-z"]).read(&[])?;
    let listing = String::from_utf8_lossy(&listing);
    let mut remotes = listing.split('\0').filter_map(|entry| {
        let (key, value) = entry.split_once('\n')?;
        match key {
            "extensions.partialclone" => Some(value.to_owned()),
            _ => Some(key.strip_prefix("remote.")?.strip_suffix(".promisor")?.to_owned()),
        }
    });
    Ok(remotes.next_back())
}

/// The objects of a commit's tree that are not here. Looks, and does not fetch.
fn missing_objects(program: &Program, commit: ObjectId) -> Result<BTreeSet<ObjectId>, GitError> {
    let look = ["rev-list", "--objects", "--no-object-names", "--no-walk", "--missing=print"];
    let commit = commit.to_string();
    let listing = program.local(look.iter().chain(&[commit.as_str()])).read(&[])?;
    let listing = String::from_utf8_lossy(&listing);
    Ok(listing.lines().filter_map(|line| ObjectId::from_hex(line.strip_prefix('?')?)).collect())
}

fn parse_id(command: &str, line: &str) -> Result<ObjectId, GitError> {
    ObjectId::from_hex(line).ok_or_else(|| unexpected(command, line))
}

fn unexpected(command: &str, answer: &str) -> GitError {
    GitError::Program { command: command.to_owned(), output: format!("unexpected answer {answer:?}") }
}
