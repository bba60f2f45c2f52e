//! Fixes of what no value of a chart decides, where Argo CD installs it: a kustomization takes the chart's place, renders
//! it with the same values, and patches what comes out.
//!
//! All of an Application's fixes are made there then, or none: its values move.

use serde_json::{Value, json};

use super::{Group, Job, Judged, Left, changed, post_render};
use crate::helm::concrete::readable;
use crate::model::charts::{Afterwards, Wrapper, WrittenValues};
use crate::overlay::{extended, with_body};
use crate::repo::LIMITS;
use crate::rules::{Change, Finding, NewFile, Placed, RepoFindings, Safety};
use crate::yaml::Stream;

/// Fixes all that can be fixed, and takes it out of what is left; `false` where values decide all that can be, or the
/// chart has to stay where it is.
pub(super) fn fix(job: &Job<'_, '_>, judged: &mut Judged, found: &mut RepoFindings) -> bool {
    let Ok(Afterwards::ArgoCd(Some(wrapper))) = judged.set.afterwards.clone() else { return false };
    let application = judged.set.installer.clone().filter(|installer| job.is_ours(installer));
    let Some(application) = application else { return false };
    let mut patches = Vec::new();
    let mut patched = Vec::new();
    for (idx, before) in judged.after.iter().enumerate() {
        let wanted: Vec<Change> = judged.left.iter().flat_map(|left| left.changes_of(idx)).cloned().collect();
        let Some(after) = changed(before, &wanted).filter(|after| after != before) else { continue };
        let Some(patch) = post_render::patch(job.settings.templates, before, &after) else { continue };
        patches.push(patch);
        patched.push((idx, after));
    }
    if patches.is_empty() {
        return false;
    }
    let Some(files) = files(job, judged, &wrapper, patches) else { return false };
    let is_patched = |left: &Left| {
        !left.raised.finding.changes.is_empty() && patched.iter().any(|(idx, _)| *idx == left.raised.object)
    };
    let (fixed, left): (Vec<Left>, Vec<Left>) =
        std::mem::take(&mut judged.left).into_iter().partition(is_patched);
    judged.left = left;
    for (idx, after) in &patched {
        judged.after[*idx].clone_from(after);
    }
    let by_values = std::mem::take(&mut judged.kept).into_iter().flat_map(|Group { raised, .. }| raised);
    let raised = by_values.chain(fixed.into_iter().map(|left| left.raised));
    let part_of = format!("wrapper {}", wrapper.folder);
    let mut rule = None;
    for mut finding in raised.map(|raised| raised.finding) {
        rule.get_or_insert(finding.rule);
        finding.changes = moved(&wrapper);
        finding.safety = finding.safety.min(Safety::Review);
        finding.pointer = "/spec/source".to_owned();
        let finding = finding
            .together(&part_of)
            .evidence(format!("no value of {} decides all of it: {}", job.called, wrapper.because))
            .note("Argo CD gets the chart through kustomize from then on: compare what it renders before you sync");
        let object = application.clone();
        found.by_file.entry(object.file).or_default().push(Placed { object, finding, needs_file: None });
    }
    let Some(rule) = rule else { return true };
    let name = readable(&application.id.name);
    let message =
        format!("a kustomization renders the chart of Application/{name} and hardens what comes out");
    let mut created = Finding::new("/spec/source", message).safety(Safety::Review).together(&part_of);
    created.rule = rule;
    created.new_files = files;
    found.new_files.push(Placed { object: application, finding: created, needs_file: None });
    true
}

impl Left {
    fn changes_of(&self, object: usize) -> impl Iterator<Item = &Change> {
        let is_its = self.raised.object == object;
        self.raised.finding.changes.iter().filter(move |_| is_its)
    }
}

/// The changes of the Application.
fn moved(wrapper: &Wrapper) -> Vec<Change> {
    let set =
        wrapper.source.iter().map(|(key, value)| Change::set(format!("/spec/source/{key}"), value.clone()));
    set.chain(["chart", "helm"].map(|key| Change::remove(format!("/spec/source/{key}")))).collect()
}

fn files(job: &Job<'_, '_>, judged: &Judged, wrapper: &Wrapper, patches: Vec<Value>) -> Option<Vec<NewFile>> {
    let mut files = Vec::new();
    let mut chart = wrapper.chart.clone();
    match &wrapper.values {
        WrittenValues::Object(values) => {
            let start = if values.is_null() { json!({}) } else { values.clone() };
            let values = changed(&start, &judged.changes)?;
            if values.as_object().is_some_and(|map| !map.is_empty()) {
                chart.insert("valuesInline".to_owned(), values);
            }
        }
        WrittenValues::Text(text) => {
            let mut around = json!({ "values": text });
            for change in &judged.changes {
                let operations = change.clone().inside("/values").operations(&around, "");
                json_patch::patch(&mut around, &operations).ok()?;
            }
            let text = around["values"].as_str()?;
            // A change that the text does not take is none.
            let said = Stream::parse(text.to_owned(), &LIMITS).ok()?.root(0)?.value().ok();
            if said != changed(&judged.set.own, &judged.changes) {
                return None;
            }
            chart.insert("valuesFile".to_owned(), "values.yaml".into());
            let text = if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") };
            files.push(NewFile { path: format!("{}/values.yaml", wrapper.folder), text });
        }
    }
    let start = job
        .settings
        .templates
        .wrapper(&format!("Renders {} and hardens what comes out. Written by caseharden.", job.called))
        .ok()?;
    let body = json!({ "helmCharts": [chart], "patches": patches });
    let text = extended(&start, &with_body(&start.value, body))?;
    files.insert(0, NewFile { path: format!("{}/kustomization.yaml", wrapper.folder), text });
    Some(files)
}
