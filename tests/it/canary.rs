//! A secret stands in every place that a repo has for one; every command says what it has to say in every format, and
//! nothing of what it says or writes has the secret, plain or as base64.

use std::collections::BTreeMap;

use crate::program::{Folder, Run};

/// No word of any other text here.
const CANARY: &str = "c4naryB1rdSings77";
const ENCODED: &str = "YzRuYXJ5QjFyZFNpbmdzNzc=";

/// A repo with the canary everywhere.
fn files() -> Vec<(&'static str, String)> {
    let texts = [
        (
            "secrets/secret.yaml",
            "# was CANARY once\napiVersion: v1\nkind: Secret\nmetadata:\n  name: commented\n  namespace: shop\nstringData:\n  password: CANARY\n",
        ),
        (
            "secrets/mixed.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n  namespace: shop\ndata:\n  db.password: CANARY\n  app.ini: |\n    user=shop\n    password=CANARY\n    port=1\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: db\n  namespace: shop\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: '{\"stringData\":{\"password\":\"CANARY\"}}'\ndata:\n  password: ENCODED   # CANARY\n  # CANARY\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: shop\n  namespace: shop\nspec:\n  selector: {matchLabels: {app: shop}}\n  template:\n    metadata: {labels: {app: shop}}\n    spec:\n      containers:\n      - name: shop\n        image: registry.example/shop:1\n        env:\n        - name: DB_PASSWORD\n          value: CANARY\n        - name: DB_URL\n          value: postgres://shop:CANARY@db/shop\n        args: [--token=CANARY, --password, CANARY]\n        envFrom:\n        - secretRef: {name: db}\n      - name: init\n        image: registry.example/init:1\n        env: [{name: API_TOKEN, value: CANARY}]\n",
        ),
        (
            "secrets/list.yaml",
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: listed, namespace: shop}\n  stringData: {password: CANARY}\n",
        ),
        (
            "secrets/secret.json",
            "{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {\"name\": \"json\", \"namespace\": \"shop\"}, \"data\": {\"password\": \"ENCODED\"}}\n",
        ),
        (
            "kustomize/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: shop\nsecretGenerator:\n- name: generated\n  literals:\n  - password=CANARY\nresources:\n- pod.yaml\npatches:\n- target: {kind: Pod}\n  patch: |\n    - op: add\n      path: /spec/containers/0/env\n      value: [{name: TOKEN, value: CANARY}]\n",
        ),
        (
            "kustomize/pod.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - name: web\n    image: registry.example/web:1\n    command: [sh, -c, 'curl https://web:CANARY@api.example/']\n",
        ),
        // What Kubernetes' decoder refuses, what is no YAML, and what is invalid in other ways.
        (
            "broken/twice.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: a, name: b}\ndata: {password: CANARY, password: [CANARY]}\n",
        ),
        (
            "broken/syntax.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\nstringData:\n  password: \"CANARY\n  other: 'CANARY\n",
        ),
        (
            "broken/anchor.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: anchored, namespace: shop}\nstringData: &all\n  password: &p CANARY\n  again: *p\n",
        ),
        (
            "broken/pod.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: broken, namespace: shop}\nspec:\n  containers:\n  - name: CANARY-not\n    image: 'not an image CANARY-not'\n    env: [{name: PASSWORD, value: CANARY}]\n",
        ),
        ("chart/Chart.yaml", "apiVersion: v2\nname: chart\nversion: 1.0.0\n"),
        ("chart/values.yaml", "image: {repository: registry.example/chart, tag: '1'}\npassword: CANARY\n"),
        (
            "chart/templates/secret.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: '{{ .Release.Name }}'}\nstringData: {password: CANARY}\n",
        ),
    ];
    let fill = |text: &str| {
        text.replace("CANARY-not", "nothing").replace("CANARY", CANARY).replace("ENCODED", ENCODED)
    };
    texts.iter().map(|(path, text)| (*path, fill(text))).collect()
}

const STORES: [(&str, &str); 5] = [
    ("none", ""),
    (
        "external",
        "[secrets]\nstore = 'external-secrets'\nstore-name = 'team'\nprovider = 'vault'\nurl = 'https://vault.example'\nimmutable = true\n",
    ),
    ("csi", "[secrets]\nstore = 'csi'\nprovider = 'aws'\nregion = 'eu-central-1'\n"),
    ("sealed", "[secrets]\nstore = 'sealed-secrets'\ncertificate = 'seal.pem'\n"),
    (
        "sops",
        "[secrets]\nstore = 'sops'\nage = ['age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq']\n",
    ),
];

