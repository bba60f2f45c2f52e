//! Repos that hold no workload themselves: what Flux and Argo CD install from charts of the usual shapes is locked,
//! measured, hardened, and rendered by Helm as it will be applied.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use caseharden::image::Digest;
use serde::Deserialize as _;
use serde_json::Value;

use super::images::{file, gzip, tar};
use super::server::{Request, Server, reply};
use crate::program::{Folder, tree};

const CHARTS: [&str; 5] = ["queue", "web", "library", "plain", "operator"];

fn chart(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/charts").join(name)
}

fn archive(name: &str) -> Vec<u8> {
    let files = tree(&chart(name));
    let paths: Vec<String> = files.keys().map(|path| format!("{name}/{path}")).collect();
    let parts = paths.iter().zip(files.values());
    gzip(&tar(&parts.map(|(path, text)| file(path, 0o644, text)).collect::<Vec<_>>()))
}

/// An HTTP repository of the charts.
fn repository() -> Server {
    let entries = CHARTS.map(|name| {
        let digest = Digest::of(&archive(name));
        format!("  {name}:\n    - {{apiVersion: v2, name: {name}, version: 1.0.0, digest: {}, urls: [{name}-1.0.0.tgz]}}\n", digest.hex())
    });
    let index = format!("apiVersion: v1\nentries:\n{}", entries.concat());
    Server::start(move |_, request: &Request| match request.path.trim_start_matches("/charts/") {
        "index.yaml" => reply(200, &[], index.clone()),
        path => match CHARTS.iter().find(|name| path == format!("{name}-1.0.0.tgz")) {
            Some(name) => reply(200, &[], archive(name)),
            None => reply(404, &[], ""),
        },
    })
}

/// The values that a release has of its own.
const VALUES: [(&str, &str); 5] = [
    ("queue", "# three of them\nreplicaCount: 3\n"),
    ("web", "image:\n  tag: 2.0.0\n"),
    ("library", "controllers:\n  api:\n    containers:\n      app:\n        app: shop/api:2.0.0\n"),
    ("plain", ""),
    ("operator", "crds:\n  enabled: false\n"),
];

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
}

fn flux(host: &str) -> Folder {
    let source = format!(
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata:\n  name: charts\n  namespace: flux-system\nspec:\n  interval: 1h\n  url: http://{host}/charts\n"
    );
    let release = |name: &str, version: &str, values: &str| {
        let values = match values {
            "" => String::new(),
            values => format!("  values:\n{}", indented(values, 4)),
        };
        format!(
            "---\napiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: {name}\n  namespace: shop\nspec:\n  interval: 30m\n  chart:\n    spec:\n      chart: {name}\n      version: {version}\n      sourceRef:\n        kind: HelmRepository\n        name: charts\n        namespace: flux-system\n{values}"
        )
    };
    let mut files = vec![("sources.yaml".to_owned(), source)];
    files.extend(VALUES.map(|(name, values)| (format!("apps/{name}.yaml"), release(name, "1.0.0", values))));
    files.push(("apps/later.yaml".to_owned(), release("later", "'>=1.0.0'", "")));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    Folder::committed(&files)
}

fn argo(host: &str) -> Folder {
    let application = |(name, values): (&str, &str)| {
        let helm = match values {
            "" => String::new(),
            values => format!("    helm:\n      valuesObject:\n{}", indented(values, 8)),
        };
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: {name}\n  namespace: argocd\nspec:\n  project: default\n  destination:\n    namespace: shop\n    server: https://kubernetes.default.svc\n  source:\n    repoURL: http://{host}/charts\n    chart: {name}\n    targetRevision: 1.0.0\n{helm}"
        )
    };
    let files = VALUES.map(|one| (format!("apps/{}.yaml", one.0), application(one)));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    Folder::committed(&files)
}

/// The objects in a stream of documents.
fn documents(text: &[u8]) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_slice(text);
    let values = documents.map(|document| Value::deserialize(document).unwrap());
    values.filter(|value| value["kind"].is_string()).collect()
}

/// What of the pods in objects does not meet `restricted`.
fn weak(folder: &Folder, objects: &[Value]) -> Vec<String> {
    let text: String = objects.iter().map(|object| format!("---\n{object}\n")).collect();
    let run = folder.run_with(&["check", "--format", "json", "--select", "pod", "-"], text.as_bytes());
    let report = run.json();
    let workloads = report["workloads"].as_array().unwrap();
    let weak = workloads.iter().filter(|workload| workload["level"] != "restricted");
    weak.map(|workload| workload["object"]["name"].as_str().unwrap().to_owned()).collect()
}

