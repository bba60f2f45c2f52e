//! A unified diff that `git apply` and `patch -p1` take from the root, with the reasons above each file.
//!
//! The format is git's: <https://git-scm.com/docs/diff-format>.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style as Paint};
use similar::{DiffOp, group_diff_ops};

use super::{Created, Ending, Renderer, Style, escaped, shown};
use crate::git::blob_id;
use crate::line_changes::line_changes;
use crate::plan::{Fate, FileReport, Judged};
use crate::yaml::Edit;

pub(super) struct Unified {
    style: Style,
}

const REMOVED: Paint = AnsiColor::Red.on_default();
const ADDED: Paint = AnsiColor::Green.on_default();
const HUNK: Paint = AnsiColor::Cyan.on_default();
const HEAD: Paint = Paint::new().bold();
const CONTEXT_LINES: usize = 3;

impl Unified {
    pub(super) fn new(style: Style) -> Unified {
        Unified { style }
    }
}

/// Says of every planned fix why it is made. Lines in front of `diff --git` are ignored by git and patch.
pub(super) fn write_reasons<'j>(
    out: &mut dyn Write,
    findings: impl Iterator<Item = &'j Judged>,
    style: Style,
) -> io::Result<()> {
    for judged in findings.filter(|judged| judged.fate == Fate::Planned && !style.quiet) {
        let finding = &judged.finding;
        writeln!(
            out,
            "# line {}: {} ({}): {}",
            judged.line,
            style.link(finding.rule),
            finding.safety.id(),
            escaped(&finding.message)
        )?;
        for note in &finding.notes {
            writeln!(out, "#   check: {}", escaped(note))?;
        }
        for fact in &finding.evidence {
            writeln!(out, "#   because: {}", escaped(fact))?;
        }
    }
    Ok(())
}

impl Renderer for Unified {
    fn file(&self, out: &mut Vec<u8>, report: &FileReport<'_>) -> io::Result<()> {
        let Some(after) = &report.after else { return Ok(()) };
        write_reasons(out, report.findings.iter(), self.style)?;
        write_diff(out, report.path, &Texts::of(report, after), self.style)
    }

