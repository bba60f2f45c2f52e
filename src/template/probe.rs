//! Jobs that try connections: what their template is given, and what must come out of it.

use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use super::decode::{self, Problem};
use super::{RenderedFile, TemplateError, Templates, must_be};

pub(super) const PROBE: &str = "network/probe.yaml";

/// A Job that tries connections of one workload's pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedProbe {
    pub name: String,
    /// `None` leaves it to whoever applies it.
    pub namespace: Option<String>,
    pub labels: std::collections::BTreeMap<String, String>,
    pub image: String,
    pub rows: Vec<ProbeRow>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProbeRow {
    pub host: String,
    pub port: u16,
    pub should_work: bool,
}

impl ProbeRow {
    fn words(&self) -> String {
        let word = if self.should_work { "works" } else { "blocked" };
        format!("{word} {} {}", self.host, self.port)
    }
}

impl Templates {
    /// The manifest of a probe.
    pub fn probe(&self, probe: &WantedProbe) -> Result<RenderedFile, TemplateError> {
        let labels = probe.labels.iter().map(|(key, value)| json!({"key": key, "value": value}));
        let rows: Vec<String> = probe.rows.iter().map(ProbeRow::words).collect();
        let variables = json!({
            "name": probe.name, "namespace": probe.namespace, "image": probe.image, "rows": rows,
            "labels": labels.collect::<Vec<_>>(),
        });
        self.file(PROBE, variables, |text| {
            let value = decode::typed::<Job>(text)?;
            must_be(&value, "/metadata/name", &json!(probe.name))?;
            if let Some(namespace) = &probe.namespace {
                must_be(&value, "/metadata/namespace", &json!(namespace))?;
            }
            let pod = "/spec/template";
            must_be(&value, &format!("{pod}/metadata/labels"), &json!(probe.labels))?;
            must_be(&value, &format!("{pod}/spec/automountServiceAccountToken"), &json!(false))?;
            let container = format!("{pod}/spec/containers/0");
            must_be(&value, &format!("{container}/args"), &json!(rows))?;
            let ready = format!("{container}/readinessProbe/exec/command");
            must_be(&value, &ready, &json!(["false"]))?;
            if value.pointer(&format!("{pod}/spec/containers/1")).is_some() {
                return Err(Problem::new("a probe has one container"));
            }
            Ok::<Value, Problem>(value)
        })
    }
}
