//! Random pods: from hardened ones with a slip to complete nonsense of the right types, with odd values for every
//! field that a check reads.

use serde_json::{Map, Value, json};

use super::dice::Dice;

const NAMES: [&str; 8] = ["web", "init", "b", "a", "", "quo\"te", "web", "sidecar-é"];
const PROFILES: [&str; 6] = ["RuntimeDefault", "Localhost", "Unconfined", "", "runtimedefault", "x\"y"];
const CAPABILITIES: [&str; 24] = [
    "ALL",
    "all",
    "CAP_ALL",
    "NET_BIND_SERVICE",
    "CAP_NET_BIND_SERVICE",
    "net_bind_service",
    "NET_RAW",
    "SYS_ADMIN",
    "",
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "CAP_CHOWN",
    "NET_ADMIN",
];
const SYSCTLS: [&str; 18] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_notsent_lowat",
    "kernel.msgmax",
    "net/ipv4/tcp_syncookies",
    "net.core.somaxconn",
    "",
];
const SOURCES: [&str; 31] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "nfs",
    "iscsi",
    "glusterfs",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "fc",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
    "notYetInvented",
];
const ANNOTATIONS: [&str; 8] = [
    "container.apparmor.security.beta.kubernetes.io/web",
    "container.apparmor.security.beta.kubernetes.io/",
    "container.apparmor.security.beta.kubernetes.io/no~such",
    "seccomp.security.alpha.kubernetes.io/pod",
    "container.seccomp.security.alpha.kubernetes.io/web",
    "container.seccomp.security.alpha.kubernetes.io/",
    "container.seccomp.security.alpha.kubernetes.io/sidecar-é",
    "example.org/unrelated",
];
const ANNOTATED: [&str; 12] = [
    "runtime/default",
    "docker/default",
    "localhost/",
    "localhost/profile",
    "localhost",
    "unconfined",
    "",
    "Runtime/Default",
    "a\"b\\c\n\t\u{7}\u{b}\u{1}",
    "é\u{301}漢😀'",
    "\u{7f}\u{85}\u{a0}\u{ad}\u{200b}\u{2028}\u{feff}\u{e000}\u{10ffff}",
    "\u{301}",
];

/// A Pod object. Every field has the type that the API wants, or is `null`.
pub(crate) fn pod(dice: &mut Dice) -> Value {
    dice.mischief = dice.pick(&[0.0, 0.01, 0.03, 0.1, 0.3, 0.7]);
    let annotations = object(dice, |dice, annotations| {
        let n_annotations = if dice.misbehaves() { 1 + dice.below(4) } else { 0 };
        for _ in 0..n_annotations {
            annotations.insert(dice.pick(&ANNOTATIONS).to_owned(), dice.text(&ANNOTATED));
        }
    });
    let spec = object(dice, |dice, spec| {
        for field in ["hostNetwork", "hostPID", "hostIPC"] {
            maybe(dice, spec, field, Dice::switch);
        }
        if dice.chance(0.2) {
            spec.insert("hostUsers".to_owned(), dice.switch());
        }
        if dice.chance(0.15) {
            let name = dice.text(&["windows", "windows", "linux", "Windows", ""]);
            spec.insert("os".to_owned(), json!({ "name": name }));
        }
        let context = if dice.chance(0.9) { object(dice, pod_security) } else { Value::Null };
        spec.insert("securityContext".to_owned(), context);
        for (list, likely) in [("initContainers", 0.3), ("containers", 0.97), ("ephemeralContainers", 0.15)] {
            if dice.chance(likely) {
                let n_containers = 1 + dice.below(3);
                spec.insert(list.to_owned(), (0..n_containers).map(|_| container(dice)).collect());
            }
        }
        maybe(dice, spec, "volumes", |dice| (0..dice.below(4)).map(|_| volume(dice)).collect());
    });
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "annotations": annotations }, "spec": spec })
}

type Fields = Map<String, Value>;

fn object(dice: &mut Dice, fill: impl FnOnce(&mut Dice, &mut Fields)) -> Value {
    let mut fields = Fields::new();
    fill(dice, &mut fields);
    Value::Object(fields)
}

fn maybe(dice: &mut Dice, fields: &mut Fields, field: &str, value: impl FnOnce(&mut Dice) -> Value) {
    if dice.misbehaves() {
        let value = if dice.chance(0.05) { Value::Null } else { value(dice) };
        fields.insert(field.to_owned(), value);
    }
}

/// `usual`, unless the dice want something else: left out, `null`, or another value.
fn usually(
    dice: &mut Dice,
    fields: &mut Fields,
    field: &str,
    usual: Value,
    other: impl FnOnce(&mut Dice) -> Value,
) {
    if !dice.misbehaves() {
        fields.insert(field.to_owned(), usual);
    } else if dice.chance(0.7) {
        fields.insert(field.to_owned(), other(dice));
    }
}

fn profile(dice: &mut Dice) -> Value {
    if dice.chance(0.1) {
        return dice.pick(&[true, false]).then(|| json!({})).into();
    }
    json!({ "type": dice.text(&PROFILES), "localhostProfile": "x" })
}

