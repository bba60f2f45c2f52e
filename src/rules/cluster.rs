//! Rules about how clusters are set up: the API server and what runs beside it, as far as files of the repo say it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Change, Finding, NewFile, Placed, RepoFindings, Rule, Safety, Settings, placement};
use crate::model::{Model, Object, ObjectId};
use crate::repo::{Content, LIMITS, folder};
use crate::yaml::Stream;
use plane::{Component, Dialect, Plane};

mod admission_plugin_missing;
mod anonymous_requests_allowed;
mod audit_log_kept_too_short;
mod audit_log_not_shipped;
mod audit_log_off;
mod audit_policy_too_thin;
mod authorization_always_allow;
mod component_reachable_from_outside;
mod encryption_at_rest_off;
mod encryption_key_in_repo;
mod insecure_port_open;
mod kubelet_not_hardened;
mod kubelet_open;
mod plane;
mod pod_security_defaults_missing;
mod profiling_exposed;
mod static_credentials_file;
mod tls_weak;

pub(super) const RULES: &[&Rule] = &[
    &anonymous_requests_allowed::RULE,
    &audit_log_off::RULE,
    &audit_log_kept_too_short::RULE,
    &audit_log_not_shipped::RULE,
    &audit_policy_too_thin::RULE,
    &encryption_at_rest_off::RULE,
    &encryption_key_in_repo::RULE,
    &static_credentials_file::RULE,
    &insecure_port_open::RULE,
    &authorization_always_allow::RULE,
    &admission_plugin_missing::RULE,
    &pod_security_defaults_missing::RULE,
    &profiling_exposed::RULE,
    &tls_weak::RULE,
    &component_reachable_from_outside::RULE,
    &kubelet_open::RULE,
    &kubelet_not_hardened::RULE,
];

/// How a rule of this area is asked.
type Ask = fn(&Context<'_>, &mut RepoFindings);

const ASKED: &[(&Rule, Ask)] = &[
    (&anonymous_requests_allowed::RULE, anonymous_requests_allowed::check),
    (&audit_log_off::RULE, audit_log_off::check),
    (&audit_log_kept_too_short::RULE, audit_log_kept_too_short::check),
    (&audit_log_not_shipped::RULE, audit_log_not_shipped::check),
    (&audit_policy_too_thin::RULE, audit_policy_too_thin::check),
    (&encryption_at_rest_off::RULE, encryption_at_rest_off::check),
    (&encryption_key_in_repo::RULE, encryption_key_in_repo::check),
    (&static_credentials_file::RULE, static_credentials_file::check),
    (&insecure_port_open::RULE, insecure_port_open::check),
    (&authorization_always_allow::RULE, authorization_always_allow::check),
    (&admission_plugin_missing::RULE, admission_plugin_missing::check),
    (&pod_security_defaults_missing::RULE, pod_security_defaults_missing::check),
    (&profiling_exposed::RULE, profiling_exposed::check),
    (&tls_weak::RULE, tls_weak::check),
    (&component_reachable_from_outside::RULE, component_reachable_from_outside::check),
    (&kubelet_open::RULE, kubelet_open::check),
    (&kubelet_not_hardened::RULE, kubelet_not_hardened::check),
];

/// What the rules of this area see.
struct Context<'a> {
    model: &'a Model<'a>,
    settings: &'a Settings<'a>,
    planes: Vec<Plane>,
    parts: Vec<Part>,
}

/// A configuration document that is no flag: of its own, or the text of a string.
struct Part {
    object: Object,
    inside: Option<String>,
    value: Value,
}

/// Kinds that are looked at, beside those that are planes.
const PARTS: [(&str, &str); 4] = [
    ("audit.k8s.io", "Policy"),
    ("apiserver.config.k8s.io", "EncryptionConfiguration"),
    ("apiserver.config.k8s.io", "AuthenticationConfiguration"),
    ("kubelet.config.k8s.io", "KubeletConfiguration"),
];

/// Groups whose objects are planes, or hold parts in strings.
const GROUPS: [&str; 4] = ["kubeadm.k8s.io", "kind.x-k8s.io", "kops.k8s.io", "eksctl.io"];

/// Asks the rules about cluster configuration.
pub(super) fn check_repo(
    model: &Model<'_>,
    settings: &Settings<'_>,
    selected: &dyn Fn(&Rule) -> bool,
    found: &mut RepoFindings,
) {
    if !RULES.iter().any(|rule| selected(rule)) {
        return;
    }
    let mut context = Context { model, settings, planes: Vec::new(), parts: Vec::new() };
    context.read();
    if context.planes.is_empty() && context.parts.is_empty() {
        return;
    }
    for (_, ask) in ASKED.iter().filter(|(rule, _)| selected(rule)) {
        ask(&context, found);
    }
}

