//! Entries and items of flow collections (JSON too): on one line, or each on its own.

use std::ops::Range;

use super::super::render::FlowStyle;
use super::super::scalar::Quotes;
use super::super::source::{is_blank, line_end, line_start, next_line, skip_blanks, starts_line};
use super::mapping::{Addition, Entry};
use super::sequence::NewItem;
use super::{Editor, Shape};

/// Text to add behind the part of this index, or in front of all.
struct Insertion {
    after: Option<usize>,
    text: String,
}

impl Editor<'_> {
    pub(super) fn flow_mapping(&mut self, node: u32, entries: &[Entry], additions: &[Addition<'_>]) {
        let arena = &self.stream.arena;
        let parts: Vec<Range<usize>> = entries
            .iter()
            .map(|entry| self.stream.entry_start(entry.key)..arena.raw(entry.value).end as usize)
            .collect();
        let deleted: Vec<bool> = entries.iter().map(|entry| entry.deleted).collect();
        let style = self.flow_style(node);
        let indent = self.indentation(parts[0].start);
        let insertions = additions.iter().map(|addition| Insertion {
            after: addition.after,
            text: style.entry(addition.name, addition.value, &indent, self.eol),
        });
        let insertions = insertions.collect();
        self.splice_flow(node, &parts, &deleted, insertions, &style);
    }

    pub(super) fn flow_sequence(
        &mut self,
        node: u32,
        items: &[u32],
        deleted: &[bool],
        additions: &[NewItem<'_>],
    ) {
        let arena = &self.stream.arena;
        let parts: Vec<Range<usize>> =
            items.iter().map(|item| arena.outer_start(*item)..arena.raw(*item).end as usize).collect();
        let style = self.flow_style(node);
        let indent = self.indentation(parts[0].start);
        let insertions = additions.iter().map(|addition| Insertion {
            after: addition.after,
            text: style.value(addition.value, &indent, self.eol),
        });
        let insertions = insertions.collect();
        self.splice_flow(node, &parts, deleted, insertions, &style);
    }

    /// Indentation of the line `at` is on.
    fn indentation(&self, at: usize) -> String {
        let text = self.text();
        let start = line_start(text, at);
        text[start..skip_blanks(text, start)].to_owned()
    }

    fn splice_flow(
        &mut self,
        node: u32,
        parts: &[Range<usize>],
        deleted: &[bool],
        insertions: Vec<Insertion>,
        style: &FlowStyle,
    ) {
        let own_lines = parts.iter().all(|part| starts_line(&self.stream.text, part.start));
        let mut index = 0;
        while index < parts.len() {
            let run_end = (index..parts.len()).find(|at| !deleted[*at]).unwrap_or(parts.len());
            if run_end > index {
                let kept = index.checked_sub(1).map(|before| parts[before].end);
                let next = parts.get(run_end).map(|part| part.start);
                if own_lines {
                    self.take_out_lines(&parts[index..run_end], kept, next);
                } else {
                    self.take_out_inline(&parts[index..run_end], kept, next);
                }
            }
            index = run_end + 1;
        }
        let close = self.stream.arena.raw(node).end as usize - 1;
        for Insertion { after, text } in insertions {
            let anchor =
                after.or_else(|| deleted.iter().position(|deleted| !deleted).filter(|kept| *kept > 0));
            match anchor {
                _ if after.is_none() => {
                    let first = deleted.iter().position(|deleted| !deleted).expect("one part stays");
                    let separator = if own_lines {
                        format!(",{}{}", self.eol, self.indentation(parts[first].start))
                    } else {
                        style.comma.clone()
                    };
                    self.insert(parts[first].start, format!("{text}{separator}"));
                }
                _ => {
                    let after = after.expect("checked above");
                    let kept_behind = deleted[after + 1..].iter().any(|deleted| !deleted);
                    let shared = InsertAt { part: parts[after].clone(), kept_behind, close };
                    self.insert_flow(&shared, text, own_lines, style);
                }
            }
        }
    }

    fn insert_flow(&mut self, at: &InsertAt, text: String, own_lines: bool, style: &FlowStyle) {
        let stream = self.stream;
        let end = at.part.end;
        if !own_lines {
            self.insert(end, format!("{}{text}", style.comma));
            return;
        }
        let indent = self.indentation(at.part.start);
        let comma = stream.comma_behind(end, at.close);
        // A comment on the line stays with the part it follows.
        let line = line_end(&stream.text, comma.map_or(end, |comma| comma + 1));
        let has_comment = stream.comments_within(end..line).next().is_some();
        if !has_comment {
            self.insert(end, format!(",{}{indent}{text}", self.eol));
            return;
        }
        let needs_comma = at.kept_behind || comma.is_some();
        if comma.is_none() {
            self.insert(end, ",");
        }
        self.insert(line, format!("{}{indent}{text}{}", self.eol, if needs_comma { "," } else { "" }));
    }

    /// Removes entries that have lines of their own, and their comma.
    fn take_out_lines(&mut self, run: &[Range<usize>], kept: Option<usize>, next: Option<usize>) {
        let stream = self.stream;
        let text = &stream.text;
        let last = run.last().expect("a run is not empty").end;
        let limit = next.unwrap_or(text.len());
        let comma = stream.comma_behind(last, limit).filter(|_| next.is_some());
        let trailing_comma = if next.is_none() { stream.comma_behind(last, limit) } else { None };
        let behind = comma.or(trailing_comma).map_or(last, |comma| comma + 1);
        let rest = line_end(text, behind);
        let ends_line = is_blank(&text.as_bytes()[behind..rest])
            || stream
                .comments_within(behind..rest)
                .next()
                .is_some_and(|comment| is_blank(&text.as_bytes()[behind..comment.start]));
        if !ends_line {
            return self.take_out_inline(run, kept, next);
        }
        if next.is_none()
            && trailing_comma.is_none()
            && let Some(kept) = kept
            && let Some(comma) = stream.comma_behind(kept, run[0].start)
        {
            self.change(comma..comma + 1, "");
        }
        let start = line_start(text, run[0].start);
        let indent = self.indentation(run[0].start);
        let comments: String = stream
            .comments_within(run[0].start..rest)
            .map(|comment| format!("{indent}{}{}", &text[comment], self.eol))
            .collect();
        self.change(start..next_line(text, rest), comments);
    }

    /// Removes entries between their neighbours, comma and blanks included.
    fn take_out_inline(&mut self, run: &[Range<usize>], kept: Option<usize>, next: Option<usize>) {
        let last = run.last().expect("a run is not empty").end;
        let range = match (kept, next) {
            (Some(kept), _) => kept..last,
            (None, Some(next)) => run[0].start..next,
            (None, None) => run[0].start..last,
        };
        let comments: Vec<Range<usize>> = self.stream.comments_within(range.clone()).collect();
        let indent = self.indentation(run[0].start);
        let mut kept_text = String::new();
        for comment in comments {
            kept_text.push_str(if kept_text.is_empty() { " " } else { &indent });
            kept_text.push_str(&self.stream.text[comment]);
            kept_text.push_str(self.eol);
        }
        if !kept_text.is_empty() {
            kept_text.push_str(&indent);
        }
        self.change(range, kept_text);
    }

    /// The style of a flow collection, from its own entries, else from what is around it.
    pub(super) fn flow_style(&self, node: u32) -> FlowStyle {
        let stream = self.stream;
        let arena = &stream.arena;
        let text = &stream.text;
        let around = self.ancestors.iter().rev().copied().filter(|ancestor| *ancestor != node);
        let around = around.take_while(|ancestor| self.shape(*ancestor).is_flow_collection());
        let chain: Vec<u32> = std::iter::once(node).chain(around).take(8).collect();

        let keys = |id: u32| arena.entries(id).map(|(key, _)| key).take(64);
        let mappings = || chain.iter().copied().filter(|id| self.shape(*id) == Shape::FlowMapping);
        let first_with_keys = mappings().find(|id| keys(*id).next().is_some());
        let quoted_keys =
            first_with_keys.is_some_and(|id| keys(id).all(|key| self.shape(key) == Shape::Double));
        let gap =
            |from: usize, to: usize| Some(&text[from..to.max(from)]).filter(|gap| !gap.contains(['\n', '#']));
        let colon = first_with_keys.and_then(|id| {
            let (key, value) = arena.entries(id).next()?;
            gap(arena.raw(key).end as usize, arena.outer_start(value)).filter(|gap| gap.contains(':'))
        });
        let parts = |id: u32| {
            let step = if self.shape(id).is_mapping() { 2 } else { 1 };
            arena.children(id).step_by(step)
        };
        let lines = chain.iter().copied().find_map(|id| {
            let first = parts(id).next()?;
            Some(self.line_unit(id, arena.outer_start(first)))
        });
        let comma = chain.iter().copied().find_map(|id| {
            let mut children = arena.children(id);
            let last_of_first =
                if self.shape(id).is_mapping() { children.nth(1)? } else { children.next()? };
            let end = arena.raw(last_of_first).end as usize;
            gap(end, arena.outer_start(children.next()?)).filter(|gap| gap.starts_with(','))
        });
        let padding = mappings().find_map(|id| {
            let start = arena.raw(id).start as usize + 1;
            gap(start, arena.outer_start(parts(id).next()?)).filter(|gap| is_blank(gap.as_bytes()))
        });
        FlowStyle {
            quotes: self.flow_quotes(node, quoted_keys),
            quoted_keys,
            colon: colon.unwrap_or(": ").to_owned(),
            comma: comma.unwrap_or(", ").to_owned(),
            padding: padding.unwrap_or_default().to_owned(),
            lines: lines.flatten(),
            inline_lists: self.layout.inline_json_lists,
        }
    }

    /// What one level of a flow collection indents by, if its entries have their own lines.
    fn line_unit(&self, node: u32, first: usize) -> Option<String> {
        let text = self.text();
        if !starts_line(text, first) {
            return None;
        }
        let outer = self.indentation(self.stream.arena.raw(node).start as usize);
        let inner = self.indentation(first);
        let unit = inner.strip_prefix(outer.as_str()).unwrap_or("  ");
        Some(if unit.is_empty() { "  ".to_owned() } else { unit.to_owned() })
    }

    fn flow_quotes(&self, node: u32, quoted_keys: bool) -> Quotes {
        if quoted_keys {
            return Quotes::Double;
        }
        let arena = &self.stream.arena;
        let values: Box<dyn Iterator<Item = u32>> = if self.shape(node).is_mapping() {
            Box::new(arena.entries(node).map(|(_, value)| value))
        } else {
            Box::new(arena.children(node))
        };
        self.stream.quotes_of(values.take(64), true).unwrap_or(Quotes::Plain)
    }
}

struct InsertAt {
    part: Range<usize>,
    /// Whether an old part behind it stays.
    kept_behind: bool,
    /// Offset of the closing bracket.
    close: usize,
}

impl super::Stream {
    /// Offset of the comma behind a part of a flow collection.
    fn comma_behind(&self, end: usize, limit: usize) -> Option<usize> {
        let at = super::super::source::next_token(&self.text, end);
        (at < limit && self.text.as_bytes()[at] == b',').then_some(at)
    }
}
