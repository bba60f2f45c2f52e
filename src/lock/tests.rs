use std::path::Path;

use super::*;
use crate::image_facts::{Account, Writable};

fn digest(seed: &str) -> Digest {
    Digest::of(seed.as_bytes())
}

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn locked(seed: &str) -> Locked {
    Locked {
        digest: digest(seed),
        media_type: "application/vnd.oci.image.index.v1+json".to_owned(),
        platforms: vec!["linux/amd64".to_owned(), "linux/arm64/v8".to_owned()],
        index: None,
        signatures: Some(Vec::new()),
        verification: None,
        version_tag: None,
        facts: None,
        other_users: Vec::new(),
        no_facts: None,
    }
}

fn example() -> Lock {
    let mut lock = Lock::default();
    lock.insert(reference("nginx:1.27"), locked("a"));
    let facts = Facts {
        platform: "linux/amd64".to_owned(),
        user: "a\"b\\c\u{7}\u{202e}".to_owned(),
        uid: Some(101),
        gid: Some(102),
        setuid: (0..9).map(|n| format!("/usr/bin/program-{n}")).collect(),
        accounts: vec![Account { name: "nginx".to_owned(), uid: 101, gid: 102 }],
        writable: vec![
            Writable { path: "/cache".to_owned(), owner: Some(101) },
            Writable { path: "/all".to_owned(), owner: None },
        ],
        ..Facts::default()
    };
    let signatures = Some(vec!["cosign".to_owned()]);
    let keys = vec![("keys/a b.pub".to_owned(), digest("k"))];
    let verified = |verdict: Verdict| Some(Verification { keys: keys.clone(), verdict });
    lock.insert(
        reference("r.io/one:1"),
        Locked {
            index: Some(digest("i")),
            other_users: vec![OtherUser { platform: "linux/arm64".to_owned(), user: "root".to_owned() }],
            verification: verified(Verdict::Verified("keys/a b.pub".to_owned())),
            ..locked("one")
        },
    );
    let fault = Verdict::Invalid("it is \"odd\"".to_owned());
    lock.insert(reference("r.io/two:1"), Locked { verification: verified(fault), ..locked("two") });
    lock.insert(
        reference("r.io/three:1"),
        Locked { verification: verified(Verdict::Absent), ..locked("three") },
    );
    lock.insert(
        reference("r.io:5000/x"),
        Locked { facts: Some(facts), signatures, version_tag: Some("1.2".to_owned()), ..locked("b") },
    );
    let no_facts = Some("no linux image".to_owned());
    lock.insert(
        reference(&format!("r.io/w:1@{}", digest("c"))),
        Locked { no_facts, signatures: None, ..locked("c") },
    );
    lock
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let shown: Vec<String> = match Lock::parse(text, Path::new("l.lock")) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(shown, expected);
}

#[test]
fn what_is_written_is_read_again_and_gives_the_same_bytes() {
    let text = example().render();
    let again = Lock::parse(&text, Path::new("l.lock")).unwrap();
    assert_eq!(again, example());
    assert_eq!(again.render(), text);
    assert!(text.contains("\nfacts.user = \"a\\\"b\\\\c\\u0007\\u202E\"\n"), "{text}");
    assert!(text.contains("\nfacts.setuid = [\n    \"/usr/bin/program-0\",\n"), "{text}");
    assert!(
        text.contains("facts.writable = [{ path = \"/cache\", owner = 101 }, { path = \"/all\" }]"),
        "{text}"
    );
}

#[test]
fn unfinished_merges_are_named_at_their_line() {
    let text = "version = 1\n<<<<<<< HEAD\n[image.\"a\"]\n=======\n[image.\"b\"]\n>>>>>>> other\n";
    check(
        text,
        &[
            "l.lock:2:1: a conflict marker of an unfinished merge",
            "l.lock:4:1: a conflict marker of an unfinished merge",
            "l.lock:6:1: a conflict marker of an unfinished merge",
        ],
    );
}

