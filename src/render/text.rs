//! `check` for people: findings by file, then what the run saw and what to do next. Clear without colour.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style as Paint};

use super::{Counts, Created, Ending, Renderer, Style, escaped};
use crate::plan::{Fate, FileReport, Judged};
use crate::repo::{Skip, SkipReason};
use crate::rules::{NamespaceVerdict, Rendered, Safety, Severity};

pub(super) struct Text {
    style: Style,
}

const BOLD: Paint = Paint::new().bold();
const DIM: Paint = Paint::new().dimmed();

impl Text {
    pub(super) fn new(style: Style) -> Text {
        Text { style }
    }

    fn finding(&self, out: &mut dyn Write, judged: &Judged) -> io::Result<()> {
        let finding = &judged.finding;
        let place = format!("{}:{}", judged.line, judged.column);
        let (paint, dim) = (self.style.paint(paint(finding.severity())), self.style.paint(DIM));
        writeln!(
            out,
            "  {place:>7}  {paint}{:<8}{paint:#}  {}  {dim}[{}: {}]{dim:#}",
            finding.severity().id(),
            escaped(&finding.message),
            self.style.link(finding.rule),
            fix(judged)
        )?;
        if let Fate::Held(reason) = &judged.fate {
            writeln!(out, "           not fixed: {}", escaped(reason))?;
        }
        if self.style.verbose || finding.safety == Safety::Manual && !self.style.quiet {
            for note in &finding.notes {
                writeln!(out, "           note: {}", escaped(note))?;
            }
        }
        if self.style.verbose {
            for fact in &finding.evidence {
                writeln!(out, "           because: {}", escaped(fact))?;
            }
        }
        Ok(())
    }

    fn heading(&self, out: &mut dyn Write, text: &str) -> io::Result<()> {
        let bold = self.style.paint(BOLD);
        writeln!(out, "{bold}{}{bold:#}", escaped(text))
    }

    fn skipped(&self, out: &mut dyn Write, skipped: &[Skip]) -> io::Result<()> {
        let (failed, left): (Vec<&Skip>, Vec<&Skip>) =
            skipped.iter().partition(|skip| skip.reason.is_failure());
        if self.style.verbose && !left.is_empty() {
            self.heading(out, "skipped")?;
            for skip in &left {
                writeln!(out, "  {}", line(skip))?;
            }
        }
        if !failed.is_empty() {
            self.heading(out, "could not be read")?;
            for skip in failed {
                writeln!(out, "  {}", line(skip))?;
                writeln!(out, "    help: {}", skip.reason.help())?;
            }
        }
        Ok(())
    }
}

impl Text {
    fn namespaces(&self, out: &mut dyn Write, namespaces: &[NamespaceVerdict]) -> io::Result<()> {
        if namespaces.is_empty() {
            return Ok(());
        }
        let width =
            namespaces.iter().map(|namespace| namespace.name.chars().count()).max().unwrap_or(0).clamp(9, 40);
        self.heading(
            out,
            &format!("{:<width$}  workloads  could enforce  after fixes  in the way", "namespace"),
        )?;
        for namespace in namespaces {
            let blocking = match namespace.blocking.as_slice() {
                [] => "-".to_owned(),
                [first] => escaped(first).into_owned(),
                [first, rest @ ..] => format!("{} and {} more", escaped(first), rest.len()),
            };
            writeln!(
                out,
                "{:<width$}  {:>9}  {:<13}  {:<11}  {blocking}",
                escaped(&namespace.name),
                namespace.workloads,
                namespace.enforceable.as_str(),
                namespace.after_fixes.as_str(),
            )?;
        }
        writeln!(out)
    }
}

