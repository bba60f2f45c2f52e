//! One row for each finding: SARIF, reviewdog's formats, GitLab's report, GitHub's annotations.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{DEPLOYMENT, POD_RULES, json, shown, small};
use crate::cli::shop;
use crate::program::Folder;

const PATH: &str = "apps/web app.yaml";

fn results(log: &Value) -> &Vec<Value> {
    log["runs"][0]["results"].as_array().unwrap()
}

/// Offset of a line and column, both from 1, where columns count as `unit` says.
fn offset(text: &str, line: &Value, column: &Value, unit: fn(char) -> usize) -> usize {
    let (line, column) = (line.as_u64().unwrap() as usize, column.as_u64().unwrap() as usize);
    let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let mut left = column - 1;
    let mut at = start;
    for char in text[start..].chars() {
        if left == 0 {
            break;
        }
        left -= unit(char);
        at += char.len_utf8();
    }
    at
}

/// The file with the fix of one result.
fn fixed(text: &str, result: &Value) -> Option<String> {
    let change = &result.get("fixes")?[0]["artifactChanges"][0];
    assert_eq!(change["artifactLocation"]["uri"], "apps/web%20app.yaml");
    let mut edits: Vec<(usize, usize, &str)> = Vec::new();
    for replacement in change["replacements"].as_array().unwrap() {
        let region = &replacement["deletedRegion"];
        let place = |line, column| offset(text, &region[line], &region[column], char::len_utf16);
        let inserted = replacement["insertedContent"]["text"].as_str().unwrap();
        edits.push((place("startLine", "startColumn"), place("endLine", "endColumn"), inserted));
    }
    let mut fixed = text.to_owned();
    for (start, end, inserted) in edits.into_iter().rev() {
        fixed.replace_range(start..end, inserted);
    }
    Some(fixed)
}

fn fingerprints(log: &Value) -> Vec<String> {
    let ids =
        results(log).iter().map(|result| result["partialFingerprints"]["primaryLocationLineHash"].as_str());
    ids.map(|id| id.unwrap().to_owned()).collect()
}

#[test]
fn each_sarif_fix_settles_its_finding_alone() {
    let log = json(&small(), &["check", "--format", "sarif", POD_RULES]);
    let mut n_fixed = 0;
    for result in results(&log) {
        let Some(text) = fixed(DEPLOYMENT, result) else { continue };
        n_fixed += 1;
        let after = json(&Folder::committed(&[(PATH, &text)]), &["check", "--format", "sarif", POD_RULES]);
        let id = result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap();
        assert!(!fingerprints(&after).iter().any(|left| left == id), "{result} is still found in\n{text}");
        assert_eq!(results(&after).len() + 1, results(&log).len(), "{result} settles others:\n{text}");
    }
    assert!(n_fixed >= 5, "{n_fixed} fixes");
}

#[test]
fn suggestions_and_sarif_fixes_make_the_same_text() {
    let folder = small();
    let log = json(&folder, &["diff", "--format", "sarif", POD_RULES]);
    let report = json(&folder, &["diff", "--format", "rdjson", POD_RULES]);
    let diagnostics = report["diagnostics"].as_array().unwrap();
    assert_eq!(diagnostics.len(), results(&log).len());
    let mut n_suggested = 0;
    for (diagnostic, result) in diagnostics.iter().zip(results(&log)) {
        assert_eq!(diagnostic["code"]["value"], result["ruleId"]);
        let Some(suggestion) = diagnostic.get("suggestions").map(|list| &list[0]) else { continue };
        n_suggested += 1;
        let line = |end: &str| suggestion["range"][end]["line"].as_u64().unwrap() as usize;
        let mut lines: Vec<&str> = DEPLOYMENT.split_inclusive('\n').collect();
        let text = format!("{}\n", suggestion["text"].as_str().unwrap());
        lines.splice(line("start") - 1..line("end"), [text.as_str()]);
        assert_eq!(Some(lines.concat()), fixed(DEPLOYMENT, result), "{suggestion}");
    }
    assert!(n_suggested >= 5, "{n_suggested} suggestions");
}

#[test]
fn the_lines_of_rdjsonl_are_the_diagnostics_of_rdjson() {
    let folder = small();
    let report = json(&folder, &["check", "--format", "rdjson", POD_RULES]);
    let lines = shown(&folder, &["check", "--format", "rdjsonl", POD_RULES]);
    let mut lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        let source = line.as_object_mut().unwrap().remove("source");
        assert_eq!(source.unwrap()["name"], "caseharden");
    }
    assert_eq!(report["diagnostics"], Value::Array(lines));
}

