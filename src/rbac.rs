//! Who may do what: RBAC as the API server's authorizer decides it, for the roles and bindings of one cluster.
//!
//! ```text
//! objects of the repo ─┐
//!                      ├─> Policy ──> allows(identity, request) · grants of an identity · who can
//! recorded of a server ┘
//! ```
//!
//! - [`rule`]: one policy rule and one request.
//! - [`subject`]: who is bound, and who asks.
//! - [`policy`]: roles and bindings of a cluster, aggregation resolved, and the decision itself.
//! - [`recorded`]: what a server of a version brings along: its roles, its bindings, the resources it serves.
//! - [`resources`]: the resources that requests can be about, those of the repo's CRDs among them.
//! - [`access`]: the objects of a repo as a policy, with the workloads that run as each account.
//! - [`escalation`]: permissions that lead to more than they say.
//! - [`difference`]: what an account may no longer do after a change.
//!
//! Knows nothing of findings, edits or files.

pub mod access;
pub mod difference;
pub mod escalation;
pub mod policy;
pub mod recorded;
pub mod resources;
pub mod rule;
pub mod subject;

pub use self::access::Access;
pub use self::policy::{Binding, Grant, Policy, Role, RoleKey, Scope};
pub use self::recorded::Recorded;
pub use self::resources::{Resource, Resources};
pub use self::rule::{PolicyRule, Request, Target};
pub use self::subject::{Identity, Subject};
