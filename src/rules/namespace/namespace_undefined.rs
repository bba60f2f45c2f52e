//! See the rule's own docs below.

use super::*;
use crate::rules::{Area, Check, Severity, placement};

crate::rules::rule! {
    /// Workloads run in a namespace that no manifest defines.
    ///
    /// ## Why
    /// A namespace made by hand or by a deploy tool has no Pod Security labels, and nothing in the repo can give
    /// it any.
    ///
    /// ## Fix
    /// Adds a Namespace manifest with the labels of `pod-security-labels-missing` beside the workloads, and lists
    /// it in the kustomization of that folder when there is one.
    ///
    /// ## What could break
    /// Whoever owns the namespace today (another repo, Terraform, a Helm chart) would share it: check before
    /// merging. Deleting the manifest later with a tool that prunes deletes the namespace and all that is in it.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/tasks/configure-pod-container/enforce-standards-namespace-labels/>
    {
        id: "namespace-undefined",
        area: Area::Namespace,
        severity: Severity::Low,
        pss: None,
        known_as: &[("CIS", "5.6.1"), ("checkov", "CKV_K8S_21")],
        check: Check::Repo,
    }
}

/// Made by the API server itself.
const BUILT_IN: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

pub(super) fn check(
    model: &Model<'_>,
    settings: &Settings<'_>,
    members: &Members,
    verdicts: &[WorkloadVerdict],
    found: &mut RepoFindings,
) {
    let mut planned: BTreeSet<String> = BTreeSet::new();
    let undefined = members.by_name.iter().filter(|(_, namespace)| namespace.manifests.is_empty());
    for (name, namespace) in undefined {
        // Only workloads that can be edited here are a reason to define their namespace here.
        let own = |idx: &&usize| model.repo().files[verdicts[**idx].file].marker.is_none();
        let Some(first) = namespace.workloads.iter().find(own) else { continue };
        let object = &model.objects_of(verdicts[*first].file)[verdicts[*first].object];
        let meets = namespace.workloads.iter().map(|idx| verdicts[*idx].after).min();
        let known = if namespace.opaque.is_empty() { meets } else { None };
        let message = format!(
            "{}/{} runs in namespace {name}, which no manifest defines",
            object.id.kind, object.id.name
        );
        let mut finding = Finding::new("/metadata/namespace", message);
        finding.rule = &RULE;
        let Some(home) = home(model, members, object, name) else { continue };
        let rendered = settings.templates.namespace(name, &labels(settings, name, known));
        let is_taken = |path: &str| model.repo().file(path).is_some() || planned.contains(path);
        let path = placement::free_path(&settings.config.namespace_file, &home, name, is_taken);
        let (Some(path), Ok(rendered)) = (path, rendered) else { continue };
        planned.insert(path.clone());
        finding = finding.safety(Safety::Review).note(if BUILT_IN.contains(&name.as_str()) {
            "every cluster has this namespace: let nothing that prunes own the manifest"
        } else {
            "check that no other repo or tool owns this namespace"
        });
        finding.new_files.push(NewFile { path: path.clone(), text: rendered.text });
        found.new_files.push(Placed { object: object.clone(), finding, needs_file: None });
        placement::mention(model, object, &home, &path, &RULE, found);
    }
}

/// The folder of a kustomization that gives the namespace, else that of the workload. `None` where a build would get
/// a second Namespace of one name.
fn home(model: &Model<'_>, members: &Members, object: &Object, name: &str) -> Option<String> {
    let takes_one_more = |home: &&str| {
        let Some(kustomization) = model.builds.kustomization(home) else { return true };
        let mut manifests = members.by_name.values().flat_map(|namespace| &namespace.manifests);
        !manifests
            .any(|manifest| model.builds.share_a_namespace(&kustomization.path, &model.file(manifest).path))
    };
    let own = folder(&model.file(object).path);
    let naming = model.builds.naming(name, &model.file(object).path);
    let candidates = if object.id.namespace.as_deref() == Some(name) || naming.is_empty() {
        vec![own]
    } else {
        naming.iter().map(|kustomization| folder(&kustomization.path)).collect()
    };
    candidates.into_iter().find(takes_one_more).map(str::to_owned)
}
