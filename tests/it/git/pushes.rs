//! Pushing with the user's own git, to a bare repository beside.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use caseharden::git::GitError;

use super::sandbox::{Sandbox, created, refused};
use crate::isolated::isolated;

/// A repository with a bare `origin`, and the branch `harden` made.
fn with_remote(home: &Path, format: &str) -> (Sandbox, Sandbox) {
    let repo = Sandbox::new(home.join(format), format);
    let remote = Sandbox { dir: home.join(format!("remote-{format}")) };
    repo.git(&["clone", "-q", "--bare", ".", remote.dir.to_str().unwrap()]);
    repo.git(&["remote", "add", "origin", remote.dir.to_str().unwrap()]);
    repo.git(&["fetch", "-q", "origin"]);
    created(repo.harden("harden", "pod.yaml", false));
    (repo, remote)
}

fn branches() -> Vec<String> {
    vec!["harden".to_owned()]
}

#[test]
fn pushes_only_the_branches() {
    isolated(|home| {
        for format in ["sha1", "sha256"] {
            let (repo, remote) = with_remote(home, format);
            repo.git(&["config", "push.followTags", "true"]);
            repo.git(&["tag", "-a", "-m", "tag", "v1", "harden"]);
            let before = repo.untouchables();
            let said = repo.open().push("origin", &branches(), false).unwrap();
            assert!(said.contains("[new branch]"), "{said}");
            assert_eq!(repo.untouchables(), before);
            assert_eq!(remote.git(&["rev-parse", "harden"]), repo.git(&["rev-parse", "harden"]));
            assert_eq!(
                remote.git(&["for-each-ref", "--format=%(refname)"]),
                "refs/heads/harden\nrefs/heads/main"
            );
            repo.open().push("origin", &branches(), false).unwrap();
            refused(repo.open().push("origin", &["none".to_owned()], false), "no branch `none`");
        }
    });
}

#[test]
fn a_replaced_branch_needs_force_and_an_unmoved_remote() {
    isolated(|home| {
        let (repo, remote) = with_remote(home, "sha1");
        repo.open().push("origin", &branches(), false).unwrap();
        repo.harden("harden", "apps.yaml", true).unwrap();
        let error = repo.open().push("origin", &branches(), false).unwrap_err();
        assert!(matches!(&error, GitError::PushRefused { stale: false, .. }), "{error:?}");
        assert!(error.to_string().starts_with("the remote refused `harden` [rejected]"), "{error}");
        repo.open().push("origin", &branches(), true).unwrap();
        assert_eq!(remote.git(&["rev-parse", "harden"]), repo.git(&["rev-parse", "harden"]));

        // Somebody else pushes to the branch; we have not seen it.
        remote.git(&["update-ref", "refs/heads/harden", "refs/heads/main"]);
        repo.harden("harden", "run.sh", true).unwrap();
        let error = repo.open().push("origin", &branches(), true).unwrap_err();
        assert!(matches!(&error, GitError::PushRefused { stale: true, .. }), "{error:?}");
        assert!(error.help().unwrap().contains("git fetch"));
        assert_eq!(remote.git(&["rev-parse", "harden"]), remote.git(&["rev-parse", "main"]));
    });
}

#[test]
fn a_remote_given_by_its_address_is_replaced_only_where_the_commit_is_ours() {
    isolated(|home| {
        let (repo, remote) = with_remote(home, "sha1");
        let address = format!("file://{}", remote.dir.display());
        repo.open().push(&address, &branches(), true).unwrap();
        repo.harden("harden", "apps.yaml", true).unwrap();
        repo.open().push(&address, &branches(), true).unwrap();
        assert_eq!(remote.git(&["rev-parse", "harden"]), repo.git(&["rev-parse", "harden"]));

        remote.git(&["update-ref", "refs/heads/harden", "refs/heads/main"]);
        repo.harden("harden", "run.sh", true).unwrap();
        let error = repo.open().push(&address, &branches(), true).unwrap_err();
        assert!(matches!(&error, GitError::PushRefused { stale: true, .. }), "{error:?}");
    });
}

#[test]
fn the_pre_push_hook_has_its_say() {
    isolated(|home| {
        let (repo, remote) = with_remote(home, "sha1");
        repo.failing_hook("pre-push");
        let error = repo.open().push("origin", &branches(), false).unwrap_err();
        assert!(matches!(error, GitError::Program { .. }), "{error:?}");
        assert!(home.join("hook-ran").exists());
        assert!(!remote.try_git(&["rev-parse", "--verify", "-q", "harden"]).status.success());
    });
}

#[test]
fn credentials_never_come_back() {
    isolated(|home| {
        let (repo, remote) = with_remote(home, "sha1");
        let hook = remote.dir.join("hooks/pre-receive");
        fs::create_dir_all(hook.parent().unwrap()).unwrap();
        fs::write(&hook, "#!/bin/sh\necho see https://ann:s3cret@forge.example/x\nexit 1\n").unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
        let error = repo.open().push("origin", &branches(), false).unwrap_err();
        let GitError::PushRefused { output, .. } = &error else { panic!("{error:?}") };
        assert!(output.contains("see https://forge.example/x"), "{output}");

        let error = repo.open().push("nope://ann:s3cret@forge.example/x", &branches(), false).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    });
}
