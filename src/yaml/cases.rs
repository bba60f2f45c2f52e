//! Cases of the YAML layer: texts before and after, readable one by one.

mod comments;
mod documents;
mod edits_block;
mod edits_flow;
mod edits_scalar;
mod edits_shared;
mod hostile;
mod values;

use json_patch::PatchOperation;
use serde_json::{Value, json};

use super::*;

/// New keys go last, `first*` first, `mid*` behind the first key.
struct ByName;

impl KeyOrder for ByName {
    fn slot(&self, _: &Pointer, existing: &[&str], key: &str) -> Slot {
        match key {
            _ if key.starts_with("first") => Slot::First,
            _ if key.starts_with("mid") && !existing.is_empty() => Slot::After(0),
            _ => Slot::Last,
        }
    }
}

fn operation(op: &str, path: &str, value: Option<Value>) -> PatchOperation {
    let mut operation = json!({"op": op, "path": path});
    if let Some(value) = value {
        operation["value"] = value;
    }
    serde_json::from_value(operation).unwrap()
}

fn add(path: &str, value: Value) -> PatchOperation {
    operation("add", path, Some(value))
}

fn replace(path: &str, value: Value) -> PatchOperation {
    operation("replace", path, Some(value))
}

fn remove(path: &str) -> PatchOperation {
    operation("remove", path, None)
}

fn parse(text: &str) -> Stream {
    match Stream::parse(text.to_owned(), &Limits::default()) {
        Ok(stream) => stream,
        Err(error) => panic!("{error:?}\n{text}"),
    }
}

fn value(stream: &Stream, document: usize) -> Value {
    stream.root(document).map_or(Value::Null, |root| root.value().unwrap())
}

#[track_caller]
fn check(before: &str, changes: &[PatchOperation], after: &str) {
    check_in(0, before, changes, after);
}

/// Changes one document; the result is exactly `after`, is proved, and needs no further edit.
#[track_caller]
fn check_in(document: usize, before: &str, changes: &[PatchOperation], after: &str) {
    let stream = parse(before);
    let mut wanted = value(&stream, document);
    json_patch::patch(&mut wanted, changes).unwrap();
    let edits = stream.edits(document, &wanted, &ByName).unwrap();
    let text = stream.apply(edits);
    assert_eq!(text, after, "\n--- got\n{text}\n--- expected\n{after}");
    let mut all = vec![None; stream.documents()];
    all[document] = Some(&wanted);
    let proved = stream.prove(text, &all, 0).unwrap_or_else(|defect| panic!("{defect}"));
    assert_eq!(proved.edits(document, &wanted, &ByName), Ok(Vec::new()), "a second run");
}

#[track_caller]
fn check_refused(before: &str, changes: &[PatchOperation], expected: &str) {
    let stream = parse(before);
    let mut wanted = value(&stream, 0);
    json_patch::patch(&mut wanted, changes).unwrap();
    let refusal = stream.edits(0, &wanted, &ByName).unwrap_err();
    assert_eq!(refusal.to_string(), expected);
}
