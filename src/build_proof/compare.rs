//! Two builds of the same folder, compared with what was wanted of its objects.
//!
//! Trusts neither the edits nor our own reading of kustomizations: each object of the one build, with the wanted
//! changes, must be that of the other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::Model;
use crate::model::strategic_merge::{has_merge_keys, merge_by_keys, same_but_for_order};
use crate::overlay::{WantedObject, delta};
use crate::repo::LIMITS;
use crate::yaml::Stream;

/// Kind and name; objects of the same name in several namespaces stand beside each other.
type Names = (String, String, String);

/// Digests and tags that kustomizations set now and did not before.
pub(super) fn changed_pins(before: &Model<'_>, after: &Model<'_>) -> BTreeSet<String> {
    let pins = |model: &Model<'_>| -> BTreeSet<String> {
        let images = model.builds.kustomizations().iter().flat_map(|kustomization| &kustomization.images);
        images.flat_map(|image| image.digest.iter().chain(&image.new_tag).cloned()).collect()
    };
    pins(after).difference(&pins(before)).cloned().collect()
}

/// The first thing that is not as wanted.
pub(super) fn difference(
    old: &str,
    new: &str,
    wanted: &[WantedObject],
    pins: &BTreeSet<String>,
) -> Option<String> {
    let (Some(old), Some(mut new)) = (objects(old), objects(new)) else {
        return Some("what it builds cannot be read".to_owned());
    };
    for (names, values) in old {
        for value in values {
            let namespace = namespace(&value);
            let Some(after) = take(&mut new, &names, namespace.as_deref()) else {
                return Some(format!("{}/{} is gone", names.1, names.2));
            };
            let Some(mut expected) = expected(&value, &names, namespace.as_deref(), wanted) else {
                return Some(format!("{}/{}: the change cannot be followed", names.1, names.2));
            };
            take_pins(&mut expected, &after, pins);
            if !same_but_for_order(&expected, &after) {
                return Some(format!("{}/{} changes otherwise than wanted", names.1, names.2));
            }
        }
    }
    let is_wanted = |names: &Names| {
        wanted.iter().any(|object| {
            object.before.is_none() && (&*object.api_version, &*object.kind) == (&*names.0, &*names.1)
        })
    };
    let surplus = new.iter().find(|(names, values)| !values.is_empty() && !is_wanted(names));
    surplus.map(|(names, _)| format!("{}/{} is new in it", names.1, names.2))
}

fn objects(stream: &str) -> Option<BTreeMap<Names, Vec<Value>>> {
    let stream = Stream::parse(stream.to_owned(), &LIMITS).ok()?;
    let mut objects: BTreeMap<Names, Vec<Value>> = BTreeMap::new();
    for document in 0..stream.documents() {
        let Some(root) = stream.root(document) else { continue };
        let value = root.value().ok()?;
        let text =
            |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let names = (text("/apiVersion"), text("/kind"), text("/metadata/name"));
        objects.entry(names).or_default().push(value);
    }
    Some(objects)
}

fn namespace(value: &Value) -> Option<String> {
    value["metadata"]["namespace"].as_str().map(str::to_owned)
}

fn take(
    objects: &mut BTreeMap<Names, Vec<Value>>,
    names: &Names,
    in_namespace: Option<&str>,
) -> Option<Value> {
    let values = objects.get_mut(names)?;
    let idx = values.iter().position(|value| namespace(value).as_deref() == in_namespace)?;
    Some(values.remove(idx))
}

/// The object as it should be; `None` where the change cannot be said of it.
fn expected(
    value: &Value,
    names: &Names,
    in_namespace: Option<&str>,
    wanted: &[WantedObject],
) -> Option<Value> {
    let is_it = |object: &&WantedObject| {
        (&*object.api_version, &*object.kind, &*object.name) == (&*names.0, &*names.1, &*names.2)
    };
    let mut named: Vec<&WantedObject> = wanted.iter().filter(is_it).collect();
    if named.len() > 1 {
        named.retain(|object| object.namespace.as_deref() == in_namespace);
    }
    let mut expected = value.clone();
    for object in named {
        let Some(before) = object.before.as_ref().filter(|before| **before != object.after) else { continue };
        // Where no list is merged by a key, each has the order that it has in the file.
        match delta(before, &object.after).filter(|_| has_merge_keys(&object.api_version)) {
            Some(delta) => merge_by_keys(&mut expected, &delta),
            None => json_patch::patch(&mut expected, &json_patch::diff(before, &object.after)).ok()?,
        }
    }
    Some(expected)
}

/// Images that a kustomization pins now are taken as they are: `images:` says them, not the objects.
fn take_pins(expected: &mut Value, after: &Value, pins: &BTreeSet<String>) {
    match (expected, after) {
        (Value::Object(expected), Value::Object(after)) => {
            for (key, value) in expected {
                match after.get(key) {
                    Some(Value::String(image)) if key == "image" => {
                        let pinned = image.rsplit_once('@').map(|(_, digest)| digest);
                        if pinned.is_some_and(|digest| pins.contains(digest)) {
                            *value = Value::String(image.clone());
                        }
                    }
                    Some(after) => take_pins(value, after, pins),
                    None => {}
                }
            }
        }
        (Value::Array(expected), Value::Array(after)) => {
            expected.iter_mut().zip(after).for_each(|(value, after)| take_pins(value, after, pins));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OLD: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  x: 1\n";

    #[track_caller]
    fn check(new: &str, expected: Option<&str>) {
        let wanted = WantedObject {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            name: "web".to_owned(),
            namespace: None,
            before: Some(json!({"spec": {"x": 1}})),
            after: json!({"spec": {"x": 2}}),
        };
        assert_eq!(difference(OLD, new, &[wanted], &BTreeSet::new()).as_deref(), expected);
    }

    #[test]
    fn only_the_wanted_value_may_change() {
        let new = OLD.replace("x: 1", "x: 2");
        check(&new, None);
        check(OLD, Some("Deployment/web changes otherwise than wanted"));
        check(&format!("{new}  y: 3\n"), Some("Deployment/web changes otherwise than wanted"));
        check("", Some("Deployment/web is gone"));
        let more = format!("{new}---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: s\n");
        check(&more, Some("Secret/s is new in it"));
    }
}
