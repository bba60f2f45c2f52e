//! Reads helmfiles: which charts they install, where those come from, and the values they give them.
//!
//! Sources: <https://helmfile.readthedocs.io/en/latest/configuration/>; the order of values is that of
//! `namespaceAndValuesFlags` in <https://github.com/helmfile/helmfile/blob/main/pkg/state/state.go>: `values` as they are
//! listed, then `secrets`, then `set` and `setString`. Runs no templates: what one fills in is not known.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{folder, join};
use crate::yaml::Stream;

/// A chart that a helmfile installs.
#[derive(Debug, Clone, PartialEq)]
pub struct HelmfileRelease {
    /// The document it is in.
    pub document: usize,
    /// Where it is there.
    pub pointer: String,
    pub name: String,
    pub namespace: Option<String>,
    /// As it is written.
    pub chart: String,
    /// The folder that the chart may be, joined to the root.
    pub folder: Option<String>,
    /// The URL of the repository that has the chart, and what it is called there; or why neither is known.
    pub source: Result<(String, String), String>,
    pub version: Option<String>,
    pub values: Vec<HelmfileValues>,
    /// Single values, the later over the earlier.
    pub set: Vec<SingleValue>,
    /// Why its values are not all known, if so.
    pub unknown: Option<String>,
    /// What of it changes what the chart renders.
    pub changed_by: Option<&'static str>,
}

/// An entry of `values`.
#[derive(Debug, Clone, PartialEq)]
pub enum HelmfileValues {
    /// A file, joined to the root.
    File(String),
    Inline(Value),
}

/// An entry of `set` or `setString`.
#[derive(Debug, Clone, PartialEq)]
pub struct SingleValue {
    pub name: String,
    /// `None` for what is more than one text.
    pub value: Option<String>,
    /// Whether it stays text (`setString`).
    pub is_text: bool,
}

/// Whether a file is named like a helmfile.
pub(super) fn is_helmfile_name(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    is_yaml && (name.starts_with("helmfile") || folder.rsplit('/').next() == Some("helmfile.d"))
}

/// Whether some document lists releases, or other helmfiles.
pub(super) fn is_helmfile(stream: &Stream) -> bool {
    let roots = (0..stream.documents()).filter_map(|document| stream.root(document));
    roots.into_iter().any(|root| {
        let lists = |key: &str| root.get(key).is_some_and(|list| list.items().next().is_some());
        lists("releases") || lists("helmfiles")
    })
}

/// Why a helmfile is not read.
pub(super) const FILLED_IN: &str = "a helmfile that templates fill in";

/// Whether it is plain YAML: an action without quotes is a mapping that is the key of another.
pub(super) fn is_readable(stream: &Stream) -> bool {
    let mut roots = (0..stream.documents()).filter_map(|document| stream.root(document));
    roots.all(|root| root.value().is_ok())
}

/// Fields by which helmfile changes what a chart renders.
const CHANGING: [&str; 5] =
    ["strategicMergePatches", "jsonPatches", "transformers", "dependencies", "postRenderer"];

/// The releases of a helmfile, in its order, without those that are not to be installed.
pub fn releases(path: &str, stream: &Stream) -> Vec<HelmfileRelease> {
    let documents: Vec<(usize, Value)> = (0..stream.documents())
        .filter_map(|document| Some((document, stream.root(document)?.value().ok()?)))
        .collect();
    let around = Around::new(path, &documents);
    let mut found = Vec::new();
    for (document, value) in &documents {
        for (idx, release) in items(&value["releases"]).enumerate() {
            if release["installed"] != false {
                found.extend(around.release(*document, idx, release));
            }
        }
    }
    found
}

/// The other helmfiles that one names, joined to the root.
pub(super) fn nested(path: &str, stream: &Stream) -> Vec<String> {
    let values = (0..stream.documents()).filter_map(|document| stream.root(document)?.value().ok());
    let mut found = Vec::new();
    for value in values {
        let named = items(&value["helmfiles"]).filter_map(|entry| entry.as_str().or(entry["path"].as_str()));
        found.extend(named.filter(|name| is_plain(name)).filter_map(|name| join(folder(path), name)));
    }
    found
}

/// What a helmfile says of all of its releases.
struct Around<'h> {
    folder: &'h str,
    /// URLs by name, each with whether it is a registry.
    repositories: BTreeMap<&'h str, (&'h str, bool)>,
    namespace: Option<&'h str>,
    /// Why no release's values are all known, if so.
    unknown: Option<String>,
    changed_by: Option<&'static str>,
}

