//! The strategic merge patch between two values of an object.
//!
//! Lists of objects are patched by the key that their types declare, others replaced; what goes is `null` or
//! `$patch: delete`. Does not check that merging it gives the wanted value.

use serde_json::{Map, Value, json};

use crate::model::KubernetesOrder;
use crate::model::strategic_merge::{is_same_item, merge_key, second_key};
use crate::yaml::{KeyOrder, PointerBuf, Slot};

/// What makes `after` of `before` when it is merged in; `None` where no merge does.
pub fn delta(before: &Value, after: &Value) -> Option<Value> {
    between(before, after, "")
}

fn between(before: &Value, after: &Value, at: &str) -> Option<Value> {
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return Some(after.clone()) };
    let mut patch = Map::new();
    for (key, value) in after {
        let said = match before.get(key) {
            Some(old) if old == value => continue,
            Some(Value::Object(old)) if value.is_object() => {
                let old = Value::Object(old.clone());
                between(&old, value, &format!("{at}/{}", crate::pointer::token(key)))?
            }
            Some(Value::Array(old)) => match value.as_array() {
                Some(new) => list(key, old, new, at)?,
                None => value.clone(),
            },
            // A null in a patch takes away.
            _ if value.is_null() => return None,
            _ => value.clone(),
        };
        put(&mut patch, key, said, at);
    }
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        put(&mut patch, key, Value::Null, at);
    }
    Some(Value::Object(patch))
}

/// Puts a key where Kubernetes people look for it.
fn put(patch: &mut Map<String, Value>, key: &str, value: Value, at: &str) {
    let keys: Vec<&str> = patch.keys().map(String::as_str).collect();
    let place = PointerBuf::parse(at).unwrap_or_default();
    let index = match KubernetesOrder.slot(&place, &keys, key) {
        Slot::First => 0,
        Slot::After(index) => index + 1,
        Slot::Last => keys.len(),
    };
    patch.shift_insert(index, key.to_owned(), value);
}

fn list(key: &str, before: &[Value], after: &[Value], at: &str) -> Option<Value> {
    let Some(merge_key) = merge_key(key, before.iter().chain(after)) else { return Some(json!(after)) };
    if !is_unique(before, merge_key) || !is_unique(after, merge_key) {
        return None;
    }
    let mut items = Vec::new();
    for item in after {
        match before.iter().position(|known| is_same_item(merge_key, known, item)) {
            None => items.push(item.clone()),
            Some(idx) if before[idx] == *item => {}
            Some(idx) => {
                let Value::Object(said) = between(&before[idx], item, &format!("{at}/{key}/{idx}"))? else {
                    return None;
                };
                let mut named = names(&before[idx], merge_key);
                named.extend(said);
                items.push(Value::Object(named));
            }
        }
    }
    let is_kept = |item: &Value| after.iter().any(|kept| is_same_item(merge_key, kept, item));
    for gone in before.iter().filter(|item| !is_kept(item)) {
        let mut deletion = Map::from_iter([("$patch".to_owned(), json!("delete"))]);
        deletion.extend(names(gone, merge_key));
        items.push(Value::Object(deletion));
    }
    Some(Value::Array(items))
}

/// What tells an item apart in a patch. Kustomize asks for the second key too where the object has it.
fn names(item: &Value, merge_key: &str) -> Map<String, Value> {
    let keys = [Some(merge_key), second_key(merge_key)].into_iter().flatten();
    keys.filter_map(|key| Some((key.to_owned(), item.get(key)?.clone()))).collect()
}

fn is_unique(list: &[Value], key: &str) -> bool {
    list.iter().enumerate().all(|(idx, item)| !list[..idx].iter().any(|other| other[key] == item[key]))
}
