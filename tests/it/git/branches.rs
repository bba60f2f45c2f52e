//! A branch is made from HEAD, beside everything and touching nothing.

use std::fs;
use std::os::unix::fs::symlink;

use caseharden::git::{BranchOutcome, BranchRequest, GitError, Repository};

use super::sandbox::{HARDENED, POD, Sandbox, created, refused, request};
use crate::isolated::{isolated, isolated_with};

/// Both roads: libgit2 reads SHA-1, the `git` program SHA-256.
const FORMATS: [&str; 2] = ["sha1", "sha256"];

#[test]
fn a_dirty_checkout_is_left_as_it_is() {
    isolated(|home| {
        for format in FORMATS {
            let repo = Sandbox::new(home.join(format), format);
            repo.put("pod.yaml", "dirty: yes\n");
            repo.put("apps.yaml", "staged: yes\n");
            repo.git(&["add", "apps.yaml"]);
            repo.put("untracked.yaml", POD);
            fs::remove_file(repo.dir.join("apps/db/deploy.yaml")).unwrap();
            for hook in
                ["pre-commit", "commit-msg", "post-commit", "reference-transaction", "post-index-change"]
            {
                repo.failing_hook(hook);
            }
            let before = repo.untouchables();

            let repository = repo.open();
            let files = [("pod.yaml", HARDENED), ("run.sh", "#!/bin/sh -e\n"), ("new/dir/policy.yaml", POD)];
            let commit = created(repository.commit(&request(&repository, "harden/pods", &files)));

            assert_eq!(repo.untouchables(), before, "{format}");
            assert!(!home.join("hook-ran").exists());
            assert_eq!(repo.git(&["rev-parse", "harden/pods"]), commit.to_string());
            assert_eq!(repo.git(&["rev-parse", "harden/pods^"]), repo.git(&["rev-parse", "HEAD"]));
            let changes = repo.git(&["diff", "--raw", "--abbrev=4", "--no-renames", "HEAD", "harden/pods"]);
            let changes: Vec<String> = changes
                .lines()
                .map(|line| {
                    line.split_whitespace().enumerate().filter(|(i, _)| ![2, 3].contains(i)).map(|(_, w)| w)
                })
                .map(|words| words.collect::<Vec<_>>().join(" "))
                .collect();
            let expected = [
                ":000000 100644 A new/dir/policy.yaml",
                ":100644 100644 M pod.yaml",
                ":100755 100755 M run.sh",
            ];
            assert_eq!(changes, expected);
            assert_eq!(repo.git_bytes(&["show", "harden/pods:pod.yaml"]), HARDENED.as_bytes());
            repo.git(&["fsck", "--strict", "--no-dangling"]);
        }
    });
}

#[test]
fn author_and_message_are_as_git_would_have_them() {
    isolated_with(&[("GIT_COMMITTER_NAME", "Carl"), ("GIT_AUTHOR_DATE", "@1700000000 +0200")], |home| {
        for format in FORMATS {
            let repo = Sandbox::new(home.join(format), format);
            created(repo.harden("harden", "pod.yaml", false));
            let shown =
                repo.git(&["log", "-1", "--date=raw", "--format=%an <%ae> %ad|%cn <%ce>|%B", "harden"]);
            let version = env!("CARGO_PKG_VERSION");
            let tree = repo.git(&["rev-parse", "harden^{tree}"]);
            let wanted = format!("Hardened-by: caseharden/{version}\nHardened-tree: {}", tree.trim_end());
            let expected = format!(
                "Ann Author <ann@example.org> 1700000000 +0200|Carl <ann@example.org>|\
                 Harden the pod\n\nWhy: because.\n\n{wanted}"
            );
            assert_eq!(shown.trim_end(), expected);
            let trailers = repo.git(&["log", "-1", "--format=%(trailers:only)", "harden"]);
            assert_eq!(trailers.trim_end(), wanted);
        }
    });
}

#[test]
fn without_an_identity_nothing_is_made_and_the_setting_is_named() {
    isolated(|home| {
        for format in FORMATS {
            let repo = Sandbox::new(home.join(format), format);
            repo.git(&["config", "--unset", "user.email"]);
            let error = refused(
                repo.harden("harden", "pod.yaml", false),
                "git does not know who you are: no user.email",
            );
            assert!(error.help().unwrap().contains("git config --global user.email"));
            assert!(!repo.try_git(&["rev-parse", "--verify", "harden"]).status.success());
        }
    });
}

#[test]
fn a_second_run_makes_no_commit() {
    isolated(|home| {
        for format in FORMATS {
            let repo = Sandbox::new(home.join(format), format);
            let commit = created(repo.harden("harden", "pod.yaml", false));
            for force in [false, true] {
                let again = repo.harden("harden", "pod.yaml", force).unwrap();
                assert_eq!(again, BranchOutcome::Unchanged { commit });
            }
            let repository = repo.open();
            let nothing = repository.commit(&request(&repository, "other", &[("pod.yaml", POD)])).unwrap();
            assert_eq!(nothing, BranchOutcome::NothingToCommit);
            assert_eq!(repo.git(&["branch", "--format=%(refname:short)"]), "harden\nmain");
        }
    });
}

