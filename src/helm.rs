//! Helm charts: what becomes of values in the text that a chart renders.
//!
//! Renders templates itself, with terms for what only a cluster or a release knows, to compare two sets of values.
//! It never says what a chart renders to, only whether two renderings differ in nothing but the images that should
//! differ; where it does not understand a chart it says so. No process is started and nothing is fetched: the tests
//! against real components hold every pin against `helm template`.
//!
//! Knows nothing of rules; what edits need of a template is where its actions are ([`actions`]).

pub mod actions;
pub mod app_template;
pub mod archive;
mod compare;
pub mod concrete;
mod functions;
pub mod landing;
pub mod outline;
mod parse;
mod run;
pub mod schema;
mod value;
mod version;

use std::collections::BTreeMap;

use serde_json::Value as Json;

use self::compare::Rendered;
use self::parse::{Block, Parsed};
use self::run::Run;
use self::value::Value;
use crate::image::{Digest, Reference};
use crate::repo;

/// A chart with its templates read.
#[derive(Debug)]
pub struct Chart {
    /// Under which its parent has its values.
    key: String,
    /// `.Template.BasePath`.
    base: String,
    metadata: BTreeMap<String, Value>,
    defaults: Json,
    /// Each file that renders something: how Helm calls it, its path, its text.
    files: Vec<(String, String, Block)>,
    /// When its parent takes it; for all else see [`repo::Dependency`].
    condition: String,
    tags: Vec<String>,
    /// Named templates, of its subcharts too.
    defined: BTreeMap<String, Block>,
    subcharts: Vec<Chart>,
    /// All that its templates say, to look for words in.
    words: String,
    /// The schema that its values must fit, as text.
    schema: Option<String>,
    /// A file that is no template, if there is one: nothing can be said of the chart then.
    broken: Option<String>,
    /// What `.Release` says of itself when one set of values is followed.
    release: Release,
}

/// What templates learn of the release that a chart is installed as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub name: String,
    pub namespace: String,
}

impl Default for Release {
    /// As `helm template` calls it when nobody gives it a name.
    fn default() -> Release {
        Release { name: "release-name".to_owned(), namespace: "default".to_owned() }
    }
}

/// The image that values should name from now on.
#[derive(Debug, Clone, Copy)]
pub struct Pin<'a> {
    /// As it is now, without a digest.
    pub reference: &'a Reference,
    pub digest: &'a Digest,
}

/// Why a change of values cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    #[error("the chart's templates do more than can be followed here")]
    NotUnderstood,
    #[error("the chart hands it to `{0}`, which is not in this repo")]
    Elsewhere(String),
    #[error("the chart's templates do not use it")]
    Unused,
    #[error("the chart renders `{before}` and would render `{after}`")]
    Renders { before: String, after: String },
    #[error("the chart would render something else than an image differently, in {0}")]
    RendersOther(String),
}

impl Chart {
    /// Reads a chart and those in its `charts` folder.
    pub fn new(chart: &repo::Chart, all: &[repo::Chart]) -> Chart {
        Chart::below(chart, all, chart.name.clone(), &chart.name)
    }

    /// `path` is how Helm names the chart's files for itself: `parent/charts/child`.
    fn below(chart: &repo::Chart, all: &[repo::Chart], key: String, path: &str) -> Chart {
        let prefix =
            if chart.folder.is_empty() { "charts/".to_owned() } else { format!("{}/charts/", chart.folder) };
        let inside = |other: &&repo::Chart| {
            other.folder.strip_prefix(&prefix).is_some_and(|rest| !rest.is_empty() && !rest.contains('/'))
        };
        let mut subcharts = Vec::new();
        for inner in all.iter().filter(inside) {
            let aliases = chart.dependencies.iter().filter(|dependency| dependency.name == inner.name);
            let mut uses: Vec<repo::Dependency> = aliases.cloned().collect();
            if uses.is_empty() {
                uses.push(repo::Dependency { name: inner.name.clone(), ..repo::Dependency::default() });
            }
            subcharts.extend(uses.into_iter().map(|dependency| Chart {
                condition: dependency.condition.clone().unwrap_or_default(),
                tags: dependency.tags.clone(),
                // With an alias the chart is called so, by itself too.
                ..Chart::below(
                    inner,
                    all,
                    dependency.key().to_owned(),
                    &format!("{path}/charts/{}", dependency.key()),
                )
            }));
        }
        let metadata = chart.metadata.iter().map(|(key, text)| (key.clone(), Value::text(text.as_str())));
        let called = [("Name".to_owned(), Value::text(key.as_str()))];
        let mut read = Chart {
            key,
            base: format!("{path}/templates"),
            metadata: metadata.chain(called).collect(),
            defaults: chart.values.clone(),
            files: Vec::new(),
            condition: String::new(),
            tags: Vec::new(),
            defined: BTreeMap::new(),
            subcharts,
            words: String::new(),
            schema: chart.schema.clone(),
            broken: None,
            release: Release::default(),
        };
        for subchart in &read.subcharts {
            read.defined.extend(subchart.defined.iter().map(|(name, block)| (name.clone(), block.clone())));
            read.words.push_str(&subchart.words);
            read.broken = read.broken.take().or_else(|| subchart.broken.clone());
        }
        for repo::Template { path, text, .. } in &chart.templates {
            let inside = path[chart.folder.len()..].trim_start_matches('/');
            let Ok(Parsed { body, defined }) = parse::parse(text) else {
                read.broken = Some(path.clone());
                continue;
            };
            read.words.push_str(text);
            read.defined.extend(defined);
            let name = path.rsplit('/').next().unwrap_or(path);
            // A file is a named template too: charts take checksums of their own files.
            let called = format!("{}{}", read.base, inside.trim_start_matches("templates"));
            // What is said after an installation is no part of it.
            if !name.starts_with('_') && name != "NOTES.txt" {
                read.files.push((called.clone(), path.clone(), body.clone()));
            }
            read.defined.insert(called, body);
        }
        read
    }

