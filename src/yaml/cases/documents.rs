//! Streams of documents.

use super::*;

const STREAM: &str =
    "\u{feff}# head\na: 1\n---\n# only a comment\n---\n%x: 1\n...\n%YAML 1.2\n---\nb: {}\n---\n";

#[test]
fn documents_are_counted_and_edited_apart() {
    let stream = parse(&STREAM.replace("%x", "x"));
    assert_eq!(stream.documents(), 5);
    assert!(stream.root(1).is_none());
    assert_eq!(value(&stream, 3), json!({"b": {}}));
    check_in(
        3,
        &STREAM.replace("%x", "x"),
        &[add("/b/c", json!(1))],
        &STREAM.replace("%x", "x").replace("b: {}", "b:\n  c: 1"),
    );
    check_in(
        0,
        &STREAM.replace("%x", "x"),
        &[remove("/a"), add("/z", json!(1))],
        &STREAM.replace("%x", "x").replace("a: 1", "z: 1"),
    );
}

#[test]
fn an_empty_document_has_nothing_to_change() {
    let stream = parse("# c\n---\n");
    assert_eq!(stream.edits(0, &json!({"a": 1}), &ByName), Err(Refusal::EmptyDocument { document: 0 }));
    assert_eq!(stream.edits(0, &json!(null), &ByName), Ok(Vec::new()));
    assert_eq!(parse("").documents(), 0);
    assert_eq!(parse("# c\n").documents(), 0);
}

#[track_caller]
fn check_append(before: &str, after: &str) {
    let stream = parse(before);
    let text = stream.apply(vec![stream.append_document("kind: B\nx: 1\n")]);
    assert_eq!(text, after);
    let appended = stream.prove(text, &[], 1).unwrap();
    assert_eq!(value(&appended, appended.documents() - 1), json!({"kind": "B", "x": 1}));
}

#[test]
fn appends() {
    check_append("a: 1\n", "a: 1\n---\nkind: B\nx: 1\n");
    check_append("a: 1", "a: 1\n---\nkind: B\nx: 1\n");
    check_append("a: 1\r\n", "a: 1\r\n---\r\nkind: B\r\nx: 1\r\n");
    check_append("a: 1\n---\n", "a: 1\n---\nkind: B\nx: 1\n");
    check_append("a: 1\n...\n", "a: 1\n...\n---\nkind: B\nx: 1\n");
    check_append("", "kind: B\nx: 1\n");
    check_append("# c\n", "# c\n---\nkind: B\nx: 1\n");
}

#[test]
fn positions_count_from_one() {
    let stream = parse("\u{feff}a: ü\r\n  \nb: x\n");
    let at = |offset| (stream.position(offset).line, stream.position(offset).column);
    assert_eq!(at(3), (1, 1));
    assert_eq!(at(8), (1, 5));
    assert_eq!(at(13), (3, 1));
    assert_eq!(at(stream.text().len()), (4, 1));
}

#[track_caller]
fn check_located(text: &str, pointer: &str, expected: &str) {
    let stream = parse(text);
    let range = stream.locate(0, &PointerBuf::parse(pointer).unwrap()).unwrap();
    assert_eq!(&text[range], expected);
}

#[test]
fn locates_the_deepest_that_is_there() {
    let text = "a:\n  b/c: {d: &x [1, two]}\ne: *x\n";
    check_located(text, "/a/b~1c/d/1", "two");
    check_located(text, "/a/b~1c/d/7", "d: &x [1, two]");
    check_located(text, "/a/z/y", "a:\n  b/c: {d: &x [1, two]}");
    check_located(text, "/e/1", "two");
    check_located(text, "", text.trim_end());
}

#[test]
fn syntax_errors_have_a_place() {
    let error = Stream::parse("a: 1\nb: [1\n".to_owned(), &Limits::default()).unwrap_err();
    assert_eq!(error.line, 2, "{error}");
    assert!(Stream::parse("a:\n\t- b\n".to_owned(), &Limits::default()).is_err());
    let error = Stream::parse("a:\n- &x: 1\n".to_owned(), &Limits::default()).unwrap_err();
    assert_eq!((error.line, error.column), (2, 3), "{error}");
}

#[test]
fn proof_finds_what_is_wrong() {
    let stream = parse("a: 1 # c\n---\nb: 2\n");
    let wanted = json!({"a": 2});
    let prove = |after: &str| stream.prove(after.to_owned(), &[Some(&wanted), None], 0).map(|_| ());
    assert_eq!(prove("a: 2 # c\n---\nb: 2\n"), Ok(()));
    assert_eq!(prove("a: 2\n---\nb: 2\n"), Err(Defect::Comment("# c".to_owned())));
    assert_eq!(prove("a: 2 # c\n"), Err(Defect::Documents { expected: 2, found: 1 }));
    assert!(matches!(prove("a: 3 # c\n---\nb: 2\n"), Err(Defect::Value { document: 0, .. })));
    assert!(matches!(prove("a: 2 # c\n---\nb: 3\n"), Err(Defect::Value { document: 1, .. })));
    assert!(matches!(prove("a: [ # c\n---\nb: 2\n"), Err(Defect::Syntax(_))));
}

#[test]
fn tabs_in_front_of_flow_lines_are_taken() {
    let text = "a:\n  b:\n    [\n      x,\n\t  z,\n\t  w\n    ]\nc: |\n  t\tt\n";
    assert_eq!(value(&parse(text), 0), json!({"a": {"b": ["x", "z", "w"]}, "c": "t\tt\n"}));
    check_in(0, text, &[replace("/a/b/1", json!("v"))], &text.replace("z,", "v,"));
    assert!(Stream::parse("a:\n\tb: 1\n".to_owned(), &Limits::default()).is_err());
}
