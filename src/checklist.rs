//! The production checklist as a report on one repo: what of it the manifests satisfy, what the fixes would, what needs
//! evidence or a person, and what no manifest can show.
//!
//! The items with rules say what the rules found; a rule that no item names is an item by itself, so that a new one
//! appears. Knows plain findings and objects; nothing of how the report is shown.

mod items;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::Model;
use crate::plan::{Fate, Judged};
use crate::rules::{self, Rule, Settings};
use items::{AREAS, Item, Shown};

/// The whole report. Its shape as JSON is a promise, with a schema.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "caseharden checklist")]
pub struct Checklist {
    /// Of this format.
    pub version: u32,
    /// How many items have each status.
    #[schemars(with = "BTreeMap<String, usize>")]
    pub summary: BTreeMap<Status, usize>,
    pub areas: Vec<ReportedArea>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct ReportedArea {
    /// 1 to 10.
    pub number: usize,
    pub id: &'static str,
    pub title: &'static str,
    pub items: Vec<ReportedItem>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct ReportedItem {
    pub id: String,
    pub title: String,
    #[schemars(
        with = "String",
        regex(pattern = "^(satisfied|fixable-now|needs-evidence|outside-manifests|not-asked)$")
    )]
    pub status: Status,
    /// Findings that a fix is planned for.
    pub fixable: usize,
    /// Findings that need evidence or a person.
    pub by_hand: usize,
    /// Findings that somebody allowed.
    pub allowed: usize,
    /// The rules that look after it, each with its findings that are not allowed.
    pub rules: Vec<ReportedRule>,
    /// What to do or to know.
    pub next: Option<String>,
    /// Where the usual advice for this item is wrong.
    pub caution: Option<String>,
    pub links: Vec<&'static str>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct ReportedRule {
    pub id: &'static str,
    pub findings: usize,
}

/// What is to be said of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The repo is about it, and nothing was found.
    Satisfied,
    /// A command of this program writes what is missing.
    FixableNow,
    /// Found, and only evidence or a person can settle it.
    NeedsEvidence,
    /// Nothing of it is in these files: it has to be looked at elsewhere.
    OutsideManifests,
    /// The rules were switched off.
    NotAsked,
}

impl Status {
    pub const ALL: [Status; 5] = [
        Status::Satisfied,
        Status::FixableNow,
        Status::NeedsEvidence,
        Status::OutsideManifests,
        Status::NotAsked,
    ];

    /// As people read it.
    pub fn words(self) -> &'static str {
        match self {
            Status::Satisfied => "satisfied",
            Status::FixableNow => "fixable now",
            Status::NeedsEvidence => "needs evidence",
            Status::OutsideManifests => "outside manifests",
            Status::NotAsked => "not asked",
        }
    }
}

/// What the rules found, counted.
#[derive(Debug, Default)]
pub struct Found {
    by_rule: BTreeMap<&'static str, Count>,
    asked: BTreeSet<&'static str>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    fixable: usize,
    by_hand: usize,
    allowed: usize,
}

impl Found {
    /// Nothing found yet; `asks` says which rules take part.
    pub fn new(asks: &dyn Fn(&Rule) -> bool) -> Found {
        let asked = rules::all().filter(|rule| asks(rule)).map(|rule| rule.id).collect();
        Found { by_rule: BTreeMap::new(), asked }
    }

    pub fn add(&mut self, judged: &Judged) {
        let count = self.by_rule.entry(judged.finding.rule.id).or_default();
        match judged.fate {
            Fate::Planned | Fate::BelowLevel | Fate::Hidden => count.fixable += 1,
            Fate::Manual | Fate::Held(_) => count.by_hand += 1,
            Fate::Allowed => count.allowed += 1,
        }
    }

    /// Adds a finding that has no place in an object.
    pub fn add_notice(&mut self, rule: &'static str) {
        self.by_rule.entry(rule).or_default().by_hand += 1;
    }

    fn of(&self, rule: &str) -> Count {
        self.by_rule.get(rule).copied().unwrap_or_default()
    }
}

/// The report on a repo.
pub fn checklist(model: &Model<'_>, settings: &Settings<'_>, found: &Found) -> Checklist {
    let shown = Shown::of(model, settings);
    let claimed: BTreeSet<&str> =
        AREAS.iter().flat_map(|area| area.items).flat_map(|item| item.rules).copied().collect();
    let areas: Vec<ReportedArea> = AREAS
        .iter()
        .enumerate()
        .map(|(n, area)| {
            let written = area.items.iter().map(|item| reported(item, found, &shown));
            let unclaimed = rules::all()
                .filter(|rule| area.rule_areas.contains(&rule.area.id()) && !claimed.contains(rule.id));
            ReportedArea {
                number: n + 1,
                id: area.id,
                title: area.title,
                items: written.chain(unclaimed.map(|rule| of_rule(rule, found, &shown))).collect(),
            }
        })
        .collect();
    let mut summary: BTreeMap<Status, usize> = Status::ALL.iter().map(|status| (*status, 0)).collect();
    for item in areas.iter().flat_map(|area| &area.items) {
        *summary.entry(item.status).or_default() += 1;
    }
    Checklist { version: 1, summary, areas }
}

