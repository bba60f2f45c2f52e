//! JSON Patch: what a patch makes of an object is what `apply` makes of it, in every golden case.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;
use serde_json::Value;

use super::{POD_RULES, shown, small};
use crate::program::{Folder, tree};

type Key = (String, String, String, String);

/// Every object of the repo by path, kind, namespace and name.
fn objects(folder: &Folder) -> BTreeMap<Key, Value> {
    let mut found = BTreeMap::new();
    for (path, bytes) in folder.tree() {
        let Ok(stream) = caseharden::yaml::Stream::parse(
            String::from_utf8_lossy(&bytes).into_owned(),
            &Default::default(),
        ) else {
            continue;
        };
        for root in (0..stream.documents()).filter_map(|document| stream.root(document)) {
            let Ok(value) = root.value() else { continue };
            collect(&path, value, &mut found);
        }
    }
    found
}

fn collect(path: &str, value: Value, found: &mut BTreeMap<Key, Value>) {
    if let Some(items) = value.get("items").and_then(Value::as_array) {
        items.iter().for_each(|item| collect(path, item.clone(), found));
        return;
    }
    let text = |pointer| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let key = (path.to_owned(), text("/kind"), text("/metadata/namespace"), text("/metadata/name"));
    found.insert(key, value);
}

fn check(folder: &Folder, args: &[&str]) -> Result<usize, String> {
    let run = folder.run(&[&["diff", "--format", "json-patch"], args].concat());
    let mut all = objects(folder);
    let before = all.clone();
    let mut n_patches = 0;
    for line in run.stdout.lines() {
        let line: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let text = |pointer| line.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let key = (text("/path"), text("/object/kind"), text("/object/namespace"), text("/object/name"));
        // Files that are no objects (kustomizations, values) have no name to be found by.
        let Some(object) = all.get_mut(&key) else { continue };
        let patch: json_patch::Patch = serde_json::from_value(line["patch"].clone()).unwrap();
        json_patch::patch(object, &patch).map_err(|error| format!("{key:?}: {error}"))?;
        if before[&key] == *object {
            return Err(format!("{key:?}: the patch changes nothing"));
        }
        n_patches += 1;
    }
    let whole = !run.stderr.contains("left out");
    folder.run(&[&["apply", "-q", "--allow-dirty"], args].concat());
    let after = objects(folder);
    for (key, patched) in all.iter().filter(|_| whole) {
        if before.get(key) != Some(patched) && after.get(key) != Some(patched) {
            return Err(format!("{key:?} is patched to\n{patched:#}\nand applied to\n{:#}", after[key]));
        }
    }
    Ok(n_patches)
}

#[test]
fn patches_make_what_apply_makes() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut cases = Vec::new();
    for rule in std::fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path()) {
        let entries = std::fs::read_dir(&rule).into_iter().flatten().map(|entry| entry.unwrap().path());
        cases.extend(entries.filter(|path| path.join("before").is_dir()));
    }
    let results: Vec<Result<usize, String>> = cases
        .par_iter()
        .map(|case| {
            let folder = Folder::new();
            for (path, bytes) in tree(&case.join("before")) {
                folder.write(&path, bytes);
            }
            check(&folder, &[]).map_err(|reason| format!("{}: {reason}", case.display()))
        })
        .collect();
    let faults: Vec<&String> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    let n_patches: usize = results.iter().flatten().sum();
    assert!(n_patches > 100, "{n_patches} patches");
}

#[test]
fn a_patch_refuses_another_object() {
    let text = shown(&small(), &["diff", "--format", "json-patch", POD_RULES]);
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let patch: json_patch::Patch = serde_json::from_value(line["patch"].clone()).unwrap();
    let object = objects(&small()).into_values().find(|object| object["kind"] == "Deployment").unwrap();
    assert!(json_patch::patch(&mut object.clone(), &patch).is_ok());
    for (pointer, other) in [
        ("/metadata/name", "api"),
        ("/spec/template/spec/containers/0/name", "sidecar"),
        ("/spec/template/spec/containers/0/securityContext/allowPrivilegeEscalation", "yes"),
    ] {
        let mut other_object = object.clone();
        *other_object.pointer_mut(pointer).unwrap() = other.into();
        assert!(json_patch::patch(&mut other_object, &patch).is_err(), "{pointer} is not tested");
    }
}

#[test]
fn patches_become_files() {
    let folder = small();
    let run =
        folder.run(&["diff", "--format", "json-patch", "--output-dir", "out", POD_RULES]).expect_code(1);
    let written: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(
        written,
        ["out/apps/web app.yaml/deployment-web-shop.json", "out/apps/web app.yaml/pod-tool.json"]
    );
    for path in written {
        let patch: Value = serde_json::from_str(&folder.read(path)).unwrap();
        assert_eq!(patch[0]["op"], "test");
    }
}
