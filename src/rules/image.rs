//! Rules about image references.

use super::{RepoFindings, Rule, Settings};
use crate::model::Model;

mod image_digest_of_one_platform;
mod image_not_pinned;
mod image_not_signed;
mod image_signature_invalid;
mod image_tag_latest;
mod signature;

pub(super) const RULES: &[&Rule] = &[
    &image_tag_latest::RULE,
    &image_not_pinned::RULE,
    &image_digest_of_one_platform::RULE,
    &image_signature_invalid::RULE,
    &image_not_signed::RULE,
];

/// Asks the rules about what is no workload.
pub(super) fn check_repo(
    model: &Model<'_>,
    settings: &Settings<'_>,
    selected: &dyn Fn(&Rule) -> bool,
    found: &mut RepoFindings,
) {
    if selected(&image_not_pinned::RULE) {
        image_not_pinned::check_kustomizations(model, settings, found);
    }
}
