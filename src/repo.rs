//! Reads a repo: which files there are, what each one is, and their text exactly as stored.
//!
//! The only reader. Knows file kinds by name and content; nothing of rules or of what a change would be.

mod chart;
mod classify;
mod dockerfile;
pub mod generator;
mod helmfile;
mod kustomization;
mod named;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use self::chart::Part;
pub use self::chart::{Chart, Dependency, Template};
pub use self::classify::{Facts, Marker};
pub use self::dockerfile::{Dockerfile, Exposed};
pub use self::helmfile::{HelmfileRelease, HelmfileValues, releases as helmfile_releases};
pub use self::kustomization::{
    ImageSetting, InflatedChart, Kustomization, LabelSetting, PatchList, PatchReference, PatchTarget,
    ValuesMerge,
};
pub use self::source::{
    Disk, Entry, Listing, Root, Snapshot, Source, StandardInput, files_below, is_kustomization_name,
};
use crate::config::Config;
use crate::contained::contained;
use crate::yaml::{Limits, Stream};

/// Everything a run has read, ordered by path.
#[derive(Debug, Default)]
pub struct Repo {
    pub files: Vec<File>,
    pub skipped: Vec<Skip>,
    /// Compose files, ordered by path: they may say what manifests do not.
    pub compose: Vec<File>,
    /// Helm charts, ordered by folder.
    pub charts: Vec<Chart>,
    /// Images that the repo builds itself, ordered by path; they are often named after the folder.
    pub dockerfiles: Vec<Dockerfile>,
    /// Texts of files that ConfigMaps are made of, by path; those that are `files` are not repeated.
    pub texts: BTreeMap<String, String>,
    /// URLs of the repo's git remotes, as far as there are any.
    pub remotes: Vec<String>,
    /// YAML and JSON files that hold no Kubernetes objects (CI workflows, values, …).
    pub others: usize,
}

impl Repo {
    /// The files that are judged.
    pub fn manifests(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| !file.context_only && file.content == Content::Objects)
    }

    /// The text of a file that a ConfigMap is made of.
    pub fn text(&self, path: &str) -> Option<&str> {
        let read = || self.file(path).map(|file| file.stream.text());
        self.texts.get(path).map(String::as_str).or_else(read)
    }

    /// The file at a path.
    pub fn file(&self, path: &str) -> Option<&File> {
        Some(&self.files[self.position(path)?])
    }

    /// Where the file at a path is among all.
    pub fn position(&self, path: &str) -> Option<usize> {
        self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()
    }

    /// How many templates of charts there are that are no manifests as they stand, read or not.
    pub fn n_templates(&self) -> usize {
        let skipped = self.skipped.iter().filter(|skip| skip.reason == SkipReason::HelmTemplate).count();
        skipped + self.files.iter().filter(|file| file.content == Content::Template).count()
    }

    /// The chart of a folder.
    pub fn chart(&self, folder: &str) -> Option<&Chart> {
        let idx = self.charts.binary_search_by(|chart| chart.folder.as_str().cmp(folder)).ok()?;
        Some(&self.charts[idx])
    }
}

/// A file that is looked at.
#[derive(Debug)]
pub struct File {
    /// Relative to the root, with `/`.
    pub path: String,
    pub stream: Stream,
    /// Why the file is judged but never edited, if so.
    pub marker: Option<Marker>,
    /// Read for what it says of other files; neither judged nor edited.
    pub context_only: bool,
    pub content: Content,
}

/// What a file holds. Only those with objects count as manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    /// At least one Kubernetes object, or a kustomization.
    Objects,
    /// Helm values.
    Values,
    /// Charts that helmfile installs.
    Helmfile,
    /// How a cluster is set up, in a form that is no object: k3s, RKE2, Talos.
    ClusterConfig,
    /// A patch that a kustomization names and that holds no object of its own (JSON 6902).
    Patch,
    /// A template of a chart, whose text is no YAML yet.
    Template,
}

/// What is left alone, and why. Listed for the user; never silent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skip {
    pub path: String,
    /// Line the reason is about, counted from 1.
    pub line: Option<usize>,
    pub column: Option<usize>,
    pub reason: SkipReason,
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    HelmTemplate,
    Encrypted,
    Generated,
    Vendored,
    /// A patch that a kustomization names: part of an object, judged where it is built.
    PartialObject,
    Symlink,
    LfsPointer,
    TooLarge,
    TooDeep,
    NotUtf8,
    SyntaxError,
    Unreadable,
    /// An object, not a file, that no pod can come from as it stands.
    InvalidObject,
}

