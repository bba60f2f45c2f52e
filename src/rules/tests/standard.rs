//! Rules and the Pod Security evaluator see the same problems, and what the rules do not leave to a person they solve.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Bench, fixed, in_kind, random_pod, yaml};
use crate::pss::{self, Level, Version};
use crate::rules::{Change, Finding, Safety};

/// Checks that replace each other at the two levels, or that one rule looks after, under one name.
pub(super) fn family(check: &str) -> &str {
    match check {
        "capabilities_baseline" | "capabilities_restricted" => "capabilities",
        "hostPathVolumes" | "restrictedVolumes" => "volumes",
        "procMount" | "procMount_restricted" => "procMount",
        "seccompProfile_baseline" | "seccompProfile_restricted" => "seccompProfile",
        "runAsNonRoot" | "runAsUser" => "user",
        other => other,
    }
}

/// Families of checks on fields that exist on Linux only.
const LINUX_ONLY: [&str; 8] = [
    "allowPrivilegeEscalation",
    "appArmorProfile",
    "capabilities",
    "privileged",
    "procMount",
    "seLinuxOptions",
    "seccompProfile",
    "sysctls",
];

struct Verdict {
    violated: BTreeSet<&'static str>,
    findings: Vec<Finding>,
}

impl Verdict {
    fn of(bench: &Bench, object: &Value) -> Verdict {
        let (level, version) = (bench.config.profile.level, bench.config.profile.version);
        let violated = bench.with_workload(object, |workload| {
            let violations =
                workload.pods.iter().flat_map(|pod| pss::evaluate(&pod.judged(), level, version));
            violations.map(|violation| family(violation.check)).collect()
        });
        Verdict { violated, findings: bench.findings(object) }
    }

    /// Families that findings of at most this safety are about.
    fn found(&self, most: Safety) -> BTreeSet<&'static str> {
        let findings = self.findings.iter().filter(|finding| finding.safety <= most);
        let mut found: BTreeSet<_> =
            findings.clone().filter_map(|finding| finding.rule.pss).map(|(_, check)| family(check)).collect();
        if findings.clone().any(|finding| finding.rule.id == "privileged-container") {
            // Nothing else is asked of such a container before that is decided.
            found.extend(["allowPrivilegeEscalation", "capabilities"]);
        }
        if findings.clone().any(|finding| finding.rule.id == "windows-os-unset") {
            found.extend(LINUX_ONLY);
        }
        found
    }
}

#[track_caller]
fn check(bench: &Bench, object: &Value) {
    let before = Verdict::of(bench, object);
    let found = before.found(Safety::Safe);
    let missed: Vec<_> = before.violated.difference(&found).collect();
    assert!(missed.is_empty(), "no finding for {missed:?} in {object:#}");
    assert_compatible(&before.findings, object);
    assert_honest(&before.findings);

    let fixed = fixed(object, &before.findings);
    let after = Verdict::of(bench, &fixed);
    let fixable: Vec<_> = after.findings.iter().filter(|finding| finding.safety > Safety::Manual).collect();
    assert!(fixable.is_empty(), "a second run wants {fixable:#?} in {fixed:#}");
    let left = after.found(Safety::Manual);
    let unexplained: Vec<_> = after.violated.difference(&left).collect();
    assert!(unexplained.is_empty(), "nobody was told of {unexplained:?} in {fixed:#}");
    for finding in &after.findings {
        if let Some((_, check)) = finding.rule.pss {
            let is_left = after.violated.contains(family(check)) || finding.rule.id == "windows-os-unset";
            assert!(is_left, "`{}` is no violation in {fixed:#}", finding.message);
        }
    }
    assert_admissible(object, &fixed);
}

/// Manual findings change nothing, and all others do.
#[track_caller]
fn assert_honest(findings: &[Finding]) {
    for finding in findings {
        assert_eq!(finding.changes.is_empty(), finding.safety == Safety::Manual, "{finding:#?}");
        assert!(!finding.message.is_empty() && !finding.message.ends_with('.'), "{finding:#?}");
    }
}

