//! How `network graph` grows: whole processes on repos of more and more workloads, and of more and more connections of
//! each. What matters is the last column: twice the work should take twice the time.
//!
//! `cargo bench --bench network` makes the repos under `target/` and prints a table.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Workloads of a namespace.
const TEAM: usize = 50;
const RUNS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test --all-targets` starts benchmarks as well, without `--bench`: nothing is timed there.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    say("| workloads | namespaces | connections | `graph` | × the row above |");
    say("|---:|---:|---:|---:|---:|");
    let mut before: Option<Duration> = None;
    for (workloads, clients) in [(1_250, 4), (2_500, 4), (5_000, 4), (5_000, 8), (5_000, 16), (5_000, 32)] {
        let folder = repo(workloads, clients)?;
        let took = median(&folder)?;
        let ratio = before
            .map_or(String::new(), |before| format!("{:.1}", took.as_secs_f64() / before.as_secs_f64()));
        let namespaces = workloads.div_ceil(TEAM);
        let connections = connections(&folder)?;
        say(&format!(
            "| {workloads} | {namespaces} | {connections} | {:.2} s | {ratio} |",
            took.as_secs_f64()
        ));
        before = Some(took);
    }
    Ok(())
}

fn graph(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_caseharden"));
    command
        .args(["network", "graph", "--quiet", "--format", "json"])
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

fn median(folder: &Path) -> Result<Duration, Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        let status = graph(folder).stdout(Stdio::null()).status()?;
        times.push(start.elapsed());
        if !status.success() {
            return Err(format!("`network graph` ended with {status}").into());
        }
    }
    times.sort_unstable();
    Ok(times[RUNS / 2])
}

fn connections(folder: &Path) -> Result<usize, Box<dyn Error>> {
    let output = graph(folder).output()?.stdout;
    let report: serde_json::Value = serde_json::from_slice(&output)?;
    report["connections"].as_array().map(Vec::len).ok_or_else(|| "no connections in the report".into())
}

/// A repo in which every namespace denies by default and every workload lets `clients` others in, most of them of its
/// own namespace.
fn repo(workloads: usize, clients: usize) -> Result<PathBuf, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("network-{workloads}-{clients}"));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(folder.join(".git"))?;
    for number in 0..workloads {
        let team = format!("team-{:03}", number / TEAM);
        fs::create_dir_all(folder.join(&team))?;
        if number.is_multiple_of(TEAM) {
            fs::write(folder.join(&team).join("namespace.yaml"), namespace(&team))?;
        }
        let text = workload(number, &team, clients, workloads)?;
        fs::write(folder.join(&team).join(format!("app-{number:04}.yaml")), text)?;
    }
    Ok(folder)
}

fn namespace(team: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {team}, labels: {{team: {team}}}}}\n---\napiVersion: \
         networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: default-deny, namespace: {team}}}\nspec: \
         {{podSelector: {{}}, policyTypes: [Ingress, Egress]}}\n"
    )
}

fn workload(number: usize, team: &str, clients: usize, all: usize) -> Result<String, std::fmt::Error> {
    let (mut from, mut to) = (String::new(), String::new());
    for step in 1..=clients {
        // One in four is of another namespace.
        let distance = if step.is_multiple_of(4) { step * TEAM + step } else { step };
        let (client, server) = ((number + all - distance) % all, (number + distance) % all);
        for (peers, other) in [(&mut from, client), (&mut to, server)] {
            writeln!(
                peers,
                "        - namespaceSelector: {{matchLabels: {{team: team-{:03}}}}}\n          podSelector: \
                 {{matchLabels: {{app: app-{other:04}}}}}",
                other / TEAM
            )?;
        }
    }
    Ok(format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app-{number:04}, namespace: {team}}}\nspec:\n  selector: \
         {{matchLabels: {{app: app-{number:04}}}}}\n  template:\n    metadata: {{labels: {{app: app-{number:04}}}}}\n    \
         spec: {{containers: [{{name: main, image: example.org/app:1, ports: [{{name: http, containerPort: 8080}}]}}]}}\n\
         ---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: app-{number:04}, namespace: \
         {team}}}\nspec:\n  podSelector: {{matchLabels: {{app: app-{number:04}}}}}\n  policyTypes: [Ingress, Egress]\n  \
         ingress:\n    - from:\n{from}      ports: [{{port: http}}]\n  egress:\n    - to:\n{to}      ports: [{{port: http}}]\n"
    ))
}

#[expect(clippy::print_stdout, reason = "a benchmark's table is its output")]
fn say(text: &str) {
    println!("{text}");
}
