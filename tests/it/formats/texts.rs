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
        ("diff.side-by-side.txt", "diff", "side-by-side"),
        ("diff.html.data.txt", "diff", "html"),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/formats").join(name);
        let text = shown(&folder, &[command, "--format", format, POD_RULES]);
        let text = if format == "html" { files_of_page(&text) } else { without_rules(&text) };
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

/// What a page knows of files; the page itself is the template's, which a browser tests.
fn files_of_page(page: &str) -> String {
    let files = page
        .lines()
        .filter_map(|line| line.strip_prefix("<script type=\"application/json\" class=\"file\">"));
    files.map(|line| format!("{}\n", line.strip_suffix("</script>").unwrap())).collect()
}

#[test]
fn the_page_is_whole_and_its_data_no_markup() {
    let page = shown(&small(), &["diff", "--format", "html"]);
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    assert!(!page.contains("{{") && !page.contains("hunter2"));
    let blocks: Vec<&str> = page.split("<script type=\"application/json\"").skip(1).collect();
    assert!(blocks.len() >= 2);
    for block in blocks {
        let data = block.split_once('>').unwrap().1.split_once("</script>").unwrap().0;
        assert!(!data.contains(['<', '>', '&']), "{data}");
        serde_json::from_str::<serde_json::Value>(data).unwrap();
    }
}

#[test]
fn a_narrow_terminal_gets_no_two_columns() {
    let folder = super::super::cli::shop();
    let shown = |columns: &str, format: &str| {
        let args = ["diff", "-q", "--format", format];
        let mut command = folder.command(&folder.path(), env!("CARGO_BIN_EXE_caseharden"), &args);
        String::from_utf8(command.env("COLUMNS", columns).output().unwrap().stdout).unwrap()
    };
    assert_eq!(shown("79", "side-by-side"), shown("79", "unified"));
    assert!(shown("80", "side-by-side").contains('│'));
}