/// What pods and containers have in common.
fn common_security(dice: &mut Dice, fields: &mut Fields) {
    maybe(dice, fields, "runAsUser", |dice| dice.pick(&[0_i64, 0, -0, 1, 1000, -1, i64::MAX]).into());
    maybe(dice, fields, "appArmorProfile", profile);
    maybe(dice, fields, "seLinuxOptions", |dice| {
        let types = [
            "",
            "container_t",
            "container_init_t",
            "container_kvm_t",
            "container_engine_t",
            "container_engine_t",
            "spc_t",
            "Container_t",
        ];
        object(dice, |dice, options| {
            usually(dice, options, "type", "container_t".into(), |dice| dice.text(&types));
            maybe(dice, options, "user", |dice| dice.text(&["", "system_u"]));
            maybe(dice, options, "role", |dice| dice.text(&["", "system_r"]));
            maybe(dice, options, "level", |dice| dice.text(&["", "s0:c1"]));
        })
    });
    maybe(dice, fields, "windowsOptions", |dice| {
        object(dice, |dice, options| maybe(dice, options, "hostProcess", Dice::switch))
    });
}

fn pod_security(dice: &mut Dice, fields: &mut Fields) {
    common_security(dice, fields);
    usually(dice, fields, "runAsNonRoot", true.into(), Dice::switch);
    usually(dice, fields, "seccompProfile", json!({ "type": "RuntimeDefault" }), profile);
    maybe(dice, fields, "sysctls", |dice| {
        let n_sysctls = 1 + dice.below(3);
        let sysctl = |dice: &mut Dice| json!({ "name": dice.text(&SYSCTLS), "value": "1" });
        (0..n_sysctls).map(|_| sysctl(dice)).collect()
    });
}

fn container_security(dice: &mut Dice, fields: &mut Fields) {
    common_security(dice, fields);
    maybe(dice, fields, "runAsNonRoot", Dice::switch);
    maybe(dice, fields, "seccompProfile", profile);
    maybe(dice, fields, "privileged", Dice::switch);
    maybe(dice, fields, "procMount", |dice| dice.text(&["Default", "Unmasked", "default", ""]));
    usually(dice, fields, "allowPrivilegeEscalation", false.into(), Dice::switch);
    usually(dice, fields, "capabilities", json!({ "drop": ["ALL"] }), |dice| {
        object(dice, |dice, both| {
            usually(dice, both, "drop", json!(["NET_RAW", "ALL"]), capabilities);
            usually(dice, both, "add", json!(["NET_BIND_SERVICE"]), capabilities);
        })
    });
}

fn capabilities(dice: &mut Dice) -> Value {
    (0..dice.below(4)).map(|_| dice.text(&CAPABILITIES)).collect()
}

fn container(dice: &mut Dice) -> Value {
    if dice.chance(0.01) {
        return Value::Null;
    }
    object(dice, |dice, fields| {
        if dice.chance(0.97) {
            fields.insert("name".to_owned(), dice.text(&NAMES));
        }
        usually(dice, fields, "image", "example.org/image".into(), |_| Value::Null);
        let context = if dice.misbehaves() { Value::Null } else { object(dice, container_security) };
        fields.insert("securityContext".to_owned(), context);
        maybe(dice, fields, "ports", |dice| (0..dice.below(4)).map(|_| port(dice)).collect());
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            maybe(dice, fields, probe, handler);
        }
        maybe(dice, fields, "lifecycle", |dice| {
            object(dice, |dice, lifecycle| {
                maybe(dice, lifecycle, "postStart", handler);
                maybe(dice, lifecycle, "preStop", handler);
            })
        });
    })
}

fn port(dice: &mut Dice) -> Value {
    object(dice, |dice, port| {
        usually(dice, port, "containerPort", 8080.into(), |_| Value::Null);
        maybe(dice, port, "hostPort", |dice| dice.pick(&[0, 80, 443, 10250, 8080, -1, i32::MAX]).into());
    })
}

fn handler(dice: &mut Dice) -> Value {
    object(dice, |dice, handler| {
        for action in ["httpGet", "tcpSocket"] {
            maybe(
                dice,
                handler,
                action,
                |dice| json!({ "port": 80, "host": dice.text(&["", "127.0.0.1", "localhost", "bad.host", "\"h\""]) }),
            );
        }
        maybe(dice, handler, "exec", |_| json!({ "command": ["true"] }));
    })
}

fn volume(dice: &mut Dice) -> Value {
    if dice.chance(0.02) {
        return Value::Null;
    }
    object(dice, |dice, volume| {
        volume.insert("name".to_owned(), dice.text(&["data", "tmp", "", "quo\"te"]));
        for _ in 0..dice.pick(&[0, 1, 1, 1, 1, 1, 2]) {
            let source = if dice.chance(0.9) { json!({}) } else { Value::Null };
            volume.insert(dice.pick(&SOURCES).to_owned(), source);
        }
    })
}
