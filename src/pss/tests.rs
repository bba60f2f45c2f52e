//! Every check and every version at which one changes, beside what is known of the evaluator's odd corners.

use serde_json::Value;

use super::{Check, Level, NEWEST, Pod, Version, checks, evaluate, highest_level};

const BASELINE: Level = Level::Baseline;
const RESTRICTED: Level = Level::Restricted;

/// What restricted wants of a pod, and no more.
const HARDENED: &str = "
    securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
    containers:
    - name: web
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
";

/// A spec that is [`HARDENED`] with `changes` (YAML) merged into it: objects by key, lists of objects by index.
fn hardened_with(changes: &str) -> String {
    fn merge(into: &mut Value, from: Value) {
        match (into, from) {
            (Value::Object(into), Value::Object(from)) => {
                for (key, value) in from {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
            (Value::Array(into), Value::Array(from)) if from.first().is_some_and(Value::is_object) => {
                for (index, value) in from.into_iter().enumerate() {
                    if index == into.len() {
                        into.push(Value::Null);
                    }
                    merge(&mut into[index], value);
                }
            }
            (into, from) => *into = from,
        }
    }
    let mut spec = yaml(HARDENED);
    merge(&mut spec, yaml(changes));
    spec.to_string()
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

#[track_caller]
fn check_annotated(annotations: &str, spec: &str, level: Level, version: &str, expected: &[&str]) {
    let (annotations, spec) = (yaml(annotations), yaml(spec));
    let pod = Pod::new(annotations.as_object(), &spec);
    let version: Version = version.parse().unwrap();
    let violations = evaluate(&pod, level, version);
    let found: Vec<&str> = violations.iter().map(|violation| violation.check).collect();
    assert_eq!(found, expected, "{level} {version} of {spec}");
    assert_eq!(super::allows(&pod, level, version), expected.is_empty());
    for violation in violations {
        assert!(!violation.fields.is_empty(), "{violation} names no field");
        assert_eq!(super::check(violation.check).map(|check| check.level), Some(violation.level));
    }
}

#[track_caller]
fn check(spec: &str, level: Level, version: &str, expected: &[&str]) {
    check_annotated("{}", spec, level, version, expected);
}

/// The check begins to refuse, or to allow, with `since`.
#[track_caller]
fn check_change(spec: &str, level: Level, since: u32, before: &[&str], after: &[&str]) {
    check(spec, level, &format!("v1.{}", since - 1), before);
    check(spec, level, &format!("v1.{since}"), after);
    check(spec, level, "latest", after);
}

#[track_caller]
fn check_message(annotations: &str, spec: &str, level: Level, expected: &str, fields: &[&str]) {
    let (annotations, spec) = (yaml(annotations), yaml(spec));
    let violations = evaluate(&Pod::new(annotations.as_object(), &spec), level, Version::Latest);
    let messages: Vec<String> = violations.iter().map(super::Violation::message).collect();
    assert_eq!(messages, [expected]);
    assert_eq!(violations[0].fields, fields);
}

#[test]
fn the_minimal_hardened_pod_passes_since_each_field_exists() {
    for minor in 0..=NEWEST {
        check(HARDENED, RESTRICTED, &format!("v1.{minor}"), &[]);
    }
    check(HARDENED, RESTRICTED, "latest", &[]);
}

#[test]
fn newer_versions_are_judged_as_the_newest_known() {
    check(
        "containers: [{}]",
        RESTRICTED,
        "v1.99",
        &["allowPrivilegeEscalation", "capabilities_restricted", "runAsNonRoot", "seccompProfile_restricted"],
    );
}

#[test]
fn restricted_grows_with_the_versions() {
    let bare = "containers: [{name: a, securityContext: {runAsUser: 0}}]";
    check(bare, RESTRICTED, "v1.7", &["runAsNonRoot"]);
    check(bare, RESTRICTED, "v1.8", &["allowPrivilegeEscalation", "runAsNonRoot"]);
    check(
        bare,
        RESTRICTED,
        "v1.19",
        &["allowPrivilegeEscalation", "runAsNonRoot", "seccompProfile_restricted"],
    );
    let at_1_22 = ["allowPrivilegeEscalation", "capabilities_restricted", "runAsNonRoot"];
    check(bare, RESTRICTED, "v1.22", &[&at_1_22[..], &["seccompProfile_restricted"]].concat());
    check(bare, RESTRICTED, "v1.23", &[&at_1_22[..], &["runAsUser", "seccompProfile_restricted"]].concat());
    check(bare, BASELINE, "latest", &[]);
    check(bare, Level::Privileged, "latest", &[]);
}

#[test]
fn what_the_common_checklists_get_wrong() {
    let passes = |changes| check(&hardened_with(changes), RESTRICTED, "latest", &[]);
    passes("containers: [{securityContext: {readOnlyRootFilesystem: false}}]");
    passes("containers: [{securityContext: {capabilities: {add: [NET_BIND_SERVICE]}}}]");
    passes("securityContext: {sysctls: [{name: net.ipv4.ping_group_range}]}");
    passes("securityContext: {sysctls: [{name: net.ipv4.ip_unprivileged_port_start}]}");
    passes("containers: [{ports: [{hostPort: 0}]}]");

    let refused = |changes, check_id| check(&hardened_with(changes), RESTRICTED, "latest", &[check_id]);
    refused("containers: [{securityContext: {capabilities: {drop: [all]}}}]", "capabilities_restricted");
    refused("containers: [{securityContext: {capabilities: {drop: [CAP_ALL]}}}]", "capabilities_restricted");
    refused(
        "containers: [{securityContext: {capabilities: {add: [CAP_NET_BIND_SERVICE]}}}]",
        "capabilities_restricted",
    );
}

#[test]
fn a_wrong_value_of_the_pod_is_refused_even_if_all_containers_override_it() {
    let refused = |changes, check_id| check(&hardened_with(changes), RESTRICTED, "latest", &[check_id]);
    refused(
        "{securityContext: {runAsNonRoot: false}, containers: [{securityContext: {runAsNonRoot: true}}]}",
        "runAsNonRoot",
    );
    refused(
        "{securityContext: {runAsUser: 0}, containers: [{securityContext: {runAsUser: 1000}}]}",
        "runAsUser",
    );
    refused(
        "{securityContext: {seccompProfile: {type: Unconfined}},
          containers: [{securityContext: {seccompProfile: {type: RuntimeDefault}}}]}",
        "seccompProfile_restricted",
    );
}

#[test]
fn settings_of_containers_alone_suffice() {
    let spec = "containers: [{securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]},
        runAsNonRoot: true, seccompProfile: {type: Localhost}}}]";
    check(spec, RESTRICTED, "latest", &[]);
}

