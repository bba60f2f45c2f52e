//! The table of checks: which there are, what each allows since which version, which one replaces which.
//! Knows nothing of how a check judges.

use std::sync::LazyLock;

use super::level::Level;
use super::pod::Pod;
use super::version::{NEWEST, Version};
use super::wording::Forbidden;
use super::{host, privilege, profile, user, volume};

/// Finds what a pod does that a check forbids.
pub(super) type Judge = fn(&Pod<'_>) -> Option<Forbidden>;

/// A check of the Pod Security Standards.
#[derive(Debug)]
pub struct Check {
    /// Upstream's id, such as `capabilities_restricted`.
    pub id: &'static str,
    /// The level that begins to ask for it: [`Level::Baseline`] or [`Level::Restricted`].
    pub level: Level,
    /// The baseline check that a namespace at restricted does not ask any more once this one exists.
    pub overrides: Option<&'static str>,
    /// What it reads: below the pod spec, or `metadata.annotations`. `containers[*]` stands for all three lists.
    pub fields: &'static [&'static str],
    /// What it allowed over time, the oldest first. Never empty; `since` only grows.
    pub revisions: &'static [Revision],
}

/// What a check allows from some version on.
#[derive(Debug)]
pub struct Revision {
    /// The minor version that begins with this revision.
    pub since: u32,
    /// The values allowed, or what is new about them.
    pub allows: &'static str,
    judge: Judge,
}

impl Check {
    /// The revision that judges at `version`; nothing before the check existed.
    pub fn revision(&self, version: Version) -> Option<&'static Revision> {
        let minor = version.known_minor();
        self.revisions.iter().rev().find(|revision| revision.since <= minor)
    }
}

/// All checks in upstream's order: those of baseline first, each level by id.
pub fn checks() -> &'static [Check] {
    &CHECKS
}

/// The check with upstream's id `id`.
pub fn check(id: &str) -> Option<&'static Check> {
    CHECKS.iter().find(|check| check.id == id)
}

/// What to ask of a pod at a level and version, in order.
pub(super) fn active(level: Level, version: Version) -> &'static [(&'static Check, Judge)] {
    static ACTIVE: LazyLock<Vec<[Active; 2]>> = LazyLock::new(|| {
        let both = |minor| [Level::Baseline, Level::Restricted].map(|level| list_active(level, minor));
        (0..=NEWEST).map(both).collect()
    });
    // Every known minor version has its place.
    let [baseline, restricted] = &ACTIVE[version.known_minor() as usize];
    match level {
        Level::Privileged => &[],
        Level::Baseline => baseline,
        Level::Restricted => restricted,
    }
}

