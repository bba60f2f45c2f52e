//! The report to review in a browser: one file that asks nobody for anything.
//!
//! The page is made of the template in `templates/report/`; what is in it goes in as JSON, file by file, and its own
//! script shows it. No text of a manifest is ever markup: it is data in a block that browsers do not run, and reaches the
//! page as text. The policy of the page forbids every script and style but its own, by their hashes.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::hunks::{self, Hunk};
use super::json::text;
use super::unified::quoted;
use super::{Created, Ending, Renderer, masked};
use crate::plan::{Fate, FileReport, Judged};
use crate::rules::{self, Area};

const PAGE: &str = include_str!("../../templates/report/report.html");
const STYLE: &str = include_str!("../../templates/report/report.css");
const SCRIPT: &str = include_str!("../../templates/report/report.js");

/// Pictures of the connections before and after the changes, as SVG.
pub type Pictures<'p> = dyn Fn() -> Option<(String, String)> + Sync + 'p;

pub(super) struct Html<'p> {
    pictures: &'p Pictures<'p>,
    seen: Mutex<Seen>,
}

/// What the end of the page depends on.
#[derive(Default)]
struct Seen {
    rules: BTreeSet<&'static str>,
}

impl<'p> Html<'p> {
    pub(super) fn new(pictures: &'p Pictures<'p>) -> Html<'p> {
        Html { pictures, seen: Mutex::default() }
    }

    fn see<'j>(&self, findings: impl Iterator<Item = &'j Judged>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.rules.extend(findings.map(|judged| judged.finding.rule.id));
    }
}

impl Renderer for Html<'_> {
    fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
        let (head, _) = parts();
        out.write_all(head.as_bytes())
    }

    fn file(&self, out: &mut Vec<u8>, report: &FileReport<'_>) -> io::Result<()> {
        let hunks = hunks::of_report(report);
        if hunks.is_empty() {
            return Ok(());
        }
        self.see(report.findings.iter().filter(|judged| judged.fate == Fate::Planned));
        let secrets = report.secrets();
        let findings: Vec<Value> = report
            .findings
            .iter()
            .map(|judged| finding(report.path, judged, report.namespaces(judged)))
            .collect();
        let hunks: Vec<Value> = hunks.iter().map(|hunk| shown_hunk(hunk, &secrets)).collect();
        block(out, &file(report.path, false, findings, hunks))
    }

    fn created(
        &self,
        out: &mut dyn Write,
        path: &str,
        findings: &[Judged],
        files: &[Created<'_>],
    ) -> io::Result<()> {
        self.see(findings.iter().filter(|_| !files.is_empty()));
        for created in files {
            let before = created.before.unwrap_or_default();
            let mut hunks = hunks::of_texts(before, &created.file.text);
            hunks.iter_mut().for_each(|hunk| hunk.findings.extend(0..findings.len()));
            let hunks = hunks.iter().map(|hunk| shown_hunk(hunk, &[])).collect();
            let told = findings.iter().map(|judged| {
                let namespaces = judged.object.namespace.iter().map(|name| name.to_string()).collect();
                finding(path, judged, namespaces)
            });
            block(out, &file(&created.file.path, created.before.is_none(), told.collect(), hunks))?;
        }
        Ok(())
    }

    fn end(&self, out: &mut dyn Write, ending: &Ending<'_>) -> io::Result<()> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let changes_network =
            seen.rules.iter().filter_map(|id| rules::find(id)).any(|rule| rule.area == Area::Network);
        if let Some((before, after)) = changes_network.then(|| (self.pictures)()).flatten() {
            write!(
                out,
                "<template id=\"before\">{before}</template>\n<template id=\"after\">{after}</template>\n"
            )?;
        }
        let rules: serde_json::Map<String, Value> =
            seen.rules.iter().filter_map(|id| Some(((*id).to_owned(), rule(rules::find(id)?)))).collect();
        let namespaces: Vec<Value> = ending.namespaces.iter().map(namespace).collect();
        let tally = ending.counts.tally;
        let skipped: Vec<Value> = ending
            .skipped
            .iter()
            .filter(|skip| skip.reason.is_failure())
            .map(|skip| json!({"path": skip.path, "line": skip.line, "reason": skip.reason.id(), "detail": skip.detail}))
            .collect();
        let run = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "rules": rules,
            "namespaces": namespaces,
            "byHand": tally.findings - tally.fixable - tally.below_level - tally.hidden,
            "hidden": tally.hidden,
            "belowLevel": tally.below_level,
            "files": ending.counts.files,
            "workloads": ending.counts.workloads,
            "skipped": skipped,
        });
        writeln!(out, "<script type=\"application/json\" id=\"run\">{}</script>", data(&run)?)?;
        let (_, tail) = parts();
        out.write_all(tail.as_bytes())
    }
}

