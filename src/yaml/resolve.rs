//! What a scalar means to Kubernetes: its decoder is sigs.k8s.io/yaml, which reads YAML with go-yaml v2 and
//! turns it into JSON.
//!
//! That is YAML 1.1 with a few turns of its own (`y` is a bool, `0644` and `0o644` are octal, `12:30` and
//! dates stay strings). Every scalar is decided here and nowhere else.

use std::borrow::Cow;

use serde_json::{Number, Value};

use super::arena::Tag;

/// A plain scalar after tag and text decided what it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Resolved {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    /// The scalar's own text.
    Text,
    /// Another text: the bytes of a `!!binary`.
    Bytes(String),
    /// The tag does not fit the text, or JSON has no such number.
    Invalid(&'static str),
}

/// Decides a scalar. `implicit` is a plain scalar, or one with the tag `!`.
pub(super) fn resolve(text: &str, implicit: bool, tag: Tag) -> Resolved {
    match tag {
        Tag::None if implicit => untagged(text),
        Tag::None | Tag::Str | Tag::Other | Tag::Merge => Resolved::Text,
        Tag::Binary => base64(text).map_or(Resolved::Invalid("`!!binary` is not base64"), Resolved::Bytes),
        Tag::Bool | Tag::Int | Tag::Float | Tag::Null => match (tag, untagged(text)) {
            (Tag::Bool, found @ Resolved::Bool(_))
            | (Tag::Int, found @ (Resolved::Signed(_) | Resolved::Unsigned(_)))
            | (Tag::Float, found @ (Resolved::Signed(_) | Resolved::Float(_)))
            | (Tag::Null, found @ Resolved::Null) => found,
            _ => Resolved::Invalid("the value does not fit its tag"),
        },
    }
}

/// What an untagged plain scalar means.
pub(super) fn untagged(text: &str) -> Resolved {
    // No word is longer.
    match text {
        _ if text.len() > 5 => {}
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Resolved::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Resolved::Bool(false);
        }
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF" | ".nan"
        | ".NaN" | ".NAN" => return Resolved::Invalid("JSON has no infinite numbers"),
        _ => {}
    }
    match text.as_bytes()[0] {
        b'.' => {
            text.parse().ok().filter(|float: &f64| float.is_finite()).map_or(Resolved::Text, Resolved::Float)
        }
        b'0'..=b'9' | b'+' | b'-' => number(text),
        _ => Resolved::Text,
    }
}

fn number(text: &str) -> Resolved {
    let plain: Cow<'_, str> = if text.contains('_') { text.replace('_', "").into() } else { text.into() };
    if let Some(integer) = go_signed(&plain) {
        return Resolved::Signed(integer);
    }
    if let Some(integer) = go_unsigned(&plain) {
        return Resolved::Unsigned(integer);
    }
    if is_float(&plain) {
        let float = plain.parse().ok().filter(|float: &f64| float.is_finite());
        return float.map_or(Resolved::Text, Resolved::Float);
    }
    // What is left of go-yaml's own binary numbers, e.g. `0b+1`.
    if let Some(digits) = plain.strip_prefix("0b") {
        return i64::from_str_radix(digits, 2).map_or(Resolved::Text, Resolved::Signed);
    }
    Resolved::Text
}

