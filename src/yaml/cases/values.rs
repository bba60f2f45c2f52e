//! What documents mean.

use super::*;

#[track_caller]
fn check(text: &str, expected: Value) {
    assert_eq!(value(&parse(text), 0), expected);
}

#[test]
fn collections_and_scalars() {
    check(
        "a: 1\nb:\n- x\n- w: true\n  z:\nc: {d: [1, 'two']}\n",
        json!({"a": 1, "b": ["x", {"w": true, "z": null}], "c": {"d": [1, "two"]}}),
    );
}

#[test]
fn keys_are_strings() {
    check("y: 1\n0644: 2\n1.50: 3\n'on': 4\n", json!({"true": 1, "420": 2, "1.5": 3, "on": 4}));
}

#[test]
fn quoted_scalars_are_strings() {
    check(
        "a: 'yes'\nb: \"0644\"\nc: \"a\\tb\"\nd: 'it''s'\n",
        json!({"a": "yes", "b": "0644", "c": "a\tb", "d": "it's"}),
    );
}

#[test]
fn block_scalars() {
    check(
        "a: |\n  x\n   y\n\nb: >-\n  one\n  two\nc: |+\n  k\n\nd: |2\n   i\n",
        json!({"a": "x\n y\n", "b": "one two", "c": "k\n\n", "d": " i\n"}),
    );
}

#[test]
fn block_scalar_at_the_end_without_line_break_has_one() {
    check("a: |\n  x", json!({"a": "x\n"}));
    check("a: |-\n  x", json!({"a": "x"}));
}

#[test]
fn tags() {
    check(
        "a: !!str 5\nb: !!int \"5\"\nc: !x 5\nd: ! \"5\"\ne: !!binary aGk=\n",
        json!({"a": "5", "b": 5, "c": "5", "d": 5, "e": "hi"}),
    );
}

#[test]
fn last_duplicate_wins() {
    check("a: 1\nb: 2\na: 3\n", json!({"a": 3, "b": 2}));
}

#[test]
fn aliases_and_merge_keys() {
    check(
        "base: &b {x: 1, w: 2}\nm:\n  <<: *b\n  w: 3\nlist: &l [1]\nagain: *l\nmany:\n  <<: [{x: 5}, *b]\n",
        json!({"base": {"x": 1, "w": 2}, "m": {"x": 1, "w": 3}, "list": [1], "again": [1], "many": {"x": 5, "w": 2}}),
    );
}

#[test]
fn a_later_merge_key_overwrites_as_in_kubernetes() {
    check("m:\n  x: 1\n  <<: {x: 2}\n", json!({"m": {"x": 2}}));
}

#[test]
fn get_follows_aliases_and_merges() {
    let stream = parse("b: &b {image: nginx}\nm:\n  <<: *b\no: *b\n");
    let root = stream.root(0).unwrap();
    for key in ["b", "m", "o"] {
        assert_eq!(root.get(key).unwrap().get("image").unwrap().as_str().as_deref(), Some("nginx"), "{key}");
    }
    assert!(root.get("zzz").is_none());
}

#[track_caller]
fn check_undecodable(text: &str, limits: &Limits, expected: &str) {
    let stream = Stream::parse(text.to_owned(), limits).unwrap();
    assert_eq!(stream.root(0).unwrap().value().unwrap_err().to_string(), expected);
}

#[test]
fn what_kubernetes_refuses() {
    let limits = Limits::default();
    check_undecodable("a: .inf\n", &limits, "JSON has no infinite numbers at `/a`");
    check_undecodable("a:\n- {{ x }}: 1\n", &limits, "a key is a mapping or a sequence at `/a/0`");
    check_undecodable("a: &a [*a]\n", &limits, "an alias contains itself at `/a/0`");
    check_undecodable("a: !!int x\n", &limits, "the value does not fit its tag at `/a`");
}

#[test]
fn alias_bombs_are_bounded() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 8].join(", "));
    }
    check_undecodable(
        &text,
        &Limits::default(),
        &format!("aliases expand to too many values at `{}`", undecodable_at(&text)),
    );
}

fn undecodable_at(text: &str) -> String {
    match parse(text).root(0).unwrap().value().unwrap_err() {
        Refusal::Unsupported { at, .. } => at.to_string(),
        other => panic!("{other}"),
    }
}

#[test]
fn chains_of_aliases_are_bounded() {
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..3000 {
        text += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
    }
    assert!(parse(&text).root(0).unwrap().value().is_err());
}

#[test]
fn nesting_is_bounded() {
    let limits = Limits { depth: 10, expanded_nodes: 100 };
    assert!(Stream::parse("[".repeat(11) + &"]".repeat(11), &limits).is_err());
    assert!(Stream::parse("[".repeat(10) + &"]".repeat(10), &limits).is_ok());
    assert!(Stream::parse("- ".repeat(11) + "x", &limits).is_err());
}
