//! See the rule's own docs below.

use super::signature::{self, Evidence};
use crate::rules::{Area, Check, Finding, Severity, Workload};

crate::rules::rule! {
    /// An image's signature is not by one of the keys it has to be signed with.
    ///
    /// ## Why
    /// The image has a signature, and it does not count: another key made it, the signed text was changed, or it belongs
    /// to another image. That is what an attack looks like that somebody has taken trouble with, and what a release with
    /// the wrong key looks like. It is a rule of its own so that nobody accepts it along with images that are merely not
    /// signed.
    ///
    /// ## Fix
    /// Find out who pushed the image, before it runs anywhere. If the key was changed on purpose, name the new one under
    /// `[[signature]]` in `caseharden.toml` and run `caseharden lock`; if the image is to be signed anew, do that and run
    /// `caseharden lock --update IMAGE`. Nothing is changed.
    ///
    /// ## What could break
    /// Nothing: it is a report.
    ///
    /// ## Sources
    /// - Signatures: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>
    /// - Bundles: <https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>
    {
        id: "image-signature-invalid",
        area: Area::Image,
        severity: Severity::Critical,
        pss: None,
        known_as: &[],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for container in workload.pods.iter().flat_map(|pod| &pod.containers) {
        if let Some((image, Evidence::Invalid { fault, fact, keys })) =
            signature::evidence(workload, container)
        {
            let subject = workload.container(container);
            let message = format!("{subject} runs `{image}`, whose signature does not count: {fault}");
            findings.push(
                Finding::new(format!("{}/image", container.pointer), message)
                    .container(container)
                    .evidence(fact)
                    .note(format!("it has to be signed with {keys}")),
            );
        }
    }
}
