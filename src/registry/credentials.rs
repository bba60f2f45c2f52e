//! Logins as docker, podman and skopeo keep them. Reads their files and runs their helpers; sends nothing.
//!
//! Formats: <https://docs.docker.com/reference/cli/docker/login/>,
//! <https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>,
//! <https://github.com/docker/docker-credential-helpers>. No secret has a `Debug` or `Display` form.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::image::DOCKER_HUB;

/// Larger than any file of logins: a bound on what is read.
const LARGEST_FILE: u64 = 1 << 20;

/// How Docker's own tools name Docker Hub in their files.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// The files of logins there are, in the order they are asked.
#[derive(Debug, Default)]
pub struct Credentials {
    files: Vec<File>,
    /// Where a file was looked for in vain.
    missing: Vec<PathBuf>,
    /// Files that could not be read, each with the reason.
    pub problems: Vec<String>,
    /// What helpers said: one may ask its user, or a cloud, and is run once for a server.
    helped: Mutex<BTreeMap<(String, String), Answer>>,
}

type Answer = Result<Option<Login>, String>;

/// What to log in with.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    Password {
        user: String,
        password: String,
    },
    /// A refresh token for the registry's token service.
    Identity(String),
}

/// Where files of logins are, as the environment says.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// `REGISTRY_AUTH_FILE`.
    pub auth_file: Option<PathBuf>,
    /// `DOCKER_CONFIG`, a folder.
    pub docker_config: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`, a folder.
    pub runtime: Option<PathBuf>,
    pub home: Option<PathBuf>,
}

struct File {
    path: PathBuf,
    content: Content,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Content {
    auths: BTreeMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

impl Places {
    pub fn of_environment() -> Places {
        let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Places {
            auth_file: path("REGISTRY_AUTH_FILE"),
            docker_config: path("DOCKER_CONFIG"),
            runtime: path("XDG_RUNTIME_DIR"),
            home: std::env::home_dir(),
        }
    }

    /// What was named on purpose comes first.
    fn files(&self) -> Vec<PathBuf> {
        let docker = self.docker_config.clone().or_else(|| Some(self.home.as_ref()?.join(".docker")));
        let runtime = self.runtime.as_ref().map(|folder| folder.join("containers/auth.json"));
        let own = self.home.as_ref().map(|home| home.join(".config/containers/auth.json"));
        let docker = docker.map(|folder| folder.join("config.json"));
        [self.auth_file.clone(), docker, runtime, own].into_iter().flatten().collect()
    }
}

impl Credentials {
    /// Reads the files of logins. One that cannot be read is in `problems`; the others count.
    pub fn load(places: &Places) -> Credentials {
        let mut credentials = Credentials::default();
        for path in places.files() {
            match read(&path) {
                Ok(Some(content)) => credentials.files.push(File { path, content }),
                Ok(None) => credentials.missing.push(path),
                Err(reason) => credentials.problems.push(format!("{}: {reason}", path.display())),
            }
        }
        credentials
    }

    /// The login for a repository of a registry, from the most specific entry of the first file that has one.
    ///
    /// # Errors
    /// What a credential helper said when it failed.
    pub fn login(&self, registry: &str, repository: &str) -> Result<Option<Login>, String> {
        for file in &self.files {
            if let Some(login) =
                file.content.login(registry, repository, &|name, server| self.helper(name, server))?
            {
                return Ok(Some(login));
            }
        }
        Ok(None)
    }

    fn helper(&self, name: &str, server: &str) -> Answer {
        let mut helped = self.helped.lock().unwrap_or_else(PoisonError::into_inner);
        helped.entry((name.to_owned(), server.to_owned())).or_insert_with(|| ask_helper(name, server)).clone()
    }

    /// Which files were looked at, for a message.
    pub fn looked_at(&self) -> String {
        let files: Vec<String> = self.files.iter().map(|file| file.path.display().to_string()).collect();
        if !files.is_empty() {
            return files.join(", ");
        }
        let missing: Vec<String> = self.missing.iter().map(|path| path.display().to_string()).collect();
        format!("no file of logins at {}", missing.join(", "))
    }
}

fn read(path: &Path) -> Result<Option<Content>, String> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error.to_string()),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    // The error of the decoder quotes what it found: that may be the secret.
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| format!("not a file of logins (line {})", error.line()))
}

impl Content {
    fn login(&self, registry: &str, repository: &str, ask: &dyn Fn(&str, &str) -> Answer) -> Answer {
        let names = names(registry, repository);
        if let Some((server, helper)) = find(&self.cred_helpers, &names) {
            return ask(helper, server);
        }
        if let Some(login) = find(&self.auths, &names).and_then(|(_, entry)| entry.login()) {
            return Ok(Some(login));
        }
        match &self.creds_store {
            Some(helper) => ask(helper, if registry == DOCKER_HUB { HUB_KEY } else { registry }),
            None => Ok(None),
        }
    }
}

/// Names that an entry can have, most specific first: podman's may have a path.
fn names(registry: &str, repository: &str) -> Vec<String> {
    let hosts: &[&str] = if registry == DOCKER_HUB {
        &["index.docker.io", "docker.io", "registry-1.docker.io"]
    } else {
        &[registry]
    };
    let mut names = Vec::new();
    for host in hosts {
        let mut path = repository;
        loop {
            names.push(format!("{host}/{path}"));
            match path.rsplit_once('/') {
                Some((parent, _)) => path = parent,
                None => break,
            }
        }
    }
    names.extend(hosts.iter().map(|host| (*host).to_owned()));
    names
}

/// The first of `names` that is a key, which may be written as a URL (`https://host/v1/`).
fn find<'a, T>(entries: &'a BTreeMap<String, T>, names: &[String]) -> Option<(&'a str, &'a T)> {
    let plain = |key: &'a str| {
        let key =
            key.strip_prefix("https://").or(key.strip_prefix("http://")).unwrap_or(key).trim_end_matches('/');
        key.strip_suffix("/v1").or(key.strip_suffix("/v2")).unwrap_or(key)
    };
    names.iter().find_map(|name| {
        entries.iter().find(|(key, _)| plain(key) == name).map(|(key, entry)| (key.as_str(), entry))
    })
}

