//! Finds the signatures of an image, and checks them with the keys of a repo.
//!
//! cosign leaves them in three places: at a tag made of the digest, among the referrers in the same format, and, from
//! version 3 on, among the referrers as Sigstore bundles. Sources: see [`crate::signature`]. Notation's are only seen.

use std::collections::BTreeSet;

use super::{Locked, Verdict, Verification};
use crate::image::{Digest, Reference};
use crate::registry::{Client, Content, Descriptor, Failure, ImageManifest};
use crate::signature::{self, BUNDLE, Fault, PREDICATE_ANNOTATION, PublicKey, SIGNATURE_ANNOTATION, SIGNS};

/// Artifact type of cosign's first format among the referrers, up to its version.
const COSIGN: &str = "application/vnd.dev.cosign.artifact.sig";

const NOTATION: &str = "application/vnd.cncf.notary.signature";

/// Bytes of a payload or a bundle. A payload has 250, a bundle with its certificates about 10,000.
const LARGEST_SIGNATURE: u64 = 1 << 20;

/// Signatures of an image that are looked at: anybody who may push can add more.
const MOST_SIGNATURES: usize = 64;

/// Writes into `locked` which kinds of signatures there are and, with `keys`, what they are worth.
///
/// Without keys a registry that does not tell is no failure; with keys the repo asked for an answer.
pub fn look(
    client: &Client,
    reference: &Reference,
    locked: &mut Locked,
    keys: &[PublicKey],
) -> Result<(), Failure> {
    let found = find(client, reference, &locked.digest);
    if keys.is_empty() {
        locked.signatures = found.ok().map(|found| found.kinds());
        locked.verification = None;
        return Ok(());
    }
    let found = found?;
    locked.signatures = Some(found.kinds());
    locked.verification = Some(Verification {
        keys: names(keys),
        verdict: found.verdict(client, reference, &locked.digest, keys)?,
    });
    Ok(())
}

/// The keys as the lock writes them down.
pub fn names(keys: &[PublicKey]) -> Vec<(String, Digest)> {
    keys.iter().map(|key| (key.name().to_owned(), key.fingerprint().clone())).collect()
}

/// What a registry has beside an image.
#[derive(Default)]
struct Found {
    simple: Vec<ImageManifest>,
    bundles: Vec<ImageManifest>,
    has_notation: bool,
}

fn find(client: &Client, reference: &Reference, digest: &Digest) -> Result<Found, Failure> {
    let mut found = Found::default();
    let tag = format!("{}-{}.sig", digest.algorithm(), digest.hex());
    if let Some(Content::Image(manifest)) =
        client.manifest_of_tag(reference, &tag)?.map(|manifest| manifest.content)
    {
        found.simple.push(*manifest);
    }
    for referrer in client.referrers(reference, digest)?.iter().take(MOST_SIGNATURES) {
        let kind = referrer.artifact_type.as_deref().unwrap_or_default();
        if kind == NOTATION {
            found.has_notation = true;
        } else if kind.starts_with(COSIGN) {
            found.simple.extend(manifest(client, reference, referrer)?);
        } else if kind.starts_with(BUNDLE) {
            found.bundles.extend(manifest(client, reference, referrer)?.filter(claims_to_sign));
        }
    }
    Ok(found)
}

fn manifest(
    client: &Client,
    reference: &Reference,
    referrer: &Descriptor,
) -> Result<Option<ImageManifest>, Failure> {
    Ok(match client.manifest(reference, &referrer.digest)?.content {
        Content::Image(manifest) => Some(*manifest),
        Content::Index(_) => None,
    })
}

/// Bundles carry provenance and lists of contents as well.
fn claims_to_sign(manifest: &ImageManifest) -> bool {
    let annotations = manifest.annotations.as_ref();
    annotations.and_then(|annotations| annotations.get(PREDICATE_ANNOTATION)).is_none_or(|kind| kind == SIGNS)
}

impl Found {
    fn kinds(&self) -> Vec<String> {
        let kinds = [
            (!self.simple.is_empty(), "cosign"),
            (!self.bundles.is_empty(), "sigstore-bundle"),
            (self.has_notation, "notation"),
        ];
        let there: BTreeSet<&str> =
            kinds.into_iter().filter(|(is_there, _)| *is_there).map(|(_, kind)| kind).collect();
        there.into_iter().map(str::to_owned).collect()
    }

    /// One signature that counts is enough; else the fault that says most.
    fn verdict(
        &self,
        client: &Client,
        reference: &Reference,
        digest: &Digest,
        keys: &[PublicKey],
    ) -> Result<Verdict, Failure> {
        let mut worst: Option<Fault> = None;
        for layer in self.simple.iter().flat_map(|manifest| &manifest.layers).take(MOST_SIGNATURES) {
            let annotations = layer.annotations.as_ref();
            let signature = annotations.and_then(|annotations| annotations.get(SIGNATURE_ANNOTATION));
            let Some(signature) = signature.filter(|_| layer.media_type == signature::SIMPLE_SIGNING) else {
                continue;
            };
            let payload = client.small_blob(reference, layer, LARGEST_SIGNATURE)?;
            match signature::simple_signing(&payload, signature, digest, keys) {
                Ok(key) => return Ok(Verdict::Verified(key)),
                Err(fault) => worst = worst.max(Some(fault)),
            }
        }
        for layer in self.bundles.iter().filter_map(|manifest| manifest.layers.first()) {
            let bytes = client.small_blob(reference, layer, LARGEST_SIGNATURE)?;
            match signature::bundle(&bytes, digest, keys) {
                Some(Ok(key)) => return Ok(Verdict::Verified(key)),
                Some(Err(fault)) => worst = worst.max(Some(fault)),
                None => {}
            }
        }
        Ok(worst.map_or(Verdict::Absent, |fault| Verdict::Invalid(fault.to_string())))
    }
}
