//! See the rule's own docs below.

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A binding gives somebody the rights of a cluster administrator.
    ///
    /// ## Why
    /// `cluster-admin` is everything: all secrets, all pods, all nodes. Whoever breaks into a program that runs with it
    /// owns the cluster. Bound in one namespace it is everything there, quotas and roles included.
    ///
    /// ## Fix
    /// Nothing is changed: which rights are needed instead only the program's documentation or an audit log tells. Bind a
    /// role with just those, and only then delete this binding. Accounts of system namespaces and the group
    /// `system:masters` are passed over.
    ///
    /// ## What could break
    /// Everything the program does beyond the rights of the new role.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/security/rbac-good-practices/#least-privilege>
    /// - The checklist item "never grant cluster-admin to application service accounts".
    {
        id: "cluster-admin-bound",
        area: Area::Rbac,
        severity: Severity::Critical,
        pss: None,
        known_as: &[
            ("CIS", "5.1.1"),
            ("kube-linter", "cluster-admin-role-binding"),
            ("kubescape", "C-0185, C-0035, C-0272"),
            ("polaris", "clusterrolebindingClusterAdmin, rolebindingClusterAdminClusterRole"),
            ("trivy", "KSV-0111"),
        ],
        check: Check::Repo,
    }
}

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    for binding in &context.access.bindings {
        if binding.role_kind != "ClusterRole" || binding.role_name != "cluster-admin" {
            continue;
        }
        let bound: Vec<&Subject> =
            binding.bound().into_iter().filter(|subject| !context.is_system(subject)).collect();
        if bound.is_empty() {
            continue;
        }
        let scope = if binding.is_cluster_wide() {
            "in the whole cluster".to_owned()
        } else {
            format!("in {}", listed(&binding.places))
        };
        let message =
            format!("{} lets {} do everything {scope}", binding_name(binding), named(bound.iter().copied()));
        let mut finding = Finding::new("/roleRef/name", message);
        for subject in bound {
            let users: Vec<String> = context
                .access
                .users_of(subject)
                .map(|user| format!("{}/{}", user.object.id.kind, user.object.id.name))
                .collect();
            if !users.is_empty() {
                finding = finding.evidence(format!("{} runs as {subject}", listed(&users)));
            }
        }
        if !binding.is_cluster_wide() {
            finding = finding
                .severe(Severity::High)
                .note("`admin` instead of `cluster-admin` leaves out the quota and the namespace itself");
        }
        context.place(&RULE, &binding.object, finding, found);
    }
}
