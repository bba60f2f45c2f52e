//! One question to a registry: logins, redirects, attempts, bounds. Knows URLs and status codes, no manifests.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, Method, StatusCode, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::address::{Site, check_detour, is_loopback, target};
use super::challenge::{self, Challenge};
use super::credentials::{Credentials, Login};
use super::{Failure, Limits, Settings};

const MOST_REDIRECTS: usize = 5;

/// Bytes of what a token service answers.
const LARGEST_TOKEN: u64 = 1 << 20;

/// Slept by default; a test counts instead.
pub(super) type Pause = Box<dyn Fn(Duration) + Send + Sync>;

pub(super) struct Transport {
    agent: Agent,
    /// For hosts with an authority of their own.
    agents: HashMap<String, Agent>,
    credentials: Credentials,
    limits: Limits,
    hosts: Mutex<HashMap<String, Host>>,
    /// The `Authorization` value for a host and repository.
    authorizations: Mutex<HashMap<(String, String), String>>,
    pub(super) pause: Pause,
}

/// What was learned of a host.
#[derive(Default)]
struct Host {
    challenge: Option<Challenge>,
    /// Nobody asks before.
    not_before: Option<Instant>,
    /// It cannot be reached: the next image need not wait for the same end.
    dead: Option<Failure>,
}

/// A question.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) site: &'a Site,
    /// What a token has to be good for.
    pub(super) repository: String,
    pub(super) accept: &'static str,
    /// Most bytes of the answer.
    pub(super) limit: u64,
}

/// An answer with its whole body.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Without parameters such as a charset.
    pub(super) fn media_type(&self) -> Option<String> {
        let value = self.header("content-type")?;
        Some(value.split(';').next().unwrap_or(value).trim().to_owned())
    }
}

type Response = ureq::http::Response<Body>;

impl Transport {
    pub(super) fn new(settings: &Settings, credentials: Credentials) -> Result<Transport, Failure> {
        let limits = settings.limits.clone();
        let mut agents = HashMap::new();
        for (host, pem) in &settings.authorities {
            agents.insert(host.clone(), agent(&limits, Some(authorities(host, pem)?)));
        }
        Ok(Transport {
            agent: agent(&limits, None),
            agents,
            credentials,
            limits,
            hosts: Mutex::default(),
            authorizations: Mutex::default(),
            pause: Box::new(std::thread::sleep),
        })
    }

    /// Asks until there is an answer or no more sense in asking; a status that is no success is a failure.
    pub(super) fn ask(&self, ask: &Ask<'_>) -> Result<Answer, Failure> {
        self.attempt(ask, &|response| {
            let (parts, mut body) = response.into_parts();
            let mut bytes = Vec::new();
            let mut reader = body.as_reader().take(ask.limit + 1);
            reader.read_to_end(&mut bytes).map_err(|error| broken(ask.site, &error))?;
            if bytes.len() as u64 > ask.limit {
                return Err(Failure::TooLarge { what: "answer", limit: ask.limit });
            }
            Ok(Answer { status: parts.status, headers: parts.headers, body: bytes })
        })
    }

    /// Asks, and hands a successful response to `take` with its body unread. `take` may run several times.
    pub(super) fn attempt<T>(
        &self,
        ask: &Ask<'_>,
        take: &dyn Fn(Response) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut pause = self.limits.pause;
        for attempt in 1.. {
            if let Some(failure) = self.host(ask.site, |host| host.dead.clone()) {
                return Err(failure);
            }
            self.wait_for_host(ask.site);
            let mut asked_to_wait = None;
            let failure = match self.send(ask, &mut asked_to_wait).and_then(take) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let wait = asked_to_wait.unwrap_or(pause);
            if !failure.may_pass() || attempt >= self.limits.attempts || wait > self.limits.longest_pause {
                if failure.is_of_the_host() {
                    self.host(ask.site, |host| host.dead = Some(failure.clone()));
                }
                return Err(failure);
            }
            if asked_to_wait.is_some() {
                // What one question learned spares the others the same refusal.
                self.host(ask.site, |host| host.not_before = Some(Instant::now() + wait));
            }
            (self.pause)(wait);
            pause = (pause * 2).min(self.limits.longest_pause);
        }
        unreachable!("the last attempt returns")
    }

