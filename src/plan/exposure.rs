//! How much of a file a diff can show without showing a secret.
//!
//! Knows lines; what is secret it is told.

use similar::{DiffOp, group_diff_ops};

use crate::line_changes::line_changes;
use crate::secret::SecretLines;
use crate::yaml::Edit;

/// Lines that a diff shows around a change where nothing speaks against it.
pub(super) const CONTEXT_LINES: usize = 3;

/// How many lines around the changes can be shown; `None` when even one is too many, or when a line that goes holds a
/// secret. Without a line around it, git and patch would not know a change's place.
pub(super) fn context(before: &str, after: &str, edits: &[Edit], secret: &SecretLines) -> Option<usize> {
    if secret.is_empty() {
        return Some(CONTEXT_LINES);
    }
    let (old, new): (Vec<&str>, Vec<&str>) =
        (before.split_inclusive('\n').collect(), after.split_inclusive('\n').collect());
    let changes = line_changes(&old, &new, edits);
    (1..=CONTEXT_LINES).rev().find(|lines| {
        let shown = group_diff_ops(changes.clone(), *lines);
        !shown.iter().flatten().map(DiffOp::old_range).any(|lines| secret.any_in(lines))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::{Limits, Stream};

    #[track_caller]
    fn check(text: &str, changed: &str, expected: Option<usize>) {
        let stream = Stream::parse(text.to_owned(), &Limits::default()).unwrap();
        let start = text.find(changed).unwrap();
        let edit = Edit { range: start..start + changed.len(), replacement: "x".to_owned() };
        let after = stream.apply(vec![edit.clone()]);
        assert_eq!(context(text, &after, &[edit], &SecretLines::of(&stream)), expected);
    }

    #[test]
    fn fewer_lines_are_shown_beside_a_secret() {
        let text = "a: 1\nb: 2\nc: 3\nd: 4\nurl: amqp://u:hunter2@h/\n";
        check(text, "1", Some(3));
        check(text, "2", Some(2));
        check(text, "3", Some(1));
        check(text, "4", None);
        check(text, "amqp", None);
    }
}
