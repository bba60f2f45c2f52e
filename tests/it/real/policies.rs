//! What network policies allow, as another simulator sees it, before and after our change: Cyclonus, asked through
//! `tests/real/network`, which reads the manifests by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::{none_of, program};
use crate::corpus;
use crate::program::Folder;

/// Differences that stay, by a part of the place: what the other simulator says and why ours is kept.
const KEPT: &[(&str, &str)] = &[(
    "tests/bad_yamls after the fixes",
    "objects of two folders name no namespace: theirs are all in one, ours in two, because each folder may be applied \
     anywhere",
)];

/// Folders whose own folders are a cluster each.
const SPLIT: &[&str] = &["bad_netpols"];

/// Behind the place of what is built after the fixes.
pub(super) const APPLIED: &str = " (applied)";

#[test]
fn another_simulator_sees_the_same_connections() {
    let Some(oracle) = program("CASEHARDEN_NETWORK_ORACLE") else { return };
    let folders = cases();
    let tallies: Vec<Tally> =
        folders.par_iter().with_max_len(1).map(|(place, folder)| judge(place, folder, &oracle)).collect();
    let sum = |count: fn(&Tally) -> usize| tallies.iter().map(count).sum::<usize>();
    eprintln!(
        "real: policies of {} folders, before and after: {} pairs of ends compared, {} of them restricted; {} folders \
         with policies of other kinds left out",
        folders.len(),
        sum(|tally| tally.pairs),
        sum(|tally| tally.restricted),
        sum(|tally| tally.left_out)
    );
    assert!(sum(|tally| tally.restricted) > 0, "nothing was compared");
    none_of(&left(tallies.into_iter().flat_map(|tally| tally.faults), KEPT));
}

/// The faults that nothing explains. Explanations that nothing needs any more are faults as well.
pub(super) fn left(faults: impl Iterator<Item = String>, kept: &[(&str, &str)]) -> Vec<String> {
    let (explained, mut left): (Vec<String>, Vec<String>) =
        faults.partition(|fault| kept.iter().any(|(place, _)| fault.contains(place)));
    let is_needed = |place: &str| explained.iter().any(|fault| fault.contains(place));
    let idle = kept.iter().filter(|(place, _)| corpus::repos().is_some() && !is_needed(place));
    left.extend(idle.map(|(place, reason)| format!("there is no difference at {place} any more: {reason}")));
    left
}

/// Folders with policies: test cases that repos keep, what their builds make, and an example of our own.
pub(super) fn cases() -> Vec<(String, Folder)> {
    let mut folders: Vec<(String, Folder)> = Vec::new();
    for repo in corpus::repos().unwrap_or_default() {
        let name = corpus::name(&repo);
        for folder in folders_of_cases(&repo) {
            let place = folder.strip_prefix(&repo).unwrap().display();
            folders.push((format!("{name}/{place}"), corpus::copy(&folder)));
        }
        folders.extend(builds(&repo).into_iter().map(|(place, folder)| (format!("{name}/{place}"), folder)));
    }
    folders.push(("own example".to_owned(), example()));
    folders
}

#[derive(Default)]
struct Tally {
    pairs: usize,
    restricted: usize,
    left_out: usize,
    faults: Vec<String>,
}

/// One line of the oracle: ends are `PATH KIND/NAME` or an address.
#[derive(Deserialize)]
struct Line {
    from: String,
    to: String,
    ports: BTreeSet<String>,
}

/// Folders that are whole clusters: each that the repo keeps as a test case of its own.
fn folders_of_cases(repo: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(repo.join("tests")) else { return Vec::new() };
    let mut folders: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    let is_split = |folder: &std::path::PathBuf| SPLIT.iter().any(|name| folder.ends_with(name));
    let split: Vec<_> = folders.extract_if(.., |folder| is_split(folder)).collect();
    for folder in split {
        folders.extend(
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()),
        );
    }
    folders.retain(|folder| corpus_has(folder, "kind: NetworkPolicy"));
    folders.sort();
    folders
}

pub(super) fn corpus_has(folder: &Path, text: &str) -> bool {
    crate::program::tree(folder).values().any(|bytes| String::from_utf8_lossy(bytes).contains(text))
}

/// What kustomize makes of a repo where that has policies: one file in a folder of its own, before and after.
fn builds(repo: &Path) -> Vec<(String, Folder)> {
    let Some(kustomize) = std::env::var_os("CASEHARDEN_KUSTOMIZE") else { return Vec::new() };
    let (before, after) = (corpus::copy(repo), corpus::copy(repo));
    after.run(&["apply", "--quiet"]);
    let mut folders = Vec::new();
    for (state, source) in [("", &before), (APPLIED, &after)] {
        for place in super::builds::kustomizations(source) {
            let Ok(built) = super::builds::build(source, &kustomize, &place) else { continue };
            if built.contains("kind: NetworkPolicy") {
                let folder = Folder::committed(&[("built.yaml", &built)]);
                folders.push((format!("{place}{state}"), folder));
            }
        }
    }
    folders
}

/// Policies of our own writing, for a run without real repos.
fn example() -> Folder {
    let pod = |name: &str, namespace: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}\nspec: \
             {{containers: [{{name: c, image: c, ports: [{{name: http, containerPort: 8080}}]}}]}}\n---\n"
        )
    };
    let policies = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a, namespace: one}\nspec:\n  \
                    podSelector: {matchLabels: {app: web}}\n  ingress:\n    - from: [{namespaceSelector: {}}]\n      ports: \
                    [{port: http}, {port: 9000, endPort: 9010}]\n  egress:\n    - to: [{ipBlock: {cidr: 10.0.0.0/8, except: \
                    [10.9.0.0/16]}}, {podSelector: {}}]\n";
    let text = [pod("web", "one"), pod("db", "one"), pod("web", "two"), policies.to_owned()].concat();
    Folder::committed(&[("all.yaml", &text)])
}

