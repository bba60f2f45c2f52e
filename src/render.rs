//! Findings and plans as text. One file for each format; adding one is its file and a line in
//! [`CheckFormat`] or [`DiffFormat`].
//!
//! Writes to what it is given. Opens nothing and decides nothing: every format shows the same findings.

pub mod branches;
mod checklist;
mod escape;
pub mod fleet;
mod github;
mod gitlab;
mod html;
pub(crate) mod hunks;
mod json;
mod json_patch;
mod markdown;
mod markdown_text;
pub mod network;
mod rdjson;
mod rows;
mod sarif;
mod side_by_side;
mod text;
mod unified;

use std::io::{self, Write};

pub use self::checklist::{ChecklistFormat, checklist};
pub use self::escape::{escaped, shown};
use self::escape::{masked, uri};
pub use self::html::Pictures;
pub(crate) use self::json::line as json_line;
pub use self::json::schema;
pub use self::json_patch::PatchLine;
use self::rows::{Rows, Scope};
pub(crate) use self::text::{closing, plural};
use crate::model::{Object, ObjectId};
use crate::plan::{FileReport, Judged, Planner, Reach, Tally};
use crate::pss;
use crate::repo::Skip;
use crate::rules::{self, NamespaceVerdict, NewFile, Rendered};

/// How `check` shows its findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CheckFormat {
    /// For people: by file, with a summary
    Text,
    /// For programs: one stable object; `caseharden check --format json --schema` describes it
    Json,
    /// For code scanning: SARIF 2.1.0, with the fix of every finding that has one
    Sarif,
    /// For reviewdog: one object, with suggestions
    Rdjson,
    /// For reviewdog: one diagnostic a line, with suggestions
    Rdjsonl,
    /// For GitLab: a Code Quality report
    Gitlab,
    /// For GitHub Actions: annotations
    Github,
    /// For comments and summaries on forges
    Markdown,
}

/// How `diff` shows its changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DiffFormat {
    /// For `git apply` and `patch -p1`, with the reason of every change above its file
    Unified,
    /// For people: the old text beside the new one, as wide as the terminal; unified where that has less than 80 columns
    SideBySide,
    /// For reviews in a browser: one page that needs nothing else, with filters, keys and a choice to save
    Html,
    /// For the body of a pull request: what, why and risk, with the diffs folded away
    Markdown,
    /// For kubectl and kustomize: an RFC 6902 patch for each object, one a line
    JsonPatch,
    /// For builds that are not yours to edit: a Kustomize component for each, as the diff that makes its files
    Kustomize,
    /// For code scanning: SARIF 2.1.0, each change as the fix of its finding
    Sarif,
    /// For reviewdog: one object, with suggestions
    Rdjson,
    /// For reviewdog: one diagnostic a line, with suggestions
    Rdjsonl,
}

/// Longest Markdown that all of GitHub, GitLab and Gitea take, with room for what they add.
pub const MAX_MARKDOWN: usize = 58_000;

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
    /// Whether names of rules become links to what is known about them.
    pub links: bool,
}

impl Style {
    /// The paint, or none.
    fn paint(self, paint: anstyle::Style) -> anstyle::Style {
        if self.color { paint } else { anstyle::Style::new() }
    }

    /// The name of a rule, as a link (OSC 8) where that is wanted.
    fn link(self, rule: &rules::Rule) -> String {
        match self.links.then(|| rule.link()).flatten() {
            Some(address) => format!("\x1b]8;;{address}\x1b\\{}\x1b]8;;\x1b\\", rule.id),
            None => rule.id.to_owned(),
        }
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
    /// Whether [`Renderer::created`] shows the texts of new files: making them takes time.
    fn wants_new_texts(&self) -> bool {
        true
    }
    fn end(&self, out: &mut dyn Write, ending: &Ending<'_>) -> io::Result<()>;
}

impl CheckFormat {
    pub fn renderer(self, version: pss::Version, style: Style, max_bytes: usize) -> Box<dyn Renderer> {
        match self {
            CheckFormat::Text => Box::new(text::Text::new(style)),
            CheckFormat::Json => Box::new(json::Json::new(version)),
            CheckFormat::Sarif => Box::new(Rows::new(sarif::Sarif, Scope::Findings)),
            CheckFormat::Rdjson => Box::new(Rows::new(rdjson::Rdjson, Scope::Findings)),
            CheckFormat::Rdjsonl => Box::new(Rows::new(rdjson::Rdjsonl, Scope::Findings)),
            CheckFormat::Gitlab => Box::new(Rows::new(gitlab::Gitlab, Scope::Findings)),
            CheckFormat::Github => Box::new(Rows::new(github::Github, Scope::Findings)),
            CheckFormat::Markdown => Box::new(markdown::Markdown::new(Scope::Findings, max_bytes)),
        }
    }
}

impl DiffFormat {
    pub fn renderer<'p>(
        self,
        style: Style,
        width: usize,
        max_bytes: usize,
        pictures: &'p Pictures<'p>,
    ) -> Box<dyn Renderer + 'p> {
        match self {
            // A component is shown as the files it is made of.
            DiffFormat::Unified | DiffFormat::Kustomize => Box::new(unified::Unified::new(style)),
            DiffFormat::SideBySide if width < side_by_side::LEAST => Box::new(unified::Unified::new(style)),
            DiffFormat::SideBySide => Box::new(side_by_side::SideBySide::new(style, width)),
            DiffFormat::Html => Box::new(html::Html::new(pictures)),
            DiffFormat::Markdown => Box::new(markdown::Markdown::new(Scope::Fixes, max_bytes)),
            DiffFormat::JsonPatch => Box::new(json_patch::JsonPatch),
            DiffFormat::Sarif => Box::new(Rows::new(sarif::Sarif, Scope::Fixes)),
            DiffFormat::Rdjson => Box::new(Rows::new(rdjson::Rdjson, Scope::Fixes)),
            DiffFormat::Rdjsonl => Box::new(Rows::new(rdjson::Rdjsonl, Scope::Fixes)),
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
