//! The proof of an edit: parse the new text twice, compare every value, look for every comment.
//!
//! Trusts nothing that made the edit.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::value::first_difference;
use super::{Defect, PointerBuf, Rewrite, Stream};

pub(super) fn prove(
    before: &Stream,
    after: String,
    wanted: &[Option<&Value>],
    appended: usize,
    rewrites: &[Rewrite<'_>],
) -> Result<Stream, Defect> {
    let after = Stream::parse(after, &before.limits).map_err(Defect::Syntax)?;
    second_opinion(before, &after)?;
    // A stream that ends in `---` has an empty document, which an appended one may fill.
    let fills =
        appended > 0 && before.documents().checked_sub(1).is_some_and(|last| before.root(last).is_none());
    let removed = rewrites.iter().filter(|rewrite| rewrite.value.is_none()).count();
    let expected = before.documents() + appended - removed;
    if after.documents() != expected && !(fills && after.documents() == expected - 1) {
        return Err(Defect::Documents { expected, found: after.documents() });
    }
    let mut new = 0;
    for document in 0..before.documents() {
        if fills && document + 1 == before.documents() {
            continue;
        }
        let wanted = match rewrites.iter().find(|rewrite| rewrite.document == document) {
            Some(Rewrite { value: None, .. }) => continue,
            Some(rewrite) => rewrite.value,
            None => wanted.get(document).copied().flatten(),
        };
        compare(before, document, &after, new, wanted)?;
        new += 1;
    }
    comments_survive(before, &after, rewrites)?;
    Ok(after)
}

/// Compares a document with the new one in its place.
fn compare(
    before: &Stream,
    document: usize,
    after: &Stream,
    new: usize,
    wanted: Option<&Value>,
) -> Result<(), Defect> {
    if wanted.is_none() && before.region(document) == after.region(new) {
        return Ok(());
    }
    let value = |stream: &Stream, document: usize| {
        stream.root(document).map_or(Ok(Value::Null), |root| stream.value_of(root.id))
    };
    let undecodable = |_| Defect::Value { document, at: PointerBuf::new() };
    let old;
    let wanted = match wanted {
        Some(wanted) => wanted,
        None => {
            old = value(before, document).map_err(undecodable)?;
            &old
        }
    };
    let found = value(after, new).map_err(undecodable)?;
    first_difference(&found, wanted).map_or(Ok(()), |at| Err(Defect::Value { document, at }))
}

/// A parser of another family has to accept the new text, if it accepted the old one.
fn second_opinion(before: &Stream, after: &Stream) -> Result<(), Defect> {
    let Err(error) = accept(&after.text) else { return Ok(()) };
    if accept(&before.text).is_err() { Ok(()) } else { Err(Defect::SecondOpinion(error.to_string())) }
}

/// Whether the second parser takes a text.
pub(super) fn accept(text: &str) -> Result<(), serde_yaml::Error> {
    // That parser, told the encoding, counts a byte order mark as a column.
    let text = text.strip_prefix(super::source::BOM).unwrap_or(text);
    for document in serde_yaml::Deserializer::from_str(text) {
        IgnoredAny::deserialize(document)?;
    }
    Ok(())
}

/// Every old comment is still there, in the old order, but for those inside of what was rewritten.
fn comments_survive(before: &Stream, after: &Stream, rewrites: &[Rewrite<'_>]) -> Result<(), Defect> {
    let text = |stream: &Stream, start: u32| stream.text[stream.comment_range(start)].to_owned();
    let is_rewritten = |at: u32| rewrites.iter().any(|rewrite| rewrite.range.contains(&(at as usize)));
    let mut new = after.arena.comments.iter();
    for old in before.arena.comments.iter().filter(|at| !is_rewritten(**at)) {
        let old_text = &before.text[before.comment_range(*old)];
        if !new.any(|start| &after.text[after.comment_range(*start)] == old_text) {
            return Err(Defect::Comment(text(before, *old)));
        }
    }
    Ok(())
}

impl Stream {
    /// The text of a document and of what stands in front of it.
    fn region(&self, document: usize) -> &str {
        let documents = &self.arena.documents;
        let start = document.checked_sub(1).map_or(0, |previous| documents[previous].end as usize);
        &self.text[start..documents[document].end as usize]
    }
}
