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
