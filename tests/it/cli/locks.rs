//! A lock file that is broken, unfinished or about other images, met by every command.

use super::SOFT;
use crate::program::Folder;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn block(reference: &str) -> String {
    format!("[image.\"{reference}\"]\ndigest = \"{DIGEST}\"\nmedia-type = \"m\"\nplatforms = []\n")
}

/// Every command that reads the lock says what is wrong where, and changes nothing.
#[track_caller]
fn check(lock: &str, expected: &str) {
    let folder = Folder::committed(&[("web.yaml", SOFT), ("caseharden.lock", lock)]);
    let before = folder.tree();
    for command in [
        &["check"][..],
        &["check", "-v"],
        &["diff"],
        &["apply"],
        &["branch"],
        &["lock"],
        &["lock", "--check"],
    ] {
        let run = folder.run(command).expect_code(2);
        assert!(run.stderr.contains(&format!("error: {expected}\n")), "{command:?}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{command:?}");
        assert_eq!(folder.tree(), before, "{command:?}");
    }
}

#[test]
fn a_broken_lock_is_an_error_at_its_place() {
    let good = format!("version = 1\n\n{}", block("registry.example.com/web:1.0"));
    check(
        &format!("{good}\n<<<<<<< HEAD\n{}=======\n>>>>>>> other\n", block("registry.example.com/b:1")),
        "caseharden.lock:8:1: a conflict marker of an unfinished merge",
    );
    check(
        &good.replace(DIGEST, "latest"),
        "caseharden.lock:4:10: `latest` is not a digest like `sha256:` and 64 lower-case hex digits",
    );
    check(&good.replace("platforms", "platform"), "caseharden.lock:6:1: unknown key `platform`");
    check(
        &good.replace("web:1.0", "web"),
        "caseharden.lock:3:8: `registry.example.com/web` is not written in full",
    );
    check(
        &good.replace("version = 1", "version = 2"),
        "caseharden.lock:1:11: version 2 of the lock file is unknown",
    );
    check(&format!("{good}{}", block("registry.example.com/web:1.0")), "caseharden.lock:7:8: duplicate key");
    check(
        &format!("{good}verification.keys = ['k.pub {DIGEST}']\nverification.signed-by = 'forged.pub'\n"),
        "caseharden.lock:8:26: a signature is by one of the `keys`, and then there is no `fault`",
    );
}

#[test]
fn a_lock_for_other_images_says_nothing_of_these() {
    let other = format!("version = 1\n\n{}", block("registry.example.com/other:1.0"));
    let folder = Folder::committed(&[("web.yaml", SOFT), ("caseharden.lock", &other)]);
    let run = folder.run(&["check", "--format", "json", "--select", "image"]).expect_code(1);
    let json = run.json();
    let rules: Vec<&str> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["rule"].as_str().unwrap())
        .collect();
    assert_eq!(rules, ["image-not-pinned"]);
    let without = Folder::committed(&[("web.yaml", SOFT)]);
    assert_eq!(folder.run(&["diff"]).expect_code(1).stdout, without.run(&["diff"]).expect_code(1).stdout);
}
