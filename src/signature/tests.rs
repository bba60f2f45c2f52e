//! Signatures made here, with keys made here: `ring` signs as well.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::json;

use super::*;

/// SubjectPublicKeyInfo up to the point of a P-256 key, and up to an Ed25519 key.
const P256_HEAD: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const ED25519_HEAD: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

struct Signer {
    pair: EcdsaKeyPair,
    key: PublicKey,
}

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

fn new_signer(name: &str) -> Signer {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let der = [P256_HEAD, pair.public_key().as_ref()].concat();
    let key = PublicKey::read(name, pem(&der).as_bytes()).unwrap();
    Signer { pair, key }
}

impl Signer {
    fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.pair.sign(&SystemRandom::new(), message).unwrap())
    }
}

fn payload(digest: &Digest) -> Vec<u8> {
    json!({"critical": {
        "identity": {"docker-reference": "registry.example.com/web"},
        "image": {"docker-manifest-digest": digest.as_str()},
        "type": "cosign container image signature",
    }, "optional": null})
    .to_string()
    .into_bytes()
}

fn bundled(signer: &Signer, statement: &serde_json::Value) -> Vec<u8> {
    let payload = statement.to_string();
    let payload_type = "application/vnd.in-toto+json";
    let message =
        format!("DSSEv1 {} {payload_type} {} {payload}", payload_type.len(), payload.len()).into_bytes();
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": "x"}},
        "dsseEnvelope": {
            "payload": STANDARD.encode(&payload), "payloadType": payload_type,
            "signatures": [{"sig": signer.sign(&message)}],
        },
    })
    .to_string()
    .into_bytes()
}

fn statement(digest: &Digest, predicate: &str) -> serde_json::Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1", "predicateType": predicate, "predicate": {},
        "subject": [{"name": "", "digest": {"sha256": digest.hex()}}],
    })
}

#[test]
fn a_payload_counts_for_its_image_by_a_trusted_key_only() {
    let (image, other) = (Digest::of(b"image"), Digest::of(b"other"));
    let (team, stranger) = (new_signer("team.pub"), new_signer("stranger.pub"));
    let keys = [stranger.key.clone(), team.key.clone()];
    let good = payload(&image);
    let signature = team.sign(&good);
    assert_eq!(simple_signing(&good, &signature, &image, &keys), Ok("team.pub".to_owned()));
    assert_eq!(simple_signing(&good, &signature, &image, &keys[..1]), Err(Fault::OtherKey));
    assert_eq!(simple_signing(&good, &signature, &image, &[]), Err(Fault::OtherKey));
    let changed = payload(&other);
    assert_eq!(simple_signing(&changed, &signature, &other, &keys), Err(Fault::OtherKey));
    let fault = simple_signing(&good, &signature, &other, &keys).unwrap_err();
    assert_eq!(fault.to_string(), format!("team.pub signed another image, {image}"));
    assert_eq!(simple_signing(&good, "%%", &image, &keys), Err(Fault::Malformed));
    let text = br#"{"critical": {"image": {"docker-manifest-digest": "x"}, "type": "mail"}}"#;
    let kind = Fault::OtherKind { key: "team.pub".to_owned() };
    assert_eq!(simple_signing(text, &team.sign(text), &image, &keys), Err(kind));
}

#[test]
fn a_bundle_counts_when_it_signs_and_does_not_merely_describe() {
    let (image, other) = (Digest::of(b"image"), Digest::of(b"other"));
    let team = new_signer("team.pub");
    let keys = [team.key.clone()];
    let good = bundled(&team, &statement(&image, SIGNS));
    assert_eq!(bundle(&good, &image, &keys), Some(Ok("team.pub".to_owned())));
    assert!(matches!(bundle(&good, &other, &keys), Some(Err(Fault::OtherImage { .. }))));
    assert_eq!(bundle(&good, &image, &[new_signer("x").key]), Some(Err(Fault::OtherKey)));
    let provenance = bundled(&team, &statement(&image, "https://slsa.dev/provenance/v1"));
    assert_eq!(bundle(&provenance, &image, &keys), None);
    let mut changed: serde_json::Value = serde_json::from_slice(&good).unwrap();
    changed["dsseEnvelope"]["payload"] = STANDARD.encode(statement(&other, SIGNS).to_string()).into();
    assert_eq!(bundle(changed.to_string().as_bytes(), &other, &keys), Some(Err(Fault::OtherKey)));
    assert_eq!(bundle(b"{}", &image, &keys), Some(Err(Fault::Malformed)));
}

#[test]
fn ed25519_keys_are_read() {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    let der = [ED25519_HEAD, pair.public_key().as_ref()].concat();
    let key = PublicKey::read("k", pem(&der).as_bytes()).unwrap();
    assert!(key.verifies(b"message", pair.sign(b"message").as_ref()));
    assert!(!key.verifies(b"another", pair.sign(b"message").as_ref()));
}

#[test]
fn what_is_no_single_public_key_is_refused() {
    let read = |text: &str| PublicKey::read("k", text.as_bytes()).unwrap_err();
    assert_eq!(read(""), KeyError::Pem);
    assert_eq!(read("-----BEGIN PUBLIC KEY-----\n%\n-----END PUBLIC KEY-----"), KeyError::Pem);
    assert_eq!(read("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"), KeyError::Private);
    let der = [ED25519_HEAD, &[7; 32]].concat();
    assert_eq!(read(&[pem(&der), pem(&der)].concat()), KeyError::Several);
    for cut in 0..der.len() {
        assert_eq!(read(&pem(&der[..cut])), KeyError::Kind, "{cut}");
    }
    assert_eq!(read(&pem(&[&der[..], &[0]].concat())), KeyError::Kind);
}
