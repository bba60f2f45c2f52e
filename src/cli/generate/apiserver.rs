//! `generate apiserver`: the files that an API server is hardened with, for one distribution.
//!
//! A small configuration of the distribution is rendered, and given what the rules of the area `cluster` want of it: the
//! same as they want of a repo.

use std::collections::BTreeSet;
use std::io::Write;

use super::output::{Destination, Generated};
use crate::cli::inputs::{self, Inputs, Select};
use crate::cli::{Global, Outcome, say};
use crate::config::{Distribution, Encryption, Level};
use crate::plan::{Fate, Purpose};
use crate::render::escaped;
use crate::repo::{Root, StandardInput};
use crate::template::{ControlPlane, EncryptedWith};

/// Write what hardens an API server: its flags, and the files that they name
///
/// Audit policy and log, encryption of Secrets at rest, anonymous requests limited to probes, Pod Security for namespaces
/// without labels, in the form of the distribution. For clusters whose configuration is not in the repo; one that is gets
/// the same from `caseharden diff --select cluster`. Never writes a key: where one is needed a placeholder stands, which no
/// API server takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden generate apiserver --for kubeadm --output control-plane/\n  \
    caseharden generate apiserver --for talos > patch.yaml\n\n\
    `target-version` and `[cluster]` of caseharden.toml decide versions, KMS or a key of its own, and audit levels.")]
pub(super) struct ApiserverArgs {
    /// What sets the cluster up
    #[arg(long = "for", value_name = "DISTRIBUTION")]
    distribution: ControlPlane,
    #[command(flatten)]
    destination: Destination,
}

pub(super) fn run(args: &ApiserverArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let folder = Root::find(&[])?.folder;
    let mut config = inputs::configuration(&folder, global)?;
    let templates = inputs::templates(global)?;
    let of = args.distribution;
    let start = templates.control_plane(of, &config)?;
    if config.cluster.encryption == Encryption::Report {
        config.cluster.encryption = Encryption::Secretbox;
    }
    config.distribution = match of {
        ControlPlane::Rke2 => Distribution::Rke2,
        _ => Distribution::Generic,
    };
    // What a repo has accepted is no reason to generate less.
    config.level = Level::Review;
    config.allow.clear();
    config.select.clear();
    config.ignore.clear();
    let mut files = Vec::new();
    if of == ControlPlane::Kops {
        let rendered = templates.encryption_config(&with(&config.cluster))?;
        files.push(Generated { path: "encryption-config.yaml".into(), text: rendered.text });
    }
    let input = StandardInput::new(start.clone().into_bytes());
    let root = Root { folder, wanted: Vec::new(), git: false };
    let listing = input.list();
    let inputs = Inputs::read(root, config, templates, &input, listing, global)?;
    let select = Select { select: vec!["cluster".to_owned()], ..Select::default() };
    let (text, steps) = inputs.plan(&select, Purpose::Changes, |planner| {
        let (mut text, mut steps) = (start, BTreeSet::new());
        planner.reports(|report| {
            let planned = report.findings.iter().filter(|judged| judged.fate == Fate::Planned);
            steps.extend(planned.flat_map(|judged| judged.finding.notes.clone()));
            text = report.after.clone().unwrap_or(std::mem::take(&mut text));
        });
        for new in planner.new_files().into_iter().map(|planned| planned.files) {
            files.extend(new.into_iter().map(|file| Generated { path: file.path.into(), text: file.text }));
        }
        Ok((text, steps))
    })?;
    files.insert(0, Generated { path: name(of).into(), text });
    let outcome = args.destination.take(&files, out)?;
    if !global.quiet {
        out.flush()?;
        steps.iter().for_each(|step| say(&format!("note: {}\n", escaped(step))));
    }
    Ok(outcome)
}

fn with(cluster: &crate::config::Cluster) -> EncryptedWith<'_> {
    match cluster.encryption {
        Encryption::Kms => EncryptedWith::Kms { endpoint: &cluster.kms_endpoint },
        Encryption::Secretbox | Encryption::Report => EncryptedWith::Secretbox,
    }
}

fn name(of: ControlPlane) -> &'static str {
    match of {
        ControlPlane::Kubeadm => "kubeadm.yaml",
        ControlPlane::K3s | ControlPlane::Rke2 => "config.yaml",
        ControlPlane::Kops | ControlPlane::Eks => "cluster.yaml",
        ControlPlane::Kind => "kind.yaml",
        ControlPlane::Talos => "talos-patch.yaml",
        ControlPlane::StaticPod => "kube-apiserver.yaml",
    }
}