#[test]
fn an_existing_branch_is_replaced_only_by_force() {
    isolated(|home| {
        for format in FORMATS {
            let repo = Sandbox::new(home.join(format), format);
            created(repo.harden("harden", "pod.yaml", false));
            repo.git(&["switch", "-q", "harden"]);
            repo.put("pod.yaml", "theirs: 1\n");
            repo.commit_all("by a human");
            let theirs = repo.git(&["rev-parse", "HEAD"]);
            repo.git(&["switch", "-q", "main"]);

            let error = refused(repo.harden("harden", "apps.yaml", false), "branch `harden` already exists");
            assert!(error.help().unwrap().contains("--force"));
            assert_eq!(repo.git(&["rev-parse", "harden"]), theirs);

            let outcome = repo.harden("harden", "apps.yaml", true).unwrap();
            let BranchOutcome::Replaced { commit, previous, foreign_commits } = outcome else {
                panic!("{outcome:?}")
            };
            assert_eq!(repo.git(&["rev-parse", "harden"]), commit.to_string());
            assert_eq!((previous.to_string(), foreign_commits), (theirs, 1));
        }
    });
}

#[test]
fn a_branch_in_use_is_never_moved() {
    isolated(|home| {
        for format in FORMATS {
            let repo = Sandbox::new(home.join(format), format);
            let linked = home.join(format!("linked-{format}"));
            repo.git(&["worktree", "add", "-q", linked.to_str().unwrap(), "-b", "harden"]);
            let text = format!("branch `harden` is checked out in `{}`", linked.display());
            refused(repo.harden("harden", "pod.yaml", true), &text);
            let text = format!("branch `main` is checked out in `{}`", repo.dir.display());
            refused(repo.harden("main", "pod.yaml", true), &text);
            let inside = Sandbox { dir: linked.clone() };
            refused(inside.harden("main", "pod.yaml", true), &text);

            // An unborn branch is in use as well, and one that a rebase will come back to.
            inside.git(&["switch", "-q", "--orphan", "unborn"]);
            let text = format!("branch `unborn` is checked out in `{}`", linked.display());
            refused(repo.harden("unborn", "pod.yaml", true), &text);
            inside.git(&["switch", "-q", "harden"]);
            inside.put("x", "x");
            inside.commit_all("x");
            inside.git(&["-c", "sequence.editor=sed -i s/^pick/edit/", "rebase", "-q", "-i", "HEAD^"]);
            assert_eq!(inside.git(&["branch", "--show-current"]), "");
            let text = format!("branch `harden` is checked out in `{}`", linked.display());
            refused(repo.harden("harden", "pod.yaml", true), &text);
        }
    });
}

#[test]
fn names_that_cannot_be_are_explained() {
    isolated(|home| {
        for format in FORMATS {
            let repo = Sandbox::new(home.join(format), format);
            created(repo.harden("harden/pods", "pod.yaml", false));
            let text =
                "branch `harden` cannot be made beside `harden/pods`: one name is a directory of the other";
            refused(repo.harden("harden", "pod.yaml", true), text);
            let text = "branch `main/x` cannot be made beside `main`: one name is a directory of the other";
            refused(repo.harden("main/x", "pod.yaml", false), text);
            let text = "`a b` cannot be a branch name: it has ' ' in it";
            refused(repo.harden("a b", "pod.yaml", false), text);
            repo.git(&["symbolic-ref", "refs/heads/alias", "refs/heads/harden/pods"]);
            refused(repo.harden("alias", "pod.yaml", true), "branch `alias` is a symbolic ref");
        }
    });
}

#[test]
fn paths_that_cannot_be_committed_are_refused() {
    isolated(|home| {
        for format in FORMATS {
            let repo = Sandbox::new(home.join(format), format);
            symlink("pod.yaml", repo.dir.join("link.yaml")).unwrap();
            repo.commit_all("link");
            for (path, why) in [
                ("link.yaml", "not a regular file in the commit"),
                ("apps", "not a regular file in the commit"),
                ("pod.yaml/x.yaml", "a directory above it is a file in the commit"),
                ("link.yaml/a/b.yaml", "a directory above it is a file in the commit"),
                ("../x.yaml", "not a path inside the repo"),
                (".git/config", "`.git` cannot be committed"),
            ] {
                refused(repo.harden("harden", path, false), &format!("{path}: {why}"));
            }
        }
    });
}

