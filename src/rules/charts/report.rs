//! Findings about rendered workloads as findings about the values and templates that they come from.

use super::templates::{Draft, Fix, values_path};
use super::{Group, Job, Left, Raised};
use crate::helm::concrete::{Render, readable};
use crate::model::charts::ValuesSet;
use crate::model::{Object, ObjectId};
use crate::pointer::decoded;
use crate::rules::{Change, Finding, Placed, RepoFindings, Safety};

/// Places a fix at the values that make it.
pub(super) fn fix(
    job: &Job<'_, '_>,
    set: &ValuesSet,
    before: &Render,
    group: Group,
    found: &mut RepoFindings,
) {
    let Group { changes, raised } = group;
    let others = raised.len() - 1;
    let safety = raised.iter().map(|raised| raised.finding.safety).min().unwrap_or(Safety::Manual);
    let mut raised = raised.into_iter();
    let Some(first) = raised.next() else { return };
    let template = match before.objects[first.object].template.as_str() {
        "" => job.called,
        template => template,
    };
    let mut finding = first.finding;
    for note in raised.flat_map(|raised| raised.finding.notes) {
        finding = finding.note(note);
    }
    if others > 0 {
        finding.message.push_str(&format!(" (and {others} more that take the same value)"));
    }
    let path = dotted(changes[0].pointer());
    let else_as_before = if job.source.is_some() { ", and renders all else as before" } else { "" };
    finding = finding.evidence(format!("{template} takes it from the value `{path}`{else_as_before}"));
    // Whoever installs the chart has values of its own over these.
    finding.safety = if set.is_final { safety } else { safety.min(Safety::Review) };
    finding.pointer = format!("{}{}", set.outer, changes[0].pointer());
    finding.changes = changes.iter().map(|change| lowered(set, change)).collect();
    if set.is_text {
        finding.pointer.clone_from(&set.outer);
    }
    let object = set.object.clone();
    found.by_file.entry(object.file).or_default().push(Placed { object, finding, needs_file: None });
}

/// A change from the object's root, or within the text that the values are.
pub(super) fn lowered(set: &ValuesSet, change: &Change) -> Change {
    let item = set.outer.rsplit_once('/').filter(|_| set.is_new_item);
    let item = item.and_then(|(list, idx)| Some((list, idx.parse::<usize>().ok()?)));
    match (set.is_text, item) {
        (true, _) => change.clone().inside(set.outer.as_str()),
        (false, Some((list, idx))) => change.clone().of_item(list, idx),
        (false, None) => change.moved(|pointer| format!("{}{pointer}", set.outer)),
    }
}

/// Says at the template what no value decides.
pub(super) fn without(
    job: &mut Job<'_, '_>,
    set: &ValuesSet,
    before: &Render,
    left: Left,
    found: &mut RepoFindings,
) {
    let Left { raised: Raised { object, mut finding }, value } = left;
    let rendered = &before.objects[object];
    // Other releases of the chart give it another name.
    let name = rendered.value["metadata"]["name"].as_str().unwrap_or_default();
    let message = finding.message.replacen(&format!("/{}", readable(name)), "/", 1);
    let key = format!("{} {} {} {message}", rendered.template, finding.rule.id, finding.pointer);
    if !job.reported.insert(key) {
        return;
    }
    let value = value.filter(|value| set.own.pointer(value).is_some());
    if let Some(value) = value.filter(|_| !set.is_text) {
        if !finding.changes.is_empty() {
            finding.make_manual("the values cannot be changed for just this");
        }
        finding.pointer = format!("{}{value}", set.outer);
        let object = set.object.clone();
        found.by_file.entry(object.file).or_default().push(Placed { object, finding, needs_file: None });
        return;
    }
    let had_changes = !finding.changes.is_empty();
    if !finding.changes.is_empty() {
        finding.make_manual("no value that the chart allows decides just this");
    }
    let Some(source) = job.source else {
        // The chart is another's: what it lacks is said where it is used.
        let object = set.object.clone();
        if had_changes && &*object.id.kind == "Kustomization" {
            finding = finding.note("a patch in this kustomization can say it");
        }
        if had_changes && &*object.id.kind == "HelmfileRelease" {
            finding = finding.note("a patch under `strategicMergePatches` of this release can say it");
        }
        if had_changes && matches!(&*object.id.kind, "Application" | "ApplicationSet") {
            finding = finding.note(
                "Argo CD does not patch what charts render: a kustomization with this chart under `helmCharts` and a \
                 patch can take its place, if Argo CD is set to build it with `--enable-helm`",
            );
        }
        finding.pointer.clone_from(&set.outer);
        found.by_file.entry(object.file).or_default().push(Placed { object, finding, needs_file: None });
        return;
    };
    let text = source.templates.iter().find(|template| template.path == rendered.template);
    let at = rendered.place(&finding.pointer).map_or(0, |place| place.at);
    let line = text.map_or(1, |template| {
        let before = template.text.get(..at).unwrap_or_default();
        before.matches('\n').count() + 1
    });
    finding.pointer = String::new();
    finding = Finding { changes: Vec::new(), ..finding };
    found.in_templates.push((rendered.template.clone(), line, finding));
}

