//! Texts that people read: help, completions, man pages, the configuration and its schema.

use std::path::Path;

use super::soft;
use crate::program::Folder;

const COMMANDS: &[&str] = &[
    "",
    "check",
    "checklist",
    "diff",
    "apply",
    "branch",
    "fleet",
    "overlay",
    "lock",
    "network",
    "network graph",
    "network explain",
    "network diff",
    "network probe",
    "rbac",
    "rbac who-can",
    "rbac show",
    "rbac graph",
    "generate",
    "generate admission",
    "generate pipeline",
    "generate fleet",
    "generate quota",
    "generate limits",
    "generate budgets",
    "generate apiserver",
    "rules",
    "explain",
    "templates",
    "templates list",
    "templates export",
    "init",
    "completions",
    "man",
];

#[test]
fn help_is_as_reviewed() {
    let folder = Folder::new();
    for &command in COMMANDS {
        let name = if command.is_empty() { "caseharden".to_owned() } else { command.replace(' ', "-") };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/help/{name}.txt"));
        let args: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let help = folder.run(&args).expect_code(0).stdout;
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &help).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(help, expected, "{command}: UPDATE_GOLDEN=1 rewrites it");
    }
}

#[test]
fn every_command_has_its_help_reviewed() {
    let listed = Folder::new().run(&["--help"]).stdout;
    let commands = listed.split("Commands:\n").nth(1).unwrap().lines().take_while(|line| !line.is_empty());
    for command in commands.filter_map(|line| line.split_whitespace().next()) {
        assert!(COMMANDS.contains(&command) || command == "help", "no golden help of `{command}`");
    }
}

#[test]
fn completions_know_every_command_in_all_shells() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = Folder::new().run(&["completions", shell]).expect_code(0).stdout;
        for word in ["check", "branch", "--select", "include-generated"] {
            let word = if shell == "fish" { word.trim_start_matches('-') } else { word };
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
    }
}

#[test]
fn man_pages_are_pages() {
    let page = Folder::new().run(&["man"]).expect_code(0).stdout;
    assert!(page.contains(".TH caseharden 1"), "{page}");
    for command in ["check", "diff", "apply", "branch"] {
        assert!(page.contains(command), "no {command} in the page");
    }
}

#[test]
fn init_writes_a_configuration_that_changes_nothing() {
    let folder = soft();
    let before = folder.run(&["diff"]).stdout;
    folder.run(&["init"]).expect_code(0);
    assert_eq!(folder.run(&["diff"]).stdout, before);
    let text = folder.read("caseharden.toml");
    folder.run(&["init"]).expect_code(2);
    assert_eq!(folder.read("caseharden.toml"), text);
}

#[test]
fn every_key_that_init_shows_is_in_the_schema_and_can_be_switched_on() {
    let folder = soft();
    folder.run(&["init"]).expect_code(0);
    let text = folder.read("caseharden.toml");
    let schema = folder.run(&["init", "--schema"]).expect_code(0).json();
    let properties = schema["properties"].as_object().unwrap();
    for key in properties.keys() {
        assert!(text.contains(key.as_str()), "init does not show `{key}`");
    }
    // A line without a blank behind its `#` is one that can be switched on.
    let on: Vec<&str> = text
        .lines()
        .map(|line| {
            line.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' ')).unwrap_or(line)
        })
        .collect();
    folder.write("caseharden.toml", on.join("\n"));
    let run = folder.run(&["check"]).expect_code(1);
    assert!(!run.stderr.contains("error"), "{}", run.stderr);
}

#[test]
fn explain_has_a_page_for_every_rule() {
    let folder = Folder::new();
    for rule in caseharden::rules::all() {
        let page = folder.run(&["explain", rule.id]).expect_code(0).stdout;
        for part in
            [format!("# {}", rule.id).as_str(), "## Why", "## Fix", "## What could break", "## Sources"]
        {
            assert!(page.contains(part), "{}: no {part}", rule.id);
        }
    }
}
