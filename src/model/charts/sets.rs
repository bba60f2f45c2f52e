//! The sets of values that one chart gets in a repo, each with the place where it can be changed.

use serde_json::Value;

use super::elsewhere::{self, known, values};
use super::given::{Layer, given};
use super::{Afterwards, Gifts, OutOfSight, inside, of_file, of_kustomization};
use crate::helm::{Release, layered};
use crate::model::{Model, Object, ObjectId};
use crate::repo::Chart;

/// Values that a file or an object gives to a chart.
#[derive(Debug, Clone)]
pub struct ValuesSet {
    /// Under the values.
    pub below: Value,
    /// Over them, the later over the earlier.
    pub above: Vec<Value>,
    /// Whether they are the chart's own defaults.
    pub is_default: bool,
    /// Whether the chart's own values count below them.
    pub has_defaults: bool,
    /// What the place itself says.
    pub own: Value,
    /// The object that the values are in, or one that stands for their file.
    pub object: Object,
    /// What the chart is installed as with them, as far as anything says so.
    pub release: Release,
    /// What installs the chart with them, as far as it is in the repo.
    pub installer: Option<Object>,
    /// Where in the object they are.
    pub outer: String,
    /// Whether they are text there.
    pub is_text: bool,
    /// Whether they are an item of a list that is not there yet.
    pub is_new_item: bool,
    /// Whether nobody lays further values over them.
    pub is_final: bool,
    /// What becomes of what the chart renders with them; or what of that is not followed.
    pub afterwards: Result<Afterwards, String>,
}

impl ValuesSet {
    /// All that the chart gets with these values.
    pub fn values(&self, own: &Value) -> Value {
        self.above.iter().fold(layered(&self.below, own), |below, above| layered(&below, above))
    }

    /// How a user finds it.
    pub fn place(&self, model: &Model<'_>) -> String {
        let path = &model.file(&self.object).path;
        match &*self.object.id.kind {
            "Values" | "Kustomization" => path.clone(),
            "HelmfileRelease" => format!("{path}: {}", self.object.id.name),
            kind => format!("{path}: {kind}/{}", self.object.id.name),
        }
    }
}

/// All sets of values for a chart: its own first, then those of files and of objects. For those that cannot be looked
/// at, the place and the reason.
pub fn sets<'m>(
    model: &Model<'m>,
    gifts: &Gifts<'_>,
    chart: &'m Chart,
) -> (Vec<ValuesSet>, Vec<(String, OutOfSight)>) {
    let (mut found, mut unseen) = (Vec::new(), Vec::new());
    let repo = model.repo();
    let default = inside(&chart.folder, "values.yaml");
    let mut files = gifts.values.get(&chart.folder).cloned().unwrap_or_default();
    files.sort_by_key(|idx| repo.files[*idx].path != default);
    for idx in files {
        let file = &repo.files[idx];
        let own = file.stream.root(0).map_or(Ok(Value::Null), |root| root.value());
        let Ok(own) = own else { continue };
        let object = stand_in(idx, ObjectId::named("", "Values", &file.path));
        match of_file(model, gifts, file) {
            Ok(releases) => found.extend(releases.into_iter().map(|release| ValuesSet {
                below: release.below,
                above: release.above,
                is_default: release.is_default,
                has_defaults: release.has_defaults,
                own: own.clone(),
                object: object.clone(),
                release: Release::default(),
                installer: None,
                outer: String::new(),
                is_text: false,
                is_new_item: false,
                is_final: false,
                afterwards: Ok(Afterwards::Unknown),
            })),
            Err(why) => unseen.push((file.path.clone(), why)),
        }
    }
    for object in gifts.objects.get(&chart.folder).into_iter().flatten() {
        of_object(model, gifts, chart, object, &mut found, &mut unseen);
    }
    of_kustomizations(model, gifts, chart, &mut found);
    of_helmfiles(model, gifts, chart, &mut found, &mut unseen);
    (found, unseen)
}

pub(super) fn stand_in(file: usize, id: ObjectId) -> Object {
    Object { file, document: 0, pointer: "".into(), id, layout: None }
}