#[test]
fn every_list_of_containers_counts() {
    for list in ["initContainers", "ephemeralContainers"] {
        let spec = hardened_with(&format!("{list}: [{{name: b}}]"));
        check(&spec, RESTRICTED, "latest", &["allowPrivilegeEscalation", "capabilities_restricted"]);
    }
}

#[test]
fn windows_pods_need_no_linux_fields_since_1_25() {
    let spec = "{os: {name: windows}, securityContext: {runAsNonRoot: true}, containers: [{name: a}]}";
    let linux = ["allowPrivilegeEscalation", "capabilities_restricted", "seccompProfile_restricted"];
    check_change(spec, RESTRICTED, 25, &linux, &[]);
    check("{os: {name: windows}, containers: [{name: a}]}", RESTRICTED, "latest", &["runAsNonRoot"]);
    check(&spec.replace("windows", "Windows"), RESTRICTED, "latest", &linux);
}

#[test]
fn user_namespaces_allow_root_since_1_35() {
    let spec = hardened_with("{hostUsers: false, securityContext: {runAsNonRoot: false, runAsUser: 0}}");
    check_change(&spec, RESTRICTED, 35, &["runAsNonRoot", "runAsUser"], &[]);
    check(
        &spec.replace("\"hostUsers\":false", "\"hostUsers\":true"),
        RESTRICTED,
        "latest",
        &["runAsNonRoot", "runAsUser"],
    );
}

#[test]
fn proc_mount_is_split_at_1_35() {
    let spec = hardened_with("{hostUsers: false, containers: [{securityContext: {procMount: Unmasked}}]}");
    check_change(&spec, BASELINE, 35, &["procMount"], &[]);
    check_change(&spec, RESTRICTED, 35, &["procMount"], &["procMount_restricted"]);
    check("containers: [{securityContext: {procMount: Unmasked}}]", BASELINE, "latest", &["procMount"]);
    check("containers: [{securityContext: {procMount: Default}}]", BASELINE, "latest", &[]);
}

