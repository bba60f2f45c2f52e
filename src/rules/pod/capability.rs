//! Capabilities as containers list them: exact names, other spellings, what they are for.
//!
//! Knows the lists and the words, not what a rule makes of them.

use crate::model::Container;

/// One entry of `capabilities.add` or `capabilities.drop`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capability<'a> {
    pub(super) idx: usize,
    /// As written.
    pub(super) text: &'a str,
}

impl Capability<'_> {
    /// The name Kubernetes uses: upper case, without the kernel's prefix.
    pub(super) fn name(&self) -> String {
        let upper = self.text.to_ascii_uppercase();
        upper.strip_prefix("CAP_").map_or(upper.clone(), str::to_owned)
    }

    /// Whether it is written as the kernel's headers do, which not every runtime understands.
    pub(super) fn has_prefix(&self) -> bool {
        self.text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("CAP_"))
    }
}

/// The entries of one of the two lists of a container.
pub(super) fn listed<'a>(container: &'a Container<'_>, list: &str) -> impl Iterator<Item = Capability<'a>> {
    let entries =
        container.security_context("capabilities").and_then(|capabilities| capabilities[list].as_array());
    let entries = entries.into_iter().flatten().enumerate();
    entries.map(|(idx, entry)| Capability { idx, text: entry.as_str().unwrap_or_default() })
}

/// What typically needs a capability, for the ones that manifests add.
pub(super) fn typical_use(name: &str) -> Option<&'static str> {
    let (_, needed) = USES.iter().find(|(names, _)| names.contains(&name))?;
    Some(needed)
}

/// Source: capabilities(7), and which programs call what it guards.
const USES: &[(&[&str], &str)] = &[
    (&["ALL"], "nothing needs all of them: find out which"),
    (
        &["NET_ADMIN"],
        "interfaces, routes and firewall rules: VPNs, network plugins, init containers of service meshes",
    ),
    (&["NET_RAW"], "raw packets: ping, packet capture, virtual addresses"),
    (
        &["SYS_ADMIN"],
        "mounts and namespaces: FUSE, storage drivers, nested runtimes; it is as good as root on the node",
    ),
    (&["SYS_PTRACE"], "debuggers and profilers"),
    (&["SYS_TIME"], "setting the clock: NTP"),
    (&["SYS_MODULE"], "loading kernel modules: storage and network drivers"),
    (&["SYS_RESOURCE"], "raising limits: eBPF agents, some databases"),
    (&["SYS_NICE"], "priorities and memory placement: databases, real-time programs"),
    (
        &["SYS_RAWIO", "SYS_BOOT", "SYS_PACCT", "LINUX_IMMUTABLE"],
        "managing the node's hardware and file systems",
    ),
    (&["SYSLOG"], "reading the kernel's log and addresses"),
    (&["IPC_LOCK"], "locking memory: Vault, Elasticsearch, DPDK"),
    (&["BPF", "PERFMON"], "eBPF and tracing agents"),
    (&["DAC_READ_SEARCH"], "reading any file: backup and log agents"),
    (&["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"], "entrypoints that prepare files as root"),
    (&["SETUID", "SETGID", "SETPCAP"], "entrypoints that start as root and change user"),
    (&["SYS_CHROOT"], "chroot: sshd, postfix"),
    (&["AUDIT_WRITE", "AUDIT_CONTROL"], "login programs: sshd, sudo"),
    (&["MKNOD"], "device files: image builders"),
    (&["SETFCAP"], "file capabilities: image builders"),
    (&["KILL"], "supervisors that signal processes of other users"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, name: &str, has_prefix: bool) {
        let capability = Capability { idx: 0, text };
        assert_eq!((capability.name().as_str(), capability.has_prefix()), (name, has_prefix));
    }

    #[test]
    fn spellings_have_one_name() {
        check("ALL", "ALL", false);
        check("all", "ALL", false);
        check("CAP_NET_RAW", "NET_RAW", true);
        check("cap_net_raw", "NET_RAW", true);
        check("", "", false);
        check("éé", "éé", false);
    }
}
