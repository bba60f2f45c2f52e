//! How a document is laid out: indents, dashes, quotes. What is added follows it.
//!
//! Looks at what is nearest first, then at the document, then at the stream. Writes nothing.

use super::Stream;
use super::arena::Shape;
use super::scalar::{Quotes, is_plain};
use super::source::column;

/// How a block sequence stands below its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct DashStyle {
    /// Columns between the key and the dash: 0 or the indent step.
    pub(super) offset: usize,
    /// Columns from the dash to the item.
    pub(super) width: usize,
}

/// What a whole document or stream mostly does.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Layout {
    pub(super) step: Option<usize>,
    pub(super) dash: Option<DashStyle>,
    /// Whether lists of scalars are mostly written `[a, b]`.
    pub(super) flow_lists: bool,
    /// Whether lists of scalars inside JSON stand on one line.
    pub(super) inline_json_lists: bool,
}

impl Stream {
    /// The layout of nodes `from..to`.
    pub(super) fn layout_of(&self, from: u32, to: u32) -> Layout {
        let mut steps = Votes::default();
        let mut dashes = Votes::default();
        let (mut flow, mut block, mut one_line, mut many_lines) = (0usize, 0usize, 0usize, 0usize);
        for id in from..to {
            match self.arena.raw(id).shape {
                Shape::BlockMapping => {
                    for (key, value) in self.arena.entries(id) {
                        if let Some(step) = self.step_between(key, value) {
                            steps.add(step);
                        }
                        if let Some(dash) = self.dash_style(key, value) {
                            dashes.add(dash);
                        }
                    }
                }
                shape if shape.is_sequence() => {
                    let mut items = self.arena.children(id).peekable();
                    if items.peek().is_some() && items.all(|item| self.arena.raw(item).shape.is_scalar()) {
                        let lines = self.text[self.arena.range(id)].contains('\n');
                        match shape {
                            Shape::FlowSequence => flow += 1,
                            _ => block += 1,
                        }
                        if shape == Shape::FlowSequence {
                            *(if lines { &mut many_lines } else { &mut one_line }) += 1;
                        }
                    }
                }
                _ => {}
            }
        }
        Layout {
            step: steps.most(),
            dash: dashes.most(),
            flow_lists: flow > block,
            inline_json_lists: one_line > many_lines,
        }
    }

    /// Columns from a key to the block mapping below it.
    pub(super) fn step_between(&self, key: u32, value: u32) -> Option<usize> {
        let raw = self.arena.raw(value);
        if raw.shape != Shape::BlockMapping {
            return None;
        }
        let outer = column(&self.text, self.entry_start(key));
        column(&self.text, raw.start as usize).checked_sub(outer).filter(|step| *step > 0)
    }

    pub(super) fn dash_style(&self, key: u32, value: u32) -> Option<DashStyle> {
        let raw = self.arena.raw(value);
        if raw.shape != Shape::BlockSequence {
            return None;
        }
        let dash = column(&self.text, raw.start as usize);
        let offset = dash.checked_sub(column(&self.text, self.entry_start(key)))?;
        Some(DashStyle { offset, width: self.dash_width(value) })
    }

    /// Columns from the dashes of a block sequence to what stands behind them.
    pub(super) fn dash_width(&self, sequence: u32) -> usize {
        let dash = self.arena.raw(sequence).start as usize;
        let first = self.arena.outer_start(sequence + 1);
        let gap = &self.text[dash + 1..first.max(dash + 1)];
        if gap.is_empty() || gap.contains(['\n', '\t']) { 2 } else { gap.len() + 1 }
    }

    /// Quotes that the strings beside a new one agree on, where they would not have needed them.
    pub(super) fn quotes_of(&self, scalars: impl Iterator<Item = u32>, in_flow: bool) -> Option<Quotes> {
        let mut common = None;
        for id in scalars {
            let raw = self.arena.raw(id);
            let quotes = match raw.shape {
                Shape::Plain if self.resolved(id) == super::resolve::Resolved::Text => Quotes::Plain,
                Shape::Single | Shape::Double if !is_plain(&self.arena.scalar(&self.text, id), in_flow) => {
                    continue;
                }
                Shape::Single => Quotes::Single,
                Shape::Double => Quotes::Double,
                _ => continue,
            };
            if common.is_some_and(|common| common != quotes) {
                return Some(Quotes::Plain);
            }
            common = Some(quotes);
        }
        common
    }
}

/// Counts a handful of different things.
struct Votes<T>(Vec<(T, usize)>);

impl<T> Default for Votes<T> {
    fn default() -> Self {
        Votes(Vec::new())
    }
}

impl<T: PartialEq + Copy> Votes<T> {
    fn add(&mut self, vote: T) {
        if let Some((_, count)) = self.0.iter_mut().find(|(known, _)| *known == vote) {
            *count += 1;
        } else if self.0.len() < 32 {
            // Nobody indents in more ways than this; it keeps hostile files linear.
            self.0.push((vote, 1));
        }
    }

    /// The most frequent; the first seen of several.
    fn most(&self) -> Option<T> {
        let most = self.0.iter().map(|(_, count)| *count).max()?;
        self.0.iter().find(|(_, count)| *count == most).map(|(vote, _)| *vote)
    }
}
