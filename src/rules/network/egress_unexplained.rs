//! See the rule's own docs below.

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A workload says that it connects to something, and the repo does not say to what.
    ///
    /// ## Why
    /// What a workload opens can only be narrowed when it is known. An address in a Secret, a Service that is not in
    /// the repo or a port that a Service does not have leave a hole, or show a mistake.
    ///
    /// ## Fix
    /// Nothing is changed. State the address in the environment, arguments or a ConfigMap, give a flow log
    /// (`--flow-log`), or correct the name or port.
    ///
    /// ## What could break
    /// Nothing: reported only.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/>
    {
        id: "egress-unexplained",
        area: Area::Network,
        severity: Severity::Low,
        pss: None,
        known_as: &[],
        check: Check::Repo,
    }
}

pub(super) fn check(view: &View<'_>, found: &mut RepoFindings) {
    let mut said: BTreeSet<(usize, usize, String)> = BTreeSet::new();
    for (id, member) in view.connections.members() {
        if view.is_left_alone(&member.space) {
            continue;
        }
        let guesses = view
            .of(&view.guesses, id)
            .filter_map(|connection| Some((connection.evidence.first()?, doubt(&connection.certainty)?)));
        let open = view.unresolved_of(id).map(|item| (&item.evidence, item.reason.as_str()));
        for (evidence, reason) in open.chain(guesses) {
            let message = format!("{}: {}: {reason}", member.subject(), evidence.words);
            if !said.insert((member.file, member.object, message.clone())) {
                continue;
            }
            let object = view.object(member);
            let finding = Finding::new("/spec", message).evidence(cited(evidence));
            found.place(placed(&RULE, object, finding));
        }
    }
}