/// Changes of different findings can be made together, in any order, and each fix does something.
#[track_caller]
fn assert_compatible(findings: &[Finding], object: &Value) {
    for finding in findings.iter().filter(|finding| finding.safety > Safety::Manual) {
        let mut operations = finding.changes.iter().flat_map(|change| change.operations(object, ""));
        assert!(operations.next().is_some(), "{finding:#?} changes nothing in {object:#}");
    }
    let all: Vec<&Change> = findings.iter().flat_map(|finding| &finding.changes).collect();
    for (idx, one) in all.iter().enumerate() {
        for other in &all[idx + 1..] {
            let both_append = matches!((one, other), (Change::Append { .. }, Change::Append { .. }));
            let same_place = one.pointer() == other.pointer() && !both_append && one != other;
            let below = |parent: &Change, child: &Change| {
                matches!(parent, Change::Remove { .. } | Change::Set { .. })
                    && child
                        .pointer()
                        .strip_prefix(parent.pointer())
                        .is_some_and(|rest| rest.starts_with('/'))
            };
            assert!(!same_place && !below(one, other) && !below(other, one), "{one:?} against {other:?}");
        }
    }
}

/// What the API server accepted before it still accepts.
#[track_caller]
fn assert_admissible(before: &Value, after: &Value) {
    let complaints = |object: &Value| {
        let mut complaints = Vec::new();
        complain(object, &mut complaints);
        complaints
    };
    let (before, complaints) = (complaints(before), complaints(after));
    for complaint in &complaints {
        assert!(before.contains(complaint), "{complaint} in {after:#}");
    }
}

/// What its validation says of security contexts, mounts and volumes (`ValidateSecurityContext`, `ValidateVolumes`).
fn complain(value: &Value, complaints: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let context = &map.get("securityContext").unwrap_or(&Value::Null);
            let added = context["capabilities"]["add"].as_array().into_iter().flatten();
            let gains =
                context["privileged"] == true || added.into_iter().any(|name| name == "CAP_SYS_ADMIN");
            if context["allowPrivilegeEscalation"] == false && gains {
                complaints.push("privileged without escalation".to_owned());
            }
            if context["seccompProfile"]["type"] != "Localhost"
                && !context["seccompProfile"]["localhostProfile"].is_null()
            {
                complaints.push("a local profile that is none".to_owned());
            }
            for (list, key) in [("volumes", "name"), ("volumeMounts", "mountPath")] {
                let items = map.get(list).and_then(Value::as_array).into_iter().flatten();
                let keys: Vec<_> = items.map(|item| item[key].as_str().unwrap_or_default()).collect();
                let distinct: BTreeSet<_> = keys.iter().collect();
                if distinct.len() != keys.len() {
                    complaints.push(format!("{list} share a {key}"));
                }
            }
            map.values().for_each(|value| complain(value, complaints));
        }
        Value::Array(items) => items.iter().for_each(|value| complain(value, complaints)),
        _ => {}
    }
}

fn profiles() -> Vec<Bench> {
    let versions =
        [Version::Latest, Version::Minor(34), Version::Minor(30), Version::Minor(25), Version::Minor(23)];
    let restricted = versions.map(|version| Bench::new(Level::Restricted, version));
    let baseline = [Version::Latest, Version::Minor(30)].map(|version| Bench::new(Level::Baseline, version));
    restricted.into_iter().chain(baseline).collect()
}