impl Text {
    /// Only where builds make more or other workloads of what is in the files.
    fn reach(&self, out: &mut dyn Write, ending: &Ending<'_>) -> io::Result<()> {
        let (reach, Some(level)) = (&ending.reach, ending.level) else { return Ok(()) };
        if reach.workloads != ending.counts.workloads && reach.workloads > 0 {
            writeln!(
                out,
                "builds make {} workloads of them: {} ({} %) meet {} after the fixes",
                reach.workloads,
                reach.hardened,
                100 * reach.hardened / reach.workloads,
                level.as_str(),
            )?;
        }
        let (workloads, hardened) = reach.total();
        if reach.charts.workloads > 0 && reach.workloads > 0 {
            writeln!(
                out,
                "with what charts render, {hardened} of {workloads} workloads ({} %) meet {} after the fixes",
                100 * hardened / workloads,
                level.as_str(),
            )?;
        }
        if !reach.unread.is_empty() {
            writeln!(
                out,
                "{} what is not in the repo: that part of them is not judged{}",
                if reach.unread.len() == 1 {
                    "1 build takes".to_owned()
                } else {
                    format!("{} builds take", reach.unread.len())
                },
                if self.style.verbose { "" } else { " (-v lists them)" },
            )?;
        }
        for path in reach.unread.iter().filter(|_| self.style.verbose) {
            writeln!(out, "  {}", escaped(path))?;
        }
        Ok(())
    }
}

fn paint(severity: Severity) -> Paint {
    match severity {
        Severity::Critical => AnsiColor::Red.on_default().bold(),
        Severity::High => AnsiColor::Red.on_default(),
        Severity::Medium => AnsiColor::Yellow.on_default(),
        Severity::Low => Paint::new(),
    }
}

/// What `apply` would do about a finding, in a word.
fn fix(judged: &Judged) -> &'static str {
    match (&judged.fate, judged.finding.safety) {
        (Fate::Planned, Safety::Safe) => "safe fix",
        (Fate::Planned, _) => "fix to review",
        (Fate::BelowLevel, _) => "fix to review, held by --level safe",
        (Fate::Held(_), _) => "fix held back",
        (Fate::Hidden, _) => "fix that a diff hides",
        (Fate::Manual | Fate::Allowed, _) => "by hand",
    }
}

/// `path:line:column: reason: detail`
fn line(skip: &Skip) -> String {
    let mut place = escaped(&skip.path).into_owned();
    for part in [skip.line, skip.column].into_iter().flatten() {
        place.push_str(&format!(":{part}"));
    }
    format!("{place}: {}: {}", skip.reason.id(), escaped(&skip.detail))
}

impl Renderer for Text {
    fn file(&self, out: &mut Vec<u8>, report: &FileReport<'_>) -> io::Result<()> {
        if report.findings.is_empty() && report.defects.is_empty() {
            return Ok(());
        }
        self.heading(out, report.path)?;
        for judged in &report.findings {
            self.finding(out, judged)?;
        }
        for defect in &report.defects {
            writeln!(
                out,
                "  this file is left alone: {} (a bug of caseharden, please report it)",
                escaped(defect)
            )?;
        }
        writeln!(out)
    }

    fn wants_new_texts(&self) -> bool {
        false
    }

