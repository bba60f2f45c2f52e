//! Real manifests: every file of the folder that `CASEHARDEN_CORPORA` names is read, decoded and edited.
//!
//! Skipped when the variable is not set.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::*;

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() && !path.is_symlink() {
            files(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|wanted| extension == *wanted))
        {
            found.push(path);
        }
    }
}

/// Every text of the corpora, or nothing.
fn corpora() -> Vec<(PathBuf, String)> {
    let Some(directory) = std::env::var_os("CASEHARDEN_CORPORA") else {
        eprintln!("skipped: CASEHARDEN_CORPORA is not set");
        return Vec::new();
    };
    let mut found = Vec::new();
    files(Path::new(&directory), &mut found);
    let texts = found.into_iter().filter_map(|path| {
        let text = String::from_utf8(std::fs::read(&path).ok()?).ok()?;
        Some((path, text))
    });
    texts.collect()
}

struct Last;

impl KeyOrder for Last {
    fn slot(&self, _: &Pointer, _: &[&str], _: &str) -> Slot {
        Slot::Last
    }
}

/// What an independent decoder of YAML 1.2 (with merge keys) makes of a text.
fn decoded(text: &str) -> Option<Vec<serde_yaml::Value>> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| {
            let mut value = serde_yaml::Value::deserialize(document).ok()?;
            value.apply_merge().ok()?;
            Some(value)
        })
        .collect()
}

/// Whether two decoders agree, but for what YAML 1.1 reads differently: words like `yes` and numbers like
/// `0644` or `1_000`, which the other one leaves strings (or reads as decimal).
fn agree(ours: &Value, theirs: &serde_yaml::Value) -> bool {
    use serde_yaml::Value as Theirs;
    match (ours, theirs) {
        (Value::Object(ours), Theirs::Mapping(theirs)) => {
            ours.len() == theirs.len()
                && theirs.iter().all(|(key, value)| {
                    let key = match key {
                        Theirs::String(text) => {
                            resolve::to_key(resolve::untagged(text), text.as_str().into())
                                .map(|as_word| {
                                    if ours.contains_key(&*as_word) { as_word } else { text.as_str().into() }
                                })
                                .unwrap_or_default()
                        }
                        Theirs::Bool(bool) => bool.to_string().into(),
                        Theirs::Number(number) => number.to_string().into(),
                        _ => return false,
                    };
                    ours.get(&*key).is_some_and(|ours| agree(ours, value))
                })
        }
        (Value::Array(ours), Theirs::Sequence(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| agree(ours, theirs))
        }
        (ours, Theirs::Tagged(theirs)) => agree(ours, &theirs.value),
        (Value::Null, Theirs::Null) => true,
        (Value::Number(ours), Theirs::Number(theirs)) => ours.as_f64() == theirs.as_f64(),
        (Value::String(ours), Theirs::String(theirs)) => ours == theirs,
        (Value::Bool(ours), Theirs::Bool(theirs)) => ours == theirs,
        // A word or number of YAML 1.1, or a number too long for the other's integers.
        (Value::Bool(_) | Value::Number(_), Theirs::String(text)) => {
            resolve::to_value(resolve::untagged(text), text.as_str().into()).is_ok_and(|value| value == *ours)
        }
        _ => false,
    }
}

#[test]
fn values_of_real_files_agree_with_another_decoder() {
    let (mut agreed, mut ours_only, mut theirs_only, mut neither) = (0, 0, 0, 0);
    for (path, text) in corpora() {
        // kubectl's own reading of block scalars at the end, see the parser's documentation.
        let text = if text.ends_with('\n') { text } else { text + "\n" };
        let theirs = decoded(&text);
        let ours = Stream::parse(text.clone(), &Limits::default()).ok().and_then(|stream| {
            let values = (0..stream.documents())
                .map(|document| stream.root(document).map_or(Ok(Value::Null), |root| root.value()));
            values.collect::<Result<Vec<_>, _>>().ok()
        });
        match (ours, theirs) {
            (Some(ours), Some(theirs)) => {
                // Of a text without documents the other decoder makes one null.
                let is_empty = ours.is_empty() && theirs.iter().all(serde_yaml::Value::is_null);
                let equal = ours.len() == theirs.len()
                    && ours.iter().zip(&theirs).all(|(ours, theirs)| agree(ours, theirs));
                assert!(is_empty || equal, "{}\n{ours:?}\n{theirs:?}", path.display());
                agreed += 1;
            }
            (Some(_), None) => ours_only += 1,
            (None, Some(_)) => theirs_only += 1,
            (None, None) => neither += 1,
        }
    }
    println!(
        "same value {agreed}, only here {ours_only}, only there {theirs_only}, refused by both {neither}"
    );
}

