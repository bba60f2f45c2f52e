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
    /// Those of them that are components: they work on what the build has by then.
    pub components: Vec<String>,
    /// What it takes from outside of the repo, as written.
    pub remote: Vec<String>,
    pub patches: Vec<PatchReference>,
    /// Whether it gives annotations or labels to all objects.
    pub decorates: bool,
    /// Whether something else than patches may change any field: transformers, replacements, variables.
    pub rewrites: bool,
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
    /// Where it is fetched from when it is not here.
    pub repository: Option<String>,
    pub version: Option<String>,
    pub release: Option<String>,
    pub namespace: Option<String>,
    /// Where it is, when it is here: kustomize looks into the first of these that its version knows.
    pub folders: Vec<String>,
    /// `valuesFile`, joined to the root.
    pub values_file: Option<String>,
    /// `additionalValuesFiles`, joined to the root.
    pub additional: Vec<String>,
    /// `valuesInline`.
    pub inline: Value,
    pub merge: ValuesMerge,
    /// Whether hooks stay out (`skipHooks`).
    pub skips_hooks: bool,
    /// Whether what is there for `helm test` stays out (`skipTests`).
    pub skips_tests: bool,
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
    pub list: PatchList,
    /// Its place in that list.
    pub index: usize,
    /// The file it is in, joined to the root; `None` for an inline one.
    pub file: Option<String>,
    /// Its text, when inline.
    pub inline: Option<String>,
    pub target: PatchTarget,
}

/// The lists of patches, in the order in which kustomize goes through them; the last comes behind names and namespaces.
///
/// Source: `configureBuiltinTransformers` in
/// <https://github.com/kubernetes-sigs/kustomize/blob/master/api/internal/target/kusttarget_configplugin.go>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PatchList {
    StrategicMerge,
    Patches,
    Json6902,
}

impl PatchList {
    pub fn key(self) -> &'static str {
        match self {
            PatchList::StrategicMerge => "patchesStrategicMerge",
            PatchList::Patches => "patches",
            PatchList::Json6902 => "patchesJson6902",
        }
    }
}

/// What a patch applies to: regular expressions over the whole text, and selectors. An absent part matches everything.
///
/// Source: <https://github.com/kubernetes-sigs/kustomize/blob/master/api/types/selector.go>
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatchTarget {
    pub group: Option<String>,
    pub version: Option<String>,
    pub kind: Option<String>,
    pub name: Option<String>,
    pub namespace: Option<String>,
    pub labels: Option<String>,
    pub annotations: Option<String>,
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

    /// What it calls an object of this kind and name; `None` when it leaves the name.
    ///
    /// Source: `prefixFieldSpecsToSkip` in
    /// <https://github.com/kubernetes-sigs/kustomize/blob/master/api/internal/builtins/PrefixTransformer.go>
    pub fn renamed(&self, kind: &str, name: &str) -> Option<String> {
        let is_kept = matches!(kind, "CustomResourceDefinition" | "APIService" | "Namespace");
        (self.renames() && !is_kept).then(|| format!("{}{name}{}", self.name_prefix, self.name_suffix))
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
        let components = paths("components");
        inputs.extend(components.iter().cloned());
        let named = ["resources", "bases", "components"].iter().flat_map(|key| strings(&value[*key]));
        let remote =
            named.filter(|text| !is_inline(text) && is_remote(at, text)).map(str::to_owned).collect();
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let has = |key: &str| items(&value[key]).next().is_some();
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
            components,
            remote,
            patches: patches(at, value),
            name_prefix: text("namePrefix"),
            name_suffix: text("nameSuffix"),
            decorates: ["labels", "commonLabels", "commonAnnotations"]
                .iter()
                .any(|key| !value[*key].is_null()),
            labels: labels(value),
            rewrites: ["transformers", "replacements", "vars"].into_iter().any(has),
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
        let text = |key: &str| chart[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        Some(InflatedChart {
            name: name.to_owned(),
            repository: text("repo"),
            version: text("version"),
            release: text("releaseName"),
            namespace: text("namespace"),
            folders,
            values_file: chart["valuesFile"].as_str().and_then(|path| join(at, path)),
            additional: strings(&chart["additionalValuesFiles"]).filter_map(|path| join(at, path)).collect(),
            inline: chart["valuesInline"].clone(),
            skips_hooks: chart["skipHooks"] == true,
            skips_tests: chart["skipTests"] == true,
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
    let merge = strings(&value[PatchList::StrategicMerge.key()]).enumerate().map(|(index, text)| {
        let inline = is_inline(text);
        PatchReference {
            list: PatchList::StrategicMerge,
            index,
            file: (!inline).then(|| join(at, text)).flatten(),
            inline: inline.then(|| text.to_owned()),
            target: PatchTarget::default(),
        }
    });
    let lists = [PatchList::Patches, PatchList::Json6902].into_iter();
    let entries =
        lists.flat_map(|list| items(&value[list.key()]).enumerate().map(move |entry| (list, entry)));
    let targeted = entries.map(|(list, (index, item))| PatchReference {
        list,
        index,
        file: item["path"].as_str().and_then(|path| join(at, path)),
        inline: item["patch"].as_str().map(str::to_owned),
        target: PatchTarget::read(&item["target"]),
    });
    merge.chain(targeted).collect()
}

/// Whether kustomize would fetch it, or leave the repo for it.
///
/// Source: <https://github.com/kubernetes-sigs/kustomize/blob/master/examples/remoteBuild.md>
fn is_remote(at: &str, text: &str) -> bool {
    let host = text.split('/').next().unwrap_or_default();
    text.contains("://")
        || text.contains("?ref=")
        || text.starts_with("git@")
        || text.starts_with("git::")
        || matches!(host, "github.com" | "gitlab.com" | "bitbucket.org")
        || join(at, text).is_none()
}

impl PatchTarget {
    /// Whether more than kind and name narrows it.
    pub fn is_narrower(&self) -> bool {
        let more = [&self.group, &self.version, &self.namespace, &self.labels, &self.annotations];
        more.into_iter().any(Option::is_some)
    }

    pub fn read(value: &Value) -> PatchTarget {
        let text = |key: &str| value[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        PatchTarget {
            group: text("group"),
            version: text("version"),
            kind: text("kind"),
            name: text("name"),
            namespace: text("namespace"),
            labels: text("labelSelector"),
            annotations: text("annotationSelector"),
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
