//! Which content an image reference means: the reference with everything said that a short one leaves to the
//! runtime, and checked against the grammar.
//!
//! Grammar and Docker Hub's short names: <https://pkg.go.dev/github.com/distribution/reference>. How a
//! reference is written in a manifest is [`crate::model::Image`]'s business. Asks nobody.

use std::fmt;

use crate::model::Image;

/// Docker Hub, as references name it. Its API lives on another host, see [`crate::registry`].
pub const DOCKER_HUB: &str = "docker.io";

/// Longest name that the grammar allows, registry included.
const LONGEST_NAME: usize = 255;

/// A reference with its defaults filled in. Ordered by name, then tag, then digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// The hash that names content, with its algorithm: `sha256:` and 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

/// Why a text is no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    #[error("not an image reference")]
    Shape,
    #[error("not the name of a registry")]
    Registry,
    #[error("not a repository: parts are lower-case letters and digits, joined by `.`, `_`, `__` or `-`")]
    Repository,
    #[error("longer than 255 characters")]
    TooLong,
    #[error("not a tag: up to 128 letters, digits, `_`, `.` and `-`")]
    Tag,
    #[error("not a digest: `sha256:` and 64 lower-case hex digits")]
    Digest,
}

impl Reference {
    /// Reads a reference as a container runtime does: no registry means Docker Hub, one-part names there are
    /// in `library/`, neither tag nor digest means `latest`.
    pub fn parse(text: &str) -> Result<Reference, ReferenceError> {
        let image = Image::parse(text).ok_or(ReferenceError::Shape)?;
        let registry = match image.registry() {
            None | Some("index.docker.io") => DOCKER_HUB,
            Some(registry) => registry,
        };
        if !is_registry(registry) {
            return Err(ReferenceError::Registry);
        }
        let repository = match image.repository() {
            single if registry == DOCKER_HUB && !single.contains('/') => format!("library/{single}"),
            full => full.to_owned(),
        };
        if !repository.split('/').all(is_path_part) {
            return Err(ReferenceError::Repository);
        }
        if registry.len() + 1 + repository.len() > LONGEST_NAME {
            return Err(ReferenceError::TooLong);
        }
        if image.tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Tag);
        }
        let digest =
            image.digest.map(|digest| Digest::parse(digest).ok_or(ReferenceError::Digest)).transpose()?;
        let tag = match (image.tag, &digest) {
            (None, None) => Some("latest"),
            (tag, _) => tag,
        };
        Ok(Reference { registry: registry.to_lowercase(), repository, tag: tag.map(str::to_owned), digest })
    }

    /// Host and port; `docker.io` for Docker Hub.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Absent only when there is a digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same name with another tag and no digest.
    pub fn with_tag(&self, tag: &str) -> Reference {
        Reference { tag: Some(tag.to_owned()), digest: None, ..self.clone() }
    }

    /// The same reference, with this digest.
    pub fn with_digest(&self, digest: Digest) -> Reference {
        Reference { digest: Some(digest), ..self.clone() }
    }

    /// The same reference as a tag alone; `None` when it has none.
    pub fn tagged(&self) -> Option<Reference> {
        self.tag.as_ref().map(|tag| self.with_tag(tag))
    }

    /// Registry and repository.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl Digest {
    /// `None` for anything but a SHA-256 or SHA-512 digest.
    pub fn parse(text: &str) -> Option<Digest> {
        let (algorithm, hex) = text.split_once(':')?;
        let length = match algorithm {
            "sha256" => 64,
            "sha512" => 128,
            _ => return None,
        };
        let is_hex = hex.len() == length && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then(|| Digest(text.to_owned()))
    }

    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        use sha2::{Digest as _, Sha256};
        Digest::from_hash("sha256", &Sha256::digest(bytes))
    }

    /// The digest of these bytes, by the algorithm of this one.
    pub fn of_same_kind(&self, bytes: &[u8]) -> Digest {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }

    /// For content that streams by.
    pub fn hasher(&self) -> Hasher {
        use sha2::Digest as _;
        match self.algorithm() {
            "sha512" => Hasher::Sha512(sha2::Sha512::new()),
            _ => Hasher::Sha256(sha2::Sha256::new()),
        }
    }

    fn from_hash(algorithm: &str, hash: &[u8]) -> Digest {
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Digest(format!("{algorithm}:{hex}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn algorithm(&self) -> &str {
        self.0.split_once(':').map_or("", |(algorithm, _)| algorithm)
    }

    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, hex)| hex)
    }
}

