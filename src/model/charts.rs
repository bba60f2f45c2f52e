//! Which charts of the repo take which values: those of files, and those within the objects of Flux and Argo CD.
//!
//! Renders nothing, see [`crate::helm`].

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Model, ObjectId};
use crate::helm::layered;
use crate::repo::{Chart, File, Repo, folder, join};
use crate::yaml::Stream;

/// A chart, and the values around those that are looked at.
#[derive(Debug, Clone)]
pub struct Release<'m> {
    pub chart: &'m Chart,
    /// Over the chart's defaults, under the values.
    pub below: Value,
    /// Over the values.
    pub above: Value,
    /// Whether the values are the chart's own defaults, which others may override.
    pub is_default: bool,
}

impl Release<'_> {
    /// What the chart gets with these values.
    pub fn values(&self, own: &Value) -> Value {
        layered(&layered(&self.below, own), &self.above)
    }

    /// What the values stand on: the chart's defaults and the layers between.
    pub fn under(&self) -> Value {
        if self.is_default { Value::Null } else { layered(&self.chart.values, &self.below) }
    }
}

/// Values that an object gives to a chart.
#[derive(Debug)]
struct Given {
    /// The chart's folder as the object names it, from the root.
    chart: Option<String>,
    /// What a user calls it.
    called: String,
    /// Files of values, the later over the earlier.
    files: Vec<String>,
    inline: Value,
    /// Dotted names of single values, which win over all others.
    parameters: Vec<String>,
}

/// All values that the objects of a repo give to charts.
#[derive(Debug)]
pub struct Gifts(Vec<Given>);

impl Gifts {
    pub fn new(model: &Model<'_>) -> Gifts {
        let objects = model.objects().filter(|object| gives_values(&object.id));
        let values = objects.filter_map(|object| Some((&object.id, model.value(object)?)));
        Gifts(values.flat_map(|(id, value)| given(id, &value)).collect())
    }
}

/// The charts that take the values of a file.
pub fn of_file<'m>(model: &Model<'m>, gifts: &Gifts, file: &File) -> Vec<Release<'m>> {
    let repo = model.repo();
    let own = own_chart(repo, &file.path);
    let mut releases: Vec<Release<'m>> = Vec::new();
    for given in &gifts.0 {
        let at = given.files.iter().position(|path| *path == file.path);
        let (Some(at), Some(chart)) = (at, given.chart(repo)) else { continue };
        let below = given.files[..at].iter().fold(Value::Null, |below, path| over(repo, below, path));
        let above = given.files[at + 1..].iter().fold(Value::Null, |above, path| over(repo, above, path));
        let above = layered(&above, &given.inline);
        releases.push(Release { chart, below, above, is_default: false });
    }
    if releases.is_empty()
        && let Some(chart) = own
    {
        let is_default = file.path == inside(chart, "values.yaml");
        releases.push(Release { chart, below: Value::Null, above: Value::Null, is_default });
    }
    releases
}

/// The chart that takes values within an object.
///
/// # Errors
/// Why it cannot be looked at.
pub fn of_object<'m>(
    model: &Model<'m>,
    id: &ObjectId,
    value: &Value,
    pointer: &str,
) -> Result<Release<'m>, String> {
    let given = given(id, value);
    let source = |at: usize| match given.len() {
        1 => true,
        _ => pointer.contains(&format!("/sources/{at}/")),
    };
    let Some((_, given)) = given.iter().enumerate().find(|(at, _)| source(*at)) else {
        return Err("it names no chart".to_owned());
    };
    let Some(chart) = given.chart(model.repo()) else {
        return Err(format!("{} is not in this repo", given.called));
    };
    if let Some(name) = given.parameters.iter().find(|name| name.contains("mage")) {
        return Err(format!("its parameter `{name}` wins over the values"));
    }
    let below = given.files.iter().fold(Value::Null, |below, path| over(model.repo(), below, path));
    Ok(Release { chart, below, above: Value::Null, is_default: false })
}

/// Values of this repo that lie over a chart's own: their files' and their objects'.
pub fn overrides(model: &Model<'_>, gifts: &Gifts, chart: &Chart) -> Vec<Value> {
    let repo = model.repo();
    let default = inside(chart, "values.yaml");
    let mut paths = BTreeSet::new();
    for file in repo.files.iter().filter(|file| file.is_values && file.path != default) {
        if own_chart(repo, &file.path).is_some_and(|own| own.folder == chart.folder) {
            paths.insert(file.path.clone());
        }
    }
    let mut found = Vec::new();
    for given in &gifts.0 {
        if given.chart(repo).is_some_and(|taken| taken.folder == chart.folder) {
            paths.extend(given.files.iter().filter(|path| **path != default).cloned());
            found.push(given.inline.clone());
        }
    }
    found.extend(paths.iter().map(|path| over(repo, Value::Null, path)));
    found
}

