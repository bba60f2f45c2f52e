//! What a strategic merge patch makes of an object, as far as pod specs go.
//!
//! Lists of objects merge by the key that the API's types declare (`patchMergeKey` in k8s.io/api), other lists are
//! replaced: <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md>

use serde_json::{Map, Value};

/// Merges the patch into the object.
pub(super) fn merge(object: &mut Value, patch: &Value) {
    let (Value::Object(map), Value::Object(patch)) = (&mut *object, patch) else {
        *object = patch.clone();
        return;
    };
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => *object = without_directives(patch),
        Some("delete") => *object = Value::Null,
        _ => merge_map(map, patch),
    }
}

fn merge_map(object: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch.iter().filter(|(key, _)| !key.starts_with('$')) {
        match (object.get_mut(key), value) {
            (_, Value::Null) => {
                object.remove(key);
            }
            (Some(Value::Array(list)), Value::Array(patch)) => merge_list(key, list, patch),
            (Some(old), new) => {
                merge(old, new);
                if old.is_null() {
                    object.remove(key);
                }
            }
            (None, new) => {
                object.insert(key.clone(), new.clone());
            }
        }
    }
}

fn without_directives(patch: &Map<String, Value>) -> Value {
    Value::Object(
        patch.iter().filter(|(key, _)| !key.starts_with('$')).map(|(k, v)| (k.clone(), v.clone())).collect(),
    )
}

fn merge_list(key: &str, list: &mut Vec<Value>, patch: &[Value]) {
    let Some(merge_key) = merge_key(key, patch) else {
        *list = patch.to_vec();
        return;
    };
    if patch.iter().any(|item| item["$patch"] == "replace" && item.get(merge_key).is_none()) {
        list.clear();
    }
    for item in patch.iter().filter(|item| item.get(merge_key).is_some()) {
        match list.iter().position(|known| known[merge_key] == item[merge_key]) {
            Some(idx) => {
                merge(&mut list[idx], item);
                if list[idx].is_null() {
                    list.remove(idx);
                }
            }
            None if item["$patch"] == "delete" => {}
            None => list.push(item.clone()),
        }
    }
}

fn merge_key(list: &str, patch: &[Value]) -> Option<&'static str> {
    match list {
        "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env" | "imagePullSecrets" => {
            Some("name")
        }
        "volumeMounts" => Some("mountPath"),
        "volumeDevices" => Some("devicePath"),
        // Those of a Service merge by another key than those of a container.
        "ports" if patch.iter().any(|item| item.get("port").is_some()) => Some("port"),
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
    fn check(mut object: Value, patch: Value, expected: Value) {
        merge(&mut object, &patch);
        assert_eq!(object, expected);
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
    fn ports_of_containers_and_services_merge_by_their_own_keys() {
        check(
            json!({"ports": [{"containerPort": 80}, {"containerPort": 90}]}),
            json!({"ports": [{"containerPort": 90, "name": "http"}]}),
            json!({"ports": [{"containerPort": 80}, {"containerPort": 90, "name": "http"}]}),
        );
        check(
            json!({"ports": [{"port": 80, "targetPort": 8080}]}),
            json!({"ports": [{"port": 80, "targetPort": 9090}]}),
            json!({"ports": [{"port": 80, "targetPort": 9090}]}),
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
