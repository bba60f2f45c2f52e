//! Rules about image references.

use super::{Placed, RepoFindings, Rule, Settings};
use crate::model::references::{Class, ImageUse, references};
use crate::model::{Model, Object, ObjectId};
use crate::pointer::within;
use crate::repo::Content;

mod image_digest_of_one_platform;
mod image_not_pinned;
mod image_not_signed;
mod image_signature_invalid;
mod image_tag_latest;
mod signature;

pub(super) const RULES: &[&Rule] = &[
    &image_tag_latest::RULE,
    &image_not_pinned::RULE,
    &image_digest_of_one_platform::RULE,
    &image_signature_invalid::RULE,
    &image_not_signed::RULE,
];

const IN_TEMPLATE: &str = "a template names";

/// An image that is named elsewhere than in a container of a workload.
struct Elsewhere {
    object: Object,
    place: ImageUse,
}

/// Asks the rules about images that no workload's container names.
pub(super) fn check_repo(
    model: &Model<'_>,
    settings: &Settings<'_>,
    selected: &dyn Fn(&Rule) -> bool,
    found: &mut RepoFindings,
) {
    let asked = |rule: &'static Rule| selected(rule).then_some(rule);
    if asked(&image_tag_latest::RULE).or(asked(&image_not_pinned::RULE)).is_none() {
        return;
    }
    let config = settings.config;
    let mut pins = image_not_pinned::elsewhere::Pins::new(model, settings);
    let places = references(model, &config.workloads, &config.image_fields);
    for place in places.iter().filter(|place| place.class == Class::Template) {
        let latest = asked(&image_tag_latest::RULE)
            .and_then(|rule| Some((rule, image_tag_latest::in_template(place, settings)?)));
        let pin = asked(&image_not_pinned::RULE)
            .and_then(|rule| Some((rule, image_not_pinned::in_template(place, settings)?)));
        for (rule, mut finding) in latest.into_iter().chain(pin) {
            finding.rule = rule;
            found.in_templates.push((place.path.clone(), place.line, finding));
        }
    }
    let places: Vec<Elsewhere> =
        places.into_iter().filter_map(|place| Elsewhere::new(model, place)).collect();
    places.iter().for_each(|elsewhere| pins.learn(elsewhere));
    for elsewhere in places {
        let latest = asked(&image_tag_latest::RULE)
            .and_then(|rule| Some((rule, image_tag_latest::elsewhere(&elsewhere, settings)?)));
        let pin = asked(&image_not_pinned::RULE).and_then(|rule| Some((rule, pins.finding(&elsewhere)?)));
        for (rule, mut finding) in latest.into_iter().chain(pin) {
            finding.rule = rule;
            let object = elsewhere.object.clone();
            found.place(Placed { object, finding, needs_file: None });
        }
    }
}

impl Elsewhere {
    /// `None` for the containers of workloads: the rules see them there.
    fn new(model: &Model<'_>, place: ImageUse) -> Option<Elsewhere> {
        let file = model.repo().files.binary_search_by(|file| file.path.cmp(&place.path)).ok()?;
        let source = &model.repo().files[file];
        if source.content == Content::Template {
            return None;
        }
        let around =
            |object: &&Object| object.document == place.document && within(&place.pointer, &object.pointer);
        let objects = model.objects_of(file).iter().filter(around);
        let object = objects.max_by_key(|object| object.pointer.len()).cloned();
        if place.class == Class::Container && object.as_ref().is_some_and(|object| object.layout.is_some()) {
            return None;
        }
        let is_kustomization = model.builds.is_kustomization(&source.path);
        let id = || match place.class {
            Class::Kustomize | Class::InlinePatch | Class::ValuesParts | Class::ValuesText
                if is_kustomization =>
            {
                ObjectId::named("kustomize.config.k8s.io/v1beta1", "Kustomization", &source.path)
            }
            _ if source.content == Content::Values => ObjectId::named("", "Values", &source.path),
            _ if source.content == Content::Helmfile => ObjectId::named("", "Helmfile", &source.path),
            _ => ObjectId::named("", "Patch", &source.path),
        };
        let object = object.unwrap_or_else(|| Object {
            file,
            document: place.document,
            pointer: "".into(),
            id: id(),
            layout: None,
        });
        Some(Elsewhere { object, place })
    }

    /// The place, from the object.
    fn pointer(&self) -> &str {
        &self.place.pointer[self.object.pointer.len()..]
    }

    /// How messages name the place.
    fn subject(&self) -> String {
        let (kind, name) = (&self.object.id.kind, &self.object.id.name);
        match self.place.class {
            Class::Kustomize => format!("{} chooses", self.place.path),
            Class::Template => IN_TEMPLATE.to_owned(),
            Class::InlinePatch | Class::PatchStep => "a patch sets".to_owned(),
            _ if &**kind == "Patch" => "a patch sets".to_owned(),
            Class::ValuesText | Class::ValuesParts | Class::ValuesInText if &**kind == "Values" => {
                "the values name".to_owned()
            }
            Class::ValuesText | Class::ValuesParts if matches!(&**kind, "Kustomization" | "Helmfile") => {
                format!("the values in {} name", self.place.path)
            }
            Class::ValuesText | Class::ValuesParts | Class::ValuesInText => {
                format!("the values of {kind}/{name} name")
            }
            Class::ImageVolume => format!("a volume of {kind}/{name} mounts"),
            Class::Environment => format!("the environment of {kind}/{name} names"),
            Class::Argument => format!("an argument of {kind}/{name} names"),
            Class::Container | Class::Operator => format!("{kind}/{name} names"),
        }
    }
}