    fn wait_for_host(&self, site: &Site) {
        let until = self.host(site, |host| host.not_before);
        let left =
            until.map(|until| until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero());
        if let Some(left) = left {
            (self.pause)(left);
        }
    }

    /// One attempt: logs in when asked to, once.
    fn send(&self, ask: &Ask<'_>, wait: &mut Option<Duration>) -> Result<Response, Failure> {
        let known = self.authorization(ask)?;
        let response = self.follow(ask, known.as_deref())?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return self.judge(ask, response, wait);
        }
        let header =
            response.headers().get_all("www-authenticate").iter().filter_map(|value| value.to_str().ok());
        let header = header.collect::<Vec<_>>().join(", ");
        let Some(challenge) = challenge::read(&header) else { return Err(self.unauthorized(ask, false)) };
        self.host(ask.site, |host| host.challenge = Some(challenge.clone()));
        // Whatever was tried did not do: a token may have run out.
        lock(&self.authorizations).remove(&key(ask));
        let Some(authorization) = self.log_in(ask, &challenge)? else {
            return Err(self.unauthorized(ask, false));
        };
        if known.as_ref() == Some(&authorization) {
            return Err(self.unauthorized(ask, true));
        }
        let response = self.follow(ask, Some(&authorization))?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(self.unauthorized(ask, true));
        }
        lock(&self.authorizations).insert(key(ask), authorization);
        self.judge(ask, response, wait)
    }

    /// What the host is known to want, so that the refused first request is needed only once a host.
    fn authorization(&self, ask: &Ask<'_>) -> Result<Option<String>, Failure> {
        if let Some(known) = lock(&self.authorizations).get(&key(ask)) {
            return Ok(Some(known.clone()));
        }
        let Some(challenge) = self.host(ask.site, |host| host.challenge.clone()) else { return Ok(None) };
        let authorization = self.log_in(ask, &challenge)?;
        if let Some(authorization) = &authorization {
            lock(&self.authorizations).insert(key(ask), authorization.clone());
        }
        Ok(authorization)
    }

    fn log_in(&self, ask: &Ask<'_>, challenge: &Challenge) -> Result<Option<String>, Failure> {
        let login = self
            .credentials
            .login(&ask.site.name, &ask.repository)
            .map_err(|said| Failure::Unauthorized { registry: ask.site.name.clone(), looked_at: said })?;
        let is_exposed = ask.site.plain_http && !is_loopback(&ask.site.host);
        match challenge {
            Challenge::Basic if login.is_some() && is_exposed => {
                Err(Failure::PlainLogin { registry: ask.site.name.clone() })
            }
            Challenge::Basic => Ok(login.and_then(|login| login.basic())),
            Challenge::Bearer { realm, service } => {
                let base: Uri = ask.site.origin().parse().map_err(|_| Failure::Malformed { what: "host" })?;
                let realm = target(&base, realm).ok_or(Failure::Malformed { what: "login address" })?;
                check_detour(ask.site, &realm, "login")?;
                let realm_is_exposed =
                    realm.scheme_str() != Some("https") && !is_loopback(realm.host().unwrap_or_default());
                if login.is_some() && realm_is_exposed {
                    return Err(Failure::PlainLogin { registry: ask.site.name.clone() });
                }
                self.token(ask, &realm, service.as_deref(), login.as_ref())
                    .map(|token| Some(format!("Bearer {token}")))
            }
        }
    }

    /// Asks the token service: <https://distribution.github.io/distribution/spec/auth/token/> and
    /// `…/auth/oauth/` for identity tokens.
    fn token(
        &self,
        ask: &Ask<'_>,
        realm: &Uri,
        service: Option<&str>,
        login: Option<&Login>,
    ) -> Result<String, Failure> {
        let scope = format!("repository:{}:pull", ask.repository);
        let agent = self.agent_for(realm.authority().map_or("", |authority| authority.as_str()));
        let response = match login {
            Some(Login::Identity(token)) => {
                let mut form = vec![
                    ("grant_type", "refresh_token"),
                    ("refresh_token", token),
                    ("scope", &scope),
                    ("client_id", "caseharden"),
                ];
                form.extend(service.map(|service| ("service", service)));
                agent.post(realm.clone()).send_form(form)
            }
            login => {
                let mut request = agent.get(realm.clone()).query("scope", &scope);
                if let Some(service) = service {
                    request = request.query("service", service);
                }
                if let Some(basic) = login.and_then(Login::basic) {
                    request = request.header("authorization", basic);
                }
                request.call()
            }
        };
        let mut response = response.map_err(|error| failure(ask.site, error))?;
        match response.status().as_u16() {
            200 => {}
            429 => return Err(Failure::RateLimited { registry: ask.site.name.clone(), wait: None }),
            400..=499 => return Err(self.unauthorized(ask, login.is_some())),
            status => return Err(Failure::Status { registry: ask.site.name.clone(), status }),
        }
        let mut body = Vec::new();
        response
            .body_mut()
            .as_reader()
            .take(LARGEST_TOKEN)
            .read_to_end(&mut body)
            .map_err(|error| broken(ask.site, &error))?;
        let answer: serde_json::Value =
            serde_json::from_slice(&body).map_err(|_| Failure::Malformed { what: "token" })?;
        let token = ["token", "access_token"]
            .iter()
            .find_map(|key| answer[*key].as_str())
            .filter(|token| is_header_safe(token));
        token.map(str::to_owned).ok_or(Failure::Malformed { what: "token" })
    }

    /// Sends and follows redirects. No `Authorization` goes along a redirect, not even to the same host.
    fn follow(&self, ask: &Ask<'_>, authorization: Option<&str>) -> Result<Response, Failure> {
        let mut at: Uri = ask.url.parse().map_err(|_| Failure::Malformed { what: "address" })?;
        let mut authorization = authorization;
        for _ in 0..=MOST_REDIRECTS {
            let agent = self.agent_for(at.authority().map_or("", |authority| authority.as_str()));
            let mut request = match ask.method {
                Method::HEAD => agent.head(at.clone()),
                _ => agent.get(at.clone()),
            };
            request = request.header("accept", ask.accept);
            if let Some(authorization) = authorization.take() {
                request = request.header("authorization", authorization);
            }
            let response = request.call().map_err(|error| failure(ask.site, error))?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let location = response.headers().get("location").and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| target(&at, location));
            let next = next.ok_or(Failure::Malformed { what: "redirect" })?;
            check_detour(ask.site, &next, "content")?;
            at = next;
        }
        let detail = format!("more than {MOST_REDIRECTS} redirects");
        Err(Failure::Connection { registry: ask.site.name.clone(), detail })
    }

    fn judge(
        &self,
        ask: &Ask<'_>,
        response: Response,
        wait: &mut Option<Duration>,
    ) -> Result<Response, Failure> {
        let registry = || ask.site.name.clone();
        *wait = response.headers().get("retry-after").and_then(|value| retry_after(value.to_str().ok()?));
        match response.status().as_u16() {
            200 => Ok(response),
            401 => Err(self.unauthorized(ask, true)),
            403 => Err(Failure::Forbidden { registry: registry() }),
            404 => Err(Failure::NotFound { registry: registry() }),
            429 => Err(Failure::RateLimited { registry: registry(), wait: wait.map(|wait| wait.as_secs()) }),
            status => Err(Failure::Status { registry: registry(), status }),
        }
    }

    fn unauthorized(&self, ask: &Ask<'_>, tried: bool) -> Failure {
        let places = self.credentials.looked_at();
        let looked_at = if tried && self.has_login(ask) {
            format!("the login in {places} is not accepted")
        } else {
            format!("there is no login for it in {places}")
        };
        Failure::Unauthorized { registry: ask.site.name.clone(), looked_at }
    }

    fn has_login(&self, ask: &Ask<'_>) -> bool {
        matches!(self.credentials.login(&ask.site.name, &ask.repository), Ok(Some(_)))
    }

    fn agent_for(&self, authority: &str) -> &Agent {
        self.agents.get(authority).unwrap_or(&self.agent)
    }

    fn host<T>(&self, site: &Site, act: impl FnOnce(&mut Host) -> T) -> T {
        act(lock(&self.hosts).entry(site.host.clone()).or_default())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(ask: &Ask<'_>) -> (String, String) {
    (ask.site.host.clone(), ask.repository.clone())
}

pub(crate) fn agent(limits: &Limits, roots: Option<RootCerts>) -> Agent {
    let tls = match roots {
        Some(roots) => TlsConfig::builder().root_certs(roots).build(),
        None => TlsConfig::builder().build(),
    };
    Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        // Redirects are ours to judge.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("caseharden/", env!("CARGO_PKG_VERSION")))
        // Bodies are hashed as sent.
        .accept_encoding("identity")
        .timeout_resolve(Some(limits.connect))
        .timeout_connect(Some(limits.connect))
        .timeout_recv_response(Some(limits.answer))
        .timeout_per_read(Some(limits.silence))
        .max_response_header_size(64 * 1024)
        .max_idle_connections(64)
        .max_idle_connections_per_host(limits.width.max(1))
        .build()
        .new_agent()
}

fn authorities(host: &str, pem: &[u8]) -> Result<RootCerts, Failure> {
    let bad = |detail: &str| Failure::Authority { name: host.to_owned(), detail: detail.to_owned() };
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in ureq::tls::parse_pem(pem) {
        match item.map_err(|_| bad("its authority is not a PEM file"))? {
            PemItem::Certificate(certificate) => certificates.push(certificate),
            _ => return Err(bad("its authority file holds something else than certificates")),
        }
    }
    if certificates.is_empty() {
        return Err(bad("its authority file holds no certificate"));
    }
    Ok(RootCerts::from(certificates))
}

/// Seconds, or a date (RFC 9110 section 10.2.3).
pub(crate) fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let then = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let left = then.as_second() - jiff::Timestamp::now().as_second();
    Some(Duration::from_secs(u64::try_from(left).unwrap_or(0)))
}