    fn created(
        &self,
        out: &mut dyn Write,
        path: &str,
        findings: &[Judged],
        files: &[Created<'_>],
    ) -> io::Result<()> {
        self.heading(out, path)?;
        findings.iter().try_for_each(|judged| self.finding(out, judged))?;
        for created in files {
            let verb = if created.before.is_some() { "extends" } else { "adds" };
            writeln!(out, "           {verb} {}", escaped(&created.file.path))?;
        }
        writeln!(out)
    }

    fn end(&self, out: &mut dyn Write, ending: &Ending<'_>) -> io::Result<()> {
        for (idx, (path, at, finding)) in ending.notices.iter().enumerate() {
            if idx == 0 || ending.notices[idx - 1].0 != *path {
                self.heading(out, path)?;
            }
            let (severity, rule) = (finding.severity().id(), finding.rule.id);
            writeln!(out, "  {at:>7}  {severity:<8}  {}  [{rule}]", escaped(&finding.message))?;
            for note in finding.notes.iter().filter(|_| !self.style.quiet) {
                writeln!(out, "           note: {}", escaped(note))?;
            }
            if ending.notices.get(idx + 1).is_none_or(|next| next.0 != *path) {
                writeln!(out)?;
            }
        }
        if self.style.quiet {
            return self.skipped(out, ending.skipped);
        }
        self.namespaces(out, ending.namespaces)?;
        self.skipped(out, ending.skipped)?;
        summary(out, &ending.counts, ending.skipped, self.style)?;
        self.reach(out, ending)
    }
}

fn summary(out: &mut dyn Write, counts: &Counts, skipped: &[Skip], style: Style) -> io::Result<()> {
    writeln!(
        out,
        "{} in {} workloads of {} manifest files: {} with a fix, {} by hand",
        plural(counts.tally.findings, "finding"),
        counts.workloads,
        counts.files,
        counts.tally.fixable,
        counts.tally.findings - counts.tally.fixable,
    )?;
    let reasons = reasons(skipped);
    if !reasons.is_empty() {
        writeln!(
            out,
            "skipped: {}{}",
            reasons.join(", "),
            if style.verbose { "" } else { " (-v lists them)" }
        )?;
    }
    rendered(out, &counts.rendered, style)?;
    if counts.workloads == 0 && counts.rendered.workloads == 0 {
        writeln!(
            out,
            "no workload was found: {} files hold other YAML; -v shows what was skipped",
            counts.others
        )?;
    }
    if counts.tally.fixable > 0 {
        writeln!(out, "next: `caseharden diff` shows the fixes, `caseharden explain RULE` says why")?;
    }
    Ok(())
}

/// How far the run reaches what charts render.
fn rendered(out: &mut dyn Write, rendered: &Rendered, style: Style) -> io::Result<()> {
    let Rendered { workloads, hardened, unseen, unreached } = rendered;
    if *workloads > 0 {
        writeln!(
            out,
            "charts: {hardened} of {} that they render ({} %) meet the profile with the fixes",
            plural(*workloads, "workload"),
            hardened * 100 / workloads,
        )?;
    }
    if !unreached.is_empty() {
        let (releases, it) = match unreached.len() {
            1 => ("1 release is of a chart".to_owned(), "it runs"),
            count => (format!("{count} releases are of charts"), "they run"),
        };
        writeln!(out, "charts: {releases} not in the repo and not locked: what {it} is not judged")?;
    }
    if !unseen.is_empty() {
        writeln!(
            out,
            "charts: {} could not be followed{}",
            plural(unseen.len(), "place"),
            if style.verbose { "" } else { " (-v lists them)" }
        )?;
    }
    for (place, why) in unseen.iter().filter(|_| style.verbose) {
        writeln!(out, "  {}: {}", escaped(place), escaped(why))?;
    }
    Ok(())
}

/// How many files were left out for each reason.
fn reasons(skipped: &[Skip]) -> Vec<String> {
    let mut reasons: Vec<SkipReason> = skipped.iter().map(|skip| skip.reason).collect();
    reasons.sort();
    let groups = reasons.chunk_by(|a, b| a == b);
    groups.map(|group| format!("{} {}", group.len(), group[0].id())).collect()
}

pub(crate) fn plural(count: usize, noun: &str) -> String {
    match (count, noun.split_once(' ')) {
        (1, _) => format!("1 {noun}"),
        // "fixes to review", "findings left"
        (_, None) if noun == "fix" => format!("{count} fixes"),
        (_, Some(("fix", rest))) => format!("{count} fixes {rest}"),
        (_, None) if noun.ends_with("ch") => format!("{count} {noun}es"),
        _ => format!("{count} {noun}s"),
    }
}

/// What `diff` and `apply` say behind their results: what was left, and where to look next.
pub(crate) fn closing(counts: &Counts, skipped: &[Skip]) -> String {
    let mut text = String::new();
    let by_hand =
        counts.tally.findings - counts.tally.fixable - counts.tally.below_level - counts.tally.hidden;
    if by_hand > 0 {
        text.push_str(&format!(
            "{} left to a person: `caseharden check` lists them\n",
            plural(by_hand, "finding")
        ));
    }
    if counts.tally.below_level > 0 {
        text.push_str(&format!(
            "{} held back by `--level safe`\n",
            plural(counts.tally.below_level, "fix to review")
        ));
    }
    for skip in skipped.iter().filter(|skip| skip.reason.is_failure()) {
        text.push_str(&format!("skipped: {}\n  help: {}\n", line(skip), skip.reason.help()));
    }
    text
}
