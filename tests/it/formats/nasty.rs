//! Manifests that mean harm: whatever they contain, it is shown and does nothing.

use super::{json, shown};
use crate::program::Folder;

const PATH: &str = "apps/a,b: 100%\u{a0}`x`.yaml";

/// An object whose name is markup, a mention, a link and a command in one.
fn nasty() -> Folder {
    let name = "@everyone #1 !2 http://evil.example </details><script>alert(1)</script> ``` | [x](javascript:1) {0}\\n::error::pwn\\u001b[31m\\u202e";
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: \"{name}\"\n  annotations:\n    note: \"```` </script> @team\"\n\
         spec:\n  containers:\n    - name: \"<b>c</b>\"\n      image: x\n      env:\n        - {{name: API_TOKEN, value: \
         hunter2-Zq81xvv}}\n"
    );
    Folder::committed(&[(PATH, &text)])
}

const CHECKS: [&str; 6] = ["sarif", "rdjson", "rdjsonl", "gitlab", "github", "markdown"];
const DIFFS: [&str; 5] = ["sarif", "rdjson", "rdjsonl", "markdown", "json-patch"];

#[test]
fn no_format_shows_a_secret_or_a_control_character() {
    let folder = nasty();
    for (command, formats) in [("check", &CHECKS[..]), ("check", &["text", "json"]), ("diff", &DIFFS)] {
        for format in formats {
            let text = shown(&folder, &[command, "--format", format]);
            assert!(text.len() > 200, "{command} {format}: {text}");
            assert!(!text.contains("hunter2"), "{command} {format} shows the secret");
            let bad =
                text.chars().find(|char| char.is_control() && !"\n\t".contains(*char) || *char == '\u{202e}');
            assert_eq!(bad, None, "{command} {format}");
        }
    }
}

/// The text without its code: what a forge gives meaning to.
fn outside_of_code(markdown: &str) -> String {
    let mut left = String::new();
    let mut fence: Option<String> = None;
    for line in markdown.lines() {
        let ticks: String = line.chars().take_while(|char| *char == '`').collect();
        match &fence {
            Some(open) if line == open => fence = None,
            Some(_) => {}
            None if ticks.len() >= 3 && !line[ticks.len()..].contains('`') => fence = Some(ticks),
            None => {
                left.push_str(&without_spans(line));
                left.push('\n');
            }
        }
    }
    assert_eq!(fence, None, "a fence is left open");
    left
}

/// Code spans end at a run of as many backticks as they began with; `<code>` at its end tag.
fn without_spans(line: &str) -> String {
    let mut left = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(['`', '<']) {
        left.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(behind) = rest.strip_prefix("<code>") {
            let (code, behind) = behind.split_once("</code>").expect("an end tag");
            assert!(!code.contains('<'), "{code}");
            rest = behind;
            continue;
        }
        if !rest.starts_with('`') {
            left.push('<');
            rest = &rest[1..];
            continue;
        }
        let n_ticks = rest.chars().take_while(|char| *char == '`').count();
        let mut at = n_ticks;
        loop {
            let next = rest[at..].find('`').unwrap_or_else(|| panic!("no end of a code span in {line}"));
            let run = rest[at + next..].chars().take_while(|char| *char == '`').count();
            at += next + run;
            if run == n_ticks {
                break;
            }
        }
        rest = &rest[at..];
    }
    left.push_str(rest);
    left
}

#[test]
fn markdown_gives_no_meaning_to_manifests() {
    for args in [&["diff", "--format", "markdown"][..], &["check", "--format", "markdown"]] {
        let text = shown(&nasty(), args);
        assert!(text.contains("everyone"), "{text}");
        let plain = outside_of_code(&text);
        let markup = ["<details>", "</details>", "<summary>", "</summary>", "<br>", "<sub>", "</sub>"];
        let words = markup.iter().fold(plain.replace("- [ ] ", ""), |text, tag| text.replace(tag, ""));
        for line in words.lines() {
            let line = line.trim_start_matches(['#', ' ']);
            for bad in ["@", "#", "!", "<", ">", "http:", "javascript", "]", "{", ":error"] {
                assert!(!line.contains(bad), "{bad} in {line}");
            }
        }
        assert_eq!(plain.matches("<details>").count(), plain.matches("</details>").count());
    }
}

#[test]
fn markdown_is_cut_between_its_parts() {
    let folder = Folder::new();
    for idx in 0..40 {
        let name = format!("web-{idx}");
        folder.write(
            &format!("{name}.yaml"),
            format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  containers:\n    - {{name: a, image: x}}\n"),
        );
    }
    let whole = shown(&folder, &["diff", "--format", "markdown", "--max-bytes", "1000000"]);
    for limit in [2_000, 4_000, 9_000, 30_000] {
        let text = shown(&folder, &["diff", "--format", "markdown", "--max-bytes", &limit.to_string()]);
        assert!(text.len() <= limit && text.len() > limit / 3, "{} of {limit}", text.len());
        assert!(text.contains("more file"), "nothing says what was left out:\n{text}");
        outside_of_code(&text);
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
        assert!(text.ends_with("</sub>\n"));
        assert!(whole.len() > text.len());
    }
}

#[test]
fn annotations_keep_to_their_line_and_property() {
    let text = shown(&nasty(), &["check", "--format", "github"]);
    for line in text.lines() {
        let (properties, message) =
            line.split_once("::").and_then(|(_, rest)| rest.split_once("::")).unwrap();
        let file = properties.split(',').next().unwrap().split_once("file=").unwrap().1;
        let read = file.replace("%2C", ",").replace("%3A", ":").replace("%25", "%");
        assert_eq!(read, PATH);
        assert!(!message.is_empty());
    }
}

#[test]
fn sarif_gives_no_meaning_to_manifests() {
    let log = json(&nasty(), &["check", "--format", "sarif"]);
    for result in log["runs"][0]["results"].as_array().unwrap() {
        let text = result["message"]["text"].as_str().unwrap();
        assert!(!text.contains("](") && !text.contains("{0}"), "{text}");
        let uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
        assert!(uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"`\"<>\\^{|}:".contains(&byte)), "{uri}");
    }
}