/// Go's `strconv.ParseInt(text, 0, 64)`.
fn go_signed(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = go_unsigned(digits)?;
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Go's `strconv.ParseUint(text, 0, 64)`.
fn go_unsigned(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let (radix, digits) = match bytes {
        [b'0', b'x' | b'X', _, ..] => (16, &text[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &text[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &text[2..]),
        [b'0', _, ..] => (8, &text[1..]),
        _ => (10, text),
    };
    u64::from_str_radix(digits, radix).ok()
}

/// go-yaml's `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`.
fn is_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = digits(text);
    let mut rest = &text[whole..];
    if let Some(behind) = rest.strip_prefix('.') {
        let fraction = digits(behind);
        if whole == 0 && fraction == 0 {
            return false;
        }
        rest = &behind[fraction..];
    } else if whole == 0 {
        return false;
    }
    let Some(exponent) = rest.strip_prefix(['e', 'E']) else { return rest.is_empty() };
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    !exponent.is_empty() && digits(exponent) == exponent.len()
}

/// The JSON value of a scalar.
pub(super) fn to_value(resolved: Resolved, text: Cow<'_, str>) -> Result<Value, &'static str> {
    Ok(match resolved {
        Resolved::Null => Value::Null,
        Resolved::Bool(bool) => Value::Bool(bool),
        Resolved::Signed(integer) => Value::from(integer),
        Resolved::Unsigned(integer) => Value::from(integer),
        Resolved::Float(float) => number_of(float),
        Resolved::Text => Value::String(text.into_owned()),
        Resolved::Bytes(bytes) => Value::String(bytes),
        Resolved::Invalid(reason) => return Err(reason),
    })
}

/// JSON text has no difference between `1.0` and `1`, so neither has Kubernetes.
fn number_of(float: f64) -> Value {
    if float.fract() == 0.0 && float.abs() < 9.0e15 {
        return Value::from(float as i64);
    }
    Number::from_f64(float).map_or(Value::Null, Value::Number)
}

/// The string a key becomes. Keys that Kubernetes' decoder refuses are an error.
pub(super) fn to_key(resolved: Resolved, text: Cow<'_, str>) -> Result<Cow<'_, str>, &'static str> {
    Ok(match resolved {
        Resolved::Text => text,
        Resolved::Bytes(bytes) => Cow::Owned(bytes),
        Resolved::Bool(bool) => Cow::Borrowed(if bool { "true" } else { "false" }),
        Resolved::Signed(integer) => Cow::Owned(integer.to_string()),
        Resolved::Float(float) => Cow::Owned(go_float_key(float)),
        Resolved::Null => return Err("a key is null"),
        Resolved::Unsigned(_) => return Err("a key is a number beyond 64 bits with sign"),
        Resolved::Invalid(reason) => return Err(reason),
    })
}

/// Go's `strconv.FormatFloat(float, 'g', -1, 32)`.
fn go_float_key(float: f64) -> String {
    let single = float as f32;
    if single.is_infinite() {
        return if single > 0.0 { ".inf".into() } else { "-.inf".into() };
    }
    let scientific = format!("{single:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("`{:e}` writes an exponent");
    let exponent: i32 = exponent.parse().expect("`{:e}` writes a decimal exponent");
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    format!("{single}")
}

/// Standard base64 with padding; line breaks are skipped as Go does. Bytes that are not UTF-8 become U+FFFD.
fn base64(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count, mut padding) = (0u32, 0usize, 0usize);
    for byte in text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')) {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        bits = bits << 6 | u32::from(digit);
        count += 1;
        if count % 4 == 0 {
            bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
            bits = 0;
        }
    }
    match (count % 4, padding) {
        (0, 0) => {}
        (2, 2) => bytes.push((bits >> 4) as u8),
        (3, 1) => bytes.extend_from_slice(&((bits >> 2) as u16).to_be_bytes()),
        _ => return None,
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Value) {
        assert_eq!(to_value(untagged(text), text.into()), Ok(expected), "{text}");
    }

    #[test]
    fn words_of_yaml_1_1_are_bools() {
        for text in ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"] {
            check(text, json!(true));
        }
        for text in ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"] {
            check(text, json!(false));
        }
        for text in ["yEs", "oN", "tRUE", "yess", "nope"] {
            check(text, json!(text));
        }
    }

    #[test]
    fn nulls() {
        for text in ["", "~", "null", "Null", "NULL"] {
            check(text, Value::Null);
        }
        check("nULL", json!("nULL"));
    }

    #[test]
    fn integers_in_all_bases() {
        check("0", json!(0));
        check("0644", json!(420));
        check("0o644", json!(420));
        check("0x1F", json!(31));
        check("-0x1F", json!(-31));
        check("0b11", json!(3));
        check("0b+1", json!(1));
        check("1_000", json!(1000));
        check("+5", json!(5));
        check("-9223372036854775808", json!(i64::MIN));
        check("18446744073709551615", json!(u64::MAX));
        check("089", json!(89));
    }

    #[test]
    fn floats() {
        check("1.5", json!(1.5));
        check("1.", json!(1));
        check(".5", json!(0.5));
        check("1e3", json!(1000));
        check("-1.5E-2", json!(-0.015));
        check("100000000000000000000", json!(1e20));
        check("1e999", json!("1e999"));
    }

    #[test]
    fn strings_that_look_like_something() {
        for text in
            ["12:30", "2001-12-14", "1.2.3", "0x", "_1", ".", "-", "+", "1e", "0xg", "--1", "1-2", "<<", "="]
        {
            check(text, json!(text));
        }
    }

    #[test]
    fn infinite_numbers_are_refused() {
        assert!(matches!(untagged(".inf"), Resolved::Invalid(_)));
        assert!(matches!(untagged(".NaN"), Resolved::Invalid(_)));
    }

    #[test]
    fn tags_decide() {
        assert_eq!(resolve("5", true, Tag::Str), Resolved::Text);
        assert_eq!(resolve("5", false, Tag::Int), Resolved::Signed(5));
        assert_eq!(resolve("5", false, Tag::Other), Resolved::Text);
        assert_eq!(resolve("yes", false, Tag::Bool), Resolved::Bool(true));
        assert!(matches!(resolve("x", true, Tag::Int), Resolved::Invalid(_)));
        assert_eq!(resolve("aGVsbG8=", true, Tag::Binary), Resolved::Bytes("hello".into()));
        assert_eq!(resolve("aGk=", true, Tag::Binary), Resolved::Bytes("hi".into()));
        assert!(matches!(resolve("aGk", true, Tag::Binary), Resolved::Invalid(_)));
    }

    #[test]
    fn keys_become_strings() {
        #[track_caller]
        fn key(text: &str, expected: &str) {
            assert_eq!(to_key(untagged(text), text.into()).as_deref(), Ok(expected));
        }
        key("y", "true");
        key("off", "false");
        key("0644", "420");
        key("1.50", "1.5");
        key("1e-7", "1e-07");
        key("1.5e7", "1.5e+07");
        key("1e3", "1000");
        key("name", "name");
        assert!(to_key(untagged("~"), "~".into()).is_err());
    }
}
