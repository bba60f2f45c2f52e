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
        if parts.iter().all(|part| starts_line(&self.stream.text, part.start)) {
            let close = self.stream.arena.raw(node).end as usize - 1;
            self.splice_lines(parts, deleted, &insertions, close);
            return;
        }
        for run in runs(deleted) {
            let kept = run.start.checked_sub(1).map(|before| parts[before].end);
            let next = parts.get(run.end).map(|part| part.start);
            self.take_out_inline(&parts[run], kept, next);
        }
        let first_kept = deleted.iter().position(|deleted| !deleted).expect("one part stays");
        for Insertion { after, text } in insertions {
            match after {
                Some(after) => {
                    let end = parts[after].end;
                    // `c:,` would be read as the text `c:`.
                    let space = if self.text()[..end].ends_with(':') { " " } else { "" };
                    self.insert(end, format!("{space}{}{text}", style.comma));
                }
                None => self.insert(parts[first_kept].start, format!("{text}{}", style.comma)),
            }
        }
    }

    /// Parts that have lines of their own: whole lines go and come, commas are put right.
    fn splice_lines(
        &mut self,
        parts: &[Range<usize>],
        deleted: &[bool],
        insertions: &[Insertion],
        close: usize,
    ) {
        let stream = self.stream;
        let text = &stream.text;
        let commas: Vec<Option<usize>> = parts
            .iter()
            .enumerate()
            .map(|(index, part)| {
                stream.comma_behind(part.end, parts.get(index + 1).map_or(close, |next| next.start))
            })
            .collect();
        let ends_in_comma = commas.last().is_some_and(|comma| comma.is_some());
        let indent = self.indentation(parts[0].start);
        let mut first_kept = None;
        for index in (0..parts.len()).filter(|index| !deleted[*index]) {
            if first_kept.is_none() {
                first_kept = Some(index);
            }
            let new: Vec<&str> = insertions
                .iter()
                .filter(|insertion| insertion.after == Some(index))
                .map(|insertion| insertion.text.as_str())
                .collect();
            let is_followed = deleted[index + 1..].iter().any(|deleted| !deleted) || ends_in_comma;
            match commas[index] {
                Some(comma) if !is_followed && new.is_empty() => self.change(comma..comma + 1, ""),
                None if is_followed || !new.is_empty() => {
                    let end = parts[index].end;
                    self.insert(end, if text[..end].ends_with(':') { " ," } else { "," });
                }
                _ => {}
            }
            if new.is_empty() {
                continue;
            }
            let behind = commas[index].map_or(parts[index].end, |comma| comma + 1);
            // A comment on the line stays with the part it follows.
            let at = if self.ends_line(behind) { line_end(text, behind) } else { behind };
            let mut lines = String::new();
            for (number, part) in new.iter().enumerate() {
                let comma = if number + 1 < new.len() || is_followed { "," } else { "" };
                lines.extend([self.eol, &indent, part, comma]);
            }
            self.insert(at, lines);
        }
        let first = first_kept.expect("one part stays");
        for insertion in insertions.iter().filter(|insertion| insertion.after.is_none()) {
            let line = format!("{},{}{}", insertion.text, self.eol, self.indentation(parts[first].start));
            self.insert(parts[first].start, line);
        }
        for run in runs(deleted) {
            self.take_out_lines(parts, &commas, run, &indent);
        }
    }

    fn take_out_lines(
        &mut self,
        parts: &[Range<usize>],
        commas: &[Option<usize>],
        run: Range<usize>,
        indent: &str,
    ) {
        let stream = self.stream;
        let text = &stream.text;
        let last = run.end - 1;
        let behind = commas[last].map_or(parts[last].end, |comma| comma + 1);
        if self.ends_line(behind) {
            let start = line_start(text, parts[run.start].start);
            let end = line_end(text, behind);
            let comments: String = stream
                .comments_within(start..end)
                .map(|comment| format!("{indent}{}{}", &text[comment], self.eol))
                .collect();
            self.change(start..next_line(text, end), comments);
        } else {
            // The closing bracket is on the last line; what stays in front has its own comma.
            let kept = run.start.checked_sub(1).expect("a part that stays and follows has its own line");
            let kept = commas[kept].map_or(parts[kept].end, |comma| comma + 1);
            self.take_out_inline(std::slice::from_ref(&(kept..behind)), Some(kept), None);
        }
    }

    /// Whether only blanks and a comment follow on the line.
    fn ends_line(&self, at: usize) -> bool {
        let text = self.text();
        let next = skip_blanks(text, at);
        next >= line_end(text, at) || self.stream.comments_within(next..next + 1).next().is_some()
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
        let own = self.stream.quotes_of(values.take(64), true);
        let beside = || self.shape(node).is_sequence().then(|| self.quotes_of_lists_beside(true)).flatten();
        own.or_else(beside).unwrap_or(Quotes::Plain)
    }
}

/// Runs of deleted parts.
fn runs(deleted: &[bool]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for index in (0..deleted.len()).filter(|index| deleted[*index]) {
        match runs.last_mut() {
            Some(run) if run.end == index => run.end += 1,
            _ => runs.push(index..index + 1),
        }
    }
    runs
}

impl super::Stream {
    /// Offset of the comma behind a part of a flow collection.
    fn comma_behind(&self, end: usize, limit: usize) -> Option<usize> {
        let at = super::super::source::next_token(&self.text, end);
        (at < limit && self.text.as_bytes()[at] == b',').then_some(at)
    }
}
