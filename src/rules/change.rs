//! A wanted value in an object, and the RFC 6902 operations that say the same.

mod patched;

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, PatchOperation, RemoveOperation, ReplaceOperation};
use serde_json::{Map, Value};

pub use self::patched::Patched;
use crate::model::KubernetesOrder;
use crate::pointer::{decoded, look_up as at};
use crate::repo::LIMITS;
use crate::yaml::Stream;

/// A wanted value. Pointers (RFC 6901) start at the object.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The value at a path, with the mappings on the way to it.
    Set {
        pointer: String,
        value: Value,
    },
    Remove {
        pointer: String,
    },
    /// A further item of a list, which is made when it is not there.
    Append {
        list: String,
        value: Value,
    },
    /// A change of an item of a list, which is made when it would be the next one.
    Item {
        list: String,
        idx: usize,
        change: Box<Change>,
    },
    /// A change of the one YAML document that a string holds.
    Inside {
        text: String,
        change: Box<Change>,
    },
    /// A change of what is made of the object, by a patch in it.
    Patched(Box<Patched>),
}

impl Change {
    pub fn set(pointer: impl Into<String>, value: impl Into<Value>) -> Change {
        Change::Set { pointer: pointer.into(), value: value.into() }
    }

    pub fn remove(pointer: impl Into<String>) -> Change {
        Change::Remove { pointer: pointer.into() }
    }

    pub fn append(list: impl Into<String>, value: impl Into<Value>) -> Change {
        Change::Append { list: list.into(), value: value.into() }
    }

    /// The change, of an item of the list at `list`.
    pub fn of_item(self, list: impl Into<String>, idx: usize) -> Change {
        Change::Item { list: list.into(), idx, change: Box::new(self) }
    }

    /// The change, of the YAML that the string at `text` holds.
    pub fn inside(self, text: impl Into<String>) -> Change {
        Change::Inside { text: text.into(), change: Box::new(self) }
    }

    /// The same change at another place.
    pub fn moved(&self, at: impl Fn(&str) -> String) -> Change {
        match self {
            Change::Set { pointer, value } => Change::set(at(pointer), value.clone()),
            Change::Remove { pointer } => Change::remove(at(pointer)),
            Change::Append { list, value } => Change::append(at(list), value.clone()),
            Change::Item { list, idx, change } => change.clone().of_item(at(list), *idx),
            Change::Inside { text, change } => Change::Inside { text: at(text), change: change.clone() },
            Change::Patched(_) => self.clone(),
        }
    }

    /// The place it is about.
    pub fn pointer(&self) -> &str {
        match self {
            Change::Set { pointer, .. } | Change::Remove { pointer } => pointer,
            Change::Append { list, .. } | Change::Item { list, .. } => list,
            Change::Inside { text, .. } => text,
            Change::Patched(patched) => patched.place.list(),
        }
    }

    /// The same, as far as changes can be told apart by it: also inside of strings.
    pub fn full_pointer(&self) -> String {
        match self {
            Change::Inside { text, change } => format!("{text}/<yaml>{}", change.full_pointer()),
            Change::Item { list, idx, change } => format!("{list}/{idx}{}", change.full_pointer()),
            other => other.pointer().to_owned(),
        }
    }

    /// What is changed in the end.
    pub fn innermost(&self) -> &Change {
        match self {
            Change::Inside { change, .. } | Change::Item { change, .. } => change.innermost(),
            other => other,
        }
    }

    /// The operations that make the change to `object`, whose pointers get `prefix` in front of them. Nothing when
    /// the object already is as wanted.
    pub fn operations(&self, object: &Value, prefix: &str) -> Vec<PatchOperation> {
        let operation = match self {
            Change::Set { pointer, value } => set(object, pointer, value.clone()),
            Change::Remove { pointer } => at(object, pointer).map(|_| {
                let pointer = with_emptied_parents(object, pointer);
                PatchOperation::Remove(RemoveOperation { path: path(prefix, pointer) })
            }),
            Change::Append { list, value } => match at(object, list).and_then(Value::as_array) {
                Some(items) if items.contains(value) => None,
                Some(_) => Some(add(&format!("{list}/-"), value.clone())),
                None => set(object, list, Value::Array(vec![value.clone()])),
            },
            Change::Item { list, idx, change } => of_item(object, list, *idx, change),
            Change::Inside { text, change } => inside(object, text, change),
            Change::Patched(patched) => patched.operation(object),
        };
        operation.map(|operation| prefixed(operation, prefix)).into_iter().collect()
    }
}

