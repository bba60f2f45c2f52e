//! Kubernetes as the repo describes it: objects, the pods they make, which files a build joins, which accounts
//! are bound. Read once, then shared by all rules.
//!
//! Knows nothing of rules, findings or edits.

mod accounts;
mod builds;
pub mod charts;
mod image;
mod key_order;
mod object;
pub mod references;
pub(crate) mod strategic_merge;
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rayon::prelude::*;
use serde_json::Value;

pub use self::accounts::Accounts;
pub use self::builds::{Builds, Passage, Patch, PatchBody, Stage, Step, Trace, labels_pods_of};
pub use self::image::Image;
pub use self::key_order::KubernetesOrder;
pub use self::object::ObjectId;
pub use self::workload::{Container, Fields, Layout, Pod, Role, layout, pod_spec_pointer, pods};
use crate::config::CustomWorkload;
use crate::repo::{Content, File, Kustomization, Repo, Skip, SkipReason, folder};
use crate::yaml::{Kind, Node};

/// The objects of a repo and what joins them.
#[derive(Debug)]
pub struct Model<'r> {
    repo: &'r Repo,
    objects: Vec<Object>,
    /// Range of `objects` for each file.
    by_file: Vec<Range<usize>>,
    pub builds: Builds,
    /// The ways of workloads through builds, ordered by object.
    traces: Vec<Trace>,
    /// What the repo builds itself, and other reasons why an image is not pulled.
    pub builders: references::Builders,
    pub accounts: Accounts,
    /// Objects and files that are not judged as they stand.
    pub skipped: Vec<Skip>,
    /// Folders with an object that names namespace `default`.
    of_default: BTreeSet<String>,
}

/// Where an object is, and what it is.
#[derive(Debug, Clone)]
pub struct Object {
    pub file: usize,
    pub document: usize,
    /// Its pointer in the document: empty, or that of a list's item.
    pub pointer: Box<str>,
    pub id: ObjectId,
    pub layout: Option<Layout>,
}

impl<'r> Model<'r> {
    pub fn new(repo: &'r Repo, custom: &[CustomWorkload]) -> Model<'r> {
        let facts: Vec<FileFacts> =
            repo.files.par_iter().enumerate().map(|(idx, file)| FileFacts::read(idx, file, custom)).collect();
        let mut model = Model {
            repo,
            objects: Vec::with_capacity(facts.iter().map(|facts| facts.objects.len()).sum()),
            by_file: Vec::with_capacity(facts.len()),
            builds: Builds::default(),
            traces: Vec::new(),
            builders: references::Builders::new(repo),
            accounts: Accounts::default(),
            skipped: Vec::new(),
            of_default: BTreeSet::new(),
        };
        let mut kustomizations = Vec::new();
        let mut entries = Vec::new();
        for facts in facts {
            let start = model.objects.len();
            model.objects.extend(facts.objects);
            model.by_file.push(start..model.objects.len());
            model.accounts.extend(facts.accounts);
            model.skipped.extend(facts.skipped);
            kustomizations.extend(facts.kustomization);
            entries.extend(facts.entries);
        }
        model.builds = Builds::new(repo, kustomizations, &entries);
        model.skip_partial_objects();
        model.traces = model.builds.traces(&model);
        let of_default = model.objects().filter(|object| object.id.namespace.as_deref() == Some("default"));
        model.of_default = of_default.map(|object| folder(&model.file(object).path).to_owned()).collect();
        model
    }

    /// The ways of a workload through the builds that end with it: none for one that is applied as it stands.
    pub fn traces(&self, object: &Object) -> &[Trace] {
        let place = |trace: &Trace| {
            let traced = &self.objects[trace.object];
            (traced.file, traced.document, &traced.pointer).cmp(&(
                object.file,
                object.document,
                &object.pointer,
            ))
        };
        let from = self.traces.partition_point(|trace| place(trace).is_lt());
        let to = self.traces.partition_point(|trace| place(trace).is_le());
        &self.traces[from..to]
    }

    /// The ways of all objects through the kustomization of a folder, with the object; `None` where there is none.
    pub fn traces_through(&self, folder: &str) -> Option<Vec<(&Object, Trace)>> {
        let traces = self.builds.traces_of(folder, self)?;
        Some(traces.into_iter().map(|trace| (&self.objects[trace.object], trace)).collect())
    }

    /// All ways of workloads through builds, with the workload.
    pub fn all_traces(&self) -> impl Iterator<Item = (&Object, &Trace)> {
        self.traces.iter().map(|trace| (&self.objects[trace.object], trace))
    }

    /// Takes out the objects of files that a kustomization applies as patches, and of context-only files.
    fn skip_partial_objects(&mut self) {
        let mut by_path: BTreeMap<String, Vec<Skip>> = BTreeMap::new();
        for skip in std::mem::take(&mut self.skipped) {
            by_path.entry(skip.path.clone()).or_default().push(skip);
        }
        for (idx, file) in self.repo.files.iter().enumerate() {
            let range = self.by_file[idx].clone();
            let reason = match self.builds.partial(&file.path) {
                Some(by) => Some(format!("a patch of {by}")),
                None if file.context_only => None,
                None => continue,
            };
            // Said once for the file, not for each of its incomplete objects.
            let named = by_path.remove(&file.path);
            if let (Some(detail), false) = (reason, file.context_only || range.is_empty() && named.is_none())
            {
                self.skipped.push(Skip {
                    path: file.path.clone(),
                    line: None,
                    column: None,
                    reason: SkipReason::PartialObject,
                    detail,
                });
            }
            self.by_file[idx] = range.start..range.start;
        }
        self.skipped.extend(by_path.into_values().flatten());
        self.skipped.sort();
    }

    pub fn repo(&self) -> &'r Repo {
        self.repo
    }

