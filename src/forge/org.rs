//! The repos of an organisation, by each forge's API. Knows addresses; fetches no repo.

use serde_json::Value;

use super::api::{percent, text};
use super::http::{Failure, Http};
use super::place::{Kind, Place};
use super::token::Token;

/// Pages of a list that are read at most.
const MOST_PAGES: usize = 1000;

/// An organisation, a group or a workspace on a forge.
#[derive(Debug)]
pub struct Organisation {
    http: Http,
}

impl Organisation {
    /// `place.project` is the organisation's own path.
    pub fn new(place: Place, token: Token) -> Organisation {
        Organisation { http: Http::new(place, token) }
    }

    /// What each repo is cloned from, ordered: over ssh where the organisation was named so. Archived and empty ones are
    /// left out, and forks unless they are asked for.
    ///
    /// # Errors
    /// What the API or the way to it refuses.
    pub fn repos(&self, forks: bool) -> Result<Vec<String>, Failure> {
        let mut found = Vec::new();
        // GitHub keeps a user's repos elsewhere.
        let mut of_user = false;
        let mut page = 1;
        while page <= MOST_PAGES {
            let (path, size) = self.list(of_user, page);
            let answer = match self.http.get(&path) {
                Err(Failure::Status { status: 404, .. }) if !of_user && page == 1 && self.has_users() => {
                    of_user = true;
                    continue;
                }
                answer => answer?,
            };
            let listed = answer.get("values").unwrap_or(&answer);
            let Some(listed) = listed.as_array() else {
                return Err(Failure::Malformed { host: self.http.place().api.clone() });
            };
            found.extend(listed.iter().filter_map(|repo| self.address(repo, forks)));
            if listed.len() < size {
                break;
            }
            page += 1;
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    fn has_users(&self) -> bool {
        matches!(self.http.place().kind, Kind::Github | Kind::Gitea)
    }

    /// GitHub: <https://docs.github.com/rest/repos/repos#list-organization-repositories>; GitLab:
    /// <https://docs.gitlab.com/api/groups/#list-projects>; Gitea: <https://docs.gitea.com/api/> (organization); Bitbucket:
    /// <https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/>.
    fn list(&self, of_user: bool, page: usize) -> (String, usize) {
        let place = self.http.place();
        let name = percent(&place.project);
        let owners = if of_user { "users" } else { "orgs" };
        match place.kind {
            Kind::Github => (format!("/{owners}/{name}/repos?per_page=100&page={page}"), 100),
            Kind::Gitlab => (
                format!(
                    "/groups/{name}/projects?include_subgroups=true&archived=false&per_page=100&page={page}"
                ),
                100,
            ),
            Kind::Gitea => (format!("/{owners}/{name}/repos?limit=30&page={page}"), 30),
            Kind::Bitbucket => (format!("/repositories/{name}?pagelen=50&page={page}"), 50),
        }
    }

    fn address(&self, repo: &Value, forks: bool) -> Option<String> {
        let place = self.http.place();
        let is_true = |key: &str| repo[key] == Value::Bool(true);
        let is_fork =
            is_true("fork") || repo["forked_from_project"].is_object() || repo["parent"].is_object();
        let is_empty = is_true("empty") || is_true("empty_repo") || repo["size"] == 0;
        if is_true("archived") || is_true("disabled") || is_empty || is_fork && !forks {
            return None;
        }
        let by_ssh = place.origin.0 == "ssh";
        let address = match (place.kind, by_ssh) {
            (Kind::Gitlab, true) => text(repo, "/ssh_url_to_repo"),
            (Kind::Gitlab, false) => text(repo, "/http_url_to_repo"),
            (Kind::Bitbucket, _) => {
                let wanted = if by_ssh { "ssh" } else { "https" };
                let links = repo.pointer("/links/clone").and_then(Value::as_array)?;
                links.iter().find(|link| link["name"] == wanted).map(|link| text(link, "/href"))?
            }
            (_, true) => text(repo, "/ssh_url"),
            (_, false) => text(repo, "/clone_url"),
        };
        (!address.is_empty()).then_some(address)
    }
}
