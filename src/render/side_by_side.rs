//! A diff for wide terminals: the old text beside the new one.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style as Paint};

use super::hunks::{self, Hunk};
use super::unified::write_reasons;
use super::{Created, Ending, Renderer, Style, escaped, shown};
use crate::plan::{FileReport, Judged};

pub(super) struct SideBySide {
    style: Style,
    width: usize,
}

const REMOVED: Paint = AnsiColor::Red.on_default();
const ADDED: Paint = AnsiColor::Green.on_default();
const DIM: Paint = Paint::new().dimmed();
const HEAD: Paint = Paint::new().bold();
const NUMBER: usize = 5;
/// Columns of the terminal below which no line would be read in half of them.
pub(super) const LEAST: usize = 80;

/// A line of one side: its number, counted from 1, and its text.
type Side<'h> = Option<(usize, &'h str)>;

impl SideBySide {
    pub(super) fn new(style: Style, width: usize) -> SideBySide {
        SideBySide { style, width }
    }

    fn heading(&self, out: &mut dyn Write, path: &str, is_new: bool) -> io::Result<()> {
        let paint = self.style.paint(HEAD);
        writeln!(out, "{paint}{}{}{paint:#}", escaped(path), if is_new { " (new file)" } else { "" })
    }

    fn hunk(&self, out: &mut dyn Write, hunk: &Hunk) -> io::Result<()> {
        let (mut old, mut new) = (hunk.old.start, hunk.new.start);
        let mut gone: Vec<(usize, &str)> = Vec::new();
        let mut come: Vec<(usize, &str)> = Vec::new();
        for line in &hunk.lines {
            let text = &line[1..];
            match line.as_bytes().first() {
                Some(b'-') => {
                    old += 1;
                    gone.push((old, text));
                }
                Some(b'+') => {
                    new += 1;
                    come.push((new, text));
                }
                Some(b'\\') => {}
                _ => {
                    self.changed(out, &mut gone, &mut come)?;
                    (old, new) = (old + 1, new + 1);
                    self.row(out, Some((old, text)), Some((new, text)), Paint::new(), Paint::new())?;
                }
            }
        }
        self.changed(out, &mut gone, &mut come)?;
        let dim = self.style.paint(DIM);
        writeln!(out, "{dim}{}{dim:#}", "─".repeat(self.width))
    }

    fn changed<'h>(
        &self,
        out: &mut dyn Write,
        gone: &mut Vec<(usize, &'h str)>,
        come: &mut Vec<(usize, &'h str)>,
    ) -> io::Result<()> {
        for at in 0..gone.len().max(come.len()) {
            self.row(out, gone.get(at).copied(), come.get(at).copied(), REMOVED, ADDED)?;
        }
        gone.clear();
        come.clear();
        Ok(())
    }

    /// Long lines go on below.
    fn row(
        &self,
        out: &mut dyn Write,
        left: Side<'_>,
        right: Side<'_>,
        left_paint: Paint,
        right_paint: Paint,
    ) -> io::Result<()> {
        let column = (self.width - 3) / 2 - NUMBER;
        let pieces = |side: Side<'_>| side.map_or(Vec::new(), |(_, text)| pieces(text, column));
        let (lefts, rights) = (pieces(left), pieces(right));
        let dim = self.style.paint(DIM);
        for at in 0..lefts.len().max(rights.len()).max(1) {
            let cell = |pieces: &[String], side: Side<'_>, paint: Paint| {
                let number = side.filter(|_| at == 0).map_or(String::new(), |(number, _)| number.to_string());
                let text = pieces.get(at).map_or("", String::as_str);
                let pad = " ".repeat(column - text.chars().count());
                let paint = self.style.paint(paint);
                format!("{dim}{number:>4}{dim:#} {paint}{text}{paint:#}{pad}")
            };
            let line = format!(
                "{} {dim}│{dim:#} {}",
                cell(&lefts, left, left_paint),
                cell(&rights, right, right_paint)
            );
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The text as it is shown, in pieces of so many characters.
fn pieces(text: &str, column: usize) -> Vec<String> {
    let text = shown(text.trim_end_matches('\r')).replace('\t', "    ");
    let chars: Vec<char> = text.chars().collect();
    if chars.is_empty() {
        return vec![String::new()];
    }
    chars.chunks(column).map(|piece| piece.iter().collect()).collect()
}

impl Renderer for SideBySide {
    fn file(&self, out: &mut Vec<u8>, report: &FileReport<'_>) -> io::Result<()> {
        if report.after.is_none() {
            return Ok(());
        }
        self.heading(out, report.path, false)?;
        write_reasons(out, report.findings.iter(), self.style)?;
        let hunks = hunks::of_report(report);
        hunks.iter().try_for_each(|hunk| self.hunk(out, hunk))?;
        writeln!(out)
    }

    fn created(
        &self,
        out: &mut dyn Write,
        _: &str,
        findings: &[Judged],
        files: &[Created<'_>],
    ) -> io::Result<()> {
        for created in files {
            self.heading(out, &created.file.path, created.before.is_none())?;
            write_reasons(out, findings.iter(), self.style)?;
            let hunks = hunks::of_texts(created.before.unwrap_or_default(), &created.file.text);
            hunks.iter().try_for_each(|hunk| self.hunk(out, hunk))?;
            writeln!(out)?;
        }
        Ok(())
    }

    fn end(&self, _: &mut dyn Write, _: &Ending<'_>) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &str, after: &str, expected: &str) {
        let shown = SideBySide::new(Style::default(), 60);
        let mut out = Vec::new();
        for hunk in hunks::of_texts(before, after) {
            shown.hunk(&mut out, &hunk).unwrap();
        }
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}{}\n", "─".repeat(60)));
    }

    #[test]
    fn old_lines_stand_beside_new_ones() {
        check(
            "a: 1\nb: 2\n",
            "a: 1\nb: 3\nc: 4\n",
            "   1 a: 1                    │    1 a: 1\n   2 b: 2                    │    2 b: 3\n                             │    3 c: 4\n",
        );
    }

    #[test]
    fn long_lines_go_on_below() {
        check(
            "",
            "0123456789012345678901234567\n",
            "                             │    1 01234567890123456789012\n                             │      34567\n",
        );
    }
}
