//! The body of a pull request, or a comment: what, why and risk in a table, then every file with its diff folded away.
//!
//! Forges take bodies of a limited size. The text is cut between its parts and says what was left out, so that what is
//! there is always whole; memory is bounded by the limit.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::markdown_text::{cell, code, fenced, html_code, message};
use super::rows::Scope;
use super::unified::{Texts, write_diff};
use super::{Created, Ending, Renderer, Style, masked, plural};
use crate::plan::{Fate, FileReport, Judged};
use crate::rules::{self, Safety, Severity};

pub(super) struct Markdown {
    scope: Scope,
    max_bytes: usize,
    body: Mutex<Body>,
}

/// What a file has to say, on its way from the thread that shows it.
#[derive(Serialize, Deserialize)]
struct Part {
    findings: Vec<Line>,
    /// Folded away.
    details: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    rule: String,
    severity: u8,
    safety: u8,
    object: String,
    /// What a person has to look at.
    checks: Vec<String>,
}

#[derive(Default)]
struct Body {
    rules: BTreeMap<&'static str, OfRule>,
    /// What to look at, and in which objects.
    checks: Vec<(String, BTreeSet<String>)>,
    left_checks: usize,
    details: String,
    left_files: usize,
    files: usize,
    findings: usize,
}

/// What is said of a rule.
#[derive(Default)]
struct OfRule {
    count: usize,
    severity: u8,
    safe: usize,
    review: usize,
}

const SEVERITIES: [Severity; 4] = [Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
/// Bytes kept back for the words that say what was cut.
const RESERVE: usize = 600;
/// More than that nobody reads in one list.
const MOST_CHECKS: usize = 60;

impl Markdown {
    pub(super) fn new(scope: Scope, max_bytes: usize) -> Markdown {
        Markdown { scope, max_bytes, body: Mutex::default() }
    }

    fn takes(&self, judged: &Judged) -> bool {
        self.scope == Scope::Findings || judged.fate == Fate::Planned
    }

    fn part<'j>(
        &self,
        path: &str,
        findings: impl Iterator<Item = &'j Judged> + Clone,
        diff: &str,
    ) -> Option<Part> {
        let findings = findings.filter(|judged| self.takes(judged));
        let count = findings.clone().count();
        if count == 0 && diff.is_empty() {
            return None;
        }
        let what = match self.scope {
            Scope::Findings => plural(count, "finding"),
            Scope::Fixes => plural(count, "change"),
        };
        let mut details = format!("<details>\n<summary>{} — {what}</summary>\n\n", html_code(path));
        for judged in findings.clone() {
            details.push_str(&format!(
                "- line {}: {} — {}, {}\n",
                judged.line,
                message(&judged.finding.message),
                code(judged.finding.rule.id),
                safety(judged),
            ));
            for fact in &judged.finding.evidence {
                details.push_str(&format!("  - because {}\n", message(fact)));
            }
            if let Fate::Held(reason) = &judged.fate {
                details.push_str(&format!("  - not fixed: {}\n", message(reason)));
            }
        }
        if !diff.is_empty() {
            details.push('\n');
            details.push_str(&fenced("diff", diff));
        }
        details.push_str("\n</details>\n\n");
        Some(Part { findings: findings.map(line).collect(), details })
    }

    fn add(&self, part: Part) {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).add(part, self.max_bytes);
    }
}

fn line(judged: &Judged) -> Line {
    Line {
        rule: judged.finding.rule.id.to_owned(),
        severity: judged.finding.severity() as u8,
        safety: judged.finding.safety as u8,
        object: format!("{}/{}", judged.object.kind, judged.object.name),
        checks: judged.finding.notes.clone(),
    }
}

fn safety(judged: &Judged) -> &'static str {
    match (&judged.fate, judged.finding.safety) {
        (Fate::Planned, Safety::Safe) => "safe",
        (Fate::Planned | Fate::BelowLevel, _) => "to review",
        _ => "by hand",
    }
}