#[test]
fn probes_and_handlers_name_no_host_since_1_34() {
    for action in ["httpGet", "tcpSocket"] {
        let named = format!("{{{action}: {{host: 127.0.0.1}}}}");
        for handler in [
            format!("livenessProbe: {named}"),
            format!("readinessProbe: {named}"),
            format!("startupProbe: {named}"),
            format!("lifecycle: {{postStart: {named}}}"),
            format!("lifecycle: {{preStop: {named}}}"),
        ] {
            let spec = format!("containers: [{{{handler}}}]");
            check_change(&spec, BASELINE, 34, &[], &["hostProbesAndHostLifecycle"]);
            check(&spec.replace("127.0.0.1", "''"), BASELINE, "latest", &[]);
        }
    }
}

#[test]
fn sysctls_are_allowed_one_version_after_the_other() {
    for (since, name) in [
        (27, "net.ipv4.ip_local_reserved_ports"),
        (29, "net.ipv4.tcp_keepalive_time"),
        (29, "net.ipv4.tcp_fin_timeout"),
        (29, "net.ipv4.tcp_keepalive_intvl"),
        (29, "net.ipv4.tcp_keepalive_probes"),
        (32, "net.ipv4.tcp_rmem"),
        (32, "net.ipv4.tcp_wmem"),
        (37, "net.ipv4.tcp_slow_start_after_idle"),
        (37, "net.ipv4.tcp_notsent_lowat"),
    ] {
        let spec = format!("securityContext: {{sysctls: [{{name: {name}}}]}}");
        check_change(&spec, BASELINE, since, &["sysctls"], &[]);
    }
    check("securityContext: {sysctls: [{name: kernel.msgmax}]}", BASELINE, "latest", &["sysctls"]);
}

#[test]
fn selinux_allows_container_types_only() {
    let options = |options| format!("securityContext: {{seLinuxOptions: {options}}}");
    check(&options("{}"), BASELINE, "latest", &[]);
    check(&options("{level: 's0:c1'}"), BASELINE, "latest", &[]);
    check(&options("{type: container_init_t, user: '', role: null}"), BASELINE, "v1.0", &[]);
    check(&options("{type: spc_t}"), BASELINE, "latest", &["seLinuxOptions"]);
    check(&options("{user: system_u}"), BASELINE, "latest", &["seLinuxOptions"]);
    check(&options("{role: system_r}"), BASELINE, "latest", &["seLinuxOptions"]);
    check_change(&options("{type: container_engine_t}"), BASELINE, 31, &["seLinuxOptions"], &[]);
}

#[test]
fn seccomp_moves_from_annotations_to_fields_at_1_19() {
    let pod = "seccomp.security.alpha.kubernetes.io/pod: unconfined";
    let container = "container.seccomp.security.alpha.kubernetes.io/web: unconfined";
    for annotation in [pod, container] {
        for level in [BASELINE, RESTRICTED] {
            check_annotated(annotation, HARDENED, level, "v1.18", &["seccompProfile_baseline"]);
            check_annotated(annotation, HARDENED, level, "v1.19", &[]);
        }
        check_annotated(&annotation.replace("unconfined", "localhost/a"), HARDENED, BASELINE, "v1.18", &[]);
        check_annotated(
            &annotation.replace("unconfined", "docker/default"),
            HARDENED,
            BASELINE,
            "v1.18",
            &[],
        );
    }
    check_annotated(&container.replace("/web", "/other"), HARDENED, BASELINE, "v1.18", &[]);
    let unconfined = hardened_with("securityContext: {seccompProfile: {type: Unconfined}}");
    check_change(&unconfined, BASELINE, 19, &[], &["seccompProfile_baseline"]);
    check_change(&unconfined, RESTRICTED, 19, &[], &["seccompProfile_restricted"]);
    check("securityContext: {seccompProfile: {}}", BASELINE, "latest", &["seccompProfile_baseline"]);
}

