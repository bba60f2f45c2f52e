//! Rules about pods and their containers.

use super::Rule;

mod apparmor_unconfined;
mod capabilities_not_dropped;
mod capability;
mod capability_added;
mod confinement;
mod host_namespaces;
mod host_path_volume;
mod host_port;
mod low_port;
mod persistent_volume;
mod privilege_escalation_allowed;
mod privileged_container;
mod probe_host;
mod proc_mount_unmasked;
mod restricted_volume_types;
mod root_filesystem_writable;
mod runs_as_root;
mod seccomp_not_set;
mod seccomp_unconfined;
mod selinux_options;
mod service_account_token_mounted;
mod standard_not_met;
mod unsafe_sysctls;
mod volume;
mod windows_host_process;
mod windows_os_unset;
mod writable_directories;

pub(super) const RULES: &[&Rule] = &[
    // What baseline forbids.
    &privileged_container::RULE,
    &host_namespaces::RULE,
    &host_path_volume::RULE,
    &host_port::RULE,
    &probe_host::RULE,
    &capability_added::RULE,
    &seccomp_unconfined::RULE,
    &apparmor_unconfined::RULE,
    &selinux_options::RULE,
    &proc_mount_unmasked::RULE,
    &unsafe_sysctls::RULE,
    &windows_host_process::RULE,
    // What restricted asks for.
    &runs_as_root::RULE,
    &privilege_escalation_allowed::RULE,
    &capabilities_not_dropped::RULE,
    &seccomp_not_set::RULE,
    &restricted_volume_types::RULE,
    &windows_os_unset::RULE,
    // What no level of the standard looks at.
    &root_filesystem_writable::RULE,
    &service_account_token_mounted::RULE,
    &standard_not_met::RULE,
];
