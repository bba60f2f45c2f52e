//! The phrases that upstream builds its messages from: who did it, with what, how many. Knows no check.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use json_patch::jsonptr::PointerBuf;

use super::pod::Container;

/// What a check says of a pod that it forbids.
#[derive(Debug)]
pub(super) struct Forbidden {
    pub(super) reason: &'static str,
    pub(super) detail: String,
    pub(super) fields: Vec<PointerBuf>,
}

/// Collects who is at fault. Allocates nothing as long as nobody is.
#[derive(Debug, Default)]
pub(super) struct Culprits<'a> {
    pod: bool,
    containers: Vec<&'a str>,
    last: Option<(&'static str, usize)>,
    fields: Vec<PointerBuf>,
}

impl<'a> Culprits<'a> {
    /// The pod itself sets, or misses, the field at `path` of its spec.
    pub(super) fn blame_pod(&mut self, path: &[&str]) {
        self.pod = true;
        self.fields.push(PointerBuf::from_tokens(path.iter().copied()));
    }

    /// A container sets, or misses, the field at `path` below it. Containers are blamed one after the other.
    pub(super) fn blame(&mut self, container: &Container<'a>, path: &[&str]) {
        if self.last.replace(container.position()) != Some(container.position()) {
            self.containers.push(container.name);
        }
        self.fields.push(container.field(path));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// `container "a"` or `containers "a", "b"`, and how many there are.
    pub(super) fn containers(&self) -> (String, usize) {
        let n_containers = self.containers.len();
        (counted("container", n_containers, &self.containers), n_containers)
    }

    /// The containers' names in alphabetical order, each once.
    pub(super) fn distinct_containers(&self) -> BTreeSet<&'a str> {
        self.containers.iter().copied().collect()
    }

    /// `pod`, `containers "a", "b"` or both.
    pub(super) fn setters(&self) -> Vec<String> {
        let pod = self.pod.then(|| "pod".to_owned());
        let containers = (!self.containers.is_empty()).then(|| self.containers().0);
        pod.into_iter().chain(containers).collect()
    }

    pub(super) fn forbidden(self, reason: &'static str, detail: String) -> Option<Forbidden> {
        Some(Forbidden { reason, detail, fields: self.fields })
    }

    /// As [`Culprits::forbidden`], for a check that blames for two things.
    pub(super) fn forbidden_with(
        mut self,
        other: Culprits<'_>,
        reason: &'static str,
        detail: String,
    ) -> Option<Forbidden> {
        self.fields.extend(other.fields);
        self.forbidden(reason, detail)
    }
}

/// `noun "a"` or `nouns "a", "b"`.
pub(super) fn counted<T: AsRef<str>>(noun: &str, count: usize, items: impl IntoIterator<Item = T>) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{noun}{plural} {}", quoted_list(items))
}

/// `"a", "b"`. Upstream puts the quotes around without escaping anything between them.
pub(super) fn quoted_list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let mut list = String::new();
    for item in items {
        let separator = if list.is_empty() { "\"" } else { ", \"" };
        list.push_str(separator);
        list.push_str(item.as_ref());
        list.push('"');
    }
    list
}

/// A string literal as Go's `%q` prints it.
pub(super) fn go_quoted(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for character in text.chars() {
        match character {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '\x07' => literal.push_str("\\a"),
            '\x08' => literal.push_str("\\b"),
            '\x0c' => literal.push_str("\\f"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            '\x0b' => literal.push_str("\\v"),
            _ => push_go_escaped(&mut literal, character),
        }
    }
    literal.push('"');
    literal
}

fn push_go_escaped(literal: &mut String, character: char) {
    let written = match u32::from(character) {
        _ if is_printable(character) => return literal.push(character),
        code @ (..0x20 | 0x7f) => write!(literal, "\\x{code:02x}"),
        code @ ..0x1_0000 => write!(literal, "\\u{code:04x}"),
        code => write!(literal, "\\U{code:08x}"),
    };
    written.expect("a string takes everything");
}

/// Letters, marks, numbers, punctuation, symbols and the plain space, as in Go.
fn is_printable(character: char) -> bool {
    // The standard library has these tables behind its own escapes only. It escapes combining marks too, though
    // not behind a first character; what it does with quotes was dealt with before.
    let mut buffer = [b'a', 0, 0, 0, 0];
    let length = 1 + character.encode_utf8(&mut buffer[1..]).len();
    let pair = std::str::from_utf8(&buffer[..length]).expect("two characters were written");
    character == '\'' || pair.escape_debug().nth(1) == Some(character)
}

#[cfg(test)]
mod tests {
    use super::{go_quoted, quoted_list};

    #[test]
    fn quotes_as_go_does() {
        // What Go 1.26 prints for these with %q.
        assert_eq!(go_quoted("plain 'text'"), r#""plain 'text'""#);
        assert_eq!(go_quoted("a\"b\\c"), r#""a\"b\\c""#);
        assert_eq!(go_quoted("\x07\x08\x0c\n\r\t\x0b\0\x1b\x7f"), r#""\a\b\f\n\r\t\v\x00\x1b\x7f""#);
        assert_eq!(go_quoted("é\u{301}ß漢😀"), "\"é\u{301}ß漢😀\"");
        assert_eq!(
            go_quoted("\u{80}\u{a0}\u{ad}\u{200b}\u{2028}\u{feff}\u{e000}"),
            r#""\u0080\u00a0\u00ad\u200b\u2028\ufeff\ue000""#
        );
        assert_eq!(go_quoted("\u{e0001}\u{10ffff}"), r#""\U000e0001\U0010ffff""#);
    }

    #[test]
    fn quotes_lists_without_escaping() {
        assert_eq!(quoted_list::<&str>([]), "");
        assert_eq!(quoted_list([""]), r#""""#);
        assert_eq!(quoted_list(["a", "b\"c"]), r#""a", "b"c""#);
    }
}
