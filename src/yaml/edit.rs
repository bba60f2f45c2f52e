//! From a wanted value to the edits that reach it: walks the nodes of a document and the wanted value
//! together and touches only where they differ.
//!
//! Knows the text, the nodes and their style; not why somebody wants a value.

mod align;
mod block;
mod flow;
mod mapping;
mod replace;
mod sequence;
mod shared;

use std::ops::Range;

use serde_json::Value;

use super::arena::Shape;
use super::layout::Layout;
use super::source::line_break;
use super::value::same;
use super::{Edit, KeyOrder, PointerBuf, Refusal, Stream};
use shared::Sharing;

/// Where a node stands: what is in front of it, and what it would be indented against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Site {
    /// Offset behind the `:`, the `-` or the `---` in front of the node.
    lead: usize,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    /// Value of a block mapping whose keys stand at this column.
    Value {
        column: usize,
    },
    /// Item of a block sequence whose dashes stand at this column.
    Item {
        column: usize,
    },
    /// In a flow collection.
    Flow,
}

pub(super) struct Editor<'s> {
    stream: &'s Stream,
    order: &'s dyn KeyOrder,
    eol: &'static str,
    layout: Layout,
    edits: Vec<Edit>,
    /// Collections around the current node, outermost first.
    ancestors: Vec<u32>,
    path: Vec<String>,
    sharing: Option<Sharing>,
}

/// The edits that give `document`, whose value is `old`, the value `wanted`.
pub(super) fn edits(
    stream: &Stream,
    document: usize,
    old: &Value,
    wanted: &Value,
    order: &dyn KeyOrder,
) -> Result<Vec<Edit>, Refusal> {
    let region = stream.arena.documents.get(document).ok_or(Refusal::EmptyDocument { document })?;
    let Some(root) = region.root else {
        return if wanted.is_null() { Ok(Vec::new()) } else { Err(Refusal::EmptyDocument { document }) };
    };
    if same(old, wanted) {
        return Ok(Vec::new());
    }
    if has_bare_returns(&stream.text) {
        let at = PointerBuf::new();
        return Err(Refusal::Unsupported { at, reason: "lines end in a carriage return alone" });
    }
    let site = Site { lead: region.content as usize, place: Place::Root };
    let mut editor = Editor {
        stream,
        order,
        eol: line_break(&stream.text),
        layout: stream.layout(root),
        edits: Vec::new(),
        ancestors: Vec::new(),
        path: Vec::new(),
        sharing: region.has_aliases.then(|| Sharing::of(stream, root)),
    };
    editor.reconcile(root, site, old, wanted)?;
    editor.settle_shared()?;
    let edits = normalize(&stream.text, editor.edits);
    if edits.windows(2).any(|pair| pair[1].range.start < pair[0].range.end) {
        return Err(Refusal::Unsupported { at: PointerBuf::new(), reason: "two changes are of one place" });
    }
    if region.has_aliases {
        shared::verify(stream, document, wanted, &edits)?;
    }
    if has_tabbed_lines(&stream.text) {
        prove_early(stream, document, wanted, &edits)?;
    }
    Ok(edits)
}

/// Parsers disagree about lines that start with a tab. They are too rare to know all cases: what cannot be
/// proved is refused.
fn prove_early(stream: &Stream, document: usize, wanted: &Value, edits: &[Edit]) -> Result<(), Refusal> {
    let mut all = vec![None; stream.documents()];
    all[document] = Some(wanted);
    let proof = stream.prove(super::apply(&stream.text, edits), &all, 0);
    let at = PointerBuf::new();
    proof
        .map(|_| ())
        .map_err(|_| Refusal::Unsupported { at, reason: "a line that starts with a tab is in the way" })
}

/// Tabs, and carriage returns alone.
pub(super) fn has_obstacles(text: &str) -> bool {
    memchr::memchr(b'\t', text.as_bytes()).is_some() || has_bare_returns(text)
}

/// Whether a line break of old Macintosh computers is somewhere: YAML knows it, nobody else does.
fn has_bare_returns(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'\r', bytes).any(|at| bytes.get(at + 1) != Some(&b'\n'))
}

fn has_tabbed_lines(text: &str) -> bool {
    // Only the first tab of a line can follow nothing but blanks.
    memchr::memchr_iter(b'\t', text.as_bytes()).any(|at| {
        let before = text[..at].trim_end_matches(' ');
        before.is_empty() || before.ends_with(['\n', '\t', super::source::BOM])
    })
}

