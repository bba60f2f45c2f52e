//! Which value of a chart decides a place in what it renders.
//!
//! A mapping that comes out around the place, or a value with the name of the field. Every answer is only a candidate,
//! to be proved by rendering.

use std::cell::OnceCell;

use serde_json::{Value, json};

use crate::helm::concrete::{Render, Renders};
use crate::helm::landing::{self, Landing, last};
use crate::pointer::within;
use crate::rules::Change;

/// More candidates than any chart has for one field.
const MOST: usize = 24;

pub(super) struct Knobs<'k> {
    chart: &'k dyn Renders,
    values: Value,
    render: &'k Render,
    landings: OnceCell<Vec<Landing>>,
}

impl<'k> Knobs<'k> {
    pub(super) fn new(chart: &'k dyn Renders, values: Value, render: &'k Render) -> Knobs<'k> {
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
        let landed = landed.map(move |landing| lifted(landing, change));
        landed.chain(self.named(wanted, change)).take(MOST)
    }

    /// The value that comes out at a place of an object.
    pub(super) fn source(&self, object: usize, pointer: &str) -> Option<String> {
        let is_around = |landing: &&Landing| landing.object == object && within(pointer, &landing.pointer);
        let landing = self.landings().iter().find(is_around)?;
        Some(format!("{}{}", landing.values, &pointer[landing.pointer.len()..]))
    }

    fn landings(&self) -> &[Landing] {
        self.landings.get_or_init(|| landing::contexts(self.chart, &self.values, self.render))
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

/// The change of the values that come out where the change of an object is.
fn lifted(landing: &Landing, change: &Change) -> Vec<Change> {
    let own = change.moved(|pointer| format!("{}{}", landing.values, &pointer[landing.pointer.len()..]));
    landing.switch.iter().map(|switch| Change::set(switch.as_str(), true)).chain([own]).collect()
}

fn is_named(value: &str, field: &str) -> bool {
    value.eq_ignore_ascii_case(field)
        || field == "automountServiceAccountToken" && matches!(value, "automount" | "automountToken")
}
