//! `helm template` before and after `apply`: charts render as before but for what was wanted, with all of their sets of
//! values, and a second run wants nothing more.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

use rayon::prelude::*;
use serde_json::Value;

use super::charts::{charts, own, render};
use super::{none_of, program};
use crate::corpus;
use crate::program::Folder;

/// What fixes of pods change.
const WANTED: [&str; 8] = [
    "securityContext",
    "automountServiceAccountToken",
    "volumes",
    "volumeMounts",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "hostPort",
];

#[test]
fn hardened_charts_render_as_before_but_for_what_was_wanted() {
    let Some(helm) = program("CASEHARDEN_HELM") else { return };
    let mut repos = corpus::repos().unwrap_or_default();
    repos.extend(own(&Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")));
    let results: Vec<Tally> = repos.par_iter().with_max_len(1).map(|repo| judge(repo, &helm)).collect();
    let sum = |count: fn(&Tally) -> usize| results.iter().map(count).sum::<usize>();
    eprintln!(
        "real: {} sets of values rendered before and after, {} of them changed, at {} places",
        sum(|tally| tally.rendered),
        sum(|tally| tally.changed),
        sum(|tally| tally.places)
    );
    assert!(sum(|tally| tally.changed) > 0, "nothing was compared");
    none_of(&results.into_iter().flat_map(|tally| tally.faults).collect::<Vec<_>>());
}

#[derive(Default)]
struct Tally {
    rendered: usize,
    changed: usize,
    places: usize,
    faults: Vec<String>,
}

fn judge(source: &Path, helm: &OsStr) -> Tally {
    let mut tally = Tally::default();
    let (before, after) = (corpus::copy(source), corpus::copy(source));
    let all = charts(&before);
    if all.is_empty() {
        return tally;
    }
    let paths: Vec<&str> = all.iter().map(|(chart, _)| chart.as_str()).collect();
    after.run(&[&["apply", "--quiet", "--allow-dirty", "--select", "pod"], paths.as_slice()].concat());
    let again = after.run(&[&["diff", "--quiet", "--select", "pod"], paths.as_slice()].concat());
    if !again.stdout.is_empty() {
        tally.faults.push(format!("{}: a second run: {}", corpus::name(source), again.stdout));
    }
    for (chart, values) in &all {
        for values in values {
            let Ok(old) = render(&before, helm, chart, values) else { continue };
            let place = format!("{}: {chart} with {values}", corpus::name(source));
            match render(&after, helm, chart, values) {
                Err(error) => tally.faults.push(format!("{place} does not render any more: {error}")),
                Ok(new) => {
                    tally.rendered += 1;
                    // Keys and passwords are made anew by each rendering.
                    let noise = render(&before, helm, chart, values).unwrap();
                    compare(&mut tally, &place, [&old, &noise, &new]);
                }
            }
        }
    }
    tally
}

fn compare(tally: &mut Tally, place: &str, [old, noise, new]: [&str; 3]) {
    let [old, noise, new] = [old, noise, new].map(documents);
    if old.len() != new.len() {
        tally.faults.push(format!("{place} renders another number of objects"));
        return;
    }
    let mut found = BTreeSet::new();
    for ((old, noise), new) in old.iter().zip(&noise).zip(&new) {
        let mut random = BTreeSet::new();
        differences(old, noise, "", &mut random);
        let mut own = BTreeSet::new();
        differences(old, new, "", &mut own);
        found.extend(own.difference(&random).map(|at| format!("{} {at}", old["metadata"]["name"])));
    }
    tally.changed += usize::from(!found.is_empty());
    tally.places += found.len();
    for at in found {
        if !at.split('/').any(|key| WANTED.contains(&key)) {
            tally.faults.push(format!("{place}: {at} changed"));
        }
    }
}

fn documents(text: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(text);
    documents.filter_map(|document| serde::Deserialize::deserialize(document).ok()).collect()
}

fn differences(old: &Value, new: &Value, at: &str, found: &mut BTreeSet<String>) {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys()) {
                let value = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                differences(&value(a), &value(b), &format!("{at}/{key}"), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (idx, (a, b)) in a.iter().zip(b).enumerate() {
                differences(a, b, &format!("{at}/{idx}"), found);
            }
        }
        (old, new) if old == new => {}
        _ => {
            found.insert(at.to_owned());
        }
    }
}

/// Charts of their own folder, for tests that look at one alone.
#[test]
fn a_chart_as_helm_creates_it_is_hardened_whole() {
    let Some(helm) = program("CASEHARDEN_HELM") else { return };
    let folder = Folder::new();
    let helm = helm.to_string_lossy().into_owned();
    assert!(folder.command(&folder.path(), &helm, &["create", "web"]).output().unwrap().status.success());
    folder.run(&["apply", "--allow-dirty", "--select", "pod"]);
    let again = folder.run(&["diff", "--select", "pod"]);
    assert_eq!(again.stdout, "");
    let output = folder.command(&folder.path(), &helm, &["template", "web"]).output().unwrap();
    let rendered = documents(&String::from_utf8_lossy(&output.stdout));
    let deployment = rendered.iter().find(|object| object["kind"] == "Deployment").unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["containers"][0]["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
}
