//! The road through libgit2, in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use git2::build::TreeUpdateBuilder;
use git2::{AttrCheckFlags, BranchType, ErrorCode, FileMode, ObjectType, StatusOptions};

use super::program::Program;
use super::store::{Branch, CommitFacts, Entry, NewCommit, Store};
use super::{GitError, ObjectId, names, plumbing, uncommitted};
use crate::apply::PathError;

/// A handle of libgit2 serves one thread at a time, so every thread borrows one of its own from here.
pub(super) struct Library {
    git_dir: PathBuf,
    workdir: PathBuf,
    idle: Mutex<Vec<git2::Repository>>,
    /// For what libgit2 cannot do: custom filters, and the last word on a file that looks changed.
    program: Program,
}

impl Library {
    pub(super) fn new(git_dir: &Path, workdir: &Path, program: Program) -> Self {
        Self { git_dir: git_dir.to_owned(), workdir: workdir.to_owned(), idle: Mutex::default(), program }
    }

    fn with<T>(
        &self,
        action: &str,
        work: impl FnOnce(&git2::Repository) -> Result<T, git2::Error>,
    ) -> Result<T, GitError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let result = match idle {
            Some(repository) => Ok(repository),
            None => git2::Repository::open(&self.git_dir),
        }
        .and_then(|repository| {
            let result = work(&repository);
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(repository);
            result
        });
        result.map_err(GitError::library(action))
    }

    /// Writes a new file's blob as `git add` would: line endings as the attributes say, filters run.
    fn new_blob(&self, path: &Path, contents: &[u8]) -> Result<ObjectId, GitError> {
        let filtered = self.with("read attributes", |repository| {
            let is_set = |name| {
                let value = repository.get_attr(path, name, AttrCheckFlags::FILE_THEN_INDEX)?;
                Ok::<_, git2::Error>(value.is_some())
            };
            Ok(is_set("filter")? || is_set("working-tree-encoding")?)
        })?;
        if filtered {
            return plumbing::hash_as_added(&self.program, path, contents);
        }
        let failed = |source| GitError::from(PathError { path: path.to_owned(), source });
        self.with("write a blob", |repository| {
            let mut writer = repository.blob_writer(Some(path))?;
            match std::io::Write::write_all(&mut writer, contents) {
                Ok(()) => writer.commit().map(ObjectId::from_git2).map(Ok),
                Err(error) => Ok(Err(failed(error))),
            }
        })?
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library").field("git_dir", &self.git_dir).finish_non_exhaustive()
    }
}

impl Store for Library {
    fn resolve(&self, revision: &str) -> Result<Option<ObjectId>, GitError> {
        self.with(&format!("look up `{revision}`"), |repository| {
            match repository.revparse_single(revision).and_then(|object| object.peel_to_commit()) {
                Ok(commit) => Ok(Some(ObjectId::from_git2(commit.id()))),
                Err(error) => match error.code() {
                    ErrorCode::NotFound
                    | ErrorCode::UnbornBranch
                    | ErrorCode::InvalidSpec
                    | ErrorCode::Peel => Ok(None),
                    _ => Err(error),
                },
            }
        })
    }

    fn commit(&self, id: ObjectId) -> Result<CommitFacts, GitError> {
        self.with(&format!("read commit {id}"), |repository| {
            let commit = repository.find_commit(id.to_git2()?)?;
            Ok(CommitFacts {
                tree: ObjectId::from_git2(commit.tree_id()),
                parents: commit.parent_ids().map(ObjectId::from_git2).collect(),
            })
        })
    }

    fn entries(&self, commit: ObjectId, under: &[PathBuf]) -> Result<Vec<Entry>, GitError> {
        self.with(&format!("read the files of commit {commit}"), |repository| {
            let tree = repository.find_commit(commit.to_git2()?)?.tree()?;
            let mut entries = Vec::new();
            walk(repository, &tree, Path::new(""), under, &mut entries)?;
            Ok(entries)
        })
    }

