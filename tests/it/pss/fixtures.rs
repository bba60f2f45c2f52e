//! Upstream's own fixtures, read from `$CASEHARDEN_CORPORA/../pss/LEVEL/VERSION/{pass,fail}/CHECKnn.yaml`.

use std::fs;
use std::path::{Path, PathBuf};

use caseharden::pss::{self, Level, Pod, Version, check, checks, evaluate};
use serde_json::Value;

#[test]
fn agrees_with_upstream_fixtures() {
    let Some(corpora) = std::env::var_os("CASEHARDEN_CORPORA") else {
        eprintln!("skipped: CASEHARDEN_CORPORA is not set");
        return;
    };
    let root = PathBuf::from(corpora).join("../pss");
    let mut n_fixtures = 0;
    for level in [Level::Baseline, Level::Restricted] {
        for folder in list(&root.join(level.as_str())) {
            let version = Version::parse_label(file_name(&folder)).expect("folders are named for versions");
            for file in list(&folder.join("pass")) {
                assert_eq!(violated(&file, level, version), [""; 0], "{}", file.display());
                n_fixtures += 1;
            }
            for file in list(&folder.join("fail")) {
                let about = check_of(&file);
                let mut found = violated(&file, level, version);
                found.retain(|id| !companions(about).contains(id));
                assert_eq!(found, [asked_instead(about, level, version)], "{}", file.display());
                n_fixtures += 1;
            }
        }
    }
    eprintln!("{n_fixtures} fixtures");
    assert!(n_fixtures > 0, "no fixtures below {}", root.display());
}

fn violated(file: &Path, level: Level, version: Version) -> Vec<&'static str> {
    let text = fs::read_to_string(file).expect("fixtures are readable");
    let object: Value = serde_yaml::from_str(&text).expect("fixtures are YAML");
    let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
    // Upstream sends its fixtures through an API server.
    let pod = Pod::new(annotations, &object["spec"]).with_default_volumes();
    evaluate(&pod, level, version).iter().map(|violation| violation.check).collect()
}

/// The check that a fixture is about: its file name is the id in lower case, and a number.
fn check_of(file: &Path) -> &'static pss::Check {
    let name = file.file_stem().and_then(|name| name.to_str()).expect("fixtures have plain names");
    let id = name.trim_end_matches(|digit: char| digit.is_ascii_digit());
    checks().iter().find(|check| check.id.to_lowercase() == id).expect("fixtures are named for checks")
}

/// Checks that a pod cannot but fail as well, because the API server refuses other combinations.
fn companions(about: &pss::Check) -> &'static [&'static str] {
    match about.id {
        "privileged" => &["allowPrivilegeEscalation"],
        "windowsHostProcess" => &["hostNamespaces"],
        _ => &[],
    }
}

/// The check's id, or the id of the one that replaces it at `level`.
fn asked_instead(about: &'static pss::Check, level: Level, version: Version) -> &'static str {
    let replaces = |check: &&pss::Check| {
        check.level <= level && check.revision(version).is_some() && check.overrides == Some(about.id)
    };
    let asked = checks().iter().find(replaces).unwrap_or(about);
    check(asked.id).expect("ids of the table are found").id
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("folders are readable").path()).collect();
    paths.sort();
    paths
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("fixtures have plain names")
}
