//! Charts that are not in the repo: which ones objects name, where those are fetched from, and the values they get.

use std::fmt;

use serde_json::Value;

use super::Afterwards;
use super::given::{Given, Layer, given};
use super::sets::{place, stand_in};
use super::{Gifts, ValuesSet, gives_values, own_chart, values_of};
use crate::helm::{Release, layered};
use crate::model::{Model, Object, ObjectId};
use crate::repo::Content;

/// A chart of one version in a repository of charts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemoteChart {
    /// With its scheme: `oci`, `https` or `http`. Of an OCI chart its whole name.
    pub url: String,
    /// In a repository of HTTP; empty for OCI.
    pub name: String,
    pub version: String,
}

impl RemoteChart {
    /// What it is called, without a path.
    fn chart(&self) -> Option<&str> {
        let name = if self.name.is_empty() { &self.url } else { &self.name };
        name.rsplit('/').next().filter(|name| !name.is_empty())
    }
}

impl fmt::Display for RemoteChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => write!(f, "{}:{}", self.url, self.version),
            name => write!(f, "{}/{name}:{}", self.url, self.version),
        }
    }
}

/// An object that gives values to a chart that is not here.
#[derive(Debug, Clone)]
pub struct ReleaseElsewhere {
    /// How a user finds it.
    pub place: String,
    /// What the chart is called in its repository, without a path.
    pub chart: String,
    /// Where the chart is; or why that is not known.
    pub source: Result<RemoteChart, String>,
    /// The values, with nothing of the chart below them; or why they are not all known.
    pub values: Result<ValuesSet, String>,
}

/// All objects, kustomizations and helmfiles of a repo whose charts are not in it.
pub fn elsewhere(model: &Model<'_>, gifts: &Gifts<'_>) -> Vec<ReleaseElsewhere> {
    let mut found = Vec::new();
    for object in model.objects().filter(|object| gives_values(&object.id)) {
        let Some(value) = model.value(object) else { continue };
        for (at, given) in given(model, &gifts.around, &object.id, &value).iter().enumerate() {
            if given.chart(model.repo()).is_ok() || is_no_chart(&object.id, &value, at) {
                continue;
            }
            let source = source(model, &object.id, &value, at);
            let chart = match &source {
                Ok(remote) => remote.chart(),
                Err(_) => value["spec"]["chart"]["spec"]["chart"].as_str(),
            };
            let (outer, is_text) = place(&object.id, &value, at);
            let release = release(&object.id, &value, at);
            let mut afterwards = Afterwards::of_object(&object.id, &value);
            if let (Ok(Afterwards::ArgoCd(wrapper)), Ok(chart)) = (&mut afterwards, &source) {
                let origin = &gifts.around.origin;
                *wrapper = gifts.argo_cd.wrapper(model, origin, (object, &value), chart).map(Box::new);
            }
            let home =
                Home { object: object.clone(), outer, is_text, is_new_item: false, release, afterwards };
            found.push(ReleaseElsewhere {
                place: format!("{}: {}/{}", model.file(object).path, object.id.kind, object.id.name),
                chart: chart.unwrap_or_default().to_owned(),
                values: values(model, gifts, given, home),
                source,
            });
        }
    }
    found.extend(of_kustomizations(model, gifts));
    found.extend(of_helmfiles(model, gifts));
    found
}

