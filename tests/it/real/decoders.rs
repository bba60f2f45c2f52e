//! Kubernetes' own strict decoder and Pod Security evaluator, before and after: no object decodes worse, and the
//! levels we report are theirs.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::{none_of, program};
use crate::corpus;
use crate::program::Folder;

/// What the decoder says of one object.
#[derive(Deserialize)]
struct Line {
    file: String,
    doc: usize,
    #[serde(default)]
    item: usize,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
    schema: String,
    #[serde(default)]
    errors: Vec<String>,
    #[serde(default)]
    psa: Vec<Verdict>,
}

#[derive(Deserialize)]
struct Verdict {
    level: String,
    allowed: bool,
    #[serde(default)]
    checks: Vec<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    detail: String,
}

impl Line {
    /// A volume without a source: the API server makes it an emptyDir before it asks, the decoder does not.
    fn has_bare_volume(&self) -> bool {
        let details = self.psa.iter().flat_map(|verdict| &verdict.checks).map(|refusal| &refusal.detail);
        details.into_iter().any(|detail| detail.contains("volume type \"unknown\""))
    }
}

#[derive(Default)]
struct Tally {
    objects: usize,
    verdicts: usize,
    faults: Vec<String>,
}

#[test]
fn kubernetes_decodes_what_it_did_and_judges_as_we_do() {
    let Some(oracle) = program("CASEHARDEN_PSA_ORACLE") else { return };
    let repos = super::repos();
    let results: Vec<Tally> = repos.par_iter().with_max_len(1).map(|repo| judge(repo, &oracle)).collect();
    let sum = |count: fn(&Tally) -> usize| results.iter().map(count).sum::<usize>();
    let (objects, verdicts) = (sum(|tally| tally.objects), sum(|tally| tally.verdicts));
    eprintln!("real: {objects} objects decoded before and after, {verdicts} verdicts compared");
    assert!(objects > 0 && verdicts > 0, "nothing was compared");
    none_of(&results.into_iter().flat_map(|tally| tally.faults).collect::<Vec<_>>());
}

fn judge(repo: &Path, oracle: &OsStr) -> Tally {
    let folder = corpus::copy(repo);
    let mut tally = Tally::default();
    let before = ask(&folder, oracle);
    agree(&mut tally, repo, &folder, &before);
    folder.run(&["apply", "--quiet"]);
    let after = ask(&folder, oracle);
    agree(&mut tally, repo, &folder, &after);
    let key = |line: &Line| (line.file.clone(), line.doc, line.item);
    let after: BTreeMap<_, Line> = after.into_iter().map(|line| (key(&line), line)).collect();
    for old in before {
        tally.objects += 1;
        let place = format!("{}: {} {} {}/{}", corpus::name(repo), old.file, old.doc, old.kind, old.name);
        let Some(new) = after.get(&key(&old)) else {
            tally.faults.push(format!("{place} is gone"));
            continue;
        };
        if new.schema != old.schema {
            tally.faults.push(format!("{place} was {} and is {}: {:?}", old.schema, new.schema, new.errors));
        }
        let errors: Vec<_> = new.errors.iter().filter(|error| !old.errors.contains(error)).collect();
        if old.schema != "error" && !errors.is_empty() {
            tally.faults.push(format!("{place}: {errors:?}"));
        }
    }
    tally
}

fn ask(folder: &Folder, oracle: &OsStr) -> Vec<Line> {
    let run = folder.run_in(&folder.path(), &oracle.to_string_lossy(), &["."], b"");
    assert_eq!(run.code, 0, "{}", run.stderr);
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The levels of the workloads that both sides know, in the order of the files.
fn agree(tally: &mut Tally, repo: &Path, folder: &Folder, lines: &[Line]) {
    type Levels = BTreeMap<(String, String, String), Vec<String>>;
    let mut theirs = Levels::new();
    for line in
        lines.iter().filter(|line| !line.psa.is_empty() && line.schema == "ok" && !line.has_bare_volume())
    {
        let allows = |level: &str| line.psa.iter().any(|verdict| verdict.level == level && verdict.allowed);
        let highest =
            ["restricted", "baseline"].into_iter().find(|level| allows(level)).unwrap_or("privileged");
        let key = (line.file.clone(), line.kind.clone(), line.name.clone());
        theirs.entry(key).or_default().push(highest.to_owned());
    }
    let report = folder.run(&["check", "--format", "json"]).json();
    let mut ours = Levels::new();
    for workload in report["workloads"].as_array().unwrap() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let object = &workload["object"];
        let key = (text(&workload["path"]), text(&object["kind"]), text(&object["name"]));
        ours.entry(key).or_default().push(text(&workload["level"]));
    }
    for (key, levels) in &ours {
        let Some(others) = theirs.get(key).filter(|others| others.len() == levels.len()) else { continue };
        tally.verdicts += levels.len();
        if levels != others {
            tally
                .faults
                .push(format!("{}: {key:?}: {levels:?}, and {others:?} upstream", corpus::name(repo)));
        }
    }
}
