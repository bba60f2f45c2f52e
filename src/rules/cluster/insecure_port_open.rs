//! See the rule's own docs below.

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A component listens on a port that asks for no credentials.
    ///
    /// ## Why
    /// Whoever reaches the insecure port of an API server is an administrator: no authentication, no authorization, no TLS.
    ///
    /// ## Fix
    /// Up to 1.23: sets `--insecure-port=0`. Since 1.24 the flag is gone, and an API server that is given it does not start:
    /// reported, to be taken out.
    ///
    /// ## What could break
    /// Programs on the host that use the port: they need a kubeconfig.
    ///
    /// ## Sources
    /// - <https://github.com/kubernetes/kubernetes/blob/master/CHANGELOG/CHANGELOG-1.24.md>
    {
        id: "insecure-port-open",
        area: Area::Cluster,
        severity: Severity::Critical,
        pss: None,
        known_as: &[("checkov", "CKV_K8S_86, CKV_K8S_88"), ("kubescape", "C-0005")],
        check: Check::Repo,
    }
}

/// The first version without the flag.
const GONE_IN: u16 = 24;

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    let server = Component::ApiServer;
    for plane in &context.planes {
        let port = plane.flag(server, "insecure-port").filter(|flag| flag.value != "0");
        let Some(flag) = port.or_else(|| plane.flag(server, "insecure-bind-address")) else { continue };
        let message = format!(
            "the API server of {} asks for no credentials on `--{}={}`",
            subject(plane),
            flag.name,
            flag.value
        );
        let finding = Finding::new(plane.pointer(server, &flag.name), message);
        let finding = match plane.version.minor < GONE_IN {
            true => match plane.set(server, "insecure-port", "0") {
                Some(change) => finding.change(change).safety(Safety::Review),
                None => finding.note("set `--insecure-port=0`"),
            },
            false => finding.note(format!(
                "1.{} does not know the flag any more and does not start with it: take it out",
                plane.version.minor
            )),
        };
        context.place_on(&RULE, plane, finding, found);
    }
}
