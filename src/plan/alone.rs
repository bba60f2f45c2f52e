//! What the fix of one finding does by itself: for formats that hand over one fix at a time.
//!
//! The plan of a file merges the fixes of all its findings, and two of them that need the same mapping share an edit.
//! Here each is lowered without the others, and proved by itself.

use serde_json::Value;

use super::{Fate, FileReport, Judged, merge};
use crate::model::KubernetesOrder;
use crate::yaml::{Edit, Limits, Stream};

impl FileReport<'_> {
    /// The edits that make the fix of one finding and no other, in the order of the text. None for a fix that is not
    /// planned, or that is of use only along with others.
    pub fn fix_alone(&self, judged: &Judged) -> Option<Vec<Edit>> {
        if !judged.part_of.is_empty() {
            return None;
        }
        self.edits_alone(judged)
    }

    /// As [`FileReport::fix_alone`], for the parts of a fix too: where in the text they are made.
    pub fn edits_alone(&self, judged: &Judged) -> Option<Vec<Edit>> {
        if judged.fate != Fate::Planned || judged.finding.changes.is_empty() {
            return None;
        }
        let value = self.value(judged.document)?;
        let mut wanted = value.clone();
        for change in &judged.finding.changes {
            merge::patch(&mut wanted, &judged.prefix, change).ok()?;
        }
        let mut edits = self.stream.edits_from(judged.document, value, &wanted, &KubernetesOrder).ok()?;
        edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
        let proved = !edits.is_empty() && self.is_proved(judged.document, value, &wanted, &edits);
        proved.then_some(edits)
    }

    /// Proves edits of one document. Of a stream with many only the part around it is read again: documents share
    /// nothing.
    fn is_proved(&self, document: usize, value: &Value, wanted: &Value, edits: &[Edit]) -> bool {
        let Some(part) = self.part_around(document) else { return false };
        let text = self.before[part.clone()].to_owned();
        let Ok(stream) = Stream::parse(text, &Limits::default()) else { return false };
        let is_it = |idx: &usize| {
            stream.root(*idx).is_some_and(|root| root.value().is_ok_and(|found| found == *value))
        };
        let Some(at) = (0..stream.documents()).find(is_it) else { return false };
        if edits.iter().any(|edit| edit.range.start < part.start || edit.range.end > part.end) {
            return false;
        }
        let moved = edits.iter().map(|edit| Edit {
            range: edit.range.start - part.start..edit.range.end - part.start,
            replacement: edit.replacement.clone(),
        });
        let after = stream.apply(moved.collect());
        let mut all = vec![None; stream.documents()];
        all[at] = Some(wanted);
        stream.prove(after, &all, 0).is_ok()
    }

    /// From the end of the document in front to the start of the one behind.
    fn part_around(&self, document: usize) -> Option<std::ops::Range<usize>> {
        self.stream.root(document)?;
        let mut before = (0..document).rev().filter_map(|idx| self.stream.root(idx));
        let mut behind = (document + 1..self.stream.documents()).filter_map(|idx| self.stream.root(idx));
        let start = before.next().map_or(0, |root| root.range().end);
        let end = behind.next().map_or(self.before.len(), |root| root.range().start);
        Some(start..end)
    }
}
