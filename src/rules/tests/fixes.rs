//! What single rules find in a pod, how far they trust their fix, and what it is.

use serde_json::json;

use super::{Bench, in_kind, yaml};
use crate::pss::{Level, Version};
use crate::rules::{Change, Finding};

/// What one rule says of a Deployment `shop` with this pod spec: a line for each finding, one for each change.
#[track_caller]
fn check(rule: &str, spec: &str, expected: &[&str]) {
    check_with(&Bench::new(Level::Restricted, Version::Latest), rule, &json!({}), spec, expected);
}

#[track_caller]
fn check_with(bench: &Bench, rule: &str, annotations: &serde_json::Value, spec: &str, expected: &[&str]) {
    assert!(crate::rules::find(rule).is_some(), "no rule {rule}");
    let findings = bench.findings(&in_kind("Deployment", annotations, &yaml(spec)));
    let lines: Vec<String> =
        findings.iter().filter(|finding| finding.rule.id == rule).flat_map(lines).collect();
    assert_eq!(lines, expected);
}

fn lines(finding: &Finding) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", finding.safety.id(), finding.message)];
    for change in &finding.changes {
        let place = change.pointer().replace("/spec/template/spec/", "");
        lines.push(match change {
            Change::Set { value, .. } => format!("  {place} = {value}"),
            Change::Remove { .. } => format!("  {place} removed"),
            Change::Append { value, .. } => format!("  {place} + {value}"),
            Change::Item { change, .. } | Change::Inside { change, .. } => format!("  {place}: {change:?}"),
            Change::Patched(patched) => format!("  {place}: {:?}", patched.changes),
        });
    }
    lines
}

#[test]
fn all_is_added_to_what_is_dropped() {
    check(
        "capabilities-not-dropped",
        "{containers: [{name: a}, {name: b, securityContext: {capabilities: {drop: [NET_RAW]}}}, {name: c, securityContext: {capabilities: {drop: [ALL]}}}]}",
        &[
            "review: container `a` of Deployment/shop does not drop all capabilities",
            "  containers/0/securityContext/capabilities/drop + \"ALL\"",
            "review: container `b` of Deployment/shop does not drop all capabilities",
            "  containers/1/securityContext/capabilities/drop + \"ALL\"",
        ],
    );
}

#[test]
fn another_spelling_of_all_is_corrected_in_place() {
    check(
        "capabilities-not-dropped",
        "{containers: [{name: a, securityContext: {capabilities: {drop: [NET_RAW, all]}}}, {name: b, securityContext: {capabilities: {drop: [CAP_ALL]}}}]}",
        &[
            "safe: container `a` of Deployment/shop drops `all`, which the standard does not take for `ALL`",
            "  containers/0/securityContext/capabilities/drop/1 = \"ALL\"",
            "review: container `b` of Deployment/shop drops `CAP_ALL`, which the standard does not take for `ALL`",
            "  containers/1/securityContext/capabilities/drop/0 = \"ALL\"",
        ],
    );
}

#[test]
fn privileged_containers_are_not_asked_for_capabilities() {
    check("capabilities-not-dropped", "{containers: [{name: a, securityContext: {privileged: true}}]}", &[]);
    check(
        "capability-added",
        "{containers: [{name: a, securityContext: {privileged: true, capabilities: {add: [BPF]}}}]}",
        &[],
    );
}

#[test]
fn added_capabilities_go_except_net_bind_service() {
    check(
        "capability-added",
        "{containers: [
            {name: a, securityContext: {capabilities: {add: [NET_BIND_SERVICE]}}},
            {name: b, securityContext: {capabilities: {add: [NET_ADMIN, NET_BIND_SERVICE, CHOWN]}}},
            {name: c, securityContext: {capabilities: {add: [NET_ADMIN]}}},
            {name: d, securityContext: {capabilities: {add: [CAP_NET_BIND_SERVICE]}}},
            {name: e, securityContext: {capabilities: {add: [net_bind_service]}}}]}",
        &[
            "review: container `b` of Deployment/shop adds NET_ADMIN, CHOWN",
            "  containers/1/securityContext/capabilities/add = [\"NET_BIND_SERVICE\"]",
            "review: container `c` of Deployment/shop adds NET_ADMIN",
            "  containers/2/securityContext/capabilities/add removed",
            "review: container `d` of Deployment/shop adds `CAP_NET_BIND_SERVICE` for `NET_BIND_SERVICE`, which the standard refuses",
            "  containers/3/securityContext/capabilities/add/0 = \"NET_BIND_SERVICE\"",
            "safe: container `e` of Deployment/shop adds `net_bind_service` for `NET_BIND_SERVICE`, which the standard refuses",
            "  containers/4/securityContext/capabilities/add/0 = \"NET_BIND_SERVICE\"",
        ],
    );
}

