//! Judges the documents of one file, lowers what is planned to edits, and proves the new text.

use serde_json::Value;

use super::{ByDocument, Fate, FileReport, Judged, Planner, allow, merge};
use crate::model::{KubernetesOrder, Object};
use crate::pss;
use crate::rules::{self, Placed, Safety, Workload, WorkloadVerdict};
use crate::yaml::{Refusal, Stream};

/// A document with its findings, and the value it should have.
struct Work {
    document: usize,
    value: Value,
    wanted: Value,
    findings: Vec<Judged>,
}

/// The level each workload of a file meets, now and after the fixes that this run makes.
pub(super) fn verdicts(planner: &Planner<'_>, file: usize) -> Vec<WorkloadVerdict> {
    let objects = planner.model.objects_of(file);
    if !objects.iter().any(|object| object.layout.is_some()) {
        return Vec::new();
    }
    let mut works = works(planner, file, None);
    let stream = &planner.model.repo().files[file].stream;
    // Only shared nodes can keep an edit from being made; without them the values tell.
    if stream.has_aliases() {
        // A failed proof takes the fixes back here as it will in the report, which says so.
        lower(planner, file, &mut works).ok();
    }
    let mut verdicts = Vec::new();
    for (idx, object) in objects.iter().enumerate().filter(|(_, object)| object.layout.is_some()) {
        let Some(work) = works.iter().find(|work| work.document == object.document) else { continue };
        verdicts.extend(verdict(planner, file, idx, object, work));
    }
    verdicts
}

fn verdict(planner: &Planner<'_>, file: usize, idx: usize, object: &Object, work: &Work) -> Option<WorkloadVerdict> {
    let before = work.value.pointer(&object.pointer)?;
    let after = work.wanted.pointer(&object.pointer)?;
    let workload = Workload::new(planner.settings, planner.model, object, before)?;
    let version = planner.settings.version;
    let level = |value| {
        let workload = Workload::new(planner.settings, planner.model, object, value)?;
        workload.pods.iter().map(|pod| pss::highest_level(&pod.judged(), version)).min()
    };
    let needs = if workload.is_system() {
        let pods = workload.pods.iter();
        pods.flat_map(|pod| pss::evaluate(&pod.judged(), pss::Level::Baseline, version)).collect()
    } else {
        Vec::new()
    };
    Some(WorkloadVerdict {
        file,
        object: idx,
        namespaces: workload.namespaces.clone(),
        before: level(before)?,
        after: level(after)?,
        needs,
    })
}

/// The report of a file; nothing when there is nothing to say.
pub(super) fn report<'a>(planner: &Planner<'a>, file: usize) -> Option<FileReport<'a>> {
    let source = &planner.model.repo().files[file];
    let placed = planner.survey.by_file.get(&file);
    let has_workloads = planner.model.objects_of(file).iter().any(|object| object.layout.is_some());
    if source.context_only || !has_workloads && placed.is_none() && !allow::mentions(&source.stream) {
        return None;
    }
    let mut works = works(planner, file, placed.map(Vec::as_slice));
    let mut report = FileReport {
        path: &source.path,
        before: source.stream.text(),
        after: None,
        findings: Vec::new(),
        defects: Vec::new(),
    };
    match lower(planner, file, &mut works) {
        Ok(after) => report.after = after,
        Err(defect) => report.defects.push(defect),
    }
    let comments = allow::unmatched(planner, file, &works.iter().flat_map(|work| &work.findings).collect::<Vec<_>>());
    report.findings = works.into_iter().flat_map(|work| work.findings).collect();
    report.findings.retain(|judged| !allow::is_allowed(planner, file, judged));
    report.findings.extend(comments);
    report.findings.sort_by(|a, b| (a.line, a.column).cmp(&(b.line, b.column)));
    let silent = report.findings.is_empty() && report.after.is_none() && report.defects.is_empty();
    (!silent).then_some(report)
}

