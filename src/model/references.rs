//! Every place of a repo that names an image: containers, image volumes, operators' resources, kustomizations, Helm
//! values, patches, and text that is clearly a reference.
//!
//! Says what is written and what would be pulled, or why that cannot be told. Pulls nothing, changes nothing.

mod operators;
mod skip;
mod templates;
mod values;

use std::collections::{BTreeSet, HashMap};

use rayon::prelude::*;
use serde_json::Value;

use super::charts::Release;
use super::object::{self, ObjectId};
use super::workload::{self, Pod};
use super::{Image, Model};
use crate::config::{CustomWorkload, ImageFields};
use crate::image::Reference;
use crate::repo::{Content, File, Kustomization, LIMITS, helmfile_releases};
use crate::yaml::{Node, Pointer, Stream};

pub use self::skip::{Builders, Skipped};

/// A place that names an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUse {
    pub path: String,
    pub document: usize,
    /// Of the scalar that is the reference, or of the mapping whose keys make it (`class` says which). For text
    /// within text (inline patches, values in a string) of the scalar that holds the text.
    pub pointer: String,
    /// Where it is within that text.
    pub inner: Option<String>,
    /// Counted from 1.
    pub line: usize,
    pub class: Class,
    /// The reference, put together where it is written in parts.
    pub text: String,
    /// What is pulled, or why that is not known.
    pub target: Result<Reference, Skipped>,
}

/// How an image is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Container,
    /// `volumes[].image.reference`.
    ImageVolume,
    /// A field of a custom resource that an operator makes containers from.
    Operator,
    /// An environment variable.
    Environment,
    /// A command's argument.
    Argument,
    /// A step of a JSON 6902 patch.
    PatchStep,
    /// Within the text of an inline patch.
    InlinePatch,
    /// An entry of a kustomization's `images`.
    Kustomize,
    /// A scalar in Helm values.
    ValuesText,
    /// A mapping in Helm values: `registry`, `repository`, `tag`, `digest`.
    ValuesParts,
    /// Within Helm values that are themselves in a string.
    ValuesInText,
    /// Written out in a template of a chart: there is a line, and no pointer.
    Template,
}

/// All uses of a repo, ordered by file, document and place.
pub fn references(model: &Model<'_>, custom: &[CustomWorkload], fields: &[ImageFields]) -> Vec<ImageUse> {
    let repo = model.repo();
    let scope = Scope { model, custom, fields, gifts: super::charts::Gifts::new(model) };
    let files = repo.files.par_iter().filter(|file| !file.context_only);
    let mut uses: Vec<ImageUse> = files.flat_map_iter(|file| of_file(&scope, file)).collect();
    overridden(model, &mut uses);
    kustomize(model, &mut uses);
    templates::find(model, &mut uses);
    uses.sort_by(|a, b| {
        (&a.path, a.document, &a.pointer, &a.inner, a.class, a.line, &a.text)
            .cmp(&(&b.path, b.document, &b.pointer, &b.inner, b.class, b.line, &b.text))
    });
    uses.dedup();
    uses
}

/// What the search knows beside the file it is in.
struct Scope<'s, 'r> {
    model: &'s Model<'r>,
    custom: &'s [CustomWorkload],
    fields: &'s [ImageFields],
    gifts: super::charts::Gifts<'s>,
}

fn of_file(scope: &Scope<'_, '_>, file: &File) -> Vec<ImageUse> {
    let mut uses = Vec::new();
    match file.content {
        Content::Values => of_values(scope, file, &mut uses),
        Content::Helmfile => of_helmfile(scope, file, &mut uses),
        Content::ClusterConfig | Content::Template => {}
        Content::Objects if scope.model.builds.is_kustomization(&file.path) => {
            inline_patches(scope, file, &mut uses);
            inline_values(scope, file, &mut uses);
        }
        // Patches hold no object, or part of one.
        Content::Objects | Content::Patch => of_objects(scope, file, &mut uses),
    }
    uses
}

fn of_values(scope: &Scope<'_, '_>, file: &File, uses: &mut Vec<ImageUse>) {
    let releases = super::charts::of_file(scope.model, &scope.gifts, file);
    let releases = releases.unwrap_or_default();
    let under = releases.first().map_or(&Value::Null, |release| &release.below);
    for document in 0..file.stream.documents() {
        let Some(root) = file.stream.root(document) else { continue };
        let mut place = Place::new(&file.path, &file.stream, document, &scope.model.builders, uses);
        let own = if document == 0 { root.value().unwrap_or_default() } else { Value::Null };
        values::walk(root, String::new(), &values::Around::new(root, under), &mut |mut found| {
            let is_replaced = |release: &Release<'_>| release.replaces(&own, &found.pointer);
            if !releases.is_empty() && releases.iter().all(is_replaced) {
                found.missing = Some(Skipped::Overridden { by: "other values".to_owned() });
            }
            place.add_found(found);
        });
    }
}

