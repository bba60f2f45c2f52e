//! The JSON 6902 patch between two values of an object.
//!
//! Paths into lists are numbers there: what stands at each number is tested first, so that a patch whose object has
//! changed fails and never hits another container.

use json_patch::PatchOperation;
use serde_json::{Value, json};

/// The steps that make `after` of `before`; `None` where they cannot be made.
pub(super) fn steps(before: &Value, after: &Value) -> Option<Vec<Value>> {
    let changes = json_patch::diff(before, after).0;
    let mut tests: Vec<Value> = Vec::new();
    for change in &changes {
        for test in tests_for(before, change.path().as_str()) {
            if !tests.contains(&test) {
                tests.push(test);
            }
        }
    }
    let changes = written(before, &changes)?;
    let steps: Vec<Value> = tests.into_iter().chain(changes).collect();
    is_proved(before, &steps, after).then_some(steps)
}

/// The names of the items that a path goes through.
fn tests_for(before: &Value, path: &str) -> Vec<Value> {
    let mut tests = Vec::new();
    for (end, _) in path.match_indices('/').skip(1) {
        let item = &path[..end];
        let Some((list, _)) = item.rsplit_once('/') else { continue };
        if before.pointer(list).is_some_and(Value::is_array)
            && let Some(name) = before.pointer(&format!("{item}/name"))
        {
            tests.push(json!({"op": "test", "path": format!("{item}/name"), "value": name}));
        }
    }
    tests
}

/// As people write them: what comes last in a list needs no number.
fn written(before: &Value, changes: &[PatchOperation]) -> Option<Vec<Value>> {
    let mut so_far = before.clone();
    let mut steps = Vec::new();
    for change in changes {
        let mut step = serde_json::to_value(change).ok()?;
        if let (PatchOperation::Add(_), Some((list, key))) = (change, change.path().as_str().rsplit_once('/'))
            && so_far
                .pointer(list)
                .and_then(Value::as_array)
                .is_some_and(|items| items.len().to_string() == key)
        {
            step["path"] = json!(format!("{list}/-"));
        }
        json_patch::patch(&mut so_far, std::slice::from_ref(change)).ok()?;
        steps.push(step);
    }
    Some(steps)
}

fn is_proved(before: &Value, steps: &[Value], after: &Value) -> bool {
    let operations: Result<Vec<PatchOperation>, _> =
        steps.iter().map(|step| serde_json::from_value(step.clone())).collect();
    let mut patched = before.clone();
    operations.is_ok_and(|operations| json_patch::patch(&mut patched, &operations).is_ok())
        && patched == *after
}
