//! Helm charts as they lie in the repo: the text of their parts. Renders nothing.

use std::collections::BTreeMap;

use serde_json::Value;

use super::LIMITS;
use crate::yaml::{Node, Stream};

/// A chart.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    /// The folder with its `Chart.yaml`.
    pub folder: String,
    pub name: String,
    /// What templates see as `.Chart`, its texts only: `Name`, `Version`, `AppVersion` …
    pub metadata: BTreeMap<String, String>,
    pub dependencies: Vec<Dependency>,
    /// Ordered by path.
    pub templates: Vec<Template>,
    /// Its own values.
    pub values: Value,
    /// `values.schema.json`.
    pub schema: Option<String>,
}

/// A file of a chart's `templates`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Template {
    pub path: String,
    pub text: String,
    /// Read for what it makes of values, and not asked for.
    pub context_only: bool,
}

/// A chart that another one uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dependency {
    pub name: String,
    pub alias: Option<String>,
    /// Dotted paths of values, separated by commas: the first that is there says whether it is used.
    pub condition: Option<String>,
    pub tags: Vec<String>,
}

impl Dependency {
    /// Under which key of its parent's values it has its own.
    pub fn key(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }
}

/// A file of a chart, read.
#[derive(Debug)]
pub(super) struct Part {
    /// The folder of the chart.
    pub(super) chart: String,
    pub(super) path: String,
    pub(super) text: String,
    pub(super) context_only: bool,
}

/// Puts the charts together, ordered by folder.
pub(super) fn charts(parts: Vec<Part>) -> Vec<Chart> {
    let mut charts: BTreeMap<String, Chart> = BTreeMap::new();
    for part in parts {
        let chart = charts.entry(part.chart.clone()).or_default();
        chart.folder.clone_from(&part.chart);
        let inside = part.path[part.chart.len()..].trim_start_matches('/');
        match inside {
            "Chart.yaml" => chart.read_metadata(&part.text),
            "values.yaml" => chart.values = values(&part.text),
            "values.schema.json" => chart.schema = Some(part.text),
            _ => {
                let Part { path, text, context_only, .. } = part;
                chart.templates.push(Template { path, text, context_only });
            }
        }
    }
    for chart in charts.values_mut() {
        chart.templates.sort();
    }
    charts.into_values().collect()
}

impl Chart {
    fn read_metadata(&mut self, text: &str) {
        let Ok(stream) = Stream::parse(text.to_owned(), &LIMITS) else { return };
        let Some(root) = stream.root(0) else { return };
        for (key, value) in root.entries() {
            let (Some(key), Some(text)) = (key.as_str(), value.as_str()) else { continue };
            // As the fields of Go's struct are called.
            let field = match &*key {
                "apiVersion" => "APIVersion".to_owned(),
                key => key[..1].to_uppercase() + &key[1..],
            };
            self.metadata.insert(field, text.into_owned());
        }
        self.name = self.metadata.get("Name").cloned().unwrap_or_default();
        let items = root.get("dependencies").into_iter().flat_map(Node::items);
        let text = |item: Node<'_>, key: &str| item.get(key)?.as_str().map(|text| text.into_owned());
        let tags = |item: Node<'_>| {
            let tags = item.get("tags").into_iter().flat_map(Node::items);
            tags.filter_map(|tag| tag.as_str().map(|tag| tag.into_owned())).collect()
        };
        let dependencies = items.filter_map(|item| {
            Some(Dependency {
                name: text(item, "name")?,
                alias: text(item, "alias"),
                condition: text(item, "condition"),
                tags: tags(item),
            })
        });
        self.dependencies = dependencies.collect();
    }
}

fn values(text: &str) -> Value {
    let stream = Stream::parse(text.to_owned(), &LIMITS).ok();
    let value = stream.as_ref().and_then(|stream| stream.root(0)?.value().ok());
    value.unwrap_or(Value::Null)
}
