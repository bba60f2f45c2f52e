//! Commented-out entries that become data: `# runAsNonRoot: true` where somebody wants that key.
//!
//! Finds lines of comments that are entries a mapping should get, and proves a text in which they are: the signs in
//! front of them are all that goes, the values grow by wanted keys only, and from there on it is an edit like others.
//! Does not make values what they should be; [`Stream::edits`] does, of the text without the signs.

mod pick;

use std::ops::Range;

use serde_json::{Map, Value};

use self::pick::{Line, lines, picked};
use super::source::{column, line_end, line_start, next_line};
use super::value::same;
use super::{Defect, Edit, Pointer, PointerBuf, Stream};
use crate::pointer::token;

/// What goes so that commented-out entries are data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uncommented {
    /// Each a `#` with the blank behind it, or the `{}` that stands for what is commented out below; sorted.
    removed: Vec<Range<usize>>,
}

impl Stream {
    /// The commented-out entries of the only document that `wanted` has and `old`, its value, has not. Of two that are
    /// the same entry neither counts. `None` where there is none.
    pub fn uncommented(&self, old: &Value, wanted: &Value) -> Option<Uncommented> {
        if self.documents() != 1 || self.arena.comments.is_empty() {
            return None;
        }
        let mut search = Search { stream: self, old, wanted, found: Uncommented::default() };
        search.visit("", old, wanted);
        (!search.found.removed.is_empty()).then_some(search.found)
    }

    /// The text with the entries as data.
    ///
    /// # Errors
    /// When it is no YAML, or what goes is more than signs of comments.
    pub fn with_uncommented(&self, uncommented: &Uncommented) -> Result<Stream, Defect> {
        let is_sign = |range: &Range<usize>| match &self.text[range.clone()] {
            "#" | "# " => self.arena.comments.binary_search(&(range.start as u32)).is_ok(),
            braces => braces.trim() == "{}",
        };
        if let Some(other) = uncommented.removed.iter().find(|range| !is_sign(range)) {
            return Err(Defect::Comment(self.text[other.clone()].to_owned()));
        }
        Stream::parse(self.apply(uncommented.edits()), &self.limits).map_err(Defect::Syntax)
    }

    /// [`Stream::prove`] of the only document, where commented-out entries became data.
    pub fn prove_uncommented(
        &self,
        after: String,
        old: &Value,
        wanted: &Value,
        uncommented: &Uncommented,
    ) -> Result<Stream, Defect> {
        let between = self.with_uncommented(uncommented)?;
        let value = between.root(0).and_then(|root| root.value().ok());
        if between.documents() != 1 || !value.is_some_and(|value| grows(old, &value, wanted)) {
            return Err(Defect::Value { document: 0, at: PointerBuf::new() });
        }
        let is_data =
            |comment: &Range<usize>| uncommented.removed.iter().any(|removed| removed.start == comment.start);
        let mut kept = between.arena.comments.iter().map(|start| between.comment_range(*start));
        for comment in self.comments_within(0..self.text.len()).filter(|comment| !is_data(comment)) {
            let text = &self.text[comment];
            if !kept.any(|kept| &between.text[kept] == text) {
                return Err(Defect::Comment(text.to_owned()));
            }
        }
        between.prove(after, &[Some(wanted)], 0)
    }
}

impl Uncommented {
    fn edits(&self) -> Vec<Edit> {
        let gone = |range: &Range<usize>| Edit { range: range.clone(), replacement: String::new() };
        self.removed.iter().map(gone).collect()
    }

    /// Edits of the text with the entries as data, as edits of the text before that.
    pub fn followed_by(&self, edits: Vec<Edit>) -> Vec<Edit> {
        let mut all: Vec<Edit> = Vec::new();
        for edit in edits {
            let start = self.before(edit.range.start, true);
            let end = if edit.range.is_empty() { start } else { self.before(edit.range.end, false) };
            all.push(Edit { range: start..end, replacement: edit.replacement });
        }
        let is_swallowed = |gone: &Edit| {
            all.iter().any(|edit| edit.range.start <= gone.range.start && gone.range.end <= edit.range.end)
        };
        let signs: Vec<Edit> = self.edits().into_iter().filter(|gone| !is_swallowed(gone)).collect();
        all.extend(signs);
        all.sort_by_key(|edit| (edit.range.start, edit.range.end));
        all
    }

    /// Where an offset of the text with the entries was: behind what goes there, or in front of it.
    fn before(&self, at: usize, is_behind: bool) -> usize {
        let mut offset = at;
        for removed in &self.removed {
            if removed.start < offset || is_behind && removed.start == offset {
                offset += removed.len();
            }
        }
        offset
    }
}

struct Search<'s> {
    stream: &'s Stream,
    old: &'s Value,
    wanted: &'s Value,
    found: Uncommented,
}