fn of_object<'m>(
    model: &Model<'m>,
    gifts: &Gifts<'_>,
    chart: &Chart,
    object: &Object,
    found: &mut Vec<ValuesSet>,
    unseen: &mut Vec<(String, OutOfSight)>,
) {
    let Some(value) = model.value(object) else { return };
    for (at, given) in given(model, &gifts.around, &object.id, &value).iter().enumerate() {
        if given.chart(model.repo()).map(|taken| &taken.folder) != Ok(&chart.folder) {
            continue;
        }
        let (outer, is_text) = place(&object.id, &value, at);
        let own = given.layers.iter().find_map(|layer| match layer {
            Layer::Own(own) => Some(own.clone()),
            _ => None,
        });
        match given.own_release(model.repo()) {
            Ok(release) => found.push(ValuesSet {
                below: release.below,
                above: release.above,
                is_default: release.is_default,
                has_defaults: release.has_defaults,
                own: own.unwrap_or_default(),
                object: object.clone(),
                release: elsewhere::release(&object.id, &value, at),
                installer: Some(object.clone()),
                outer,
                is_text,
                is_new_item: false,
                is_final: true,
                afterwards: Afterwards::of_object(&object.id, &value),
            }),
            Err(why) => unseen.push((format!("{}/{}", object.id.kind, object.id.name), why)),
        }
    }
}

/// Where an object has, or would have, values of its own, and whether they are text there.
pub(super) fn place(id: &ObjectId, value: &Value, at: usize) -> (String, bool) {
    if &*id.kind == "HelmRelease" {
        return ("/spec/values".to_owned(), false);
    }
    let spec = if &*id.kind == "ApplicationSet" { "/spec/template/spec" } else { "/spec" };
    let source = match value.pointer(&format!("{spec}/sources")) {
        Some(Value::Array(_)) => format!("{spec}/sources/{at}"),
        _ => format!("{spec}/source"),
    };
    let helm = value.pointer(&format!("{source}/helm"));
    let has = |key: &str| helm.and_then(|helm| helm.get(key)).is_some_and(|value| !value.is_null());
    match has("values") && !has("valuesObject") {
        true => (format!("{source}/helm/values"), true),
        false => (format!("{source}/helm/valuesObject"), false),
    }
}

fn of_kustomizations<'m>(model: &Model<'m>, gifts: &Gifts<'_>, chart: &Chart, found: &mut Vec<ValuesSet>) {
    let repo = model.repo();
    for kustomization in model.builds.kustomizations() {
        for (at, inflated) in kustomization.charts.iter().enumerate() {
            let Ok(release) = of_kustomization(model, gifts, &kustomization.path, at) else { continue };
            let file = repo.files.binary_search_by(|file| file.path.cmp(&kustomization.path));
            let (true, Ok(file)) = (release.chart.folder == chart.folder, file) else { continue };
            let id = ObjectId::named("kustomize.config.k8s.io/v1beta1", "Kustomization", &kustomization.path);
            found.push(ValuesSet {
                below: release.below,
                above: release.above,
                is_default: release.is_default,
                has_defaults: release.has_defaults,
                own: inflated.inline.clone(),
                object: stand_in(file, id.clone()),
                release: known(inflated.release.clone(), inflated.namespace.clone()),
                installer: Some(stand_in(file, id)),
                outer: format!("/helmCharts/{at}/valuesInline"),
                is_text: false,
                is_new_item: false,
                is_final: true,
                afterwards: Afterwards::of_build(model, kustomization, inflated),
            });
        }
    }
}

fn of_helmfiles<'m>(
    model: &Model<'m>,
    gifts: &Gifts<'_>,
    chart: &Chart,
    found: &mut Vec<ValuesSet>,
    unseen: &mut Vec<(String, OutOfSight)>,
) {
    for by in &gifts.helmfiles {
        let given = &gifts.given[by.given];
        if given.chart(model.repo()).map(|taken| &taken.folder) != Ok(&chart.folder) {
            continue;
        }
        match values(model, gifts, given, by.home()) {
            Ok(set) => found.push(ValuesSet { below: layered(&chart.values, &set.below), ..set }),
            Err(why) => unseen.push((by.place(model), OutOfSight::Values(why))),
        }
    }
}
