//! Rules about secrets: where they are written in plain text, and how programs get them.

use std::collections::BTreeSet;

use super::{Finding, Placed, RepoFindings, Rule, Settings};
use crate::model::{Model, Object};
use crate::secret::is_secret_object;

mod chart_values;
mod configuration_not_immutable;
mod csi;
mod obstacles;
mod readers;
mod replacement;
mod secret_in_arguments;
mod secret_in_config_map;
mod secret_in_env_literal;
mod secret_in_plain_manifest;
mod secret_read_from_environment;
mod to_seal;
mod uses;

use self::readers::Readers;
pub use self::to_seal::secrets_to_seal;
use self::uses::Uses;

pub(super) const RULES: &[&Rule] = &[
    &secret_in_plain_manifest::RULE,
    &secret_in_env_literal::RULE,
    &secret_in_arguments::RULE,
    &secret_in_config_map::RULE,
    &secret_read_from_environment::RULE,
    &configuration_not_immutable::RULE,
];

/// What the rules of this area see.
struct Context<'a> {
    model: &'a Model<'a>,
    settings: &'a Settings<'a>,
    uses: Uses,
    readers: Readers<'a>,
    /// Paths that new files will have.
    planned: BTreeSet<String>,
}

impl Context<'_> {
    fn is_taken(&self, path: &str) -> bool {
        self.model.repo().file(path).is_some() || self.planned.contains(path)
    }
}

/// Asks the rules that look at more than one workload.
pub(super) fn check_repo(
    model: &Model<'_>,
    settings: &Settings<'_>,
    selected: &dyn Fn(&Rule) -> bool,
    found: &mut RepoFindings,
) {
    let has_secrets = || {
        model.objects().any(|object| is_secret_object(&object.id))
            || model.builds.kustomizations().iter().any(|build| !build.generated_secrets.is_empty())
    };
    if selected(&secret_in_plain_manifest::RULE) && has_secrets() {
        let planned = found.new_files.iter().flat_map(|placed| &placed.finding.new_files);
        let planned = planned.map(|file| file.path.clone()).collect();
        let readers = Readers::new(model, settings);
        let mut context = Context { model, settings, uses: Uses::of(model), readers, planned };
        secret_in_plain_manifest::check(&mut context, found);
    }
    if selected(&secret_in_plain_manifest::RULE) {
        chart_values::check(model, found);
    }
    if selected(&secret_in_config_map::RULE) {
        secret_in_config_map::check(model, found);
    }
    if selected(&configuration_not_immutable::RULE) {
        configuration_not_immutable::check(model, settings, found);
    }
}

/// Files a finding under its object.
fn place(
    model: &Model<'_>,
    rule: &'static Rule,
    object: &Object,
    mut finding: Finding,
    found: &mut RepoFindings,
) {
    if model.file(object).context_only {
        return;
    }
    finding.rule = rule;
    let placed = Placed { object: object.clone(), finding, needs_file: None };
    found.place(placed);
}

/// `a`, `a and b`, `a, b and 3 more`.
fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [one, two, three] => format!("{one}, {two} and {three}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} more", rest.len()),
    }
}
