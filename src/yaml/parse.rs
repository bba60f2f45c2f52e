//! Events of granit-parser to an arena of nodes.
//!
//! The parser says where tokens are; this puts right what it leaves open: where block collections end, where
//! the first dash of a sequence and the header of a block scalar are, and where a value that is not there
//! would stand. Judges no values.

use std::ops::Range;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StructureStyle};

use super::arena::{Arena, Document, Properties, Raw, Shape, Tag, colon_behind};
use super::source::{find_in_gap, is_blank, line_end, next_line};
use super::{Limits, SyntaxError};

/// How many lines with a tab in front are forgiven.
const MOST_TABBED_LINES: usize = 64;

/// Parses a text that ends with a line break.
pub(super) fn parse(text: &str, limits: &Limits) -> Result<Arena, SyntaxError> {
    if u32::try_from(text.len()).is_err() {
        return Err(SyntaxError { message: "the text is larger than 4 GiB".to_owned(), line: 1, column: 1 });
    }
    match events(text, limits) {
        Err(Failure::Tab(error)) => parse_tabbed(text, limits, error),
        Err(Failure::Other(error)) => Err(error),
        Ok(arena) => Ok(arena),
    }
}

/// granit-parser refuses lines of a flow collection inside of block style that start with a tab; Kubernetes'
/// parser takes them. Reads such tabs as blanks, which moves nothing, if the second parser agrees.
fn parse_tabbed(text: &str, limits: &Limits, first: SyntaxError) -> Result<Arena, SyntaxError> {
    if super::prove::accept(text).is_err() {
        return Err(first);
    }
    let mut blanked = text.to_owned();
    let mut line = first.line;
    for _ in 0..MOST_TABBED_LINES {
        let start = blanked.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let indent = blanked[start..].bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        blanked.replace_range(start..start + indent, &" ".repeat(indent));
        match events(&blanked, limits) {
            Ok(arena) => return Ok(arena),
            Err(Failure::Tab(error)) if error.line != line => line = error.line,
            Err(_) => break,
        }
    }
    Err(first)
}

enum Failure {
    /// A tab where granit-parser wants none.
    Tab(SyntaxError),
    Other(SyntaxError),
}

fn events(text: &str, limits: &Limits) -> Result<Arena, Failure> {
    let options = granit_parser::options! {
        emit_anchor_events: true,
        max_buffered_comment_events: usize::MAX,
        flow_nesting_limit: limits.depth,
        block_nesting_limit: limits.depth,
    };
    let mut builder = Builder::new(text, limits.depth);
    let mut parser = Parser::new_from_str_with_options(text, options);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| failure(&error))?;
        let anchor = match parser.peek() {
            Some(Ok((Event::Anchor(..), anchor))) if event.is_node() => Some(bytes(anchor)),
            _ => None,
        };
        if let Some(name) = anchor.clone().or_else(|| event.is_alias().then(|| bytes(&span))) {
            check_name(text, name).map_err(Failure::Other)?;
        }
        builder.event(event, &span, anchor).map_err(Failure::Other)?;
    }
    Ok(builder.finish())
}

/// Kubernetes' parser takes only these characters, and reads `&a: b` as something else.
fn check_name(text: &str, name: Range<usize>) -> Result<(), SyntaxError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if text.as_bytes()[name.start + 1..name.end].iter().all(|byte| is_plain(*byte)) {
        return Ok(());
    }
    let message = "an anchor has other characters than letters, digits, `_` and `-`".to_owned();
    let line = text[..name.start].matches('\n').count() + 1;
    Err(SyntaxError { message, line, column: super::source::column(text, name.start) + 1 })
}

fn failure(error: &ScanError) -> Failure {
    let marker = error.marker();
    let syntax = SyntaxError { message: error.info(), line: marker.line(), column: marker.col() + 1 };
    match error.kind() {
        ErrorKind::TabInBlockIndentation | ErrorKind::TabNotAllowed => Failure::Tab(syntax),
        _ => Failure::Other(syntax),
    }
}

fn bytes(span: &Span) -> Range<usize> {
    span.byte_range().expect("a parser of a string knows byte offsets")
}

