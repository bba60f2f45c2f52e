//! See the rule's own docs below.

use super::Elsewhere;
use crate::lock::Locked;
use crate::model::Image;
use crate::rules::{Area, Check, Finding, Settings, Severity, Workload};

crate::rules::rule! {
    /// An image is the latest, whatever that is.
    ///
    /// ## Why
    /// `latest`, and a reference without a tag means it, names another image after every push. Two nodes may run
    /// different programs under one name, nobody can tell which one ran yesterday, and a push into the registry is a
    /// release into the cluster. A tag also decides the default of `imagePullPolicy`: `Always` for `latest`.
    ///
    /// ## Fix
    /// Write the version that runs today, best with its digest. Which one that is, a manifest does not tell: nothing is
    /// changed.
    ///
    /// ## What could break
    /// Nothing, if it is the version that runs. Updates have to be made on purpose from then on.
    ///
    /// ## Sources
    /// - Images: <https://kubernetes.io/docs/concepts/containers/images/#image-names>
    {
        id: "image-tag-latest",
        area: Area::Image,
        severity: Severity::High,
        pss: None,
        known_as: &[
            ("kube-linter", "latest-tag"),
            ("kubescape", "C-0075"),
            ("polaris", "tagNotSpecified"),
            ("checkov", "CKV_K8S_14"),
            ("trivy", "KSV-0013"),
            ("kubeaudit", "ImageTagMissing"),
        ],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for container in workload.pods.iter().flat_map(|pod| &pod.containers) {
        let Some(image) = container.image().and_then(Image::parse) else { continue };
        let Some(message) = message(&format!("{} runs", workload.container(container)), &image) else {
            continue;
        };
        let finding = Finding::new(format!("{}/image", container.pointer), message).container(container);
        findings.push(explained(finding, &image, workload.locked(container)));
    }
}

/// The same for images that no workload's container names.
pub(super) fn elsewhere(at: &Elsewhere, settings: &Settings<'_>) -> Option<Finding> {
    // A reference without a tag may still get one: from a chart, or from what the patch is for.
    let reference = at.place.target.as_ref().ok()?;
    let image = Image::parse(&at.place.text)?;
    let finding = Finding::new(at.pointer(), message(&at.subject(), &image)?);
    Some(explained(finding, &image, settings.lock.find(reference)))
}

fn message(subject: &str, image: &Image<'_>) -> Option<String> {
    match image.tag {
        Some("latest") => Some(format!("{subject} the latest `{}`", image.name())),
        None if image.digest.is_none() => {
            Some(format!("{subject} the latest `{}`: there is no tag", image.name()))
        }
        _ => None,
    }
}

fn explained(mut finding: Finding, image: &Image<'_>, locked: Option<&Locked>) -> Finding {
    if image.digest.is_some() {
        finding = finding.note("its digest decides what runs, and does not say which version that is");
    }
    if let Some(tag) = locked.and_then(|locked| locked.version_tag.as_ref()) {
        finding = finding.note(format!("the tag `{tag}` has the same digest"));
    }
    finding
}
