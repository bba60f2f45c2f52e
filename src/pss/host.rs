//! Baseline checks on what a pod may take of its node: namespaces, ports, probe targets, sysctls.
//! Knows the pod as read, nothing of versions beyond what it is told.

use std::collections::BTreeSet;

use json_patch::jsonptr::PointerBuf;

use super::pod::{HANDLERS, Pod, integer, text};
use super::wording::{Culprits, Forbidden, counted};

pub(super) fn namespaces(pod: &Pod<'_>) -> Option<Forbidden> {
    let all = [("hostNetwork", pod.host_network), ("hostPID", pod.host_pid), ("hostIPC", pod.host_ipc)];
    let shared = || all.into_iter().filter(|(_, shared)| *shared).map(|(field, _)| field);
    shared().next()?;
    Some(Forbidden {
        reason: "host namespaces",
        detail: shared().map(|field| format!("{field}=true")).collect::<Vec<_>>().join(", "),
        fields: shared().map(|field| PointerBuf::from_tokens([field])).collect(),
    })
}

pub(super) fn ports(pod: &Pod<'_>) -> Option<Forbidden> {
    let mut culprits = Culprits::default();
    // Upstream sorts them as text: 10250 stands before 80.
    let mut taken = BTreeSet::new();
    for container in &pod.containers {
        for (index, port) in container.ports.iter().enumerate() {
            let host_port = port.get("hostPort").and_then(integer).unwrap_or(0);
            if host_port != 0 {
                culprits.blame(container, &["ports", &index.to_string(), "hostPort"]);
                taken.insert(host_port.to_string());
            }
        }
    }
    if culprits.is_empty() {
        return None;
    }
    let (containers, n_containers) = culprits.containers();
    let verb = if n_containers == 1 { "uses" } else { "use" };
    let noun = if taken.len() == 1 { "hostPort" } else { "hostPorts" };
    let taken = Vec::from_iter(taken).join(", ");
    culprits.forbidden("hostPort", format!("{containers} {verb} {noun} {taken}"))
}

/// Probes and lifecycle handlers that name a host can make the kubelet call anything its node reaches.
pub(super) fn handlers(pod: &Pod<'_>) -> Option<Forbidden> {
    let mut culprits = Culprits::default();
    let mut hosts = BTreeSet::new();
    for container in &pod.containers {
        for (path, handler) in HANDLERS.iter().zip(container.handlers) {
            for kind in ["httpGet", "tcpSocket"] {
                let action = handler.and_then(|handler| handler.get(kind));
                let host = text(action.and_then(|action| action.get("host")));
                if !host.is_empty() {
                    culprits.blame(container, &[*path, &[kind, "host"]].concat());
                    hosts.insert(host);
                }
            }
        }
    }
    if culprits.is_empty() {
        return None;
    }
    let names = culprits.distinct_containers();
    let verb = if names.len() == 1 { "uses" } else { "use" };
    let containers = counted("container", names.len(), names);
    let hosts = counted("probe or lifecycle host", hosts.len(), hosts);
    culprits.forbidden("probe or lifecycle host", format!("{containers} {verb} {hosts}"))
}

/// Windows pods that run straight on their node.
pub(super) fn processes(pod: &Pod<'_>) -> Option<Forbidden> {
    const FIELD: [&str; 3] = ["securityContext", "windowsOptions", "hostProcess"];
    let mut culprits = Culprits::default();
    if pod.security.host_process == Some(true) {
        culprits.blame_pod(&FIELD);
    }
    for container in &pod.containers {
        if container.security.host_process == Some(true) {
            culprits.blame(container, &FIELD);
        }
    }
    if culprits.is_empty() {
        return None;
    }
    let setters = culprits.setters().join(" and ");
    let detail = format!("{setters} must not set securityContext.windowsOptions.hostProcess=true");
    culprits.forbidden("hostProcess", detail)
}

/// Sysctls that are namespaced and harm no neighbour, with the minor version that began to allow them.
const SAFE_SYSCTLS: [(u32, &str); 14] = [
    (0, "kernel.shm_rmid_forced"),
    (0, "net.ipv4.ip_local_port_range"),
    (0, "net.ipv4.tcp_syncookies"),
    (0, "net.ipv4.ping_group_range"),
    (0, "net.ipv4.ip_unprivileged_port_start"),
    (27, "net.ipv4.ip_local_reserved_ports"),
    (29, "net.ipv4.tcp_keepalive_time"),
    (29, "net.ipv4.tcp_fin_timeout"),
    (29, "net.ipv4.tcp_keepalive_intvl"),
    (29, "net.ipv4.tcp_keepalive_probes"),
    (32, "net.ipv4.tcp_rmem"),
    (32, "net.ipv4.tcp_wmem"),
    (37, "net.ipv4.tcp_slow_start_after_idle"),
    (37, "net.ipv4.tcp_notsent_lowat"),
];

pub(super) fn sysctls(pod: &Pod<'_>, minor: u32) -> Option<Forbidden> {
    let safe = |name: &str| safe_sysctls(minor).any(|safe| safe == name);
    let mut unsafe_names = Vec::new();
    let mut fields = Vec::new();
    for (index, sysctl) in pod.security.sysctls.iter().enumerate() {
        let name = text(sysctl.get("name"));
        if !safe(name) {
            unsafe_names.push(name);
            let index = index.to_string();
            fields.push(PointerBuf::from_tokens(["securityContext", "sysctls", index.as_str(), "name"]));
        }
    }
    let forbidden = || Forbidden { reason: "forbidden sysctls", detail: unsafe_names.join(", "), fields };
    (!unsafe_names.is_empty()).then(forbidden)
}

/// The sysctls that are safe since some minor version.
pub(super) fn safe_sysctls(minor: u32) -> impl Iterator<Item = &'static str> {
    SAFE_SYSCTLS.iter().filter(move |(since, _)| *since <= minor).map(|&(_, name)| name)
}
