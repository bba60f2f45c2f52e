//! Fixes of what no value of a fetched chart decides, where who installs it can patch what it renders: in the
//! `postRenderers` of Flux' releases, in the `patches` of kustomizations.
//!
//! What is patched already is judged with its patches.

use serde_json::{Value, json};

use super::{Job, Judged, changed};
use crate::helm::Release;
use crate::helm::concrete::{NotRendered, Render, Renders, is_unknown};
use crate::model::charts::{Afterwards, PatchPlace};
use crate::model::strategic_merge::has_merge_keys;
use crate::model::{Model, ObjectId};
use crate::overlay::{self, Unpatchable, delta, extended, with_body};
use crate::rules::{Change, Patched, Placed, RepoFindings, Safety};
use crate::template::{PatchedObject, RenderedFile, Templates};

/// A chart as somebody installs it, who may patch its objects.
pub(super) struct Installed<'c> {
    pub(super) model: &'c Model<'c>,
    pub(super) chart: &'c dyn Renders,
    pub(super) release: &'c Release,
    pub(super) by: &'c Afterwards,
}

impl Renders for Installed<'_> {
    fn rendered(&self, values: &Value) -> Result<Render, NotRendered> {
        let mut render = self.chart.rendered_as(self.release, values)?;
        for object in &mut render.objects {
            object.value = self.by.applied(self.model, &object.value);
        }
        render.objects.retain(|object| !object.value.is_null());
        Ok(render)
    }

    fn allows(&self, pointer: &str, value: &Value) -> bool {
        self.chart.allows(pointer, value)
    }
}

/// Fixes what it can of what is left, and takes it out there.
pub(super) fn fix(job: &Job<'_, '_>, judged: &mut Judged, found: &mut RepoFindings) {
    let installer = judged.set.installer.clone().filter(|installer| job.is_ours(installer));
    let (Ok(by), Some(installer)) = (judged.set.afterwards.clone(), installer) else { return };
    let called = if job.called.is_empty() { "the chart" } else { job.called };
    for idx in 0..judged.before.objects.len() {
        let is_one =
            |left: &super::Left| left.raised.object == idx && !left.raised.finding.changes.is_empty();
        let wanted: Vec<Change> = judged
            .left
            .iter()
            .filter(|left| is_one(left))
            .flat_map(|left| left.raised.finding.changes.clone())
            .collect();
        let before = judged.after[idx].clone();
        let Some(after) = changed(&before, &wanted).filter(|after| *after != before) else { continue };
        let Some(place) = by.place(job.model, &before) else { continue };
        let Some((start, target)) = head(job.settings.templates, &before, &after) else { continue };
        let (fixed, left) = std::mem::take(&mut judged.left).into_iter().partition(is_one);
        judged.left = left;
        judged.after[idx] = after;
        for mut finding in
            Vec::from_iter::<Vec<super::Left>>(fixed).into_iter().map(|left| left.raised.finding)
        {
            finding.changes = vec![Change::Patched(Box::new(Patched {
                place,
                target: target.clone(),
                start: start.clone(),
                before: before.clone(),
                changes: finding.changes,
            }))];
            finding.safety = finding.safety.min(Safety::Review);
            finding.pointer = place.list().to_owned();
            let who = match place {
                PatchPlace::PostRenderers(_) => "Flux patches what the chart renders before it applies it",
                PatchPlace::Patches(_) => "the kustomization patches what the chart renders",
            };
            finding = finding.evidence(format!("no value of {called} decides it: {who}"));
            let object = installer.clone();
            found.by_file.entry(object.file).or_default().push(Placed { object, finding, needs_file: None });
        }
    }
}

/// A patch of an object as an entry of `patches`; `None` where it cannot be patched by names.
pub(super) fn patch(templates: &Templates, before: &Value, after: &Value) -> Option<Value> {
    let (start, target) = head(templates, before, after)?;
    let text = extended(&start, &with_body(&start.value, delta(before, after)?))?;
    Some(json!({ "target": target, "patch": text }))
}

/// What a patch of an object starts with, and its target; `None` where it cannot be patched by names.
fn head(templates: &Templates, before: &Value, after: &Value) -> Option<(RenderedFile, Value)> {
    let text = |pointer: &str| before.pointer(pointer).and_then(Value::as_str);
    let (api_version, kind, name) = (text("/apiVersion")?, text("/kind")?, text("/metadata/name")?);
    if is_unknown(name) || !has_merge_keys(api_version) {
        return None;
    }
    let object = PatchedObject { api_version, kind, name, namespace: None };
    // JSON 6902 goes by numbers in lists that a new version of the chart may have in another order.
    let patch: Result<_, Unpatchable> = overlay::patch(templates, &object, before, after);
    if patch.ok()?.target.is_some() {
        return None;
    }
    let target = match ObjectId::named(api_version, kind, name).group() {
        "" => json!({ "kind": kind, "name": name }),
        group => json!({ "group": group, "kind": kind, "name": name }),
    };
    Some((templates.patch(&object).ok()?, target))
}
