//! `--prove-builds`: the user's own kustomize has the last word on what is changed.

use std::path::Path;

use anyhow::Context;
use clap::Args;

use super::hardened::{planned, with_changes};
use super::inputs::{Inputs, Select};
use super::{Global, Helped, say};
use crate::build_proof::{self, BuildProof, FilesBelow};
use crate::kustomize::Kustomize;
use crate::model::Model;
use crate::render::{escaped, plural};

#[derive(Debug, Clone, Default, Args)]
pub(super) struct ProveArgs {
    /// Build every kustomization that takes a changed file, before and after, with the `kustomize` or `kubectl` in PATH
    ///
    /// Builds must differ by the wanted values and nothing else; what fails is left alone. Nothing is fetched: builds
    /// with remote bases are passed over, and plugins and Helm stay off.
    #[arg(long)]
    prove_builds: bool,
}

/// What one round holds back can change what another build gets, so there are several; each holds more.
const ROUNDS: usize = 3;

impl ProveArgs {
    /// Holds back the changes of builds that fail; whether any did.
    pub(super) fn hold(
        &self,
        inputs: &mut Inputs,
        select: &Select,
        files_below: &FilesBelow<'_>,
        global: &Global,
    ) -> anyhow::Result<bool> {
        if !self.prove_builds {
            return Ok(false);
        }
        anyhow::ensure!(!inputs.stdin, "standard input has no builds to prove");
        let kustomize = Kustomize::find(std::env::var_os("PATH")).ok_or_else(|| Helped {
            message: "neither `kustomize` nor `kubectl` is in PATH: no build can be proved".to_owned(),
            help: Some("install one of them, or leave out `--prove-builds`".to_owned()),
        })?;
        let mut failed = false;
        for _ in 0..ROUNDS {
            let proof = prove(&kustomize, inputs, select, files_below)?;
            tell(&kustomize, &proof, global);
            if proof.failed.is_empty() {
                return Ok(failed);
            }
            failed = true;
            for build in proof.failed {
                let reason = format!("the build of {} failed its proof: {}", build.path, build.reason);
                for file in build.files {
                    inputs.held.entry(file).or_insert_with(|| reason.clone());
                }
            }
        }
        Ok(failed)
    }
}

fn prove(
    kustomize: &Kustomize,
    inputs: &Inputs,
    select: &Select,
    files_below: &FilesBelow<'_>,
) -> anyhow::Result<BuildProof> {
    let changed = planned(inputs, select)?;
    if changed.is_empty() {
        return Ok(BuildProof::default());
    }
    let hardened = with_changes(inputs, &changed);
    let before = Model::new(&inputs.repo, &inputs.config.workloads);
    let after = Model::new(&hardened, &inputs.config.workloads);
    build_proof::prove(kustomize, &before, &after, &changed, files_below).context("builds cannot be proved")
}

fn tell(kustomize: &Kustomize, proof: &BuildProof, global: &Global) {
    for build in &proof.failed {
        let (path, reason) = (escaped(&build.path), escaped(&build.reason));
        say(&format!(
            "error: {path}: its build failed its proof, its files are left alone: {reason} (a bug of caseharden)\n"
        ));
    }
    if global.verbose {
        for (path, reason) in &proof.unproved {
            say(&format!("not proved: {}: {}\n", escaped(path), escaped(reason)));
        }
    }
    if !global.quiet {
        let unproved = match proof.unproved.len() {
            0 => String::new(),
            count => format!("; {count} cannot be built here (-v lists them)"),
        };
        let proved = plural(proof.proved, "build");
        say(&format!("{} proved {proved}{unproved}\n", escaped(&kustomize.name())));
    }
}

/// The files of a folder of the work tree.
pub(super) fn on_disk(
    root: &Path,
) -> impl Fn(&str) -> std::io::Result<Vec<(String, Vec<u8>)>> + Sync + use<> {
    let root = root.to_owned();
    move |folder| crate::repo::files_below(&root, folder)
}
