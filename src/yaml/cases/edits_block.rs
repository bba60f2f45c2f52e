//! Edits of block mappings and sequences.

use super::*;

#[test]
fn adds_a_key_at_the_end_of_a_mapping() {
    check(
        "a:\n  b: 1 # one\n  # of c\nc: 2\n",
        &[add("/a/z", json!(3))],
        "a:\n  b: 1 # one\n  z: 3\n  # of c\nc: 2\n",
    );
}

#[test]
fn adds_nested_keys_in_the_step_of_the_file() {
    check(
        "spec:\n    template:\n        x: 1\n",
        &[add("/spec/template/sc", json!({"run": true, "caps": {"drop": ["ALL"]}}))],
        "spec:\n    template:\n        x: 1\n        sc:\n            run: true\n            caps:\n                drop:\n                    - ALL\n",
    );
}

#[test]
fn sequences_are_indented_as_their_neighbours() {
    let zero = "spec:\n  containers:\n  - name: a\n    args:\n    - x\n";
    check(
        zero,
        &[add("/spec/containers/0/caps", json!({"drop": ["ALL"]}))],
        "spec:\n  containers:\n  - name: a\n    args:\n    - x\n    caps:\n      drop:\n      - ALL\n",
    );
    check(
        "spec:\n  containers:\n    - name: a\n",
        &[add("/spec/containers/0/caps", json!({"drop": ["ALL"]}))],
        "spec:\n  containers:\n    - name: a\n      caps:\n        drop:\n          - ALL\n",
    );
}

#[test]
fn wide_dashes_are_kept() {
    check(
        "list:\n-   name: a\n    image: b\n",
        &[add("/list/-", json!({"name": "c", "image": "d"})), add("/list/0/ports", json!([1]))],
        "list:\n-   name: a\n    image: b\n    ports:\n    -   1\n-   name: c\n    image: d\n",
    );
}

#[test]
fn block_below_a_key_without_value() {
    check("a:\nb: 1\n", &[replace("/a", json!({"x": 1}))], "a:\n  x: 1\nb: 1\n");
    check("a: # why\nb: 1\n", &[replace("/a", json!({"x": 1}))], "a: # why\n  x: 1\nb: 1\n");
    check("a: null\nb: 1\n", &[replace("/a", json!({"x": 1}))], "a:\n  x: 1\nb: 1\n");
    check("a: {} # why\nb: 1\n", &[add("/a/x", json!(1))], "a: # why\n  x: 1\nb: 1\n");
    check("a: []\nb: 1\n", &[add("/a/-", json!("x"))], "a:\n  - x\nb: 1\n");
}

#[test]
fn keys_in_alphabetical_order_stay_so() {
    check("a: 1\nb: 2\nd: 3\ne: 4\n", &[add("/c", json!(0))], "a: 1\nb: 2\nc: 0\nd: 3\ne: 4\n");
    check("a: 1\nb: 2\nd: 3\n", &[add("/c", json!(0))], "a: 1\nb: 2\nd: 3\nc: 0\n");
}

#[test]
fn order_decides_where_keys_go() {
    check(
        "b: 1\na: 2\n",
        &[add("/first", json!(0)), add("/mid", json!(3))],
        "first: 0\nmid: 3\nb: 1\na: 2\n",
    );
    check(
        "x:\n  # about b\n  b: 1\n  a: 2\n",
        &[add("/x/first", json!(0))],
        "x:\n  first: 0\n  # about b\n  b: 1\n  a: 2\n",
    );
    check("- b: 1\n  a: 2\n", &[add("/0/first", json!(0))], "- b: 1\n  first: 0\n  a: 2\n");
}

#[test]
fn new_keys_that_share_a_place_keep_their_order() {
    check(
        "b: 1\na: 2\n",
        &[add("/mid1", json!(3)), add("/mid2", json!(4))],
        "b: 1\nmid1: 3\nmid2: 4\na: 2\n",
    );
    check("b: 1\n", &[add("/first1", json!(3)), add("/first2", json!(4))], "first1: 3\nfirst2: 4\nb: 1\n");
}

