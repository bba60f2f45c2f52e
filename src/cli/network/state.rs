//! The repo as it is and as its fixes would make it, both read alike.

use crate::cli::hardened::hardened;
use crate::cli::inputs::{Inputs, Select, say_template_failures};
use crate::cli::say;
use crate::connections::Connections;
use crate::model::Model;
use crate::network_policy::Cluster;
use crate::render::{escaped, plural};
use crate::repo::{Repo, Skip};

/// What commands about connections look at.
pub(super) struct State {
    pub(super) cluster: Cluster,
    pub(super) connections: Connections,
}

impl State {
    /// Of the repo as it was read.
    pub(super) fn now(inputs: &Inputs) -> State {
        State::of(&inputs.repo, inputs)
    }

    /// Of the repo with the fixes; `None` when there are none.
    pub(super) fn after(inputs: &Inputs, select: &Select) -> anyhow::Result<Option<State>> {
        Ok(hardened(inputs, select)?.map(|repo| State::of(&repo, inputs)))
    }

    fn of(repo: &Repo, inputs: &Inputs) -> State {
        let model = Model::new(repo, &inputs.config.workloads);
        let connections = Connections::of(&model, &inputs.config, &inputs.flows);
        let cluster = Cluster::read(&model, &connections);
        State { cluster, connections }
    }
}

/// Says what was not read, so that nobody takes it for absent. Returns whether something failed.
pub(super) fn say_skipped(inputs: &Inputs, quiet: bool) -> bool {
    let failed: Vec<&Skip> = inputs.repo.skipped.iter().filter(|skip| skip.reason.is_failure()).collect();
    for skip in &failed {
        say(&format!("skipped: {}: {}\n", escaped(&skip.path), escaped(&skip.detail)));
    }
    let charts = inputs.repo.n_templates();
    if charts > 0 && !quiet {
        say(&format!(
            "note: {} of Helm charts not read: what they deploy is not in this answer\n",
            plural(charts, "template")
        ));
    }
    say_template_failures(inputs) || !failed.is_empty()
}
