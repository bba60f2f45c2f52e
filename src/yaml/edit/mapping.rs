//! Which keys of a mapping change, go and come, and where those that come are put.
//!
//! How a key is written is left to the block and flow parts.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

use super::super::Slot;
use super::super::source::{column, starts_line};
use super::super::value::{Lockstep, same};
use super::{Editor, Place, Refusal, Shape, Site};

/// An entry of a mapping.
pub(super) struct Entry<'s> {
    pub(super) key: u32,
    pub(super) value: u32,
    pub(super) name: Cow<'s, str>,
    pub(super) is_merge: bool,
    pub(super) deleted: bool,
}

/// A key to add, and the old entry it comes behind.
pub(super) struct Addition<'v> {
    pub(super) after: Option<usize>,
    pub(super) name: &'v str,
    pub(super) value: &'v Value,
}

/// From this many keys on, alphabetical order is taken for intended.
const SORTED_KEYS: usize = 4;

impl<'s> Editor<'s> {
    pub(super) fn mapping(
        &mut self,
        node: u32,
        site: Site,
        old: &Map<String, Value>,
        wanted: &Map<String, Value>,
    ) -> Result<(), Refusal> {
        let mut entries = self.entries(node);
        self.refuse_long_keys(node, &entries)?;
        let merged = self.merged(&entries)?;
        if self.shape(node) == Shape::BarePair && !entries.iter().map(|entry| &entry.name).eq(wanted.keys()) {
            // It has no braces to add to.
            self.refuse_if_others_point_inside(node)?;
            self.replace(node, site, &Value::Object(wanted.clone()));
            return Ok(());
        }
        self.change_entries(&mut entries, &merged, old, wanted)?;
        // Without merge keys, the old value has just the mapping's own keys.
        let own: Option<HashSet<&str>> = (!merged.is_empty()).then(|| {
            entries.iter().filter(|entry| !entry.is_merge).map(|entry| entry.name.as_ref()).collect()
        });
        let is_own = |key: &str| own.as_ref().map_or_else(|| old.contains_key(key), |own| own.contains(key));
        let missing = |(key, value): &(&String, &Value)| {
            !is_own(key) && !merged.get(*key).is_some_and(|(value_of, _)| same(value_of, value))
        };
        let missing: Vec<(&str, &Value)> =
            wanted.iter().filter(missing).map(|(key, value)| (key.as_str(), value)).collect();
        if let Some((key, (_, is_new))) =
            merged.iter().find(|(key, _)| !wanted.contains_key(*key) && !is_own(key))
        {
            return Err(self.merged_refusal(key, *is_new, &entries));
        }
        if missing.is_empty() && !entries.iter().any(|entry| entry.deleted) {
            return Ok(());
        }
        let is_block = self.shape(node) == Shape::BlockMapping;
        if entries.iter().all(|entry| entry.deleted) {
            self.refuse_if_others_point_inside(node)?;
            self.replace(node, site, &Value::Object(wanted.clone()));
            return Ok(());
        }
        let additions = self.place(&entries, missing, &merged);
        if is_block {
            self.refuse_tabs(self.stream.entry_start(entries[0].key))?;
            self.block_mapping(node, &entries, &additions);
        } else {
            self.flow_mapping(node, &entries, &additions);
        }
        Ok(())
    }

