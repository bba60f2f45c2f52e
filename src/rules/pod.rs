//! Rules about pods and their containers.

use super::Rule;

mod privilege_escalation_allowed;
mod privileged_container;
mod runs_as_root;

pub(super) const RULES: &[&Rule] = &[
    &privileged_container::RULE,
    &privilege_escalation_allowed::RULE,
    &runs_as_root::RULE,
];
