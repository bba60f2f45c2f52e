//! Which connections the pods of a repo need, each with the lines that say so.
//!
//! Reads the model, files beside the manifests that state the same graph, and observed flows. Knows what Kubernetes
//! makes of names, Services and ports; nothing of network policies, rules or edits. Guesses are said to be guesses:
//! what nothing states is not made up.

mod address;
mod exposed_ports;
mod flow_log;
mod found;
mod members;
mod observed;
mod resolve;
mod scene;
mod services;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use self::flow_log::{Flow, FlowEnd, FlowReader, Flows, Special};
pub(crate) use self::members::{landings, spaces};
pub use self::services::{External, Service, ServicePort, Target};
use crate::config::Config;
use crate::model::{Model, ObjectId, Passage};

/// All that is known of who talks to whom.
#[derive(Debug, Clone, Default)]
pub struct Connections {
    /// Ordered by file and object, then by space.
    pub members: Vec<Member>,
    /// Ordered by source, then by target; a pair of peers with one port is there once.
    pub list: Vec<Connection>,
    /// Ordered by file and object, then by space.
    pub services: Vec<Service>,
    /// What members say of peers that nothing resolves. A member with one of these may need more than `list` has.
    pub unresolved: Vec<Unresolved>,
    /// Ports that images say they listen on, of members whose manifest declares none.
    pub exposed: BTreeMap<MemberId, Vec<(Port, Evidence)>>,
    /// Ports that Services lead to, of members that are meant to be called.
    pub served: BTreeMap<MemberId, Vec<Port>>,
    /// Members whose pods get a sidecar that the repo does not show.
    pub injected: BTreeSet<MemberId>,
    /// Members that flow logs show to open connections.
    pub shown_sources: BTreeSet<MemberId>,
    /// Members that flow logs show to take connections.
    pub shown_targets: BTreeSet<MemberId>,
}

/// A workload in one of the namespaces it lands in. A base that two overlays build is two members.
#[derive(Debug, Clone)]
pub struct Member {
    /// Index of its file in the repo.
    pub file: usize,
    /// Its place among the objects of the file.
    pub object: usize,
    /// As the manifest has it.
    pub id: ObjectId,
    /// What builds make of its name.
    pub name: String,
    pub space: Space,
    /// The ways through builds that make it; an empty one where none takes its file.
    pub ways: Vec<Passage>,
    /// Labels of its pods: those of the manifest, and what builds and the Job controller add.
    pub labels: BTreeMap<String, String>,
    /// Whether the manifest itself has labels that stay.
    pub is_labelled: bool,
    /// The least `matchLabels` that select its pods and no other's as far as labels can; empty when its pods have none.
    pub selector: BTreeMap<String, String>,
    /// What its containers declare.
    pub ports: Vec<ContainerPort>,
    /// Its pods use the node's network: no policy applies to them, and peers see the node's address.
    pub host_network: bool,
}

/// A namespace as far as the repo tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    Named(String),
    /// Nothing names the namespace: what one build or one folder (its path) deploys together.
    Unnamed(String),
}

/// An index into [`Connections::members`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub usize);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerPort {
    pub name: Option<String>,
    pub number: u16,
    pub protocol: Protocol,
}

/// One end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    Member(MemberId),
    /// Pods that the repo does not show: those of a namespace that have these labels, all of it without any.
    Pods {
        namespace: Space,
        labels: BTreeMap<String, String>,
    },
    /// Whatever brings traffic from outside to Ingresses and routes of this class.
    IngressController {
        class: Option<String>,
    },
    /// Whatever collects metrics.
    Monitoring,
    ApiServer,
    Dns,
    /// A host outside the cluster.
    Host(String),
    /// Addresses in CIDR notation.
    IpBlock {
        cidr: String,
        except: Vec<String>,
    },
    /// Any address outside and inside the cluster.
    Everything,
}

/// A need: `from` opens a connection to `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    pub from: Peer,
    pub to: Peer,
    /// On the side of the pod that takes it, after a Service has translated it; `None` for all of them.
    pub port: Option<Port>,
    /// What the client names, where that is a Service: `Service/db:5432`.
    pub via: Option<String>,
    pub certainty: Certainty,
    pub evidence: Vec<Evidence>,
    /// What the flow logs say; `None` without one.
    pub observed: Option<Observed>,
}

