//! What is committed is what `git add` would make of the equally edited checkout.

use std::fs;

use super::sandbox::{Sandbox, created, request};
use crate::isolated::isolated;

const EDIT: (&str, &str) = ("image: a", "image: b");

/// Commits a file under `attributes` and `config`, edits its blob and, in the checkout, its text, and
/// compares the two blobs that come out; then does the same with a new file.
#[track_caller]
fn check(config: &[(&str, &str)], attributes: &str, checkout: &str) {
    let home = std::env::var("HOME").unwrap();
    for format in ["sha1", "sha256"] {
        let number = fs::read_dir(&home).unwrap().count();
        let repo = Sandbox::empty(format!("{home}/{number}-{format}").into(), format);
        for (key, value) in config {
            repo.git(&["config", key, value]);
        }
        repo.put(".gitattributes", attributes);
        repo.commit_all("attributes");
        repo.put("pod.yaml", checkout);
        repo.commit_all("pod");

        let repository = repo.open();
        let head = repository.head_files(&["pod.yaml".into()]).unwrap();
        let blob = String::from_utf8(repository.blob(head.files[0].id).unwrap()).unwrap();
        let (from, to) = if config.iter().any(|(key, _)| *key == "filter.rot.clean") {
            ("vzntr: n", "vzntr: o")
        } else {
            EDIT
        };
        assert!(blob.contains(from), "{blob:?}");
        let new = "kind: NetworkPolicy\nspec: {}\n";
        let files = [("pod.yaml", blob.replace(from, to)), ("new.yaml", new.to_owned())];
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        created(repository.commit(&request(&repository, "harden", &files)));

        repo.put("pod.yaml", checkout.replace(EDIT.0, EDIT.1));
        repo.put("new.yaml", new);
        repo.git(&["add", "-A"]);
        for path in ["pod.yaml", "new.yaml"] {
            let ours = repo.git(&["rev-parse", &format!("harden:{path}")]);
            assert_eq!(ours, repo.git(&["rev-parse", &format!(":{path}")]), "{format} {path}");
        }
    }
}

#[test]
fn line_endings_are_those_of_the_repository() {
    isolated(|_| {
        check(&[], "", "kind: Pod\nimage: a\n");
        check(&[], "*.yaml text eol=crlf\n", "kind: Pod\r\nimage: a\r\n");
        check(&[("core.autocrlf", "true")], "", "kind: Pod\r\nimage: a\r\n");
        check(&[("core.autocrlf", "input")], "", "kind: Pod\nimage: a\n");
        check(&[], "*.yaml -text\n", "kind: Pod\r\nimage: a\r\n");
    });
}

#[test]
fn a_custom_filter_is_honoured() {
    isolated(|_| {
        let rot = [("filter.rot.clean", "tr a-z n-za-m"), ("filter.rot.smudge", "tr a-z n-za-m")];
        check(&rot, "*.yaml filter=rot\n", "kind: Pod\nimage: a\n");
    });
}

#[test]
fn other_encodings_are_stored_as_git_stores_them() {
    isolated(|home| {
        let repo = Sandbox::empty(home.join("repo"), "sha1");
        repo.put(".gitattributes", "*.yaml working-tree-encoding=UTF-16LE\n");
        repo.commit_all("attributes");
        let text = "kind: Pod\n";
        let wide: String = text.encode_utf16().flat_map(u16::to_le_bytes).map(char::from).collect();
        let repository = repo.open();
        created(repository.commit(&request(&repository, "harden", &[("new.yaml", &wide)])));
        assert_eq!(repo.git_bytes(&["show", "harden:new.yaml"]), text.as_bytes());
    });
}
