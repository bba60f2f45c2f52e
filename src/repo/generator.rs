//! Files that kustomizations make ConfigMaps of: their texts, whatever format they have.
//!
//! Reads what is named; what the texts say is others' business. Never keeps what Secrets are made of.
//!
//! Source: <https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/configmapgenerator/>

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use serde_json::Value;

use super::{Entry, File, Source, folder, is_kustomization_name, join};
use crate::config::Config;

/// The most that a ConfigMap may hold, in bytes:
/// <https://kubernetes.io/docs/concepts/configuration/configmap/#motivation>.
const LARGEST: u64 = 1 << 20;

/// A file that one key of a ConfigMap is made of, or whose lines are keys each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratorFile {
    pub path: String,
    /// The key; nothing where every line has one.
    pub key: Option<String>,
}

/// The files that an entry of `configMapGenerator` names; nothing in place of one outside of the repo.
pub fn files(folder: &str, generator: &Value) -> Vec<Option<GeneratorFile>> {
    let list = |key: &str| generator[key].as_array().into_iter().flatten().filter_map(Value::as_str);
    let of_key = |text: &str| {
        let name = text.rsplit('/').next().unwrap_or(text);
        let (key, path) = text.split_once('=').unwrap_or((name, text));
        Some(GeneratorFile { path: join(folder, path)?, key: Some(key.to_owned()) })
    };
    let of_lines = |text: &str| Some(GeneratorFile { path: join(folder, text)?, key: None });
    list("files").map(of_key).chain(list("envs").chain(generator["env"].as_str()).map(of_lines)).collect()
}

/// The texts of the files that are named and not read as anything else, by path.
pub(super) fn texts(source: &dyn Source, read: &[File], config: &Config) -> BTreeMap<String, String> {
    let named = |file: &File| {
        let root = file.stream.root(0).filter(|root| root.get("configMapGenerator").is_some());
        let value = root.and_then(|root| root.value().ok()).unwrap_or_default();
        let generators = value["configMapGenerator"].as_array().into_iter().flatten();
        let named = generators.flat_map(|generator| files(folder(&file.path), generator)).flatten();
        named.map(|named| named.path).collect::<Vec<_>>()
    };
    let kustomizations = read.par_iter().filter(|file| is_kustomization_name(&file.path));
    let named: BTreeSet<String> = kustomizations.flat_map_iter(named).collect();
    let is_wanted = |path: &String| {
        let is_git = path.split('/').any(|part| part == ".git");
        !is_git && !config.is_excluded(path) && read.binary_search_by(|file| file.path.cmp(path)).is_err()
    };
    let text = |path: String| {
        let entry = Entry { path, context_only: true };
        let bytes = source.read(&entry, config.max_file_size.min(LARGEST)).ok()??;
        Some((entry.path, String::from_utf8(bytes).ok()?))
    };
    named.into_iter().filter(is_wanted).collect::<Vec<_>>().into_par_iter().filter_map(text).collect()
}
