//! What a review goes through: every hunk with the findings it answers.

use crate::cli::inputs::{Inputs, before};
use crate::plan::{Judged, Planned, Planner};
use crate::render::hunks::{self, Hunk};
use crate::rules::Rule;

/// One question.
pub(super) struct Item {
    pub(super) path: String,
    pub(super) is_new: bool,
    pub(super) hunk: Hunk,
    pub(super) findings: Vec<Asked>,
}

/// A finding, as far as a review needs it.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) key: String,
    pub(super) rule: &'static Rule,
    pub(super) safety: &'static str,
    pub(super) message: String,
    pub(super) notes: Vec<String>,
    pub(super) evidence: Vec<String>,
    pub(super) parts: Vec<String>,
}

pub(super) fn items(planner: &Planner<'_>, inputs: &Inputs) -> Vec<Item> {
    let mut items = Vec::new();
    planner.reports(|report| {
        let findings: Vec<Asked> = report.findings.iter().map(|judged| asked(report.path, judged)).collect();
        for hunk in hunks::of_report(&report) {
            let of_hunk = hunk.findings.iter().map(|idx| findings[*idx].clone()).collect();
            items.push(Item { path: report.path.to_owned(), is_new: false, hunk, findings: of_hunk });
        }
    });
    for Planned { path, findings, files } in planner.new_files() {
        for file in files {
            let old = before(inputs, &file.path);
            for hunk in hunks::of_texts(old.unwrap_or_default(), &file.text) {
                let findings = findings.iter().map(|judged| asked(path, judged)).collect();
                items.push(Item { path: file.path.clone(), is_new: old.is_none(), hunk, findings });
            }
        }
    }
    items
}

fn asked(path: &str, judged: &Judged) -> Asked {
    Asked {
        key: judged.key(path),
        rule: judged.finding.rule,
        safety: judged.finding.safety.id(),
        message: judged.finding.message.clone(),
        notes: judged.finding.notes.clone(),
        evidence: judged.finding.evidence.clone(),
        parts: judged.part_of.clone(),
    }
}
