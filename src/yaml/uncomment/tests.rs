use serde_json::json;

use super::*;
use crate::yaml::{KeyOrder, Limits, Slot};

struct AtTheEnd;

impl KeyOrder for AtTheEnd {
    fn slot(&self, _: &Pointer, _: &[&str], _: &str) -> Slot {
        Slot::Last
    }
}

fn parsed(text: &str) -> (Stream, Value) {
    let stream = Stream::parse(text.to_owned(), &Limits::default()).unwrap();
    let value = stream.root(0).unwrap().value().unwrap();
    (stream, value)
}

#[track_caller]
fn check(before: &str, wanted: Value, expected: &str) {
    let (stream, old) = parsed(before);
    let uncommented = stream.uncommented(&old, &wanted).expect("an entry is commented out");
    let between = stream.with_uncommented(&uncommented).unwrap();
    let value = between.root(0).unwrap().value().unwrap();
    let edits = between.edits_from(0, &value, &wanted, &AtTheEnd).unwrap();
    let after = between.apply(edits.clone());
    assert_eq!(after, expected);
    assert_eq!(stream.apply(uncommented.followed_by(edits)), expected, "as edits of the text before");
    stream.prove_uncommented(after, &old, &wanted, &uncommented).unwrap();
}

#[track_caller]
fn check_none(before: &str, wanted: Value) {
    let (stream, old) = parsed(before);
    assert_eq!(stream.uncommented(&old, &wanted), None);
}

#[test]
fn an_entry_becomes_data_where_it_stands() {
    check("a: 1\n# b: true\nc: 2\n", json!({"a": 1, "b": true, "c": 2}), "a: 1\nb: true\nc: 2\n");
    check("s:\n  a: 1\n  #b: true\n", json!({"s": {"a": 1, "b": true}}), "s:\n  a: 1\n  b: true\n");
    check("s:\n  a: 1\n#  b: true\n", json!({"s": {"a": 1, "b": true}}), "s:\n  a: 1\n  b: true\n");
    check(
        "s:\n  # why\n  # b: true\n  a: 1\n",
        json!({"s": {"a": 1, "b": true}}),
        "s:\n  # why\n  b: true\n  a: 1\n",
    );
    check("a: 1\r\n# b: true\r\n", json!({"a": 1, "b": true}), "a: 1\r\nb: true\r\n");
    check("a: 1\n# b: true", json!({"a": 1, "b": true}), "a: 1\nb: true");
}

#[test]
fn its_value_may_be_another() {
    check("a: 1\n# b: false # why\n", json!({"a": 1, "b": true}), "a: 1\nb: true # why\n");
    check("a: 1\n# u: 1000\n", json!({"a": 1, "u": 65532}), "a: 1\nu: 65532\n");
}

#[test]
fn of_a_block_only_what_is_wanted_becomes_data() {
    check(
        "a: 1\n# s:\n#   u: 1000\n#   k: true\n#   d:\n#   - ALL\n",
        json!({"a": 1, "s": {"k": true, "d": ["ALL"], "x": 2}}),
        "a: 1\ns:\n#   u: 1000\n  k: true\n  d:\n  - ALL\n  x: 2\n",
    );
}

#[test]
fn empty_braces_make_room_for_what_is_below_them() {
    check(
        "p: {}\n  # g: 2000\n\ns: {}\n  # c:\n  #   d:\n  #   - ALL\n  # r: true\n  # k: true\n  # u: 1000\n\nl: 1\n",
        json!({"p": {"k": true}, "s": {"c": {"d": ["ALL"]}, "r": true, "e": false}, "l": 1}),
        "p:\n  k: true\n  # g: 2000\n\ns:\n  c:\n    d:\n    - ALL\n  r: true\n  e: false\n  # k: true\n  # u: 1000\n\nl: 1\n",
    );
    check("s: {} # none\n  # r: true\n", json!({"s": {"r": true}}), "s: # none\n  r: true\n");
    check("s:\n  # r: true\nl: 1\n", json!({"s": {"r": true}, "l": 1}), "s:\n  r: true\nl: 1\n");
}

#[test]
fn what_is_no_wanted_entry_stays_a_comment() {
    check_none("a: 1\n# b: true\n", json!({"a": 1, "c": true}));
    check_none("a: 1\n# b: see the manual\n", json!({"a": 1, "b": true}));
    check_none("a: 1\n# b: it is on\n", json!({"a": 1, "b": "x"}));
    check_none("a: 1\n## b: true\n", json!({"a": 1, "b": true}));
    check_none("a: 1\n# b: [x]\n", json!({"a": 1, "b": ["y"]}));
    check_none("a: 1\n# b: {x: 1, y: 2}\n", json!({"a": 1, "b": {"x": 1}}));
    // Below something else.
    check_none("s:\n  a: 1\no:\n  x: 1\n  # b: true\n", json!({"s": {"a": 1, "b": true}, "o": {"x": 1}}));
    check_none("a: |\n  text\n  # b: true\nc: 1\n", json!({"a": "text\n# b: true\n", "c": 1, "b": true}));
    // Not directly below.
    check_none("s: {}\n\n  # r: true\n", json!({"s": {"r": true}}));
}

#[test]
fn of_two_that_are_the_same_entry_neither_counts() {
    check_none("a: 1\n# b: true\nc: 1\n# b: false\n", json!({"a": 1, "b": true, "c": 1}));
}

#[test]
fn nothing_else_may_go() {
    let (stream, old) = parsed("a: 1\n# keep\n# b: true\n");
    let wanted = json!({"a": 1, "b": true});
    let uncommented = stream.uncommented(&old, &wanted).unwrap();
    let prove = |after: &str| stream.prove_uncommented(after.to_owned(), &old, &wanted, &uncommented);
    assert!(prove("a: 1\n# keep\nb: true\n").is_ok());
    assert!(prove("a: 1\nb: true\n").is_err());
    assert!(prove("a: 1\n# keep\nb: false\n").is_err());
    let keep = Range { start: 5, end: 7 };
    let more = Uncommented { removed: vec![keep, uncommented.removed[0].clone()] };
    assert!(stream.prove_uncommented("a: 1\nkeep\nb: true\n".to_owned(), &old, &wanted, &more).is_err());
    let no_sign = Range { start: 0, end: 1 };
    let other = Uncommented { removed: Vec::from([no_sign]) };
    assert!(stream.with_uncommented(&other).is_err());
}