impl Search<'_> {
    fn visit(&mut self, at: &str, old: &Value, wanted: &Value) {
        let Value::Object(wanted) = wanted else { return };
        match old {
            Value::Object(old) if !old.is_empty() => {
                for (key, value) in wanted {
                    match old.get(key) {
                        Some(old) if same(old, value) => {}
                        Some(old) => self.visit(&format!("{at}/{}", token(key)), old, value),
                        None => self.add(at, key, value, old),
                    }
                }
            }
            Value::Object(_) | Value::Null if !wanted.is_empty() => self.fill(at, wanted),
            _ => {}
        }
    }

    /// Uncomments a key of a mapping that has others.
    fn add(&mut self, at: &str, key: &str, wanted: &Value, old: &Map<String, Value>) {
        let Some(beside) = old.keys().next().and_then(|key| self.key(&format!("{at}/{}", token(key)))) else {
            return;
        };
        let wanted_column = column(&self.stream.text, beside.start);
        let mut candidates: Vec<Uncommented> = Vec::new();
        for run in self.runs() {
            for lines in lines(&self.stream.text, &run) {
                let is_it = |line: &Line| line.column == wanted_column && line.is_entry(key);
                for idx in (0..lines.len()).filter(|idx| is_it(&lines[*idx])) {
                    let signs = picked(&lines, idx, wanted).map(|picked| signs(&lines, &picked));
                    let more = signs.and_then(|signs| self.with(signs, &format!("{at}/{}", token(key))));
                    candidates.extend(more.filter(|more| !candidates.contains(more)));
                }
            }
        }
        if let [only] = candidates.as_slice() {
            self.found = only.clone();
        }
    }

    /// Uncomments the keys of a mapping that is `{}` or nothing, of the lines directly below it.
    fn fill(&mut self, at: &str, wanted: &Map<String, Value>) {
        let Some(entry) = self.key(at).filter(|_| !at.is_empty()) else { return };
        let text = &self.stream.text;
        let below = next_line(text, entry.end.max(entry.start));
        let outer = column(text, entry.start);
        let braces = text[entry.clone()].ends_with("{}").then(|| {
            let start = text[..entry.end - 2].trim_end_matches(' ').len();
            start..entry.end
        });
        let runs = self.runs();
        let Some(run) = runs.iter().find(|run| line_start(text, run[0].start) == below) else { return };
        for lines in lines(text, run) {
            let is_one = |line: &&Line| line.column > outer && wanted.keys().any(|key| line.is_entry(key));
            let Some(inner) = lines.iter().find(is_one).map(|line| line.column) else { continue };
            let mut all: Vec<usize> = Vec::new();
            for (key, value) in wanted {
                let is_it = |line: &Line| line.column == inner && line.is_entry(key);
                let mut places = (0..lines.len()).filter(|idx| is_it(&lines[*idx]));
                if let (Some(only), None) = (places.next(), places.next()) {
                    all.extend(picked(&lines, only, value).unwrap_or_default());
                }
            }
            if all.is_empty() {
                continue;
            }
            let signs = signs(&lines, &all).into_iter().chain(braces.clone()).collect();
            if let Some(found) = self.with(signs, at) {
                self.found = found;
                return;
            }
        }
    }

    /// From the key at a pointer to the end of its value.
    fn key(&self, at: &str) -> Option<Range<usize>> {
        self.stream.locate(0, Pointer::parse(at).ok()?)
    }

    /// Comments on lines of their own, those that follow each other at one column together.
    fn runs(&self) -> Vec<Vec<Range<usize>>> {
        let text = &self.stream.text;
        let mut runs: Vec<Vec<Range<usize>>> = Vec::new();
        for comment in self.stream.comments().iter().filter(|comment| !comment.trailing) {
            let range = comment.range.clone();
            let follows = |last: &Range<usize>| {
                next_line(text, last.end) == line_start(text, range.start)
                    && column(text, last.start) == column(text, range.start)
                    && line_end(text, last.end) != text.len()
            };
            match runs.last_mut().filter(|run| run.last().is_some_and(follows)) {
                Some(run) => run.push(range),
                None => runs.push(vec![range]),
            }
        }
        runs
    }

    /// What was found with more, if the document then has an entry more and is the same elsewhere.
    fn with(&self, signs: Vec<Range<usize>>, entry: &str) -> Option<Uncommented> {
        let mut removed: Vec<Range<usize>> = self.found.removed.iter().cloned().chain(signs).collect();
        removed.sort_by_key(|range| range.start);
        removed.dedup();
        if removed.windows(2).any(|pair| pair[0].end > pair[1].start) {
            return None;
        }
        let found = Uncommented { removed };
        let between = self.stream.with_uncommented(&found).ok()?;
        let value = between.root(0)?.value().ok()?;
        let has_more = value.pointer(entry).is_some_and(|value| !value.is_null());
        (between.documents() == 1 && has_more && grows(self.old, &value, self.wanted)).then_some(found)
    }
}

fn signs(lines: &[Line], picked: &[usize]) -> Vec<Range<usize>> {
    picked.iter().map(|idx| lines[*idx].sign.clone()).collect()
}

/// Whether a value is an older one with more keys, each of them wanted.
fn grows(old: &Value, new: &Value, wanted: &Value) -> bool {
    match (old, new, wanted) {
        _ if same(old, new) => true,
        (Value::Object(_) | Value::Null, Value::Object(new), Value::Object(wanted)) => {
            let none = Map::new();
            let old = old.as_object().unwrap_or(&none);
            old.keys().all(|key| new.contains_key(key))
                && new.iter().all(|(key, value)| match (old.get(key), wanted.get(key)) {
                    (Some(old), wanted) => grows(old, value, wanted.unwrap_or(&Value::Null)),
                    (None, wanted) => wanted.is_some(),
                })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
