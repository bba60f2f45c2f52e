//! Audit logs on the command line: which files they are, and reading them with a bar.

use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Global, say};
use crate::audit_log::{self, Reading};
use crate::render::shown;

/// Less than this is read before anybody wonders.
const SHORT: u64 = 64 << 20;

/// What was seen of a cluster.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Evidence")]
pub(super) struct EvidenceArgs {
    /// Audit log of the cluster, plain or gzip, as the API server writes it or as EKS, AKS and GKE export it: shrinks
    /// roles to what was used (can be repeated; `-` for standard input)
    #[arg(long, value_name = "FILE|DIR|-")]
    audit_log: Vec<PathBuf>,
    /// Count denied requests of the audit log as needed: what grants them by now stays
    #[arg(long, requires = "audit_log")]
    audit_denied: bool,
    /// Keep get, list and watch together where the audit log shows list or watch, as far as they are granted
    #[arg(long, requires = "audit_log")]
    audit_informers: bool,
}

impl EvidenceArgs {
    pub(super) fn reads_stdin(&self) -> bool {
        self.audit_log.iter().any(|path| is_stdin(path))
    }

    /// Reads all logs. What is broken in them is told, what cannot be read at all is an error: half a log would take
    /// away what the other half shows.
    pub(super) fn read(&self, global: &Global) -> anyhow::Result<Option<audit_log::Evidence>> {
        if self.audit_log.is_empty() {
            return Ok(None);
        }
        let files = self.files()?;
        let sizes = files.iter().filter(|path| !is_stdin(path)).map(|path| Ok(fs::metadata(path)?.len()));
        let total: u64 = sizes.sum::<io::Result<u64>>()?;
        let bar = bar(total, files.iter().any(|path| is_stdin(path)), global);
        let mut reading = Reading::default();
        for path in &files {
            let read = if is_stdin(path) {
                reading.add("standard input", bar.wrap_read(io::stdin().lock()))
            } else {
                let name = path.display().to_string();
                File::open(path).and_then(|file| reading.add(&name, bar.wrap_read(file)))
            };
            read.with_context(|| format!("cannot read the audit log {}", path.display()))?;
        }
        bar.finish_and_clear();
        tell(&reading, global);
        Ok(Some(audit_log::Evidence {
            usage: reading.usage,
            n_faults: reading.n_faults,
            include_denied: self.audit_denied,
            informers: self.audit_informers,
        }))
    }

    /// The logs of folders by name; rotated ones are among them.
    fn files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for path in &self.audit_log {
            if is_stdin(path) || !path.is_dir() {
                files.push(path.clone());
                continue;
            }
            let mut open = vec![path.clone()];
            let mut found = Vec::new();
            while let Some(folder) = open.pop() {
                let context = || format!("cannot read the folder {}", folder.display());
                for entry in fs::read_dir(&folder).with_context(context)? {
                    let entry = entry.with_context(context)?;
                    let kind = entry.file_type().with_context(context)?;
                    match kind {
                        kind if kind.is_dir() => open.push(entry.path()),
                        kind if kind.is_file() => found.push(entry.path()),
                        _ => {}
                    }
                }
            }
            anyhow::ensure!(!found.is_empty(), "{}: no audit log in this folder", path.display());
            found.sort();
            files.extend(found);
        }
        Ok(files)
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn bar(total: u64, has_stdin: bool, global: &Global) -> ProgressBar {
    if !has_stdin && total < SHORT || global.quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (length, template) = match has_stdin {
        true => (None, "reading the audit log {bytes} {bytes_per_sec} {spinner}"),
        false => {
            (Some(total), "reading the audit log {bytes}/{total_bytes} {wide_bar} {bytes_per_sec} {eta}")
        }
    };
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::with_template(template).expect("the template names only fields that exist"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn tell(reading: &Reading, global: &Global) {
    if global.quiet {
        return;
    }
    let usage = &reading.usage;
    for fault in &reading.faults {
        say(&format!("warning: {}\n", shown(fault)));
    }
    let more = reading.n_faults - reading.faults.len() as u64;
    if more > 0 {
        say(&format!("warning: {more} more lines of the audit log could not be read\n"));
    }
    if usage.n_requests == 0 {
        say("warning: the audit log has no answered request\n");
    }
    if global.verbose {
        let others = reading.n_others;
        say(&format!(
            "audit log: {} requests of {} users; {} lines could not be read, {others} are of other logs\n",
            usage.n_requests,
            usage.n_accounts(),
            reading.n_faults
        ));
    }
}
