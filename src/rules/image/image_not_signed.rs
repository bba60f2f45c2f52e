//! See the rule's own docs below.

use super::signature::{self, Evidence};
use crate::lock;
use crate::rules::{Area, Check, Finding, Severity, Workload};

crate::rules::rule! {
    /// An image has no signature.
    ///
    /// ## Why
    /// A digest says which content runs, not who made it. A signature does: who takes over a registry account can push
    /// an image, but cannot sign it. Only then can an admission policy (Sigstore policy-controller, Kyverno,
    /// Connaisseur) refuse what the team did not build.
    ///
    /// ## Fix
    /// Sign the image where it is built: `cosign sign --key … NAME@DIGEST`. Nothing in a manifest can do it, so nothing
    /// is changed. Name the public key under `[[signature]]` in `caseharden.toml`, and `caseharden lock` checks each
    /// image with it; without a key it only says whether any signature is there. The rule rests on what
    /// `caseharden.lock` says and is silent about images that are not in it, or whose registry did not tell.
    ///
    /// What is checked is the signature of the digest by the key, in both of cosign's formats (a tag beside the image, or
    /// a referrer, and Sigstore bundles). Not checked are transparency logs, certificates of keyless signatures, and
    /// Notation.
    ///
    /// ## What could break
    /// Nothing: it is a report.
    ///
    /// ## Sources
    /// - Signatures: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>
    /// - Bundles: <https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>
    /// - What the digest of an index covers: <https://github.com/opencontainers/image-spec/blob/main/image-index.md>
    {
        id: "image-not-signed",
        area: Area::Image,
        severity: Severity::Low,
        pss: None,
        known_as: &[],
        check: Check::Workload(check),
    }
}

fn check(workload: &Workload<'_>, findings: &mut Vec<Finding>) {
    for container in workload.pods.iter().flat_map(|pod| &pod.containers) {
        let Some((image, evidence)) = signature::evidence(workload, container) else { continue };
        let subject = workload.container(container);
        let pointer = format!("{}/image", container.pointer);
        let report = |message: String| Finding::new(pointer.clone(), message).container(container);
        findings.push(match evidence {
            Evidence::Absent { fact, keys } => {
                let finding = report(format!("{subject} runs `{image}`, which is not signed: {fact}"))
                    .evidence(format!("{} says so", lock::FILE_NAME));
                match keys.is_empty() {
                    true => finding,
                    false => finding.note(format!("it has to be signed with {keys}")),
                }
            }
            Evidence::NotChecked { keys } => {
                report(format!("{subject} runs `{image}`, whose signature was not checked with {keys}"))
                    .note("`caseharden lock` checks it")
            }
            Evidence::Invalid { .. } | Evidence::Fine => continue,
        });
    }
}
