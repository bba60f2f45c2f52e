//! Where values come out: mappings and lists of a chart's values that its templates put into objects as they are.
//!
//! Nothing is read out of templates by their looks. A value that the templates asked for is given a mark, and where
//! the mark is in what the chart renders then, is what the value decides.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::concrete::{Render, Renders};
use crate::pointer::{decoded, token};

/// A key, and an item, that no chart has.
const MARK: &str = "casehardenMark";

/// A value that comes out in an object, with what may be added to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landing {
    /// Pointer of the value.
    pub values: String,
    /// Index of the object.
    pub object: usize,
    /// Where in the object.
    pub pointer: String,
    /// A switch of the mapping's own that has to be on.
    pub switch: Option<String>,
}

/// Where security contexts of the values come out; what is nearest to a place in its object is first.
pub fn contexts(chart: &dyn Renders, values: &Value, render: &Render) -> Vec<Landing> {
    let is_context = |read: &&String| {
        last(read).to_ascii_lowercase().contains("securitycontext") || is_like_a_context(values.pointer(read))
    };
    // A mapping that is switched off is asked for no more than its switch.
    let switched = render.reads.iter().filter_map(|read| read.strip_suffix("/enabled").map(str::to_owned));
    let reads: BTreeSet<String> = render.reads.iter().cloned().chain(switched).collect();
    let contexts = reads.iter().filter(is_context);
    let mut landings: Vec<Landing> = contexts.flat_map(|read| context(chart, values, render, read)).collect();
    landings.sort_by_key(|landing| std::cmp::Reverse((landing.pointer.len(), landing.values.len())));
    landings
}

fn is_like_a_context(value: Option<&Value>) -> bool {
    const FIELDS: [&str; 6] = [
        "allowPrivilegeEscalation",
        "runAsNonRoot",
        "readOnlyRootFilesystem",
        "capabilities",
        "seccompProfile",
        "fsGroup",
    ];
    let map = value.and_then(Value::as_object);
    map.is_some_and(|map| FIELDS.iter().any(|field| map.contains_key(*field)))
}

fn context(chart: &dyn Renders, values: &Value, render: &Render, at: &str) -> Vec<Landing> {
    if !values.pointer(at).is_none_or(|value| value.is_object() || value.is_null()) {
        return Vec::new();
    }
    let mark = format!("{at}/{MARK}");
    let found = with_value(values, &mark, MARK.into())
        .map(|marked| marked_places(chart, &marked, render, at, None))
        .unwrap_or_default();
    if !found.is_empty() {
        return found;
    }
    let switch = format!("{at}/enabled");
    if values.pointer(&switch) != Some(&Value::Bool(false)) {
        return Vec::new();
    }
    let on = with_value(values, &switch, true.into()).and_then(|on| with_value(&on, &mark, MARK.into()));
    on.map(|marked| marked_places(chart, &marked, render, at, Some(switch))).unwrap_or_default()
}

/// Where lists of the values come out that are called as one of these.
pub fn lists(chart: &dyn Renders, values: &Value, render: &Render, names: &[&str]) -> Vec<Landing> {
    let is_one = |read: &&String| {
        let name = last(read).to_ascii_lowercase();
        names.iter().any(|end| name.ends_with(end))
            && values.pointer(read).is_none_or(|value| value.is_array() || value.is_null())
    };
    let mut landings = Vec::new();
    for read in render.reads.iter().filter(is_one) {
        let mut items = values.pointer(read).and_then(Value::as_array).cloned().unwrap_or_default();
        items.push(Value::Object(Map::from_iter([(MARK.to_owned(), MARK.into())])));
        let Some(marked) = with_value(values, read, items.into()) else { continue };
        let places = marked_places(chart, &marked, render, read, None);
        landings.extend(places.into_iter().filter_map(|landing| {
            let (list, _) = landing.pointer.rsplit_once('/')?;
            Some(Landing { pointer: list.to_owned(), ..landing })
        }));
    }
    landings
}

fn marked_places(
    chart: &dyn Renders,
    marked: &Value,
    before: &Render,
    values: &str,
    switch: Option<String>,
) -> Vec<Landing> {
    let Ok(render) = chart.rendered(marked) else { return Vec::new() };
    if render.objects.len() != before.objects.len() {
        return Vec::new();
    }
    let mut landings = Vec::new();
    for (object, rendered) in render.objects.iter().enumerate() {
        let mut pointers = Vec::new();
        marks(&rendered.value, &mut String::new(), &mut pointers);
        landings.extend(pointers.into_iter().map(|pointer| Landing {
            values: values.to_owned(),
            object,
            pointer,
            switch: switch.clone(),
        }));
    }
    landings
}

/// A value with another one at a place, and the mappings on the way to it; `None` where something else is in the way.
pub fn with_value(value: &Value, pointer: &str, wanted: Value) -> Option<Value> {
    let mut value = value.clone();
    let mut at = &mut value;
    for key in pointer.split('/').skip(1).map(decoded) {
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        at = match at {
            Value::Object(map) => map.entry(key).or_insert(Value::Null),
            Value::Array(items) => items.get_mut(key.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    *at = wanted;
    Some(value)
}

/// The last key on the way to a value.
pub fn last(pointer: &str) -> &str {
    pointer.rsplit('/').next().unwrap_or_default()
}

/// Pointers of the mappings that have the mark.
fn marks(value: &Value, at: &mut String, found: &mut Vec<String>) {
    let length = at.len();
    match value {
        Value::Object(map) => {
            if map.contains_key(MARK) {
                found.push(at.clone());
            }
            for (key, value) in map {
                at.push('/');
                at.push_str(&token(key));
                marks(value, at, found);
                at.truncate(length);
            }
        }
        Value::Array(items) => {
            for (idx, value) in items.iter().enumerate() {
                at.push_str(&format!("/{idx}"));
                marks(value, at, found);
                at.truncate(length);
            }
        }
        _ => {}
    }
}
