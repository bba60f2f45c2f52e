//! The way of each workload through the builds: which patches are applied to it, in which order, and what it is
//! called on the way.
//!
//! Follows kustomize: what a kustomization takes, then its components, then its own patches, namespace, prefix,
//! suffix and labels (`configureBuiltinTransformers` in
//! <https://github.com/kubernetes-sigs/kustomize/blob/master/api/internal/target/kusttarget_configplugin.go>).
//! What generators, transformers, replacements and charts do is not followed, but said.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::selector::Candidate;
use super::{Builds, Patch};
use crate::model::{Model, Object};
use crate::repo::{Kustomization, PatchList};

/// A way of a workload through a build.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Its index among the objects of the model.
    pub(in crate::model) object: usize,
    pub steps: Vec<Step>,
    /// The kustomizations it goes through, components included, as they are done with it: the build's own comes last.
    pub stages: Vec<Stage>,
    /// Whether something else than patches may change its fields too.
    pub is_rewritten: bool,
    /// What it is called in the end, and the namespace it has; `None`: nothing gives it one.
    pub name: String,
    pub namespace: Option<String>,
}

/// A patch that is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    kustomization: usize,
    patch: usize,
}

/// A kustomization that a workload goes through.
#[derive(Debug, Clone)]
pub struct Stage {
    kustomization: usize,
    /// How many steps are done when it has been through the kustomization's `patches`: what is added there comes next.
    pub patched: usize,
    /// What it is called then, and the namespace it has; `None`: its own, if any.
    pub name: String,
    pub namespace: Option<String>,
}

/// A workload on its way.
#[derive(Debug, Clone)]
struct Carried<'m> {
    trace: Trace,
    api_version: &'m str,
    kind: &'m str,
    /// Names and namespaces it has had, the present ones last.
    ids: Vec<(String, String)>,
    has_namespace: bool,
    labels: BTreeMap<String, String>,
}

/// What is looked up again and again.
struct Workloads<'m> {
    model: &'m Model<'m>,
    /// Indices of the workloads in the model, by path.
    by_path: HashMap<&'m str, Vec<usize>>,
    annotations: HashMap<usize, BTreeMap<String, String>>,
}

const DEFAULT_NAMESPACE: &str = "default";

impl Builds {
    /// The ways through all builds that no other build takes, or that Flux or Argo CD deploy; ordered by workload.
    pub(in crate::model) fn traces(&self, model: &Model<'_>) -> Vec<Trace> {
        if self.kustomizations.is_empty() {
            return Vec::new();
        }
        let workloads = Workloads::new(model, |object| object.layout.is_some());
        let is_top = |idx: usize| !self.taken.contains(&idx) || self.deployed.contains(&idx);
        let tops = (0..self.kustomizations.len()).filter(|idx| is_top(*idx));
        let tops = tops.filter(|idx| !self.kustomizations[*idx].component);
        let mut traces: Vec<Trace> = tops
            .flat_map(|top| self.built(top, Vec::new(), &workloads, &mut Vec::new()))
            .map(|carried| carried.trace)
            .collect();
        traces.sort_by_key(|trace| trace.object);
        traces
    }

    /// The ways of all objects, workloads or not, through the kustomization of a folder.
    pub(in crate::model) fn traces_of(&self, folder: &str, model: &Model<'_>) -> Option<Vec<Trace>> {
        let top = *self.by_folder.get(folder)?;
        let all = Workloads::new(model, |_| true);
        let built = self.built(top, Vec::new(), &all, &mut Vec::new());
        Some(built.into_iter().map(|carried| carried.trace).collect())
    }

