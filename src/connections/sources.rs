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

use std::collections::BTreeSet;

use super::MemberId;
use super::found::Found;
use super::scene::Scene;

/// Asks every source; says which members get sidecars.
pub(super) fn read(scene: &Scene<'_>, found: &mut Found) -> BTreeSet<MemberId> {
    texts::read(scene, found);
    stateful_sets::read(scene, found);
    exposed::read(scene, found);
    routes::read(scene, found);
    monitoring::read(scene, found);
    webhooks::read(scene, found);
    api_server::read(scene, found);
    compose::read(scene, found);
    sidecars::read(scene, found)
}
