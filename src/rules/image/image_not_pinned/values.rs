//! Pins in Helm values: in the chart's own digest field where it has one, else behind the tag, each only where the
//! chart in the repo is shown to render the image with its digest and all else as before.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::Elsewhere;
use super::elsewhere::{edited, scalar};
use super::{has_digest, with_digest};
use crate::helm::{self, Pin, Unproved};
use crate::image::Reference;
use crate::lock::Locked;
use crate::model::charts::{self, Gifts, OutOfSight, Release};
use crate::model::references::Class;
use crate::model::{Image, Model};
use crate::rules::{Change, Finding, Safety};

/// Fields that charts have for a digest, with the form each is given first.
const DIGEST_FIELDS: &[&str] = &["digest", "sha", "imageDigest", "sha256"];

/// Parts of an image that, set over it, make its digest another's.
const PARTS: &[&str] = &["registry", "repository", "name", "tag", "version"];

pub(super) struct ChartPins<'p, 'm> {
    model: &'p Model<'m>,
    gifts: Gifts<'p>,
    /// By folder; a chart is read when it is first asked.
    charts: BTreeMap<String, helm::Chart>,
    /// By folder of a chart: what the repo lays over its values.
    overrides: BTreeMap<String, Vec<Value>>,
    /// Charts that are not here and whose values elsewhere in the repo have a digest behind the tag: an object that
    /// has such values, by what the chart is called.
    examples: BTreeMap<String, String>,
}

impl<'p, 'm> ChartPins<'p, 'm> {
    pub(super) fn new(model: &'p Model<'m>) -> ChartPins<'p, 'm> {
        ChartPins {
            model,
            gifts: Gifts::new(model),
            charts: BTreeMap::new(),
            overrides: BTreeMap::new(),
            examples: BTreeMap::new(),
        }
    }

    /// Learns from values that have their digest behind the tag already.
    pub(super) fn learn(&mut self, at: &Elsewhere) {
        if at.place.class != Class::ValuesParts || !at.place.text.contains('@') {
            return;
        }
        let Some(values) = self.values(at) else { return };
        let image = values.value.pointer(&values.pointer);
        let tag = image.and_then(|image| image.get("tag")?.as_str());
        if tag.is_some_and(|tag| tag.contains("@sha256:"))
            && let Some(object) = self.model.value(&at.object)
            && let Some(chart) = charts::source(&at.object.id, &object)
        {
            let id = &at.object.id;
            self.examples.entry(chart).or_insert_with(|| format!("{}/{}", id.kind, id.name));
        }
    }

    /// An object that gives the same chart a digest behind the tag.
    fn example(&self, at: &Elsewhere) -> Option<&str> {
        let object = self.model.value(&at.object)?;
        let chart = charts::source(&at.object.id, &object)?;
        self.examples.get(&chart).map(String::as_str)
    }

    /// Adds the pin to a finding, or why there is none.
    pub(super) fn pinned(
        &mut self,
        at: &Elsewhere,
        finding: Finding,
        reference: &Reference,
        locked: &Locked,
    ) -> Finding {
        let Some(values) = self.values(at) else { return finding };
        let releases = match self.releases(at) {
            Ok(releases) => releases,
            Err(OutOfSight::Values(why)) => return finding.note(format!("not pinned: {why}")),
            Err(OutOfSight::Chart(why)) => {
                return without_chart(at, &values, finding, locked, (&why, self.example(at)));
            }
        };
        let is_default = releases.iter().any(|release| release.is_default);
        let mut reason = None;
        for (change, is_digest) in self.candidates(at, &values, &releases, locked) {
            match self.prove(&values, &change, &releases, at, reference, locked) {
                Ok(()) => {
                    let Some(change) = self.lowered(at, change) else {
                        return finding.note("the values are text in which this cannot be changed alone");
                    };
                    let chart = &releases[0].chart.folder;
                    let finding = has_digest(finding.change(change), locked).safety(Safety::Review);
                    let finding = finding.evidence(format!(
                        "the templates of {} render it with its digest and all else as before",
                        if chart.is_empty() { "the chart" } else { chart }
                    ));
                    return if is_default && is_digest {
                        finding.note("whoever overrides the tag alone still runs this digest")
                    } else {
                        finding
                    };
                }
                // What the plainest form lacks tells most.
                Err(why) => reason = Some(why),
            }
        }
        match reason {
            Some(why) => finding.note(format!("not pinned: {why}")),
            None => finding,
        }
    }