/// A document that uses are found in.
struct Place<'a> {
    path: &'a str,
    stream: &'a Stream,
    document: usize,
    builders: &'a Builders,
    uses: &'a mut Vec<ImageUse>,
}

impl<'a> Place<'a> {
    fn new(
        path: &'a str,
        stream: &'a Stream,
        document: usize,
        builders: &'a Builders,
        uses: &'a mut Vec<ImageUse>,
    ) -> Self {
        Place { path, stream, document, builders, uses }
    }

    fn add(&mut self, pointer: String, class: Class, text: String, missing: Option<Skipped>) {
        self.add_within(pointer, None, class, text, missing);
    }

    fn add_found(&mut self, found: values::Found) {
        self.add_within(found.pointer, None, found.class, found.text, found.missing);
    }

    /// Adds a use within the text of a scalar.
    fn add_within(
        &mut self,
        pointer: String,
        inner: Option<String>,
        class: Class,
        text: String,
        missing: Option<Skipped>,
    ) {
        let target = match missing {
            Some(skipped) => Err(skipped),
            None => self.builders.target(&text),
        };
        let range = Pointer::parse(&pointer).ok().and_then(|at| self.stream.locate(self.document, at));
        let line = range.map_or(1, |range| self.stream.position(range.start).line);
        let path = self.path.to_owned();
        let document = self.document;
        self.uses.push(ImageUse { path, document, pointer, inner, line, class, text, target });
    }
}

fn of_objects(scope: &Scope<'_, '_>, file: &File, uses: &mut Vec<ImageUse>) {
    for document in 0..file.stream.documents() {
        let Some(root) = file.stream.root(document) else { continue };
        let mut place = Place::new(&file.path, &file.stream, document, &scope.model.builders, uses);
        for (pointer, id) in object::objects(root) {
            let Some(node) = root.at(&pointer) else { continue };
            of_object(scope, node, &pointer, &id, &mut place);
        }
        if root.kind() == crate::yaml::Kind::Sequence {
            patch_steps(&file.path, &file.stream, &scope.model.builders, uses);
        }
    }
}

fn of_object(scope: &Scope<'_, '_>, node: Node<'_>, at: &str, id: &ObjectId, place: &mut Place<'_>) {
    let layout = workload::layout(id, scope.custom);
    let fields = operators::fields(id, scope.fields);
    let is_helm = super::charts::gives_values(id);
    if layout.is_none() && fields.is_empty() && !is_helm {
        return;
    }
    let Ok(value) = node.value() else { return };
    for pod in layout.iter().flat_map(|layout| workload::pods(layout, &value)) {
        of_pod(&pod, at, place);
    }
    for (pointer, text) in operators::images(&fields, &value) {
        place.add(format!("{at}{pointer}"), Class::Operator, text, None);
    }
    if is_helm {
        let under = |pointer: &str| {
            let release = super::charts::of_object(scope.model, &scope.gifts, id, &value, pointer);
            release.map_or(Value::Null, |release| release.below)
        };
        values::of_object(node, at, &under, place);
    }
}

