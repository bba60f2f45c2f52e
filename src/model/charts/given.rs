//! What objects say of charts and their values: Flux' HelmReleases, Argo CD's Applications, k3s' HelmCharts, and
//! kustomizations.
//!
//! Sources: Flux merges `valuesFiles` to what takes the place of the chart's own values
//! (<https://fluxcd.io/flux/components/source/helmcharts/#values-files>), and `values` over `valuesFrom`
//! (<https://fluxcd.io/flux/components/helm/helmreleases/#values>). Argo CD lays `values` over `valueFiles` and
//! `parameters` over both (<https://argo-cd.readthedocs.io/en/stable/user-guide/helm/#helm-value-precedence>).
//! Kustomize: `HelmChartInflationGenerator.go` in <https://github.com/kubernetes-sigs/kustomize>.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::origin::Origin;
use crate::model::{Model, Object, ObjectId};
use crate::repo::{HelmfileRelease, HelmfileValues, InflatedChart, LIMITS, Repo, ValuesMerge, join};
use crate::yaml::Stream;

/// Values that an object gives to a chart.
#[derive(Debug)]
pub(super) struct Given {
    /// What a user calls the chart.
    pub(super) called: String,
    /// Folders that may be the chart's, from the root; or why it is not here.
    pub(super) chart: Result<Vec<String>, String>,
    /// Whether the chart's own values count for nothing.
    pub(super) replaces_defaults: bool,
    /// The later over the earlier.
    pub(super) layers: Vec<Layer>,
    /// Why the values below the object's own are not all known, if so.
    pub(super) unknown: Option<String>,
    /// What wins over all other values and is not followed, if something does.
    pub(super) overruled: Option<String>,
}

#[derive(Debug)]
pub(super) enum Layer {
    /// A file of values, from the root.
    File(String),
    /// What the object itself says.
    Own(Value),
    /// From another object, or single values.
    Fixed(Value),
}

/// What the objects of a repo say of each other's values.
#[derive(Debug, Default)]
pub(super) struct Surroundings<'m> {
    pub(super) origin: Origin,
    config_maps: BTreeMap<String, Vec<&'m Object>>,
}

impl<'m> Surroundings<'m> {
    pub(super) fn new(model: &'m Model<'_>) -> Surroundings<'m> {
        let mut config_maps: BTreeMap<String, Vec<&Object>> = BTreeMap::new();
        for object in model.objects() {
            if &*object.id.kind == "ConfigMap" && &*object.id.api_version == "v1" {
                config_maps.entry(object.id.name.to_string()).or_default().push(object);
            }
        }
        Surroundings { origin: Origin::new(model), config_maps }
    }
}

fn in_the_chart(file: &str) -> String {
    format!("its values `{file}` are in its chart, which is not in this repo")
}

pub(super) fn not_here(called: &str) -> String {
    format!("{called} is not in this repo")
}

