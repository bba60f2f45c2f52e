//! Where connections are read from; each source is one file.

mod api_server;
mod compose;
mod exposed;
mod monitoring;
mod routes;
mod sidecars;
mod stateful_sets;
mod texts;
mod webhooks;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use serde_json::Value;

use self::sidecars::Meshed;
use self::texts::ConfigMaps;
use super::MemberId;
use super::found::Found;
use super::members::strings;
use super::scene::Scene;
use crate::model::{Object, Pod, pods};

/// An object that makes members, decoded once for all sources that look into it.
struct Workload<'w> {
    object: &'w Object,
    members: &'w [MemberId],
    value: &'w Value,
    pods: Vec<Pod<'w>>,
}

/// What a workload says by itself, by source.
#[derive(Default)]
struct OfWorkload {
    texts: Option<Box<Found>>,
    names: Option<Box<Found>>,
    scraped: Option<Box<Found>>,
    api_server: Option<Box<Found>>,
    sidecars: Option<Box<Found>>,
    injected: Vec<MemberId>,
}

/// Asks every source; says which members get sidecars. What is known first of a connection stays, so the order of the
/// sources counts.
pub(super) fn read(scene: &Scene<'_>, found: &mut Found) -> BTreeSet<MemberId> {
    let (maps, meshed) = (ConfigMaps::new(scene), sidecars::meshed_namespaces(scene));
    let by_object = scene.by_object().into_par_iter();
    let mut workloads: Vec<OfWorkload> =
        by_object.map(|members| OfWorkload::read(scene, &maps, &meshed, members)).collect();
    let mut take = |found: &mut Found, part: fn(&mut OfWorkload) -> &mut Option<Box<Found>>| {
        workloads.iter_mut().filter_map(|said| part(said).take()).for_each(|said| found.absorb(*said));
    };
    take(found, |said| &mut said.texts);
    take(found, |said| &mut said.names);
    exposed::read(scene, found);
    routes::read(scene, found);
    monitoring::read(scene, found);
    take(found, |said| &mut said.scraped);
    webhooks::read(scene, found);
    take(found, |said| &mut said.api_server);
    compose::read(scene, found);
    take(found, |said| &mut said.sidecars);
    workloads.into_iter().flat_map(|said| said.injected).collect()
}

impl OfWorkload {
    fn read(scene: &Scene<'_>, maps: &ConfigMaps, meshed: &Meshed, members: &[MemberId]) -> OfWorkload {
        let object = scene.object(scene.member(members[0]));
        let (Some(layout), Some(value)) = (&object.layout, scene.model.value(object)) else {
            return OfWorkload::default();
        };
        let workload = Workload { object, members, value: &value, pods: pods(layout, &value) };
        let mut injected = Vec::new();
        OfWorkload {
            texts: said(|found| texts::of_workload(scene, maps, &workload, found)),
            names: said(|found| stateful_sets::of_workload(scene, &workload, found)),
            scraped: said(|found| monitoring::of_workload(scene, &workload, found)),
            api_server: said(|found| api_server::of_workload(scene, &workload, found)),
            sidecars: said(|found| injected = sidecars::of_workload(scene, meshed, &workload, found)),
            injected,
        }
    }
}

fn said(read: impl FnOnce(&mut Found)) -> Option<Box<Found>> {
    let mut found = Found::default();
    read(&mut found);
    (!found.is_empty()).then(|| Box::new(found))
}

impl Workload<'_> {
    /// The annotations of a pod, with their pointer.
    fn annotations(&self, pod: &Pod<'_>) -> (String, BTreeMap<String, String>) {
        let at = format!("{}/annotations", pod.metadata);
        let annotations = self.value.pointer(&at).map(strings).unwrap_or_default();
        (at, annotations)
    }
}
