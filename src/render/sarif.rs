//! SARIF 2.1.0: what code scanning of forges and editors read.
//!
//! The format: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html>; what
//! GitHub takes of it: <https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning>.
//! A fix is one whole alternative, so it is that of its finding alone; what it inserts is always said, empty for a
//! deletion, because readers rely on it.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::json::text;
use super::rows::{Format, Row};
use super::{Ending, uri};
use crate::plan::Fate;
use crate::repo::Skip;
use crate::rules::{self, Rule, Severity};
use crate::yaml::{Edit, LineIndex};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// Stands for the root of the repo, wherever it is checked out.
const ROOT: &str = "%SRCROOT%";

pub(super) struct Sarif;

impl Format for Sarif {
    const SEPARATOR: &'static str = ",\n  ";
    const WANTS_FIXES: bool = true;

    fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
        let rules: Vec<Value> = rules::all().map(rule).collect();
        let driver = json!({
            "name": "caseharden",
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": rules,
        });
        let root = json!({"description": {"text": "The root of the repository."}});
        writeln!(out, "{{\"$schema\":\"{SCHEMA}\",\"version\":\"2.1.0\",\"runs\":[{{")?;
        writeln!(out, "\"tool\":{{\"driver\":{}}},", text(&driver)?)?;
        writeln!(out, "\"columnKind\":\"utf16CodeUnits\",")?;
        writeln!(out, "\"originalUriBaseIds\":{{\"{ROOT}\":{}}},", text(&root)?)?;
        write!(out, "\"results\":[\n  ")
    }

    fn row(&self, out: &mut dyn Write, row: &Row<'_>) -> io::Result<()> {
        write!(out, "{}", text(&result(row))?)
    }

    fn end(&self, out: &mut dyn Write, ending: &Ending<'_>) -> io::Result<()> {
        let failed = ending.skipped.iter().filter(|skip| skip.reason.is_failure());
        let notifications: Vec<Value> = failed.map(notification).collect();
        let invocation = json!({
            "executionSuccessful": notifications.is_empty() && ending.counts.tally.defects == 0,
            "toolExecutionNotifications": notifications,
        });
        writeln!(out, "\n],\n\"invocations\":[{}]}}]}}", text(&invocation)?)
    }
}

fn rule(rule: &'static Rule) -> Value {
    let page = rules::page(rule);
    let mut tags = vec!["security".to_owned(), "kubernetes".to_owned(), rule.area.id().to_owned()];
    tags.extend(rule.pss.map(|(level, _)| format!("pod-security-{level}")));
    let mut value = json!({
        "id": rule.id,
        "name": pascal(rule.id),
        "shortDescription": {"text": format!("{}.", rule.summary())},
        "fullDescription": {"text": one_line(&rule.section("Why"))},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": level(rule.severity)},
        "properties": {
            "tags": tags,
            "precision": "high",
            "security-severity": score(rule.severity),
            "known-as": rule.known_as.iter().map(|(tool, id)| format!("{tool}: {id}")).collect::<Vec<_>>(),
        },
    });
    if let Some(link) = rule.link() {
        value["helpUri"] = link.into();
    }
    value
}

fn result(row: &Row<'_>) -> Value {
    let finding = &row.judged.finding;
    let rule = row.rule();
    let mut value = json!({
        "ruleId": rule.id,
        "level": level(finding.severity()),
        "message": {"text": plain(&row.message())},
        "locations": [{"physicalLocation": {
            "artifactLocation": artifact(row.path),
            "region": {"startLine": row.judged.line, "startColumn": row.column(utf16)},
        }}],
        // GitHub follows an alert by this one only.
        "partialFingerprints": {"primaryLocationLineHash": row.fingerprint},
        "fingerprints": {"caseharden/v1": row.fingerprint},
        "properties": {
            "safety": finding.safety.id(),
            "severity": finding.severity().id(),
            "security-severity": score(finding.severity()),
            "fix": match &row.judged.fate {
                Fate::Planned => "planned",
                Fate::BelowLevel => "below-level",
                Fate::Held(_) => "held",
                Fate::Hidden => "hidden",
                Fate::Manual | Fate::Allowed => "none",
            },
        },
    });
    if let Some(index) = rules::all().position(|other| other.id == rule.id) {
        value["ruleIndex"] = index.into();
    }
    if !row.judged.object.kind.is_empty() {
        let object = &row.judged.object;
        let full = [object.namespace.as_deref().unwrap_or_default(), &object.kind, &object.name]
            .into_iter()
            .filter(|part| !part.is_empty())
            .chain(finding.container.as_deref())
            .collect::<Vec<_>>()
            .join("/");
        value["locations"][0]["logicalLocations"] =
            json!([{"fullyQualifiedName": full, "name": object.name, "kind": "resource"}]);
    }
    if let (Some(edits), Some(source)) = (&row.edits, row.file) {
        value["fixes"] = json!([fix(row, edits, &source.lines)]);
    }
    value
}

