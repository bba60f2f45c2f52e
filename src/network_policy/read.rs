//! Makes a [`Cluster`] of a repo: the workloads that connections are about, and the policies of every namespace that
//! a build puts them in.
//!
//! Reads the model only. A policy is taken as each build makes it, with its patches and labels.

mod dialects;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::admin::{self, Unread};
use super::cluster::{Cluster, Foreign, Namespace, Note, Workload};
use super::foreign::{self, Reach};
use super::policy::{Api, NetworkPolicySpec, Order, Place, Policy, Refused, Tier};
use super::selector::{Labels, Selector};
use crate::connections::{Connections, Space};
use crate::model::{Model, Object, ObjectId};
use crate::repo;
use crate::yaml::LineIndex;

impl Cluster {
    /// What the manifests of a repo come to. The workloads are the members of `connections`, by the same index.
    pub fn read(model: &Model<'_>, connections: &Connections) -> Cluster {
        let mut cluster = Cluster::default();
        let mut lines = Lines { model, index: BTreeMap::new() };
        for member in &connections.members {
            let object = &model.objects_of(member.file)[member.object];
            cluster.workloads.push(Workload {
                kind: member.id.kind.to_string(),
                name: member.name.clone(),
                space: member.space.clone(),
                labels: member.labels.clone(),
                ports: member.ports.clone(),
                host_network: member.host_network,
                place: lines.place(object, ""),
            });
        }
        for object in model.objects() {
            match (object.id.group(), &*object.id.kind) {
                ("", "Namespace") => read_namespace(model, object, &mut cluster),
                ("networking.k8s.io", "NetworkPolicy") => {
                    read_policy(model, object, &mut lines, &mut cluster)
                }
                ("extensions", "NetworkPolicy") => cluster.notes.push(Note {
                    place: lines.place(object, ""),
                    message: format!(
                        "{} is not counted: `extensions/v1beta1` has no NetworkPolicy since Kubernetes 1.16",
                        object.id
                    ),
                }),
                ("policy.networking.k8s.io", "AdminNetworkPolicy" | "BaselineAdminNetworkPolicy") => {
                    read_admin(model, object, &mut lines, &mut cluster);
                }
                _ => match dialects::api(&object.id) {
                    Some(api) => dialects::read(model, connections, object, api, &mut lines, &mut cluster),
                    None => read_foreign(model, connections, object, &mut lines, &mut cluster),
                },
            }
        }
        // Policies of Calico that have one order are asked by their names.
        cluster.policies.sort_by(|a, b| {
            let name = |policy: &Policy| match policy.api {
                Api::Calico | Api::CalicoGlobal => policy.name.clone(),
                _ => String::new(),
            };
            (a.tier, a.order, name(a), &a.place, &a.namespace).cmp(&(
                b.tier,
                b.order,
                name(b),
                &b.place,
                &b.namespace,
            ))
        });
        join_twins(&mut cluster);
        same_priorities(&mut cluster);
        cluster.foreign.sort();
        cluster.foreign.dedup();
        cluster.notes.sort();
        cluster.notes.dedup();
        cluster
    }
}

/// Finds lines; counts those of a file once.
struct Lines<'m> {
    model: &'m Model<'m>,
    index: BTreeMap<usize, LineIndex<'m>>,
}

impl<'m> Lines<'m> {
    fn place(&mut self, object: &Object, pointer: &str) -> Place {
        Place { path: self.model.file(object).path.clone(), line: self.line(object, pointer) }
    }

    /// The line of a pointer of an object, or of the deepest value on the way to it.
    fn line(&mut self, object: &Object, pointer: &str) -> usize {
        let stream = &self.model.file(object).stream;
        let index = self.index.entry(object.file).or_insert_with(|| LineIndex::new(stream.text()));
        let Some(mut node) = stream.root(object.document).and_then(|root| root.at(&object.pointer)) else {
            return 1;
        };
        for token in pointer.split('/').skip(1) {
            match node.at(&format!("/{token}")) {
                Some(inner) => node = inner,
                None => break,
            }
        }
        index.position(node.range().start).line
    }
}