/// Charts that kustomizations fetch, version by version: `helmCharts` with a `repo`.
fn of_kustomizations(model: &Model<'_>, gifts: &Gifts<'_>) -> Vec<ReleaseElsewhere> {
    let mut found = Vec::new();
    for kustomization in model.builds.kustomizations() {
        let given = gifts.by_kustomization.get(&kustomization.path).into_iter().flatten();
        for (at, (chart, given)) in kustomization.charts.iter().zip(given).enumerate() {
            let given = &gifts.given[*given];
            let file = model.repo().position(&kustomization.path);
            let (Some(file), Err(_)) = (file, given.chart(model.repo())) else { continue };
            let id = ObjectId::named("kustomize.config.k8s.io/v1beta1", "Kustomization", &kustomization.path);
            let outer = format!("/helmCharts/{at}/valuesInline");
            let release = known(chart.release.clone(), chart.namespace.clone());
            let afterwards = Afterwards::of_build(model, kustomization, chart);
            let home = Home {
                object: stand_in(file, id),
                outer,
                is_text: false,
                is_new_item: false,
                release,
                afterwards,
            };
            let version = chart.version.clone().map_or(Value::Null, Value::from);
            let source = match &chart.repository {
                Some(url) => version_of(&version).map(|version| of_repository(url, &chart.name, version)),
                None => Err(UNNAMED.to_owned()),
            };
            found.push(ReleaseElsewhere {
                place: format!("{}: {}", kustomization.path, chart.name),
                chart: chart.name.clone(),
                source,
                values: values(model, gifts, given, home),
            });
        }
    }
    found
}

/// Charts that helmfiles name.
fn of_helmfiles(model: &Model<'_>, gifts: &Gifts<'_>) -> Vec<ReleaseElsewhere> {
    let mut found = Vec::new();
    for by in &gifts.helmfiles {
        let (release, given) = (&by.release, &gifts.given[by.given]);
        // Manifests in a folder are judged as such.
        let folder = release.folder.as_ref().filter(|_| release.source.is_err());
        let is_folder = folder.is_some_and(|folder| {
            let inside = format!("{folder}/");
            model.repo().files.iter().any(|file| file.path.starts_with(&inside))
        });
        if given.chart(model.repo()).is_ok() || is_folder {
            continue;
        }
        let version = release.version.clone().map_or(Value::Null, Value::from);
        let source = release
            .source
            .clone()
            .and_then(|(url, name)| version_of(&version).map(|version| of_repository(&url, &name, version)));
        found.push(ReleaseElsewhere {
            place: by.place(model),
            chart: release.chart.rsplit('/').next().unwrap_or_default().to_owned(),
            values: values(model, gifts, given, by.home()),
            source,
        });
    }
    found
}

/// Longest name that Flux gives a release without a hash in it: `MaxHelmReleaseNameLength` in
/// <https://github.com/fluxcd/helm-controller/blob/main/internal/release/util.go>.
const LONGEST_NAME: usize = 53;

/// How Flux and Argo CD call what they install
/// (<https://fluxcd.io/flux/components/helm/helmreleases/#release-name>,
/// <https://argo-cd.readthedocs.io/en/stable/user-guide/helm/#helm-release-name>). Names that are filled in later are
/// not known.
pub(super) fn release(id: &ObjectId, value: &Value, at: usize) -> Release {
    let spec = &value["spec"];
    let (name, namespace) = match &*id.kind {
        "HelmRelease" => {
            let target = spec["targetNamespace"].as_str();
            let composed = match target {
                Some(target) => format!("{target}-{}", id.name),
                None => id.name.to_string(),
            };
            let name = spec["releaseName"].as_str().map_or(composed, str::to_owned);
            (name, target.or(id.namespace.as_deref()).map(str::to_owned))
        }
        _ => {
            let spec = if &*id.kind == "ApplicationSet" { &spec["template"]["spec"] } else { spec };
            let name = argo_source(id, value, at)["helm"]["releaseName"].as_str();
            let name = name.filter(|_| &*id.kind == "Application").unwrap_or(&id.name).to_owned();
            (name, spec["destination"]["namespace"].as_str().map(str::to_owned))
        }
    };
    known(Some(name), namespace)
}

/// A release as far as its names are not filled in later.
pub(super) fn known(name: Option<String>, namespace: Option<String>) -> Release {
    let is_known =
        |name: &String| !name.contains(['{', '$']) && !name.is_empty() && name.len() <= LONGEST_NAME;
    let unknown = Release::default();
    Release {
        name: name.filter(is_known).unwrap_or(unknown.name),
        namespace: namespace.filter(is_known).unwrap_or(unknown.namespace),
    }
}

