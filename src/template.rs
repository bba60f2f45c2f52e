//! Everything the tool adds, rendered from the templates in `templates/`.
//!
//! A template is YAML with holes. Three things keep what it renders sound: a hole must be a whole scalar, what
//! fills it is quoted as YAML, and the result must decode into its Kubernetes type with nothing left over.
//! Knows what is rendered and of which type it is; not where it is put, nor why. Reads files only in
//! [`Templates::with_overrides`], writes them only in [`Templates::export`].

mod access;
mod admission;
mod branch;
mod cluster;
mod decode;
mod error;
mod fleet;
mod holes;
mod inputs;
mod network;
mod network_dialects;
mod overlay;
mod pipeline;
mod probe;
mod resources;
mod samples;
mod scalar;
mod secrets;
mod sources;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use k8s_openapi::api::core::v1::{Namespace, PodSecurityContext, SecurityContext, Volume, VolumeMount};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tera::Tera;

use crate::config::Dialect;
pub use access::{NewBinding, NewRole};
pub use admission::{Attestor, WantedAdmission, WantedAttestor, WantedSignatures, WantedValidation};
pub use branch::WantedCommit;
pub use cluster::{AnonymousPaths, ControlPlane, EncryptedWith};
use decode::Problem;
pub use error::TemplateError;
pub use fleet::WantedFleet;
pub use inputs::{AdmissionLabels, ExceptedWorkload, ExceptionRecord, Standard, WritableDirectory};
pub use network::{InNamespace, PolicyKind, WantedPeer, WantedPolicy, WantedPort, WantedRule};
pub use overlay::PatchedObject;
pub use pipeline::WantedPipeline;
pub use probe::{ProbeRow, WantedProbe};
pub use resources::{Amounts, WantedBound, WantedLimits};
pub use secrets::{OutlinedKey, RemoteKey, SecretOutline, VolumeWithMount};
use sources::Source;
pub use sources::{ExportError, Exported};

const CONFIG: &str = "caseharden.toml";
const CONTAINER: &str = "container-security-context.yaml";
const EXCEPTIONS: &str = "pod-security-exceptions.yaml";
const LABELS: &str = "namespace-labels.yaml";
const NAMESPACE: &str = "namespace.yaml";
const POD: &str = "pod-security-context.yaml";
const WRITABLE: &str = "writable-volume.yaml";

/// All templates, ready to render. Can be shared between threads.
#[derive(Debug)]
pub struct Templates {
    tera: Engine,
    sources: Vec<Source>,
    /// What was rendered, by template and variables: the same few inputs come for every workload of a repo.
    rendered: RwLock<HashMap<String, Arc<Value>>>,
    /// What did not render since they were tried out.
    failures: Mutex<BTreeSet<TemplateError>>,
}

/// tera's engine; its own `Debug` is missing.
struct Engine(Tera);

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tera")
    }
}

/// A template, as `templates list` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<'a> {
    pub name: &'a str,
    /// Its leading comment.
    pub description: &'a str,
    /// The file that replaces the built-in template.
    pub overridden_by: Option<&'a Path>,
}

/// A whole file: its text, and the value of that text.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderedFile {
    /// Ends with one line break.
    pub text: String,
    pub value: Value,
}

/// A writable directory: what goes into the pod's `volumes` and into the container's `volumeMounts`.
#[derive(Debug, Clone, PartialEq)]
pub struct WritableVolume {
    pub volume: Value,
    pub mount: Value,
}

/// The shape of what `writable-volume.yaml` renders.
#[derive(Serialize, Deserialize)]
struct VolumeAndMount {
    volume: Volume,
    mount: VolumeMount,
}

impl Templates {
    /// The templates that are compiled in.
    pub fn builtin() -> Templates {
        Templates::new(sources::built_in()).expect("the built-in templates are tested to parse")
    }

    /// The built-in templates with those of `dir` in place of their namesakes, each tried out with sample
    /// values of every kind.
    ///
    /// # Errors
    /// Everything that is wrong: files that cannot be read, names that are no template's, templates that do
    /// not parse or render what they must.
    pub fn with_overrides(dir: &Path) -> Result<Templates, Vec<TemplateError>> {
        let templates = Templates::new(sources::with_overrides(dir)?)?;
        let errors = templates.try_out();
        if errors.is_empty() { Ok(templates) } else { Err(errors) }
    }

