//! Finds the repository a directory lies in, and settles which road leads to its objects.

use std::env;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, RepositoryOpenFlags};

use super::library::Library;
use super::plumbing::Plumbing;
use super::program::Program;
use super::store::Store;
use super::{GitError, Repository, Road, names};
use crate::apply::PathError;

/// Where the parts of an opened repository are.
struct Places {
    workdir: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
}

pub(super) fn discover(root: &Path) -> Result<Option<Repository>, GitError> {
    let real = root.canonicalize().map_err(|source| PathError { path: root.to_owned(), source })?;
    let directory = if real.is_dir() { real.as_path() } else { real.parent().unwrap_or(&real) };
    let ceilings: Vec<PathBuf> = env::var_os("GIT_CEILING_DIRECTORIES")
        .map(|list| env::split_paths(&list).collect())
        .unwrap_or_default();
    let (places, road) = match git2::Repository::open_ext(directory, RepositoryOpenFlags::empty(), ceilings) {
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        // Git may trust the owner for reasons libgit2 does not see, such as GIT_CONFIG_GLOBAL.
        Err(error) => {
            let reason = format!("libgit2 cannot open the repository ({})", error.message());
            match places_by_program(directory, &reason) {
                Err(GitError::NoProgram { .. }) if error.code() == ErrorCode::Owner => {
                    return Err(GitError::Untrusted(directory.to_owned()));
                }
                places => (places?, Road::Program(reason)),
            }
        }
        Ok(repository) => {
            let workdir = repository.workdir().ok_or_else(|| GitError::Bare(repository.path().to_owned()))?;
            let places = Places {
                workdir: workdir.to_owned(),
                git_dir: repository.path().to_owned(),
                common_dir: repository.commondir().to_owned(),
            };
            (places, road_for(&repository))
        }
    };
    open(directory, places, road)
}

/// libgit2 cannot fetch what a partial clone has left out.
fn road_for(repository: &git2::Repository) -> Road {
    let partial = repository.config().and_then(|mut config| config.snapshot()).is_ok_and(|config| {
        let promised = config.entries(Some("^(extensions\\.partialclone|remote\\..*\\.promisor)$"));
        promised.is_ok_and(|mut entries| entries.next().is_some())
    });
    if partial { Road::Program("this is a partial clone".to_owned()) } else { Road::Library }
}

fn open(directory: &Path, places: Places, road: Road) -> Result<Option<Repository>, GitError> {
    let workdir =
        places.workdir.canonicalize().map_err(|source| PathError { path: places.workdir.clone(), source })?;
    // A repository whose `core.worktree` is elsewhere has nothing to say about this directory.
    let Ok(prefix) = directory.strip_prefix(&workdir).map(Path::to_owned) else { return Ok(None) };
    let bare_main = git2::Config::open(&places.common_dir.join("config"))
        .and_then(|config| config.get_bool("core.bare"))
        .unwrap_or(false);
    let program;
    let store: Box<dyn Store> = match &road {
        Road::Library => {
            program = Program::new(&workdir, "this needs the configuration and tools of your git");
            Box::new(Library::new(&places.git_dir, &workdir, program.clone()))
        }
        Road::Program(reason) => {
            program = Program::new(&workdir, reason);
            Box::new(Plumbing::new(&workdir, program.clone()))
        }
    };
    let (git_dir, common_dir) = (places.git_dir, places.common_dir);
    Ok(Some(Repository { workdir, prefix, git_dir, common_dir, bare_main, road, store, program }))
}

fn places_by_program(directory: &Path, reason: &str) -> Result<Places, GitError> {
    let program = Program::new(directory, reason);
    let ask = |question: &str| match program.local(["rev-parse", question]).read(&[]) {
        Ok(answer) => {
            let answer = answer.strip_suffix(b"\n").unwrap_or(&answer);
            names::from_git(answer)
                .map(|path| directory.join(path))
                .ok_or(GitError::Path { path: directory.to_owned(), why: "lies at a path that is not UTF-8" })
        }
        Err(GitError::Program { output, .. }) if output.contains("dubious ownership") => {
            Err(GitError::Untrusted(directory.to_owned()))
        }
        Err(error) => Err(error),
    };
    let git_dir = ask("--absolute-git-dir")?;
    if program.local(["rev-parse", "--is-bare-repository"]).line(&[])? == "true" {
        return Err(GitError::Bare(git_dir));
    }
    Ok(Places { workdir: ask("--show-toplevel")?, common_dir: ask("--git-common-dir")?, git_dir })
}
