//! What builds make of workloads: judges what is rendered, and puts each fix where it belongs.
//!
//! ```text
//! workload ──patches──> rendered ──rules──> findings ──> the patch that causes them · a new patch beside it
//! ```
//!
//! What every build hardens anyway is no finding. What a patch weakens is a finding at that patch, and its fix an edit
//! of it. A workload that is not edited where it is gets a patch in the first kustomization on its way that is edited.
//! Knows where patches stand and nothing of single rules.

mod new_patch;
mod within_patch;

use std::collections::BTreeMap;

use serde_json::Value;

pub(super) use self::new_patch::{WantedPatch, place_patches};
use self::within_patch::Fixed;
use super::{Fate, Judged, Planner, document};
use crate::model::{Object, Patch, PatchBody, Stage, Trace};
use crate::overlay;
use crate::pss::Level;
use crate::repo::PatchList;
use crate::rules::{self, Area, Change, Finding, Placed};

/// What builds make of one workload.
#[derive(Debug, Default)]
pub(super) struct Built {
    /// The level that every render meets, now and after the fixes; `None` where no build renders it.
    pub(super) before: Option<Level>,
    pub(super) after: Option<Level>,
    /// The level of each render after the fixes.
    pub(super) renders: Vec<Level>,
    /// Findings at patches and, where nothing can be done there, at the workload: by index of the file.
    pub(super) placed: Vec<(usize, Placed)>,
    /// Patches to be made.
    pub(super) patches: Vec<WantedPatch>,
}

/// Only what concerns a single pod is judged in the render: images have rules of their own for builds.
fn is_asked(planner: &Planner<'_>, rule: &rules::Rule) -> bool {
    rule.area == Area::Pod && planner.selection.takes_rule(rule)
}

fn found(planner: &Planner<'_>, object: &Object, value: &Value, later: Vec<&Patch>) -> Vec<Finding> {
    document::found(planner, object, value, Some(later), &|rule| is_asked(planner, rule))
}

fn is_same(a: &Finding, b: &Finding) -> bool {
    a.rule.id == b.rule.id && a.message == b.message
}

/// Takes out of a workload's findings what every build of it has put right, and what is put right in a build because
/// the workload is not edited.
pub(super) fn keep_what_is_rendered(
    planner: &Planner<'_>,
    object: &Object,
    value: &Value,
    findings: &mut Vec<Finding>,
) {
    let traces = planner.model.traces(object);
    if traces.is_empty() || findings.is_empty() {
        return;
    }
    let is_marked = planner.model.file(object).marker.is_some();
    if is_marked && traces.iter().all(|trace| owner(planner, trace).is_some()) {
        findings.retain(|finding| finding.rule.area != Area::Pod || finding.changes.is_empty());
    }
    let is_unpatched = traces.iter().any(|trace| trace.steps.is_empty() || trace.is_rewritten);
    if is_unpatched || findings.iter().all(|finding| finding.rule.area != Area::Pod) {
        return;
    }
    let renders = traces.iter().map(|trace| planner.model.builds.rendered(trace, trace.steps.len(), value));
    let renders: Vec<Value> = renders.filter(|render| !render.is_null()).collect();
    if renders.is_empty() {
        return;
    }
    let shown: Vec<Finding> =
        renders.iter().flat_map(|render| found(planner, object, render, Vec::new())).collect();
    findings.retain(|finding| {
        finding.rule.area != Area::Pod || shown.iter().any(|other| is_same(finding, other))
    });
}

/// The first kustomization on the way whose file is edited. Components are passed over: others may use them too.
fn owner<'t>(planner: &Planner<'_>, trace: &'t Trace) -> Option<&'t Stage> {
    trace.stages.iter().find(|stage| {
        let kustomization = planner.model.builds.passed(stage);
        !kustomization.component && is_edited(planner, &kustomization.path)
    })
}

fn is_edited(planner: &Planner<'_>, path: &str) -> bool {
    planner.model.repo().file(path).is_some_and(|file| file.marker.is_none() && !file.context_only)
}

