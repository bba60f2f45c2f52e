//! Functions of templates that change mappings in place, with what to put back.

use std::rc::Rc;

use crate::helm::value::{Data, Map, Value};

/// The functions that change their first argument.
pub(super) fn mutate(name: &str, map: &Map, rest: &[Value], undo: &mut Undo) -> Option<()> {
    match (name, rest) {
        ("set", [key, value]) => {
            if holds(value, map) {
                return None;
            }
            put(map, key.as_text()?, Some(value.clone()), undo);
        }
        ("unset", [key]) => {
            put(map, key.as_text()?, None, undo);
        }
        ("set" | "unset", _) => return None,
        (_, sources) => {
            let overwrites = name.ends_with("Overwrite");
            for source in sources {
                match &source.data {
                    Data::Map(source) if !Rc::ptr_eq(source, map) => merge(map, source, overwrites, undo),
                    Data::Map(_) | Data::Null => {}
                    _ => return None,
                }
            }
        }
    }
    Some(())
}

/// Whether a mapping is somewhere in a value: to put that value into it would have no end.
fn holds(value: &Value, map: &Map) -> bool {
    match &value.data {
        Data::Map(entries) => {
            Rc::ptr_eq(entries, map) || entries.borrow().values().any(|value| holds(value, map))
        }
        Data::List(items) => items.iter().any(|value| holds(value, map)),
        _ => false,
    }
}

/// What to put back: the mapping, the key, what was there.
pub(super) type Undo = Vec<(Map, String, Option<Value>)>;

fn put(map: &Map, key: &str, value: Option<Value>, undo: &mut Undo) {
    let before = match value {
        Some(value) => map.borrow_mut().insert(key.to_owned(), value),
        None => map.borrow_mut().remove(key),
    };
    undo.push((Rc::clone(map), key.to_owned(), before));
}

fn merge(into: &Map, from: &Map, overwrites: bool, undo: &mut Undo) {
    let entries: Vec<(String, Value)> =
        from.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    for (key, value) in &entries {
        let known = into.borrow().get(key).cloned();
        match (known.as_ref().map(|known| &known.data), &value.data) {
            (Some(Data::Map(known)), Data::Map(value)) if !Rc::ptr_eq(known, value) => {
                merge(known, value, overwrites, undo);
            }
            // mergo fills in what is empty, and overwrites with nothing empty.
            (Some(_), _) if overwrites && value.truth() == Some(false) => {}
            (Some(_), _) if !overwrites && known.as_ref().and_then(Value::truth) != Some(false) => {}
            _ => {
                put(into, key, Some(value.deep_copy()), undo);
            }
        }
    }
}