/// The documents of a file that have findings, with the values they should have.
fn works(planner: &Planner<'_>, file: usize, placed: Option<&[Placed]>) -> Vec<Work> {
    let source = &planner.model.repo().files[file];
    let mut findings: ByDocument<Judged> = ByDocument::new();
    let mut values: ByDocument<Value> = ByDocument::new();
    let mut value_of = |document: usize| -> Option<Value> {
        if let Some(value) = values.get(&document).and_then(|values| values.first()) {
            return Some(value.clone());
        }
        let value = source.stream.root(document)?.value().ok()?;
        values.insert(document, vec![value.clone()]);
        Some(value)
    };
    for object in planner.model.objects_of(file).iter().filter(|object| object.layout.is_some()) {
        if !planner.selection.takes_object(planner.model, object) {
            continue;
        }
        let Some(document) = value_of(object.document) else { continue };
        let Some(value) = document.pointer(&object.pointer) else { continue };
        let list = findings.entry(object.document).or_default();
        list.extend(judge(planner, file, object, value));
    }
    for placed in placed.into_iter().flatten() {
        let Some(document) = value_of(placed.object.document) else { continue };
        let Some(value) = document.pointer(&placed.object.pointer) else { continue };
        let judged = place(planner, &placed.object, placed.finding.clone(), value);
        findings.entry(placed.object.document).or_default().push(judged);
    }
    let mut works = Vec::new();
    for (document, mut findings) in findings {
        let Some(value) = values.remove(&document).and_then(|mut values| values.pop()) else { continue };
        for judged in &mut findings {
            if allow::is_allowed(planner, file, judged) {
                judged.fate = Fate::Manual;
            }
        }
        let wanted = merge::merge(&value, &mut findings);
        works.push(Work { document, value, wanted, findings });
    }
    works
}

fn judge(planner: &Planner<'_>, file: usize, object: &Object, value: &Value) -> Vec<Judged> {
    let Some(workload) = Workload::new(planner.settings, planner.model, object, value) else { return Vec::new() };
    let selected = |rule: &rules::Rule| planner.selection.takes_rule(rule);
    let mut findings = rules::check_workload(&workload, &selected);
    let marker = planner.model.repo().files[file].marker;
    let excepted = workload.is_system() && needs_more_than_baseline(planner, &workload);
    if excepted && planner.exceptions.has(planner, object) {
        // Recorded: what the record is about is settled, and nothing of it is edited.
        findings.retain(|finding| finding.changes.is_empty() && finding.rule.pss.is_none());
    }
    for finding in findings.iter_mut().filter(|finding| !finding.changes.is_empty()) {
        if let Some(marker) = marker {
            finding.make_manual(format!("not edited: {}", marker.detail()));
        } else if excepted {
            finding.make_manual(format!(
                "a system workload that needs more than baseline is not edited, but recorded in {}",
                planner.settings.config.exceptions_file
            ));
        }
    }
    findings.into_iter().map(|finding| place(planner, object, finding, value)).collect()
}

fn needs_more_than_baseline(planner: &Planner<'_>, workload: &Workload<'_>) -> bool {
    let version = planner.settings.version;
    workload.pods.iter().any(|pod| !pss::allows(&pod.judged(), pss::Level::Baseline, version))
}

/// Gives a finding its place in the text and the fate that its safety asks for.
fn place(planner: &Planner<'_>, object: &Object, finding: rules::Finding, value: &Value) -> Judged {
    let stream = &planner.model.file(object).stream;
    let pointer = format!("{}{}", object.pointer, finding.pointer);
    let range = crate::yaml::Pointer::parse(&pointer)
        .ok()
        .and_then(|pointer| stream.locate(object.document, pointer))
        .unwrap_or(0..0);
    let position = stream.position(range.start);
    let operations = finding.changes.iter().flat_map(|change| change.operations(value, "")).collect::<Vec<_>>();
    let fate = match finding.safety {
        _ if finding.changes.is_empty() => Fate::Manual,
        Safety::Manual => Fate::Manual,
        safety if safety < planner.level => Fate::BelowLevel,
        _ => Fate::Planned,
    };
    Judged {
        finding,
        object: object.id.clone(),
        document: object.document,
        prefix: object.pointer.to_string(),
        line: position.line,
        column: position.column,
        fate,
        operations,
    }
}

pub(super) fn placed_judged(planner: &Planner<'_>, placed: &Placed, fate: Fate) -> Judged {
    let mut judged = place(planner, &placed.object, placed.finding.clone(), &Value::Null);
    judged.fate = fate;
    judged
}

