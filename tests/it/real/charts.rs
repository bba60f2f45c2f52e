//! `helm template` before and after: a pin changes nothing in what a chart renders but its image.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use caseharden::image::{Digest, Reference};
use rayon::prelude::*;

use super::{none_of, program};
use crate::corpus;
use crate::program::Folder;

#[test]
fn charts_render_as_before_but_for_digests() {
    let Some(helm) = program("CASEHARDEN_HELM") else { return };
    let mut repos = corpus::repos().unwrap_or_default();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/image-not-pinned");
    let own = std::fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path().join("before"));
    repos.extend(own.filter(|folder| folder.join("charts").is_dir()));
    repos.sort();
    let results: Vec<Tally> = repos.par_iter().with_max_len(1).map(|repo| judge(repo, &helm)).collect();
    let sum = |count: fn(&Tally) -> usize| results.iter().map(count).sum::<usize>();
    eprintln!(
        "real: {} charts with {} sets of values, {} rendered before and after, {} of them changed, {} lines",
        sum(|tally| tally.charts),
        sum(|tally| tally.values),
        sum(|tally| tally.rendered),
        sum(|tally| tally.changed),
        sum(|tally| tally.lines)
    );
    assert!(sum(|tally| tally.changed) > 0, "nothing was compared");
    none_of(&results.into_iter().flat_map(|tally| tally.faults).collect::<Vec<_>>());
}

#[derive(Default)]
struct Tally {
    charts: usize,
    values: usize,
    rendered: usize,
    changed: usize,
    lines: usize,
    faults: Vec<String>,
}

fn judge(repo: &Path, helm: &OsStr) -> Tally {
    let (before, after) = (corpus::copy(repo), corpus::copy(repo));
    after.write("caseharden.lock", lock(&before));
    after.run(&["apply", "--quiet", "--allow-dirty", "--select", "image-not-pinned"]);
    let mut tally = Tally::default();
    for (chart, values) in charts(&before) {
        tally.charts += 1;
        for values in values {
            tally.values += 1;
            let Ok(old) = render(&before, helm, &chart, &values) else { continue };
            let place = format!("{}: {chart} with {values}", corpus::name(repo));
            match render(&after, helm, &chart, &values) {
                Err(error) => tally.faults.push(format!("{place} does not render any more: {error}")),
                Ok(new) => {
                    tally.rendered += 1;
                    // Keys and passwords are made anew by each rendering.
                    let noise = render(&before, helm, &chart, &values).unwrap();
                    compare(&mut tally, &place, [&old, &noise, &new]);
                }
            }
        }
    }
    tally
}

/// A lock with a digest of its own for every image that lacks one.
fn lock(repo: &Folder) -> String {
    let report = repo.run(&["check", "--format", "json", "--select", "image-not-pinned"]).json();
    let mut images = BTreeSet::new();
    for finding in report["findings"].as_array().unwrap() {
        let text = finding["message"]
            .as_str()
            .unwrap()
            .split('`')
            .rfind(|part| part.contains(['/', ':']) && !part.contains(' '));
        images.extend(text.and_then(|text| Reference::parse(text).ok()).map(|image| image.to_string()));
    }
    let mut lock = "version = 1\n".to_owned();
    for image in images {
        let digest = Digest::of(image.as_bytes());
        write!(
            lock,
            "\n[image.\"{image}\"]\ndigest = \"{digest}\"\nmedia-type = \"application/vnd.oci.image.index.v1+json\"\nplatforms = [\"linux/amd64\"]\nsignatures = []\n"
        )
        .unwrap();
    }
    lock
}

/// Cases of our own that have charts.
pub(super) fn own(golden: &Path) -> Vec<PathBuf> {
    let folders =
        |path: &Path| std::fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path());
    let cases = folders(golden).flat_map(|rule| folders(&rule).collect::<Vec<_>>());
    let mut own: Vec<PathBuf> =
        cases.map(|case| case.join("before")).filter(|case| case.join("charts").is_dir()).collect();
    own.sort();
    own
}

/// The folder of each chart that no other contains, with the files of values in it.
pub(super) fn charts(repo: &Folder) -> Vec<(String, Vec<String>)> {
    let files = repo.tree();
    let folders: BTreeSet<&str> = files.keys().filter_map(|path| path.strip_suffix("/Chart.yaml")).collect();
    let is_inner = |folder: &str| {
        folders.iter().any(|other| folder.strip_prefix(*other).is_some_and(|rest| rest.starts_with('/')))
    };
    let of = |folder: &str| {
        let inside = files.keys().filter(|path| path.starts_with(&format!("{folder}/")));
        let values = inside.filter(|path| {
            let name = path.rsplit('/').next().unwrap();
            name.contains("values") && name.ends_with(".yaml") && !path.contains("/templates/")
        });
        values.cloned().collect::<Vec<_>>()
    };
    folders
        .iter()
        .filter(|folder| !is_inner(folder))
        .map(|folder| ((*folder).to_owned(), of(folder)))
        .collect()
}

pub(super) fn render(repo: &Folder, helm: &OsStr, chart: &str, values: &str) -> Result<String, String> {
    let at: PathBuf = repo.path();
    let args = ["template", "release", chart, "-f", values, "--kube-version", "1.34.0"];
    let output = repo.command(&at, &helm.to_string_lossy(), &args).output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn compare(tally: &mut Tally, place: &str, [old, noise, new]: [&str; 3]) {
    if old == new {
        return;
    }
    tally.changed += 1;
    if old.lines().count() != new.lines().count() {
        tally.faults.push(format!("{place} renders another number of lines"));
        return;
    }
    for ((old, noise), new) in old.lines().zip(noise.lines()).zip(new.lines()) {
        if old == new || old != noise {
            continue;
        }
        tally.lines += 1;
        // A checksum follows the file it is taken of.
        if !only_pins(old, new) && !old.trim_start().starts_with("checksum/") {
            tally.faults.push(format!("{place}: `{}` became `{}`", old.trim(), new.trim()));
        }
    }
}

/// Whether two lines differ in images only, each new one being the old one with the digest that the lock has for it.
fn only_pins(old: &str, new: &str) -> bool {
    let words = |line: &str| -> Vec<String> {
        line.split(|c: char| c.is_whitespace() || "\"'=,".contains(c)).map(str::to_owned).collect()
    };
    let (old, new) = (words(old), words(new));
    old.len() == new.len()
        && old.iter().zip(&new).filter(|(old, new)| old != new).all(|(old, new)| {
            let (Ok(old), Ok(new)) = (Reference::parse(old), Reference::parse(new)) else { return false };
            let digest = Digest::of(old.to_string().as_bytes());
            new.name() == old.name()
                && new.digest() == Some(&digest)
                && (new.tag().is_none() || new.tag() == old.tag())
        })
}
