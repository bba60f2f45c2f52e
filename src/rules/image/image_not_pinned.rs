//! See the rule's own docs below.

use crate::lock::Locked;
use crate::model::{Container, Image, Model, Object, ObjectId};
use crate::repo::Kustomization;
use crate::rules::{
    Area, Change, Check, Finding, Placed, RepoFindings, Safety, Settings, Severity, Workload,
};

crate::rules::rule! {
    /// An image is named without its digest.
    ///
    /// ## Why
    /// A tag can be moved to other content at any time, by its owner or by whoever took over the account. Only a digest
    /// names content: what was reviewed, scanned and signed is what runs.
    ///
    /// ## Fix
    /// Writes `name:tag@sha256:…` with the digest of the image index, so that all architectures stay available; in a
    /// kustomization that chooses the tag, `digest` beside it. The digest comes from `caseharden.lock`, which
    /// `caseharden lock` makes by asking the registries; nothing is changed without it.
    ///
    /// ## What could break
    /// Rebuilt images under the same tag are not picked up any more: updates need a change of the manifest. With a digest
    /// the default of `imagePullPolicy` is `IfNotPresent`.
    ///
    /// ## Sources
    /// - Images: <https://kubernetes.io/docs/concepts/containers/images/#image-names>
    {
        id: "image-not-pinned",
        area: Area::Image,
        severity: Severity::Medium,
        pss: None,
        known_as: &[("kubescape", "C-0306"), ("checkov", "CKV_K8S_43")],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for container in workload.pods.iter().flat_map(|pod| &pod.containers) {
        if let Some(text) = container.image()
            && let Some(image) = Image::parse(text)
            && image.digest.is_none()
        {
            findings.push(finding(workload, container, text, &image));
        }
    }
}

fn finding(workload: &Workload<'_>, container: &Container<'_>, text: &str, image: &Image<'_>) -> Finding {
    let pointer = format!("{}/image", container.pointer);
    let message = format!("{} runs `{text}` without its digest", workload.container(container));
    let finding = Finding::new(pointer.clone(), message).container(container);
    let path = &workload.model.file(workload.object).path;
    if let Some(kustomization) = workload.model.builds.image_override(path, image.name()) {
        return finding.note(format!("{kustomization} decides what runs: it is pinned there"));
    }
    match workload.locked(container) {
        None => finding.note("`caseharden lock` asks the registry for its digest"),
        Some(locked) => pinned(finding, pointer, text, locked),
    }
}

fn pinned(finding: Finding, pointer: String, text: &str, locked: &Locked) -> Finding {
    let finding = finding
        .change(Change::set(pointer, format!("{text}@{}", locked.digest)))
        .safety(Safety::Safe)
        .evidence(format!("{} has the digest, for {}", crate::lock::FILE_NAME, platforms(locked)));
    match Image::parse(text).and_then(|image| image.tag) {
        Some(tag) if tag != "latest" => finding,
        _ => finding.safety(Safety::Review).note(
            "the default of `imagePullPolicy` becomes `IfNotPresent`, and new releases wait for a change of the digest",
        ),
    }
}

fn platforms(locked: &Locked) -> String {
    match locked.platforms.as_slice() {
        [] => "one platform".to_owned(),
        platforms => platforms.join(", "),
    }
}

/// Kustomizations that choose an image by tag: the digest goes beside the tag, where every object that is built
/// gets it (`newTag` and `digest` render as `name:tag@digest`).
pub(in crate::rules) fn check_kustomizations(
    model: &Model<'_>,
    settings: &Settings<'_>,
    found: &mut RepoFindings,
) {
    for (file, source) in model.repo().files.iter().enumerate().filter(|(_, file)| !file.context_only) {
        let Some(kustomization) = Kustomization::read(&source.path, &source.stream) else { continue };
        for (idx, chosen) in kustomization.images.iter().enumerate() {
            let (Some(tag), None) = (&chosen.new_tag, &chosen.digest) else { continue };
            let name = chosen.new_name.as_deref().unwrap_or(&chosen.name);
            let text = format!("{name}:{tag}");
            let message = format!("{} chooses `{text}` without its digest", source.path);
            let mut finding = Finding::new(format!("/images/{idx}/newTag"), message);
            finding.rule = &RULE;
            finding = match settings.lock.lookup(&text) {
                None => finding.note("`caseharden lock` asks the registry for its digest"),
                Some(locked) => finding
                    .change(Change::set(format!("/images/{idx}/digest"), locked.digest.as_str()))
                    .safety(Safety::Safe)
                    .evidence(format!(
                        "{} has the digest, for {}",
                        crate::lock::FILE_NAME,
                        platforms(locked)
                    )),
            };
            let object = Object {
                file,
                document: 0,
                pointer: "".into(),
                id: ObjectId::named("kustomize.config.k8s.io/v1beta1", "Kustomization", &source.path),
                layout: None,
            };
            let placed = Placed { object, finding, needs_file: None };
            found.by_file.entry(file).or_default().push(placed);
        }
    }
}