impl Entry {
    fn login(&self) -> Option<Login> {
        if let Some(token) = self.identitytoken.clone().filter(|token| !token.is_empty()) {
            return Some(Login::Identity(token));
        }
        if let Some(auth) = self.auth.as_deref().filter(|auth| !auth.is_empty()) {
            let decoded = String::from_utf8(STANDARD.decode(auth.trim()).ok()?).ok()?;
            let (user, password) = decoded.split_once(':')?;
            // Old versions of docker padded with NUL.
            return Some(Login::password(user, password.trim_end_matches('\0')));
        }
        match (&self.username, &self.password) {
            (Some(user), Some(password)) => Some(Login::password(user, password)),
            _ => None,
        }
    }
}

impl Login {
    /// Helpers give an identity token this user name.
    fn password(user: &str, password: &str) -> Login {
        match user {
            "<token>" => Login::Identity(password.to_owned()),
            _ => Login::Password { user: user.to_owned(), password: password.to_owned() },
        }
    }

    /// The value of an `Authorization` header; an identity token has none.
    pub(super) fn basic(&self) -> Option<String> {
        match self {
            Login::Password { user, password } => {
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
            Login::Identity(_) => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

/// Runs `docker-credential-NAME get`. What it prints is never shown: it may hold the secret.
fn ask_helper(name: &str, server: &str) -> Result<Option<Login>, String> {
    let is_plain =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !is_plain {
        return Err("the name of a credential helper is no plain name".to_owned());
    }
    let program = format!("docker-credential-{name}");
    let failed = |error: io::Error| format!("`{program}`: {error}");
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read has its reasons; its exit code tells.
        stdin.write_all(server.as_bytes()).ok();
    }
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stdout);
        // The protocol's own word for "nothing stored".
        return if text.contains("credentials not found") {
            Ok(None)
        } else {
            Err(format!("`{program} get` failed"))
        };
    }
    let helped: Helped = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("`{program} get` did not answer with a login"))?;
    Ok(Some(Login::password(&helped.username, &helped.secret)))
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(…)")
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"auths": {
        "https://index.docker.io/v1/": {"auth": "aHViOnNlY3JldA=="},
        "quay.io": {"username": "q", "password": "any"},
        "quay.io/team": {"username": "q", "password": "team"},
        "reg:5000": {"identitytoken": "refresh"},
        "bad.io": {"auth": "%%%"},
        "empty.io": {}
    }, "somethingElse": 1}"#;

    #[track_caller]
    fn check(registry: &str, repository: &str, expected: Option<Login>) {
        let content: Content = serde_json::from_str(FILE).unwrap();
        assert!(
            content.login(registry, repository, &|_, _| Ok(None)).unwrap() == expected,
            "{registry}/{repository}"
        );
    }

    fn password(user: &str, password: &str) -> Option<Login> {
        Some(Login::Password { user: user.to_owned(), password: password.to_owned() })
    }

    #[test]
    fn finds_the_most_specific_entry_of_the_registry_only() {
        check("docker.io", "library/nginx", password("hub", "secret"));
        check("quay.io", "other/app", password("q", "any"));
        check("quay.io", "team/app", password("q", "team"));
        check("quay.io", "team2/app", password("q", "any"));
        check("reg:5000", "x", Some(Login::Identity("refresh".to_owned())));
        for registry in ["reg", "reg:5001", "evil-quay.io", "io", "bad.io", "empty.io"] {
            check(registry, "x", None);
        }
    }

    #[test]
    fn what_is_named_on_purpose_comes_first_and_nothing_shows_a_secret() {
        let home = tempfile::tempdir().unwrap();
        let auth_file = home.path().join("auth.json");
        std::fs::create_dir(home.path().join(".docker")).unwrap();
        std::fs::write(home.path().join(".docker/config.json"), FILE).unwrap();
        std::fs::write(&auth_file, r#"{"auths": {"quay.io": {"username": "me", "password": "mine"}}}"#)
            .unwrap();
        let places =
            Places { auth_file: Some(auth_file), home: Some(home.path().to_owned()), ..Places::default() };
        let credentials = Credentials::load(&places);
        assert!(credentials.login("quay.io", "x").unwrap() == password("me", "mine"));
        assert!(credentials.login("docker.io", "library/nginx").unwrap() == password("hub", "secret"));
        let shown = format!("{credentials:?} {:?}", credentials.login("quay.io", "x"));
        assert!(!shown.contains("mine") && !shown.contains("secret") && !shown.contains("aHVi"), "{shown}");
    }

    #[cfg(unix)]
    #[test]
    fn helpers_are_for_their_registry_and_the_store_for_the_rest() {
        let content: Content = serde_json::from_str(
            r#"{"credsStore": "store", "credHelpers": {"ecr.aws": "ecr"}, "auths": {"quay.io": {}}}"#,
        )
        .unwrap();
        let asked = |registry: &str| {
            let login = content.login(registry, "x", &|name, server| Err(format!("{name} {server}")));
            login.err().unwrap()
        };
        assert_eq!(asked("ecr.aws"), "ecr ecr.aws");
        assert_eq!(asked("quay.io"), "store quay.io");
        assert_eq!(asked("docker.io"), "store https://index.docker.io/v1/");
        assert_eq!(
            ask_helper("../../evil", "x").unwrap_err(),
            "the name of a credential helper is no plain name"
        );
        assert!(
            ask_helper("caseharden-has-none", "x")
                .unwrap_err()
                .starts_with("`docker-credential-caseharden-has-none`: ")
        );
    }

    #[test]
    fn a_broken_file_is_named_and_its_text_is_not_shown() {
        let home = tempfile::tempdir().unwrap();
        let auth_file = home.path().join("auth.json");
        std::fs::write(&auth_file, r#"{"auths": {"quay.io": {"auth": 12345678}}}"#).unwrap();
        let places = Places { auth_file: Some(auth_file.clone()), ..Places::default() };
        let credentials = Credentials::load(&places);
        assert_eq!(credentials.problems, [format!("{}: not a file of logins (line 1)", auth_file.display())]);
    }
}
