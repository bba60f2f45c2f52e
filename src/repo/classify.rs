//! Says what a file is from its path and its text: chart template, generated, vendored, encrypted, manifest.
//!
//! Judges only what the bytes and the neighbouring file names tell; never what an object means.

use std::collections::HashSet;

use memchr::memmem;

use super::{Listing, SkipReason, folder};
use crate::config::Config;
use crate::yaml::{Kind, Node, Stream};

/// Why a file is judged but not edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    Generated(&'static str),
    Vendored(&'static str),
}

impl Marker {
    pub fn reason(self) -> SkipReason {
        match self {
            Marker::Generated(_) => SkipReason::Generated,
            Marker::Vendored(_) => SkipReason::Vendored,
        }
    }

    pub fn detail(self) -> &'static str {
        match self {
            Marker::Generated(detail) | Marker::Vendored(detail) => detail,
        }
    }
}

/// What the list of files alone tells.
#[derive(Debug)]
pub struct Facts {
    /// Folders with a `Chart.yaml`.
    charts: HashSet<String>,
    /// Paths that `.gitattributes` calls generated or vendored, as globs.
    linguist: Vec<(ignore::overrides::Override, Marker)>,
}

impl Facts {
    pub(super) fn new(listing: &Listing) -> Facts {
        let charts = listing
            .entries
            .iter()
            .filter(|entry| entry.path == "Chart.yaml" || entry.path.ends_with("/Chart.yaml"))
            .map(|entry| folder(&entry.path).to_owned())
            .collect();
        Facts { charts, linguist: linguist(listing) }
    }

    /// The chart a file belongs to, and the file's path inside it.
    fn chart<'p>(&self, path: &'p str) -> Option<(&'p str, &'p str)> {
        if self.charts.is_empty() {
            return None;
        }
        let mut at = folder(path);
        loop {
            if self.charts.contains(at) {
                return Some((at, path[at.len()..].trim_start_matches('/')));
            }
            if at.is_empty() {
                return None;
            }
            at = folder(at);
        }
    }
}

fn linguist(listing: &Listing) -> Vec<(ignore::overrides::Override, Marker)> {
    let mut globs = Vec::new();
    for (folder, text) in &listing.attributes {
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(pattern), false) = (words.next(), line.trim_start().starts_with('#')) else { continue };
            let marker = words.find_map(|word| match word {
                "linguist-generated" | "linguist-generated=true" => {
                    Some(Marker::Generated(".gitattributes says `linguist-generated`"))
                }
                "linguist-vendored" | "linguist-vendored=true" => {
                    Some(Marker::Vendored(".gitattributes says `linguist-vendored`"))
                }
                _ => None,
            });
            let Some(marker) = marker else { continue };
            let anchored =
                if folder.is_empty() { pattern.to_owned() } else { format!("/{folder}/**/{pattern}") };
            let mut builder = ignore::overrides::OverrideBuilder::new("");
            if builder.add(&anchored).is_ok()
                && let Ok(glob) = builder.build()
            {
                globs.push((glob, marker));
            }
        }
    }
    globs
}

/// Every Kubernetes object has both words; most other YAML lacks one. Decides before any parsing.
pub(super) fn may_hold_objects(bytes: &[u8]) -> bool {
    memmem::find(bytes, b"kind").is_some() && memmem::find(bytes, b"apiVersion").is_some()
}

/// Whether a file is named like Helm values, and is a chart's own or says something of an image.
pub(super) fn may_be_values(path: &str, bytes: &[u8], facts: &Facts) -> bool {
    if let Some((_, inside)) = facts.chart(path)
        && let Some(name) = inside.strip_prefix("ci/").or(Some(inside)).filter(|name| !name.contains('/'))
    {
        // chart-testing takes `ci/*-values.yaml` for sets of values.
        let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
        let is_values = name.contains("values") || inside.starts_with("ci/");
        return is_yaml && is_values && name != "values.schema.json";
    }
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_named =
        name.to_ascii_lowercase().contains("values") || folder.rsplit('/').next() == Some("values");
    is_named && memmem::find(bytes, b"mage").is_some()
}