    fn new(sources: Vec<Source>) -> Result<Templates, Vec<TemplateError>> {
        let errors: Vec<TemplateError> =
            sources.iter().filter_map(|source| misplaced_hole(source).err()).collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut tera = Tera::default();
        tera.autoescape_on([".yaml"]);
        tera.set_escape_fn(|text, out| out.write_all(scalar::string(text).as_bytes()));
        tera.register_filter("yaml", yaml_filter);
        tera.register_filter("block", block_filter);
        tera.register_filter("comment", comment_filter);
        tera.register_filter("safe", refuse_safe);
        let texts = sources.iter().map(|source| (source.name, source.text.as_str()));
        tera.add_raw_templates(texts)
            .map_err(|error| vec![named(&sources, TemplateError::from_tera("", &error))])?;
        Ok(Templates { tera: Engine(tera), sources, rendered: RwLock::default(), failures: Mutex::default() })
    }

    /// All templates, by name.
    pub fn list(&self) -> impl Iterator<Item = Listed<'_>> {
        self.sources.iter().map(|source| Listed {
            name: source.name,
            description: leading_comment(&source.text),
            overridden_by: source.path.as_deref(),
        })
    }

    /// Writes all templates into `dir`, or none if that would replace a different file and `overwrite` is not
    /// set.
    pub fn export(&self, dir: &Path, overwrite: bool) -> Result<Vec<Exported>, ExportError> {
        sources::export(&self.sources, dir, overwrite)
    }

    /// What goes into a pod's `securityContext`; empty when the profile asks for nothing there.
    pub fn pod_security_context(&self, standard: &Standard) -> Result<Arc<Value>, TemplateError> {
        self.cached(POD, standard.variables(), typed_map::<PodSecurityContext>)
    }

    /// What goes into a container's `securityContext`. `alone`: the pod's own one cannot carry
    /// `runAsNonRoot` and `seccompProfile` for it.
    pub fn container_security_context(
        &self,
        standard: &Standard,
        alone: bool,
    ) -> Result<Arc<Value>, TemplateError> {
        let mut variables = standard.variables();
        variables["alone"] = Value::Bool(alone);
        self.cached(CONTAINER, variables, typed_map::<SecurityContext>)
    }

    /// The volume and the mount that keep a directory writable.
    pub fn writable_volume(
        &self,
        directory: &WritableDirectory<'_>,
    ) -> Result<WritableVolume, TemplateError> {
        let WritableDirectory { name, path, size_limit } = *directory;
        let variables = json!({"name": name, "path": path, "size_limit": size_limit});
        let value = self.cached(WRITABLE, variables, |text| {
            let value = decode::typed::<VolumeAndMount>(text)?;
            must_be(&value, "/volume/name", &json!(name))?;
            must_be(&value, "/mount/name", &json!(name))?;
            must_be(&value, "/mount/mountPath", &json!(path))?;
            Ok(value)
        })?;
        Ok(WritableVolume { volume: value["volume"].clone(), mount: value["mount"].clone() })
    }

    /// The labels of a namespace, in the template's order; no label for a mode that is not set.
    pub fn namespace_labels(&self, labels: &AdmissionLabels) -> Result<Arc<Value>, TemplateError> {
        self.cached(LABELS, labels.variables(), |text| {
            let value = map(decode::value(text)?)?;
            match value.as_object().and_then(|map| map.iter().find(|(_, value)| !value.is_string())) {
                Some((key, value)) => Err(Problem::new(format!("label `{key}` is not a string: {value}"))),
                None => Ok(value),
            }
        })
    }

    /// The manifest of a namespace with its labels.
    pub fn namespace(&self, name: &str, labels: &AdmissionLabels) -> Result<RenderedFile, TemplateError> {
        let labels = self.namespace_labels(labels)?;
        let labels = labels.as_object().cloned().unwrap_or_default();
        let list: Vec<Value> =
            labels.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        self.file(NAMESPACE, json!({"name": name, "labels": list}), |text| {
            let value = decode::typed::<Namespace>(text)?;
            must_be(&value, "/metadata/name", &json!(name))?;
            for (key, label) in &labels {
                let pointer = format!("/metadata/labels/{}", crate::pointer::token(key));
                must_be(&value, &pointer, label)?;
            }
            Ok(value)
        })
    }

    /// The file that records `records`: a list with one item for each, in their order.
    pub fn exceptions(&self, records: &[ExceptionRecord]) -> Result<RenderedFile, TemplateError> {
        let variables: Vec<Value> = records.iter().map(ExceptionRecord::variables).collect();
        self.file(EXCEPTIONS, json!({"records": variables}), |text| {
            let value = decode::value(text)?;
            let items = value.as_array().map_or(&[][..], Vec::as_slice);
            if items.len() != records.len() {
                let (found, expected) = (items.len(), records.len());
                return Err(Problem::new(format!("renders {found} of {expected} records")));
            }
            for (n, (item, record)) in items.iter().zip(records).enumerate() {
                let wanted = serde_json::to_value(record).map_err(|error| Problem::new(error.to_string()))?;
                if let Some((key, wanted)) = first_difference(&wanted, item) {
                    return Err(Problem::new(format!("record {n} must keep `{key}` as {wanted}")));
                }
            }
            Ok(value)
        })
    }

    /// The configuration that `init` writes.
    pub fn config(&self) -> Result<String, TemplateError> {
        self.render(CONFIG, &json!({}))
    }

    fn render(&self, name: &'static str, variables: &Value) -> Result<String, TemplateError> {
        let render = || self.tera.0.render(name, &tera::Context::from_serialize(variables)?);
        let text = render().map_err(|error| named(&self.sources, TemplateError::from_tera(name, &error)))?;
        // Where a leading comment or an empty branch stood.
        Ok(format!("{}\n", text.trim_start_matches(['\n', '\r']).trim_end()))
    }

    fn decoded(
        &self,
        name: &'static str,
        text: &str,
        decode: impl FnOnce(&str) -> Result<Value, Problem>,
    ) -> Result<Value, TemplateError> {
        decode(text).map_err(|problem| self.locate(name, text, problem))
    }

    fn cached(
        &self,
        name: &'static str,
        variables: Value,
        decode: impl FnOnce(&str) -> Result<Value, Problem>,
    ) -> Result<Arc<Value>, TemplateError> {
        let key = format!("{name} {variables}");
        // A panic elsewhere cannot leave the map half written: entries are whole.
        if let Some(value) = self.rendered.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(value));
        }
        let rendered = self.render(name, &variables).and_then(|text| self.decoded(name, &text, decode));
        let value = Arc::new(self.noted(rendered)?);
        self.rendered.write().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&value));
        Ok(value)
    }

    fn is_built_in(&self, name: &str) -> bool {
        self.sources.iter().any(|source| source.name == name && source.path.is_none())
    }

    fn file(
        &self,
        name: &'static str,
        variables: Value,
        decode: impl FnOnce(&str) -> Result<Value, Problem>,
    ) -> Result<RenderedFile, TemplateError> {
        let rendered = self.render(name, &variables).and_then(|text| {
            let value = self.decoded(name, &text, decode)?;
            Ok(RenderedFile { text, value })
        });
        self.noted(rendered)
    }

    fn noted<T>(&self, rendered: Result<T, TemplateError>) -> Result<T, TemplateError> {
        if let Err(error) = &rendered {
            self.failures.lock().unwrap_or_else(PoisonError::into_inner).insert(error.clone());
        }
        rendered
    }

    /// Templates that failed with what a run gave them, in the order of their names. A team's own template can render
    /// what it was tried out with and fail on something else; what it was for is missing from the result then.
    pub fn failures(&self) -> Vec<TemplateError> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Finds the template's line for a line of what it rendered.
    fn locate(&self, name: &str, text: &str, problem: Problem) -> TemplateError {
        let source = self.sources.iter().find(|source| source.name == name);
        let error = TemplateError::new(source.map_or_else(String::new, Source::origin), problem.message);
        let Some(line) = problem.line else { return error };
        let rendered = text.lines().nth(line - 1).unwrap_or_default();
        match source.and_then(|source| line_that_renders(&source.text, rendered)) {
            Some(line) => error.at(line, None),
            None => error.with_help(format!("line {line} of what it renders: `{}`", rendered.escape_debug())),
        }
    }

    /// Renders every template with every kind of input.
    fn try_out(&self) -> Vec<TemplateError> {
        let mut errors: Vec<TemplateError> = Vec::new();
        let mut note = |result: Result<(), TemplateError>| {
            if let Err(error) = result
                && !errors.iter().any(|known| known.template == error.template)
            {
                errors.push(error);
            }
        };
        for standard in samples::standards() {
            note(self.pod_security_context(&standard).map(drop));
            for alone in [false, true] {
                note(self.container_security_context(&standard, alone).map(drop));
            }
        }
        for directory in samples::DIRECTORIES {
            note(self.writable_volume(&directory).map(drop));
        }
        for labels in samples::labels() {
            note(self.namespace("sample", &labels).map(drop));
        }
        note(self.exceptions(&samples::exceptions()).map(drop));
        for dialect in [Dialect::Core, Dialect::Cilium, Dialect::Calico] {
            note(self.network_policies(&samples::policies(), dialect).map(drop));
        }
        note(self.probe(&samples::probe()).map(drop));
        note(self.config().map(drop));
        let others = [
            self.try_out_access(),
            self.try_out_admission(),
            self.try_out_overlays(),
            self.try_out_resources(),
            self.try_out_pipelines(),
            self.try_out_fleets(),
            self.try_out_commits(),
            self.try_out_cluster(),
            self.try_out_secrets(),
        ];
        others.into_iter().flatten().for_each(|error| note(Err(error)));
        errors
    }
}

