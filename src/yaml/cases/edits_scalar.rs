//! Edits of scalars.

use super::*;

#[test]
fn quotes_and_comments_stay() {
    check("a: \"x\" # why\n", &[replace("/a", json!("y"))], "a: \"y\" # why\n");
    check("a: 'x'\n", &[replace("/a", json!("it's"))], "a: 'it''s'\n");
    check("a: x\n", &[replace("/a", json!("y: z"))], "a: \"y: z\"\n");
    check("a: 'x'\n", &[replace("/a", json!("b\nc"))], "a: \"b\\nc\"\n");
}

#[test]
fn strings_that_kubernetes_would_misread_are_quoted() {
    for text in ["y", "no", "0755", "1_000", "null", "1e3"] {
        check("a: x\n", &[replace("/a", json!(text))], &format!("a: \"{text}\"\n"));
    }
}

#[test]
fn other_kinds_of_scalars() {
    check("a: \"x\"\n", &[replace("/a", json!(true))], "a: true\n");
    check("a: 5\n", &[replace("/a", json!("5"))], "a: \"5\"\n");
    check("a: x\n", &[replace("/a", json!(null))], "a: null\n");
    check("a:\nb: 1\n", &[replace("/a", json!(1))], "a: 1\nb: 1\n");
    check("a: # why\nb: 1\n", &[replace("/a", json!(1))], "a: 1 # why\nb: 1\n");
    check("-\n- a\n", &[replace("/0", json!(1))], "- 1\n- a\n");
    check("a:\n  x\nb: 1\n", &[replace("/a", json!("z"))], "a:\n  z\nb: 1\n");
}

#[test]
fn anchors_and_tags_stay_where_they_fit() {
    check("a: &x 1\n", &[replace("/a", json!(2))], "a: &x 2\n");
    check("a: !!str 1\n", &[replace("/a", json!("2"))], "a: !!str 2\n");
    check("a: !!str 1 # why\n", &[replace("/a", json!(2))], "a: 2 # why\n");
    check("a: &x !!str 1\n", &[replace("/a", json!(2))], "a: &x 2\n");
    check("a: &x 1\n", &[replace("/a", json!({"b": 1}))], "a: &x\n  b: 1\n");
}

#[test]
fn block_scalars_change_only_the_lines_that_differ() {
    check(
        "a: |\n  one\n  two\n  three\nb: 1\n",
        &[replace("/a", json!("one\n2\nthree\n"))],
        "a: |\n  one\n  2\n  three\nb: 1\n",
    );
    check(
        "a: |\n  one\n  three\n",
        &[replace("/a", json!("one\ntwo\nthree\n"))],
        "a: |\n  one\n  two\n  three\n",
    );
    check(
        "a: |\r\n  one\r\n  two\r\n  three\r\n",
        &[replace("/a", json!("one\nthree\n"))],
        "a: |\r\n  one\r\n  three\r\n",
    );
    check("a: >-\n  nginx:1\nb: 1\n", &[replace("/a", json!("nginx:2"))], "a: >-\n  nginx:2\nb: 1\n");
    check("a: >-\n  one\n  two\nb: 1\n", &[replace("/a", json!("x"))], "a: x\nb: 1\n");
    check("a: | # why\n  one\nb: 1\n", &[replace("/a", json!(5))], "a: 5 # why\nb: 1\n");
}

#[test]
fn new_strings_of_several_lines_are_literals() {
    check(
        "a:\n  b: 1\n",
        &[add("/a/c", json!("x\n  y\n")), add("/a/d", json!("x\ny"))],
        "a:\n  b: 1\n  c: |\n    x\n      y\n  d: |-\n    x\n    y\n",
    );
    check("- a\n", &[add("/-", json!("x\ny\n"))], "- a\n- |\n  x\n  y\n");
}

#[test]
fn multi_line_scalars_become_one_line() {
    check("a: one\n  two\nb: 1\n", &[replace("/a", json!("three"))], "a: three\nb: 1\n");
    check("a: \"one\n  two\" # why\nb: 1\n", &[replace("/a", json!("three"))], "a: \"three\" # why\nb: 1\n");
}

#[test]
fn non_ascii_in_front() {
    check("ä: ü # ö\nb: x\n", &[replace("/b", json!("é"))], "ä: ü # ö\nb: é\n");
}

#[test]
fn bare_carriage_returns_are_refused() {
    check_refused("a: 1\rb: 2\n", &[replace("/a", json!(3))], "lines end in a carriage return alone at ``");
}
