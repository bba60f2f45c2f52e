//! See the rule's own docs below.

use super::*;
use crate::model::pods;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// No network policy applies to pods on the network of their node.
    ///
    /// ## Why
    /// Pods with `hostNetwork: true` have the node's addresses: policies neither select them nor tell them from the
    /// node itself, so what they reach and who reaches them is up to the node's firewall.
    ///
    /// ## Fix
    /// Nothing is changed; no policy is written for them. See `host-namespaces` for taking them off the network of the
    /// node.
    ///
    /// ## What could break
    /// Nothing: reported only.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/services-networking/network-policies/#networkpolicy-and-hostnetwork-pods>
    {
        id: "host-network-unprotected",
        area: Area::Network,
        severity: Severity::Low,
        pss: None,
        known_as: &[],
        check: Check::Repo,
    }
}

pub(super) fn check(view: &View<'_>, found: &mut RepoFindings) {
    let mut said: BTreeSet<(usize, usize)> = BTreeSet::new();
    for (_, member) in view.connections.members() {
        if !member.host_network
            || view.is_left_alone(&member.space)
            || !said.insert((member.file, member.object))
        {
            continue;
        }
        let message =
            format!("{} uses the network of its node: NetworkPolicy does not apply to it", member.subject());
        let object = view.object(member);
        let value = view.model.value(object).unwrap_or_default();
        let pods = object.layout.as_ref().map(|layout| pods(layout, &value)).unwrap_or_default();
        let pointer = pods.first().map_or_else(String::new, |pod| format!("{}/hostNetwork", pod.pointer));
        let finding = Finding::new(pointer, message);
        found.place(placed(&RULE, object, finding));
    }
}
