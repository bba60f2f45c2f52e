//! Fixes of several parts, in one file or many: all of them are made, or none.
//!
//! Knows which findings belong together, not what they are about.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fate, Planner, document};
use crate::rules::{Finding, RepoFindings, Safety};

/// How many parts each fix has.
pub(super) type Parts = BTreeMap<String, usize>;

pub(super) fn count(found: &RepoFindings) -> Parts {
    let mut parts = Parts::new();
    for finding in findings(found) {
        parts.extend(finding.together.iter().map(|fix| (fix.clone(), 0)));
        if let Some(count) = finding.together.as_ref().and_then(|fix| parts.get_mut(fix)) {
            *count += 1;
        }
    }
    parts
}

fn findings(found: &RepoFindings) -> impl Iterator<Item = &Finding> {
    let placed = found.by_file.values().flatten().chain(&found.new_files);
    placed.map(|placed| &placed.finding)
}

/// Makes a report of every fix that has lost one of its parts, or that has one the text refuses.
pub(super) fn settle(planner: &mut Planner<'_>, parts: &Parts) {
    loop {
        let broken = broken(planner, parts);
        if broken.is_empty() {
            return;
        }
        let survey = &mut planner.survey;
        for placed in survey.by_file.values_mut().flatten().chain(&mut survey.new_files) {
            if placed.finding.together.as_ref().is_some_and(|fix| broken.contains(fix)) {
                placed.finding.together = None;
                placed.finding.make_manual("another part of this fix cannot be made in this run");
            }
        }
    }
}

fn broken(planner: &Planner<'_>, parts: &Parts) -> BTreeSet<String> {
    let mut planned = Parts::new();
    let mut note = |finding: &Finding| {
        if let Some(fix) = &finding.together {
            *planned.entry(fix.clone()).or_default() += 1;
        }
    };
    for placed in &planner.survey.new_files {
        if placed.finding.safety >= planner.level && placed.finding.safety != Safety::Manual {
            note(&placed.finding);
        }
    }
    for (file, placed) in &planner.survey.by_file {
        if placed.iter().any(|placed| placed.finding.together.is_some()) {
            for judged in document::planned(planner, *file, placed) {
                if judged.fate == Fate::Planned {
                    note(&judged.finding);
                }
            }
        }
    }
    let in_survey: BTreeSet<&String> =
        findings(&planner.survey).filter_map(|finding| finding.together.as_ref()).collect();
    in_survey
        .into_iter()
        .filter(|fix| planned.get(*fix) != parts.get(*fix))
        .cloned()
        .collect()
}
