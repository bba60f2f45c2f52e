//! Which workloads land in which namespace, and what else there may make pods that nobody sees here.

use std::collections::{BTreeMap, BTreeSet};

use super::{NamespaceVerdict, WorkloadVerdict};
use crate::model::{Layout, Model, Object, ObjectId};
use crate::pss::Level;
use crate::repo::folder;
use crate::rules::Settings;

/// The namespaces of a repo.
pub(super) struct Members {
    pub(super) by_name: BTreeMap<String, Namespace>,
    /// Each Namespace manifest, with every name that it may have in the cluster.
    pub(super) manifests: Vec<(Object, BTreeSet<String>)>,
    /// Workloads that no namespace is known of: index of the verdict, and the file's folder.
    unplaced: Vec<(usize, String)>,
}

#[derive(Default)]
pub(super) struct Namespace {
    /// Its own manifests.
    pub(super) manifests: Vec<Object>,
    /// Indices of the verdicts of its workloads.
    pub(super) workloads: Vec<usize>,
    /// Objects that make pods out of sight: Helm releases, operators' resources.
    pub(super) opaque: BTreeSet<String>,
}

impl Members {
    pub(super) fn new(model: &Model<'_>, verdicts: &[WorkloadVerdict]) -> Members {
        let mut by_name: BTreeMap<String, Namespace> = BTreeMap::new();
        let mut unplaced = Vec::new();
        let mut manifests = Vec::new();
        for object in model.objects() {
            if &*object.id.kind == "Namespace"
                && &*object.id.api_version == "v1"
                && !object.id.name.is_empty()
            {
                let names = names_of(model, object);
                for name in &names {
                    by_name.entry(name.clone()).or_default().manifests.push(object.clone());
                }
                manifests.push((object.clone(), names));
            } else if !shows_containers(object) && may_make_pods(&object.id) {
                for namespace in model.namespaces(object) {
                    by_name
                        .entry(namespace)
                        .or_default()
                        .opaque
                        .insert(format!("{}/{}", object.id.kind, object.id.name));
                }
            }
        }
        for (idx, verdict) in verdicts.iter().enumerate() {
            for namespace in &verdict.namespaces {
                by_name.entry(namespace.clone()).or_default().workloads.push(idx);
            }
            if verdict.namespaces.is_empty() {
                unplaced.push((idx, folder(&model.repo().files[verdict.file].path).to_owned()));
            }
        }
        Members { by_name, manifests, unplaced }
    }

    /// Verdicts of the workloads that are in a namespace, or may be: those without one beside its manifest.
    pub(super) fn workloads(&self, model: &Model<'_>, namespace: &Namespace) -> Vec<usize> {
        let mut workloads = namespace.workloads.clone();
        for manifest in &namespace.manifests {
            let home = folder(&model.file(manifest).path);
            let beside = self.unplaced.iter().filter(|(_, at)| {
                at == home
                    || home.is_empty()
                    || at.strip_prefix(home).is_some_and(|rest| rest.starts_with('/'))
            });
            workloads.extend(beside.map(|(idx, _)| *idx));
        }
        workloads.sort_unstable();
        workloads.dedup();
        workloads
    }

    pub(super) fn verdicts(
        &self,
        model: &Model<'_>,
        settings: &Settings<'_>,
        verdicts: &[WorkloadVerdict],
    ) -> Vec<NamespaceVerdict> {
        let with_workloads = self.by_name.iter().filter(|(_, namespace)| !namespace.workloads.is_empty());
        with_workloads
            .map(|(name, namespace)| {
                let workloads = self.workloads(model, namespace);
                let lowest = |level: fn(&WorkloadVerdict) -> Level| {
                    workloads.iter().map(|idx| level(&verdicts[*idx])).min().unwrap_or(Level::Restricted)
                };
                let blocking = workloads.iter().filter(|idx| verdicts[**idx].after < settings.level);
                NamespaceVerdict {
                    name: name.clone(),
                    workloads: workloads.len(),
                    enforceable: lowest(|verdict| verdict.before),
                    after_fixes: lowest(|verdict| verdict.after),
                    blocking: blocking.map(|idx| subject(model, &verdicts[*idx])).collect(),
                }
            })
            .collect()
    }
}

/// Objects whose pods only the cluster sees, by namespace: Helm releases, operators' resources.
pub(in crate::rules) fn hidden_pods(model: &Model<'_>) -> BTreeMap<String, BTreeSet<String>> {
    let mut hidden: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for object in model.objects().filter(|object| !shows_containers(object) && may_make_pods(&object.id)) {
        let own = model.namespaces(object);
        let value = model.value(object);
        // Helm controllers, Flux and Argo CD deploy into another namespace where they are told to.
        let told = ["/spec/targetNamespace", "/spec/destination/namespace"]
            .iter()
            .filter_map(|pointer| value.as_ref()?.pointer(pointer)?.as_str().map(str::to_owned));
        for namespace in told.chain(own) {
            hidden.entry(namespace).or_default().insert(format!("{}/{}", object.id.kind, object.id.name));
        }
    }
    hidden
}

/// Its own name, and those that `namespace:` of kustomizations above it may give it: kustomize renames Namespaces.
fn names_of(model: &Model<'_>, manifest: &Object) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = model.namespaces(manifest).into_iter().collect();
    names.insert(manifest.id.name.to_string());
    names.extend(model.builds.given_namespaces(&model.file(manifest).path).map(str::to_owned));
    names
}

/// How messages name a workload.
pub(super) fn subject(model: &Model<'_>, verdict: &WorkloadVerdict) -> String {
    let id = &model.objects_of(verdict.file)[verdict.object].id;
    format!("{}/{}", id.kind, id.name)
}

/// Groups whose objects configure others and make no pods themselves.
const WITHOUT_PODS: &[&str] = &[
    "argoproj.io/AppProject",
    "bitnami.com",
    "cert-manager.io",
    "cilium.io",
    "crd.projectcalico.org",
    "external-secrets.io",
    "gateway.networking.k8s.io",
    "image.toolkit.fluxcd.io",
    "kustomize.config.k8s.io",
    "kyverno.io",
    "monitoring.coreos.com/PodMonitor",
    "monitoring.coreos.com/Probe",
    "monitoring.coreos.com/PrometheusRule",
    "monitoring.coreos.com/ServiceMonitor",
    "networking.istio.io",
    "notification.toolkit.fluxcd.io",
    "projectcalico.org",
    "route.openshift.io",
    "security.istio.io",
    "source.toolkit.fluxcd.io",
    "traefik.io",
];

/// Whether all of an object's pods can be judged by what it says itself.
fn shows_containers(object: &Object) -> bool {
    object.layout.as_ref().is_some_and(|layout| !matches!(layout, Layout::SecurityContextOnly { .. }))
}

/// Custom resources of unknown groups may: an operator turns them into pods that only the cluster sees.
fn may_make_pods(id: &ObjectId) -> bool {
    let group = id.group();
    let built_in = !group.contains('.') || group.ends_with(".k8s.io");
    let harmless = WITHOUT_PODS.iter().any(|known| match known.split_once('/') {
        Some((known, kind)) => group == known && *id.kind == *kind,
        None => group == *known || group.strip_suffix(known).is_some_and(|prefix| prefix.ends_with('.')),
    });
    !built_in && !harmless
}
