//! The workloads of a repo as network policies see them: namespaces, labels, ports, and the least selector of each.
//!
//! Knows nothing of who talks to whom.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use serde_json::Value;

use super::{ContainerPort, Member, Protocol, Space};
use crate::model::{Layout, Model, Object, Pod, pods};
use crate::repo::folder;

/// Labels that change with a release or that controllers add: a selector with one of them stops selecting.
/// <https://kubernetes.io/docs/reference/labels-annotations-taints/>, <https://helm.sh/docs/chart_best_practices/labels/>
const VOLATILE: &[&str] = &[
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "batch.kubernetes.io/controller-uid",
    "chart",
    "controller-revision-hash",
    "controller-uid",
    "helm.sh/chart",
    "heritage",
    "pod-template-generation",
    "pod-template-hash",
    "rollouts-pod-template-hash",
    "version",
];

type Labels = BTreeMap<String, String>;

/// Workloads whose containers the repo shows.
pub(super) struct Members {
    /// One for each namespace that an object lands in.
    pub(super) list: Vec<Member>,
    /// ConfigMaps that the pods of an object take as a whole, by its file and place.
    pub(super) maps_taken: HashMap<(usize, usize), Vec<String>>,
}

/// What one object tells of its members.
struct OfObject {
    members: Vec<Member>,
    /// What the selector may be made of.
    source: Labels,
    maps_taken: Vec<String>,
}

pub(super) fn members(model: &Model<'_>) -> Members {
    let files = (0..model.repo().files.len()).into_par_iter();
    let read: Vec<OfObject> = files
        .flat_map_iter(|file| {
            let objects = model.objects_of(file).iter().enumerate();
            objects.filter_map(move |(idx, object)| of_object(model, idx, object))
        })
        .collect();
    let mut members = Members { list: Vec::new(), maps_taken: HashMap::new() };
    let mut sources = Vec::new();
    for OfObject { members: own, source, maps_taken } in read {
        if let (Some(first), false) = (own.first(), maps_taken.is_empty()) {
            members.maps_taken.insert((first.file, first.object), maps_taken);
        }
        sources.extend(own.iter().map(|_| source.clone()));
        members.list.extend(own);
    }
    choose_selectors(&mut members.list, sources);
    members
}

fn of_object(model: &Model<'_>, idx: usize, object: &Object) -> Option<OfObject> {
    let layout = object.layout.as_ref()?;
    let value = model.value(object)?;
    let pods = pods(layout, &value);
    if !pods.iter().any(|pod| pod.has_containers) {
        return None;
    }
    // Controllers that make several kinds of pods of an object label them as they like.
    let is_plain = matches!(layout, Layout::PodSpec { .. });
    let labels = if is_plain { labels(&value, &pods[0]) } else { Labels::new() };
    // A build may add labels to both; what the file has decides.
    let own = selector_of(layout, &value).filter(|selector| covers(selector, &labels));
    let member = |space| Member {
        file: object.file,
        object: idx,
        id: object.id.clone(),
        space,
        labels: labels.clone(),
        selector: Labels::new(),
        ports: pods.iter().flat_map(ports).collect(),
        host_network: pods.iter().all(|pod| pod.spec["hostNetwork"] == true),
    };
    let taken = pods.iter().filter(|_| is_plain).flat_map(|pod| maps_taken(&pod.spec));
    Some(OfObject {
        members: spaces(model, object).into_iter().map(member).collect(),
        maps_taken: taken.map(str::to_owned).collect(),
        source: own.unwrap_or(labels),
    })
}

/// ConfigMaps that a pod takes as a whole.
fn maps_taken(spec: &Value) -> Vec<&str> {
    let mut names = Vec::new();
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array().into_iter().flatten() {
            let sources = container["envFrom"].as_array().into_iter().flatten();
            names.extend(sources.filter_map(|source| source["configMapRef"]["name"].as_str()));
        }
    }
    for volume in spec["volumes"].as_array().into_iter().flatten() {
        names.extend(volume["configMap"]["name"].as_str().filter(|_| volume["configMap"]["items"].is_null()));
    }
    names
}