#[test]
fn new_lines_come_before_the_comments_and_blanks_of_what_follows() {
    check(
        "a:\n  b: 1\n\n# about c\nc: 2\n",
        &[add("/a/x", json!(1))],
        "a:\n  b: 1\n  x: 1\n\n# about c\nc: 2\n",
    );
    check(
        "a:\n  b:\n    c: 1\n    # d: 2\n\ne: 3\n",
        &[add("/a/x", json!(1))],
        "a:\n  b:\n    c: 1\n    # d: 2\n  x: 1\n\ne: 3\n",
    );
}

#[test]
fn adds_items() {
    check("a:\n- x\n- y # why\n# end\n", &[add("/a/-", json!("z"))], "a:\n- x\n- y # why\n- z\n# end\n");
    check("a:\n  # about x\n  - x\n", &[add("/a/0", json!("w"))], "a:\n  - w\n  # about x\n  - x\n");
    check(
        "a:\n- x\n- z\n",
        &[add("/a/1", json!({"k": [1], "l": {}}))],
        "a:\n- x\n- k:\n  - 1\n  l: {}\n- z\n",
    );
    check("- - a\n  - b\n", &[add("/0/0", json!("z"))], "- - z\n  - a\n  - b\n");
}

#[test]
fn new_items_take_the_quotes_of_their_neighbours() {
    check("a:\n- \"x\"\n- \"y\"\n", &[add("/a/-", json!("z"))], "a:\n- \"x\"\n- \"y\"\n- \"z\"\n");
    check("a:\n- 'x'\n", &[add("/a/-", json!("z"))], "a:\n- 'x'\n- 'z'\n");
    check("a:\n- \"8080\"\n", &[add("/a/-", json!("z"))], "a:\n- \"8080\"\n- z\n");
}

#[test]
fn removes_keys_and_items() {
    check("a: 1\nb: 2\nc: 3\n", &[remove("/b")], "a: 1\nc: 3\n");
    check("a: 1\nb: 2\nc: 3\n", &[remove("/a")], "b: 2\nc: 3\n");
    check("a: 1\nb: 2\nc: 3\n", &[remove("/a"), remove("/b")], "c: 3\n");
    check("a: 1\nb:\n  c: |\n    x\n\n    y\nd: 1\n", &[remove("/b")], "a: 1\nd: 1\n");
    check("a:\n- x\n- y\n- z\n", &[remove("/a/1")], "a:\n- x\n- z\n");
    check("a:\n- x\n- y\n", &[remove("/a/0")], "a:\n- y\n");
    check("- x\n- y\n", &[remove("/0"), add("/-", json!("z"))], "- y\n- z\n");
}

#[test]
fn removing_the_last_line_keeps_the_missing_line_break() {
    check("a: 1\nb: 2", &[remove("/b")], "a: 1");
    check("a: 1\nb: 2", &[add("/c", json!(3))], "a: 1\nb: 2\nc: 3");
}

#[test]
fn removing_all_leaves_an_empty_collection() {
    check("a:\n  b: 1\nc: 2\n", &[remove("/a/b")], "a: {}\nc: 2\n");
    check("a: # why\n- x # x\n", &[remove("/a/0")], "a: [] # why\n# x\n");
    check("- a: 1\n- b\n", &[remove("/0/a")], "- {}\n- b\n");
    check("a: 1\n", &[remove("/a")], "{}\n");
}

#[test]
fn removing_the_key_behind_a_dash_moves_the_next_one_up() {
    check("- a: 1\n  b:   2\n", &[remove("/0/a")], "- b:   2\n");
    check("- a: 1 # one\n  # two\n  b: 2\n", &[remove("/0/a")], "-\n  # one\n  # two\n  b: 2\n");
}

#[test]
fn comments_of_what_is_removed_stay() {
    check(
        "a: 1\n# about b\nb: # one\n  - x # two\n  # three\n  - y\nc: 1\n",
        &[remove("/b")],
        "a: 1\n# about b\n# one\n# two\n# three\nc: 1\n",
    );
}

