//! `checklist`: the production checklist as a report on the repo.

use std::io::Write;
use std::path::PathBuf;

use super::inputs::{Inputs, Select, count_report};
use super::{Global, Outcome};
use crate::checklist::{Checklist, Found, checklist, schema};
use crate::plan::{Planner, Purpose};
use crate::render::{self, ChecklistFormat, Counts};

/// Report on the ten areas of a production checklist
///
/// An item is satisfied when the rules that look after it find nothing, or only what somebody allowed; it is fixable
/// now when a command of this program writes what is missing. What no manifest can show is said to be elsewhere, and
/// where the usual advice is wrong the report says so.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden checklist\n  \
    caseharden checklist clusters/prod --format markdown > checklist.md\n  \
    caseharden checklist --format json | jq '.summary'\n  \
    caseharden checklist -v                     with links to what each item rests on\n\n\
    Exit codes: 0 done, 2 something could not be read (the rest was still judged)")]
pub(super) struct ChecklistArgs {
    /// Files and folders to read; `-` for standard input
    paths: Vec<PathBuf>,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: ChecklistFormat,
    /// Print the JSON Schema of `--format json` and stop
    #[arg(long)]
    schema: bool,
    #[command(flatten)]
    select: Select,
}

pub(super) fn run(args: &ChecklistArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    if args.schema {
        writeln!(out, "{:#}", schema())?;
        return Ok(Outcome::Done);
    }
    let inputs = Inputs::from_disk(&args.paths, &args.select, global)?;
    let (report, has_failed) = inputs.plan(&args.select, Purpose::Findings, |planner| {
        let mut counts = Counts::default();
        let report = report(planner, &mut counts);
        Ok((report, super::inputs::has_failed(&inputs, planner, &counts)))
    })?;
    render::checklist(out, &report, args.format, global.style())?;
    Ok(if has_failed { Outcome::Failed } else { Outcome::Done })
}

fn report(planner: &Planner<'_>, counts: &mut Counts) -> Checklist {
    let mut found = Found::new(&|rule| planner.selection.takes_rule(rule));
    planner.reports(|report| {
        count_report(counts, &report);
        report.findings.iter().for_each(|judged| found.add(judged));
    });
    planner.new_files().iter().flat_map(|planned| &planned.findings).for_each(|judged| found.add(judged));
    planner.allowed().iter().for_each(|(_, judged)| found.add(judged));
    for (_, _, finding) in planner.notices(planner.selection.today) {
        found.add_notice(finding.rule.id);
    }
    checklist(planner.model, planner.settings, &found)
}
