//! The tags of a repository, and which of them look like a version.

use std::cmp::Ordering;

use ureq::http::{Method, Uri};

use super::address::{origin, target};
use super::{Client, Failure, Site};
use crate::image::{Digest, Reference, is_tag};

/// Pages of a list of tags that are read.
const MOST_PAGES: usize = 10;

/// Tags whose digest is asked for, to find the version behind `latest`.
const MOST_CANDIDATES: usize = 8;

impl Client {
    /// The most exact version tag with this digest, when it is among the newest. `hint` is what the image says of
    /// itself and is tried first.
    pub fn version_of(
        &self,
        reference: &Reference,
        digest: &Digest,
        hint: Option<&str>,
    ) -> Result<Option<String>, Failure> {
        let hints = hint.into_iter().flat_map(|hint| [hint.to_owned(), format!("v{hint}")]);
        let hints: Vec<String> = hints.filter(|tag| version(tag).is_some()).collect();
        if let Some(tag) = self.first_with(reference, digest, &hints)? {
            return Ok(Some(tag));
        }
        let tags = self.tags(reference)?;
        self.first_with(reference, digest, &newest(tags))
    }

    fn first_with(
        &self,
        reference: &Reference,
        digest: &Digest,
        tags: &[String],
    ) -> Result<Option<String>, Failure> {
        for tag in tags {
            match self.resolve(&reference.with_tag(tag)) {
                Ok(resolved) if resolved.digest == *digest => return Ok(Some(tag.clone())),
                Ok(_) | Err(Failure::NotFound { .. }) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(None)
    }

    fn tags(&self, reference: &Reference) -> Result<Vec<String>, Failure> {
        self.anywhere(reference, |site| self.tags_at(site, reference))
    }

    fn tags_at(&self, site: &Site, reference: &Reference) -> Result<Vec<String>, Failure> {
        let mut ask = self.ask(Method::GET, site, reference, "tags/list?n=1000", "application/json");
        let mut tags = Vec::new();
        for _ in 0..MOST_PAGES {
            let answer = self.transport.ask(&ask)?;
            let page: serde_json::Value = serde_json::from_slice(&answer.body)
                .map_err(|_| Failure::Malformed { what: "list of tags" })?;
            let listed = page["tags"].as_array().into_iter().flatten().filter_map(|tag| tag.as_str());
            tags.extend(listed.filter(|tag| is_tag(tag)).map(str::to_owned));
            let Some(next) = answer.header("link").and_then(|link| next_page(&ask.url, link)) else { break };
            ask.url = next;
        }
        Ok(tags)
    }
}

/// `</v2/a/tags/list?n=1000&last=b>; rel="next"`, on the same server only.
fn next_page(url: &str, link: &str) -> Option<String> {
    let (address, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    if !rest.contains("next") {
        return None;
    }
    let base: Uri = url.parse().ok()?;
    let next = target(&base, address)?;
    (origin(&next) == origin(&base)).then(|| next.to_string())
}

/// Versions newest first; among tags of one version those with more parts, then without a suffix, come first.
fn newest(tags: Vec<String>) -> Vec<String> {
    let mut versions: Vec<(Version, String)> =
        tags.into_iter().filter_map(|tag| Some((version(&tag)?, tag))).collect();
    versions.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    versions.into_iter().map(|(_, tag)| tag).take(MOST_CANDIDATES).collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Version {
    numbers: Vec<u64>,
    suffix: String,
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        // A suffix names a variant (`-alpine`) or comes before the release (`-rc1`).
        let plain = self.suffix.is_empty().cmp(&other.suffix.is_empty());
        plain.then_with(|| self.numbers.cmp(&other.numbers)).then_with(|| other.suffix.cmp(&self.suffix))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// `1.27.3`, `v2.0`, `3.19-alpine`; a lone number is a moving tag or a date, not a version.
fn version(tag: &str) -> Option<Version> {
    let rest = tag.strip_prefix('v').unwrap_or(tag);
    let (numbers, suffix) =
        rest.split_once(['-', '_', '+']).map_or((rest, ""), |(numbers, suffix)| (numbers, suffix));
    let numbers: Vec<u64> = numbers.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    (numbers.len() >= 2).then(|| Version { numbers, suffix: suffix.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_and_most_exact_versions_come_first() {
        let tags = ["latest", "1", "1.27", "1.27.3", "v1.28.0", "1.28.0-rc1", "main", "1.9.9", "20240101"];
        let tags = newest(tags.iter().map(|tag| (*tag).to_owned()).collect());
        assert_eq!(tags, ["v1.28.0", "1.27.3", "1.27", "1.9.9", "1.28.0-rc1"]);
    }

    #[test]
    fn a_next_page_is_on_the_same_server() {
        let url = "https://r.io/v2/a/tags/list?n=1000";
        let next = "</v2/a/tags/list?n=1000&last=b>; rel=\"next\"";
        assert_eq!(next_page(url, next).as_deref(), Some("https://r.io/v2/a/tags/list?n=1000&last=b"));
        assert_eq!(next_page(url, "<https://evil.io/x>; rel=\"next\""), None);
        assert_eq!(next_page(url, "<http://r.io/v2/a>; rel=\"next\""), None);
    }
}