fn read_namespace(model: &Model<'_>, object: &Object, cluster: &mut Cluster) {
    let Some(value) = model.value(object) else { return };
    let path = &model.file(object).path;
    let own = ObjectId { namespace: Some(object.id.name.clone()), ..object.id.clone() };
    for name in model.namespaces_at(path, &own) {
        let mut labels: Labels = string_map(&value["metadata"]["labels"]);
        for way in model.builds.ways(path) {
            if way.namespace.as_deref().unwrap_or(&object.id.name) == name {
                let made = model.builds.at_end(&way, &object.id, &value);
                labels.extend(string_map(&made["metadata"]["labels"]));
            }
        }
        let known = cluster.namespaces.entry(Space::Named(name.clone())).or_default();
        // One that several manifests define has what any of them says.
        known.labels.extend(labels);
        *known = Namespace::defined(&name, std::mem::take(&mut known.labels));
    }
}

fn string_map(value: &Value) -> Labels {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn read_policy<'m>(model: &'m Model<'m>, object: &Object, lines: &mut Lines<'m>, cluster: &mut Cluster) {
    let place = lines.place(object, "");
    let Some(value) = model.value(object) else {
        let message = format!("{} is not counted: its value cannot be read", object.id);
        return cluster.notes.push(Note { place, message });
    };
    let mut left_out: BTreeSet<&str> = BTreeSet::new();
    for (space, way) in crate::connections::landings(model, object) {
        let patches = model.builds.patches_along(&way, &object.id).into_iter();
        let unsure = patches.filter(|(patch, is_sure)| {
            !is_sure && patch.target.kind.as_deref().is_some_and(|kind| kind == "NetworkPolicy")
        });
        left_out.extend(unsure.map(|(patch, _)| patch.path.as_str()));
        let made = model.builds.at_end(&way, &object.id, &value);
        let spec = {
            let cell = std::cell::RefCell::new(&mut *lines);
            NetworkPolicySpec::read(&made, &|pointer| cell.borrow_mut().line(object, pointer))
        };
        let spec = match spec {
            Ok(spec) => spec,
            Err(refused) => {
                cluster.notes.push(refusal(object, &refused, lines));
                continue;
            }
        };
        for space in spaces(space, &spec.pods, cluster) {
            let name = made["metadata"]["name"].as_str().unwrap_or(&object.id.name).to_owned();
            cluster.policies.push(Policy::core(name, space, place.clone(), spec.clone()));
        }
    }
    for patch in left_out {
        let message = format!("{} is judged without a patch in {patch}: its target is a pattern", object.id);
        cluster.notes.push(Note { place: place.clone(), message });
    }
}

/// The namespaces that a policy is put in. One that nothing tells is that of the workloads around it: what names no
/// namespace and no build joins is applied together, whichever folders it is sorted into.
fn spaces(own: Space, pods: &Selector, cluster: &Cluster) -> Vec<Space> {
    let Space::Unnamed(at) = &own else { return vec![own] };
    if repo::is_kustomization_name(at) {
        return vec![own];
    }
    let folder_of = |space: &Space| match space {
        Space::Unnamed(at) if repo::is_kustomization_name(at) => Some(repo::folder(at).to_owned()),
        Space::Unnamed(at) => Some(at.clone()),
        Space::Named(_) => None,
    };
    let parent = |at: &str| (!at.is_empty()).then(|| repo::folder(at).to_owned());
    let tiers: [&dyn Fn(&Space) -> bool; 5] = [
        &|space| folder_of(space).as_ref() == Some(at),
        &|space| folder_of(space).and_then(|of| parent(&of)).as_ref() == Some(at),
        &|space| parent(at).is_some() && folder_of(space) == parent(at),
        &|space| parent(at).is_some() && folder_of(space).and_then(|of| parent(&of)) == parent(at),
        &|space| space.name() == Some("default"),
    ];
    for tier in tiers {
        let inside = cluster.workloads.iter().filter(|workload| tier(&workload.space));
        let selected: BTreeSet<&Space> = inside
            .filter(|workload| pods.matches(&workload.labels))
            .map(|workload| &workload.space)
            .collect();
        if !selected.is_empty() {
            return selected.into_iter().cloned().collect();
        }
    }
    vec![own]
}

fn refusal(object: &Object, refused: &Refused, lines: &mut Lines<'_>) -> Note {
    Note {
        place: lines.place(object, &refused.pointer),
        message: format!("{} is not counted, the API server refuses it: {refused}", object.id),
    }
}

