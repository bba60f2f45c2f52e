//! Findings and plans as text. One file for each format; adding one is its file and a line in
//! [`CheckFormat`] or [`DiffFormat`].
//!
//! Writes to what it is given. Opens nothing and decides nothing: every format shows the same findings.

mod checklist;
mod escape;
mod json;
pub mod network;
mod text;
mod unified;

use std::io::{self, Write};

pub use self::checklist::{ChecklistFormat, checklist};
pub use self::escape::{escaped, shown};
pub(crate) use self::json::line as json_line;
pub use self::json::schema;
pub(crate) use self::text::{closing, plural};
use crate::model::{Object, ObjectId};
use crate::plan::{FileReport, Judged, Planner, Reach, Tally};
use crate::pss;
use crate::repo::Skip;
use crate::rules::{NamespaceVerdict, NewFile, Rendered};

/// How `check` shows its findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CheckFormat {
    /// For people: by file, with a summary
    Text,
    /// For programs: one stable object; `caseharden check --format json --schema` describes it
    Json,
}

/// How `diff` shows its changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DiffFormat {
    /// For `git apply` and `patch -p1`, with the reason of every change above its file
    Unified,
}

/// What a renderer may depend on beside the findings.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Whether a person reads it on a terminal: control characters are then shown, never sent.
    pub terminal: bool,
    /// Whether colour is wanted.
    pub color: bool,
    /// Fewer words.
    pub quiet: bool,
    /// Every detail: notes, evidence, skipped files one by one.
    pub verbose: bool,
}

impl Style {
    /// The paint, or none.
    fn paint(self, paint: anstyle::Style) -> anstyle::Style {
        if self.color { paint } else { anstyle::Style::new() }
    }
}

/// A file that did not exist, or one that is not a manifest and changes as a whole.
#[derive(Debug)]
pub struct Created<'a> {
    pub file: &'a NewFile,
    /// The text it has today, if it exists.
    pub before: Option<&'a str>,
}

/// What is known at the end of a run.
#[derive(Debug, Default)]
pub struct Ending<'a> {
    pub workloads: Vec<WorkloadLine>,
    pub namespaces: &'a [NamespaceVerdict],
    pub skipped: &'a [Skip],
    pub notices: Vec<(String, usize, crate::rules::Finding)>,
    pub reach: Reach,
    /// The level that the profile asks for.
    pub level: Option<pss::Level>,
    pub counts: Counts,
}

/// The evaluator's verdict on one workload.
#[derive(Debug)]
pub struct WorkloadLine {
    pub path: String,
    pub line: usize,
    pub object: ObjectId,
    pub namespaces: Vec<String>,
    pub meets: pss::Level,
    pub violations: Vec<pss::Violation>,
}

/// What a run went through.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    pub files: usize,
    pub objects: usize,
    pub workloads: usize,
    /// YAML and JSON files without Kubernetes objects.
    pub others: usize,
    /// What became of workloads that charts render.
    pub rendered: Rendered,
    pub tally: Tally,
}

/// Shows a run, file by file.
pub trait Renderer: Sync {
    fn begin(&self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
    /// A file's report by itself. Reports are shown in any order, in many threads.
    fn file(&self, out: &mut Vec<u8>, report: &FileReport<'_>) -> io::Result<()>;
    /// Writes what [`Renderer::file`] has shown, in the order of the paths.
    fn shown(&self, out: &mut dyn Write, file: &[u8]) -> io::Result<()> {
        out.write_all(file)
    }
    /// Findings whose fix is a file of its own.
    fn created(
        &self,
        out: &mut dyn Write,
        path: &str,
        findings: &[Judged],
        files: &[Created<'_>],
    ) -> io::Result<()>;
    /// Whether [`Ending::workloads`] is wanted: judging them again takes time.
    fn wants_workloads(&self) -> bool {
        false
    }
    fn end(&self, out: &mut dyn Write, ending: &Ending<'_>) -> io::Result<()>;
}

impl CheckFormat {
    pub fn renderer(self, version: pss::Version, style: Style) -> Box<dyn Renderer> {
        match self {
            CheckFormat::Text => Box::new(text::Text::new(style)),
            CheckFormat::Json => Box::new(json::Json::new(version)),
        }
    }
}

impl DiffFormat {
    pub fn renderer(self, style: Style) -> Box<dyn Renderer> {
        match self {
            DiffFormat::Unified => Box::new(unified::Unified::new(style)),
        }
    }
}

/// A plan's workloads as lines for the ending.
pub fn workload_lines(planner: &Planner<'_>) -> Vec<WorkloadLine> {
    let mut lines = Vec::new();
    planner.workloads(|object: &Object, violations, meets| {
        lines.push(WorkloadLine {
            path: planner.model.file(object).path.clone(),
            line: planner.model.line(object),
            object: object.id.clone(),
            namespaces: planner.model.namespaces(object),
            meets,
            violations: violations.to_vec(),
        });
    });
    lines
}