/// A port of a pod, as a policy can name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// The name, where a Service targets the port by name; its number may then differ between pods.
    pub name: Option<String>,
    /// The number, where it is known; the first of a range.
    pub number: Option<u16>,
    /// The last of a range.
    pub end: Option<u16>,
    pub protocol: Protocol,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
    Sctp,
}

/// How sure a connection is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// Something states it.
    Sure,
    /// Something states it, but perhaps not of this workload; why. It is allowed, and said to be checked.
    Likely(String),
    /// A name that happens to fit; why. Reported, not allowed.
    Guess(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Observed {
    Seen {
        flows: u64,
    },
    /// The logs show other flows of the pods, but not this one.
    Never,
}

/// What says so, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Evidence {
    /// Relative to the root; that of the log for an observed flow.
    pub path: String,
    /// Counted from 1.
    pub line: usize,
    /// For people: ``env DB_HOST of container `web` says `db:5432` ``. Never a secret's value.
    pub words: String,
}

/// Something a member says of a peer that leads to no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    pub member: MemberId,
    /// Why nothing came of it.
    pub reason: String,
    pub evidence: Evidence,
}

impl Connection {
    /// Whether policies that are generated from it allow it.
    pub fn is_needed(&self) -> bool {
        !matches!(self.certainty, Certainty::Guess(_))
    }

    /// The member whose egress it is.
    pub fn source(&self) -> Option<MemberId> {
        self.from.member()
    }

    /// The member whose ingress it is.
    pub fn target(&self) -> Option<MemberId> {
        self.to.member()
    }
}

impl Peer {
    pub fn member(&self) -> Option<MemberId> {
        match self {
            Peer::Member(id) => Some(*id),
            _ => None,
        }
    }
}

impl Connections {
    /// Works out the connections of a repo. `flows` are what flow logs show; empty without one.
    pub fn of(model: &Model<'_>, config: &Config, flows: &Flows) -> Connections {
        let scene = scene::Scene::new(model, config);
        let mut found = found::Found::default();
        let injected = sources::read(&scene, &mut found);
        let shown = observed::apply(&scene, flows, &mut found);
        let served = scene.served();
        let scene::Scene { members, services, exposed, .. } = scene;
        let (list, unresolved) = found.into_sorted();
        Connections {
            members,
            services,
            exposed,
            list,
            unresolved,
            served,
            shown_sources: shown.sources,
            shown_targets: shown.targets,
            injected,
        }
    }

    pub fn member(&self, id: MemberId) -> &Member {
        &self.members[id.0]
    }

    /// The ports that Services lead to at a member.
    pub fn served(&self, id: MemberId) -> &[Port] {
        self.served.get(&id).map(Vec::as_slice).unwrap_or_default()
    }

    /// Members with their ids.
    pub fn members(&self) -> impl Iterator<Item = (MemberId, &Member)> {
        self.members.iter().enumerate().map(|(idx, member)| (MemberId(idx), member))
    }
}

impl Space {
    /// The namespace's name, where something tells it.
    pub fn name(&self) -> Option<&str> {
        match self {
            Space::Named(name) => Some(name),
            Space::Unnamed(_) => None,
        }
    }
}

impl Member {
    /// How messages name it.
    pub fn subject(&self) -> String {
        format!("{}/{}", self.id.kind, self.id.name)
    }
}

impl Protocol {
    /// As manifests write it; TCP for everything unknown, which is what the API server fills in.
    pub fn read(text: Option<&str>) -> Protocol {
        match text {
            Some(text) if text.eq_ignore_ascii_case("udp") => Protocol::Udp,
            Some(text) if text.eq_ignore_ascii_case("sctp") => Protocol::Sctp,
            _ => Protocol::Tcp,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        }
    }
}

impl Port {
    pub fn number(number: u16, protocol: Protocol) -> Port {
        Port { name: None, number: Some(number), end: None, protocol }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.protocol.as_str())?;
        match (&self.name, self.number, self.end) {
            (Some(name), Some(number), _) => write!(f, " {name} ({number})"),
            (Some(name), None, _) => write!(f, " {name}"),
            (None, Some(first), Some(last)) => write!(f, " {first}-{last}"),
            (None, Some(number), None) => write!(f, " {number}"),
            (None, None, _) => Ok(()),
        }
    }
}
