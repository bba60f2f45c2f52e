//! What the real kustomize makes of fixes in builds: builds change by the wanted values alone, a component gives what
//! editing in place would, and rendered workloads meet the profile or have a finding.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use rayon::prelude::*;
use serde::Deserialize as _;
use serde_json::Value;

use super::builds::{build, kustomizations};
use super::{none_of, program};
use crate::corpus;
use crate::program::{Folder, Run};

#[derive(Debug, Default)]
struct Tally {
    name: String,
    proved: usize,
    unproved: usize,
    components: usize,
    /// Of them those of `diff --format kustomize`.
    diffed: usize,
    workloads: usize,
    hardened: usize,
    explained: usize,
    faults: Vec<String>,
}

#[test]
fn builds_change_as_wanted_and_components_do_the_same_from_outside() {
    let Some(kustomize) = program("CASEHARDEN_KUSTOMIZE") else { return };
    let mut repos = super::repos();
    let builds = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/builds");
    let cases = std::fs::read_dir(builds).unwrap().map(|entry| entry.unwrap().path().join("before"));
    repos.extend(cases);
    let tallies: Vec<Tally> = repos.par_iter().with_max_len(1).map(|repo| judge(repo, &kustomize)).collect();
    for tally in &tallies {
        eprintln!(
            "real: {}: {} builds proved, {} not built here, {} components, {} rendered workloads, {} hardened, {} \
             explained",
            tally.name,
            tally.proved,
            tally.unproved,
            tally.components,
            tally.workloads,
            tally.hardened,
            tally.explained
        );
    }
    let sum = |count: fn(&Tally) -> usize| tallies.iter().map(count).sum::<usize>();
    let (workloads, hardened) = (sum(|t| t.workloads), sum(|t| t.hardened));
    eprintln!(
        "real: {} builds proved, {} components ({} of a diff) equal edits in place, {hardened} of {workloads} rendered workloads \
         hardened, {} explained",
        sum(|t| t.proved),
        sum(|t| t.components),
        sum(|t| t.diffed),
        sum(|t| t.explained)
    );
    assert!(sum(|t| t.proved) > 0 && sum(|t| t.diffed) > 0, "nothing was compared");
    none_of(&tallies.into_iter().flat_map(|tally| tally.faults).collect::<Vec<_>>());
}

fn judge(repo: &Path, kustomize: &OsStr) -> Tally {
    let mut tally = Tally { name: corpus::name(repo), ..Tally::default() };
    if tally.name == "before" {
        tally.name = corpus::name(repo.parent().unwrap());
    }
    let copy = corpus::copy(repo);
    proved(&mut tally, &copy, kustomize);
    rendered(&mut tally, &copy, kustomize);
    components(&mut tally, repo, kustomize);
    diffed(&mut tally, repo, kustomize);
    tally
}

