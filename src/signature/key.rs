//! Public keys as `cosign public-key` and `openssl pkey -pubout` write them: PEM around SubjectPublicKeyInfo
//! (RFC 5280 section 4.1, RFC 7468 section 13).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use crate::image::Digest;

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// Object identifiers in DER: RFC 5480 section 2.1.1, RFC 8017 appendix C, RFC 8410 section 3.
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// Tags of DER.
const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BIT_STRING: u8 = 0x03;

/// A key that signatures are checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    fingerprint: Digest,
    kind: Kind,
    /// What [`ring`] wants: the point of a curve, or an `RSAPublicKey`.
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    EcdsaP256,
    EcdsaP384,
    Rsa,
    Ed25519,
}

/// Why a file gives no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("not a public key in PEM (`-----BEGIN PUBLIC KEY-----`)")]
    Pem,
    #[error("more than one key: write each to a file of its own")]
    Several,
    #[error("a private key: it belongs in no repository; `cosign public-key` writes the public one")]
    Private,
    #[error("not a key of a known kind: ECDSA P-256 or P-384, RSA from 2048 bits, Ed25519")]
    Kind,
}

impl PublicKey {
    /// Reads a key. `name` is how messages call it.
    pub fn read(name: &str, pem: &[u8]) -> Result<PublicKey, KeyError> {
        let text = std::str::from_utf8(pem).map_err(|_| KeyError::Pem)?;
        if text.contains("PRIVATE KEY-----") {
            return Err(KeyError::Private);
        }
        let (_, rest) = text.split_once(BEGIN).ok_or(KeyError::Pem)?;
        let (body, rest) = rest.split_once(END).ok_or(KeyError::Pem)?;
        if rest.contains(BEGIN) {
            return Err(KeyError::Several);
        }
        let base64: String = body.split_whitespace().collect();
        let der = STANDARD.decode(base64).map_err(|_| KeyError::Pem)?;
        let (kind, bytes) = read_info(&der).ok_or(KeyError::Kind)?;
        Ok(PublicKey { name: name.to_owned(), fingerprint: Digest::of(&der), kind, bytes: bytes.to_vec() })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Of the whole SubjectPublicKeyInfo, so that a changed file under the same name is seen.
    pub fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }

    /// Whether this key made `signature` of `message`.
    ///
    /// Hashes as cosign does: SHA-256 for RSA and ECDSA, whose wider curves may also come with their own
    /// (`LoadVerifier` and `GetDefaultAlgorithmDetails` in sigstore/sigstore, pkg/signature).
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithms: &[&'static dyn VerificationAlgorithm] = match self.kind {
            Kind::EcdsaP256 => &[&signature::ECDSA_P256_SHA256_ASN1],
            Kind::EcdsaP384 => &[&signature::ECDSA_P384_SHA256_ASN1, &signature::ECDSA_P384_SHA384_ASN1],
            Kind::Rsa => &[&signature::RSA_PKCS1_2048_8192_SHA256],
            Kind::Ed25519 => &[&signature::ED25519],
        };
        algorithms.iter().any(|algorithm| {
            UnparsedPublicKey::new(*algorithm, &self.bytes).verify(message, signature).is_ok()
        })
    }
}

/// Kind and bits of a `SubjectPublicKeyInfo ::= SEQUENCE { SEQUENCE { algorithm, parameters }, BIT STRING }`.
fn read_info(der: &[u8]) -> Option<(Kind, &[u8])> {
    let (info, rest) = value(der, SEQUENCE)?;
    let (algorithm, key) = value(info, SEQUENCE)?;
    let (key, after) = value(key, BIT_STRING)?;
    let (unused_bits, bits) = key.split_first()?;
    if !rest.is_empty() || !after.is_empty() || *unused_bits != 0 {
        return None;
    }
    let (name, parameters) = value(algorithm, OBJECT_IDENTIFIER)?;
    let kind = match name {
        EC => match value(parameters, OBJECT_IDENTIFIER)?.0 {
            P256 => Kind::EcdsaP256,
            P384 => Kind::EcdsaP384,
            _ => return None,
        },
        RSA if bits.len() >= 256 => Kind::Rsa,
        ED25519 if bits.len() == 32 => Kind::Ed25519,
        _ => return None,
    };
    Some((kind, bits))
}

/// The contents of the value that `der` starts with, if it has this tag, and what follows it.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        // Two bytes of length are enough for every key there is.
        0x81 | 0x82 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    (*found == tag).then(|| rest.split_at_checked(length))?
}
