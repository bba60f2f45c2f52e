//! `apply`: write the changes in place.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use super::inputs::{Inputs, Select, before, count_report, counts, has_failed};
use super::prove::{ProveArgs, on_disk};
use super::{Global, Outcome, say};
use crate::git::Repository;
use crate::plan::{Planned, Planner, Purpose};
use crate::render::{closing, escaped, plural};
use crate::{apply, repo};

/// Write the changes in place
///
/// Each file is replaced as a whole or not at all. Files with uncommitted changes are left alone, so that what the
/// tool did can always be told from what you did.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden apply\n  \
    caseharden apply --level safe apps/\n  \
    caseharden apply --select privilege-escalation-allowed --allow-dirty\n\n\
    Exit codes: 0 done, 2 something failed or could not be read (the rest was still done)")]
pub(super) struct ApplyArgs {
    /// Files and folders to change
    pub(super) paths: Vec<PathBuf>,
    /// Also change files with uncommitted changes
    #[arg(long)]
    pub(super) allow_dirty: bool,
    #[command(flatten)]
    pub(super) prove: ProveArgs,
    #[command(flatten)]
    pub(super) select: Select,
}

pub(super) fn run(args: &ApplyArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let mut inputs = Inputs::from_disk(&args.paths, &args.select, global)?;
    anyhow::ensure!(!inputs.stdin, "standard input cannot be changed in place: use `diff -`");
    let files = on_disk(&inputs.root.folder);
    let unproved = args.prove.hold(&mut inputs, &args.select, &files, global)?;
    inputs.plan(&args.select, Purpose::Changes, |planner| {
        let mut writer = Writer::new(&inputs, args.allow_dirty)?;
        let mut counts = counts(&inputs, planner);
        planner.reports(|report| {
            count_report(&mut counts, &report);
            if let Some(after) = &report.after {
                writer.write(report.path, after, Some(report.before));
            }
        });
        write_new_files(&inputs, planner, &mut writer);
        for path in &writer.written {
            writeln!(out, "{}", escaped(path))?;
        }
        out.flush()?;
        counts.tally.changed_files = writer.written.len();
        if !global.quiet {
            say(&format!("changed {}\n", plural(writer.written.len(), "file")));
            say(&closing(&counts, &inputs.skipped(planner)));
        }
        let failed = unproved || writer.failed || has_failed(&inputs, planner, &counts);
        Ok(if failed { Outcome::Failed } else { Outcome::Done })
    })
}

fn write_new_files(inputs: &Inputs, planner: &Planner<'_>, writer: &mut Writer<'_>) {
    for Planned { files, .. } in planner.new_files() {
        for file in files {
            writer.write(&file.path, &file.text, before(inputs, &file.path));
        }
    }
}

/// Writes files one after the other; what fails is said and does not stop the rest.
struct Writer<'a> {
    inputs: &'a Inputs,
    dirty: BTreeSet<PathBuf>,
    written: Vec<String>,
    failed: bool,
}

impl Writer<'_> {
    fn new(inputs: &Inputs, allow_dirty: bool) -> anyhow::Result<Writer<'_>> {
        let mut dirty = BTreeSet::new();
        if inputs.root.git && !allow_dirty {
            let paths: Vec<PathBuf> = inputs.repo.files.iter().map(|file| repo::native(&file.path)).collect();
            if let Some(repository) = Repository::discover(&inputs.root.folder)? {
                dirty.extend(repository.uncommitted(&paths)?);
            }
        }
        Ok(Writer { inputs, dirty, written: Vec::new(), failed: false })
    }

    fn write(&mut self, path: &str, after: &str, before: Option<&str>) {
        let native = repo::native(path);
        if self.dirty.contains(&native) {
            self.fail(path, "has uncommitted changes", Some("commit or stash them, or pass `--allow-dirty`"));
            return;
        }
        match apply::write(&self.inputs.root.folder, &native, after.as_bytes(), before.map(str::as_bytes)) {
            Ok(()) => self.written.push(path.to_owned()),
            Err(apply::WriteError::Io(error)) => self.fail(path, &error.source.to_string(), None),
            Err(error) => {
                let text = error.to_string();
                let reason =
                    text.strip_prefix(&format!("{}: ", native.display())).unwrap_or(&text).to_owned();
                self.fail(path, &reason, error.help());
            }
        }
    }

    fn fail(&mut self, path: &str, reason: &str, help: Option<&str>) {
        self.failed = true;
        say(&format!("error: {}: not changed: {}\n", escaped(path), escaped(reason)));
        if let Some(help) = help {
            say(&format!("  help: {help}\n"));
        }
    }
}
