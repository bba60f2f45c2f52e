//! Edits of flow collections and JSON.

use super::*;

#[test]
fn adds_keys_on_the_line() {
    check("a: {b: 1}\n", &[add("/a/c", json!(2))], "a: {b: 1, c: 2}\n");
    check("a: { b: 1 } # why\n", &[add("/a/c", json!({"d": []}))], "a: { b: 1, c: { d: [] } } # why\n");
    check("a: {b: 1,}\n", &[add("/a/c", json!(2))], "a: {b: 1, c: 2,}\n");
    check("a: {\"b\":1}\n", &[add("/a/c", json!("x"))], "a: {\"b\":1, \"c\":\"x\"}\n");
    check("a: [{}]\n", &[add("/a/0/c", json!(2))], "a: [{c: 2}]\n");
    check("a: {x: [1], w: {}}\n", &[add("/a/w/z", json!("a,b"))], "a: {x: [1], w: {z: \"a,b\"}}\n");
}

#[test]
fn adds_items_on_the_line() {
    check("a: [x, y]\n", &[add("/a/-", json!("z"))], "a: [x, y, z]\n");
    check("a: [x, y]\n", &[add("/a/0", json!("w"))], "a: [w, x, y]\n");
    check("a: [\"x\",\"y\"]\n", &[add("/a/-", json!("z"))], "a: [\"x\",\"y\",\"z\"]\n");
}

#[test]
fn removes_on_the_line() {
    check("a: {b: 1, c: 2, d: 3}\n", &[remove("/a/c")], "a: {b: 1, d: 3}\n");
    check("a: {b: 1, c: 2}\n", &[remove("/a/b")], "a: {c: 2}\n");
    check("a: {b: 1, c: 2}\n", &[remove("/a/c")], "a: {b: 1}\n");
    check("a: {b: 1}\n", &[remove("/a/b")], "a: {}\n");
    check("a: [x, y]\n", &[remove("/a/0"), remove("/a/0")], "a: []\n");
}

#[test]
fn multi_line_flow_follows_its_lines() {
    check("a: {\n  b: 1,\n  c: 2\n}\n", &[add("/a/d", json!(3))], "a: {\n  b: 1,\n  c: 2,\n  d: 3\n}\n");
    check(
        "a: {\n  b: 1, # one\n  c: 2 # two\n}\n",
        &[add("/a/d", json!(3))],
        "a: {\n  b: 1, # one\n  c: 2, # two\n  d: 3\n}\n",
    );
    check(
        "a: {\n  b: 1, # one\n  c: 2, # two\n}\n",
        &[add("/a/d", json!(3)), add("/a/mid", json!(0))],
        "a: {\n  b: 1, # one\n  mid: 0,\n  c: 2, # two\n  d: 3,\n}\n",
    );
    check("a: {\n  b: 1, # one\n  c: 2\n}\n", &[remove("/a/c")], "a: {\n  b: 1 # one\n}\n");
    check("a: {\n  b: 1, # one\n  c: 2\n}\n", &[remove("/a/b")], "a: {\n  # one\n  c: 2\n}\n");
}

#[test]
fn json_pretty() {
    let text = "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": true\n  }\n}\n";
    check(
        text,
        &[add("/b/d", json!("x"))],
        "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": true,\n    \"d\": \"x\"\n  }\n}\n",
    );
    check(
        text,
        &[add("/b/d", json!({"e": ["x"], "f": {}}))],
        "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": true,\n    \"d\": {\n      \"e\": [\n        \"x\"\n      ],\n      \"f\": {}\n    }\n  }\n}\n",
    );
    check(text, &[remove("/b")], "{\n  \"a\": 1\n}\n");
    check(text, &[remove("/a")], "{\n  \"b\": {\n    \"c\": true\n  }\n}\n");
    check(text, &[replace("/a", json!("y"))], "{\n  \"a\": \"y\",\n  \"b\": {\n    \"c\": true\n  }\n}\n");
}

#[test]
fn json_tabs_and_compact() {
    check(
        "{\n\t\"a\": {\n\t\t\"b\": 1\n\t}\n}\n",
        &[add("/a/c", json!({"d": 1}))],
        "{\n\t\"a\": {\n\t\t\"b\": 1,\n\t\t\"c\": {\n\t\t\t\"d\": 1\n\t\t}\n\t}\n}\n",
    );
    check(
        "{\"a\":1,\"b\":[1,2]}",
        &[add("/c", json!({"d": "e", "f": [1, 2]}))],
        "{\"a\":1,\"b\":[1,2],\"c\":{\"d\":\"e\",\"f\":[1,2]}}",
    );
    check(
        "{\n  \"a\": {},\n  \"b\": []\n}\n",
        &[add("/a/x", json!(1))],
        "{\n  \"a\": {\n    \"x\": 1\n  },\n  \"b\": []\n}\n",
    );
    check(
        "{\n  \"args\": [\"a\", \"b\"]\n}\n",
        &[add("/drop", json!(["ALL"]))],
        "{\n  \"args\": [\"a\", \"b\"],\n  \"drop\": [\"ALL\"]\n}\n",
    );
}

#[test]
fn values_that_are_not_there() {
    check("a: {b, c: }\n", &[replace("/a/b", json!(1)), replace("/a/c", json!(2))], "a: {b: 1, c: 2 }\n");
}

#[test]
fn a_comma_never_follows_a_colon() {
    check("a: {b, c: }\n", &[add("/a/d", json!(1))], "a: {b, c: , d: 1 }\n");
}

#[test]
fn lines_come_and_go_at_once() {
    check(
        "a: {\n  b: 1, # one\n  c: 2 # two\n}\n",
        &[remove("/a/c"), add("/a/d", json!(1)), add("/a/e", json!(2))],
        "a: {\n  b: 1, # one\n  d: 1,\n  e: 2\n  # two\n}\n",
    );
    check("a: [\n  x,\n  z]\n", &[add("/a/-", json!("e"))], "a: [\n  x,\n  z,\n  e]\n");
    check("a: [\n  x,\n  z]\n", &[remove("/a/1")], "a: [\n  x]\n");
}

#[test]
fn bare_pairs_get_braces() {
    check("a: [b: 1]\n", &[add("/a/0/c", json!(2))], "a: [{b: 1, c: 2}]\n");
    check("a: [b: 1]\n", &[add("/a/0/c", json!(2)), replace("/a/0/b", json!("x"))], "a: [{b: x, c: 2}]\n");
}

#[test]
fn keys_of_several_lines_are_refused() {
    check_refused(
        "a: {x\n  z}\n",
        &[replace("/a/x z", json!(1))],
        "a key of several lines is in the way at `/a/x z`",
    );
    check_refused(
        "{b: 0, x# one\n  z: 1}\n",
        &[remove("/b")],
        "a key of several lines is in the way at `/x# one z`",
    );
}