#[test]
fn blank_lines_do_not_double() {
    check("a: 1\n\nb: 2\n\nc: 3\n", &[remove("/b")], "a: 1\n\nc: 3\n");
    check("a: 1\nb: 2\n\nc: 3\n", &[remove("/b")], "a: 1\n\nc: 3\n");
}

#[test]
fn replaces_a_collection_by_another_kind() {
    check("a:\n  b: 1 # one\nc: 2\n", &[replace("/a", json!("x"))], "a: x\n  # one\nc: 2\n");
    check("a:\n  b: 1\nc: 2\n", &[replace("/a", json!(["x"]))], "a:\n  - x\nc: 2\n");
    check("a:\n- b\nc: 2\n", &[replace("/a", json!({"x": 1}))], "a:\n  x: 1\nc: 2\n");
    check("a: x # why\nc: 2\n", &[replace("/a", json!({"x": 1}))], "a: # why\n  x: 1\nc: 2\n");
    check("- a # why\n- b\n", &[replace("/0", json!({"x": 1, "w": 2}))], "- x: 1 # why\n  w: 2\n- b\n");
    check("- a: 1\n  b: 2\n- c\n", &[replace("/0", json!("x"))], "- x\n- c\n");
}

#[test]
fn line_breaks_of_the_file_are_used() {
    check(
        "a:\r\n  b: 1\r\nc: 2\r\n",
        &[add("/a/x", json!({"w": 1}))],
        "a:\r\n  b: 1\r\n  x:\r\n    w: 1\r\nc: 2\r\n",
    );
    check("a: 1\r\nb: 2\r\nc: 3\r\n", &[remove("/b")], "a: 1\r\nc: 3\r\n");
    check("a: {}\r\nb: 2\r\n", &[add("/a/x", json!(1))], "a:\r\n  x: 1\r\nb: 2\r\n");
}

#[test]
fn byte_order_mark_in_front() {
    check("\u{feff}a: 1\n", &[add("/first", json!({"x": 1}))], "\u{feff}first:\n  x: 1\na: 1\n");
    check("\u{feff}a: 1\nb: 1\n", &[remove("/a")], "\u{feff}b: 1\n");
    check("\u{feff}a:\n- x\n", &[replace("/a", json!({"x": 1}))], "\u{feff}a:\n  x: 1\n");
}

#[test]
fn explicit_keys() {
    check("? a\n: 1\n? b\n: 2\n", &[remove("/b"), add("/c", json!(3))], "? a\n: 1\nc: 3\n");
    check("? a\n: 1\n? b\n: 2\n", &[replace("/a", json!(5))], "? a\n: 5\n? b\n: 2\n");
}

#[test]
fn blanks_on_empty_lines_stay_outside_of_literals() {
    check("a: 1\n    \nb: 1\n", &[replace("/a", json!("x\ny"))], "a: \"x\\ny\"\n    \nb: 1\n");
    check("a:\n  b: 1\n      \n", &[add("/a/c", json!("x\ny"))], "a:\n  b: 1\n  c: \"x\\ny\"\n      \n");
}

#[test]
fn deeper_comments_that_follow_stay_outside_of_literals() {
    check(
        "a:\n  b: 1\n    # c\n  # d\n",
        &[replace("/a", json!(["x\ny"]))],
        "a:\n  - \"x\\ny\"\n    # c\n  # d\n",
    );
    check("a: 1\n# c\nb: 1\n", &[replace("/a", json!("x\ny"))], "a: |-\n  x\n  y\n# c\nb: 1\n");
}

#[test]
fn what_follows_a_nested_block_scalar_stays() {
    check("a:\n  b: |\n    x\n  c: 1\n", &[replace("/a/b", json!([]))], "a:\n  b: []\n  c: 1\n");
}

#[test]
fn comments_of_a_replaced_value_stay_outside_of_the_new_one() {
    check(
        "- a: 1 # one\n  b: 2 # two\n- x\n",
        &[replace("/0", json!("c\nd"))],
        "- \"c\\nd\" # one\n  # two\n- x\n",
    );
    check("a: {\n  b: 1, # one\n} # end\n", &[replace("/a", json!(["x"]))], "a:\n  # one\n  # end\n  - x\n");
}