impl Part {
    fn is(&self, kind: &str) -> bool {
        self.value["kind"].as_str() == Some(kind)
    }

    fn wrap(&self, change: Change) -> Change {
        match &self.inside {
            Some(text) => change.inside(text.clone()),
            None => change,
        }
    }

    fn pointer(&self, pointer: &str) -> String {
        self.inside.clone().unwrap_or_else(|| pointer.to_owned())
    }
}

impl Context<'_> {
    fn read(&mut self) {
        let config = self.settings.config;
        let is_static_pod = |object: &Object| {
            &*object.id.kind == "Pod" && {
                let name = &*object.id.name;
                name.starts_with("kube-") && !name.starts_with("kube-proxy")
            }
        };
        let is_part = |object: &Object| PARTS.contains(&(object.id.group(), &*object.id.kind));
        for object in self.model.objects() {
            let is_plane = GROUPS.contains(&object.id.group()) || is_static_pod(object);
            if !is_plane && !is_part(object) {
                continue;
            }
            let Some(value) = self.model.value(object) else { continue };
            self.planes.extend(plane::read(object, &value, config));
            self.parts.extend(parts(object, &value));
        }
        for (file, source) in self.model.repo().files.iter().enumerate() {
            if source.content != Content::ClusterConfig {
                continue;
            }
            let value = source.stream.root(0).and_then(|root| root.value().ok());
            let Some(value) = value else { continue };
            let id = ObjectId::named("", "ClusterConfig", &source.path);
            let object = Object { file, document: 0, pointer: "".into(), id, layout: None };
            self.planes.extend(plane::read(&object, &value, config));
            self.parts.extend(parts(&object, &value));
        }
    }

    /// Files the finding under its object. What must not be edited is only reported.
    fn place(&self, rule: &'static Rule, object: &Object, mut finding: Finding, found: &mut RepoFindings) {
        let file = self.model.file(object);
        if file.context_only {
            return;
        }
        finding.rule = rule;
        if let Some(marker) = file.marker
            && !finding.changes.is_empty()
        {
            finding.make_manual(format!("not edited: {}", marker.detail()));
        }
        let placed = Placed { object: object.clone(), finding, needs_file: None };
        found.place(placed);
    }

    /// A finding about a plane, with how its fix takes effect.
    fn place_on(&self, rule: &'static Rule, plane: &Plane, finding: Finding, found: &mut RepoFindings) {
        let finding = if finding.changes.is_empty() { finding } else { finding.note(plane.roll_out) };
        self.place(rule, &plane.object, finding, found);
    }

    /// Gives the API server of a plane a file, and the flag that names it.
    ///
    /// `finding` has the other changes that are needed. Without a way to do it, it is only reported.
    fn place_with_file(
        &self,
        rule: &'static Rule,
        plane: &Plane,
        mut finding: Finding,
        wanted: &WantedFile<'_>,
        found: &mut RepoFindings,
    ) {
        let file = self.model.file(&plane.object);
        let planned: BTreeMap<&str, &str> = found
            .new_files
            .iter()
            .flat_map(|placed| &placed.finding.new_files)
            .map(|file| (&*file.path, &*file.text))
            .collect();
        let home = folder(&file.path);
        let stem = file.path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or("cluster");
        let beside = if home.is_empty() { wanted.name.to_owned() } else { format!("{home}/{}", wanted.name) };
        let is_shared = planned.get(&*beside) == Some(&wanted.text);
        let is_taken = |path: &str| self.model.repo().file(path).is_some() || planned.contains_key(path);
        let path =
            if is_shared { Some(beside) } else { placement::free_path(wanted.name, home, stem, is_taken) };
        let delivery = path.as_ref().and_then(|path| plane.deliver(wanted.name, wanted.text, path));
        let change = |path: &str| match wanted.instead_of {
            Some(old) => plane.replace(Component::ApiServer, old, wanted.flag, path),
            None => plane.set(Component::ApiServer, wanted.flag, path).map(|change| vec![change]),
        };
        let (Some(path), Some(delivery)) = (path, delivery) else {
            finding.make_manual(format!("`caseharden generate apiserver` writes {}", wanted.name));
            return self.place(rule, &plane.object, finding, found);
        };
        let Some(changes) = change(&delivery.path) else {
            finding.make_manual(format!("`--{}={}` has no place here", wanted.flag, delivery.path));
            return self.place(rule, &plane.object, finding, found);
        };
        finding.changes.splice(0..0, changes);
        finding.changes.extend(delivery.changes);
        if !delivery.is_new_file {
            return self.place_on(rule, plane, finding, found);
        }
        let to = match plane.dialect {
            Dialect::Kind => None,
            _ => Some(format!(
                "copy {path} to {} on every control-plane node first: an API server that does not find it does not start",
                delivery.path
            )),
        };
        if let Some(to) = to {
            finding = finding.note(to);
        }
        if is_shared || file.marker.is_some() || file.context_only {
            return self.place_on(rule, plane, finding, found);
        }
        let fix = format!("{} {path}", rule.id);
        let message = format!("{} is not in the repo", wanted.name);
        let mut new = Finding::new("", message).safety(finding.safety).together(&fix);
        new.rule = rule;
        new.new_files.push(NewFile { path, text: wanted.text.to_owned() });
        found.new_files.push(Placed { object: plane.object.clone(), finding: new, needs_file: None });
        self.place_on(rule, plane, finding.together(&fix), found);
    }
}

