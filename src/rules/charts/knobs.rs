//! Which value of a chart decides a place in what it renders.
//!
//! Nothing is read out of templates by their looks. Values that the templates asked for are given a mark, and where
//! the mark comes out is what they decide; or they carry the name of the field. Every answer is only a candidate, to
//! be proved by rendering.

use std::cell::OnceCell;

use serde_json::{Value, json};

use super::changed;
use crate::helm::Chart;
use crate::helm::concrete::Render;
use crate::pointer::within;
use crate::rules::Change;

/// A key that no chart has.
const MARK: &str = "casehardenMark";

/// More candidates than any chart has for one field.
const MOST: usize = 24;

pub(super) struct Knobs<'k> {
    chart: &'k Chart,
    values: Value,
    render: &'k Render,
    landings: OnceCell<Vec<Landing>>,
}

/// A mapping of the values that comes out in an object as it is, with what may be added to it.
#[derive(Debug)]
struct Landing {
    values: String,
    object: usize,
    pointer: String,
    /// A switch of the mapping's own that has to be on.
    switch: Option<String>,
}

impl<'k> Knobs<'k> {
    pub(super) fn new(chart: &'k Chart, values: Value, render: &'k Render) -> Knobs<'k> {
        Knobs { chart, values, render, landings: OnceCell::new() }
    }

    /// Changes of values that may make a change of an object, the best first. `wanted` is the whole object as it
    /// should be.
    pub(super) fn candidates<'c>(
        &'c self,
        object: usize,
        wanted: &'c Value,
        change: &'c Change,
    ) -> impl Iterator<Item = Vec<Change>> + 'c {
        let landed = self
            .landings()
            .iter()
            .filter(move |landing| landing.object == object && within(change.pointer(), &landing.pointer));
        let landed = landed.map(move |landing| landing.change(change));
        landed.chain(self.named(wanted, change)).take(MOST)
    }

    /// The value that comes out at a place of an object.
    pub(super) fn source(&self, object: usize, pointer: &str) -> Option<String> {
        let is_around = |landing: &&Landing| landing.object == object && within(pointer, &landing.pointer);
        let landing = self.landings().iter().find(is_around)?;
        Some(format!("{}{}", landing.values, &pointer[landing.pointer.len()..]))
    }

    fn landings(&self) -> &[Landing] {
        self.landings.get_or_init(|| {
            let is_context = |read: &&String| {
                last(read).to_ascii_lowercase().contains("securitycontext") || self.is_like_a_context(read)
            };
            let contexts = self.render.reads.iter().filter(is_context);
            let mut landings: Vec<Landing> = contexts.flat_map(|read| self.land(read)).collect();
            // What is nearer to the place is more about it.
            landings.sort_by_key(|landing| std::cmp::Reverse((landing.pointer.len(), landing.values.len())));
            landings
        })
    }

    fn is_like_a_context(&self, read: &str) -> bool {
        const FIELDS: [&str; 6] = [
            "allowPrivilegeEscalation",
            "runAsNonRoot",
            "readOnlyRootFilesystem",
            "capabilities",
            "seccompProfile",
            "fsGroup",
        ];
        let value = self.values.pointer(read).and_then(Value::as_object);
        value.is_some_and(|map| FIELDS.iter().any(|field| map.contains_key(*field)))
    }

    /// Where a mapping comes out.
    fn land(&self, values: &str) -> Vec<Landing> {
        let is_map = self.values.pointer(values).is_none_or(|value| value.is_object() || value.is_null());
        if !is_map {
            return Vec::new();
        }
        let mark = Change::set(format!("{values}/{MARK}"), MARK);
        let found = self.marked(values, std::slice::from_ref(&mark), None);
        if !found.is_empty() {
            return found;
        }
        let switch = format!("{values}/enabled");
        match self.values.pointer(&switch) {
            Some(Value::Bool(false)) => {
                self.marked(values, &[mark, Change::set(switch.as_str(), true)], Some(&switch))
            }
            _ => Vec::new(),
        }
    }

    fn marked(&self, values: &str, changes: &[Change], switch: Option<&str>) -> Vec<Landing> {
        let Some(marked) = changed(&self.values, changes) else { return Vec::new() };
        let Ok(render) = self.chart.rendered(&marked) else { return Vec::new() };
        if render.objects.len() != self.render.objects.len() {
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
                switch: switch.map(str::to_owned),
            }));
        }
        landings
    }

    /// Values that are called as the field is, or as what it is in.
    fn named(&self, wanted: &Value, change: &Change) -> Vec<Vec<Change>> {
        let pointer = change.pointer();
        if let Change::Append { value, .. } = change {
            let name = last(pointer).to_ascii_lowercase();
            let fits = |read: &&String| {
                last(read).to_ascii_lowercase().ends_with(&name)
                    && self.values.pointer(read).is_none_or(|value| value.is_array() || value.is_null())
            };
            let lists = self.render.reads.iter().filter(fits);
            return lists.map(|read| vec![Change::append(read.as_str(), value.clone())]).collect();
        }
        let mut candidates = Vec::new();
        let start = pointer
            .rfind("/securityContext/")
            .map_or_else(|| pointer.rfind('/').unwrap_or_default(), |at| at + "/securityContext".len());
        let ends = pointer[start + 1..].match_indices('/').map(|(at, _)| start + 1 + at);
        for end in ends.chain([pointer.len()]) {
            let at = &pointer[..end];
            let value = wanted.pointer(at).cloned().unwrap_or(json!(false));
            for read in self.render.reads.iter().filter(|read| is_named(last(read), last(at))) {
                let is_kind = self.values.pointer(read).is_none_or(|known| {
                    known.is_null() || std::mem::discriminant(known) == std::mem::discriminant(&value)
                });
                if is_kind {
                    candidates.push(vec![Change::set(read.as_str(), value.clone())]);
                }
            }
        }
        candidates
    }
}

impl Landing {
    fn change(&self, change: &Change) -> Vec<Change> {
        let at = |pointer: &str| format!("{}{}", self.values, &pointer[self.pointer.len()..]);
        let own = match change {
            Change::Set { pointer, value } => Change::set(at(pointer), value.clone()),
            Change::Remove { pointer } => Change::remove(at(pointer)),
            Change::Append { list, value } => Change::append(at(list), value.clone()),
        };
        self.switch.iter().map(|switch| Change::set(switch.as_str(), true)).chain([own]).collect()
    }
}

fn last(pointer: &str) -> &str {
    pointer.rsplit('/').next().unwrap_or_default()
}

fn is_named(value: &str, field: &str) -> bool {
    value.eq_ignore_ascii_case(field)
        || field == "automountServiceAccountToken" && matches!(value, "automount" | "automountToken")
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
                at.push_str(&crate::pointer::token(key));
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