#[test]
fn app_armor_may_not_be_switched_off() {
    let annotation = "container.apparmor.security.beta.kubernetes.io/anything: unconfined";
    check_annotated(annotation, HARDENED, BASELINE, "v1.0", &["appArmorProfile"]);
    check_annotated(annotation, HARDENED, RESTRICTED, "latest", &["appArmorProfile"]);
    for profile in ["''", "runtime/default", "localhost/a"] {
        check_annotated(&annotation.replace("unconfined", profile), HARDENED, BASELINE, "latest", &[]);
    }
    check("securityContext: {appArmorProfile: {type: Unconfined}}", BASELINE, "v1.0", &["appArmorProfile"]);
    check("securityContext: {appArmorProfile: {type: Localhost}}", BASELINE, "v1.0", &[]);
}

#[test]
fn the_other_baseline_checks() {
    for (spec, check_id) in [
        ("hostNetwork: true", "hostNamespaces"),
        ("hostPID: true", "hostNamespaces"),
        ("hostIPC: true", "hostNamespaces"),
        ("volumes: [{name: a, hostPath: {}}]", "hostPathVolumes"),
        ("containers: [{ports: [{hostPort: 80}]}]", "hostPorts"),
        ("containers: [{securityContext: {privileged: true}}]", "privileged"),
        ("containers: [{securityContext: {capabilities: {add: [NET_RAW]}}}]", "capabilities_baseline"),
        ("securityContext: {windowsOptions: {hostProcess: true}}", "windowsHostProcess"),
        ("containers: [{securityContext: {windowsOptions: {hostProcess: true}}}]", "windowsHostProcess"),
    ] {
        check(spec, BASELINE, "v1.0", &[check_id]);
        check(spec, BASELINE, "latest", &[check_id]);
    }
}

#[test]
fn restricted_replaces_the_volume_and_capability_checks_of_baseline() {
    let spec = hardened_with("volumes: [{name: a, hostPath: {}}]");
    check(&spec, RESTRICTED, "v1.0", &["restrictedVolumes"]);
    let spec = hardened_with("containers: [{securityContext: {capabilities: {add: [NET_RAW]}}}]");
    check_change(&spec, RESTRICTED, 22, &["capabilities_baseline"], &["capabilities_restricted"]);
}

#[test]
fn volumes_pass_by_their_source() {
    for source in super::volume::ALLOWED_SOURCES {
        check(&hardened_with(&format!("volumes: [{{name: a, {source}: {{}}}}]")), RESTRICTED, "latest", &[]);
    }
    for volume in ["{nfs: {}}", "{name: a}", "{emptyDir: null}", "{notYetInvented: {}}", "null"] {
        let spec = hardened_with(&format!("volumes: [{volume}]"));
        check(&spec, RESTRICTED, "latest", &["restrictedVolumes"]);
        let (sourceless, spec) = (volume != "{nfs: {}}", yaml(&spec));
        let defaulted = Pod::new(None, &spec).with_default_volumes();
        assert_eq!(super::allows(&defaulted, RESTRICTED, Version::Latest), sourceless, "{volume}");
    }
}

#[test]
fn values_of_a_wrong_type_are_unset() {
    let nonsense = "{securityContext: x, containers: {a: b}, initContainers: 1, volumes: '', os: windows,
        hostNetwork: 'true', hostUsers: 'false'}";
    check(nonsense, RESTRICTED, "latest", &[]);
    check("null", RESTRICTED, "latest", &[]);
    check("[1]", RESTRICTED, "latest", &[]);
    let inside = "containers: [{name: 1, ports: [80, {hostPort: '80'}, {hostPort: 1.5}], livenessProbe: x,
        lifecycle: {preStop: 1}, securityContext: {privileged: 'true', procMount: 1, capabilities: []}}]";
    check(inside, BASELINE, "latest", &[]);
    let root_as_text = hardened_with("securityContext: {runAsUser: '0', seccompProfile: {type: Localhost}}");
    check(&root_as_text, RESTRICTED, "latest", &[]);
}

#[test]
fn floats_without_a_fraction_are_the_numbers_that_the_server_gets() {
    check(&hardened_with("securityContext: {runAsUser: 0.0}"), RESTRICTED, "latest", &["runAsUser"]);
    check("containers: [{ports: [{hostPort: 8.0e+1}]}]", BASELINE, "latest", &["hostPorts"]);
}