/// The page in front of its data, and behind it.
fn parts() -> (String, String) {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    let (head, tail) = PAGE.split_once("{{data}}").expect("the template has a place for its data");
    let head = head.replace("{{policy}}", &policy).replace("{{style}}", STYLE);
    (head, tail.replace("{{script}}", SCRIPT))
}

fn block(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    writeln!(out, "<script type=\"application/json\" class=\"file\">{}</script>", data(value)?)
}

/// JSON that ends no element and starts none: the only characters that HTML knows in it are written as escapes.
fn data(value: &Value) -> io::Result<String> {
    Ok(text(value)?.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
}

fn file(path: &str, is_new: bool, findings: Vec<Value>, hunks: Vec<Value>) -> Value {
    json!({
        "path": path,
        // As a patch names them.
        "a": quoted("a/", path),
        "b": quoted("b/", path),
        "tab": path.contains(' '),
        "new": is_new,
        "findings": findings,
        "hunks": hunks,
    })
}

fn shown_hunk(hunk: &Hunk, secrets: &[String]) -> Value {
    let lines: Vec<String> = hunk.lines.iter().map(|line| masked(line, secrets)).collect();
    json!({
        "old": [hunk.old.start, hunk.old.len()],
        "new": [hunk.new.start, hunk.new.len()],
        // A patch cannot be made of lines that are not shown.
        "masked": lines != hunk.lines,
        "lines": lines,
        "findings": hunk.findings,
    })
}

fn finding(path: &str, judged: &Judged, namespaces: Vec<String>) -> Value {
    let finding = &judged.finding;
    json!({
        "path": path,
        "rule": finding.rule.id,
        "severity": finding.severity().id(),
        "safety": finding.safety.id(),
        "message": finding.message,
        "notes": finding.notes,
        "evidence": finding.evidence,
        "line": judged.line,
        "kind": judged.object.kind,
        "name": judged.object.name,
        "namespaces": namespaces,
        "parts": judged.part_of,
    })
}

fn rule(rule: &'static rules::Rule) -> Value {
    json!({
        "area": rule.area.id(),
        "summary": rule.summary(),
        "why": rule.section("Why"),
        "fix": rule.section("Fix"),
        "breaks": rule.section("What could break"),
        "link": rule.link(),
        "pss": rule.pss.map(|(level, check)| format!("{level}: {check}")),
        "knownAs": rule.known_as.iter().map(|(tool, id)| format!("{tool} {id}")).collect::<Vec<_>>(),
    })
}

fn namespace(verdict: &rules::NamespaceVerdict) -> Value {
    json!({
        "name": verdict.name,
        "workloads": verdict.workloads,
        "now": verdict.enforceable.as_str(),
        "after": verdict.after_fixes.as_str(),
        "blocking": verdict.blocking,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_holds_no_markup() {
        let text = data(&json!("</script><!-- &amp; \u{2028}")).unwrap();
        assert!(!text.contains(['<', '>', '&']), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!("</script><!-- &amp; \u{2028}"));
    }

    #[test]
    fn the_page_asks_nobody() {
        let page = format!("{PAGE}{STYLE}{SCRIPT}");
        for word in ["http:", "https://", "src=", "url(", "@import", "innerHTML", "eval(", "fetch(", "style="]
        {
            assert!(!page.contains(word), "{word} in the report's template");
        }
    }
}
