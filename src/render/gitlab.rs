//! GitLab's Code Quality report: one array, shown in merge requests and beside changed lines.
//!
//! The format: <https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format>.

use std::io::{self, Write};

use serde_json::json;

use super::json::text;
use super::rows::{Format, Row};
use super::{Ending, escaped};
use crate::rules::Severity;

pub(super) struct Gitlab;

impl Format for Gitlab {
    const SEPARATOR: &'static str = ",\n  ";
    const WANTS_FIXES: bool = false;

    fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "[\n  ")
    }

    fn row(&self, out: &mut dyn Write, row: &Row<'_>) -> io::Result<()> {
        let issue = json!({
            "description": escaped(&row.judged.finding.message),
            "check_name": row.rule().id,
            // No two may be the same, and none may change with its line.
            "fingerprint": row.fingerprint,
            "severity": match row.judged.finding.severity() {
                Severity::Critical => "blocker",
                Severity::High => "critical",
                Severity::Medium => "major",
                Severity::Low => "minor",
            },
            "location": {"path": row.path, "lines": {"begin": row.judged.line}},
        });
        write!(out, "{}", text(&issue)?)
    }

    fn end(&self, out: &mut dyn Write, _: &Ending<'_>) -> io::Result<()> {
        writeln!(out, "\n]")
    }
}
