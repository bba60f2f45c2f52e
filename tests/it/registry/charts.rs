//! Charts that are not in the repo: fetched from a real registry and from an HTTP repository, and hardened through the
//! values of what installs them.

use std::collections::BTreeMap;

use caseharden::image::Digest;
use serde_json::{Value, json};

use super::images::{Image, Part, Push, file, gzip, tar};
use super::running::{Registry, is_missing};
use super::server::{Request, Server, reply};
use crate::program::Folder;

const TEMPLATE: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      {{- with .Values.podSecurityContext }}
      securityContext: {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: web
          image: ghcr.io/example/web:1.0
          {{- if .Values.containerSecurityContext.enabled }}
          securityContext: {{- omit .Values.containerSecurityContext "enabled" | toYaml | nindent 12 }}
          {{- end }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
      volumes:
        - {name: tmp, emptyDir: {}}
"#;

const VALUES: &str = "replicas: 1\npodSecurityContext: {}\ncontainerSecurityContext:\n  enabled: false\n  readOnlyRootFilesystem: true\n";

fn archive() -> Vec<u8> {
    archive_of(VALUES, TEMPLATE)
}

fn archive_of(values: &str, template: &str) -> Vec<u8> {
    gzip(&tar(&[
        file("web/Chart.yaml", 0o644, b"apiVersion: v2\nname: web\nversion: 1.2.3\n"),
        file("web/values.yaml", 0o644, values.as_bytes()),
        file("web/templates/deployment.yaml", 0o644, template.as_bytes()),
    ]))
}

/// As `helm push` writes it.
fn packaged() -> Image {
    let config = Part {
        bytes: br#"{"name":"web","version":"1.2.3","apiVersion":"v2"}"#.to_vec(),
        media_type: "application/vnd.cncf.helm.config.v1+json",
    };
    let layer = Part { bytes: archive(), media_type: "application/vnd.cncf.helm.chart.content.v1.tar+gzip" };
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config.descriptor(),
        "layers": [layer.descriptor()],
    });
    let manifest = Part { bytes: manifest.to_string().into_bytes(), media_type };
    Image { manifest, blobs: vec![config, layer] }
}

fn release(host: &str) -> Folder {
    Folder::committed(&[
        (
            "source.yaml",
            &format!(
                "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata:\n  name: charts\n  namespace: flux-system\nspec:\n  type: oci\n  url: oci://{host}/charts\n"
            ),
        ),
        (
            "web.yaml",
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: web\n  namespace: shop\nspec:\n  interval: 5m\n  chart:\n    spec:\n      chart: web\n      version: 1.2.3\n      sourceRef:\n        kind: HelmRepository\n        name: charts\n        namespace: flux-system\n  values:\n    # three of them\n    replicas: 3\n",
        ),
    ])
}

#[test]
fn a_release_of_a_chart_in_a_registry_is_hardened_through_its_values() {
    if is_missing() {
        return;
    }
    let registry = Registry::start(false);
    let origin = format!("http://{}", registry.host);
    let push = Push { agent: registry.agent(), origin: &origin, authorization: None };
    let chart = packaged();
    push.image("charts/web", "1.2.3", &chart);
    let folder = release(&registry.host);

    let unlocked = folder.run(&["check", "-v", "--select", "pod"]);
    assert!(unlocked.stdout.contains("`caseharden lock` fetches it"), "{}", unlocked.stdout);
    assert_eq!(folder.run(&["lock", "--check"]).code, 1);
    let run = folder.run(&["lock"]).expect_code(0);
    assert!(run.stderr.contains("1 chart locked: 1 new"), "{}", run.stderr);
    let lock = folder.read("caseharden.lock");
    let name = format!("[chart.\"oci://{}/charts/web:1.2.3\"]", registry.host);
    assert!(lock.contains(&name) && lock.contains(chart.manifest.digest().as_str()), "{lock}");
    drop(registry);

    let diff = folder.run(&["diff", "--offline", "--select", "pod"]);
    assert_eq!(diff.code, 1, "{}{}", diff.stdout, diff.stderr);
    folder.run(&["apply", "--select", "pod", "--allow-dirty"]).expect_code(0);
    let after: Value = serde_yaml::from_str(&folder.read("web.yaml")).unwrap();
    assert_eq!(
        after["spec"]["values"],
        json!({
            "replicas": 3,
            "podSecurityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
            "containerSecurityContext": {
                "enabled": true,
                "allowPrivilegeEscalation": false,
                "capabilities": { "drop": ["ALL"] },
            },
        })
    );
    assert!(folder.read("web.yaml").contains("    # three of them\n    replicas: 3\n"));
    let again = folder.run(&["diff", "--select", "pod"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, ""), "{}", again.stderr);
    renders_hardened(&folder, &after["spec"]["values"]);
}

