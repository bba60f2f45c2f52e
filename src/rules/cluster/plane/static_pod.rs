//! Manifests of static pods: `kube-apiserver.yaml` and its like, with all flags in the command.

use serde_json::Value;

use super::{Component, Dialect, FlagList, Mounts, Plane, Style, version};
use crate::config::Config;
use crate::model::Object;

pub(super) fn read(object: &Object, value: &Value, config: &Config) -> Option<Plane> {
    let containers = value.pointer("/spec/containers")?.as_array()?;
    let (idx, component, words) = containers.iter().enumerate().find_map(|(idx, container)| {
        let words = |key: &str| container[key].as_array().map(Vec::as_slice).unwrap_or_default();
        let program = words("command").iter().chain(words("args")).next()?.as_str()?;
        let name = program.rsplit('/').next().unwrap_or(program);
        let component = [Component::ApiServer, Component::ControllerManager, Component::Scheduler]
            .into_iter()
            .find(|component| component.binary() == name)?;
        let has_flags = |key: &str| {
            words(key).iter().any(|word| word.as_str().is_some_and(|word| word.starts_with("--")))
        };
        Some((idx, component, if has_flags("args") { "args" } else { "command" }))
    })?;
    let container = format!("/spec/containers/{idx}");
    let list = FlagList::read(value, component, format!("{container}/{words}"), Style::Words("--"));
    // A program without flags gets them elsewhere: a configuration file, or a wrapper.
    if list.flags.is_empty() {
        return None;
    }
    let image = containers[idx]["image"].as_str().unwrap_or_default();
    let tag = image.split('@').next().and_then(|image| image.rsplit_once(':')).map(|(_, tag)| tag);
    Some(Plane {
        object: object.clone(),
        dialect: Dialect::StaticPod,
        version: tag.and_then(version).unwrap_or(config.target_version),
        inside: None,
        value: value.clone(),
        lists: vec![list],
        mounts: Mounts::Pod { container },
        directory: "/etc/kubernetes/apiserver/",
        log_directory: "/var/log/kubernetes/audit/",
        defaults: &[],
        roll_out: "the kubelet restarts the pod as soon as the manifest in its folder changes: one control-plane node \
                   after the other; kubeadm writes it anew on every upgrade, so ClusterConfiguration needs the same",
    })
}
