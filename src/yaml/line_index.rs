//! Lines of a text by offset, for many look-ups in one text.

use super::{Position, source};

/// Where the lines of a text start.
#[derive(Debug)]
pub struct LineIndex<'a> {
    text: &'a str,
    starts: Vec<u32>,
}

impl<'a> LineIndex<'a> {
    pub fn new(text: &'a str) -> LineIndex<'a> {
        let ends = memchr::memchr_iter(b'\n', text.as_bytes());
        let starts = std::iter::once(0).chain(ends.map(|end| end as u32 + 1)).collect();
        LineIndex { text, starts }
    }

    /// The same as [`super::Stream::position`].
    pub fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.starts.partition_point(|start| *start as usize <= offset);
        Position { line, column: source::column(self.text, offset) + 1 }
    }

    /// The line of an offset, counted from 0.
    pub fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start as usize <= offset) - 1
    }

    /// Where a line starts, counted from 0; the end of the text for one behind the last.
    pub fn start(&self, line: usize) -> usize {
        self.starts.get(line).map_or(self.text.len(), |start| *start as usize)
    }

    /// The text in front of an offset, from the start of its line.
    pub fn in_front(&self, offset: usize) -> &'a str {
        &self.text[self.start(self.line(offset))..offset]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, Stream};
    use super::*;

    #[test]
    fn agrees_with_the_stream() {
        let text = "ä: 1\r\n\nb: ü # x\nc: 3";
        let stream = Stream::parse(text.to_owned(), &Limits::default()).unwrap();
        let index = LineIndex::new(text);
        for offset in 0..=text.len() {
            assert_eq!(index.position(offset), stream.position(offset), "{offset}");
        }
    }
}
