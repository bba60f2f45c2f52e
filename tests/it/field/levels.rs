//! Which Pod Security level workloads meet afterwards, and whether anything explains those below restricted.

use std::collections::BTreeSet;

use caseharden::pss::{Level, Pod, Version, allows, evaluate};
use serde_json::Value;

use super::{Files, Verdict, lines};

/// Where system workloads are recorded that need more than baseline.
const EXCEPTIONS: &str = "pod-security-exceptions.yaml";

/// A workload of a kind that Kubernetes brings along.
struct Workload {
    path: String,
    kind: String,
    name: String,
    namespaces: BTreeSet<String>,
    annotations: Option<serde_json::Map<String, Value>>,
    spec: Value,
}

impl Workload {
    fn pod(&self) -> Pod<'_> {
        Pod::new(self.annotations.as_ref(), &self.spec).with_default_volumes()
    }
}

pub(super) fn judge(verdict: &mut Verdict, before: &Files, after: &Files, report: &Value) {
    let skipped: BTreeSet<&str> =
        items(&report["skipped"]).filter_map(|skip| skip["path"].as_str()).collect();
    let mut workloads = Vec::new();
    for (path, text) in after.iter().filter(|(path, _)| is_yaml(path) && !skipped.contains(path.as_str())) {
        let Some(documents) = std::str::from_utf8(text).ok().and_then(lines::documents) else { continue };
        documents.iter().for_each(|document| collect(document, path, &mut workloads));
    }
    let exceptions = after.get(EXCEPTIONS).map(|text| String::from_utf8_lossy(text).into_owned());
    let exceptions = exceptions.as_deref().and_then(lines::documents).unwrap_or_default();
    for workload in &mut workloads {
        workload.namespaces.extend(landings(report, workload));
        judge_one(verdict, workload, report, &exceptions);
    }
    refuses_none(verdict, before, after, &workloads);
}

fn judge_one(verdict: &mut Verdict, workload: &Workload, report: &Value, exceptions: &[Value]) {
    verdict.workloads += 1;
    let violations = evaluate(&workload.pod(), Level::Restricted, Version::Latest);
    if violations.is_empty() {
        verdict.restricted += 1;
        return;
    }
    verdict.explained += 1;
    let is_recorded = |entry: &Value| {
        entry["workload"]["kind"] == *workload.kind
            && entry["workload"]["name"] == *workload.name
            && entry["workload"]["namespace"].as_str().is_some_and(|name| workload.namespaces.contains(name))
    };
    if exceptions.iter().flat_map(items).any(is_recorded) {
        return;
    }
    for violation in violations {
        let says_why = |finding: &&Value| {
            is_about(finding, workload)
                && finding["pss"]["check"].as_str().is_some_and(|check| explains(check, violation.check))
                && (finding["safety"] == "manual" || !finding["held"].is_null())
        };
        verdict.expect(items(&report["findings"]).any(|finding| says_why(&finding)), || {
            format!("{} {}/{}: nothing says why {violation}", workload.path, workload.kind, workload.name)
        });
    }
}

/// Whether what one check says is also why another one fails.
fn explains(said: &str, violated: &str) -> bool {
    let causes: &[&str] = match violated {
        // The API server refuses a privileged container without privilege escalation.
        "allowPrivilegeEscalation" => &["privileged", "capabilities_baseline"],
        "capabilities_restricted" => &["privileged", "capabilities_baseline"],
        "restrictedVolumes" => &["hostPathVolumes"],
        "runAsUser" => &["runAsNonRoot"],
        _ => &[],
    };
    said == violated || causes.contains(&said)
}

fn is_about(finding: &Value, workload: &Workload) -> bool {
    finding["path"] == *workload.path
        && finding["object"]["kind"] == *workload.kind
        && finding["object"]["name"] == *workload.name
}

/// Namespaces that the report knows a workload to land in.
fn landings(report: &Value, workload: &Workload) -> Vec<String> {
    items(&report["workloads"])
        .filter(|line| is_about(line, workload))
        .flat_map(|line| items(&line["namespaces"]))
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

/// No label that was not there before may refuse a workload of the repo.
fn refuses_none(verdict: &mut Verdict, before: &Files, after: &Files, workloads: &[Workload]) {
    let old = enforced(before);
    for (path, name, level, version) in enforced(after).difference(&old) {
        verdict.labels += 1;
        let Ok(level) = level.parse::<Level>() else {
            verdict.faults.push(format!("{path}: Namespace/{name} enforces `{level}`"));
            continue;
        };
        let version = Version::parse_label(version).unwrap_or(Version::Latest);
        for workload in workloads.iter().filter(|workload| workload.namespaces.contains(name)) {
            verdict.expect(allows(&workload.pod(), level, version), || {
                format!(
                    "{path}: Namespace/{name} enforces {} and refuses {} {}/{}",
                    level.as_str(),
                    workload.path,
                    workload.kind,
                    workload.name
                )
            });
        }
    }
}

/// File, name, level and version of each namespace that enforces one.
fn enforced(files: &Files) -> BTreeSet<(String, String, String, String)> {
    let mut enforced = BTreeSet::new();
    for (path, text) in files.iter().filter(|(path, _)| is_yaml(path)) {
        let text = std::str::from_utf8(text).unwrap_or_default();
        if !text.contains("pod-security.kubernetes.io/enforce") {
            continue;
        }
        for object in
            lines::documents(text).into_iter().flatten().filter(|object| object["kind"] == "Namespace")
        {
            let labels = &object["metadata"]["labels"];
            let label =
                |name: &str| labels[format!("pod-security.kubernetes.io/{name}")].as_str().map(str::to_owned);
            if let (Some(level), Some(name)) = (label("enforce"), object["metadata"]["name"].as_str()) {
                let version = label("enforce-version").unwrap_or_else(|| "latest".to_owned());
                enforced.insert((path.clone(), name.to_owned(), level, version));
            }
        }
    }
    enforced
}

fn collect(object: &Value, path: &str, workloads: &mut Vec<Workload>) {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let kind = object["kind"].as_str().unwrap_or_default();
    if kind.ends_with("List") && object["items"].is_array() {
        return items(&object["items"]).for_each(|item| collect(item, path, workloads));
    }
    let template = match (version.split_once('/').map_or("", |(group, _)| group), kind) {
        ("", "Pod") => object,
        ("", "PodTemplate") => &object["template"],
        ("", "ReplicationController") | ("batch", "Job") => &object["spec"]["template"],
        ("apps" | "extensions", "Deployment" | "DaemonSet" | "ReplicaSet" | "StatefulSet") => {
            &object["spec"]["template"]
        }
        ("batch", "CronJob") => &object["spec"]["jobTemplate"]["spec"]["template"],
        _ => return,
    };
    if items(&template["spec"]["containers"]).next().is_none() {
        return;
    }
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let name =
        [text("/metadata/name"), text("/metadata/generateName")].into_iter().find(|name| !name.is_empty());
    let namespace = Some(text("/metadata/namespace")).filter(|name| !name.is_empty());
    workloads.push(Workload {
        path: path.to_owned(),
        kind: kind.to_owned(),
        name: name.unwrap_or_default(),
        namespaces: namespace.into_iter().collect(),
        annotations: template["metadata"]["annotations"].as_object().cloned(),
        spec: template["spec"].clone(),
    });
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn is_yaml(path: &str) -> bool {
    [".yaml", ".yml", ".json"].iter().any(|end| path.ends_with(end))
}
