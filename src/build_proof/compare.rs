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

/// Group, kind and name: a version may be what changes. Objects of the same name in several namespaces stand beside each
/// other.
type Names = (String, String, String);

fn changed_pins(before: &Model<'_>, after: &Model<'_>) -> BTreeSet<String> {
    let pins = |model: &Model<'_>| -> BTreeSet<String> {
        let images = model.builds.kustomizations().iter().flat_map(|kustomization| &kustomization.images);
        images.flat_map(|image| image.digest.iter().chain(&image.new_tag).cloned()).collect()
    };
    pins(after).difference(&pins(before)).cloned().collect()
}

/// What kustomizations themselves say otherwise now.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Digests and tags that they set now and did not before.
    pins: BTreeSet<String>,
    /// Whether what they generate is immutable now.
    immutable: bool,
}

impl Said {
    pub(super) fn between(before: &Model<'_>, after: &Model<'_>) -> Said {
        let kustomizations = after.builds.kustomizations().iter();
        let count = |model: &Model<'_>, path: &str| {
            let root = model.repo().file(path).and_then(|file| file.stream.root(0)?.value().ok());
            root.map_or(0, |value| immutables(&value))
        };
        let is_more = |path: &str| count(after, path) > count(before, path);
        Said {
            pins: changed_pins(before, after),
            immutable: kustomizations.into_iter().any(|kustomization| is_more(&kustomization.path)),
        }
    }
}

/// How many generators, or options of all of them, ask for what is immutable.
fn immutables(kustomization: &Value) -> usize {
    let lists = ["configMapGenerator", "secretGenerator"].map(|list| &kustomization[list]);
    let generators = lists.into_iter().filter_map(Value::as_array).flatten();
    let options = generators.map(|generator| &generator["options"]);
    options.chain([&kustomization["generatorOptions"]]).filter(|options| options["immutable"] == true).count()
}

/// The first thing that is not as wanted.
pub(super) fn difference(old: &str, new: &str, wanted: &[WantedObject], said: &Said) -> Option<String> {
    let (Some(old), Some(mut new)) = (objects(old), objects(new)) else {
        return Some("what it builds cannot be read".to_owned());
    };
    let called: BTreeSet<String> = new.keys().map(|names| names.2.clone()).collect();
    for (names, values) in old {
        for value in values {
            let namespace = namespace(&value);
            let Some(after) = take(&mut new, &names, namespace.as_deref()) else {
                return Some(format!("{}/{} is gone", names.1, names.2));
            };
            let Some(mut expected) = expected(&value, &names, namespace.as_deref(), wanted) else {
                return Some(format!("{}/{}: the change cannot be followed", names.1, names.2));
            };
            take_written(&mut expected, &after, &said.pins, &called);
            let is_generated = matches!(&*names.1, "ConfigMap" | "Secret")
                && !wanted.iter().any(|object| object.kind == names.1 && object.name == names.2);
            if said.immutable && is_generated && expected.get("immutable").is_none() {
                expected["immutable"] = after["immutable"].clone();
            }
            if !same_but_for_order(&expected, &after) {
                return Some(format!("{}/{} changes otherwise than wanted", names.1, names.2));
            }
        }
    }
    let is_wanted = |names: &Names| {
        wanted.iter().any(|object| {
            object.before.is_none() && (group(&object.api_version), &*object.kind) == (&*names.0, &*names.1)
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
        let names = (group(&text("/apiVersion")).to_owned(), text("/kind"), text("/metadata/name"));
        objects.entry(names).or_default().push(value);
    }
    Some(objects)
}

/// Nothing for the group that has no name.
fn group(api_version: &str) -> &str {
    api_version.rsplit_once('/').map_or("", |(group, _)| group)
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
        (group(&object.api_version), &*object.kind, &*object.name) == (&*names.0, &*names.1, &*names.2)
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

/// Takes what kustomize itself writes into objects as it is: images that a kustomization pins now, and what other
/// objects of the build are `called` by prefixes and suffixes.
fn take_written(expected: &mut Value, after: &Value, pins: &BTreeSet<String>, called: &BTreeSet<String>) {
    match (expected, after) {
        (Value::String(name), Value::String(built))
            if !name.is_empty() && built.contains(name.as_str()) && called.contains(built) =>
        {
            name.clone_from(built);
        }
        (Value::Object(expected), Value::Object(after)) => {
            for (key, value) in expected {
                match after.get(key) {
                    Some(Value::String(image)) if key == "image" => {
                        let pinned = image.rsplit_once('@').map(|(_, digest)| digest);
                        if pinned.is_some_and(|digest| pins.contains(digest)) {
                            *value = Value::String(image.clone());
                        }
                    }
                    Some(after) => take_written(value, after, pins, called),
                    None => {}
                }
            }
        }
        (Value::Array(expected), Value::Array(after)) => {
            for (idx, value) in expected.iter_mut().enumerate() {
                let is_named =
                    |item: &&Value| item.get("name").is_some_and(|name| value.get("name") == Some(name));
                if let Some(item) = after.iter().find(is_named).or_else(|| after.get(idx)) {
                    take_written(value, item, pins, called);
                }
            }
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
        assert_eq!(difference(OLD, new, &[wanted], &Said::default()).as_deref(), expected);
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

    #[test]
    fn what_kustomize_calls_others_is_taken_as_it_is() {
        let mut expected = json!([{"name": "a", "secretName": "pass", "x": "pass"}, {"name": "b"}]);
        let called = BTreeSet::from(["demo-pass".to_owned()]);
        let after = json!([{"name": "b"}, {"name": "a", "secretName": "demo-pass", "x": "other-pass"}]);
        take_written(&mut expected, &after, &BTreeSet::new(), &called);
        assert_eq!(expected, json!([{"name": "a", "secretName": "demo-pass", "x": "pass"}, {"name": "b"}]));
    }

    #[test]
    fn generated_objects_become_immutable_where_kustomizations_say_so() {
        let old = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c-1\n";
        let new = format!("{old}immutable: true\n");
        let said = |immutable| Said { immutable, ..Said::default() };
        assert_eq!(difference(old, &new, &[], &said(true)), None);
        let refused = "ConfigMap/c-1 changes otherwise than wanted";
        assert_eq!(difference(old, &new, &[], &said(false)).as_deref(), Some(refused));
    }

    #[test]
    fn options_of_generators_are_counted() {
        let options = json!({"immutable": true});
        let generator = json!([{"name": "a", "options": options}, {"name": "b"}]);
        assert_eq!(immutables(&json!({"generatorOptions": options, "configMapGenerator": generator})), 2);
    }
}
