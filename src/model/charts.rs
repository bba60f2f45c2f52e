//! Which charts of the repo take which values: those of files, and those within the objects of Flux and Argo CD, within
//! kustomizations and within helmfiles.
//!
//! Renders nothing, see [`crate::helm`].

mod afterwards;
mod argo;
mod elsewhere;
mod given;
mod helmfile;
mod origin;
mod post_renderers;
mod sets;

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

pub use self::afterwards::{Afterwards, PatchPlace};
use self::argo::ArgoCd;
pub use self::argo::{Wrapper, WrittenValues};
pub use self::elsewhere::{ReleaseElsewhere, RemoteChart, elsewhere};
use self::given::{Given, Layer, Surroundings};
use self::helmfile::OfHelmfile;
pub use self::sets::{ValuesSet, sets};
use super::{Model, Object, ObjectId};
use crate::helm::layered;
use crate::repo::{Chart, Content, File, Repo, folder, helmfile_releases};

/// A chart, and the values around those that are looked at.
#[derive(Debug, Clone)]
pub struct Release<'m> {
    pub chart: &'m Chart,
    /// Under the values: the chart's own, unless they are what is looked at, and the layers over those.
    pub below: Value,
    /// Over the values, the later over the earlier.
    pub above: Vec<Value>,
    /// Whether the values are the chart's own defaults, which others may override.
    pub is_default: bool,
    /// Whether the chart's own values count below them.
    pub has_defaults: bool,
}

impl Release<'_> {
    /// All that the chart gets with these values.
    pub fn values(&self, own: &Value) -> Value {
        self.above.iter().fold(layered(&self.below, own), |below, above| layered(&below, above))
    }
}

/// Keys that say which image it is.
const PARTS: &[&str] = &["registry", "repository", "image", "name", "tag", "version", "digest", "sha"];

impl Release<'_> {
    /// Whether the values above name another image at a place than the values themselves do.
    pub fn replaces(&self, own: &Value, pointer: &str) -> bool {
        if self.above.iter().all(|above| above.pointer(pointer).is_none()) {
            return false;
        }
        let (alone, all) = (layered(&self.below, own), self.values(own));
        match (alone.pointer(pointer), all.pointer(pointer)) {
            (Some(Value::Object(alone)), Some(Value::Object(all))) => {
                PARTS.iter().any(|part| alone.get(*part) != all.get(*part))
            }
            (alone, all) => alone != all,
        }
    }
}

/// Why values cannot be looked at in the chart that takes them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutOfSight {
    /// The chart is not here.
    #[error("{0}")]
    Chart(String),
    /// The chart may get other values than these.
    #[error("{0}")]
    Values(String),
}

/// All values that the objects and kustomizations of a repo give to charts.
#[derive(Debug)]
pub struct Gifts<'m> {
    around: Surroundings<'m>,
    argo_cd: ArgoCd,
    given: Vec<Given>,
    /// Those that name a file of values.
    by_file: HashMap<String, Vec<usize>>,
    /// Those of each kustomization's `helmCharts`, by its path.
    by_kustomization: HashMap<String, Vec<usize>>,
    /// Those of helmfiles.
    helmfiles: Vec<OfHelmfile>,
    /// The objects that give values to a chart of the repo, by its folder.
    objects: HashMap<String, Vec<&'m Object>>,
    /// The files of values of a chart of the repo, by its folder.
    values: HashMap<String, Vec<usize>>,
}