impl SkipReason {
    pub fn id(self) -> &'static str {
        match self {
            SkipReason::HelmTemplate => "helm-template",
            SkipReason::Encrypted => "encrypted",
            SkipReason::Generated => "generated",
            SkipReason::Vendored => "vendored",
            SkipReason::PartialObject => "partial-object",
            SkipReason::Symlink => "symlink",
            SkipReason::LfsPointer => "lfs-pointer",
            SkipReason::TooLarge => "too-large",
            SkipReason::TooDeep => "too-deep",
            SkipReason::NotUtf8 => "not-utf8",
            SkipReason::SyntaxError => "syntax-error",
            SkipReason::Unreadable => "unreadable",
            SkipReason::InvalidObject => "invalid-object",
        }
    }

    /// Whether the run could not do what it was asked to: exit code 2.
    pub fn is_failure(self) -> bool {
        matches!(
            self,
            SkipReason::TooLarge
                | SkipReason::TooDeep
                | SkipReason::NotUtf8
                | SkipReason::SyntaxError
                | SkipReason::Unreadable
        )
    }

    /// What a user can do about it.
    pub fn help(self) -> &'static str {
        match self {
            SkipReason::HelmTemplate => "a template outside of a chart is not a manifest: render it first",
            SkipReason::Encrypted => "encrypted files are never edited",
            SkipReason::Generated => "change its source, or pass `--include-generated`",
            SkipReason::Vendored => "patch it from an overlay, or pass `--include-generated`",
            SkipReason::PartialObject => "judged as part of the build that uses it",
            SkipReason::Symlink => "its target is read at its own path when it lies in the repo",
            SkipReason::LfsPointer => "the content is not in the repo",
            SkipReason::TooLarge => "raise `max-file-size` in caseharden.toml to read it",
            SkipReason::TooDeep => "no Kubernetes decoder would take this file either",
            SkipReason::NotUtf8 => "save it as UTF-8, or add it to `exclude`",
            SkipReason::SyntaxError => "fix the file, or add it to `exclude`",
            SkipReason::Unreadable => "check its permissions",
            SkipReason::InvalidObject => {
                "complete the object, or name the file as a patch in its kustomization"
            }
        }
    }
}

/// Limits for YAML: deeper than any manifest, and far below what alias bombs need.
pub const LIMITS: Limits = Limits { depth: 200, expanded_nodes: 1_000_000 };

/// Reads all files of a source in parallel. `progress` is called once for each file.
pub fn read(source: &dyn Source, listing: Listing, config: &Config, progress: &(dyn Fn() + Sync)) -> Repo {
    let facts = Facts::new(&listing);
    let outcomes: Vec<(Outcome, Option<Part>)> = listing
        .entries
        .par_iter()
        .map(|entry| {
            let mut part = None;
            let outcome = contained(|| read_one(source, entry, &facts, config));
            let outcome = outcome.map(|(outcome, read)| {
                part = read;
                outcome
            });
            let outcome = outcome.unwrap_or_else(|failure| {
                Outcome::Skipped(Skip {
                    path: entry.path.clone(),
                    line: None,
                    column: None,
                    reason: SkipReason::Unreadable,
                    detail: format!("a bug of caseharden, please report it: {failure}"),
                })
            });
            progress();
            (outcome, part)
        })
        .collect();

    let Listing { entries, skipped, dockerfiles, remotes, .. } = listing;
    let mut repo =
        Repo { skipped, dockerfiles: read_dockerfiles(source, dockerfiles), remotes, ..Repo::default() };
    let files = outcomes.iter().filter(|(outcome, _)| matches!(outcome, Outcome::File(_))).count();
    repo.files.reserve_exact(files);
    let mut parts = Vec::new();
    for (outcome, part) in outcomes {
        parts.extend(part);
        match outcome {
            Outcome::File(file) => {
                let is_other =
                    matches!(file.content, Content::Values | Content::Helmfile | Content::ClusterConfig);
                repo.others += usize::from(is_other);
                repo.files.push(*file);
            }
            Outcome::Compose(file) => {
                repo.others += 1;
                repo.compose.push(*file);
            }
            Outcome::Other => repo.others += 1,
            Outcome::Part => {}
            Outcome::Skipped(skip) => repo.skipped.push(skip),
        }
    }
    repo.charts = chart::charts(parts);
    repo.skipped.sort();
    let context_only = entries.into_iter().map(|entry| (entry.path, entry.context_only)).collect();
    named::add(source, &mut repo.files, &context_only, &facts, config);
    repo.texts = generator::texts(source, &repo.files, config);
    add_templates(&mut repo, &facts, config);
    repo
}