fn fix(row: &Row<'_>, edits: &[Edit], lines: &LineIndex<'_>) -> Value {
    let replacements: Vec<Value> = edits.iter().map(|edit| replacement(edit, lines)).collect();
    json!({
        "description": {"text": plain(&format!(
            "{} ({})", one_line(&row.rule().section("Fix")), row.judged.finding.safety.id()
        ))},
        "artifactChanges": [{"artifactLocation": artifact(row.path), "replacements": replacements}],
    })
}

fn replacement(edit: &Edit, lines: &LineIndex<'_>) -> Value {
    let (start, end) = (edit.range.start, edit.range.end);
    json!({
        "deletedRegion": {
            "startLine": lines.line(start) + 1,
            "startColumn": utf16(lines.in_front(start)) + 1,
            "endLine": lines.line(end) + 1,
            "endColumn": utf16(lines.in_front(end)) + 1,
        },
        "insertedContent": {"text": edit.replacement},
    })
}

fn notification(skip: &Skip) -> Value {
    let mut location = json!({"physicalLocation": {"artifactLocation": artifact(&skip.path)}});
    if let Some(line) = skip.line {
        location["physicalLocation"]["region"] =
            json!({"startLine": line, "startColumn": skip.column.unwrap_or(1)});
    }
    json!({
        "level": "error",
        "message": {"text": plain(&format!("{}: {}", skip.reason.id(), skip.detail))},
        "locations": [location],
    })
}

fn artifact(path: &str) -> Value {
    json!({"uri": uri(path), "uriBaseId": ROOT})
}

fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

/// GitHub reads these as critical (over 9), high (7), medium (4) and low.
fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "3.0",
    }
}

/// `runs-as-root` → `RunsAsRoot`, the form that SARIF asks of names.
fn pascal(id: &str) -> String {
    let words = id.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    });
    words.collect()
}

fn one_line(text: &str) -> String {
    text.split("\n\n").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A plain text message: what reads as a link (§3.11.6) or as a placeholder (§3.11.5) does so no more.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        plain.push(char);
        match (char, chars.peek()) {
            (']', Some('(')) => plain.push(' '),
            ('{', Some(next)) if next.is_ascii_digit() => plain.push(' '),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_make_links_or_placeholders() {
        assert_eq!(plain("Pod/[x](javascript:1) {0} {a}"), "Pod/[x] (javascript:1) { 0} {a}");
    }

    #[test]
    fn places_count_utf16() {
        let text = "a: 😀ü\nb: 1\n";
        let lines = LineIndex::new(text);
        let edit = Edit { range: 9..9, replacement: String::new() };
        let found = replacement(&edit, &lines);
        assert_eq!(
            found,
            json!({
                "deletedRegion": {"startLine": 1, "startColumn": 7, "endLine": 1, "endColumn": 7},
                "insertedContent": {"text": ""},
            })
        );
    }

    #[test]
    fn rules_have_what_readers_ask_for() {
        for known in rules::all() {
            let value = rule(known);
            assert!(!value["fullDescription"]["text"].as_str().unwrap().is_empty(), "{}: no why", known.id);
            assert!(value["properties"]["tags"].as_array().unwrap().len() <= 10);
            assert!(value["help"]["markdown"].as_str().unwrap().contains("## Fix"));
        }
        assert_eq!(pascal("runs-as-root"), "RunsAsRoot");
    }
}