    fn blob(&self, id: ObjectId) -> Result<Vec<u8>, GitError> {
        self.with(&format!("read blob {id}"), |repository| {
            Ok(repository.find_blob(id.to_git2()?)?.content().to_vec())
        })
    }

    fn blob_size(&self, id: ObjectId) -> Result<u64, GitError> {
        self.with(&format!("read blob {id}"), |repository| {
            let (size, _) = repository.odb()?.read_header(id.to_git2()?)?;
            Ok(size as u64)
        })
    }

    fn prefetch(&self, _commit: ObjectId, _ids: &[ObjectId]) -> Result<(), GitError> {
        Ok(())
    }

    fn write_tree(&self, commit: ObjectId, files: &BTreeMap<&Path, &[u8]>) -> Result<ObjectId, GitError> {
        let mut placed = Vec::new();
        for (&path, &contents) in files {
            let spelled = names::to_git(path)?;
            let standing = self.with("read a tree", |repository| {
                let tree = repository.find_commit(commit.to_git2()?)?.tree()?;
                standing(&tree, path)
            })?;
            let (id, mode) = match standing {
                Standing::File(mode) => {
                    let id = self.with("write a blob", |repository| repository.blob(contents))?;
                    (ObjectId::from_git2(id), mode)
                }
                Standing::Nothing => (self.new_blob(path, contents)?, FileMode::Blob),
                Standing::Taken(why) => return Err(GitError::Path { path: path.to_owned(), why }),
            };
            placed.push((spelled, id, mode));
        }
        self.with("write a tree", |repository| {
            let tree = repository.find_commit(commit.to_git2()?)?.tree()?;
            let mut update = TreeUpdateBuilder::new();
            for (path, id, mode) in placed {
                update.upsert(path, id.to_git2()?, mode);
            }
            update.create_updated(repository, &tree).map(ObjectId::from_git2)
        })
    }

    fn write_commit(&self, commit: &NewCommit<'_>) -> Result<ObjectId, GitError> {
        self.with("write a commit", |repository| {
            let [author, committer] = [&commit.identity.author, &commit.identity.committer]
                .map(|person| git2::Signature::now(&person.name, &person.email));
            let tree = repository.find_tree(commit.tree.to_git2()?)?;
            let parent = repository.find_commit(commit.parent.to_git2()?)?;
            let id = repository.commit(None, &author?, &committer?, commit.message, &tree, &[&parent])?;
            Ok(ObjectId::from_git2(id))
        })
    }

    fn branches(&self) -> Result<Vec<Branch>, GitError> {
        self.with("list the branches", |repository| {
            let mut branches = Vec::new();
            // A broken ref among them is not ours to stumble over.
            for (branch, _) in repository.branches(Some(BranchType::Local))?.flatten() {
                let name = String::from_utf8_lossy(branch.name_bytes()?).into_owned();
                branches.push(Branch { name, tip: branch.get().target().map(ObjectId::from_git2) });
            }
            Ok(branches)
        })
    }

    fn set_branch(&self, branch: &str, new: ObjectId, old: Option<ObjectId>) -> Result<(), GitError> {
        let name = format!("refs/heads/{branch}");
        let moved = self.with(&format!("write branch `{branch}`"), |repository| {
            let (new, log) = (new.to_git2()?, "branch: written by caseharden");
            let written = match old {
                None => repository.reference(&name, new, false, log),
                Some(old) => repository.reference_matching(&name, new, true, old.to_git2()?, log),
            };
            match written {
                Ok(_) => Ok(false),
                Err(error) => match error.code() {
                    ErrorCode::Exists | ErrorCode::Modified | ErrorCode::Locked => Ok(true),
                    ErrorCode::NotFound if old.is_some() => Ok(true),
                    _ => Err(error),
                },
            }
        })?;
        if moved { Err(GitError::Moved { branch: branch.to_owned() }) } else { Ok(()) }
    }