    fn built<'w>(
        &self,
        idx: usize,
        mut carried: Vec<Carried<'w>>,
        workloads: &'w Workloads<'_>,
        open: &mut Vec<usize>,
    ) -> Vec<Carried<'w>> {
        // A cycle is no build.
        if open.contains(&idx) {
            return carried;
        }
        open.push(idx);
        let kustomization = &self.kustomizations[idx];
        for input in &kustomization.inputs {
            match self.by_folder.get(input) {
                Some(inner) if kustomization.components.contains(input) => {
                    carried = self.built(*inner, carried, workloads, open);
                }
                Some(inner) => carried.extend(self.built(*inner, Vec::new(), workloads, open)),
                None => carried.extend(workloads.of(input)),
            }
        }
        let none = BTreeMap::new();
        for workload in &mut carried {
            let annotations = workloads.annotations.get(&workload.trace.object);
            self.transform(idx, workload, annotations.unwrap_or(&none));
        }
        open.pop();
        carried
    }

    fn transform(&self, idx: usize, workload: &mut Carried<'_>, annotations: &BTreeMap<String, String>) {
        let by = &self.kustomizations[idx];
        self.patch(idx, workload, annotations, |patch| patch.list != PatchList::Json6902);
        let (name, namespace) = workload.id().clone();
        let stage = Stage {
            kustomization: idx,
            patched: workload.trace.steps.len(),
            name: name.clone(),
            namespace: workload.has_namespace.then(|| namespace.clone()),
        };
        let kind = workload.kind;
        let is_namespace = kind == "Namespace";
        if let Some(given) = by.namespace.as_ref().filter(|given| **given != namespace) {
            // Namespaces themselves are renamed.
            workload.ids.push((if is_namespace { given.clone() } else { name }, given.clone()));
        }
        workload.has_namespace |= by.namespace.is_some();
        let (name, namespace) = workload.id().clone();
        if let Some(renamed) = by.renamed(kind, &name) {
            workload.ids.push((renamed, namespace));
        }
        let labels = by.labels.iter().flat_map(|setting| &setting.pairs);
        workload.labels.extend(labels.map(|(key, value)| (key.clone(), value.clone())));
        self.patch(idx, workload, annotations, |patch| patch.list == PatchList::Json6902);
        workload.trace.is_rewritten |= by.rewrites;
        let (name, namespace) = workload.id().clone();
        workload.trace.namespace = (workload.has_namespace && !is_namespace).then_some(namespace);
        workload.trace.name = name;
        workload.trace.stages.push(stage);
    }

    fn patch(
        &self,
        idx: usize,
        workload: &mut Carried<'_>,
        annotations: &BTreeMap<String, String>,
        which: impl Fn(&Patch) -> bool,
    ) {
        for (patch_idx, patch) in self.patches[idx].iter().enumerate().filter(|(_, patch)| which(patch)) {
            let (first, current) = (&workload.ids[0], workload.id());
            let candidate = Candidate {
                api_version: workload.api_version,
                kind: workload.kind,
                names: [&first.0, &current.0],
                namespaces: [&first.1, &current.1],
                labels: &workload.labels,
                annotations,
            };
            if patch.picks(&candidate, &workload.ids) {
                workload.trace.steps.push(Step { kustomization: idx, patch: patch_idx });
            }
        }
    }

    /// The patches of kustomizations that are applied to an object which the first of them generates, and how many of
    /// them are done when it has been through that one's `patches`.
    pub(in crate::model) fn steps_of_generated(&self, chain: &[usize], object: &Value) -> (Vec<Step>, usize) {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let texts = |pointer: &str| -> BTreeMap<String, String> {
            let map = object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
            map.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
        };
        let (name, namespace) = (text("/metadata/name").unwrap_or_default(), text("/metadata/namespace"));
        let mut carried = Carried {
            trace: Trace::new(0, name, namespace),
            api_version: text("/apiVersion").unwrap_or_default(),
            kind: text("/kind").unwrap_or_default(),
            ids: vec![(name.to_owned(), namespace.unwrap_or(DEFAULT_NAMESPACE).to_owned())],
            has_namespace: namespace.is_some(),
            labels: texts("/metadata/labels"),
        };
        let annotations = texts("/metadata/annotations");
        for idx in chain {
            self.transform(*idx, &mut carried, &annotations);
        }
        let patched = carried.trace.stages.first().map_or(0, |stage| stage.patched);
        (carried.trace.steps, patched)
    }

    /// The kustomization of a stage.
    pub fn passed(&self, stage: &Stage) -> &Kustomization {
        &self.kustomizations[stage.kustomization]
    }

    /// The patch of a step.
    pub fn applied(&self, step: &Step) -> &Patch {
        &self.patches[step.kustomization][step.patch]
    }

    /// The kustomization that applies a step.
    pub fn applying(&self, step: &Step) -> &Kustomization {
        &self.kustomizations[step.kustomization]
    }

    /// What becomes of an object on its way, with the first `steps` of it; null when it is deleted.
    pub fn rendered(&self, trace: &Trace, steps: usize, object: &Value) -> Value {
        self.patched(&trace.steps[..steps.min(trace.steps.len())], object)
    }

    /// What these steps make of an object; null when one deletes it.
    pub fn patched(&self, steps: &[Step], object: &Value) -> Value {
        steps.iter().fold(object.clone(), |value, step| {
            if value.is_null() { value } else { self.applied(step).applied(&value) }
        })
    }
}

