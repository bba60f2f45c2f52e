//! The text of a template cut at its actions, and actions cut into tokens.
//!
//! Knows no blocks and no pipelines.

use super::Malformed;

pub(super) enum Piece {
    Text(String, usize),
    Action(Vec<Token>),
}

/// Cuts a text at its `{{` and `}}`, and takes away the blanks that `{{-` and `-}}` do.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, Malformed> {
    let mut pieces = Vec::new();
    let (mut rest, mut trims) = (text, false);
    loop {
        let (before, action) = match rest.split_once("{{") {
            Some((before, action)) => (before, Some(action)),
            None => (rest, None),
        };
        let trims_end = action.is_some_and(|action| action.starts_with('-') && starts_blank(&action[1..]));
        let mut words = if trims { before.trim_start() } else { before };
        if trims_end {
            words = words.trim_end();
        }
        if !words.is_empty() {
            let at =
                text.len() - rest.len() + (before.len() - before.trim_start().len()) * usize::from(trims);
            pieces.push(Piece::Text(words.to_owned(), at));
        }
        let Some(action) = action else { return Ok(pieces) };
        let action = if trims_end { &action[1..] } else { action };
        let length = action_length(action)?;
        let mut inside = &action[..length];
        trims = inside.ends_with('-') && inside[..inside.len() - 1].ends_with(|c: char| c.is_whitespace());
        if trims {
            inside = &inside[..inside.len() - 1];
        }
        // A comment may touch both of its braces.
        let inside = inside.trim();
        if !(inside.starts_with("/*") && inside.ends_with("*/")) {
            pieces.push(Piece::Action(tokens(inside)?));
        }
        rest = &action[length + 2..];
    }
}

pub(in crate::helm) fn starts_blank(text: &str) -> bool {
    text.starts_with(|c: char| c.is_whitespace())
}

/// Bytes up to the `}}` that ends an action; those in quotes and comments do not.
pub(in crate::helm) fn action_length(action: &str) -> Result<usize, Malformed> {
    let bytes = action.as_bytes();
    let comment = action.trim_start();
    if comment.starts_with("/*") {
        let start = action.len() - comment.len();
        let close = action[start..].find("*/").ok_or(Malformed("a comment without an end"))? + start;
        return action[close..]
            .find("}}")
            .map(|end| close + end)
            .ok_or(Malformed("an action without an end"));
    }
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'}' if bytes.get(at + 1) == Some(&b'}') => return Ok(at),
            quote @ (b'"' | b'`' | b'\'') => at += quoted_length(&bytes[at..], quote)?,
            _ => at += 1,
        }
    }
    Err(Malformed("an action without an end"))
}

fn quoted_length(bytes: &[u8], quote: u8) -> Result<usize, Malformed> {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote != b'`' => at += 2,
            byte if byte == quote => return Ok(at + 1),
            _ => at += 1,
        }
    }
    Err(Malformed("a quote without an end"))
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Word(String),
    /// `.a.b`; empty for the dot alone.
    Fields(Vec<String>),
    /// Directly behind what is in front of it.
    Attached(Vec<String>),
    Variable(String),
    Text(String),
    Number(String),
    Open,
    Close,
    Pipe,
    Comma,
    Declare,
    Assign,
}

fn tokens(text: &str) -> Result<Vec<Token>, Malformed> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut blank = true;
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            blank = true;
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let word = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        let (token, length) = match first {
            '|' => (Token::Pipe, 1),
            ',' => (Token::Comma, 1),
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            ':' if rest.starts_with(":=") => (Token::Declare, 2),
            '=' => (Token::Assign, 1),
            '"' | '`' | '\'' => {
                let length = quoted_length(rest.as_bytes(), first as u8)?;
                (Token::Text(unquoted(&rest[..length])), length)
            }
            '$' => {
                let length = 1 + word(&rest[1..]);
                (Token::Variable(rest[..length].to_owned()), length)
            }
            '.' => {
                let mut length = 0;
                let mut fields = Vec::new();
                while rest[length..].starts_with('.') {
                    let field = word(&rest[length + 1..]);
                    if field > 0 {
                        fields.push(rest[length + 1..length + 1 + field].to_owned());
                    }
                    length += 1 + field;
                }
                (if blank { Token::Fields(fields) } else { Token::Attached(fields) }, length)
            }
            c if c.is_ascii_digit() || c == '-' || c == '+' => {
                let digits = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '+' | '-');
                let length = 1 + rest[1..].find(digits).unwrap_or(rest.len() - 1);
                (Token::Number(rest[..length].to_owned()), length)
            }
            c if c.is_alphabetic() || c == '_' => {
                let length = word(rest);
                (Token::Word(rest[..length].to_owned()), length)
            }
            _ => return Err(Malformed("an action with a sign that means nothing there")),
        };
        blank = matches!(token, Token::Open | Token::Pipe | Token::Comma | Token::Declare | Token::Assign);
        tokens.push(token);
        rest = &rest[length..];
    }
    Ok(tokens)
}

fn unquoted(text: &str) -> String {
    let inner = &text[1..text.len() - 1];
    if text.starts_with('`') {
        return inner.to_owned();
    }
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next() } else { None };
        match escaped {
            None => plain.push(c),
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some(other) => plain.push(other),
        }
    }
    plain
}
