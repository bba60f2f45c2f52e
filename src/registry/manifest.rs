//! Manifests and indexes as registries send them. Reads bytes; checks no digest.
//!
//! Formats: <https://github.com/opencontainers/image-spec>, and Docker's `manifest.v2+json` and
//! `manifest.list.v2+json`, whose fields are the same.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::Failure;
use crate::image::Digest;

pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// One manifest for each platform, or one image.
#[derive(Debug, Clone)]
pub enum Content {
    Index(Index),
    Image(Box<ImageManifest>),
}

#[derive(Debug, Clone, Deserialize)]
pub struct Index {
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    pub config: Descriptor,
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    #[serde(default)]
    pub artifact_type: Option<String>,
    #[serde(default)]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Content that is elsewhere in the registry.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    #[serde(deserialize_with = "digest")]
    pub digest: Digest,
    pub size: u64,
    #[serde(default)]
    pub platform: Option<Platform>,
    #[serde(default)]
    pub annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub artifact_type: Option<String>,
    /// Layers that no registry may hand out (Windows base layers) have these instead.
    #[serde(default)]
    pub urls: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    #[serde(default)]
    pub variant: Option<String>,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) if !variant.is_empty() => write!(f, "/{variant}"),
            _ => Ok(()),
        }
    }
}

impl Index {
    /// The images for a platform; attestations, which have none, left out.
    pub fn images(&self) -> impl Iterator<Item = (&Platform, &Descriptor)> {
        self.manifests.iter().filter_map(|descriptor| {
            let platform = descriptor.platform.as_ref().filter(|platform| platform.os != "unknown")?;
            Some((platform, descriptor))
        })
    }
}

fn digest<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    let text = String::deserialize(deserializer)?;
    Digest::parse(&text).ok_or_else(|| serde::de::Error::custom("not a digest"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    schema_version: Option<u64>,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    layers: Option<serde::de::IgnoredAny>,
}

/// Reads a manifest; returns its media type with it.
///
/// One that could be read as two kinds is refused, as is one whose own media type is not the one it was sent
/// with (CVE-2021-41190): two clients would see two images behind one digest.
pub(super) fn read(sent_as: Option<&str>, body: &[u8]) -> Result<(String, Content), Failure> {
    let malformed = Failure::Malformed { what: "manifest" };
    let shape: Shape = serde_json::from_slice(body).map_err(|_| malformed.clone())?;
    let is_known = |media_type: &&str| [INDEX, DOCKER_LIST, MANIFEST, DOCKER_MANIFEST].contains(media_type);
    if shape.schema_version == Some(1)
        || sent_as.is_some_and(|sent_as| sent_as.contains("manifest.v1+")) && sent_as != Some(MANIFEST)
    {
        return Err(Failure::Unsupported(
            "an image in Docker's schema 1, which no current runtime pulls".to_owned(),
        ));
    }
    let sent_as = sent_as.filter(is_known);
    let own = shape.media_type.as_deref().filter(is_known);
    let media_type = match (sent_as, own, &shape.manifests) {
        (Some(sent_as), Some(own), _) if sent_as != own => return Err(malformed),
        (Some(media_type), _, _) | (None, Some(media_type), _) => media_type,
        (None, None, Some(_)) => INDEX,
        (None, None, None) => MANIFEST,
    };
    let is_index = matches!(media_type, INDEX | DOCKER_LIST);
    if is_index && shape.layers.is_some() || !is_index && shape.manifests.is_some() {
        return Err(malformed);
    }
    let content = if is_index {
        serde_json::from_slice(body).map(Content::Index)
    } else {
        serde_json::from_slice(body).map(|image| Content::Image(Box::new(image)))
    };
    Ok((media_type.to_owned(), content.map_err(|_| malformed)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[track_caller]
    fn check(sent_as: Option<&str>, body: &str, expected: Option<&str>) {
        let found = read(sent_as, body.replace("$D", D).as_bytes()).ok().map(|(media_type, _)| media_type);
        assert_eq!(found.as_deref(), expected, "{body}");
    }

    #[test]
    fn the_kind_is_what_was_sent_or_what_the_body_says() {
        check(Some(INDEX), r#"{"schemaVersion":2,"manifests":[]}"#, Some(INDEX));
        check(Some("application/json"), r#"{"manifests":[]}"#, Some(INDEX));
        check(None, r#"{"config":{"digest":"$D","size":1},"layers":[]}"#, Some(MANIFEST));
        let docker =
            format!(r#"{{"mediaType":"{DOCKER_MANIFEST}","config":{{"digest":"$D","size":1}},"layers":[]}}"#);
        check(None, &docker, Some(DOCKER_MANIFEST));
        check(Some(MANIFEST), &docker, None);
    }

    #[test]
    fn two_readings_of_one_body_are_refused() {
        check(Some(INDEX), r#"{"manifests":[],"layers":[]}"#, None);
        check(Some(MANIFEST), r#"{"config":{"digest":"$D","size":1},"manifests":[]}"#, None);
        check(None, r#"{"config":{"digest":"sha256:00","size":1}}"#, None);
        check(None, "<html>", None);
        check(None, r#"{"schemaVersion":1,"fsLayers":[]}"#, None);
    }
}