type Active = Vec<(&'static Check, Judge)>;

fn list_active(level: Level, minor: u32) -> Active {
    let version = Version::Minor(minor);
    let asked = || CHECKS.iter().filter(|check| check.level <= level && check.revision(version).is_some());
    let overridden = |check: &Check| asked().any(|other| other.overrides == Some(check.id));
    let remaining = asked().filter(|check| !overridden(check));
    remaining.filter_map(|check| Some((check, check.revision(version)?.judge))).collect()
}

fn unless_windows(pod: &Pod<'_>, judge: Judge) -> Option<Forbidden> {
    if pod.is_windows() { None } else { judge(pod) }
}

fn unless_user_namespace(pod: &Pod<'_>, judge: Judge) -> Option<Forbidden> {
    if pod.has_user_namespace() { None } else { judge(pod) }
}

static CHECKS: [Check; 19] = [
    Check {
        id: "appArmorProfile",
        level: Level::Baseline,
        overrides: None,
        fields: &[
            "securityContext.appArmorProfile.type",
            "containers[*].securityContext.appArmorProfile.type",
            "metadata.annotations[container.apparmor.security.beta.kubernetes.io/*]",
        ],
        revisions: &[Revision {
            since: 0,
            allows: "unset, RuntimeDefault, Localhost; as annotation: empty, runtime/default, localhost/*",
            judge: profile::app_armor,
        }],
    },
    Check {
        id: "capabilities_baseline",
        level: Level::Baseline,
        overrides: None,
        fields: &["containers[*].securityContext.capabilities.add"],
        revisions: &[Revision {
            since: 0,
            allows: "AUDIT_WRITE, CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, MKNOD, NET_BIND_SERVICE, SETFCAP, \
                     SETGID, SETPCAP, SETUID, SYS_CHROOT",
            judge: privilege::added_capabilities,
        }],
    },
    Check {
        id: "hostNamespaces",
        level: Level::Baseline,
        overrides: None,
        fields: &["hostNetwork", "hostPID", "hostIPC"],
        revisions: &[Revision { since: 0, allows: "unset, false", judge: host::namespaces }],
    },
    Check {
        id: "hostPathVolumes",
        level: Level::Baseline,
        overrides: None,
        fields: &["volumes[*].hostPath"],
        revisions: &[Revision { since: 0, allows: "unset", judge: volume::host_paths }],
    },
    Check {
        id: "hostPorts",
        level: Level::Baseline,
        overrides: None,
        fields: &["containers[*].ports[*].hostPort"],
        revisions: &[Revision { since: 0, allows: "unset, 0", judge: host::ports }],
    },
    Check {
        id: "hostProbesAndHostLifecycle",
        level: Level::Baseline,
        overrides: None,
        fields: &[
            "containers[*].livenessProbe.{httpGet,tcpSocket}.host",
            "containers[*].readinessProbe.{httpGet,tcpSocket}.host",
            "containers[*].startupProbe.{httpGet,tcpSocket}.host",
            "containers[*].lifecycle.postStart.{httpGet,tcpSocket}.host",
            "containers[*].lifecycle.preStop.{httpGet,tcpSocket}.host",
        ],
        revisions: &[Revision { since: 34, allows: "unset, empty", judge: host::handlers }],
    },
    Check {
        id: "privileged",
        level: Level::Baseline,
        overrides: None,
        fields: &["containers[*].securityContext.privileged"],
        revisions: &[Revision { since: 0, allows: "unset, false", judge: privilege::privileged }],
    },
    Check {
        id: "procMount",
        level: Level::Baseline,
        overrides: None,
        fields: &["containers[*].securityContext.procMount", "hostUsers"],
        revisions: &[
            Revision { since: 0, allows: "unset, Default", judge: privilege::proc_mount },
            Revision {
                since: 35,
                allows: "unset, Default; anything with hostUsers: false",
                judge: |pod| unless_user_namespace(pod, privilege::proc_mount),
            },
        ],
    },
    Check {
        id: "seLinuxOptions",
        level: Level::Baseline,
        overrides: None,
        fields: &[
            "securityContext.seLinuxOptions.{type,user,role}",
            "containers[*].securityContext.seLinuxOptions.{type,user,role}",
        ],
        revisions: &[
            Revision {
                since: 0,
                allows: "type: unset, container_t, container_init_t, container_kvm_t; user and role: unset",
                judge: |pod| profile::se_linux(pod, 0),
            },
            Revision {
                since: 31,
                allows: "type container_engine_t as well",
                judge: |pod| profile::se_linux(pod, 31),
            },
        ],
    },
    Check {
        id: "seccompProfile_baseline",
        level: Level::Baseline,
        overrides: None,
        fields: &[
            "securityContext.seccompProfile.type",
            "containers[*].securityContext.seccompProfile.type",
            "metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]",
            "metadata.annotations[container.seccomp.security.alpha.kubernetes.io/*]",
        ],
        revisions: &[
            Revision {
                since: 0,
                allows: "annotations: unset, runtime/default, docker/default, localhost/*",
                judge: profile::seccomp_annotations,
            },
            Revision {
                since: 19,
                allows: "fields instead of annotations: unset, RuntimeDefault, Localhost",
                judge: profile::seccomp_unconfined,
            },
        ],
    },
    Check {
        id: "sysctls",
        level: Level::Baseline,
        overrides: None,
        fields: &["securityContext.sysctls[*].name"],
        revisions: &[
            Revision {
                since: 0,
                allows: "kernel.shm_rmid_forced, net.ipv4.ip_local_port_range, net.ipv4.tcp_syncookies, \
                         net.ipv4.ping_group_range, net.ipv4.ip_unprivileged_port_start",
                judge: |pod| host::sysctls(pod, 0),
            },
            Revision {
                since: 27,
                allows: "net.ipv4.ip_local_reserved_ports as well",
                judge: |pod| host::sysctls(pod, 27),
            },
            Revision {
                since: 29,
                allows: "net.ipv4.tcp_keepalive_time, net.ipv4.tcp_fin_timeout, net.ipv4.tcp_keepalive_intvl, \
                         net.ipv4.tcp_keepalive_probes as well",
                judge: |pod| host::sysctls(pod, 29),
            },
            Revision {
                since: 32,
                allows: "net.ipv4.tcp_rmem, net.ipv4.tcp_wmem as well",
                judge: |pod| host::sysctls(pod, 32),
            },
            Revision {
                since: 37,
                allows: "net.ipv4.tcp_slow_start_after_idle, net.ipv4.tcp_notsent_lowat as well",
                judge: |pod| host::sysctls(pod, 37),
            },
        ],
    },
    Check {
        id: "windowsHostProcess",
        level: Level::Baseline,
        overrides: None,
        fields: &[
            "securityContext.windowsOptions.hostProcess",
            "containers[*].securityContext.windowsOptions.hostProcess",
        ],
        revisions: &[Revision { since: 0, allows: "unset, false", judge: host::processes }],
    },
    Check {
        id: "allowPrivilegeEscalation",
        level: Level::Restricted,
        overrides: None,
        fields: &["containers[*].securityContext.allowPrivilegeEscalation", "os.name"],
        revisions: &[
            Revision { since: 8, allows: "false", judge: privilege::escalation },
            Revision {
                since: 25,
                allows: "false; anything on Windows",
                judge: |pod| unless_windows(pod, privilege::escalation),
            },
        ],
    },
    Check {
        id: "capabilities_restricted",
        level: Level::Restricted,
        overrides: Some("capabilities_baseline"),
        fields: &[
            "containers[*].securityContext.capabilities.drop",
            "containers[*].securityContext.capabilities.add",
            "os.name",
        ],
        revisions: &[
            Revision {
                since: 22,
                allows: "drop: a list with ALL; add: NET_BIND_SERVICE",
                judge: privilege::kept_capabilities,
            },
            Revision {
                since: 25,
                allows: "drop: a list with ALL; add: NET_BIND_SERVICE; anything on Windows",
                judge: |pod| unless_windows(pod, privilege::kept_capabilities),
            },
        ],
    },
    Check {
        id: "procMount_restricted",
        level: Level::Restricted,
        overrides: Some("procMount"),
        fields: &["containers[*].securityContext.procMount"],
        revisions: &[Revision {
            since: 35,
            allows: "unset, Default; also with hostUsers: false",
            judge: privilege::proc_mount,
        }],
    },
    Check {
        id: "restrictedVolumes",
        level: Level::Restricted,
        overrides: Some("hostPathVolumes"),
        fields: &["volumes[*]"],
        revisions: &[Revision {
            since: 0,
            allows: "configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim, projected, secret",
            judge: volume::restricted,
        }],
    },
    Check {
        id: "runAsNonRoot",
        level: Level::Restricted,
        overrides: None,
        fields: &["securityContext.runAsNonRoot", "containers[*].securityContext.runAsNonRoot", "hostUsers"],
        revisions: &[
            Revision {
                since: 0,
                allows: "true; unset in containers if the pod has true; false nowhere",
                judge: user::not_forced_non_root,
            },
            Revision {
                since: 35,
                allows: "anything with hostUsers: false as well",
                judge: |pod| unless_user_namespace(pod, user::not_forced_non_root),
            },
        ],
    },
    Check {
        id: "runAsUser",
        level: Level::Restricted,
        overrides: None,
        fields: &["securityContext.runAsUser", "containers[*].securityContext.runAsUser", "hostUsers"],
        revisions: &[
            Revision { since: 23, allows: "unset, anything but 0", judge: user::root },
            Revision {
                since: 35,
                allows: "unset, anything but 0; also 0 with hostUsers: false",
                judge: |pod| unless_user_namespace(pod, user::root),
            },
        ],
    },
    Check {
        id: "seccompProfile_restricted",
        level: Level::Restricted,
        overrides: Some("seccompProfile_baseline"),
        fields: &[
            "securityContext.seccompProfile.type",
            "containers[*].securityContext.seccompProfile.type",
            "os.name",
        ],
        revisions: &[
            Revision {
                since: 19,
                allows: "RuntimeDefault, Localhost; unset in containers if the pod has one of them",
                judge: profile::seccomp_missing,
            },
            Revision {
                since: 25,
                allows: "RuntimeDefault, Localhost; unset in containers if the pod has one of them; anything on Windows",
                judge: |pod| unless_windows(pod, profile::seccomp_missing),
            },
        ],
    },
];
