//! A forge on loopback: `git http-backend` for pushes, and as much of a REST API as the published documentation says of
//! pull requests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use caseharden::forge::Kind;
use serde_json::{Value, json};

/// The password that git's helper has; also the token.
pub(crate) const SECRET: &str = "canary-7f3Kq9zL";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pull {
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) head: String,
    pub(crate) base: String,
    pub(crate) state: String,
    pub(crate) draft: bool,
    pub(crate) labels: Vec<String>,
    pub(crate) reviewers: Vec<String>,
}

#[derive(Default)]
struct State {
    pulls: Vec<Pull>,
    writes: usize,
    refuse: Option<u16>,
    is_locked: bool,
}

pub(crate) struct Double {
    kind: Kind,
    host: String,
    root: PathBuf,
    state: Arc<Mutex<State>>,
}

struct Asked {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

impl Double {
    pub(crate) fn start(kind: Kind, root: PathBuf) -> Double {
        std::fs::create_dir_all(root.join("acme")).unwrap();
        let root = root.canonicalize().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, folder) = (state.clone(), root.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, folder) = (shared.clone(), folder.clone());
                std::thread::spawn(move || serve(stream, kind, &state, &folder));
            }
        });
        Double { kind, host, root, state }
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.root.join("acme/shop.git")
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}/acme/shop.git", self.host)
    }

    pub(crate) fn api(&self) -> String {
        format!("http://{}{}", self.host, prefix(self.kind))
    }

    pub(crate) fn pulls(&self) -> Vec<Pull> {
        self.state.lock().unwrap().pulls.clone()
    }

    pub(crate) fn of(&self, branch: &str) -> Pull {
        self.pulls().into_iter().rev().find(|pull| pull.head == branch).unwrap()
    }

    pub(crate) fn writes(&self) -> usize {
        self.state.lock().unwrap().writes
    }

    /// Refuses the next request that writes, with leave to come again at once.
    pub(crate) fn refuse_next(&self, status: u16) {
        self.state.lock().unwrap().refuse = Some(status);
    }

    pub(crate) fn accept_nothing(&self) {
        self.state.lock().unwrap().is_locked = true;
    }

    fn change(&self, branch: &str, act: impl FnOnce(&mut Pull)) {
        let mut state = self.state.lock().unwrap();
        act(state.pulls.iter_mut().find(|pull| pull.head == branch).unwrap());
    }

    pub(crate) fn rename(&self, branch: &str, title: &str) {
        self.change(branch, |pull| pull.title = title.to_owned());
    }

    pub(crate) fn close(&self, branch: &str) {
        self.change(branch, |pull| pull.state = "closed".to_owned());
    }

    pub(crate) fn open_by_hand(&self, branch: &str) {
        let body = json!({"title": "mine", "head": branch, "base": "main", "body": "mine"});
        open(&mut self.state.lock().unwrap(), &body);
    }
}

fn prefix(kind: Kind) -> &'static str {
    match kind {
        Kind::Github => "/api/v3",
        Kind::Gitlab => "/api/v4",
        Kind::Gitea => "/api/v1",
        Kind::Bitbucket => "/2.0",
    }
}

fn serve(mut stream: TcpStream, kind: Kind, state: &Mutex<State>, root: &Path) -> Option<()> {
    let asked = read(&mut stream)?;
    let is_api = asked.path.starts_with(prefix(kind));
    let basic = format!("Basic {}", STANDARD.encode(format!("ann:{SECRET}")));
    let wanted = match kind {
        _ if !is_api => basic,
        Kind::Github | Kind::Gitlab => format!("Bearer {SECRET}"),
        Kind::Gitea => format!("token {SECRET}"),
        Kind::Bitbucket => basic,
    };
    if asked.header("authorization") != wanted || is_api && state.lock().ok()?.is_locked {
        return reply(&mut stream, 401, "www-authenticate: Basic realm=\"git\"\r\n", b"{\"message\":\"no\"}");
    }
    if !is_api {
        return backend(&mut stream, &asked, root);
    }
    let mut state = state.lock().ok()?;
    if asked.method != "GET" {
        if let Some(status) = state.refuse.take() {
            return reply(&mut stream, status, "retry-after: 0\r\n", b"{\"message\":\"slower\"}");
        }
        state.writes += 1;
    }
    let (status, value) = answer(kind, &mut state, &asked);
    reply(&mut stream, status, "content-type: application/json\r\n", value.to_string().as_bytes())
}

fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, address) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = address.split_once('?').unwrap_or((&address, ""));
    let mut asked =
        Asked { method, path: path.to_owned(), query: query.to_owned(), headers: vec![], body: vec![] };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((key, value)) = line.trim_end().split_once(':') else { break };
        asked.headers.push((key.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length: u64 = asked.header("content-length").parse().unwrap_or(0);
    reader.take(length).read_to_end(&mut asked.body).ok()?;
    Some(asked)
}

fn reply(stream: &mut TcpStream, status: u16, headers: &str, body: &[u8]) -> Option<()> {
    let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    stream.write_all(format!("{head}{headers}\r\n").as_bytes()).ok()?;
    stream.write_all(body).ok()
}

/// CGI, as git-http-backend(1) describes it.
fn backend(stream: &mut TcpStream, asked: &Asked, root: &Path) -> Option<()> {
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "ann")
        .env("REQUEST_METHOD", &asked.method)
        .env("PATH_INFO", &asked.path)
        .env("QUERY_STRING", &asked.query)
        .env("CONTENT_TYPE", asked.header("content-type"))
        .env("CONTENT_LENGTH", asked.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", asked.header("content-encoding"))
        .env("GIT_PROTOCOL", asked.header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take()?;
    let body = asked.body.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&body).ok());
    let output = child.wait_with_output().ok()?;
    writer.join().ok()?;
    let ends = output.stdout.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&output.stdout[..ends]).into_owned();
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")?.get(..3)?.parse().ok());
    let headers: String =
        head.lines().filter(|line| !line.starts_with("Status: ")).map(|line| format!("{line}\r\n")).collect();
    reply(stream, status.unwrap_or(200), &headers, &output.stdout[ends + 4..])
}

fn text(value: &Value, at: &str) -> String {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}

/// Opens one from fields of GitHub's names.
fn open(state: &mut State, body: &Value) -> Pull {
    let pull = Pull {
        number: state.pulls.len() as u64 + 1,
        title: text(body, "/title"),
        body: text(body, "/body"),
        head: text(body, "/head"),
        base: text(body, "/base"),
        state: "open".to_owned(),
        draft: body["draft"] == json!(true),
        labels: vec![],
        reviewers: vec![],
    };
    state.pulls.push(pull.clone());
    pull
}

fn answer(kind: Kind, state: &mut State, asked: &Asked) -> (u16, Value) {
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    let path = asked.path.strip_prefix(prefix(kind)).unwrap_or_default();
    if path == "/users" && kind == Kind::Gitlab {
        return (200, json!([{"id": 7, "username": "bob"}]));
    }
    if path == org(kind) {
        return (200, repos(kind, asked.header("host")));
    }
    let all = match kind {
        Kind::Github | Kind::Gitea => "/repos/acme/shop/pulls",
        Kind::Gitlab => "/projects/acme%2Fshop/merge_requests",
        Kind::Bitbucket => "/repositories/acme/shop/pullrequests",
    };
    if path == all {
        return match asked.method.as_str() {
            "GET" => (200, list(kind, state, &asked.query)),
            _ => create(kind, state, &body),
        };
    }
    let (one, rest) = match path.strip_prefix("/repos/acme/shop/issues/") {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None => {
            let rest = path.strip_prefix(all).unwrap_or_default().trim_start_matches('/');
            rest.split_once('/').unwrap_or((rest, ""))
        }
    };
    let Some(pull) = state.pulls.iter_mut().find(|pull| pull.number.to_string() == one) else {
        return (404, json!({"message": format!("no {path}")}));
    };
    match (asked.method.as_str(), rest) {
        ("POST", "labels") => pull.labels = strings(&body["labels"]),
        ("POST", "requested_reviewers") => pull.reviewers = strings(&body["reviewers"]),
        ("POST", "decline") => pull.state = "closed".to_owned(),
        ("PATCH" | "PUT", "") => update(kind, pull, &body),
        _ => return (404, json!({"message": format!("no {path}")})),
    }
    (200, shown(kind, pull))
}

/// Where the repos of `acme` are listed.
fn org(kind: Kind) -> &'static str {
    match kind {
        Kind::Github | Kind::Gitea => "/orgs/acme/repos",
        Kind::Gitlab => "/groups/acme/projects",
        Kind::Bitbucket => "/repositories/acme",
    }
}

/// The shop, and repos that nobody wants to have hardened.
fn repos(kind: Kind, host: &str) -> Value {
    let address = |name: &str| format!("http://{host}/acme/{name}.git");
    let repo = |name: &str, more: Value| {
        let mut repo = match kind {
            Kind::Github | Kind::Gitea => {
                json!({"clone_url": address(name), "ssh_url": "git@x:y", "size": 9})
            }
            Kind::Gitlab => json!({"http_url_to_repo": address(name), "ssh_url_to_repo": "git@x:y"}),
            Kind::Bitbucket => json!({"size": 9, "links": {"clone": [
                {"name": "https", "href": address(name)}, {"name": "ssh", "href": "git@x:y"},
            ]}}),
        };
        for (key, value) in more.as_object().into_iter().flatten() {
            repo[key] = value.clone();
        }
        repo
    };
    let unwanted = match kind {
        Kind::Github => vec![json!({"archived": true}), json!({"fork": true}), json!({"size": 0})],
        Kind::Gitea => vec![json!({"archived": true}), json!({"fork": true}), json!({"empty": true})],
        Kind::Gitlab => vec![json!({"forked_from_project": {"id": 1}}), json!({"empty_repo": true})],
        Kind::Bitbucket => vec![json!({"parent": {"name": "x"}})],
    };
    let mut all: Vec<Value> = unwanted.into_iter().map(|more| repo("unwanted", more)).collect();
    all.push(repo("shop", json!({})));
    match kind {
        Kind::Bitbucket => json!({"values": all}),
        _ => json!(all),
    }
}

