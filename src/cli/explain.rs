//! `explain`: everything about one rule.

use std::io::Write;

use super::{Outcome, inputs};
use crate::rules;

/// Say why a rule matters, how it is fixed and what the fix could break
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  caseharden explain runs-as-root")]
pub(super) struct ExplainArgs {
    /// Id of the rule
    rule: String,
}

pub(super) fn run(args: &ExplainArgs, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let rule = rules::find(&args.rule).ok_or_else(|| inputs::unknown_rule(&args.rule))?;
    out.write_all(rules::page(rule).as_bytes())?;
    Ok(Outcome::Done)
}
