//! Services: what they select, and which port of a pod each of their ports leads to.

use std::collections::BTreeMap;

use serde_json::Value;

use super::members::strings;
use super::scene::Scene;
use super::{Member, MemberId, Port, Protocol, Space};
use crate::model::Object;

/// A Service in one of the namespaces it lands in.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) file: usize,
    pub(super) object: Object,
    pub(super) path: String,
    pub(super) space: Space,
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    /// `None` for a Service without one: somebody else says where it leads.
    pub(super) selector: Option<BTreeMap<String, String>>,
    pub(super) ports: Vec<ServicePort>,
    pub(super) external_name: Option<String>,
    /// Its name is that of its pods: clients dial their ports, not the Service's.
    pub(super) headless: bool,
    pub(super) external: Option<External>,
    /// Addresses that its Endpoints and EndpointSlices state.
    pub(super) endpoints: Vec<String>,
    /// The members it selects.
    pub(super) targets: Vec<MemberId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServicePort {
    pub(super) name: Option<String>,
    pub(super) port: u16,
    pub(super) target: Target,
    pub(super) protocol: Protocol,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Number(u16),
    Name(String),
}

/// How a Service can be reached from outside the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct External {
    pub(super) kind: &'static str,
    /// CIDRs it is open to; empty for all.
    pub(super) ranges: Vec<String>,
    /// Whether pods see the client's own address.
    pub(super) keeps_addresses: bool,
}

pub(super) fn services(scene: &Scene<'_>) -> Vec<Service> {
    let endpoints = endpoints(scene);
    let wanted = |object: &Object| &*object.id.kind == "Service" && object.id.group().is_empty();
    let services = scene.each(wanted, |file, object, value| {
        let of_space = |space: Space| {
            let addresses = endpoints.get(&(space.clone(), object.id.name.to_string())).cloned();
            Service { endpoints: addresses.unwrap_or_default(), ..read(scene, file, object, value, space) }
        };
        scene.spaces(object).into_iter().map(of_space).collect::<Vec<_>>()
    });
    services.into_iter().flatten().collect()
}

fn read(scene: &Scene<'_>, file: usize, object: &Object, value: &Value, space: Space) -> Service {
    let spec = &value["spec"];
    let external_name = (spec["type"] == "ExternalName").then(|| spec["externalName"].as_str()).flatten();
    let selector = Some(strings(&spec["selector"])).filter(|selector| !selector.is_empty());
    Service {
        file,
        object: object.clone(),
        path: scene.model.file(object).path.clone(),
        space,
        name: object.id.name.to_string(),
        labels: strings(&value["metadata"]["labels"]),
        annotations: strings(&value["metadata"]["annotations"]),
        selector: selector.filter(|_| external_name.is_none()),
        ports: spec["ports"].as_array().into_iter().flatten().filter_map(port).collect(),
        external_name: external_name.map(|name| name.trim_end_matches('.').to_ascii_lowercase()),
        headless: spec["clusterIP"] == "None",
        external: external(spec),
        endpoints: Vec::new(),
        targets: Vec::new(),
    }
}

fn port(value: &Value) -> Option<ServicePort> {
    let port = number(&value["port"])?;
    let target = match &value["targetPort"] {
        Value::String(name) => match name.parse::<u16>() {
            Ok(number) => Target::Number(number),
            Err(_) => Target::Name(name.clone()),
        },
        other => Target::Number(number(other).filter(|number| *number > 0).unwrap_or(port)),
    };
    Some(ServicePort {
        name: value["name"].as_str().map(str::to_owned),
        port,
        target,
        protocol: Protocol::read(value["protocol"].as_str()),
    })
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
