//! The map of caseharden. One pipeline, one direction:
//!
//! ```text
//! repo ──> model ──> findings ──> plan ──> output
//! ```
//!
//! - [`repo`] reads: which files there are, what each one is, their bytes exactly as stored.
//! - [`yaml`] knows text: documents, nodes with byte ranges, comments, wanted values → edits, proof.
//! - [`model`] knows Kubernetes: objects, pod templates, which objects a kustomization joins.
//! - [`pss`] gives the Pod Security Standards' verdict on a pod.
//! - [`rbac`] decides who may do what, as the API server does.
//! - [`audit_log`] sums up what accounts really did, from the logs of API servers.
//! - [`connections`] tells from the model and from flow logs which pods talk to each other, and what says so.
//! - [`secret`] tells what of a repo is secret, and which lines show it.
//! - [`sealing`] has other programs encrypt Secrets.
//! - [`rules`] are pure functions from the model to findings that carry wanted changes.
//! - [`admission`] tells what a cluster may ask of every object because the repo meets it already.
//! - [`availability`] sums up what workloads ask for; [`checklist`] is the report on all areas.
//! - [`pipeline`] is the shell of a pipeline that keeps a repo hardened.
//! - [`template`] renders everything that is added; [`config`] is what a repo asks for.
//! - [`plan`] merges the wanted changes of a file, lowers them to edits once and proves them.
//! - [`render`] turns findings and plans into text; [`apply`] and [`git`] hand them over,
//!   [`forge`] opens pull requests.
//! - [`helm`] compares what a chart renders of two sets of values.
//! - [`image`] is what a reference means; [`registry`] asks registries; [`image_facts`]
//!   reads what an image needs, [`signature`] tells who signed it; [`lock`] keeps what was learned.
//! - [`overlay`] says changes as Kustomize patches; [`kustomize`] runs the user's own, with which [`build_proof`] proves
//!   what builds become.
//! - [`cli`] is the only place that prints.
//!
//! What must stay absent: rules see no bytes, paths, clock, network or environment · `yaml` knows nothing
//! of Kubernetes · `model` knows nothing of rules · only `repo`, `apply` and `git` touch the disk,
//! and `build_proof` a temporary folder · nothing
//! below `cli` prints · no output depends on the order of a hash map or on the number of threads.

pub mod admission;
pub mod apply;
pub mod audit_log;
pub mod availability;
pub mod build_proof;
pub mod checklist;
pub mod cli;
pub mod config;
pub mod connections;
mod contained;
pub mod fleet;
pub mod forge;
pub mod git;
pub mod helm;
pub mod image;
pub mod image_facts;
pub mod kustomize;
mod line_changes;
pub mod lock;
pub mod model;
pub mod network_policy;
pub mod overlay;
pub mod pipeline;
pub mod plan;
mod pointer;
pub mod pss;
pub mod rbac;
pub mod registry;
pub mod render;
pub mod repo;
pub mod rules;
pub mod sealing;
pub mod secret;
pub mod signature;
pub mod suggestion;
pub mod template;
pub mod yaml;
