//! Patches and components of Kustomize: what their templates are given, and what must come out of them.

use serde_json::json;

use super::decode;
use super::{RenderedFile, TemplateError, Templates, must_be};

const COMPONENT: &str = "overlay/component.yaml";
const PATCH: &str = "overlay/patch.yaml";
const STEPS: &str = "overlay/steps.yaml";
const WRAPPER: &str = "overlay/wrapper.yaml";

/// An object that a patch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatchedObject<'a> {
    pub api_version: &'a str,
    pub kind: &'a str,
    pub name: &'a str,
    pub namespace: Option<&'a str>,
}

impl Templates {
    /// What a strategic merge patch starts with: the object it is for.
    pub fn patch(&self, object: &PatchedObject<'_>) -> Result<RenderedFile, TemplateError> {
        let PatchedObject { api_version, kind, name, namespace } = *object;
        let variables =
            json!({"api_version": api_version, "kind": kind, "name": name, "namespace": namespace});
        self.file(PATCH, variables, |text| {
            let value = decode::value(text)?;
            must_be(&value, "/apiVersion", &json!(api_version))?;
            must_be(&value, "/kind", &json!(kind))?;
            must_be(&value, "/metadata/name", &json!(name))?;
            if let Some(namespace) = namespace {
                must_be(&value, "/metadata/namespace", &json!(namespace))?;
            }
            Ok(value)
        })
    }

    /// What a JSON 6902 patch starts with: the API version its paths are written for.
    pub fn steps(&self, api_version: &str) -> Result<RenderedFile, TemplateError> {
        self.file(STEPS, json!({"api_version": api_version}), |text| {
            let value = decode::value(text)?;
            let test = json!({"op": "test", "path": "/apiVersion", "value": api_version});
            must_be(&value, "/0", &test)?;
            Ok(value)
        })
    }

    /// What a component starts with: a line that says what it is for.
    pub fn component(&self, purpose: &str) -> Result<RenderedFile, TemplateError> {
        self.kustomization(COMPONENT, purpose, "Component")
    }

    /// What a kustomization starts with that renders a chart: a line that says what it is for.
    pub fn wrapper(&self, purpose: &str) -> Result<RenderedFile, TemplateError> {
        self.kustomization(WRAPPER, purpose, "Kustomization")
    }

    fn kustomization(
        &self,
        name: &'static str,
        purpose: &str,
        kind: &str,
    ) -> Result<RenderedFile, TemplateError> {
        self.file(name, json!({"purpose": purpose}), |text| {
            let value = decode::value(text)?;
            must_be(&value, "/kind", &json!(kind))?;
            Ok(value)
        })
    }

    pub(super) fn try_out_overlays(&self) -> Vec<TemplateError> {
        let sample =
            |namespace| PatchedObject { api_version: "apps/v1", kind: "Deployment", name: "yes", namespace };
        let rendered = [
            self.patch(&sample(None)),
            self.patch(&sample(Some("no"))),
            self.steps("argoproj.io/v1alpha1"),
            self.component("vendor/web: #1"),
            self.wrapper("vendor/web: #1"),
        ];
        rendered.into_iter().filter_map(Result::err).collect()
    }
}
