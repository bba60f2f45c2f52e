//! Lines of comments read as entries: which of them say a wanted value.

use std::ops::Range;

use serde_json::Value;

use crate::yaml::source::column;
use crate::yaml::{Limits, Stream};

/// A line of a comment as it would stand there as data.
pub(super) struct Line {
    /// The `#`, with the blank behind it where that is no indentation.
    pub(super) sign: Range<usize>,
    /// Of the first character.
    pub(super) column: usize,
    /// From there on.
    text: String,
}

impl Line {
    /// The value that stands behind a key; `None` for what is no entry.
    fn entry(&self) -> Option<(&str, &str)> {
        let (key, rest) = self.text.split_once(':')?;
        let is_key = |key: &str| {
            let is_part = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.' | '/');
            !key.is_empty() && key.chars().all(is_part) && !key.starts_with('-')
        };
        let ends = rest.is_empty() || rest.starts_with(' ');
        (is_key(key) && ends).then_some((key, rest.trim()))
    }

    pub(super) fn is_entry(&self, key: &str) -> bool {
        self.entry().is_some_and(|(own, _)| own == key)
    }
}

/// The ways to read a run of comments: `# key` and `#key` both stand for `key` in the column of the `#`.
pub(super) fn lines(text: &str, run: &[Range<usize>]) -> Vec<Vec<Line>> {
    let read = |width: usize| -> Option<Vec<Line>> {
        let line = |comment: &Range<usize>| {
            let body = &text[comment.start + 1..comment.end];
            let blank = body.len().min(width - 1);
            let body = body.strip_prefix(&" "[..blank])?;
            let sign = comment.start..comment.start + 1 + blank;
            let content = body.trim_start_matches(' ');
            let column = column(text, comment.start) + body.len() - content.len();
            Some(Line { sign, column, text: content.trim_end().to_owned() })
        };
        run.iter().map(line).collect()
    };
    [2, 1].into_iter().filter_map(read).collect()
}

/// The lines that say a wanted value, from the one of its key on: of a mapping only those of wanted keys, of all else
/// exactly that; a single value may be another of its kind.
pub(super) fn picked(lines: &[Line], at: usize, wanted: &Value) -> Option<Vec<usize>> {
    let (_, rest) = lines[at].entry()?;
    let outer = lines[at].column;
    let value = value(rest);
    if !value.is_null() {
        let is_single = !wanted.is_object() && !wanted.is_array();
        let fits = if is_single { is_kind(&value, wanted) } else { value == *wanted };
        return fits.then(|| vec![at]);
    }
    let is_below = |line: &Line| line.column > outer || line.column == outer && line.text.starts_with("- ");
    let below: Vec<usize> = (at + 1..lines.len()).take_while(|idx| is_below(&lines[*idx])).collect();
    let inner = lines[*below.first()?].column;
    let mut picked = vec![at];
    match wanted {
        Value::Object(map) => {
            for idx in below.iter().copied().filter(|idx| lines[*idx].column == inner) {
                let wanted = lines[idx].entry().and_then(|(key, _)| map.get(key));
                picked.extend(wanted.and_then(|wanted| self::picked(lines, idx, wanted)).unwrap_or_default());
            }
        }
        Value::Array(_) => {
            let line = |idx: &usize| format!("{}{}\n", " ".repeat(lines[*idx].column), lines[*idx].text);
            let text: String = below.iter().map(line).collect();
            if self::value(&text) == *wanted {
                picked.extend(below);
            }
        }
        _ => {}
    }
    (picked.len() > 1).then_some(picked)
}

fn is_kind(value: &Value, wanted: &Value) -> bool {
    std::mem::discriminant(value) == std::mem::discriminant(wanted)
        && value.as_str().is_none_or(|text| !text.contains(' '))
}

/// What a text says; null where it is no YAML.
fn value(text: &str) -> Value {
    let stream = Stream::parse(text.to_owned(), &Limits::default()).ok();
    let value = stream.as_ref().and_then(|stream| stream.root(0)?.value().ok());
    value.unwrap_or(Value::Null)
}
