//! Rules about image references.

use super::Rule;

mod image_not_pinned;
mod image_tag_latest;

pub(super) const RULES: &[&Rule] = &[&image_tag_latest::RULE, &image_not_pinned::RULE];