/// What names the chart of an object that is not in this repo: its name and where it comes from.
pub fn source(id: &ObjectId, value: &Value) -> Option<String> {
    match &*id.kind {
        "HelmRelease" => {
            let spec = &value["spec"];
            let (chart, reference) = (&spec["chart"]["spec"], &spec["chartRef"]);
            match chart["chart"].as_str() {
                Some(name) => Some(format!("{name} of {}", chart["sourceRef"]["name"])),
                None => Some(format!("{} {}", reference["kind"], reference["name"].as_str()?)),
            }
        }
        "Application" => {
            let source = &value["spec"]["source"];
            Some(format!("{} of {}", source["chart"].as_str()?, source["repoURL"]))
        }
        _ => None,
    }
}

pub(super) fn gives_values(id: &ObjectId) -> bool {
    matches!(
        (id.group(), &*id.kind),
        ("helm.toolkit.fluxcd.io", "HelmRelease")
            | ("argoproj.io", "Application" | "ApplicationSet")
            | ("helm.cattle.io", "HelmChart" | "HelmChartConfig")
    )
}

/// The deepest chart around a file.
fn own_chart<'m>(repo: &'m Repo, path: &str) -> Option<&'m Chart> {
    let mut at = folder(path);
    loop {
        if let Ok(idx) = repo.charts.binary_search_by(|chart| chart.folder.as_str().cmp(at)) {
            return Some(&repo.charts[idx]);
        }
        if at.is_empty() {
            return None;
        }
        at = folder(at);
    }
}

fn inside(chart: &Chart, name: &str) -> String {
    if chart.folder.is_empty() { name.to_owned() } else { format!("{}/{name}", chart.folder) }
}

fn over(repo: &Repo, below: Value, path: &str) -> Value {
    let file = repo.files.iter().find(|file| file.path == path && file.is_values);
    let value = file.and_then(|file| file.stream.root(0)?.value().ok());
    value.map_or(below.clone(), |value| layered(&below, &value))
}

fn given(id: &ObjectId, value: &Value) -> Vec<Given> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    match &*id.kind {
        "HelmRelease" => {
            let spec = &value["spec"]["chart"]["spec"];
            let is_here = matches!(spec["sourceRef"]["kind"].as_str(), Some("GitRepository" | "Bucket"));
            let chart = spec["chart"].as_str().filter(|_| is_here).and_then(|path| join("", path));
            let called = match (spec["chart"].as_str(), value["spec"]["chartRef"]["name"].as_str()) {
                (Some(chart), _) => format!("the chart `{chart}`"),
                (None, Some(reference)) => format!("the chart of `{reference}`"),
                (None, None) => "its chart".to_owned(),
            };
            let files = texts(&spec["valuesFiles"]).iter().filter_map(|path| join("", path)).collect();
            let inline = value["spec"]["values"].clone();
            vec![Given { chart, called, files, inline, parameters: Vec::new() }]
        }
        "Application" | "ApplicationSet" => {
            let spec =
                if &*id.kind == "Application" { &value["spec"] } else { &value["spec"]["template"]["spec"] };
            let sources: Vec<&Value> = match spec["sources"].as_array() {
                Some(sources) => sources.iter().collect(),
                None => vec![&spec["source"]],
            };
            sources.into_iter().map(|source| application_source(source, &texts)).collect()
        }
        _ => {
            let called = value["spec"]["chart"].as_str();
            let called =
                called.map_or_else(|| "its chart".to_owned(), |chart| format!("the chart `{chart}`"));
            let (files, inline) = (Vec::new(), Value::Null);
            vec![Given { chart: None, called, files, inline, parameters: Vec::new() }]
        }
    }
}

fn application_source(source: &Value, texts: &dyn Fn(&Value) -> Vec<String>) -> Given {
    let helm = &source["helm"];
    let chart = source["path"].as_str().and_then(|path| join("", path));
    let called = source["chart"].as_str().or_else(|| source["path"].as_str());
    let at = chart.clone().unwrap_or_default();
    let text = helm["values"].as_str().map(str::to_owned);
    let parsed = text.and_then(|text| Stream::parse(text, &crate::repo::LIMITS).ok());
    let parsed = parsed.as_ref().and_then(|stream| stream.root(0)?.value().ok());
    let inline = match &helm["valuesObject"] {
        Value::Null => parsed.unwrap_or(Value::Null),
        object => object.clone(),
    };
    let names = helm["parameters"].as_array().into_iter().flatten();
    Given {
        chart,
        called: called.map_or_else(|| "its chart".to_owned(), |chart| format!("the chart `{chart}`")),
        files: texts(&helm["valueFiles"]).iter().filter_map(|path| join(&at, path)).collect(),
        inline,
        parameters: names.filter_map(|parameter| parameter["name"].as_str()).map(str::to_owned).collect(),
    }
}

impl Given {
    fn chart<'m>(&self, repo: &'m Repo) -> Option<&'m Chart> {
        let folder = self.chart.as_ref()?;
        repo.charts.iter().find(|chart| chart.folder == *folder)
    }
}
