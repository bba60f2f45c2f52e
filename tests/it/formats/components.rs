//! Kustomize components: what a diff of them makes, where they stand, and what is never in them. That builds with them
//! are what `apply` makes is held against kustomize itself, in `real::overlays`.

use super::super::cli::shop;
use super::json;
use crate::program::Folder;

const SECRET: &str = "hunter2-Zq81xvv";

fn with_secrets() -> Folder {
    let fill = |text: &str| text.replace("SECRET", SECRET);
    let server = fill(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: kube-apiserver, namespace: kube-system}\nspec:\n  hostNetwork: true\n  containers:\n  - name: kube-apiserver\n    image: registry.k8s.io/kube-apiserver:v1.30.0\n    command: [kube-apiserver, --profiling=true, --admin-password=SECRET]\n",
    );
    let secret = fill(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: shop}\nstringData: {password: SECRET}\n",
    );
    let web = fill(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\nspec:\n  containers:\n  - name: web\n    image: x:1\n    env: [{name: DB_PASSWORD, value: SECRET}]\n",
    );
    let inline = fill(
        "resources: [../base]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: Pod\n    metadata: {name: web, namespace: shop}\n    spec:\n      containers:\n      - name: web\n        securityContext: {allowPrivilegeEscalation: true}\n        env: [{name: API_TOKEN, value: SECRET}]\n",
    );
    Folder::committed(&[
        (
            "caseharden.toml",
            "[secrets]\nstore = 'external-secrets'\nstore-name = 'team'\nprovider = 'vault'\nurl = 'https://vault.example'\n",
        ),
        ("base/kustomization.yaml", "resources: [api.yaml, secret.yaml, web.yaml]\n"),
        ("base/api.yaml", &server),
        ("base/secret.yaml", &secret),
        ("base/web.yaml", &web),
        ("prod/kustomization.yaml", &inline),
    ])
}

#[test]
fn the_diff_makes_components_beside_builds_and_changes_nothing_else() {
    let folder = shop();
    let before = folder.tree();
    let diff = folder.run(&["diff", "-q", "--format", "kustomize"]).expect_code(1).stdout;
    folder.write("component.diff", &diff);
    folder.git(&["apply", "component.diff"]);
    let mut after = folder.tree();
    after.remove("component.diff");
    let new: Vec<String> = after.keys().filter(|path| !before.contains_key(*path)).cloned().collect();
    assert!(new.len() >= 4 && new.iter().all(|path| path.starts_with("overlays/harden-prod/")), "{new:?}");
    assert!(before.iter().all(|(path, text)| after.get(path) == Some(text)));
    // With the component in its place, used by a build or not, there is nothing to say.
    let again = folder.run(&["diff", "-q", "--format", "kustomize", "overlays/prod"]).expect_code(0);
    assert_eq!(again.stdout, "");
    folder.write("overlays/both/kustomization.yaml", "resources: [../prod]\ncomponents: [../harden-prod]\n");
    assert_eq!(folder.run(&["diff", "-q", "--format", "kustomize"]).stdout, "");
}

#[test]
fn files_below_a_folder_are_those_of_the_diff() {
    let folder = shop();
    let listed = folder.run(&["diff", "-q", "--format", "kustomize", "--output-dir", "out"]).expect_code(1);
    assert!(listed.stdout.starts_with("out/overlays/prod/kustomization.yaml\n"), "{}", listed.stdout);
    let overlay =
        folder.run(&["diff", "-q", "--format", "kustomize", "overlays/prod", "--output-dir", "out"]);
    assert_eq!(overlay.stdout, "", "a second run writes nothing");
    folder.write("out/overlays/prod/kustomization.yaml", "resources: []\n");
    let refused = folder.run(&["diff", "-q", "--format", "kustomize", "--output-dir", "out"]).expect_code(2);
    assert!(refused.stderr.contains("not written by caseharden"), "{}", refused.stderr);
}

#[test]
fn a_file_is_no_folder_to_make_a_component_for() {
    let run = shop().run(&["diff", "--format", "kustomize", "base/web.yaml"]).expect_code(2);
    assert!(run.stderr.contains("not for single files"), "{}", run.stderr);
}

#[test]
fn a_component_holds_no_secret_and_takes_none_away_without_what_replaces_it() {
    let folder = with_secrets();
    for args in [&["diff", "--format", "kustomize", "base"][..], &["overlay", "base", "--output", "out"]] {
        let run = folder.run(args);
        assert!(
            run.stderr.contains("Pod/kube-apiserver is not in the component"),
            "{args:?}: {}",
            run.stderr
        );
        assert!(run.stderr.contains("Secret/db stays"), "{args:?}: {}", run.stderr);
        assert!(!run.stdout.contains(SECRET) && !run.stdout.contains("$patch"), "{args:?}: {}", run.stdout);
    }
    let written = folder.tree().into_iter().filter(|(path, _)| path.starts_with("out/"));
    let written: Vec<(String, String)> =
        written.map(|(path, text)| (path, String::from_utf8(text).unwrap())).collect();
    assert!(written.iter().any(|(path, _)| path == "out/pod-web.yaml"), "{written:?}");
    assert!(written.iter().all(|(_, text)| !text.contains(SECRET)), "{written:?}");
}

#[test]
fn json_patches_show_what_stands_beside_a_secret_and_not_what_holds_one() {
    let folder = with_secrets();
    let run = folder.run(&["diff", "--format", "json-patch", "base"]).expect_code(1);
    assert!(!run.stderr.contains("in no patch"), "{}", run.stderr);
    assert!(run.stdout.contains("\"/spec/containers/0/securityContext\""), "{}", run.stdout);
    let all = folder.run(&["diff", "--format", "json-patch"]).expect_code(1);
    assert!(all.stderr.contains("1 change is in no patch: it would write a secret"), "{}", all.stderr);
    assert!(!all.stdout.contains(SECRET), "{}", all.stdout);
    let shown = folder.run(&["diff", "--format", "json-patch", "--show-secrets"]).expect_code(1);
    assert!(shown.stdout.contains(SECRET), "{}", shown.stdout);
    let report = json(&folder, &["check", "--format", "json"]);
    assert!(report["findings"].as_array().is_some_and(|findings| !findings.is_empty()));
}