#[test]
fn baseline_allows_the_default_capabilities() {
    check_with(
        &Bench::new(Level::Baseline, Version::Latest),
        "capability-added",
        &json!({}),
        "{containers: [{name: a, securityContext: {capabilities: {add: [CHOWN, NET_RAW]}}}, {name: b, securityContext: {capabilities: {add: [NET_RAW]}}}]}",
        &[
            "review: container `a` of Deployment/shop adds NET_RAW",
            "  containers/0/securityContext/capabilities/add = [\"CHOWN\"]",
            "review: container `b` of Deployment/shop adds NET_RAW",
            "  containers/1/securityContext/capabilities removed",
        ],
    );
}

#[test]
fn one_container_without_tmp_gets_the_plain_name() {
    check(
        "root-filesystem-writable",
        "{containers: [{name: a}, {name: b, securityContext: {readOnlyRootFilesystem: true}}]}",
        &[
            "review: container `a` of Deployment/shop can write to its root file system",
            "  containers/0/securityContext/readOnlyRootFilesystem = true",
            "  volumes + {\"name\":\"tmp\",\"emptyDir\":{}}",
            "  containers/0/volumeMounts + {\"name\":\"tmp\",\"mountPath\":\"/tmp\"}",
        ],
    );
}

#[test]
fn containers_never_share_their_tmp() {
    check(
        "root-filesystem-writable",
        "{volumes: [{name: tmp-b, emptyDir: {}}], initContainers: [{name: a}], containers: [{name: b}]}",
        &[
            "review: init container `a` of Deployment/shop can write to its root file system",
            "  initContainers/0/securityContext/readOnlyRootFilesystem = true",
            "  volumes + {\"name\":\"tmp-a\",\"emptyDir\":{}}",
            "  initContainers/0/volumeMounts + {\"name\":\"tmp-a\",\"mountPath\":\"/tmp\"}",
            "review: container `b` of Deployment/shop can write to its root file system",
            "  containers/0/securityContext/readOnlyRootFilesystem = true",
            "  volumes + {\"name\":\"tmp-b-2\",\"emptyDir\":{}}",
            "  containers/0/volumeMounts + {\"name\":\"tmp-b-2\",\"mountPath\":\"/tmp\"}",
        ],
    );
}

#[test]
fn nothing_is_mounted_on_top_of_a_mount() {
    let only_the_field = |name: &str, idx: usize| {
        [
            format!("review: container `{name}` of Deployment/shop can write to its root file system"),
            format!("  containers/{idx}/securityContext/readOnlyRootFilesystem = true"),
        ]
    };
    let mut expected = only_the_field("a", 0).to_vec();
    expected.extend(only_the_field("b", 1));
    expected.extend(only_the_field("c", 2));
    expected.push("  volumes + {\"name\":\"tmp\",\"emptyDir\":{}}".to_owned());
    expected.push("  containers/2/volumeMounts + {\"name\":\"tmp\",\"mountPath\":\"/tmp\"}".to_owned());
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check(
        "root-filesystem-writable",
        "{volumes: [{name: x, emptyDir: {}}, {name: c, configMap: {name: c}}], containers: [
            {name: a, volumeMounts: [{name: c, mountPath: /tmp/}]},
            {name: b, volumeMounts: [{name: x, mountPath: /}]},
            {name: c, volumeMounts: [{name: c, mountPath: /tmp/nested}, {name: c, mountPath: /}]}]}",
        &expected,
    );
}

#[test]
fn configured_paths_of_an_image_stay_writable() {
    let mut bench = Bench::new(Level::Restricted, Version::Latest);
    let text = "tmp-size = \"64Mi\"\n[[writable-path]]\nimage = \"example.com/*\"\npaths = [\"/var/cache/nginx\", \"/tmp\"]\n";
    bench.config = crate::config::Config::parse(text, std::path::Path::new("caseharden.toml"), &[]).unwrap();
    check_with(
        &bench,
        "root-filesystem-writable",
        &json!({}),
        "{containers: [{name: a, image: 'example.com/web:1'}]}",
        &[
            "review: container `a` of Deployment/shop can write to its root file system",
            "  containers/0/securityContext/readOnlyRootFilesystem = true",
            "  volumes + {\"name\":\"tmp\",\"emptyDir\":{\"sizeLimit\":\"64Mi\"}}",
            "  containers/0/volumeMounts + {\"name\":\"tmp\",\"mountPath\":\"/tmp\"}",
            "  volumes + {\"name\":\"var-cache-nginx\",\"emptyDir\":{\"sizeLimit\":\"64Mi\"}}",
            "  containers/0/volumeMounts + {\"name\":\"var-cache-nginx\",\"mountPath\":\"/var/cache/nginx\"}",
        ],
    );
}

