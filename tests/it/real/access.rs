//! A real API server's answers about who may do what: ours are the same, for every account of a repo, before and after
//! its fixes; and no fix gives anybody anything, or takes away what it does not say.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use caseharden::config::{Config, KubernetesVersion};
use caseharden::model::Model;
use caseharden::rbac::recorded::{self, Entry};
use caseharden::rbac::{
    Access, Binding, Identity, Policy, Request, Resources, Role, RoleKey, Subject, Target,
};
use caseharden::repo::{self, Disk, Repo, Root};
use serde_json::{Value, json};

use super::{none_of, program};
use crate::corpus;
use crate::program::Folder;

/// One server at a time: two that look for free ports at once may find the same.
static ONE: Mutex<()> = Mutex::new(());

/// The API server, asked through its standard input; it ends with it.
pub(super) struct Server {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
}

impl Server {
    pub(super) fn start(program: &OsStr, version: Option<&str>) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(program);
        command.arg(folder.path()).args(version);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let (requests, answers) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Server { child, requests, answers, folder }
    }

    /// What the API server has logged of service accounts.
    pub(super) fn audit_log(&self) -> std::path::PathBuf {
        self.folder.path().join("audit.log")
    }

    #[track_caller]
    pub(super) fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.requests.as_ref().unwrap(), "{request}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        serde_json::from_str(&line).unwrap_or_else(|error| {
            let log = log();
            panic!("{error}: {line}: {}", log.lines().rev().take(5).collect::<Vec<_>>().join("\n"))
        })
    }
}

/// A server, and the turn that nobody else has until it has ended.
pub(super) fn alone(program: &OsStr) -> (Server, std::sync::MutexGuard<'static, ()>) {
    let turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    (Server::start(program, None), turn)
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.requests.take());
        self.child.wait().ok();
    }
}

/// One question, as the authorizer and as a SubjectAccessReview get it.
fn review(identity: &Identity, request: &Request) -> Value {
    let (user, groups, verb) = (&identity.user, &identity.groups, &request.verb);
    match &request.target {
        Target::Path(path) => json!({"user": user, "groups": groups, "verb": verb, "path": path}),
        Target::Resource { group, resource, subresource, namespace, name } => json!({
            "user": user, "groups": groups, "verb": verb, "group": group, "resource": resource,
            "subresource": subresource, "namespace": namespace, "name": name,
        }),
    }
}

fn read(root: &Path) -> Repo {
    let config = Config { include_generated: true, ..Config::default() };
    let root = Root::find(&[root.to_owned()]).unwrap();
    let disk = Disk::new(root.folder.clone());
    let listing = disk.list(&root.wanted);
    repo::read(&disk, listing, &config, &|| ())
}

const VERSION: KubernetesVersion = KubernetesVersion { minor: 37 };

/// What one state of a repo says about access.
pub(super) struct State {
    policy: Policy,
    subjects: BTreeSet<Subject>,
}

impl State {
    pub(super) fn of(root: &Path) -> State {
        let repo = read(root);
        let model = Model::new(&repo, &[]);
        let access = Access::new(&model, VERSION);
        let mut subjects = access.known_accounts();
        let bound =
            access.bindings.iter().flat_map(|binding| &binding.subjects).flat_map(|subject| &subject.is);
        subjects.extend(bound.map(|(_, subject)| subject.clone()));
        State { policy: access.policy(), subjects }
    }