/// Keys that only servers of k3s and RKE2 have at the top of their configuration:
/// <https://docs.k3s.io/cli/server>, <https://docs.rke2.io/reference/server_config>.
const RANCHER_SERVER: [&str; 9] = [
    "kube-apiserver-arg",
    "kube-apiserver-arg+",
    "kube-controller-manager-arg",
    "kube-controller-manager-arg+",
    "kube-scheduler-arg",
    "secrets-encryption",
    "write-kubeconfig-mode",
    "cluster-init",
    "audit-policy-file",
];

/// Keys at the top of Talos' machine configuration.
const TALOS: [&str; 5] = ["version", "debug", "persist", "machine", "cluster"];

/// Whether the text may be how k3s, RKE2 or Talos is set up. Decides before any parsing.
pub(super) fn may_be_cluster_config(bytes: &[u8]) -> bool {
    RANCHER_SERVER.iter().any(|key| memmem::find(bytes, key.as_bytes()).is_some())
        || (memmem::find(bytes, b"cluster:").is_some() && memmem::find(bytes, b"apiServer:").is_some())
}

/// Whether it is: the one document of a server of k3s or RKE2, or of a control-plane node of Talos.
pub(super) fn is_cluster_config(stream: &Stream) -> bool {
    let mut roots = (0..stream.documents()).filter_map(|document| stream.root(document));
    let (Some(root), None) = (roots.next(), roots.next()) else { return false };
    if root.kind() != Kind::Mapping || stream.text().contains("{{") {
        return false;
    }
    let keys: Vec<_> = root.entries().filter_map(|(key, _)| key.as_str()).collect();
    // Files of other programs nest such keys, or mix them with words that are no arguments (Ansible's variables).
    let is_argument = |key: &str| !key.contains(['_', ' ', '{']) && !key.chars().any(char::is_uppercase);
    let is_rancher =
        keys.iter().any(|key| RANCHER_SERVER.contains(&&**key)) && keys.iter().all(|key| is_argument(key));
    let has_server = root.get("cluster").is_some_and(|cluster| {
        cluster.kind() == Kind::Mapping
            && cluster.get("apiServer").is_some_and(|server| server.kind() == Kind::Mapping)
    });
    is_rancher || has_server && keys.iter().all(|key| TALOS.contains(&&**key))
}

/// Whether a file is named like a compose file.
pub(super) fn is_compose(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml")).unwrap_or_default();
    ["compose", "docker-compose"].iter().any(|known| {
        stem.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
    })
}

/// Whether a document of the stream has `kind` and `apiVersion` at its top.
pub(super) fn holds_objects(stream: &Stream) -> bool {
    (0..stream.documents()).filter_map(|document| stream.root(document)).any(is_object)
}

/// Whether a stream consists of definitions of custom resources.
pub(super) fn defines_resources(stream: &Stream) -> bool {
    let mut roots = (0..stream.documents()).filter_map(|document| stream.root(document)).peekable();
    let is_definition = |root: Node<'_>| {
        root.get("kind").and_then(Node::as_str).as_deref() == Some("CustomResourceDefinition")
    };
    roots.peek().is_some() && roots.all(is_definition)
}

fn is_object(root: Node<'_>) -> bool {
    root.kind() == Kind::Mapping && root.get("kind").is_some() && root.get("apiVersion").is_some()
}

/// The chart whose values or rendering a file takes part in.
pub(super) fn part_of_chart<'p>(path: &'p str, facts: &Facts) -> Option<&'p str> {
    let (chart, inside) = facts.chart(path)?;
    is_part(inside).then_some(chart)
}

/// Whether a file of a chart, by its path inside it, has to do with what the chart renders.
pub(super) fn is_part(inside: &str) -> bool {
    matches!(inside, "Chart.yaml" | "values.yaml" | "values.schema.json") || inside.starts_with("templates/")
}

pub(super) fn is_chart_template(path: &str, text: &str, facts: &Facts) -> bool {
    text.contains("{{") && facts.chart(path).is_some_and(|(_, inside)| inside.starts_with("templates/"))
}

