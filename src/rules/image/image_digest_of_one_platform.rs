//! See the rule's own docs below.

use crate::lock;
use crate::model::Image;
use crate::rules::{Area, Check, Finding, Severity, Workload};

crate::rules::rule! {
    /// An image is pinned to one platform of several.
    ///
    /// ## Why
    /// A tag of a multi-platform image names an index, which lists one image for each platform. Pinned to one of these,
    /// the pod cannot start on nodes of another architecture (`exec format error`, or `no match for platform in
    /// manifest`), and nobody sees it before such a node joins. It usually happens by copying the digest that one
    /// machine's `docker images` or `docker inspect` shows.
    ///
    /// ## Fix
    /// Write the digest of the index, which the finding shows. Where only one platform is meant, say so with a node
    /// selector on `kubernetes.io/arch`, and allow the finding. Nothing is changed, because a pin is somebody's decision:
    /// remove the digest, and `caseharden lock` and `image-not-pinned` write the index's.
    ///
    /// ## What could break
    /// Nothing on nodes of the platform that runs today: the index leads to the same image there.
    ///
    /// ## Sources
    /// - Image index: <https://github.com/opencontainers/image-spec/blob/main/image-index.md>
    /// - Multi-architecture images: <https://kubernetes.io/docs/concepts/containers/images/#multi-architecture-images-with-image-indexes>
    {
        id: "image-digest-of-one-platform",
        area: Area::Image,
        severity: Severity::Low,
        pss: None,
        known_as: &[],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for (pod, container) in workload.pods.iter().flat_map(|pod| pod.containers.iter().map(move |c| (pod, c)))
    {
        let Some(text) = container.image() else { continue };
        let is_pinned = Image::parse(text).is_some_and(|image| image.digest.is_some());
        let Some(locked) = workload.locked(container).filter(|_| is_pinned) else { continue };
        let Some(index) = &locked.index else { continue };
        // Somebody has decided on the platform.
        if pod.spec["nodeSelector"]["kubernetes.io/arch"].is_string() {
            continue;
        }
        let subject = workload.container(container);
        let platforms = locked.platforms.join(", ");
        let message = format!("{subject} is pinned to {platforms}, one platform of its tag's index {index}");
        findings.push(
            Finding::new(format!("{}/image", container.pointer), message)
                .container(container)
                .evidence(format!("{} says so of {}", lock::FILE_NAME, locked.digest))
                .note("write the digest of the index, or select the nodes that it is for"),
        );
    }
}
