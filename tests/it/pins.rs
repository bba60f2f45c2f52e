//! Images that are not pinned say why: in the golden cases of `image-not-pinned` and in the notes of its findings.

use std::path::Path;

use crate::program::{Folder, tree};

/// A golden case, part of the message of one of its findings, and of the note that finding has.
const REASONS: &[(&str, &str, &str)] = &[
    ("tag-alone", "registry.example.com/web:1.0", "`caseharden lock` asks the registry"),
    ("only-what-is-locked", "registry.example.com/private:1", "`caseharden lock` asks the registry"),
    ("templated", "$(params.img)", "filled in by another tool"),
    ("templated", "${IMG}", "filled in by another tool"),
    ("templated", "IMAGE_PLACEHOLDER", "filled in by another tool"),
    ("templated", "registry.example.com/a:<version>", "filled in by another tool"),
    ("built-by-skaffold", "adservice", "built from this repo (skaffold.yaml)"),
    ("built-in-a-folder-of-the-repo", "web:2.1", "built from this repo (web/Dockerfile)"),
    ("built-in-a-folder-of-the-repo", "ko://", "built from this repo (ko)"),
    ("never-pulled", "web:1", "`imagePullPolicy: Never`"),
    ("moving-tags", "nginx:latest", "new releases wait for a change of the digest"),
    ("overlay-that-is-not-locked-keeps-the-base", "nginx:1.25", "prod/kustomization.yaml decides what runs"),
    ("kustomization-names-another-registry", "mirror/nginx:1.25", "add `newTag` to pin it here"),
    ("values-digest-field", "web:1.8", "whoever overrides the tag alone still runs this digest"),
    ("values-tag-that-labels-too", "web:1.8", "the chart renders `1.8` and would render `1.8@sha256:"),
    ("values-tag-that-is-a-number", "web:1.10", "the chart renders `ghcr.io/example/web:1.1` and would"),
    ("values-for-a-library-that-is-not-here", "web:1.8", "`library.image`, which is not in this repo"),
    ("values-tag-of-the-chart", "example/web", "the chart's version chooses the tag"),
    ("values-of-a-vendored-chart", "db:1.8", "not edited: a chart that another chart depends on"),
    ("release-of-a-chart-elsewhere", "HelmRelease/web", "the chart `web` is not in this repo"),
    ("release-of-a-chart-elsewhere", "HelmRelease/api", "look whether it takes `digest` in this form"),
    ("release-with-a-file-that-was-not-read", "<image of the chart>:1.9", "only the chart names the image"),
    (
        "release-with-a-file-that-was-not-read",
        "example/web:1.8",
        "`charts/web/gone.yaml` are not among the files",
    ),
    ("release-with-values-of-another-object", "HelmRelease/api", "only the chart names the image"),
    ("release-of-another-repository", "HelmRelease/web", "only the chart names the image"),
    ("kustomization-that-inflates-charts", "db:16", "the chart `db` is not in this repo"),
    ("template-that-names-an-image", "nginx:1.25", "templates are not edited"),
    ("template-that-names-an-image", "log:2", "`caseharden lock` asks the registry"),
    ("release-with-an-example-of-its-chart", "HelmRelease/web", "it was not rendered"),
];

fn check_json(folder: &Folder) -> serde_json::Value {
    folder.run(&["check", "--select", "image-not-pinned", "--format", "json"]).json()
}

#[test]
fn findings_say_why_there_is_no_pin_or_what_to_look_at() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/image-not-pinned");
    for (case, image, reason) in REASONS {
        let folder = Folder::new();
        for (path, bytes) in tree(&golden.join(case).join("before")) {
            folder.write(&path, bytes);
        }
        let report = check_json(&folder);
        let findings = report["findings"].as_array().unwrap();
        let about = |finding: &&serde_json::Value| finding["message"].as_str().unwrap().contains(image);
        let notes: Vec<String> =
            findings.iter().filter(about).map(|finding| finding["notes"].to_string()).collect();
        assert!(notes.iter().any(|notes| notes.contains(reason)), "{case}: {image}: {notes:?}");
    }
}