pub(super) fn marker(path: &str, text: &str, facts: &Facts, config: &Config) -> Option<Marker> {
    if config.include_generated {
        return None;
    }
    if config.is_generated(path) {
        return Some(Marker::Generated("listed under `generated` in caseharden.toml"));
    }
    if let Some(marker) = path_marker(path, facts) {
        return Some(marker);
    }
    header_marker(text)
}

fn path_marker(path: &str, facts: &Facts) -> Option<Marker> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if name == "gotk-components.yaml" {
        return Some(Marker::Generated("written by `flux install`"));
    }
    let vendored = folder(path).split('/').find_map(|part| match part {
        "vendor" => Some("in a `vendor` folder"),
        "third_party" => Some("in a `third_party` folder"),
        "node_modules" => Some("in a `node_modules` folder"),
        "upstream" => Some("in an `upstream` folder"),
        _ => None,
    });
    if let Some(detail) = vendored {
        return Some(Marker::Vendored(detail));
    }
    if facts.chart(path).is_some_and(|(chart, _)| {
        folder(chart).rsplit('/').next() == Some("charts") && facts.chart(folder(chart)).is_some()
    }) {
        return Some(Marker::Vendored("a chart that another chart depends on"));
    }
    facts
        .linguist
        .iter()
        .find(|(glob, _)| glob.matched(path, false).is_whitelist())
        .map(|(_, marker)| *marker)
}

/// Looks for a generator's notice in the comments above the first value.
fn header_marker(text: &str) -> Option<Marker> {
    let header = text.lines().take(40).take_while(|line| {
        let line = line.trim_start_matches('\u{feff}').trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    });
    for line in header {
        let line = line.to_ascii_lowercase();
        if line.contains("do not edit") {
            return Some(Marker::Generated("its header says DO NOT EDIT"));
        }
        if ["auto-generated", "autogenerated", "code generated", "generated by"]
            .iter()
            .any(|word| line.contains(word))
        {
            return Some(Marker::Generated("its header says that it is generated"));
        }
    }
    None
}

/// The line of the `sops:` block that SOPS leaves in every file it encrypts.
pub(super) fn sops_line(stream: &Stream) -> Option<usize> {
    (0..stream.documents()).filter_map(|document| stream.root(document)).find_map(|root| {
        let sops = root.get("sops")?;
        sops.get("mac").or_else(|| sops.get("lastmodified"))?;
        Some(stream.position(sops.range().start).line)
    })
}

/// The first template action that decides a value. An action inside text that Kubernetes only carries
/// (annotations, arguments, environment, block scalars) does not make a file a template, nor do the
/// `{{inputs.…}}` placeholders that Argo resolves in the cluster.
pub(super) fn template_line(stream: &Stream) -> Option<usize> {
    (0..stream.documents()).find_map(|document| {
        let root = stream.root(document)?;
        let argo = root
            .get("apiVersion")
            .and_then(Node::as_str)
            .is_some_and(|version| version.starts_with("argoproj.io/"));
        let offset = action_offset(root, argo)?;
        Some(stream.position(offset).line)
    })
}

fn action_offset(node: Node<'_>, argo: bool) -> Option<usize> {
    let source = node.source();
    if !source.contains("{{") {
        return None;
    }
    match node.kind() {
        Kind::Mapping if source.starts_with("{{") => Some(node.range().start),
        Kind::Mapping => node.entries().find_map(|(key, value)| {
            if matches!(
                key.as_str().as_deref(),
                Some("annotations" | "args" | "command" | "env" | "data" | "stringData" | "binaryData")
            ) {
                return None;
            }
            action_offset(key, argo).or_else(|| action_offset(value, argo))
        }),
        Kind::Sequence => node.items().find_map(|item| action_offset(item, argo)),
        Kind::Scalar if argo || source.starts_with(['|', '>']) => None,
        Kind::Scalar => Some(node.range().start),
        Kind::Alias => None,
    }
}
