//! What a repo says about registries, as plain values, and the bounds of every request.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::address::{Site, is_loopback};

/// How registries are reached. [`Default`]: each at its own name, over https, by publicly trusted certificates.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Hosts, with their ports, without TLS. Those on this machine need not be named.
    pub plain_http: BTreeSet<String>,
    /// The only certificates (PEM) that are trusted for a host.
    pub authorities: BTreeMap<String, Vec<u8>>,
    /// Where to ask before a registry itself, in this order: hosts, with or without a path.
    pub mirrors: BTreeMap<String, Vec<String>>,
    pub limits: Limits,
}

/// Bounds of what a registry can cost us.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Questions asked at once.
    pub width: usize,
    /// How often a question is asked at most.
    pub attempts: u32,
    /// Before the second attempt; doubles each time.
    pub pause: Duration,
    /// Longest wait that a `Retry-After` can cost.
    pub longest_pause: Duration,
    pub connect: Duration,
    /// From the request to the end of the answer's header.
    pub answer: Duration,
    /// Longest silence within a body.
    pub silence: Duration,
    /// Bytes of a manifest, an index, a list. The distribution specification asks for 4 MiB.
    pub manifest: u64,
    /// Bytes of an image's configuration.
    pub configuration: u64,
    /// Bytes of all layers of an image, as they are sent.
    pub layers: u64,
    /// Bytes of all layers of an image, unpacked.
    pub unpacked: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            width: 16,
            attempts: 4,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            silence: Duration::from_secs(30),
            manifest: 4 << 20,
            configuration: 4 << 20,
            layers: 2 << 30,
            unpacked: 8 << 30,
        }
    }
}

impl Settings {
    /// Where to ask for the images of a registry, itself last.
    pub(super) fn sites(&self, registry: &str) -> Vec<Site> {
        let mirrors = self.mirrors.get(registry).into_iter().flatten().map(String::as_str);
        mirrors.chain([registry]).map(|name| self.site(name)).collect()
    }

    fn site(&self, name: &str) -> Site {
        let host = name.split_once('/').map_or(name, |(host, _)| host);
        let has_authority = self.authorities.contains_key(host);
        Site::new(name, !has_authority && (is_loopback(host) || self.plain_http.contains(host)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_unless_it_is_this_machine_or_the_repo_says_so() {
        let settings = Settings {
            plain_http: ["reg.corp:5000".to_owned()].into(),
            authorities: [("127.0.0.1:5001".to_owned(), Vec::new())].into(),
            mirrors: [("docker.io".to_owned(), vec!["reg.corp:5000/hub".to_owned()])].into(),
            ..Settings::default()
        };
        let origins =
            |registry: &str| -> Vec<String> { settings.sites(registry).iter().map(Site::origin).collect() };
        assert_eq!(origins("docker.io"), ["http://reg.corp:5000", "https://registry-1.docker.io"]);
        assert_eq!(origins("reg.corp"), ["https://reg.corp"]);
        assert_eq!(origins("127.0.0.1:5000"), ["http://127.0.0.1:5000"]);
        assert_eq!(origins("127.0.0.1:5001"), ["https://127.0.0.1:5001"]);
        assert_eq!(origins("10.0.0.1:5000"), ["https://10.0.0.1:5000"]);
    }
}