/// Turns wanted values into text. Changes that the text refuses are held back, one finding after the other.
fn lower(planner: &Planner<'_>, file: usize, works: &mut [Work]) -> Result<Option<String>, String> {
    let stream = &planner.model.repo().files[file].stream;
    let mut edits = Vec::new();
    for work in works.iter_mut() {
        edits.extend(document_edits(stream, work));
    }
    if edits.is_empty() {
        return Ok(None);
    }
    let mut wanted: Vec<Option<&Value>> = vec![None; stream.documents()];
    for work in works.iter() {
        wanted[work.document] = Some(&work.wanted);
    }
    let proved = stream.prove(stream.apply(edits), &wanted, 0).map_err(|defect| defect.to_string());
    let settled = proved.and_then(|after| unsettled(planner, file, works).map_or(Ok(after), Err));
    match settled {
        Ok(after) => Ok(Some(after.into_text())),
        Err(defect) => {
            for work in works.iter_mut() {
                hold(work, |_| true, "the edit failed its proof");
                work.wanted = work.value.clone();
            }
            Err(defect)
        }
    }
}

fn document_edits(stream: &Stream, work: &mut Work) -> Vec<crate::yaml::Edit> {
    loop {
        if work.wanted == work.value {
            return Vec::new();
        }
        let refusal = match stream.edits(work.document, &work.wanted, &KubernetesOrder) {
            Ok(edits) => return edits,
            Err(refusal) => refusal,
        };
        let reason = refusal.to_string();
        let at = refused_at(&refusal);
        let touches = |judged: &Judged| {
            judged.finding.changes.iter().any(|change| {
                let pointer = format!("{}{}", judged.prefix, change.pointer());
                at.as_deref().is_some_and(|at| related(&pointer, at))
            })
        };
        if !hold(work, touches, &reason) {
            hold(work, |_| true, &reason);
        }
        work.wanted = merge::merge(&work.value, &mut work.findings);
    }
}

/// Holds back the planned findings that `which` picks; whether there were any.
fn hold(work: &mut Work, which: impl Fn(&Judged) -> bool, reason: &str) -> bool {
    let mut held = false;
    for judged in work.findings.iter_mut().filter(|judged| judged.fate == Fate::Planned) {
        if which(judged) {
            judged.fate = Fate::Held(reason.to_owned());
            held = true;
        }
    }
    held
}

fn refused_at(refusal: &Refusal) -> Option<String> {
    match refusal {
        Refusal::Shared { at, .. }
        | Refusal::Merged { at }
        | Refusal::DuplicateKey { at }
        | Refusal::Unsupported { at, .. } => Some(at.to_string()),
        _ => None,
    }
}

/// Whether one of the pointers leads through the other.
fn related(a: &str, b: &str) -> bool {
    let through = |long: &str, short: &str| {
        long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    through(a, b) || through(b, a)
}

/// A second run over the new values must want nothing more; says what it wants otherwise.
fn unsettled(planner: &Planner<'_>, file: usize, works: &[Work]) -> Option<String> {
    for work in works.iter().filter(|work| work.wanted != work.value) {
        for object in planner.model.objects_of(file).iter().filter(|object| object.document == work.document) {
            let Some(value) = work.wanted.pointer(&object.pointer) else { continue };
            if object.layout.is_none() || !planner.selection.takes_object(planner.model, object) {
                continue;
            }
            let again = judge(planner, file, object, value);
            let wants_more = again.iter().find(|judged| {
                judged.fate == Fate::Planned
                    && !judged.operations.is_empty()
                    && !allow::is_allowed(planner, file, judged)
                    && !was_left(work, judged)
            });
            if let Some(judged) = wants_more {
                return Some(format!("a second run would change {} again: {}", judged.object, judged.finding.message));
            }
        }
    }
    None
}

/// Whether the first run left the same finding alone on purpose.
fn was_left(work: &Work, again: &Judged) -> bool {
    work.findings.iter().any(|judged| {
        judged.fate != Fate::Planned
            && judged.finding.rule.id == again.finding.rule.id
            && judged.document_pointer() == again.document_pointer()
    })
}
