//! What becomes of a chart's objects between its templates and the cluster: what applies them leaves some out and patches
//! others.
//!
//! Source for what kustomize leaves out: `templateCommand` in
//! <https://github.com/kubernetes-sigs/kustomize/blob/master/api/types/helmchartargs.go>.

use serde_json::Value;

use super::Wrapper;
use super::post_renderers::{PostRenderers, is_for_tests, is_hook};
use crate::model::{Model, ObjectId};
use crate::repo::{HelmfileRelease, InflatedChart, Kustomization, PatchList, PatchReference};

#[derive(Debug, Clone)]
pub enum Afterwards {
    /// Whoever installs the chart says it.
    Unknown,
    /// Argo CD applies them as they are; a kustomization may be able to take the chart's place. What is for `helm test`
    /// it never runs (<https://argo-cd.readthedocs.io/en/stable/user-guide/helm/#helm-hooks>).
    ArgoCd(Option<Box<Wrapper>>),
    Flux(PostRenderers),
    Build(Inflation),
}

/// A kustomization that renders a chart, and patches what comes out as it does other objects.
#[derive(Debug, Clone)]
pub struct Inflation {
    /// The kustomizations that change the objects, the one with the chart first.
    chain: Vec<usize>,
    /// How many `patches` that one has.
    patches: usize,
    skips_hooks: bool,
    skips_tests: bool,
}

/// Where a further patch goes: behind so many of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchPlace {
    /// `spec.postRenderers` of a HelmRelease.
    PostRenderers(usize),
    /// `patches` of a kustomization.
    Patches(usize),
}

impl PatchPlace {
    /// The list that it is in.
    pub fn list(self) -> &'static str {
        match self {
            PatchPlace::PostRenderers(_) => "/spec/postRenderers",
            PatchPlace::Patches(_) => "/patches",
        }
    }
}

impl Afterwards {
    /// What becomes of a chart that an object installs.
    pub(super) fn of_object(id: &ObjectId, value: &Value) -> Result<Afterwards, String> {
        match &*id.kind {
            "HelmRelease" => PostRenderers::read(value).map(Afterwards::Flux),
            "Application" | "ApplicationSet" => Ok(Afterwards::ArgoCd(None)),
            _ => Ok(Afterwards::Unknown),
        }
    }

    /// What becomes of a chart that a helmfile installs.
    pub(super) fn of_helmfile(release: &HelmfileRelease) -> Result<Afterwards, String> {
        match release.changed_by {
            Some(key) => Err(format!("what its `{key}` makes of the chart is not followed here")),
            None => Ok(Afterwards::Unknown),
        }
    }

    /// What becomes of a chart that a kustomization renders.
    pub(super) fn of_build(
        model: &Model<'_>,
        by: &Kustomization,
        chart: &InflatedChart,
    ) -> Result<Afterwards, String> {
        let is_by_labels =
            |patch: &PatchReference| patch.target.labels.is_some() || patch.target.annotations.is_some();
        if by.patches.iter().any(is_by_labels) {
            return Err(format!("patches of {} pick objects by labels, which are not known here", by.path));
        }
        Ok(Afterwards::Build(Inflation {
            chain: model.builds.changing_generated(&by.path),
            patches: by.patches.iter().filter(|patch| patch.list == PatchList::Patches).count(),
            skips_hooks: chart.skips_hooks,
            skips_tests: chart.skips_tests,
        }))
    }

    /// An object of the chart as it is applied; null when it is not.
    pub fn applied(&self, model: &Model<'_>, object: &Value) -> Value {
        match self {
            Afterwards::ArgoCd(_) if is_for_tests(object) => Value::Null,
            Afterwards::Unknown | Afterwards::ArgoCd(_) => object.clone(),
            Afterwards::Flux(renderers) => renderers.applied(object),
            Afterwards::Build(by) if by.skips_hooks && is_hook(object) => Value::Null,
            Afterwards::Build(by) if by.skips_tests && is_for_tests(object) => Value::Null,
            Afterwards::Build(by) => {
                let (steps, _) = model.builds.steps_of_generated(&by.chain, object);
                model.builds.patched(&steps, object)
            }
        }
    }

    /// Where a further patch of an object goes; `None` where none comes last.
    pub fn place(&self, model: &Model<'_>, object: &Value) -> Option<PatchPlace> {
        match self {
            Afterwards::Unknown | Afterwards::ArgoCd(_) => None,
            Afterwards::Flux(renderers) => {
                (!is_hook(object)).then_some(PatchPlace::PostRenderers(renderers.count))
            }
            Afterwards::Build(by) => {
                let (steps, patched) = model.builds.steps_of_generated(&by.chain, object);
                (steps.len() == patched).then_some(PatchPlace::Patches(by.patches))
            }
        }
    }
}
