//! Which road is taken, and that both lead to the same place.

use std::{fs, path::Path};

use caseharden::git::{GitError, Repository, Road};

use super::sandbox::{HARDENED, MISLEADING, POD, Sandbox, created, request};
use crate::isolated::{isolated, isolated_with};

#[test]
fn libgit2_is_the_ordinary_road() {
    isolated(|home| {
        let repo = Sandbox::new(home.join("repo"), "sha1");
        assert_eq!(*repo.open().road(), Road::Library);
        assert_eq!(repo.open().road().to_string(), "libgit2");
    });
}

#[test]
fn sha256_and_unknown_extensions_take_the_program() {
    isolated(|home| {
        let repo = Sandbox::new(home.join("sha256"), "sha256");
        assert!(matches!(repo.open().road(), Road::Program(_)));
        assert!(repo.open().road().to_string().starts_with("the `git` program, because libgit2 cannot open"));

        let repo = Sandbox::new(home.join("extension"), "sha1");
        repo.git(&["config", "core.repositoryFormatVersion", "1"]);
        repo.git(&["config", "extensions.noop-v1", "true"]);
        assert!(matches!(repo.open().road(), Road::Program(_)));
        created(repo.harden("harden", "pod.yaml", false));
    });
}

#[test]
fn both_roads_make_the_same_commit() {
    let dates = [("GIT_AUTHOR_DATE", "@1700000000 +0000"), ("GIT_COMMITTER_DATE", "@1700000000 +0000")];
    isolated_with(&dates, |home| {
        let tree = |directory: &str, promisor: bool| {
            let repo = Sandbox::new(home.join(directory), "sha1");
            if promisor {
                repo.git(&["config", "remote.origin.promisor", "true"]);
            }
            let repository = repo.open();
            assert_eq!(matches!(repository.road(), Road::Program(_)), promisor);
            let files = [("pod.yaml", HARDENED), ("apps/new.yaml", POD), ("run.sh", "#!/bin/sh -e\n")];
            created(repository.commit(&request(&repository, "harden", &files)))
        };
        assert_eq!(tree("by-library", false), tree("by-program", true));
    });
}

#[test]
fn variables_that_name_another_repository_are_not_heeded() {
    isolated_with(&MISLEADING, |home| {
        for format in ["sha1", "sha256"] {
            let repo = Sandbox::new(home.join(format), format);
            let before = repo.untouchables();
            created(repo.harden("harden", "pod.yaml", false));
            assert_eq!(repo.git(&["diff", "--name-only", "HEAD", "harden"]), "pod.yaml");
            assert!(repo.open().uncommitted(&["pod.yaml".into()]).unwrap().is_empty());
            assert_eq!(before, repo.untouchables());
        }
    });
}