#[test]
fn values_can_allow_a_finding() {
    let folder = Folder::new();
    folder.write("chart/Chart.yaml", "apiVersion: v2\nname: chart\nversion: 0.1.0\n");
    folder.write(
        "chart/values.yaml",
        "other:\n  image: ghcr.io/a/c:1\n# caseharden: allow image-not-pinned -- built by the release job\nimage: ghcr.io/a/b:1\n",
    );
    let report = check_json(&folder);
    let messages: Vec<&str> =
        report["findings"].as_array().unwrap().iter().map(|f| f["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["the values name `ghcr.io/a/c:1` without its digest"]);
}

#[test]
fn a_chart_is_read_whole_when_only_its_values_are_asked_for() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/image-not-pinned/values-tag");
    let folder = Folder::new();
    for (path, bytes) in tree(&golden.join("before")) {
        folder.write(&path, bytes);
    }
    folder.git(&["init", "--quiet", "--template="]);
    let run = folder.run(&["diff", "-q", "--select", "image-not-pinned", "charts/web/values.yaml"]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("+  tag: \"1.8@sha256:"), "{}", run.stdout);
}

const RELEASE: &str = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: web, namespace: shop}\nspec:\n  chart: {spec: {chart: ./web, sourceRef: {kind: GitRepository, name: source}}}\n  values: {image: {repository: ghcr.io/a/b, tag: '1'}}\n";

/// A chart with its own lock, and what else a repo has.
fn chart_with(files: &[(&str, &str)]) -> Folder {
    let folder = Folder::new();
    folder.write("web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 0.1.0\n");
    folder.write(
        "web/templates/pod.yaml",
        "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: '{{ .Values.image.repository }}:{{ .Values.image.tag }}'\n",
    );
    let digest = "0".repeat(64);
    folder.write("caseharden.lock", format!("version = 1\n\n[image.\"ghcr.io/a/b:1\"]\ndigest = \"sha256:{digest}\"\nmedia-type = \"application/vnd.oci.image.index.v1+json\"\nplatforms = [\"linux/amd64\"]\nsignatures = []\n"));
    for (path, text) in files {
        folder.write(path, text);
    }
    folder
}

/// The notes of the only finding; none of a fix.
#[track_caller]
fn check_notes(folder: &Folder, expected: &[&str]) {
    let report = check_json(folder);
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    let notes = findings[0]["notes"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(notes, expected, "{findings:?}");
    assert_eq!(findings[0]["changes"].is_array(), expected.is_empty(), "{findings:?}");
}

#[test]
fn a_chart_of_another_repository_is_not_taken_for_one_of_the_same_path() {
    let source = |url: &str| {
        format!(
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: source}}\nspec: {{url: '{url}'}}\n"
        )
    };
    let why = "not pinned: the chart `./web` is one of the repository that GitRepository/source names, which is not this one, so how it takes a digest is not known";
    for (url, expected) in [
        ("https://git.example.com/team/fleet", &[][..]),
        ("https://user:canary@git.example.com/team/apps.git", &[why]),
        ("https://git.example.com/team/${repo}", &[]),
    ] {
        let folder = chart_with(&[("release.yaml", RELEASE), ("source.yaml", &source(url))]);
        // Nothing tells what this repo is called.
        check_notes(&folder, &[]);
        folder.git(&["init", "--quiet", "--template="]);
        folder.git(&["remote", "add", "origin", "git@git.example.com:team/fleet.git"]);
        check_notes(&folder, expected);
    }
    let application = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: web}\nspec:\n  source:\n    repoURL: https://git.example.com/team/apps.git\n    path: web\n    helm: {valuesObject: {image: {repository: ghcr.io/a/b, tag: '1'}}}\n";
    let folder = chart_with(&[("application.yaml", application)]);
    check_notes(&folder, &[]);
    folder.git(&["init", "--quiet", "--template="]);
    folder.git(&["remote", "add", "origin", "git@git.example.com:team/fleet.git"]);
    check_notes(
        &folder,
        &[
            "not pinned: the chart `web` is one of the repository that `repoURL` names, which is not this one, so how it takes a digest is not known",
        ],
    );
}

