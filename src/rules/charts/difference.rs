//! Whether what a chart renders anew differs from before only as wanted.

use serde_json::Value;

use crate::rules::Change;

/// Whether `after` is `before` wherever it is not `wanted`.
pub(super) fn conforms(before: &Value, after: &Value, wanted: &Value) -> bool {
    if before == after || after == wanted {
        return true;
    }
    match (before, after, wanted) {
        // What loses its last field is left out; other fixes bring it back with theirs.
        (Value::Object(_), Value::Null, Value::Object(goal)) if !goal.is_empty() => {
            conforms(before, &Value::Object(serde_json::Map::new()), wanted)
        }
        (_, Value::Object(new), Value::Object(goal)) => {
            let none = serde_json::Map::new();
            let old = match before {
                Value::Object(old) => old,
                Value::Null => &none,
                _ => return false,
            };
            let keys = old.keys().chain(new.keys());
            keys.into_iter().all(|key| {
                let at = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                conforms(&at(old), &at(new), &at(goal)) || is_default(&at(new), &at(goal))
            })
        }
        (Value::Array(old), Value::Array(new), Value::Array(goal)) if old.len() == new.len() => {
            let item = |idx: usize| goal.get(idx).unwrap_or(&Value::Null);
            old.iter().zip(new).enumerate().all(|(idx, (old, new))| conforms(old, new, item(idx)))
        }
        // A list that grows: what is new is wanted, and what was there stays.
        (Value::Array(_) | Value::Null, Value::Array(new), Value::Array(goal)) => {
            let old = before.as_array().map_or(&[][..], Vec::as_slice);
            old.iter().all(|item| new.contains(item))
                && new.iter().all(|item| old.contains(item) || goal.contains(item))
        }
        _ => false,
    }
}

/// Whether a value says what leaving it out means.
fn is_default(value: &Value, wanted: &Value) -> bool {
    wanted.is_null() && (*value == Value::Bool(false) || value.is_null())
}

/// Whether a change is made already.
pub(super) fn is_made(change: &Change, object: &Value) -> bool {
    match change {
        Change::Remove { pointer } => {
            object.pointer(pointer).is_none_or(|value| is_default(value, &Value::Null))
        }
        _ => change.operations(object, "").is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(before: Value, after: Value, wanted: Value, expected: bool) {
        assert_eq!(conforms(&before, &after, &wanted), expected, "{before} {after} {wanted}");
    }

    #[test]
    fn only_wanted_differences_conform() {
        let wanted = json!({"a": {"b": 1, "c": 2}, "l": [1, 2]});
        check(json!({"a": {"b": 1}}), json!({"a": {"b": 1, "c": 2}}), wanted.clone(), true);
        check(json!({}), json!({"a": {"c": 2}}), wanted.clone(), true);
        check(json!({"a": {"b": 1}}), json!({"a": {"b": 2}}), wanted.clone(), false);
        check(json!({"a": {"b": 1}}), json!({"a": {}}), wanted.clone(), false);
        check(json!({"l": [1]}), json!({"l": [2, 1]}), wanted.clone(), true);
        check(json!({"l": [1]}), json!({"l": [2]}), wanted.clone(), false);
        check(json!({"l": [1]}), json!({"l": [1, 3]}), wanted, false);
        check(json!({"hostPID": true}), json!({"hostPID": false}), json!({}), true);
        check(json!({"a": true}), json!({}), json!({}), true);
        check(json!({"a": {"b": 1}}), json!({}), json!({"a": {"c": 1}}), true);
        check(json!({"a": {"b": 1}}), json!({}), json!({"a": {"b": 2}}), false);
        check(json!({"a": {"b": 1}}), json!({}), json!({"a": {}}), false);
    }
}
