//! What network policies let pods open to each other, as np-guard's analyzer sees it, before and after our change: asked
//! through `tests/real/netpol-analyzer`, which reads the manifests by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::policies::{APPLIED, cases, corpus_has, left};
use super::{none_of, program};
use crate::program::Folder;

/// Differences that stay, by a part of the place: what the analyzer says and why ours is kept.
const KEPT: &[(&str, &str)] = &[
    (
        "tests/bad_yamls after the fixes",
        "objects of two folders name no namespace: theirs are all in one, ours in two, because each folder may be applied \
         anywhere",
    ),
    (
        "tests/netpol_named_port_test",
        "the container's port of that name has another protocol, which the analyzer does not look at: \
         https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/",
    ),
    (
        "tests/np_test_with_empty_port_range",
        "`endPort` is below `port`: the API server refuses the whole policy, the analyzer takes its other ports",
    ),
];

#[test]
fn np_guards_analyzer_sees_the_same_connections() {
    let Some(oracle) = program("CASEHARDEN_NETPOL_ANALYZER") else { return };
    let tallies: Vec<Tally> =
        cases().par_iter().with_max_len(1).map(|(place, folder)| judge(place, folder, &oracle)).collect();
    let sum = |count: fn(&Tally) -> usize| tallies.iter().map(count).sum::<usize>();
    eprintln!(
        "real: np-guard's analyzer on {} folders: {} pairs of workloads compared, {} of them restricted; {} folders with \
         policies of other kinds and {} that it does not read left out",
        sum(|tally| tally.folders),
        sum(|tally| tally.pairs),
        sum(|tally| tally.restricted),
        sum(|tally| tally.left_out),
        sum(|tally| tally.unread),
    );
    assert!(sum(|tally| tally.restricted) > 0, "nothing was compared");
    none_of(&left(tallies.into_iter().flat_map(|tally| tally.faults), KEPT));
}

#[derive(Default)]
struct Tally {
    folders: usize,
    pairs: usize,
    restricted: usize,
    left_out: usize,
    unread: usize,
    faults: Vec<String>,
}

/// One line of the oracle: ends are `NAMESPACE KIND/NAME`; a workload has no other end.
#[derive(Deserialize)]
struct Line {
    from: String,
    to: Option<String>,
    ports: Vec<Ports>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Ports {
    protocol: String,
    first: u16,
    last: u16,
}

fn judge(place: &str, folder: &Folder, oracle: &OsStr) -> Tally {
    let mut tally = Tally::default();
    compare(&mut tally, place, folder, oracle);
    if !place.ends_with(APPLIED) {
        folder.run(&["apply", "--quiet", "--allow-dirty"]);
        compare(&mut tally, &format!("{place} after the fixes"), folder, oracle);
    }
    tally
}

fn compare(tally: &mut Tally, place: &str, folder: &Folder, oracle: &OsStr) {
    let graph = folder.run(&["network", "graph", "--format", "json"]).json();
    let at = folder.path();
    let others = ["AdminNetworkPolicy", "UserDefinedNetwork"];
    let all_judged = graph["not_judged"].as_array().is_some_and(|list| list.is_empty());
    if !all_judged || others.iter().any(|kind| corpus_has(&at, kind)) {
        tally.left_out += 1;
        return;
    }
    let output = folder.command(&at, &oracle.to_string_lossy(), &[&at.to_string_lossy()]).output().unwrap();
    if !output.status.success() {
        tally.unread += 1;
        return;
    }
    tally.folders += 1;
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Line> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let theirs: BTreeMap<(&str, &str), &[Ports]> =
        lines.iter().filter_map(|line| Some(((&*line.from, line.to.as_deref()?), &*line.ports))).collect();
    let known: BTreeSet<&str> =
        lines.iter().filter(|line| line.to.is_none()).map(|line| &*line.from).collect();
    let ours = workloads(&graph);
    let connections: BTreeMap<(&str, &str), Vec<Ports>> = graph["connections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|connection| {
            let end = |key: &str| connection[key].as_str().unwrap();
            ((end("from"), end("to")), Vec::deserialize(&connection["ports"]).unwrap())
        })
        .collect();
    let shared: Vec<(&String, &Value)> =
        ours.iter().filter(|(key, _)| known.contains(&***key)).map(|(key, value)| (key, *value)).collect();
    for (from, source) in &shared {
        for (to, target) in shared.iter().filter(|(to, _)| to != from) {
            let theirs = theirs.get(&(&***from, &***to)).copied().unwrap_or_default();
            let is_open = source["egress"]["restricted"] == false && target["ingress"]["restricted"] == false;
            let name = |workload: &'_ Value| workload["name"].as_str().unwrap().to_owned();
            let (source, target) = (name(source), name(target));
            let found = connections.get(&(&*source, &*target)).cloned().unwrap_or_default();
            let found = if is_open { everything() } else { joined(found) };
            let theirs = joined(theirs.to_vec());
            tally.pairs += 1;
            tally.restricted += usize::from(theirs != everything());
            if found != theirs {
                tally.faults.push(format!("{place}: {from} -> {to}: ours {found:?}, theirs {theirs:?}"));
            }
        }
    }
}

/// Our workloads by the oracle's names. Where two have one name, it cannot be told which is meant; and the oracle does not
/// know the labels that the controller of Jobs gives to their pods.
fn workloads(graph: &Value) -> BTreeMap<String, &Value> {
    let mut found: BTreeMap<String, &Value> = BTreeMap::new();
    let mut twins = BTreeSet::new();
    for workload in graph["workloads"].as_array().unwrap() {
        let text = |field: &str| workload[field].as_str();
        let namespace = text("namespace").unwrap_or("default");
        let key = format!("{namespace} {}/{}", text("kind").unwrap(), text("object").unwrap());
        let is_other = workload["host_network"] == true || workload["kind"] == "Job";
        if is_other || found.insert(key.clone(), workload).is_some() {
            twins.insert(key);
        }
    }
    found.retain(|key, _| !twins.contains(key));
    found
}

fn everything() -> Vec<Ports> {
    let all = |protocol: &str| Ports { protocol: protocol.to_owned(), first: 1, last: u16::MAX };
    ["SCTP", "TCP", "UDP"].map(all).to_vec()
}

/// Ranges in order, those that touch as one.
fn joined(mut ports: Vec<Ports>) -> Vec<Ports> {
    ports.iter_mut().for_each(|range| range.first = range.first.max(1));
    ports.sort();
    let mut joined: Vec<Ports> = Vec::new();
    for range in ports {
        match joined.last_mut() {
            Some(last) if last.protocol == range.protocol && range.first <= last.last.saturating_add(1) => {
                last.last = last.last.max(range.last);
            }
            _ => joined.push(range),
        }
    }
    joined
}
