//! See the rule's own docs below.

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A binding refers to a role that does not exist.
    ///
    /// ## Why
    /// It gives nothing today. Whoever makes a role of that name later gives its rights to the subjects of the binding,
    /// perhaps without knowing.
    ///
    /// ## Fix
    /// Nothing is changed: the role may be misspelt, gone, or made by something that is not in this repo (a chart, an
    /// operator).
    ///
    /// ## What could break
    /// Nothing.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/security/rbac-good-practices/#periodic-review>
    {
        id: "dangling-role-ref",
        area: Area::Rbac,
        severity: Severity::Low,
        pss: None,
        known_as: &[],
        check: Check::Repo,
    }
}

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    for binding in context.access.bindings.iter().filter(|binding| binding.role == RoleSource::Missing) {
        // Names with a colon are given by Kubernetes and its installers.
        if binding.role_name.contains(':') {
            continue;
        }
        let message = format!(
            "{} refers to {}/{}, which no manifest defines",
            binding_name(binding),
            binding.role_kind,
            binding.role_name
        );
        let mut finding = Finding::new("/roleRef/name", message);
        let elsewhere = context.access.roles.iter().find(|role| *role.object.id.name == *binding.role_name);
        finding = match elsewhere {
            Some(role) if *role.object.id.kind != *binding.role_kind => finding
                .severe(Severity::Medium)
                .note(format!("there is a {} of that name", role.object.id.kind)),
            Some(role) => finding
                .severe(Severity::Medium)
                .note(format!("there is one of that name in {}", listed(&role.places))),
            None => finding.note("if something outside of this repo makes it, this is as it should be"),
        };
        context.place(&RULE, &binding.object, finding, found);
    }
}
