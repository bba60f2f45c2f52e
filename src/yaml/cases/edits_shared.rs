//! Edits around anchors, aliases, merge keys and duplicate keys.

use super::*;

#[test]
fn a_change_that_all_users_want_is_made_at_the_anchor() {
    check(
        "a: &x {b: 1}\nc: *x\n",
        &[replace("/a/b", json!(2)), replace("/c/b", json!(2))],
        "a: &x {b: 2}\nc: *x\n",
    );
    check(
        "a: &x\n  b: 1\nc: *x\nd: *x\n",
        &[add("/a/new", json!(2)), add("/c/new", json!(2)), add("/d/new", json!(2))],
        "a: &x\n  b: 1\n  new: 2\nc: *x\nd: *x\n",
    );
    check("a: &x 1\nb: [*x]\n", &[replace("/a", json!(2)), replace("/b/0", json!(2))], "a: &x 2\nb: [*x]\n");
}

#[test]
fn shared_values_inside_shared_values() {
    check(
        "a: &x\n  i: &y {k: 1}\nb: *x\nc: *y\n",
        &[replace("/a/i/k", json!(2)), replace("/b/i/k", json!(2)), replace("/c/k", json!(2))],
        "a: &x\n  i: &y {k: 2}\nb: *x\nc: *y\n",
    );
    check(
        "w: &y {k: 1}\na: &x\n  i: *y\nb: *x\n",
        &[replace("/w/k", json!(2)), replace("/a/i/k", json!(2)), replace("/b/i/k", json!(2))],
        "w: &y {k: 2}\na: &x\n  i: *y\nb: *x\n",
    );
}

#[test]
fn a_change_that_not_all_want_is_refused() {
    let text = "a: &x {b: 1}\nc: *x\n";
    let refusal = |at| {
        format!(
            "the value at `{at}` is shared through the anchor `&x`, and not all of its users want the change"
        )
    };
    check_refused(text, &[replace("/a/b", json!(2))], &refusal("/a"));
    check_refused(text, &[replace("/c/b", json!(2))], &refusal("/c"));
    check_refused(text, &[replace("/a/b", json!(2)), replace("/c/b", json!(3))], &refusal("/c"));
    check_refused(text, &[remove("/a")], &refusal("/a"));
}

#[test]
fn an_alias_can_go() {
    check("a: &x {b: 1}\nc: *x\nd: 1\n", &[remove("/c")], "a: &x {b: 1}\nd: 1\n");
}

#[test]
fn edits_beside_shared_values() {
    check("a: &x {b: 1}\nc: *x\n", &[add("/d", json!(1))], "a: &x {b: 1}\nc: *x\nd: 1\n");
}

const MERGED: &str = "base: &b\n  k: 1\n  l: 2\nm:\n  <<: *b\n  own: 3\n";

#[test]
fn a_merged_key_is_overridden() {
    check(MERGED, &[replace("/m/k", json!(5))], &format!("{MERGED}  k: 5\n"));
    check(
        MERGED,
        &[add("/m/first", json!(5))],
        "base: &b\n  k: 1\n  l: 2\nm:\n  first: 5\n  <<: *b\n  own: 3\n",
    );
}

#[test]
fn a_merged_key_cannot_go() {
    check_refused(MERGED, &[remove("/m/k")], "the value at `/m/k` comes from a merge key (`<<`)");
}

#[test]
fn a_merged_mapping_changes_only_with_its_users() {
    check(
        MERGED,
        &[replace("/base/k", json!(5)), replace("/m/k", json!(5))],
        &MERGED.replace("k: 1", "k: 5"),
    );
    check(
        MERGED,
        &[add("/base/new", json!(5)), add("/m/new", json!(5))],
        &MERGED.replace("l: 2", "l: 2\n  new: 5"),
    );
    check(
        MERGED,
        &[add("/base/new", json!(5)), add("/m/new", json!(6))],
        &format!("{}  new: 6\n", MERGED.replace("l: 2", "l: 2\n  new: 5")),
    );
    let stream = parse(MERGED);
    let mut wanted = value(&stream, 0);
    wanted["base"]["new"] = json!(5);
    assert!(matches!(stream.edits(0, &wanted, &ByName), Err(Refusal::Shared { .. })));
}

#[test]
fn duplicate_keys() {
    let text = "a: 1\nb: 2\na: 3\n";
    check(text, &[replace("/b", json!(5))], "a: 1\nb: 5\na: 3\n");
    check_refused(text, &[replace("/a", json!(5))], "the key at `/a` is there twice");
    check_refused(text, &[remove("/a")], "the key at `/a` is there twice");
}
