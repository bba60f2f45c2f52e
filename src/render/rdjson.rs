//! The formats of reviewdog: one object with all diagnostics, or one diagnostic a line.
//!
//! The format: <https://github.com/reviewdog/reviewdog/tree/master/proto/rdf>. Columns count UTF-8 bytes. A suggestion
//! replaces whole lines, and there is at most one: reviewdog posts those that cover the lines of their comment, and
//! forges take suggestions by the line.

use std::io::{self, Write};
use std::ops::Range;

use serde_json::{Value, json};

use super::Ending;
use super::json::text;
use super::rows::{Format, Row, Source};
use crate::rules::Severity;
use crate::yaml::Edit;

/// GitLab applies suggestions of no more lines.
const MOST_LINES: usize = 100;

pub(super) struct Rdjson;

pub(super) struct Rdjsonl;

impl Format for Rdjson {
    const SEPARATOR: &'static str = ",\n  ";
    const WANTS_FIXES: bool = true;

    fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{{\"source\":{},\"diagnostics\":[\n  ", text(&source())?)
    }

    fn row(&self, out: &mut dyn Write, row: &Row<'_>) -> io::Result<()> {
        write!(out, "{}", text(&diagnostic(row))?)
    }

    fn end(&self, out: &mut dyn Write, _: &Ending<'_>) -> io::Result<()> {
        writeln!(out, "\n]}}")
    }
}

impl Format for Rdjsonl {
    const SEPARATOR: &'static str = "";
    const WANTS_FIXES: bool = true;

    fn row(&self, out: &mut dyn Write, row: &Row<'_>) -> io::Result<()> {
        let mut diagnostic = diagnostic(row);
        diagnostic["source"] = source();
        writeln!(out, "{}", text(&diagnostic)?)
    }
}

fn source() -> Value {
    json!({"name": "caseharden"})
}

fn diagnostic(row: &Row<'_>) -> Value {
    let mut code = json!({"value": row.rule().id});
    if let Some(link) = row.rule().link() {
        code["url"] = link.into();
    }
    let mut value = json!({
        "message": row.message(),
        "location": {
            "path": row.path,
            "range": {"start": {"line": row.judged.line, "column": row.column(str::len)}},
        },
        "severity": match row.judged.finding.severity() {
            Severity::Critical | Severity::High => "ERROR",
            Severity::Medium => "WARNING",
            Severity::Low => "INFO",
        },
        "code": code,
    });
    if let (Some(edits), Some(source)) = (&row.edits, row.file)
        && let Some((lines, text)) = suggestion(source, edits)
    {
        value["suggestions"] = json!([{
            "range": {"start": {"line": lines.start + 1}, "end": {"line": lines.end}},
            "text": text,
        }]);
    }
    value
}

/// The lines that the edits change, and what they become, without the last line break. None where that would be too
/// much, or show a secret.
fn suggestion(source: &Source<'_>, edits: &[Edit]) -> Option<(Range<usize>, String)> {
    let (first, last) = (edits.first()?, edits.last()?);
    let n_lines = source.text.split_inclusive('\n').count();
    // Behind the last line break there is no line to comment on.
    let from = source.lines.line(first.range.start).min(n_lines.checked_sub(1)?);
    let to = source.lines.line(last.range.end).min(n_lines - 1) + 1;
    let (start, end) = (source.lines.start(from), source.lines.start(to));
    let mut new = String::new();
    let mut at = start;
    for edit in edits {
        new.push_str(&source.text[at..edit.range.start]);
        new.push_str(&edit.replacement);
        at = edit.range.end;
    }
    new.push_str(&source.text[at..end.max(at)]);
    let old: Vec<&str> = source.text[start..end].split_inclusive('\n').collect();
    let (lines, kept) = tight(&old, &new.split_inclusive('\n').collect::<Vec<_>>());
    let text = kept.concat();
    let shows_secret = source.secrets.iter().any(|secret| text.contains(secret.as_str()));
    if lines.len() > MOST_LINES || shows_secret {
        return None;
    }
    let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
    Some((from + lines.start..from + lines.end, text))
}

/// Leaves out the lines at both ends that stay, but for one that the suggestion hangs on.
fn tight<'t>(old: &[&str], new: &[&'t str]) -> (Range<usize>, Vec<&'t str>) {
    let mut lines = 0..old.len();
    let mut kept = 0..new.len();
    while lines.len() > 1 && !kept.is_empty() && old[lines.end - 1] == new[kept.end - 1] {
        lines.end -= 1;
        kept.end -= 1;
    }
    while lines.len() > 1 && !kept.is_empty() && old[lines.start] == new[kept.start] {
        lines.start += 1;
        kept.start += 1;
    }
    (lines, new[kept].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::LineIndex;

    #[track_caller]
    fn check(text: &str, edits: &[(Range<usize>, &str)], expected: Option<(usize, usize, &str)>) {
        let edits: Vec<Edit> = edits
            .iter()
            .map(|(range, new)| Edit { range: range.clone(), replacement: (*new).to_owned() })
            .collect();
        let source = Source { text, lines: LineIndex::new(text), secrets: vec!["hunter2".to_owned()] };
        let found = suggestion(&source, &edits);
        let found = found.as_ref().map(|(lines, text)| (lines.start + 1, lines.end, text.as_str()));
        assert_eq!(found, expected);
    }

    #[test]
    fn suggestions_replace_whole_lines() {
        check("a: 1\nb: 2\nc: 3\n", &[(8..9, "5")], Some((2, 2, "b: 5")));
        check("a: 1\nb: 2\nc: 3\n", &[(5..5, "x: 0\n")], Some((2, 2, "x: 0\nb: 2")));
        check("a: 1\nb: 2\n", &[(9..9, "\nc: 3")], Some((2, 2, "b: 2\nc: 3")));
        check("a: 1\nb: 2\n", &[(10..10, "c: 3\n")], Some((2, 2, "b: 2\nc: 3")));
        check("a: 1", &[(4..4, "\nb: 2\n")], Some((1, 1, "a: 1\nb: 2")));
    }

    #[test]
    fn a_deletion_is_an_empty_text() {
        check("a: 1\nb: 2\nc: 3\n", &[(5..10, "")], Some((2, 2, "")));
    }

    #[test]
    fn edits_far_apart_are_one_suggestion() {
        check("a: 1\nb: 2\nc: 3\n", &[(3..4, "8"), (13..14, "9")], Some((1, 3, "a: 8\nb: 2\nc: 9")));
    }

    #[test]
    fn secrets_between_two_edits_are_not_shown() {
        check("a: 1\nb: hunter2\nc: 3\n", &[(3..4, "8"), (19..20, "9")], None);
        check("a: 1\nb: hunter2\nc: 3\n", &[(5..16, "")], Some((2, 2, "")));
    }

    #[test]
    fn a_suggestion_keeps_foreign_line_ends() {
        check("a: 1\r\nb: 2\r\n", &[(4..4, "\r\nx: 0")], Some((1, 1, "a: 1\r\nx: 0\r")));
    }
}