/// Places fixes in the templates that they edit, and in the values that those take from now on.
pub(super) fn in_templates(
    job: &Job<'_, '_>,
    drafts: &[Draft],
    fixes: &[Fix],
    raised: &[&Raised],
    found: &mut RepoFindings,
) {
    let repo = job.model.repo();
    let mut groups: Vec<(&Fix, Vec<&Raised>)> = Vec::new();
    for (fix, raised) in fixes.iter().zip(raised) {
        let is_same = |(other, of_it): &&mut (&Fix, Vec<&Raised>)| {
            of_it[0].finding.rule.id == raised.finding.rule.id && other.changes == fix.changes
        };
        match groups.iter_mut().find(is_same) {
            Some((_, of_it)) => of_it.push(raised),
            None => groups.push((fix, vec![raised])),
        }
    }
    for (number, (fix, raised)) in groups.into_iter().enumerate() {
        let mut finding = raised[0].finding.clone();
        for note in raised.iter().flat_map(|raised| &raised.finding.notes) {
            finding = finding.note(note.clone());
        }
        if raised.len() > 1 {
            let others = raised.len() - 1;
            finding.message.push_str(&format!(" (and {others} more of the same lines)"));
        }
        let first = &drafts[fix.changes[0].0];
        finding.safety = finding.safety.min(Safety::Review);
        finding.changes.clear();
        let Some(file) = repo.position(&first.template) else { continue };
        let mut text = finding.clone();
        text.changes = fix.changes.iter().map(|(slot, change)| drafts[*slot].in_template(change)).collect();
        text.changes.dedup();
        text.pointer = text.changes[0].pointer().to_owned();
        let knob = fix.changes.iter().find_map(|(slot, _)| drafts[*slot].knob.as_ref());
        if let Some(knob) = knob {
            let values = fix
                .changes
                .iter()
                .filter_map(|(slot, change)| Some(drafts[*slot].knob.as_ref()?.change(change)));
            finding.changes = values.collect();
            finding.pointer = finding.changes[0].pointer().to_owned();
            let template = &first.template;
            let fact = format!(
                "{template} takes it from the new value `{}` then, as it does `{}`, and renders all else as before",
                dotted(&knob.pointer),
                knob.like
            );
            let part_of = format!("{} {template} {number}", finding.rule.id);
            let path = values_path(&repo.charts[knob.owner]);
            let Some(values) = repo.position(&path) else { continue };
            finding = finding.evidence(fact).together(&part_of);
            text = text.together(&part_of);
            text.is_silent = true;
            place(found, values, ObjectId::named("", "Values", &path), finding);
        } else {
            text = text.evidence(format!("{} renders all else as before", first.template));
        }
        place(found, file, ObjectId::named("", "Template", &first.template), text);
    }
    for draft in drafts {
        let Some(file) = repo.position(&draft.template) else { continue };
        found.slots.entry(file).or_default().push(draft.slot.clone());
    }
}

fn place(found: &mut RepoFindings, file: usize, id: ObjectId, finding: Finding) {
    let object = Object { file, document: 0, pointer: "".into(), id, layout: None };
    found.by_file.entry(file).or_default().push(Placed { object, finding, needs_file: None });
}

/// A pointer as people write paths of values.
pub(super) fn dotted(pointer: &str) -> String {
    pointer.split('/').skip(1).map(decoded).collect::<Vec<_>>().join(".")
}