/// Sources of Argo CD that are plain manifests or a kustomization, and other repositories' folders.
fn is_no_chart(id: &ObjectId, value: &Value, at: usize) -> bool {
    match &*id.kind {
        "Application" | "ApplicationSet" => argo_source(id, value, at)["chart"].as_str().is_none(),
        _ => false,
    }
}

fn argo_source<'v>(id: &ObjectId, value: &'v Value, at: usize) -> &'v Value {
    let spec =
        if &*id.kind == "ApplicationSet" { &value["spec"]["template"]["spec"] } else { &value["spec"] };
    if spec["sources"].is_array() { &spec["sources"][at] } else { &spec["source"] }
}

/// Where an object or a kustomization has values of its own, or would have.
pub(super) struct Home {
    pub(super) object: Object,
    pub(super) outer: String,
    pub(super) is_text: bool,
    pub(super) is_new_item: bool,
    pub(super) release: Release,
    pub(super) afterwards: Result<Afterwards, String>,
}

/// The values that a change goes into: those of the object itself where it has some, else a file that is its alone.
pub(super) fn values(
    model: &Model<'_>,
    gifts: &Gifts<'_>,
    given: &Given,
    home: Home,
) -> Result<ValuesSet, String> {
    if let Some(why) = given.overruled.as_ref().or(given.unknown.as_ref()) {
        return Err(why.clone());
    }
    let repo = model.repo();
    let own = given.layers.iter().position(|layer| matches!(layer, Layer::Own(_)));
    let says_something = |layer: &Layer| match layer {
        Layer::Own(values) => values.as_object().is_some_and(|map| !map.is_empty()),
        _ => false,
    };
    let is_its_alone = |layer: &Layer| match layer {
        Layer::File(path) => repo.file(path).is_some_and(|file| {
            let is_ours = file.content == Content::Values && !file.context_only && file.marker.is_none();
            let is_its_alone = gifts.by_file.get(path).is_some_and(|all| all.len() == 1);
            is_ours && is_its_alone && own_chart(repo, path).is_none()
        }),
        _ => false,
    };
    let target = own
        .filter(|own| says_something(&given.layers[*own]))
        .or_else(|| given.layers.iter().rposition(is_its_alone))
        .or(own)
        .ok_or("its values are not used")?;
    let known = |layer: &Layer| match layer {
        Layer::Own(values) | Layer::Fixed(values) => Ok(values.clone()),
        Layer::File(path) => values_of(repo, path)
            .ok_or_else(|| format!("its values `{path}` are not among the files that were read")),
    };
    let mut below = Value::Null;
    for layer in &given.layers[..target] {
        below = layered(&below, &known(layer)?);
    }
    let installer = Some(home.object.clone());
    let home = match &given.layers[target] {
        Layer::File(path) => {
            let file = repo.position(path).ok_or("its values are not used")?;
            let object = stand_in(file, ObjectId::named("", "Values", path));
            Home { object, outer: String::new(), is_text: false, is_new_item: false, ..home }
        }
        _ => home,
    };
    Ok(ValuesSet {
        below,
        above: given.layers[target + 1..].iter().map(known).collect::<Result<_, _>>()?,
        is_default: false,
        has_defaults: !given.replaces_defaults,
        own: known(&given.layers[target])?,
        object: home.object,
        release: home.release,
        installer,
        outer: home.outer,
        is_text: home.is_text,
        is_new_item: home.is_new_item,
        is_final: true,
        afterwards: home.afterwards,
    })
}

/// Where the chart is that an object names.
fn source(model: &Model<'_>, id: &ObjectId, value: &Value, at: usize) -> Result<RemoteChart, String> {
    match &*id.kind {
        "HelmRelease" => match value["spec"]["chartRef"]["name"].as_str() {
            Some(name) => of_reference(model, id, &value["spec"]["chartRef"], name),
            None => of_template(model, id, &value["spec"]["chart"]["spec"]),
        },
        "Application" | "ApplicationSet" => {
            let source = argo_source(id, value, at);
            let (url, name) = (source["repoURL"].as_str(), source["chart"].as_str());
            let (Some(url), Some(name)) = (url, name) else { return Err(UNNAMED.to_owned()) };
            let version = version_of(&source["targetRevision"])?;
            Ok(match url.contains("://") && !url.starts_with("oci://") {
                true => of_repository(url, name, version),
                false => of_repository(&format!("oci://{}", url.trim_start_matches("oci://")), name, version),
            })
        }
        _ => Err(UNNAMED.to_owned()),
    }
}

