//! Hosts and URLs: where the API of a registry is, and which addresses it may send us to.
//!
//! Manifests come from pull requests of strangers. A registry that one names could answer "log in at
//! http://169.254.169.254/" and have CI ask its own cloud metadata service. So wherever an answer leads to
//! another host, that host has to be reached over https, and may not be on a private network unless the registry
//! itself is on one. Decides; asks nothing but the name service.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use ureq::http::Uri;

use super::Failure;
use crate::image::{DOCKER_HUB, Reference};

/// Docker Hub's API: <https://docs.docker.com/registry/>.
const DOCKER_HUB_API: &str = "registry-1.docker.io";

/// Where a registry's API is reached: itself or a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The registry as references and credential stores name it.
    pub name: String,
    /// Host and port that are asked.
    pub host: String,
    /// In front of every repository: a mirror that serves several registries has one for each.
    pub prefix: String,
    pub plain_http: bool,
}

impl Site {
    /// `name` may have a path behind the host; that is how mirrors are written.
    pub fn new(name: &str, plain_http: bool) -> Site {
        let (name, prefix) = name.split_once('/').unwrap_or((name, ""));
        let host = if name == DOCKER_HUB { DOCKER_HUB_API } else { name };
        let prefix =
            if prefix.is_empty() { String::new() } else { format!("{}/", prefix.trim_end_matches('/')) };
        Site { name: name.to_owned(), host: host.to_owned(), prefix, plain_http }
    }

    pub fn origin(&self) -> String {
        format!("{}://{}", if self.plain_http { "http" } else { "https" }, self.host)
    }

    pub fn repository(&self, reference: &Reference) -> String {
        format!("{}{}", self.prefix, reference.repository())
    }
}

/// Whether a host (with or without port) is this machine, by name.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    name == "localhost"
        || name.ends_with(".localhost")
        || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host without its port; an IPv6 address keeps its brackets.
pub(super) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

/// Scheme and host with port: what two URLs must share to be the same server.
pub(super) fn origin(uri: &Uri) -> (String, String, u16) {
    let scheme = uri.scheme_str().unwrap_or_default().to_ascii_lowercase();
    let port = uri.port_u16().unwrap_or(if scheme == "http" { 80 } else { 443 });
    (scheme, uri.host().unwrap_or_default().to_ascii_lowercase(), port)
}

/// Reads an absolute http(s) URL, or one that starts at the root of `base`. User information is refused: nobody
/// but an attacker writes it here.
pub(super) fn target(base: &Uri, location: &str) -> Option<Uri> {
    let absolute = if location.starts_with('/') && !location.starts_with("//") {
        format!("{}://{}{location}", base.scheme_str()?, base.authority()?)
    } else {
        location.to_owned()
    };
    let uri: Uri = absolute.parse().ok()?;
    let known_scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let clean = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    (known_scheme && clean).then_some(uri)
}

/// Refuses `uri`, to which an answer of `site` leads, unless it is the site itself or a place on an equally public
/// network, over https.
pub(super) fn check_detour(site: &Site, uri: &Uri, what: &'static str) -> Result<(), Failure> {
    let own: Uri = site.origin().parse().map_err(|_| Failure::Malformed { what: "host of a registry" })?;
    if origin(uri) == origin(&own) {
        return Ok(());
    }
    let host = uri.host().unwrap_or_default();
    let refuse =
        |reason| Failure::Refused { registry: site.name.clone(), what, host: host.to_owned(), reason };
    if uri.scheme_str() != Some("https") && !(site.plain_http && is_same_host(uri, &own)) {
        return Err(refuse("over plain HTTP"));
    }
    if is_same_host(uri, &own) {
        return Ok(());
    }
    let there = addresses(uri);
    if there.iter().any(|address| is_never_a_service(*address)) {
        return Err(refuse("at a link-local or unspecified address"));
    }
    if there.iter().any(|address| is_private(*address))
        && !addresses(&own).iter().all(|address| is_private(*address))
    {
        return Err(refuse("on a private network"));
    }
    Ok(())
}