/// What Helm itself makes of the values, where there is one.
fn renders_hardened(folder: &Folder, values: &Value) {
    let Some(helm) = std::env::var_os("CASEHARDEN_HELM") else { return };
    folder.write("web.tgz", archive());
    folder.write("values.json", values.to_string());
    let args = ["template", "web.tgz", "-f", "values.json"];
    let output = folder.command(&folder.path(), &helm.to_string_lossy(), &args).output().unwrap();
    let rendered: Value = serde_yaml::from_slice(&output.stdout).unwrap();
    let pod = &rendered["spec"]["template"]["spec"];
    let container = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": { "drop": ["ALL"] },
        "readOnlyRootFilesystem": true,
    });
    assert_eq!(pod["containers"][0]["securityContext"], container);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
}

/// An HTTP repository with one chart, whose index announces a digest.
fn repository(archive: Vec<u8>, digest: Digest) -> Server {
    Server::start(move |_, request: &Request| match request.path.as_str() {
        "/charts/index.yaml" => {
            let hex = digest.hex();
            reply(
                200,
                &[],
                format!(
                    "apiVersion: v1\nentries:\n  web:\n    - apiVersion: v2\n      name: web\n      version: 2.0.0\n      urls: [web-2.0.0.tgz]\n    - apiVersion: v2\n      name: web\n      version: 1.2.3\n      digest: {hex}\n      urls: [web-1.2.3.tgz]\n"
                ),
            )
        }
        "/charts/web-1.2.3.tgz" => reply(200, &[], archive.clone()),
        _ => reply(404, &[], ""),
    })
}

fn application(host: &str) -> Folder {
    Folder::committed(&[(
        "web.yaml",
        &format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: web}}\nspec:\n  source:\n    repoURL: http://{host}/charts\n    chart: web\n    targetRevision: 1.2.3\n    helm:\n      values: |\n        replicas: 3 # three\n"
        ),
    )])
}

#[test]
fn a_chart_of_an_http_repository_is_taken_at_its_version_and_digest() {
    let server = repository(archive(), Digest::of(&archive()));
    let folder = application(&server.host);
    folder.run(&["lock"]).expect_code(0);
    assert!(folder.read("caseharden.lock").contains(Digest::of(&archive()).as_str()));
    assert_eq!(folder.run(&["lock", "--check"]).code, 0);
    folder.run(&["apply", "--select", "pod", "--allow-dirty"]).expect_code(0);
    let after: BTreeMap<String, Value> = serde_yaml::from_str(&folder.read("web.yaml")).unwrap();
    let values = after["spec"]["source"]["helm"]["values"].as_str().unwrap();
    assert!(values.starts_with("replicas: 3 # three\n"), "{values}");
    let values: Value = serde_yaml::from_str(values).unwrap();
    assert_eq!(values["containerSecurityContext"]["enabled"], true);
    assert_eq!(folder.run(&["diff", "--select", "pod"]).code, 0);
}

#[test]
fn a_chart_that_is_not_what_its_index_says_is_refused() {
    let server = repository(archive(), Digest::of(b"another"));
    let folder = application(&server.host);
    let run = folder.run(&["lock"]).expect_code(2);
    assert!(run.stderr.contains("refused"), "{}", run.stderr);
    assert!(!folder.path().join("caseharden.lock").exists());
}

#[test]
fn other_values_than_those_that_were_locked_are_not_guessed_about() {
    let server = repository(archive(), Digest::of(&archive()));
    let folder = application(&server.host);
    folder.run(&["lock"]).expect_code(0);
    let text = folder.read("web.yaml");
    folder.write("web.yaml", text.replace("replicas: 3", "replicas: 4"));
    let run = folder.run(&["check", "-v", "--select", "pod"]);
    assert!(run.stdout.contains("not those that its chart was locked with"), "{}", run.stdout);
    assert_eq!(folder.run(&["diff", "--select", "pod"]).code, 0);
}

