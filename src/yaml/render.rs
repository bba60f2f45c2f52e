//! Writes new values: block style line by line, or flow style.
//!
//! Style comes in from outside; nothing here looks at a text.

use serde_json::{Map, Value};

use super::layout::DashStyle;
use super::scalar::{Quotes, inline, is_plain, string};

/// How new block text is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockStyle {
    pub(super) step: usize,
    pub(super) dash: DashStyle,
    pub(super) quotes: Quotes,
    /// Lists of scalars as `[a, b]`.
    pub(super) flow_lists: bool,
    /// Strings of several lines as `|`.
    pub(super) literals: bool,
}

/// How new flow text is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FlowStyle {
    pub(super) quotes: Quotes,
    pub(super) quoted_keys: bool,
    /// Between key and value, the colon included.
    pub(super) colon: String,
    /// Between entries, the comma included, when they share a line.
    pub(super) comma: String,
    /// Inside braces.
    pub(super) padding: String,
    /// One more level of indentation, when every entry has its own line.
    pub(super) lines: Option<String>,
    /// Lists of scalars stay on one line even so.
    pub(super) inline_lists: bool,
}

impl FlowStyle {
    /// `{a: 1, b: [x]}`
    pub(super) fn one_line(quotes: Quotes) -> Self {
        FlowStyle {
            quotes,
            quoted_keys: false,
            colon: ": ".to_owned(),
            comma: ", ".to_owned(),
            padding: String::new(),
            lines: None,
            inline_lists: true,
        }
    }

    pub(super) fn entry(&self, key: &str, value: &Value, indent: &str, eol: &str) -> String {
        let key = string(key, if self.quoted_keys { Quotes::Double } else { Quotes::Plain }, true);
        let is_quoted = key.starts_with('"');
        let colon = if is_quoted || self.colon.ends_with(' ') { self.colon.as_str() } else { ": " };
        format!("{key}{colon}{}", self.value(value, indent, eol))
    }

    /// `indent` is the indentation of the line that the value starts on.
    pub(super) fn value(&self, value: &Value, indent: &str, eol: &str) -> String {
        let inner = self.lines.as_ref().map(|unit| format!("{indent}{unit}"));
        let inner_indent = inner.as_deref().unwrap_or(indent);
        let (open, close, parts): (_, _, Vec<String>) = match value {
            Value::Object(map) if !map.is_empty() => {
                ('{', '}', map.iter().map(|(key, value)| self.entry(key, value, inner_indent, eol)).collect())
            }
            Value::Array(items) if !items.is_empty() => {
                ('[', ']', items.iter().map(|item| self.value(item, inner_indent, eol)).collect())
            }
            scalar => return inline(scalar, self.quotes, true),
        };
        let on_one_line = self.inline_lists && is_scalar_list(value);
        match inner {
            Some(inner) if !on_one_line => {
                let between = format!(",{eol}{inner}");
                format!("{open}{eol}{inner}{}{eol}{indent}{close}", parts.join(&between))
            }
            _ => {
                let comma = if self.lines.is_some() { ", " } else { &self.comma };
                let padding = if open == '{' { self.padding.as_str() } else { "" };
                format!("{open}{padding}{}{padding}{close}", parts.join(comma))
            }
        }
    }
}

impl BlockStyle {
    /// The lines of a non-empty collection that starts at `column`, all indented; or of anything else, as
    /// one value behind an indicator (its further lines are those of a literal block inside `parent`).
    pub(super) fn value(&self, value: &Value, column: usize, parent: usize) -> Vec<String> {
        let mut lines = Vec::new();
        match value {
            Value::Object(map) if !map.is_empty() => self.mapping(map, column, &mut lines),
            Value::Array(items) if !items.is_empty() && !self.is_flow(value) => {
                for item in items {
                    self.item(item, column, &mut lines);
                }
            }
            Value::String(text) if self.literals && is_literal(text) => {
                lines.push(literal_header(text).to_owned());
                literal_lines(text, parent + self.step, &mut lines);
            }
            Value::Array(items) if !items.is_empty() => {
                lines.push(FlowStyle::one_line(self.quotes).value(value, "", ""));
            }
            scalar => lines.push(inline(scalar, self.quotes, false)),
        }
        lines
    }

    /// Whether a value needs lines of its own below its key.
    pub(super) fn is_block(&self, value: &Value) -> bool {
        match value {
            Value::Object(map) => !map.is_empty(),
            Value::Array(items) => !items.is_empty() && !self.is_flow(value),
            _ => false,
        }
    }

    fn is_flow(&self, value: &Value) -> bool {
        self.flow_lists && is_scalar_list(value)
    }

    pub(super) fn entry(&self, key: &str, value: &Value, column: usize, lines: &mut Vec<String>) {
        let key = format!("{}{}:", " ".repeat(column), string(key, Quotes::Plain, false));
        if self.is_block(value) {
            lines.push(key);
            let offset = if value.is_array() { self.dash.offset } else { self.step };
            lines.extend(self.value(value, column + offset, column));
        } else {
            let mut value = self.value(value, column, column).into_iter();
            lines.push(format!("{key} {}", value.next().unwrap_or_default()));
            lines.extend(value);
        }
    }

    pub(super) fn item(&self, value: &Value, column: usize, lines: &mut Vec<String>) {
        let inner = column + self.dash.width;
        let mut value_lines = self.value(value, inner, column).into_iter();
        let first = value_lines.next().unwrap_or_default();
        lines.push(self.dashed(first.trim_start(), column));
        lines.extend(value_lines);
    }

    /// A line with a dash at a column and a text behind it.
    pub(super) fn dashed(&self, text: &str, column: usize) -> String {
        let gap = " ".repeat(self.dash.width - 1);
        format!("{}-{gap}{text}", " ".repeat(column))
    }

    fn mapping(&self, map: &Map<String, Value>, column: usize, lines: &mut Vec<String>) {
        for (key, value) in map {
            self.entry(key, value, column, lines);
        }
    }
}

fn is_scalar_list(value: &Value) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(is_scalar))
}

pub(super) fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

/// Whether a string of several lines can stand as `|` or `|-`.
pub(super) fn is_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.ends_with('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && body.split('\n').all(|line| {
            line.is_empty() || !line.trim().is_empty() && (is_plain(line, false) || line.chars().all(is_text))
        })
}

fn is_text(char: char) -> bool {
    matches!(char, '\t' | ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{10000}'..)
}

pub(super) fn literal_header(text: &str) -> &'static str {
    if text.ends_with('\n') { "|" } else { "|-" }
}

pub(super) fn literal_lines(text: &str, column: usize, lines: &mut Vec<String>) {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let indent = " ".repeat(column);
    lines.extend(
        body.split('\n').map(|line| if line.is_empty() { String::new() } else { format!("{indent}{line}") }),
    );
}
