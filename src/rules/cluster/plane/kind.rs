//! kind's `Cluster`: patches of kubeadm's configuration, as YAML in strings.
//!
//! Only the patches are read: what a cluster for trying things out does not configure is nobody's finding.
//! <https://kind.sigs.k8s.io/docs/user/configuration/#kubeadm-config-patches>

use serde_json::Value;

use super::super::document;
use super::{Dialect, Mounts, Plane, Style, kubeadm, version};
use crate::config::Config;
use crate::model::Object;

/// From this minor version on kind writes v1beta4, so a patch of arguments has to be a list.
const LISTS_FROM: u16 = 36;

pub(super) fn read(object: &Object, value: &Value, config: &Config) -> Vec<Plane> {
    let nodes = value["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_control_plane = |node: &Value| node["role"].as_str().is_none_or(|role| role == "control-plane");
    let control_plane: Vec<String> = (0..nodes.len())
        .filter(|idx| is_control_plane(&nodes[*idx]))
        .map(|idx| format!("/nodes/{idx}"))
        .collect();
    let of_nodes = (0..nodes.len()).map(|idx| format!("/nodes/{idx}/kubeadmConfigPatches"));
    let image = nodes.iter().find_map(|node| node["image"].as_str());
    let tag = image.and_then(|image| image.split('@').next()?.rsplit_once(':')).map(|(_, tag)| tag);
    let target = tag.and_then(version).unwrap_or(config.target_version);
    let mut planes = Vec::new();
    for list in std::iter::once("/kubeadmConfigPatches".to_owned()).chain(of_nodes) {
        let patches = value.pointer(&list).and_then(Value::as_array).into_iter().flatten();
        for (idx, text) in patches.enumerate() {
            let Some(patch) = text.as_str().and_then(document) else { continue };
            let style = style(&patch, target.minor);
            let Some(plane) = kubeadm::plane(object, &patch, config, style) else { continue };
            let Mounts::Kubeadm { volumes, .. } = plane.mounts else { continue };
            planes.push(Plane {
                dialect: Dialect::Kind,
                version: target,
                inside: Some(format!("{list}/{idx}")),
                mounts: match control_plane.is_empty() {
                    true => Mounts::Nowhere,
                    false => Mounts::Kubeadm { volumes, nodes: control_plane.clone() },
                },
                roll_out: "takes effect in clusters that are created anew; kind looks for the file from the folder it \
                           is run in",
                ..plane
            });
        }
    }
    planes
}

/// What a patch writes already decides; then its version, then that of the node image.
fn style(patch: &Value, target: u16) -> Style {
    let written = ["apiServer", "controllerManager", "scheduler"]
        .iter()
        .map(|component| &patch[component]["extraArgs"])
        .chain([&patch["nodeRegistration"]["kubeletExtraArgs"]])
        .find(|arguments| !arguments.is_null());
    let api_version = patch["apiVersion"].as_str().unwrap_or_default();
    match (written, api_version.rsplit_once('/')) {
        (Some(Value::Array(_)), _) => Style::Pairs,
        (Some(_), _) => Style::Map,
        (None, Some((_, "v1beta4"))) => Style::Pairs,
        (None, Some(_)) => Style::Map,
        (None, None) if target >= LISTS_FROM => Style::Pairs,
        (None, None) => Style::Map,
    }
}