/// Adds the templates of charts that are no manifests as they are.
fn add_templates(repo: &mut Repo, facts: &Facts, config: &Config) {
    let templates = repo.charts.iter().flat_map(|chart| &chart.templates);
    let is_new = |template: &&Template| {
        let is_yaml = [".yaml", ".yml"].iter().any(|end| template.path.ends_with(end));
        is_yaml && !template.context_only && repo.position(&template.path).is_none()
    };
    let mut files: Vec<File> = templates
        .filter(is_new)
        .map(|Template { path, text, context_only }| File {
            path: path.clone(),
            stream: Stream::of_no_documents(text.clone()),
            marker: classify::marker(path, text, facts, config),
            context_only: *context_only,
            content: Content::Template,
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    if !files.is_empty() {
        // They are judged as what their chart renders.
        let is_one = |path: &str| files.binary_search_by(|file| file.path.as_str().cmp(path)).is_ok();
        repo.skipped.retain(|skip| skip.reason != SkipReason::HelmTemplate || !is_one(&skip.path));
        repo.files.extend(files);
        repo.files.sort_by(|a, b| a.path.cmp(&b.path));
    }
}

/// One that cannot be read says nothing, but that an image is built there.
fn read_dockerfiles(source: &dyn Source, mut paths: Vec<String>) -> Vec<Dockerfile> {
    paths.sort();
    let read = |path: String| {
        let entry = Entry { path, context_only: true };
        let bytes = source.read(&entry, dockerfile::LARGEST).ok().flatten().unwrap_or_default();
        Dockerfile::read(entry.path, &String::from_utf8_lossy(&bytes))
    };
    paths.into_par_iter().map(read).collect()
}

/// Charts from the texts of their files, each with its path; `folders` have a `Chart.yaml`.
pub fn charts_of(files: Vec<(String, String)>, folders: &std::collections::BTreeSet<String>) -> Vec<Chart> {
    let parts = files.into_iter().filter_map(|(path, text)| {
        let mut at = folder(&path);
        while !folders.contains(at) {
            if at.is_empty() {
                return None;
            }
            at = folder(at);
        }
        let chart = at.to_owned();
        let inside = path[chart.len()..].trim_start_matches('/');
        classify::is_part(inside).then(|| Part { chart, path: path.clone(), text, context_only: true })
    });
    chart::charts(parts.collect())
}

enum Outcome {
    File(Box<File>),
    Compose(Box<File>),
    Other,
    /// Only of use for the chart it belongs to.
    Part,
    Skipped(Skip),
}

fn read_one(source: &dyn Source, entry: &Entry, facts: &Facts, config: &Config) -> (Outcome, Option<Part>) {
    let path = entry.path.as_str();
    if config.is_excluded(path) {
        return (Outcome::Other, None);
    }
    let part_of = classify::part_of_chart(path, facts);
    if path.ends_with(".tpl") && part_of.is_none() {
        return (Outcome::Part, None);
    }
    let skip = |reason, detail: String| {
        Outcome::Skipped(Skip { path: path.to_owned(), line: None, column: None, reason, detail })
    };
    let bytes = match source.read(entry, config.max_file_size) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            let detail = format!("larger than {} bytes", config.max_file_size);
            return (skip(SkipReason::TooLarge, detail), None);
        }
        Err(error) => return (skip(SkipReason::Unreadable, error.to_string()), None),
    };
    let part = part_of.and_then(|chart| {
        let text = std::str::from_utf8(&bytes).ok()?.to_owned();
        let context_only = entry.context_only;
        Some(Part { chart: chart.to_owned(), path: path.to_owned(), text, context_only })
    });
    if path.ends_with(".tpl") {
        return (Outcome::Part, part);
    }
    let outcome = classified(entry, bytes, facts, config);
    // What is read for its chart alone is nobody's loss.
    let is_no_loss = entry.context_only
        && part.is_some()
        && matches!(&outcome, Outcome::Skipped(skip) if skip.reason == SkipReason::HelmTemplate);
    (if is_no_loss { Outcome::Part } else { outcome }, part)
}

/// What a file is, by its bytes.
fn classified(entry: &Entry, bytes: Vec<u8>, facts: &Facts, config: &Config) -> Outcome {
    let path = entry.path.as_str();
    let skip = |reason, detail: String| {
        Outcome::Skipped(Skip { path: path.to_owned(), line: None, column: None, reason, detail })
    };
    if !is_kustomization_name(path) && !classify::may_hold_objects(&bytes) {
        return if bytes.starts_with(b"version https://git-lfs.github.com/spec/") {
            skip(SkipReason::LfsPointer, "a Git LFS pointer".to_owned())
        } else if classify::is_compose(path) {
            compose(entry, bytes)
        } else if helmfile::is_helmfile_name(path)
            || classify::may_be_values(path, &bytes, facts)
            || classify::may_be_cluster_config(&bytes)
        {
            values(entry, bytes, facts, config)
        } else {
            Outcome::Other
        };
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            return skip(SkipReason::NotUtf8, format!("byte {at} is not UTF-8"));
        }
    };
    if classify::is_chart_template(path, &text, facts) {
        return skip(SkipReason::HelmTemplate, "a template of a Helm chart".to_owned());
    }
    let marker = classify::marker(path, &text, facts, config);
    let has_actions = text.contains("{{");
    // Go's templates, and those that `templates export` writes.
    let action = ["{{", "{%", "{#"].into_iter().find(|action| text.contains(action));
    match Stream::parse(text, &LIMITS) {
        Ok(stream) => judge_parsed(entry, stream, marker, has_actions, facts),
        Err(error) => {
            let (reason, detail) = match action {
                Some(action) => (SkipReason::HelmTemplate, format!("`{action}` starts a template action")),
                None if error.message.contains("nest") || error.message.contains("recursion") => {
                    (SkipReason::TooDeep, error.message)
                }
                None => (SkipReason::SyntaxError, error.message),
            };
            let (line, column) = (Some(error.line), Some(error.column));
            Outcome::Skipped(Skip { path: path.to_owned(), line, column, reason, detail })
        }
    }
}