impl Trace {
    fn new(object: usize, name: &str, namespace: Option<&str>) -> Trace {
        Trace {
            object,
            steps: Vec::new(),
            stages: Vec::new(),
            is_rewritten: false,
            name: name.to_owned(),
            namespace: namespace.map(str::to_owned),
        }
    }

    /// The stage through the build's own kustomization.
    pub fn last(&self) -> &Stage {
        self.stages.last().expect("a workload is traced through at least one kustomization")
    }

    /// The stage through the kustomization that applies a step.
    pub fn through(&self, step: &Step) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.kustomization == step.kustomization)
    }
}

impl Carried<'_> {
    fn id(&self) -> &(String, String) {
        self.ids.last().expect("a workload has a name from the start")
    }
}

impl<'m> Workloads<'m> {
    fn new(model: &'m Model<'m>, which: impl Fn(&Object) -> bool) -> Workloads<'m> {
        let mut by_path: HashMap<&str, Vec<usize>> = HashMap::new();
        for range in &model.by_file {
            for idx in range.clone().filter(|idx| which(&model.objects[*idx])) {
                by_path.entry(model.file(&model.objects[idx]).path.as_str()).or_default().push(idx);
            }
        }
        Workloads { model, by_path, annotations: HashMap::new() }.with_annotations()
    }

    /// Few patches ask for annotations: they are read only then.
    fn with_annotations(mut self) -> Workloads<'m> {
        let asks = |patch: &Patch| patch.target.annotations.is_some();
        if self.model.builds.patches.iter().flatten().any(asks) {
            let idxs: Vec<usize> = self.by_path.values().flatten().copied().collect();
            let read = |idx: usize| (idx, self.metadata(&self.model.objects[idx], "annotations"));
            self.annotations = idxs.into_iter().map(read).collect();
        }
        self
    }

    /// The workloads of a file, as they set out.
    fn of<'w>(&'w self, path: &str) -> impl Iterator<Item = Carried<'w>> {
        let idxs = self.by_path.get(path).into_iter().flatten();
        idxs.map(|idx| {
            let object = &self.model.objects[*idx];
            let namespace = object.id.namespace.as_deref();
            Carried {
                trace: Trace::new(*idx, &object.id.name, namespace),
                api_version: &object.id.api_version,
                kind: &object.id.kind,
                ids: vec![(object.id.name.to_string(), namespace.unwrap_or(DEFAULT_NAMESPACE).to_owned())],
                has_namespace: namespace.is_some(),
                labels: self.metadata(object, "labels"),
            }
        })
    }

    fn metadata(&self, object: &Object, field: &str) -> BTreeMap<String, String> {
        let root = self.model.file(object).stream.root(object.document);
        let node = root.and_then(|root| root.at(&format!("{}/metadata/{field}", object.pointer)));
        let entries = node.into_iter().flat_map(|node| node.entries());
        entries
            .filter_map(|(key, value)| Some((key.as_str()?.into_owned(), value.as_str()?.into_owned())))
            .collect()
    }
}
