//! Which lines differ between two texts, in time that grows with the changes and not with the product of the two.

use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::yaml::Edit;

/// The operations that turn the old lines into the new ones. `edits` are those of the old text, in its order; only
/// the lines they touch are compared. Without any, all are.
pub(crate) fn line_changes(old: &[&str], new: &[&str], edits: &[Edit]) -> Vec<DiffOp> {
    if edits.is_empty() {
        return capture_diff_slices(Algorithm::Myers, old, new);
    }
    let mut ops = Vec::new();
    let (mut at_old, mut at_new) = (0, 0);
    for lines in touched(old, edits) {
        equal(&mut ops, at_old, at_new, lines.old.start - at_old);
        let start = at_new + lines.old.start - at_old;
        // What is added begins inside a touched line, so the lines in front of it are the same in both.
        let end = start + lines.new_lines(new, start);
        for op in capture_diff_slices(Algorithm::Myers, &old[lines.old.clone()], &new[start..end]) {
            push(&mut ops, shifted(op, lines.old.start, start));
        }
        (at_old, at_new) = (lines.old.end, end);
    }
    equal(&mut ops, at_old, at_new, old.len() - at_old);
    ops
}

/// Whole lines of the old text that some edits touch.
struct Touched {
    old: Range<usize>,
    /// How many bytes these lines have in the new text.
    new_bytes: usize,
}

impl Touched {
    fn new_lines(&self, new: &[&str], start: usize) -> usize {
        let mut bytes = 0;
        new[start..]
            .iter()
            .take_while(|line| {
                let inside = bytes < self.new_bytes;
                bytes += line.len();
                inside
            })
            .count()
    }
}

fn touched(old: &[&str], edits: &[Edit]) -> Vec<Touched> {
    let mut starts = Vec::with_capacity(old.len() + 1);
    starts.push(0);
    for line in old {
        starts.push(starts[starts.len() - 1] + line.len());
    }
    let line_of = |offset: usize| starts.partition_point(|start| *start <= offset) - 1;
    let mut touched: Vec<Touched> = Vec::new();
    for edit in edits {
        let first = line_of(edit.range.start).min(old.len().saturating_sub(1));
        let last = line_of(edit.range.end).min(old.len().saturating_sub(1));
        // The line behind goes with it when the edit ends at its start: what is added may lack its own line break.
        let lines = first..(last + 1).min(old.len());
        let replaced = edit.range.len();
        match touched.last_mut().filter(|before| before.old.end > lines.start) {
            Some(before) => {
                let more = lines.end.max(before.old.end);
                before.new_bytes += starts[more] - starts[before.old.end];
                before.old.end = more;
                before.new_bytes = before.new_bytes + edit.replacement.len() - replaced;
            }
            None => {
                let new_bytes = starts[lines.end] - starts[lines.start] + edit.replacement.len() - replaced;
                touched.push(Touched { old: lines, new_bytes });
            }
        }
    }
    touched
}

fn equal(ops: &mut Vec<DiffOp>, old_index: usize, new_index: usize, len: usize) {
    if len > 0 {
        push(ops, DiffOp::Equal { old_index, new_index, len });
    }
}

/// Adds an operation; runs of equal lines become one, as grouping into hunks expects.
fn push(ops: &mut Vec<DiffOp>, op: DiffOp) {
    match (ops.last_mut(), op) {
        (Some(DiffOp::Equal { len, .. }), DiffOp::Equal { len: more, .. }) => *len += more,
        _ => ops.push(op),
    }
}

fn shifted(op: DiffOp, old: usize, new: usize) -> DiffOp {
    match op {
        DiffOp::Equal { old_index, new_index, len } => {
            DiffOp::Equal { old_index: old_index + old, new_index: new_index + new, len }
        }
        DiffOp::Delete { old_index, old_len, new_index } => {
            DiffOp::Delete { old_index: old_index + old, old_len, new_index: new_index + new }
        }
        DiffOp::Insert { old_index, new_index, new_len } => {
            DiffOp::Insert { old_index: old_index + old, new_index: new_index + new, new_len }
        }
        DiffOp::Replace { old_index, old_len, new_index, new_len } => {
            DiffOp::Replace { old_index: old_index + old, old_len, new_index: new_index + new, new_len }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &str) -> Vec<&str> {
        text.split_inclusive('\n').collect()
    }

    /// Applies the edits, and rebuilds the new text from the operations.
    fn check(old: &str, edits: &[Edit]) {
        let mut new = old.to_owned();
        for edit in edits.iter().rev() {
            new.replace_range(edit.range.clone(), &edit.replacement);
        }
        let (old, new) = (lines(old), lines(&new));
        let mut rebuilt: Vec<&str> = Vec::new();
        let mut at = 0;
        for op in line_changes(&old, &new, edits) {
            assert_eq!(op.old_range().start, at);
            at = op.old_range().end;
            match op {
                DiffOp::Equal { .. } => {
                    assert_eq!(old[op.old_range()], new[op.new_range()]);
                    rebuilt.extend_from_slice(&old[op.old_range()]);
                }
                _ => rebuilt.extend_from_slice(&new[op.new_range()]),
            }
        }
        assert_eq!(at, old.len());
        assert_eq!(rebuilt, new);
    }

    proptest! {
        #[test]
        fn rebuilds_the_new_text(
            old in "([ab]{0,3}\n){0,12}[ab]{0,2}",
            cuts in prop::collection::vec((0usize..60, 0usize..4, "[abc\n]{0,6}"), 1..5),
        ) {
            let mut edits: Vec<Edit> = Vec::new();
            let mut cuts = cuts;
            cuts.sort_by_key(|cut| cut.0);
            for (start, len, replacement) in cuts {
                let start = start.min(old.len());
                let end = (start + len).min(old.len());
                if edits.last().is_none_or(|last| last.range.end < start) {
                    edits.push(Edit { range: start..end, replacement });
                }
            }
            check(&old, &edits);
        }
    }
}