/// Sorts, joins what touches, and leaves out of every edit what it does not change.
fn normalize(text: &str, mut edits: Vec<Edit>) -> Vec<Edit> {
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let mut joined: Vec<Edit> = Vec::with_capacity(edits.len());
    for edit in edits {
        if edit.range.is_empty() && edit.replacement.is_empty() {
            continue;
        }
        match joined.last_mut() {
            Some(last) if last.range.end == edit.range.start => {
                last.range.end = edit.range.end;
                last.replacement.push_str(&edit.replacement);
            }
            // Behind the last line of what is around, where that line goes with blank ones below it.
            Some(last) if edit.range.is_empty() && edit.range.start < last.range.end => {
                last.replacement.push_str(&edit.replacement);
            }
            _ => joined.push(edit),
        }
    }
    for edit in &mut joined {
        trim(text, edit);
    }
    joined.retain(|edit| !edit.range.is_empty() || !edit.replacement.is_empty());
    joined
}

fn trim(text: &str, edit: &mut Edit) {
    let equal = |(old, new): &(char, char)| old == new;
    let old = &text[edit.range.clone()];
    let new = &edit.replacement;
    let prefix: usize = old.chars().zip(new.chars()).take_while(equal).map(|(char, _)| char.len_utf8()).sum();
    let (old, new) = (&old[prefix..], &new[prefix..]);
    let suffix = old.chars().rev().zip(new.chars().rev()).take_while(equal);
    let suffix: usize = suffix.map(|(char, _)| char.len_utf8()).sum();
    edit.replacement = new[..new.len() - suffix].to_owned();
    edit.range = edit.range.start + prefix..edit.range.end - suffix;
}

impl Editor<'_> {
    /// Makes the node at `site` have the value `wanted`, which is known to differ.
    fn reconcile(&mut self, node: u32, site: Site, old: &Value, wanted: &Value) -> Result<(), Refusal> {
        if self.defer_shared(node, site, wanted)? {
            return Ok(());
        }
        self.reconcile_content(node, site, old, wanted)
    }

    fn reconcile_content(
        &mut self,
        node: u32,
        site: Site,
        old: &Value,
        wanted: &Value,
    ) -> Result<(), Refusal> {
        let shape = self.stream.arena.raw(node).shape;
        match (old, wanted) {
            (Value::Object(old), Value::Object(new)) if !new.is_empty() && shape.is_mapping() => {
                self.ancestors.push(node);
                let result = self.mapping(node, site, old, new);
                self.ancestors.pop();
                result
            }
            (Value::Array(old), Value::Array(new)) if !new.is_empty() && shape.is_sequence() => {
                self.ancestors.push(node);
                let result = self.sequence(node, site, old, new);
                self.ancestors.pop();
                result
            }
            _ => {
                self.refuse_if_others_point_inside(node)?;
                self.replace(node, site, wanted);
                Ok(())
            }
        }
    }

    fn text(&self) -> &str {
        &self.stream.text
    }

    fn shape(&self, node: u32) -> Shape {
        self.stream.arena.raw(node).shape
    }

    fn here(&self) -> PointerBuf {
        PointerBuf::from_tokens(self.path.iter().map(String::as_str))
    }

    fn at(&self, token: &str) -> PointerBuf {
        PointerBuf::from_tokens(self.path.iter().map(String::as_str).chain([token]))
    }

    /// Parsers disagree about tabs in front of block style, so nothing is lined up with them.
    fn refuse_tabs(&self, start: usize) -> Result<(), Refusal> {
        let text = self.text();
        if text[super::source::line_start(text, start)..start].contains('\t') {
            return Err(Refusal::Unsupported { at: self.here(), reason: "a tab is part of the indentation" });
        }
        Ok(())
    }

    fn change(&mut self, range: Range<usize>, replacement: impl Into<String>) {
        self.edits.push(Edit { range, replacement: replacement.into() });
    }

    fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.change(at..at, text);
    }

    /// Lines of comments at a column, each with the line break in front of it.
    fn comment_lines(&self, comments: impl Iterator<Item = Range<usize>>, column: usize) -> String {
        let mut lines = String::new();
        for comment in comments {
            lines.push_str(self.eol);
            lines.push_str(&" ".repeat(column));
            lines.push_str(&self.stream.text[comment]);
        }
        lines
    }
}
