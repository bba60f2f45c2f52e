//! The measurements as a Markdown table.

use std::fmt;
use std::time::Duration;

/// How large a repo is.
pub(crate) struct Size {
    pub(crate) files: usize,
    /// Files that `check` parses, and their bytes.
    pub(crate) manifests: usize,
    pub(crate) bytes: usize,
}

/// Whole-process times of every run, and peaks in bytes.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) read: Vec<Duration>,
    pub(crate) parse: Vec<Duration>,
    pub(crate) parse_all: Vec<Duration>,
    pub(crate) check: Vec<Duration>,
    pub(crate) diff: Vec<Duration>,
    pub(crate) check_one: Vec<Duration>,
    pub(crate) diff_one: Vec<Duration>,
    pub(crate) check_peak: Option<u64>,
    pub(crate) diff_peak: Option<u64>,
}

#[derive(Default)]
pub(crate) struct Table {
    repos: Vec<(Size, Measured)>,
}

impl Table {
    pub(crate) fn add(&mut self, size: Size, measured: Measured) {
        self.repos.push((size, measured));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| Repo | What | Time | × read + parse | Peak memory | × allowed |")?;
        writeln!(f, "|---|---|---:|---:|---:|---:|")?;
        for (size, measured) in &self.repos {
            repo(f, size, measured)?;
        }
        Ok(())
    }
}

fn repo(f: &mut fmt::Formatter<'_>, size: &Size, measured: &Measured) -> fmt::Result {
    let repo = format!("{} files", size.files);
    let held = format!("{} manifests, {}", size.manifests, mebibytes(size.bytes as u64));
    let times = [
        ("read all", &measured.read, None),
        ("read, parse the manifests", &measured.parse, None),
        ("read, parse all YAML and JSON", &measured.parse_all, None),
        ("`check`", &measured.check, measured.check_peak),
        ("`diff`", &measured.diff, measured.diff_peak),
    ];
    for (row, (what, runs, peak)) in times.into_iter().enumerate() {
        let repo = match row {
            0 => repo.as_str(),
            1 => held.as_str(),
            _ => "",
        };
        let ratio = median(ratios(runs, &measured.parse));
        let (peak, share) = match peak {
            Some(peak) => (mebibytes(peak), format!("{:.2}", peak as f64 / allowed(size) as f64)),
            None => Default::default(),
        };
        writeln!(f, "| {repo} | {what} | {} | {ratio:.2} | {peak} | {share} |", milliseconds(runs))?;
    }
    let one = [("`check` of one file", &measured.check_one), ("`diff` of one file", &measured.diff_one)];
    for (what, runs) in one {
        writeln!(f, "| | {what} | {} | | | |", milliseconds(runs))?;
    }
    Ok(())
}

/// What the tool may use: three times the manifests, and 50 MiB.
fn allowed(size: &Size) -> u64 {
    3 * size.bytes as u64 + 50 * 1024 * 1024
}

/// Each run against the baseline of the same round.
fn ratios(runs: &[Duration], baseline: &[Duration]) -> Vec<f64> {
    runs.iter().zip(baseline).map(|(run, base)| run.as_secs_f64() / base.as_secs_f64()).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => (values[middle - 1] + values[middle]) / 2.0,
    }
}

fn milliseconds(runs: &[Duration]) -> String {
    let median = median(runs.iter().map(Duration::as_secs_f64).collect()) * 1000.0;
    if median < 100.0 { format!("{median:.1} ms") } else { format!("{median:.0} ms") }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0)
}
