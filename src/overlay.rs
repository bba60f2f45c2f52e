//! Patches that make one value of an object another, for builds that do not own the object.
//!
//! ```text
//! before, after ──> delta (strategic merge) or steps (JSON 6902) ──> text of a patch
//! ```
//!
//! A patch is proved when it is made: applied to `before`, it gives `after`. Knows Kustomize's two forms of patches
//! and nothing of rules, plans or files.

mod component;
mod delta;
mod steps;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

pub use self::component::{Component, ComponentFile, WantedObject, changes, component};
pub use self::delta::delta;
use crate::model::KubernetesOrder;
use crate::model::strategic_merge::{has_merge_keys, merge_object, same_but_for_order};
use crate::repo::LIMITS;
use crate::template::{PatchedObject, RenderedFile, TemplateError, Templates};
use crate::yaml::Stream;

/// A patch, and how a kustomization names its target.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectPatch {
    pub text: String,
    /// For `patches[].target`; `None` where the patch names its object itself.
    pub target: Option<Value>,
}

/// Why there is no patch.
#[derive(Debug, thiserror::Error)]
pub enum Unpatchable {
    #[error("no patch can say this change of {kind}/{name}")]
    NotSayable { kind: String, name: String },
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// The patch that makes `after` of `before`: strategic merge where kustomize knows the kind's types, because an RFC
/// 6902 `add` would replace what somebody else adds meanwhile; JSON 6902 elsewhere, because a strategic merge would
/// replace lists there.
///
/// # Errors
/// When no patch says it, or the template for it is broken.
pub fn patch(
    templates: &Templates,
    object: &PatchedObject<'_>,
    before: &Value,
    after: &Value,
) -> Result<ObjectPatch, Unpatchable> {
    let refused = || Unpatchable::NotSayable { kind: object.kind.to_owned(), name: object.name.to_owned() };
    // A merge finds its object by the version too, so it cannot change that.
    if has_merge_keys(object.api_version)
        && before.get("apiVersion") == after.get("apiVersion")
        && let Some(delta) = delta(before, after)
        && is_proved(before, &delta, after)
    {
        let start = templates.patch(object)?;
        let text = extended(&start, &with_body(&start.value, delta)).ok_or_else(refused)?;
        return Ok(ObjectPatch { text, target: None });
    }
    let steps = steps::steps(before, after).ok_or_else(refused)?;
    let start = templates.steps(object.api_version)?;
    let mut wanted = start.value.clone();
    wanted.as_array_mut().ok_or_else(refused)?.extend(steps);
    let text = extended(&start, &wanted).ok_or_else(refused)?;
    Ok(ObjectPatch { text, target: Some(target(object)) })
}

/// The patch that takes an object away, which kustomize knows for all kinds.
fn deletion(templates: &Templates, object: &PatchedObject<'_>) -> Result<ObjectPatch, Unpatchable> {
    let start = templates.patch(object)?;
    let text = extended(&start, &with_body(&start.value, json!({"$patch": "delete"})));
    let refused = || Unpatchable::NotSayable { kind: object.kind.to_owned(), name: object.name.to_owned() };
    Ok(ObjectPatch { text: text.ok_or_else(refused)?, target: None })
}

/// The version stays out: the patch itself tests it, and is loud where it has changed.
fn target(object: &PatchedObject<'_>) -> Value {
    let mut target = Map::new();
    if let Some((group, _)) = object.api_version.rsplit_once('/') {
        target.insert("group".to_owned(), json!(group));
    }
    target.insert("kind".to_owned(), json!(object.kind));
    target.insert("name".to_owned(), json!(quoted(object.name)));
    target.extend(object.namespace.map(|namespace| ("namespace".to_owned(), json!(quoted(namespace)))));
    Value::Object(target)
}

/// A name as the regular expression that means it.
fn quoted(name: &str) -> String {
    name.replace('.', "\\.")
}

/// Whether the delta makes `after` of `before`. Merging puts new items of a list in front, where their order means
/// nothing.
fn is_proved(before: &Value, delta: &Value, after: &Value) -> bool {
    let mut merged = before.clone();
    merge_object(&mut merged, delta);
    same_but_for_order(&merged, after)
}

/// What a patch starts with, and what it is to say.
pub fn with_body(start: &Value, delta: Value) -> Value {
    let mut wanted = start.clone();
    merge_maps(&mut wanted, delta);
    wanted
}

fn merge_maps(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                match into.get_mut(&key) {
                    Some(known) => merge_maps(known, value),
                    None => drop(into.insert(key, value)),
                }
            }
        }
        (into, from) => *into = from,
    }
}

/// What a patch's file is called without its ending: `harden-deployment-web`.
pub fn file_stem(purpose: &str, kind: &str, name: &str) -> String {
    let plain = |char: char| match char.to_ascii_lowercase() {
        char if char.is_ascii_alphanumeric() || matches!(char, '-' | '.') => char,
        _ => '-',
    };
    [purpose, kind, name]
        .iter()
        .filter(|part| !part.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join("-")
        .chars()
        .map(plain)
        .collect()
}

/// A path in a folder that nothing has yet, and that is taken from now on: `stem` itself, or with the namespace or a
/// number behind it.
pub fn free_path(folder: &str, stem: &str, namespace: Option<&str>, taken: &mut BTreeSet<String>) -> String {
    let numbers = (2..).map(|number: usize| number.to_string());
    let endings = [String::new()].into_iter().chain(namespace.map(str::to_owned)).chain(numbers);
    let mut paths = endings.map(|ending| {
        let dash = if ending.is_empty() { "" } else { "-" };
        let slash = if folder.is_empty() { "" } else { "/" };
        format!("{folder}{slash}{stem}{dash}{ending}.yaml")
    });
    let path = paths.find(|path| !taken.contains(path)).expect("there are more numbers than files");
    taken.insert(path.clone());
    path
}

/// The text of a file with more in it, in the style of what it starts with.
pub fn extended(start: &RenderedFile, wanted: &Value) -> Option<String> {
    let stream = Stream::parse(start.text.clone(), &LIMITS).ok()?;
    let edits = stream.edits_from(0, &start.value, wanted, &KubernetesOrder).ok()?;
    let proved = stream.prove(stream.apply(edits), &[Some(wanted)], 0).ok()?;
    Some(proved.into_text())
}

#[cfg(test)]
mod tests;
