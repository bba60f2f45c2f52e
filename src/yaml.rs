//! Lossless YAML: where every value and comment of a text lies, and which bytes must change so that a
//! document has a wanted value.
//!
//! Knows nothing about Kubernetes, but for one thing: values mean what its decoder (sigs.k8s.io/yaml on
//! go-yaml v2) says they mean. Keeps every byte it was not asked to change.
//!
//! # How it works
//! A text is parsed once into an arena of 16 bytes a node ([`Stream`], [`Node`]). [`Stream::edits`] walks the
//! nodes and a wanted value together and returns byte ranges with replacements, in the style of what is
//! around them. [`Stream::prove`] trusts none of that: it parses the new text with two parsers of different
//! families and compares every value and comment.
//!
//! # Why granit-parser
//! Edits need byte ranges of values *and* comments, on real files, with the meaning Kubernetes gives them.
//! Libyaml and its ports have no comments, and count anchors and tags into a value's range; saphyr counts in
//! characters; tree-sitter decodes no scalars; crates that edit by themselves rewrite more than was asked, see
//! only a first document, or quote by YAML 1.2 alone. granit-parser gives exact byte ranges of scalars, flow
//! collections and comments, is safe Rust, and is fast. What it leaves open is put right here: the ends of
//! block collections, dashes, headers of block scalars, values that are not there, tabs in front of flow
//! lines, anchor names that libyaml reads otherwise.
//!
//! Measured on the 5,753 YAML and JSON files of 22 public repos (14.7 MB, Helm templates included), one thread,
//! CPU time:
//!
//! - against sigs.k8s.io/yaml v1.6.0 itself: 5,471 files decode to the same values, the other 282 are refused
//!   by both, none differs;
//! - against serde_yaml (libyaml): 5,463 files have the same values but for the words and numbers of YAML 1.1;
//!   44 it alone accepts (43 have mappings as keys and one a broken merge, which Kubernetes refuses), 8 it alone
//!   refuses (Kubernetes accepts them);
//! - granit-parser's events without comments 96 MB/s, with them 86; [`Stream::parse`] 71, with
//!   [`Node::value`] 54; libyaml's events through serde_yaml 70, its values 49. Text, nodes and comments
//!   together take 2.1 times the text.

mod arena;
#[cfg(test)]
mod cases;
mod comment;
mod edit;
#[cfg(test)]
mod field;
mod forget;
mod layout;
mod line_index;
#[cfg(test)]
mod mutation;
mod navigate;
mod parse;
#[cfg(test)]
mod properties;
mod prove;
mod render;
mod resolve;
mod scalar;
mod source;
mod uncomment;
mod value;
mod whole;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

pub use self::line_index::LineIndex;
pub use self::uncomment::Uncommented;
pub use self::whole::Rewrite;
pub use json_patch::jsonptr::{Pointer, PointerBuf};
use serde_json::Value;

/// A parsed YAML (or JSON) stream: the text, and for every document its nodes with their byte ranges.
///
/// Compact on purpose (a few bytes a node, scalars are decoded when asked for): a run keeps the streams of
/// all manifests of a repo in memory.
#[derive(Debug)]
pub struct Stream {
    text: String,
    arena: arena::Arena,
    limits: Limits,
    comments: OnceLock<Vec<Comment>>,
    layout: OnceLock<layout::Layout>,
}

/// Limits that bound time and memory on hostile input.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Deepest nesting of collections.
    pub depth: usize,
    /// Most nodes one document may have after its aliases are expanded.
    pub expanded_nodes: usize,
}

/// Why a text is not YAML, and where. Line and column count from 1; columns count characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    pub message: String,
    pub line: usize,
    pub column: usize,
}

/// A place in the text. Both count from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// A node of a document: a cheap handle, valid as long as its stream.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    stream: &'a Stream,
    id: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Scalar,
    Mapping,
    Sequence,
    Alias,
}

