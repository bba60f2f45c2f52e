//! What network policies allow: read from a repo, judged as the API defines them, compared before and after a change.
//!
//! Knows workloads, namespaces and policies as plain values; nothing of rules, edits or output. Policies of Cilium
//! and Calico are judged as far as they speak of addresses, names and ports; what cannot be judged is named, never taken
//! for absent.

mod address;
mod admin;
mod calico;
mod cilium;
mod cluster;
mod dialect;
mod diff;
mod evaluate;
mod expression;
mod foreign;
mod graph;
mod names;
mod policy;
mod ports;
mod probe;
mod read;
mod selector;

pub use self::address::{AddressMap, Block, Cidr, Span};
pub use self::cluster::{Cluster, Foreign, NAME_LABEL, Namespace, Note, Workload};
pub use self::diff::{Diff, PairChange, SideChange};
pub use self::evaluate::{Allowed, End, Evaluator, Namespaces, Outside, OutsidePods, Said, Side, Verdict};
pub use self::graph::{Edge, Graph, Need, is_met, ports, unseen_pods};
pub use self::names::{Names, named_space, shown_space};
pub use self::policy::{
    Action, Api, Direction, NamedEnd, NetworkPolicySpec, Order, Peer, Place, Policy, PortMatch, Refused,
    Rule, Subject, Tier,
};
pub use self::ports::{PROTOCOLS, PortSet, protocol};
pub use self::probe::{Attempt, Probe, probes};
pub use self::selector::{Labels, Selector};