/// Nothing of it is a value.
const FIXED: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      securityContext: {runAsNonRoot: true}
      containers:
        - name: web
          image: ghcr.io/example/web:1.0
        - name: proxy
          image: ghcr.io/example/proxy:1.0
"#;

#[test]
fn a_kustomization_patches_what_no_value_of_its_chart_decides() {
    let archive = archive_of("{}", FIXED);
    let server = repository(archive.clone(), Digest::of(&archive));
    let base = format!(
        "helmCharts:\n  - name: web\n    repo: http://{}/charts\n    version: 1.2.3\n    releaseName: web\npatches:\n  # ours since the audit\n  - target: {{kind: Deployment}}\n    patch: |\n      apiVersion: apps/v1\n      kind: Deployment\n      metadata: {{name: any}}\n      spec:\n        template:\n          spec:\n            containers:\n              - name: proxy\n                securityContext:\n                  allowPrivilegeEscalation: false\n",
        server.host
    );
    let folder = Folder::committed(&[
        ("base/kustomization.yaml", &base),
        ("production/kustomization.yaml", "namePrefix: prod-\nresources: [../base]\n"),
    ]);
    folder.run(&["lock"]).expect_code(0);
    let check = folder.run(&["check", "--select", "privilege-escalation-allowed"]);
    assert!(check.stdout.contains("container `web`"), "{}", check.stdout);
    assert!(!check.stdout.contains("`proxy`"), "what is patched already: {}", check.stdout);
    let before = built(&folder, "production");
    folder.run(&["apply", "--select", "pod", "--allow-dirty"]).expect_code(0);
    let after = folder.read("base/kustomization.yaml");
    assert!(after.starts_with(&base), "{after}");
    let patches: Value = serde_yaml::from_str(&after).unwrap();
    assert_eq!(
        patches["patches"][1]["target"],
        json!({"group": "apps", "kind": "Deployment", "name": "web"})
    );
    let again = folder.run(&["diff", "--select", "pod"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, ""), "{}", again.stderr);
    let (Some(mut expected), Some(mut after)) = (before, built(&folder, "production")) else { return };
    let pod = &mut expected["spec"]["template"]["spec"];
    pod["automountServiceAccountToken"] = json!(false);
    pod["securityContext"]["seccompProfile"] = json!({ "type": "RuntimeDefault" });
    for container in pod["containers"].as_array_mut().unwrap() {
        let name = format!("tmp-{}", container["name"].as_str().unwrap());
        let context = &mut container["securityContext"];
        context["allowPrivilegeEscalation"] = json!(false);
        context["capabilities"] = json!({ "drop": ["ALL"] });
        context["readOnlyRootFilesystem"] = json!(true);
        container["volumeMounts"] = json!([{ "mountPath": "/tmp", "name": name }]);
    }
    pod["volumes"] = json!(["tmp-proxy", "tmp-web"].map(|name| json!({ "emptyDir": {}, "name": name })));
    // Kustomize puts what a patch names in front.
    for list in ["containers", "volumes"] {
        let items = after["spec"]["template"]["spec"][list].as_array_mut().unwrap();
        items.sort_by_key(|item| item["name"].to_string());
        let items = expected["spec"]["template"]["spec"][list].as_array_mut().unwrap();
        items.sort_by_key(|item| item["name"].to_string());
    }
    assert_eq!(after, expected);
}

