//! See the rule's own docs below.

use crate::lock::Locked;
use crate::model::references::Skipped;
use crate::model::{Container, Image};
use crate::repo::ImageSetting;
use crate::rules::{Area, Change, Check, Finding, Safety, Severity, Workload};

pub(super) mod elsewhere;
mod values;

crate::rules::rule! {
    /// An image is named without its digest.
    ///
    /// ## Why
    /// A tag can be moved to other content at any time, by its owner or by whoever took over the account. Only a digest
    /// names content: what was reviewed, scanned and signed is what runs.
    ///
    /// ## Fix
    /// Writes `name:tag@sha256:…` with the digest of the image index, so that all architectures stay available; in a
    /// kustomization that chooses the tag, `digest` beside it; in Helm values the chart's own field for the digest, or
    /// the tag with the digest behind it. Values are changed only where the chart is in the repo and its templates
    /// render the image with its digest and all else as before; elsewhere the finding says why not. The digest comes
    /// from `caseharden.lock`, which `caseharden lock` makes by asking the registries; nothing is changed without it.
    ///
    /// ## What could break
    /// Rebuilt images under the same tag are not picked up any more: updates need a change of the manifest. The default
    /// of `imagePullPolicy` stays what the tag makes it. Kustomize before v5 keeps a base's digest beside an overlay's
    /// `newTag`: pin the overlay too.
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
        let Some(text) = container.image() else { continue };
        match Image::parse(text) {
            Some(image) if image.digest.is_none() => {
                findings.push(finding(workload, container, text, &image));
            }
            None if workload.model.builders.target(text) == Err(Skipped::Placeholder) => {
                let subject = workload.container(container);
                let message = format!("{subject} runs what `{text}` stands for, without a digest here");
                let finding = Finding::new(format!("{}/image", container.pointer), message);
                findings.push(finding.container(container).note(Skipped::Placeholder.to_string()));
            }
            _ => {}
        }
    }
}

const NOT_LOCKED: &str = "`caseharden lock` asks the registry for its digest";

fn finding(workload: &Workload<'_>, container: &Container<'_>, text: &str, image: &Image<'_>) -> Finding {
    let pointer = format!("{}/image", container.pointer);
    let message = format!("{} runs `{text}` without its digest", workload.container(container));
    let finding = Finding::new(pointer.clone(), message).container(container);
    if container.value["imagePullPolicy"] == "Never" {
        return finding.note(Skipped::NeverPulled.to_string());
    }
    if let Err(skipped) = workload.model.builders.target(text) {
        return finding.note(skipped.to_string());
    }
    let path = &workload.model.file(workload.object).path;
    let is_pinned = |set: &ImageSetting| {
        let name = set.new_name.as_deref().unwrap_or(&set.name);
        let tag = set.new_tag.as_ref().map(|tag| format!("{name}:{tag}"));
        set.digest.is_some() || tag.is_some_and(|text| workload.settings.lock.lookup(&text).is_some())
    };
    let overrides = workload.model.builds.image_overrides(path, image.name());
    // Kustomize before v5 keeps the digest of the base beside an overlay's `newTag`.
    if let Some(by) = overrides.settings.iter().find(|(_, set)| overrides.always || !is_pinned(set)) {
        return finding.note(format!("{} decides what runs: it is pinned there", by.0));
    }
    match workload.locked(container) {
        None => finding.note(NOT_LOCKED),
        Some(locked) => {
            let finding = finding.change(Change::set(pointer, with_digest(text, locked)));
            let finding = has_digest(finding, locked);
            if is_moving(text) { pin_note(finding) } else { finding }
        }
    }
}

/// The reference as it is written, with the digest behind it. A tag that was left out is written: updates start from
/// it, and without it the default of `imagePullPolicy` would change (it is `Always` for `latest`, digest or not, see
/// `SetDefaults_Container` in <https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/v1/defaults.go>).
fn with_digest(text: &str, locked: &Locked) -> String {
    match Image::parse(text) {
        Some(image) if image.tag.is_none() => format!("{text}:latest@{}", locked.digest),
        _ => format!("{text}@{}", locked.digest),
    }
}

/// Whether the tag is one that moves with each release.
fn is_moving(text: &str) -> bool {
    matches!(Image::parse(text).and_then(|image| image.tag), None | Some("latest"))
}

/// For tags that move: what a push did until now, a change of the digest does.
fn pin_note(finding: Finding) -> Finding {
    finding.safety(Safety::Review).note("new releases wait for a change of the digest from now on")
}

/// Says where the digest is from.
fn has_digest(finding: Finding, locked: &Locked) -> Finding {
    let platforms = match locked.platforms.as_slice() {
        [] => "one platform".to_owned(),
        platforms => platforms.join(", "),
    };
    let fact = format!("{} has the digest, for {platforms}", crate::lock::FILE_NAME);
    finding.safety(Safety::Safe).evidence(fact)
}
