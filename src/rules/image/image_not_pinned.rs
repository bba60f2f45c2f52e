//! See the rule's own docs below.

use crate::model::Image;
use crate::rules::{Area, Check, Finding, Severity, Workload};

crate::rules::rule! {
    /// An image is named without its digest.
    ///
    /// ## Why
    /// A tag can be moved to other content at any time, by its owner or by whoever took over the account. Only a digest
    /// names content: what was reviewed, scanned and signed is what runs.
    ///
    /// ## Fix
    /// Write `name:tag@sha256:…` with the digest of the image index, so that all architectures stay available. It has to
    /// come from the registry: nothing is changed without it.
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
        if let Some(image) = container.image().and_then(Image::parse)
            && image.digest.is_none()
        {
            let tagged =
                image.tag.map_or_else(|| image.name().to_owned(), |tag| format!("{}:{tag}", image.name()));
            let message = format!("{} runs `{tagged}` without its digest", workload.container(container));
            findings.push(Finding::new(format!("{}/image", container.pointer), message).container(container));
        }
    }
}
