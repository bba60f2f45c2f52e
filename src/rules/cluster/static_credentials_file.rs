//! See the rule's own docs below.

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// The API server accepts tokens or passwords from a file.
    ///
    /// ## Why
    /// They lie in plain text on each host, never expire, and are changed only with a restart.
    ///
    /// ## Fix
    /// None by itself: whoever uses them must get other credentials first (service account tokens that expire, OIDC, client
    /// certificates of days). Then take the flag, its volume and its mount out, and delete the file.
    /// `--basic-auth-file` has been gone since 1.19: an API server that is given it does not start.
    ///
    /// ## What could break
    /// Everybody who signs in with them.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file>
    {
        id: "static-credentials-file",
        area: Area::Cluster,
        severity: Severity::High,
        pss: None,
        known_as: &[
            ("CIS", "1.2.2"),
            ("kubescape", "C-0114"),
            ("checkov", "CKV_K8S_69, CKV_K8S_70"),
            ("trivy", "KCV-0002"),
        ],
        check: Check::Repo,
    }
}

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    let server = Component::ApiServer;
    for plane in &context.planes {
        for name in ["token-auth-file", "basic-auth-file"] {
            let Some(flag) = plane.flag(server, name) else { continue };
            let message =
                format!("the API server of {} accepts the credentials in {}", subject(plane), flag.value);
            let finding = Finding::new(plane.pointer(server, name), message)
                .note("give its users other credentials, then take the flag, the mount and the file away on each host");
            context.place(&RULE, &plane.object, finding, found);
        }
    }
}