impl<'h> Around<'h> {
    fn new(path: &'h str, documents: &'h [(usize, Value)]) -> Around<'h> {
        let mut around = Around {
            folder: folder(path),
            repositories: BTreeMap::new(),
            namespace: None,
            unknown: None,
            changed_by: None,
        };
        for (_, value) in documents {
            for repository in items(&value["repositories"]) {
                if let (Some(name), Some(url)) = (repository["name"].as_str(), repository["url"].as_str()) {
                    around.repositories.insert(name, (url, repository["oci"] == true));
                }
            }
            around.namespace = around.namespace.or(value["namespace"].as_str());
            let defaults = &value["helmDefaults"];
            if !defaults["postRenderer"].is_null() {
                around.changed_by = Some("postRenderer");
            }
            let gives_values = |argument: &str| {
                ["--set", "--values", "-f"].iter().any(|flag| argument.trim_start().starts_with(flag))
            };
            if items(&defaults["args"]).filter_map(Value::as_str).any(gives_values) {
                around.unknown = Some("its helmfile gives values as arguments".to_owned());
            }
            if !value["defaultInherit"].is_null() {
                around.unknown = Some("its helmfile has it inherit from a template".to_owned());
            }
        }
        around
    }

    fn release(&self, document: usize, idx: usize, value: &Value) -> Option<HelmfileRelease> {
        let text = |key: &str| value[key].as_str().filter(|text| !text.is_empty());
        let (name, chart) = (text("name")?, text("chart")?);
        let mut unknown = self.unknown.clone();
        let mut values = Vec::new();
        for entry in items(&value["values"]) {
            match self.values(entry) {
                Ok(known) => values.push(known),
                Err(why) => unknown = unknown.or(Some(why)),
            }
        }
        for key in ["inherit", "secrets", "valuesTemplate", "setTemplate"] {
            if !value[key].is_null() {
                unknown = unknown.or_else(|| Some(format!("its values from `{key}` are not known here")));
            }
        }
        let singles = |key: &'static str| {
            items(&value[key]).map(move |entry| SingleValue {
                name: entry["name"].as_str().unwrap_or_default().to_owned(),
                value: scalar(&entry["value"]).filter(|text| is_known(text)),
                is_text: key == "setString",
            })
        };
        let source = match is_known(chart) {
            true => self.source(chart),
            false => Err("a template says which chart it is".to_owned()),
        };
        let changing = CHANGING.into_iter().find(|key| !value[*key].is_null());
        Some(HelmfileRelease {
            document,
            pointer: format!("/releases/{idx}"),
            name: name.to_owned(),
            namespace: text("namespace").or(self.namespace).map(str::to_owned),
            chart: chart.to_owned(),
            folder: join(self.folder, chart).filter(|_| is_known(chart) && !chart.starts_with('/')),
            source,
            version: scalar(&value["version"]),
            values,
            set: singles("set").chain(singles("setString")).collect(),
            unknown,
            changed_by: changing.or(self.changed_by),
        })
    }

    fn values(&self, entry: &Value) -> Result<HelmfileValues, String> {
        match entry {
            Value::String(path) if !is_plain(path) || path.ends_with(".gotmpl") => {
                Err(format!("what its values `{path}` are is not known here"))
            }
            Value::String(path) => match join(self.folder, path).filter(|_| !path.starts_with('/')) {
                Some(path) => Ok(HelmfileValues::File(path)),
                None => Err(format!("its values `{path}` are not in this repo")),
            },
            Value::Object(_) if is_known(&entry.to_string()) => Ok(HelmfileValues::Inline(entry.clone())),
            Value::Object(_) => Err("templates fill in its values".to_owned()),
            _ => Err("its values cannot be read".to_owned()),
        }
    }

    /// Where a chart comes from that is no folder.
    fn source(&self, chart: &str) -> Result<(String, String), String> {
        if let Some((repository, name)) = chart.strip_prefix("oci://").and_then(|name| name.rsplit_once('/'))
        {
            return Ok((format!("oci://{repository}"), name.to_owned()));
        }
        let Some((repository, name)) = chart.split_once('/').filter(|(name, _)| !name.starts_with('.'))
        else {
            return Err(format!("the chart `{chart}` is not in this repo"));
        };
        match self.repositories.get(repository) {
            Some((url, true)) => Ok((format!("oci://{}", url.trim_start_matches("oci://")), name.to_owned())),
            Some((url, false))
                if ["http://", "https://", "oci://"].iter().any(|start| url.starts_with(start)) =>
            {
                Ok(((*url).to_owned(), name.to_owned()))
            }
            Some((url, _)) => Err(format!("charts of `{url}` cannot be fetched here")),
            None => Err(format!("the repository `{repository}` is not one of its helmfile")),
        }
    }
}