impl Body {
    fn add(&mut self, part: Part, max_bytes: usize) {
        self.files += 1;
        for line in part.findings {
            let Some(rule) = rules::find(&line.rule) else { continue };
            self.findings += 1;
            let of_rule = self.rules.entry(rule.id).or_default();
            of_rule.count += 1;
            of_rule.severity = of_rule.severity.max(line.severity);
            of_rule.safe += usize::from(line.safety == Safety::Safe as u8);
            of_rule.review += usize::from(line.safety == Safety::Review as u8);
            for check in line.checks {
                let room = self.checks.len() < MOST_CHECKS;
                match self.checks.iter_mut().find(|(known, _)| *known == check) {
                    Some((_, objects)) if objects.len() < MOST_CHECKS => {
                        objects.insert(line.object.clone());
                    }
                    Some(_) => {}
                    None if room => self.checks.push((check, BTreeSet::from([line.object.clone()]))),
                    None => self.left_checks += 1,
                }
            }
        }
        // Once one is left out, so are all behind it: what is there has no holes.
        if self.left_files == 0 && self.details.len() + part.details.len() <= max_bytes {
            self.details.push_str(&part.details);
        } else {
            self.left_files += 1;
        }
    }

    fn heading(&self, scope: Scope) -> String {
        let what = match scope {
            Scope::Findings => plural(self.findings, "finding"),
            Scope::Fixes => plural(self.findings, "change"),
        };
        let safe: usize = self.rules.values().map(|rule| rule.safe).sum();
        let review: usize = self.rules.values().map(|rule| rule.review).sum();
        let by_hand = self.findings - safe - review;
        let mut parts = vec![format!("{safe} safe"), format!("{review} to review")];
        if by_hand > 0 {
            parts.push(format!("{by_hand} by hand"));
        }
        format!("**{what} in {}**: {}.\n\n", plural(self.files, "file"), parts.join(", "))
    }

    /// The table as lines, most severe first.
    fn table(&self) -> Vec<String> {
        let mut rules: Vec<(&&str, &OfRule)> = self.rules.iter().collect();
        rules.sort_by(|a, b| b.1.severity.cmp(&a.1.severity).then(b.1.count.cmp(&a.1.count)));
        let rows = rules.into_iter().filter_map(|(id, of_rule)| {
            let rule = rules::find(id)?;
            let severity = SEVERITIES.get(usize::from(of_rule.severity)).map_or("", |known| known.id());
            let risk = match (of_rule.safe, of_rule.review) {
                (_, 0) if of_rule.safe == of_rule.count => "safe: what runs cannot change".to_owned(),
                (0, 0) => "none: a person has to decide".to_owned(),
                (safe, review) => format!(
                    "{review} to review{}: {}",
                    if safe > 0 { format!(", {safe} safe") } else { String::new() },
                    sentence(&rule.section("What could break"))
                ),
            };
            Some(format!(
                "| {}<br>{} × {} | {severity} | {} | {} |\n",
                cell(rule.summary()),
                of_rule.count,
                code(rule.id),
                cell(&sentence(&rule.section("Why"))),
                cell(&risk),
            ))
        });
        rows.collect()
    }

    /// The whole text, of at most so many bytes.
    fn text(&self, scope: Scope, ending: &Ending<'_>, max_bytes: usize) -> String {
        let mut cut = Cut { text: String::new(), left: max_bytes.saturating_sub(RESERVE) };
        cut.push("## Kubernetes hardening\n\n");
        cut.push(&self.heading(scope));
        if self.findings > 0 {
            let head = "| what | severity | why | risk |\n|---|---|---|---|\n";
            let rows = self.table();
            cut.list(head, &rows, "rule", "");
        }
        let namespaces = namespaces(ending);
        if scope == Scope::Findings && !namespaces.is_empty() {
            let head = "### Namespaces\n\n| namespace | could enforce | after the fixes |\n|---|---|---|\n";
            cut.list(head, &namespaces, "namespace", "");
        }
        if scope == Scope::Fixes && !self.checks.is_empty() {
            let checks: Vec<String> =
                self.checks.iter().map(|(check, objects)| check_line(check, objects)).collect();
            cut.list("### Check before merging\n\n", &checks, "check", "");
            if self.left_checks > 0 {
                cut.push(&format!("{} more are in the diff.\n\n", self.left_checks));
            }
        }
        let mut left = self.left_files;
        let files: Vec<&str> = self.details.split_inclusive("\n</details>\n\n").collect();
        if !files.is_empty() {
            cut.push("### Files\n\n");
        }
        let mut n_shown = 0;
        for file in &files {
            if !cut.push(file) {
                break;
            }
            n_shown += 1;
        }
        left += files.len() - n_shown;
        let mut text = cut.text;
        if left > 0 {
            text.push_str(&format!(
                "_{} left out to keep this text short: `caseharden {}` shows all._\n\n",
                plural(left, "more file"),
                if scope == Scope::Fixes { "diff" } else { "check" },
            ));
        }
        text.push_str(
            "<sub>By caseharden. `caseharden explain RULE` says why, how it is fixed and what could break; ",
        );
        text.push_str(
            "to keep something as it is, `# caseharden: allow RULE -- reason` on its line.</sub>\n",
        );
        text
    }
}