/// A comment, `#` included, line break not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    pub range: Range<usize>,
    /// The document it stands in or in front of.
    pub document: usize,
    /// On the line of a value (or of a key, a dash, a block scalar's header), as opposed to a line of its own.
    pub trailing: bool,
    /// Path of the node it speaks of: for a trailing comment the entry or item whose line it is on, for a
    /// comment on its own line the next entry or item below at that indentation, else the enclosing collection.
    pub about: PointerBuf,
}

/// Where a new key goes among the keys a mapping has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    First,
    /// Behind the existing key of this index.
    After(usize),
    Last,
}

/// Decides where a new key goes. Asked only for block or flow mappings whose own keys are not in
/// alphabetical order (those keep it).
pub trait KeyOrder {
    /// `at` is the mapping's path in its document, `existing` its keys in text order.
    fn slot(&self, at: &Pointer, existing: &[&str], key: &str) -> Slot;
}

/// The value of a node, and how the text gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    pub value: Value,
    /// Whether nothing of it is an alias, merged in or there twice, and no key of a flow mapping takes several lines.
    pub is_plain: bool,
}

/// A byte range of the original text and what replaces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub range: Range<usize>,
    pub replacement: String,
}

/// Why a wanted value cannot be reached by editing this text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "the value at `{at}` is shared through the anchor `&{anchor}`, and not all of its users want the change"
    )]
    Shared { at: PointerBuf, anchor: String },
    #[error("the value at `{at}` comes from a merge key (`<<`)")]
    Merged { at: PointerBuf },
    #[error("the key at `{at}` is there twice")]
    DuplicateKey { at: PointerBuf },
    #[error("document {document} has no value to change")]
    EmptyDocument { document: usize },
    #[error("{reason} at `{at}`")]
    Unsupported { at: PointerBuf, reason: &'static str },
}

/// What an edited text does wrong: always a bug of ours, never the user's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    #[error("the new text does not parse: {0}")]
    Syntax(SyntaxError),
    #[error("the new text does not parse with a second parser: {0}")]
    SecondOpinion(String),
    #[error("the new text has {found} documents, not {expected}")]
    Documents { expected: usize, found: usize },
    #[error("document {document} does not have the wanted value at `{at}`")]
    Value { document: usize, at: PointerBuf },
    #[error("the comment `{0}` is gone")]
    Comment(String),
}

impl Default for Limits {
    /// Far above any manifest, low enough that no file can hurt.
    fn default() -> Self {
        Limits { depth: 128, expanded_nodes: 2_000_000 }
    }
}

impl Stream {
    /// Parses a text, which is read as if it ended with a line break (so does kubectl).
    pub fn parse(mut text: String, limits: &Limits) -> Result<Stream, SyntaxError> {
        let length = text.len();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let mut arena = parse::parse(&text, limits)?;
        text.truncate(length);
        arena.clamp(length);
        Ok(Stream { text, arena, limits: *limits, comments: OnceLock::new(), layout: OnceLock::new() })
    }

    /// A text that is not YAML, and has no documents.
    pub fn of_no_documents(text: String) -> Stream {
        let limits = Limits { depth: 0, expanded_nodes: 0 };
        let (arena, comments) = (arena::Arena::default(), OnceLock::from(Vec::new()));
        Stream { text, arena, limits, comments, layout: OnceLock::new() }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Number of documents, empty ones included.
    pub fn documents(&self) -> usize {
        self.arena.documents.len()
    }

    /// The root node of a document; nothing for an empty (or comment-only) one.
    pub fn root(&self, document: usize) -> Option<Node<'_>> {
        let id = self.arena.documents.get(document)?.root?;
        Some(Node { stream: self, id })
    }

    /// All comments in text order. What they speak of is found on the first call.
    pub fn comments(&self) -> &[Comment] {
        self.comments.get_or_init(|| match self.whole() {
            Some(whole) => whole.describe_comments(),
            None => self.describe_comments(),
        })
    }

    /// The lines of the comment right above a line (from 1), the lowest first, each from its `#` on.
    pub fn comment_above(&self, line: usize) -> impl Iterator<Item = &str> {
        self.lines_above(line).map(|range| &self.text[range])
    }

