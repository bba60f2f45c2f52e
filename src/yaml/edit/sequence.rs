//! Which items of a sequence change, go and come.

use std::borrow::Cow;

use serde_json::Value;

use super::super::render::is_scalar;
use super::super::scalar::Quotes;
use super::super::source::column;
use super::super::value::same;
use super::align::{Step, align};
use super::{Editor, Place, Refusal, Shape, Site};

/// An item to add, and the old item it comes behind.
pub(super) struct NewItem<'v> {
    pub(super) after: Option<usize>,
    pub(super) value: &'v Value,
}

impl Editor<'_> {
    pub(super) fn sequence(
        &mut self,
        node: u32,
        site: Site,
        old: &[Value],
        wanted: &[Value],
    ) -> Result<(), Refusal> {
        let stream = self.stream;
        let items: Vec<u32> = stream.arena.children(node).collect();
        let is_block = self.shape(node) == super::Shape::BlockSequence;
        let dashes = if is_block { self.dashes(node, &items) } else { Vec::new() };
        let place = match dashes.first() {
            Some(dash) => Place::Item { column: column(&stream.text, *dash) },
            None => Place::Flow,
        };
        let mut deleted = vec![false; items.len()];
        let mut additions = Vec::new();
        let mut after = None;
        for step in align(old, wanted) {
            match step {
                Step::Keep(index) => after = Some(index),
                Step::Pair(from, to) => {
                    after = Some(from);
                    if same(&old[from], &wanted[to]) {
                        continue;
                    }
                    let lead =
                        if is_block { dashes[from] + 1 } else { stream.arena.outer_start(items[from]) };
                    self.path.push(from.to_string());
                    self.reconcile(items[from], Site { lead, place }, &old[from], &wanted[to])?;
                    self.path.pop();
                }
                Step::Delete(index) => {
                    self.path.push(index.to_string());
                    self.refuse_if_others_point_inside(items[index])?;
                    self.path.pop();
                    deleted[index] = true;
                }
                Step::Insert(index) => additions.push(NewItem { after, value: &wanted[index] }),
            }
        }
        if additions.is_empty() && !deleted.contains(&true) {
            return Ok(());
        }
        if !deleted.contains(&false) {
            self.replace(node, site, &Value::Array(wanted.to_vec()));
        } else if is_block {
            self.refuse_tabs(dashes[0])?;
            self.block_sequence(node, &items, &dashes, &deleted, &additions);
        } else {
            self.flow_sequence(node, &items, &deleted, &additions);
        }
        Ok(())
    }

    pub(super) fn dashes(&self, node: u32, items: &[u32]) -> Vec<usize> {
        let stream = self.stream;
        let previous = std::iter::once(None).chain(items.iter().copied().map(Some));
        previous.take(items.len()).map(|previous| stream.arena.dash(&stream.text, node, previous)).collect()
    }

    /// Quotes that the items of lists beside this one agree on: in the same mapping, else in the mappings of the list
    /// around it.
    pub(super) fn quotes_of_lists_beside(&self, in_flow: bool) -> Option<Quotes> {
        let arena = &self.stream.arena;
        let is_mapping = |id: &u32| self.shape(*id).is_mapping();
        let at = self.ancestors.iter().rposition(is_mapping)?;
        let items_of_lists = |mapping: u32| {
            let values = arena.entries(mapping).map(|(_, value)| value);
            let lists = values.filter(|value| self.shape(*value).is_sequence());
            lists.flat_map(|list| arena.children(list)).take(64)
        };
        let near = self.stream.quotes_of(items_of_lists(self.ancestors[at]), in_flow);
        near.or_else(|| {
            let list = *self.ancestors[..at].last().filter(|around| self.shape(**around).is_sequence())?;
            let mappings = arena.children(list).filter(is_mapping).take(64);
            self.stream.quotes_of(mappings.flat_map(items_of_lists), in_flow)
        })
    }

    /// The scalars in mappings that are items: values, and items of lists that are values.
    pub(super) fn scalars_within(&self, items: &[u32]) -> impl Iterator<Item = u32> {
        let arena = &self.stream.arena;
        let mappings = items.iter().copied().filter(|item| self.shape(*item).is_mapping());
        let values = mappings.flat_map(|item| arena.entries(item)).map(|(_, value)| value);
        let scalars = values.flat_map(|value| {
            let is_list = self.shape(value).is_sequence();
            let list = is_list.then(|| arena.children(value)).into_iter().flatten();
            std::iter::once(value).filter(move |_| !is_list).chain(list)
        });
        scalars.take(64)
    }

    /// A new item with its keys in the order that the last item has them in.
    pub(super) fn in_order_of<'v>(&self, items: &[u32], value: &'v Value) -> Cow<'v, Value> {
        let last = items.iter().rev().find(|item| self.shape(**item).is_mapping());
        let (Some(last), Some(map)) = (last, value.as_object()) else { return Cow::Borrowed(value) };
        let keys = self.stream.arena.entries(*last).filter_map(|(key, _)| self.stream.key_of(key).ok());
        let keys: Vec<Cow<'_, str>> = keys.take(64).collect();
        let mut rank = 0;
        let ranked = map.iter().map(|(key, value)| {
            // A key that the last item lacks stays behind the one it comes with.
            rank = keys.iter().position(|other| other == key).unwrap_or(rank);
            (rank, key, value)
        });
        let mut entries: Vec<_> = ranked.collect();
        entries.sort_by_key(|(rank, ..)| *rank);
        Cow::Owned(entries.into_iter().map(|(_, key, value)| (key.clone(), value.clone())).collect())
    }

    /// A new item on one line, where all items are flow mappings on one.
    pub(super) fn like_flow_items(&self, items: &[u32], value: &Value) -> Option<String> {
        let last = *items.last()?;
        let is_flow = items.iter().all(|item| self.shape(*item) == Shape::FlowMapping);
        let style = is_flow.then(|| self.flow_style(last)).filter(|style| style.lines.is_none())?;
        let fits = value.as_object().is_some_and(|map| !map.is_empty() && map.values().all(is_scalar));
        fits.then(|| style.value(value, "", self.eol))
    }
}
