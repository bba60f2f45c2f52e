//! Addresses that workloads are given as text: environment variables, arguments, ConfigMaps.
//!
//! Of Secrets only the keys are looked at. What a patch of an overlay adds counts as well.

mod config_maps;
mod pieces;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub(super) use self::config_maps::ConfigMaps;
use self::pieces::{Piece, Pieces, Place};
use super::super::address::{Form, mentions};
use super::super::found::Found;
use super::super::resolve::{Outcome, resolve};
use super::super::scene::{From, Scene};
use super::super::{Certainty, Evidence, MemberId, Peer, Port};
use super::Workload;
use crate::model::{Object, Passage, Pod, pods};

/// What an object says, for all members it makes.
pub(super) fn of_workload(scene: &Scene<'_>, maps: &ConfigMaps, workload: &Workload<'_>, found: &mut Found) {
    let (object, value, id) = (workload.object, workload.value, workload.members[0]);
    let read = |pods: &[Pod<'_>]| -> Pieces {
        let mut all = Pieces::default();
        for pod in pods {
            let Pieces { texts, opaque } = pieces::of_pod(scene, maps, id, pod);
            all.texts.extend(texts);
            all.opaque.extend(opaque);
        }
        all
    };
    let Pieces { texts: own, opaque } = read(&workload.pods);
    let read_value = |value: &Value| -> Pieces {
        object.layout.as_ref().map_or_else(Pieces::default, |layout| read(&pods(layout, value)))
    };
    for member in workload.members {
        for opaque in &opaque {
            let evidence = opaque.place.evidence(scene, 0, opaque.words.clone());
            found.unresolved(*member, opaque.reason.clone(), evidence);
        }
        let mut said: BTreeSet<(String, String)> = BTreeSet::new();
        for way in &scene.member(*member).ways {
            for (piece, patch) in along(scene, way, object, value, &own, &read_value) {
                if said.insert((piece.words.clone(), piece.text.clone())) {
                    state(scene, *member, &piece, patch, found);
                }
            }
        }
    }
}

/// The texts of an object as the patches of a build leave them, each with the patch that says it; none for the
/// object's own file. What a patch takes away is not said by that build.
fn along<'m>(
    scene: &Scene<'m>,
    way: &Passage,
    object: &Object,
    value: &Value,
    own: &[Piece],
    read: &dyn Fn(&Value) -> Pieces,
) -> Vec<(Piece, Option<&'m str>)> {
    let mut texts: Vec<(Piece, Option<&str>)> = own.iter().map(|piece| (piece.clone(), None)).collect();
    let mut current = Cow::Borrowed(value);
    for (patch, is_sure) in scene.model.builds.patches_along(way, &object.id) {
        let patched = patch.applied(&current);
        let now = read(&patched).texts;
        let is_in = |list: &[(Piece, Option<&str>)], piece: &Piece| {
            list.iter().any(|(known, _)| (&known.words, &known.text) == (&piece.words, &piece.text))
        };
        if is_sure {
            let stays = |piece: &Piece| {
                now.iter().any(|other| (&other.words, &other.text) == (&piece.words, &piece.text))
            };
            texts.retain(|(piece, _)| stays(piece));
            current = Cow::Owned(patched);
        }
        for piece in now {
            if !is_in(&texts, &piece) {
                texts.push((piece, Some(&patch.path)));
            }
        }
    }
    texts
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
    let Some(service) = scene.service(&member.space, From::member(member), name) else { return };
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
        scene.service(&own.space, From::member(own), name).is_some_and(|service| service.headless)
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
            Place::Text { path, line } => Evidence { path: path.clone(), line: line + below, words },
        }
    }
}