impl<'m> Gifts<'m> {
    pub fn new(model: &'m Model<'_>) -> Gifts<'m> {
        let around = Surroundings::new(model);
        let (mut given, mut objects) = (Vec::new(), HashMap::<String, Vec<&Object>>::new());
        for object in model.objects().filter(|object| gives_values(&object.id)) {
            if let Some(value) = model.value(object) {
                let of_object = given::given(model, &around, &object.id, &value);
                let charts = of_object.iter().filter_map(|given| given.chart(model.repo()).ok());
                for folder in charts.map(|chart| &chart.folder).collect::<BTreeSet<_>>() {
                    objects.entry(folder.clone()).or_default().push(object);
                }
                given.extend(of_object);
            }
        }
        let mut by_kustomization: HashMap<String, Vec<usize>> = HashMap::new();
        for kustomization in model.builds.kustomizations() {
            for chart in &kustomization.charts {
                by_kustomization.entry(kustomization.path.clone()).or_default().push(given.len());
                given.push(given::of_inflated(model.repo(), chart));
            }
        }
        let mut helmfiles = Vec::new();
        for (file, helmfile) in model.repo().files.iter().enumerate() {
            if helmfile.content == Content::Helmfile {
                for release in helmfile_releases(&helmfile.path, &helmfile.stream) {
                    given.push(given::of_helmfile(model.repo(), &release));
                    helmfiles.push(OfHelmfile { file, release, given: given.len() - 1 });
                }
            }
        }
        let mut by_file: HashMap<String, Vec<usize>> = HashMap::new();
        for (idx, given) in given.iter().enumerate() {
            for path in given.files() {
                by_file.entry(path.to_owned()).or_default().push(idx);
            }
        }
        let mut values: HashMap<String, Vec<usize>> = HashMap::new();
        for (idx, file) in model.repo().files.iter().enumerate() {
            if file.content == Content::Values
                && let Some(chart) = own_chart(model.repo(), &file.path)
            {
                values.entry(chart.folder.clone()).or_default().push(idx);
            }
        }
        Gifts {
            around,
            argo_cd: ArgoCd::default(),
            given,
            by_file,
            by_kustomization,
            helmfiles,
            objects,
            values,
        }
    }
}

/// The charts that take the values of a file.
///
/// # Errors
/// Why one of them cannot be looked at.
pub fn of_file<'m>(
    model: &Model<'m>,
    gifts: &Gifts<'_>,
    file: &File,
) -> Result<Vec<Release<'m>>, OutOfSight> {
    let repo = model.repo();
    let mut releases: Vec<Release<'m>> = Vec::new();
    for idx in gifts.by_file.get(&file.path).into_iter().flatten() {
        let given = &gifts.given[*idx];
        let is_it = |layer: &Layer| matches!(layer, Layer::File(path) if *path == file.path);
        let at = given.layers.iter().position(is_it).expect("it was found by one of its layers");
        releases.push(given.release(repo, at)?);
    }
    if let Some(chart) = own_chart(repo, &file.path) {
        let is_default = file.path == inside(&chart.folder, "values.yaml");
        let below = if is_default { Value::Null } else { chart.values.clone() };
        // Whoever installs the chart has its own values, with those that were found over them or not.
        if is_default || releases.is_empty() {
            releases.push(Release { chart, below, above: Vec::new(), is_default, has_defaults: !is_default });
        }
    }
    if releases.is_empty() {
        Err(OutOfSight::Chart("no chart of this repo takes these values".to_owned()))
    } else {
        Ok(releases)
    }
}

/// The chart that takes values within an object.
///
/// # Errors
/// Why it cannot be looked at.
pub fn of_object<'m>(
    model: &Model<'m>,
    gifts: &Gifts<'_>,
    id: &ObjectId,
    value: &Value,
    pointer: &str,
) -> Result<Release<'m>, OutOfSight> {
    let given = given::given(model, &gifts.around, id, value);
    let source = |at: usize| match given.len() {
        1 => true,
        _ => pointer.contains(&format!("/sources/{at}/")),
    };
    let Some((_, given)) = given.iter().enumerate().find(|(at, _)| source(*at)) else {
        return Err(OutOfSight::Chart("it names no chart".to_owned()));
    };
    given.own_release(model.repo())
}

/// The chart that takes the values at one place of a kustomization's `helmCharts`.
///
/// # Errors
/// Why it cannot be looked at.
pub fn of_kustomization<'m>(
    model: &Model<'m>,
    gifts: &Gifts<'_>,
    path: &str,
    idx: usize,
) -> Result<Release<'m>, OutOfSight> {
    let given = gifts.by_kustomization.get(path).and_then(|all| all.get(idx));
    let given = given.ok_or_else(|| OutOfSight::Chart("it names no chart".to_owned()))?;
    gifts.given[*given].own_release(model.repo())
}

/// The chart that takes the values at a place of a helmfile: an item of a release's `values`.
///
/// # Errors
/// Why it cannot be looked at.
pub fn of_helmfile<'m>(
    model: &Model<'m>,
    gifts: &Gifts<'_>,
    path: &str,
    document: usize,
    pointer: &str,
) -> Result<Release<'m>, OutOfSight> {
    let repo = model.repo();
    let at = |by: &OfHelmfile| {
        let own = pointer.strip_prefix(&by.release.pointer)?.strip_prefix("/values/")?;
        own.split('/').next()?.parse::<usize>().ok()
    };
    let is_it = |by: &&OfHelmfile| repo.files[by.file].path == path && by.release.document == document;
    let found = gifts.helmfiles.iter().filter(is_it).find_map(|by| Some((by, at(by)?)));
    let (by, at) = found.ok_or_else(|| OutOfSight::Chart("it names no chart".to_owned()))?;
    gifts.given[by.given].release(repo, at)
}

