//! What a strategic merge patch makes of an object, as far as pod specs go.
//!
//! Lists of objects merge by the key that the API's types declare (`patchMergeKey` in k8s.io/api), other lists are
//! replaced: <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md>

use serde_json::{Map, Value};

/// The object with the patch merged into it.
pub(super) fn merged(object: &Value, patch: &Value) -> Value {
    match (object, patch) {
        (Value::Object(object), Value::Object(patch)) => merged_map(object, patch),
        _ => patch.clone(),
    }
}

fn merged_map(object: &Map<String, Value>, patch: &Map<String, Value>) -> Value {
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => return without_directives(patch),
        Some("delete") => return Value::Null,
        _ => {}
    }
    let mut result = object.clone();
    for (key, value) in patch.iter().filter(|(key, _)| !key.starts_with('$')) {
        let merged = match (result.get(key), value) {
            (_, Value::Null) => Value::Null,
            (Some(Value::Array(list)), Value::Array(patch)) => merged_list(key, list, patch),
            (Some(old), new) => merged(old, new),
            (None, new) => new.clone(),
        };
        match merged {
            Value::Null => result.remove(key),
            merged => result.insert(key.clone(), merged),
        };
    }
    Value::Object(result)
}

fn without_directives(patch: &Map<String, Value>) -> Value {
    Value::Object(patch.iter().filter(|(key, _)| !key.starts_with('$')).map(|(k, v)| (k.clone(), v.clone())).collect())
}

fn merged_list(key: &str, list: &[Value], patch: &[Value]) -> Value {
    let Some(merge_key) = merge_key(key) else { return Value::Array(patch.to_vec()) };
    let replaces = patch.iter().any(|item| item["$patch"] == "replace" && item.get(merge_key).is_none());
    let mut result = if replaces { Vec::new() } else { list.to_vec() };
    for item in patch.iter().filter(|item| item.get(merge_key).is_some()) {
        match result.iter().position(|known| known[merge_key] == item[merge_key]) {
            Some(idx) => match merged(&result[idx], item) {
                Value::Null => {
                    result.remove(idx);
                }
                merged => result[idx] = merged,
            },
            None if item["$patch"] == "delete" => {}
            None => result.push(item.clone()),
        }
    }
    Value::Array(result)
}

fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env" | "imagePullSecrets" => {
            Some("name")
        }
        "volumeMounts" => Some("mountPath"),
        "volumeDevices" => Some("devicePath"),
        "ports" => Some("containerPort"),
        "hostAliases" => Some("ip"),
        "topologySpreadConstraints" => Some("topologyKey"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(object: Value, patch: Value, expected: Value) {
        assert_eq!(merged(&object, &patch), expected);
    }

    #[test]
    fn containers_merge_by_name() {
        check(
            json!({"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}),
            json!({"containers": [{"name": "b", "securityContext": {"privileged": true}}, {"name": "c"}]}),
            json!({"containers": [
                {"name": "a", "image": "x"},
                {"name": "b", "image": "y", "securityContext": {"privileged": true}},
                {"name": "c"},
            ]}),
        );
    }

    #[test]
    fn null_and_directives_delete() {
        check(
            json!({"a": 1, "b": {"c": 1}, "volumes": [{"name": "x"}, {"name": "y"}]}),
            json!({"a": null, "b": {"$patch": "delete"}, "volumes": [{"name": "x", "$patch": "delete"}]}),
            json!({"volumes": [{"name": "y"}]}),
        );
        check(
            json!({"containers": [{"name": "a"}], "args": ["1", "2"]}),
            json!({"containers": [{"$patch": "replace"}, {"name": "b"}], "args": ["3"]}),
            json!({"containers": [{"name": "b"}], "args": ["3"]}),
        );
    }
}
