//! What is wrong in a configuration file, where, and what to do. Knows text and offsets, not keys.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::suggestion;

/// One mistake in `caseharden.toml`. Line and column count from 1; columns count characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub path: PathBuf,
    pub line: usize,
    pub column: usize,
    pub message: String,
    /// The next step, when one can be named.
    pub help: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.path.display(), self.line, self.column, self.message)
    }
}

/// Collects the mistakes of one file.
pub(crate) struct Mistakes<'a> {
    text: &'a str,
    path: &'a Path,
    found: Vec<Mistake>,
}

impl<'a> Mistakes<'a> {
    pub(crate) fn new(text: &'a str, path: &'a Path) -> Self {
        Mistakes { text, path, found: Vec::new() }
    }

    pub(crate) fn add(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        let (line, column) = position(self.text, span.start);
        let path = self.path.to_owned();
        self.found.push(Mistake { path, line, column, message: message.into(), help });
    }

    /// Adds a mistake as serde words it, in our words.
    pub(crate) fn add_decoding(&mut self, error: &toml::de::Error) {
        let (message, help) = reword(error.message());
        self.add(error.span().unwrap_or(0..0), message, help);
    }

    /// Adds a mistake for a name that is none of `known`.
    pub(crate) fn add_unknown(&mut self, span: Range<usize>, what: &str, name: &str, known: &[&str]) {
        let near = suggestion::nearest(name, known.iter().copied());
        let help = near.map(|near| format!("did you mean `{near}`?"));
        self.add(span, format!("unknown {what} `{}`", name.escape_debug()), help);
    }

    pub(crate) fn position(&self, span: &Range<usize>) -> (usize, usize) {
        position(self.text, span.start)
    }

    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    pub(crate) fn into_sorted(mut self) -> Vec<Mistake> {
        self.found.sort_by_key(|mistake| (mistake.line, mistake.column));
        self.found
    }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before[line_start..].chars().filter(|c| *c != '\u{feff}').count() + 1;
    (before.matches('\n').count() + 1, column)
}

/// serde words an unknown name as ``unknown field `x`, expected one of `a`, `b` ``, whatever the format.
fn reword(message: &str) -> (String, Option<String>) {
    let message = message.trim_end();
    for (prefix, what) in [("unknown field `", "key"), ("unknown variant `", "value")] {
        let Some((name, expected)) = message.strip_prefix(prefix).and_then(|rest| rest.split_once("`, "))
        else {
            continue;
        };
        let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        let help = match suggestion::nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("{what}s here: {}", known.join(", ")),
        };
        return (format!("unknown {what} `{}`", name.escape_debug()), Some(help));
    }
    if let Some(key) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return (format!("`{key}` is missing"), None);
    }
    match message {
        // What toml says where the value of an enum is not a string.
        "wanted string or table" => ("expected a string".to_owned(), None),
        _ => (message.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_not_the_byte_order_mark() {
        assert_eq!(position("\u{feff}a = 1", 3), (1, 1));
        assert_eq!(position("x = 1\né = 2", 9), (2, 3));
    }

    #[test]
    fn serde_words_become_ours() {
        let (message, help) = reword("unknown field `slect`, expected `select` or `ignore`");
        assert_eq!(message, "unknown key `slect`");
        assert_eq!(help.as_deref(), Some("did you mean `select`?"));
        let (message, help) = reword("unknown variant `mesos`, expected one of `k3s`, `kind`");
        assert_eq!(message, "unknown value `mesos`");
        assert_eq!(help.as_deref(), Some("values here: k3s, kind"));
        assert_eq!(reword("missing field `kind`").0, "`kind` is missing");
    }
}