#[test]
fn seccomp_is_set_once_for_the_pod() {
    check(
        "seccomp-not-set",
        "{containers: [{name: a, image: a}, {name: b, image: b, securityContext: {seccompProfile: {type: Localhost, localhostProfile: b.json}}}]}",
        &[
            "safe: Deployment/shop has containers without a seccomp profile",
            "  securityContext/seccompProfile = {\"type\":\"RuntimeDefault\"}",
        ],
    );
    check(
        "seccomp-not-set",
        "{containers: [{name: a, securityContext: {seccompProfile: {type: RuntimeDefault}}}]}",
        &[],
    );
}

#[test]
fn seccomp_is_for_review_where_blocked_calls_are_needed() {
    for image in ["moby/buildkit:v1", "docker:26-dind", "selenium/standalone-chrome", "example.com/perf"] {
        check(
            "seccomp-not-set",
            &format!("{{containers: [{{name: a, image: '{image}'}}]}}"),
            &[
                "review: Deployment/shop has no seccomp profile",
                "  securityContext/seccompProfile = {\"type\":\"RuntimeDefault\"}",
            ],
        );
    }
    check(
        "seccomp-not-set",
        "{containers: [{name: a, image: performance}]}",
        &[
            "safe: Deployment/shop has no seccomp profile",
            "  securityContext/seccompProfile = {\"type\":\"RuntimeDefault\"}",
        ],
    );
}

#[test]
fn unconfined_takes_the_fewest_lines_back() {
    check(
        "seccomp-unconfined",
        "{securityContext: {seccompProfile: {type: RuntimeDefault}}, containers: [{name: a, securityContext: {seccompProfile: {type: Unconfined}}}]}",
        &[
            "review: container `a` of Deployment/shop runs without seccomp (`Unconfined`)",
            "  containers/0/securityContext/seccompProfile removed",
        ],
    );
    check(
        "seccomp-unconfined",
        "{securityContext: {seccompProfile: {type: Unconfined}}, containers: [{name: a}]}",
        &[
            "review: Deployment/shop runs without seccomp (`Unconfined`)",
            "  securityContext/seccompProfile/type = \"RuntimeDefault\"",
        ],
    );
}

#[test]
fn annotations_that_switch_confinement_off_are_removed() {
    let annotations = json!({
        "container.apparmor.security.beta.kubernetes.io/a": "unconfined",
        "seccomp.security.alpha.kubernetes.io/pod": "unconfined",
    });
    let bench = Bench::new(Level::Restricted, Version::Latest);
    check_with(
        &bench,
        "apparmor-unconfined",
        &annotations,
        "{containers: [{name: a}]}",
        &[
            "review: container `a` of Deployment/shop runs without AppArmor (`unconfined`)",
            "  /spec/template/metadata/annotations/container.apparmor.security.beta.kubernetes.io~1a removed",
        ],
    );
    check_with(
        &bench,
        "seccomp-unconfined",
        &annotations,
        "{containers: [{name: a}]}",
        &[
            "review: an annotation of Deployment/shop switches seccomp off (`seccomp.security.alpha.kubernetes.io/pod`)",
            "  /spec/template/metadata/annotations/seccomp.security.alpha.kubernetes.io~1pod removed",
        ],
    );
}

#[test]
fn host_ports_go_except_on_the_network_of_the_node() {
    check(
        "host-port",
        "{containers: [{name: a, ports: [{containerPort: 80, hostPort: 0}, {containerPort: 81, hostPort: 8081, hostIP: 10.0.0.1}]}]}",
        &[
            "review: container `a` of Deployment/shop takes port 8081 of its node",
            "  containers/0/ports/1/hostPort removed",
            "  containers/0/ports/1/hostIP removed",
        ],
    );
    check(
        "host-port",
        "{hostNetwork: true, containers: [{name: a, ports: [{containerPort: 80, hostPort: 80}]}]}",
        &["manual: container `a` of Deployment/shop takes port 80 of its node"],
    );
}

