//! The exceptions file: system workloads that need more than baseline, one record each.
//!
//! Written so that somebody owns every exception, read so that a recorded one is not reported again.

use serde_json::{Map, Value};

use super::Planner;
use crate::model::Object;
use crate::pss;
use crate::rules::{self, Finding, NewFile, Placed, Safety, WorkloadVerdict};
use crate::template::{ExceptedWorkload, ExceptionRecord};
use crate::yaml::{KeyOrder, Limits, Pointer, Slot, Stream};

/// The records that the repo has.
#[derive(Debug, Default)]
pub struct Exceptions {
    text: Option<String>,
    records: Vec<ExceptionRecord>,
}

const LIMITS: Limits = Limits { depth: 50, expanded_nodes: 1_000_000 };

impl Exceptions {
    /// Reads the text of an exceptions file.
    pub fn read(text: String) -> Result<Exceptions, String> {
        let stream = Stream::parse(text, &LIMITS)
            .map_err(|error| format!("{}:{}: {error}", error.line, error.column))?;
        let value = match stream.root(0).map(|root| root.value()) {
            Some(Ok(value)) => value,
            Some(Err(refusal)) => return Err(refusal.to_string()),
            None => Value::Null,
        };
        let records = match value {
            Value::Null => Vec::new(),
            value => serde_json::from_value(value)
                .map_err(|error| format!("1:1: not a list of exceptions: {error}"))?,
        };
        Ok(Exceptions { text: Some(stream.into_text()), records })
    }

    /// Whether the object has a record.
    pub(super) fn has(&self, planner: &Planner<'_>, object: &Object) -> bool {
        let namespaces = planner.model.namespaces(object);
        self.records.iter().map(|record| &record.workload).any(|workload| {
            workload.kind == *object.id.kind
                && workload.name == *object.id.name
                && workload.namespace.as_ref().is_none_or(|namespace| namespaces.contains(namespace))
        })
    }

    /// Records of workloads that the repo no longer has, or that no longer need one.
    pub(super) fn unmatched(&self, needed: &[(Placed, ExceptionRecord)]) -> Vec<Finding> {
        let is_needed = |record: &&ExceptionRecord| {
            needed
                .iter()
                .any(|(_, needed)| covers(record, &ExceptionRecord { checks: Vec::new(), ..needed.clone() }))
        };
        let unneeded = self.records.iter().filter(|record| !is_needed(record));
        unneeded
            .map(|record| {
                let workload = &record.workload;
                let message = format!(
                    "the exception of {}/{} matches no workload any more",
                    workload.kind, workload.name
                );
                let mut finding = Finding::new("", message);
                finding.rule = &rules::ALLOW_UNMATCHED;
                finding
            })
            .collect()
    }

    /// The finding that asks to record what is not recorded yet.
    pub(super) fn findings(
        &self,
        planner: &Planner<'_>,
        records: &[(Placed, ExceptionRecord)],
    ) -> Vec<Placed> {
        let missing: Vec<&(Placed, ExceptionRecord)> = records
            .iter()
            .filter(|(_, record)| !self.records.iter().any(|known| covers(known, record)))
            .collect();
        let Some(text) =
            self.with(planner, &missing.iter().map(|(_, record)| record.clone()).collect::<Vec<_>>())
        else {
            return Vec::new();
        };
        let path = planner.settings.config.exceptions_file.clone();
        let mut placed: Vec<Placed> = missing.into_iter().map(|(placed, _)| placed.clone()).collect();
        // One file for all of them: the first finding carries it.
        if let Some(first) = placed.first_mut() {
            first.finding.new_files.push(NewFile { path, text });
        }
        placed
    }

    fn with(&self, planner: &Planner<'_>, missing: &[ExceptionRecord]) -> Option<String> {
        if missing.is_empty() {
            return None;
        }
        let rendered = planner.settings.templates.exceptions(missing).ok()?;
        let Some(text) = &self.text else { return Some(rendered.text) };
        let stream = Stream::parse(text.clone(), &LIMITS).ok()?;
        let Some(root) = stream.root(0) else { return Some(format!("{text}{}", rendered.text)) };
        let mut wanted = root.value().ok()?;
        wanted.as_array_mut()?.extend(rendered.value.as_array()?.iter().cloned());
        let edits = stream.edits(0, &wanted, &InOrder).ok()?;
        stream.prove(stream.apply(edits), &[Some(&wanted)], 0).ok().map(Stream::into_text)
    }

    /// The text of the file as it is.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }
}

struct InOrder;

impl KeyOrder for InOrder {
    fn slot(&self, _: &Pointer, _: &[&str], _: &str) -> Slot {
        Slot::Last
    }
}

/// Whether a record is of the same workload and names every check of another.
fn covers(known: &ExceptionRecord, other: &ExceptionRecord) -> bool {
    known.workload.kind == other.workload.kind
        && known.workload.name == other.workload.name
        && (known.workload.namespace.is_none() || known.workload.namespace == other.workload.namespace)
        && other.checks.iter().all(|check| known.checks.contains(check))
}

/// The records that the system workloads of the run need, each with the finding that asks for it.
pub(super) fn records(planner: &Planner<'_>, verdicts: &[WorkloadVerdict]) -> Vec<(Placed, ExceptionRecord)> {
    let mut records: Vec<(Placed, ExceptionRecord)> = Vec::new();
    for verdict in verdicts.iter().filter(|verdict| !verdict.needs.is_empty()) {
        let object = &planner.model.objects_of(verdict.file)[verdict.object];
        let Some(namespace) =
            verdict.namespaces.iter().find(|name| planner.settings.config.is_system_namespace(name))
        else {
            continue;
        };
        let record = ExceptionRecord {
            workload: ExceptedWorkload {
                api_version: object.id.api_version.to_string(),
                kind: object.id.kind.to_string(),
                namespace: Some(namespace.clone()),
                name: object.id.name.to_string(),
            },
            path: Some(planner.model.file(object).path.clone()),
            checks: checks(&verdict.needs),
            fields: Map::new(),
            reason: reason(&verdict.needs),
        };
        if records.iter().any(|(_, known)| covers(known, &record)) {
            continue;
        }
        let message = format!(
            "{}/{} in {namespace} needs more than baseline ({}) and is not recorded as an exception",
            object.id.kind,
            object.id.name,
            record.checks.join(", ")
        );
        let mut finding = Finding::new("", message).safety(Safety::Safe);
        finding.rule = &rules::EXCEPTION_NOT_RECORDED;
        records.push((Placed { object: object.clone(), finding, needs_file: None }, record));
    }
    records
}

fn checks(needs: &[pss::Violation]) -> Vec<String> {
    let mut checks: Vec<String> = needs.iter().map(|violation| violation.check.to_owned()).collect();
    let mut seen = std::collections::BTreeSet::new();
    checks.retain(|check| seen.insert(check.clone()));
    checks
}

/// What the evaluator saw; why it is needed only a person can add.
fn reason(needs: &[pss::Violation]) -> String {
    let mut reasons: Vec<String> = needs.iter().map(pss::Violation::message).collect();
    reasons.dedup();
    reasons.join("; ")
}
