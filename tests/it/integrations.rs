//! `integrations/` fits the program: problem matchers read what it prints, hooks run commands that there are. What
//! other programs make of them is `tests/real/integrations`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use caseharden::cli::Cli;
use clap::Parser;
use regex_automata::meta::Regex;
use serde_json::Value;

use crate::cli::shop;
use crate::program::Folder;

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Path, line, column and rule.
type Place = (String, u64, u64, String);

/// What a matcher of two patterns, the second one repeated, finds in some lines: a line that is neither ends it.
fn matched(matcher: &Value, output: &str) -> BTreeSet<Place> {
    let pattern = |idx: usize| Regex::new(matcher["pattern"][idx]["regexp"].as_str().unwrap()).unwrap();
    let (heading, finding) = (pattern(0), pattern(1));
    let group = |line: &str, regex: &Regex, group: u64| {
        let mut captures = regex.create_captures();
        regex.captures(line, &mut captures);
        captures.get_group(usize::try_from(group).unwrap()).map(|span| line[span.start..span.end].to_owned())
    };
    let number = |idx: usize, key: &str| matcher["pattern"][idx][key].as_u64().unwrap();
    assert_eq!(matcher["pattern"][1]["loop"], true);
    let (mut found, mut file) = (BTreeSet::new(), None);
    for line in output.lines() {
        let part = |key| group(line, &finding, number(1, key));
        match (&file, part("line"), part("column"), part("code")) {
            (Some(file), Some(at), Some(column), Some(code)) => {
                assert!(part("message").is_some_and(|message| !message.contains('[')), "{line}");
                found.insert((String::clone(file), at.parse().unwrap(), column.parse().unwrap(), code));
            }
            _ => file = group(line, &heading, number(0, "file")),
        }
    }
    found
}

#[test]
fn problem_matchers_find_what_check_finds() {
    let github: Value = serde_json::from_str(&text("integrations/github/problem-matcher.json")).unwrap();
    let tasks: Value = serde_json::from_str(&text("integrations/vscode/tasks.json")).unwrap();
    let task = &tasks["tasks"][0];
    let folder = shop();
    // Findings of all severities, of files with odd names, and of new files.
    folder.write("a b (1):2.yaml", folder.read("base/web.yaml"));
    let report = folder.run(&["check", "--format", "json"]).json();
    let expected: BTreeSet<Place> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            let text = |key: &str| finding[key].as_str().unwrap().to_owned();
            let number = |key: &str| finding[key].as_u64().unwrap();
            (text("path"), number("line"), number("column"), text("rule"))
        })
        .collect();
    assert!(expected.len() > 30);
    let command = task["command"].as_str().unwrap();
    let args: Vec<&str> = command.split(' ').skip(1).collect();
    for (matcher, args) in
        [(&github["problemMatcher"][0], &["check", "--quiet"][..]), (&task["problemMatcher"], &args)]
    {
        let output = folder.run(args).expect_code(1).stdout;
        assert_eq!(matched(matcher, &output), expected, "{args:?}");
    }
}

#[test]
fn hooks_run_commands_that_there_are() {
    let hooks: Vec<Value> = serde_yaml::from_str(&text(".pre-commit-hooks.yaml")).unwrap();
    assert_eq!(hooks.len(), 4);
    for hook in hooks {
        let entry = hook["entry"].as_str().unwrap();
        assert!(Cli::try_parse_from(entry.split(' ').chain(["apps/web.yaml"])).is_ok(), "{entry}");
    }
}

#[test]
#[cfg(unix)]
fn a_plugin_of_kubectl_says_how_it_is_called() {
    let folder = Folder::new();
    let plugin = folder.path().join("kubectl-caseharden");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_caseharden"), &plugin).unwrap();
    let run = |program: &str| folder.run_in(&folder.path(), program, &["diff", "--help"], b"").stdout;
    let as_plugin = run(&plugin.to_string_lossy());
    assert!(as_plugin.contains("Usage: kubectl caseharden diff [OPTIONS]"), "{as_plugin}");
    assert!(run(env!("CARGO_BIN_EXE_caseharden")).contains("Usage: caseharden diff [OPTIONS]"));
}
