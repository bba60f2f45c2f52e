//! Files that are what they are because another file names them: patches without an object of their own, and Helm
//! values and helmfiles under any name.
//!
//! Reads what is named; what it means to the one who names it is the model's to say.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use super::{
    Content, Entry, Facts, File, HelmfileValues, Kustomization, LIMITS, Source, classify, folder, helmfile,
    is_kustomization_name, join,
};
use crate::config::Config;
use crate::yaml::{Kind, Node, Stream};

/// Adds the named files to those that are manifests by themselves. `context_only` says of each listed path whether it
/// is read for its context alone.
pub(super) fn add(
    source: &dyn Source,
    files: &mut Vec<File>,
    context_only: &HashMap<String, bool>,
    facts: &Facts,
    config: &Config,
) {
    let named = named(files);
    let read = |(path, content): (String, Content)| {
        let listed = context_only.get(&path).copied().filter(|_| !config.is_excluded(&path));
        // Values that are not listed are of no use; patches say what becomes of what is.
        if listed.is_none() && content != Content::Patch {
            return None;
        }
        let entry = Entry { path, context_only: listed.unwrap_or(true) };
        let bytes = source.read(&entry, config.max_file_size).ok()??;
        let text = String::from_utf8(bytes).ok()?;
        let marker = classify::marker(&entry.path, &text, facts, config);
        let stream = Stream::parse(text, &LIMITS).ok()?;
        if content != Content::Patch
            && (classify::holds_objects(&stream) || classify::sops_line(&stream).is_some())
        {
            return None;
        }
        if content == Content::Helmfile && !helmfile::is_helmfile(&stream) {
            return None;
        }
        let Entry { path, context_only } = entry;
        Some(File { path, stream, marker, context_only, content })
    };
    let read: Vec<File> = named.into_par_iter().filter_map(read).collect();
    if !read.is_empty() {
        files.extend(read);
        files.sort_by(|a, b| a.path.cmp(&b.path));
    }
}

/// The paths that some file names and that were not read as anything else.
fn named(files: &[File]) -> Vec<(String, Content)> {
    let of_file = |file: &File| {
        let kustomization = Kustomization::read(&file.path, &file.stream);
        let patches = kustomization.into_iter().flat_map(|kustomization| kustomization.patches);
        let mut named: Vec<(String, Content)> =
            patches.filter_map(|patch| Some((patch.file?, Content::Patch))).collect();
        if file.content == Content::Helmfile {
            let nested = helmfile::nested(&file.path, &file.stream);
            named.extend(nested.into_iter().map(|path| (path, Content::Helmfile)));
            let releases = helmfile::releases(&file.path, &file.stream);
            named.extend(releases.into_iter().flat_map(|release| release.values).filter_map(|values| {
                match values {
                    HelmfileValues::File(path) => Some((path, Content::Values)),
                    HelmfileValues::Inline(_) => None,
                }
            }));
        }
        if file.content == Content::Objects && names_values(file) {
            let mut values = Vec::new();
            for document in 0..file.stream.documents() {
                let Some(root) = file.stream.root(document) else { continue };
                find_values(root, folder(&file.path), &mut values);
            }
            named.extend(values.into_iter().map(|path| (path, Content::Values)));
        }
        named
    };
    let named: BTreeMap<String, Content> = files.par_iter().flat_map_iter(of_file).collect();
    let is_new = |path: &String| files.binary_search_by(|file| file.path.cmp(path)).is_err();
    named.into_iter().filter(|(path, _)| is_new(path)).collect()
}

/// Quick: most files name none.
fn names_values(file: &File) -> bool {
    let has = |key: &str| memchr::memmem::find(file.stream.text().as_bytes(), key.as_bytes()).is_some();
    // `valuesFiles`, `valueFiles`, `additionalValuesFiles`; the single one of kustomizations.
    has("Files") || is_kustomization_name(&file.path) && has("valuesFile")
}

/// Every path that a list of files of values may mean: from the root (Flux), from the folder of the object
/// (kustomize), from the `path` of a source (Argo CD), behind the name of another source (`$name/…`).
fn find_values(node: Node<'_>, base: &str, found: &mut Vec<String>) {
    match node.kind() {
        Kind::Mapping => {
            let path = node.get("path").and_then(Node::as_str).and_then(|path| join("", &path));
            let base = path.as_deref().unwrap_or(base);
            for (key, value) in node.entries() {
                match key.as_str().as_deref() {
                    Some("valuesFiles" | "valueFiles" | "additionalValuesFiles") => {
                        for item in value.items() {
                            found.extend(item.as_str().into_iter().flat_map(|text| meant(&text, base)));
                        }
                    }
                    Some("valuesFile") => {
                        found.extend(value.as_str().into_iter().flat_map(|text| meant(&text, base)));
                    }
                    _ => find_values(value, base, found),
                }
            }
        }
        Kind::Sequence => node.items().for_each(|item| find_values(item, base, found)),
        Kind::Scalar | Kind::Alias => {}
    }
}

fn meant(text: &str, base: &str) -> Vec<String> {
    match text.strip_prefix('$').and_then(|text| text.split_once('/')) {
        Some((_, path)) => join("", path).into_iter().collect(),
        None => [join(base, text), join("", text)].into_iter().flatten().collect(),
    }
}
