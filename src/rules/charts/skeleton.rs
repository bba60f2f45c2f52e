//! The lines of a template as people read them: which are written out, which only steer, and which stand for text that
//! comes from elsewhere.
//!
//! Knows how templates and block style look; nothing of Kubernetes.

use std::ops::Range;

use crate::helm::actions::{Action, Role, actions};

/// A template's text with its actions found.
pub(super) struct Skeleton<'t> {
    pub(super) text: &'t str,
    /// The text byte for byte, with blanks for actions that render nothing and a word for each that may.
    masked: String,
    pub(super) actions: Vec<Action>,
    /// Without their line breaks.
    pub(super) lines: Vec<Range<usize>>,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line<'s> {
    /// Nothing, a comment, or actions that steer.
    Silent,
    /// One action that renders something, and how deep, if it says so.
    Inserted(Option<usize>),
    /// YAML, with its indentation.
    Written(usize, &'s str),
    /// YAML behind an action that steers.
    Unclear,
}

impl<'t> Skeleton<'t> {
    pub(super) fn new(text: &'t str) -> Option<Skeleton<'t>> {
        let actions = actions(text)?;
        let mut masked = text.as_bytes().to_vec();
        for action in &actions {
            let word = if action.role() == Role::Renders { b'x' } else { b' ' };
            for byte in masked[action.range.clone()].iter_mut().filter(|byte| **byte != b'\n') {
                *byte = word;
            }
        }
        let masked = String::from_utf8(masked).ok()?;
        let mut lines = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            lines.push(start..start + line.trim_end_matches(['\n', '\r']).len());
            start += line.len();
        }
        Some(Skeleton { text, masked, actions, lines })
    }

    /// The line of a byte.
    pub(super) fn line_of(&self, at: usize) -> usize {
        self.lines.partition_point(|line| line.start <= at).saturating_sub(1)
    }

    /// Where the line behind one begins.
    pub(super) fn behind(&self, line: usize) -> usize {
        self.lines.get(line + 1).map_or(self.text.len(), |next| next.start)
    }

    /// The lines of a range, with words for actions.
    pub(super) fn masked(&self, range: Range<usize>) -> &str {
        &self.masked[range]
    }

    pub(super) fn line(&self, line: usize) -> Line<'_> {
        let range = self.lines[line].clone();
        let masked = self.masked[range.clone()].trim_end();
        let words = masked.trim_start();
        if words.is_empty() || words.starts_with('#') {
            return Line::Silent;
        }
        let first = self.text[range.clone()].trim_start();
        let indent = self.text[range.clone()].len() - first.len();
        if masked.len() - words.len() != indent {
            return Line::Unclear;
        }
        let on_line = self.actions_in(range);
        if let [action] = on_line
            && action.range.len() == words.len()
        {
            return Line::Inserted(action.depth());
        }
        Line::Written(indent, words)
    }

    /// The actions that begin in a range.
    pub(super) fn actions_in(&self, range: Range<usize>) -> &[Action] {
        let first = self.actions.partition_point(|action| action.range.start < range.start);
        let end = self.actions.partition_point(|action| action.range.start < range.end);
        &self.actions[first..end.max(first)]
    }

    /// The only action of a line that has nothing else.
    pub(super) fn alone(&self, line: usize) -> Option<&Action> {
        let range = self.lines.get(line)?.clone();
        let text = self.text[range.clone()].trim();
        match self.actions_in(range) {
            [action] if self.text.get(action.range.clone()) == Some(text) => Some(action),
            _ => None,
        }
    }

    /// The blocks that are open at a byte: where each begins, and which of its branches it is.
    pub(super) fn blocks(&self, at: usize) -> Vec<(usize, usize)> {
        let mut open: Vec<(usize, usize)> = Vec::new();
        for action in self.actions.iter().take_while(|action| action.range.end <= at) {
            match action.role() {
                Role::Opens => open.push((action.range.start, 0)),
                Role::Else => open.iter_mut().next_back().into_iter().for_each(|block| block.1 += 1),
                Role::Closes => drop(open.pop()),
                Role::Silent | Role::Renders => {}
            }
        }
        open
    }

    /// Whether an action in front of a byte takes the blanks away that are there.
    pub(super) fn is_trimmed(&self, at: usize) -> bool {
        let before = self.actions.iter().take_while(|action| action.range.end <= at).last();
        before.is_some_and(|action| action.trims_behind && self.text[action.range.end..at].trim().is_empty())
    }
}

trait Depth {
    fn depth(&self) -> Option<usize>;
}

impl Depth for Action {
    /// Of `nindent 8` and `indent 8`.
    fn depth(&self) -> Option<usize> {
        let mut words = self.words.split_whitespace().rev();
        let depth = words.next()?.parse().ok()?;
        matches!(words.next()?, "nindent" | "indent").then_some(depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "spec:\n  {{- with .Values.a }}\n  a:\n    {{- toYaml . | nindent 4 }}\n  {{- else }}\n  # no\n  b: {{ .Values.b }}\n  {{- end }}\n  {{ if .c }}c: 1{{ end }}\n  {{ .d }}\n";

    #[test]
    fn lines_are_told_apart() {
        let skeleton = Skeleton::new(TEMPLATE).unwrap();
        let lines: Vec<Line<'_>> = (0..skeleton.lines.len()).map(|line| skeleton.line(line)).collect();
        assert_eq!(
            lines,
            [
                Line::Written(0, "spec:"),
                Line::Silent,
                Line::Written(2, "a:"),
                Line::Inserted(Some(4)),
                Line::Silent,
                Line::Silent,
                Line::Written(2, "b: xxxxxxxxxxxxxxx"),
                Line::Silent,
                Line::Unclear,
                Line::Inserted(None),
            ]
        );
    }

    #[test]
    fn branches_of_a_block_are_told_apart() {
        let skeleton = Skeleton::new(TEMPLATE).unwrap();
        let at = |word: &str| skeleton.blocks(TEMPLATE.find(word).unwrap());
        let with = TEMPLATE.find("{{-").unwrap();
        assert_eq!(at("spec:"), []);
        assert_eq!(at("  a:"), [(with, 0)]);
        assert_eq!(at("  b:"), [(with, 1)]);
        assert_eq!(at("  {{ if"), []);
    }
}
