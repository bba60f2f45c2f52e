//! Changes of a rendered object, said in the patch that made it so.
//!
//! Knows the two forms of patches. Whether the changed patch does what it should is for the caller to check.

use serde_json::Value;

use crate::model::strategic_merge::merge_key;
use crate::model::{KubernetesOrder, Patch, PatchBody};
use crate::overlay;
use crate::plan::Planner;
use crate::pointer::{decoded, token, within};
use crate::repo::{LIMITS, PatchList, PatchReference, folder};
use crate::rules::{Change, Finding};
use crate::yaml::Stream;

/// Findings with changes of a patch, and the patch with all of them.
pub(super) struct Fixed {
    pub(super) file: usize,
    pub(super) document: usize,
    pub(super) findings: Vec<Finding>,
    pub(super) patch: Patch,
}

/// Says the changes of findings about a rendered object in a patch. `behind`: the object as the patch leaves it.
pub(super) fn fix(
    planner: &Planner<'_>,
    patch: &Patch,
    behind: &Value,
    rendered: &Value,
    findings: &[Finding],
) -> Option<Fixed> {
    let file = planner.model.repo().files.iter().position(|file| file.path == patch.path)?;
    let mut fixed = Vec::new();
    let mut wanted = patch.body.clone();
    for finding in findings {
        let (changes, changed) = match (&patch.body, wanted) {
            (PatchBody::Merge(body), PatchBody::Merge(so_far)) => {
                let after = with_changes(behind, finding)?;
                let more = overlay::delta(behind, &after)?;
                let changes = merged_in(body, &more);
                let changed = apply(&so_far, &changes)?;
                (changes, PatchBody::Merge(changed))
            }
            (PatchBody::Json(steps), PatchBody::Json(so_far)) => {
                let changes = in_steps(steps, finding)?;
                let changed = apply(&Value::Array(so_far), &changes)?;
                (changes, PatchBody::Json(changed.as_array()?.clone()))
            }
            _ => return None,
        };
        wanted = changed;
        let pointer = place(patch, &finding.pointer, rendered);
        fixed.push(Finding { changes, pointer, ..finding.clone() });
    }
    let mut changed = patch.clone();
    changed.body = wanted;
    if patch.is_inline {
        let text = inline_text(planner, patch, &changed)?;
        for finding in &mut fixed {
            finding.changes = vec![Change::set(inline_place(patch), text.clone())];
        }
    }
    Some(Fixed { file, document: document(patch), findings: fixed, patch: changed })
}

/// The document of its file that a patch stands in.
pub(super) fn document(patch: &Patch) -> usize {
    if patch.is_inline { 0 } else { patch.document }
}

/// Where an inline patch has its text.
fn inline_place(patch: &Patch) -> String {
    let entry = format!("/{}/{}", patch.list.key(), patch.index);
    if patch.list == PatchList::StrategicMerge { entry } else { format!("{entry}/patch") }
}

/// The text of an inline patch as it is to be.
fn inline_text(planner: &Planner<'_>, patch: &Patch, wanted: &Patch) -> Option<String> {
    let kustomization = planner.model.builds.kustomization(folder(&patch.path))?;
    let is_it = |entry: &&PatchReference| entry.list == patch.list && entry.index == patch.index;
    let text = kustomization.patches.iter().find(is_it)?.inline.clone()?;
    let stream = Stream::parse(text, &LIMITS).ok()?;
    let (old, new) = (value(&patch.body), value(&wanted.body));
    let edits = stream.edits_from(patch.document, &old, &new, &KubernetesOrder).ok()?;
    let mut all: Vec<Option<&Value>> = vec![None; stream.documents()];
    all[patch.document] = Some(&new);
    Some(stream.prove(stream.apply(edits), &all, 0).ok()?.into_text())
}

fn value(body: &PatchBody) -> Value {
    match body {
        PatchBody::Merge(merge) => merge.clone(),
        PatchBody::Json(steps) => Value::Array(steps.clone()),
    }
}

fn with_changes(object: &Value, finding: &Finding) -> Option<Value> {
    apply(object, &finding.changes)
}

fn apply(value: &Value, changes: &[Change]) -> Option<Value> {
    let mut changed = value.clone();
    for change in changes {
        let operations = change.operations(&changed, "");
        json_patch::patch(&mut changed, &operations).ok()?;
    }
    Some(changed)
}

/// The changes that merge one patch into another. What the one takes away that the other sets, goes from the other.
pub(super) fn merged_in(body: &Value, more: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    merge_into(body, more, "", &mut changes);
    changes
}

fn merge_into(body: &Value, more: &Value, at: &str, changes: &mut Vec<Change>) {
    let Value::Object(more) = more else {
        changes.push(Change::set(at, more.clone()));
        return;
    };
    for (key, value) in more {
        let pointer = format!("{at}/{}", token(key));
        match (body.get(key), value) {
            (Some(Value::Object(_)), Value::Object(_)) => {
                merge_into(&body[key], value, &pointer, changes);
            }
            (Some(Value::Array(known)), Value::Array(items)) => {
                merge_list(key, known, items, &pointer, changes);
            }
            (Some(known), value) if known == value => {}
            (Some(known), Value::Null) if !known.is_null() => changes.push(Change::remove(pointer)),
            // Leaf by leaf, so that fixes which need the same mapping make it together.
            (None, Value::Object(map)) if !map.is_empty() => {
                merge_into(&Value::Null, value, &pointer, changes);
            }
            _ => changes.push(Change::set(pointer, value.clone())),
        }
    }
}

