//! Which files have work in them that no commit has.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::sandbox::{POD, Sandbox};
use crate::isolated::isolated;

/// Asks about `paths` and expects those marked with a `!` to be uncommitted; nothing may be written.
#[track_caller]
fn check(repo: &Sandbox, paths: &[&str]) {
    let before = repo.untouchables();
    let asked: Vec<PathBuf> = paths.iter().map(|path| PathBuf::from(path.trim_start_matches('!'))).collect();
    let expected: Vec<PathBuf> =
        paths.iter().filter_map(|path| path.strip_prefix('!')).map(PathBuf::from).collect();
    let found = repo.open().uncommitted(&asked).unwrap();
    assert_eq!(found, expected);
    assert!(before == repo.untouchables(), "looking changes nothing");
}

#[test]
fn changed_staged_untracked_and_ignored_files_are_uncommitted() {
    isolated(|home| {
        for format in ["sha1", "sha256"] {
            let repo = Sandbox::new(home.join(format), format);
            check(&repo, &["pod.yaml", "apps/web/deploy.yaml", "apps/db/deploy.yaml", "apps.yaml"]);
            repo.put("pod.yaml", "changed: 1\n");
            repo.put("apps.yaml", "staged: 1\n");
            repo.put("new/staged.yaml", POD);
            repo.git(&["add", "apps.yaml", "new"]);
            repo.put("apps/db/deploy.yaml", POD);
            repo.put(".gitignore", "ignored*\n");
            repo.put("ignored/pod.yaml", POD);
            repo.put("untracked/pod.yaml", POD);
            check(
                &repo,
                &[
                    "!untracked/pod.yaml",
                    "!pod.yaml",
                    "!ignored/pod.yaml",
                    "apps/db/deploy.yaml",
                    "!apps.yaml",
                    "!new/staged.yaml",
                    "will/be/new.yaml",
                    "apps/web/deploy.yaml",
                ],
            );
            fs::remove_file(repo.dir.join("apps/web/deploy.yaml")).unwrap();
            check(&repo, &["!apps/web/deploy.yaml"]);
        }
    });
}

#[test]
fn names_are_not_patterns() {
    isolated(|home| {
        for format in ["sha1", "sha256"] {
            let repo = Sandbox::new(home.join(format), format);
            repo.put("*.yaml", POD);
            repo.put(":(top)x.yaml", POD);
            repo.commit_all("odd names");
            repo.put("pod.yaml", "changed: 1\n");
            check(&repo, &["*.yaml", ":(top)x.yaml", "!pod.yaml"]);
            repo.put("*.yaml", "changed: 1\n");
            check(&repo, &["!*.yaml", "apps.yaml"]);
        }
    });
}

#[test]
fn a_symlink_counts_as_what_it_leads_to() {
    isolated(|home| {
        let repo = Sandbox::new(home.join("repo"), "sha1");
        symlink("apps/web/deploy.yaml", repo.dir.join("link.yaml")).unwrap();
        symlink("apps", repo.dir.join("dir")).unwrap();
        fs::write(home.join("outside.yaml"), POD).unwrap();
        symlink("../outside.yaml", repo.dir.join("out.yaml")).unwrap();
        repo.commit_all("links");
        check(&repo, &["link.yaml", "dir/web/deploy.yaml", "!out.yaml"]);
        repo.put("apps/web/deploy.yaml", "changed: 1\n");
        check(&repo, &["!link.yaml", "!dir/web/deploy.yaml", "dir/db/deploy.yaml"]);
    });
}

#[test]
fn a_file_of_a_submodule_is_judged_by_the_submodule() {
    isolated(|home| {
        let inner = Sandbox::new(home.join("inner"), "sha1");
        let repo = Sandbox::new(home.join("outer"), "sha1");
        let url = inner.dir.to_str().unwrap();
        repo.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "sub"]);
        repo.commit_all("submodule");
        check(&repo, &["sub/pod.yaml", "pod.yaml"]);
        repo.put("sub/pod.yaml", "changed: 1\n");
        repo.put("sub/new.yaml", POD);
        check(&repo, &["!sub/pod.yaml", "sub/apps.yaml", "!sub/new.yaml"]);
    });
}

#[test]
fn a_custom_filter_does_not_make_a_clean_file_dirty() {
    isolated(|home| {
        let repo = Sandbox::empty(home.join("repo"), "sha1");
        repo.git(&["config", "filter.rot.clean", "tr a-z n-za-m"]);
        repo.git(&["config", "filter.rot.smudge", "tr a-z n-za-m"]);
        repo.put(".gitattributes", "*.yaml filter=rot\n");
        repo.put("pod.yaml", POD);
        repo.commit_all("filtered");
        // A new time of change makes every git read the file again.
        let file = fs::File::options().write(true).open(repo.dir.join("pod.yaml")).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        check(&repo, &["pod.yaml"]);
        repo.put("pod.yaml", "kind: Pot\n");
        check(&repo, &["!pod.yaml"]);
    });
}

#[test]
fn a_sparse_index_is_understood() {
    isolated(|home| {
        let repo = Sandbox::new(home.join("repo"), "sha1");
        repo.git(&["sparse-checkout", "set", "--cone", "--sparse-index", "apps/web"]);
        assert!(!repo.dir.join("apps/db/deploy.yaml").exists());
        repo.put("pod.yaml", "changed: 1\n");
        check(&repo, &["!pod.yaml", "apps/web/deploy.yaml"]);
        created_beside_sparse(&repo);
    });
}

#[track_caller]
fn created_beside_sparse(repo: &Sandbox) {
    super::sandbox::created(repo.harden("harden", "apps/db/deploy.yaml", false));
    assert_eq!(repo.git(&["diff", "--name-only", "HEAD", "harden"]), "apps/db/deploy.yaml");
}
