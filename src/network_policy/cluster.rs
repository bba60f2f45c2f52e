//! What an evaluation is about: namespaces with their labels, workloads, and the policies in force.
//!
//! Plain values, whoever made them: [`super::read`] makes them of a repo, tests by hand. Judges nothing.

use std::collections::BTreeMap;

use super::policy::{Place, Policy};
use super::ports::PortSet;
use super::selector::Labels;
use crate::connections::{ContainerPort, ServicePort, Space, Target};

/// The label that the API server keeps on every namespace:
/// <https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-metadata-name>.
pub const NAME_LABEL: &str = "kubernetes.io/metadata.name";

#[derive(Debug, Clone, Default)]
pub struct Cluster {
    pub namespaces: BTreeMap<Space, Namespace>,
    pub workloads: Vec<Workload>,
    /// Ordered by tier, then by place.
    pub policies: Vec<Policy>,
    /// Objects of other kinds that limit traffic as well.
    pub foreign: Vec<Foreign>,
    /// Policies that the API server would refuse, and others worth a word.
    pub notes: Vec<Note>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespace {
    pub labels: Labels,
    /// Whether a manifest defines it. Without one it may have more labels than are known.
    pub is_defined: bool,
}

/// A workload in one of the namespaces it lands in; all its pods are alike to a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    pub kind: String,
    pub name: String,
    pub space: Space,
    pub labels: Labels,
    pub ports: Vec<ContainerPort>,
    pub host_network: bool,
    pub place: Place,
}

/// An object whose effect is not judged here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Foreign {
    pub place: Place,
    pub kind: String,
    pub name: String,
    /// Where it has an effect; `None`: everywhere.
    pub space: Option<Space>,
    /// Why it is not judged.
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    pub place: Place,
    pub message: String,
}

impl Cluster {
    /// What is known of a namespace; an undefined one has its name as a label.
    pub fn namespace(&self, space: &Space) -> Namespace {
        self.namespaces.get(space).cloned().unwrap_or_else(|| Namespace::undefined(space))
    }

    /// What else limits the traffic of a workload, beside the policies that are judged.
    pub fn foreign_of(&self, workload: &Workload) -> impl Iterator<Item = &Foreign> {
        let space = &workload.space;
        self.foreign.iter().filter(move |foreign| foreign.space.as_ref().is_none_or(|of| of == space))
    }
}

impl Namespace {
    /// A namespace of which a manifest gives the labels.
    pub fn defined(name: &str, mut labels: Labels) -> Namespace {
        labels.insert(NAME_LABEL.to_owned(), name.to_owned());
        Namespace { labels, is_defined: true }
    }

    pub fn undefined(space: &Space) -> Namespace {
        let labels = space.name().map(|name| (NAME_LABEL.to_owned(), name.to_owned()));
        Namespace { labels: labels.into_iter().collect(), is_defined: false }
    }

    /// Whether the label's value, or that there is none, is known.
    pub fn knows(&self, key: &str) -> bool {
        self.is_defined || self.labels.contains_key(key)
    }
}

impl Workload {
    /// The numbers that containers give a name, for one protocol or for all.
    pub fn named_ports<'a>(
        &'a self,
        name: &'a str,
        protocol: Option<crate::connections::Protocol>,
    ) -> impl Iterator<Item = &'a ContainerPort> {
        self.ports.iter().filter(move |port| {
            port.name.as_deref() == Some(name) && protocol.is_none_or(|wanted| wanted == port.protocol)
        })
    }

    /// The ports of its pods that a Service's port leads to; none when no container has that name.
    pub fn behind(&self, port: &ServicePort) -> PortSet {
        let mut ports = PortSet::none();
        match &port.target {
            Target::Number(number) => ports.add(&PortSet::one(port.protocol, *number)),
            Target::Name(name) => {
                for named in self.named_ports(name, Some(port.protocol)) {
                    ports.add(&PortSet::one(named.protocol, named.number));
                }
            }
        }
        ports
    }

    /// Whether there can be two of its pods, so that it can connect to itself.
    pub fn may_have_many_pods(&self) -> bool {
        self.kind != "Pod"
    }
}