const PODS: &[&str] = &[
    // Nothing set at all, with all kinds of containers.
    "{initContainers: [{name: a, image: a}, {name: b, image: b, restartPolicy: Always}], containers: [{name: c, image: c}]}",
    // The pod has nothing, each container something else.
    "{containers: [
        {name: a, image: a, securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}},
        {name: b, image: b, securityContext: {runAsUser: 0, seccompProfile: {type: Unconfined}}},
        {name: c, image: c, securityContext: {privileged: true}}]}",
    // Values of the pod that containers overrule: refused all the same.
    "{securityContext: {runAsNonRoot: false, runAsUser: 0, seccompProfile: {type: Unconfined}}, containers: [
        {name: a, image: a, securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}}]}",
    "{securityContext: {seccompProfile: {type: RuntimeDefault}}, containers: [
        {name: a, image: a, securityContext: {seccompProfile: {type: Unconfined, localhostProfile: x.json}}}]}",
    // Capabilities in every spelling.
    "{containers: [
        {name: a, image: a, securityContext: {capabilities: {drop: [all]}}},
        {name: b, image: b, securityContext: {capabilities: {drop: [CAP_ALL, NET_RAW], add: [CAP_NET_BIND_SERVICE]}}},
        {name: c, image: c, securityContext: {capabilities: {drop: [ALL], add: [NET_BIND_SERVICE, NET_ADMIN, cap_chown]}}},
        {name: d, image: d, securityContext: {capabilities: {add: [SYS_ADMIN]}}},
        {name: e, image: e, securityContext: {privileged: true, capabilities: {add: [SYS_ADMIN]}}}]}",
    // The node's namespaces, ports, paths and probes.
    "{hostNetwork: true, hostPID: true, hostIPC: true, containers: [
        {name: a, image: a, ports: [{containerPort: 80, hostPort: 80}], livenessProbe: {httpGet: {host: 127.0.0.1, port: 80}}}]}",
    "{containers: [
        {name: a, image: a, ports: [{containerPort: 80, hostPort: 80, hostIP: 10.0.0.1}, {containerPort: 81, hostPort: 0}],
         livenessProbe: {httpGet: {host: shop.example.com, port: 80}}, readinessProbe: {tcpSocket: {host: 10.0.0.1, port: 80}},
         lifecycle: {preStop: {httpGet: {host: localhost, port: 80, httpHeaders: [{name: host, value: x}]}}}}]}",
    "{volumes: [{name: sock, hostPath: {path: /var/run/docker.sock}}, {name: proc, hostPath: {path: /proc}},
        {name: logs, hostPath: {path: /var/log}}, {name: nfs, nfs: {server: s, path: /}}, {name: none}, {name: empty, emptyDir: null}],
      containers: [{name: a, image: a, volumeMounts: [{name: proc, mountPath: /host/proc}, {name: logs, mountPath: /var/log},
        {name: sock, mountPath: /var/run/docker.sock}]}]}",
    // Profiles and sysctls.
    "{securityContext: {appArmorProfile: {type: Unconfined}, seLinuxOptions: {type: spc_t, user: u, role: r},
        sysctls: [{name: net.core.somaxconn, value: '1'}, {name: net.ipv4.tcp_rmem, value: '1'}]}, containers: [
        {name: a, image: a, securityContext: {procMount: Unmasked, appArmorProfile: {type: Unconfined}, seLinuxOptions: {type: container_engine_t}}}]}",
    "{hostUsers: false, securityContext: {runAsUser: 0}, containers: [{name: a, image: a, securityContext: {procMount: Unmasked}}]}",
    // /tmp is there already, or part of something that is.
    "{volumes: [{name: tmp, emptyDir: {}}, {name: root, emptyDir: {}}], containers: [
        {name: a, image: a, volumeMounts: [{name: tmp, mountPath: /tmp/}]}, {name: b, image: b},
        {name: c, image: c, volumeMounts: [{name: root, mountPath: /, readOnly: true}]}]}",
    // Windows, with and without saying so.
    "{os: {name: windows}, containers: [{name: a, image: a}]}",
    "{nodeSelector: {kubernetes.io/os: windows}, containers: [{name: a, image: a}]}",
    "{nodeSelector: {kubernetes.io/os: windows}, containers: [{name: a, image: a, securityContext: {allowPrivilegeEscalation: false}}]}",
    "{os: {name: windows}, securityContext: {windowsOptions: {hostProcess: true}, runAsNonRoot: false}, hostNetwork: true,
      containers: [{name: a, image: a, securityContext: {windowsOptions: {hostProcess: true}}}]}",
];

