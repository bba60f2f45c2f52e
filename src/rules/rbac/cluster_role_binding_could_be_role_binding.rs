//! See the rule's own docs below.

use super::cluster_role_only_used_in_namespace::is_shared;
use super::narrowing::candidates;
use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A ClusterRoleBinding gives a shared role to an account that acts in one namespace.
    ///
    /// ## Why
    /// The account can do the same in every other namespace, and so can whoever takes it over.
    ///
    /// ## Fix
    /// Makes it a RoleBinding in the namespace of the workload; the ClusterRole stays as it is, because others are bound
    /// to it too. Only where nothing suggests that the program works in all namespaces. A role with rules about things
    /// that are in no namespace is reported only.
    ///
    /// ## What could break
    /// Requests about other namespaces, or about all of them. To a cluster the binding is a new object: the old one has
    /// to be deleted, which tools that prune do.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/security/rbac-good-practices/#least-privilege>
    {
        id: "cluster-role-binding-could-be-role-binding",
        area: Area::Rbac,
        severity: Severity::Medium,
        pss: None,
        known_as: &[("CIS", "5.1.1")],
        check: Check::Repo,
    }
}

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    for narrowing in candidates(context) {
        let binding = narrowing.binding;
        if matches!(binding.role, RoleSource::Repo(role) if !is_shared(context, role)) {
            continue;
        }
        let finding = Finding::new("/kind", narrowing.message());
        let finding = narrowing.moved(context, finding, "RoleBinding");
        let mut finding = narrowing.explained(context, finding, &[]);
        if matches!(binding.role, RoleSource::Repo(_)) && !narrowing.is_whole() {
            finding.make_manual(
                "the role also has rules about things that are in no namespace: give it those by a role of their own first",
            );
        }
        context.place(&RULE, &binding.object, finding, found);
    }
}
