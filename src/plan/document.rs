//! Judges the documents of one file, and says what becomes of them.

mod lower;
mod template;

use std::cell::OnceCell;
use std::collections::BTreeMap;

use serde_json::Value;

use self::lower::{hold_refused, lower};
use super::allow::{self, FileAllows};
use super::builds::{self, Built};
use super::{Draft, Fate, FileReport, Judged, Planner, Show, exposure, merge};
use crate::model::{Model, Object, Patch};
use crate::pointer::look_up;
use crate::pss;
use crate::repo::{Content, Marker, Skip, SkipReason};
use crate::rules::{self, Placed, Safety, Workload, WorkloadVerdict};
use crate::yaml::{Decoded, Edit, LineIndex, Pointer, Position, Stream};

/// A document with its findings, and the value it should have.
struct Work {
    document: usize,
    value: Value,
    /// As in [`Decoded`].
    is_plain: bool,
    wanted: Value,
    findings: Vec<Judged>,
}

/// What the survey learns of a file.
#[derive(Default)]
pub(super) struct Surveyed {
    pub(super) verdicts: Vec<WorkloadVerdict>,
    /// What builds make of its workloads.
    pub(super) built: Vec<Built>,
    pub(super) refused: Vec<Skip>,
    pub(super) draft: Draft,
}

/// The level each workload of a file meets, now and after the fixes that this run makes; and its report, if somebody
/// shows it. `placed`: what rules about the whole repo have found in it so far.
pub(super) fn survey(
    planner: &Planner<'_>,
    file: usize,
    placed: &[Placed],
    show: Option<&Show<'_>>,
) -> Surveyed {
    let mut surveyed = Surveyed::default();
    let objects = planner.model.objects_of(file);
    let has_workloads = objects.iter().any(|object| object.layout.is_some());
    let stream = &planner.model.repo().files[file].stream;
    if !has_workloads && (show.is_none() || !allow::mentions(stream)) {
        if show.is_some() && placed.is_empty() {
            surveyed.draft = Draft::Silent;
        }
        return surveyed;
    }
    let mut at = Place::new(planner, file, show.is_some());
    // Fixes lower no level, so those of the highest need no look here; only edits of shared nodes depend on them.
    at.skips_best = show.is_none() && !stream.has_aliases();
    let mut works = works(&at, show.map(|_| placed));
    let lowered = if show.is_some() {
        lower(&at, &mut works)
    } else {
        hold_refused(&at, &mut works);
        Ok(None)
    };
    survey_levels(planner, file, &works, &mut surveyed);
    if let Some(show) = show {
        surveyed.draft = match finish(&at, works, lowered) {
            Some(report) => Draft::Shown(Box::new(report.shown(show))),
            None => Draft::Silent,
        };
    }
    surveyed
}

fn survey_levels(planner: &Planner<'_>, file: usize, works: &[Work], surveyed: &mut Surveyed) {
    let objects = planner.model.objects_of(file);
    for (idx, object) in objects.iter().enumerate().filter(|(_, object)| object.layout.is_some()) {
        let work =
            works.binary_search_by_key(&object.document, |work| work.document).ok().map(|idx| &works[idx]);
        let built = work.and_then(|work| {
            let (before, after) =
                (work.value.pointer(&object.pointer)?, work.wanted.pointer(&object.pointer)?);
            Some(builds::built(planner, object, before, after))
        });
        let built = built.unwrap_or_default();
        let judged = work.and_then(|work| verdict(planner, file, idx, object, work, &built));
        surveyed.built.push(built);
        surveyed.verdicts.push(judged.unwrap_or_else(|| {
            surveyed.refused.extend(refused(planner.model, object));
            unknown_verdict(planner.model, file, idx, object)
        }));
    }
}