#[test]
fn a_probe_of_a_virtual_host_names_it_in_the_header() {
    check(
        "probe-host",
        "{containers: [{name: a, livenessProbe: {httpGet: {host: shop.example.com, port: 80}}, readinessProbe: {tcpSocket: {host: shop.example.com, port: 80}}, startupProbe: {httpGet: {host: '', port: 80}}}]}",
        &[
            "review: `livenessProbe` of container `a` of Deployment/shop calls the host `shop.example.com`",
            "  containers/0/livenessProbe/httpGet/host removed",
            "  containers/0/livenessProbe/httpGet/httpHeaders + {\"name\":\"Host\",\"value\":\"shop.example.com\"}",
            "review: `readinessProbe` of container `a` of Deployment/shop calls the host `shop.example.com`",
            "  containers/0/readinessProbe/tcpSocket/host removed",
        ],
    );
}

#[test]
fn a_probe_of_loopback_on_the_network_of_the_node_is_left() {
    check(
        "probe-host",
        "{hostNetwork: true, containers: [{name: a, livenessProbe: {httpGet: {host: '::1', port: 80}}, lifecycle: {preStop: {tcpSocket: {host: 10.0.0.1, port: 80}}}}]}",
        &[
            "manual: `livenessProbe` of container `a` of Deployment/shop calls the host `::1`",
            "review: `preStop` of container `a` of Deployment/shop calls the host `10.0.0.1`",
            "  containers/0/lifecycle/preStop/tcpSocket/host removed",
        ],
    );
    let old = Bench::new(Level::Restricted, Version::Minor(33));
    check_with(
        &old,
        "probe-host",
        &json!({}),
        "{containers: [{name: a, livenessProbe: {httpGet: {host: x, port: 80}}}]}",
        &[],
    );
}

#[test]
fn host_paths_become_read_only_where_reading_plainly_suffices() {
    check(
        "host-path-volume",
        "{volumes: [{name: p, hostPath: {path: /proc}}, {name: d, hostPath: {path: /data}}, {name: s, hostPath: {path: /run/containerd/containerd.sock}}, {name: c, hostPath: {path: /etc/cni/net.d}}],
          containers: [{name: a, volumeMounts: [{name: p, mountPath: /host/proc}, {name: d, mountPath: /data}, {name: s, mountPath: /s}, {name: c, mountPath: /c}]},
            {name: b, securityContext: {privileged: true}, volumeMounts: [{name: p, mountPath: /host/proc}]}]}",
        &[
            "review: volume `p` of Deployment/shop is `/proc` of the node, which baseline forbids even read-only",
            "  containers/0/volumeMounts/0/readOnly = true",
            "manual: volume `d` of Deployment/shop is `/data` of the node, which baseline forbids even read-only",
            "manual: volume `s` of Deployment/shop is the node's container runtime (`/run/containerd/containerd.sock`): critical, whoever reaches it is root on the node",
            "manual: volume `c` of Deployment/shop is `/etc/cni/net.d` of the node, which baseline forbids even read-only",
        ],
    );
}

#[test]
fn volumes_of_other_types_are_named_and_missing_sources_are_the_api_servers() {
    check(
        "restricted-volume-types",
        "{volumes: [{name: n, nfs: {server: s, path: /}}, {name: none}, {name: e, emptyDir: null}, {name: m, secret: null}, {name: c, configMap: {name: c}}, {name: h, hostPath: {path: /}}], containers: [{name: a}]}",
        &["manual: volume `n` of Deployment/shop is of type `nfs`"],
    );
}

#[test]
fn proc_may_be_unmasked_in_a_user_namespace_at_baseline() {
    let spec = "{hostUsers: false, containers: [{name: a, securityContext: {procMount: Unmasked}}]}";
    let found = [
        "review: container `a` of Deployment/shop mounts /proc unmasked (`procMount: Unmasked`)",
        "  containers/0/securityContext/procMount removed",
    ];
    check("proc-mount-unmasked", spec, &found);
    let at = |level, version| Bench::new(level, version);
    check_with(&at(Level::Baseline, Version::Latest), "proc-mount-unmasked", &json!({}), spec, &[]);
    check_with(&at(Level::Baseline, Version::Minor(34)), "proc-mount-unmasked", &json!({}), spec, &found);
}

#[test]
fn sysctls_say_which_version_allows_them() {
    let spec = "{securityContext: {sysctls: [{name: net.ipv4.tcp_rmem}, {name: kernel.msgmax}]}, containers: [{name: a}]}";
    let bench = Bench::new(Level::Restricted, Version::Minor(31));
    let findings = bench.findings(&in_kind("Pod", &json!({}), &yaml(spec)));
    let notes: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.rule.id == "unsafe-sysctls")
        .flat_map(|finding| finding.notes.iter().map(String::as_str))
        .collect();
    assert_eq!(
        notes,
        ["it is in the safe set from v1.32 on", "no version of the standard has it in the safe set"]
    );
    check("unsafe-sysctls", spec, &["manual: Deployment/shop sets the sysctl `kernel.msgmax`"]);
}

