use std::fs;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::config::{Distribution, KubernetesVersion, Profile};
use crate::pss::{Level, Version};

fn standard(level: Level) -> Standard {
    let target_version = KubernetesVersion { minor: 37 };
    Standard { level, version: Version::Latest, target_version, distribution: Distribution::K3s }
}

const RESTRICTED: Level = Level::Restricted;

fn with_override(name: &str, text: &str) -> Result<Templates, Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(name), text).unwrap();
    Templates::with_overrides(dir.path()).map_err(|errors| {
        let folder = format!("{}/", dir.path().display());
        let shown = errors.into_iter().flat_map(|error| {
            let help = error.help.as_ref().map(|help| format!("  help: {help}"));
            [Some(error.to_string().replace(&folder, "")), help]
        });
        shown.flatten().collect()
    })
}

#[track_caller]
fn check_broken(name: &str, text: &str, expected: &[&str]) {
    match with_override(name, text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(shown) => assert_eq!(shown, expected),
    }
}

#[test]
fn the_built_in_templates_work_with_every_input() {
    assert_eq!(Templates::builtin().try_out(), []);
}

#[test]
fn the_profile_decides_what_security_contexts_hold() {
    let templates = Templates::builtin();
    let pod = |level| templates.pod_security_context(&standard(level)).unwrap().to_string();
    let container =
        |level, alone| templates.container_security_context(&standard(level), alone).unwrap().to_string();
    assert_eq!(pod(RESTRICTED), r#"{"runAsNonRoot":true,"seccompProfile":{"type":"RuntimeDefault"}}"#);
    assert_eq!(pod(Level::Baseline), "{}");
    assert_eq!(container(Level::Baseline, true), r#"{"readOnlyRootFilesystem":true}"#);
    let shared =
        r#"{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},"readOnlyRootFilesystem":true"#;
    assert_eq!(container(RESTRICTED, false), format!("{shared}}}"));
    assert_eq!(
        container(RESTRICTED, true),
        format!("{shared},\"runAsNonRoot\":true,\"seccompProfile\":{{\"type\":\"RuntimeDefault\"}}}}")
    );
}

#[test]
fn a_writable_volume_is_an_empty_dir_and_its_mount() {
    let templates = Templates::builtin();
    let directory = WritableDirectory { name: "tmp", path: "/tmp", size_limit: None };
    let rendered = templates.writable_volume(&directory).unwrap();
    assert_eq!(rendered.volume, json!({"name": "tmp", "emptyDir": {}}));
    assert_eq!(rendered.mount, json!({"name": "tmp", "mountPath": "/tmp"}));
    let limited = WritableDirectory { size_limit: Some("64Mi"), ..directory };
    let rendered = templates.writable_volume(&limited).unwrap();
    assert_eq!(rendered.volume, json!({"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}));
}

#[test]
fn labels_are_absent_for_modes_that_are_not_set() {
    let templates = Templates::builtin();
    let profile: Profile = "baseline@v1.37".parse().unwrap();
    let labels = AdmissionLabels { warn: Some(profile), ..AdmissionLabels::default() };
    assert_eq!(
        templates.namespace_labels(&labels).unwrap().to_string(),
        "{\"pod-security.kubernetes.io/warn\":\"baseline\",\
          \"pod-security.kubernetes.io/warn-version\":\"v1.37\"}"
    );
    assert_eq!(templates.namespace_labels(&AdmissionLabels::default()).unwrap().to_string(), "{}");
    assert_eq!(
        templates.namespace("shop", &labels).unwrap().text,
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  labels:\n    \
         pod-security.kubernetes.io/warn: baseline\n    pod-security.kubernetes.io/warn-version: v1.37\n"
    );
    assert_eq!(
        templates.namespace("on", &AdmissionLabels::default()).unwrap().text,
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: \"on\"\n"
    );
}

#[test]
fn exceptions_are_recorded_one_by_one() {
    let file = Templates::builtin().exceptions(&samples::exceptions()).unwrap();
    let body: Vec<&str> = file.text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        body.join("\n"),
        "- workload:\n    apiVersion: apps/v1\n    kind: DaemonSet\n    namespace: kube-system\n    \
         name: sample\n  path: \"a: b/c.yaml\"\n  checks:\n    - hostNamespaces\n    - hostPathVolumes\n  \
         fields:\n    spec.hostNetwork: true\n    \"spec.volumes[0]\": {hostPath: {path: /}}\n  \
         reason: \"needs: the \\\"host\\\" # network\"\n\
         - workload:\n    apiVersion: apps/v1\n    kind: DaemonSet\n    name: sample\n  checks:\n    \
         - privileged\n  reason: sample"
    );
    let read: Vec<ExceptionRecord> = serde_json::from_value(file.value).unwrap();
    assert_eq!(read, samples::exceptions());
}

#[test]
fn no_value_can_change_the_structure() {
    let templates = Templates::builtin();
    for hostile in [
        "a: b",
        "a\nb: c",
        "\"\n- x",
        "a\", b: \"c",
        "- x",
        "a #",
        "{{ level }}",
        "{% raw %}",
        "*alias",
        "&anchor",
        "!!binary x",
        "null",
        "1e3",
        "0644",
        "yes",
        "---",
        "a\u{0}\u{1b}[2J\u{85}b",
        " lead and trail ",
        "| \n x",
        "",
    ] {
        let directory = WritableDirectory { name: hostile, path: hostile, size_limit: None };
        let rendered = templates.writable_volume(&directory).unwrap();
        assert_eq!(rendered.volume, json!({"name": hostile, "emptyDir": {}}));
        assert_eq!(rendered.mount, json!({"name": hostile, "mountPath": hostile}));
        let namespace = templates.namespace(hostile, &AdmissionLabels::default()).unwrap();
        assert_eq!(namespace.value["metadata"], json!({"name": hostile}));
        let mut records = samples::exceptions();
        records[0].reason = hostile.to_owned();
        records[0].checks = vec![hostile.to_owned()];
        records[0].fields = [(hostile.to_owned(), json!({hostile: [hostile, 1]}))].into_iter().collect();
        let file = templates.exceptions(&records).unwrap();
        assert_eq!(file.value[0]["checks"], json!([hostile]));
        assert_eq!(file.value[0]["fields"], json!({hostile: {hostile: [hostile, 1]}}));
        assert!(!file.text.contains(|c: char| c.is_control() && c != '\n'));
    }
}

#[test]
fn text_joined_inside_a_hole_is_quoted_as_a_whole() {
    let templates = with_override(
        "pod-security-context.yaml",
        "seLinuxOptions:\n  level: {{ \"s0: \" ~ distribution }}\n  user: {{ level | upper }}\n",
    );
    let value = templates.unwrap().pod_security_context(&standard(RESTRICTED)).unwrap();
    assert_eq!(*value, json!({"seLinuxOptions": {"level": "s0: k3s", "user": "RESTRICTED"}}));
}

#[test]
fn a_team_can_add_its_own_fields() {
    let templates = with_override(
        "pod-security-context.yaml",
        "{# ours -#}\nrunAsUser: 10001\nrunAsNonRoot: true\nfsGroup: 10001\n\
         {% if distribution == \"k3s\" -%}\nfsGroupChangePolicy: OnRootMismatch\n{% endif -%}\n",
    )
    .unwrap();
    assert_eq!(
        templates.pod_security_context(&standard(RESTRICTED)).unwrap().to_string(),
        r#"{"runAsUser":10001,"runAsNonRoot":true,"fsGroup":10001,"fsGroupChangePolicy":"OnRootMismatch"}"#
    );
    let listed = templates.list().find(|listed| listed.name == POD).unwrap();
    assert_eq!(listed.description, "ours");
    assert!(listed.overridden_by.is_some_and(|path| path.ends_with(POD)));
    assert!(templates.list().all(|listed| listed.name == POD || listed.overridden_by.is_none()));
}

#[test]
fn templates_that_do_not_parse_are_errors_at_their_place() {
    check_broken(
        POD,
        "a: 1\nrunAsUser: {{ uid",
        &["pod-security-context.yaml:2:18: unexpected end of input"],
    );
    check_broken(POD, "{% if level %}\na: 1\n", &["pod-security-context.yaml:3:1: unexpected end of input"]);
    check_broken(
        POD,
        "runAsUser: {{ level | yml }}",
        &["pod-security-context.yaml:1:23: unknown filter `yml`"],
    );
    check_broken(
        POD,
        "{% include \"x.yaml\" %}",
        &["pod-security-context.yaml:1:12: unknown template `x.yaml`"],
    );
}

#[test]
fn wrong_variables_and_filters_are_errors_at_their_place() {
    check_broken(
        POD,
        "fsGroup: 1\nrunAsUser: {{ targt_version }}",
        &[
            "pod-security-context.yaml:2:15: variable `targt_version` is not defined",
            "  help: did you mean `target_version`?",
        ],
    );
    check_broken(
        POD,
        "runAsUser: {{ uid }}",
        &[
            "pod-security-context.yaml:1:15: variable `uid` is not defined",
            "  help: there are: distribution, level, target_version, version",
        ],
    );
    check_broken(
        WRITABLE,
        "volume:\n  name: {{ name | safe }}",
        &[
            "writable-volume.yaml:2:19: `safe` is not available: a value could change the structure of the YAML",
        ],
    );
    check_broken(
        WRITABLE,
        "volume:\n  name: \"{{ name }}\"",
        &[
            "writable-volume.yaml:2:10: a hole stands inside quotes",
            "  help: leave them out, what fills it is quoted by itself",
        ],
    );
    check_broken(
        WRITABLE,
        "volume:\n  name: tmp-{{ name }}",
        &[
            "writable-volume.yaml:2:13: a hole must be a whole value",
            "  help: join text inside the hole: `{{ \"text-\" ~ name }}`",
        ],
    );
}

#[test]
fn what_does_not_fit_its_type_is_an_error_at_its_line() {
    check_broken(
        POD,
        "fsGroup: 1\n  runAsUser: 2",
        &[
            "pod-security-context.yaml:2: does not render YAML: mapping values are not allowed in this context",
        ],
    );
    check_broken(
        POD,
        "{# ours -#}\nfsGroup: 1\nrunAsNonRot: true",
        &["pod-security-context.yaml:3: unknown field `runAsNonRot`"],
    );
    check_broken(
        POD,
        "{# ours -#}\nfsGroup: 1\nseccompProfile:\n  typ: {{ level }}",
        &["pod-security-context.yaml:4: unknown field `seccompProfile.typ`"],
    );
    check_broken(
        POD,
        "{# ours -#}\nrunAsUser: {{ level }}",
        &["pod-security-context.yaml:2: runAsUser: invalid type: string \"privileged\", expected i64"],
    );
    check_broken(
        POD,
        "runAsNonRoot: yes",
        &["pod-security-context.yaml:1: runAsNonRoot: invalid type: string \"yes\", expected a boolean"],
    );
    check_broken(
        POD,
        "runAsUser: 1\nrunAsUser: 2",
        &["pod-security-context.yaml: does not render YAML: duplicate entry with key \"runAsUser\""],
    );
    check_broken(POD, "runAsUser:", &["pod-security-context.yaml:1: `runAsUser` has no value"]);
    check_broken(
        POD,
        "- runAsUser",
        &["pod-security-context.yaml: invalid type: sequence, expected PodSecurityContext"],
    );
    check_broken(
        POD,
        "fsGroup: 1\n---\nfsGroup: 2",
        &[
            "pod-security-context.yaml: does not render YAML: deserializing from YAML containing more than one document is not supported",
        ],
    );
}

#[test]
fn what_the_plan_relies_on_must_be_kept() {
    check_broken(
        WRITABLE,
        "volume:\n  name: tmp\n  emptyDir: {}\nmount:\n  name: {{ name }}\n  mountPath: {{ path }}",
        &["writable-volume.yaml: `volume.name` must be \"sample\""],
    );
    check_broken(
        WRITABLE,
        "volume:\n  name: {{ name }}\n  emptyDir: {}",
        &["writable-volume.yaml: missing field `mount`"],
    );
    check_broken(
        NAMESPACE,
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {{ name }}",
        &["namespace.yaml: `metadata.labels.pod-security.kubernetes.io/enforce` must be \"baseline\""],
    );
    check_broken(
        NAMESPACE,
        "apiVersion: v1\nkind: Namspace\nmetadata:\n  name: {{ name }}",
        &["namespace.yaml: invalid value: string \"Namspace\", expected Namespace"],
    );
    check_broken(LABELS, "team: 7", &["namespace-labels.yaml: label `team` is not a string: 7"]);
    check_broken(
        EXCEPTIONS,
        "- reason: {{ records[0].reason }}",
        &["pod-security-exceptions.yaml: renders 1 of 2 records"],
    );
    check_broken(
        EXCEPTIONS,
        "{% for record in records %}\n- workload: {{ record.workload.name }}\n{% endfor %}",
        &[
            "pod-security-exceptions.yaml: record 0 must keep `workload` as {\"apiVersion\":\"apps/v1\",\"kind\":\"DaemonSet\",\
             \"namespace\":\"kube-system\",\"name\":\"sample\"}",
        ],
    );
}

#[test]
fn a_template_written_on_windows_is_the_same_template() {
    let text =
        Templates::builtin().sources.iter().find(|source| source.name == NAMESPACE).unwrap().text.clone();
    let templates = with_override(NAMESPACE, &format!("\u{feff}{}", text.replace('\n', "\r\n"))).unwrap();
    let labels = AdmissionLabels::default();
    assert_eq!(templates.namespace("a", &labels), Templates::builtin().namespace("a", &labels));
}

#[test]
fn a_file_that_is_no_template_is_an_error() {
    check_broken(
        "pod-securty-context.yaml",
        "",
        &[
            "pod-securty-context.yaml: there is no template of that name",
            "  help: did you mean `pod-security-context.yaml`?",
        ],
    );
    let templates = Templates::builtin();
    let names: Vec<&str> = templates.list().map(|listed| listed.name).collect();
    let help = format!("  help: there are: {}", names.join(", "));
    check_broken("README.md", "", &["README.md: there is no template of that name", &help]);
    assert!(with_override(".gitkeep", "").is_ok());
    let errors = Templates::with_overrides(Path::new("/nonexistent")).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].to_string().starts_with("/nonexistent: cannot be read: "));
}

/// What templates call the items of lists.
const OF_LOOPS: &[&str] = &[
    "record",
    "label",
    "check",
    "field",
    "loop",
    "annotation",
    "entry",
    "parameter",
    "rule",
    "variable",
    "validation",
    "note",
    "attestor",
    "glob",
];

#[test]
fn every_template_says_what_it_is_for_and_names_its_variables() {
    let templates = Templates::builtin();
    for listed in templates.list() {
        assert!(!listed.description.is_empty(), "`{}` has no leading comment", listed.name);
        let variables = templates.tera.0.get_template_variables(listed.name).unwrap();
        let mut variables: Vec<&str> = variables.into_iter().collect();
        variables.sort_unstable();
        for variable in variables.into_iter().filter(|name| !OF_LOOPS.contains(name)) {
            assert!(listed.description.contains(variable), "`{}` does not explain `{variable}`", listed.name);
        }
        let cites = listed.description.contains("https://");
        assert!(cites || listed.name == CONFIG, "`{}` cites no source", listed.name);
    }
}

#[test]
fn the_example_configuration_is_rendered_as_it_stands() {
    let source = include_str!("../../templates/caseharden.toml");
    assert_eq!(Templates::builtin().config().unwrap(), source.split_once("-#}\n").unwrap().1);
}

#[test]
fn the_same_input_is_rendered_once_for_all_threads() {
    let templates = Templates::builtin();
    let first = templates.pod_security_context(&standard(RESTRICTED)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let again = templates.pod_security_context(&standard(RESTRICTED)).unwrap();
                assert!(Arc::ptr_eq(&first, &again));
            });
        }
    });
}

