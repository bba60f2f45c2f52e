//! What collectors of metrics scrape: ServiceMonitors, PodMonitors, and the annotations of old.
//!
//! <https://prometheus-operator.dev/docs/api-reference/api/>

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::found::Found;
use super::super::members::{covers, strings};
use super::super::scene::Scene;
use super::super::services::{Service, ServicePort, Target};
use super::super::{Certainty, Evidence, MemberId, Peer, Port, Protocol, Space};
use super::{Workload, said};
use crate::model::Object;

pub(super) fn read(scene: &Scene<'_>, found: &mut Found) {
    type Read = fn(&Scene<'_>, usize, &Object, &Value, &mut Found);
    for (kind, read) in [("ServiceMonitor", service_monitor as Read), ("PodMonitor", pod_monitor)] {
        let wanted = |object: &Object| &*object.id.kind == kind;
        let each =
            scene.each(wanted, |file, object, value| said(|found| read(scene, file, object, value, found)));
        each.into_iter().flatten().for_each(|said| found.absorb(*said));
    }
    annotated_services(scene, found);
}

fn add(found: &mut Found, target: MemberId, port: Port, via: Option<&str>, evidence: &Evidence) {
    found.add(&Peer::Monitoring, &Peer::Member(target), &[port], via, &Certainty::Sure, evidence);
}

/// The namespaces a monitor looks in: its own, without a selector; `None` for all.
fn watched(scene: &Scene<'_>, object: &Object, value: &Value) -> Option<Vec<Space>> {
    let selector = &value["spec"]["namespaceSelector"];
    if selector["any"] == true {
        return None;
    }
    let names: Vec<Space> = selector["matchNames"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| Some(Space::Named(name.as_str()?.to_owned())))
        .collect();
    Some(if names.is_empty() { scene.spaces(object) } else { names })
}

fn service_monitor(scene: &Scene<'_>, file: usize, object: &Object, value: &Value, found: &mut Found) {
    let labels = strings(&value["spec"]["selector"]["matchLabels"]);
    let watched = watched(scene, object, value);
    let endpoints = value["spec"]["endpoints"].as_array();
    if labels.is_empty() {
        return;
    }
    let candidates: Vec<&Service> = match &watched {
        Some(spaces) => scene.services_in(spaces),
        None => scene.services.iter().collect(),
    };
    for service in candidates.into_iter().filter(|service| covers(&labels, &service.labels)) {
        for (idx, endpoint) in endpoints.into_iter().flatten().enumerate() {
            let words = format!("ServiceMonitor/{} has Service/{} scraped", object.id.name, service.name);
            let evidence = scene.evidence(file, object, &format!("/spec/endpoints/{idx}"), 0, words);
            for target in &service.targets {
                let member = scene.member(*target);
                let port = match (endpoint["port"].as_str(), &endpoint["targetPort"]) {
                    (Some(name), _) => service.port_named(name).map(|port| port.on(Some(member))),
                    (None, port) => target_port(port).map(|port| port.on(Some(member))),
                };
                if let Some(port) = port {
                    add(found, *target, port, Some(&service.shown(None)), &evidence);
                }
            }
        }
    }
}

fn target_port(value: &Value) -> Option<ServicePort> {
    let target = match value {
        Value::String(name) => Target::Name(name.clone()),
        other => Target::Number(u16::try_from(other.as_u64()?).ok()?),
    };
    Some(ServicePort { name: None, port: 0, target, protocol: Protocol::Tcp })
}

fn pod_monitor(scene: &Scene<'_>, file: usize, object: &Object, value: &Value, found: &mut Found) {
    let labels = strings(&value["spec"]["selector"]["matchLabels"]);
    if labels.is_empty() {
        return;
    }
    let spaces = watched(scene, object, value);
    let candidates: Vec<MemberId> = match &spaces {
        Some(spaces) => spaces.iter().flat_map(|space| scene.in_space(space)).copied().collect(),
        None => scene.ids().collect(),
    };
    let endpoints = value["spec"]["podMetricsEndpoints"].as_array();
    for id in candidates.into_iter().filter(|id| covers(&labels, &scene.member(*id).labels)) {
        for (idx, endpoint) in endpoints.into_iter().flatten().enumerate() {
            let wanted =
                if endpoint["port"].is_string() { &endpoint["port"] } else { &endpoint["targetPort"] };
            let wanted = if wanted.is_null() { &endpoint["portNumber"] } else { wanted };
            let Some(port) = target_port(wanted) else { continue };
            let words = format!("PodMonitor/{} has {} scraped", object.id.name, scene.member(id).subject());
            let evidence =
                scene.evidence(file, object, &format!("/spec/podMetricsEndpoints/{idx}"), 0, words);
            add(found, id, port.on(Some(scene.member(id))), None, &evidence);
        }
    }
}

/// `prometheus.io/scrape: "true"`, with the port where one is given: a convention of Prometheus' example
/// configuration for Kubernetes.
fn scraped(annotations: &BTreeMap<String, String>) -> Option<Option<u16>> {
    let wanted = annotations.get("prometheus.io/scrape").is_some_and(|value| value == "true");
    wanted.then(|| annotations.get("prometheus.io/port").and_then(|port| port.parse().ok()))
}

fn annotated_services(scene: &Scene<'_>, found: &mut Found) {
    for service in &scene.services {
        let Some(number) = scraped(&service.annotations) else { continue };
        let words = format!("Service/{} asks to be scraped", service.name);
        let evidence = scene.evidence(service.file, &service.object, "/metadata/annotations", 0, words);
        for target in &service.targets {
            let ports = match number {
                // The annotation gives the port that is dialled at each pod.
                Some(number) => vec![Port::number(number, Protocol::Tcp)],
                None => service.ports_on(Some(scene.member(*target)), None).unwrap_or_default(),
            };
            for port in ports {
                add(found, *target, port, Some(&service.shown(None)), &evidence);
            }
        }
    }
}

pub(super) fn of_workload(scene: &Scene<'_>, workload: &Workload<'_>, found: &mut Found) {
    for id in workload.members {
        let member = scene.member(*id);
        for pod in &workload.pods {
            let (at, annotations) = workload.annotations(pod);
            let Some(number) = scraped(&annotations) else { continue };
            let words = format!("the pods of {} ask to be scraped", member.subject());
            let evidence = scene.evidence(member.file, workload.object, &at, 0, words);
            let ports = match number {
                Some(number) => vec![Port::number(number, Protocol::Tcp)],
                None => super::super::resolve::declared(scene, *id),
            };
            for port in ports {
                add(found, *id, port, None, &evidence);
            }
        }
    }
}
