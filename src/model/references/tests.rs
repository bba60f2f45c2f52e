use super::*;
use crate::config::Config;
use crate::repo::{self, Snapshot};

/// The uses of a repo as `path pointer text -> target`.
fn uses(files: &[(&str, &str)]) -> Vec<String> {
    let read = |path: &str| {
        let found = files.iter().find(|(name, _)| *name == path).ok_or(std::io::ErrorKind::NotFound)?;
        Ok(found.1.as_bytes().to_vec())
    };
    let source = Snapshot::new(read);
    let listing = source.list(files.iter().map(|(path, _)| (*path).to_owned()), &[String::new()]);
    let repo = repo::read(&source, listing, &Config::default(), &|| {});
    let model = Model::new(&repo, &[]);
    let shown = |place: ImageUse| {
        let target =
            place.target.map_or_else(|skipped| skipped.to_string(), |reference| reference.to_string());
        format!(
            "{}:{} {} {:?} {} -> {target}",
            place.path, place.line, place.pointer, place.class, place.text
        )
    };
    references(&model, &[], &[]).into_iter().map(shown).collect()
}

#[track_caller]
fn check(files: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(uses(files), expected);
}

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      containers:\n      - name: web\n        image: IMAGE\n";

fn deployment(image: &str) -> String {
    DEPLOYMENT.replace("IMAGE", image)
}

#[test]
fn every_kind_of_container_and_volume() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  initContainers: [{name: i, image: 'a:1'}]\n  containers:\n  - {name: c, image: r.io/b, imagePullPolicy: Never}\n  ephemeralContainers: [{name: e, image: c:2}]\n  volumes: [{name: v, image: {reference: a/b:1}}]\n";
    check(
        &[("p.yaml", pod)],
        &[
            "p.yaml:7 /spec/containers/0/image Container r.io/b -> `imagePullPolicy: Never`",
            "p.yaml:8 /spec/ephemeralContainers/0/image Container c:2 -> docker.io/library/c:2",
            "p.yaml:5 /spec/initContainers/0/image Container a:1 -> docker.io/library/a:1",
            "p.yaml:9 /spec/volumes/0/image/reference ImageVolume a/b:1 -> docker.io/a/b:1",
        ],
    );
}

#[test]
fn what_the_repo_builds_and_what_tools_fill_in_is_not_pulled() {
    let skaffold = "apiVersion: skaffold/v4beta1\nkind: Config\nbuild:\n  artifacts:\n  - image: adservice\n";
    let at = "w.yaml:9 /spec/template/spec/containers/0/image Container";
    let first =
        |files: &[(&str, &str)]| uses(files).into_iter().find(|line| line.starts_with("w.yaml")).unwrap();
    assert_eq!(
        first(&[("skaffold.yaml", skaffold), ("w.yaml", &deployment("adservice"))]),
        format!("{at} adservice -> built from this repo (skaffold.yaml)")
    );
    assert_eq!(
        first(&[("src/web/Dockerfile", ""), ("w.yaml", &deployment("web"))]),
        format!("{at} web -> built from this repo (web/Dockerfile)")
    );
    assert_eq!(
        first(&[("src/redis/Dockerfile", ""), ("w.yaml", &deployment("redis:7"))]),
        format!("{at} redis:7 -> docker.io/library/redis:7")
    );
    assert_eq!(
        first(&[("src/web/Dockerfile", ""), ("w.yaml", &deployment("web:2.1"))]),
        format!("{at} web:2.1 -> built from this repo (web/Dockerfile)")
    );
    assert_eq!(
        first(&[("w.yaml", &deployment("ko://example.com/cmd"))]),
        format!("{at} ko://example.com/cmd -> built from this repo (ko)")
    );
    assert_eq!(
        first(&[("w.yaml", &deployment("$(params.img)"))]),
        format!("{at} $(params.img) -> filled in by another tool")
    );
    assert_eq!(
        first(&[("w.yaml", &deployment("Nginx"))]),
        format!(
            "{at} Nginx -> not a repository: parts are lower-case letters and digits, joined by `.`, `_`, `__` or `-`"
        )
    );
}