    /// The objects of the repo as a cluster can have them all at once, and the same as a policy of ours.
    pub(super) fn cluster(&self) -> (Vec<Value>, Policy) {
        let built_in: BTreeSet<(Option<String>, String)> = recorded::Recorded::of(VERSION)
            .roles
            .into_iter()
            .map(|role| (role.key.namespace, role.key.name))
            .collect();
        let is_built_in = |key: &RoleKey| built_in.contains(&(key.namespace.clone(), key.name.clone()));
        let rename = |key: &RoleKey| match key.variant {
            0 => key.clone(),
            variant => RoleKey { name: format!("{}.{variant}", key.name), variant: 0, ..key.clone() },
        };
        let roles: Vec<Role> =
            self.policy.roles().map(|role| Role { key: rename(&role.key), ..role.clone() }).collect();
        let bindings: Vec<Binding> = self
            .policy
            .bindings()
            .iter()
            .enumerate()
            .map(|(idx, binding)| Binding {
                name: format!("b{idx}.{}", binding.name),
                role: rename(&binding.role),
                ..binding.clone()
            })
            .collect();
        let mut objects = Vec::new();
        for role in roles.iter().filter(|role| !is_built_in(&role.key)) {
            let kind = if role.key.namespace.is_some() { "Role" } else { "ClusterRole" };
            objects.push(json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
                "metadata": {"name": role.key.name, "namespace": role.key.namespace, "labels": role.labels},
                "rules": role.rules,
            }));
        }
        for binding in &bindings {
            let kind = if binding.namespace.is_some() { "RoleBinding" } else { "ClusterRoleBinding" };
            let role = if binding.role.namespace.is_some() { "Role" } else { "ClusterRole" };
            objects.push(json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
                "metadata": {"name": binding.name, "namespace": binding.namespace},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": binding.role.name},
                "subjects": binding.subjects.iter().map(subject).collect::<Vec<_>>(),
            }));
        }
        (objects, Policy::new(roles, bindings))
    }
}

fn subject(subject: &Subject) -> Value {
    const GROUP: &str = "rbac.authorization.k8s.io";
    match subject {
        Subject::ServiceAccount { namespace, name } => {
            json!({"kind": "ServiceAccount", "namespace": namespace, "name": name})
        }
        Subject::User(name) => json!({"kind": "User", "apiGroup": GROUP, "name": name}),
        Subject::Group(name) => json!({"kind": "Group", "apiGroup": GROUP, "name": name}),
    }
}

/// Everything the repo's own roles name, and what attackers want, with every verb and in every kind of place.
fn requests(states: [&State; 2]) -> Vec<Request> {
    let mut resources: BTreeSet<(String, String)> = [
        ("", "pods"),
        ("", "secrets"),
        ("", "pods/exec"),
        ("", "pods/log"),
        ("", "nodes"),
        ("", "nodes/proxy"),
        ("", "configmaps"),
        ("", "namespaces"),
        ("", "serviceaccounts/token"),
        ("apps", "deployments"),
        ("apps", "deployments/scale"),
        ("rbac.authorization.k8s.io", "clusterroles"),
        ("example.test", "things"),
    ]
    .map(|(group, name)| (group.to_owned(), name.to_owned()))
    .into();
    let mut verbs: BTreeSet<String> = [
        "get",
        "list",
        "watch",
        "create",
        "update",
        "patch",
        "delete",
        "deletecollection",
        "bind",
        "escalate",
    ]
    .map(str::to_owned)
    .into();
    let mut names = BTreeSet::from([String::new()]);
    let mut paths =
        BTreeSet::from(["/healthz".to_owned(), "/metrics".to_owned(), "/nowhere/else".to_owned()]);
    let mut namespaces = BTreeSet::from([String::new(), "nobody-names-this".to_owned()]);
    let theirs: BTreeSet<RoleKey> =
        recorded::Recorded::of(VERSION).roles.into_iter().map(|role| role.key).collect();
    for state in states {
        namespaces.extend(state.policy.bindings().iter().filter_map(|binding| binding.namespace.clone()));
        let own =
            state.policy.roles().filter(|role| !theirs.contains(&role.key) && role.aggregates.is_none());
        for rule in own.flat_map(|role| &role.rules) {
            verbs.extend(rule.verbs.iter().filter(|verb| *verb != "*").cloned());
            names.extend(rule.resource_names.iter().cloned());
            paths.extend(
                rule.non_resource_urls
                    .iter()
                    .map(|url| url.replace('*', "x"))
                    .filter(|url| url.starts_with('/')),
            );
            for group in rule.api_groups.iter().filter(|group| *group != "*") {
                let plain = rule.resources.iter().filter(|name| !name.contains('*'));
                resources.extend(plain.map(|name| (group.clone(), name.clone())));
            }
        }
    }
    let mut requests = Vec::new();
    for verb in &verbs {
        requests.extend(paths.iter().map(|path| Request::path(verb, path)));
        for (group, resource) in &resources {
            for namespace in &namespaces {
                for name in &names {
                    requests.push(Request::resource(verb, group, resource, namespace).named(name));
                }
            }
        }
    }
    requests
}

