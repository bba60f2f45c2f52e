//! Services: what they select, and which port of a pod each of their ports leads to.

use std::collections::BTreeMap;

use serde_json::Value;

use super::members::strings;
use super::scene::Scene;
use super::{Member, MemberId, Port, Protocol, Space};
use crate::model::{Object, Passage};

/// A Service in one of the namespaces it lands in, as the build makes it that takes it there.
#[derive(Debug, Clone)]
pub struct Service {
    /// Index of its file in the repo.
    pub file: usize,
    pub object: Object,
    pub path: String,
    pub space: Space,
    /// What the build makes of its name.
    pub name: String,
    pub way: Passage,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// `None` for a Service without one: somebody else says where it leads.
    pub selector: Option<BTreeMap<String, String>>,
    pub ports: Vec<ServicePort>,
    pub external_name: Option<String>,
    /// Its name is that of its pods: clients dial their ports, not the Service's.
    pub headless: bool,
    /// Sends to pods that are not ready as well.
    pub takes_unready: bool,
    pub external: Option<External>,
    /// Addresses that its Endpoints and EndpointSlices state.
    pub endpoints: Vec<String>,
    /// The members it selects.
    pub targets: Vec<MemberId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    pub name: Option<String>,
    pub port: u16,
    pub target: Target,
    pub protocol: Protocol,
}

/// The port of a pod that a Service's port leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Number(u16),
    Name(String),
}

/// How a Service can be reached from outside the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    pub kind: &'static str,
    /// CIDRs it is open to; empty for all.
    pub ranges: Vec<String>,
    /// Whether pods see the client's own address.
    pub keeps_addresses: bool,
}

pub(super) fn services(scene: &Scene<'_>) -> Vec<Service> {
    let endpoints = endpoints(scene);
    let wanted = |object: &Object| &*object.id.kind == "Service" && object.id.group().is_empty();
    let services = scene.each(wanted, |file, object, value| {
        let mut services: Vec<Service> = Vec::new();
        for (space, way) in scene.landings(object) {
            let made = scene.model.builds.at_end(&way, &object.id, value);
            let addresses = endpoints.get(&(space.clone(), object.id.name.to_string())).cloned();
            let service = Service {
                endpoints: addresses.unwrap_or_default(),
                ..read(scene, file, object, &made, space, way)
            };
            if !services.iter().any(|known| is_alike(known, &service)) {
                services.push(service);
            }
        }
        services
    });
    services.into_iter().flatten().collect()
}

/// Whether clients cannot tell two Services of one object apart.
fn is_alike(a: &Service, b: &Service) -> bool {
    (&a.space, &a.name, &a.selector, &a.ports, &a.external)
        == (&b.space, &b.name, &b.selector, &b.ports, &b.external)
}

fn read(
    scene: &Scene<'_>,
    file: usize,
    object: &Object,
    value: &Value,
    space: Space,
    way: Passage,
) -> Service {
    let spec = &value["spec"];
    let external_name = (spec["type"] == "ExternalName").then(|| spec["externalName"].as_str()).flatten();
    let selector = Some(strings(&spec["selector"])).filter(|selector| !selector.is_empty());
    Service {
        file,
        object: object.clone(),
        path: scene.model.file(object).path.clone(),
        space,
        name: value["metadata"]["name"].as_str().unwrap_or(&object.id.name).to_owned(),
        way,
        labels: strings(&value["metadata"]["labels"]),
        annotations: strings(&value["metadata"]["annotations"]),
        selector: selector.filter(|_| external_name.is_none()),
        ports: spec["ports"].as_array().into_iter().flatten().filter_map(port).collect(),
        external_name: external_name.map(|name| name.trim_end_matches('.').to_ascii_lowercase()),
        headless: spec["clusterIP"] == "None",
        takes_unready: spec["publishNotReadyAddresses"] == true,
        external: external(spec),
        endpoints: Vec::new(),
        targets: Vec::new(),
    }
}

/// A port with a protocol that no Service can have is none: the API server refuses it, in other letters as well
/// (`ValidateServicePort`, <https://kubernetes.io/docs/reference/networking/service-protocols/>). It refuses a number in
/// quotes as `targetPort` too, but there is no doubt what is meant.
fn port(value: &Value) -> Option<ServicePort> {
    let port = number(&value["port"])?;
    let protocol = match value["protocol"].as_str() {
        None | Some("TCP") => Protocol::Tcp,
        Some("UDP") => Protocol::Udp,
        Some("SCTP") => Protocol::Sctp,
        Some(_) => return None,
    };
    let target = match &value["targetPort"] {
        Value::String(name) => match name.parse::<u16>() {
            Ok(number) => Target::Number(number),
            Err(_) => Target::Name(name.clone()),
        },
        other => Target::Number(number(other).filter(|number| *number > 0).unwrap_or(port)),
    };
    Some(ServicePort { name: value["name"].as_str().map(str::to_owned), port, target, protocol })
}