const UNNAMED: &str = "where its chart is cannot be read from it";

/// `spec.chart.spec` of a HelmRelease, `spec` of a HelmChart.
fn of_template(model: &Model<'_>, id: &ObjectId, spec: &Value) -> Result<RemoteChart, String> {
    let reference = &spec["sourceRef"];
    let (Some(chart), Some("HelmRepository"), Some(name)) =
        (spec["chart"].as_str(), reference["kind"].as_str(), reference["name"].as_str())
    else {
        return Err(UNNAMED.to_owned());
    };
    let version = version_of(&spec["version"])?;
    let repository = named(model, id, "HelmRepository", reference, name)?;
    let url = repository["spec"]["url"].as_str().ok_or(UNNAMED)?;
    Ok(of_repository(url, chart, version))
}

fn of_reference(
    model: &Model<'_>,
    id: &ObjectId,
    reference: &Value,
    name: &str,
) -> Result<RemoteChart, String> {
    let kind = reference["kind"].as_str().unwrap_or_default();
    let object = named(model, id, kind, reference, name)?;
    let spec = &object["spec"];
    match kind {
        "OCIRepository" => {
            let url = spec["url"].as_str().ok_or(UNNAMED)?.trim_end_matches('/').to_owned();
            let version = match spec["ref"]["digest"].as_str() {
                Some(digest) => digest.to_owned(),
                None if spec["ref"]["tag"].is_string() => version_of(&spec["ref"]["tag"])?,
                None => version_of(&spec["ref"]["semver"])?,
            };
            Ok(RemoteChart { url, name: String::new(), version })
        }
        "HelmChart" => of_template(model, id, spec),
        _ => Err(UNNAMED.to_owned()),
    }
}

fn of_repository(url: &str, chart: &str, version: String) -> RemoteChart {
    let url = url.trim_end_matches('/');
    match url.starts_with("oci://") {
        true => RemoteChart { url: format!("{url}/{chart}"), name: String::new(), version },
        false => RemoteChart { url: url.to_owned(), name: chart.to_owned(), version },
    }
}

/// A source of Flux by its name: the one in the namespace that is asked for, or the only one there is.
fn named(
    model: &Model<'_>,
    id: &ObjectId,
    kind: &str,
    reference: &Value,
    name: &str,
) -> Result<Value, String> {
    let wanted = reference["namespace"].as_str().or(id.namespace.as_deref());
    let is_it = |object: &&Object| {
        &*object.id.kind == kind
            && &*object.id.name == name
            && object.id.group() == "source.toolkit.fluxcd.io"
            && (object.id.namespace.is_none() || wanted.is_none() || object.id.namespace.as_deref() == wanted)
    };
    let mut values: Vec<Value> =
        model.objects().filter(is_it).filter_map(|object| model.value(object)).collect();
    values.dedup_by(|a, b| a["spec"] == b["spec"]);
    match values.len() {
        1 => Ok(values.swap_remove(0)),
        0 => Err(format!("{kind}/{name} is not in this repo")),
        _ => Err(format!("there is more than one {kind}/{name}")),
    }
}

/// A version that names one chart for good.
fn version_of(value: &Value) -> Result<String, String> {
    let Some(text) = value.as_str() else {
        return Err("it names no version of its chart, so the newest is taken".to_owned());
    };
    let numbers = text.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match numbers.split('.').count() == 3 && numbers.split('.').all(is_number) && !text.contains(' ') {
        true => Ok(text.to_owned()),
        false => Err(format!("the version `{text}` of its chart may become another one")),
    }
}