    fn created(
        &self,
        out: &mut dyn Write,
        _: &str,
        findings: &[Judged],
        files: &[Created<'_>],
    ) -> io::Result<()> {
        let told = findings.iter().filter(|judged| judged.fate == Fate::Planned || !files.is_empty());
        write_reasons(out, told, self.style)?;
        for created in files {
            write_diff(out, &created.file.path, &Texts::of_created(created), self.style)?;
        }
        Ok(())
    }

    fn end(&self, _: &mut dyn Write, _: &Ending<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// The texts of one file.
pub(super) struct Texts<'t> {
    /// `None` for a new file.
    before: Option<&'t str>,
    after: &'t str,
    /// Where the two differ; without any the whole texts are compared.
    edits: &'t [Edit],
    /// Lines that are shown around a change.
    context: usize,
}

impl<'t> Texts<'t> {
    pub(super) fn of(report: &'t FileReport<'_>, after: &'t str) -> Texts<'t> {
        let (edits, context) = (report.edits.as_slice(), report.context);
        Texts { before: Some(report.before), after, edits, context }
    }

    pub(super) fn of_created(created: &'t Created<'_>) -> Texts<'t> {
        let (before, after) = (created.before, created.file.text.as_str());
        Texts { before, after, edits: &[], context: CONTEXT_LINES }
    }
}

/// Writes the diff of one file.
pub(super) fn write_diff(out: &mut dyn Write, path: &str, texts: &Texts<'_>, style: Style) -> io::Result<()> {
    let Texts { before, after, .. } = *texts;
    let old = lines(before.unwrap_or_default());
    let new = lines(after);
    let (a, b) = (quoted("a/", path), quoted("b/", path));
    let head = style.paint(HEAD);
    writeln!(out, "{head}diff --git {a} {b}{head:#}")?;
    match before {
        Some(before) => writeln!(out, "index {}..{}", blob_id(before.as_bytes()), blob_id(after.as_bytes()))?,
        None => {
            writeln!(out, "new file mode 100644")?;
            writeln!(out, "index {:040}..{}", 0, blob_id(after.as_bytes()))?;
        }
    }
    // GNU patch ends a name at the first blank unless a tab follows it.
    let tab = if path.contains(' ') { "\t" } else { "" };
    match before {
        Some(_) => writeln!(out, "{head}--- {a}{tab}{head:#}")?,
        None => writeln!(out, "{head}--- /dev/null{head:#}")?,
    }
    writeln!(out, "{head}+++ {b}{tab}{head:#}")?;
    for group in group_diff_ops(line_changes(&old, &new, texts.edits), texts.context) {
        write_hunk(out, &group, &old, &new, style)?;
    }
    Ok(())
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn write_hunk(
    out: &mut dyn Write,
    group: &[DiffOp],
    old: &[&str],
    new: &[&str],
    style: Style,
) -> io::Result<()> {
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(()) };
    let range = |start: usize, end: usize| match end - start {
        1 => format!("{}", start + 1),
        // An empty range names the line before it.
        0 => format!("{start},0"),
        length => format!("{},{length}", start + 1),
    };
    let paint = style.paint(HUNK);
    writeln!(
        out,
        "{paint}@@ -{} +{} @@{paint:#}",
        range(first.old_range().start, last.old_range().end),
        range(first.new_range().start, last.new_range().end)
    )?;
    for op in group {
        if let DiffOp::Equal { .. } = op {
            for line in &old[op.old_range()] {
                write_line(out, ' ', line, Paint::new(), style)?;
            }
            continue;
        }
        for line in &old[op.old_range()] {
            write_line(out, '-', line, REMOVED, style)?;
        }
        for line in &new[op.new_range()] {
            write_line(out, '+', line, ADDED, style)?;
        }
    }
    Ok(())
}

fn write_line(out: &mut dyn Write, sign: char, line: &str, paint: Paint, style: Style) -> io::Result<()> {
    let (text, end) = match line.strip_suffix('\n') {
        Some(text) => (text, "\n"),
        None => (line, "\n\\ No newline at end of file\n"),
    };
    if style.terminal {
        let text = text.strip_suffix('\r').unwrap_or(text);
        let paint = style.paint(paint);
        write!(out, "{paint}{sign}{}{paint:#}{end}", shown(text))
    } else {
        write!(out, "{sign}{text}{end}")
    }
}

/// The name as git writes it: quoted only where it holds a quote, a backslash or a control character.
pub(super) fn quoted(prefix: &str, path: &str) -> String {
    if !path.contains(|char: char| char.is_control() || char == '"' || char == '\\') {
        return format!("{prefix}{path}");
    }
    let mut text = format!("\"{prefix}");
    for char in path.chars() {
        match char {
            '"' | '\\' => text.extend(['\\', char]),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            char if char.is_control() => {
                let mut bytes = [0; 4];
                for byte in char.encode_utf8(&mut bytes).bytes() {
                    text.push_str(&format!("\\{byte:03o}"));
                }
            }
            char => text.push(char),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, before: Option<&str>, after: &str, expected: &str) {
        let mut out = Vec::new();
        let texts = Texts { before, after, edits: &[], context: CONTEXT_LINES };
        write_diff(&mut out, path, &texts, Style::default()).unwrap();
        let text = String::from_utf8(out).unwrap();
        let without_ids: String =
            text.lines().filter(|line| !line.starts_with("index ")).map(|l| format!("{l}\n")).collect();
        assert_eq!(without_ids, expected);
    }

    #[test]
    fn a_missing_final_newline_is_marked_on_each_side() {
        check(
            "a.yaml",
            Some("a: 1"),
            "a: 1\nb: 2",
            "diff --git a/a.yaml b/a.yaml\n--- a/a.yaml\n+++ b/a.yaml\n@@ -1 +1,2 @@\n-a: 1\n\
             \\ No newline at end of file\n+a: 1\n+b: 2\n\\ No newline at end of file\n",
        );
    }

    #[test]
    fn a_new_file_comes_from_nothing() {
        check(
            "b c.yaml",
            None,
            "x: 1\n",
            "diff --git a/b c.yaml b/b c.yaml\nnew file mode 100644\n--- /dev/null\n+++ b/b c.yaml\t\n@@ -0,0 +1 @@\n+x: 1\n",
        );
    }

    #[test]
    fn odd_names_are_quoted_as_git_does() {
        assert_eq!(quoted("a/", "x\"\u{1b}\n.yaml"), "\"a/x\\\"\\033\\n.yaml\"");
        assert_eq!(quoted("a/", "ü.yaml"), "a/ü.yaml");
    }
}
