//! How a stream's nodes are kept: 16 bytes each, in text order, a collection's subtree behind it.
//!
//! What can be found again in the text (colons, dashes, most scalars) is not stored. Knows where things lie,
//! not what they mean.

use std::borrow::Cow;
use std::ops::Range;

use super::source::{find_in_gap, next_token};

/// How a node is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Plain,
    Single,
    Double,
    Literal,
    Folded,
    /// A value that is not there: `key:`, `-`, an empty document.
    Omitted,
    BlockMapping,
    FlowMapping,
    /// A single pair without braces: `[key: value]`.
    BarePair,
    BlockSequence,
    FlowSequence,
    Alias,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Raw {
    /// Tight range: without properties; a block sequence starts at its first dash.
    pub(super) start: u32,
    pub(super) end: u32,
    /// Collection: id behind its subtree. Alias: id of its target. Scalar: index into `decoded`, if `decoded`.
    pub(super) link: u32,
    pub(super) shape: Shape,
    /// It has an anchor or a tag, to be found in [`Arena::properties`].
    pub(super) has_properties: bool,
    /// A scalar whose text is not simply a piece of the source.
    pub(super) is_decoded: bool,
    /// A collection whose subtree was let go.
    pub(super) is_forgotten: bool,
}

/// What an explicit tag says, as far as the decoder cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    None,
    Str,
    Bool,
    Int,
    Float,
    Null,
    Binary,
    Merge,
    /// Any other: the scalar stays a string.
    Other,
}

/// Anchor and tag in front of a node.
#[derive(Debug, Clone)]
pub(super) struct Properties {
    pub(super) node: u32,
    pub(super) range: Range<u32>,
    /// Range of the anchor's token, `&` included; empty when there is none.
    pub(super) anchor: Range<u32>,
    pub(super) tag: Tag,
    /// Range of the tag's token; empty when there is none.
    pub(super) tag_range: Range<u32>,
}

#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) root: Option<u32>,
    /// Offset behind its `---` (or where it begins without one).
    pub(super) content: u32,
    /// Offset where the region of this document ends: behind its `...`, or where the next `---` starts.
    pub(super) end: u32,
    /// Whether a `...` ends it.
    pub(super) closed: bool,
    /// Whether one of its nodes is an alias.
    pub(super) has_aliases: bool,
}

#[derive(Debug, Default)]
pub(super) struct Arena {
    pub(super) nodes: Box<[Raw]>,
    pub(super) properties: Box<[Properties]>,
    pub(super) decoded: Box<[Box<str>]>,
    pub(super) documents: Box<[Document]>,
    /// Offset of every comment's `#`.
    pub(super) comments: Box<[u32]>,
}

impl Shape {
    pub(super) fn is_mapping(self) -> bool {
        matches!(self, Shape::BlockMapping | Shape::FlowMapping | Shape::BarePair)
    }

    pub(super) fn is_sequence(self) -> bool {
        matches!(self, Shape::BlockSequence | Shape::FlowSequence)
    }

    pub(super) fn is_block_collection(self) -> bool {
        matches!(self, Shape::BlockMapping | Shape::BlockSequence)
    }

    pub(super) fn is_flow_collection(self) -> bool {
        matches!(self, Shape::FlowMapping | Shape::FlowSequence | Shape::BarePair)
    }

    pub(super) fn is_block_scalar(self) -> bool {
        matches!(self, Shape::Literal | Shape::Folded)
    }

    pub(super) fn is_scalar(self) -> bool {
        !self.is_mapping() && !self.is_sequence() && self != Shape::Alias
    }
}

impl Arena {
    /// Forgets the line break that the text was parsed with but does not have.
    pub(super) fn clamp(&mut self, length: usize) {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        for document in &mut self.documents {
            document.end = document.end.min(length);
            document.content = document.content.min(length);
        }
    }

    pub(super) fn raw(&self, id: u32) -> Raw {
        self.nodes[id as usize]
    }

    pub(super) fn range(&self, id: u32) -> Range<usize> {
        let raw = self.raw(id);
        raw.start as usize..raw.end as usize
    }

    pub(super) fn properties(&self, id: u32) -> Option<&Properties> {
        if !self.raw(id).has_properties {
            return None;
        }
        let index = self.properties.binary_search_by_key(&id, |properties| properties.node).ok()?;
        Some(&self.properties[index])
    }

    pub(super) fn tag(&self, id: u32) -> Tag {
        self.properties(id).map_or(Tag::None, |properties| properties.tag)
    }

    /// Where a node begins, its properties included.
    pub(super) fn outer_start(&self, id: u32) -> usize {
        let start = self.raw(id).start as usize;
        self.properties(id).map_or(start, |properties| (properties.range.start as usize).min(start))
    }

    /// Id behind the subtree of a node.
    pub(super) fn next(&self, id: u32) -> u32 {
        let raw = self.raw(id);
        if raw.shape.is_mapping() || raw.shape.is_sequence() { raw.link } else { id + 1 }
    }

    /// Ids of the direct children: items, or keys and values in turn.
    pub(super) fn children(&self, id: u32) -> impl Iterator<Item = u32> + '_ {
        let (mut next, end) = (id + 1, self.next(id));
        std::iter::from_fn(move || {
            let child = next;
            (child < end).then(|| next = self.next(child)).map(|()| child)
        })
    }

    /// Ids of the keys and values of a mapping.
    pub(super) fn entries(&self, id: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let mut children = self.children(id);
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    /// The node an alias stands for; the node itself otherwise.
    pub(super) fn target(&self, id: u32) -> u32 {
        let raw = self.raw(id);
        if raw.shape == Shape::Alias { raw.link } else { id }
    }

    /// Whether an alias stands inside the node it means.
    pub(super) fn is_recursive(&self, alias: u32) -> bool {
        let target = self.target(alias);
        target < alias && alias < self.next(target)
    }

    pub(super) fn anchor_name<'t>(&self, text: &'t str, id: u32) -> Option<&'t str> {
        let properties = self.properties(id)?;
        let range = properties.anchor.start as usize..properties.anchor.end as usize;
        (!range.is_empty()).then(|| &text[range.start + 1..range.end])
    }

    /// A scalar's text after quotes, escapes, folding and chomping.
    pub(super) fn scalar<'t>(&'t self, text: &'t str, id: u32) -> Cow<'t, str> {
        let raw = self.raw(id);
        let range = raw.start as usize..raw.end as usize;
        Cow::Borrowed(match raw.shape {
            _ if raw.is_decoded => &self.decoded[raw.link as usize],
            Shape::Single | Shape::Double => &text[range.start + 1..range.end - 1],
            Shape::Plain => &text[range],
            _ => "",
        })
    }

    /// Offset of the colon behind a key; none in `{key}` and `? key`.
    pub(super) fn colon(&self, text: &str, key: u32) -> Option<usize> {
        colon_behind(text, self.raw(key).end as usize)
    }

    /// Offset of the dash of a block sequence's item, `previous` being the item in front of it.
    pub(super) fn dash(&self, text: &str, sequence: u32, previous: Option<u32>) -> usize {
        let Some(previous) = previous else { return self.raw(sequence).start as usize };
        let from = self.raw(previous).end as usize;
        find_in_gap(text, from, |byte| byte == b'-').expect("every item of a block sequence has a dash")
    }
}

/// Offset of the `:` that follows a key which ends at `end`.
pub(super) fn colon_behind(text: &str, end: usize) -> Option<usize> {
    let at = next_token(text, end);
    (text.as_bytes().get(at) == Some(&b':')).then_some(at)
}