/// Where a real component is; tests/real/run says so.
fn program(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        writeln!(std::io::stderr(), "skipped: {variable} is not set (tests/real/run sets it)").ok();
    }
    found
}

/// What Helm renders for a release.
fn rendered(folder: &Folder, name: &str, values: &Value) -> Option<Vec<u8>> {
    let helm = program("CASEHARDEN_HELM")?;
    folder.write("../values.json", values.to_string());
    let chart = chart(name);
    let args =
        ["template", name, &chart.to_string_lossy(), "-n", "shop", "-f", "../values.json", "--skip-tests"];
    let output = folder.command(&folder.path(), &helm, &args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

/// What Flux makes of it: each entry of `postRenderers` is a kustomization of its own over all that is no hook.
fn post_rendered(folder: &Folder, release: &Value, rendered: Vec<u8>) -> Option<Vec<Value>> {
    let kustomize = program("CASEHARDEN_KUSTOMIZE")?;
    let is_hook = |object: &Value| object["metadata"]["annotations"]["helm.sh/hook"].is_string();
    let (hooks, mut objects): (Vec<Value>, Vec<Value>) = documents(&rendered).into_iter().partition(is_hook);
    for entry in release["spec"]["postRenderers"].as_array().into_iter().flatten() {
        let mut kustomization = entry["kustomize"].clone();
        kustomization["resources"] = serde_json::json!(["objects.yaml"]);
        let text: String = objects.iter().map(|object| format!("---\n{object}\n")).collect();
        folder.write("../flux/objects.yaml", text);
        folder.write("../flux/kustomization.yaml", kustomization.to_string());
        let output = folder.command(&folder.path(), &kustomize, &["build", "../flux"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        objects = documents(&output.stdout);
    }
    objects.extend(hooks);
    Some(objects)
}

/// The share that `check` gives, in workloads.
fn reach(folder: &Folder) -> (u64, u64, usize) {
    let reach = folder.run(&["check", "--select", "pod", "--format", "json"]).json()["reach"].clone();
    let unreached = reach["charts"]["unreached"].as_array().unwrap().len();
    (reach["workloads"].as_u64().unwrap(), reach["hardened"].as_u64().unwrap(), unreached)
}

#[test]
fn what_flux_installs_is_measured_and_hardened() {
    let server = repository();
    let folder = flux(&server.host);
    assert_eq!(reach(&folder), (0, 0, 6), "nothing is guessed about charts that are not locked");
    folder.run(&["lock"]).expect_code(0);
    // Of the release without a version nothing is known; all else is hardened.
    assert_eq!(reach(&folder), (6, 6, 1));
    let check = folder.run(&["check", "--select", "pod"]);
    let said = "charts: 6 of 6 workloads that they render (100 %) meet the profile with the fixes";
    assert!(check.stdout.contains(said), "{}", check.stdout);
    let said = "charts: 1 release is of a chart not in the repo and not locked: what it runs is not judged";
    assert!(check.stdout.contains(said), "{}", check.stdout);

    folder.run(&["apply", "--select", "pod", "--allow-dirty", "--offline"]).expect_code(0);
    let again = folder.run(&["diff", "--select", "pod", "--offline"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, ""), "{}", again.stderr);
    assert_eq!(reach(&folder), (6, 6, 1));
    assert!(folder.read("apps/queue.yaml").contains("    # three of them\n    replicaCount: 3\n"));
    let deleted = folder.git(&["diff", "--numstat"]);
    assert!(deleted.lines().all(|line| line.split('\t').nth(1) == Some("0")), "only lines more: {deleted}");
    let locked = folder.run(&["lock", "--check"]).expect_code(0);
    assert_eq!(locked.stdout, "", "what was hardened needs no other lock");

    for (name, _) in VALUES {
        let release: Value = serde_yaml::from_str(&folder.read(&format!("apps/{name}.yaml"))).unwrap();
        let Some(text) = rendered(&folder, name, &release["spec"]["values"]) else { return };
        let Some(objects) = post_rendered(&folder, &release, text) else { return };
        assert_eq!(weak(&folder, &objects), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn what_argo_cd_installs_is_measured_and_hardened_as_far_as_values_go() {
    let server = repository();
    let folder = argo(&server.host);
    folder.run(&["lock"]).expect_code(0);
    // Nobody patches what `plain` renders, and the switch of `queue` brings more than what is wanted.
    assert_eq!(reach(&folder), (6, 3, 0));
    let check = folder.run(&["check", "--select", "pod"]);
    assert!(check.stdout.contains("helmCharts"), "{}", check.stdout);
    folder.run(&["apply", "--select", "pod", "--allow-dirty", "--offline"]).expect_code(0);
    let again = folder.run(&["diff", "--select", "pod", "--offline"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, ""), "{}", again.stderr);
    for (name, _) in VALUES.into_iter().filter(|(name, _)| !matches!(*name, "plain" | "queue")) {
        let application: Value = serde_yaml::from_str(&folder.read(&format!("apps/{name}.yaml"))).unwrap();
        let values = &application["spec"]["source"]["helm"]["valuesObject"];
        let Some(text) = rendered(&folder, name, values) else { return };
        assert_eq!(weak(&folder, &documents(&text)), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn values_in_files_of_the_repo_are_changed_there() {
    let server = repository();
    let application = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: web\n  namespace: argocd\nspec:\n  destination:\n    namespace: shop\n    server: https://kubernetes.default.svc\n  sources:\n    - repoURL: http://{}/charts\n      chart: web\n      targetRevision: 1.0.0\n      helm:\n        valueFiles:\n          - $values/environments/web-prod.yaml\n    - repoURL: https://git.example.com/shop/fleet.git\n      targetRevision: main\n      ref: values\n",
        server.host
    );
    let values = "# Of the shop.\nserviceAccount:\n  automount: false\nimage:\n  tag: 2.0.0\n";
    let files = [("apps/web.yaml", application.as_str()), ("environments/web-prod.yaml", values)];
    let folder = Folder::committed(&files);
    folder.run(&["lock"]).expect_code(0);
    assert_eq!(reach(&folder), (1, 1, 0));
    folder.run(&["apply", "--select", "pod", "--allow-dirty", "--offline"]).expect_code(0);
    assert_eq!(folder.read("apps/web.yaml"), application);
    let after = folder.read("environments/web-prod.yaml");
    assert!(after.starts_with(values), "{after}");
    let again = folder.run(&["diff", "--select", "pod", "--offline"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, ""), "{}", again.stderr);
    let Some(text) = rendered(&folder, "web", &serde_yaml::from_str(&after).unwrap()) else { return };
    assert_eq!(weak(&folder, &documents(&text)), Vec::<String>::new());
}

#[test]
fn what_a_kustomization_fetches_is_hardened_as_kustomize_builds_it() {
    let server = repository();
    let kustomization = format!(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nhelmCharts:\n  - name: web\n    repo: http://{0}/charts\n    version: 1.0.0\n    releaseName: web\n    skipTests: true\n    valuesInline:\n      # two\n      replicaCount: 2\n  - name: operator\n    repo: http://{0}/charts\n    version: 1.0.0\n    releaseName: operator\n    valuesFile: operator.yaml\n",
        server.host
    );
    let files =
        [("kustomization.yaml", kustomization.as_str()), ("operator.yaml", "crds:\n  enabled: false\n")];
    let folder = Folder::committed(&files);
    folder.run(&["lock"]).expect_code(0);
    assert_eq!(reach(&folder), (2, 2, 0));
    folder.run(&["apply", "--select", "pod", "--allow-dirty", "--offline"]).expect_code(0);
    let again = folder.run(&["diff", "--select", "pod", "--offline"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, ""), "{}", again.stderr);
    let after = folder.read("kustomization.yaml");
    assert!(after.contains("      # two\n      replicaCount: 2\n"), "{after}");
    assert!(folder.read("operator.yaml").starts_with("crds:\n  enabled: false\n"));
    let (Some(kustomize), Some(helm)) = (program("CASEHARDEN_KUSTOMIZE"), program("CASEHARDEN_HELM")) else {
        return;
    };
    let args = ["build", "--enable-helm", "--helm-command", &helm, "."];
    let output = folder.command(&folder.path(), &kustomize, &args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let objects = documents(&output.stdout);
    assert!(objects.iter().filter(|object| object["kind"] == "Deployment").count() == 2);
    assert_eq!(weak(&folder, &objects), Vec::<String>::new());
}

#[test]
fn every_chart_of_the_tests_is_one() {
    let mut names: Vec<String> = fs::read_dir(chart(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut expected = CHARTS.map(str::to_owned);
    expected.sort();
    assert_eq!(names, expected);
}