/// Values of this repo that lie over a chart's own: their files' and their objects'.
pub fn overrides(model: &Model<'_>, gifts: &Gifts<'_>, chart: &Chart) -> Vec<Value> {
    let repo = model.repo();
    let default = inside(&chart.folder, "values.yaml");
    let mut paths = BTreeSet::new();
    let mut found = Vec::new();
    for file in repo.files.iter().filter(|file| file.content == Content::Values && file.path != default) {
        if own_chart(repo, &file.path).is_some_and(|own| own.folder == chart.folder) {
            paths.insert(file.path.as_str());
        }
    }
    for given in &gifts.given {
        if given.chart(repo).is_ok_and(|taken| taken.folder == chart.folder) {
            paths.extend(given.files().filter(|path| **path != default));
            found.extend(given.layers.iter().filter_map(|layer| match layer {
                Layer::Own(values) | Layer::Fixed(values) => Some(values.clone()),
                Layer::File(_) => None,
            }));
        }
    }
    found.extend(paths.iter().filter_map(|path| values_of(repo, path)));
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
        match repo.chart(at) {
            Some(chart) => return Some(chart),
            None if at.is_empty() => return None,
            None => at = folder(at),
        }
    }
}

fn inside(chart: &str, name: &str) -> String {
    if chart.is_empty() { name.to_owned() } else { format!("{chart}/{name}") }
}

/// The values of a file, or of a chart whose own they are.
fn values_of(repo: &Repo, path: &str) -> Option<Value> {
    match repo.file(path).filter(|file| file.content == Content::Values) {
        Some(file) => file.stream.root(0).map_or(Some(Value::Null), |root| root.value().ok()),
        None => {
            let chart = repo.chart(folder(path))?;
            (path == inside(&chart.folder, "values.yaml")).then(|| chart.values.clone())
        }
    }
}

impl Given {
    fn chart<'m>(&self, repo: &'m Repo) -> Result<&'m Chart, String> {
        let folders = self.chart.as_ref().map_err(Clone::clone)?;
        let found = folders.iter().find_map(|folder| repo.chart(folder));
        found.ok_or_else(|| given::not_here(&self.called))
    }

    fn files(&self) -> impl Iterator<Item = &str> {
        self.layers.iter().filter_map(|layer| match layer {
            Layer::File(path) => Some(path.as_str()),
            Layer::Own(_) | Layer::Fixed(_) => None,
        })
    }

    /// Around what the object itself says.
    fn own_release<'m>(&self, repo: &'m Repo) -> Result<Release<'m>, OutOfSight> {
        let at = self.layers.iter().position(|layer| matches!(layer, Layer::Own(_)));
        match at {
            Some(at) => self.release(repo, at),
            None => {
                self.chart(repo).map_err(OutOfSight::Chart)?;
                Err(OutOfSight::Values("its values are not used".to_owned()))
            }
        }
    }

    /// Around the layer at an index.
    fn release<'m>(&self, repo: &'m Repo, at: usize) -> Result<Release<'m>, OutOfSight> {
        // Who wins over values does so wherever the chart is.
        if let Some(why) = &self.overruled {
            return Err(OutOfSight::Values(why.clone()));
        }
        let chart = self.chart(repo).map_err(OutOfSight::Chart)?;
        if let Some(why) = &self.unknown {
            return Err(OutOfSight::Values(why.clone()));
        }
        let values = |layer: &Layer| match layer {
            Layer::File(path) => values_of(repo, path)
                .ok_or_else(|| format!("its values `{path}` are not among the files that were read"))
                .map_err(OutOfSight::Values),
            Layer::Own(values) | Layer::Fixed(values) => Ok(values.clone()),
        };
        let mut below = if self.replaces_defaults { Value::Null } else { chart.values.clone() };
        for layer in &self.layers[..at] {
            below = layered(&below, &values(layer)?);
        }
        let above = self.layers[at + 1..].iter().map(values).collect::<Result<_, _>>()?;
        let default = inside(&chart.folder, "values.yaml");
        let is_own = |layer: &Layer| matches!(layer, Layer::File(path) if *path == default);
        let has_defaults = !self.replaces_defaults || self.layers[..at].iter().any(is_own);
        Ok(Release { chart, below, above, is_default: false, has_defaults })
    }
}
