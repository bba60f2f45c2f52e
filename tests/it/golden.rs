//! A folder is a test: `golden/<rule>/<case>/` holds `before/`, the diff that is expected, and sometimes a
//! `config.toml`, `args`, `diff-args`, or `expected.txt` (what `check` says where a finding has no fix). A folder that is not
//! named after a rule runs all of them. `UPDATE_GOLDEN=1` rewrites what is expected; review it.
//!
//! What must hold for every case is asserted here and not in the cases: git and patch take the diff, it says
//! what `apply` does, a second run wants nothing, comments stay, and no line goes without a reason.

mod lines;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use caseharden::rules;
use rayon::prelude::*;

use crate::program::{Folder, tree};

struct Case {
    /// `runs-as-root/adds-missing-block`.
    name: String,
    path: PathBuf,
    /// The rule its folder is named after.
    rule: Option<&'static str>,
    /// What every command of the case gets.
    args: Vec<String>,
    /// What `diff` gets, beside these.
    diff_args: Vec<String>,
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// Every folder that holds a `before`.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut open = vec![golden()];
    while let Some(folder) = open.pop() {
        if folder.join("before").is_dir() {
            cases.push(Case::new(folder));
            continue;
        }
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        open.extend(entries.filter(|path| path.is_dir()));
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

impl Case {
    fn new(path: PathBuf) -> Case {
        let name = path.strip_prefix(golden()).unwrap().to_str().unwrap().replace('\\', "/");
        let rule = rules::find(name.split('/').next().unwrap()).map(|rule| rule.id);
        // Whether an allow matches nothing can be said only when all rules were asked.
        let asked = rule.filter(|id| !id.starts_with("allow-"));
        let args = match fs::read_to_string(path.join("args")) {
            Ok(args) => args.split_whitespace().map(str::to_owned).collect(),
            Err(_) => asked.into_iter().flat_map(|id| ["--select".to_owned(), id.to_owned()]).collect(),
        };
        let diff_args = fs::read_to_string(path.join("diff-args")).unwrap_or_default();
        let diff_args = diff_args.split_whitespace().map(str::to_owned).collect();
        Case { name, path, rule, args, diff_args }
    }

    fn repo(&self) -> Folder {
        let folder = Folder::new();
        for (path, bytes) in tree(&self.path.join("before")) {
            folder.write(&path, bytes);
        }
        if let Ok(config) = fs::read(self.path.join("config.toml")) {
            folder.write("caseharden.toml", config);
        }
        // No commit: nothing here asks what changed since.
        folder.git(&["init", "--quiet", "--template="]);
        folder
    }

    /// Arguments of `command` for this case.
    fn command<'a>(&'a self, command: &[&'a str]) -> Vec<&'a str> {
        command.iter().copied().chain(self.args.iter().map(String::as_str)).collect()
    }

    /// Arguments of `diff` for this case.
    fn diff(&self) -> Vec<&str> {
        let own = self.diff_args.iter().map(String::as_str);
        self.command(&["diff", "-q"]).into_iter().chain(own).collect()
    }

    /// What is expected, or nothing where there is no such file.
    fn expected(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.path.join(file)).ok()
    }

    /// How often the rule of this case fires in it.
    fn n_findings(&self, folder: &Folder) -> usize {
        let report = folder.run(&self.command(&["check", "--format", "json"])).json();
        let findings = report["findings"].as_array().unwrap();
        findings.iter().filter(|finding| self.rule.is_none_or(|id| finding["rule"] == id)).count()
    }

    fn run(&self) -> Result<(), String> {
        let folder = self.repo();
        let run = folder.run(&self.diff());
        let code = i32::from(!run.stdout.is_empty());
        if run.code != code || !run.stderr.is_empty() {
            return Err(format!("diff ended with {} instead of {code}: {}", run.code, run.stderr));
        }
        let findings = self.n_findings(&folder);
        let text = self.checked(&folder);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(self.path.join("expected.diff"), &run.stdout).unwrap();
            let wants_text = run.stdout.is_empty() && findings > 0;
            if wants_text || self.path.join("expected.txt").exists() {
                fs::write(self.path.join("expected.txt"), &text).unwrap();
            }
        }
        same(
            "expected.diff",
            &self.expected("expected.diff").ok_or("there is no expected.diff")?,
            &run.stdout,
        )?;
        match self.expected("expected.txt") {
            Some(expected) => same("expected.txt", &expected, &text)?,
            None if run.stdout.is_empty() && findings > 0 => {
                return Err(format!("it must stay silent, but says:\n{text}"));
            }
            None => {}
        }
        self.hold_invariants(&folder, &run.stdout)
    }

    /// What `check` says, without the place it was run in.
    fn checked(&self, folder: &Folder) -> String {
        let text = folder.run(&self.command(&["check", "-q"])).stdout;
        text.replace(&format!("{}/", folder.path().display()), "")
    }

    fn hold_invariants(&self, folder: &Folder, diff: &str) -> Result<(), String> {
        let before = folder.tree();
        let applied = self.repo();
        let run = applied.run(&self.command(&["apply", "-q", "--allow-dirty"]));
        if run.code != 0 {
            return Err(format!("apply ended with {}: {}", run.code, run.stderr));
        }
        let after = applied.tree();
        if diff.is_empty() {
            return if after == before { Ok(()) } else { Err("apply wrote without a diff".to_owned()) };
        }
        for (program, args) in [("git", &["apply", "-"][..]), ("patch", &["--binary", "-s", "-p1"])] {
            let copy = self.repo();
            let run = copy.run_in(&copy.path(), program, args, diff.as_bytes());
            if run.code != 0 {
                return Err(format!("{program} refuses the diff: {}{}", run.stdout, run.stderr));
            }
            if copy.tree() != after {
                return Err(format!("{program} makes other files of the diff than apply writes"));
            }
        }
        let again = applied.run(&self.diff());
        if again.code != 0 || !again.stdout.is_empty() {
            return Err(format!("a second run wants more:\n{}{}", again.stdout, again.stderr));
        }
        self.safe_means_safe(folder)?;
        lines::comments_survive(&before, &after)?;
        // What takes the place of a whole document may have lines of it.
        if self.diff_args.is_empty() { lines::only_changed_lines_go(diff) } else { Ok(()) }
    }

    /// `--level safe` shows no fix that wants a review.
    fn safe_means_safe(&self, folder: &Folder) -> Result<(), String> {
        let run = folder.run(&self.command(&["diff", "--level", "safe"]));
        match run.stdout.lines().find(|line| line.starts_with("# line ") && line.contains(" (review): ")) {
            Some(line) => Err(format!("`--level safe` shows {line}")),
            None => Ok(()),
        }
    }
}

fn same(what: &str, expected: &str, found: &str) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    let diff = similar::TextDiff::from_lines(expected, found);
    Err(format!("not as in {what}:\n{}", diff.unified_diff().context_radius(3).header("expected", "found")))
}

