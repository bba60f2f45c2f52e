//! The repo as its fixes would make it, for commands that set before against after.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::inputs::{Inputs, Select, count_report};
use crate::plan::{Planned, Planner, Purpose};
use crate::render::Counts;
use crate::repo::{self, Entry, Listing, Repo, Snapshot};

/// The repo with the fixes, read as if they were on disk; `None` when there are none.
pub(super) fn hardened(inputs: &Inputs, select: &Select) -> anyhow::Result<Option<Repo>> {
    let changed = planned(inputs, select)?;
    Ok((!changed.is_empty()).then(|| with_changes(inputs, &changed)))
}

/// The new texts of a plan, by path.
pub(super) fn planned(inputs: &Inputs, select: &Select) -> anyhow::Result<BTreeMap<String, String>> {
    Ok(planned_and(inputs, select, |_, _| ())?.0)
}

/// The new texts of a plan, and what is to be known of the plan before it goes.
pub(super) fn planned_and<T>(
    inputs: &Inputs,
    select: &Select,
    act: impl FnOnce(&Planner<'_>, &Counts) -> T,
) -> anyhow::Result<(BTreeMap<String, String>, T)> {
    inputs.plan(select, Purpose::Changes, |planner| {
        let mut changed = BTreeMap::new();
        let mut counts = Counts::default();
        planner.reports(|report| {
            count_report(&mut counts, &report);
            changed.extend(report.after.map(|after| (report.path.to_owned(), after)));
        });
        for Planned { files, .. } in planner.new_files() {
            changed.extend(files.into_iter().map(|file| (file.path, file.text)));
        }
        let told = act(planner, &counts);
        Ok((changed, told))
    })
}

/// The repo with these texts, read as if they were on disk.
pub(super) fn with_changes(inputs: &Inputs, changed: &BTreeMap<String, String>) -> Repo {
    let repo = &inputs.repo;
    // A template says nothing without its chart, which is not among the files.
    let manifests = || repo.files.iter().filter(|file| file.content != repo::Content::Template);
    let files = || manifests().chain(&repo.compose);
    let mut texts: BTreeMap<&str, &str> =
        files().map(|file| (file.path.as_str(), file.stream.text())).collect();
    texts.extend(changed.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    let context: BTreeSet<&str> =
        files().filter(|file| file.context_only).map(|file| file.path.as_str()).collect();
    let entries =
        texts.keys().map(|path| Entry { path: (*path).to_owned(), context_only: context.contains(path) });
    let listing = Listing { entries: entries.collect(), remotes: repo.remotes.clone(), ..Listing::default() };
    let source = Snapshot::new(|path: &str| {
        let text = texts.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(text.as_bytes().to_vec())
    });
    let read = repo::read(&source, listing, &inputs.config, &|| ());
    Repo { dockerfiles: repo.dockerfiles.clone(), ..read }
}
