//! Texts that would hurt a careless parser: huge, deep, or long.

use super::*;

#[test]
fn many_items_change_at_once() {
    let text: String = (0..20_000).map(|number| format!("- name: n{number}\n  image: x\n")).collect();
    let stream = parse(&text);
    let mut wanted = value(&stream, 0);
    for item in wanted.as_array_mut().unwrap() {
        item["image"] = json!("w");
        item["securityContext"] = json!({"drop": ["ALL"]});
    }
    wanted.as_array_mut().unwrap().remove(7);
    let after = stream.apply(stream.edits(0, &wanted, &ByName).unwrap());
    stream.prove(after, &[Some(&wanted)], 0).unwrap();
}

#[test]
fn many_keys_change_at_once() {
    let text: String = (0..5_000).map(|number| format!("k{number}:\n  a: 1\n")).collect();
    let stream = parse(&text);
    let mut wanted = value(&stream, 0);
    for value in wanted.as_object_mut().unwrap().values_mut() {
        value["b"] = json!({"c": [{}]});
    }
    let after = stream.apply(stream.edits(0, &wanted, &ByName).unwrap());
    stream.prove(after, &[Some(&wanted)], 0).unwrap();
}

#[test]
fn deep_texts_fit_the_stack() {
    let limits = Limits { depth: 250, expanded_nodes: 100_000 };
    for text in
        ["[".repeat(249) + &"]".repeat(249), "- ".repeat(249) + "x", "{a: ".repeat(249) + &"}".repeat(249)]
    {
        let stream = Stream::parse(text, &limits).unwrap();
        let mut wanted = stream.root(0).unwrap().value().unwrap();
        let mut inner = &mut wanted;
        for _ in 0..248 {
            inner = match inner {
                Value::Array(items) => &mut items[0],
                other => &mut other["a"],
            };
        }
        *inner = json!("changed");
        let after = stream.apply(stream.edits(0, &wanted, &ByName).unwrap());
        stream.prove(after, &[Some(&wanted)], 0).unwrap();
        assert!(stream.comments().is_empty());
    }
}

#[test]
fn long_lines_and_many_comments() {
    let long = "x".repeat(1 << 20);
    check(
        &format!("a: {long} # {long}\nb: 1\n"),
        &[add("/c", json!(1))],
        &format!("a: {long} # {long}\nb: 1\nc: 1\n"),
    );
    let comments = "# c\n".repeat(20_000);
    let text = format!("{comments}a:\n{comments}- x\n{comments}");
    check(&text, &[add("/a/-", json!("z"))], &text.replace("- x\n", "- x\n- z\n"));
    assert_eq!(parse(&text).comments().len(), 60_000);
}

#[test]
fn nul_and_other_controls_do_not_panic() {
    for text in [
        "a: \0\n",
        "\u{1}",
        "a: \u{7f}\n",
        "\u{feff}\u{feff}a: 1\n",
        "%",
        "---\n%",
        "&",
        "*",
        "!",
        "? ",
        ": ",
        "- -",
        "|",
        ">+9\n",
    ] {
        if let Ok(stream) = Stream::parse(text.to_owned(), &Limits::default()) {
            stream.comments();
            for document in 0..stream.documents() {
                let _ = stream.edits(document, &json!({"a": [1]}), &ByName);
            }
        }
    }
}
