//! Which items of a sequence change, go and come.

use serde_json::Value;

use super::super::scalar::Quotes;
use super::super::source::column;
use super::super::value::same;
use super::align::{Step, align};
use super::{Editor, Place, Refusal, Site};

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
}