fn offset(at: usize) -> u32 {
    u32::try_from(at).expect("the text's length was checked")
}

/// A collection that is still open.
struct Open {
    node: u32,
    shape: Shape,
    /// In a mapping: whether the next node is a key.
    at_key: bool,
}

struct Builder<'t> {
    text: &'t str,
    depth: usize,
    nodes: Vec<Raw>,
    properties: Vec<Properties>,
    decoded: Vec<Box<str>>,
    documents: Vec<Document>,
    comments: Vec<u32>,
    stack: Vec<Open>,
    /// Node of every anchor, by the parser's number less one.
    anchors: Vec<u32>,
    /// Offset behind the last token.
    cursor: usize,
    /// The last document's root is still to come.
    at_root: bool,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str, depth: usize) -> Self {
        Builder {
            text,
            depth,
            // About one node every 13 bytes in manifests.
            nodes: Vec::with_capacity(text.len() / 12),
            properties: Vec::new(),
            decoded: Vec::new(),
            documents: Vec::new(),
            comments: Vec::new(),
            stack: Vec::new(),
            anchors: Vec::new(),
            cursor: 0,
            at_root: false,
        }
    }

    fn event(
        &mut self,
        event: Event<'t>,
        span: &Span,
        anchor: Option<Range<usize>>,
    ) -> Result<(), SyntaxError> {
        let range = bytes(span);
        match event {
            Event::Comment(..) => self.comments.push(offset(range.start)),
            Event::DocumentStart(explicit, _) => self.start_document(explicit, range),
            Event::DocumentEnd => self.end_document(range),
            Event::Scalar(value, style, anchor_id, tag) => {
                let tag = tag.as_deref().map(|tag| (tag_of(tag), tag_range(span)));
                let properties = self.enter(anchor, tag);
                self.scalar(&value, style, span, properties);
                self.name_anchor(anchor_id, self.nodes.len() - 1);
            }
            Event::MappingStart(style, anchor_id, tag) => {
                let tag = tag.as_deref().map(|tag| (tag_of(tag), tag_range(span)));
                let properties = self.enter(anchor, tag);
                let shape = match style {
                    StructureStyle::Block => Shape::BlockMapping,
                    StructureStyle::Flow if range.is_empty() => Shape::BarePair,
                    StructureStyle::Flow => Shape::FlowMapping,
                };
                self.open(shape, range, properties, anchor_id)?;
            }
            Event::SequenceStart(style, anchor_id, tag) => {
                let tag = tag.as_deref().map(|tag| (tag_of(tag), tag_range(span)));
                let properties = self.enter(anchor, tag);
                let shape = match style {
                    StructureStyle::Block => Shape::BlockSequence,
                    StructureStyle::Flow => Shape::FlowSequence,
                };
                self.open(shape, range, properties, anchor_id)?;
            }
            Event::MappingEnd | Event::SequenceEnd => self.close(range),
            Event::Alias(anchor_id) => {
                self.enter(None, None);
                let target = self.anchors[anchor_id - 1];
                self.push(Shape::Alias, range.clone(), target, None);
                self.cursor = range.end;
                if let Some(document) = self.documents.last_mut() {
                    document.has_aliases = true;
                }
            }
            Event::Anchor(..) | Event::UnresolvedAlias(_) | Event::StreamStart | Event::StreamEnd => {}
            _ => {}
        }
        Ok(())
    }

    fn start_document(&mut self, explicit: bool, range: Range<usize>) {
        if let Some(previous) = self.documents.last_mut()
            && !previous.closed
        {
            previous.end = offset(range.start);
        }
        if explicit {
            self.cursor = range.end;
        }
        self.at_root = true;
        self.documents.push(Document {
            root: None,
            content: offset(self.cursor),
            end: offset(range.end),
            closed: false,
            has_aliases: false,
        });
    }

    fn end_document(&mut self, range: Range<usize>) {
        let document = self.documents.last_mut().expect("a document ends after it started");
        document.closed = self.text[range.clone()].starts_with("...");
        document.end = offset(range.end);
        self.cursor = self.cursor.max(range.end.min(self.text.len()));
    }

    /// Moves behind the indicator in front of a node (dash, colon) and behind its properties.
    fn enter(
        &mut self,
        anchor: Option<Range<usize>>,
        tag: Option<(Tag, Range<usize>)>,
    ) -> Option<Properties> {
        match self.stack.last_mut() {
            Some(Open { shape: Shape::BlockSequence, node, .. }) => {
                let dash = find_in_gap(self.text, self.cursor, |byte| byte == b'-').unwrap_or(self.cursor);
                let sequence = *node;
                if self.nodes.len() == sequence as usize + 1 {
                    self.nodes[sequence as usize].start = offset(dash);
                }
                self.cursor = (dash + 1).min(self.text.len());
            }
            Some(open) if open.shape.is_mapping() => {
                if !open.at_key
                    && let Some(colon) = colon_behind(self.text, self.cursor)
                {
                    self.cursor = colon + 1;
                }
                open.at_key = !open.at_key;
            }
            _ => {}
        }
        let id = offset(self.nodes.len());
        if std::mem::take(&mut self.at_root)
            && let Some(document) = self.documents.last_mut()
        {
            document.root = Some(id);
        }
        let (tag, tag_range) = tag.unwrap_or((Tag::None, 0..0));
        let anchor = anchor.unwrap_or(0..0);
        let parts = [&tag_range, &anchor].into_iter().filter(|part| !part.is_empty());
        let start = parts.clone().map(|part| part.start).min()?;
        let end = parts.map(|part| part.end).max()?;
        self.cursor = self.cursor.max(end);
        Some(Properties {
            node: id,
            range: offset(start)..offset(end),
            anchor: offset(anchor.start)..offset(anchor.end),
            tag,
            tag_range: offset(tag_range.start)..offset(tag_range.end),
        })
    }

    fn push(&mut self, shape: Shape, range: Range<usize>, link: u32, properties: Option<Properties>) {
        self.nodes.push(Raw {
            start: offset(range.start),
            end: offset(range.end),
            link,
            shape,
            has_properties: properties.is_some(),
            is_decoded: false,
            is_forgotten: false,
        });
        self.properties.extend(properties);
    }

    fn name_anchor(&mut self, anchor_id: usize, node: usize) {
        if anchor_id > 0 {
            // Numbers count up from 1 over the whole stream.
            self.anchors.resize(anchor_id, 0);
            self.anchors[anchor_id - 1] = offset(node);
        }
    }

    fn open(
        &mut self,
        shape: Shape,
        range: Range<usize>,
        properties: Option<Properties>,
        anchor_id: usize,
    ) -> Result<(), SyntaxError> {
        if self.stack.len() >= self.depth {
            let line = self.text[..range.start].matches('\n').count() + 1;
            let column = super::source::column(self.text, range.start) + 1;
            return Err(SyntaxError { message: "nested too deeply".to_owned(), line, column });
        }
        let node = offset(self.nodes.len());
        self.push(shape, range.start..range.start, 0, properties);
        self.name_anchor(anchor_id, node as usize);
        if shape.is_flow_collection() && shape != Shape::BarePair {
            self.cursor = range.end;
        }
        self.stack.push(Open { node, shape, at_key: true });
        Ok(())
    }

    fn close(&mut self, range: Range<usize>) {
        let open = self.stack.pop().expect("a collection ends after it started");
        let end = match open.shape {
            Shape::FlowMapping | Shape::FlowSequence => range.end,
            _ => self.cursor,
        };
        self.cursor = end;
        let next = offset(self.nodes.len());
        let node = &mut self.nodes[open.node as usize];
        node.end = offset(end);
        node.link = next;
        if matches!(open.shape, Shape::BlockMapping | Shape::BarePair) {
            let first = self.nodes[open.node as usize + 1];
            let mut start = first.start;
            if first.has_properties
                && let Ok(index) = self.properties.binary_search_by_key(&(open.node + 1), |found| found.node)
            {
                start = start.min(self.properties[index].range.start);
            }
            let node = &mut self.nodes[open.node as usize];
            node.start = node.start.min(start);
        }
    }

    fn scalar(&mut self, value: &str, style: ScalarStyle, span: &Span, properties: Option<Properties>) {
        let span_range = bytes(span);
        let (shape, range) = match style {
            ScalarStyle::Plain if span_range.is_empty() => (Shape::Omitted, self.cursor..self.cursor),
            ScalarStyle::Plain => (Shape::Plain, span_range),
            ScalarStyle::SingleQuoted => (Shape::Single, span_range),
            ScalarStyle::DoubleQuoted => (Shape::Double, span_range),
            ScalarStyle::Literal => (Shape::Literal, self.block_scalar(span, value.is_empty())),
            ScalarStyle::Folded => (Shape::Folded, self.block_scalar(span, value.is_empty())),
        };
        self.cursor = range.end;
        let simple = match shape {
            Shape::Plain => &self.text[range.clone()],
            Shape::Single | Shape::Double => &self.text[range.start + 1..range.end - 1],
            Shape::Omitted => value,
            _ => "",
        };
        let is_decoded = simple != value;
        self.push(shape, range, 0, properties);
        if is_decoded {
            let node = self.nodes.last_mut().expect("pushed above");
            node.is_decoded = true;
            node.link = offset(self.decoded.len());
            self.decoded.push(value.into());
        }
    }

    /// The range of a block scalar from its header to the end of its last line that counts.
    fn block_scalar(&self, span: &Span, is_empty: bool) -> Range<usize> {
        let text = self.text;
        let content = bytes(span);
        let header =
            find_in_gap(text, self.cursor, |byte| matches!(byte, b'|' | b'>')).unwrap_or(self.cursor);
        let indicators =
            text[header + 1..].bytes().take_while(|byte| matches!(byte, b'+' | b'-' | b'0'..=b'9')).count();
        let header_end = header + 1 + indicators;
        let keeps_blank_lines = text[header..header_end].contains('+');
        let indent = span.start.col();
        let mut end = header_end;
        let mut line = next_line(text, header_end);
        while line < content.end {
            let line_end = line_end(text, line);
            if line_end > content.end {
                // The span goes on into the indentation of the next token's line.
                break;
            }
            let counts = !is_blank(&text.as_bytes()[line..line_end]) || line_end - line > indent && !is_empty;
            if counts || keeps_blank_lines && line_end < content.end {
                end = line_end;
            }
            line = next_line(text, line_end);
        }
        header..end
    }

    fn finish(mut self) -> Arena {
        self.comments.sort_unstable();
        self.comments.dedup();
        if let Some(last) = self.documents.last_mut()
            && !last.closed
        {
            last.end = offset(self.text.len());
        }
        for document in &mut self.documents {
            // A document with nothing in it has the value null all the same.
            if let Some(root) = document.root {
                let root = self.nodes[root as usize];
                if root.shape == Shape::Omitted && !root.has_properties {
                    document.root = None;
                }
            }
        }
        Arena {
            nodes: self.nodes.into_boxed_slice(),
            properties: self.properties.into_boxed_slice(),
            decoded: self.decoded.into_boxed_slice(),
            documents: self.documents.into_boxed_slice(),
            comments: self.comments.into_boxed_slice(),
        }
    }
}

fn tag_range(span: &Span) -> Range<usize> {
    span.tag_span().map_or(0..0, |tag| bytes(&tag))
}

fn tag_of(tag: &granit_parser::Tag) -> Tag {
    // go-yaml drops `!` and decides the scalar as if it were plain.
    if tag.handle().is_empty() && tag.suffix() == "!" {
        return Tag::None;
    }
    const CORE: &str = "tag:yaml.org,2002:";
    match tag.suffix_in_namespace(CORE).as_deref() {
        Some("str") => Tag::Str,
        Some("bool") => Tag::Bool,
        Some("int") => Tag::Int,
        Some("float") => Tag::Float,
        Some("null") => Tag::Null,
        Some("binary") => Tag::Binary,
        Some("merge") => Tag::Merge,
        _ => Tag::Other,
    }
}