#[test]
fn mistakes_have_their_place() {
    let block = |key: &str, digest: &str| {
        format!("version = 1\n[image.\"{key}\"]\nmedia-type = \"m\"\ndigest = \"{digest}\"\n")
    };
    let good = digest("a").to_string();
    check(&block("docker.io/library/nginx:1", &good), &[]);
    check(&block("nginx:1", &good), &["l.lock:2:8: `nginx:1` is not written in full"]);
    check(
        &block("docker.io/library/nginx:1", "sha256:12"),
        &["l.lock:4:10: `sha256:12` is not a digest like `sha256:` and 64 lower-case hex digits"],
    );
    check(&block("r.io/${X}", &good), &["l.lock:2:8: `r.io/${X}`: not an image reference"]);
    let with = |lines: &str| format!("{}{lines}\n", block("r.io/x:1", &good));
    check(
        &with("index = 'sha256:1'"),
        &["l.lock:5:9: `sha256:1` is not a digest like `sha256:` and 64 lower-case hex digits"],
    );
    check(
        &with("verification.keys = ['k.pub']"),
        &["l.lock:5:22: `k.pub` is not a key's file and the digest of its content"],
    );
    let forged = format!("verification.keys = ['k.pub {good}']\nverification.signed-by = 'other.pub'");
    check(
        &with(&forged),
        &["l.lock:6:26: a signature is by one of the `keys`, and then there is no `fault`"],
    );
    let other = format!("r.io/x:1@{}", digest("b"));
    check(&block(&other, &good), &["l.lock:4:10: not the digest that the block is about"]);
    check("version = 9\n", &["l.lock:1:11: version 9 of the lock file is unknown"]);
    check("", &["l.lock:1:1: `version` is missing"]);
    check("version = 1\nimages = 3\n", &["l.lock:2:1: unknown key `images`"]);
    check(
        "version = 1\n[image.\"r.io/x:1\"]\ndigest = \"d\"\nmedia-type = \"m\"\nfact.uid = 1\n",
        &["l.lock:5:1: unknown key `fact`"],
    );
    let twice = [block("r.io/x:1", &good), block("r.io/x:1", &good).replace("version = 1\n", "")].concat();
    check(&twice, &["l.lock:5:8: duplicate key"]);
}

#[test]
fn a_reference_finds_what_it_runs() {
    let lock = example();
    let find = |text: &str| lock.lookup(text).map(|locked| locked.digest.clone());
    assert_eq!(find("nginx:1.27"), Some(digest("a")));
    assert_eq!(find("docker.io/library/nginx:1.27"), Some(digest("a")));
    assert_eq!(find(&format!("nginx:1.27@{}", digest("a"))), Some(digest("a")));
    assert_eq!(find(&format!("nginx:1.27@{}", digest("x"))), None);
    assert_eq!(find(&format!("r.io/w:1@{}", digest("c"))), Some(digest("c")));
    assert_eq!(find("nginx"), None);
    assert_eq!(find("r.io:5000/x:latest"), Some(digest("b")));
    assert_eq!(find("${IMAGE}"), None);
}

#[track_caller]
fn check_wanted(references: &[String], expected: &[(&str, Option<&str>)], contradicting: usize) {
    let references: Vec<Reference> = references.iter().map(|text| reference(text)).collect();
    let (wanted, contradictions) = wanted(&references, &example());
    let shown: Vec<(String, Option<Digest>)> =
        wanted.into_iter().map(|wanted| (wanted.reference.to_string(), wanted.pinned)).collect();
    let expected: Vec<(String, Option<Digest>)> =
        expected.iter().map(|(text, pinned)| ((*text).to_owned(), pinned.map(digest))).collect();
    assert_eq!(shown, expected);
    assert_eq!(contradictions.len(), contradicting);
}

#[test]
fn a_tag_has_one_entry_and_pins_of_the_repo_are_kept() {
    let pin = |name: &str, seed: &str| format!("{name}@{}", digest(seed));
    check_wanted(
        &["redis".into(), "docker.io/redis:latest".into()],
        &[("docker.io/library/redis:latest", None)],
        0,
    );
    // Pinned once, or twice alike: that is what gets locked.
    check_wanted(&[pin("r.io/n:1", "p"), "r.io/n:1".into()], &[("r.io/n:1", Some("p"))], 0);
    // The lock has it.
    check_wanted(&[pin("nginx:1.27", "a")], &[("docker.io/library/nginx:1.27", None)], 0);
    let other = pin("docker.io/library/nginx:1.27", "p");
    check_wanted(
        std::slice::from_ref(&other),
        &[("docker.io/library/nginx:1.27", None), (&other, Some("p"))],
        1,
    );
    // No tag.
    check_wanted(&[pin("r.io/n", "p")], &[(&pin("r.io/n", "p"), Some("p"))], 0);
}