/// The skip of an object whose value the decoder refuses.
fn refused(model: &Model<'_>, object: &Object) -> Option<Skip> {
    let file = model.file(object);
    let refusal = file.stream.root(object.document)?.value().err()?;
    Some(Skip {
        path: file.path.clone(),
        line: Some(model.line(object)),
        column: None,
        reason: SkipReason::InvalidObject,
        detail: format!("{}: {refusal}", object.id),
    })
}

/// For workloads that could not be judged: nothing may rely on them.
pub(super) fn unknown_verdicts(model: &Model<'_>, file: usize) -> Surveyed {
    let workloads = model.objects_of(file).iter().enumerate().filter(|(_, object)| object.layout.is_some());
    let verdicts = workloads.map(|(idx, object)| unknown_verdict(model, file, idx, object)).collect();
    Surveyed { verdicts, ..Surveyed::default() }
}

fn unknown_verdict(model: &Model<'_>, file: usize, idx: usize, object: &Object) -> WorkloadVerdict {
    let level = pss::Level::Privileged;
    WorkloadVerdict {
        file,
        object: idx,
        namespaces: model.namespaces(object),
        before: level,
        after: level,
        needs: Vec::new(),
    }
}

fn verdict(
    planner: &Planner<'_>,
    file: usize,
    idx: usize,
    object: &Object,
    work: &Work,
    built: &Built,
) -> Option<WorkloadVerdict> {
    let before = look_up(&work.value, &object.pointer)?;
    let after = look_up(&work.wanted, &object.pointer)?;
    let workload = Workload::new(planner.settings, planner.model, object, before)?;
    let version = planner.settings.version;
    let needs = if workload.is_system() {
        let pods = workload.pods.iter();
        pods.flat_map(|pod| pss::evaluate(&pod.judged(), pss::Level::Baseline, version)).collect()
    } else {
        Vec::new()
    };
    let as_is = |value: &Value| level(planner, object, value);
    // What an overlay makes of it runs in the namespace.
    let met = built.before.or_else(|| as_is(before))?;
    Some(WorkloadVerdict {
        file,
        object: idx,
        namespaces: workload.namespaces.clone(),
        before: met,
        after: if work.wanted == work.value {
            built.after.unwrap_or(met)
        } else {
            built.after.or_else(|| as_is(after))?
        },
        needs,
    })
}

/// The level that all pods of an object meet.
pub(super) fn level(planner: &Planner<'_>, object: &Object, value: &Value) -> Option<pss::Level> {
    let pods = crate::model::pods(object.layout.as_ref()?, value);
    pods.iter().map(|pod| pss::highest_level(&pod.judged(), planner.settings.version)).min()
}

/// The report of a file; nothing when there is nothing to say.
pub(super) fn report<'a>(planner: &Planner<'a>, file: usize) -> Option<FileReport<'a>> {
    let source = &planner.model.repo().files[file];
    let placed = planner.survey.by_file.get(&file);
    let has_workloads = planner.model.objects_of(file).iter().any(|object| object.layout.is_some());
    if source.context_only || !has_workloads && placed.is_none() && !allow::mentions(&source.stream) {
        return None;
    }
    let at = Place::new(planner, file, true);
    if source.content == Content::Template {
        let (works, lowered) = template::lower(&at, placed?);
        return finish(&at, works, lowered);
    }
    let mut works = works(&at, placed.map(Vec::as_slice));
    let lowered = lower(&at, &mut works);
    finish(&at, works, lowered)
}

/// A new text and what makes it of the old one, if there is one; or why its proof failed.
type Lowered = Result<Option<NewText>, String>;

struct NewText {
    after: String,
    edits: Vec<Edit>,
    /// As in [`FileReport`].
    context: usize,
}