#[test]
fn handwritten_pods_end_as_the_standard_wants_or_are_explained() {
    for bench in profiles() {
        for spec in PODS {
            for kind in ["Pod", "Deployment", "DaemonSet", "CronJob"] {
                check(&bench, &in_kind(kind, &json!({}), &yaml(spec)));
            }
        }
    }
}

#[test]
fn annotations_of_old_are_judged() {
    let annotations = json!({
        "seccomp.security.alpha.kubernetes.io/pod": "unconfined",
        "container.seccomp.security.alpha.kubernetes.io/a": "unconfined",
        "container.apparmor.security.beta.kubernetes.io/a": "unconfined",
        "container.apparmor.security.beta.kubernetes.io/b": "localhost/shop",
        "team": "shop",
    });
    let spec = yaml("{containers: [{name: a, image: a}, {name: b, image: b}]}");
    for bench in profiles().into_iter().chain([Bench::new(Level::Baseline, Version::Minor(18))]) {
        check(&bench, &in_kind("Deployment", &annotations, &spec));
    }
}

/// Kinds whose pods are put together from parts, or that lack some fields of a pod.
const OTHER_KINDS: &[&str] = &[
    "apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: w}
spec:
  volumes: [{name: work, emptyDir: {}}]
  templates:
  - {name: steps, steps: []}
  - {name: a, container: {image: a, securityContext: {capabilities: {drop: [all]}}}}
  - {name: b, script: {image: b, source: x}, sidecars: [{name: s, image: s}], volumes: [{name: tmp, emptyDir: {}}]}
  - {name: c, container: {image: c}, securityContext: {runAsUser: 1000}}
",
    "apiVersion: tekton.dev/v1
kind: Task
metadata: {name: t}
spec:
  stepTemplate: {securityContext: {capabilities: {add: [SYS_ADMIN], drop: [all]}, seccompProfile: {type: Unconfined}, procMount: Unmasked}}
  steps:
  - {name: a, image: a}
  - {name: b, image: b, securityContext: {capabilities: {drop: [ALL]}, privileged: true}}
  sidecars: [{name: s, image: s}]
",
    "apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: k}
spec: {template: {spec: {containers: [{image: a}]}}}
",
    "apiVersion: monitoring.coreos.com/v1
kind: Prometheus
metadata: {name: p}
spec: {replicas: 1}
",
];

#[test]
fn kinds_with_other_fields_are_fixed_in_one_run() {
    for bench in profiles() {
        for text in OTHER_KINDS {
            check(&bench, &yaml(text));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_pods_end_as_the_standard_wants_or_are_explained(spec in random_pod::spec(), annotations in random_pod::annotations()) {
        thread_local! { static BENCHES: Vec<Bench> = profiles(); }
        let object = in_kind("Deployment", &annotations, &spec);
        BENCHES.with(|benches| benches.iter().for_each(|bench| check(bench, &object)));
    }
}

/// The fixtures of upstream's own tests: `<level>/<version>/{pass,fail}/*.yaml`.
#[test]
fn upstream_fixtures_end_as_the_standard_wants_or_are_explained() {
    let Some(corpora) = std::env::var_os("CASEHARDEN_CORPORA") else {
        eprintln!("skipped: CASEHARDEN_CORPORA is not set");
        return;
    };
    let mut files = Vec::new();
    collect(&Path::new(&corpora).join("../pss"), &mut files);
    assert!(files.len() >= 200, "only {} fixtures", files.len());
    let benches = profiles();
    for file in files {
        let object = yaml(&fs::read_to_string(&file).unwrap());
        if object["kind"] != "Pod" {
            continue;
        }
        for bench in &benches {
            check(bench, &object);
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
}
