//! `rules`: list the rules.

use std::io::Write;

use super::Outcome;
use crate::rules;

/// List all rules
#[derive(Debug, clap::Args)]
pub(super) struct RulesArgs {
    /// How to show them
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: RulesFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum RulesFormat {
    /// A table
    Text,
    /// A table for a README or a wiki
    Markdown,
    /// Everything that is known of each rule
    Json,
}

pub(super) fn run(args: &RulesArgs, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    match args.format {
        RulesFormat::Text => {
            let width = rules::all().map(|rule| rule.id.len()).max().unwrap_or(0);
            for rule in rules::all() {
                let (area, severity) = (rule.area.id(), rule.severity.id());
                writeln!(out, "{:<width$}  {area:<9}  {severity:<8}  {}", rule.id, rule.summary())?;
            }
        }
        RulesFormat::Markdown => out.write_all(rules::markdown_table().as_bytes())?,
        RulesFormat::Json => {
            let rules: Vec<serde_json::Value> = rules::all()
                .map(|rule| {
                    let known_as = rule.known_as.iter().map(|(tool, ids)| ((*tool).to_owned(), (*ids).into()));
                    serde_json::json!({
                        "id": rule.id,
                        "area": rule.area.id(),
                        "severity": rule.severity.id(),
                        "summary": rule.summary(),
                        "pss": rule.pss.map(|(level, check)| serde_json::json!({"level": level, "check": check})),
                        "known_as": known_as.collect::<serde_json::Map<_, _>>(),
                        "docs": rule.docs,
                    })
                })
                .collect();
            serde_json::to_writer_pretty(&mut *out, &rules)?;
            writeln!(out)?;
        }
    }
    Ok(Outcome::Done)
}
