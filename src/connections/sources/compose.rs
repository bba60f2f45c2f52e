//! What a compose file beside the manifests says of the same workloads.
//!
//! <https://github.com/compose-spec/compose-spec/blob/main/05-services.md#depends_on>

use std::collections::BTreeMap;

use super::super::found::Found;
use super::super::resolve::{declared, exposed_only};
use super::super::scene::Scene;
use super::super::{Certainty, Evidence, MemberId, Peer, Port};
use crate::yaml::{Kind, Node};

pub(super) fn read(scene: &Scene<'_>, found: &mut Found) {
    if scene.model.repo().compose.is_empty() {
        return;
    }
    let mut by_name: BTreeMap<&str, Vec<MemberId>> = BTreeMap::new();
    for id in scene.ids() {
        by_name.entry(&scene.member(id).id.name).or_default().push(id);
    }
    // What manifests say themselves is better; what only this says may not be all.
    let stated = |found: &Found, from, to| found.has_pair(&Peer::Member(from), &Peer::Member(to));
    let mut wanted: BTreeMap<(MemberId, MemberId), Evidence> = BTreeMap::new();
    for file in &scene.model.repo().compose {
        let services =
            (0..file.stream.documents()).filter_map(|document| file.stream.root(document)?.get("services"));
        for (name, service) in services.flat_map(Node::entries) {
            let Some(client) = name.as_str() else { continue };
            for (target, node) in needed(service) {
                let line = file.stream.position(node.range().start).line;
                let words = format!("the compose file says that {client} needs {target}");
                let evidence = Evidence { path: file.path.clone(), line, words };
                for id in by_name.get(&*client).into_iter().flatten() {
                    for other in by_name.get(target.as_str()).into_iter().flatten() {
                        let same_space = scene.member(*id).space == scene.member(*other).space;
                        if id != other && same_space && !stated(found, *id, *other) {
                            wanted.entry((*id, *other)).or_insert_with(|| evidence.clone());
                        }
                    }
                }
            }
        }
    }
    for ((from, _), evidence) in &wanted {
        if !found.opens(&Peer::Member(*from)) {
            let reason = "only a compose file says what it needs, which need not be all".to_owned();
            found.unresolved(*from, reason, evidence.clone());
        }
    }
    for ((from, to), evidence) in wanted {
        join(scene, from, to, &evidence, found);
    }
}

/// Names behind `depends_on` and `links`.
fn needed(service: Node<'_>) -> Vec<(String, Node<'_>)> {
    let mut names = Vec::new();
    for key in ["depends_on", "links"] {
        let Some(node) = service.get(key) else { continue };
        if node.kind() == Kind::Mapping {
            names.extend(node.entries().filter_map(|(key, _)| Some((key.as_str()?.into_owned(), key))));
        } else {
            names.extend(node.items().filter_map(|item| {
                let text = item.as_str()?;
                Some((text.split(':').next().unwrap_or_default().to_owned(), item))
            }));
        }
    }
    names
}

fn join(scene: &Scene<'_>, from: MemberId, to: MemberId, evidence: &Evidence, found: &mut Found) {
    // The ports that clients use are those of the Services in front of it.
    let services = scene.services.iter().filter(|service| service.targets.contains(&to));
    let mut ports: Vec<Port> =
        services.flat_map(|service| service.ports_on(Some(scene.member(to)), None)).flatten().collect();
    if ports.is_empty() {
        ports = declared(scene, to);
    }
    ports.sort();
    ports.dedup();
    if !ports.is_empty() {
        let mut why = "the compose file may describe another arrangement than the manifests".to_owned();
        if let Some((_, exposed)) = scene.exposed.get(&to).and_then(|exposed| exposed.first()) {
            why = format!("{why}, and {}", exposed_only(exposed));
        }
        found.add(&Peer::Member(from), &Peer::Member(to), &ports, None, &Certainty::Likely(why), evidence);
    }
}
