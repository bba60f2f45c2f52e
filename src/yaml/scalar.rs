//! Writes scalars so that Kubernetes' decoder, YAML 1.2 and YAML 1.1 read the same value.
//!
//! Knows no places in a text; [`super::resolve`] says what is read.

use serde_json::Value;

use super::resolve::{Resolved, untagged};

/// Quotes of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    /// None where that is safe, else double ones.
    Plain,
    Single,
    Double,
}

/// A scalar (or an empty collection) on one line.
pub(super) fn inline(value: &Value, quotes: Quotes, in_flow: bool) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(bool) => bool.to_string(),
        Value::Number(number) => number_text(number),
        Value::String(text) => string(text, quotes, in_flow),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
    }
}

/// Go's pattern for floats wants digits where Rust's shortest form already has them; only `1e-7` and the like
/// need care for YAML 1.1, which knows no exponent without a point.
fn number_text(number: &serde_json::Number) -> String {
    let text = number.to_string();
    match text.split_once('e') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => {
            let sign = if exponent.starts_with('-') { "" } else { "+" };
            format!("{mantissa}.0e{sign}{exponent}")
        }
        _ => text,
    }
}

pub(super) fn string(text: &str, quotes: Quotes, in_flow: bool) -> String {
    match quotes {
        Quotes::Plain if is_plain(text, in_flow) => text.to_owned(),
        Quotes::Single if text.chars().all(is_printable) => format!("'{}'", text.replace('\'', "''")),
        _ => double(text),
    }
}

fn double(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ if is_printable(char) => quoted.push(char),
            _ => {
                // Both YAML and JSON read UTF-16 escapes; only these planes need one.
                for unit in char.encode_utf16(&mut [0; 2]) {
                    quoted.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Printable on one line, and not a break or mark that parsers disagree on.
fn is_printable(char: char) -> bool {
    !matches!(char,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether a string may stand without quotes.
pub(super) fn is_plain(text: &str, in_flow: bool) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let second = text.chars().nth(1);
    let starts_well = match first {
        ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`'
        | '=' | '<' => false,
        '-' | '?' | ':' => second.is_some_and(|char| !(char.is_whitespace() || in_flow && is_flow(char))),
        _ => true,
    };
    starts_well
        && !text.starts_with("---")
        && !text.starts_with("...")
        && !text.starts_with(char::is_whitespace)
        && !text.ends_with(char::is_whitespace)
        && !text.ends_with(':')
        && !text.contains(": ")
        && !text.contains(" #")
        && !(in_flow && text.contains(is_flow))
        && text.chars().all(is_printable)
        && !text.contains("{{")
        && untagged(text) == Resolved::Text
        && !is_old_number_or_date(text)
}

fn is_flow(char: char) -> bool {
    matches!(char, ',' | '[' | ']' | '{' | '}')
}

/// What other YAML 1.1 readers take for a number or a date: `12:30`, `2001-12-14`, `1_0.5`.
fn is_old_number_or_date(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !body.starts_with(|char: char| char.is_ascii_digit() || char == '.') {
        return false;
    }
    let all =
        |allowed: &str| body.bytes().all(|byte| byte.is_ascii_digit() || allowed.as_bytes().contains(&byte));
    body.contains(':') && all(":._")
        || body.contains('_') && all("._")
        || body.len() >= 8 && body.as_bytes()[4..].starts_with(b"-") && all("-:+.tTzZ ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(string(text, Quotes::Plain, false), expected);
    }

    #[test]
    fn ordinary_strings_are_plain() {
        for text in [
            "nginx:1.27",
            "a b",
            "--flag=1",
            "/tmp",
            "a#b",
            "http://x/y?z",
            "-x",
            "é",
            "1.2.3",
            "100m",
            "a,b",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn strings_that_would_be_something_else_are_quoted() {
        for text in [
            "",
            "y",
            "n",
            "no",
            "on",
            "~",
            "null",
            "true",
            "5",
            "0755",
            "1_000",
            "1e3",
            ".inf",
            "12:30",
            "2001-12-14",
            "<<",
            "=",
        ] {
            check(text, &format!("\"{text}\""));
        }
    }

    #[test]
    fn syntax_is_quoted() {
        for text in [
            "- a", "a: b", "a #b", "a:", " a", "a ", "*a", "&a", "{a", "[a", "---", "#a", "? a", "@a",
            "{{ x }}",
        ] {
            check(text, &format!("\"{text}\""));
        }
        check("a\nb", r#""a\nb""#);
        check("\u{1}\u{feff}", r#""\u0001\ufeff""#);
        assert_eq!(string("a,b", Quotes::Plain, true), "\"a,b\"");
        assert_eq!(string("it's", Quotes::Single, true), "'it''s'");
    }
}
