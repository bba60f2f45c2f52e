//! The repo as it is and as its fixes would make it, both read alike.

use std::collections::BTreeMap;
use std::io;

use crate::cli::inputs::{Inputs, Select, count_report};
use crate::cli::say;
use crate::config::Config;
use crate::connections::{Connections, Flows};
use crate::model::Model;
use crate::network_policy::{Cluster, Service};
use crate::plan::Purpose;
use crate::render::{Counts, escaped, plural};
use crate::repo::{self, Entry, Listing, Repo, Skip, SkipReason, Snapshot};

/// What commands about connections look at.
pub(super) struct State {
    pub(super) cluster: Cluster,
    pub(super) connections: Connections,
    pub(super) services: Vec<Service>,
}

impl State {
    /// Of the repo as it was read.
    pub(super) fn now(inputs: &Inputs) -> State {
        State::of(&inputs.repo, &inputs.config)
    }

    /// Of the repo with the fixes; `None` when there are none.
    pub(super) fn after(inputs: &Inputs, select: &Select) -> anyhow::Result<Option<State>> {
        let changed = planned(inputs, select)?;
        if changed.is_empty() {
            return Ok(None);
        }
        Ok(Some(State::of(&with_changes(inputs, changed), &inputs.config)))
    }

    fn of(repo: &Repo, config: &Config) -> State {
        let model = Model::new(repo, &config.workloads);
        let connections = Connections::of(&model, config, &Flows::default());
        let cluster = Cluster::read(&model, &connections);
        State { cluster, connections, services: Service::all(&model) }
    }
}

/// The new texts of a plan, by path.
fn planned(inputs: &Inputs, select: &Select) -> anyhow::Result<BTreeMap<String, String>> {
    inputs.plan(select, Purpose::Changes, |planner| {
        let mut changed = BTreeMap::new();
        let mut counts = Counts::default();
        planner.reports(|report| {
            count_report(&mut counts, &report);
            if let Some(after) = report.after {
                changed.insert(report.path.to_owned(), after);
            }
        });
        for (_, _, files) in planner.new_files() {
            changed.extend(files.into_iter().map(|file| (file.path, file.text)));
        }
        Ok(changed)
    })
}

/// Reads the texts anew, as if they were on disk.
fn with_changes(inputs: &Inputs, changed: BTreeMap<String, String>) -> Repo {
    let repo = &inputs.repo;
    let texts: BTreeMap<&str, &str> = repo
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.stream.text()))
        .chain(repo.patches.iter().map(|(path, stream)| (path.as_str(), stream.text())))
        .chain(changed.iter().map(|(path, text)| (path.as_str(), text.as_str())))
        .collect();
    let context: Vec<&str> =
        repo.files.iter().filter(|file| file.context_only).map(|file| file.path.as_str()).collect();
    let paths = repo.files.iter().map(|file| file.path.as_str()).chain(changed.keys().map(String::as_str));
    let mut entries: Vec<Entry> =
        paths.map(|path| Entry { path: path.to_owned(), context_only: context.contains(&path) }).collect();
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries.dedup();
    let listing = Listing { entries, build_folders: repo.build_folders.clone(), ..Listing::default() };
    let source = Snapshot::new(|path: &str| {
        let text = texts.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(text.as_bytes().to_vec())
    });
    repo::read(&source, listing, &inputs.config, &|| ())
}

/// Says what was not read, so that nobody takes it for absent. Returns whether something failed.
pub(super) fn say_skipped(inputs: &Inputs, quiet: bool) -> bool {
    let (failed, left): (Vec<&Skip>, Vec<&Skip>) =
        inputs.repo.skipped.iter().partition(|skip| skip.reason.is_failure());
    for skip in &failed {
        say(&format!("skipped: {}: {}\n", escaped(&skip.path), escaped(&skip.detail)));
    }
    let charts = left.iter().filter(|skip| skip.reason == SkipReason::HelmTemplate).count();
    if charts > 0 && !quiet {
        say(&format!(
            "note: {} of Helm charts not read: what they deploy is not in this answer\n",
            plural(charts, "template")
        ));
    }
    !failed.is_empty()
}