#[test]
fn values_that_are_not_known_are_no_ground_for_a_pin() {
    let with = |from: &str| RELEASE.replace("  values:", &format!("  valuesFrom: [{from}]\n  values:"));
    let why = |what: &str| format!("not pinned: its values from {what} are not known here");
    for (from, what) in [
        ("{kind: Secret, name: s}", Some("Secret/s")),
        ("{kind: Secret, name: s, targetPath: auth.password}", None),
        ("{kind: Secret, name: s, targetPath: image.tag}", Some("Secret/s")),
        ("{kind: ConfigMap, name: gone, optional: true}", Some("ConfigMap/gone")),
        ("{kind: ConfigMap, name: c}", None),
        ("{kind: ConfigMap, name: c, valuesKey: other}", Some("ConfigMap/c")),
    ] {
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: shop}\ndata: {values.yaml: 'replicas: 2'}\n";
        let folder = chart_with(&[("release.yaml", &with(from)), ("map.yaml", map)]);
        let expected = what.map(why);
        check_notes(&folder, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn a_parameter_that_wins_leaves_no_digest_behind() {
    let application = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: web}\nspec:\n  source:\n    repoURL: https://charts.example.com\n    chart: web\n    helm:\n      parameters: [{name: image.tag, value: '2'}]\n      valuesObject: {image: {repository: ghcr.io/a/b, tag: '1', digest: ''}}\n";
    let folder = chart_with(&[("application.yaml", application)]);
    check_notes(&folder, &["not pinned: its parameter `image.tag` wins over the values"]);
}

#[test]
fn images_of_templates_are_reported_at_their_line_and_can_be_allowed() {
    let template = "spec:\n  name: {{ .Release.Name }}\n  image: ghcr.io/a/b:1\n";
    let folder = chart_with(&[("web/templates/_pod.tpl", template)]);
    let report = check_json(&folder);
    let finding = &report["findings"][0];
    assert_eq!((&finding["path"], &finding["line"]), (&"web/templates/_pod.tpl".into(), &3.into()));
    assert!(finding["notes"][1].as_str().unwrap().contains("sha256:000000"), "{finding}");
    folder.write(
        "caseharden.toml",
        "[[allow]]\nrule = \"image-not-pinned\"\npath = \"web/templates/**\"\nreason = \"built here\"\n",
    );
    assert_eq!(check_json(&folder)["findings"].as_array().unwrap().len(), 0);
    let run = folder.run(&["check", "--select", "allow"]);
    assert_eq!(run.code, 0, "{}", run.stdout);
}

#[test]
fn what_the_latest_is_called_is_said_wherever_it_is_named() {
    let folder = chart_with(&[
        ("web/values.yaml", "image: {repository: ghcr.io/a/b, tag: latest}\n"),
        ("web/templates/job.yaml", "name: {{ .Release.Name }}\nimage: ghcr.io/a/b:latest\n"),
        (
            "kustomization.yaml",
            "resources: [p.yaml]\nimages: [{name: x, newName: ghcr.io/a/b, newTag: latest}]\n",
        ),
        (
            "p.yaml",
            "apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {name: p}\nspec: {image: 'ghcr.io/a/b:latest'}\n",
        ),
    ]);
    let digest = "0".repeat(64);
    folder.write("caseharden.lock", format!("version = 1\n\n[image.\"ghcr.io/a/b:latest\"]\ndigest = \"sha256:{digest}\"\nmedia-type = \"application/vnd.oci.image.index.v1+json\"\nplatforms = [\"linux/amd64\"]\nversion-tag = \"2.4.1\"\nsignatures = []\n"));
    let report = folder.run(&["check", "--select", "image-tag-latest", "--format", "json"]).json();
    let findings = report["findings"].as_array().unwrap();
    let said: Vec<(&str, &str)> = findings
        .iter()
        .map(|finding| (finding["path"].as_str().unwrap(), finding["notes"][0].as_str().unwrap()))
        .collect();
    let note = "the tag `2.4.1` has the same digest";
    let paths = ["kustomization.yaml", "p.yaml", "web/values.yaml", "web/templates/job.yaml"];
    assert_eq!(said, paths.map(|path| (path, note)));
}
