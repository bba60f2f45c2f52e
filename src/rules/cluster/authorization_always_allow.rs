//! See the rule's own docs below.

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// The API server does not ask RBAC and the node authorizer.
    ///
    /// ## Why
    /// With `AlwaysAllow`, which is also the default of a bare API server, everybody who can sign in may do everything.
    /// Without `Node` kubelets need rights on all Secrets.
    ///
    /// ## Fix
    /// Sets `--authorization-mode=Node,RBAC`, and keeps webhooks and ABAC that are there. With `--authorization-config` the
    /// file decides: not looked at.
    ///
    /// ## What could break
    /// Whatever has no role. Try with `caseharden rbac`, and an audit log.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/reference/access-authn-authz/authorization/>
    {
        id: "authorization-always-allow",
        area: Area::Cluster,
        severity: Severity::Critical,
        pss: None,
        known_as: &[
            ("CIS", "1.2.6, 1.2.7, 1.2.8"),
            ("kubescape", "C-0118, C-0119, C-0120"),
            ("checkov", "CKV_K8S_74, CKV_K8S_75, CKV_K8S_77"),
            ("trivy", "KCV-0007, KCV-0008, KCV-0009"),
        ],
        check: Check::Repo,
    }
}

const FLAG: &str = "authorization-mode";

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    let server = Component::ApiServer;
    for plane in context.planes.iter().filter(|plane| plane.runs(server)) {
        if plane.effective(server, "authorization-config").is_some() {
            continue;
        }
        let modes: Vec<&str> =
            plane.effective(server, FLAG).unwrap_or("AlwaysAllow").split(',').map(str::trim).collect();
        let allows = modes.contains(&"AlwaysAllow");
        if !allows && modes.contains(&"RBAC") && modes.contains(&"Node") {
            continue;
        }
        let kept = modes.iter().filter(|mode| !["AlwaysAllow", "Node", "RBAC"].contains(mode));
        let wanted = ["Node", "RBAC"].iter().chain(kept).copied().collect::<Vec<_>>().join(",");
        let message = match allows {
            true => format!("the API server of {} allows every request", subject(plane)),
            false => format!("the API server of {} does not ask Node and RBAC", subject(plane)),
        };
        let mut finding = flag_finding(plane, server, FLAG, &wanted, message, Safety::Review);
        if !allows {
            finding = finding.severe(Severity::High);
        }
        context.place_on(&RULE, plane, finding, found);
    }
}