/// A part of all questions that is the same on every run, so that repos with many names take no longer than others.
fn sampled<T>(all: Vec<T>, most: usize) -> Vec<T> {
    let step = all.len().div_ceil(most).max(1);
    // A step that shares no factor with the lengths of the lists: no column is left out.
    let step = if step > 1 { step | 1 } else { 1 };
    all.into_iter().step_by(step).collect()
}

/// Of a repo: keeps the whole within a few minutes.
const MOST_QUESTIONS: usize = 2_500;

#[derive(Default)]
struct Tally {
    questions: usize,
    allowed: usize,
    subjects: usize,
    lost: usize,
    refused: usize,
    faults: Vec<String>,
}

#[test]
fn a_server_answers_as_we_do_before_and_after_and_nobody_gains() {
    let Some(oracle) = program("CASEHARDEN_RBAC_ORACLE") else { return };
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut server = Server::start(&oracle, None);
    let mut tally = Tally::default();
    for repo in corpus::repos().unwrap_or_default().into_iter().chain(own_cases()) {
        judge(&mut server, &repo, &mut tally);
    }
    eprintln!(
        "real: {} questions about {} subjects, {} allowed, {} lost by fixes, {} objects refused",
        tally.questions, tally.subjects, tally.allowed, tally.lost, tally.refused
    );
    assert!(tally.allowed > 0 && tally.lost > 0, "nothing was compared");
    none_of(&tally.faults);
}

/// The golden cases of the rules about access.
fn own_cases() -> Vec<std::path::PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let rules = caseharden::rules::all().filter(|rule| rule.area == caseharden::rules::Area::Rbac);
    let cases = rules.flat_map(|rule| std::fs::read_dir(golden.join(rule.id)).unwrap());
    let mut cases: Vec<_> = cases.map(|case| case.unwrap().path().join("before")).collect();
    cases.sort();
    cases
}

fn judge(server: &mut Server, repo: &Path, tally: &mut Tally) {
    let name = repo
        .strip_prefix(env!("CARGO_MANIFEST_DIR"))
        .map_or_else(|_| corpus::name(repo), |path| path.display().to_string());
    let (before, after) = (corpus::copy(repo), corpus::copy(repo));
    after.run(&["apply", "--quiet", "--select", "rbac"]);
    let notes = notes(&before);
    let states = [State::of(&before.path()), State::of(&after.path())];
    let subjects: Vec<&Subject> = states[0].subjects.union(&states[1].subjects).collect();
    let requests = requests([&states[0], &states[1]]);
    let all: Vec<(usize, usize)> =
        (0..subjects.len()).flat_map(|s| (0..requests.len()).map(move |r| (s, r))).collect();
    let asked = sampled(all, MOST_QUESTIONS);
    tally.subjects += subjects.len();
    let identities: Vec<Identity> = subjects.iter().map(|subject| subject.identity()).collect();
    let questions: Vec<Value> = asked.iter().map(|(s, r)| review(&identities[*s], &requests[*r])).collect();
    let mut answers: Vec<Vec<bool>> = Vec::new();
    for (when, state) in ["before", "after"].iter().zip(&states) {
        if *when == "after" && before.tree() == after.tree() {
            answers.push(answers[0].clone());
            continue;
        }
        let (objects, policy) = state.cluster();
        let refused = server.ask(&json!({"op": "apply", "objects": objects}));
        tally.refused += refused["refused"].as_array().unwrap().len();
        let skip: Vec<String> = refused["refused"]
            .as_array()
            .unwrap()
            .iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect();
        let policy = without_refused(&policy, &skip);
        let answer = server.ask(&json!({"op": "ask", "questions": questions}));
        let allowed: Vec<bool> =
            answer["allowed"].as_str().unwrap().bytes().map(|byte| byte == b'1').collect();
        server.ask(&json!({"op": "reset"}));
        let mut differ = 0;
        for ((s, r), theirs) in asked.iter().zip(&allowed) {
            let ours = policy.allows(&identities[*s], &requests[*r]);
            if ours != *theirs {
                differ += 1;
                if differ <= 3 {
                    tally.faults.push(format!(
                        "{name} {when}: {}: {:?}: the server says {theirs}",
                        subjects[*s], requests[*r]
                    ));
                }
            }
        }
        tally.questions += allowed.len();
        tally.allowed += allowed.iter().filter(|allowed| **allowed).count();
        answers.push(allowed);
    }
    compare(&name, &states, &subjects, &requests, &asked, &answers, &notes, tally);
}