fn finish<'a>(at: &Place<'_, 'a>, works: Vec<Work>, lowered: Lowered) -> Option<FileReport<'a>> {
    let source = &at.planner.model.repo().files[at.file];
    let mut report = FileReport {
        path: &source.path,
        before: source.stream.text(),
        after: None,
        edits: Vec::new(),
        context: exposure::CONTEXT_LINES,
        findings: Vec::new(),
        defects: Vec::new(),
        stream: &source.stream,
        model: at.planner.model,
        values: Vec::new(),
    };
    match lowered {
        Ok(None) => {}
        Ok(Some(NewText { after, edits, context })) => {
            (report.after, report.edits, report.context) = (Some(after), edits, context);
        }
        Err(defect) => report.defects.push(defect),
    }
    for work in works {
        report.values.push((work.document, work.value));
        report.findings.extend(work.findings);
    }
    report.findings.iter_mut().enumerate().for_each(|(turn, judged)| judged.turn = turn);
    let notices =
        at.allows.notices(at.planner, at.file, &|offset| at.lines().position(offset), &report.findings);
    report.findings.retain(|judged| judged.fate != Fate::Allowed && !judged.finding.is_silent);
    report.findings.extend(notices);
    report.findings.sort_by_key(|judged| (judged.line, judged.column));
    let silent = report.findings.is_empty() && report.after.is_none() && report.defects.is_empty();
    (!silent).then_some(report)
}

/// The findings of a file with the fates that its text leaves them.
pub(super) fn planned(planner: &Planner<'_>, file: usize, placed: &[Placed]) -> Vec<Judged> {
    let at = Place::new(planner, file, false);
    if planner.model.repo().files[file].content == Content::Template {
        let (works, _) = template::lower(&at, placed);
        return works.into_iter().flat_map(|work| work.findings).collect();
    }
    let mut works = works(&at, Some(placed));
    // A failed proof holds everything back here as it will in the report, which says so.
    lower(&at, &mut works).ok();
    works.into_iter().flat_map(|work| work.findings).collect()
}

/// The findings of a file that somebody allowed.
pub(super) fn allowed(planner: &Planner<'_>, file: usize) -> Vec<Judged> {
    let placed = planner.survey.by_file.get(&file);
    let has_workloads = planner.model.objects_of(file).iter().any(|object| object.layout.is_some());
    if planner.model.repo().files[file].context_only || !has_workloads && placed.is_none() {
        return Vec::new();
    }
    let at = Place::new(planner, file, true);
    let findings = works(&at, placed.map(Vec::as_slice)).into_iter().flat_map(|work| work.findings);
    findings.filter(|judged| judged.fate == Fate::Allowed).collect()
}

/// A file that is being judged, with what is looked up in it again and again.
struct Place<'p, 'a> {
    planner: &'p Planner<'a>,
    file: usize,
    stream: &'p Stream,
    /// Whether somebody sees the findings: only then lines and operations are worked out.
    shown: bool,
    /// Whether workloads that meet the highest level are passed over.
    skips_best: bool,
    lines: OnceCell<LineIndex<'p>>,
    has_obstacles: OnceCell<bool>,
    allows: FileAllows<'p>,
}

impl<'p, 'a> Place<'p, 'a> {
    fn new(planner: &'p Planner<'a>, file: usize, shown: bool) -> Place<'p, 'a> {
        let stream = &planner.model.repo().files[file].stream;
        let allows = FileAllows::read(stream);
        let (lines, has_obstacles) = (OnceCell::new(), OnceCell::new());
        Place { planner, file, stream, shown, skips_best: false, lines, has_obstacles, allows }
    }

    fn has_obstacles(&self) -> bool {
        *self.has_obstacles.get_or_init(|| self.stream.has_obstacles())
    }

    fn lines(&self) -> &LineIndex<'p> {
        self.lines.get_or_init(|| LineIndex::new(self.stream.text()))
    }

    /// Where something of an object stands.
    fn position(&self, object: &Object, pointer: &str) -> Position {
        let pointer = format!("{}{pointer}", object.pointer);
        let range =
            Pointer::parse(&pointer).ok().and_then(|pointer| self.stream.locate(object.document, pointer));
        self.lines().position(range.map_or(0, |range| range.start))
    }
}

