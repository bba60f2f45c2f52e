//! See the rule's own docs below.

use super::audit_log_off::ROTATION;
use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// The audit log is thrown away early.
    ///
    /// ## Why
    /// Intrusions are found weeks later. A log of a few days, or of a few small files that a busy hour fills, no longer
    /// has them.
    ///
    /// ## Fix
    /// Keeps 30 days, 10 old files, 100 MiB each, where less is asked for. Limits that are not set are those of the API
    /// server: no limit of days and files, which keeps everything, and 100 MiB; they are left alone.
    ///
    /// ## What could break
    /// Up to 1 GiB of disk on each control-plane node.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/#log-backend>
    {
        id: "audit-log-kept-too-short",
        area: Area::Cluster,
        severity: Severity::Low,
        pss: None,
        known_as: &[
            ("CIS", "1.2.17, 1.2.18, 1.2.19"),
            ("kubescape", "C-0131, C-0132, C-0133"),
            ("checkov", "CKV_K8S_92, CKV_K8S_93, CKV_K8S_94"),
            ("trivy", "KCV-0020, KCV-0021, KCV-0022"),
        ],
        check: Check::Repo,
    }
}

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    let server = Component::ApiServer;
    for plane in context.planes.iter().filter(|plane| plane.runs(server)) {
        for (name, wanted) in ROTATION {
            let (Some(flag), Ok(least)) = (plane.flag(server, name), wanted.parse::<u64>()) else { continue };
            // 0 is no limit.
            let Some(value) = flag.value.parse::<u64>().ok().filter(|value| (1..least).contains(value))
            else {
                continue;
            };
            let message = format!("`--{name}={value}` of {} is less than {wanted}", subject(plane));
            let finding = flag_finding(plane, server, name, wanted, message, Safety::Safe);
            context.place_on(&RULE, plane, finding, found);
        }
    }
}