fn of_pod(pod: &Pod<'_>, at: &str, place: &mut Place<'_>) {
    for container in &pod.containers {
        let pointer = format!("{at}{}", container.pointer);
        if let Some(image) = container.image().filter(|image| !image.is_empty()) {
            let never = container.value["imagePullPolicy"] == "Never";
            place.add(
                format!("{pointer}/image"),
                Class::Container,
                image.to_owned(),
                never.then_some(Skipped::NeverPulled),
            );
        }
        for (idx, variable) in container.value["env"].as_array().into_iter().flatten().enumerate() {
            if let (Some(name), Some(text)) = (variable["name"].as_str(), variable["value"].as_str())
                && names_image(name)
                && is_clear(text)
            {
                place.add(format!("{pointer}/env/{idx}/value"), Class::Environment, text.to_owned(), None);
            }
        }
        for list in ["args", "command"] {
            let mut flag = None;
            for (idx, argument) in container.value[list].as_array().into_iter().flatten().enumerate() {
                let Some(argument) = argument.as_str() else { continue };
                // `--image=…`, or `--image` with the reference behind it.
                let (name, text) = match (argument.split_once('='), flag.take()) {
                    (Some((name, text)), _) if name.starts_with('-') => (name, text),
                    (_, Some(name)) => (name, argument),
                    _ => ("", ""),
                };
                if names_image(name) && is_clear(text) {
                    place.add(format!("{pointer}/{list}/{idx}"), Class::Argument, text.to_owned(), None);
                }
                flag = Some(argument).filter(|argument| argument.starts_with('-'));
            }
        }
    }
    let volumes =
        if place.stream.root(place.document).is_some() { &pod.spec["volumes"] } else { &Value::Null };
    for (idx, volume) in volumes.as_array().into_iter().flatten().enumerate() {
        // Only plain pod specs have their volumes where their pointer says.
        if let Some(text) = volume["image"]["reference"].as_str().filter(|text| !text.is_empty()) {
            let never = volume["image"]["pullPolicy"] == "Never";
            let pointer = format!("{at}{}/volumes/{idx}/image/reference", pod.pointer);
            place.add(pointer, Class::ImageVolume, text.to_owned(), never.then_some(Skipped::NeverPulled));
        }
    }
}

/// Whether a variable or a flag is called after an image: `RELATED_IMAGE_PROXY`, `SIDECAR_IMG`, `--proxy-image`.
fn names_image(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("image") || name.split(['_', '-']).any(|word| word == "img")
}

/// Text that can be nothing but a reference: it has a registry or a folder, and a tag or a digest.
fn is_clear(text: &str) -> bool {
    Reference::parse(text).is_ok()
        && Image::parse(text).is_some_and(|image| {
            image.name().contains('/') && (image.tag.is_some() || image.digest.is_some())
        })
}

/// Marks images that every build of their file replaces: they are never pulled as they stand.
fn overridden(model: &Model<'_>, uses: &mut [ImageUse]) {
    let mut passages: HashMap<String, Vec<Vec<&Kustomization>>> = HashMap::new();
    for place in uses.iter_mut() {
        if !matches!(place.class, Class::Container | Class::ImageVolume | Class::PatchStep) {
            continue;
        }
        let Some(image) = Image::parse(&place.text) else { continue };
        if !passages.contains_key(&place.path) {
            passages.insert(place.path.clone(), model.builds.passages(&place.path));
        }
        let sets = |kustomization: &&&Kustomization| {
            kustomization.images.iter().any(|set| {
                set.name == image.name()
                    && (set.new_name.is_some() || set.new_tag.is_some() || set.digest.is_some())
            })
        };
        let by = passages[&place.path].iter().map(|passage| passage.iter().find(sets));
        let by: Option<Vec<&&Kustomization>> = by.collect();
        if let Some(first) = by.and_then(|by| by.into_iter().next()) {
            place.target = Err(Skipped::Overridden { by: first.path.clone() });
        }
    }
}

/// Entries of `images`; where one gives no tag, it is that of each image it replaces.
fn kustomize(model: &Model<'_>, uses: &mut Vec<ImageUse>) {
    // Files and tags of the images of each name.
    let mut by_name: HashMap<String, BTreeSet<(String, Option<String>)>> = HashMap::new();
    for place in uses.iter() {
        if let Some(image) = Image::parse(&place.text) {
            let tag = image.tag.map(str::to_owned);
            by_name.entry(image.name().to_owned()).or_default().insert((place.path.clone(), tag));
        }
    }
    for kustomization in model.builds.kustomizations() {
        let Some(file) = model.repo().file(&kustomization.path).filter(|file| !file.context_only) else {
            continue;
        };
        for (idx, set) in kustomization.images.iter().enumerate() {
            let name = set.new_name.as_deref().unwrap_or(&set.name);
            let tags: BTreeSet<Option<String>> = match (&set.new_tag, &set.digest) {
                (None, None) if set.new_name.is_none() => continue,
                (None, None) => {
                    let of_name = by_name.get(&set.name).into_iter().flatten();
                    let taken = of_name.filter(|(path, _)| model.builds.takes(&kustomization.path, path));
                    taken.map(|(_, tag)| tag.clone()).collect()
                }
                (tag, _) => BTreeSet::from([tag.clone()]),
            };
            let mut place = Place::new(&file.path, &file.stream, 0, &model.builders, uses);
            for tag in tags {
                let tag = tag.map_or_else(String::new, |tag| format!(":{tag}"));
                let digest = set.digest.as_ref().map_or_else(String::new, |digest| format!("@{digest}"));
                place.add(format!("/images/{idx}"), Class::Kustomize, format!("{name}{tag}{digest}"), None);
            }
        }
    }
}

