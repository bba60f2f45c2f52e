//! Pull requests, the same for every forge. What differs is in a file for each.

use serde_json::{Value, json};
use ureq::http::Method;

use super::http::{Failure, Http};
use super::marker::Marker;
use super::place::{Kind, Place};
use super::token::Token;
use super::{bitbucket, gitea, github, gitlab};

/// Pages of a list that are read at most.
const MOST_PAGES: usize = 40;

/// A project on a forge, with leave to write its pull requests.
#[derive(Debug)]
pub struct Forge {
    http: Http,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Open,
    Closed,
    Merged,
}

/// A pull request from a branch of the same project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    pub number: u64,
    pub state: State,
    pub branch: String,
    pub target: String,
    pub body: String,
    /// Where people see it.
    pub address: String,
    /// Of ours only.
    pub marker: Option<Marker>,
}

/// A pull request to be opened.
#[derive(Debug)]
pub struct WantedPull<'a> {
    pub branch: &'a str,
    pub target: &'a str,
    pub title: &'a str,
    pub body: &'a str,
    pub draft: bool,
}

/// A request of one forge's API.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Value,
}

impl Call {
    pub(super) fn new(method: Method, path: String, body: Value) -> Call {
        Call { method, path, body }
    }
}

impl Forge {
    pub fn new(place: Place, token: Token) -> Forge {
        Forge { http: Http::new(place, token) }
    }

    pub fn kind(&self) -> Kind {
        self.http.place().kind
    }

    fn project(&self) -> &str {
        &self.http.place().project
    }

    /// All open pull requests from branches of the project.
    ///
    /// # Errors
    /// What the API or the way to it refuses.
    pub fn open(&self) -> Result<Vec<Pull>, Failure> {
        self.list(None)
    }

    /// The pull requests that a branch ever had, newest first.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn of_branch(&self, branch: &str) -> Result<Vec<Pull>, Failure> {
        let mut pulls = self.list(Some(branch))?;
        pulls.retain(|pull| pull.branch == branch);
        pulls.sort_by_key(|pull| std::cmp::Reverse(pull.number));
        Ok(pulls)
    }

    fn list(&self, branch: Option<&str>) -> Result<Vec<Pull>, Failure> {
        let mut pulls = Vec::new();
        for page in 1..=MOST_PAGES {
            let (path, size) = match self.kind() {
                Kind::Github => github::list(self.project(), branch, page),
                Kind::Gitlab => gitlab::list(self.project(), branch, page),
                Kind::Gitea => gitea::list(self.project(), branch, page),
                Kind::Bitbucket => bitbucket::list(self.project(), branch, page),
            };
            let answer = self.http.get(&path)?;
            let listed = answer.get("values").unwrap_or(&answer);
            let listed = listed.as_array().ok_or_else(|| self.malformed())?;
            pulls.extend(listed.iter().filter_map(|value| self.read(value)));
            if listed.len() < size {
                break;
            }
        }
        Ok(pulls)
    }

    fn malformed(&self) -> Failure {
        Failure::Malformed { host: self.http.place().api.clone() }
    }

    fn read(&self, value: &Value) -> Option<Pull> {
        let pull = match self.kind() {
            Kind::Github => github::read(value, self.project()),
            Kind::Gitlab => gitlab::read(value),
            Kind::Gitea => gitea::read(value, self.project()),
            Kind::Bitbucket => bitbucket::read(value, self.project()),
        }?;
        Some(Pull { marker: Marker::find(&pull.body), ..pull })
    }

    fn call(&self, call: &Call) -> Result<Value, Failure> {
        self.http.ask(&call.method, &call.path, Some(&call.body))
    }

    /// Opens a pull request; one that somebody opened meanwhile is as good.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn create(&self, wanted: &WantedPull<'_>) -> Result<Pull, Failure> {
        let project = self.project();
        let call = match self.kind() {
            Kind::Github => github::create(project, wanted),
            Kind::Gitlab => gitlab::create(project, wanted),
            Kind::Gitea => gitea::create(project, wanted),
            Kind::Bitbucket => bitbucket::create(project, wanted),
        };
        match self.call(&call) {
            Ok(answer) => self.read(&answer).ok_or_else(|| self.malformed()),
            Err(failure @ Failure::Status { status: 409 | 422, .. }) => {
                let there = self.of_branch(wanted.branch)?;
                there.into_iter().find(|pull| pull.state == State::Open).ok_or(failure)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Gives a pull request another body and target. Its title is for people.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn update(&self, pull: &Pull, body: &str, target: &str) -> Result<(), Failure> {
        let project = self.project();
        let call = match self.kind() {
            Kind::Github => github::update(project, pull.number, body, target),
            Kind::Gitlab => gitlab::update(project, pull.number, body, target),
            Kind::Gitea => gitea::update(project, pull.number, body, target),
            Kind::Bitbucket => bitbucket::update(project, pull.number, body, target),
        };
        self.call(&call).map(drop)
    }

    /// Closes a pull request that has become empty, and says so in its body.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn close(&self, pull: &Pull, body: &str) -> Result<(), Failure> {
        self.update(pull, body, &pull.target)?;
        let project = self.project();
        let call = match self.kind() {
            Kind::Github => {
                Call::new(Method::PATCH, github::of(project, pull.number), json!({"state": "closed"}))
            }
            Kind::Gitlab => {
                Call::new(Method::PUT, gitlab::of(project, pull.number), json!({"state_event": "close"}))
            }
            Kind::Gitea => {
                Call::new(Method::PATCH, gitea::of(project, pull.number), json!({"state": "closed"}))
            }
            Kind::Bitbucket => {
                let path = format!("{}/decline", bitbucket::of(project, pull.number));
                Call::new(Method::POST, path, json!({}))
            }
        };
        self.call(&call).map(drop)
    }

    /// Adds labels and asks people to review, as far as the forge has either.
    ///
    /// # Errors
    /// As for [`Self::open`]; also a name that the forge does not know.
    pub fn adorn(&self, number: u64, labels: &[String], reviewers: &[String]) -> Result<(), Failure> {
        let project = self.project();
        let calls = match self.kind() {
            Kind::Github => github::adorn(project, number, labels, reviewers),
            Kind::Gitlab => {
                let mut ids = Vec::new();
                for name in reviewers {
                    let found = self.http.get(&gitlab::user(name))?;
                    let id = found.pointer("/0/id").and_then(Value::as_u64);
                    ids.push(id.ok_or_else(|| Failure::Place(format!("GitLab knows no user `{name}`")))?);
                }
                gitlab::adorn(project, number, labels, &ids)
            }
            Kind::Gitea => gitea::adorn(project, number, labels, reviewers),
            Kind::Bitbucket => bitbucket::adorn(project, number, reviewers),
        };
        calls.iter().try_for_each(|call| self.call(call).map(drop))
    }
}

/// A text in a path or a query.
pub(super) fn percent(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes()
        .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The string at a pointer; empty for none and for null.
pub(super) fn text(value: &Value, at: &str) -> String {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned()
}