fn judge(place: &str, folder: &Folder, oracle: &OsStr) -> Tally {
    let mut tally = Tally::default();
    compare(&mut tally, place, folder, oracle);
    if place.ends_with(APPLIED) {
        return tally;
    }
    folder.run(&["apply", "--quiet", "--allow-dirty"]);
    compare(&mut tally, &format!("{place} after the fixes"), folder, oracle);
    tally
}

fn compare(tally: &mut Tally, place: &str, folder: &Folder, oracle: &OsStr) {
    let graph = folder.run(&["network", "graph", "--format", "json"]).json();
    let kinds = ["AdminNetworkPolicy", "UserDefinedNetwork"];
    if graph["not_judged"].as_array().is_none_or(|list| !list.is_empty())
        || kinds.iter().any(|kind| corpus_has(&folder.path(), kind))
    {
        tally.left_out += 1;
        return;
    }
    let ours = Ours::new(&graph);
    let at = folder.path();
    let output = folder.command(&at, &oracle.to_string_lossy(), &[&at.to_string_lossy()]).output().unwrap();
    if !output.status.success() {
        tally.faults.push(format!("{place}: {}", String::from_utf8_lossy(&output.stderr)));
        return;
    }
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Line> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let Some(asked) = lines.iter().find(|line| line.from.is_empty()).map(|line| &line.ports) else { return };
    for line in lines.iter().filter(|line| !line.from.is_empty()) {
        let Some(found) = ours.ports(&line.from, &line.to, asked) else { continue };
        tally.pairs += 1;
        tally.restricted += usize::from(line.ports.len() < asked.len());
        if found != line.ports {
            let more: Vec<&String> = found.difference(&line.ports).take(3).collect();
            let less: Vec<&String> = line.ports.difference(&found).take(3).collect();
            tally.faults.push(format!(
                "{place}: {} -> {}: ours only {more:?}, theirs only {less:?}",
                line.from, line.to
            ));
        }
    }
}

/// Our graph, by the oracle's names.
struct Ours<'a> {
    workloads: BTreeMap<String, &'a Value>,
    connections: BTreeMap<(&'a str, &'a str), &'a Value>,
}

impl<'a> Ours<'a> {
    fn new(graph: &'a Value) -> Ours<'a> {
        let mut workloads: BTreeMap<String, &Value> = BTreeMap::new();
        let mut twins = BTreeSet::new();
        for workload in graph["workloads"].as_array().unwrap() {
            let text = |field: &str| workload[field].as_str().unwrap();
            let key = format!("{} {}/{}", text("path"), text("kind"), text("object"));
            if workloads.insert(key.clone(), workload).is_some() {
                twins.insert(key);
            }
        }
        // Two of one name: which is meant cannot be told.
        workloads.retain(|key, _| !twins.contains(key));
        let connections = graph["connections"].as_array().unwrap().iter();
        let connections = connections.map(|connection| {
            ((connection["from"].as_str().unwrap(), connection["to"].as_str().unwrap()), &connection["ports"])
        });
        Ours { workloads, connections: connections.collect() }
    }

    /// Those of the asked ports that are allowed; nothing where the graph does not say.
    fn ports(&self, from: &str, to: &str, asked: &BTreeSet<String>) -> Option<BTreeSet<String>> {
        let address = |text: &str| text.parse::<IpAddr>().ok();
        match (address(from), address(to)) {
            (Some(address), None) => self.outside(to, "ingress", address, asked),
            (None, Some(address)) => self.outside(from, "egress", address, asked),
            _ => {
                let (from, to) = (*self.workloads.get(from)?, *self.workloads.get(to)?);
                if from == to && from["kind"] == "Pod"
                    || from["host_network"] == true
                    || to["host_network"] == true
                {
                    return None;
                }
                if from["egress"]["restricted"] == false && to["ingress"]["restricted"] == false {
                    return Some(asked.clone());
                }
                let key = (from["name"].as_str()?, to["name"].as_str()?);
                Some(self.connections.get(&key).map(|ports| among(ports, asked)).unwrap_or_default())
            }
        }
    }

    fn outside(
        &self,
        workload: &str,
        way: &str,
        address: IpAddr,
        asked: &BTreeSet<String>,
    ) -> Option<BTreeSet<String>> {
        let workload = self.workloads.get(workload)?;
        let spans = workload[way]["addresses"].as_array()?;
        let holds = |span: &&Value| {
            let end = |key: &str| span[key].as_str().unwrap().parse::<IpAddr>().unwrap();
            let (first, last) = (end("first"), end("last"));
            first.is_ipv6() == address.is_ipv6() && first <= address && address <= last
        };
        Some(spans.iter().find(holds).map(|span| among(&span["ports"], asked)).unwrap_or_default())
    }
}

fn among(ports: &Value, asked: &BTreeSet<String>) -> BTreeSet<String> {
    let is_in = |text: &&String| {
        let (protocol, number) = text.split_once(' ').unwrap();
        let number: u64 = number.parse().unwrap();
        ports.as_array().unwrap().iter().any(|range| {
            range["protocol"] == protocol
                && (range["first"].as_u64().unwrap()..=range["last"].as_u64().unwrap()).contains(&number)
        })
    };
    asked.iter().filter(is_in).cloned().collect()
}
