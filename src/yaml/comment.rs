//! Which node each comment speaks of.
//!
//! Only lines and columns decide; nothing is read into a comment's words.

use std::ops::Range;

use super::source::{column, is_blank, line_end, line_start, next_break, next_line, starts_line};
use super::{Comment, PointerBuf, Stream};

/// An entry or item, in text order.
struct Part {
    /// Offset of its key (or `?`, or properties) or of its dash.
    start: usize,
    /// Tight end.
    end: usize,
    parent: Option<usize>,
    token: String,
    /// Its own column when it stands in a block collection.
    column: Option<usize>,
}

/// The own-line comment below the one looked at.
struct Block {
    from: usize,
    /// The next entry or item below it.
    to: usize,
    /// Whether nothing but comments and blanks is in between.
    reaches: bool,
}

impl Stream {
    pub(super) fn comment_range(&self, start: u32) -> Range<usize> {
        let start = start as usize;
        start..next_break(self.text.as_bytes(), start)
    }

    /// Ranges of the comments that start within `range`.
    pub(super) fn comments_within(&self, range: Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
        let first = self.arena.comments.partition_point(|start| (*start as usize) < range.start);
        let rest =
            self.arena.comments[first..].iter().take_while(move |start| (**start as usize) < range.end);
        rest.map(|start| self.comment_range(*start))
    }