    fn entries(&self, node: u32) -> Vec<Entry<'s>> {
        let stream = self.stream;
        let entries = stream.arena.entries(node).map(|(key, value)| Entry {
            key,
            value,
            // Keys that cannot be decoded were refused with the document.
            name: stream.key_of(key).unwrap_or_default(),
            is_merge: stream.is_merge(key),
            deleted: false,
        });
        entries.collect()
    }

    /// Recurses into the keys that stay, marks those that go.
    fn change_entries(
        &mut self,
        entries: &mut [Entry<'s>],
        merged: &BTreeMap<String, (Value, bool)>,
        old: &Map<String, Value>,
        wanted: &Map<String, Value>,
    ) -> Result<(), Refusal> {
        let duplicates = if old.len() == entries.len() { HashSet::new() } else { duplicates(entries) };
        let (mut old, mut wanted) = (Lockstep::new(old), Lockstep::new(wanted));
        let last_merge = entries.iter().rposition(|entry| entry.is_merge);
        for (index, entry) in entries.iter_mut().enumerate().filter(|(_, entry)| !entry.is_merge) {
            let (before, after) = (old.get(&entry.name), wanted.get(&entry.name));
            let unchanged = match (before, after) {
                (Some(before), Some(after)) => same(before, after),
                (before, after) => before.is_none() && after.is_none(),
            };
            if unchanged {
                continue;
            }
            let (key, value, name) = (entry.key, entry.value, entry.name.clone().into_owned());
            let is_merged = merged.contains_key(&name);
            if duplicates.contains(&name) {
                return Err(Refusal::DuplicateKey { at: self.at(&name) });
            }
            // The decoder lets a later `<<` overwrite this key, and an earlier one shine through without it.
            if is_merged && (after.is_none() || last_merge.is_some_and(|merge| merge > index)) {
                return Err(Refusal::Merged { at: self.at(&name) });
            }
            match (before, after) {
                (Some(before), Some(after)) => {
                    let site = self.value_site(key);
                    self.path.push(name);
                    self.reconcile(value, site, before, after)?;
                    self.path.pop();
                }
                _ => {
                    self.path.push(name);
                    self.refuse_if_others_point_inside(value)?;
                    self.path.pop();
                    entry.deleted = true;
                }
            }
        }
        Ok(())
    }

    /// `{several\n words: x}`: what parsers make of such a key depends on what stands around it.
    fn refuse_long_keys(&self, node: u32, entries: &[Entry]) -> Result<(), Refusal> {
        if !self.shape(node).is_flow_collection() {
            return Ok(());
        }
        match entries.iter().find(|entry| self.stream.is_long_key(entry.key)) {
            Some(entry) => {
                let reason = "a key of several lines is in the way";
                Err(Refusal::Unsupported { at: self.at(&entry.name), reason })
            }
            None => Ok(()),
        }
    }

    pub(super) fn value_site(&self, key: u32) -> Site {
        let stream = self.stream;
        let end = stream.arena.raw(key).end as usize;
        let lead = stream.arena.colon(&stream.text, key).map_or(end, |colon| colon + 1);
        let parent = *self.ancestors.last().expect("a value has a mapping around it");
        let place = match self.shape(parent) {
            Shape::BlockMapping => Place::Value { column: column(&stream.text, stream.entry_start(key)) },
            _ => Place::Flow,
        };
        Site { lead, place }
    }

    /// Decides behind which old entry each new key goes.
    fn place<'v>(
        &self,
        entries: &[Entry],
        missing: Vec<(&'v str, &'v Value)>,
        merged: &BTreeMap<String, (Value, bool)>,
    ) -> Vec<Addition<'v>> {
        // Old entries that stay (by index) and new ones, in the order they will have.
        let mut line_up: Vec<(Result<usize, usize>, &str)> = entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| !entry.deleted)
            .map(|(index, entry)| (Ok(index), entry.name.as_ref()))
            .collect();
        let own: Vec<&str> =
            entries.iter().filter(|entry| !entry.is_merge).map(|entry| entry.name.as_ref()).collect();
        let is_sorted = own.len() >= SORTED_KEYS && own.windows(2).all(|pair| pair[0] < pair[1]);
        let first_is_free = self.first_place_is_free(entries);
        let at = self.here();
        for (new, (name, _)) in missing.iter().enumerate() {
            let mut slot = if is_sorted {
                line_up.iter().position(|(_, other)| other > name).unwrap_or(line_up.len())
            } else {
                let existing: Vec<&str> = line_up.iter().map(|(_, name)| *name).collect();
                match self.order.slot(&at, &existing, name) {
                    Slot::First => 0,
                    Slot::After(index) => (index + 1).min(line_up.len()),
                    Slot::Last => line_up.len(),
                }
            };
            // New keys that share a place stay in the order they are wanted in.
            while !is_sorted && line_up.get(slot).is_some_and(|(entry, _)| entry.is_err()) {
                slot += 1;
            }
            if slot == 0 && !first_is_free {
                slot = 1;
            }
            if merged.contains_key(*name) {
                // Only behind the merge key does an own key count.
                let merge =
                    line_up.iter().rposition(|(entry, _)| entry.is_ok_and(|index| entries[index].is_merge));
                slot = slot.max(merge.map_or(0, |merge| merge + 1));
            }
            line_up.insert(slot, (Err(new), name));
        }
        let mut additions = Vec::with_capacity(missing.len());
        let mut after = None;
        for (entry, _) in line_up {
            match entry {
                Ok(index) => after = Some(index),
                Err(new) => additions.push(Addition { after, name: missing[new].0, value: missing[new].1 }),
            }
        }
        additions
    }

    /// Whether a key may come first, above the comment on today's first: not in front of what shares its line
    /// with a dash.
    fn first_place_is_free(&self, entries: &[Entry]) -> bool {
        let Some(first) = entries.first() else { return true };
        let parent = *self.ancestors.last().expect("called inside a mapping");
        if self.shape(parent) != Shape::BlockMapping {
            return true;
        }
        !first.deleted && starts_line(self.text(), self.stream.entry_start(first.key))
    }
}

/// Names that several keys have.
fn duplicates(entries: &[Entry<'_>]) -> HashSet<String> {
    let mut count: HashMap<&str, usize> = HashMap::new();
    for entry in entries.iter().filter(|entry| !entry.is_merge) {
        *count.entry(&entry.name).or_default() += 1;
    }
    count.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name.to_owned()).collect()
}