/// Changes an item of a list, or adds it with nothing but the change.
fn of_item(object: &Value, list: &str, idx: usize, change: &Change) -> Option<PatchOperation> {
    let items = at(object, list).and_then(Value::as_array);
    let at_item = format!("{list}/{idx}");
    if let Some(item) = items.and_then(|items| items.get(idx)).filter(|item| !item.is_null()) {
        return change.operations(item, &at_item).into_iter().next();
    }
    let mut item = Value::Object(Map::new());
    let operations = change.operations(&item, "");
    json_patch::patch(&mut item, &operations).ok()?;
    match items {
        Some(items) if items.len() == idx => Some(add(&format!("{list}/-"), item)),
        Some(items) if items.len() > idx => Some(replace(&at_item, item)),
        Some(_) => None,
        None if idx == 0 => set(object, list, Value::Array(vec![item])),
        None => None,
    }
}

/// Replaces a string by one whose YAML is changed, byte for byte the same elsewhere. Nothing where the string holds no
/// YAML, or more than one document of it.
fn inside(object: &Value, text: &str, change: &Change) -> Option<PatchOperation> {
    let before = at(object, text)?.as_str()?;
    let stream = Stream::parse(before.to_owned(), &LIMITS).ok()?;
    if stream.documents() != 1 {
        return None;
    }
    let value = stream.root(0)?.value().ok()?;
    let mut wanted = value.clone();
    json_patch::patch(&mut wanted, &change.operations(&value, "")).ok()?;
    let edits = stream.edits_from(0, &value, &wanted, &KubernetesOrder).ok()?;
    let after = stream.apply(edits);
    let proved = stream.prove(after, &[Some(&wanted)], 0).ok()?;
    (proved.text() != before).then(|| replace(text, Value::String(proved.into_text())))
}

/// A mapping that the removal would leave empty and that means nothing then goes with it.
fn with_emptied_parents<'p>(object: &Value, pointer: &'p str) -> &'p str {
    let Some((parent, _)) = pointer.rsplit_once('/') else { return pointer };
    let means_nothing = ["/securityContext", "/capabilities"].iter().any(|end| parent.ends_with(end));
    match at(object, parent) {
        Some(Value::Object(map)) if map.len() == 1 && means_nothing => with_emptied_parents(object, parent),
        _ => pointer,
    }
}

/// Adds or replaces; the mappings that are missing on the way come as one value.
fn set(object: &Value, pointer: &str, mut value: Value) -> Option<PatchOperation> {
    if at(object, pointer) == Some(&value) {
        return None;
    }
    let mut place = pointer;
    loop {
        let (parent, key) = place.rsplit_once('/')?;
        match at(object, parent) {
            Some(Value::Object(map)) => {
                return Some(if map.contains_key(&decoded(key)) {
                    replace(place, value)
                } else {
                    add(place, value)
                });
            }
            Some(Value::Array(items)) => {
                let exists = key.parse::<usize>().is_ok_and(|idx| idx < items.len());
                return Some(if exists { replace(place, value) } else { add(place, value) });
            }
            // `securityContext:` without a value, or nothing at all.
            _ => {
                let mut map = Map::new();
                map.insert(decoded(key), value);
                value = Value::Object(map);
                place = parent;
                if place.is_empty() {
                    return None;
                }
            }
        }
    }
}

fn add(pointer: &str, value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path: path("", pointer), value })
}

fn replace(pointer: &str, value: Value) -> PatchOperation {
    PatchOperation::Replace(ReplaceOperation { path: path("", pointer), value })
}