/// Paths of the mappings that have an `image` which is a string.
fn containers(value: &Value, at: PointerBuf, found: &mut Vec<PointerBuf>) {
    let inner = |token: &str| {
        let mut inner = at.clone();
        inner.push_back(token);
        inner
    };
    match value {
        Value::Object(map) => {
            if map.get("image").is_some_and(Value::is_string) {
                found.push(at.clone());
            }
            map.iter().for_each(|(key, value)| containers(value, inner(key), found));
        }
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| containers(item, inner(&index.to_string()), found));
        }
        _ => {}
    }
}

#[derive(Default, Debug)]
struct Counts {
    proved: usize,
    refused: usize,
    /// Additions that had to rewrite a line: flow mappings and the like.
    rewrote: usize,
}

/// Lines of the old text that the new one does not have, in order.
fn removed(before: &str, after: &str) -> usize {
    let diff = similar::TextDiff::from_lines(before, after);
    diff.iter_all_changes().filter(|change| change.tag() == similar::ChangeTag::Delete).count()
}

fn edit(stream: &Stream, document: usize, wanted: &Value, counts: &mut Counts) -> Option<String> {
    let Ok(edits) = stream.edits(document, wanted, &Last) else {
        let is_plain = stream.root(document).unwrap().decode().unwrap().is_plain;
        assert!(!is_plain || stream.has_obstacles(), "refused for no reason that can be told beforehand");
        counts.refused += 1;
        return None;
    };
    let after = stream.apply(edits);
    let mut all = vec![None; stream.documents()];
    all[document] = Some(wanted);
    if let Err(defect) = stream.prove(after.clone(), &all, 0) {
        panic!("{defect}\n{after}");
    }
    counts.proved += 1;
    Some(after)
}

#[test]
fn containers_of_real_files_are_edited_minimally() {
    let (mut added, mut replaced, mut deleted) = (Counts::default(), Counts::default(), Counts::default());
    for (path, text) in corpora() {
        let Ok(stream) = Stream::parse(text.clone(), &Limits::default()) else { continue };
        for document in 0..stream.documents() {
            let Some(Ok(old)) = stream.root(document).map(|root| root.value()) else { continue };
            let mut found = Vec::new();
            containers(&old, PointerBuf::new(), &mut found);
            for at in found.iter().take(4) {
                let mut wanted = old.clone();
                let container = wanted.pointer_mut(at.as_str()).unwrap();
                let key =
                    if container.get("securityContext").is_none() { "securityContext" } else { "hardened" };
                container[key] = json!({"runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}});
                if let Some(after) = edit(&stream, document, &wanted, &mut added)
                    && removed(&text, &after) > 0
                {
                    // Only a flow collection, or a last line without a line break, has to change.
                    let node = stream.locate(document, at).unwrap();
                    let is_flow = text[node.clone()].contains('{') || text[node].contains('[');
                    let is_open = !text.ends_with('\n') && removed(&text, &after) == 1;
                    assert!(is_flow || is_open, "{}: {at}\n{after}", path.display());
                    added.rewrote += 1;
                }

                let mut wanted = old.clone();
                let image = wanted.pointer_mut(at.as_str()).unwrap().get_mut("image").unwrap();
                let lines = image.as_str().unwrap().lines().count();
                *image = json!("registry.example/app@sha256:0123");
                if let Some(after) = edit(&stream, document, &wanted, &mut replaced) {
                    let place =
                        stream.locate(document, &PointerBuf::parse(format!("{at}/image")).unwrap()).unwrap();
                    // A merged image is overridden by an own key.
                    if lines < 2 && !text[place].contains('\n') && !text.contains("<<:") {
                        assert_eq!(removed(&text, &after), 1, "{}: {at}", path.display());
                    }
                }

                let mut wanted = old.clone();
                wanted.pointer_mut(at.as_str()).unwrap().as_object_mut().unwrap().shift_remove("image");
                edit(&stream, document, &wanted, &mut deleted);
            }
        }
    }
    println!("added {added:?}\nreplaced {replaced:?}\ndeleted {deleted:?}");
}
