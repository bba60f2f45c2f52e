//! What a diff may not do to lines. Looks at text only, so that it does not share a mistake with the YAML layer.

use std::collections::BTreeMap;

type Tree = BTreeMap<String, Vec<u8>>;

/// Every comment of the old files is in the new ones, as often as before, but for commented-out entries of Helm values
/// that are entries now.
pub(super) fn comments_survive(before: &Tree, after: &Tree) -> Result<(), String> {
    for (path, old) in before {
        let Some(new) = after.get(path) else { return Err(format!("{path} is gone")) };
        let mut left = comments(new);
        for comment in comments(old) {
            let Some(at) = left.iter().position(|other| *other == comment) else {
                if path.contains("values") && is_data(&comment, old, new) {
                    continue;
                }
                return Err(format!("{path} loses the comment `{comment}`"));
            };
            left.swap_remove(at);
        }
    }
    Ok(())
}

/// Whether there are more lines that begin as a comment does without its sign: with the same key, or the same item.
fn is_data(comment: &str, old: &[u8], new: &[u8]) -> bool {
    let body = comment.trim_start_matches('#').trim();
    let start = body.split_once(':').map_or(body.to_owned(), |(key, _)| format!("{key}:"));
    let count = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.lines().filter(|line| line.trim().starts_with(&start)).count()
    };
    let trailing = body.find(" #").is_none_or(|at| String::from_utf8_lossy(new).contains(body[at..].trim()));
    !start.is_empty() && trailing && count(new) > count(old)
}

/// What follows a `#` at the start of a line or behind a blank, comment or not: text may not be lost either.
fn comments(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let comment = |line: &str| {
        let start = line.match_indices('#').find(|(at, _)| *at == 0 || line[..*at].ends_with([' ', '\t']));
        start.map(|(at, _)| line[at..].trim_end().to_owned())
    };
    text.lines().filter_map(comment).collect()
}

/// No hunk takes a line away to bring it back looking otherwise: indented, quoted or ordered anew.
pub(super) fn only_changed_lines_go(diff: &str) -> Result<(), String> {
    let (mut removed, mut added, mut json) = (Vec::new(), Vec::new(), false);
    let mut lines = diff.lines().chain(["@@"]).peekable();
    while let Some(line) = lines.next() {
        if let Some(path) = line.strip_prefix("+++ b/") {
            json = path.ends_with(".json");
        } else if line.starts_with("@@") || line.starts_with("diff --git") {
            if let Some(line) = removed.iter().find(|line| added.contains(*line)) {
                return Err(format!("takes `{line}` away and brings it back"));
            }
            (removed, added) = (Vec::new(), Vec::new());
        } else if let Some(line) = line.strip_prefix('-').filter(|_| !line.starts_with("--- ")) {
            // The last line of a file without a final newline has to go when lines follow it.
            if lines.peek().is_none_or(|next| !next.starts_with('\\')) {
                removed.push(bare(line, json));
            }
        } else if let Some(line) = line.strip_prefix('+') {
            added.push(bare(line, json));
        }
    }
    Ok(())
}

/// A line without what carries no meaning. JSON needs a comma where something follows.
fn bare(line: &str, json: bool) -> String {
    let line: String = line.chars().filter(|char| !char.is_whitespace() && !"'\"".contains(*char)).collect();
    if json { format!("{line}{}", if line.ends_with(',') { "" } else { "\u{0}" }) } else { line }
}

#[test]
fn tells_a_line_that_only_looks_otherwise() {
    let check = |diff: &str, holds: bool| assert_eq!(only_changed_lines_go(diff).is_ok(), holds, "{diff}");
    check("@@ -1 +1 @@\n-  - name: web\n+- name: web\n", false);
    check("@@ -1 +1 @@\n-value: a\n+value: \"a\"\n", false);
    check("@@ -1 +1 @@\n-value: true\n+value: false\n", true);
    check(
        "@@ -1 +1,2 @@\n-a: 1\n\\ No newline at end of file\n+a: 1\n+b: 2\n\\ No newline at end of file\n",
        true,
    );
    check("@@ -1 +0,0 @@\n-hostPort: 80\n", true);
    check("+++ b/a.json\n@@ -1 +1,2 @@\n-\"a\": 1\n+\"a\": 1,\n+\"b\": 2\n", true);
}

#[test]
fn tells_a_comment_that_is_gone() {
    let tree = |text: &str| Tree::from([("a".to_owned(), text.as_bytes().to_vec())]);
    assert!(comments_survive(&tree("a: 1 # one\n# two\n"), &tree("# two\na: 2 # one\n")).is_ok());
    assert!(comments_survive(&tree("a: 1 # one\n# two\n"), &tree("a: 2\n# two\n")).is_err());
    let values = |text: &str| Tree::from([("values.yaml".to_owned(), text.as_bytes().to_vec())]);
    let before = values("a: 1\n# b: 1 # why\n");
    assert!(comments_survive(&before, &values("a: 1\nb: 2 # why\n")).is_ok());
    assert!(comments_survive(&before, &values("a: 1\nb: 2\n")).is_err());
    assert!(comments_survive(&before, &values("a: 1\n")).is_err());
}