#[test]
fn configuration_in_the_environment_counts() {
    let settings =
        [("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "author.name"), ("GIT_CONFIG_VALUE_0", "Env")];
    isolated_with(&settings, |home| {
        for format in ["sha1", "sha256"] {
            let repo = Sandbox::new(home.join(format), format);
            created(repo.harden("harden", "pod.yaml", false));
            assert_eq!(repo.git(&["log", "-1", "--format=%an|%cn", "harden"]), "Env|Ann Author");
        }
    });
}

/// A remote that serves partial clones, and a clone without any blob or checkout.
fn partial_clone(home: &Path) -> Sandbox {
    let origin = Sandbox::new(home.join("origin"), "sha1");
    origin.git(&["config", "uploadpack.allowFilter", "true"]);
    origin.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let url = format!("file://{}", origin.dir.display());
    origin.git(&["clone", "-q", "--no-checkout", "--filter=blob:none", &url, "../partial"]);
    let partial = Sandbox { dir: home.join("partial") };
    partial.git(&["config", "user.name", "Ann"]);
    partial.git(&["config", "user.email", "ann@example.org"]);
    partial
}

fn missing(repo: &Sandbox) -> usize {
    let listing = repo.git(&["rev-list", "--objects", "--missing=print", "HEAD"]);
    listing.lines().filter(|line| line.starts_with('?')).count()
}

#[test]
fn a_partial_clone_fetches_what_it_needs_and_no_more() {
    isolated(|home| {
        let repo = partial_clone(home);
        let repository = repo.open();
        assert_eq!(*repository.road(), Road::Program("this is a partial clone".to_owned()));
        let tree = repository.head_files(&[]).unwrap();
        // The four manifests are one blob, the script is another.
        assert_eq!(missing(&repo), 2, "listing fetches nothing");
        let pod = tree.files.iter().find(|file| file.path == Path::new("pod.yaml")).unwrap();
        assert_eq!(repository.blob(pod.id).unwrap(), POD.as_bytes());
        created(repository.commit(&request(&repository, "harden", &[("pod.yaml", HARDENED)])));
        assert_eq!(missing(&repo), 1);
        assert_eq!(repo.git(&["diff", "--name-only", "HEAD", "harden"]), "pod.yaml");
    });
}

#[test]
fn a_partial_clone_can_fetch_many_blobs_at_once() {
    isolated(|home| {
        let repo = partial_clone(home);
        let repository = repo.open();
        let tree = repository.head_files(&[]).unwrap();
        let ids: Vec<_> = tree.files.iter().map(|file| file.id).collect();
        repository.prefetch(tree.commit, &ids).unwrap();
        assert_eq!(missing(&repo), 0);
        fs::remove_dir_all(home.join("origin")).unwrap();
        assert!(ids.iter().all(|&id| repository.blob(id).is_ok()));
        repository.prefetch(tree.commit, &ids).unwrap();
    });
}

#[test]
fn a_promise_that_cannot_be_kept_is_an_error_in_gits_words() {
    isolated(|home| {
        let repo = partial_clone(home);
        fs::remove_dir_all(home.join("origin")).unwrap();
        let repository = repo.open();
        let tree = repository.head_files(&[]).unwrap();
        let error = repository.blob(tree.files[0].id).unwrap_err();
        assert!(matches!(&error, GitError::Program { command, .. } if command == "cat-file blob"), "{error}");
        assert!(error.to_string().contains("promisor remote"), "{error}");
    });
}

#[test]
fn a_repository_of_another_user_is_refused_with_the_way_out() {
    isolated(|home| {
        let repo = Sandbox::new(home.join("repo"), "sha1");
        for path in [repo.dir.clone(), repo.dir.join(".git")] {
            if std::os::unix::fs::chown(&path, Some(12345), None).is_err() {
                return eprintln!("skipped: only root gives files away");
            }
        }
        let error = Repository::discover(&repo.dir).unwrap_err();
        assert!(matches!(error, GitError::Untrusted(_)), "{error}");
        assert!(error.help().unwrap().contains("safe.directory"));
        fs::write(home.join(".gitconfig"), format!("[safe]\n\tdirectory = {}\n", repo.dir.display()))
            .unwrap();
        assert_eq!(*repo.open().road(), Road::Library);
    });
}

#[test]
fn without_the_program_libgit2_does_what_it_can() {
    const HERE: &str = "git::roads::without_the_program_libgit2_does_what_it_can";
    const MARK: &str = "CASEHARDEN_TEST_WITHOUT_GIT";
    if let Some(home) = std::env::var_os(MARK) {
        let repo = Sandbox { dir: Path::new(&home).join("repo") };
        created(repo.harden("harden", "pod.yaml", false));
        assert!(repo.open().uncommitted(&["pod.yaml".into()]).unwrap().is_empty());
        let error = Repository::discover(&Path::new(&home).join("other")).unwrap_err();
        assert!(matches!(error, GitError::NoProgram { .. }) && error.help().is_some(), "{error}");
        return;
    }
    isolated(|home| {
        let repo = Sandbox::new(home.join("repo"), "sha1");
        Sandbox::new(home.join("other"), "sha256");
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", HERE, "--nocapture"]).env("PATH", home.join("empty")).env(MARK, home);
        let output = child.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(repo.git(&["diff", "--name-only", "HEAD", "harden"]), "pod.yaml");
    });
}