/// What kustomize itself builds, where it and Helm are there.
fn built(folder: &Folder, at: &str) -> Option<Value> {
    let (kustomize, helm) =
        (std::env::var_os("CASEHARDEN_KUSTOMIZE")?, std::env::var("CASEHARDEN_HELM").ok()?);
    let args = ["build", "--enable-helm", "--helm-command", &helm, at];
    let output = folder.command(&folder.path(), &kustomize.to_string_lossy(), &args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for fetched in ["base/charts", "apps/web/charts"].map(|fetched| folder.path().join(fetched)) {
        if fetched.exists() {
            std::fs::remove_dir_all(fetched).unwrap();
        }
    }
    Some(serde_yaml::from_slice(&output.stdout).unwrap())
}

#[test]
fn a_helmfile_is_hardened_through_its_values() {
    let server = repository(archive(), Digest::of(&archive()));
    let helmfile = format!(
        "repositories:\n  - {{name: shop, url: 'http://{}/charts'}}\nreleases:\n  - name: web\n    namespace: shop\n    chart: shop/web\n    version: 1.2.3\n    values:\n      # three of them\n      - replicas: 3\n",
        server.host
    );
    let folder = Folder::committed(&[("helmfile.yaml", &helmfile)]);
    let unlocked = folder.run(&["check", "-v", "--select", "pod"]);
    assert!(unlocked.stdout.contains("helmfile.yaml: web: its chart"), "{}", unlocked.stdout);
    folder.run(&["lock"]).expect_code(0);
    folder.run(&["apply", "--select", "pod", "--allow-dirty"]).expect_code(0);
    let after = folder.read("helmfile.yaml");
    assert!(after.starts_with(&helmfile), "{after}");
    let after: Value = serde_yaml::from_str(&after).unwrap();
    renders_hardened(&folder, &after["releases"][0]["values"][0]);
    let again = folder.run(&["diff", "--select", "pod"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, ""), "{}", again.stderr);
}

/// An Application of the fixed chart, beside others that show how Argo CD builds this repository.
fn wrappable(host: &str, values: &str) -> Folder {
    let application = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: web}}\nspec:\n  project: default\n  source:\n    # of the platform team\n    repoURL: http://{host}/charts\n    chart: web\n    targetRevision: 1.2.3\n    helm:\n{values}  destination: {{namespace: shop, name: in-cluster}}\n"
    );
    let root = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: root}\nspec:\n  source:\n    repoURL: https://git.example.com/fleet.git\n    path: apps\n    targetRevision: main\n";
    let option = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm}\ndata:\n  kustomize.buildOptions: --enable-helm\n";
    Folder::committed(&[("apps/web.yaml", &application), ("root.yaml", root), ("argocd-cm.yaml", option)])
}

const KNOB: &str = "{{- with .Values.podSecurityContext }}\n      securityContext: {{- toYaml . | nindent 8 }}\n      {{- end }}\n";

#[test]
fn what_argo_cd_cannot_patch_moves_into_a_kustomization() {
    // The pod's context is a value, those of its containers are not.
    let template = FIXED.replace("      securityContext: {runAsNonRoot: true}\n", &format!("      {KNOB}"));
    let archive = archive_of("replicas: 1\n", &template);
    let server = repository(archive.clone(), Digest::of(&archive));
    let folder = wrappable(&server.host, "      values: |\n        # one of them\n        replicas: 1\n");
    folder.run(&["lock"]).expect_code(0);
    folder.run(&["apply", "--select", "pod", "--allow-dirty"]).expect_code(0);
    let application: Value = serde_yaml::from_str(&folder.read("apps/web.yaml")).unwrap();
    assert_eq!(
        application["spec"]["source"],
        json!({"repoURL": "https://git.example.com/fleet.git", "path": "apps/web", "targetRevision": "main"})
    );
    assert!(folder.read("apps/web.yaml").contains("# of the platform team"));
    assert!(folder.read("apps/web/values.yaml").starts_with("# one of them\nreplicas: 1\n"));
    let again = folder.run(&["diff", "--select", "pod"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, ""), "{}", again.stderr);
    assert_eq!(folder.run(&["lock", "--check"]).code, 0);
    let Some(built) = built(&folder, "apps/web") else { return };
    let pod = &built["spec"]["template"]["spec"];
    assert_eq!(
        pod["securityContext"],
        json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } })
    );
    for container in pod["containers"].as_array().unwrap() {
        let context = json!({
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "readOnlyRootFilesystem": true,
        });
        assert_eq!(container["securityContext"], context);
    }
}

#[test]
fn what_argo_cd_cannot_patch_stays_where_nothing_shows_how_it_builds() {
    let archive = archive_of("{}", FIXED);
    let server = repository(archive.clone(), Digest::of(&archive));
    let values = "      valuesObject: {replicas: 1}\n";
    for taken_away in ["argocd-cm.yaml", "root.yaml"] {
        let folder = wrappable(&server.host, values);
        folder.run(&["lock"]).expect_code(0);
        std::fs::remove_file(folder.path().join(taken_away)).unwrap();
        let run = folder.run(&["diff", "--select", "pod"]);
        assert_eq!((run.code, run.stdout.as_str()), (0, ""), "without {taken_away}: {}", run.stderr);
    }
    let folder = wrappable(&server.host, values);
    folder.write("apps/web/README.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n");
    folder.run(&["lock"]).expect_code(0);
    assert_eq!(folder.run(&["diff", "--select", "pod"]).code, 0, "its folder has something else");
}
