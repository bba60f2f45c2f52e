//! Traffic that a controller brings in: Ingress, Gateway API routes, OpenShift Routes, Istio VirtualServices.
//!
//! <https://kubernetes.io/docs/concepts/services-networking/ingress/>, <https://gateway-api.sigs.k8s.io/reference/spec/>,
//! <https://istio.io/latest/docs/reference/config/networking/virtual-service/>

use serde_json::Value;

use super::super::found::Found;
use super::super::scene::{From, Scene};
use super::super::services::Target;
use super::super::{Certainty, Evidence, Peer, Port, Protocol, Space};
use super::said;
use crate::model::{Object, Passage};

/// A Service that a route leads to.
struct Backend {
    name: String,
    namespace: Option<String>,
    port: BackendPort,
    pointer: String,
}

enum BackendPort {
    Number(u16),
    Name(String),
    /// A port of the pods.
    Target(Target),
    All,
}

pub(super) fn read(scene: &Scene<'_>, found: &mut Found) {
    let wanted = |object: &Object| {
        matches!(
            (object.id.group(), &*object.id.kind),
            ("networking.k8s.io" | "extensions", "Ingress")
                | (
                    "gateway.networking.k8s.io",
                    "HTTPRoute" | "GRPCRoute" | "TCPRoute" | "TLSRoute" | "UDPRoute"
                )
                | ("route.openshift.io", "Route")
                | ("networking.istio.io", "VirtualService")
        )
    };
    let each = scene.each(wanted, |file, object, value| {
        let (class, backends) = match &*object.id.kind {
            "Ingress" => (ingress_class(value), ingress(value)),
            "Route" => (Some("openshift-default".to_owned()), openshift(value)),
            "VirtualService" => (Some("istio".to_owned()), istio(value)),
            _ => (gateway_class(scene, object, value), gateway(value)),
        };
        said(|found| {
            for backend in &backends {
                lead(scene, file, object, class.as_deref(), backend, found);
            }
        })
    });
    each.into_iter().flatten().for_each(|said| found.absorb(*said));
}

fn lead(
    scene: &Scene<'_>,
    file: usize,
    object: &Object,
    class: Option<&str>,
    backend: &Backend,
    found: &mut Found,
) {
    let spaces = match &backend.namespace {
        Some(namespace) => vec![(Space::Named(namespace.clone()), Passage::default())],
        None => scene.landings(object),
    };
    let words = format!("{}/{} leads to Service/{}", object.id.kind, object.id.name, backend.name);
    for (space, way) in spaces {
        let from = From { file, ways: std::slice::from_ref(&way) };
        let Some(service) = scene.service(&space, from, &backend.name) else { continue };
        let evidence: Evidence = scene.evidence(file, object, &backend.pointer, 0, words.clone());
        for target in &service.targets {
            let member = scene.member(*target);
            let ports = match &backend.port {
                BackendPort::Number(number) => service.ports_on(Some(member), Some(*number)),
                BackendPort::Name(name) => service.port_named(name).map(|port| vec![port.on(Some(member))]),
                BackendPort::Target(Target::Number(number)) => {
                    Some(vec![Port::number(*number, Protocol::Tcp)])
                }
                // By the name of the Service's port, or of the pods'.
                BackendPort::Target(Target::Name(name)) => {
                    let fits = service.ports.iter().find(|port| {
                        port.name.as_ref() == Some(name) || port.target == Target::Name(name.clone())
                    });
                    fits.map(|port| vec![port.on(Some(member))])
                }
                BackendPort::All => service.ports_on(Some(member), None),
            };
            let from = Peer::IngressController { class: class.map(str::to_owned) };
            if let Some(ports) = ports.filter(|ports| !ports.is_empty()) {
                let via = service.shown(None);
                found.add(&from, &Peer::Member(*target), &ports, Some(&via), &Certainty::Sure, &evidence);
            }
        }
    }
}

fn ingress_class(value: &Value) -> Option<String> {
    let annotation = &value["metadata"]["annotations"]["kubernetes.io/ingress.class"];
    value["spec"]["ingressClassName"].as_str().or_else(|| annotation.as_str()).map(str::to_owned)
}

fn ingress(value: &Value) -> Vec<Backend> {
    let mut backends = Vec::new();
    for key in ["defaultBackend", "backend"] {
        backends.extend(ingress_backend(&value["spec"][key], format!("/spec/{key}")));
    }
    for (rule, item) in value["spec"]["rules"].as_array().into_iter().flatten().enumerate() {
        for (path, item) in item["http"]["paths"].as_array().into_iter().flatten().enumerate() {
            let pointer = format!("/spec/rules/{rule}/http/paths/{path}/backend");
            backends.extend(ingress_backend(&item["backend"], pointer));
        }
    }
    backends
}

