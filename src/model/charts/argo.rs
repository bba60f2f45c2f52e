//! Whether Argo CD could build a kustomization of this repo where it installs a chart now.
//!
//! Argo CD patches nothing that charts render; kustomize does, which Argo CD lets render charts when its build options
//! say `--enable-helm` (<https://argo-cd.readthedocs.io/en/stable/user-guide/kustomize/#kustomizing-helm-charts>). Only
//! what the repo itself shows is taken for granted: the option, and by which URL Argo CD knows the repo.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::RemoteChart;
use super::origin::Origin;
use crate::model::{Model, Object};
use crate::repo::{Content, folder, join};

/// A kustomization that can take the place of an Application's chart.
#[derive(Debug, Clone)]
pub struct Wrapper {
    /// The folder that it gets, which has nothing yet.
    pub folder: String,
    /// The Application's source from then on.
    pub source: Map<String, Value>,
    /// The entry of `helmCharts`, without values.
    pub chart: Map<String, Value>,
    /// The values, as they are written.
    pub values: WrittenValues,
    /// What shows that Argo CD builds it.
    pub because: String,
}

/// How an Application writes its values.
#[derive(Debug, Clone, PartialEq)]
pub enum WrittenValues {
    Object(Value),
    Text(String),
}

/// What a repo shows of the Argo CD that deploys it.
#[derive(Debug, Default)]
pub(super) struct ArgoCd {
    known: OnceLock<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    /// `repoURL` and `targetRevision` of this repo.
    url: String,
    revision: String,
    /// The file with the option.
    enabled_in: String,
    /// Folders whose manifests, those of the folders in them too, are applied as they are.
    recursed: Vec<String>,
}

impl ArgoCd {
    /// The kustomization for an Application; `None` where something speaks against it, or nothing for it.
    pub(super) fn wrapper(
        &self,
        model: &Model<'_>,
        origin: &Origin,
        application: (&Object, &Value),
        chart: &RemoteChart,
    ) -> Option<Wrapper> {
        let (object, value) = application;
        let source = value.pointer("/spec/source").and_then(Value::as_object)?;
        let is_plain = |key: &String| matches!(key.as_str(), "repoURL" | "chart" | "targetRevision" | "helm");
        let helm = source.get("helm").cloned().unwrap_or(json!({}));
        let is_said =
            |key: &String| matches!(key.as_str(), "releaseName" | "values" | "valuesObject" | "skipCrds");
        if &*object.id.kind != "Application"
            || value.pointer("/spec/sources").is_some()
            || !source.keys().all(is_plain)
            || !helm.as_object()?.keys().all(is_said)
            || (!helm["values"].is_null() && !helm["valuesObject"].is_null())
            || has_comments(model, object, "/spec/source/helm/valuesObject")
        {
            return None;
        }
        let known = self.known.get_or_init(|| known(model, origin)).as_ref()?;
        let own = folder(&model.file(object).path);
        let at = join(own, &object.id.name)?;
        let inside = format!("{at}/");
        let is_taken = model.repo().files.iter().any(|file| file.path.starts_with(&inside));
        let is_within = |outer: &String| outer.is_empty() || at.starts_with(&format!("{outer}/"));
        if is_taken || known.recursed.iter().any(is_within) {
            return None;
        }
        let (repository, name) = match chart.name.as_str() {
            "" => chart.url.rsplit_once('/')?,
            name => (chart.url.as_str(), name),
        };
        let release = helm["releaseName"].as_str().unwrap_or(&object.id.name);
        let mut inflated = Map::new();
        let mut put = |key: &str, value: Value| drop(inflated.insert(key.to_owned(), value));
        put("name", name.into());
        put("repo", repository.into());
        put("version", chart.version.as_str().into());
        put("releaseName", release.into());
        if let Some(namespace) = value.pointer("/spec/destination/namespace").and_then(Value::as_str) {
            put("namespace", namespace.into());
        }
        put("includeCRDs", (helm["skipCrds"] != true).into());
        put("skipTests", true.into());
        let values = match helm["values"].as_str() {
            Some(text) => WrittenValues::Text(text.to_owned()),
            None => WrittenValues::Object(helm["valuesObject"].clone()),
        };
        let mut source = Map::new();
        source.insert("repoURL".to_owned(), known.url.as_str().into());
        source.insert("targetRevision".to_owned(), known.revision.as_str().into());
        source.insert("path".to_owned(), at.as_str().into());
        let because = format!(
            "{} has Argo CD build kustomizations with `--enable-helm`, and it knows this repository as {}",
            known.enabled_in, known.url
        );
        Some(Wrapper { folder: at, source, chart: inflated, values, because })
    }
}

fn has_comments(model: &Model<'_>, object: &Object, pointer: &str) -> bool {
    let root = model.file(object).stream.root(object.document);
    let node = root.and_then(|root| root.at(&format!("{}{pointer}", object.pointer)));
    node.is_some_and(|node| node.source().contains('#'))
}

fn known(model: &Model<'_>, origin: &Origin) -> Option<Known> {
    let enables = |line: &str| line.contains("--enable-helm") && line.contains("uildOptions");
    let enabled_in = model.repo().files.iter().find_map(|file| {
        let may = matches!(file.content, Content::Objects | Content::Values);
        let text = file.stream.text();
        let finds = || memchr::memmem::find(text.as_bytes(), b"--enable-helm").is_some();
        (may && finds() && text.lines().any(enables)).then(|| file.path.clone())
    })?;
    let (mut seen, mut recursed) = (BTreeSet::new(), Vec::new());
    let is_one = |object: &&Object| {
        object.id.group() == "argoproj.io" && matches!(&*object.id.kind, "Application" | "ApplicationSet")
    };
    for object in model.objects().filter(is_one) {
        let Some(value) = model.value(object) else { continue };
        let spec = match &*object.id.kind {
            "Application" => &value["spec"],
            _ => &value["spec"]["template"]["spec"],
        };
        for source in spec["sources"].as_array().into_iter().flatten().chain([&spec["source"]]) {
            let (Some(path), Some(url)) = (source["path"].as_str(), source["repoURL"].as_str()) else {
                continue;
            };
            let Some(path) = join("", path).filter(|_| !origin.is_elsewhere(url)) else { continue };
            let inside = if path.is_empty() { String::new() } else { format!("{path}/") };
            if !model.repo().files.iter().any(|file| file.path.starts_with(&inside)) {
                continue;
            }
            let revision = source["targetRevision"].as_str().unwrap_or("HEAD");
            seen.insert((url.to_owned(), revision.to_owned()));
            if source["directory"]["recurse"] == true {
                recursed.push(path);
            }
        }
    }
    let mut seen =
        seen.into_iter().filter(|(url, revision)| !format!("{url}{revision}").contains(['{', '$']));
    let (Some((url, revision)), None) = (seen.next(), seen.next()) else { return None };
    Some(Known { url, revision, enabled_in, recursed })
}