/// `{op: replace, path: /…/image, value: …}`.
fn patch_steps(path: &str, stream: &Stream, builders: &Builders, uses: &mut Vec<ImageUse>) {
    for document in 0..stream.documents() {
        let Some(root) = stream.root(document) else { continue };
        let mut place = Place::new(path, stream, document, builders, uses);
        for (idx, step) in root.items().enumerate() {
            let target = step.get("path").and_then(Node::as_str);
            let sets_image = target
                .is_some_and(|target| target.ends_with("/image") || target.ends_with("/image/reference"));
            if let Some(text) = step.get("value").filter(|_| sets_image).and_then(Node::written) {
                place.add(format!("/{idx}/value"), Class::PatchStep, text, None);
            }
        }
    }
}

/// Values of the charts that the kustomization has Helm render.
fn inline_values(scope: &Scope<'_, '_>, file: &File, uses: &mut Vec<ImageUse>) {
    let Some(root) = file.stream.root(0) else { return };
    let charts = root.get("helmCharts").into_iter().flat_map(Node::items);
    for (idx, chart) in charts.filter(|chart| chart.get("name").is_some()).enumerate() {
        let Some(values) = chart.get("valuesInline") else { continue };
        let release = super::charts::of_kustomization(scope.model, &scope.gifts, &file.path, idx);
        let under = release.map_or(Value::Null, |release| release.below);
        let mut place = Place::new(&file.path, &file.stream, 0, &scope.model.builders, uses);
        values::walk(values, String::new(), &values::Around::new(values, &under), &mut |mut found| {
            found.pointer = format!("/helmCharts/{idx}/valuesInline{}", found.pointer);
            place.add_found(found);
        });
    }
}

/// Values within a helmfile, of the releases whose values are all known.
fn of_helmfile(scope: &Scope<'_, '_>, file: &File, uses: &mut Vec<ImageUse>) {
    for release in helmfile_releases(&file.path, &file.stream) {
        let Some(root) = file.stream.root(release.document).filter(|_| release.unknown.is_none()) else {
            continue;
        };
        for idx in 0..release.values.len() {
            let at = format!("{}/values/{idx}", release.pointer);
            let Some(values) = root.at(&at).filter(|values| values.kind() == crate::yaml::Kind::Mapping)
            else {
                continue;
            };
            let document = release.document;
            let taken = super::charts::of_helmfile(scope.model, &scope.gifts, &file.path, document, &at);
            let under = taken.map_or(Value::Null, |taken| taken.below);
            let mut place = Place::new(&file.path, &file.stream, document, &scope.model.builders, uses);
            values::walk(values, String::new(), &values::Around::new(values, &under), &mut |mut found| {
                found.pointer = format!("{at}{}", found.pointer);
                place.add_found(found);
            });
        }
    }
}

/// Patches written into the kustomization itself.
fn inline_patches(scope: &Scope<'_, '_>, file: &File, uses: &mut Vec<ImageUse>) {
    let Some(root) = file.stream.root(0) else { return };
    let mut texts: Vec<(String, String)> = Vec::new();
    for (key, field) in
        [("patches", Some("patch")), ("patchesJson6902", Some("patch")), ("patchesStrategicMerge", None)]
    {
        for (idx, item) in root.get(key).into_iter().flat_map(Node::items).enumerate() {
            let (node, pointer) = match field {
                Some(field) => (item.get(field), format!("/{key}/{idx}/{field}")),
                None => (Some(item), format!("/{key}/{idx}")),
            };
            texts.extend(node.and_then(Node::as_str).map(|text| (pointer, text.into_owned())));
        }
    }
    for (pointer, text) in texts.into_iter().filter(|(_, text)| text.contains('\n')) {
        let Ok(stream) = Stream::parse(text, &LIMITS) else { continue };
        let inner = File {
            path: file.path.clone(),
            stream,
            marker: None,
            context_only: false,
            content: Content::Patch,
        };
        let mut found = Vec::new();
        of_objects(scope, &inner, &mut found);
        let mut place = Place::new(&file.path, &file.stream, 0, &scope.model.builders, uses);
        for inner in found {
            let at = Some(inner.pointer);
            place.add_within(pointer.clone(), at, Class::InlinePatch, inner.text, inner.target.err());
        }
    }
}

#[cfg(test)]
mod tests;
