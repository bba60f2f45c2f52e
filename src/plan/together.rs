//! Fixes of several parts, in one file or many: all of them are made, or none.
//!
//! Knows which findings belong together, not what they are about.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::{Fate, Planner, document};
use crate::rules::{Finding, Placed, RepoFindings, Safety};

/// How many parts each fix has.
pub(super) type Parts = BTreeMap<String, usize>;

pub(super) fn count(found: &RepoFindings) -> Parts {
    let mut parts = Parts::new();
    for fix in findings(found).filter_map(|finding| finding.together.as_ref()) {
        *parts.entry(fix.clone()).or_default() += 1;
    }
    parts
}

fn findings(found: &RepoFindings) -> impl Iterator<Item = &Finding> {
    let placed = found.by_file.values().flatten().chain(&found.new_files);
    placed.map(|placed| &placed.finding)
}

/// Makes a report of every fix that has lost one of its parts, or that has one the text refuses. A fix with a part that
/// is not shown is not shown at all.
pub(super) fn settle(planner: &mut Planner<'_>, parts: &Parts) {
    loop {
        let broken = broken(planner, parts);
        if broken.is_empty() {
            return;
        }
        let survey = &mut planner.survey;
        let mut touched = Vec::new();
        for placed in survey.by_file.values_mut().flatten().chain(&mut survey.new_files) {
            if let Some(reason) = placed.finding.together.as_ref().and_then(|fix| broken.get(fix)) {
                touched.push(placed.object.file);
                placed.finding.together = None;
                match reason {
                    Some(reason) => {
                        placed.finding.make_manual(format!("a part of this fix cannot be made: {reason}"));
                    }
                    None => placed.finding.hidden = true,
                }
            }
        }
        planner.open_drafts(touched);
    }
}

/// The fixes that cannot be made, each with the reason; no reason for those that can be made, but not shown.
fn broken(planner: &Planner<'_>, parts: &Parts) -> BTreeMap<String, Option<String>> {
    let mut planned = Parts::new();
    let mut reasons: BTreeMap<String, String> = BTreeMap::new();
    let mut hidden: BTreeSet<String> = BTreeSet::new();
    for finding in planner.survey.new_files.iter().map(|placed| &placed.finding) {
        let is_planned = finding.safety >= planner.level && finding.safety != Safety::Manual;
        if let Some(fix) = finding.together.as_ref().filter(|_| is_planned) {
            *planned.entry(fix.clone()).or_default() += 1;
        }
    }
    let has_parts = |placed: &[Placed]| placed.iter().any(|placed| placed.finding.together.is_some());
    let files: Vec<_> = planner.survey.by_file.iter().filter(|(_, placed)| has_parts(placed)).collect();
    let fates: Vec<(String, Fate)> = files
        .into_par_iter()
        .flat_map_iter(|(file, placed)| {
            let judged = document::planned(planner, *file, placed).into_iter();
            judged.filter_map(|judged| Some((judged.finding.together?, judged.fate)))
        })
        .collect();
    for (fix, fate) in fates {
        match fate {
            Fate::Planned => *planned.entry(fix).or_default() += 1,
            Fate::Held(reason) => drop(reasons.insert(fix, reason)),
            Fate::BelowLevel => drop(reasons.insert(fix, "the run is about safe fixes".to_owned())),
            Fate::Hidden => drop(hidden.insert(fix)),
            Fate::Manual | Fate::Allowed => {}
        }
    }
    let fixes = findings(&planner.survey).filter_map(|finding| finding.together.as_ref());
    let incomplete = fixes.filter(|fix| planned.get(*fix) != parts.get(*fix));
    incomplete
        .map(|fix| {
            let reason = reasons.get(fix).cloned();
            let reason = match reason {
                None if hidden.contains(fix) => None,
                None => Some("it is allowed, or outside of this run".to_owned()),
                reason => reason,
            };
            (fix.clone(), reason)
        })
        .collect()
}