/// What builds make of a workload that is `before` and that its own file will make `wanted`.
pub(super) fn built(planner: &Planner<'_>, object: &Object, before: &Value, wanted: &Value) -> Built {
    let mut built = Built::default();
    let traces = planner.model.traces(object);
    if traces.is_empty() || !planner.selection.takes_object(planner.model, object) {
        return built;
    }
    let is_marked = planner.model.file(object).marker.is_some();
    for trace in traces {
        let model = planner.model;
        let rendered = model.builds.rendered(trace, trace.steps.len(), before);
        let Some(level) = document::level(planner, object, &rendered) else { continue };
        built.before = Some(built.before.map_or(level, |least| least.min(level)));
        let mut way = Way {
            planner,
            object,
            trace,
            start: 0,
            values: vec![wanted.clone()],
            fixed: BTreeMap::new(),
            added: BTreeMap::new(),
        };
        if is_marked {
            match owner(planner, trace) {
                Some(stage) => way.harden_at(stage, before, &mut built),
                None => way.start = trace.steps.len(),
            }
            if way.start == trace.steps.len() && owner(planner, trace).is_none() {
                way.values = vec![rendered];
            }
        }
        way.follow();
        if !trace.steps.is_empty() {
            way.fix_causes(&mut built);
        }
        let after = way.values.last().and_then(|value| document::level(planner, object, value));
        let after = after.unwrap_or(level);
        built.after = Some(built.after.map_or(after, |least| least.min(after)));
        built.renders.push(after);
    }
    built
}

/// A workload on one of its ways, with the fixes made so far.
struct Way<'w> {
    planner: &'w Planner<'w>,
    object: &'w Object,
    trace: &'w Trace,
    /// The steps that the first value has behind it.
    start: usize,
    /// The value at the start, and behind every further step.
    values: Vec<Value>,
    /// Patches as they are after their fix, by step.
    fixed: BTreeMap<usize, Patch>,
    /// What new patches make of it, by the number of steps in front of them.
    added: BTreeMap<usize, Value>,
}