fn read_admin<'m>(model: &'m Model<'m>, object: &Object, lines: &mut Lines<'m>, cluster: &mut Cluster) {
    let place = lines.place(object, "");
    let Some(value) = model.value(object) else { return };
    let foreign = |reason: &str| Foreign {
        place: place.clone(),
        kind: object.id.kind.to_string(),
        name: object.id.name.to_string(),
        space: None,
        reason: reason.to_owned(),
    };
    if &*object.id.api_version != "policy.networking.k8s.io/v1alpha1" {
        return cluster.foreign.push(foreign("its version is not known here"));
    }
    let spec = {
        let cell = std::cell::RefCell::new(&mut *lines);
        let is_baseline = &*object.id.kind == "BaselineAdminNetworkPolicy";
        admin::read(&value, is_baseline, &|pointer| cell.borrow_mut().line(object, pointer))
    };
    match spec {
        Ok(spec) => cluster.policies.push(Policy {
            api: if spec.tier == Tier::Baseline { Api::Baseline } else { Api::Admin },
            tier: spec.tier,
            order: Order::FIRST,
            name: object.id.name.to_string(),
            namespace: None,
            place,
            subject: spec.subject,
            ingress: spec.ingress,
            egress: spec.egress,
            keeps_open: Vec::new(),
        }),
        Err(Unread::Beyond(reason)) => cluster.foreign.push(foreign(&reason)),
        Err(Unread::Refused(refused)) => cluster.notes.push(refusal(object, &refused, lines)),
    }
}

fn read_foreign<'m>(
    model: &'m Model<'m>,
    connections: &Connections,
    object: &Object,
    lines: &mut Lines<'m>,
    cluster: &mut Cluster,
) {
    if let Some((reach, what)) = foreign::recognized(&object.id) {
        name_foreign(model, connections, object, reach, &format!("{what} is not judged"), lines, cluster);
    }
}

fn name_foreign<'m>(
    model: &'m Model<'m>,
    connections: &Connections,
    object: &Object,
    reach: Reach,
    reason: &str,
    lines: &mut Lines<'m>,
    cluster: &mut Cluster,
) {
    let spaces = match reach {
        Reach::Cluster => vec![None],
        Reach::Namespace => {
            let spaces = crate::connections::spaces(model, object).into_iter();
            let has_members = |space: &Space| connections.members.iter().any(|member| member.space == *space);
            spaces.filter(has_members).map(Some).collect()
        }
    };
    for space in spaces {
        cluster.foreign.push(Foreign {
            place: lines.place(object, ""),
            kind: object.id.kind.to_string(),
            name: object.id.name.to_string(),
            space,
            reason: reason.to_owned(),
        });
    }
}

/// One name in one namespace is one policy. Where files agree on it, it is there once; where they do not, all count
/// and that is said.
fn join_twins(cluster: &mut Cluster) {
    let mut kept: Vec<Policy> = Vec::new();
    let mut by_name: BTreeMap<(Api, Option<Space>, String), usize> = BTreeMap::new();
    for policy in std::mem::take(&mut cluster.policies) {
        let key = (policy.api, policy.namespace.clone(), policy.name.clone());
        let Some(first) = by_name.get(&key).map(|idx| &kept[*idx]) else {
            by_name.insert(key, kept.len());
            kept.push(policy);
            continue;
        };
        if !first.says_the_same(&policy) && first.place == policy.place {
            // Builds make it differently, each for pods of its own, or it has several parts.
            kept.push(policy);
        } else if !first.says_the_same(&policy) {
            let message = format!("{policy} is also, and otherwise, at {}: both are counted", first.place);
            cluster.notes.push(Note { place: policy.place.clone(), message });
            kept.push(policy);
        }
    }
    cluster.policies = kept;
}

fn same_priorities(cluster: &mut Cluster) {
    let mut seen: BTreeMap<Tier, &Policy> = BTreeMap::new();
    for policy in cluster.policies.iter().filter(|policy| matches!(policy.tier, Tier::Admin { .. })) {
        if let Some(first) = seen.insert(policy.tier, policy) {
            let message = format!(
                "{policy} has the priority of the one at {}: which is asked first is not defined",
                first.place
            );
            cluster.notes.push(Note { place: policy.place.clone(), message });
        }
    }
}

#[cfg(test)]
mod tests;
