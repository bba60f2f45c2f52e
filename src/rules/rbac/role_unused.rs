//! See the rule's own docs below.

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A Role is bound to nobody.
    ///
    /// ## Why
    /// A Role can only be bound in its own namespace, and nothing in the repo does. What is left over is bound by
    /// mistake one day, with rights that nobody reviews any more.
    ///
    /// ## Fix
    /// Nothing is deleted: something outside of this repo may bind it. ClusterRoles are passed over, because other repos
    /// and people bind those by design.
    ///
    /// ## What could break
    /// Nothing.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/security/rbac-good-practices/#periodic-review>
    {
        id: "role-unused",
        area: Area::Rbac,
        severity: Severity::Low,
        pss: None,
        known_as: &[],
        check: Check::Repo,
    }
}

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    for (idx, role) in context.access.roles.iter().enumerate().filter(|(_, role)| !role.is_cluster_wide()) {
        let by_name = |binding: &BindingObject| {
            binding.role_kind == "Role" && binding.role_name == *role.object.id.name
        };
        // A binding whose namespace is not the role's is `dangling-role-ref`.
        if context.access.bindings_of(idx).next().is_none() && !context.access.bindings.iter().any(by_name) {
            let finding = Finding::new("/metadata/name", format!("{} is bound to nobody", role_name(role)))
                .note("delete it unless something outside of this repo binds it");
            context.place(&RULE, &role.object, finding, found);
        }
    }
}
