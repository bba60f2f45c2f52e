//! What a commit says: its subject and body from the templates, and the trailers that were asked for.

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum as _;

use super::changes::Changes;
use super::division::{Group, Per};
use crate::plan::Judged;
use crate::render::escaped;
use crate::rules;
use crate::template::{TemplateError, Templates, WantedCommit};

/// What the templates get to know of a commit.
pub(super) fn wanted(group: &Group, per: Per, title: &str, changes: &Changes) -> WantedCommit {
    let rules: BTreeSet<&str> = changes.findings.iter().map(|(_, judged)| judged.finding.rule.id).collect();
    let per = per.to_possible_value();
    WantedCommit {
        title: escaped(title).into_owned(),
        per: per.as_ref().map_or("", |per| per.get_name()).to_owned(),
        key: escaped(&group.key).into_owned(),
        rules: rules.into_iter().map(str::to_owned).collect(),
        files: changes.files.len(),
        findings: changes.findings.len(),
        details: details(changes),
    }
}

/// The whole message of a commit.
pub(super) fn message(
    templates: &Templates,
    wanted: &WantedCommit,
    trailers: &[String],
) -> Result<String, TemplateError> {
    let message = templates.commit_message(wanted)?;
    if trailers.is_empty() {
        return Ok(message);
    }
    Ok(format!("{}\n\n{}\n", message.trim_end(), trailers.join("\n")))
}

/// Reads `Token: value`, as git's trailers are written.
pub(super) fn trailer(text: &str) -> Result<String, String> {
    let is_token = |token: &str| {
        token.contains('-') && token.chars().all(|char| char.is_ascii_alphanumeric() || char == '-')
    };
    match text.split_once(": ") {
        Some((token, value))
            if is_token(token) && !value.trim().is_empty() && !text.contains(char::is_control) =>
        {
            Ok(text.to_owned())
        }
        _ => Err("write it as `Some-Token: value`, like `Reviewed-by: Ann <ann@example.com>`".to_owned()),
    }
}

/// Names at most this many objects for a rule; the diff has them all.
const OBJECTS_IN_MESSAGE: usize = 40;

/// For each rule: why, the objects, what to check.
fn details(changes: &Changes) -> String {
    let mut by_rule: BTreeMap<&str, Vec<&(String, Judged)>> = BTreeMap::new();
    for finding in &changes.findings {
        by_rule.entry(finding.1.finding.rule.id).or_default().push(finding);
    }
    let mut message = String::new();
    for (id, findings) in by_rule {
        let Some(rule) = rules::find(id) else { continue };
        message.push_str(&format!("\n{id}: {}.\n", rule.summary()));
        let objects: BTreeSet<String> =
            findings.iter().map(|(path, judged)| format!("{} ({path})", judged.object)).collect();
        for object in objects.iter().take(OBJECTS_IN_MESSAGE) {
            message.push_str(&format!("  - {}\n", escaped(object)));
        }
        if objects.len() > OBJECTS_IN_MESSAGE {
            message.push_str(&format!("  - and {} more\n", objects.len() - OBJECTS_IN_MESSAGE));
        }
        let notes: BTreeSet<&str> =
            findings.iter().flat_map(|(_, judged)| &judged.finding.notes).map(String::as_str).collect();
        for note in notes.iter().take(OBJECTS_IN_MESSAGE) {
            message.push_str(&format!("  Check: {}\n", escaped(note)));
        }
    }
    message.trim().to_owned()
}