fn misplaced_hole(source: &Source) -> Result<(), TemplateError> {
    // Only YAML is quoted; the configuration's example has nothing to fill in.
    if !source.name.ends_with(".yaml") {
        return Ok(());
    }
    holes::check(&source.text).map_err(|hole| {
        let before = &source.text[..hole.offset];
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let (message, help) = hole.reason.split_once("; ").unwrap_or((hole.reason, ""));
        TemplateError::new(source.origin(), message)
            .at(before.matches('\n').count() + 1, Some(column))
            .with_help(help)
    })
}

/// tera names templates; a user's is better known by its path.
fn named(sources: &[Source], error: TemplateError) -> TemplateError {
    match sources.iter().find(|source| source.name == error.template) {
        Some(source) => TemplateError { template: source.origin(), ..error },
        None => error,
    }
}

fn leading_comment(text: &str) -> &str {
    let comment = text.trim_start().strip_prefix("{#").and_then(|rest| rest.split_once("#}"));
    comment.map_or("", |(comment, _)| comment.trim_matches('-').trim())
}

/// The one line of a template that can have rendered the given line: the same text as far as the first tag.
fn line_that_renders(template: &str, rendered: &str) -> Option<usize> {
    let renders = |line: &str| match line.find("{{").into_iter().chain(line.find("{%")).min() {
        Some(0) => false,
        Some(tag) => !line[..tag].trim().is_empty() && rendered.starts_with(line[..tag].trim_end()),
        None => !line.trim().is_empty() && line.trim_end() == rendered.trim_end(),
    };
    let mut lines = template.lines().enumerate().filter(|(_, line)| renders(line));
    match (lines.next(), lines.next()) {
        (Some((n, _)), None) => Some(n + 1),
        _ => None,
    }
}

