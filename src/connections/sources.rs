//! Where connections are read from; each source is one file.

mod api_server;
mod compose;
mod exposed;
mod monitoring;
mod routes;
mod stateful_sets;
mod texts;
mod webhooks;

#[cfg(test)]
mod tests;

use super::found::Found;
use super::scene::Scene;

/// Asks every source.
pub(super) fn read(scene: &Scene<'_>, found: &mut Found) {
    texts::read(scene, found);
    stateful_sets::read(scene, found);
    exposed::read(scene, found);
    routes::read(scene, found);
    monitoring::read(scene, found);
    webhooks::read(scene, found);
    api_server::read(scene, found);
    compose::read(scene, found);
}
