//! A diff as hunks that know their findings: for reviews that go hunk by hunk.
//!
//! Which edit belongs to which finding is asked of the plan, which lowers each fix without the others.

use std::ops::Range;

use similar::{DiffOp, group_diff_ops};

use crate::line_changes::line_changes;
use crate::plan::{Fate, FileReport, Judged};
use crate::yaml::{Edit, LineIndex};

/// Lines of a file that change, with those around them.
#[derive(Debug, Clone)]
pub(crate) struct Hunk {
    pub(crate) old: Range<usize>,
    pub(crate) new: Range<usize>,
    /// As in a diff: a sign and the text, without its line break.
    pub(crate) lines: Vec<String>,
    /// Indices of the findings whose fixes it makes, in the order they were given.
    pub(crate) findings: Vec<usize>,
}

const CONTEXT_LINES: usize = 3;

/// The hunks of a file's report; the indices are those of its findings.
pub(crate) fn of_report(report: &FileReport<'_>) -> Vec<Hunk> {
    let Some(after) = &report.after else { return Vec::new() };
    let mut hunks = shown(report.before, after, &report.edits, report.context);
    let lines = LineIndex::new(report.before);
    for (idx, judged) in report.findings.iter().enumerate() {
        if judged.fate != Fate::Planned {
            continue;
        }
        let places = places(report, judged, &lines);
        for line in places {
            if let Some(hunk) = nearest(&mut hunks, line)
                && !hunk.findings.contains(&idx)
            {
                hunk.findings.push(idx);
            }
        }
    }
    hunks
}

/// Lines of the old text, counted from 0, that a finding's fix touches.
fn places(report: &FileReport<'_>, judged: &Judged, lines: &LineIndex<'_>) -> Vec<usize> {
    match report.edits_alone(judged) {
        Some(edits) => edits.iter().map(|edit| lines.line(edit.range.start)).collect(),
        None => vec![judged.line.saturating_sub(1)],
    }
}

fn nearest(hunks: &mut [Hunk], line: usize) -> Option<&mut Hunk> {
    hunks.iter_mut().min_by_key(|hunk| match line {
        line if line < hunk.old.start => hunk.old.start - line,
        line if line >= hunk.old.end => line + 1 - hunk.old.end,
        _ => 0,
    })
}

/// The hunks between two texts, of no finding yet.
pub(crate) fn of_texts(before: &str, after: &str) -> Vec<Hunk> {
    shown(before, after, &[], CONTEXT_LINES)
}

fn shown(before: &str, after: &str, edits: &[Edit], context: usize) -> Vec<Hunk> {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let groups = group_diff_ops(line_changes(&old, &new, edits), context);
    groups.iter().filter_map(|group| hunk(group, &old, &new)).collect()
}

fn hunk(group: &[DiffOp], old: &[&str], new: &[&str]) -> Option<Hunk> {
    let (first, last) = (group.first()?, group.last()?);
    let mut lines = Vec::new();
    for op in group {
        match op {
            DiffOp::Equal { .. } => push(&mut lines, ' ', &old[op.old_range()]),
            _ => {
                push(&mut lines, '-', &old[op.old_range()]);
                push(&mut lines, '+', &new[op.new_range()]);
            }
        }
    }
    Some(Hunk {
        old: first.old_range().start..last.old_range().end,
        new: first.new_range().start..last.new_range().end,
        lines,
        findings: Vec::new(),
    })
}

fn push(lines: &mut Vec<String>, sign: char, texts: &[&str]) {
    for text in texts {
        match text.strip_suffix('\n') {
            Some(text) => lines.push(format!("{sign}{text}")),
            None => lines.extend([format!("{sign}{text}"), "\\ No newline at end of file".to_owned()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hunk_has_the_lines_around_it() {
        let hunks = of_texts("a\nb\nc\nd\ne\n", "a\nb\nc\nd\nX\ne");
        assert_eq!(hunks.len(), 1);
        assert_eq!((hunks[0].old.clone(), hunks[0].new.clone()), (1..5, 1..6));
        assert_eq!(hunks[0].lines, [" b", " c", " d", "-e", "+X", "+e", "\\ No newline at end of file"]);
    }
}