fn typed_map<T: serde::de::DeserializeOwned + Serialize>(text: &str) -> Result<Value, Problem> {
    if decode::value(text)?.is_null() {
        return Ok(Value::Object(Map::new()));
    }
    map(decode::typed::<T>(text)?)
}

fn map(value: Value) -> Result<Value, Problem> {
    match value {
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Object(_) => Ok(value),
        other => Err(Problem::new(format!("renders no mapping but {other}"))),
    }
}

fn must_be(value: &Value, pointer: &str, wanted: &Value) -> Result<(), Problem> {
    if value.pointer(pointer) == Some(wanted) {
        return Ok(());
    }
    let field = crate::pointer::decoded(&pointer[1..].replace('/', "."));
    Err(Problem::new(format!("`{field}` must be {wanted}")))
}

/// The first key of `wanted` that `item` does not have with that value.
fn first_difference<'a>(wanted: &'a Value, item: &Value) -> Option<(&'a str, &'a Value)> {
    let wanted = wanted.as_object()?.iter();
    wanted.map(|(key, value)| (key.as_str(), value)).find(|(key, value)| item.get(key) != Some(value))
}

fn yaml_filter(value: &tera::Value, _: tera::Kwargs, _: &tera::State) -> tera::TeraResult<tera::Value> {
    let value = serde_json::to_value(value).map_err(tera::Error::message)?;
    Ok(tera::Value::safe_string(&scalar::flow(&value)))
}

/// Text of several lines as a block, indented by `indent` blanks.
fn block_filter(value: &str, kwargs: tera::Kwargs, _: &tera::State) -> tera::TeraResult<tera::Value> {
    let indent = kwargs.must_get::<usize>("indent")?;
    Ok(tera::Value::safe_string(&scalar::block(value, indent)))
}

/// A whole comment, with its `#`: nothing in the text can end it.
fn comment_filter(value: &str, _: tera::Kwargs, _: &tera::State) -> tera::TeraResult<tera::Value> {
    Ok(tera::Value::safe_string(&scalar::comment(value)))
}

/// tera's own `safe` would let a value through as it is.
fn refuse_safe(_: &tera::Value, _: tera::Kwargs, _: &tera::State) -> tera::TeraResult<tera::Value> {
    Err(tera::Error::message("`safe` is not available: a value could change the structure of the YAML"))
}

#[cfg(test)]
mod tests;
