//! What comments speak of.

use super::*;

#[track_caller]
fn check(text: &str, expected: &[(&str, &str, bool)]) {
    let stream = parse(text);
    let found: Vec<_> = stream
        .comments()
        .iter()
        .map(|comment| (&text[comment.range.clone()], comment.about.as_str(), comment.trailing))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn trailing_comments_speak_of_their_line() {
    check(
        "a: # 1\n- b: 1 # 2\n  c: [x, y] # 3\n- | # 4\n  # text\n- # 5\n",
        &[
            ("# 1", "/a", true),
            ("# 2", "/a/0/b", true),
            ("# 3", "/a/0/c", true),
            ("# 4", "/a/1", true),
            ("# 5", "/a/2", true),
        ],
    );
    check(
        "a: {\n  b: 1, # 1\n  c: 2 # 2\n} # 3\n",
        &[("# 1", "/a/b", true), ("# 2", "/a/c", true), ("# 3", "/a", true)],
    );
}

#[test]
fn own_lines_speak_of_what_is_below() {
    check(
        "# 1\na:\n  # 2\n  b: 1\n  # 3\n\n  # 4\n  c:\n  # 5\n  - x\n  # 6\n# 7\nd: 1\n# 8\n",
        &[
            ("# 1", "/a", false),
            ("# 2", "/a/b", false),
            ("# 3", "/a/c", false),
            ("# 4", "/a/c", false),
            ("# 5", "/a/c/0", false),
            ("# 6", "/a", false),
            ("# 7", "/d", false),
            ("# 8", "", false),
        ],
    );
    check("a:\n- x: 1\n  # in\n- z: 1\n", &[("# in", "/a/0", false)]);
}

#[test]
fn comments_of_documents() {
    let stream = parse("a: 1\n# 1\n---\n# 2\nb: 1\n...\n# 3\n---\nc: 1\n");
    let found: Vec<_> =
        stream.comments().iter().map(|comment| (comment.document, comment.about.as_str())).collect();
    assert_eq!(found, [(0, ""), (1, "/b"), (2, "")]);
}

#[test]
fn a_comment_above_a_line() {
    let text = "a: # beside\n  # first\n  # second\n  - b: |\n      # text\n    c: 1\n  # away\n\n  - d\n";
    let stream = parse(text);
    let above = |line: usize| stream.comment_above(line).collect::<Vec<_>>();
    assert_eq!(above(4), ["# second", "# first"]);
    assert_eq!(above(3), ["# first"]);
    for line in [0, 1, 2, 5, 6, 9, 10, 99] {
        assert_eq!(above(line), [""; 0], "{line}");
    }
}