#[test]
fn an_unborn_head_has_nothing_to_branch_from() {
    isolated(|home| {
        for format in FORMATS {
            let repo = Sandbox::empty(home.join(format), format);
            let error = refused(
                repo.open().head_files(&[]),
                "HEAD has no commit yet, so there is nothing to branch from",
            );
            assert!(matches!(error, GitError::Unborn));
            refused(repo.open().base(Some("nonsense")), "`nonsense` names no commit");
        }
    });
}

#[test]
fn another_base_than_head_can_be_given() {
    isolated(|home| {
        for format in FORMATS {
            let repo = Sandbox::new(home.join(format), format);
            repo.put("later.yaml", POD);
            repo.commit_all("later");
            let repository = repo.open();
            let base = repository.base(Some("main~1")).unwrap();
            let request = BranchRequest { base, ..request(&repository, "harden", &[("pod.yaml", HARDENED)]) };
            created(repository.commit(&request));
            assert_eq!(repo.git(&["rev-parse", "harden^"]), repo.git(&["rev-parse", "main~1"]));
            assert_eq!(repo.git(&["diff", "--name-only", "main~1", "harden"]), "pod.yaml");
        }
    });
}

#[test]
fn works_in_linked_worktrees_subdirectories_and_on_a_detached_head() {
    isolated(|home| {
        for format in FORMATS {
            let repo = Sandbox::new(home.join(format), format);
            let linked = Sandbox { dir: home.join(format!("linked-{format}")) };
            repo.git(&["worktree", "add", "-q", "--detach", linked.dir.to_str().unwrap()]);
            linked.put("only-here.yaml", POD);
            linked.commit_all("in the linked worktree");
            let (before, before_main) = (linked.untouchables(), repo.untouchables());

            let repository = Repository::discover(&linked.dir.join("apps/web")).unwrap().unwrap();
            assert_eq!(repository.workdir(), linked.dir);
            assert_eq!(repository.prefix().to_str(), Some("apps/web"));
            created(repository.commit(&request(
                &repository,
                "harden",
                &[("apps/web/deploy.yaml", HARDENED)],
            )));

            assert_eq!((linked.untouchables(), repo.untouchables()), (before, before_main));
            assert_eq!(repo.git(&["rev-parse", "harden^"]), linked.git(&["rev-parse", "HEAD"]));
            assert_eq!(repo.git(&["diff", "--name-only", "harden^", "harden"]), "apps/web/deploy.yaml");
        }
    });
}

#[test]
fn a_linked_worktree_of_a_bare_repository_works() {
    isolated(|home| {
        let repo = Sandbox::new(home.join("full"), "sha1");
        repo.git(&["clone", "-q", "--bare", ".", "../bare.git"]);
        let bare = Sandbox { dir: home.join("bare.git") };
        let error = Repository::discover(&bare.dir).expect_err("bare");
        assert!(matches!(error, GitError::Bare(_)) && error.help().is_some());

        bare.git(&["worktree", "add", "-q", "-b", "work", "../linked"]);
        let linked = Sandbox { dir: home.join("linked") };
        linked.git(&["config", "user.name", "Ann"]);
        linked.git(&["config", "user.email", "ann@example.org"]);
        // The bare repository's HEAD names `main`, but nobody has it checked out.
        let outcome = linked.harden("main", "pod.yaml", true).unwrap();
        assert!(matches!(outcome, BranchOutcome::Replaced { foreign_commits: 0, .. }), "{outcome:?}");
        assert!(linked.harden("work", "apps.yaml", true).is_err());
    });
}

#[test]
fn a_signing_key_signs() {
    isolated(|home| {
        let key = home.join("key");
        let made = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "ann@example.org", "-f"])
            .arg(&key)
            .status();
        if !made.is_ok_and(|status| status.success()) {
            return eprintln!("skipped: no `ssh-keygen`");
        }
        let public = fs::read_to_string(key.with_extension("pub")).unwrap();
        fs::write(home.join("signers"), format!("ann@example.org {public}")).unwrap();
        for format in FORMATS {
            let repo = Sandbox::new(home.join(format), format);
            repo.git(&["config", "gpg.format", "ssh"]);
            repo.git(&["config", "user.signingkey", key.to_str().unwrap()]);
            repo.git(&["config", "commit.gpgsign", "true"]);
            repo.git(&["config", "gpg.ssh.allowedSignersFile", home.join("signers").to_str().unwrap()]);
            created(repo.harden("harden", "pod.yaml", false));
            assert_eq!(repo.git(&["log", "-1", "--format=%G?", "harden"]), "G");

            repo.git(&["config", "user.signingkey", "/nonexistent"]);
            let error = repo.harden("other", "pod.yaml", false).expect_err("unsigned");
            assert!(error.help().unwrap().contains("user.signingkey"), "{error}");
            assert!(!repo.try_git(&["rev-parse", "--verify", "-q", "other"]).status.success());
        }
    });
}