fn is_header_safe(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An error of the client as a failure. Its text is shown only where it cannot hold a URL.
pub(super) fn failure(site: &Site, error: ureq::Error) -> Failure {
    let registry = site.name.clone();
    match error {
        ureq::Error::HostNotFound => Failure::Dns { registry },
        ureq::Error::Timeout(what) => Failure::Timeout { registry, while_doing: what.to_string() },
        ureq::Error::Rustls(error) => Failure::Tls { registry, detail: error.to_string() },
        ureq::Error::Tls(detail) => Failure::Tls { registry, detail: detail.to_owned() },
        ureq::Error::Io(error) => broken(site, &error),
        ureq::Error::Protocol(_) => {
            Failure::Connection { registry, detail: "the answer is not proper HTTP".to_owned() }
        }
        ureq::Error::LargeResponseHeader(..) => {
            Failure::TooLarge { what: "header of the answer", limit: 64 * 1024 }
        }
        ureq::Error::ConnectionFailed => {
            Failure::Connection { registry, detail: "cannot be reached".to_owned() }
        }
        ureq::Error::ConnectProxyFailed(_) => {
            Failure::Connection { registry, detail: "the proxy does not connect".to_owned() }
        }
        _ => Failure::Connection { registry, detail: "the request failed".to_owned() },
    }
}

/// An I/O error, which may carry one of the client's.
pub(super) fn broken(site: &Site, error: &io::Error) -> Failure {
    let registry = site.name.clone();
    match error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        Some(ureq::Error::Timeout(what)) => Failure::Timeout { registry, while_doing: what.to_string() },
        Some(_) => Failure::Connection { registry, detail: "the answer broke off".to_owned() },
        None if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
            Failure::Timeout { registry, while_doing: "receiving".to_owned() }
        }
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            Failure::Connection { registry, detail: "the answer broke off".to_owned() }
        }
        // rustls reports what it does not trust this way.
        None if error.get_ref().is_some_and(|inner| inner.to_string().contains("certificate")) => {
            Failure::Tls { registry, detail: error.to_string() }
        }
        None => Failure::Connection { registry, detail: error.kind().to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(retry_after("soon"), None);
    }

    #[test]
    fn a_token_cannot_add_a_header() {
        assert!(is_header_safe("eyJhbGciOi.J9-_"));
        assert!(!is_header_safe("a\r\nx-evil: 1"));
        assert!(!is_header_safe(""));
    }
}
