//! `check` for programs: one JSON object, written as the findings come. Its shape is a promise, with a schema.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use json_patch::PatchOperation;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::escape::is_unsafe;
use super::{Created, Ending, Renderer, WorkloadLine};
use crate::model::ObjectId;
use crate::plan::{Fate, FileReport, Judged, Reach};
use crate::pss;
use crate::repo::Skip;
use crate::rules::NamespaceVerdict;

/// The output of `caseharden check --format json`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "caseharden check")]
struct Report {
    /// Of this format.
    version: u32,
    findings: Vec<JsonFinding>,
    /// The Pod Security verdict on each workload as it is.
    workloads: Vec<JsonWorkload>,
    namespaces: Vec<JsonNamespace>,
    reach: JsonReach,
    /// Files and objects that were not judged or could not be read.
    skipped: Vec<JsonSkip>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct JsonFinding {
    rule: &'static str,
    area: &'static str,
    #[schemars(regex(pattern = "^(low|medium|high|critical)$"))]
    severity: &'static str,
    #[schemars(regex(pattern = "^(safe|review|manual)$"))]
    safety: &'static str,
    message: String,
    path: String,
    line: usize,
    column: usize,
    object: JsonObject,
    container: Option<String>,
    /// RFC 6901, from the object.
    pointer: String,
    pss: Option<JsonCheck>,
    evidence: Vec<String>,
    /// What to look at before merging.
    notes: Vec<String>,
    /// Why a fix is not made in this file.
    held: Option<String>,
    /// RFC 6902, from the object.
    changes: Option<Value>,
    new_files: Vec<JsonNewFile>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct JsonObject {
    #[serde(rename = "apiVersion")]
    api_version: String,
    kind: String,
    namespace: Option<String>,
    name: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct JsonCheck {
    level: &'static str,
    check: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct JsonNewFile {
    path: String,
    text: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct JsonWorkload {
    path: String,
    line: usize,
    object: JsonObject,
    /// Where it lands, builds considered; empty when nothing tells.
    namespaces: Vec<String>,
    /// The highest level that all its pods meet.
    level: &'static str,
    /// The version of the standard it was judged by.
    version: String,
    /// What it violates of the level that the profile asks for.
    violations: Vec<JsonViolation>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct JsonViolation {
    level: &'static str,
    check: &'static str,
    message: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct JsonNamespace {
    name: String,
    /// The level that its workloads meet as they are.
    enforceable: &'static str,
    /// The level that they meet after the fixes of this run.
    after_fixes: &'static str,
    /// Workloads below the profile's level after the fixes.
    blocking: Vec<String>,
}

/// How far the fixes of a run reach.
#[derive(Debug, Serialize, JsonSchema)]
struct JsonReach {
    /// Workloads that builds and charts render, each as often as it is rendered, and those that are applied as they
    /// stand.
    workloads: usize,
    /// Those of them that meet the profile's level after the fixes.
    hardened: usize,
    charts: JsonChartReach,
    /// Kustomizations of builds that fetch something: that part of them is not judged.
    unread: Vec<String>,
}

/// What charts have a part in that.
#[derive(Debug, Serialize, JsonSchema)]
struct JsonChartReach {
    /// Workloads that they render, with each set of values.
    workloads: usize,
    /// Those of them that meet the profile's level after the fixes.
    hardened: usize,
    /// Releases whose charts are neither in the repo nor locked: what they run is not judged.
    unreached: Vec<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct JsonSkip {
    path: String,
    line: Option<usize>,
    reason: &'static str,
    detail: String,
}

/// The JSON Schema of the output.
pub fn schema() -> Value {
    schemars::schema_for!(Report).to_value()
}

/// In front of every finding; the first has no comma.
const SEPARATOR: &str = ",\n  ";

pub(super) struct Json {
    version: pss::Version,
    is_first: AtomicBool,
}

impl Json {
    pub(super) fn new(version: pss::Version) -> Json {
        Json { version, is_first: AtomicBool::new(true) }
    }

    fn finding(
        &self,
        out: &mut dyn Write,
        path: &str,
        judged: &Judged,
        files: &[Created<'_>],
    ) -> io::Result<()> {
        let json = format!("{SEPARATOR}{}", text(&finding(path, judged, Vec::new(), files))?);
        self.shown(out, json.as_bytes())
    }
}

impl Renderer for Json {
    fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{{\"version\":1,\"findings\":[")
    }

    fn file(&self, out: &mut Vec<u8>, report: &FileReport<'_>) -> io::Result<()> {
        report.findings.iter().try_for_each(|judged| {
            let changes = report.operations(judged);
            write!(out, "{SEPARATOR}{}", text(&finding(report.path, judged, changes, &[]))?)
        })
    }

    fn shown(&self, out: &mut dyn Write, file: &[u8]) -> io::Result<()> {
        let Some((_, without_comma)) = file.split_first() else { return Ok(()) };
        let is_first = self.is_first.swap(false, Ordering::Relaxed);
        out.write_all(if is_first { without_comma } else { file })
    }

    fn created(
        &self,
        out: &mut dyn Write,
        path: &str,
        findings: &[Judged],
        files: &[Created<'_>],
    ) -> io::Result<()> {
        findings.iter().try_for_each(|judged| self.finding(out, path, judged, files))
    }

    fn wants_workloads(&self) -> bool {
        true
    }

    fn end(&self, out: &mut dyn Write, ending: &Ending<'_>) -> io::Result<()> {
        for (path, line, notice) in &ending.notices {
            let judged = Judged::of_no_object(notice.clone(), *line);
            self.finding(out, path, &judged, &[])?;
        }
        write!(out, "],\n\"workloads\":[")?;
        list(out, ending.workloads.iter().map(|line| workload(line, self.version)))?;
        write!(out, "],\n\"namespaces\":[")?;
        list(out, ending.namespaces.iter().map(namespace))?;
        let (workloads, hardened) = ending.reach.total();
        let Reach { charts, unread, .. } = ending.reach.clone();
        let charts = JsonChartReach {
            workloads: charts.workloads,
            hardened: charts.hardened,
            unreached: charts.unreached.into_iter().collect(),
        };
        let reach = JsonReach { workloads, hardened, charts, unread };
        write!(out, "],\n\"reach\":{},\n\"skipped\":[", text(&reach)?)?;
        list(out, ending.skipped.iter().map(skip))?;
        writeln!(out, "]}}")
    }
}

fn list<T: Serialize>(out: &mut dyn Write, items: impl Iterator<Item = T>) -> io::Result<()> {
    for (idx, item) in items.enumerate() {
        write!(out, "{}\n  {}", if idx == 0 { "" } else { "," }, text(&item)?)?;
    }
    Ok(())
}

/// Writes a value as one line of JSON that is safe to show.
pub(crate) fn line(out: &mut dyn io::Write, value: &impl Serialize) -> io::Result<()> {
    writeln!(out, "{}", text(value)?)
}

/// JSON allows characters raw that a terminal must not see; outside of strings it has none of them.
pub(super) fn text(value: &impl Serialize) -> io::Result<String> {
    let json = serde_json::to_string(value).map_err(io::Error::from)?;
    if !json.chars().any(is_unsafe) {
        return Ok(json);
    }
    let mut safe = String::with_capacity(json.len() + 8);
    for char in json.chars() {
        if is_unsafe(char) {
            safe.extend(char.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            safe.push(char);
        }
    }
    Ok(safe)
}

fn finding(path: &str, judged: &Judged, changes: Vec<PatchOperation>, files: &[Created<'_>]) -> JsonFinding {
    let finding = &judged.finding;
    JsonFinding {
        rule: finding.rule.id,
        area: finding.rule.area.id(),
        severity: finding.severity().id(),
        safety: finding.safety.id(),
        message: finding.message.clone(),
        path: path.to_owned(),
        line: judged.line,
        column: judged.column,
        object: object(&judged.object),
        container: finding.container.clone(),
        pointer: finding.pointer.clone(),
        pss: finding
            .rule
            .pss
            .map(|(level, check)| JsonCheck { level: level.as_str(), check: check.to_owned() }),
        evidence: finding.evidence.clone(),
        notes: finding.notes.clone(),
        held: match &judged.fate {
            Fate::Held(reason) => Some(reason.clone()),
            _ => None,
        },
        changes: if changes.is_empty() { None } else { serde_json::to_value(changes).ok() },
        new_files: files
            .iter()
            .map(|created| JsonNewFile { path: created.file.path.clone(), text: created.file.text.clone() })
            .collect(),
    }
}

fn object(id: &ObjectId) -> JsonObject {
    JsonObject {
        api_version: id.api_version.to_string(),
        kind: id.kind.to_string(),
        namespace: id.namespace.as_deref().map(str::to_owned),
        name: id.name.to_string(),
    }
}

fn workload(line: &WorkloadLine, version: pss::Version) -> JsonWorkload {
    JsonWorkload {
        path: line.path.clone(),
        line: line.line,
        object: object(&line.object),
        namespaces: line.namespaces.clone(),
        level: line.meets.as_str(),
        version: match version {
            pss::Version::Latest => format!("v1.{}", pss::NEWEST),
            version => version.to_string(),
        },
        violations: line
            .violations
            .iter()
            .map(|violation| JsonViolation {
                level: violation.level.as_str(),
                check: violation.check,
                message: violation.message(),
            })
            .collect(),
    }
}

fn namespace(verdict: &NamespaceVerdict) -> JsonNamespace {
    JsonNamespace {
        name: verdict.name.clone(),
        enforceable: verdict.enforceable.as_str(),
        after_fixes: verdict.after_fixes.as_str(),
        blocking: verdict.blocking.clone(),
    }
}

fn skip(skip: &Skip) -> JsonSkip {
    JsonSkip {
        path: skip.path.clone(),
        line: skip.line,
        reason: skip.reason.id(),
        detail: skip.detail.clone(),
    }
}
