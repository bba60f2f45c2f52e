//! Reads kustomizations: which files a build joins, and which of them are patches rather than objects.
//!
//! Kustomize's own reference: <https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/>.
//! Does not build anything and does not look into the files that are named.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{folder, is_kustomization_name, join};
use crate::yaml::{Node, Stream};

/// What one kustomization (or component) says about other files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kustomization {
    /// Its own path.
    pub path: String,
    pub component: bool,
    pub namespace: Option<String>,
    /// Files and folders it takes objects from (`resources`, `bases`, `components`), joined to the root.
    pub inputs: Vec<String>,
    pub patches: Vec<PatchReference>,
    /// What it makes of images (`images`), in the order of the file.
    pub images: Vec<ImageSetting>,
    /// Helm charts that the build renders (`helmCharts`), in the order of the file.
    pub charts: Vec<InflatedChart>,
    /// What it puts before names (`namePrefix`); empty without one.
    pub name_prefix: String,
    /// What it puts behind names (`nameSuffix`); empty without one.
    pub name_suffix: String,
    /// Labels that it adds (`commonLabels`, `labels`), in the order they are written.
    pub labels: Vec<LabelSetting>,
    /// Names of the Secrets that it generates or adds to (`secretGenerator`).
    pub generated_secrets: Vec<String>,
    /// Files that configure the build: transformers, generators, replacements, schemas.
    pub configuration: Vec<String>,
}

/// An entry of `images`: what becomes of an image of this name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageSetting {
    pub name: String,
    pub new_name: Option<String>,
    pub new_tag: Option<String>,
    pub digest: Option<String>,
}

/// Labels that a kustomization adds to everything it builds.
///
/// <https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/labels/>
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSetting {
    pub pairs: BTreeMap<String, String>,
    /// Into selectors as well, and then into pod templates too.
    pub selectors: bool,
    /// Into pod templates.
    pub templates: bool,
}

/// A chart that a kustomization has Helm render.
///
/// Source: <https://github.com/kubernetes-sigs/kustomize/blob/master/api/types/helmchartargs.go>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InflatedChart {
    pub name: String,
    /// Where it is, when it is here: kustomize looks into the first of these that its version knows.
    pub folders: Vec<String>,
    /// `valuesFile`, joined to the root.
    pub values_file: Option<String>,
    /// `additionalValuesFiles`, joined to the root.
    pub additional: Vec<String>,
    /// `valuesInline`.
    pub inline: Value,
    pub merge: ValuesMerge,
}

/// What becomes of inline values beside a file of values (`valuesMerge`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ValuesMerge {
    /// They lie over the file.
    #[default]
    Override,
    /// The file lies over them.
    Merge,
    /// The file is not used.
    Replace,
}

/// A patch that a kustomization applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchReference {
    /// The file it is in, joined to the root; `None` for an inline one.
    pub file: Option<String>,
    /// Its text, when inline.
    pub inline: Option<String>,
    pub target: PatchTarget,
}

/// What a patch applies to; an absent part matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatchTarget {
    pub kind: Option<String>,
    pub name: Option<String>,
    /// `group`, `version`, `namespace`, `labelSelector` or `annotationSelector` narrow it further.
    pub is_narrower: bool,
}

impl Kustomization {
    /// Whether it writes labels into selectors (`commonLabels`, `labels` with `includeSelectors`).
    pub fn labels_selectors(&self) -> bool {
        self.labels.iter().any(|setting| setting.selectors)
    }

    /// Whether it changes names (`namePrefix`, `nameSuffix`).
    pub fn renames(&self) -> bool {
        !self.name_prefix.is_empty() || !self.name_suffix.is_empty()
    }

    /// Reads a kustomization from its file; `None` when the file is none.
    pub fn read(path: &str, stream: &Stream) -> Option<Kustomization> {
        let root = stream.root(0)?;
        let kind = root.get("kind").and_then(|kind| kind.as_str().map(|kind| kind.into_owned()));
        let ours = root.get("apiVersion").and_then(|version| {
            version.as_str().map(|version| version.starts_with("kustomize.config.k8s.io/"))
        });
        if !is_kustomization_name(path) && ours != Some(true) || ours == Some(false) {
            return None;
        }
        let value = root.value().ok()?;
        let images =
            root.get("images").into_iter().flat_map(Node::items).filter_map(ImageSetting::read).collect();
        let kustomization = Kustomization::from_value(path, &value, kind.as_deref() == Some("Component"));
        Some(Kustomization { images, ..kustomization })
    }