/// What an object gives; one for each chart it names.
pub(super) fn given(
    model: &Model<'_>,
    around: &Surroundings<'_>,
    id: &ObjectId,
    value: &Value,
) -> Vec<Given> {
    match &*id.kind {
        "HelmRelease" => vec![of_release(model, around, id, value)],
        "Application" => of_application(around, &value["spec"]),
        "ApplicationSet" => of_application(around, &value["spec"]["template"]["spec"]),
        _ => {
            let chart = value["spec"]["chart"].as_str();
            let called = chart.map_or_else(|| "its chart".to_owned(), |chart| format!("the chart `{chart}`"));
            let chart = Err(not_here(&called));
            vec![Given {
                called,
                chart,
                replaces_defaults: false,
                layers: Vec::new(),
                unknown: None,
                overruled: None,
            }]
        }
    }
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn of_release(model: &Model<'_>, around: &Surroundings<'_>, id: &ObjectId, value: &Value) -> Given {
    let spec = &value["spec"]["chart"]["spec"];
    let called = match (spec["chart"].as_str(), value["spec"]["chartRef"]["name"].as_str()) {
        (Some(chart), _) => format!("the chart `{chart}`"),
        (None, Some(reference)) => format!("the chart of `{reference}`"),
        (None, None) => "its chart".to_owned(),
    };
    let source = &spec["sourceRef"];
    let is_path = matches!(source["kind"].as_str(), Some("GitRepository" | "Bucket"));
    let is_git = source["kind"] == "GitRepository";
    let chart = match spec["chart"].as_str().filter(|_| is_path).and_then(|path| join("", path)) {
        Some(_) if is_git && around.origin.is_source_elsewhere(source, id.namespace.as_deref()) => {
            Err(format!(
                "{called} is one of the repository that GitRepository/{} names, which is not this one",
                source["name"].as_str().unwrap_or_default()
            ))
        }
        Some(folder) => Ok(vec![folder]),
        None => Err(not_here(&called)),
    };
    let files = || spec["valuesFile"].as_str().into_iter().chain(texts(&spec["valuesFiles"]));
    // The files of a chart elsewhere are there too.
    let mut unknown = files().find(|_| chart.is_err()).map(in_the_chart);
    let files = files().filter(|_| chart.is_ok()).filter_map(|path| join("", path));
    let mut layers: Vec<Layer> = files.map(Layer::File).collect();
    let replaces_defaults = !layers.is_empty();
    for reference in value["spec"]["valuesFrom"].as_array().into_iter().flatten() {
        match values_from(model, around, id, reference) {
            Ok(values) => layers.push(Layer::Fixed(values)),
            Err(why) => unknown = unknown.or(Some(why)),
        }
    }
    layers.push(Layer::Own(value["spec"]["values"].clone()));
    Given { called, chart, replaces_defaults, layers, unknown, overruled: None }
}

/// Values of a ConfigMap of this repo. What a Secret has is not in the repo as it will be.
fn values_from(
    model: &Model<'_>,
    around: &Surroundings<'_>,
    id: &ObjectId,
    reference: &Value,
) -> Result<Value, String> {
    let text = |key: &str| reference[key].as_str();
    let (kind, name) = (text("kind").unwrap_or_default(), text("name").unwrap_or_default());
    let target = text("targetPath").filter(|path| !path.is_empty());
    let not_known = || format!("its values from {kind}/{name} are not known here");
    if kind != "ConfigMap" {
        // A password at its own place says nothing of images.
        return match target {
            Some(path) if !names_image(path) => Ok(Value::Null),
            _ => Err(not_known()),
        };
    }
    let may_be_meant = |object: &&&Object| {
        let (own, wanted) = (&object.id.namespace, &id.namespace);
        own.is_none() || wanted.is_none() || own == wanted
    };
    let maps = around.config_maps.get(name).into_iter().flatten();
    let mut maps = maps.filter(may_be_meant);
    let (Some(map), None) = (maps.next(), maps.next()) else { return Err(not_known()) };
    let value = model.value(map).ok_or_else(not_known)?;
    let key = text("valuesKey").unwrap_or("values.yaml");
    let data = value["data"][key].as_str().ok_or_else(not_known)?;
    match target {
        Some(path) => single(path, data, false).ok_or_else(not_known),
        None => parsed(data).ok_or_else(not_known),
    }
}

fn names_image(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    ["image", "registry", "repository", "tag", "digest", "version", "global"]
        .iter()
        .any(|word| path.contains(word))
}

/// Values in a text.
pub(super) fn parsed(text: &str) -> Option<Value> {
    let stream = Stream::parse(text.to_owned(), &LIMITS).ok()?;
    stream.root(0).map_or(Some(Value::Null), |root| root.value().ok())
}

/// One value at a dotted path, as `helm --set` reads them; `None` for what needs more than that.
fn single(path: &str, text: &str, is_text: bool) -> Option<Value> {
    let is_plain = |text: &str| !text.contains(['\\', '[', ']', '{', '}', ',', '=']);
    if !is_plain(path) || !is_plain(text) || path.split('.').any(str::is_empty) {
        return None;
    }
    let value = match text {
        _ if is_text => Value::from(text),
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        // `0123` stays text.
        number if number == "0" || !number.starts_with('0') => {
            number.parse::<i64>().map_or_else(|_| Value::from(text), Value::from)
        }
        text => Value::from(text),
    };
    Some(path.rsplit('.').fold(value, |inner, key| Value::Object(Map::from_iter([(key.to_owned(), inner)]))))
}

fn of_application(around: &Surroundings<'_>, spec: &Value) -> Vec<Given> {
    let sources: Vec<&Value> = match spec["sources"].as_array() {
        Some(sources) => sources.iter().collect(),
        None => vec![&spec["source"]],
    };
    sources.iter().map(|source| of_source(around, source, &sources)).collect()
}

fn of_source(around: &Surroundings<'_>, source: &Value, all: &[&Value]) -> Given {
    let helm = &source["helm"];
    let called = source["chart"].as_str().or_else(|| source["path"].as_str());
    let called = called.map_or_else(|| "its chart".to_owned(), |chart| format!("the chart `{chart}`"));
    let is_elsewhere =
        |source: &Value| source["repoURL"].as_str().is_some_and(|url| around.origin.is_elsewhere(url));
    let chart = match source["path"].as_str().and_then(|path| join("", path)) {
        Some(_) if is_elsewhere(source) => {
            Err(format!("{called} is one of the repository that `repoURL` names, which is not this one"))
        }
        Some(folder) => Ok(vec![folder]),
        None => Err(not_here(&called)),
    };
    let (mut unknown, mut overruled) = (None, None);
    let mut layers = Vec::new();
    for file in texts(&helm["valueFiles"]) {
        let path = match file.strip_prefix('$').and_then(|file| file.split_once('/')) {
            // Of another source.
            Some((name, path)) => {
                let named = all.iter().find(|source| source["ref"] == name);
                named.filter(|source| !is_elsewhere(source)).and_then(|_| join("", path))
            }
            None if file.contains("://") => None,
            None => match (file.strip_prefix('/'), &chart) {
                (Some(path), Ok(_)) => join("", path),
                (None, Ok(folders)) => folders.first().and_then(|folder| join(folder, file)),
                (_, Err(_)) => {
                    unknown = unknown.or_else(|| Some(in_the_chart(file)));
                    continue;
                }
            },
        };
        match path {
            Some(path) => layers.push(Layer::File(path)),
            None => unknown = unknown.or_else(|| Some(format!("its values `{file}` are not in this repo"))),
        }
    }
    layers.push(Layer::Own(match &helm["valuesObject"] {
        Value::Null => helm["values"].as_str().and_then(parsed).unwrap_or(Value::Null),
        object => object.clone(),
    }));
    for parameter in helm["parameters"].as_array().into_iter().flatten() {
        let text = |key: &str| parameter[key].as_str().unwrap_or_default();
        let is_text = parameter["forceString"] == true;
        match single(text("name"), text("value"), is_text).filter(|_| !names_image(text("name"))) {
            Some(value) => layers.push(Layer::Fixed(value)),
            None => {
                overruled = overruled
                    .or_else(|| Some(format!("its parameter `{}` wins over the values", text("name"))));
            }
        }
    }
    if let Some(parameter) = helm["fileParameters"].get(0) {
        let name = parameter["name"].as_str().unwrap_or_default();
        overruled = overruled.or_else(|| Some(format!("its parameter `{name}` wins over the values")));
    }
    Given { called, chart, replaces_defaults: false, layers, unknown, overruled }
}

/// What a kustomization gives to a chart that it has Helm render.
pub(super) fn of_inflated(repo: &Repo, chart: &InflatedChart) -> Given {
    let here: Vec<String> =
        chart.folders.iter().filter(|folder| repo.chart(folder).is_some()).take(1).cloned().collect();
    let own = Layer::Own(chart.inline.clone());
    let is_empty = chart.inline.as_object().is_none_or(Map::is_empty);
    let mut file = chart.values_file.clone();
    if chart.merge == ValuesMerge::Merge && !is_empty {
        // Without a file of values, kustomize takes the chart's own for it.
        file = file.or_else(|| Some(super::inside(here.first()?, "values.yaml")));
    }
    let merges_into_the_chart = chart.merge == ValuesMerge::Merge && !is_empty && file.is_none();
    let file = file.map(Layer::File);
    let mut layers: Vec<Layer> = match chart.merge {
        // New values would have the file lie over them, or not be used.
        ValuesMerge::Merge | ValuesMerge::Replace if is_empty && file.is_some() => file.into_iter().collect(),
        ValuesMerge::Merge if is_empty => Vec::new(),
        ValuesMerge::Override => file.into_iter().chain([own]).collect(),
        ValuesMerge::Merge => [own].into_iter().chain(file).collect(),
        ValuesMerge::Replace => vec![own],
    };
    layers.extend(chart.additional.iter().cloned().map(Layer::File));
    let called = format!("the chart `{}`", chart.name);
    let chart = if here.is_empty() { Err(not_here(&called)) } else { Ok(here) };
    // Then the chart's own file is laid over the inline values.
    let is_upside_down = chart.is_err() && merges_into_the_chart;
    let unknown = is_upside_down.then(|| in_the_chart("values.yaml"));
    Given { called, chart, replaces_defaults: false, layers, unknown, overruled: None }
}

/// What a helmfile gives to a chart. Values of its own are in the last mapping that its list has, else behind it.
pub(super) fn of_helmfile(repo: &Repo, release: &HelmfileRelease) -> Given {
    let called = format!("the chart `{}`", release.chart);
    let here = release.folder.clone().filter(|folder| repo.chart(folder).is_some());
    let chart = here.map_or_else(|| Err(not_here(&called)), |folder| Ok(vec![folder]));
    let own = release.values.iter().rposition(|values| matches!(values, HelmfileValues::Inline(_)));
    let layer = |(idx, values): (usize, &HelmfileValues)| match values {
        HelmfileValues::File(path) => Layer::File(path.clone()),
        HelmfileValues::Inline(values) if Some(idx) == own => Layer::Own(values.clone()),
        HelmfileValues::Inline(values) => Layer::Fixed(values.clone()),
    };
    let mut layers: Vec<Layer> = release.values.iter().enumerate().map(layer).collect();
    if own.is_none() {
        layers.push(Layer::Own(Value::Null));
    }
    let mut overruled = None;
    for set in &release.set {
        let value = set.value.as_deref().and_then(|text| single(&set.name, text, set.is_text));
        match value.filter(|_| !names_image(&set.name)) {
            Some(value) => layers.push(Layer::Fixed(value)),
            None => {
                overruled = overruled
                    .or_else(|| Some(format!("what it sets `{}` to wins over the values", set.name)));
            }
        }
    }
    Given { called, chart, replaces_defaults: false, layers, unknown: release.unknown.clone(), overruled }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(path: &str, text: &str, expected: Option<Value>) {
        assert_eq!(single(path, text, false), expected, "{path}={text}");
    }

    #[test]
    fn single_values_are_read_as_helm_reads_them() {
        check("a.b", "x", Some(json!({"a": {"b": "x"}})));
        check("a", "true", Some(json!({"a": true})));
        check("a", "3", Some(json!({"a": 3})));
        check("a", "03", Some(json!({"a": "03"})));
        check("a", "1.20", Some(json!({"a": "1.20"})));
        check("a", "null", Some(json!({"a": null})));
        check("a[0]", "x", None);
        check("a", "x,y", None);
        check("a\\.b", "x", None);
        check("a..b", "x", None);
        assert_eq!(single("a", "3", true), Some(json!({"a": "3"})));
    }
}
