//! One question to a forge's API: its token, attempts, bounds.

use std::io::Read as _;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::{HeaderMap, Method, Request};

use super::place::Place;
use super::token::Token;
use crate::registry::{Limits, agent, retry_after};
use crate::render::escaped;

/// Bytes of an answer: a hundred pull requests with their bodies.
const LARGEST_ANSWER: u64 = 64 << 20;

/// What went wrong with a forge. Never holds a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Place(String),
    #[error("{host} does not accept the token ({status})")]
    Unauthorized { host: String, status: u16 },
    #[error("{host} limits the rate of requests{}", .wait.map_or_else(String::new, |wait| format!(" and asks to wait for {wait} s")))]
    RateLimited { host: String, wait: Option<u64> },
    /// What the forge said, cut short.
    #[error("{host} answers {status}: {said}")]
    Status { host: String, status: u16, said: String },
    #[error("{host} cannot be reached: {detail}")]
    Unreachable { host: String, detail: String },
    #[error("{host} sent what is no answer of its API")]
    Malformed { host: String },
}

impl Failure {
    /// What the user can do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Failure::Unauthorized { .. } => {
                Some("it must be allowed to write pull requests of this repository")
            }
            Failure::RateLimited { .. } => Some("run again later: what is done is not done twice"),
            _ => None,
        }
    }
}

pub(super) struct Http {
    agent: Agent,
    limits: Limits,
    place: Place,
    token: Token,
}

impl Http {
    pub(super) fn new(place: Place, token: Token) -> Http {
        let limits = Limits::default();
        Http { agent: agent(&limits, None), limits, place, token }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    fn host(&self) -> String {
        let rest = self.place.api.split_once("://").map_or(self.place.api.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest).to_owned()
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask(&Method::GET, path, None)
    }

    /// Asks until there is an answer or no more sense in asking. What may have been done is not asked for again.
    pub(super) fn ask(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let mut pause = self.limits.pause;
        for attempt in 1.. {
            let mut wait = None;
            let failure = match self.send(method, path, body, &mut wait) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let may_pass = match &failure {
                Failure::RateLimited { .. } => true,
                Failure::Unreachable { .. } => *method == Method::GET,
                Failure::Status { status, .. } => *method == Method::GET && matches!(status, 500 | 502..=504),
                _ => false,
            };
            let next = wait.unwrap_or(pause);
            if !may_pass || attempt >= self.limits.attempts || next > self.limits.longest_pause {
                return Err(failure);
            }
            std::thread::sleep(next);
            pause = (pause * 2).min(self.limits.longest_pause);
        }
        unreachable!("the last attempt returns")
    }

    fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        wait: &mut Option<Duration>,
    ) -> Result<Value, Failure> {
        let host = self.host();
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.place.api))
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .header("authorization", self.token.header(self.place.kind))
            .body(body.map(ToString::to_string).unwrap_or_default())
            .map_err(|_| Failure::Place("the address of the API is none".to_owned()))?;
        let broken =
            |error: ureq::Error| Failure::Unreachable { host: host.clone(), detail: kind_of(&error) };
        let mut response = self.agent.run(request).map_err(broken)?;
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        response
            .body_mut()
            .as_reader()
            .take(LARGEST_ANSWER)
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::Unreachable { host: host.clone(), detail: error.kind().to_string() })?;
        *wait = header(response.headers(), "retry-after").and_then(retry_after);
        let spent = header(response.headers(), "x-ratelimit-remaining") == Some("0");
        match status {
            200..=299 if bytes.is_empty() => Ok(Value::Null),
            200..=299 => serde_json::from_slice(&bytes).map_err(|_| Failure::Malformed { host }),
            429 => Err(Failure::RateLimited { host, wait: wait.map(|wait| wait.as_secs()) }),
            // GitHub's limits: https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
            403 if wait.is_some() || spent => {
                Err(Failure::RateLimited { host, wait: wait.map(|wait| wait.as_secs()) })
            }
            401 | 403 => Err(Failure::Unauthorized { host, status }),
            _ => Err(Failure::Status { host, status, said: self.said(&bytes) }),
        }
    }

    /// The forge's own words, short and harmless.
    fn said(&self, body: &[u8]) -> String {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let first = ["/message", "/error/message", "/error"].iter().find_map(|at| value.pointer(at));
        let mut text = match first {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => "no reason given".to_owned(),
        };
        if let Some(detail) = value.pointer("/errors/0/message").and_then(Value::as_str) {
            text = format!("{text}: {detail}");
        }
        let text: String = self.token.redact(&text).chars().take(200).collect();
        escaped(&text).into_owned()
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The kind of an error: its text may hold the address.
fn kind_of(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "no such host".to_owned(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::Io(error) => error.kind().to_string(),
        ureq::Error::Rustls(error) => error.to_string(),
        _ => "the answer is not proper HTTP".to_owned(),
    }
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("place", &self.place).finish_non_exhaustive()
    }
}