/// Objects named beside what to look at in them.
const MOST_OBJECTS: usize = 5;

fn check_line(check: &str, objects: &BTreeSet<String>) -> String {
    let named: Vec<String> = objects.iter().take(MOST_OBJECTS).map(|object| code(object)).collect();
    let more = match objects.len().saturating_sub(MOST_OBJECTS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("- [ ] {} ({}{more})\n", message(check), named.join(", "))
}

/// A text that ends between its parts.
struct Cut {
    text: String,
    left: usize,
}

impl Cut {
    /// Adds a part if there is room for it.
    fn push(&mut self, part: &str) -> bool {
        let fits = part.len() <= self.left;
        if fits {
            self.text.push_str(part);
            self.left -= part.len();
        }
        fits
    }

    /// Adds a heading and as many items as there is room for, and says how many there was none for.
    fn list(&mut self, head: &str, items: &[String], noun: &str, end: &str) {
        if items.first().is_none_or(|first| head.len() + first.len() > self.left) || !self.push(head) {
            return;
        }
        let n_shown = items.iter().take_while(|item| self.push(item)).count();
        self.push("\n");
        if n_shown < items.len() {
            self.push(&format!("_and {}_\n\n", plural(items.len() - n_shown, &format!("more {noun}"))));
        }
        self.push(end);
    }
}

fn namespaces(ending: &Ending<'_>) -> Vec<String> {
    let row = |namespace: &rules::NamespaceVerdict| {
        format!(
            "| {} | {} | {} |\n",
            cell(&code(&namespace.name)),
            namespace.enforceable.as_str(),
            namespace.after_fixes.as_str()
        )
    };
    ending.namespaces.iter().map(row).collect()
}

/// The first sentence of some Markdown of ours.
fn sentence(markdown: &str) -> String {
    let text = markdown.split("\n\n").next().unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => text,
    }
}

impl Renderer for Markdown {
    fn file(&self, out: &mut Vec<u8>, report: &FileReport<'_>) -> io::Result<()> {
        let mut diff = Vec::new();
        if let (Some(after), Scope::Fixes) = (&report.after, self.scope) {
            write_diff(&mut diff, report.path, &Texts::of(report, after), READ)?;
        }
        let diff = masked(&String::from_utf8_lossy(&diff), &report.secrets());
        match self.part(report.path, report.findings.iter(), &without_ids(&diff)) {
            Some(part) => serde_json::to_writer(out, &part).map_err(io::Error::from),
            None => Ok(()),
        }
    }

    fn shown(&self, _: &mut dyn Write, file: &[u8]) -> io::Result<()> {
        if !file.is_empty() {
            self.add(serde_json::from_slice(file)?);
        }
        Ok(())
    }

    fn created(
        &self,
        _: &mut dyn Write,
        path: &str,
        findings: &[Judged],
        files: &[Created<'_>],
    ) -> io::Result<()> {
        let mut diff = Vec::new();
        if self.scope == Scope::Fixes {
            for created in files {
                write_diff(&mut diff, &created.file.path, &Texts::of_created(created), READ)?;
            }
        }
        let path = files.first().map_or(path, |created| &created.file.path);
        let diff = without_ids(&String::from_utf8_lossy(&diff));
        if let Some(part) = self.part(path, findings.iter(), &diff) {
            self.add(part);
        }
        Ok(())
    }

    fn end(&self, out: &mut dyn Write, ending: &Ending<'_>) -> io::Result<()> {
        for (path, line, notice) in &ending.notices {
            let judged = Judged::of_no_object(notice.clone(), *line);
            if let Some(part) = self.part(path, std::iter::once(&judged), "") {
                self.add(part);
            }
        }
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        let text = if body.findings == 0 {
            "## Kubernetes hardening\n\nNothing to do.\n".to_owned()
        } else {
            body.text(self.scope, ending, self.max_bytes)
        };
        out.write_all(text.as_bytes())
    }
}

/// For reading, not for applying: control characters are shown.
const READ: Style = Style { terminal: true, color: false, quiet: false, verbose: false, links: false };

/// What a reader has no use for.
fn without_ids(diff: &str) -> String {
    let noise = |line: &&str| !line.starts_with("index ") && !line.starts_with("diff --git ");
    diff.split_inclusive('\n').filter(noise).collect()
}