    pub fn position(&self, offset: usize) -> Position {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = memchr::memchr_iter(b'\n', &self.text.as_bytes()[..offset]).count() + 1;
        Position { line, column: source::column(&self.text, offset) + 1 }
    }

    /// The deepest entry or item that exists on the way to `pointer`, for a place to show a user: from its
    /// key to the end of its value. Aliases and merge keys are followed. Nothing for an empty document.
    pub fn locate(&self, document: usize, pointer: &Pointer) -> Option<Range<usize>> {
        let mut node = self.root(document)?.id;
        let mut range = self.arena.range(node);
        for token in pointer.tokens() {
            let container = self.arena.target(node);
            let shape = self.arena.raw(container).shape;
            let found = if shape.is_mapping() {
                self.lookup(container, &token.decoded())
            } else if shape.is_sequence() {
                let index = token.decoded().parse().ok();
                index.and_then(|index| self.arena.children(container).nth(index)).map(|item| (None, item))
            } else {
                None
            };
            let Some((key, value)) = found else { break };
            let tight = self.arena.range(value);
            range = key.map_or(tight.start, |key| self.entry_start(key))..tight.end;
            node = value;
        }
        Some(range)
    }

    /// The edits that give `document` the value `wanted`, and touch nothing that already has its value.
    pub fn edits(&self, document: usize, wanted: &Value, order: &dyn KeyOrder) -> Result<Vec<Edit>, Refusal> {
        let value = self.root(document).map_or(Ok(Value::Null), Node::value)?;
        self.edits_from(document, &value, wanted, order)
    }

    /// [`Stream::edits`] for a caller who has the document's value already.
    pub fn edits_from(
        &self,
        document: usize,
        value: &Value,
        wanted: &Value,
        order: &dyn KeyOrder,
    ) -> Result<Vec<Edit>, Refusal> {
        match self.whole() {
            Some(whole) => edit::edits(&whole, document, value, wanted, order),
            None => edit::edits(self, document, value, wanted, order),
        }
    }

    /// Whether the text has characters that some edits are refused for. Without them no edit of a document is whose
    /// value is [plain](Decoded::is_plain).
    pub fn has_obstacles(&self) -> bool {
        edit::has_obstacles(&self.text)
    }

    /// The edit that appends a document (`text`, YAML with `\n` line ends) to a YAML stream. A `---` that is
    /// already waiting for one at the end is used.
    pub fn append_document(&self, text: &str) -> Edit {
        let eol = source::line_break(&self.text);
        let mut replacement = String::new();
        let end = self.text.len();
        if !self.text.is_empty() && !self.text.ends_with('\n') && end > source::skip_bom(&self.text) {
            replacement.push_str(eol);
        }
        let waiting = self.arena.documents.last().is_none_or(|last| {
            // Only in front of content: a comment there would come to speak of the new document.
            last.root.is_none() && !last.closed && self.text[last.content as usize..].trim().is_empty()
        });
        let text = text.strip_prefix("---\n").unwrap_or(text);
        if !waiting || !self.arena.comments.is_empty() && self.arena.documents.is_empty() {
            replacement.push_str("---");
            replacement.push_str(eol);
        }
        let text = text.strip_suffix('\n').unwrap_or(text);
        for line in text.split('\n') {
            replacement.push_str(line);
            replacement.push_str(eol);
        }
        Edit { range: end..end, replacement }
    }

    /// The text after `edits`, which must be disjoint (they are sorted here).
    pub fn apply(&self, mut edits: Vec<Edit>) -> String {
        edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
        apply(&self.text, &edits)
    }

    /// Proves that `after` is this stream with the documents' values replaced by `wanted` (`None`: unchanged)
    /// and with `appended` further documents, all comments still there; returns it parsed.
    pub fn prove(&self, after: String, wanted: &[Option<&Value>], appended: usize) -> Result<Stream, Defect> {
        self.prove_with(after, wanted, appended, &[])
    }