/// The namespaces an object lands in.
pub(crate) fn spaces(model: &Model<'_>, object: &Object) -> Vec<Space> {
    let named = model.namespaces(object);
    if !named.is_empty() {
        return named.into_iter().map(Space::Named).collect();
    }
    let path = &model.file(object).path;
    let builds = model.builds.outermost(path);
    if builds.is_empty() {
        return beside(model, folder(path));
    }
    builds.into_iter().map(|build| Space::Unnamed(build.to_owned())).collect()
}

/// Where objects land that no build takes: with those of the kustomization beside them, if it names no namespace.
fn beside(model: &Model<'_>, folder: &str) -> Vec<Space> {
    let own = || vec![Space::Unnamed(folder.to_owned())];
    let Some(kustomization) = model.builds.kustomization(folder) else { return own() };
    if kustomization.component || model.builds.given_namespaces(&kustomization.path).next().is_some() {
        return own();
    }
    let builds = model.builds.outermost(&kustomization.path);
    if builds.is_empty() {
        own()
    } else {
        builds.into_iter().map(|build| Space::Unnamed(build.to_owned())).collect()
    }
}

fn labels(object: &Value, pod: &Pod<'_>) -> Labels {
    let labels = object.pointer(&pod.metadata).map(|metadata| &metadata["labels"]);
    labels.map(strings).unwrap_or_default()
}

pub(super) fn strings(map: &Value) -> Labels {
    let entries = map.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// The `matchLabels` of the object's own selector, where it has one of its own.
fn selector_of(layout: &Layout, object: &Value) -> Option<Labels> {
    let Layout::PodSpec { spec, .. } = layout else { return None };
    if spec == "/spec" {
        return None;
    }
    let selector = &object["spec"]["selector"];
    // ReplicationControllers and DeploymentConfigs have no `matchLabels` in between.
    let labels = match selector.get("matchLabels") {
        Some(labels) => strings(labels),
        None if selector.get("matchExpressions").is_none() => strings(selector),
        None => return None,
    };
    (!labels.is_empty()).then_some(labels)
}

fn ports(pod: &Pod<'_>) -> Vec<ContainerPort> {
    let lists = pod.containers.iter().filter_map(|container| container.value["ports"].as_array());
    let read = |port: &Value| {
        Some(ContainerPort {
            name: port["name"].as_str().map(str::to_owned),
            number: u16::try_from(port["containerPort"].as_u64()?).ok()?,
            protocol: Protocol::read(port["protocol"].as_str()),
        })
    };
    lists.flatten().filter_map(read).collect()
}

/// Leaves volatile labels out, unless nothing else tells a member from its neighbours.
fn choose_selectors(members: &mut [Member], sources: Vec<Labels>) {
    let chosen: Vec<Labels> = {
        let mut having: HashMap<(&Space, &str, &str), Vec<usize>> = HashMap::new();
        for (idx, member) in members.iter().enumerate() {
            for (key, value) in &member.labels {
                having.entry((&member.space, key, value)).or_default().push(idx);
            }
        }
        let selects = |idx: usize, selector: &Labels| {
            let space = &members[idx].space;
            let rarest = selector
                .iter()
                .map(|(key, value)| having.get(&(space, key.as_str(), value.as_str())))
                .min_by_key(|list| list.map_or(0, Vec::len))
                .flatten();
            let list = rarest.map(Vec::as_slice).unwrap_or_default().iter();
            list.filter(|other| covers(selector, &members[**other].labels)).count()
        };
        let choose = |(idx, source): (usize, Labels)| {
            let mut stable = source.clone();
            stable.retain(|key, _| !VOLATILE.contains(&key.as_str()));
            let loses = stable.is_empty() || selects(idx, &stable) > selects(idx, &source);
            if loses { source } else { stable }
        };
        sources.into_iter().enumerate().map(choose).collect()
    };
    for (member, selector) in members.iter_mut().zip(chosen) {
        member.selector = selector;
    }
}

/// Whether a `matchLabels` selects pods with these labels.
pub(super) fn covers(selector: &Labels, labels: &Labels) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}
