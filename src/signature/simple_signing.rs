//! cosign's first format: a small JSON payload that names the image by its digest, and a signature of its bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{Fault, PublicKey, about, signer};
use crate::image::Digest;

/// `CosignSignatureType` in sigstore/sigstore, pkg/signature/payload: without it, something else was signed.
const TYPE: &str = "cosign container image signature";

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    r#type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: String,
}

/// The key that signed `image`, by a payload and its signature in base64.
///
/// The name in the payload (`docker-reference`) is not compared, as cosign does not: images are mirrored.
pub fn simple_signing(
    payload: &[u8],
    signature: &str,
    image: &Digest,
    keys: &[PublicKey],
) -> Result<String, Fault> {
    let signature = STANDARD.decode(signature.trim()).map_err(|_| Fault::Malformed)?;
    // Nothing of the payload is believed, or even read, before its signature.
    let key = signer(keys, payload, &signature).ok_or(Fault::OtherKey)?;
    match serde_json::from_slice::<Payload>(payload) {
        Ok(Payload { critical }) if critical.r#type == TYPE => {
            about(key, &critical.image.docker_manifest_digest, image)
        }
        _ => Err(Fault::OtherKind { key: key.to_owned() }),
    }
}
