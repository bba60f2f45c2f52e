//! One set of values followed through a chart's templates as `helm template` does: the objects that come out, where
//! their text is in the templates, and which values were asked for.
//!
//! What only a cluster or chance knows stays a word that stands for it ([`is_unknown`]). A file whose structure
//! depends on such a word is refused with the reason, never guessed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::run::{HAS_VERSION, Run};
use super::value::{TERM_END, TERM_START, Value};
use super::{Chart, Release, layered};
use crate::repo::LIMITS;
use crate::yaml::Stream;

/// What a chart renders with one set of values.
#[derive(Debug, Clone, Default)]
pub struct Render {
    pub objects: Vec<RenderedObject>,
    /// Pointers of the values that its templates asked for.
    pub reads: BTreeSet<String>,
    /// Templates that were not followed: path and why.
    pub refused: Vec<(String, String)>,
}

/// What renders objects from values.
pub trait Renders {
    /// Renders with all of its values, its own defaults among them.
    ///
    /// # Errors
    /// Why Helm would not render it either, or why it is no chart.
    fn rendered(&self, values: &Json) -> Result<Render, NotRendered>;

    /// The same as a release, where what it renders depends on that.
    ///
    /// # Errors
    /// As [`Renders::rendered`].
    fn rendered_as(&self, _release: &Release, values: &Json) -> Result<Render, NotRendered> {
        self.rendered(values)
    }

    /// Whether a value may be at a place of the values, as far as anything says so.
    fn allows(&self, _pointer: &str, _value: &Json) -> bool {
        true
    }
}

/// An object that a template renders.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderedObject {
    /// Path of the template in the repo.
    pub template: String,
    /// How many objects the template renders before it.
    pub idx: usize,
    pub value: Json,
    text: String,
    /// Of `text`: where it starts in what the template rendered.
    start: usize,
    spans: Vec<(usize, usize, usize)>,
}

/// Why a chart renders nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRendered {
    #[error("the template {0} cannot be read")]
    Broken(String),
    #[error("the chart refuses these values: {0}")]
    Refuses(String),
}

/// Whether a text that was rendered is not known, or not all of it.
pub fn is_unknown(text: &str) -> bool {
    text.contains(TERM_START)
}

/// A text that was rendered, for people: what is not known of it is left out.
pub fn readable(text: &str) -> String {
    let mut parts = text.split(TERM_START);
    let mut readable = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        readable.push('…');
        readable.push_str(part.split_once(TERM_END).map_or("", |(_, rest)| rest));
    }
    readable
}

/// The version of Kubernetes that charts are rendered for.
pub const KUBERNETES: (&str, &str) = ("1", "33");

impl Renders for Chart {
    fn allows(&self, pointer: &str, value: &Json) -> bool {
        Chart::allows(self, pointer, value)
    }

    fn rendered(&self, values: &Json) -> Result<Render, NotRendered> {
        self.rendered_as(&self.release, values)
    }

    fn rendered_as(&self, release: &Release, values: &Json) -> Result<Render, NotRendered> {
        if let Some(path) = &self.broken {
            return Err(NotRendered::Broken(path.clone()));
        }
        let mut run = Run::concrete(&self.defined);
        let mut render = Render::default();
        self.render_files(&mut run, release, values, "", &mut render)?;
        let reads = run.only.map(|only| only.reads).unwrap_or_default();
        render.reads = reads.iter().map(ToString::to_string).collect();
        Ok(render)
    }
}

impl Chart {
    fn render_files(
        &self,
        run: &mut Run<'_>,
        release: &Release,
        values: &Json,
        at: &str,
        render: &mut Render,
    ) -> Result<(), NotRendered> {
        let values_of_files = Value::from_json(values, at, &[]);
        for (called, path, body) in &self.files {
            let root = self.concrete_root(release, &values_of_files, called);
            run.file(body, &root);
            if let Some(message) = run.only.as_mut().and_then(|only| only.failed.take()) {
                return Err(NotRendered::Refuses(message));
            }
            let (text, spans, refused) = run.file_done();
            match refused {
                Some(why) => render.refused.push((path.clone(), why)),
                None => match objects(path, &text, &spans) {
                    Ok(objects) => render.objects.extend(objects),
                    Err(why) => render.refused.push((path.clone(), why)),
                },
            }
        }
        for subchart in self.subcharts.iter().filter(|subchart| subchart.is_enabled(values)) {
            let merged = subchart.values_below(values);
            subchart.render_files(run, release, &merged, &format!("{at}/{}", subchart.key), render)?;
        }
        Ok(())
    }

    /// What a subchart gets of its parent's values.
    pub(super) fn values_below(&self, parent: &Json) -> Json {
        let own = parent.get(&self.key).cloned().unwrap_or(Json::Null);
        let mut merged = layered(&self.defaults, &own);
        if let (Some(global), Json::Object(map)) = (parent.get("global"), &mut merged) {
            let inner = map.remove("global").unwrap_or(Json::Null);
            map.insert("global".to_owned(), layered(&inner, global));
        }
        merged
    }

