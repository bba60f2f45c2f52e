//! Random pods, with odd values for every field that rules read.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// An object with some of the fields.
fn object(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let entries: Vec<_> = fields
        .into_iter()
        .map(|(key, value)| weighted(0.35, value).prop_map(move |value| Some((key.to_owned(), value?))))
        .collect();
    entries.prop_map(|entries| Value::Object(entries.into_iter().flatten().collect::<Map<_, _>>())).boxed()
}

fn one_of(values: Value) -> BoxedStrategy<Value> {
    select(values.as_array().cloned().unwrap_or_default()).boxed()
}

fn list(items: BoxedStrategy<Value>, most: usize) -> BoxedStrategy<Value> {
    vec(items, 0..=most).prop_map(Value::Array).boxed()
}

fn profile() -> BoxedStrategy<Value> {
    one_of(
        json!([{"type": "RuntimeDefault"}, {"type": "Unconfined"}, {"type": "Localhost", "localhostProfile": "x"}, {}, null]),
    )
}

fn capabilities() -> BoxedStrategy<Value> {
    one_of(json!([
        "ALL",
        "all",
        "CAP_ALL",
        "NET_BIND_SERVICE",
        "CAP_NET_BIND_SERVICE",
        "net_bind_service",
        "NET_RAW",
        "SYS_ADMIN",
        "CAP_SYS_ADMIN",
        "CHOWN",
        "cap_chown",
        "MADE_UP",
        ""
    ]))
}

fn selinux() -> BoxedStrategy<Value> {
    object(vec![
        ("type", one_of(json!(["", "container_t", "container_engine_t", "spc_t"]))),
        ("user", one_of(json!(["", "u"]))),
        ("role", one_of(json!(["", "r"]))),
        ("level", one_of(json!(["s0:c1,c2"]))),
    ])
}

fn container_context() -> BoxedStrategy<Value> {
    object(vec![
        ("allowPrivilegeEscalation", one_of(json!([true, false]))),
        ("privileged", one_of(json!([false, false, true]))),
        ("capabilities", object(vec![("add", list(capabilities(), 3)), ("drop", list(capabilities(), 3))])),
        ("runAsNonRoot", one_of(json!([true, false]))),
        ("runAsUser", one_of(json!([0, 1000]))),
        ("readOnlyRootFilesystem", one_of(json!([true, false]))),
        ("procMount", one_of(json!(["Default", "Unmasked"]))),
        ("seccompProfile", profile()),
        ("appArmorProfile", profile()),
        ("seLinuxOptions", selinux()),
        ("windowsOptions", one_of(json!([{"hostProcess": true}, {"hostProcess": false}]))),
    ])
}

fn handler() -> BoxedStrategy<Value> {
    let host = one_of(json!(["", "127.0.0.1", "localhost", "10.0.0.1", "shop.example.com"]));
    let headers = one_of(json!([[], [{"name": "Host", "value": "x"}], [{"name": "Accept", "value": "*/*"}]]));
    object(vec![
        ("httpGet", object(vec![("host", host.clone()), ("httpHeaders", headers)])),
        ("tcpSocket", object(vec![("host", host)])),
    ])
}

fn container() -> BoxedStrategy<Value> {
    let ports = object(vec![
        ("containerPort", one_of(json!([80, 8080]))),
        ("hostPort", one_of(json!([0, 80, 8080]))),
        ("hostIP", one_of(json!(["10.0.0.1"]))),
    ]);
    let mounts = object(vec![
        ("name", one_of(json!(["tmp", "a", "b"]))),
        ("mountPath", one_of(json!(["/tmp", "/tmp/", "/", "/tmp/x", "/var/log", "/root/.cache"]))),
        ("readOnly", one_of(json!([true, false]))),
    ]);
    let env = object(vec![
        ("name", one_of(json!(["DB_PASSWORD", "KUBECONFIG", "X"]))),
        ("value", one_of(json!(["hunter2", "$(X)", "postgres://a:hunter2@db"]))),
    ]);
    object(vec![
        ("image", one_of(json!(["a", "a:1", "kubectl", "buildkit", "${IMAGE}"]))),
        ("securityContext", container_context()),
        ("ports", list(ports, 2)),
        ("volumeMounts", list(mounts, 2)),
        ("livenessProbe", handler()),
        ("lifecycle", object(vec![("preStop", handler())])),
        ("env", list(env, 2)),
        ("restartPolicy", one_of(json!(["Always"]))),
    ])
}

fn volume() -> BoxedStrategy<Value> {
    one_of(json!([
        {"emptyDir": {}},
        {"emptyDir": null},
        {},
        {"configMap": {"name": "c"}},
        {"hostPath": {"path": "/proc"}},
        {"hostPath": {"path": "/var/run/docker.sock"}},
        {"hostPath": {"path": "/data"}},
        {"nfs": {"server": "s", "path": "/"}},
        {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}
    ]))
}

fn named(containers: Value, prefix: &str) -> Value {
    let mut containers = containers;
    for (idx, container) in containers.as_array_mut().into_iter().flatten().enumerate() {
        container["name"] = format!("{prefix}{idx}").into();
    }
    containers
}

pub(super) fn spec() -> BoxedStrategy<Value> {
    let pod_context = object(vec![
        ("runAsNonRoot", one_of(json!([true, false]))),
        ("runAsUser", one_of(json!([0, 1000]))),
        ("seccompProfile", profile()),
        ("appArmorProfile", profile()),
        ("seLinuxOptions", selinux()),
        (
            "sysctls",
            one_of(json!([[{"name": "net.core.somaxconn"}], [{"name": "net.ipv4.tcp_rmem"}, {"name": ""}]])),
        ),
        ("windowsOptions", one_of(json!([{"hostProcess": true}]))),
    ]);
    let rest = object(vec![
        ("hostNetwork", one_of(json!([true, false]))),
        ("hostPID", one_of(json!([true]))),
        ("hostIPC", one_of(json!([true]))),
        ("hostUsers", one_of(json!([true, false]))),
        ("os", one_of(json!([{"name": "linux"}]))),
        ("securityContext", pod_context),
        ("automountServiceAccountToken", one_of(json!([true, false]))),
    ]);
    let volumes = list(volume(), 3);
    (rest, vec(container(), 1..=3), list(container(), 2), volumes)
        .prop_map(|(mut spec, containers, init, volumes)| {
            spec["containers"] = named(Value::Array(containers), "main-");
            spec["initContainers"] = named(init, "init-");
            let names = ["tmp", "a", "b"];
            let mut volumes = volumes;
            for (volume, name) in volumes.as_array_mut().into_iter().flatten().zip(names) {
                volume["name"] = name.into();
            }
            spec["volumes"] = volumes;
            spec
        })
        .boxed()
}

pub(super) fn annotations() -> BoxedStrategy<Value> {
    let profile = || one_of(json!(["unconfined", "runtime/default", "localhost/x", "", "docker/default"]));
    object(vec![
        ("seccomp.security.alpha.kubernetes.io/pod", profile()),
        ("container.seccomp.security.alpha.kubernetes.io/main-0", profile()),
        ("container.apparmor.security.beta.kubernetes.io/main-0", profile()),
        ("team", one_of(json!(["shop"]))),
    ])
}
