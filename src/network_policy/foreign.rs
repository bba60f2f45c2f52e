//! Kinds of other APIs that limit traffic as well. What they decide is not worked out here; that they are there is
//! said, so that no answer pretends to be whole.

use crate::model::ObjectId;

/// How far such an object reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Namespace,
    Cluster,
}

type Row = (&'static str, &'static [&'static str], Reach, &'static str);

/// Group, kinds, reach, and what it is.
const KINDS: &[Row] = &[
    ("crd.antrea.io", &["NetworkPolicy"], Reach::Namespace, "a policy of Antrea"),
    ("crd.antrea.io", &["ClusterNetworkPolicy"], Reach::Cluster, "a policy of Antrea"),
    ("policy.networking.k8s.io", &["ClusterNetworkPolicy"], Reach::Cluster, "a ClusterNetworkPolicy"),
    ("k8s.ovn.org", &["EgressFirewall"], Reach::Namespace, "a firewall of OVN-Kubernetes"),
    ("network.openshift.io", &["EgressNetworkPolicy"], Reach::Namespace, "a firewall of OpenShift SDN"),
    ("security.istio.io", &["AuthorizationPolicy"], Reach::Namespace, "a policy of Istio"),
    (
        "policy.linkerd.io",
        &["AuthorizationPolicy", "ServerAuthorization"],
        Reach::Namespace,
        "a policy of Linkerd",
    ),
    ("kuma.io", &["MeshTrafficPermission", "TrafficPermission"], Reach::Cluster, "a policy of Kuma"),
    ("consul.hashicorp.com", &["ServiceIntentions"], Reach::Cluster, "a policy of Consul"),
];

/// What an object is, if it limits traffic in a way that is not judged.
pub(super) fn recognized(id: &ObjectId) -> Option<(Reach, &'static str)> {
    let (group, kind) = (id.group(), &*id.kind);
    let row = KINDS.iter().find(|(of, kinds, _, _)| *of == group && kinds.contains(&kind));
    row.map(|(_, _, reach, what)| (*reach, *what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_policies_are_told_from_those_that_are_judged() {
        let check =
            |api: &str, kind: &str| recognized(&ObjectId::named(api, kind, "x")).map(|(reach, _)| reach);
        assert_eq!(check("crd.antrea.io/v1beta1", "NetworkPolicy"), Some(Reach::Namespace));
        assert_eq!(check("crd.antrea.io/v1beta1", "ClusterNetworkPolicy"), Some(Reach::Cluster));
        assert_eq!(check("networking.k8s.io/v1", "NetworkPolicy"), None);
        assert_eq!(check("cilium.io/v2", "CiliumNetworkPolicy"), None);
        // Staged policies of Calico are counted, not enforced.
        assert_eq!(check("projectcalico.org/v3", "StagedNetworkPolicy"), None);
    }
}
