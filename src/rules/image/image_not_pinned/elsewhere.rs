//! Pins where no workload's container names the image: patches, image volumes, the resources of operators,
//! environment and arguments, kustomizations, Helm values.

use serde_json::Value;

use super::super::Elsewhere;
use super::values::ChartPins;
use super::{NOT_LOCKED, has_digest, is_moving, pin_note, with_digest};
use crate::lock::Locked;
use crate::model::references::{Class, Skipped};
use crate::model::{Image, KubernetesOrder, Model};
use crate::repo::{Kustomization, LIMITS};
use crate::rules::{Change, Finding, Safety, Settings};
use crate::yaml::Stream;

pub(in crate::rules::image) struct Pins<'p, 'm> {
    model: &'p Model<'m>,
    settings: &'p Settings<'p>,
    charts: ChartPins<'p, 'm>,
}

impl<'p, 'm> Pins<'p, 'm> {
    pub(in crate::rules::image) fn new(model: &'p Model<'m>, settings: &'p Settings<'p>) -> Pins<'p, 'm> {
        Pins { model, settings, charts: ChartPins::new(model) }
    }

    /// Learns from all images before any is judged.
    pub(in crate::rules::image) fn learn(&mut self, at: &Elsewhere) {
        self.charts.learn(at);
    }

    /// What is to be said of an image; nothing where it has its digest, or is never used as it stands.
    pub(in crate::rules::image) fn finding(&mut self, at: &Elsewhere) -> Option<Finding> {
        let text = &at.place.text;
        if Image::parse(text).is_some_and(|image| image.digest.is_some()) {
            return None;
        }
        let message = format!("{} `{text}` without its digest", at.subject());
        let finding = Finding::new(at.pointer(), message);
        let reference = match &at.place.target {
            Ok(reference) => reference,
            // Text that is no reference is no image: keys and arguments may be called so for other reasons.
            Err(Skipped::Invalid(_)) => return None,
            Err(Skipped::Overridden { .. }) => return None,
            Err(Skipped::ChartTag) => {
                return Some(finding.note(
                    "the chart's version chooses the tag: a digest here would have to change with each release of it",
                ));
            }
            Err(skipped) => return Some(finding.note(skipped.to_string())),
        };
        let Some(locked) = self.settings.lock.find(reference) else { return Some(finding.note(NOT_LOCKED)) };
        let finding = match at.place.class {
            Class::Kustomize => self.kustomization(at, finding, locked),
            Class::ValuesText | Class::ValuesParts | Class::ValuesInText => {
                self.charts.pinned(at, finding, reference, locked)
            }
            Class::InlinePatch => match within_text(self.model, at, &with_digest(text, locked)) {
                Some(change) => has_digest(finding.change(change), locked),
                None => finding.note("the patch is text in which this cannot be changed alone"),
            },
            Class::Argument => match self.argument(at, locked) {
                Some(change) => has_digest(finding.change(change), locked).safety(Safety::Review),
                None => finding,
            },
            Class::Environment => {
                let change = Change::set(at.pointer(), with_digest(text, locked));
                has_digest(finding.change(change), locked).safety(Safety::Review)
            }
            Class::Container | Class::ImageVolume | Class::Operator | Class::PatchStep => {
                let change = Change::set(at.pointer(), with_digest(text, locked));
                has_digest(finding.change(change), locked)
            }
        };
        Some(if is_moving(text) && !finding.changes.is_empty() { pin_note(finding) } else { finding })
    }

    /// `digest` beside `newTag`: they render as `name:tag@digest`. Alone it would take the tag away.
    fn kustomization(&self, at: &Elsewhere, finding: Finding, locked: &Locked) -> Finding {
        let source = self.model.file(&at.object);
        let idx: Option<usize> = at.pointer().rsplit('/').next().and_then(|idx| idx.parse().ok());
        let kustomization = Kustomization::read(&source.path, &source.stream);
        let chosen = kustomization.zip(idx).and_then(|(read, idx)| read.images.get(idx).cloned());
        match chosen.and_then(|chosen| chosen.new_tag) {
            Some(_) => {
                let change = Change::set(format!("{}/digest", at.pointer()), locked.digest.as_str());
                has_digest(finding.change(change), locked)
            }
            None => finding.note("it gives the image another name only: add `newTag` to pin it here"),
        }
    }

    /// The image behind the `=` of an argument.
    fn argument(&self, at: &Elsewhere, locked: &Locked) -> Option<Change> {
        let value = self.model.value(&at.object)?;
        let argument = value.pointer(at.pointer())?.as_str()?;
        let flag = argument.strip_suffix(at.place.text.as_str())?;
        Some(Change::set(at.pointer(), format!("{flag}{}", with_digest(&at.place.text, locked))))
    }
}

/// Changes one scalar of YAML that is itself the text of a scalar, when all else of that text stays as it is.
fn within_text(model: &Model<'_>, at: &Elsewhere, wanted: &str) -> Option<Change> {
    let inner = at.place.inner.as_deref()?;
    let text = scalar(model, at)?;
    edited(&text, inner, |_| Change::set(inner, wanted)).map(|text| Change::set(at.pointer(), text))
}

/// The text of the scalar that a use is within.
pub(super) fn scalar(model: &Model<'_>, at: &Elsewhere) -> Option<String> {
    let stream = &model.file(&at.object).stream;
    let node = stream.root(at.object.document)?.at(&at.place.pointer)?;
    node.as_str().map(|text| text.into_owned())
}

/// A YAML text with a change made in the document that has something at `inner`; proved as a file's would be.
pub(super) fn edited(text: &str, inner: &str, change: impl Fn(&Value) -> Change) -> Option<String> {
    let stream = Stream::parse(text.to_owned(), &LIMITS).ok()?;
    let has = |document: &usize| stream.root(*document).is_some_and(|root| root.at(inner).is_some());
    let document = (0..stream.documents()).find(has)?;
    let value = stream.root(document)?.value().ok()?;
    let mut wanted = value.clone();
    json_patch::patch(&mut wanted, &change(&value).operations(&value, "")).ok()?;
    let edits = stream.edits(document, &wanted, &KubernetesOrder).ok()?;
    let mut values: Vec<Option<&Value>> = vec![None; stream.documents()];
    values[document] = Some(&wanted);
    let after = stream.prove(stream.apply(edits), &values, 0).ok()?;
    Some(after.into_text())
}