    /// Ranges of the own-line comments right above a line (from 1), the lowest first.
    pub(super) fn lines_above(&self, line: usize) -> impl Iterator<Item = Range<usize>> + '_ {
        let text = self.text.as_bytes();
        let mut below = match line.checked_sub(2) {
            Some(nth) => memchr::memchr_iter(b'\n', text).nth(nth).map_or(text.len(), |end| end + 1),
            None => 0,
        };
        let above = self.arena.comments.partition_point(|start| (*start as usize) < below);
        self.arena.comments[..above].iter().rev().map_while(move |start| {
            let range = self.comment_range(*start);
            let is_next = next_line(&self.text, range.end) == below && starts_line(&self.text, range.start);
            below = line_start(&self.text, range.start);
            is_next.then_some(range)
        })
    }

    pub(super) fn describe_comments(&self) -> Vec<Comment> {
        let mut described = Vec::with_capacity(self.arena.comments.len());
        let mut parts: (usize, Vec<Part>) = (usize::MAX, Vec::new());
        // From the end on, so that a block of comments is looked through once.
        let mut block = None;
        for start in self.arena.comments.iter().rev() {
            let range = self.comment_range(*start);
            let documents = &self.arena.documents;
            let document = documents
                .partition_point(|document| (document.end as usize) <= range.start)
                .min(documents.len().saturating_sub(1));
            if parts.0 != document {
                parts = (document, self.parts(document));
            }
            let trailing = !starts_line(&self.text, range.start);
            let part = if trailing {
                block = None;
                self.beside(&parts.1, &range)
            } else {
                self.below(&parts.1, &range, &mut block)
            };
            described.push(Comment { about: path(&parts.1, part), range, document, trailing });
        }
        described.reverse();
        described
    }

    /// The entry or item whose line a trailing comment is on.
    fn beside(&self, parts: &[Part], comment: &Range<usize>) -> Option<usize> {
        let line = line_start(&self.text, comment.start);
        let mut part = parts.partition_point(|part| part.start < comment.start).checked_sub(1)?;
        // `[a, b] # about the list`: out of everything that ended on this line inside something flowing.
        while parts[part].column.is_none()
            && let Some(parent) = parts[part].parent
            && parts[parent].end <= comment.start
        {
            part = parent;
        }
        (parts[part].end >= line || parts[part].start >= line).then_some(part)
    }

    /// The entry or item below an own-line comment at its indentation, else what it stands in.
    fn below(&self, parts: &[Part], comment: &Range<usize>, block: &mut Option<Block>) -> Option<usize> {
        let indent = column(&self.text, comment.start);
        let next = parts.partition_point(|part| part.start < comment.start);
        let to = parts.get(next).map_or(self.text.len(), |part| part.start);
        let is_directly_above = match block {
            Some(block) if block.to == to => {
                block.reaches && self.text[comment.end..block.from].trim().is_empty()
            }
            _ => self.only_comments_between(comment.end, to),
        };
        *block = Some(Block { from: comment.start, to, reaches: is_directly_above });
        if let Some(part) = parts.get(next) {
            let at = part.column.unwrap_or_else(|| column(&self.text, part.start));
            if at == indent && is_directly_above {
                return Some(next);
            }
        }
        let mut enclosing = next.checked_sub(1);
        // Out of everything at this column or deeper: that is beside the comment, not around it.
        while let Some(part) = enclosing
            && parts[part].end < comment.start
            && parts[part].column.is_none_or(|column| column >= indent)
        {
            enclosing = parts[part].parent;
        }
        enclosing
    }

    fn only_comments_between(&self, from: usize, to: usize) -> bool {
        let mut line = next_line(&self.text, from);
        let last = line_start(&self.text, to);
        while line < last {
            let text = self.text[line..line_end(&self.text, line)].trim_start();
            if !text.is_empty() && !text.starts_with('#') {
                return false;
            }
            line = next_line(&self.text, line);
        }
        // `---` or a closing bracket in front of it.
        is_blank(&self.text.as_bytes()[last..to])
            || self.text[last..to].bytes().all(|byte| matches!(byte, b' ' | b'-' | b'?'))
    }

    fn parts(&self, document: usize) -> Vec<Part> {
        let mut parts = Vec::new();
        if let Some(root) = self.arena.documents.get(document).and_then(|document| document.root) {
            self.collect_parts(root, None, &mut parts);
        }
        parts
    }

    fn collect_parts(&self, node: u32, parent: Option<usize>, parts: &mut Vec<Part>) {
        let shape = self.arena.raw(node).shape;
        let in_block = shape.is_block_collection();
        let mut add = |start: usize, value: u32, token: String| {
            let column = in_block.then(|| column(&self.text, start));
            parts.push(Part { start, end: self.arena.raw(value).end as usize, parent, token, column });
            let index = parts.len() - 1;
            self.collect_parts(value, Some(index), parts);
        };
        if shape.is_mapping() {
            for (key, value) in self.arena.entries(node) {
                let token = self.key_of(key).unwrap_or_default().into_owned();
                add(self.entry_start(key), value, token);
            }
        } else if shape.is_sequence() {
            let mut previous = None;
            for (index, item) in self.arena.children(node).enumerate() {
                let start = if in_block {
                    self.arena.dash(&self.text, node, previous)
                } else {
                    self.arena.outer_start(item)
                };
                add(start, item, index.to_string());
                previous = Some(item);
            }
        }
    }

    /// Where a mapping's entry begins: its key with properties, or the `?` in front.
    pub(super) fn entry_start(&self, key: u32) -> usize {
        let start = self.arena.outer_start(key);
        let before = self.text[..start].trim_end_matches([' ', '\t']);
        if before.len() < start && before.ends_with('?') && is_indicator(before) {
            before.len() - 1
        } else {
            start
        }
    }
}

/// Whether the `?` that ends `before` is an indicator, not the end of something else.
fn is_indicator(before: &str) -> bool {
    before[..before.len() - 1]
        .chars()
        .next_back()
        .is_none_or(|char| matches!(char, ' ' | '\n' | '\t' | '{' | ',' | '[' | '\u{feff}'))
}

fn path(parts: &[Part], part: Option<usize>) -> PointerBuf {
    let mut tokens = Vec::new();
    let mut next = part;
    while let Some(index) = next {
        tokens.push(parts[index].token.as_str());
        next = parts[index].parent;
    }
    PointerBuf::from_tokens(tokens.into_iter().rev())
}