#[test]
fn an_export_never_overwrites_other_text_unless_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("new/templates");
    let templates = Templates::builtin();
    assert!(templates.export(&target, false).unwrap().iter().all(|exported| exported.written));
    assert!(templates.export(&target, false).unwrap().iter().all(|exported| !exported.written));
    assert!(Templates::with_overrides(&target).unwrap().list().all(|listed| listed.overridden_by.is_some()));
    fs::write(target.join(POD), "runAsUser: 10001\n").unwrap();
    fs::remove_file(target.join(LABELS)).unwrap();
    let error = templates.export(&target, false).unwrap_err();
    assert_eq!(error.to_string(), format!("would overwrite `{}`", target.join(POD).display()));
    assert!(!target.join(LABELS).exists(), "nothing is written when one file differs");
    let exported = templates.export(&target, true).unwrap();
    let written: Vec<_> =
        exported.iter().filter(|exported| exported.written).map(|e| e.path.clone()).collect();
    assert_eq!(written, [target.join(LABELS), target.join(POD)]);
    let mut files = 0;
    let mut open = vec![target];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() { open.push(entry) } else { files += 1 }
        }
    }
    assert_eq!(files, templates.list().count(), "no temporary file is left");
}

#[cfg(unix)]
#[test]
fn exported_files_are_ordinary_files() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    Templates::builtin().export(dir.path(), false).unwrap();
    fs::write(dir.path().join("plain"), "").unwrap();
    let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode(POD), mode("plain"));
}