#[test]
fn columns_count_what_each_format_counts() {
    let folder = Folder::committed(&[(
        PATH,
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"ü😀\"},\"spec\":{\"containers\":[{\"name\":\"a\",\
         \"image\":\"x\"}]}}\n",
    )]);
    let select = "--select=privilege-escalation-allowed";
    let text = folder.read(PATH);
    let at = text.find("{\"name\":\"a\"").unwrap();
    let utf16 = text[..at].encode_utf16().count() + 1;
    let log = json(&folder, &["check", "--format", "sarif", select]);
    assert_eq!(results(&log)[0]["locations"][0]["physicalLocation"]["region"]["startColumn"], utf16);
    let report = json(&folder, &["check", "--format", "rdjson", select]);
    assert_eq!(report["diagnostics"][0]["location"]["range"]["start"]["column"], at + 1);
}

#[test]
fn fingerprints_outlive_moved_lines_and_further_containers() {
    let before = fingerprints(&json(&small(), &["check", "--format", "sarif", POD_RULES]));
    let moved = DEPLOYMENT.replace("# Serves", "# a\n# b\n\n# Serves").replace(
        "      containers:\n        - name: web",
        "      containers:\n        - {name: first, image: x}\n        - name: web",
    );
    let folder = Folder::committed(&[(PATH, &moved)]);
    let after: BTreeSet<String> =
        fingerprints(&json(&folder, &["check", "--format", "sarif", POD_RULES])).into_iter().collect();
    let lost: Vec<&String> = before.iter().filter(|id| !after.contains(*id)).collect();
    assert!(lost.is_empty(), "{} of {} are lost", lost.len(), before.len());
    assert!(after.len() > before.len());
    let distinct: BTreeSet<&String> = before.iter().collect();
    assert_eq!(distinct.len(), before.len());
}

#[test]
fn sarif_is_whole_when_nothing_is_found_or_a_file_is_broken() {
    let log = json(&Folder::committed(&[("a.txt", "")]), &["check", "--format", "sarif"]);
    assert_eq!(results(&log).len(), 0);
    assert_eq!(log["runs"][0]["invocations"][0]["executionSuccessful"], true);
    let folder = Folder::committed(&[("bad.yaml", "apiVersion: v1\nkind: Pod\n  bad: [\n")]);
    let log: Value = folder.run(&["check", "--format", "sarif"]).expect_code(2).json();
    let invocation = &log["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let place = &invocation["toolExecutionNotifications"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "bad.yaml");
}

#[test]
fn sarif_describes_every_rule_it_names() {
    let log = json(&shop(), &["check", "--format", "sarif"]);
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    for result in results(&log) {
        let rule = &rules[result["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(rule["help"]["markdown"].as_str().unwrap().contains("## What could break"));
    }
}

#[test]
fn gitlab_gets_what_its_documentation_asks_for() {
    for folder in [small(), shop()] {
        let report = json(&folder, &["check", "--format", "gitlab"]);
        let issues = report.as_array().unwrap();
        assert!(!issues.is_empty());
        let mut seen = BTreeSet::new();
        for issue in issues {
            let keys: Vec<&str> = issue.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys, ["description", "check_name", "fingerprint", "severity", "location"]);
            assert!(
                ["info", "minor", "major", "critical", "blocker"]
                    .iter()
                    .any(|known| issue["severity"] == *known)
            );
            assert!(seen.insert(issue["fingerprint"].as_str().unwrap()), "{issue} is there twice");
            assert!(issue["location"]["lines"]["begin"].as_u64().unwrap() >= 1);
            let path = issue["location"]["path"].as_str().unwrap();
            assert!(!path.starts_with("./") && !path.starts_with('/'), "{path}");
        }
    }
    assert_eq!(
        shown(&Folder::committed(&[("a.txt", "")]), &["check", "--format", "gitlab"]).trim(),
        "[\n  \n]"
    );
}

#[test]
fn annotations_are_commands_and_nothing_else() {
    let text = shown(&small(), &["check", "--format", "github", POD_RULES]);
    assert!(text.lines().count() >= 5);
    for line in text.lines() {
        let (level, rest) = line.strip_prefix("::").unwrap().split_once(' ').unwrap();
        assert!(["error", "warning", "notice"].contains(&level), "{line}");
        let (properties, message) = rest.split_once("::").unwrap();
        let properties: Vec<(&str, &str)> =
            properties.split(',').map(|property| property.split_once('=').unwrap()).collect();
        let names: Vec<&str> = properties.iter().map(|property| property.0).collect();
        assert_eq!(names, ["file", "line", "col", "title"]);
        assert_eq!(properties[0].1, PATH);
        assert!(!message.is_empty());
    }
}

#[test]
fn diff_shows_only_what_it_would_do() {
    let folder = small();
    let fixable =
        |log: &Value| results(log).iter().filter(|result| result["properties"]["fix"] == "planned").count();
    let check = json(&folder, &["check", "--format", "sarif", POD_RULES]);
    let diff = json(&folder, &["diff", "--format", "sarif", POD_RULES]);
    assert!(results(&check).len() > results(&diff).len());
    assert_eq!(fixable(&check), results(&diff).len());
    let safe = json(&folder, &["diff", "--format", "sarif", "--level", "safe", POD_RULES]);
    assert!(results(&safe).iter().all(|result| result["properties"]["safety"] == "safe"));
}