#[test]
fn the_last_place_that_sets_an_image_is_the_one_that_counts() {
    let base = "resources: [w.yaml]\n";
    let overlay =
        "resources: [../base]\nimages:\n- name: nginx\n  newTag: 1.10\n- name: other\n  newName: r.io/x\n";
    check(
        &[
            ("base/kustomization.yaml", base),
            ("base/w.yaml", &deployment("nginx:1.2")),
            ("prod/kustomization.yaml", overlay),
        ],
        &[
            "base/w.yaml:9 /spec/template/spec/containers/0/image Container nginx:1.2 -> replaced by prod/kustomization.yaml in every build",
            "prod/kustomization.yaml:3 /images/0 Kustomize nginx:1.10 -> docker.io/library/nginx:1.10",
        ],
    );
    // Another overlay that leaves it alone pulls what the base says.
    let lines = uses(&[
        ("base/kustomization.yaml", base),
        ("base/w.yaml", &deployment("nginx:1.2")),
        ("dev/kustomization.yaml", "resources: [../base]\n"),
        ("prod/kustomization.yaml", overlay),
    ]);
    assert!(lines[0].ends_with("nginx:1.2 -> docker.io/library/nginx:1.2"), "{lines:?}");
    // A new name keeps the tag it finds.
    let renamed = "resources: [w.yaml]\nimages: [{name: nginx, newName: r.io/nginx}]\n";
    let lines = uses(&[("kustomization.yaml", renamed), ("w.yaml", &deployment("nginx:1.2"))]);
    assert_eq!(lines[0], "kustomization.yaml:2 /images/0 Kustomize r.io/nginx:1.2 -> r.io/nginx:1.2");
}

#[test]
fn patches_set_images_too() {
    let kustomization = "resources: [w.yaml]\npatches:\n- path: merge.yaml\n- path: steps.yaml\n  target: {kind: Deployment}\n- patch: |\n    - op: replace\n      path: /spec/template/spec/containers/0/image\n      value: r.io/inline:1\n  target: {kind: Deployment}\n";
    let steps = "- op: replace\n  path: /spec/template/spec/containers/0/image\n  value: r.io/step:1\n";
    let lines = uses(&[
        ("kustomization.yaml", kustomization),
        ("merge.yaml", &deployment("r.io/merge:1")),
        ("steps.yaml", steps),
        ("w.yaml", &deployment("r.io/w:1")),
    ]);
    assert_eq!(
        lines,
        [
            "kustomization.yaml:6 /patches/2/patch InlinePatch r.io/inline:1 -> r.io/inline:1",
            "merge.yaml:9 /spec/template/spec/containers/0/image Container r.io/merge:1 -> r.io/merge:1",
            "steps.yaml:3 /0/value PatchStep r.io/step:1 -> r.io/step:1",
            "w.yaml:9 /spec/template/spec/containers/0/image Container r.io/w:1 -> r.io/w:1",
        ]
    );
}

#[test]
fn helm_values_in_their_usual_shapes() {
    let values = "image:\n  registry: ghcr.io\n  repository: a/b\n  tag: 1.10\nsidecarImage: r.io/s:1\nold:\n  image: quay.io/o\n  tag: v1\nnone:\n  image:\n    repository: r.io/n\n    tag: \"\"\nplain: {image: web, pullPolicy: Always}\nsha:\n  image: {repository: r.io/h, tag: '1', digest: ''}\n";
    check(
        &[("chart/values.yaml", values)],
        &[
            "chart/values.yaml:1 /image ValuesParts ghcr.io/a/b:1.10 -> ghcr.io/a/b:1.10",
            "chart/values.yaml:10 /none/image ValuesParts r.io/n -> the chart chooses the tag",
            "chart/values.yaml:7 /old/image ValuesText quay.io/o:v1 -> quay.io/o:v1",
            "chart/values.yaml:15 /sha/image ValuesParts r.io/h:1 -> r.io/h:1",
            "chart/values.yaml:5 /sidecarImage ValuesText r.io/s:1 -> r.io/s:1",
        ],
    );
}

#[test]
fn values_within_objects_and_operators() {
    let release = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: r}\nspec:\n  values:\n    image: {repository: r.io/a, tag: '2'}\n";
    let application = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: a}\nspec:\n  source:\n    helm:\n      values: |\n        image: r.io/b:3\n";
    let prometheus = "apiVersion: monitoring.coreos.com/v1\nkind: Prometheus\nmetadata: {name: p}\nspec: {image: 'quay.io/prometheus/prometheus:v3'}\n";
    let related = deployment("r.io/c:1")
        + "        env: [{name: RELATED_IMAGE_X, value: 'r.io/x:1'}, {name: MY_IMAGE, value: logo}]\n        args: [--sidecar-image=r.io/y:2, --image-size=3]\n";
    check(
        &[("a.yaml", application), ("h.yaml", release), ("p.yaml", prometheus), ("w.yaml", &related)],
        &[
            "a.yaml:7 /spec/source/helm/values ValuesInText r.io/b:3 -> r.io/b:3",
            "h.yaml:6 /spec/values/image ValuesParts r.io/a:2 -> r.io/a:2",
            "p.yaml:4 /spec/image Operator quay.io/prometheus/prometheus:v3 -> quay.io/prometheus/prometheus:v3",
            "w.yaml:11 /spec/template/spec/containers/0/args/0 Argument r.io/y:2 -> r.io/y:2",
            "w.yaml:10 /spec/template/spec/containers/0/env/0/value Environment r.io/x:1 -> r.io/x:1",
            "w.yaml:9 /spec/template/spec/containers/0/image Container r.io/c:1 -> r.io/c:1",
        ],
    );
}
