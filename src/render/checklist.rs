//! The checklist as text, Markdown and JSON. Shows what it is given and judges nothing.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style as Paint};

use super::{Style, plural};
use crate::checklist::{Checklist, ReportedArea, ReportedItem, Status};

/// How `checklist` shows its report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ChecklistFormat {
    /// For people: a table for each area
    Text,
    /// For a wiki or an issue
    Markdown,
    /// For programs: one stable object; `--schema` describes it
    Json,
}

pub fn checklist(
    out: &mut dyn Write,
    checklist: &Checklist,
    format: ChecklistFormat,
    style: Style,
) -> io::Result<()> {
    match format {
        ChecklistFormat::Text => text(out, checklist, style),
        ChecklistFormat::Markdown => markdown(out, checklist),
        ChecklistFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, checklist)?;
            writeln!(out)
        }
    }
}

const WIDTH: usize = 100;
/// Where the text of an item begins.
const INDENT: usize = 20;

fn text(out: &mut dyn Write, checklist: &Checklist, style: Style) -> io::Result<()> {
    for area in &checklist.areas {
        let bold = style.paint(Paint::new().bold());
        writeln!(out, "{bold}{:>2}  {}{bold:#}", area.number, area.title)?;
        for item in &area.items {
            text_item(out, item, style)?;
        }
        writeln!(out)?;
    }
    let sums: Vec<String> = sums(checklist).map(|(status, n)| format!("{n} {}", status.words())).collect();
    writeln!(out, "{} items: {}", count(checklist), sums.join(", "))
}

fn text_item(out: &mut dyn Write, item: &ReportedItem, style: Style) -> io::Result<()> {
    let color = match item.status {
        Status::Satisfied => Paint::new().fg_color(Some(AnsiColor::Green.into())),
        Status::FixableNow => Paint::new().fg_color(Some(AnsiColor::Yellow.into())),
        Status::NeedsEvidence => Paint::new().fg_color(Some(AnsiColor::Cyan.into())),
        Status::OutsideManifests | Status::NotAsked => Paint::new().dimmed(),
    };
    let paint = style.paint(color);
    for (n, line) in wrapped(&item.title, WIDTH - INDENT).into_iter().enumerate() {
        match n {
            0 => writeln!(out, "  {paint}{:<17}{paint:#} {line}", item.status.words())?,
            _ => writeln!(out, "{:INDENT$}{line}", "")?,
        }
    }
    let mut detail = |text: &str| -> io::Result<()> {
        wrapped(text, WIDTH - INDENT - 2)
            .into_iter()
            .try_for_each(|line| writeln!(out, "{:INDENT$}  {line}", ""))
    };
    if let Some(counts) = counts(item) {
        let rules = rules(item, |id| id.to_owned());
        detail(&if rules.is_empty() { counts } else { format!("{counts}: {rules}") })?;
    }
    if let Some(next) = item.next.as_ref().filter(|_| !style.quiet) {
        detail(next)?;
    }
    if let Some(caution) = item.caution.as_ref().filter(|_| !style.quiet) {
        detail(&format!("note: {caution}"))?;
    }
    if style.verbose {
        item.links.iter().try_for_each(|link| detail(link))?;
    }
    Ok(())
}

/// What the findings of an item come to; nothing when there are none.
fn counts(item: &ReportedItem) -> Option<String> {
    let parts = [(item.fixable, "with a fix"), (item.by_hand, "by hand"), (item.allowed, "allowed")];
    let parts: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The rules that found something, with how much where they are several.
fn rules(item: &ReportedItem, name: impl Fn(&str) -> String) -> String {
    let found: Vec<_> = item.rules.iter().filter(|rule| rule.findings > 0).collect();
    let one = |rule: &&crate::checklist::ReportedRule| match found.len() {
        1 => name(rule.id),
        _ => format!("{} {}", name(rule.id), rule.findings),
    };
    found.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn count(checklist: &Checklist) -> usize {
    checklist.areas.iter().map(|area| area.items.len()).sum()
}

fn sums(checklist: &Checklist) -> impl Iterator<Item = (Status, usize)> {
    checklist.summary.iter().map(|(status, n)| (*status, *n)).filter(|(_, n)| *n > 0)
}

fn markdown(out: &mut dyn Write, checklist: &Checklist) -> io::Result<()> {
    writeln!(out, "# Production checklist\n")?;
    let sums: Vec<String> = sums(checklist).map(|(status, n)| format!("{n} {}", status.words())).collect();
    writeln!(out, "{}: {}.", plural(count(checklist), "item"), sums.join(", "))?;
    for area in &checklist.areas {
        markdown_area(out, area)?;
    }
    Ok(())
}

fn markdown_area(out: &mut dyn Write, area: &ReportedArea) -> io::Result<()> {
    writeln!(
        out,
        "\n## {}. {}\n\n| status | item | findings | next |\n|---|---|---|---|",
        area.number, area.title
    )?;
    for item in &area.items {
        let status = match item.status {
            Status::FixableNow | Status::NeedsEvidence => format!("**{}**", item.status.words()),
            status => status.words().to_owned(),
        };
        let title = match item.links.first() {
            Some(link) => format!("[{}]({link})", cell(&item.title)),
            None => cell(&item.title),
        };
        let rules = rules(item, |id| format!("`{id}`"));
        let findings = match (counts(item), rules.is_empty()) {
            (Some(counts), true) => counts,
            (Some(counts), false) => format!("{counts}: {rules}"),
            (None, _) => String::new(),
        };
        let caution = item.caution.as_ref().map(|caution| format!("*{}*", cell(caution)));
        let next: Vec<String> = item.next.iter().map(|next| cell(next)).chain(caution).collect();
        writeln!(out, "| {status} | {title} | {findings} | {} |", next.join("<br>"))?;
    }
    Ok(())
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('*', "\\*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("a bb ccc dddd", 6), ["a bb", "ccc", "dddd"]);
        assert_eq!(wrapped("longer-than-that a", 6), ["longer-than-that", "a"]);
    }
}
