//! What a strategic merge patch makes of an object, as far as pod specs go.
//!
//! Lists of objects merge by the key that the API's types declare (`patchMergeKey` in k8s.io/api), other lists are
//! replaced: <https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md>

use serde_json::{Map, Value};

/// Merges the patch into a whole object. Lists of kinds whose types kustomize does not know are replaced.
pub(crate) fn merge_object(object: &mut Value, patch: &Value) {
    let keyed = object["apiVersion"].as_str().is_some_and(has_merge_keys);
    merge_value(object, patch, keyed);
}

/// Merges a patch into a value whose lists of objects are told apart by their keys, whatever its kind.
pub(crate) fn merge_by_keys(object: &mut Value, patch: &Value) {
    merge_value(object, patch, true);
}

/// Whether kustomize knows the types of an API version: those of Kubernetes 1.21.
///
/// Source: <https://github.com/kubernetes-sigs/kustomize/tree/master/kyaml/openapi/kubernetesapi>
pub(crate) fn has_merge_keys(api_version: &str) -> bool {
    matches!(api_version, "v1" | "apps/v1" | "batch/v1" | "batch/v1beta1")
}

fn merge_value(object: &mut Value, patch: &Value, keyed: bool) {
    let (Value::Object(map), Value::Object(patch)) = (&mut *object, patch) else {
        *object = patch.clone();
        return;
    };
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => *object = without_directives(patch),
        Some("delete") => *object = Value::Null,
        _ => merge_map(map, patch, keyed),
    }
}

fn merge_map(object: &mut Map<String, Value>, patch: &Map<String, Value>, keyed: bool) {
    for (key, value) in patch.iter().filter(|(key, _)| !key.starts_with('$')) {
        match (object.get_mut(key), value) {
            (_, Value::Null) => {
                object.remove(key);
            }
            (Some(Value::Array(list)), Value::Array(patch)) if keyed => merge_list(key, list, patch),
            (Some(old), new) => {
                merge_value(old, new, keyed);
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
    let named = patch.iter().filter(|item| item.get("$patch").is_none());
    let Some(merge_key) = merge_key(key, list.iter().chain(named)) else {
        *list = patch.to_vec();
        return;
    };
    if patch.iter().any(|item| item["$patch"] == "replace" && item.get(merge_key).is_none()) {
        list.clear();
    }
    // What is new comes first, in the order of the patch.
    let mut added = Vec::new();
    for item in patch.iter().filter(|item| item.get(merge_key).is_some()) {
        match list.iter().position(|known| is_same_item(merge_key, known, item)) {
            Some(idx) => {
                merge_value(&mut list[idx], item, true);
                if list[idx].is_null() {
                    list.remove(idx);
                }
            }
            None if item["$patch"] == "delete" => {}
            None => added.push(item.clone()),
        }
    }
    list.splice(0..0, added);
}

/// The key by which the items of a list are told apart; `None` for a list that is replaced as a whole. Lists of the
/// same name in other types have other keys: the items must have it.
pub(crate) fn merge_key<'v>(list: &str, items: impl Iterator<Item = &'v Value>) -> Option<&'static str> {
    let keys: &[&'static str] = match list {
        "containers" | "initContainers" | "ephemeralContainers" | "volumes" | "env" | "imagePullSecrets" => {
            &["name"]
        }
        "volumeMounts" => &["mountPath"],
        "volumeDevices" => &["devicePath"],
        // Those of a Service merge by another key than those of a container.
        "ports" => &["containerPort", "port"],
        "hostAliases" => &["ip"],
        "topologySpreadConstraints" => &["topologyKey"],
        _ => return None,
    };
    let items: Vec<&Value> = items.collect();
    keys.iter().copied().find(|key| items.iter().all(|item| item.get(key).is_some()))
}

/// The second key of lists that are told apart by two. It has a default: an item may leave it out.
///
/// Source: `x-kubernetes-list-map-keys` of Kubernetes' OpenAPI.
pub(crate) fn second_key(merge_key: &str) -> Option<&'static str> {
    match merge_key {
        "containerPort" | "port" => Some("protocol"),
        "topologyKey" => Some("whenUnsatisfiable"),
        _ => None,
    }
}

/// Whether two items of lists that merge by a key are the same one.
pub(crate) fn is_same_item(merge_key: &str, a: &Value, b: &Value) -> bool {
    let agrees = |key| match (a.get(key), b.get(key)) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    };
    a[merge_key] == b[merge_key] && second_key(merge_key).is_none_or(agrees)
}

/// Whether two values are the same when lists that are merged by a key are read as sets.
pub(crate) fn same_but_for_order(a: &Value, b: &Value) -> bool {
    same(None, a, b)
}

fn same(list: Option<&str>, a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(Some(key), value, other)))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            match list.and_then(|list| merge_key(list, a.iter().chain(b))) {
                Some(key) => a
                    .iter()
                    .all(|item| b.iter().any(|other| item[key] == other[key] && same(None, item, other))),
                None => a.iter().zip(b).all(|(a, b)| same(None, a, b)),
            }
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(mut object: Value, patch: Value, expected: Value) {
        merge_value(&mut object, &patch, true);
        assert_eq!(object, expected);
    }

    #[test]
    fn containers_merge_by_name() {
        check(
            json!({"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}),
            json!({"containers": [{"name": "b", "securityContext": {"privileged": true}}, {"name": "c"}]}),
            json!({"containers": [
                {"name": "c"},
                {"name": "a", "image": "x"},
                {"name": "b", "image": "y", "securityContext": {"privileged": true}},
            ]}),
        );
    }

    #[test]
    fn lists_of_unknown_kinds_are_replaced() {
        let mut object = json!({"apiVersion": "argoproj.io/v1alpha1", "containers": [{"name": "a"}]});
        merge_object(&mut object, &json!({"containers": [{"name": "b"}]}));
        assert_eq!(object["containers"], json!([{"name": "b"}]));
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
