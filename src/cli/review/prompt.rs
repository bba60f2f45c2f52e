//! Shows a question and reads its answer, a line at a time.

use std::io::{self, BufRead, Write};

use super::items::Item;
use crate::render::{Style, escaped, shown};

const BOLD: anstyle::Style = anstyle::Style::new().bold();
const CYAN: anstyle::Style = anstyle::AnsiColor::Cyan.on_default();
const RED: anstyle::Style = anstyle::AnsiColor::Red.on_default();
const GREEN: anstyle::Style = anstyle::AnsiColor::Green.on_default();
const BLUE: anstyle::Style = anstyle::AnsiColor::Blue.on_default().bold();

/// The line that was typed, without blanks around it; `None` at the end of the input.
pub(super) fn ask(out: &mut dyn Write, question: &str) -> io::Result<Option<String>> {
    let paint = BLUE;
    write!(out, "{paint}{question}{paint:#}")?;
    out.flush()?;
    let mut line = String::new();
    let n_bytes = io::stdin().lock().read_line(&mut line)?;
    if n_bytes == 0 {
        writeln!(out)?;
    }
    Ok((n_bytes > 0).then(|| line.trim().to_owned()))
}

pub(super) fn heading(out: &mut dyn Write, item: &Item, style: Style) -> io::Result<()> {
    let bold = paint(BOLD, style);
    let new = if item.is_new { " (new file)" } else { "" };
    writeln!(out, "{bold}{}{new}{bold:#}", escaped(&item.path))
}

pub(super) fn show(out: &mut dyn Write, item: &Item, style: Style) -> io::Result<()> {
    for finding in &item.findings {
        writeln!(out, "# {} ({}): {}", finding.rule.id, finding.safety, escaped(&finding.message))?;
        for note in &finding.notes {
            writeln!(out, "#   check: {}", escaped(note))?;
        }
        for fact in &finding.evidence {
            writeln!(out, "#   because: {}", escaped(fact))?;
        }
    }
    let cyan = paint(CYAN, style);
    writeln!(out, "{cyan}@@ line {} @@{cyan:#}", item.hunk.old.start + 1)?;
    for line in &item.hunk.lines {
        let color = match line.as_bytes().first() {
            Some(b'-') => RED,
            Some(b'+') => GREEN,
            _ => anstyle::Style::new(),
        };
        let color = paint(color, style);
        writeln!(out, "{color}{}{color:#}", shown(line.trim_end_matches('\r')))?;
    }
    Ok(())
}

/// Why, and what could break, of each rule of the hunk.
pub(super) fn explain(out: &mut dyn Write, item: &Item) -> io::Result<()> {
    let mut rules: Vec<&str> = Vec::new();
    for finding in &item.findings {
        if rules.contains(&finding.rule.id) {
            continue;
        }
        rules.push(finding.rule.id);
        writeln!(out, "{}: {}.", finding.rule.id, finding.rule.summary())?;
        writeln!(out, "\nWhy: {}", finding.rule.section("Why"))?;
        writeln!(out, "\nWhat could break: {}\n", finding.rule.section("What could break"))?;
    }
    Ok(())
}

fn paint(paint: anstyle::Style, style: Style) -> anstyle::Style {
    if style.color { paint } else { anstyle::Style::new() }
}
