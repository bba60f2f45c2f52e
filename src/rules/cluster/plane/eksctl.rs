//! eksctl's `ClusterConfig`: the control plane is the provider's, with few switches.
//!
//! <https://schema.eksctl.io/>

use serde_json::Value;

use super::{Dialect, Mounts, Plane, version};
use crate::config::Config;
use crate::model::Object;

pub(super) fn read(object: &Object, value: &Value, config: &Config) -> Plane {
    let written = value.pointer("/metadata/version").and_then(Value::as_str);
    Plane {
        object: object.clone(),
        dialect: Dialect::Eksctl,
        version: written.and_then(version).unwrap_or(config.target_version),
        inside: None,
        value: value.clone(),
        lists: Vec::new(),
        mounts: Mounts::Nowhere,
        directory: "",
        log_directory: "",
        defaults: &[],
        roll_out: "takes effect with `eksctl utils update-cluster-logging --config-file FILE --approve`",
    }
}