    fn messages_between(&self, base: ObjectId, tip: ObjectId) -> Result<Vec<Vec<u8>>, GitError> {
        self.with("walk the branch's commits", |repository| {
            let mut walk = repository.revwalk()?;
            walk.push(tip.to_git2()?)?;
            walk.hide(base.to_git2()?)?;
            walk.map(|id| Ok(repository.find_commit(id?)?.message_bytes().to_vec())).collect()
        })
    }

    fn uncommitted(&self, paths: &BTreeSet<PathBuf>) -> Result<BTreeSet<PathBuf>, GitError> {
        let found = self.with("compare the work tree with the index", |repository| {
            status(repository, &self.workdir, paths)
        });
        if found.as_ref().is_ok_and(BTreeSet::is_empty) {
            return found;
        }
        // libgit2 runs no custom filters and reads no sparse index: git has the last word, if there is one.
        match uncommitted::by_program(&self.program, &self.workdir, paths) {
            Err(GitError::NoProgram { .. }) => found,
            result => result,
        }
    }
}

/// Collects what is not a directory, and goes into the directories that can hold something of `under`.
fn walk(
    repository: &git2::Repository,
    tree: &git2::Tree<'_>,
    above: &Path,
    under: &[PathBuf],
    entries: &mut Vec<Entry>,
) -> Result<(), git2::Error> {
    for entry in tree {
        let Some(name) = names::from_git(entry.name_bytes()) else { continue };
        let path = above.join(name);
        let wanted = names::is_under(&path, under);
        if entry.kind() == Some(ObjectType::Tree) {
            if wanted || under.iter().any(|top| top.starts_with(&path)) {
                let below = repository.find_tree(entry.id())?;
                walk(repository, &below, &path, under, entries)?;
            }
        } else if wanted {
            let mode = entry.filemode_raw().cast_unsigned();
            entries.push(Entry { path, mode, id: ObjectId::from_git2(entry.id()) });
        }
    }
    Ok(())
}

/// What a tree has at a path already.
enum Standing {
    Nothing,
    File(FileMode),
    Taken(&'static str),
}

fn standing(tree: &git2::Tree<'_>, path: &Path) -> Result<Standing, git2::Error> {
    for above in path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
        match tree.get_path(above) {
            Ok(entry) if entry.kind() == Some(ObjectType::Tree) => break,
            Ok(_) => return Ok(Standing::Taken("a directory above it is a file in the commit")),
            Err(error) if error.code() == ErrorCode::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    match tree.get_path(path) {
        Err(error) if error.code() == ErrorCode::NotFound => Ok(Standing::Nothing),
        Err(error) => Err(error),
        Ok(entry) => Ok(match entry.filemode_raw() & 0o170_000 {
            0o100_000 if entry.filemode_raw() & 0o100 != 0 => Standing::File(FileMode::BlobExecutable),
            0o100_000 => Standing::File(FileMode::Blob),
            _ => Standing::Taken("not a regular file in the commit"),
        }),
    }
}

fn status(
    repository: &git2::Repository,
    workdir: &Path,
    paths: &BTreeSet<PathBuf>,
) -> Result<BTreeSet<PathBuf>, git2::Error> {
    let mut index = repository.index()?;
    index.read(false)?;
    let untracked =
        paths.iter().filter(|path| index.get_path(path, 0).is_none() && workdir.join(path).exists());
    let mut found: BTreeSet<PathBuf> = untracked.cloned().collect();

    let mut options = StatusOptions::new();
    options.include_untracked(false).include_ignored(false).exclude_submodules(true).update_index(false);
    options.disable_pathspec_match(true);
    for path in paths {
        options.pathspec(path);
    }
    for entry in repository.statuses(Some(&mut options))?.iter() {
        found.extend(names::from_git(entry.path_bytes()).filter(|path| paths.contains(path)));
    }
    Ok(found)
}