fn repo(config: &str) -> Folder {
    let files = files();
    let mut all: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    all.push(("caseharden.toml", config));
    all.push(("seal.pem", "no certificate\n"));
    Folder::committed(&all)
}

fn shows(text: &str) -> bool {
    text.contains(CANARY) || text.contains(ENCODED)
}

#[track_caller]
fn check(store: &str, args: &[&str], run: &Run) {
    for (stream, text) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
        if let Some(line) = text.lines().find(|line| shows(line)) {
            panic!("{store}: {args:?} shows the secret on {stream}: {line}");
        }
        assert!(!text.contains("panicked"), "{store}: {args:?}: {text}");
    }
}

/// Every command that reads a repo and changes nothing, in every format.
const COMMANDS: [&[&str]; 23] = [
    &["check"],
    &["check", "-v"],
    &["check", "-q"],
    &["check", "--format", "json"],
    &["diff"],
    &["diff", "-v"],
    &["diff", "-q", "--level", "safe"],
    &["diff", "--select", "secret"],
    &["diff", "--format", "json-patch"],
    &["diff", "--format", "kustomize"],
    &["diff", "--format", "html"],
    &["diff", "--format", "markdown"],
    &["diff", "--format", "side-by-side"],
    &["check", "--format", "sarif"],
    &["diff", "--format", "rdjson"],
    &["check", "--format", "gitlab"],
    &["check", "--format", "github"],
    &["network", "graph"],
    &["network", "graph", "--format", "json"],
    &["network", "diff"],
    &["network", "probe"],
    &["rbac", "graph"],
    &["rbac", "who-can", "get", "secrets"],
];

#[test]
fn no_command_shows_a_secret() {
    for (store, config) in STORES {
        let folder = repo(config);
        for args in COMMANDS {
            check(store, args, &folder.run(args));
        }
        for (path, text) in files() {
            for args in [&["check", "-v", "-"][..], &["check", "--format", "json", "-"], &["diff", "-"]] {
                let run = folder.run_with(args, text.as_bytes());
                check(&format!("{store}, {path}"), args, &run);
            }
        }
    }
}

#[test]
fn a_diff_says_that_it_leaves_out_what_would_show_a_secret() {
    let folder = repo(STORES[1].1);
    let run = folder.run(&["diff", "-q"]);
    assert!(run.stderr.contains("not in this diff"), "{}", run.stderr);
    let all = folder.run(&["diff", "-q", "--show-secrets"]);
    assert!(shows(&all.stdout), "the lines that go hold it: {}", all.stdout);
    assert!(!all.stderr.contains("not in this diff"), "{}", all.stderr);
    for line in all.stdout.lines().filter(|line| line.starts_with('+')) {
        assert!(!shows(line), "an added line has it: {line}");
    }
}

#[test]
fn what_is_written_has_no_secret_that_was_not_there() {
    for (store, config) in STORES {
        let folder = repo(config);
        let before = folder.tree();
        for args in [&["branch"][..], &["apply", "-v"]] {
            check(store, args, &folder.run(args));
        }
        let log = folder.git(&["log", "--all", "--format=%B", "-p", "--diff-filter=AM"]);
        for line in log.lines().filter(|line| !line.starts_with(['-', ' '])) {
            let was_there = before.values().any(|old| {
                String::from_utf8_lossy(old).lines().any(|old| line.strip_prefix('+') == Some(old))
            });
            assert!(!shows(line) || was_there, "{store}: the branch has {line}");
        }
        let count = |tree: &BTreeMap<String, Vec<u8>>, path: &str| {
            let text =
                tree.get(path).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
            text.matches(CANARY).count() + text.matches(ENCODED).count()
        };
        let after = folder.tree();
        for path in after.keys() {
            assert!(
                count(&after, path) <= count(&before, path),
                "{store}: {path} has more of it than before"
            );
        }
        if store == "external" {
            // Only a comment in front of a Secret keeps it from making room.
            assert_eq!(count(&after, "secrets/secret.json"), 0, "{after:?}");
            assert!(count(&after, "secrets/mixed.yaml") < count(&before, "secrets/mixed.yaml"));
        }
    }
}
