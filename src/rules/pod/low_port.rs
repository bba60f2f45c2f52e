//! Ports below 1024, which not everybody may bind, and where a container is known to listen on one.
//!
//! The kernel lets a process bind them that has `CAP_NET_BIND_SERVICE` or whose network namespace has a lower
//! `net.ipv4.ip_unprivileged_port_start`. containerd sets that to 0 for pods with a network of their own from 2.0 on
//! (containerd/containerd#9348, #11502; 1.6 and 1.7 have `enable_unprivileged_ports` for it), CRI-O leaves it at 1024
//! (cri-o/cri-o#10050), and nobody touches it on the host's network. It is a safe sysctl: a pod may set it itself.

use crate::model::{Container, Pod};
use crate::rules::Workload;

/// A low port that a container listens on, with what says so.
pub(super) fn low_port(workload: &Workload<'_>, container: &Container<'_>) -> Option<(u64, &'static str)> {
    let is_low = |port: &u64| (1..1024).contains(port);
    let ports = container.value["ports"].as_array().into_iter().flatten();
    let declared = ports.filter_map(|port| port["containerPort"].as_u64()).find(is_low);
    let exposed = || workload.facts(container)?.low_ports().map(u64::from).find(is_low);
    declared.map(|port| (port, "its `ports`")).or_else(|| Some((exposed()?, "`EXPOSE` of its image")))
}

/// Who may bind a port, for a process that is not root.
pub(super) fn who_may_bind(pod: &Pod<'_>, port: u64) -> Option<String> {
    let start = pod.spec["securityContext"]["sysctls"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|sysctl| sysctl["name"] == "net.ipv4.ip_unprivileged_port_start")
        .and_then(|sysctl| sysctl["value"].as_str()?.parse::<u64>().ok());
    if start.is_some_and(|start| start <= port) {
        return None;
    }
    Some(if pod.spec["hostNetwork"] == true {
        "on the network of the host only root may bind it".to_owned()
    } else {
        format!(
            "containerd lets every user bind it from 2.0 on, containerd 1 and CRI-O do not unless configured: there set \
             the safe sysctl net.ipv4.ip_unprivileged_port_start to {port}, or let it listen above 1023"
        )
    })
}
