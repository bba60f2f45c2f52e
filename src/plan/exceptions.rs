//! The exceptions file: system workloads that need more than baseline, one record each.
//!
//! Written so that somebody owns every exception, read so that a recorded one is not reported again.

use serde_json::{Value, json};

use super::Planner;
use crate::model::Object;
use crate::pss;
use crate::rules::{self, Finding, NewFile, Placed, Rule, Safety, WorkloadVerdict};
use crate::yaml::{KeyOrder, Limits, Pointer, Slot, Stream};

/// The records that the repo has.
#[derive(Debug, Default)]
pub struct Exceptions {
    text: Option<String>,
    records: Vec<Record>,
}

/// Why one workload is an exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub api_version: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    /// Upstream's check ids, each with what it saw.
    pub checks: Vec<(String, String)>,
}

const LIMITS: Limits = Limits { depth: 50, expanded_nodes: 1_000_000 };

impl Exceptions {
    /// Reads the text of an exceptions file.
    pub fn read(text: String) -> Result<Exceptions, String> {
        let stream = Stream::parse(text, &LIMITS).map_err(|error| format!("{}:{}: {error}", error.line, error.column))?;
        let value = match stream.root(0).map(|root| root.value()) {
            Some(Ok(value)) => value,
            Some(Err(refusal)) => return Err(refusal.to_string()),
            None => Value::Null,
        };
        let items = value["exceptions"].as_array().into_iter().flatten();
        let records = items.filter_map(Record::read).collect();
        Ok(Exceptions { text: Some(stream.into_text()), records })
    }

    /// Whether a finding of this rule is recorded for the object.
    pub(super) fn covers(&self, planner: &Planner<'_>, object: &Object, rule: &Rule) -> bool {
        let Check::Workload = Check::of(rule) else { return false };
        let namespaces = planner.model.namespaces(object);
        self.records.iter().any(|record| {
            record.kind == *object.id.kind && record.name == *object.id.name && namespaces.contains(&record.namespace)
        })
    }

    /// The finding that asks to record what is not recorded yet.
    pub(super) fn findings(&self, planner: &Planner<'_>, records: &[(Placed, Record)]) -> Vec<Placed> {
        let missing: Vec<&(Placed, Record)> =
            records.iter().filter(|(_, record)| !self.records.iter().any(|known| known.is_of(record))).collect();
        let Some(text) = self.with(planner, &missing.iter().map(|(_, record)| record).collect::<Vec<_>>()) else {
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

    fn with(&self, planner: &Planner<'_>, missing: &[&Record]) -> Option<String> {
        if missing.is_empty() {
            return None;
        }
        let items: Vec<Value> = missing.iter().map(|record| record.value()).collect();
        match &self.text {
            None => planner.settings.templates.exceptions(&items).ok(),
            Some(text) => {
                let stream = Stream::parse(text.clone(), &LIMITS).ok()?;
                let mut wanted = stream.root(0)?.value().ok()?;
                match &mut wanted["exceptions"] {
                    Value::Array(list) => list.extend(items),
                    other => *other = Value::Array(items),
                }
                let edits = stream.edits(0, &wanted, &InOrder).ok()?;
                let after = stream.apply(edits);
                stream.prove(after, &[Some(&wanted)], 0).ok().map(Stream::into_text)
            }
        }
    }

    /// The text of the file as it is.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }
}

/// Only workload findings can be excepted.
enum Check {
    Workload,
    Other,
}

impl Check {
    fn of(rule: &Rule) -> Check {
        match rule.check {
            rules::Check::Workload(_) => Check::Workload,
            _ => Check::Other,
        }
    }
}

struct InOrder;

impl KeyOrder for InOrder {
    fn slot(&self, _: &Pointer, _: &[&str], _: &str) -> Slot {
        Slot::Last
    }
}

impl Record {
    fn read(value: &Value) -> Option<Record> {
        let text = |key: &str| value["workload"][key].as_str().map(str::to_owned);
        let checks = value["checks"].as_array().into_iter().flatten().filter_map(|check| {
            Some((check["check"].as_str()?.to_owned(), check["reason"].as_str().unwrap_or_default().to_owned()))
        });
        Some(Record {
            api_version: text("apiVersion").unwrap_or_default(),
            kind: text("kind")?,
            namespace: text("namespace")?,
            name: text("name")?,
            checks: checks.collect(),
        })
    }

    fn value(&self) -> Value {
        let checks: Vec<Value> =
            self.checks.iter().map(|(check, reason)| json!({ "check": check, "reason": reason })).collect();
        json!({
            "workload": {
                "apiVersion": self.api_version,
                "kind": self.kind,
                "namespace": self.namespace,
                "name": self.name,
            },
            "checks": checks,
        })
    }

    /// The same workload, with no check that the record lacks.
    fn is_of(&self, other: &Record) -> bool {
        self.kind == other.kind
            && self.namespace == other.namespace
            && self.name == other.name
            && other.checks.iter().all(|(check, _)| self.checks.iter().any(|(known, _)| known == check))
    }
}

/// The records that the system workloads of the run need, each with the finding that asks for it.
pub(super) fn records(planner: &Planner<'_>, verdicts: &[WorkloadVerdict]) -> Vec<(Placed, Record)> {
    if !planner.selection.takes_rule(&rules::EXCEPTION_NOT_RECORDED) {
        return Vec::new();
    }
    let mut records: Vec<(Placed, Record)> = Vec::new();
    for verdict in verdicts.iter().filter(|verdict| !verdict.needs.is_empty()) {
        let object = &planner.model.objects_of(verdict.file)[verdict.object];
        let Some(namespace) = verdict.namespaces.iter().find(|name| planner.settings.config.is_system_namespace(name))
        else {
            continue;
        };
        let record = Record {
            api_version: object.id.api_version.to_string(),
            kind: object.id.kind.to_string(),
            namespace: namespace.clone(),
            name: object.id.name.to_string(),
            checks: checks(&verdict.needs),
        };
        if records.iter().any(|(_, known)| known.is_of(&record)) {
            continue;
        }
        let names: Vec<&str> = record.checks.iter().map(|(check, _)| check.as_str()).collect();
        let message = format!(
            "{}/{} in {namespace} needs more than baseline ({}) and is not recorded as an exception",
            object.id.kind,
            object.id.name,
            names.join(", ")
        );
        let mut finding = Finding::new("", message).safety(Safety::Safe);
        finding.rule = &rules::EXCEPTION_NOT_RECORDED;
        records.push((Placed { object: object.clone(), finding, needs_file: None }, record));
    }
    records
}

fn checks(needs: &[pss::Violation]) -> Vec<(String, String)> {
    let mut checks: Vec<(String, String)> = Vec::new();
    for violation in needs {
        if !checks.iter().any(|(check, _)| check == violation.check) {
            checks.push((violation.check.to_owned(), violation.message()));
        }
    }
    checks
}
