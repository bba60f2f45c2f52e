//! What network policies allow: read from a repo, judged as the API defines them, compared before and after a change.
//!
//! Knows workloads, namespaces and policies as plain values; nothing of rules, edits or output. Kinds that it does not
//! judge are told apart and named, never taken for absent.

mod address;
mod admin;
mod cluster;
mod evaluate;
mod foreign;
mod policy;
mod ports;
mod read;
mod selector;

pub use self::address::{AddressMap, Block, Cidr, Span};
pub use self::cluster::{Cluster, Foreign, NAME_LABEL, Namespace, Note, Workload};
pub use self::evaluate::{Allowed, End, Evaluator, Namespaces, Outside, OutsidePods, Said, Side, Verdict};
pub use self::policy::{
    Action, Direction, NetworkPolicySpec, Peer, Place, Policy, PortMatch, Refused, Rule, Subject, Tier,
};
pub use self::ports::{PROTOCOLS, PortSet};
pub use self::selector::{Labels, Selector};