/// `service: {name, port: {number | name}}`, and `serviceName`, `servicePort` of the API before 1.19.
fn ingress_backend(value: &Value, pointer: String) -> Option<Backend> {
    let service = &value["service"];
    let name = service["name"].as_str().or_else(|| value["serviceName"].as_str())?;
    let old = &value["servicePort"];
    let port = match (
        service["port"]["number"].as_u64().or_else(|| old.as_u64()),
        service["port"]["name"].as_str().or_else(|| old.as_str()),
    ) {
        (Some(number), _) => BackendPort::Number(u16::try_from(number).ok()?),
        (None, Some(name)) => BackendPort::Name(name.to_owned()),
        // Annotations of controllers (`use-annotation`) say what happens.
        (None, None) => BackendPort::All,
    };
    Some(Backend { name: name.to_owned(), namespace: None, port, pointer })
}

fn gateway(value: &Value) -> Vec<Backend> {
    let mut backends = Vec::new();
    for (rule, item) in value["spec"]["rules"].as_array().into_iter().flatten().enumerate() {
        for (idx, backend) in item["backendRefs"].as_array().into_iter().flatten().enumerate() {
            let is_service = backend["kind"].as_str().is_none_or(|kind| kind == "Service");
            let (Some(name), true) = (backend["name"].as_str(), is_service) else { continue };
            let number = backend["port"].as_u64().and_then(|port| u16::try_from(port).ok());
            backends.push(Backend {
                name: name.to_owned(),
                namespace: backend["namespace"].as_str().map(str::to_owned),
                port: number.map_or(BackendPort::All, BackendPort::Number),
                pointer: format!("/spec/rules/{rule}/backendRefs/{idx}"),
            });
        }
    }
    backends
}

/// The class of the first Gateway that a route names and the repo has; routes of meshes name Services instead.
fn gateway_class(scene: &Scene<'_>, route: &Object, value: &Value) -> Option<String> {
    let parents: Vec<&str> = value["spec"]["parentRefs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|parent| parent["kind"].as_str().is_none_or(|kind| kind == "Gateway"))
        .filter_map(|parent| parent["name"].as_str())
        .collect();
    let gateways = scene.objects(|object| {
        &*object.id.kind == "Gateway"
            && object.id.group() == route.id.group()
            && parents.contains(&&*object.id.name)
    });
    let mut classes =
        gateways.filter_map(|(_, _, value)| value["spec"]["gatewayClassName"].as_str().map(str::to_owned));
    classes.next().or_else(|| Some("gateway".to_owned()))
}

fn openshift(value: &Value) -> Vec<Backend> {
    let port = match &value["spec"]["port"]["targetPort"] {
        Value::String(name) => BackendPort::Target(Target::Name(name.clone())),
        Value::Number(number) => match number.as_u64().and_then(|port| u16::try_from(port).ok()) {
            Some(port) => BackendPort::Target(Target::Number(port)),
            None => BackendPort::All,
        },
        _ => BackendPort::All,
    };
    let name = value["spec"]["to"]["name"].as_str().map(str::to_owned);
    let main = name.map(|name| Backend { name, namespace: None, port, pointer: "/spec/to".to_owned() });
    let others = value["spec"]["alternateBackends"].as_array().into_iter().flatten().enumerate();
    let others = others.filter_map(|(idx, backend)| {
        Some(Backend {
            name: backend["name"].as_str()?.to_owned(),
            namespace: None,
            port: BackendPort::All,
            pointer: format!("/spec/alternateBackends/{idx}"),
        })
    });
    main.into_iter().chain(others).collect()
}

/// Destinations of VirtualServices that gateways use; those of the mesh alone say nothing of who calls.
fn istio(value: &Value) -> Vec<Backend> {
    let gateways = value["spec"]["gateways"].as_array().into_iter().flatten();
    if !gateways.filter_map(Value::as_str).any(|gateway| gateway != "mesh") {
        return Vec::new();
    }
    let mut backends = Vec::new();
    for kind in ["http", "tcp", "tls"] {
        for (idx, rule) in value["spec"][kind].as_array().into_iter().flatten().enumerate() {
            for (at, route) in rule["route"].as_array().into_iter().flatten().enumerate() {
                let destination = &route["destination"];
                let Some(host) = destination["host"].as_str() else { continue };
                let mut parts = host.split('.');
                let number = destination["port"]["number"].as_u64().and_then(|port| u16::try_from(port).ok());
                backends.push(Backend {
                    name: parts.next().unwrap_or_default().to_owned(),
                    namespace: parts.next().map(str::to_owned),
                    port: number.map_or(BackendPort::All, BackendPort::Number),
                    pointer: format!("/spec/{kind}/{idx}/route/{at}/destination"),
                });
            }
        }
    }
    backends
}
