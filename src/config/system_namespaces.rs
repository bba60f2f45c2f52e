//! Which namespaces host the software a node itself depends on. Knows names, not what runs in them.
//!
//! A *system* namespace is one whose workloads are part of the node: control plane, network (CNI), storage
//! (CSI), device plugins, agents that watch the node. Such workloads need host access, so they are recorded
//! as exceptions instead of being hardened until they break. A namespace that merely belongs to a platform
//! team (cert-manager, argocd, kyverno, gatekeeper-system, external-secrets, flux-system, keda) is not one:
//! its pods are ordinary processes, and most of these projects already ship them fit for `restricted`.

use super::Distribution;
use super::globs::NameGlob;

/// Namespaces that are system namespaces on every distribution, with the reason.
const EVERYWHERE: &[(&str, &str)] = &[
    ("kube-system", "control plane, kube-proxy, most CNI and CSI agents"),
    ("kube-public", "created by Kubernetes, readable without credentials"),
    ("kube-node-lease", "created by Kubernetes for kubelet heartbeats"),
    // Network.
    ("calico-system", "CNI: calico-node is privileged on the host network"),
    ("calico-apiserver", "CNI: installed and upgraded by Calico's operator"),
    ("tigera-operator", "CNI: Calico's operator runs on the host network before there is a pod network"),
    ("cilium", "CNI: the agent is privileged on the host network"),
    ("kube-flannel", "CNI: flanneld changes the node's routes"),
    ("metallb-system", "the speaker answers ARP and NDP on the host network"),
    ("istio-system", "the CNI plugin and ztunnel program each node's network"),
    ("linkerd", "its pods carry an init container that writes iptables rules (NET_ADMIN)"),
    ("linkerd-cni", "CNI plugin installed into host paths"),
    ("submariner-operator", "gateway and route agents change the node's routes"),
    // Storage.
    ("longhorn-system", "CSI: mounts block devices, privileged with bidirectional mounts"),
    ("rook-ceph", "CSI: opens the node's disks"),
    ("openebs", "CSI: opens the node's disks"),
    ("local-path-storage", "provisions volumes as host paths"),
    ("topolvm-system", "CSI: manages LVM on the node"),
    ("trident", "CSI: mounts volumes on the node"),
    ("piraeus-datastore", "CSI: DRBD kernel module and the node's disks"),
    ("velero", "the node agent reads every pod's volumes through host paths"),
    // Devices and virtual machines.
    ("gpu-operator", "installs drivers and device plugins on nodes"),
    ("node-feature-discovery", "reads the node's hardware through host paths"),
    ("kubevirt", "virt-handler manages virtual machines on the node"),
    // Agents that watch nodes.
    ("monitoring", "node-exporter reads the host's processes, network and root file system"),
    ("logging", "log collectors read the node's logs through host paths"),
    ("falco", "watches system calls in the kernel"),
    ("sysdig-agent", "watches system calls in the kernel"),
    ("datadog", "the agent reads host paths and processes"),
    ("dynatrace", "the agent instruments processes of the node"),
    // Node upgrades.
    ("system-upgrade", "privileged jobs that change the node's own software"),
];

/// Further ones that a distribution reserves for itself, as patterns.
fn reserved(distribution: Distribution) -> &'static [&'static str] {
    match distribution {
        // "Do not create namespaces that begin with openshift-": reserved by Red Hat.
        Distribution::Openshift => &["openshift", "openshift-*"],
        Distribution::Gke => &["gke-managed-*", "gmp-system", "gke-gmp-system", "config-management-system"],
        Distribution::Eks => &["amazon-cloudwatch", "amazon-guardduty", "aws-observability"],
        Distribution::Aks => &["aks-command", "aks-istio-*"],
        Distribution::K3s | Distribution::Rke2 => &["cattle-monitoring-system", "cattle-logging-system"],
        _ => &[],
    }
}

/// The built-in list and what a team adds to it or takes from it.
#[derive(Debug, Clone, Default)]
pub struct SystemNamespaces {
    pub extra: Vec<NameGlob>,
    /// Wins over the built-in list and over `extra`.
    pub not: Vec<NameGlob>,
}

impl SystemNamespaces {
    pub fn contains(&self, namespace: &str, distribution: Distribution) -> bool {
        let any = |globs: &[NameGlob]| globs.iter().any(|glob| glob.matches(namespace));
        !any(&self.not)
            && (EVERYWHERE.iter().any(|(name, _)| *name == namespace)
                || reserved(distribution).iter().any(|pattern| covers(pattern, namespace))
                || any(&self.extra))
    }

    /// Why `namespace` is in the built-in list, when it is there by name.
    pub fn built_in_reason(namespace: &str) -> Option<&'static str> {
        EVERYWHERE.iter().find(|(name, _)| *name == namespace).map(|(_, reason)| *reason)
    }
}

fn covers(pattern: &str, namespace: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => namespace.starts_with(prefix),
        None => pattern == namespace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(patterns: &[&str]) -> Vec<NameGlob> {
        patterns.iter().map(|pattern| NameGlob::try_from((*pattern).to_owned()).unwrap()).collect()
    }

    #[test]
    fn not_wins_over_the_list_and_over_extra() {
        let namespaces =
            SystemNamespaces { extra: globs(&["infra-*"]), not: globs(&["monitoring", "infra-web"]) };
        let contains = |name| namespaces.contains(name, Distribution::Generic);
        assert!(contains("kube-system") && contains("infra-node"));
        assert!(!contains("monitoring") && !contains("infra-web") && !contains("cert-manager"));
    }

    #[test]
    fn reserved_names_count_only_on_their_distribution() {
        let namespaces = SystemNamespaces::default();
        assert!(namespaces.contains("openshift-dns", Distribution::Openshift));
        assert!(!namespaces.contains("openshift-dns", Distribution::Generic));
    }

    #[test]
    fn every_name_is_listed_once_with_a_reason() {
        for (n, (name, reason)) in EVERYWHERE.iter().enumerate() {
            assert!(!reason.is_empty());
            assert!(EVERYWHERE[n + 1..].iter().all(|(other, _)| other != name), "`{name}` twice");
        }
    }
}