/// A file that an API server is to read.
struct WantedFile<'a> {
    flag: &'a str,
    /// A flag that must not be there with it.
    instead_of: Option<&'a str>,
    name: &'a str,
    text: &'a str,
}

/// The parts of a document: itself, or texts that it carries.
fn parts(object: &Object, value: &Value) -> Vec<Part> {
    let group = |value: &Value| {
        let api_version = value["apiVersion"].as_str().unwrap_or_default();
        api_version.rsplit_once('/').map_or("", |(group, _)| group).to_owned()
    };
    let is_part =
        |value: &Value| PARTS.contains(&(&*group(value), value["kind"].as_str().unwrap_or_default()));
    let mut texts: Vec<String> = Vec::new();
    match &*group(value) {
        "kind.x-k8s.io" => {
            let nodes = value["nodes"].as_array().map_or(0, Vec::len);
            let of_nodes = (0..nodes).map(|idx| format!("/nodes/{idx}/kubeadmConfigPatches"));
            for list in std::iter::once("/kubeadmConfigPatches".to_owned()).chain(of_nodes) {
                let patches = value.pointer(&list).and_then(Value::as_array).map_or(0, Vec::len);
                texts.extend((0..patches).map(|idx| format!("{list}/{idx}")));
            }
        }
        "kops.k8s.io" => {
            let assets = value.pointer("/spec/fileAssets").and_then(Value::as_array).map_or(0, Vec::len);
            texts.extend((0..assets).map(|idx| format!("/spec/fileAssets/{idx}/content")));
        }
        _ if is_part(value) => {
            return vec![Part { object: object.clone(), inside: None, value: value.clone() }];
        }
        _ => {}
    }
    let inner = texts.into_iter().filter_map(|text| {
        let document = document(value.pointer(&text)?.as_str()?)?;
        let is_kubelet = document["kind"].as_str() == Some("KubeletConfiguration");
        (is_part(&document) || is_kubelet).then(|| Part {
            object: object.clone(),
            inside: Some(text),
            value: document,
        })
    });
    inner.collect()
}

/// The one YAML document of a string.
fn document(text: &str) -> Option<Value> {
    let stream = Stream::parse(text.to_owned(), &LIMITS).ok()?;
    if stream.documents() != 1 {
        return None;
    }
    stream.root(0)?.value().ok()
}

/// How messages name what is configured.
fn subject(plane: &Plane) -> String {
    let id = &plane.object.id;
    match plane.dialect {
        Dialect::K3s => "the k3s configuration".to_owned(),
        Dialect::Rke2 => "the RKE2 configuration".to_owned(),
        Dialect::Talos => "the Talos machine configuration".to_owned(),
        Dialect::Kind => "the kind cluster".to_owned(),
        Dialect::Kubeadm => format!("the kubeadm {}", id.kind),
        Dialect::Kops | Dialect::Eksctl => format!("{} {}", id.kind, id.name),
        Dialect::StaticPod => format!("Pod/{}", id.name),
    }
}

/// A finding about one flag with the change that sets it.
fn flag_finding(
    plane: &Plane,
    component: Component,
    name: &str,
    value: &str,
    message: String,
    safety: Safety,
) -> Finding {
    let finding = Finding::new(plane.pointer(component, name), message);
    match plane.set(component, name, value) {
        Some(change) => finding.change(change).safety(safety),
        None => finding.note(format!("set `--{name}={value}` for {}", component.binary())),
    }
}
