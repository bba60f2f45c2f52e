//! A Kustomize component that makes one state of a folder's objects another: for who does not own the folder.
//!
//! Compares objects as the folder's build renders them. What the component cannot say is told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Unpatchable, deletion, extended, file_stem, free_path, patch};
use crate::model::{Model, Object, Trace};
use crate::repo::LIMITS;
use crate::secret::secret_values;
use crate::template::{PatchedObject, TemplateError, Templates};
use crate::yaml::Stream;

/// The files of a component, and what is missing in it.
#[derive(Debug, Default)]
pub struct Component {
    /// The kustomization comes first; none where nothing is to be said.
    pub files: Vec<ComponentFile>,
    pub notes: Vec<String>,
}

/// A file, named from the component's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentFile {
    pub name: String,
    pub text: String,
}

/// An object in a build.
struct Rendered<'m> {
    object: &'m Object,
    name: String,
    namespace: Option<String>,
    value: Value,
    /// Whether the build changes it in ways that a patch of it does not show.
    is_decorated: bool,
}

/// Tells objects apart, by what they are called where they stand: documents in front of one may have gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'m> {
    path: &'m str,
    kind: &'m str,
    namespace: Option<&'m str>,
    name: &'m str,
    /// Which of several ways it took.
    way: usize,
}

const KUSTOMIZATION: &str = "kustomization.yaml";

/// The component that makes the objects of `folder` as they are `before` what they are `after`.
///
/// # Errors
/// When a template is broken.
pub fn component(
    templates: &Templates,
    folder: &str,
    before: &Model<'_>,
    after: &Model<'_>,
) -> Result<Component, TemplateError> {
    let (old, new) = (rendered(before, folder), rendered(after, folder));
    let mut draft = Draft::new(templates, before);
    let is_other =
        |key: &Key<'_>, known: &Rendered<'_>| new.get(key).is_some_and(|new| new.value != known.value);
    for (key, known) in old.iter().filter(|(key, known)| is_other(key, known)) {
        draft.patch(key, known, new.get(key))?;
    }
    draft.component.notes.extend(unsaid_pins(before, after, folder));
    let mut is_complete = true;
    for path in added(before, after, folder, &new) {
        is_complete &= draft.add_file(after, path, &new);
    }
    // Nothing goes before what takes its place has come.
    let is_replaced = |path: &str| new.keys().any(|key| key.path == path && !old.contains_key(key));
    for (key, known) in old.iter().filter(|(key, _)| !new.contains_key(key)) {
        if is_complete && !is_replaced(key.path) {
            draft.patch(key, known, None)?;
        } else {
            let (kind, name) = (key.kind, key.name);
            let note =
                format!("{}: {kind}/{name} stays: what takes its place is not in the component", key.path);
            draft.component.notes.push(note);
        }
    }
    draft.finish(folder)
}

/// A component in the making.
struct Draft<'a> {
    templates: &'a Templates,
    before: &'a Model<'a>,
    component: Component,
    /// Names of files.
    taken: BTreeSet<String>,
    patches: Vec<Value>,
    resources: Vec<Value>,
}