/// The documents of a file that have findings, with the values they should have.
fn works(at: &Place<'_, '_>, placed: Option<&[Placed]>) -> Vec<Work> {
    let planner = at.planner;
    let workloads = || planner.model.objects_of(at.file).iter().filter(|object| object.layout.is_some());
    let placed = placed.unwrap_or_default();
    let mut documents: BTreeMap<usize, (Decoded, Vec<Judged>)> = BTreeMap::new();
    for document in
        workloads().map(|object| object.document).chain(placed.iter().map(|placed| placed.object.document))
    {
        if !documents.contains_key(&document)
            && let Some(Ok(decoded)) = at.stream.root(document).map(|root| root.decode())
        {
            documents.insert(document, (decoded, Vec::new()));
        }
    }
    for object in workloads().filter(|object| planner.selection.takes_object(planner.model, object)) {
        let Some((document, findings)) = documents.get_mut(&object.document) else { continue };
        if let Some(value) = look_up(&document.value, &object.pointer)
            && !(at.skips_best && level(planner, object, value) == Some(pss::Level::Restricted))
        {
            findings.extend(judge(at, object, value));
        }
    }
    for placed in placed {
        let Some((document, findings)) = documents.get_mut(&placed.object.document) else { continue };
        if look_up(&document.value, &placed.object.pointer).is_some() {
            let mut judged = place(at, &placed.object, placed.finding.clone());
            judged.part_of.extend(placed.needs_file.clone());
            findings.push(judged);
        }
    }
    let works = documents.into_iter().map(|(document, (decoded, mut findings))| {
        let Decoded { value, is_plain } = decoded;
        settle_whole(&mut findings);
        let wanted = merge::merge(&value, &mut findings);
        Work { document, value, is_plain, wanted, findings }
    });
    works.collect()
}

/// An object that is replaced or removed as a whole has no use for other changes.
fn settle_whole(findings: &mut [Judged]) {
    let is_whole = |judged: &Judged| judged.fate == Fate::Planned && judged.finding.whole.is_some();
    for judged in findings.iter_mut().filter(|judged| is_whole(judged) && !judged.prefix.is_empty()) {
        judged.fate = Fate::Held("the object is an item of a list: give it a document of its own".to_owned());
    }
    let Some(first) = findings.iter().position(is_whole) else { return };
    let rule = findings[first].finding.rule.id;
    for (idx, judged) in findings.iter_mut().enumerate() {
        if idx != first && judged.fate == Fate::Planned {
            judged.fate =
                Fate::Held(format!("conflicts with the fix of `{rule}`, which takes the whole object"));
        }
    }
}

fn judge(at: &Place<'_, '_>, object: &Object, value: &Value) -> Vec<Judged> {
    let planner = at.planner;
    let mut findings =
        found(planner, object, value, None, &|rule: &rules::Rule| planner.selection.takes_rule(rule));
    builds::keep_what_is_rendered(planner, object, value, &mut findings);
    if let Some(marker) = planner.model.repo().files[at.file].marker {
        for finding in findings.iter_mut().filter(|finding| finding.has_changes()) {
            finding.make_manual(not_edited(marker));
        }
    }
    findings.into_iter().map(|finding| place(at, object, finding)).collect()
}

pub(super) fn not_edited(marker: Marker) -> String {
    format!("not edited: {}; `caseharden overlay` writes patches for it", marker.detail())
}

