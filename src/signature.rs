//! Whether an image was signed with a given public key: cosign's two ways to write a signature down.
//!
//! Bytes in, verdict out. Knows no registry, no lock file and no rules, and asks nobody: whether a signature was also
//! recorded in a transparency log, or whom a certificate names, is not looked at. A key is all the trust there is.
//!
//! Why not the `sigstore` crate: with only what is needed here it locks 396 packages, more than twice all others
//! together, and calls itself experimental. A signature by a key is one call of `ring`, which TLS brings anyway.
//!
//! Sources: <https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>,
//! <https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>,
//! <https://github.com/secure-systems-lab/dsse/blob/master/protocol.md>.

mod bundle;
mod key;
mod simple_signing;

use crate::image::Digest;

pub use self::bundle::bundle;
pub use self::key::{KeyError, PublicKey};
pub use self::simple_signing::simple_signing;

/// Media type of a payload in cosign's first format; the signature is an annotation of its layer.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// The annotation that carries the signature of such a payload, in base64.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";

/// Start of the media types of Sigstore bundles, whose ends are their versions.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";

/// The annotation that says what a bundle attests, before anybody reads it.
pub const PREDICATE_ANNOTATION: &str = "dev.sigstore.bundle.predicateType";

/// What a bundle attests when it is a signature of an image, and not its provenance or a list of its contents.
pub const SIGNS: &str = "https://sigstore.dev/cosign/sign/v1";

/// Why a signature does not count. Ordered: what says more about the image comes last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Fault {
    #[error("it is not in a form that can be read")]
    Malformed,
    #[error("none of the keys made it, or what it signs was changed")]
    OtherKey,
    /// Made by a trusted key, about something that is no image.
    #[error("{key} signed something else than an image")]
    OtherKind { key: String },
    /// Made by a trusted key, about another image.
    #[error("{key} signed another image, {digest}")]
    OtherImage { key: String, digest: String },
}

/// The name of the key that made `signature` of `message`.
fn signer<'k>(keys: &'k [PublicKey], message: &[u8], signature: &[u8]) -> Option<&'k str> {
    keys.iter().find(|key| key.verifies(message, signature)).map(PublicKey::name)
}

/// Text of a manifest's author, shortened for a message.
fn shown(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).take(80).collect()
}

/// Judges what a trusted key says of an image's digest.
fn about(key: &str, signed: &str, image: &Digest) -> Result<String, Fault> {
    match Digest::parse(signed) {
        Some(digest) if digest == *image => Ok(key.to_owned()),
        _ => Err(Fault::OtherImage { key: key.to_owned(), digest: shown(signed) }),
    }
}

#[cfg(test)]
mod tests;