impl<'a> Draft<'a> {
    fn new(templates: &'a Templates, before: &'a Model<'a>) -> Draft<'a> {
        let taken = BTreeSet::from([KUSTOMIZATION.to_owned()]);
        let component = Component::default();
        Draft { templates, before, component, taken, patches: Vec::new(), resources: Vec::new() }
    }

    /// Makes of an object what is wanted; takes it away where that is nothing.
    fn patch(
        &mut self,
        key: &Key<'_>,
        known: &Rendered<'_>,
        wanted: Option<&Rendered<'_>>,
    ) -> Result<(), TemplateError> {
        if known.name.is_empty() || known.name.ends_with('*') {
            let note = format!("{}: no patch can name an object without a name of its own", key.path);
            self.component.notes.push(note);
            return Ok(());
        }
        let object = PatchedObject {
            api_version: &known.object.id.api_version,
            kind: &known.object.id.kind,
            name: &known.name,
            namespace: known.namespace.as_deref(),
        };
        let made = match wanted {
            Some(wanted) => patch(self.templates, &object, &known.value, &wanted.value),
            None => deletion(self.templates, &object),
        };
        match made {
            Ok(patch) if shows_secret(self.before, known.object, &patch.text) => {
                self.component.notes.push(format!(
                    "{}: {}/{} is not in the component: its patch would hold a secret",
                    key.path, object.kind, object.name
                ));
            }
            Ok(patch) => {
                let stem = file_stem("", object.kind, object.name);
                let name = free_path("", &stem, object.namespace, &mut self.taken);
                let mut entry = Map::from_iter([("path".to_owned(), json!(name))]);
                entry.extend(patch.target.map(|target| ("target".to_owned(), target)));
                self.patches.push(Value::Object(entry));
                self.component.files.push(ComponentFile { name, text: patch.text });
            }
            Err(Unpatchable::Template(error)) => return Err(error),
            Err(error) => self.component.notes.push(format!("{}: {error}", key.path)),
        }
        Ok(())
    }

    /// Takes a new file into the component, its objects named as the build would name them; whether it could.
    fn add_file(&mut self, after: &Model<'_>, path: &str, new: &BTreeMap<Key<'_>, Rendered<'_>>) -> bool {
        let mut ways: BTreeMap<usize, Vec<&Rendered<'_>>> = BTreeMap::new();
        for (key, rendered) in new.iter().filter(|(key, _)| key.path == path) {
            ways.entry(key.way).or_default().push(rendered);
        }
        let Some(file) = after.repo().file(path) else { return true };
        if ways.values().flatten().any(|object| object.is_decorated) {
            let note = format!(
                "{path} is not in the component: the folder's build gives labels or more to what it has"
            );
            self.component.notes.push(note);
            return false;
        }
        let name = path.rsplit('/').next().and_then(|name| name.rsplit_once('.'));
        let stem = name.map_or(path, |(stem, _)| stem);
        // A build that takes the file on several ways has its objects several times, under other names.
        for objects in ways.values() {
            let Some(text) = renamed(&file.stream, objects) else {
                let note = format!("{path} is not in the component: its objects cannot be renamed");
                self.component.notes.push(note);
                return false;
            };
            let name = free_path("", stem, None, &mut self.taken);
            self.resources.push(json!(name));
            self.component.files.push(ComponentFile { name, text });
        }
        true
    }

    /// Puts the kustomization in front of the files.
    fn finish(self, folder: &str) -> Result<Component, TemplateError> {
        let mut component = self.component;
        if component.files.is_empty() {
            return Ok(component);
        }
        let source = if folder.is_empty() { "this repo" } else { folder };
        let purpose = format!("Hardens {source}, for a kustomization that has both. Written by caseharden.");
        let start = self.templates.component(&purpose)?;
        let mut wanted = start.value.clone();
        for (key, list) in [("resources", self.resources), ("patches", self.patches)] {
            if !list.is_empty() {
                wanted[key] = Value::Array(list);
            }
        }
        let text = extended(&start, &wanted).unwrap_or_else(|| start.text.clone());
        component.files.insert(0, ComponentFile { name: KUSTOMIZATION.to_owned(), text });
        Ok(component)
    }
}

/// Whether a text holds what is secret in an object: a list that is replaced as a whole may.
fn shows_secret(model: &Model<'_>, object: &Object, text: &str) -> bool {
    let values = model.node(object).map(secret_values).unwrap_or_default();
    values.iter().any(|value| text.contains(value.as_str()))
}

/// An object of a build, and what is wanted of it.
#[derive(Debug, Clone)]
pub struct WantedObject {
    pub api_version: String,
    pub kind: String,
    /// What the build calls it.
    pub name: String,
    pub namespace: Option<String>,
    /// As far as its patches go; `None` for a new one.
    pub before: Option<Value>,
    pub after: Value,
}

/// What is wanted of the objects of a folder's build.
pub fn changes(before: &Model<'_>, after: &Model<'_>, folder: &str) -> Vec<WantedObject> {
    let mut old = rendered(before, folder);
    let new = rendered(after, folder).into_iter();
    new.map(|(key, rendered)| WantedObject {
        api_version: rendered.object.id.api_version.to_string(),
        kind: rendered.object.id.kind.to_string(),
        name: rendered.name,
        namespace: rendered.namespace,
        before: old.remove(&key).map(|known| known.value),
        after: rendered.value,
    })
    .collect()
}

/// The objects of a folder as its kustomization renders them, or as they stand in its files without one.
fn rendered<'m>(model: &'m Model<'_>, folder: &str) -> BTreeMap<Key<'m>, Rendered<'m>> {
    let mut found: BTreeMap<Key<'m>, Rendered<'m>> = BTreeMap::new();
    let ways: Vec<(&Object, Option<Trace>)> = match model.traces_through(folder) {
        Some(traces) => traces.into_iter().map(|(object, trace)| (object, Some(trace))).collect(),
        None => objects_of(model, folder).map(|object| (object, None)).collect(),
    };
    for (object, trace) in ways {
        let Some(rendered) = Rendered::new(model, object, trace.as_ref()) else { continue };
        let id = &object.id;
        let (path, namespace) = (model.file(object).path.as_str(), id.namespace.as_deref());
        let mut key = Key { path, kind: &id.kind, namespace, name: &id.name, way: 0 };
        while found.contains_key(&key) {
            key.way += 1;
        }
        found.insert(key, rendered);
    }
    found
}

