//! Lines of a text: where they start and end, what stands on them.
//!
//! Knows no YAML beyond its blanks; offsets are bytes.

use memchr::{memchr, memrchr};

pub(super) const BOM: char = '\u{feff}';

/// Offset of the first byte of the line `at` is on (behind a byte order mark).
pub(super) fn line_start(text: &str, at: usize) -> usize {
    match memrchr(b'\n', &text.as_bytes()[..at]) {
        Some(newline) => newline + 1,
        None if text.starts_with(BOM) => BOM.len_utf8().min(at),
        None => 0,
    }
}

/// Offset behind the last byte of the line `at` is on, its line break (`\n` or `\r\n`) excluded.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    match memchr(b'\n', &bytes[at..]) {
        Some(0) => at - usize::from(at > 0 && bytes[at - 1] == b'\r'),
        Some(length) => at + length - usize::from(bytes[at + length - 1] == b'\r'),
        None => text.len(),
    }
}

/// Offset of the first byte of the next line; the text's length when there is none.
pub(super) fn next_line(text: &str, at: usize) -> usize {
    memchr(b'\n', &text.as_bytes()[at..]).map_or(text.len(), |length| at + length + 1)
}

/// Number of characters in front of `at` on its line.
pub(super) fn column(text: &str, at: usize) -> usize {
    text[line_start(text, at)..at].chars().count()
}

pub(super) fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
}

/// Whether nothing but indentation stands in front of `at` on its line.
pub(super) fn starts_line(text: &str, at: usize) -> bool {
    is_blank(&text.as_bytes()[line_start(text, at)..at])
}

/// Offset behind the blanks at `at`.
pub(super) fn skip_blanks(text: &str, at: usize) -> usize {
    let rest = &text.as_bytes()[at..];
    at + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

/// Offset of `wanted` in a gap between two tokens, which holds only blanks, line breaks, indicators and
/// comments.
pub(super) fn find_in_gap(text: &str, from: usize, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            byte if wanted(byte) => return Some(at),
            b'#' => at = next_break(bytes, at),
            _ => at += 1,
        }
    }
    None
}

/// Offset of the first byte at or behind `from` that is neither blank nor in a comment.
pub(super) fn next_token(text: &str, from: usize) -> usize {
    find_in_gap(text, from, |byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'#')).unwrap_or(text.len())
}

/// Offset of the line break (or end of text) that ends a comment.
pub(super) fn next_break(bytes: &[u8], at: usize) -> usize {
    memchr::memchr2(b'\n', b'\r', &bytes[at..]).map_or(bytes.len(), |length| at + length)
}

/// The line break of a text: that of its first line.
pub(super) fn line_break(text: &str) -> &'static str {
    match memchr(b'\n', text.as_bytes()) {
        Some(at) if at > 0 && text.as_bytes()[at - 1] == b'\r' => "\r\n",
        _ => "\n",
    }
}

/// Offset behind a byte order mark.
pub(super) fn skip_bom(text: &str) -> usize {
    if text.starts_with(BOM) { BOM.len_utf8() } else { 0 }
}
