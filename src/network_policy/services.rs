//! Services as far as a connection through one ends at a pod: which workloads, and which of their ports.
//!
//! Policies see the pod's port, not the Service's
//! (<https://kubernetes.io/docs/concepts/services-networking/service/#field-spec-ports>). Reads the model only.

use serde_json::Value;

use super::cluster::{Cluster, Workload};
use super::ports::{PortSet, protocol};
use super::selector::Labels;
use crate::connections::{Protocol, Space};
use crate::model::Model;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub name: String,
    pub space: Space,
    /// Empty for a Service without a selector.
    pub selector: Labels,
    pub ports: Vec<ServicePort>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    pub port: u16,
    pub protocol: Protocol,
    pub target: Target,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Number(u16),
    Name(String),
}

impl Service {
    /// All Services of a repo, one for each namespace they land in.
    pub fn all(model: &Model<'_>) -> Vec<Service> {
        let mut services = Vec::new();
        for object in
            model.objects().filter(|object| &*object.id.kind == "Service" && object.id.group().is_empty())
        {
            let Some(value) = model.value(object) else { continue };
            let spec = &value["spec"];
            if spec["type"] == "ExternalName" {
                continue;
            }
            let selector = spec["selector"].as_object().into_iter().flatten();
            let selector: Labels =
                selector.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
            let ports: Vec<ServicePort> =
                spec["ports"].as_array().into_iter().flatten().filter_map(ServicePort::read).collect();
            for space in crate::connections::spaces(model, object) {
                let (name, selector, ports) = (object.id.name.to_string(), selector.clone(), ports.clone());
                services.push(Service { name, space, selector, ports });
            }
        }
        services
    }

    /// Whether it sends to the workload's pods.
    pub fn selects(&self, workload: &Workload) -> bool {
        !self.selector.is_empty()
            && self.space == workload.space
            && self.selector.iter().all(|(key, value)| workload.labels.get(key) == Some(value))
    }

    /// Indices of the workloads it sends to.
    pub fn workloads(&self, cluster: &Cluster) -> Vec<usize> {
        (0..cluster.workloads.len()).filter(|idx| self.selects(&cluster.workloads[*idx])).collect()
    }
}

impl ServicePort {
    fn read(value: &Value) -> Option<ServicePort> {
        let port = u16::try_from(value["port"].as_u64()?).ok()?;
        let protocol = value["protocol"].as_str().map_or(Some(Protocol::Tcp), protocol)?;
        let target = match &value["targetPort"] {
            Value::String(name) => Target::Name(name.clone()),
            Value::Number(number) => Target::Number(u16::try_from(number.as_u64()?).ok()?),
            _ => Target::Number(port),
        };
        Some(ServicePort { port, protocol, target })
    }

    /// The pod's port that it leads to; none when no container has that name.
    pub fn on(&self, workload: &Workload) -> PortSet {
        let mut ports = PortSet::none();
        match &self.target {
            Target::Number(number) => ports.add(&PortSet::one(self.protocol, *number)),
            Target::Name(name) => {
                for port in workload.named_ports(name, Some(self.protocol)) {
                    ports.add(&PortSet::one(port.protocol, port.number));
                }
            }
        }
        ports
    }
}