/// The JSON Schema of the report.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Checklist).to_value()
}

fn reported(item: &Item, found: &Found, shown: &Shown) -> ReportedItem {
    let rules: Vec<&'static Rule> = item.rules.iter().filter_map(|id| rules::find(id)).collect();
    let (mut status, count) = judged(&rules, found, shown);
    let mut next = None;
    if let Some(look) = item.look {
        let seen = look(shown);
        let is_open = matches!(status, Status::FixableNow | Status::NeedsEvidence);
        status = if rules.is_empty() { seen.status } else { status.max_with(seen.status) };
        // What the rules found comes first.
        next = seen.next.filter(|_| !is_open);
    }
    let next = next.or_else(|| item.next.filter(|_| status != Status::Satisfied).map(str::to_owned));
    ReportedItem {
        id: item.id.to_owned(),
        title: item.title.to_owned(),
        status,
        fixable: count.fixable,
        by_hand: count.by_hand,
        allowed: count.allowed,
        rules: reported_rules(&rules, found),
        next,
        caution: item.caution.map(str::to_owned),
        links: item.links.to_vec(),
    }
}

fn of_rule(rule: &'static Rule, found: &Found, shown: &Shown) -> ReportedItem {
    let (status, count) = judged(&[rule], found, shown);
    ReportedItem {
        id: rule.id.to_owned(),
        title: format!("No case of: {}", lower_first(rule.summary())),
        status,
        fixable: count.fixable,
        by_hand: count.by_hand,
        allowed: count.allowed,
        rules: reported_rules(&[rule], found),
        next: None,
        caution: None,
        links: Vec::new(),
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if !letters.as_str().starts_with(|c: char| c.is_uppercase()) => {
            format!("{}{}", first.to_lowercase(), letters.as_str())
        }
        _ => text.to_owned(),
    }
}

fn judged(rules: &[&'static Rule], found: &Found, shown: &Shown) -> (Status, Count) {
    let mut sum = Count::default();
    for count in rules.iter().map(|rule| found.of(rule.id)) {
        sum.fixable += count.fixable;
        sum.by_hand += count.by_hand;
        sum.allowed += count.allowed;
    }
    let is_asked = rules.iter().any(|rule| found.asked.contains(rule.id));
    let is_about_it = sum.allowed > 0 || rules.iter().any(|rule| shown.is_about(rule.area.id()));
    let status = match sum {
        Count { fixable: 1.., .. } => Status::FixableNow,
        Count { by_hand: 1.., .. } => Status::NeedsEvidence,
        _ if !rules.is_empty() && !is_asked => Status::NotAsked,
        _ if is_about_it => Status::Satisfied,
        _ => Status::OutsideManifests,
    };
    (status, sum)
}

fn reported_rules(rules: &[&'static Rule], found: &Found) -> Vec<ReportedRule> {
    let reported = rules.iter().map(|rule| {
        let count = found.of(rule.id);
        ReportedRule { id: rule.id, findings: count.fixable + count.by_hand }
    });
    reported.collect()
}

impl Status {
    /// What is to be said where two things have to be in order.
    fn max_with(self, other: Status) -> Status {
        let open = |status: &Status| matches!(status, Status::FixableNow | Status::NeedsEvidence);
        if open(&self) || !open(&other) { self } else { other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_in_exactly_one_area() {
        for rule in rules::all() {
            let claims =
                AREAS.iter().flat_map(|area| area.items).filter(|item| item.rules.contains(&rule.id)).count();
            let homes = AREAS.iter().filter(|area| area.rule_areas.contains(&rule.area.id())).count();
            assert_eq!(homes, 1, "{}: its area belongs to one area of the checklist", rule.id);
            assert!(claims <= 1, "{}: named by {claims} items", rule.id);
        }
    }

    #[test]
    fn areas_and_items_have_names_of_their_own() {
        assert_eq!(AREAS.len(), 10);
        let mut ids: Vec<&str> = AREAS.iter().flat_map(|area| area.items).map(|item| item.id).collect();
        ids.extend(AREAS.iter().map(|area| area.id));
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }

    #[test]
    fn an_item_of_two_parts_is_satisfied_when_both_are() {
        use Status::{FixableNow, NeedsEvidence, Satisfied};
        assert_eq!(Satisfied.max_with(Satisfied), Satisfied);
        assert_eq!(Satisfied.max_with(FixableNow), FixableNow);
        assert_eq!(NeedsEvidence.max_with(Satisfied), NeedsEvidence);
    }
}
