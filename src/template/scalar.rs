//! Writes any value as one piece of YAML that nothing in it can break out of. Knows YAML's quoting, not what
//! a value is for.

use std::fmt::Write;

use serde_json::Value;

/// `text` as a YAML string: as it is where that is beyond doubt, else in double quotes on one line.
pub(crate) fn string(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// `value` on one line: a scalar, or a flow collection.
pub(crate) fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| format!("{}: {}", string(key), flow(value));
            format!("{{{}}}", map.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// `text` as a literal block below its key, each line behind `indent` blanks; as a string where a block could not
/// hold it exactly, or where one line says it all.
pub(crate) fn block(text: &str, indent: usize) -> String {
    let (header, body) = text.strip_suffix('\n').map_or(("|-", text), |body| ("|", body));
    let says_it_all = |line: &str| header == "|" || line.chars().count() < 90;
    let is_exact = |line: &str| line.chars().all(|c| c != '\t' && is_shown(c)) && !line.ends_with(' ');
    // A block's own indent is that of its first line.
    let holds = indent > 0 && !body.starts_with([' ', '\n']) && !body.ends_with('\n');
    if body.is_empty()
        || !holds
        || !body.split('\n').all(is_exact)
        || !body.contains('\n') && says_it_all(body)
    {
        return string(text);
    }
    let margin = " ".repeat(indent);
    body.split('\n').fold(header.to_owned(), |block, line| match line {
        "" => block + "\n",
        line => format!("{block}\n{margin}{line}"),
    })
}

/// `text` as a comment of one line; what no reader would see is left out.
pub(crate) fn comment(text: &str) -> String {
    let shown: String = text.chars().map(|c| if is_shown(c) { c } else { ' ' }).collect();
    format!("# {}", shown.trim()).trim_end().to_owned()
}

/// Whether the text without quotes is the same string for every YAML parser, block or flow, 1.1 or 1.2.
///
/// It starts with a letter or `/`, so it is no number, date or indicator; `:`, `#`, `,` and brackets never
/// occur in it.
fn is_plain(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '@' | '+' | ' ');
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(inner)
        && !text.ends_with(' ')
        && !text.contains("  ")
        && !is_word_of_yaml(text)
}

/// Booleans and null of YAML 1.1 and 1.2, in any case.
fn is_word_of_yaml(text: &str) -> bool {
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
        .contains(&text.to_ascii_lowercase().as_str())
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            ' '..='~' => out.push(c),
            c if is_shown(c) => out.push(c),
            c => escape(&mut out, c),
        }
    }
    out.push('"');
    out
}

fn escape(out: &mut String, c: char) {
    let written = match u32::from(c) {
        code @ ..=0xff => write!(out, "\\x{code:02x}"),
        code @ ..=0xffff => write!(out, "\\u{code:04x}"),
        code => write!(out, "\\U{code:08x}"),
    };
    written.expect("writing to a string cannot fail");
}

/// Whether a reader sees the character as it is: no control, no line break, nothing that reorders or hides.
fn is_shown(c: char) -> bool {
    let hidden = matches!(c,
        '\u{a0}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}');
    !c.is_control() && !hidden
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(string(text), expected);
    }

    #[test]
    fn names_stay_plain_and_everything_doubtful_is_quoted() {
        check("web", "web");
        check("/var/cache/nginx", "/var/cache/nginx");
        check("pod-security.kubernetes.io/enforce", "pod-security.kubernetes.io/enforce");
        check("reads the host's logs", "\"reads the host's logs\"");
        for word in ["yes", "NO", "On", "off", "y", "Null", "TRUE", "", "~", "1", "1.5", "0x1f", "1:30", "-"]
        {
            check(word, &format!("\"{word}\""));
        }
        check("a: b", "\"a: b\"");
        check("a #b", "\"a #b\"");
        check("a\nb: \"c\"\\", "\"a\\nb: \\\"c\\\"\\\\\"");
        check("\u{1b}[31m\u{85}\u{2028}\u{202e}é", "\"\\x1b[31m\\x85\\u2028\\u202eé\"");
    }

    #[test]
    fn text_of_several_lines_is_a_block_where_that_is_the_same_text() {
        let check = |written: &str, expected: &str| assert_eq!(block(written, 2), expected);
        check("a: b\n- c\n", "|\n  a: b\n  - c");
        check("one\n\ntwo\n", "|\n  one\n\n  two");
        check("a\nb", "|-\n  a\n  b");
        check("one line", "one line");
        for quoted in [" a\nb\n", "a \nb\n", "a\r\nb\n", "a\n\n", "\ta\nb\n"] {
            check(quoted, &string(quoted));
        }
    }

    #[test]
    fn collections_are_flow() {
        let value = json!({"a b": [1, true, null, "x: y"], "c": {}});
        assert_eq!(flow(&value), "{a b: [1, true, null, \"x: y\"], c: {}}");
    }

    proptest! {
        #[test]
        fn any_string_reads_back_and_stays_on_its_line(text in "\\PC*|[ -~\n\t\r]*|.*") {
            let written = string(&text);
            let breaks = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
            prop_assert!(!written.contains(breaks));
            let read = |document: String| -> serde_yaml::Value { serde_yaml::from_str(&document).unwrap() };
            let (value, item) = (read(format!("k: {written}")), read(format!("[{written}, x]")));
            let key = read(format!("{written}: x"));
            let key = key.as_mapping().and_then(|map| map.keys().next()).and_then(serde_yaml::Value::as_str);
            for read in [value["k"].as_str(), item[0].as_str(), key] {
                prop_assert_eq!(read, Some(text.as_str()));
            }
        }
    }
}