/// Our policy without the objects that the server did not take.
fn without_refused(policy: &Policy, refused: &[String]) -> Policy {
    let is_refused = |kind: &str, namespace: &Option<String>, name: &str| {
        let head = format!("{kind} {}/{name}: ", namespace.as_deref().unwrap_or_default());
        refused.iter().any(|text| text.starts_with(&head) && !text.contains("already exists"))
    };
    let roles = policy.roles().filter(|role| {
        let kind = if role.key.namespace.is_some() { "Role" } else { "ClusterRole" };
        !is_refused(kind, &role.key.namespace, &role.key.name)
    });
    let bindings = policy.bindings().iter().filter(|binding| {
        let kind = if binding.namespace.is_some() { "RoleBinding" } else { "ClusterRoleBinding" };
        !is_refused(kind, &binding.namespace, &binding.name)
    });
    Policy::new(roles.cloned(), bindings.cloned())
}

/// What the reviewer is told that somebody loses.
fn notes(folder: &Folder) -> Vec<String> {
    let report = folder.run(&["check", "--format", "json", "--select", "rbac"]).json();
    let findings = report["findings"].as_array().unwrap().iter();
    let notes = findings.flat_map(|finding| finding["notes"].as_array().unwrap());
    notes
        .filter_map(|note| note.as_str())
        .filter(|note| note.contains(" can no longer: "))
        .map(str::to_owned)
        .collect()
}

#[expect(clippy::too_many_arguments, reason = "one comparison of everything that was asked")]
fn compare(
    name: &str,
    states: &[State; 2],
    subjects: &[&Subject],
    requests: &[Request],
    asked: &[(usize, usize)],
    answers: &[Vec<bool>],
    notes: &[String],
    tally: &mut Tally,
) {
    let mut faults: BTreeMap<String, String> = BTreeMap::new();
    for (at, (s, r)) in asked.iter().enumerate() {
        let (subject, request) = (subjects[*s], &requests[*r]);
        match (answers[0][at], answers[1][at]) {
            (false, true) if !takes_over(states, subject, request) => {
                faults.entry(format!("{subject} gains")).or_insert_with(|| format!("{request:?}"));
            }
            (true, false) => {
                tally.lost += 1;
                if is_served(request) && !notes.iter().any(|note| tells(note, subject, request)) {
                    faults.entry(format!("{subject} loses untold")).or_insert_with(|| format!("{request:?}"));
                }
            }
            _ => {}
        }
    }
    tally.faults.extend(faults.into_iter().map(|(what, request)| format!("{name}: {what} {request}")));
}

/// Whether there are such requests: nobody can list `pods/log`, so nobody loses that.
fn is_served(request: &Request) -> bool {
    static SERVED: std::sync::OnceLock<Resources> = std::sync::OnceLock::new();
    let served = SERVED.get_or_init(|| Resources::new(recorded::Recorded::of(VERSION).resources));
    let Target::Resource { group, resource, subresource, .. } = &request.target else { return true };
    let name = if subresource.is_empty() { resource.clone() } else { format!("{resource}/{subresource}") };
    let is_special = !caseharden::rbac::resources::VERBS.contains(&request.verb.as_str());
    served.get(group, &name).is_none_or(|known| is_special || known.verbs.contains(&request.verb))
}

/// An account that a fix made may do what the `default` account of its namespace could.
fn takes_over(states: &[State; 2], subject: &Subject, request: &Request) -> bool {
    let Subject::ServiceAccount { namespace, .. } = subject else { return false };
    let default = Subject::account(namespace, "default").identity();
    !states[0].subjects.contains(subject) && states[0].policy.allows(&default, request)
}