/// Hashes content by the algorithm of the digest it should have.
#[derive(Debug, Clone)]
pub enum Hasher {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        use sha2::Digest as _;
        match self {
            Hasher::Sha256(hash) => hash.update(bytes),
            Hasher::Sha512(hash) => hash.update(bytes),
        }
    }

    pub fn finish(self) -> Digest {
        use sha2::Digest as _;
        match self {
            Hasher::Sha256(hash) => Digest::from_hash("sha256", &hash.finalize()),
            Hasher::Sha512(hash) => Digest::from_hash("sha512", &hash.finalize()),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host name, an IPv4 address or a bracketed IPv6 address, each with or without a port.
pub(crate) fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
                ("ip", port.strip_prefix(':').or((!port.is_empty()).then_some("")))
            }
            _ => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let label = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    host.split('.').all(label) && port.is_none_or(is_port)
}

/// `[a-z0-9]+` joined by one `.`, one or two `_`, or any number of `-`.
fn is_path_part(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    if !bytes.first().copied().is_some_and(alphanumeric) || !bytes.last().copied().is_some_and(alphanumeric) {
        return false;
    }
    let mut separators =
        text.split(|c: char| c.is_ascii() && alphanumeric(c as u8)).filter(|part| !part.is_empty());
    separators.all(|part| matches!(part, "." | "_" | "__") || part.bytes().all(|byte| byte == b'-'))
}

pub(crate) fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    bytes.len() <= 128
        && bytes.first().copied().is_some_and(word)
        && bytes.iter().all(|byte| word(*byte) || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[track_caller]
    fn check(text: &str, expected: Result<&str, ReferenceError>) {
        let shown = Reference::parse(text).map(|reference| reference.to_string());
        assert_eq!(shown, expected.map(str::to_owned), "{text}");
    }

    #[test]
    fn short_names_are_docker_hubs() {
        check("nginx", Ok("docker.io/library/nginx:latest"));
        check("nginx:1.27", Ok("docker.io/library/nginx:1.27"));
        check("index.docker.io/nginx", Ok("docker.io/library/nginx:latest"));
        check("docker.io/bitnami/redis:7", Ok("docker.io/bitnami/redis:7"));
        check("team/app", Ok("docker.io/team/app:latest"));
    }

    #[test]
    fn ports_are_not_tags() {
        check("localhost:5000/x", Ok("localhost:5000/x:latest"));
        check("reg:5000/x:1", Ok("reg:5000/x:1"));
        check("[::1]:5000/x:1", Ok("[::1]:5000/x:1"));
        check("10.0.0.1:5000/a/b", Ok("10.0.0.1:5000/a/b:latest"));
    }

    #[test]
    fn a_digest_needs_no_tag_and_keeps_one() {
        check(&format!("nginx@{D}"), Ok(&format!("docker.io/library/nginx@{D}")));
        check(&format!("r.io/x:1@{D}"), Ok(&format!("r.io/x:1@{D}")));
        check("nginx@sha256:00ff", Err(ReferenceError::Digest));
        check(&format!("nginx@{}", D.replace("aa", "AA")), Err(ReferenceError::Digest));
        check(&format!("nginx@{}", D.replace("sha256", "md5")), Err(ReferenceError::Digest));
    }

    #[test]
    fn what_breaks_the_grammar_is_refused() {
        check("", Err(ReferenceError::Shape));
        check("${IMAGE}", Err(ReferenceError::Shape));
        check("Nginx", Err(ReferenceError::Repository));
        check("a..b", Err(ReferenceError::Repository));
        check("a___b", Err(ReferenceError::Repository));
        check("-a", Err(ReferenceError::Repository));
        check("r.io//a", Err(ReferenceError::Repository));
        check("r.io/../a", Err(ReferenceError::Repository));
        check("a.b.:5000/x", Err(ReferenceError::Registry));
        check("host:port/x", Err(ReferenceError::Registry));
        check("host:99999/x", Err(ReferenceError::Registry));
        check("[::1/x", Err(ReferenceError::Registry));
        check("nginx:.1", Err(ReferenceError::Tag));
        check(&format!("nginx:{}", "a".repeat(129)), Err(ReferenceError::Tag));
        check(&"a".repeat(256), Err(ReferenceError::TooLong));
        check("x/a__b-.c", Err(ReferenceError::Repository));
        check("e/a__b---c.d", Ok("docker.io/e/a__b---c.d:latest"));
    }

    #[test]
    fn hashes_raw_bytes() {
        assert_eq!(Digest::of(b"").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
