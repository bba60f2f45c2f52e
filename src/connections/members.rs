//! The workloads of a repo as network policies see them: namespaces, labels, ports, and the least selector of each.
//!
//! Knows nothing of who talks to whom.

use std::collections::{BTreeMap, HashMap};

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

/// All workloads whose containers the repo shows, one for each namespace they land in.
pub(super) fn members(model: &Model<'_>) -> Vec<Member> {
    let mut members = Vec::new();
    // What the selector may be made of, beside each member.
    let mut sources: Vec<Labels> = Vec::new();
    for file in 0..model.repo().files.len() {
        for (idx, object) in model.objects_of(file).iter().enumerate() {
            let Some(layout) = object.layout.as_ref() else { continue };
            let Some(value) = model.value(object) else { continue };
            let pods = pods(layout, &value);
            if !pods.iter().any(|pod| pod.has_containers) {
                continue;
            }
            let labels = labels(&value, &pods[0]);
            let source = selector_of(layout, &value).unwrap_or_else(|| labels.clone());
            for space in spaces(model, object) {
                members.push(Member {
                    file,
                    object: idx,
                    id: object.id.clone(),
                    space,
                    labels: labels.clone(),
                    selector: Labels::new(),
                    ports: pods.iter().flat_map(ports).collect(),
                    host_network: pods.iter().all(|pod| pod.spec["hostNetwork"] == true),
                });
                sources.push(source.clone());
            }
        }
    }
    choose_selectors(&mut members, sources);
    members
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