    /// The chart as a release of this name.
    pub fn released(self, release: &Release) -> Chart {
        Chart { release: release.clone(), ..self }
    }

    /// Whether its templates or its schema say a word at all.
    pub fn says(&self, word: &str) -> bool {
        let is_whole = |(at, _): (usize, &str)| {
            let rest = self.words[at + word.len()..].chars().next();
            let before = self.words[..at].chars().next_back();
            let ends = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            ends(rest) && ends(before)
        };
        let is_allowed = self.schema.as_ref().is_none_or(|schema| schema.contains(&format!("\"{word}\"")));
        is_allowed && self.words.match_indices(word).any(is_whole)
    }

    /// Whether its schema, and those of the charts it brings along, let a value be.
    pub fn allows(&self, pointer: &str, value: &Json) -> bool {
        let is_allowed = |text: &String| {
            serde_json::from_str(text).is_ok_and(|schema| schema::allows(&schema, pointer, value))
        };
        let own = self.schema.as_ref().is_none_or(is_allowed);
        own && self.subcharts.iter().all(|subchart| {
            let below = pointer.strip_prefix(&format!("/{}", crate::pointer::token(&subchart.key)));
            below.is_none_or(|below| !below.starts_with('/') || subchart.allows(below, value))
        })
    }

    /// Proves that with the new values the chart renders the image with its digest wherever it rendered it
    /// without, and all else as before. Both are all of its values, its own defaults among them. `changing` are the pointers that may differ between the two.
    ///
    /// # Errors
    /// Why this is not so, or cannot be shown.
    pub fn prove(
        &self,
        before: &Json,
        after: &Json,
        changing: &[&str],
        pin: Pin<'_>,
    ) -> Result<(), Unproved> {
        let before = self.render(before, changing)?;
        let after = self.render(after, changing)?;
        before.pinned(&after, pin)
    }

    fn render(&self, values: &Json, changing: &[&str]) -> Result<Rendered, Unproved> {
        if self.broken.is_some() {
            return Err(Unproved::NotUnderstood);
        }
        let mut run = Run::new(&self.defined);
        self.render_into(&mut run, values, "", changing);
        if !run.is_complete() {
            return Err(Unproved::NotUnderstood);
        }
        Ok(Rendered { text: run.text, untaken: run.untaken, unknown: run.unknown })
    }

    fn render_into(&self, run: &mut Run<'_>, values: &Json, at: &str, changing: &[&str]) {
        // What one template sets in the values, those behind it see.
        let values_of_files = Value::from_json(values, at, changing);
        for (path, _, body) in &self.files {
            let root = self.root(&values_of_files, path);
            run.text.push_str(&format!("\n{}{path}\n", compare::FILE));
            run.file_name.clone_from(path);
            run.file(body, &root);
        }
        for subchart in &self.subcharts {
            let merged = subchart.values_below(values);
            let inner_at = format!("{at}/{}", subchart.key);
            subchart.render_into(run, &merged, &inner_at, changing);
        }
    }

    /// The dot of a file.
    fn root(&self, values: &Value, path: &str) -> Value {
        let unknown = |name: &str| (name.to_owned(), Value::unknown(name));
        let mut entries: BTreeMap<String, Value> = ["Capabilities", "Files", "Subcharts"].map(unknown).into();
        let release = ["Name", "Namespace", "Revision", "Service", "IsInstall", "IsUpgrade"];
        let release = release.map(|name| (name.to_owned(), Value::unknown(&format!("Release.{name}"))));
        entries.insert("Release".to_owned(), Value::map(release.into()));
        entries.insert("Chart".to_owned(), Value::map(self.metadata.clone()));
        let name = Value::text(path);
        let base = Value::text(self.base.as_str());
        let template = [("Name".to_owned(), name), ("BasePath".to_owned(), base)];
        entries.insert("Template".to_owned(), Value::map(template.into()));
        entries.insert("Values".to_owned(), values.clone());
        Value::map(entries)
    }
}

/// Values over values: mappings are merged, `null` takes a default away.
pub fn layered(below: &Json, above: &Json) -> Json {
    match (below, above) {
        (Json::Object(below), Json::Object(above)) => {
            let mut merged = below.clone();
            for (key, value) in above {
                match (merged.get(key), value) {
                    (_, Json::Null) => {
                        merged.remove(key);
                    }
                    (Some(under), over) => {
                        let both = layered(under, over);
                        merged.insert(key.clone(), both);
                    }
                    (None, over) => {
                        merged.insert(key.clone(), over.clone());
                    }
                }
            }
            Json::Object(merged)
        }
        (below, Json::Null) => below.clone(),
        (_, above) => above.clone(),
    }
}

#[cfg(test)]
mod tests;
