//! See the rule's own docs below.

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// The controller manager or the scheduler listens on all addresses, or all controllers share one account.
    ///
    /// ## Why
    /// Both serve metrics and health that only the host needs. Without `--use-service-account-credentials` every controller
    /// has the rights of all of them.
    ///
    /// ## Fix
    /// Sets `--bind-address=127.0.0.1` (unless a loopback address is there already) and
    /// `--use-service-account-credentials=true`. Distributions do that by themselves; this is for flags that say otherwise
    /// and for static pods without them.
    ///
    /// ## What could break
    /// A Prometheus that scrapes the components from another host needs a proxy on each (kube-rbac-proxy), or an allowed
    /// finding with that as its reason.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/>
    {
        id: "component-reachable-from-outside",
        area: Area::Cluster,
        severity: Severity::Medium,
        pss: None,
        known_as: &[
            ("CIS", "1.3.3, 1.3.7, 1.4.2"),
            ("kubescape", "C-0146, C-0150, C-0152"),
            ("checkov", "CKV_K8S_108, CKV_K8S_113, CKV_K8S_115"),
            ("trivy", "KCV-0035, KCV-0039, KCV-0041"),
        ],
        check: Check::Repo,
    }
}

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    for plane in &context.planes {
        for component in [Component::ControllerManager, Component::Scheduler] {
            if !plane.runs(component) {
                continue;
            }
            let address = plane.effective(component, "bind-address").unwrap_or("0.0.0.0");
            if !["127.0.0.1", "::1", "localhost"].contains(&address) {
                let message = format!("{} of {} listens on {address}", component.binary(), subject(plane));
                let finding =
                    flag_finding(plane, component, "bind-address", "127.0.0.1", message, Safety::Review);
                context.place_on(&RULE, plane, finding, found);
            }
        }
        let manager = Component::ControllerManager;
        let flag = "use-service-account-credentials";
        if plane.runs(manager) && plane.effective(manager, flag) != Some("true") {
            let message = format!("the controllers of {} share one account", subject(plane));
            let finding = flag_finding(plane, manager, flag, "true", message, Safety::Review);
            context.place_on(&RULE, plane, finding, found);
        }
    }
}
