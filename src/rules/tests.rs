//! What holds for all rules, and a bench that asks them about one object.

mod fixes;
mod image;
mod random_pod;
mod standard;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Area, Check, Finding, Settings, Workload, all, check_workload};
use crate::config::{Config, Profile};
use crate::connections::Flows;
use crate::lock::Lock;
use crate::model::{Model, Object, ObjectId, layout};
use crate::pss::{Level, Version};
use crate::repo::{Content, File, Repo};
use crate::template::Templates;
use crate::yaml::{Limits, Stream};

/// A repo of one object, and what a user decided.
struct Bench {
    config: Config,
    templates: Templates,
    repo: Repo,
    lock: Lock,
    flows: Flows,
}

impl Bench {
    fn new(level: Level, version: Version) -> Bench {
        let config = Config { profile: Profile { level, version }, ..Config::default() };
        let stream = Stream::parse(String::new(), &Limits::default()).unwrap();
        let file = File {
            path: "object.yaml".to_owned(),
            stream,
            marker: None,
            context_only: false,
            content: Content::Objects,
        };
        let repo = Repo { files: vec![file], ..Repo::default() };
        Bench {
            config,
            templates: Templates::builtin(),
            repo,
            lock: Lock::default(),
            flows: Flows::default(),
        }
    }

    /// What all rules find in the object.
    fn findings(&self, value: &Value) -> Vec<Finding> {
        self.with_workload(value, |workload| check_workload(workload, &|_| true))
    }

    fn with_workload<T>(&self, value: &Value, ask: impl FnOnce(&Workload<'_>) -> T) -> T {
        let settings = Settings::new(&self.config, &self.templates, &self.lock, &self.flows).unwrap();
        let model = Model::new(&self.repo, &[]);
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        let id = ObjectId {
            api_version: text("/apiVersion").unwrap().into(),
            kind: text("/kind").unwrap().into(),
            namespace: text("/metadata/namespace").map(Into::into),
            name: text("/metadata/name").unwrap_or_default().into(),
        };
        let layout = layout(&id, &[]);
        let object = Object { file: 0, document: 0, pointer: "".into(), id, layout };
        let pods = crate::model::pods(object.layout.as_ref().expect("a kind with pods"), value);
        ask(&Workload {
            settings: &settings,
            model: &model,
            object: &object,
            pods,
            namespaces: Vec::new(),
            claim_templates: Vec::new(),
            patches: Vec::new(),
            names_apart: false,
        })
    }
}

/// The object with all changes made, one finding after the other.
fn fixed(object: &Value, findings: &[Finding]) -> Value {
    let mut fixed = object.clone();
    for change in findings.iter().flat_map(|finding| &finding.changes) {
        let operations = change.operations(&fixed, "");
        json_patch::patch(&mut fixed, &operations).unwrap();
    }
    fixed
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

/// The same pod template as different kinds keep it.
fn in_kind(kind: &str, annotations: &Value, spec: &Value) -> Value {
    let template = json!({"metadata": {"annotations": annotations}, "spec": spec});
    let (api_version, spec) = match kind {
        "Pod" => {
            let metadata = json!({"name": "shop", "annotations": annotations});
            return json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec});
        }
        "CronJob" => ("batch/v1", json!({"jobTemplate": {"spec": {"template": template}}})),
        _ => ("apps/v1", json!({"template": template})),
    };
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "shop"}, "spec": spec})
}

#[test]
fn rules_are_named_once_after_their_file() {
    let mut seen = BTreeSet::new();
    for rule in all() {
        assert!(seen.insert(rule.id), "two rules are called {}", rule.id);
        let is_kebab = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(rule.id.chars().all(is_kebab) && !rule.id.contains("--"), "{} is not kebab-case", rule.id);
        if rule.area != Area::Allow {
            let folder =
                std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules").join(rule.area.id());
            let file = folder.join(format!("{}.rs", rule.id.replace('-', "_")));
            assert!(file.is_file(), "{} is not in {}", rule.id, file.display());
        }
    }
}

#[test]
fn docs_say_everything() {
    for rule in all() {
        let summary = rule.docs.trim_start().lines().next().unwrap();
        assert!(summary.ends_with('.') && summary.contains(' '), "{}: {summary:?} is no sentence", rule.id);
        assert!(summary.trim_start().starts_with(|c: char| c.is_uppercase()), "{}: {summary:?}", rule.id);
        let headings: Vec<_> =
            rule.docs.lines().filter_map(|line| line.trim_start().strip_prefix("## ")).collect();
        assert_eq!(headings, ["Why", "Fix", "What could break", "Sources"], "{}", rule.id);
        for section in rule.docs.split("## ").skip(1) {
            let (_, text) = section.split_once('\n').unwrap();
            assert!(!text.trim().is_empty(), "{}: empty section in {section:?}", rule.id);
        }
    }
}

#[test]
fn rules_name_checks_that_exist_at_their_level() {
    for rule in all() {
        if let Some((level, check)) = rule.pss {
            let check = crate::pss::check(check).unwrap_or_else(|| panic!("{}: no check {check}", rule.id));
            assert_eq!(check.level, level, "{}", rule.id);
        }
    }
}

#[test]
fn every_check_has_its_rule() {
    let covered: BTreeSet<&str> =
        all().filter_map(|rule| rule.pss).map(|(_, check)| standard::family(check)).collect();
    for check in crate::pss::checks() {
        assert!(covered.contains(standard::family(check.id)), "no rule is about {}", check.id);
    }
}

#[test]
fn a_hardened_pod_has_no_finding() {
    let spec = yaml(
        r"
        automountServiceAccountToken: false
        securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
        containers:
        - name: web
          image: example.com/web:1@sha256:0000000000000000000000000000000000000000000000000000000000000000
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}
        ",
    );
    let bench = Bench::new(Level::Restricted, Version::Latest);
    for kind in ["Pod", "Deployment", "CronJob"] {
        let messages: Vec<_> = bench
            .findings(&in_kind(kind, &json!({}), &spec))
            .into_iter()
            .map(|finding| finding.message)
            .collect();
        assert_eq!(messages, Vec::<String>::new(), "{kind}");
    }
}

#[test]
fn rules_about_workloads_are_asked_by_area() {
    let areas: BTreeSet<_> =
        all().filter(|rule| matches!(rule.check, Check::Workload(_))).map(|rule| rule.area).collect();
    assert_eq!(areas, BTreeSet::from([Area::Pod, Area::Image, Area::Secret]));
}