/// Whether a note says that the subject loses it.
fn tells(note: &str, subject: &Subject, request: &Request) -> bool {
    let (who, what) = note.split_once(" can no longer: ").unwrap();
    if !who.split(", ").any(|name| name == subject.to_string()) {
        return false;
    }
    if what.starts_with("anything") {
        return true;
    }
    let Some((verbs, rest)) = what.split_once(" on ") else { return false };
    let shown = match &request.target {
        Target::Path(path) => path.clone(),
        Target::Resource { group, resource, subresource, .. } => {
            let of = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
            if subresource.is_empty() { of } else { format!("{of}/{subresource}") }
        }
    };
    let resources = rest.split([' ', ',']).any(|word| word == shown);
    resources && verbs.split(", ").any(|verb| verb == request.verb || verb == "every other verb")
}

#[test]
fn the_record_is_what_servers_say() {
    let Some(oracle) = program("CASEHARDEN_RBAC_ORACLE") else { return };
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut merged: Vec<(String, Entry)> = Vec::new();
    for minor in 34..=37 {
        let mut server = Server::start(&oracle, Some(&format!("1.{minor}")));
        let record = server.ask(&json!({"op": "record"}));
        for fact in facts(&record) {
            let text = fact.to_string();
            match merged.iter_mut().find(|(known, entry)| *known == text && entry.to + 1 == minor) {
                Some((_, entry)) => entry.to = minor,
                None => {
                    let mut line = json!({"from": minor, "to": minor});
                    line.as_object_mut().unwrap().extend(fact.as_object().unwrap().clone());
                    merged.push((text, serde_json::from_value(line).unwrap()));
                }
            }
        }
    }
    let mut expected: Vec<String> =
        merged.iter().map(|(_, entry)| serde_json::to_string(entry).unwrap()).collect();
    let mut recorded: Vec<String> =
        recorded::entries().iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
    if std::env::var_os("UPDATE_RECORD").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rbac/recorded.jsonl");
        std::fs::write(path, expected.join("\n") + "\n").unwrap();
        return;
    }
    eprintln!("real: {} facts of 4 versions compared", expected.len());
    expected.sort();
    recorded.sort();
    let missing =
        expected.iter().filter(|line| !recorded.contains(line)).map(|line| format!("not recorded: {line}"));
    let surplus =
        recorded.iter().filter(|line| !expected.contains(line)).map(|line| format!("no server has: {line}"));
    none_of(&missing.chain(surplus).collect::<Vec<_>>());
}

/// The part of a server's state that is recorded.
fn facts(record: &Value) -> Vec<Value> {
    let list = |key: &str| record[key].as_array().into_iter().flatten();
    let mut facts = Vec::new();
    for role in list("clusterRoles").chain(list("roles")) {
        let mut fact = json!({"kind": "role", "name": role["metadata"]["name"]});
        let labels: serde_json::Map<String, Value> = role["metadata"]["labels"]
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| key.contains("/aggregate-to-"))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if let Some(namespace) = role["metadata"].get("namespace") {
            fact["namespace"] = namespace.clone();
        }
        if !labels.is_empty() {
            fact["labels"] = labels.into();
        }
        match role.get("aggregationRule") {
            Some(rule) => fact["aggregates"] = rule["clusterRoleSelectors"].clone(),
            None if role["rules"].is_array() => fact["rules"] = role["rules"].clone(),
            None => {}
        }
        facts.push(fact);
    }
    for binding in list("clusterRoleBindings").chain(list("roleBindings")) {
        let mut fact = json!({"kind": "binding", "name": binding["metadata"]["name"]});
        if let Some(namespace) = binding["metadata"].get("namespace") {
            fact["namespace"] = namespace.clone();
        }
        if binding["roleRef"]["kind"] == "Role" {
            fact["local"] = true.into();
        }
        fact["role"] = binding["roleRef"]["name"].clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let subjects = binding["subjects"].as_array().into_iter().flatten().map(|subject| {
            match subject["kind"].as_str() {
                Some("ServiceAccount") => {
                    format!("ServiceAccount/{}/{}", text(&subject["namespace"]), text(&subject["name"]))
                }
                _ => format!("{}/{}", text(&subject["kind"]), text(&subject["name"])),
            }
        });
        fact["subjects"] = subjects.collect::<Vec<_>>().into();
        facts.push(fact);
    }
    for resource in list("resources") {
        facts.push(json!({
            "kind": "resource", "group": resource["group"], "name": resource["name"],
            "namespaced": resource["namespaced"], "verbs": resource["verbs"],
        }));
    }
    facts
}
