//! Which forge a remote's address leads to, and where its API is.

use ureq::http::Uri;

use super::http::Failure;
use crate::registry::is_loopback;

/// A forge, by the API that it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// GitHub, also in one's own house
    Github,
    /// GitLab, also in one's own house
    Gitlab,
    /// Gitea and Forgejo, as Codeberg
    Gitea,
    /// Bitbucket Cloud
    Bitbucket,
}

/// A project on a forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub kind: Kind,
    /// Without a slash at the end.
    pub api: String,
    /// `owner/name`, on GitLab with all its groups.
    pub project: String,
    /// `https` or `http`, and the host: what git's credentials are stored for.
    pub origin: (String, String),
}

impl Kind {
    /// Where a token is looked for, in this order.
    pub fn variables(self) -> &'static [&'static str] {
        match self {
            Kind::Github => &["GITHUB_TOKEN", "GH_TOKEN"],
            Kind::Gitlab => &["GITLAB_TOKEN"],
            Kind::Gitea => &["GITEA_TOKEN", "FORGEJO_TOKEN"],
            Kind::Bitbucket => &["BITBUCKET_TOKEN"],
        }
    }

    /// Bytes of a body that the forge takes for certain: GitHub's end is at 65,536 characters, the others' far beyond.
    pub fn longest_body(self) -> usize {
        match self {
            Kind::Github => crate::render::MAX_MARKDOWN,
            Kind::Gitlab | Kind::Gitea => 250_000,
            Kind::Bitbucket => 30_000,
        }
    }

    fn of_host(host: &str) -> Option<Kind> {
        match host {
            "github.com" => Some(Kind::Github),
            "gitlab.com" => Some(Kind::Gitlab),
            "gitea.com" | "codeberg.org" => Some(Kind::Gitea),
            "bitbucket.org" => Some(Kind::Bitbucket),
            _ => None,
        }
    }
}

impl Place {
    /// Reads a remote's address; `kind` and `api` are what the user says, for hosts that nobody knows.
    ///
    /// # Errors
    /// An address that is no forge's, and an API over plain HTTP on another machine.
    pub fn of(remote: &str, kind: Option<Kind>, api: Option<&str>) -> Result<Place, Failure> {
        let place = Place::of_org(remote, kind, api)?;
        if place.project.split('/').filter(|part| !part.is_empty()).count() < 2 {
            return Err(Failure::Place("the remote's address names no owner and repository".to_owned()));
        }
        Ok(place)
    }

    /// As [`Self::of`], for the address of an organisation.
    ///
    /// # Errors
    /// As for [`Self::of`].
    pub fn of_org(remote: &str, kind: Option<Kind>, api: Option<&str>) -> Result<Place, Failure> {
        let refuse = |why: &str| Failure::Place(why.to_owned());
        let (scheme, authority, path) =
            split(remote).ok_or_else(|| refuse("the remote is no address on a forge"))?;
        // A port of ssh says nothing of the API's.
        let host = if scheme == "ssh" { without_port(authority) } else { authority };
        let project = path.trim_matches('/').trim_end_matches(".git").to_owned();
        if project.is_empty() {
            return Err(refuse("the address names no owner"));
        }
        let kind = kind.or_else(|| Kind::of_host(host)).ok_or_else(|| {
            refuse("nobody knows which forge the remote is on: say it with `--forge github|gitlab|gitea|bitbucket`")
        })?;
        let scheme = if scheme == "http" { "http" } else { "https" };
        let own = |path: &str| format!("{scheme}://{host}{path}");
        let api = match (api, kind) {
            (Some(api), _) => api.trim_end_matches('/').to_owned(),
            (None, Kind::Github) if host == "github.com" => "https://api.github.com".to_owned(),
            (None, Kind::Github) => own("/api/v3"),
            (None, Kind::Gitlab) => own("/api/v4"),
            (None, Kind::Gitea) => own("/api/v1"),
            (None, Kind::Bitbucket) => "https://api.bitbucket.org/2.0".to_owned(),
        };
        let uri: Uri = api.parse().map_err(|_| refuse("the address of the API is none"))?;
        let at = uri.authority().map_or("", |authority| authority.as_str());
        let is_private =
            uri.scheme_str() == Some("https") || uri.scheme_str() == Some("http") && is_loopback(at);
        if !is_private || at.is_empty() || at.contains('@') {
            return Err(refuse("the API must be reached over https: a token is not sent otherwise"));
        }
        Ok(Place { kind, api, project, origin: (scheme.to_owned(), host.to_owned()) })
    }
}

/// Scheme, host with port, and path of `https://…`, `ssh://…` and `git@host:path`, without who logs in.
fn split(remote: &str) -> Option<(&str, &str, &str)> {
    if let Some((scheme, rest)) = remote.split_once("://") {
        let (authority, path) = rest.split_once('/')?;
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        return matches!(scheme, "https" | "http" | "ssh").then_some((scheme, authority, path));
    }
    let (authority, path) = remote.split_once(':')?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    // `C:\repo` and `/a/b:c` are paths.
    (host.len() > 1 && !host.contains(['/', '\\'])).then_some(("ssh", host, path))
}

fn without_port(host: &str) -> &str {
    host.split_once(':').map_or(host, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(remote: &str, kind: Option<Kind>, expected: Option<(&str, &str)>) {
        let place = Place::of(remote, kind, None).ok();
        let found = place.as_ref().map(|place| (place.api.as_str(), place.project.as_str()));
        assert_eq!(found, expected, "{remote}");
    }

    #[test]
    fn an_address_tells_the_api_and_the_project() {
        check("https://github.com/a/b.git", None, Some(("https://api.github.com", "a/b")));
        check("git@gitlab.com:g/sub/b.git", None, Some(("https://gitlab.com/api/v4", "g/sub/b")));
        check("ssh://git@codeberg.org:2222/a/b", None, Some(("https://codeberg.org/api/v1", "a/b")));
        check("https://x-token:s3@bitbucket.org/a/b", None, Some(("https://api.bitbucket.org/2.0", "a/b")));
        check("https://git.corp:8443/a/b", Some(Kind::Github), Some(("https://git.corp:8443/api/v3", "a/b")));
        check(
            "http://127.0.0.1:3000/a/b.git",
            Some(Kind::Gitea),
            Some(("http://127.0.0.1:3000/api/v1", "a/b")),
        );
    }

    #[test]
    fn what_is_no_forge_gets_no_token() {
        for remote in
            ["/srv/git/a.git", "https://git.corp/a/b", "C:\\a\\b", "file:///a/b", "https://github.com/a"]
        {
            check(remote, None, None);
        }
        check("http://git.corp/a/b", Some(Kind::Gitea), None);
        assert!(Place::of("git@github.com:a/b", None, Some("http://evil/")).is_err());
        assert!(Place::of("git@github.com:a/b", None, Some("https://a@evil/")).is_err());
    }
}