fn compose(entry: &Entry, bytes: Vec<u8>) -> Outcome {
    match String::from_utf8(bytes).ok().and_then(|text| Stream::parse(text, &LIMITS).ok()) {
        Some(stream) => Outcome::Compose(Box::new(File {
            path: entry.path.clone(),
            stream,
            marker: None,
            context_only: entry.context_only,
            content: Content::Objects,
        })),
        None => Outcome::Other,
    }
}

/// Values that cannot be read are no failure: nothing says that they are values.
fn values(entry: &Entry, bytes: Vec<u8>, facts: &Facts, config: &Config) -> Outcome {
    let Ok(text) = String::from_utf8(bytes) else { return Outcome::Other };
    let marker = classify::marker(&entry.path, &text, facts, config);
    let is_template = helmfile::is_helmfile_name(&entry.path) && text.contains("{{");
    match Stream::parse(text, &LIMITS) {
        Ok(stream) => judge_parsed(entry, stream, marker, false, facts),
        Err(error) if is_template => Outcome::Skipped(Skip {
            path: entry.path.clone(),
            line: Some(error.line),
            column: Some(error.column),
            reason: SkipReason::HelmTemplate,
            detail: helmfile::FILLED_IN.to_owned(),
        }),
        Err(_) => Outcome::Other,
    }
}

fn judge_parsed(
    entry: &Entry,
    mut stream: Stream,
    marker: Option<Marker>,
    has_actions: bool,
    facts: &Facts,
) -> Outcome {
    let path = entry.path.clone();
    let skip = |reason, detail: &str, line| {
        Outcome::Skipped(Skip {
            path: entry.path.clone(),
            line,
            column: None,
            reason,
            detail: detail.to_owned(),
        })
    };
    if !is_kustomization_name(&path) && !classify::holds_objects(&stream) {
        let content = if helmfile::is_helmfile_name(&path) && helmfile::is_helmfile(&stream) {
            if !helmfile::is_readable(&stream) {
                let line = classify::template_line(&stream);
                return skip(SkipReason::HelmTemplate, helmfile::FILLED_IN, line);
            }
            Content::Helmfile
        } else if classify::is_cluster_config(&stream) {
            Content::ClusterConfig
        } else if classify::may_be_values(&path, stream.text().as_bytes(), facts) {
            Content::Values
        } else {
            return Outcome::Other;
        };
        if classify::sops_line(&stream).is_some() {
            return Outcome::Other;
        }
        let context_only = entry.context_only;
        return Outcome::File(Box::new(File { path, stream, marker, context_only, content }));
    }
    if let Some(line) = classify::sops_line(&stream) {
        return skip(SkipReason::Encrypted, "encrypted with SOPS", Some(line));
    }
    if has_actions && let Some(line) = classify::template_line(&stream) {
        return skip(SkipReason::HelmTemplate, "`{{` starts a template action", Some(line));
    }
    if classify::defines_resources(&stream) {
        // Nothing here is about what custom resources may hold, and it is long.
        stream.forget_below("openAPIV3Schema");
    }
    Outcome::File(Box::new(File {
        path,
        stream,
        marker,
        context_only: entry.context_only,
        content: Content::Objects,
    }))
}

/// The path with `/` between its parts, as shown to users and as git writes it.
pub fn slashed(path: &Path) -> String {
    let mut slashed = String::new();
    for part in path.components() {
        if !slashed.is_empty() {
            slashed.push('/');
        }
        slashed.push_str(&part.as_os_str().to_string_lossy());
    }
    slashed
}

/// The folder part of a slashed path; empty at the root.
pub fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Joins a relative reference, as kustomizations write it, to a folder; `None` when it leaves the root.
pub fn join(folder: &str, reference: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in reference.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// A slashed path as the file system wants it.
pub fn native(path: &str) -> PathBuf {
    path.split('/').collect()
}