fn prefixed(mut operation: PatchOperation, prefix: &str) -> PatchOperation {
    if !prefix.is_empty() {
        match &mut operation {
            PatchOperation::Add(AddOperation { path: at, .. })
            | PatchOperation::Replace(ReplaceOperation { path: at, .. }) => *at = path(prefix, at.as_str()),
            _ => {}
        }
    }
    operation
}

fn path(prefix: &str, pointer: &str) -> PointerBuf {
    PointerBuf::parse(format!("{prefix}{pointer}")).expect("rules write RFC 6901 pointers")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(change: Change, object: Value, expected: Value) {
        let operations = change.operations(&object, "");
        assert_eq!(serde_json::to_value(operations).unwrap(), expected);
    }

    #[test]
    fn missing_parents_come_with_the_value() {
        check(
            Change::set("/a/b/c", true),
            json!({"a": {}}),
            json!([{"op": "add", "path": "/a/b", "value": {"c": true}}]),
        );
    }

    #[test]
    fn a_null_parent_is_replaced() {
        check(
            Change::set("/a/b", 1),
            json!({"a": null}),
            json!([{"op": "replace", "path": "/a", "value": {"b": 1}}]),
        );
    }

    #[test]
    fn a_value_that_is_there_needs_nothing() {
        check(Change::set("/a", 1), json!({"a": 1}), json!([]));
        check(Change::remove("/b"), json!({"a": 1}), json!([]));
        check(Change::append("/l", 1), json!({"l": [1]}), json!([]));
    }

    #[test]
    fn a_context_that_becomes_empty_goes_with_its_last_field() {
        let object = json!({"c": {"securityContext": {"capabilities": {"add": ["X"]}}}});
        check(
            Change::remove("/c/securityContext/capabilities/add"),
            object,
            json!([{"op": "remove", "path": "/c/securityContext"}]),
        );
        let object = json!({"c": {"securityContext": {"a": 1, "b": 2}}, "d": {"e": 1}});
        check(
            Change::remove("/c/securityContext/a"),
            object.clone(),
            json!([{"op": "remove", "path": "/c/securityContext/a"}]),
        );
        check(Change::remove("/d/e"), object, json!([{"op": "remove", "path": "/d/e"}]));
    }

    #[test]
    fn an_item_is_made_for_its_first_change() {
        let made = |object: Value| {
            let mut object = object;
            for change in [Change::set("/a/b", 1), Change::set("/c", 2)] {
                let operations = change.of_item("/l", 1).operations(&object, "");
                json_patch::patch(&mut object, &operations).unwrap();
            }
            object
        };
        let whole = json!({"l": ["x", {"a": {"b": 1}, "c": 2}]});
        assert_eq!(made(json!({"l": ["x"]})), whole);
        assert_eq!(made(whole.clone()), whole);
        check(
            Change::set("/a", 1).of_item("/l", 0),
            json!({}),
            json!([{"op": "add", "path": "/l", "value": [{"a": 1}]}]),
        );
    }

    #[test]
    fn yaml_in_a_string_keeps_its_comments() {
        let object = json!({"l": ["a: 1 # why\nb:\n  - x\n"]});
        check(
            Change::append("/b", "z").inside("/l/0"),
            object.clone(),
            json!([{"op": "replace", "path": "/l/0", "value": "a: 1 # why\nb:\n  - x\n  - z\n"}]),
        );
        check(Change::set("/a", 1).inside("/l/0"), object, json!([]));
        check(Change::set("/a", 1).inside("/l"), json!({"l": "a: 2\n---\na: 3\n"}), json!([]));
    }

    #[test]
    fn a_list_is_made_for_its_first_item() {
        check(Change::append("/l", 1), json!({"a": {}}), json!([{"op": "add", "path": "/l", "value": [1]}]));
        check(Change::append("/l", 2), json!({"l": [1]}), json!([{"op": "add", "path": "/l/-", "value": 2}]));
    }
}