    /// [`Stream::prove`] where some documents were rewritten as a whole: they have the values that were asked for or
    /// are gone, all others are as `wanted` says, and comments went from nowhere else.
    pub fn prove_with(
        &self,
        after: String,
        wanted: &[Option<&Value>],
        appended: usize,
        rewrites: &[Rewrite<'_>],
    ) -> Result<Stream, Defect> {
        prove::prove(self, after, wanted, appended, rewrites)
    }

    /// How the document with this root is laid out.
    fn layout(&self, root: u32) -> layout::Layout {
        self.layout_of(root, self.arena.next(root))
    }

    /// How the whole stream is laid out.
    fn stream_layout(&self) -> layout::Layout {
        *self.layout.get_or_init(|| self.layout_of(0, self.arena.nodes.len() as u32))
    }
}

/// `edits` are sorted and disjoint.
fn apply(text: &str, edits: &[Edit]) -> String {
    let added: usize = edits.iter().map(|edit| edit.replacement.len()).sum();
    let mut after = String::with_capacity(text.len() + added);
    let mut from = 0;
    for edit in edits {
        after.push_str(&text[from..edit.range.start]);
        after.push_str(&edit.replacement);
        from = edit.range.end;
    }
    after.push_str(&text[from..]);
    after
}

impl<'a> Node<'a> {
    pub fn kind(self) -> Kind {
        match self.stream.arena.raw(self.id).shape {
            arena::Shape::Alias => Kind::Alias,
            shape if shape.is_mapping() => Kind::Mapping,
            shape if shape.is_sequence() => Kind::Sequence,
            _ => Kind::Scalar,
        }
    }

    /// Tight: no surrounding blanks, comments, anchors or tags; quotes and a block scalar's header belong to it.
    pub fn range(self) -> Range<usize> {
        self.stream.arena.range(self.id)
    }

    /// Value of a key (aliases followed, merge keys looked through, last duplicate wins).
    pub fn get(self, key: &str) -> Option<Node<'a>> {
        let id = self.followed();
        if !self.stream.arena.raw(id).shape.is_mapping() {
            return None;
        }
        self.stream.lookup(id, key).map(|(_, id)| Node { id, ..self })
    }

    /// Keys and values as they stand in the text: of a mapping, or of the one an alias stands for.
    pub fn entries(self) -> impl Iterator<Item = (Node<'a>, Node<'a>)> {
        let id = self.followed();
        let is_mapping = self.stream.arena.raw(id).shape.is_mapping();
        let entries = is_mapping.then(|| self.stream.arena.entries(id)).into_iter().flatten();
        entries.map(move |(key, value)| (Node { id: key, ..self }, Node { id: value, ..self }))
    }

    /// Items of a sequence, or of the one an alias stands for.
    pub fn items(self) -> impl Iterator<Item = Node<'a>> {
        let id = self.followed();
        let is_sequence = self.stream.arena.raw(id).shape.is_sequence();
        let items = is_sequence.then(|| self.stream.arena.children(id)).into_iter().flatten();
        items.map(move |id| Node { id, ..self })
    }

    /// The string, when Kubernetes' decoder would see a string here (aliases followed).
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        let id = self.followed();
        if !self.stream.arena.raw(id).shape.is_scalar() {
            return None;
        }
        match self.stream.resolved(id) {
            resolve::Resolved::Text => Some(self.stream.arena.scalar(&self.stream.text, id)),
            resolve::Resolved::Bytes(bytes) => Some(Cow::Owned(bytes)),
            _ => None,
        }
    }

    /// The value as Kubernetes' decoder sees it. Fails on an alias bomb, a recursive alias, and on what that
    /// decoder refuses: keys that are collections or null, infinite numbers, tags that do not fit.
    pub fn value(self) -> Result<Value, Refusal> {
        Ok(self.stream.value_of(self.id)?)
    }

    /// [`Node::value`], and how the text gives it.
    pub fn decode(self) -> Result<Decoded, Refusal> {
        Ok(self.stream.decode(self.id)?)
    }

    fn followed(self) -> u32 {
        self.stream.arena.target(self.id)
    }
}
