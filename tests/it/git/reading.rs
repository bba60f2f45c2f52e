//! What HEAD holds, read by one thread and by many.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use caseharden::git::Repository;
use rayon::prelude::*;

use super::sandbox::{POD, Sandbox};
use crate::isolated::isolated;

#[test]
fn lists_files_in_order_and_the_rest_apart() {
    isolated(|home| {
        for format in ["sha1", "sha256"] {
            let inner = Sandbox::new(home.join(format!("inner-{format}")), format);
            let repo = Sandbox::new(home.join(format), format);
            repo.put(".gitignore", "*.log.yaml\n");
            repo.put("kept.log.yaml", POD);
            repo.git(&["add", "-f", "kept.log.yaml"]);
            repo.put("a b/ü\"\t.yaml", POD);
            symlink("pod.yaml", repo.dir.join("link.yaml")).unwrap();
            let url = inner.dir.to_str().unwrap();
            repo.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "sub"]);
            repo.commit_all("more");
            repo.put("uncommitted.yaml", POD);

            let tree = repo.open().head_files(&[]).unwrap();
            let listing = repo.git_bytes(&["ls-tree", "-r", "-z", "--full-tree", "HEAD"]);
            let listing = String::from_utf8(listing).unwrap();
            let expected: Vec<&str> =
                listing.split_terminator('\0').filter(|l| l.starts_with("100")).collect();
            let found: Vec<String> = tree
                .files
                .iter()
                .map(|file| {
                    let mode = if file.executable { "100755" } else { "100644" };
                    format!("{mode} blob {}\t{}", file.id, file.path.display())
                })
                .collect();
            assert_eq!(found, expected);
            assert_eq!(tree.symlinks, [PathBuf::from("link.yaml")]);
            assert_eq!(tree.submodules, [PathBuf::from("sub")]);
            assert!(tree.unusable.is_empty());
            assert_eq!(tree.commit.to_string(), repo.git(&["rev-parse", "HEAD"]));
        }
    });
}

#[test]
fn lists_only_what_is_asked_for() {
    isolated(|home| {
        for format in ["sha1", "sha256"] {
            let repository = Sandbox::new(home.join(format), format).open();
            let names = |under: &[&str]| {
                let under: Vec<PathBuf> = under.iter().map(PathBuf::from).collect();
                let tree = repository.head_files(&under).unwrap();
                tree.files.iter().map(|file| file.path.to_str().unwrap().to_owned()).collect::<Vec<_>>()
            };
            assert_eq!(names(&["apps"]), ["apps/db/deploy.yaml", "apps/web/deploy.yaml"]);
            assert_eq!(names(&["apps/web", "pod.yaml"]), ["apps/web/deploy.yaml", "pod.yaml"]);
            assert_eq!(names(&["none"]), Vec::<String>::new());
            assert_eq!(names(&[""]).len(), 5);
        }
    });
}

#[test]
fn many_threads_read_blobs_at_once() {
    isolated(|home| {
        for format in ["sha1", "sha256"] {
            let repo = Sandbox::empty(home.join(format), format);
            let text = |number: usize| format!("n: {number}\n").repeat(number);
            for number in 0..300 {
                repo.put(&format!("{number}.yaml"), text(number));
            }
            repo.commit_all("many");
            let repository = repo.open();
            let tree = repository.head_files(&[]).unwrap();
            let pool = rayon::ThreadPoolBuilder::new().num_threads(8).build().unwrap();
            pool.install(|| {
                tree.files.par_iter().for_each(|file| {
                    let number = file.path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
                    assert_eq!(repository.blob(file.id).unwrap(), text(number).as_bytes());
                });
            });
            let first = &tree.files[1];
            let size = repository.blob(first.id).unwrap().len() as u64;
            assert_eq!(repository.blob_size(first.id).unwrap(), size);
            let missing = first.id.to_string().chars().rev().collect::<String>();
            let missing = caseharden::git::ObjectId::from_hex(&missing).unwrap();
            assert!(repository.blob(missing).is_err());
            assert_eq!(repository.blob(first.id).unwrap().len() as u64, size, "a failure spoils nothing");
        }
    });
}

#[test]
fn entries_that_git_would_not_check_out_are_set_apart() {
    isolated(|home| {
        let repo = Sandbox::new(home.join("repo"), "sha1");
        let blob = repo.git(&["rev-parse", "HEAD:pod.yaml"]);
        let inner = tree_of(&repo, &format!("100644 blob {blob}\tevil.yaml\n"));
        let outer =
            format!("100644 blob {blob}\tgood.yaml\n040000 tree {inner}\t..\n040000 tree {inner}\t.git\n");
        let outer = tree_of(&repo, &outer);
        let commit = repo.git(&["commit-tree", "-m", "evil", &outer]);
        repo.git(&["update-ref", "refs/heads/evil", &commit]);
        let repository = repo.open();
        let tree = repository.files(repository.base(Some("evil")).unwrap(), &[]).unwrap();
        assert_eq!(
            tree.files.iter().map(|file| file.path.as_path()).collect::<Vec<_>>(),
            [Path::new("good.yaml")]
        );
        assert_eq!(tree.unusable, [PathBuf::from("../evil.yaml"), PathBuf::from(".git/evil.yaml")]);
    });
}

fn tree_of(repo: &Sandbox, listing: &str) -> String {
    let file = repo.dir.join(".git/listing");
    std::fs::write(&file, listing).unwrap();
    let command = std::process::Command::new("git")
        .arg("-C")
        .arg(&repo.dir)
        .arg("mktree")
        .stdin(std::fs::File::open(file).unwrap())
        .output()
        .unwrap();
    assert!(command.status.success(), "{}", String::from_utf8_lossy(&command.stderr));
    String::from_utf8(command.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_directory_outside_every_repository_is_no_error() {
    isolated(|home| {
        assert!(Repository::discover(home).unwrap().is_none());
        assert!(Repository::discover(&home.join("missing")).is_err());
    });
}

#[test]
fn a_submodule_is_a_repository_of_its_own() {
    isolated(|home| {
        let inner = Sandbox::new(home.join("inner"), "sha1");
        let repo = Sandbox::new(home.join("outer"), "sha1");
        let url = inner.dir.to_str().unwrap();
        repo.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "sub"]);
        repo.commit_all("submodule");
        let sub = Sandbox { dir: repo.dir.join("sub") };
        sub.git(&["config", "user.name", "Ann"]);
        sub.git(&["config", "user.email", "ann@example.org"]);
        let before = sub.untouchables();
        assert_eq!(sub.open().workdir(), sub.dir);
        super::sandbox::created(sub.harden("harden", "pod.yaml", false));
        assert_eq!(before, sub.untouchables());
        assert!(sub.try_git(&["rev-parse", "--verify", "harden"]).status.success());
        assert!(!repo.try_git(&["rev-parse", "--verify", "harden"]).status.success());
        // And the outer repository makes branches that keep it.
        super::sandbox::created(repo.harden("harden", "pod.yaml", false));
        assert_eq!(repo.git(&["diff", "--name-only", "HEAD", "harden"]), "pod.yaml");
    });
}