/// Runs the program with a kustomize in its `PATH`.
fn with_kustomize(copy: &Folder, kustomize: &OsStr, args: &[&str]) -> Run {
    let mut command = copy.command(&copy.path(), env!("CARGO_BIN_EXE_caseharden"), args);
    let folder = Path::new(kustomize).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    let output = command.env("PATH", std::env::join_paths(paths).unwrap()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap_or(-1);
    Run { code, stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

fn proved(tally: &mut Tally, copy: &Folder, kustomize: &OsStr) {
    let ran = with_kustomize(copy, kustomize, &["apply", "--prove-builds", "-v"]);
    for line in ran.stderr.lines() {
        if line.contains("failed its proof") {
            tally.faults.push(format!("{}: {line}", tally.name));
        }
        if let Some(rest) = line.split_once(" proved ").map(|(_, rest)| rest) {
            tally.proved = rest.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0);
        }
        tally.unproved += usize::from(line.starts_with("not proved: "));
    }
}

/// Every workload that kustomize renders now meets the profile, or `check` has something to say of it.
fn rendered(tally: &mut Tally, applied: &Folder, kustomize: &OsStr) {
    let report = applied.run(&["check", "--format", "json"]).json();
    let found: Vec<(&str, &str)> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|finding| {
            Some((finding["object"]["kind"].as_str()?, finding["object"]["name"].as_str()?))
        })
        .collect();
    let folders = kustomizations(applied);
    let built =
        folders.par_iter().filter_map(|folder| Some((folder, build(applied, kustomize, folder).ok()?)));
    // One run judges all of them, each as a file that is called after its folder.
    let renders = Folder::new();
    for (folder, text) in built.collect::<Vec<_>>() {
        renders.write(&format!("{folder}/render.yaml"), text.as_bytes());
    }
    let judged = renders.run(&["check", "--format", "json", "--include-generated"]).json();
    for workload in judged["workloads"].as_array().unwrap() {
        let object = &workload["object"];
        let (kind, name) = (object["kind"].as_str().unwrap(), object["name"].as_str().unwrap());
        tally.workloads += 1;
        if workload["level"] == "restricted" {
            tally.hardened += 1;
        } else if found.iter().any(|(other, part)| *other == kind && name.contains(part)) {
            tally.explained += 1;
        } else {
            let place = format!("{}: {}", tally.name, workload["path"]);
            tally.faults.push(format!("{place}: {kind}/{name} is below restricted, unsaid"));
        }
    }
}

/// Components for some folders of each repo, against what `apply` makes of the folder itself.
fn components(tally: &mut Tally, repo: &Path, kustomize: &OsStr) {
    const MOST: usize = 6;
    let probe = corpus::copy(repo);
    let folders: Vec<String> = kustomizations(&probe).into_iter().filter(|folder| folder != ".").collect();
    let step = folders.len().div_ceil(MOST).max(1);
    for folder in folders.iter().step_by(step) {
        let (outside, inside) = (corpus::copy(repo), corpus::copy(repo));
        if build(&outside, kustomize, folder).is_err() {
            continue;
        }
        let made = outside.run(&["overlay", folder, "--output", "zz-component", "--ignore", "image"]);
        let place = format!("{}: {folder}", tally.name);
        let is_partial = made.stderr.contains("note: ");
        if !outside.path().join("zz-component").is_dir() || is_partial {
            continue;
        }
        let is_component = outside.tree().iter().any(|(path, bytes)| {
            path.rsplit_once('/').is_some_and(|(parent, _)| parent == folder)
                && bytes.windows(b"kind: Component".len()).any(|window| window == b"kind: Component")
        });
        let text = if is_component {
            format!("components: [../{folder}, ../zz-component]\n")
        } else {
            format!("resources: [../{folder}]\ncomponents: [../zz-component]\n")
        };
        outside.write("zz-both/kustomization.yaml", text.as_bytes());
        inside.run(&["apply", "--include-generated", "--ignore", "image", folder]);
        compare(tally, &place, &build(&outside, kustomize, "zz-both"), &build(&inside, kustomize, folder));
        let again = outside.run(&["overlay", folder, "--output", "zz-component", "--ignore", "image"]);
        if !again.stdout.is_empty() {
            tally.faults.push(format!("{place}: a second run writes {}", again.stdout));
        }
    }
}

/// Components of a whole run of `diff`, each against what `apply` makes of its folder.
fn diffed(tally: &mut Tally, repo: &Path, kustomize: &OsStr) {
    const MOST: usize = 6;
    let (outside, inside) = (corpus::copy(repo), corpus::copy(repo));
    let ran =
        outside.run(&["diff", "--format", "kustomize", "--output-dir", "zz-out", "--ignore", "image", "-q"]);
    let listing = "/kustomization.yaml";
    let written = ran.stdout.lines().filter_map(|path| path.strip_suffix(listing)?.strip_prefix("zz-out/"));
    let folders: Vec<&str> = written.collect();
    let is_whole = |folder: &&&str| !ran.stderr.contains(&format!("note: {folder}: "));
    let step = folders.len().div_ceil(MOST).max(1);
    let mut chosen = folders.iter().filter(is_whole).step_by(step).peekable();
    if chosen.peek().is_none() {
        return;
    }
    inside.run(&["apply", "-q", "--ignore", "image"]);
    for folder in chosen {
        // Plain folders have no build to compare with, and builds that fail by themselves none either.
        if build(&outside, kustomize, folder).is_err() {
            continue;
        }
        let text = format!("resources: [../{folder}]\ncomponents: [../zz-out/{folder}]\n");
        outside.write("zz-both/kustomization.yaml", text.as_bytes());
        let place = format!("{}: diff of {folder}", tally.name);
        let before = tally.components;
        compare(tally, &place, &build(&outside, kustomize, "zz-both"), &build(&inside, kustomize, folder));
        tally.diffed += tally.components - before;
    }
}

fn compare(tally: &mut Tally, place: &str, outer: &Result<String, String>, inner: &Result<String, String>) {
    match (outer, inner) {
        (Ok(outer), Ok(inner)) => {
            tally.components += 1;
            let (outer, inner) = (objects(outer), objects(inner));
            for (name, value) in &inner {
                if outer.get(name) != Some(value) {
                    let other = outer.get(name).map_or_else(String::new, Value::to_string);
                    tally.faults.push(format!("{place}: {name} is not the same: {value}\n{other}"));
                }
            }
            for name in outer.keys().filter(|name| !inner.contains_key(*name)) {
                tally.faults.push(format!("{place}: {name} is in the component alone"));
            }
        }
        (Err(error), _) => tally.faults.push(format!("{place}: the component does not build: {error}")),
        // What apply does there is the other test's.
        (Ok(_), Err(error)) => tally.faults.push(format!("{place}: does not build in place: {error}")),
    }
}

/// By kind, namespace and name; lists of named items in the order of their names.
fn objects(stream: &str) -> BTreeMap<String, Value> {
    let documents =
        serde_yaml::Deserializer::from_str(stream).filter_map(|document| Value::deserialize(document).ok());
    documents
        .map(|mut value| {
            let metadata = &value["metadata"];
            let name = format!("{} {}/{}", value["kind"], metadata["namespace"], metadata["name"]);
            sort(&mut value);
            (name, value)
        })
        .collect()
}

fn sort(value: &mut Value) {
    match value {
        Value::Object(map) => map.values_mut().for_each(sort),
        Value::Array(items) => {
            items.iter_mut().for_each(sort);
            if items.iter().all(|item| item.get("name").is_some()) {
                items.sort_by_key(|item| (item["name"].to_string(), item["mountPath"].to_string()));
            }
        }
        _ => {}
    }
}