fn is_same_host(one: &Uri, other: &Uri) -> bool {
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    host(one) == host(other)
}

/// What a host resolves to; nothing for a name that only a proxy knows.
fn addresses(uri: &Uri) -> Vec<IpAddr> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    if let Ok(address) = host.parse() {
        return vec![address];
    }
    (host, origin(uri).2)
        .to_socket_addrs()
        .map(|all| all.map(|address| address.ip()).collect())
        .unwrap_or_default()
}

fn is_never_a_service(address: IpAddr) -> bool {
    match canonical(address) {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast() || v4.is_multicast(),
        // AWS answers metadata requests at this one too.
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
        }
    }
}

fn is_private(address: IpAddr) -> bool {
    match canonical(address) {
        IpAddr::V4(v4) => {
            let shared = Ipv4Addr::new(100, 64, 0, 0);
            v4.is_loopback() || v4.is_private() || u32::from(v4) >> 22 == u32::from(shared) >> 22
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    }
}

fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_canonical(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(site: &str, location: &str, expected: Option<&str>) {
        let site = Site::new(site, is_loopback(site));
        let base: Uri = site.origin().parse().unwrap();
        let reason = match target(&base, location) {
            None => Some("not a URL".to_owned()),
            Some(uri) => check_detour(&site, &uri, "login").err().map(|failure| match failure {
                Failure::Refused { reason, .. } => reason.to_owned(),
                other => other.to_string(),
            }),
        };
        assert_eq!(reason.as_deref(), expected, "{location}");
    }

    #[test]
    fn a_public_registry_leads_to_public_hosts_over_https_only() {
        check("203.0.113.5", "https://203.0.113.9/token", None);
        check("203.0.113.5", "/token", None);
        check("203.0.113.5", "http://203.0.113.9/token", Some("over plain HTTP"));
        check(
            "203.0.113.5",
            "https://169.254.169.254/latest/",
            Some("at a link-local or unspecified address"),
        );
        check("203.0.113.5", "https://[fd00:ec2::254]/", Some("at a link-local or unspecified address"));
        check(
            "203.0.113.5",
            "https://[::ffff:169.254.169.254]/",
            Some("at a link-local or unspecified address"),
        );
        check("203.0.113.5", "https://10.0.0.1/", Some("on a private network"));
        check("203.0.113.5", "https://100.64.1.1/", Some("on a private network"));
        check("203.0.113.5", "https://127.0.0.1:2379/", Some("on a private network"));
        check("203.0.113.5", "https://localhost:2379/", Some("on a private network"));
        check("203.0.113.5", "https://[::1]/", Some("on a private network"));
    }

    #[test]
    fn a_private_registry_may_lead_to_private_hosts_but_not_to_metadata() {
        check("10.0.0.1", "https://10.0.0.2/token", None);
        check("10.0.0.1", "https://169.254.169.254/", Some("at a link-local or unspecified address"));
        check("10.0.0.1", "http://10.0.0.2/token", Some("over plain HTTP"));
        check("127.0.0.1:5000", "http://127.0.0.1:5001/token", None);
        check("127.0.0.1:5000", "http://127.0.0.2:5001/token", Some("over plain HTTP"));
    }

    #[test]
    fn other_schemes_and_user_information_are_no_targets() {
        for location in ["file:///etc/passwd", "ftp://x/", "https://a@b/", "//evil/x", "token", ""] {
            check("203.0.113.5", location, Some("not a URL"));
        }
    }

    #[test]
    fn docker_hub_is_asked_at_its_api() {
        assert_eq!(Site::new("docker.io", false).origin(), "https://registry-1.docker.io");
        let mirror = Site::new("mirror.corp:8443/hub", false);
        let nginx = Reference::parse("nginx").unwrap();
        assert_eq!(
            (mirror.origin(), mirror.repository(&nginx)),
            ("https://mirror.corp:8443".into(), "hub/library/nginx".into())
        );
    }
}
