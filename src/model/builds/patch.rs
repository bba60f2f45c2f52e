//! A patch of a kustomization: what it is applied to, and what becomes of an object.

use std::collections::BTreeMap;

use serde_json::Value;

use super::selector::{Candidate, Selector};
use crate::model::object::ObjectId;
use crate::model::strategic_merge;
use crate::repo::{Kustomization, PatchList, PatchReference, PatchTarget, Repo};
use crate::yaml::Stream;

/// A patch of a kustomization, read.
#[derive(Debug, Clone)]
pub struct Patch {
    /// The file it is in.
    pub path: String,
    /// Its document there, or of its text when inline.
    pub document: usize,
    pub list: PatchList,
    /// Its entry's place in that list.
    pub index: usize,
    /// Whether its text stands in the kustomization itself.
    pub is_inline: bool,
    pub target: PatchTarget,
    pub body: PatchBody,
    /// Whether it names its target; otherwise what it says of itself does.
    has_target: bool,
    selector: Selector,
}

#[derive(Debug, Clone)]
pub enum PatchBody {
    /// A strategic merge patch.
    Merge(Value),
    /// A JSON 6902 patch.
    Json(Vec<Value>),
}

impl Patch {
    /// The object with the patch, as far as it applies; null when the patch deletes it.
    pub fn applied(&self, object: &Value) -> Value {
        let mut patched = object.clone();
        match &self.body {
            PatchBody::Merge(merge) => {
                strategic_merge::merge_object(&mut patched, merge);
                keep_identity(object, &mut patched);
            }
            PatchBody::Json(steps) => {
                for step in steps {
                    // A step that does not apply breaks the build itself, which is not ours to say.
                    if let Ok(operation) = serde_json::from_value::<json_patch::PatchOperation>(step.clone())
                    {
                        json_patch::patch(&mut patched, &[operation]).ok();
                    }
                }
            }
        }
        patched
    }

    /// A patch of something that is rendered by others than a kustomization of the repo.
    pub(in crate::model) fn rendered_later(target: PatchTarget, body: Value) -> Patch {
        let list = PatchList::Patches;
        let reference = PatchReference { list, index: 0, file: None, inline: None, target };
        Patch::new(&reference, "", 0, body)
    }

    /// Whether kustomize applies it to an object that comes as it is.
    pub(in crate::model) fn picks_alone(&self, object: &Value) -> bool {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let texts = |key: &str| -> BTreeMap<String, String> {
            let map = object["metadata"][key].as_object().into_iter().flatten();
            map.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
        };
        let name = text("/metadata/name");
        let namespace = text("/metadata/namespace");
        let candidate = Candidate {
            api_version: text("/apiVersion"),
            kind: text("/kind"),
            names: [name; 2],
            namespaces: [namespace; 2],
            labels: &texts("labels"),
            annotations: &texts("annotations"),
        };
        let namespace = if namespace.is_empty() { "default" } else { namespace };
        self.picks(&candidate, &[(name.to_owned(), namespace.to_owned())])
    }

    /// Operation and path of each step of a JSON 6902 patch.
    pub fn steps(&self) -> impl Iterator<Item = (&str, &str)> {
        let steps = match &self.body {
            PatchBody::Json(steps) => steps.as_slice(),
            PatchBody::Merge(_) => &[],
        };
        steps.iter().filter_map(|step| Some((step["op"].as_str()?, step["path"].as_str()?)))
    }

    /// Whether it may apply to an object of this name, which builds may have changed: a patch too many only makes a
    /// fix more careful.
    pub(super) fn may_match(&self, id: &ObjectId) -> bool {
        let is_kind = |kind: &str| kind == &*id.kind || is_pattern(kind);
        let is_name = |name: &str| is_pattern(name) || name.contains(&*id.name) || id.name.contains(name);
        self.target.kind.as_deref().is_none_or(is_kind) && self.target.name.as_deref().is_none_or(is_name)
    }

    /// Whether kustomize applies it to an object. `ids`: the names and namespaces that the object has had so far.
    pub(super) fn picks(&self, candidate: &Candidate<'_>, ids: &[(String, String)]) -> bool {
        match &self.body {
            _ if self.has_target => self.selector.picks(candidate),
            PatchBody::Json(_) => false,
            PatchBody::Merge(merge) => {
                let text = |pointer: &str| merge.pointer(pointer).and_then(Value::as_str);
                let namespace = text("/metadata/namespace").unwrap_or("default");
                text("/apiVersion") == Some(candidate.api_version)
                    && text("/kind") == Some(candidate.kind)
                    && ids.iter().any(|(name, in_namespace)| {
                        text("/metadata/name") == Some(name) && namespace == in_namespace
                    })
            }
        }
    }

    /// Whether it is a strategic merge patch that names the one object it is for.
    pub fn names_its_object(&self) -> bool {
        !self.has_target && matches!(self.body, PatchBody::Merge(_))
    }
}

/// A strategic merge leaves what an object is called, whatever the patch calls it.
///
/// Source: `ApplySmPatch` in <https://github.com/kubernetes-sigs/kustomize/blob/master/api/resource/resource.go>
fn keep_identity(object: &Value, patched: &mut Value) {
    if let Some(kind) = patched.get_mut("kind") {
        *kind = object["kind"].clone();
    }
    let Some(metadata) = patched.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    for key in ["name", "namespace"] {
        match object["metadata"].get(key) {
            Some(own) => drop(metadata.insert(key.to_owned(), own.clone())),
            None => drop(metadata.remove(key)),
        }
    }
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '|', '(', '[', '^', '$', '+', '?'])
}

pub(super) fn read(kustomization: &Kustomization, reference: &PatchReference, repo: &Repo) -> Vec<Patch> {
    let parsed;
    let (path, stream) = match (&reference.file, &reference.inline) {
        (Some(file), _) => match repo.file(file) {
            Some(found) => (file, &found.stream),
            None => return Vec::new(),
        },
        (None, Some(text)) => match Stream::parse(text.clone(), &crate::repo::LIMITS) {
            Ok(stream) => {
                parsed = stream;
                (&kustomization.path, &parsed)
            }
            Err(_) => return Vec::new(),
        },
        (None, None) => return Vec::new(),
    };
    let values =
        (0..stream.documents()).filter_map(|document| Some((document, stream.root(document)?.value().ok()?)));
    values.map(|(document, value)| Patch::new(reference, path, document, value)).collect()
}

impl Patch {
    fn new(reference: &PatchReference, path: &str, document: usize, value: Value) -> Patch {
        let mut target = reference.target.clone();
        let has_target = target != PatchTarget::default();
        let body = match value {
            Value::Array(steps) => PatchBody::Json(steps),
            merge => {
                if !has_target {
                    let own =
                        |pointer: &str| merge.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
                    (target.kind, target.name) = (own("/kind"), own("/metadata/name"));
                }
                PatchBody::Merge(merge)
            }
        };
        Patch {
            path: path.to_owned(),
            document,
            list: reference.list,
            index: reference.index,
            is_inline: reference.file.is_none(),
            selector: Selector::new(&target),
            target,
            body,
            has_target,
        }
    }
}
