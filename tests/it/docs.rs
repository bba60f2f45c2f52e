//! `docs/` says what is so: a page for each rule, as `explain` prints it, and an index of all there is.
//!
//! `UPDATE_GOLDEN=1` rewrites the pages of rules.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use caseharden::rules;

use crate::program::Folder;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

const PREFACE: &str = "\
<!-- Written from the code by `UPDATE_GOLDEN=1 cargo test --test it docs::`: change the rule, not this page. -->
";

/// The pages by file name, as they should be.
fn pages() -> BTreeMap<String, String> {
    let folder = Folder::new();
    let mut pages = BTreeMap::new();
    let mut index = format!("{PREFACE}\n# Rules\n\n`caseharden explain RULE` prints the same pages.\n");
    let mut area = None;
    for rule in rules::all() {
        if area != Some(rule.area) {
            area = Some(rule.area);
            index.push_str(&format!("\n## {}\n\n| rule | severity | |\n|---|---|---|\n", rule.area.id()));
        }
        let (id, severity) = (rule.id, rule.severity.id());
        index.push_str(&format!("| [`{id}`]({id}.md) | {severity} | {} |\n", rule.summary()));
        let page = folder.run(&["explain", id]).expect_code(0).stdout;
        pages.insert(format!("{id}.md"), format!("{PREFACE}\n{page}"));
    }
    pages.insert("README.md".to_owned(), index);
    pages
}

#[test]
fn every_rule_has_its_page_and_no_page_is_of_another_time() {
    let folder = docs().join("rules");
    let expected = pages();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in &expected {
            fs::write(folder.join(name), text).unwrap();
        }
    }
    let found = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).map(|path| {
        (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap())
    });
    let found: BTreeMap<String, String> = found.collect();
    let names = |pages: &BTreeMap<String, String>| pages.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&expected), "UPDATE_GOLDEN=1 rewrites them");
    for (name, text) in &expected {
        assert_eq!(found.get(name), Some(text), "{name}: UPDATE_GOLDEN=1 rewrites it");
    }
}

/// Targets of links to files, of a page in `docs/`.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target).filter(|target| !target.contains("://")).collect()
}

#[test]
fn the_index_names_every_page_and_nothing_else() {
    let index = fs::read_to_string(docs().join("README.md")).unwrap();
    let links = links(&index);
    for target in &links {
        let path = docs().join(target.split('#').next().unwrap());
        assert!(path.exists(), "docs/README.md leads to {target}, which is not there");
    }
    for entry in fs::read_dir(docs()).unwrap().map(|entry| entry.unwrap()) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_named = links.iter().any(|target| target.split('/').next() == Some(&name));
        assert!(name == "README.md" || is_named, "docs/README.md does not name {name}");
    }
}