/// What the rules that are `asked` find in a value of a workload. `later`: the patches that are still to come, where
/// they are not those of all builds.
pub(super) fn found<'v>(
    planner: &'v Planner<'_>,
    object: &'v Object,
    value: &'v Value,
    later: Option<Vec<&'v Patch>>,
    asked: &dyn Fn(&rules::Rule) -> bool,
) -> Vec<rules::Finding> {
    let Some(mut workload) = Workload::new(planner.settings, planner.model, object, value) else {
        return Vec::new();
    };
    if let Some(later) = later {
        workload.patches = later;
    }
    let mut findings = rules::check_workload(&workload, asked);
    let excepted = workload.is_system() && needs_more_than_baseline(planner, &workload);
    if excepted && planner.exceptions.has(planner, object) {
        // Recorded: what the record is about is settled, and nothing of it is edited.
        findings.retain(|finding| !finding.has_changes() && finding.rule.pss.is_none());
    }
    for finding in findings.iter_mut().filter(|finding| excepted && finding.has_changes()) {
        finding.make_manual(format!(
            "a system workload that needs more than baseline is not edited, but recorded in {}",
            planner.settings.config.exceptions_file
        ));
    }
    findings
}

fn needs_more_than_baseline(planner: &Planner<'_>, workload: &Workload<'_>) -> bool {
    let version = planner.settings.version;
    workload.pods.iter().any(|pod| !pss::allows(&pod.judged(), pss::Level::Baseline, version))
}

/// Gives a finding its place in the text and the fate that its safety asks for.
fn place(at: &Place<'_, '_>, object: &Object, finding: rules::Finding) -> Judged {
    // Comments allow what is on their line.
    let needs_line = at.shown || !at.allows.is_empty();
    let position =
        if needs_line { at.position(object, &finding.pointer) } else { Position { line: 1, column: 1 } };
    let fate = match finding.safety {
        _ if !finding.has_changes() => Fate::Manual,
        Safety::Manual => Fate::Manual,
        safety if safety < at.planner.level => Fate::BelowLevel,
        _ if finding.hidden => Fate::Hidden,
        _ => match at.planner.held.get(&at.planner.model.repo().files[at.file].path) {
            Some(reason) => Fate::Held(reason.clone()),
            None => Fate::Planned,
        },
    };
    let new_files = finding.new_files.iter().map(|file| &file.path);
    let part_of = finding.together.iter().chain(new_files).cloned().collect();
    let mut judged = Judged {
        finding,
        object: object.id.clone(),
        document: object.document,
        prefix: object.pointer.to_string(),
        line: position.line,
        column: position.column,
        fate,
        part_of,
        turn: 0,
    };
    let path = &at.planner.model.repo().files[at.file].path;
    // Nobody is asked for what is not shown: it comes with the parts that are.
    let is_asked_for = judged.fate == Fate::Planned && !judged.finding.is_silent;
    if is_asked_for && at.planner.selection.leaves_out(|| judged.key(path)) {
        judged.fate = Fate::Held("it was not taken".to_owned());
    }
    if at.allows.allow(at.stream, &judged) || at.planner.is_allowed_by_config(object, &judged.finding) {
        judged.fate = Fate::Allowed;
    }
    judged
}

/// Findings about a workload with the fates that their safety gives them, wherever their fix will stand.
pub(super) fn judged(planner: &Planner<'_>, object: &Object, findings: Vec<rules::Finding>) -> Vec<Judged> {
    let at = Place::new(planner, object.file, true);
    findings.into_iter().map(|finding| place(&at, object, finding)).collect()
}

/// A value of a workload with the planned changes; those that contradict each other are held back.
pub(super) fn merged(value: &Value, mut judged: Vec<Judged>) -> (Value, Vec<Judged>) {
    let prefixes: Vec<String> = judged.iter_mut().map(|judged| std::mem::take(&mut judged.prefix)).collect();
    let wanted = merge::merge(value, &mut judged);
    for (judged, prefix) in judged.iter_mut().zip(prefixes) {
        judged.prefix = prefix;
    }
    (wanted, judged)
}

pub(super) fn placed_judged(planner: &Planner<'_>, placed: &Placed, fate: Fate) -> Judged {
    let at = Place::new(planner, placed.object.file, true);
    Judged { fate, ..place(&at, &placed.object, placed.finding.clone()) }
}
