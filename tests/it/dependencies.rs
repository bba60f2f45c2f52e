//! Keeps the number of dependencies in view: each one is code that somebody has to trust.

/// Locked packages, this one and those for tests counted. Raise it with the reason in the commit.
const AT_MOST: usize = 176;

#[test]
fn locked_packages_stay_few() {
    let lock: toml::Table = include_str!("../../Cargo.lock").parse().unwrap();
    let packages = lock["package"].as_array().unwrap().len();
    assert!(packages <= AT_MOST, "{packages} packages are locked, {AT_MOST} are allowed");
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest = include_str!("../../Cargo.toml");
    let parsed: toml::Table = manifest.parse().unwrap();
    let lines: Vec<&str> = manifest.lines().collect();
    let mut lacking = Vec::new();
    for table in ["dependencies", "dev-dependencies"] {
        let start = lines.iter().position(|line| *line == format!("[{table}]")).unwrap();
        for name in parsed[table].as_table().unwrap().keys() {
            let is_it = |line: &&str| line.split(['=', '.']).next().is_some_and(|key| key.trim() == name);
            let at = start + lines[start..].iter().position(is_it).unwrap();
            // Lines that follow one another share the comment above the first.
            let above = lines[start..at].iter().rev().find(|line| line.starts_with('#') || line.is_empty());
            if above.is_none_or(|line| line.is_empty()) {
                lacking.push(name);
            }
        }
    }
    assert!(lacking.is_empty(), "no comment above {lacking:?}");
}
