//! `generate apiserver`: the files that an API server is hardened with, for one distribution.

use std::io::Write;

use super::output::{Destination, Generated};
use crate::cli::{Global, Outcome, inputs};
use crate::repo::Root;

/// Write what hardens an API server: its audit policy
#[derive(Debug, clap::Args)]
pub(super) struct ApiserverArgs {
    #[command(flatten)]
    destination: Destination,
}

pub(super) fn run(args: &ApiserverArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let config = inputs::configuration(&Root::find(&[])?.folder, global)?;
    let templates = inputs::templates(global)?;
    let policy = templates.audit_policy(config.cluster.audit_secret_bodies)?;
    args.destination.take(&[Generated { path: "audit-policy.yaml".into(), text: policy.text }], out)
}