#[test]
fn selinux_keeps_what_versions_allow() {
    let spec = "{securityContext: {seLinuxOptions: {type: container_engine_t, level: 's0:c1'}}, containers: [{name: a, securityContext: {seLinuxOptions: {type: spc_t, user: u}}}]}";
    check(
        "selinux-options",
        spec,
        &["manual: container `a` of Deployment/shop asks for the SELinux type `spc_t`, user `u`"],
    );
    check_with(
        &Bench::new(Level::Restricted, Version::Minor(30)),
        "selinux-options",
        &json!({}),
        spec,
        &[
            "manual: Deployment/shop asks for the SELinux type `container_engine_t`",
            "manual: container `a` of Deployment/shop asks for the SELinux type `spc_t`, user `u`",
        ],
    );
}

#[test]
fn tokens_are_not_mounted_unless_something_shows_their_use() {
    let set = |line: &str| [line.to_owned(), "  automountServiceAccountToken = false".to_owned()];
    let message = "Deployment/shop mounts a token of the service account `default`";
    let expected = set(&format!("review: {message}"));
    check(
        "service-account-token-mounted",
        "{containers: [{name: a, image: 'shop:1'}]}",
        &expected.each_ref().map(String::as_str),
    );
    check(
        "service-account-token-mounted",
        "{automountServiceAccountToken: false, containers: [{name: a, image: a}]}",
        &[],
    );
    for signs in [
        "{automountServiceAccountToken: true, containers: [{name: a, image: a}]}",
        "{containers: [{name: a, image: bitnami/kubectl}]}",
        "{containers: [{name: a, image: a, args: [--leader-elect]}]}",
        "{containers: [{name: a, image: a, command: [sh, -c, 'kubectl get pods']}]}",
        "{containers: [{name: a, image: a, env: [{name: KUBERNETES_SERVICE_HOST, value: x}]}]}",
        "{volumes: [{name: t, projected: {sources: [{serviceAccountToken: {path: t}}]}}], containers: [{name: a, image: a}]}",
        "{containers: [{name: a, image: a, volumeMounts: [{name: t, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}]}]}",
    ] {
        check("service-account-token-mounted", signs, &[&format!("manual: {message}")]);
    }
}

#[test]
fn secrets_are_named_and_never_shown() {
    let secret = "s3cr3t-value";
    let spec = format!(
        "{{containers: [{{name: a, image: a, env: [{{name: DB_PASSWORD, value: {secret}}}, {{name: DB_URL, value: 'postgres://u:{secret}@db'}},
            {{name: PASSWORD_FILE, value: /x}}, {{name: API_TOKEN, value: $(TOKEN)}}, {{name: TOKEN, valueFrom: {{secretKeyRef: {{name: s, key: k}}}}}}]}}]}}"
    );
    check(
        "secret-in-env-literal",
        &spec,
        &[
            "manual: variable `DB_PASSWORD` of container `a` of Deployment/shop holds what its name calls a secret",
            "manual: variable `DB_URL` of container `a` of Deployment/shop holds a URL with a password",
        ],
    );
    let findings =
        Bench::new(Level::Restricted, Version::Latest).findings(&in_kind("Pod", &json!({}), &yaml(&spec)));
    assert!(!format!("{findings:?}").contains(secret));
}

#[test]
fn windows_pods_say_so() {
    check(
        "windows-os-unset",
        "{nodeSelector: {kubernetes.io/os: windows}, containers: [{name: a}]}",
        &[
            "review: Deployment/shop is for Windows nodes without `os.name: windows`",
            "  os/name = \"windows\"",
        ],
    );
    check(
        "windows-os-unset",
        "{nodeSelector: {kubernetes.io/os: windows}, securityContext: {fsGroup: 1}, containers: [{name: a}]}",
        &["manual: Deployment/shop is for Windows nodes without `os.name: windows`"],
    );
    check("windows-os-unset", "{os: {name: windows}, containers: [{name: a}]}", &[]);
}

#[test]
fn namespaces_of_the_node_are_one_finding_each() {
    check(
        "host-namespaces",
        "{hostNetwork: true, hostPID: true, hostIPC: false, containers: [{name: a}]}",
        &[
            "manual: Deployment/shop shares the network of its node (`hostNetwork`)",
            "manual: Deployment/shop shares the process table of its node (`hostPID`)",
        ],
    );
}
