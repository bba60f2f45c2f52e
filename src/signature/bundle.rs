//! Sigstore bundles, which cosign writes from version 3 on: an in-toto statement in a DSSE envelope.
//!
//! Format: `sigstore_bundle.proto` in sigstore/protobuf-specs, as JSON.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{Fault, PublicKey, SIGNS, about, signer};
use crate::image::Digest;

const STATEMENT: &str = "application/vnd.in-toto+json";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    dsse_envelope: Envelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(default)]
    subject: Vec<Subject>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

/// The key that signed `image`, by a bundle. `None` for a bundle that does not claim to be a signature of an image,
/// such as provenance.
pub fn bundle(bytes: &[u8], image: &Digest, keys: &[PublicKey]) -> Option<Result<String, Fault>> {
    let Ok(Bundle { dsse_envelope: envelope }) = serde_json::from_slice(bytes) else {
        return Some(Err(Fault::Malformed));
    };
    let Ok(payload) = STANDARD.decode(&envelope.payload) else { return Some(Err(Fault::Malformed)) };
    // What it claims to be only decides whether it is looked at; what counts is read after its signature.
    let statement = serde_json::from_slice::<Statement>(&payload).ok()?;
    if envelope.payload_type != STATEMENT || statement.predicate_type != SIGNS {
        return None;
    }
    let message = pre_authentication_encoding(&envelope.payload_type, &payload);
    let signatures = envelope.signatures.iter().filter_map(|signature| STANDARD.decode(&signature.sig).ok());
    let key = signatures.into_iter().find_map(|signature| signer(keys, &message, &signature));
    Some(key.ok_or(Fault::OtherKey).and_then(|key| signed_by(key, &statement, image)))
}

fn signed_by(key: &str, statement: &Statement, image: &Digest) -> Result<String, Fault> {
    let mut about_each = statement
        .subject
        .iter()
        .filter_map(|subject| subject.digest.get(image.algorithm()))
        .map(|hex| about(key, &format!("{}:{hex}", image.algorithm()), image));
    let first = about_each.next().unwrap_or_else(|| Err(Fault::OtherKind { key: key.to_owned() }));
    about_each.fold(first, Result::or)
}

/// What a DSSE envelope signs: the type with the payload, each with its length in front.
fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}