#[test]
fn roots_are_replaced_where_they_stand() {
    check("|\n  x\n", &[replace("", json!(false))], "false\n");
    check("# c\n |2\n   x\n", &[replace("", json!({"a": 1}))], "# c\na: 1\n");
    check("--- |\n  x\n", &[replace("", json!({"a": 1, "b": 2}))], "---\na: 1\nb: 2\n");
    check("--- # c\nx\n", &[replace("", json!(["z"]))], "--- # c\n- z\n");
    check("  !t\n", &[replace("", json!([["z", 1]]))], "  - - z\n    - 1\n");
    check("!t {a: 1}\n", &[replace("", json!(["z", 1]))], "- z\n- 1\n");
}

#[test]
fn nothing_is_lined_up_with_tabs() {
    check_refused("\ta: 1\n", &[add("/b", json!(1))], "a tab is part of the indentation at ``");
    check("\ta: 1\n", &[replace("/a", json!(2))], "\ta: 2\n");
    check_refused(
        "a b\n\t",
        &[replace("", json!([null, "z"]))],
        "a line that starts with a tab is in the way at ``",
    );
    check_refused(
        "a\n  \t\n",
        &[replace("", json!("x\ny"))],
        "a line that starts with a tab is in the way at ``",
    );
    check("-\ta\n- b\n", &[replace("/0", json!({"x": 1}))], "-\n  x: 1\n- b\n");
    check("-\ta\n- b\n", &[replace("/0", json!("c"))], "-\tc\n- b\n");
}

#[test]
fn line_breaks_that_a_block_scalar_keeps_stay() {
    check("a: |+\n  x\n\n\nb:  1", &[remove("/b")], "a: |+\n  x\n\n\n");
    check("a: |+\n  x\n\n\nb: 1\nc: 2", &[remove("/b"), remove("/c")], "a: |+\n  x\n\n\n");
    check(
        "a: |+\n  x\n\nb: 1\n\nc: 2\n",
        &[remove("/b")],
        "a: |+\n  x\n\n\nc: 2\n".replace("\n\n\n", "\n\n").as_str(),
    );
}

#[test]
fn what_comes_behind_a_last_line_stays_where_that_goes_with_blank_lines() {
    check(
        "spec:\n  - a:\n      - |-\n        two\n        lines\n    b: 1\n\n",
        &[remove("/spec/0/b"), add("/z", json!(1))],
        "spec:\n  - a:\n      - |-\n        two\n        lines\nz: 1\n",
    );
}

#[test]
fn new_items_are_quoted_as_those_of_lists_beside_theirs() {
    check(
        "r:\n- a: [\"x\"]\n  b: [\"*\"]\n- a: ['*']\n  c:\n  - '*'\n  b: y\n",
        &[
            replace("/r/0/b", json!(["p", "q"])),
            replace("/r/1/a", json!(["p", "q"])),
            replace("/r/1/c", json!(["p", "q"])),
        ],
        "r:\n- a: [\"x\"]\n  b: [\"p\", \"q\"]\n- a: [\"p\", \"q\"]\n  c:\n  - \"p\"\n  - \"q\"\n  b: y\n",
    );
}

#[test]
fn new_items_look_like_those_that_are_there() {
    check(
        "m:\n- {path: /a, name: x}\nr:\n  - path: '/b'\n    name: 'y'\n",
        &[
            add("/m/-", json!({"name": "t", "path": "/tmp"})),
            add("/r/-", json!({"name": "t", "as": "z", "path": "/tmp"})),
        ],
        "m:\n- {path: /a, name: x}\n- {path: /tmp, name: t}\nr:\n  - path: '/b'\n    name: 'y'\n  \
         - path: '/tmp'\n    name: 't'\n    as: 'z'\n",
    );
    check(
        "m:\n- {name: x}\n",
        &[add("/m/-", json!({"name": "t", "list": [1]}))],
        "m:\n- {name: x}\n- name: t\n  list: [1]\n".replace("list: [1]", "list:\n  - 1").as_str(),
    );
}