    pub fn file(&self, object: &Object) -> &'r File {
        &self.repo.files[object.file]
    }

    /// The objects of a file that can be judged.
    pub fn objects_of(&self, file: usize) -> &[Object] {
        &self.objects[self.by_file[file].clone()]
    }

    /// All objects that can be judged, ordered by file.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.by_file.iter().flat_map(|range| &self.objects[range.clone()])
    }

    /// Where the object stands.
    pub fn node(&self, object: &Object) -> Option<Node<'r>> {
        self.file(object).stream.root(object.document)?.at(&object.pointer)
    }

    /// The object's value; `None` when an alias makes it too large or endless.
    pub fn value(&self, object: &Object) -> Option<Value> {
        self.node(object)?.value().ok()
    }

    /// The value of a part of the object, where the rest is long and of no interest.
    pub fn part(&self, object: &Object, pointer: &str) -> Option<Value> {
        self.node(object)?.at(pointer)?.value().ok()
    }

    /// Namespaces the object lands in: its own, or those of the builds that use its file. An object without a
    /// known namespace gives an empty list.
    pub fn namespaces(&self, object: &Object) -> Vec<String> {
        self.builds.namespaces(&self.file(object).path, object.id.namespace.as_deref())
    }

    /// Whether objects of a folder that name no namespace, and that no build takes, are of `default`: that is where they
    /// are applied along with those beside them that say so.
    pub fn is_of_default(&self, folder: &str) -> bool {
        self.of_default.contains(folder)
    }

    /// The same for an object known by its file and name only.
    pub fn namespaces_at(&self, path: &str, id: &ObjectId) -> Vec<String> {
        self.builds.namespaces(path, id.namespace.as_deref())
    }

    /// The line an object starts on.
    pub fn line(&self, object: &Object) -> usize {
        let stream = &self.file(object).stream;
        self.node(object).map_or(1, |node| stream.position(node.range().start).line)
    }
}

/// What one file alone tells.
struct FileFacts {
    objects: Vec<Object>,
    accounts: Accounts,
    kustomization: Option<Kustomization>,
    entries: Vec<builds::EntryPoint>,
    skipped: Vec<Skip>,
}

impl FileFacts {
    fn read(idx: usize, file: &File, custom: &[CustomWorkload]) -> FileFacts {
        let mut facts = FileFacts {
            objects: Vec::new(),
            accounts: Accounts::default(),
            kustomization: Kustomization::read(&file.path, &file.stream),
            entries: Vec::new(),
            skipped: Vec::new(),
        };
        if facts.kustomization.is_some() || file.content != Content::Objects {
            return facts;
        }
        for document in 0..file.stream.documents() {
            let Some(root) = file.stream.root(document) else { continue };
            for (pointer, id) in object::objects(root) {
                let layout = workload::layout(&id, custom);
                let object = Object { file: idx, document, pointer: pointer.into(), id, layout };
                facts.take(file, object);
            }
        }
        facts
    }

    fn take(&mut self, file: &File, object: Object) {
        let node = file.stream.root(object.document).and_then(|root| root.at(&object.pointer));
        if let (Some(node), Some(spec)) = (node, object.layout.as_ref().and_then(workload::pod_spec_pointer))
            && let Some(reason) = not_whole(node, spec, &object)
        {
            if let Some(detail) = reason {
                let position = file.stream.position(node.range().start);
                self.skipped.push(Skip {
                    path: file.path.clone(),
                    line: Some(position.line),
                    column: None,
                    reason: SkipReason::InvalidObject,
                    detail: format!("{} {detail}", object.id),
                });
            }
            return;
        }
        let needs_value = Accounts::reads(&object.id) || builds::EntryPoint::reads(&object.id);
        if needs_value && let Some(value) = node.and_then(|node| node.value().ok()) {
            self.accounts.read(&object.id, &value);
            self.entries.extend(builds::EntryPoint::read(&object.id, &value));
        }
        self.objects.push(object);
    }
}

/// Why an object of a workload kind is no whole workload; the inner `None` stands for "none of our business"
/// (a Rollout that refers to a Deployment).
fn not_whole(node: Node<'_>, spec: &str, object: &Object) -> Option<Option<&'static str>> {
    let Some(spec) = node.at(spec).filter(|spec| spec.kind() == Kind::Mapping) else {
        let refers = node.get("spec").is_some_and(|spec| spec.get("workloadRef").is_some());
        return Some((!refers).then_some("has no pod spec: it looks like a patch"));
    };
    let Some(containers) = spec.get("containers").filter(|list| list.kind() == Kind::Sequence) else {
        return Some(Some("has no containers: it looks like a patch"));
    };
    if containers.items().next().is_none() {
        return Some(Some("has no containers"));
    }
    // No patch is an item of a list or has a selector; a trigger fills in the images of a DeploymentConfig.
    let is_object = !object.pointer.is_empty()
        || node.get("spec").is_some_and(|spec| spec.get("selector").is_some())
        || &*object.id.kind == "DeploymentConfig";
    let complete = |container: Node<'_>| is_object || container.get("image").is_some();
    let init = spec.get("initContainers").filter(|list| list.kind() == Kind::Sequence);
    let mut all = containers.items().chain(init.into_iter().flat_map(|list| list.items()));
    if all.all(complete) {
        None
    } else {
        Some(Some("has a container without an image: it looks like a patch"))
    }
}
