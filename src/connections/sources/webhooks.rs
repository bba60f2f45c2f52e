//! Services that the API server calls: admission and conversion webhooks, aggregated APIs.
//!
//! <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#service-reference>

use serde_json::Value;

use super::super::found::Found;
use super::super::scene::{From, Scene};
use super::super::{Certainty, Peer, Space};
use crate::model::{Model, Object, Passage};

pub(super) fn read(scene: &Scene<'_>, found: &mut Found) {
    let wanted = |object: &Object| {
        matches!(
            &*object.id.kind,
            "ValidatingWebhookConfiguration"
                | "MutatingWebhookConfiguration"
                | "APIService"
                | "CustomResourceDefinition"
        )
    };
    for (file, object) in scene.objects_like(wanted) {
        for (pointer, service) in called(scene.model, object) {
            let service = &service;
            let Some(name) = service["name"].as_str() else { continue };
            let port = service["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(443);
            let words = format!(
                "the API server calls Service/{name}:{port} for {}/{}",
                object.id.kind, object.id.name
            );
            let ways: Vec<Passage> = scene.landings(object).into_iter().map(|(_, way)| way).collect();
            for space in namespaces(scene, object, service) {
                let Some(called) = scene.service(&space, From { file, ways: &ways }, name) else { continue };
                let evidence = scene.evidence(file, object, &pointer, 0, words.clone());
                for target in &called.targets {
                    let ports = called.ports_on(Some(scene.member(*target)), Some(port)).unwrap_or_default();
                    if !ports.is_empty() {
                        let via = called.shown(Some(port));
                        found.add(
                            &Peer::ApiServer,
                            &Peer::Member(*target),
                            &ports,
                            Some(&via),
                            &Certainty::Sure,
                            &evidence,
                        );
                    }
                }
            }
        }
    }
}

/// The Services an object names, with the pointer of each.
fn called(model: &Model<'_>, object: &Object) -> Vec<(String, Value)> {
    // Definitions are long: only the part that may name a Service is decoded.
    let one = |pointer: String| {
        let service = model.part(object, &pointer).filter(Value::is_object)?;
        Some((pointer, service))
    };
    match &*object.id.kind {
        "APIService" => one("/spec/service".to_owned()).into_iter().collect(),
        "CustomResourceDefinition" => {
            one("/spec/conversion/webhook/clientConfig/service".to_owned()).into_iter().collect()
        }
        _ => {
            let hooks = model.node(object).and_then(|node| node.get("webhooks"));
            let count = hooks.map_or(0, |hooks| hooks.items().count());
            (0..count).filter_map(|idx| one(format!("/webhooks/{idx}/clientConfig/service"))).collect()
        }
    }
}

/// The namespace it names. Kustomize writes that of the build over it, so the builds of the file count too.
fn namespaces(scene: &Scene<'_>, object: &Object, service: &Value) -> Vec<Space> {
    let named = service["namespace"].as_str().map(|name| Space::Named(name.to_owned()));
    let mut spaces: Vec<Space> = named.into_iter().collect();
    for space in scene.spaces(object) {
        if !spaces.contains(&space) {
            spaces.push(space);
        }
    }
    spaces
}