fn objects_of<'m>(model: &'m Model<'_>, folder: &str) -> impl Iterator<Item = &'m Object> {
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    model.objects().filter(move |object| {
        let file = model.file(object);
        file.path.starts_with(&prefix) && !file.context_only
    })
}

impl<'m> Rendered<'m> {
    /// `None` for an object that is deleted on its way, or that cannot be read.
    fn new(model: &Model<'_>, object: &'m Object, trace: Option<&Trace>) -> Option<Rendered<'m>> {
        let value = model.value(object)?;
        let Some(trace) = trace else {
            let (name, namespace) =
                (object.id.name.to_string(), object.id.namespace.as_deref().map(str::to_owned));
            return Some(Rendered { object, name, namespace, value, is_decorated: false });
        };
        let value = model.builds.rendered(trace, trace.steps.len(), &value);
        let decorates = |stage| model.builds.passed(stage).decorates;
        let is_decorated = trace.is_rewritten || trace.stages.iter().any(decorates);
        let (name, namespace) = (trace.name.clone(), trace.namespace.clone());
        (!value.is_null()).then_some(Rendered { object, name, namespace, value, is_decorated })
    }
}

/// Files with objects that were not there before, in the order of their paths.
fn added<'m>(
    before: &Model<'_>,
    after: &'m Model<'_>,
    folder: &str,
    new: &BTreeMap<Key<'m>, Rendered<'m>>,
) -> Vec<&'m str> {
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let is_new = |path: &str| before.repo().file(path).is_none() && after.builds.partial(path).is_none();
    let rendered: BTreeSet<&str> = new.keys().map(|key| key.path).collect();
    let files = after.repo().files.iter().map(|file| file.path.as_str());
    files.filter(|path| is_new(path) && (path.starts_with(&prefix) || rendered.contains(path))).collect()
}

/// Pins in kustomizations of the folder: a component's own would pin the images of others too.
fn unsaid_pins(before: &Model<'_>, after: &Model<'_>, folder: &str) -> Vec<String> {
    let is_inside = |path: &str| folder.is_empty() || path.starts_with(&format!("{folder}/"));
    let pairs = before.builds.kustomizations().iter().zip(after.builds.kustomizations());
    let changed = pairs.filter(|(old, new)| is_inside(&old.path) && old.images != new.images);
    changed
        .map(|(old, _)| {
            format!("the pins of {} are not in the component: set `images:` where you use it", old.path)
        })
        .collect()
}

fn renamed(stream: &Stream, objects: &[&Rendered<'_>]) -> Option<String> {
    let mut text = stream.text().to_owned();
    for object in objects {
        let stream = Stream::parse(text, &LIMITS).ok()?;
        let document = object.object.document;
        let old = stream.root(document)?.value().ok()?;
        let mut wanted = old.clone();
        let metadata = wanted.pointer_mut(&format!("{}/metadata", object.object.pointer))?.as_object_mut()?;
        metadata.insert("name".to_owned(), json!(object.name));
        if let Some(namespace) = object.namespace.as_ref().filter(|_| &*object.object.id.kind != "Namespace")
        {
            metadata.insert("namespace".to_owned(), json!(namespace));
        }
        let edits = stream.edits_from(document, &old, &wanted, &crate::model::KubernetesOrder).ok()?;
        text = stream.apply(edits);
    }
    Some(text)
}