fn merge_list(key: &str, known: &[Value], items: &[Value], at: &str, changes: &mut Vec<Change>) {
    let Some(merge_key) = merge_key(key, known.iter().chain(items)) else {
        changes.push(Change::set(at, items.to_vec()));
        return;
    };
    for item in items {
        match known.iter().position(|known| known[merge_key] == item[merge_key]) {
            Some(idx) => merge_into(&known[idx], item, &format!("{at}/{idx}"), changes),
            None => changes.push(Change::append(at, item.clone())),
        }
    }
}

/// The changes in the values of the steps that set what a finding is about.
fn in_steps(steps: &[Value], finding: &Finding) -> Option<Vec<Change>> {
    let said = |change: &Change| {
        let sets = |step: &Value| {
            let path = step["path"].as_str().unwrap_or_default();
            matches!(step["op"].as_str(), Some("add" | "replace")) && within(change.pointer(), path)
        };
        let idx = steps.iter().rposition(sets)?;
        let rest = change.pointer().strip_prefix(steps[idx]["path"].as_str()?)?;
        let at = format!("/{idx}/value{rest}");
        match change {
            Change::Set { value, .. } => Some(Change::set(at, value.clone())),
            // A step without its value is none.
            Change::Remove { .. } if rest.is_empty() => None,
            Change::Remove { .. } => Some(Change::remove(at)),
            Change::Append { value, .. } => Some(Change::append(at, value.clone())),
            // Text within a value is no pod's.
            Change::Item { .. } | Change::Inside { .. } | Change::Patched(_) => None,
        }
    };
    finding.changes.iter().map(said).collect()
}

/// Where a patch says what a pointer into the rendered object leads to, as far as it does.
pub(super) fn place(patch: &Patch, pointer: &str, rendered: &Value) -> String {
    match &patch.body {
        _ if patch.is_inline => inline_place(patch),
        PatchBody::Merge(body) => place_in_merge(body, pointer, rendered),
        PatchBody::Json(steps) => {
            let about = |step: &Value| {
                step["path"].as_str().is_some_and(|path| within(pointer, path) || within(path, pointer))
            };
            steps.iter().rposition(about).map_or_else(String::new, |idx| format!("/{idx}"))
        }
    }
}

fn place_in_merge(body: &Value, pointer: &str, rendered: &Value) -> String {
    let (mut at, mut body, mut rendered) = (String::new(), body, rendered);
    let mut list = String::new();
    for key in pointer.split('/').skip(1) {
        let next = match (body, rendered) {
            (Value::Array(items), Value::Array(known)) => {
                let Some(item) = key.parse().ok().and_then(|idx: usize| known.get(idx)) else { break };
                let Some(merge_key) = merge_key(&list, items.iter().chain([item])) else { break };
                let Some(idx) = items.iter().position(|other| other[merge_key] == item[merge_key]) else {
                    break;
                };
                rendered = item;
                (idx.to_string(), &items[idx])
            }
            _ => {
                let plain = decoded(key);
                let Some(inner) = body.get(&plain) else { break };
                rendered = rendered.get(&plain).unwrap_or(&Value::Null);
                (key.to_owned(), inner)
            }
        };
        at.push('/');
        at.push_str(&next.0);
        body = next.1;
        list = decoded(key);
    }
    at
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(body: Value, more: Value, expected: Value) {
        assert_eq!(apply(&body, &merged_in(&body, &more)), Some(expected));
    }

    #[test]
    fn containers_are_found_by_name_and_what_was_set_goes() {
        check(
            json!({"spec": {"containers": [{"name": "b", "securityContext": {"privileged": true, "x": 1}}]}}),
            json!({"spec": {"containers": [
                {"name": "b", "securityContext": {"privileged": null, "y": 2}},
                {"name": "c", "z": 3},
            ]}}),
            json!({"spec": {"containers": [
                {"name": "b", "securityContext": {"x": 1, "y": 2}},
                {"name": "c", "z": 3},
            ]}}),
        );
    }

    #[test]
    fn changes_that_need_one_mapping_do_not_clash() {
        let body = json!({"spec": {}});
        let more = json!({"spec": {"securityContext": {"a": 1, "b": {"c": 2}}}});
        let pointers: Vec<String> =
            merged_in(&body, &more).iter().map(|change| change.pointer().to_owned()).collect();
        assert_eq!(pointers, ["/spec/securityContext/a", "/spec/securityContext/b/c"]);
    }

    #[test]
    fn what_the_object_itself_sets_becomes_null() {
        check(json!({"spec": {}}), json!({"spec": {"hostPID": null}}), json!({"spec": {"hostPID": null}}));
    }

    #[test]
    fn lists_without_a_key_are_replaced() {
        check(
            json!({"spec": {"drop": ["A"]}}),
            json!({"spec": {"drop": ["A", "B"]}}),
            json!({"spec": {"drop": ["A", "B"]}}),
        );
    }

    #[test]
    fn a_place_is_found_by_the_names_of_items() {
        let body = json!({"spec": {"containers": [{"name": "b", "securityContext": {"privileged": true}}]}});
        let rendered = json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
        let place = |pointer| place_in_merge(&body, pointer, &rendered);
        assert_eq!(
            place("/spec/containers/1/securityContext/privileged"),
            "/spec/containers/0/securityContext/privileged"
        );
        assert_eq!(place("/spec/containers/0/securityContext"), "/spec/containers");
        assert_eq!(place("/spec/containers/1/image"), "/spec/containers/0");
    }
}