fn number(value: &Value) -> Option<u16> {
    u16::try_from(value.as_u64()?).ok()
}

fn external(spec: &Value) -> Option<External> {
    let kind = match spec["type"].as_str() {
        Some("LoadBalancer") => "LoadBalancer",
        Some("NodePort") => "NodePort",
        _ if spec["externalIPs"].as_array().is_some_and(|list| !list.is_empty()) => "externalIPs",
        _ => return None,
    };
    let ranges = spec["loadBalancerSourceRanges"].as_array().into_iter().flatten();
    let ranges = ranges.filter_map(Value::as_str).map(|range| range.trim().to_owned());
    Some(External {
        kind,
        ranges: ranges.collect(),
        keeps_addresses: spec["externalTrafficPolicy"] == "Local",
    })
}

/// Addresses by the Service they belong to.
fn endpoints(scene: &Scene<'_>) -> BTreeMap<(Space, String), Vec<String>> {
    let mut found: BTreeMap<(Space, String), Vec<String>> = BTreeMap::new();
    let wanted = |object: &Object| matches!(&*object.id.kind, "Endpoints" | "EndpointSlice");
    for (_, object, value) in scene.objects(wanted) {
        let (name, addresses): (Option<&str>, Vec<&str>) = match &*object.id.kind {
            "Endpoints" => {
                let subsets = value["subsets"].as_array().into_iter().flatten();
                let addresses = subsets.filter_map(|subset| subset["addresses"].as_array()).flatten();
                (Some(&object.id.name), addresses.filter_map(|address| address["ip"].as_str()).collect())
            }
            _ => {
                let endpoints = value["endpoints"].as_array().into_iter().flatten();
                let addresses = endpoints.filter_map(|endpoint| endpoint["addresses"].as_array()).flatten();
                let service = &value["metadata"]["labels"]["kubernetes.io/service-name"];
                (service.as_str(), addresses.filter_map(Value::as_str).collect())
            }
        };
        let Some(name) = name else { continue };
        for space in scene.spaces(object) {
            let list = found.entry((space, name.to_owned())).or_default();
            list.extend(addresses.iter().map(|address| (*address).to_owned()));
        }
    }
    found
}

impl Service {
    /// The ports of `member` that a client reaches which names `wanted`, all of them without a wish; `None` when the
    /// Service has no such port.
    pub(super) fn ports_on(&self, member: Option<&Member>, wanted: Option<u16>) -> Option<Vec<Port>> {
        if let (true, Some(number)) = (self.headless, wanted) {
            let known = self.ports.iter().find(|port| port.port == number);
            let protocol = known.map_or(Protocol::Tcp, |port| port.protocol);
            return Some(vec![Port::number(number, protocol)]);
        }
        let chosen = self.ports.iter().filter(|port| wanted.is_none_or(|wanted| port.port == wanted));
        let ports: Vec<Port> = chosen.map(|port| port.on(member)).collect();
        (!ports.is_empty()).then_some(ports)
    }

    pub(super) fn port_named(&self, name: &str) -> Option<&ServicePort> {
        self.ports.iter().find(|port| port.name.as_deref() == Some(name))
    }

    /// How evidence names it.
    pub(super) fn shown(&self, port: Option<u16>) -> String {
        match port {
            Some(port) => format!("Service/{}:{port}", self.name),
            None => format!("Service/{}", self.name),
        }
    }
}

impl ServicePort {
    /// The port of a pod that it leads to.
    pub(super) fn on(&self, member: Option<&Member>) -> Port {
        match &self.target {
            Target::Number(number) => Port::number(*number, self.protocol),
            Target::Name(name) => {
                let declared = member.into_iter().flat_map(|member| &member.ports);
                let mut named = declared
                    .filter(|port| port.name.as_deref() == Some(name) && port.protocol == self.protocol);
                let number = named.next().map(|port| port.number);
                Port { name: Some(name.clone()), number, end: None, protocol: self.protocol }
            }
        }
    }
}
