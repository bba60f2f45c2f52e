//! The texts of all formats as they were reviewed: `golden/formats/`, rewritten by `UPDATE_GOLDEN=1`.

use std::path::Path;

use super::{POD_RULES, shown, small};

#[test]
fn formats_are_as_reviewed() {
    let folder = small();
    let mut faults = Vec::new();
    for (name, command, format) in [
        ("check.sarif", "check", "sarif"),
        ("check.rdjson", "check", "rdjson"),
        ("check.rdjsonl", "check", "rdjsonl"),
        ("check.gitlab.json", "check", "gitlab"),
        ("check.github.txt", "check", "github"),
        ("check.md", "check", "markdown"),
        ("diff.sarif", "diff", "sarif"),
        ("diff.rdjson", "diff", "rdjson"),
        ("diff.md", "diff", "markdown"),
        ("diff.json-patch.jsonl", "diff", "json-patch"),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/formats").join(name);
        let text = without_rules(&shown(&folder, &[command, "--format", format, POD_RULES]));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        if expected != text {
            let diff = similar::TextDiff::from_lines(&expected, &text);
            faults.push(format!("{name}:\n{}", diff.unified_diff().context_radius(2)));
        }
    }
    assert!(faults.is_empty(), "UPDATE_GOLDEN=1 rewrites them\n{}", faults.join("\n"));
}

/// SARIF describes all rules there are, which is reviewed as the pages of `explain`.
fn without_rules(text: &str) -> String {
    let mut shown = String::new();
    for line in text.lines() {
        let line = match line.split_once("\"rules\":[") {
            Some((head, _)) if line.starts_with("\"tool\"") => format!("{head}\"rules\":[…]}}}},"),
            _ => match line.split_once(",\"ruleIndex\":") {
                Some((head, rest)) => {
                    let rest = rest.trim_start_matches(|char: char| char.is_ascii_digit());
                    format!("{head}{rest}")
                }
                None => line.to_owned(),
            },
        };
        shown.push_str(&line);
        shown.push('\n');
    }
    shown
}
