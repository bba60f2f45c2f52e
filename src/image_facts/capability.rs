//! File capabilities as tar archives carry them: `struct vfs_cap_data` of linux/capability.h, in base of the
//! extended attribute `security.capability`. Bytes in, names out.

const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// The permitted and inheritable capabilities, like `cap_net_raw`; `None` for data of no known version.
pub(super) fn names(data: &[u8]) -> Option<Vec<String>> {
    let word = |at: usize| {
        data.get(at..at + 4).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    let words = match word(0)? >> 24 {
        1 => 1,
        2 | 3 => 2,
        _ => return None,
    };
    let mut set = 0_u64;
    for half in 0..words {
        let both = word(4 + half * 8)? | word(8 + half * 8)?;
        set |= u64::from(both) << (32 * half);
    }
    let name = |bit: usize| NAMES.get(bit).map_or_else(|| format!("cap_{bit}"), |name| format!("cap_{name}"));
    Some((0..64).filter(|bit| set >> bit & 1 == 1).map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(data: &[u8], expected: Option<&[&str]>) {
        let expected = expected.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(names(data), expected);
    }

    #[test]
    fn reads_all_versions() {
        // As `setcap cap_net_raw+ep` writes it.
        let v2 = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        check(&v2, Some(&["cap_net_raw"]));
        check(&[1, 0, 0, 1, 0, 4, 0, 0, 0, 0, 0, 0], Some(&["cap_net_bind_service"]));
        let mut v3 = [0; 24];
        v3[3] = 3;
        v3[12] = 0x80;
        check(&v3, Some(&["cap_bpf"]));
    }

    #[test]
    fn short_or_unknown_data_has_no_names() {
        check(&[], None);
        check(&[1, 0, 0, 2, 0, 0x20], None);
        check(&[1, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0], None);
    }
}