#[test]
fn every_case_holds() {
    let failures: Vec<String> = cases()
        .par_iter()
        .filter_map(|case| case.run().err().map(|reason| format!("golden/{}: {reason}", case.name)))
        .collect();
    assert!(failures.is_empty(), "{}\n\n{} cases failed", failures.join("\n\n"), failures.len());
}

#[test]
fn every_rule_has_a_case_that_fires_and_one_that_stays_silent() {
    let mut fires: BTreeMap<&str, BTreeSet<bool>> = BTreeMap::new();
    for case in cases() {
        if let Some(rule) = case.rule {
            fires.entry(rule).or_default().insert(case.n_findings(&case.repo()) > 0);
        }
    }
    let both = BTreeSet::from([true, false]);
    let lacking: Vec<&str> = rules::all()
        .map(|rule| rule.id)
        .filter(|id| fires.get(id).is_none_or(|found| *found != both))
        .collect();
    assert!(lacking.is_empty(), "rules without a firing and a silent case: {}", lacking.join(", "));
}

#[test]
fn every_folder_is_a_case_or_known() {
    for entry in fs::read_dir(golden()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = rules::find(&name).is_some()
            || [
                "builds",
                "shop",
                "traps",
                "text",
                "repo",
                "rbac",
                "charts",
                "help",
                "generate",
                "formats",
                ".gitattributes",
            ]
            .contains(&name.as_str());
        assert!(known, "golden/{name} is named after no rule");
    }
}