fn update(kind: Kind, pull: &mut Pull, body: &Value) {
    let (text_at, base_at) = match kind {
        Kind::Github | Kind::Gitea => ("/body", "/base"),
        Kind::Gitlab => ("/description", "/target_branch"),
        Kind::Bitbucket => ("/description", "/destination/branch/name"),
    };
    let value = |at: &str| body.pointer(at).and_then(Value::as_str).map(str::to_owned);
    pull.body = value(text_at).unwrap_or(pull.body.clone());
    pull.base = value(base_at).unwrap_or(pull.base.clone());
    pull.title = value("/title").unwrap_or(pull.title.clone());
    if body["state"] == "closed" || body["state_event"] == "close" {
        pull.state = "closed".to_owned();
    }
    if let Some(labels) = body["add_labels"].as_str() {
        pull.labels = labels.split(',').map(str::to_owned).collect();
    }
    if body["reviewer_ids"] == json!([7]) || body.pointer("/reviewers/0/account_id") == Some(&json!("bob")) {
        pull.reviewers = vec!["bob".to_owned()];
    }
}

fn create(kind: Kind, state: &mut State, body: &Value) -> (u16, Value) {
    let title = text(body, "/title");
    let fields = match kind {
        Kind::Github => body.clone(),
        Kind::Gitea => {
            let mut body = body.clone();
            body["draft"] = json!(title.starts_with("WIP: "));
            body
        }
        Kind::Gitlab => json!({
            "title": title, "body": body["description"], "head": body["source_branch"],
            "base": body["target_branch"], "draft": title.starts_with("Draft: "),
        }),
        Kind::Bitbucket => json!({
            "title": title, "body": body["description"], "draft": body["draft"],
            "head": body.pointer("/source/branch/name"), "base": body.pointer("/destination/branch/name"),
        }),
    };
    let head = text(&fields, "/head");
    if state.pulls.iter().any(|pull| pull.head == head && pull.state == "open") {
        let status = if kind == Kind::Github { 422 } else { 409 };
        return (status, json!({"message": "it exists"}));
    }
    (201, shown(kind, &open(state, &fields)))
}

fn list(kind: Kind, state: &State, query: &str) -> Value {
    let decoded = query.replace("%2F", "/").replace("%3D", "=").replace("%22", "\"").replace("%3A", ":");
    let is_all = decoded.contains("state=all") || decoded.contains("MERGED");
    let wanted = |pull: &&Pull| {
        let of_branch = match kind {
            Kind::Github => {
                !decoded.contains("head=") || decoded.contains(&format!("head=acme:{}&", pull.head))
            }
            Kind::Gitlab => {
                !decoded.contains("source_branch=")
                    || decoded.contains(&format!("source_branch={}&", pull.head))
            }
            Kind::Gitea => true,
            Kind::Bitbucket => !decoded.contains("q=") || decoded.contains(&format!("\"{}\"", pull.head)),
        };
        of_branch && (is_all || pull.state == "open")
    };
    let pulls: Vec<Value> = state.pulls.iter().filter(wanted).map(|pull| shown(kind, pull)).collect();
    match kind {
        Kind::Bitbucket => json!({"values": pulls}),
        _ => json!(pulls),
    }
}

fn shown(kind: Kind, pull: &Pull) -> Value {
    let Pull { number, title, body, head, base, state, .. } = pull;
    let address = format!("http://forge.example/acme/shop/{number}");
    match kind {
        Kind::Github | Kind::Gitea => json!({
            "number": number, "title": title, "body": body, "state": state, "merged_at": null, "merged": false,
            "head": {"ref": head, "repo": {"full_name": "acme/shop"}}, "base": {"ref": base}, "html_url": address,
        }),
        Kind::Gitlab => json!({
            "iid": number, "title": title, "description": body, "source_branch": head, "target_branch": base,
            "state": if state == "open" { "opened" } else { state }, "web_url": address,
            "source_project_id": 1, "target_project_id": 1,
        }),
        Kind::Bitbucket => json!({
            "id": number, "title": title, "description": body,
            "state": if state == "open" { "OPEN" } else { "DECLINED" },
            "source": {"branch": {"name": head}, "repository": {"full_name": "acme/shop"}},
            "destination": {"branch": {"name": base}}, "links": {"html": {"href": address}},
        }),
    }
}
