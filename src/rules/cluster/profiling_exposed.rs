//! See the rule's own docs below.

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A control-plane component serves profiles of itself.
    ///
    /// ## Why
    /// Profiles tell what a program holds in memory, and taking one costs it time; on by default.
    ///
    /// ## Fix
    /// Sets `--profiling=false` for the API server, the controller manager and the scheduler. Nothing else changes.
    ///
    /// ## What could break
    /// `go tool pprof` against a component; turn it on again for as long as it is needed.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/>
    {
        id: "profiling-exposed",
        area: Area::Cluster,
        severity: Severity::Low,
        pss: None,
        known_as: &[
            ("CIS", "1.2.15, 1.3.2, 1.4.1"),
            ("kubescape", "C-0129, C-0145, C-0151"),
            ("checkov", "CKV_K8S_90, CKV_K8S_107, CKV_K8S_114"),
            ("trivy", "KCV-0018, KCV-0034, KCV-0040"),
        ],
        check: Check::Repo,
    }
}

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    for plane in &context.planes {
        for component in [Component::ApiServer, Component::ControllerManager, Component::Scheduler] {
            if !plane.runs(component) || plane.effective(component, "profiling") == Some("false") {
                continue;
            }
            let message = format!("{} of {} serves profiles of itself", component.binary(), subject(plane));
            let finding = flag_finding(plane, component, "profiling", "false", message, Safety::Safe);
            context.place_on(&RULE, plane, finding, found);
        }
    }
}
