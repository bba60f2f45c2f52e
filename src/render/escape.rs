//! Makes text from manifests safe to show: no control character reaches a terminal.

use std::borrow::Cow;

/// The text with control characters (and those that reorder text) written as escapes.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_unsafe) { Cow::Owned(escape(text)) } else { Cow::Borrowed(text) }
}

/// As [`escaped`], for content lines: tabs stay.
pub fn shown(text: &str) -> Cow<'_, str> {
    if text.chars().any(|char| char != '\t' && is_unsafe(char)) {
        Cow::Owned(text.split('\t').map(escape).collect::<Vec<_>>().join("\t"))
    } else {
        Cow::Borrowed(text)
    }
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        if is_unsafe(char) {
            safe.extend(char.escape_unicode());
        } else {
            safe.push(char);
        }
    }
    safe
}

/// The text without its secrets.
pub(super) fn masked(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        text = text.replace(secret, "••••••");
    }
    text
}

/// A path as a relative reference (RFC 3986): all but unreserved characters and `/` by their bytes.
pub(super) fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

/// Control characters, and the bidirectional overrides that make a line read as another
/// (<https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing>).
pub(super) fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_become_visible() {
        assert_eq!(escaped("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(escaped("plain ü"), "plain ü");
        assert_eq!(shown("a\tb\u{7}"), "a\tb\\u{7}");
        assert_eq!(escaped("x\u{202e}y"), "x\\u{202e}y");
    }
}
