//! The workloads of a repo as network policies see them: namespaces, labels, ports, and the least selector of each.
//!
//! Knows nothing of who talks to whom.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use serde_json::Value;

use super::{ContainerPort, Member, Protocol, Space};
use crate::model::{Layout, Model, Object, Passage, Pod, pods};
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
    /// One for each namespace that an object lands in; several in one namespace where builds make different pods of it.
    pub(super) list: Vec<Member>,
    /// ConfigMaps that the pods of an object take as a whole, by its file and place.
    pub(super) maps_taken: HashMap<(usize, usize), Vec<String>>,
}

/// What one object tells of its members.
struct OfObject {
    members: Vec<Member>,
    /// What their selectors may be made of; the best first.
    sources: Vec<Labels>,
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
    for OfObject { members: own, sources: of_own, maps_taken } in read {
        if let (Some(first), false) = (own.first(), maps_taken.is_empty()) {
            members.maps_taken.insert((first.file, first.object), maps_taken);
        }
        members.list.extend(own);
        sources.resize(members.list.len(), of_own);
    }
    choose_selectors(&mut members.list, sources);
    members
}

fn of_object(model: &Model<'_>, idx: usize, object: &Object) -> Option<OfObject> {
    let layout = object.layout.as_ref()?;
    let value = model.value(object)?;
    let mut members: Vec<Member> = Vec::new();
    for (space, way) in landings(model, object) {
        let made = model.builds.at_end(&way, &object.id, &value);
        let Some(member) = member(object.file, idx, object, &made, space, &way) else { continue };
        match members.iter_mut().find(|known| is_alike(known, &member)) {
            Some(known) => known.ways.push(way),
            None => members.push(member),
        }
    }
    if members.is_empty() {
        return None;
    }
    let sources = selector_sources(layout, &value, &members);
    let is_labelled = sources.iter().take(2).any(|labels| !stable(labels).is_empty());
    members.iter_mut().for_each(|member| member.is_labelled = is_labelled);
    let own_pods = if let Layout::PodSpec { .. } = layout { pods(layout, &value) } else { Vec::new() };
    let taken = own_pods.iter().flat_map(|pod| maps_taken(&pod.spec));
    Some(OfObject { maps_taken: taken.map(str::to_owned).collect(), members, sources })
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

/// What the pods of an object are that a build has made; nothing when nobody sees their containers.
fn member(
    file: usize,
    idx: usize,
    object: &Object,
    made: &Value,
    space: Space,
    way: &Passage,
) -> Option<Member> {
    let layout = object.layout.as_ref()?;
    let pods = pods(layout, made);
    if !pods.iter().any(|pod| pod.has_containers) {
        return None;
    }
    let name = made["metadata"]["name"].as_str().unwrap_or(&object.id.name).to_owned();
    // Controllers that make several kinds of pods of an object label them as they like.
    let mut labels = match layout {
        Layout::PodSpec { .. } => labels(made, &pods[0]),
        _ => Labels::new(),
    };
    // <https://kubernetes.io/docs/reference/labels-annotations-taints/#batch-kubernetes-io-job-name>
    if is_named_job(object) {
        for key in JOB_NAMES {
            labels.insert((*key).to_owned(), name.clone());
        }
    }
    Some(Member {
        file,
        object: idx,
        id: object.id.clone(),
        name,
        space,
        ways: vec![way.clone()],
        labels,
        is_labelled: false,
        selector: Labels::new(),
        ports: pods.iter().flat_map(ports).collect(),
        host_network: pods.iter().all(|pod| pod.spec["hostNetwork"] == true),
    })
}

/// Labels that the Job controller puts on every pod of a Job.
const JOB_NAMES: &[&str] = &["batch.kubernetes.io/job-name", "job-name"];

fn is_named_job(object: &Object) -> bool {
    &*object.id.kind == "Job" && object.id.group() == "batch" && !object.id.name.contains('*')
}

/// Whether policies and Services cannot tell two members of one object apart.
fn is_alike(a: &Member, b: &Member) -> bool {
    (&a.space, &a.name, &a.labels, &a.ports, a.host_network)
        == (&b.space, &b.name, &b.labels, &b.ports, b.host_network)
}

/// Labels that a selector in the object's own file may be made of, the best first: what the file says itself, before
/// what all builds that take it add.
fn selector_sources(layout: &Layout, value: &Value, members: &[Member]) -> Vec<Labels> {
    let (Layout::PodSpec { .. }, Some(first)) = (layout, members.first()) else { return Vec::new() };
    let pods = pods(layout, value);
    let labels = pods.first().map(|pod| labels(value, pod)).unwrap_or_default();
    let mut common = first.labels.clone();
    for member in members {
        common.retain(|key, value| member.labels.get(key) == Some(value));
    }
    let job_name = |labels: &Labels| -> Labels {
        labels.iter().filter(|(key, _)| *key == "job-name").map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    // A build may add labels to both; what the file has decides.
    let own = selector_of(layout, value).filter(|selector| covers(selector, &labels)).unwrap_or_default();
    let of_job = job_name(&common);
    common.retain(|key, _| !JOB_NAMES.contains(&key.as_str()));
    vec![own, labels, of_job, common]
}

/// Where an object lands, and the way through the builds that takes it there.
pub(crate) fn landings(model: &Model<'_>, object: &Object) -> Vec<(Space, Passage)> {
    let ways = model.builds.ways(&model.file(object).path);
    let own = object.id.namespace.as_deref();
    let mut landings = Vec::new();
    for space in spaces(model, object) {
        let ends_here = |way: &&Passage| match &space {
            Space::Named(name) => way.namespace.as_deref().or(own) == Some(name),
            Space::Unnamed(build) => way.namespace.is_none() && own.is_none() && way.build == *build,
        };
        let mut fitting: Vec<&Passage> = ways.iter().filter(ends_here).collect();
        if fitting.is_empty() {
            // Something beside the kustomizations gives the namespace.
            fitting = ways.iter().collect();
        }
        if fitting.is_empty() {
            landings.push((space, Passage::default()));
        } else {
            landings.extend(fitting.into_iter().map(|way| (space.clone(), way.clone())));
        }
    }
    landings
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
    let Some(kustomization) = model.builds.kustomization(folder) else {
        return if model.is_of_default(folder) { vec![Space::Named("default".to_owned())] } else { own() };
    };
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

/// Takes the first source with labels that stay, and leaves the others out, unless nothing else tells a member from its
/// neighbours.
fn choose_selectors(members: &mut [Member], sources: Vec<Vec<Labels>>) {
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
        let choose = |(idx, sources): (usize, Vec<Labels>)| {
            let mut with_labels = sources.iter().filter(|source| !source.is_empty());
            let best = with_labels.clone().find(|source| !stable(source).is_empty());
            let Some(source) = best.or_else(|| with_labels.next()) else { return Labels::new() };
            let stable = stable(source);
            let loses = stable.is_empty() || selects(idx, &stable) > selects(idx, source);
            if loses { source.clone() } else { stable }
        };
        sources.into_iter().enumerate().map(choose).collect()
    };
    for (member, selector) in members.iter_mut().zip(chosen) {
        member.selector = selector;
    }
}

/// Labels without those that change.
fn stable(labels: &Labels) -> Labels {
    let stays = |key: &str| !VOLATILE.contains(&key);
    labels.iter().filter(|(key, _)| stays(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Whether a `matchLabels` selects pods with these labels.
pub(super) fn covers(selector: &Labels, labels: &Labels) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}
