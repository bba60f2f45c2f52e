//! Documents as a whole: put another one in the place of one, or take it out of its stream.
//!
//! Comments in front of a document stay; what stands inside it goes with it.

use std::ops::Range;

use serde_json::Value;

use super::source::{line_break, line_start};
use super::{Edit, PointerBuf, Refusal, Stream};

/// What becomes of a document as a whole, for [`Stream::prove_with`].
#[derive(Debug, Clone, PartialEq)]
pub struct Rewrite<'v> {
    pub document: usize,
    /// What the document's edit replaces: comments in there may go.
    pub range: Range<usize>,
    /// The value it has then; `None` when it is taken out.
    pub value: Option<&'v Value>,
}

impl Stream {
    /// The edit that puts another document in the place of one: `text` (YAML with `\n` line ends), or its `value` where
    /// the stream is JSON.
    pub fn replace_document(&self, document: usize, text: &str, value: &Value) -> Result<Edit, Refusal> {
        let root = self.root(document).ok_or(Refusal::EmptyDocument { document })?;
        let start = root.range().start;
        let content = self.arena.documents[document].content as usize;
        if self.arena.raw(root.id).has_properties {
            return Err(refused("the document has an anchor or a tag"));
        }
        let is_flow = self.arena.raw(root.id).shape.is_flow_collection();
        let text = if is_flow { json(value) } else { text.trim_end().to_owned() };
        let eol = line_break(&self.text);
        let mut replacement = text.replace('\n', eol);
        let line = line_start(&self.text, start);
        if !self.text[line..start].trim().is_empty() && !is_flow {
            // `--- key: value` is no YAML: the new document starts on a line of its own.
            if line > content {
                return Err(refused("something stands in front of the document on its line"));
            }
            replacement.insert_str(0, eol);
        }
        Ok(Edit { range: start..self.content_end(document)?, replacement })
    }

    /// The edit that takes a document out of a stream with others.
    pub fn remove_document(&self, document: usize) -> Result<Edit, Refusal> {
        let documents = &self.arena.documents;
        let root = self.root(document).ok_or(Refusal::EmptyDocument { document })?;
        if documents.len() < 2 {
            return Err(refused("it is the only document of its file"));
        }
        let is_closed = |at: usize| documents[at].closed;
        if is_closed(document) || document > 0 && is_closed(document - 1) {
            return Err(refused("`...` ends a document"));
        }
        let end = documents[document].end as usize;
        let start = match document {
            // The next `---` takes the place of its own.
            0 if self.text[..documents[0].content as usize].ends_with("---") => {
                documents[0].content as usize - 3
            }
            0 => self.start_with_own_comments(root.range().start),
            _ => documents[document - 1].end as usize,
        };
        Ok(Edit { range: start..end, replacement: String::new() })
    }

    /// Offset behind the last text of a document, comments included.
    fn content_end(&self, document: usize) -> Result<usize, Refusal> {
        let region = &self.arena.documents[document];
        let start = region.content as usize;
        let text = self.text[start..region.end as usize].trim_end();
        if !region.closed {
            return Ok(start + text.len());
        }
        let text = text.strip_suffix("...").ok_or_else(|| refused("a comment follows `...`"))?;
        Ok(start + text.trim_end().len())
    }

    /// Comments right above the first document are its own; a blank line sets others apart.
    fn start_with_own_comments(&self, start: usize) -> usize {
        let mut first = line_start(&self.text, start);
        while first > 0 {
            let above = line_start(&self.text, first - 1);
            if above == first || !self.text[above..first].trim_start().starts_with('#') {
                break;
            }
            first = above;
        }
        first
    }
}

fn refused(reason: &'static str) -> Refusal {
    Refusal::Unsupported { at: PointerBuf::new(), reason }
}

fn json(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a value of JSON is JSON")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::yaml::Limits;

    #[track_caller]
    fn parsed(text: &str) -> Stream {
        Stream::parse(text.to_owned(), &Limits::default()).unwrap()
    }

    #[track_caller]
    fn check_replaced(text: &str, document: usize, expected: &str) {
        let (stream, value) = (parsed(text), json!({"new": 1}));
        let edit = stream.replace_document(document, "new: 1\n", &value).unwrap();
        let rewrite = Rewrite { document, range: edit.range.clone(), value: Some(&value) };
        let after = stream.apply(vec![edit]);
        assert_eq!(after, expected);
        stream.prove_with(after, &[], 0, &[rewrite]).unwrap();
    }

    #[test]
    fn a_document_is_replaced_where_it_stands() {
        check_replaced("a: 1\n", 0, "new: 1\n");
        check_replaced("a: 1", 0, "new: 1");
        check_replaced(
            "# head\n---\n# own\na: 1 # in\n# behind\n\n---\nb: 2\n",
            0,
            "# head\n---\n# own\nnew: 1\n\n---\nb: 2\n",
        );
        check_replaced("a: 1\r\n---\r\nb: 2\r\nc: 3\r\n", 1, "a: 1\r\n---\r\nnew: 1\r\n");
        check_replaced("a: 1\n---\nb: 2\n...\n---\nc: 3\n", 1, "a: 1\n---\nnew: 1\n...\n---\nc: 3\n");
        check_replaced("{\"a\": 1}\n", 0, "{\n  \"new\": 1\n}\n");
        check_replaced("a: 1\n--- {b: 2}\n", 1, "a: 1\n--- {\n  \"new\": 1\n}\n");
    }

    #[track_caller]
    fn check_removed(text: &str, document: usize, expected: &str) {
        let stream = parsed(text);
        let edit = stream.remove_document(document).unwrap();
        let rewrite = Rewrite { document, range: edit.range.clone(), value: None };
        let after = stream.apply(vec![edit]);
        assert_eq!(after, expected);
        stream.prove_with(after, &[], 0, &[rewrite]).unwrap();
    }

    #[test]
    fn a_document_is_taken_out_of_its_stream() {
        check_removed("a: 1\n---\nb: 2\n", 1, "a: 1\n");
        check_removed("# license\n\n# of a\na: 1\n---\nb: 2\n", 0, "# license\n\n---\nb: 2\n");
        check_removed("a: 1\n---\n# of b\nb: 2\n---\nc: 3\n", 1, "a: 1\n---\nc: 3\n");
        check_removed("# x\n---\na: 1\n---\nb: 2\n", 0, "# x\n---\nb: 2\n");
    }

    #[test]
    fn the_last_document_of_a_file_stays() {
        assert!(parsed("a: 1\n").remove_document(0).is_err());
        assert!(parsed("a: 1\n...\n---\nb: 2\n").remove_document(1).is_err());
    }

    #[test]
    fn a_proof_sees_other_documents_and_comments() {
        let (stream, value) = (parsed("# head\na: 1\n---\nb: 2\n"), json!({"new": 1}));
        let prove = |after: &str, range: Range<usize>| {
            let rewrite = Rewrite { document: 0, range, value: Some(&value) };
            stream.prove_with(after.to_owned(), &[], 0, &[rewrite])
        };
        assert!(prove("# head\nnew: 1\n---\nb: 2\n", 7..11).is_ok());
        assert!(prove("new: 1\n---\nb: 2\n", 7..11).is_err());
        assert!(prove("# head\nnew: 1\n---\nb: 3\n", 7..11).is_err());
        assert!(prove("# head\nnew: 2\n---\nb: 2\n", 7..11).is_err());
        assert!(prove("# head\nnew: 1\n", 7..11).is_err());
    }
}
