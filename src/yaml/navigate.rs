//! Ways through a stream that start from a node: its own text, and what lies below it.

use super::{Node, Stream};

impl Stream {
    /// Whether a node of the stream stands for another.
    pub fn has_aliases(&self) -> bool {
        self.arena.nodes.iter().any(|node| node.shape == super::arena::Shape::Alias)
    }

    /// The text, without the parsed nodes.
    pub fn into_text(self) -> String {
        self.text
    }
}

impl<'a> Node<'a> {
    pub fn stream(self) -> &'a Stream {
        self.stream
    }

    /// The text of [`Node::range`].
    pub fn source(self) -> &'a str {
        &self.stream.text[self.range()]
    }

    /// A scalar's text as a person wrote it, whatever type a decoder gives it (`1.10`); nothing for null, an empty
    /// text and collections.
    pub fn written(self) -> Option<String> {
        let text = match self.as_str() {
            Some(text) => text.into_owned(),
            None if self.kind() == super::Kind::Scalar => self.source().to_owned(),
            None => return None,
        };
        let is_null = self.as_str().is_none() && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
        (!text.is_empty() && !is_null).then_some(text)
    }

    /// The node at a pointer (RFC 6901) below this one, found as [`Node::get`] finds a key.
    pub fn at(self, pointer: &str) -> Option<Node<'a>> {
        let Some(tokens) = pointer.strip_prefix('/') else { return pointer.is_empty().then_some(self) };
        tokens.split('/').try_fold(self, |node, token| match token.parse::<usize>() {
            Ok(idx) if node.kind_of_target() == super::Kind::Sequence => node.items().nth(idx),
            _ if token.contains('~') => node.get(&crate::pointer::decoded(token)),
            _ => node.get(token),
        })
    }

    /// The kind of what an alias stands for.
    fn kind_of_target(self) -> super::Kind {
        Node { id: self.followed(), ..self }.kind()
    }
}