/// A path that means one file.
fn is_plain(path: &str) -> bool {
    is_known(path) && !path.contains(['*', '?', '[']) && !path.contains("://") && !path.starts_with("ref+")
}

fn is_known(text: &str) -> bool {
    !text.contains("{{")
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::LIMITS;

    #[track_caller]
    fn one(text: &str) -> HelmfileRelease {
        let stream = Stream::parse(text.to_owned(), &LIMITS).unwrap();
        assert!(is_helmfile(&stream));
        let mut all = releases("apps/helmfile.yaml", &stream);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    #[track_caller]
    fn source(repositories: &str, chart: &str, expected: Result<(&str, &str), &str>) {
        let text = format!("repositories: {repositories}\nreleases: [{{name: a, chart: \"{chart}\"}}]\n");
        let expected = expected.map(|(url, name)| (url.to_owned(), name.to_owned())).map_err(str::to_owned);
        assert_eq!(one(&text).source, expected);
    }

    #[test]
    fn charts_come_from_the_repositories_of_the_helmfile() {
        let web = Ok(("https://charts.example.com", "web"));
        source("[{name: shop, url: 'https://charts.example.com'}]", "shop/web", web);
        source("[]", "shop/web", Err("the repository `shop` is not one of its helmfile"));
        let registry = Ok(("oci://registry.example.com/charts", "web"));
        source("[{name: shop, url: registry.example.com/charts, oci: true}]", "shop/web", registry);
        source("[]", "oci://registry.example.com/charts/web", registry);
        source(
            "[{name: shop, url: 'git+https://x'}]",
            "shop/web",
            Err("charts of `git+https://x` cannot be fetched here"),
        );
        source("[]", "./web", Err("the chart `./web` is not in this repo"));
        source("[]", "shop/{{ .Values.chart }}", Err("a template says which chart it is"));
    }

    #[test]
    fn folders_and_files_are_taken_from_that_of_the_helmfile() {
        let release = one(
            "releases:\n  - name: a\n    chart: ../charts/web\n    values: [../web.yaml, {replicas: 2}]\n",
        );
        assert_eq!(release.folder.as_deref(), Some("charts/web"));
        let inline = HelmfileValues::Inline(serde_json::json!({"replicas": 2}));
        assert_eq!(release.values, [HelmfileValues::File("web.yaml".to_owned()), inline]);
        assert_eq!(release.unknown, None);
    }

    #[test]
    fn what_is_filled_in_later_is_not_known() {
        let unknown = |rest: &str| one(&format!("releases: [{{name: a, chart: ./a, {rest}}}]\n")).unknown;
        assert!(unknown("values: ['values.yaml.gotmpl']").is_some());
        assert!(unknown("values: ['env/*.yaml']").is_some());
        assert!(unknown("values: [{a: '{{ .Values.b }}'}]").is_some());
        assert!(unknown("secrets: [a.yaml]").is_some());
        assert!(unknown("inherit: [{template: default}]").is_some());
        assert_eq!(unknown("set: [{name: b, value: 1}]"), None);
    }

    #[test]
    fn releases_of_all_parts_count_but_those_that_are_not_installed() {
        let text = "repositories: [{name: shop, url: 'https://charts.example.com'}]\n---\nnamespace: shop\nreleases:\n  - {name: old, chart: shop/old, installed: false}\n  - {name: web, chart: shop/web, version: 1.2.3, postRenderer: ./fix}\n";
        let release = one(text);
        assert_eq!((release.document, release.pointer.as_str()), (1, "/releases/1"));
        assert_eq!((release.namespace.as_deref(), release.changed_by), (Some("shop"), Some("postRenderer")));
        assert!(release.source.is_ok());
    }

    #[test]
    fn helmfiles_are_known_by_name() {
        for path in ["helmfile.yaml", "apps/helmfile-base.yml", "helmfile.d/10-web.yaml"] {
            assert!(is_helmfile_name(path), "{path}");
        }
        for path in ["helmfile.yaml.gotmpl", "web.yaml", "helmfile.d/values/web.yaml", "my-helmfile.md"] {
            assert!(!is_helmfile_name(path), "{path}");
        }
    }
}
