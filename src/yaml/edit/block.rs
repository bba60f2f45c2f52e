//! Entries and items of block collections: taken out and put in by whole lines.
//!
//! Lines are removed with the line break in front of them and added behind the line of what they follow, so
//! removals and insertions at one place never overlap.

use std::ops::Range;

use super::super::layout::DashStyle;
use super::super::render::BlockStyle;
use super::super::scalar::Quotes;
use super::super::source::{column, line_end, line_start, next_line, starts_line};
use super::mapping::{Addition, Entry};
use super::sequence::NewItem;
use super::{Editor, Shape};

/// How many nodes are looked at for the nearest style, so that huge collections stay linear.
const NEAR: usize = 512;

/// Lines to add behind the part of this index, or in front of all.
struct Insertion {
    after: Option<usize>,
    lines: Vec<String>,
}

impl Editor<'_> {
    pub(super) fn block_mapping(&mut self, node: u32, entries: &[Entry], additions: &[Addition<'_>]) {
        let stream = self.stream;
        let parts: Vec<Range<usize>> = entries
            .iter()
            .map(|entry| stream.entry_start(entry.key)..stream.arena.raw(entry.value).end as usize)
            .collect();
        let deleted: Vec<bool> = entries.iter().map(|entry| entry.deleted).collect();
        let column = column(&stream.text, parts[0].start);
        let style = self.block_style(Some(entries));
        let insertions = additions.iter().map(|addition| {
            let mut lines = Vec::new();
            let place = &parts[addition.after.unwrap_or_default()];
            let style = BlockStyle { literals: self.takes_literal(place.end, column), ..style };
            style.entry(addition.name, addition.value, column, &mut lines);
            Insertion { after: addition.after, lines }
        });
        let insertions = insertions.collect();
        debug_assert_eq!(self.shape(node), Shape::BlockMapping);
        self.splice(&parts, &deleted, insertions, column);
    }

    pub(super) fn block_sequence(
        &mut self,
        node: u32,
        items: &[u32],
        dashes: &[usize],
        deleted: &[bool],
        additions: &[NewItem<'_>],
    ) {
        let stream = self.stream;
        let ends = items.iter().map(|item| stream.arena.raw(*item).end as usize);
        let parts: Vec<Range<usize>> = dashes.iter().zip(ends).map(|(dash, end)| *dash..end).collect();
        let column = column(&stream.text, dashes[0]);
        let mut style = self.block_style(None);
        style.dash.width = stream.dash_width(node);
        let own = stream.quotes_of(items.iter().copied(), false);
        let within = || stream.quotes_of(self.scalars_within(items), false);
        let quotes = own.or_else(within).or_else(|| self.quotes_of_lists_beside(false));
        style.quotes = quotes.unwrap_or(style.quotes);
        let insertions = additions.iter().map(|addition| {
            let mut lines = Vec::new();
            let place = &parts[addition.after.unwrap_or_default()];
            let style = BlockStyle { literals: self.takes_literal(place.end, column), ..style };
            let value = self.in_order_of(items, addition.value);
            match self.like_flow_items(items, &value) {
                Some(text) => lines.push(style.dashed(&text, column)),
                None => style.item(&value, column, &mut lines),
            }
            Insertion { after: addition.after, lines }
        });
        let insertions = insertions.collect();
        self.splice(&parts, deleted, insertions, column);
    }

    /// Takes out the deleted parts and puts in the insertions. At least one part stays.
    fn splice(
        &mut self,
        parts: &[Range<usize>],
        deleted: &[bool],
        insertions: Vec<Insertion>,
        column: usize,
    ) {
        let first_kept = deleted.iter().position(|deleted| !deleted).expect("one part stays");
        let shares_line = !starts_line(&self.stream.text, parts[0].start);
        let mut index = 0;
        while index < parts.len() {
            let run_end = (index..parts.len()).find(|at| !deleted[*at]).unwrap_or(parts.len());
            if run_end > index {
                if index == 0 && shares_line {
                    self.pull_up(parts[0].start, parts[first_kept].start, column);
                } else {
                    self.take_out(&parts[index..run_end], column);
                }
            }
            index = run_end + 1;
        }
        let stream = self.stream;
        let text = &stream.text;
        for Insertion { after, lines } in insertions {
            let lines = lines.join(self.eol);
            if let Some(after) = after {
                let at = self.end_of_part(&parts[after], column);
                self.insert(at, format!("{}{lines}", self.eol));
            } else if shares_line
                && (first_kept == 0 || !self.has_comments(parts[0].start..parts[first_kept].start))
            {
                self.insert(
                    parts[0].start,
                    format!("{}{}{}", lines.trim_start(), self.eol, " ".repeat(column)),
                );
            } else if first_kept > 0 && !shares_line && line_start(text, parts[0].start) > self.text_start() {
                let at = line_end(text, parts[first_kept - 1].end);
                self.insert(at, format!("{}{lines}", self.eol));
            } else {
                let at = self.above_comments(parts[first_kept].start, column);
                self.insert(at, format!("{lines}{}", self.eol));
            }
        }
    }

    fn text_start(&self) -> usize {
        line_start(&self.stream.text, super::super::source::skip_bom(&self.stream.text))
    }

    fn has_comments(&self, range: Range<usize>) -> bool {
        self.stream.comments_within(range).next().is_some()
    }

    /// Removes everything from the first part, which follows a dash on its line, to the first part that stays.
    fn pull_up(&mut self, from: usize, to: usize, column: usize) {
        if !self.has_comments(from..to) {
            self.change(from..to, "");
            return;
        }
        let stream = self.stream;
        let start = stream.text[..from].trim_end_matches([' ', '\t']).len();
        let end = line_start(&stream.text, to).saturating_sub(1).max(start);
        let end = line_end(&stream.text, end);
        let comments = self.comment_lines(stream.comments_within(from..to), column);
        self.change(start..end, comments);
    }

    /// Removes the lines of parts; their comments stay.
    fn take_out(&mut self, run: &[Range<usize>], column: usize) {
        let stream = self.stream;
        let text = &stream.text;
        let at_top = line_start(text, run[0].start) <= self.text_start();
        for part in run {
            let mut end = line_end(text, part.end);
            let comments = self.comment_lines(stream.comments_within(part.start..end), column);
            if at_top {
                let range = line_start(text, part.start)..next_line(text, end);
                let comments = comments.strip_prefix(self.eol).map(|lines| format!("{lines}{}", self.eol));
                self.change(range, comments.unwrap_or_default());
                continue;
            }
            let mut start = line_end_above(text, part.start);
            if comments.is_empty() && self.belongs_to_scalar(line_end_above(text, run[0].start)) {
                // Blank lines would become part of the `|+` above, whose last line needs its line break.
                if Some(part) == run.last() {
                    end = self.end_of_blanks(end);
                }
                if self.end_of_blanks(line_end(text, run[run.len() - 1].end)) == text.len() && part == &run[0]
                {
                    start = line_start(text, part.start);
                }
            } else if comments.is_empty() && run.len() == 1 && self.would_double_blank(start, end) {
                start = line_end_above(text, start);
            }
            self.change(start..end, comments);
        }
    }

    /// End of the last of the blank lines that follow.
    fn end_of_blanks(&self, mut end: usize) -> usize {
        let text = &self.stream.text;
        let mut line = next_line(text, end);
        while line < text.len() && text[line..line_end(text, line)].trim().is_empty() {
            end = line_end(text, line);
            line = next_line(text, line);
        }
        end
    }

    /// Whether a blank line ends at `above` and another one (or the text's end) follows `below`.
    fn would_double_blank(&self, above: usize, below: usize) -> bool {
        let text = &self.stream.text;
        let is_blank = |at: usize| text[line_start(text, at)..line_end(text, at)].trim().is_empty();
        let next = next_line(text, below);
        // The blank line above may be the end of a block scalar that keeps it.
        is_blank(above)
            && line_start(text, above) > self.text_start()
            && !self.belongs_to_scalar(above)
            && next < text.len()
            && is_blank(next)
    }

    fn belongs_to_scalar(&self, at: usize) -> bool {
        let nodes = &self.stream.arena.nodes;
        let before = nodes.partition_point(|node| node.start as usize <= at);
        before > 0 && nodes[before - 1].shape.is_block_scalar() && nodes[before - 1].end as usize >= at
    }

    /// Whether a literal below a key or dash at a column may end behind the line of `at`: deeper comments, and
    /// blanks on the empty lines that follow, would become part of it.
    pub(super) fn takes_literal(&self, at: usize, at_column: usize) -> bool {
        let text = &self.stream.text;
        let mut line = next_line(text, at);
        while line < text.len() {
            let content = &text[line..line_end(text, line)];
            let trimmed = content.trim_start();
            if trimmed.is_empty() && !content.is_empty() {
                return false;
            }
            if trimmed.starts_with('#') {
                if column(text, line + content.len() - trimmed.len()) > at_column {
                    return false;
                }
            } else if !trimmed.is_empty() {
                break;
            }
            line = next_line(text, line);
        }
        true
    }

    /// Where lines behind a part go: behind its last line and the deeper comments that follow it.
    fn end_of_part(&self, part: &Range<usize>, at_column: usize) -> usize {
        let text = &self.stream.text;
        let mut end = line_end(text, part.end);
        let mut line = next_line(text, end);
        while line < text.len() {
            let content = &text[line..line_end(text, line)];
            let trimmed = content.trim_start();
            if trimmed.starts_with('#') && column(text, line + content.len() - trimmed.len()) > at_column {
                end = line_end(text, line);
            } else if !trimmed.is_empty() {
                break;
            }
            line = next_line(text, line);
        }
        end
    }

    /// Start of the line of a part, or of the comments directly above it.
    fn above_comments(&self, start: usize, at_column: usize) -> usize {
        let text = &self.stream.text;
        let mut line = line_start(text, start);
        while line > self.text_start() {
            let above = line_start(text, line - 1);
            let content = &text[above..line];
            let indent = content.len() - content.trim_start().len();
            if !content.trim_start().starts_with('#') || indent != at_column {
                break;
            }
            line = above;
        }
        line
    }

    /// The style for what is added to (or below) the innermost collection.
    pub(super) fn block_style(&self, siblings: Option<&[Entry]>) -> BlockStyle {
        let values = siblings.unwrap_or_default().iter().map(|entry| entry.value);
        let quotes = self.stream.quotes_of(values, false).unwrap_or(Quotes::Plain);
        let step = self.nearest_step();
        let dash = self.nearest_dash().unwrap_or(DashStyle { offset: step, width: 2 });
        BlockStyle { step, dash, quotes, flow_lists: self.layout.flow_lists, literals: true }
    }

    fn nearest_step(&self) -> usize {
        let stream = self.stream;
        let column_of = |node: u32| column(&stream.text, stream.arena.raw(node).start as usize);
        let mut inner: Option<u32> = None;
        for ancestor in self.ancestors.iter().rev().copied() {
            if self.shape(ancestor) == Shape::BlockMapping {
                let around = inner.filter(|inner| self.shape(*inner) == Shape::BlockMapping);
                let around = around.and_then(|inner| column_of(inner).checked_sub(column_of(ancestor)));
                let mut beside = stream.arena.entries(ancestor).take(NEAR);
                let beside = || beside.find_map(|(key, value)| stream.step_between(key, value));
                if let Some(step) = around.filter(|step| *step > 0).or_else(beside) {
                    return step;
                }
            }
            inner = Some(ancestor);
        }
        self.layout.step.or(stream.stream_layout().step).unwrap_or(2)
    }

    fn nearest_dash(&self) -> Option<DashStyle> {
        let stream = self.stream;
        let near = self.ancestors.iter().rev().find_map(|ancestor| {
            let shape = self.shape(*ancestor);
            // All below the root is what the document does mostly: decided by majority.
            if *ancestor == self.ancestors[0] || !shape.is_block_collection() {
                return None;
            }
            let nodes = (*ancestor..stream.arena.next(*ancestor)).take(NEAR);
            nodes.filter(|id| self.shape(*id) == Shape::BlockMapping).find_map(|id| {
                let mut entries = stream.arena.entries(id).take(NEAR);
                entries.find_map(|(key, value)| stream.dash_style(key, value))
            })
        });
        near.or(self.layout.dash).or(stream.stream_layout().dash)
    }
}

/// Offset where the line above ends.
fn line_end_above(text: &str, at: usize) -> usize {
    let start = line_start(text, at);
    line_end(text, start.saturating_sub(1))
}
