//! Charts as our own interpreter renders them, held against `helm template`: objects that both render are the same,
//! but for words that stand for what only chance or a cluster knows.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use caseharden::config::Config;
use caseharden::helm::concrete::{KUBERNETES, Renders as _, is_unknown};
use caseharden::helm::{Chart, layered};
use caseharden::repo::{self, Disk};
use rayon::prelude::*;
use serde_json::Value;

use super::charts::charts;
use super::{none_of, program};
use crate::corpus;
use crate::program::Folder;

#[test]
fn the_interpreter_renders_what_helm_does() {
    let Some(helm) = program("CASEHARDEN_HELM") else { return };
    let mut repos = corpus::repos().unwrap_or_default();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    repos.extend(super::charts::own(&golden));
    let results: Vec<Tally> = repos.par_iter().with_max_len(1).map(|repo| judge(repo, &helm)).collect();
    let sum = |count: fn(&Tally) -> usize| results.iter().map(count).sum::<usize>();
    eprintln!(
        "real: {} sets of values that helm renders, {} of them here; {} objects the same, {} not followed",
        sum(|tally| tally.sets),
        sum(|tally| tally.rendered),
        sum(|tally| tally.same),
        sum(|tally| tally.missing)
    );
    assert!(sum(|tally| tally.same) > 0, "nothing was compared");
    none_of(&results.into_iter().flat_map(|tally| tally.faults).collect::<Vec<_>>());
}

#[derive(Default)]
struct Tally {
    sets: usize,
    rendered: usize,
    same: usize,
    missing: usize,
    faults: Vec<String>,
}

fn judge(source: &Path, helm: &OsStr) -> Tally {
    let mut tally = Tally::default();
    let folder = corpus::copy(source);
    let disk = Disk::new(folder.path());
    let listing = disk.list(&[String::new()]);
    let repo = repo::read(&disk, listing, &Config::default(), &|| ());
    for (path, mut files) in charts(&folder) {
        let Some(read) = repo.chart(&path) else { continue };
        let chart = Chart::new(read, &repo.charts);
        files.push(format!("{path}/values.yaml"));
        for values in files.iter().filter(|values| folder.path().join(values).is_file()) {
            let place = format!("{}: {path} with {values}", corpus::name(source));
            let Ok(theirs) = render(&folder, helm, &path, values) else { continue };
            tally.sets += 1;
            let own: Value = serde_yaml::from_str(&folder.read(values)).unwrap_or_default();
            match chart.rendered(&layered(&read.values, &own)) {
                Ok(ours) => {
                    tally.rendered += 1;
                    for (template, why) in &ours.refused {
                        eprintln!("real: {place}: {template}: {why}");
                    }
                    let ours = ours.objects.into_iter().map(|object| object.value).collect();
                    compare(&mut tally, &place, by_name(ours), &theirs);
                }
                Err(why) => eprintln!("real: {place}: {why}"),
            }
        }
    }
    tally
}

fn render(
    folder: &Folder,
    helm: &OsStr,
    chart: &str,
    values: &str,
) -> Result<BTreeMap<String, Value>, String> {
    let version = format!("{}.{}.0", KUBERNETES.0, KUBERNETES.1);
    let args = ["template", chart, "-f", values, "--kube-version", &version];
    let output = folder.command(&folder.path(), &helm.to_string_lossy(), &args).output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let documents = serde_yaml::Deserializer::from_str(&text);
    let values = documents.filter_map(|document| serde::Deserialize::deserialize(document).ok());
    Ok(by_name(values.collect()))
}

fn by_name(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let mut twice = Vec::new();
    for object in objects.into_iter().filter(|object| object["kind"].is_string()) {
        let items = match object["items"].as_array().filter(|_| object["kind"] == "List") {
            Some(items) => items.clone(),
            None => vec![object],
        };
        for item in items {
            let name = format!("{} {}", item["kind"], item["metadata"]["name"]);
            if all.insert(name.clone(), item).is_some() {
                twice.push(name);
            }
        }
    }
    // Which is which would only be guessed.
    all.retain(|name, _| !twice.contains(name));
    all
}

fn compare(tally: &mut Tally, place: &str, ours: BTreeMap<String, Value>, theirs: &BTreeMap<String, Value>) {
    for (name, value) in &ours {
        match theirs.get(name) {
            Some(other) => match difference(value, other, "") {
                None => tally.same += 1,
                Some(at) => tally.faults.push(format!("{place}: {name}: {at}")),
            },
            None if is_unknown(name) => {}
            None => tally.faults.push(format!("{place}: {name} is not in what helm renders")),
        }
    }
    tally.missing += theirs.keys().filter(|name| !ours.contains_key(*name)).count();
}

/// Where two values differ; words that stand for something are equal to everything.
fn difference(ours: &Value, theirs: &Value, at: &str) -> Option<String> {
    match (ours, theirs) {
        (Value::String(text), _) if is_unknown(text) => None,
        (Value::Object(a), Value::Object(b)) => {
            let known = |map: &serde_json::Map<String, Value>| map.keys().any(|key| is_unknown(key));
            let keys = a.keys().chain(b.keys()).filter(|_| !known(a));
            keys.clone().find_map(|key| {
                difference(
                    a.get(key).unwrap_or(&Value::Null),
                    b.get(key).unwrap_or(&Value::Null),
                    &format!("{at}/{key}"),
                )
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(idx, (a, b))| difference(a, b, &format!("{at}/{idx}")))
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => None,
        (a, b) if a == b => None,
        (a, b) => Some(format!("{at}: {} here, {} there", short(a), short(b))),
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(200).collect()
}
