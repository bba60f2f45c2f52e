//! See the rule's own docs below.

use super::*;
use crate::rules::{Area, Check, Severity};

crate::rules::rule! {
    /// A role or binding is written in a version of the API that is gone.
    ///
    /// ## Why
    /// Servers from Kubernetes 1.22 on refuse `rbac.authorization.k8s.io/v1beta1` and `v1alpha1`: the rights in these
    /// manifests are not those of any cluster, and nobody notices until an upgrade.
    ///
    /// ## Fix
    /// Sets `apiVersion: rbac.authorization.k8s.io/v1`, whose objects have the same shape as those of `v1beta1`.
    /// `v1alpha1` names subjects in another way and is reported only, as is an object that the repo also has in `v1`.
    ///
    /// ## What could break
    /// Nothing: no supported server takes the old version.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/reference/using-api/deprecation-guide/#rbac-resources-v122>
    {
        id: "rbac-api-removed",
        area: Area::Rbac,
        severity: Severity::Low,
        pss: None,
        known_as: &[("kube-linter", "no-extensions-v1beta")],
        check: Check::Repo,
    }
}

const CURRENT: &str = "rbac.authorization.k8s.io/v1";

pub(super) fn check(context: &Context<'_>, found: &mut RepoFindings) {
    let objects = context
        .access
        .roles
        .iter()
        .map(|role| &role.object)
        .chain(context.access.bindings.iter().map(|binding| &binding.object));
    let all: Vec<&Object> = objects.collect();
    for object in all.iter().filter(|object| *object.id.api_version != *CURRENT) {
        let (kind, name) = (&object.id.kind, &object.id.name);
        let message = format!("{kind}/{name} is written in {}", object.id.api_version);
        let mut finding = Finding::new("/apiVersion", message)
            .change(Change::set("/apiVersion", CURRENT))
            .safety(Safety::Safe)
            .evidence("servers from Kubernetes 1.22 on take only rbac.authorization.k8s.io/v1");
        let twin = all.iter().find(|other| {
            *other.id.api_version == *CURRENT
                && (&other.id.kind, &other.id.name, &other.id.namespace) == (kind, name, &object.id.namespace)
        });
        if let Some(twin) = twin {
            finding.make_manual(format!(
                "{} has it in {CURRENT} already: keep one of them",
                context.model.file(twin).path
            ));
        } else if !object.id.api_version.ends_with("/v1beta1") {
            finding.make_manual("its subjects have to be written anew as well");
        }
        context.place(&RULE, object, finding, found);
    }
}