    /// The first of its conditions that the parent's values answer decides
    /// (<https://helm.sh/docs/topics/charts/#tags-and-condition-fields-in-dependencies>).
    fn is_enabled(&self, parent: &Json) -> bool {
        let answer = |path: &str| {
            let pointer: String = path.trim().split('.').map(|key| format!("/{key}")).collect();
            parent.pointer(&pointer)?.as_bool()
        };
        let by_condition = self.condition.split(',').find_map(answer);
        let by_tags = || {
            let tags: Vec<bool> = self.tags.iter().filter_map(|tag| parent["tags"][tag].as_bool()).collect();
            tags.is_empty() || tags.contains(&true)
        };
        by_condition.unwrap_or_else(by_tags)
    }

    fn concrete_root(&self, release: &Release, values: &Value, called: &str) -> Value {
        let text = |name: &str, text: &str| (name.to_owned(), Value::text(text));
        let release = [
            text("Name", &release.name),
            text("Namespace", &release.namespace),
            text("Service", "Helm"),
            ("Revision".to_owned(), Value::new(super::value::Data::Int(1))),
            ("IsInstall".to_owned(), Value::bool(true)),
            ("IsUpgrade".to_owned(), Value::bool(false)),
        ];
        let (major, minor) = KUBERNETES;
        let version = format!("v{major}.{minor}.0");
        let kubernetes = [
            text("Version", &version),
            text("GitVersion", &version),
            text("Major", major),
            text("Minor", minor),
        ];
        let versions = [("Has".to_owned(), Value::unknown(HAS_VERSION))];
        let helm = [text("Version", "v3.18.6"), text("GoVersion", "go1.24.4")];
        let capabilities = [
            ("KubeVersion".to_owned(), Value::map(kubernetes.into())),
            ("APIVersions".to_owned(), Value::map(versions.into())),
            ("HelmVersion".to_owned(), Value::map(helm.into())),
        ];
        let mut entries: BTreeMap<String, Value> =
            ["Files", "Subcharts"].map(|name| (name.to_owned(), Value::unknown(name))).into();
        entries.insert("Release".to_owned(), Value::map(release.into()));
        entries.insert("Capabilities".to_owned(), Value::map(capabilities.into()));
        entries.insert("Chart".to_owned(), Value::map(self.metadata.clone()));
        let template = [text("Name", called), text("BasePath", &self.base)];
        entries.insert("Template".to_owned(), Value::map(template.into()));
        entries.insert("Values".to_owned(), values.clone());
        Value::map(entries)
    }
}

/// The objects in what a template rendered.
fn objects(path: &str, text: &str, spans: &[(usize, usize, usize)]) -> Result<Vec<RenderedObject>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let stream = Stream::parse(text.to_owned(), &LIMITS)
        .map_err(|error| format!("what it renders is not YAML here: {}", error.message))?;
    let mut found = Vec::new();
    for document in 0..stream.documents() {
        let Some(root) = stream.root(document) else { continue };
        let value = root.value().map_err(|error| format!("what it renders is not YAML here: {error}"))?;
        let range = root.range();
        let items = match value["items"].as_array().filter(|_| value["kind"] == "List") {
            Some(items) => items.clone(),
            None => vec![value],
        };
        for value in items.into_iter().filter(|value| value["kind"].is_string()) {
            found.push(RenderedObject {
                template: path.to_owned(),
                idx: found.len(),
                value,
                text: text[range.clone()].to_owned(),
                start: range.start,
                spans: spans.to_vec(),
            });
        }
    }
    Ok(found)
}

impl RenderedObject {
    /// An object that no template here renders.
    pub(super) fn alone(idx: usize, value: Json) -> RenderedObject {
        let (template, text) = (String::new(), String::new());
        RenderedObject { template, idx, value, text, start: 0, spans: Vec::new() }
    }

    /// Where in its template the text stands that renders the value of a pointer, or the next thing around it: the
    /// first byte of its key or of its item.
    pub fn place(&self, pointer: &str) -> Option<Place> {
        let stream = Stream::parse(self.text.clone(), &LIMITS).ok()?;
        let pointer = crate::yaml::Pointer::parse(pointer).ok()?;
        let offset = self.start + stream.locate(0, pointer)?.start;
        let idx = self.spans.partition_point(|(rendered, _, _)| *rendered <= offset).checked_sub(1)?;
        let (rendered, at, length) = self.spans[idx];
        let inside = offset - rendered;
        Some(Place { at: at + inside.min(length), is_literal: inside < length })
    }
}

/// A place in a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Byte of the template.
    pub at: usize,
    /// Whether the template itself says what is there, rather than an action behind the place.
    pub is_literal: bool,
}