    /// The values that name the image, and its pointer in them.
    fn values(&self, at: &Elsewhere) -> Option<Values> {
        let object = self.model.value(&at.object)?;
        if at.place.class == Class::ValuesInText {
            let text = scalar(self.model, at)?;
            let stream = crate::yaml::Stream::parse(text, &crate::repo::LIMITS).ok()?;
            let value = stream.root(0)?.value().ok()?;
            return Some(Values { value, pointer: at.place.inner.clone()?, outer: String::new() });
        }
        let pointer = at.pointer();
        let starts = ["/spec/values/", "/helm/valuesObject/", "/valuesInline/"];
        let outer = starts.iter().find_map(|start| {
            let end = pointer.find(start)? + start.len() - 1;
            Some(&pointer[..end])
        });
        let outer = match &*at.object.id.kind {
            "Values" => "",
            // `/releases/0/values/1`
            "Helmfile" => pointer.match_indices('/').nth(4).map(|(end, _)| &pointer[..end])?,
            _ => outer?,
        };
        let value = object.pointer(outer)?.clone();
        Some(Values { value, pointer: pointer[outer.len()..].to_owned(), outer: outer.to_owned() })
    }

    fn releases(&self, at: &Elsewhere) -> Result<Vec<Release<'m>>, OutOfSight> {
        let (model, gifts, id) = (self.model, &self.gifts, &at.object.id);
        match &*id.kind {
            "Values" => charts::of_file(model, gifts, model.file(&at.object)),
            "Helmfile" => {
                let document = at.object.document;
                charts::of_helmfile(model, gifts, &at.place.path, document, at.pointer())
                    .map(|release| vec![release])
            }
            "Kustomization" => {
                let idx = at.pointer().split('/').nth(2).and_then(|idx| idx.parse().ok()).unwrap_or_default();
                charts::of_kustomization(model, gifts, &at.place.path, idx).map(|release| vec![release])
            }
            _ => {
                let value = model
                    .value(&at.object)
                    .ok_or_else(|| OutOfSight::Values("its object cannot be read".to_owned()))?;
                let pointer = format!("{}/", at.pointer());
                charts::of_object(model, gifts, id, &value, &pointer).map(|release| vec![release])
            }
        }
    }

    fn chart(&mut self, release: &Release<'m>) -> &helm::Chart {
        let all = &self.model.repo().charts;
        let chart = release.chart;
        self.charts.entry(chart.folder.clone()).or_insert_with(|| helm::Chart::new(chart, all))
    }

    /// Changes that may pin the image, the best first, and whether each uses a field of its own for the digest.
    fn candidates(
        &mut self,
        at: &Elsewhere,
        values: &Values,
        releases: &[Release<'m>],
        locked: &Locked,
    ) -> Vec<(Change, bool)> {
        let pointer = values.pointer.as_str();
        let mut candidates = Vec::new();
        let Some(node) = values.value.pointer(pointer) else { return candidates };
        let Value::Object(parts) = node else {
            candidates.push((Change::set(pointer, with_digest(&at.place.text, locked)), false));
            if let Some((parent, _)) = pointer.rsplit_once('/') {
                let tags = ["tag", "imageTag"].iter().map(|key| format!("{parent}/{key}"));
                let tag = tags.filter_map(|at| Some((values.value.pointer(&at).map(written)??, at))).next();
                candidates
                    .extend(tag.map(|(tag, at)| (Change::set(at, tag_with_digest(&tag, locked)), false)));
            }
            return candidates;
        };
        let overridden = self.is_patched(at, values)
            || releases.iter().any(|release| release.is_default && self.is_overridden(release, pointer));
        for field in DIGEST_FIELDS.iter().filter(|_| !overridden) {
            let is_there = parts.contains_key(*field);
            let chart = self.chart(&releases[0]);
            if !is_there && !chart.says(field) {
                continue;
            }
            let (full, bare) = (locked.digest.as_str(), locked.digest.hex());
            let forms =
                if *field == "digest" || *field == "imageDigest" { [full, bare] } else { [bare, full] };
            for form in forms {
                candidates.push((Change::set(format!("{pointer}/{field}"), form), true));
            }
        }
        for key in ["tag", "version"] {
            let own = parts.get(key).and_then(written).filter(|tag| !tag.is_empty());
            candidates.extend(
                own.map(|tag| {
                    (Change::set(format!("{pointer}/{key}"), tag_with_digest(&tag, locked)), false)
                }),
            );
        }
        for key in ["repository", "image", "name"] {
            let own = parts.get(key).and_then(Value::as_str);
            if let Some(text) = own.filter(|text| Image::parse(text).is_some_and(|image| image.tag.is_some()))
            {
                candidates.push((Change::set(format!("{pointer}/{key}"), with_digest(text, locked)), false));
            }
        }
        candidates
    }

    /// Whether values of this repo set another tag or name over a default.
    fn is_overridden(&mut self, release: &Release<'_>, pointer: &str) -> bool {
        let (model, gifts, chart) = (self.model, &self.gifts, release.chart);
        let over = self.overrides.entry(chart.folder.clone());
        over.or_insert_with(|| charts::overrides(model, gifts, chart))
            .iter()
            .filter_map(|values| values.pointer(pointer))
            .any(|image| PARTS.iter().any(|part| image.get(part).is_some()))
    }

    /// Whether a patch of this repo changes the image in the object: the digest would stay.
    fn is_patched(&self, at: &Elsewhere, values: &Values) -> bool {
        let pointer = format!("{}{}", values.outer, values.pointer);
        let Some(object) = self.model.value(&at.object) else { return false };
        let mut patches = self.model.builds.patches_on(&at.place.path, &at.object.id);
        patches.any(|patch| {
            let text = at.place.class == Class::ValuesInText;
            let at = if text { at.pointer() } else { &pointer };
            patch.applied(&object).pointer(at) != object.pointer(at)
        })
    }

    fn prove(
        &mut self,
        values: &Values,
        change: &Change,
        releases: &[Release<'m>],
        at: &Elsewhere,
        reference: &Reference,
        locked: &Locked,
    ) -> Result<(), Unproved> {
        let mut after = values.value.clone();
        let operations = change.operations(&values.value, "");
        json_patch::patch(&mut after, &operations).map_err(|_| Unproved::NotUnderstood)?;
        let is_parts = at.place.class != Class::ValuesText && values.is_mapping();
        let pointer = if is_parts { values.pointer.as_str() } else { change.pointer() };
        let pin = Pin { reference, digest: &locked.digest };
        // A release that makes nothing of it is none the worse for it, as long as another one does.
        let mut proved = Err(Unproved::Unused);
        for release in releases {
            let (before, after) = (release.values(&values.value), release.values(&after));
            match self.chart(release).prove(&before, &after, &[pointer], pin) {
                Err(Unproved::Unused) => {}
                outcome => proved = Ok(outcome?),
            }
        }
        proved
    }

    /// The change from the object's root, or of the text that the values are in.
    fn lowered(&self, at: &Elsewhere, change: Change) -> Option<Change> {
        if at.place.class == Class::ValuesInText {
            let text = scalar(self.model, at)?;
            let edited = edited(&text, at.place.inner.as_deref()?, |_| change.clone())?;
            return Some(Change::set(at.pointer(), edited));
        }
        let values = self.values(at)?;
        match change {
            Change::Set { pointer, value } => Some(Change::set(format!("{}{pointer}", values.outer), value)),
            other => Some(other),
        }
    }
}

/// Values, and where an image is in them.
struct Values {
    value: Value,
    pointer: String,
    /// Where they are in their object.
    outer: String,
}

impl Values {
    fn is_mapping(&self) -> bool {
        self.value.pointer(&self.pointer).is_some_and(Value::is_object)
    }
}

/// A chart that nobody can look at: only a field that is there for the digest is filled in, and where the repo's own
/// values put the digest behind the tag for the same chart, these do so too.
fn without_chart(
    at: &Elsewhere,
    values: &Values,
    finding: Finding,
    locked: &Locked,
    (why, example): (&str, Option<&str>),
) -> Finding {
    let image = values.value.pointer(&values.pointer);
    if !names_registry(&at.place.text) {
        return finding.note(format!("not pinned: {why}, and it may put a registry in front of the name"));
    }
    let is_empty = |field: &&&str| {
        // `null` takes a default of the chart's away, and is meant.
        image.and_then(|image| image.get(**field)?.as_str()) == Some("")
    };
    let Some(field) = DIGEST_FIELDS.iter().take(2).find(is_empty) else {
        let tag = image.and_then(|image| image.get("tag")?.as_str()).filter(|tag| !tag.is_empty());
        if let (Some(tag), Some(example), Class::ValuesParts) = (tag, example, at.place.class) {
            let change =
                Change::set(format!("{}{}/tag", values.outer, values.pointer), tag_with_digest(tag, locked));
            return has_digest(finding.change(change), locked)
                .safety(Safety::Review)
                .evidence(format!("the values of {example} give the same chart a digest behind the tag"))
                .note(format!("{why}: it was not rendered"));
        }
        return finding.note(format!("not pinned: {why}, so how it takes a digest is not known"));
    };
    if at.place.class == Class::ValuesInText {
        return finding.note(format!("not pinned: {why}"));
    }
    let digest = if *field == "digest" { locked.digest.as_str() } else { locked.digest.hex() };
    let change = Change::set(format!("{}{}/{field}", values.outer, values.pointer), digest);
    has_digest(finding.change(change), locked)
        .safety(Safety::Review)
        .note(format!("{why}: look whether it takes `{field}` in this form"))
}

/// Whether the name starts with a host, so that a chart that is not here has little reason to put one there.
fn names_registry(text: &str) -> bool {
    let host = text.split_once('/').map(|(host, _)| host);
    host.is_some_and(|host| host.contains(['.', ':']) || host == "localhost")
}

fn tag_with_digest(tag: &str, locked: &Locked) -> String {
    format!("{tag}@{}", locked.digest)
}

/// A tag as it stands in text.
fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
