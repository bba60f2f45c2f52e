//! Rules about image references.

use super::Rule;

pub(super) const RULES: &[&Rule] = &[];
