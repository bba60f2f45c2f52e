//! README.md says what is so: its commands exist, its excerpts are real, its table of rules is the rules.

use caseharden::cli::Cli;
use clap::Parser;

use crate::program::Folder;

const README: &str = include_str!("../../README.md");

/// The lines of all fenced blocks of a language.
fn blocks(language: &str) -> Vec<Vec<&'static str>> {
    let mut blocks = Vec::new();
    let mut lines = README.lines();
    while let Some(line) = lines.next() {
        if line.strip_prefix("```") == Some(language) {
            blocks.push(lines.by_ref().take_while(|line| *line != "```").collect());
        } else if line.starts_with("```") {
            lines.by_ref().find(|line| *line == "```");
        }
    }
    blocks
}

/// The words of a command, up to what belongs to the shell.
fn words(command: &str) -> Vec<&str> {
    let end = |word: &&str| !matches!(*word, "|" | "<" | ">" | ">>" | "&&" | "#" | "2>&1");
    command.split_whitespace().take_while(end).collect()
}

#[test]
fn its_commands_parse() {
    let mut n_commands = 0;
    for line in blocks("sh").into_iter().flatten() {
        for command in line.split(" | ") {
            let words = words(command);
            let args = match words.as_slice() {
                ["caseharden", args @ ..] => args.to_vec(),
                ["cargo", "run", rest @ ..] => {
                    let at = rest.iter().position(|word| *word == "--").unwrap();
                    rest[at + 1..].to_vec()
                }
                _ => continue,
            };
            n_commands += 1;
            if let Err(error) = Cli::try_parse_from(std::iter::once("caseharden").chain(args)) {
                panic!("`{line}`: {error}");
            }
        }
    }
    assert!(n_commands >= 15, "only {n_commands} commands were found");
}

/// Compares without the lines that name the folder the program ran in.
#[test]
fn its_excerpts_are_what_the_commands_print() {
    let shop = super::cli::shop();
    let printed = ["diff", "check"].map(|command| shop.run(&[command]).stdout).concat();
    let printed: Vec<&str> = printed.lines().collect();
    let mut n_blocks = 0;
    for block in blocks("diff").into_iter().chain(blocks("text")) {
        n_blocks += 1;
        for part in block.split(|line| line.trim() == "…") {
            let part: Vec<&str> = part.iter().copied().filter(|line| !line.trim().is_empty()).collect();
            let compact: Vec<&str> = printed.iter().copied().filter(|line| !line.trim().is_empty()).collect();
            let found = part.is_empty() || compact.windows(part.len()).any(|lines| lines == part);
            assert!(found, "nothing prints:\n{}", part.join("\n"));
        }
    }
    assert!(n_blocks >= 2);
}

#[test]
fn its_table_has_all_rules() {
    let table =
        README.split("<!-- rules -->\n").nth(1).and_then(|rest| rest.split("<!-- end of rules -->").next());
    let expected = Folder::new().run(&["rules", "--format", "markdown"]).stdout;
    assert_eq!(table.unwrap().trim(), expected.trim(), "`caseharden rules --format markdown` writes it");
}

#[test]
fn ci_runs_the_test_command() {
    let ci = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/run")).unwrap();
    let quick_start = blocks("sh").remove(0);
    assert_eq!(quick_start.len(), 2, "the quick start has two commands");
    assert!(quick_start[0].ends_with("diff golden/shop/before"));
    assert!(quick_start[1].starts_with("cargo test"));
    assert!(ci.contains(quick_start[1]), "CI does not run `{}`", quick_start[1]);
}
