//! `kustomize build` before and after: what built still builds, and no rendered workload is less hardened.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use caseharden::pss::Level;
use rayon::prelude::*;
use serde::Deserialize as _;
use serde_json::Value;

use super::{none_of, program};
use crate::corpus;
use crate::program::Folder;

#[test]
fn kustomizations_still_build_and_are_at_least_as_hardened() {
    let Some(kustomize) = program("CASEHARDEN_KUSTOMIZE") else { return };
    let repos = super::repos();
    let results: Vec<Tally> = repos.par_iter().with_max_len(1).map(|repo| judge(repo, &kustomize)).collect();
    let sum = |count: fn(&Tally) -> usize| results.iter().map(count).sum::<usize>();
    eprintln!(
        "real: {} kustomizations, {} built before and after, {} of them changed, {} rendered workloads",
        sum(|tally| tally.kustomizations),
        sum(|tally| tally.built),
        sum(|tally| tally.changed),
        sum(|tally| tally.workloads)
    );
    assert!(sum(|tally| tally.changed) > 0, "nothing was compared");
    none_of(&results.into_iter().flat_map(|tally| tally.faults).collect::<Vec<_>>());
}

#[derive(Default)]
struct Tally {
    kustomizations: usize,
    built: usize,
    changed: usize,
    workloads: usize,
    faults: Vec<String>,
}

fn judge(repo: &Path, kustomize: &OsStr) -> Tally {
    let (before, after) = (corpus::copy(repo), corpus::copy(repo));
    after.run(&["apply", "--quiet"]);
    let mut tally = Tally::default();
    for folder in kustomizations(&before) {
        tally.kustomizations += 1;
        let Ok(old) = build(&before, kustomize, &folder) else { continue };
        let place = format!("{}: {folder}", corpus::name(repo));
        match build(&after, kustomize, &folder) {
            Err(error) => tally.faults.push(format!("{place} does not build any more: {error}")),
            Ok(new) => {
                tally.built += 1;
                if new != old {
                    tally.changed += 1;
                    compare(&mut tally, &place, &before, &old, &new);
                }
            }
        }
    }
    tally
}

/// Folders with a kustomization, relative to the repo.
pub(super) fn kustomizations(repo: &Folder) -> Vec<String> {
    const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
    let files = repo.tree();
    let folders = files.keys().filter_map(|path| {
        let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
        NAMES.contains(&name).then(|| folder.to_owned())
    });
    folders.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Builds without the network: what would fetch fails at once.
pub(super) fn build(repo: &Folder, kustomize: &OsStr, folder: &str) -> Result<String, String> {
    let at: PathBuf = repo.path();
    let mut command = repo.command(&at, &kustomize.to_string_lossy(), &["build", folder]);
    let nowhere = "http://127.0.0.1:9";
    command.env("GIT_ALLOW_PROTOCOL", "none").env("HTTP_PROXY", nowhere).env("HTTPS_PROXY", nowhere);
    let output = command.output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn compare(tally: &mut Tally, place: &str, folder: &Folder, old: &str, new: &str) {
    let (before, after) = (verdicts(folder, old), verdicts(folder, new));
    tally.workloads += before.len();
    for (name, (level, checks)) in &before {
        let Some((new_level, new_checks)) = after.get(name) else {
            tally.faults.push(format!("{place}: {name} is not rendered any more"));
            continue;
        };
        if new_level < level {
            tally.faults.push(format!("{place}: {name} fell from {level} to {new_level}"));
        }
        for check in new_checks.difference(checks) {
            tally.faults.push(format!("{place}: {name} violates {check} now"));
        }
    }
    let known = invalid(old);
    let invalid = invalid(new).into_iter().filter(|fault| !known.contains(fault));
    tally.faults.extend(invalid.map(|fault| format!("{place}: {fault}")));
}

/// Level and violated checks of every workload of a stream, by kind, namespace, name and number.
fn verdicts(folder: &Folder, stream: &str) -> BTreeMap<String, (Level, BTreeSet<String>)> {
    let report = folder.run_with(&["check", "--format", "json", "-"], stream.as_bytes()).json();
    let mut verdicts = BTreeMap::new();
    for workload in report["workloads"].as_array().unwrap() {
        let object = &workload["object"];
        let name = format!("{} {}/{}", object["kind"], object["namespace"], object["name"]);
        let number = (0..).find(|number| !verdicts.contains_key(&format!("{name} {number}"))).unwrap();
        let level: Level = workload["level"].as_str().unwrap().parse().unwrap();
        let violations = workload["violations"].as_array().unwrap();
        let checks = violations.iter().map(|violation| violation["check"].as_str().unwrap().to_owned());
        verdicts.insert(format!("{name} {number}"), (level, checks.collect()));
    }
    verdicts
}

/// What the API server or the kubelet refuses in the workloads of a stream.
fn invalid(stream: &str) -> BTreeSet<String> {
    let mut faults = BTreeSet::new();
    for document in serde_yaml::Deserializer::from_str(stream) {
        let Ok(object) = Value::deserialize(document) else { continue };
        let spec = ["/spec", "/spec/template/spec", "/spec/jobTemplate/spec/template/spec"]
            .iter()
            .filter_map(|pointer| object.pointer(pointer))
            .find(|spec| spec["containers"].is_array());
        if let Some(spec) = spec {
            let name = format!("{}/{}", object["kind"], object["metadata"]["name"]);
            refused(spec, &object["spec"]["volumeClaimTemplates"], &mut |fault| {
                faults.insert(format!("{name}: {fault}"));
            });
        }
    }
    faults
}

fn refused(spec: &Value, claims: &Value, say: &mut dyn FnMut(String)) {
    let mut volumes: BTreeSet<&str> =
        items(claims).filter_map(|claim| claim["metadata"]["name"].as_str()).collect();
    for name in items(&spec["volumes"]).filter_map(|volume| volume["name"].as_str()) {
        if !volumes.insert(name) {
            say(format!("two volumes `{name}`"));
        }
    }
    for container in items(&spec["containers"]).chain(items(&spec["initContainers"])) {
        let name = &container["name"];
        let mut paths = BTreeSet::new();
        for mount in items(&container["volumeMounts"]) {
            let volume = mount["name"].as_str().unwrap_or_default();
            if !volumes.contains(volume) {
                say(format!("{name} mounts `{volume}`, which is no volume"));
            }
            if !paths.insert(mount["mountPath"].as_str()) {
                say(format!("{name} mounts twice at {}", mount["mountPath"]));
            }
        }
        let context = &container["securityContext"];
        let adds_admin =
            items(&context["capabilities"]["add"]).any(|name| name == "SYS_ADMIN" || name == "CAP_SYS_ADMIN");
        if context["allowPrivilegeEscalation"] == false && (context["privileged"] == true || adds_admin) {
            say(format!("{name} is privileged and may not escalate privileges"));
        }
        let effective = |field: &str| match &context[field] {
            Value::Null => &spec["securityContext"][field],
            own => own,
        };
        if *effective("runAsNonRoot") == true && *effective("runAsUser") == 0 {
            say(format!("{name} must not and does run as root"));
        }
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}
