//! Addresses that workloads are given as text: environment variables, arguments, ConfigMaps.
//!
//! Of Secrets only the keys are looked at. What a patch of an overlay adds counts as well.

mod config_maps;
mod pieces;

use std::collections::{BTreeMap, BTreeSet};

pub(in crate::connections) use self::config_maps::ConfigMaps;
use self::pieces::{Piece, Pieces, Place};
use super::super::address::{Form, mentions};
use super::super::found::Found;
use super::super::resolve::{Outcome, resolve};
use super::super::scene::Scene;
use super::super::{Certainty, Evidence, MemberId, Peer, Port};
use super::Workload;

/// What a workload says, for all its members.
pub(super) fn of_workload(scene: &Scene<'_>, maps: &ConfigMaps, workload: &Workload<'_>, found: &mut Found) {
    let &Workload { object, members, value, ref pods, .. } = workload;
    let Some(layout) = &object.layout else { return };
    let first = members[0];
    let mut said: BTreeSet<(String, String)> = BTreeSet::new();
    let mut take = |pieces: Pieces, patch: Option<&str>| {
        for piece in pieces.texts {
            let is_new = said.insert((piece.words.clone(), piece.text.clone()));
            if patch.is_none() || is_new {
                for member in members {
                    state(scene, *member, &piece, patch, found);
                }
            }
        }
        for opaque in pieces.opaque.into_iter().filter(|_| patch.is_none()) {
            for member in members {
                let evidence = opaque.place.evidence(scene, 0, opaque.words.clone());
                found.unresolved(*member, opaque.reason.clone(), evidence);
            }
        }
    };
    for pod in pods {
        take(pieces::of_pod(scene, maps, first, pod), None);
    }
    let patches = scene.model.builds.patches_on(&scene.model.file(object).path, &object.id);
    for patch in patches.filter(|patch| patch.may_change_pods(layout)) {
        let patched = patch.applied(value);
        for pod in crate::model::pods(layout, &patched) {
            take(pieces::of_pod(scene, maps, first, &pod), Some(&patch.path));
        }
    }
}

/// Turns what one text says into connections of one member.
fn state(scene: &Scene<'_>, client: MemberId, piece: &Piece, patch: Option<&str>, found: &mut Found) {
    let mut guessed: BTreeMap<String, Evidence> = BTreeMap::new();
    for mention in mentions(&piece.text, piece.key.as_deref()) {
        // A word of a longer text is no address just because a Service is called like it.
        if mention.form == Form::Word && piece.text.trim() != mention.host {
            continue;
        }
        let evidence = || match patch {
            Some(path) => Evidence { path: path.to_owned(), line: 1, words: piece.says(&mention.shown) },
            None => piece.place.evidence(scene, mention.line, piece.says(&mention.shown)),
        };
        match resolve(scene, client, &mention, piece.sibling_port) {
            Outcome::Nothing => {}
            Outcome::Unknown(reason) => found.unresolved(client, reason, evidence()),
            Outcome::Coincidence { service } => {
                guessed.entry(service).or_insert_with(evidence);
            }
            Outcome::Peers { peers, via, doubt } => {
                let certainty = match doubt.or_else(|| piece.doubt.clone()) {
                    Some(why) => Certainty::Likely(why),
                    None => Certainty::Sure,
                };
                for (peer, ports) in &peers {
                    if is_own_address(scene, client, peer, via.as_deref()) {
                        continue;
                    }
                    found.add(&Peer::Member(client), peer, ports, via.as_deref(), &certainty, &evidence());
                }
            }
        }
    }
    for (service, evidence) in guessed {
        guess(scene, client, &service, evidence, found);
    }
}

/// The name of a Service where nothing says that an address is meant.
fn guess(scene: &Scene<'_>, client: MemberId, name: &str, evidence: Evidence, found: &mut Found) {
    let member = scene.member(client);
    let Some(service) = scene.service(&member.space, member.file, name) else { return };
    if service.targets.contains(&client) {
        return;
    }
    let certainty =
        Certainty::Guess(format!("it may be another word that is only spelled like Service/{name}"));
    for target in &service.targets {
        let ports: Vec<Port> = service.ports_on(Some(scene.member(*target)), None).unwrap_or_default();
        found.add(
            &Peer::Member(client),
            &Peer::Member(*target),
            &ports,
            Some(&service.shown(None)),
            &certainty,
            &evidence,
        );
    }
}

/// Programs are told their own address to advertise it. Only pods with names of their own call each other by it.
fn is_own_address(scene: &Scene<'_>, client: MemberId, peer: &Peer, via: Option<&str>) -> bool {
    let Some(target) = peer.member() else { return false };
    let (own, other) = (scene.member(client), scene.member(target));
    if (own.file, own.object) != (other.file, other.object) {
        return false;
    }
    let headless = via.and_then(|via| via.strip_prefix("Service/")).is_some_and(|via| {
        let name = via.split(':').next().unwrap_or(via);
        scene.service(&own.space, own.file, name).is_some_and(|service| service.headless)
    });
    !headless && &*own.id.kind != "StatefulSet"
}

impl Place {
    fn evidence(&self, scene: &Scene<'_>, below: usize, words: String) -> Evidence {
        match self {
            Place::Object { file, object, pointer } => {
                let object = &scene.model.objects_of(*file)[*object];
                scene.evidence(*file, object, pointer, below, words)
            }
            Place::Kustomization { file, pointer } => Evidence {
                path: scene.model.repo().files[*file].path.clone(),
                line: scene.line(*file, 0, pointer),
                words,
            },
        }
    }
}
