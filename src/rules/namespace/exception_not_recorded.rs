//! See the rule's own docs below.

use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A system workload needs more than baseline, and nobody has recorded why.
    ///
    /// ## Why
    /// Network plugins, storage drivers and node agents need host access that even baseline forbids. That is
    /// accepted one workload at a time, by name and check, so that the next one is noticed.
    ///
    /// ## Fix
    /// Adds a record for the workload to the exceptions file: which checks it fails and what was seen. The
    /// workload itself is not edited. Its findings are not reported while the record covers them.
    ///
    /// ## What could break
    /// Nothing: the file is read by this tool and by people. Fill in an owner and an end date.
    ///
    /// ## Sources
    /// - The checklist item "audit each exception individually".
    /// - <https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline>
    {
        id: "exception-not-recorded",
        area: Area::Namespace,
        severity: Severity::Medium,
        pss: None,
        known_as: &[],
        check: Check::Repo,
    }
}