impl Way<'_> {
    fn patch(&self, step: usize) -> &Patch {
        let model = self.planner.model;
        self.fixed.get(&step).unwrap_or_else(|| model.builds.applied(&self.trace.steps[step]))
    }

    /// Applies all steps from the start on.
    fn follow(&mut self) {
        self.values.truncate(1);
        for step in self.start..self.trace.steps.len() {
            let next = self.stepped(step, self.final_value());
            self.values.push(next);
        }
    }

    /// What becomes of a value by a step, and by what is added behind it.
    fn stepped(&self, step: usize, value: &Value) -> Value {
        let patched = if value.is_null() { Value::Null } else { self.patch(step).applied(value) };
        self.added.get(&(step + 1)).cloned().unwrap_or(patched)
    }

    /// What becomes of a value from a step on.
    fn rest(&self, from: usize, value: &Value) -> Value {
        (from..self.trace.steps.len()).fold(value.clone(), |value, step| self.stepped(step, &value))
    }

    fn later(&self, from: usize) -> Vec<&Patch> {
        (from..self.trace.steps.len()).map(|step| self.patch(step)).collect()
    }

    fn final_value(&self) -> &Value {
        self.values.last().expect("a way has the value it starts with")
    }

    /// Hardens a workload that is not edited itself, in the kustomization of a stage.
    fn harden_at(&mut self, stage: &Stage, before: &Value, built: &mut Built) {
        let model = self.planner.model;
        self.start = stage.patched;
        let value = model.builds.rendered(self.trace, stage.patched, before);
        self.values = vec![value.clone()];
        if value.is_null() {
            return;
        }
        let findings = found(self.planner, self.object, &value, self.later(stage.patched));
        let findings = findings.into_iter().filter(|finding| !finding.changes.is_empty()).collect();
        self.values = vec![self.add_patch(stage, value, findings, built)];
    }

    /// Adds a patch to the kustomization of a stage, or extends the one it has; the value it makes.
    fn add_patch(&self, stage: &Stage, value: Value, findings: Vec<Finding>, built: &mut Built) -> Value {
        let judged = document::judged(self.planner, self.object, findings);
        let (wanted, judged) = document::merged(&value, judged);
        let (planned, left): (Vec<_>, Vec<_>) =
            judged.into_iter().partition(|judged| judged.fate == Fate::Planned);
        built.add(left.into_iter().filter_map(|judged| self.left(judged)));
        if planned.is_empty() || wanted == value {
            return value;
        }
        if let Some(extended) = self.extend_own(stage, &value, &wanted) {
            let (file, document, changes) = extended;
            let placed = planned.into_iter().map(|judged| {
                (file, self.at_patch(file, document, Finding { changes: changes.clone(), ..judged.finding }))
            });
            built.add(placed);
            return wanted;
        }
        match WantedPatch::new(self.planner, self.object, stage, &value, &wanted, planned) {
            Ok(patch) => {
                if !built.patches.iter().any(|known| known.is_same(&patch)) {
                    built.patches.push(patch);
                }
                wanted
            }
            Err((reason, planned)) => {
                built.add(planned.into_iter().map(|mut judged| {
                    judged.finding.make_manual(reason.clone());
                    (self.object.file, self.at_object(judged.finding))
                }));
                value
            }
        }
    }

    /// The last patch of a kustomization, when it is for just this object, with what makes it give the wanted value.
    fn extend_own(
        &self,
        stage: &Stage,
        value: &Value,
        wanted: &Value,
    ) -> Option<(usize, usize, Vec<Change>)> {
        let model = self.planner.model;
        let last = stage.patched.checked_sub(1)?;
        let step = &self.trace.steps[last];
        let patch = self.patch(last);
        let here = model.builds.applying(step).path == model.builds.passed(stage).path;
        let is_own =
            here && patch.names_its_object() && !patch.is_inline && is_edited(self.planner, &patch.path);
        let (true, PatchBody::Merge(body)) = (is_own, &patch.body) else { return None };
        let more = overlay::delta(value, wanted)?;
        let changes = within_patch::merged_in(body, &more);
        let file = model.repo().files.iter().position(|file| file.path == patch.path)?;
        Some((file, patch.document, changes))
    }

    /// Finds which patches cause what is left to find, and fixes it there.
    fn fix_causes(&mut self, built: &mut Built) {
        let last = self.final_value();
        if last.is_null() {
            return;
        }
        let left = found(self.planner, self.object, last, Vec::new());
        if left.is_empty() {
            return;
        }
        let known: Vec<Vec<Finding>> =
            self.values.iter().map(|value| found(self.planner, self.object, value, Vec::new())).collect();
        let mut by_step: BTreeMap<usize, Vec<Finding>> = BTreeMap::new();
        for finding in left {
            let since = known.iter().rposition(|known| !known.iter().any(|other| is_same(other, &finding)));
            if let Some(step) = since {
                by_step.entry(self.start + step).or_default().push(finding);
            }
        }
        for (step, findings) in by_step {
            self.fix_cause(step, findings, built);
        }
    }

    /// Fixes what a step causes: in its patch, or in a new one behind it.
    fn fix_cause(&mut self, step: usize, findings: Vec<Finding>, built: &mut Built) {
        let (fixable, manual): (Vec<_>, Vec<_>) =
            findings.into_iter().partition(|finding| !finding.changes.is_empty());
        let mut manual: Vec<(Finding, Option<String>)> =
            manual.into_iter().map(|finding| (finding, None)).collect();
        if !fixable.is_empty() {
            match self.fix_within(step, &fixable) {
                Some(fixed) => {
                    let Fixed { file, document, findings, patch } = fixed;
                    built.add(
                        findings.into_iter().map(|finding| (file, self.at_patch(file, document, finding))),
                    );
                    self.fixed.insert(step, patch);
                    self.follow();
                }
                None => manual.extend(self.fix_behind(step, fixable, built)),
            }
        }
        let patch = self.patch(step).clone();
        let files = &self.planner.model.repo().files;
        if let Some(file) = files.iter().position(|file| file.path == patch.path) {
            for (mut finding, reason) in manual {
                finding.pointer = within_patch::place(&patch, &finding.pointer, self.final_value());
                finding.make_manual(reason.unwrap_or_else(|| format!("a patch in {} says so", patch.path)));
                built.add([(file, self.at_patch(file, within_patch::document(&patch), finding))]);
            }
        }
    }

    /// The fix in the patch that causes the findings, if it can be said there and does what it should.
    fn fix_within(&self, step: usize, findings: &[Finding]) -> Option<Fixed> {
        let patch = self.patch(step);
        if !is_edited(self.planner, &patch.path) {
            return None;
        }
        let behind = &self.values[step + 1 - self.start];
        let fixed = within_patch::fix(self.planner, patch, behind, self.final_value(), findings)?;
        let before = &self.values[step - self.start];
        let rendered = self.rest(step + 1, &fixed.patch.applied(before));
        let left = found(self.planner, self.object, &rendered, Vec::new());
        let was = found(self.planner, self.object, self.final_value(), Vec::new());
        let is_gone = findings.iter().all(|finding| !left.iter().any(|other| is_same(finding, other)));
        let is_no_worse = left.iter().all(|finding| was.iter().any(|other| is_same(finding, other)));
        (is_gone && is_no_worse).then_some(fixed)
    }

    /// A new patch in the kustomization that applies the step. What it cannot fix comes back, with the reason.
    fn fix_behind(
        &mut self,
        step: usize,
        findings: Vec<Finding>,
        built: &mut Built,
    ) -> Vec<(Finding, Option<String>)> {
        let refuse = |findings: Vec<Finding>, reason: &str| -> Vec<(Finding, Option<String>)> {
            findings.into_iter().map(|finding| (finding, Some(reason.to_owned()))).collect()
        };
        let model = self.planner.model;
        let applied = self.trace.steps[step];
        let kustomization = model.builds.applying(&applied);
        let Some(stage) = self.trace.through(&applied) else {
            return refuse(findings, "no build applies it");
        };
        if kustomization.component || self.patch(step).list == PatchList::Json6902 {
            return refuse(findings, "the patch that causes it has the last word in its build");
        }
        if !is_edited(self.planner, &kustomization.path) || stage.patched < self.start {
            return refuse(findings, "the kustomization that causes it is not edited");
        }
        let here = self.values[stage.patched - self.start].clone();
        let wanted: Vec<Finding> = found(self.planner, self.object, &here, self.later(stage.patched))
            .into_iter()
            .filter(|finding| findings.iter().any(|other| is_same(finding, other)))
            .collect();
        let is_complete = wanted.len() == findings.len() && wanted.iter().all(|f| !f.changes.is_empty());
        if !is_complete {
            return refuse(findings, "a later patch of the build is in the way of the fix");
        }
        let value = self.add_patch(stage, here, wanted, built);
        self.added.insert(stage.patched, value);
        self.follow();
        Vec::new()
    }

    /// A finding that a patch would fix, but not in this run.
    fn left(&self, judged: Judged) -> Option<(usize, Placed)> {
        let reason = match judged.fate {
            Fate::Allowed => return None,
            Fate::Held(reason) => reason,
            Fate::Hidden => "its fix stands beside a secret, which a diff would show".to_owned(),
            _ => "its fix is one to review".to_owned(),
        };
        let mut finding = judged.finding;
        finding.make_manual(reason);
        Some((self.object.file, self.at_object(finding)))
    }

    fn at_object(&self, finding: Finding) -> Placed {
        Placed { object: self.object.clone(), finding, needs_file: None }
    }

    /// A finding about the workload that stands in a patch of it.
    fn at_patch(&self, file: usize, document: usize, finding: Finding) -> Placed {
        let object = Object { file, document, pointer: "".into(), id: self.object.id.clone(), layout: None };
        Placed { object, finding, needs_file: None }
    }
}

impl Built {
    /// Several builds may tell the same of a patch that they share.
    fn add(&mut self, placed: impl IntoIterator<Item = (usize, Placed)>) {
        for (file, placed) in placed {
            let is_known = |(known, other): &(usize, Placed)| {
                *known == file
                    && other.object.document == placed.object.document
                    && is_same(&other.finding, &placed.finding)
            };
            if !self.placed.iter().any(is_known) {
                self.placed.push((file, placed));
            }
        }
    }
}