#[test]
fn null_in_a_list_is_an_empty_element() {
    check("containers: [null]", RESTRICTED, "v1.8", &["allowPrivilegeEscalation", "runAsNonRoot"]);
    check(
        "containers: [{securityContext: {capabilities: {add: [null]}}}]",
        BASELINE,
        "latest",
        &["capabilities_baseline"],
    );
}

#[test]
fn messages_name_the_culprits_and_fields_point_at_them() {
    check_message(
        "{}",
        "{securityContext: {seLinuxOptions: {type: b, user: u}},
          initContainers: [{name: init, securityContext: {seLinuxOptions: {type: a, role: r}}}]}",
        BASELINE,
        "seLinuxOptions (pod and container \"init\" set forbidden securityContext.seLinuxOptions: \
         types \"a\", \"b\"; user may not be set; role may not be set)",
        &[
            "/securityContext/seLinuxOptions/type",
            "/securityContext/seLinuxOptions/user",
            "/initContainers/0/securityContext/seLinuxOptions/type",
            "/initContainers/0/securityContext/seLinuxOptions/role",
        ],
    );
    check_message(
        "{}",
        "containers: [{name: a, ports: [{hostPort: 80}, {}, {hostPort: 10250}]}, {name: b, ports: [{hostPort: 80}]}]",
        BASELINE,
        "hostPort (containers \"a\", \"b\" use hostPorts 10250, 80)",
        &[
            "/containers/0/ports/0/hostPort",
            "/containers/0/ports/2/hostPort",
            "/containers/1/ports/0/hostPort",
        ],
    );
    check_message(
        "container.apparmor.security.beta.kubernetes.io/web: \"un\\nconfined\"",
        "securityContext: {appArmorProfile: {type: Unconfined}}",
        BASELINE,
        "forbidden AppArmor profiles (pod and annotation must not set AppArmor profile type to \"Unconfined\", \
         \"container.apparmor.security.beta.kubernetes.io/web=\"un\\nconfined\"\")",
        &[
            "/securityContext/appArmorProfile/type",
            "/metadata/annotations/container.apparmor.security.beta.kubernetes.io~1web",
        ],
    );
    check_message(
        "{}",
        &hardened_with(
            "containers: [{securityContext: {capabilities: {drop: [], add: [B, NET_BIND_SERVICE, A]}}}]",
        ),
        RESTRICTED,
        "unrestricted capabilities (container \"web\" must set securityContext.capabilities.drop=[\"ALL\"]; \
         container \"web\" must not include \"A\", \"B\" in securityContext.capabilities.add)",
        &[
            "/containers/0/securityContext/capabilities/drop",
            "/containers/0/securityContext/capabilities/add/0",
            "/containers/0/securityContext/capabilities/add/2",
        ],
    );
    check_message(
        "{}",
        &hardened_with("volumes: [{name: a, nfs: {}}, {name: b}]"),
        RESTRICTED,
        "restricted volume types (volumes \"a\", \"b\" use restricted volume types \"nfs\", \"unknown\")",
        &["/volumes/0/nfs", "/volumes/1"],
    );
}

#[test]
fn the_highest_level_is_the_strictest_that_admits_the_pod() {
    let level = |spec: &str| highest_level(&Pod::new(None, &yaml(spec)), Version::Latest);
    assert_eq!(level(HARDENED), RESTRICTED);
    assert_eq!(level("containers: [{}]"), BASELINE);
    assert_eq!(level("hostPID: true"), Level::Privileged);
}

#[test]
fn the_table_of_checks_is_in_order_and_consistent() {
    let order = |check: &Check| (check.level, check.id);
    assert!(checks().is_sorted_by(|a, b| order(a) < order(b)));
    for check in checks() {
        assert!(check.revisions.is_sorted_by(|a, b| a.since < b.since), "{}", check.id);
        assert!(check.revisions.last().is_some_and(|newest| newest.since <= NEWEST), "{}", check.id);
        if let Some(overridden) = check.overrides {
            let overridden = super::check(overridden).map(|overridden| overridden.level);
            assert_eq!((check.level, overridden), (RESTRICTED, Some(BASELINE)), "{}", check.id);
        }
    }
    let newest = checks().iter().flat_map(|check| check.revisions).map(|revision| revision.since).max();
    assert_eq!(newest, Some(NEWEST));
}