    fn from_value(path: &str, value: &Value, component: bool) -> Kustomization {
        let at = folder(path);
        let paths = |key: &str| -> Vec<String> {
            strings(&value[key]).filter(|text| !is_inline(text)).filter_map(|text| join(at, text)).collect()
        };
        let mut inputs = paths("resources");
        inputs.extend(paths("bases"));
        inputs.extend(paths("components"));
        let mut configuration: Vec<String> =
            ["transformers", "generators", "validators", "configurations", "crds"]
                .iter()
                .flat_map(|key| paths(key))
                .collect();
        configuration
            .extend(items(&value["replacements"]).filter_map(|item| join(at, item["path"].as_str()?)));
        configuration.extend(value["openapi"]["path"].as_str().and_then(|path| join(at, path)));
        Kustomization {
            path: path.to_owned(),
            component,
            namespace: value["namespace"].as_str().filter(|name| !name.is_empty()).map(str::to_owned),
            inputs,
            patches: patches(at, value),
            name_prefix: value["namePrefix"].as_str().unwrap_or_default().to_owned(),
            name_suffix: value["nameSuffix"].as_str().unwrap_or_default().to_owned(),
            labels: labels(value),
            generated_secrets: items(&value["secretGenerator"])
                .filter_map(|item| Some(item["name"].as_str()?.to_owned()))
                .collect(),
            images: Vec::new(),
            charts: charts(at, value),
            configuration,
        }
    }
}

impl ImageSetting {
    /// Tags are read as they stand: `newTag: 1.10` is not 1.1.
    fn read(node: Node<'_>) -> Option<ImageSetting> {
        let text = |key: &str| node.get(key).and_then(Node::written);
        Some(ImageSetting {
            name: text("name")?,
            new_name: text("newName"),
            new_tag: text("newTag"),
            digest: text("digest"),
        })
    }
}

fn labels(value: &Value) -> Vec<LabelSetting> {
    let pairs = |map: &Value| -> BTreeMap<String, String> {
        let entries = map.as_object().into_iter().flatten();
        entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    let settings = items(&value["labels"]).map(|item| LabelSetting {
        pairs: pairs(&item["pairs"]),
        selectors: item["includeSelectors"] == true,
        templates: item["includeTemplates"] == true,
    });
    let common = LabelSetting { pairs: pairs(&value["commonLabels"]), selectors: true, templates: true };
    std::iter::once(common).chain(settings).filter(|setting| !setting.pairs.is_empty()).collect()
}

fn charts(at: &str, value: &Value) -> Vec<InflatedChart> {
    let home = value["helmGlobals"]["chartHome"].as_str().unwrap_or("charts");
    let read = |chart: &Value| {
        let name = chart["name"].as_str()?;
        let mut folders = Vec::new();
        if let (Some(version), Some(_)) = (chart["version"].as_str(), chart["repo"].as_str()) {
            folders.extend(join(at, &format!("{home}/{name}-{version}/{name}")));
        }
        folders.extend(join(at, &format!("{home}/{name}")));
        Some(InflatedChart {
            name: name.to_owned(),
            folders,
            values_file: chart["valuesFile"].as_str().and_then(|path| join(at, path)),
            additional: strings(&chart["additionalValuesFiles"]).filter_map(|path| join(at, path)).collect(),
            inline: chart["valuesInline"].clone(),
            merge: match chart["valuesMerge"].as_str() {
                Some("merge") => ValuesMerge::Merge,
                Some("replace") => ValuesMerge::Replace,
                _ => ValuesMerge::Override,
            },
        })
    };
    items(&value["helmCharts"]).filter_map(read).collect()
}

fn patches(at: &str, value: &Value) -> Vec<PatchReference> {
    let merge = strings(&value["patchesStrategicMerge"]).map(|text| {
        let inline = is_inline(text);
        PatchReference {
            file: (!inline).then(|| join(at, text)).flatten(),
            inline: inline.then(|| text.to_owned()),
            target: PatchTarget::default(),
        }
    });
    let targeted =
        items(&value["patches"]).chain(items(&value["patchesJson6902"])).map(|item| PatchReference {
            file: item["path"].as_str().and_then(|path| join(at, path)),
            inline: item["patch"].as_str().map(str::to_owned),
            target: PatchTarget::read(&item["target"]),
        });
    merge.chain(targeted).collect()
}

impl PatchTarget {
    pub fn read(value: &Value) -> PatchTarget {
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let narrower = ["group", "version", "namespace", "labelSelector", "annotationSelector"];
        PatchTarget {
            kind: text("kind"),
            name: text("name"),
            is_narrower: narrower.iter().any(|key| value.get(key).is_some()),
        }
    }
}

/// `patchesStrategicMerge` and old `resources` lists may hold the YAML itself instead of a path.
fn is_inline(text: &str) -> bool {
    text.contains('\n') || text.contains(": ")
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    items(value).filter_map(Value::as_str)
}
