//! Inputs of every kind, for trying out templates before they are needed.

use serde_json::json;

use super::{
    AdmissionLabels, Attestor, ExceptedWorkload, ExceptionRecord, InNamespace, PolicyKind, ProbeRow,
    Standard, WantedAdmission, WantedAttestor, WantedPeer, WantedPolicy, WantedPort, WantedProbe, WantedRule,
    WantedSignatures, WantedValidation, WritableDirectory,
};
use crate::admission::{Scope, Variable};
use crate::config::{Distribution, ExternalStore, KubernetesVersion, Profile, Provider, StoreKind, Vault};
use crate::connections::Protocol;
use crate::pss::{Level, Version};

pub(super) const DIRECTORIES: [WritableDirectory<'static>; 2] = [
    WritableDirectory { name: "sample", path: "/tmp", size_limit: None },
    WritableDirectory { name: "sample", path: "/var/with: colon", size_limit: Some("64Mi") },
];

pub(super) fn standards() -> impl Iterator<Item = Standard> {
    let target_version = KubernetesVersion { minor: 37 };
    let levels = [Level::Privileged, Level::Baseline, Level::Restricted];
    let versions = [Version::Latest, Version::Minor(u32::from(target_version.minor))];
    let pairs = levels.into_iter().flat_map(move |level| versions.map(|version| (level, version)));
    pairs.map(move |(level, version)| Standard {
        level,
        version,
        target_version,
        distribution: Distribution::Generic,
    })
}

/// A store and what is behind it, with everything or with the least.
pub(super) fn secret_store(provider: Provider, everything: bool) -> (Vault, ExternalStore) {
    let given = |text: &str| Some(text.to_owned());
    let optional = |text: &str| everything.then(|| text.to_owned());
    let vault = Vault {
        provider,
        region: given("eu-central-1"),
        project: given("sample"),
        url: given("https://vault.example:8200"),
        mount: "secret".to_owned(),
        role: optional("arn:aws:iam::000000000000:role/sample"),
        tenant: optional("00000000-0000-0000-0000-000000000000"),
    };
    let kind = if everything { StoreKind::SecretStore } else { StoreKind::ClusterSecretStore };
    let store = ExternalStore { name: "sample".to_owned(), kind, vault: Some(vault.clone()), path: None };
    (vault, store)
}

pub(super) fn labels() -> [AdmissionLabels; 2] {
    let profile = Some(Profile { level: Level::Baseline, version: Version::Latest });
    [AdmissionLabels::default(), AdmissionLabels { enforce: profile, warn: profile, audit: profile }]
}

/// One with everything and text that needs quotes, one with the least.
pub(super) fn exceptions() -> [ExceptionRecord; 2] {
    let workload = |namespace: Option<&str>| ExceptedWorkload {
        api_version: "apps/v1".to_owned(),
        kind: "DaemonSet".to_owned(),
        namespace: namespace.map(str::to_owned),
        name: "sample".to_owned(),
    };
    let fields = json!({"spec.hostNetwork": true, "spec.volumes[0]": {"hostPath": {"path": "/"}}});
    [
        ExceptionRecord {
            workload: workload(Some("kube-system")),
            path: Some("a: b/c.yaml".to_owned()),
            checks: vec!["hostNamespaces".to_owned(), "hostPathVolumes".to_owned()],
            fields: fields.as_object().cloned().unwrap_or_default(),
            reason: "needs: the \"host\" # network".to_owned(),
        },
        ExceptionRecord {
            workload: workload(None),
            path: None,
            checks: vec!["privileged".to_owned()],
            fields: serde_json::Map::new(),
            reason: "sample".to_owned(),
        },
    ]
}

/// A policy that denies everything, and one with every kind of peer and port, in both directions.
pub(super) fn policies() -> [WantedPolicy; 2] {
    let labels = |labels: &[(&str, &str)]| {
        labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let pods = |namespace, pairs: &[(&str, &str)], foreign| WantedPeer::Pods {
        namespace,
        labels: labels(pairs),
        foreign,
    };
    let other = || InNamespace::Named("other".to_owned());
    let app = [("app.kubernetes.io/name", "yes")];
    let peers = vec![
        pods(InNamespace::Own, &[], false),
        pods(InNamespace::Own, &app, false),
        pods(InNamespace::Own, &app, true),
        pods(other(), &[], true),
        pods(other(), &app, false),
        pods(other(), &app, true),
        pods(InNamespace::Any, &app, true),
        WantedPeer::Block { cidr: "10.0.0.0/8".to_owned(), except: Vec::new() },
        WantedPeer::Block { cidr: "::/0".to_owned(), except: vec!["fc00::/7".to_owned()] },
    ];
    let port = |name: Option<&str>, number, end| WantedPort {
        name: name.map(str::to_owned),
        number,
        end,
        protocol: Protocol::Udp,
    };
    let ports = vec![port(None, 53, None), port(Some("dns"), 0, None), port(None, 80, Some(90))];
    let comments = vec!["env X says: \"a # b\"\n{".to_owned()];
    let rules = vec![
        WantedRule { comments: comments.clone(), peers: peers.clone(), ports: ports.clone() },
        WantedRule { comments: Vec::new(), peers, ports: Vec::new() },
        WantedRule { comments: Vec::new(), peers: Vec::new(), ports },
        WantedRule { comments, ..WantedRule::default() },
    ];
    let deny = WantedPolicy {
        kind: PolicyKind::DefaultDeny,
        name: "sample".to_owned(),
        namespace: Some("sample".to_owned()),
        comments: Vec::new(),
        selector: labels(&[]),
        foreign: false,
        ingress: Some(Vec::new()),
        egress: Some(Vec::new()),
    };
    let full = WantedPolicy {
        kind: PolicyKind::Workload,
        name: "no".to_owned(),
        namespace: None,
        comments: vec!["why: \"so\"".to_owned()],
        selector: labels(&app),
        foreign: false,
        ingress: Some(rules.clone()),
        egress: Some(rules),
    };
    [deny, full]
}

pub(super) fn probe() -> WantedProbe {
    WantedProbe {
        name: "sample".to_owned(),
        namespace: Some("yes".to_owned()),
        labels: [("app".to_owned(), "no".to_owned())].into(),
        image: "example.org/probe:1".to_owned(),
        rows: vec![
            ProbeRow { host: "web.shop.svc".to_owned(), port: 80, should_work: true },
            ProbeRow { host: "db".to_owned(), port: 5432, should_work: false },
        ],
    }
}

/// One for some namespaces with everything, one for all but some with the least.
pub(super) fn admission() -> [WantedAdmission; 2] {
    let validation = |notes: &[&str], expression: &str| WantedValidation {
        notes: notes.iter().map(|note| (*note).to_owned()).collect(),
        expression: expression.to_owned(),
        message: "say: \"so\" # always".to_owned(),
    };
    let one = WantedAdmission {
        name: "caseharden-sample".to_owned(),
        purpose: "sample: \"of\"\npolicies".to_owned(),
        notes: vec!["why: {".to_owned()],
        variables: vec![
            Variable { name: "spec", expression: "object.kind == 'Pod' ?\n  object.spec : {}" },
            Variable { name: "no", expression: "no" },
        ],
        validations: vec![
            validation(&["except: x"], "has(variables.spec.x) &&\n  true"),
            validation(&[], "true"),
        ],
        scope: Scope { namespaces: vec!["yes".to_owned(), "b".to_owned()], all_but: None },
        enforce: true,
    };
    let least = WantedAdmission {
        variables: Vec::new(),
        validations: vec![validation(&[], "true")],
        notes: Vec::new(),
        scope: Scope { namespaces: Vec::new(), all_but: Some(vec!["kube-system".to_owned()]) },
        enforce: false,
        ..one.clone()
    };
    [one, least]
}

pub(super) fn signatures() -> [WantedSignatures; 2] {
    let keyless = |pattern: Option<&str>| Attestor::Keyless {
        issuer: "https://issuer.example.com".to_owned(),
        subject: "somebody: # else".to_owned(),
        pattern: pattern.map(str::to_owned),
    };
    let named = |name: &str, by| WantedAttestor { name: name.to_owned(), by };
    let key = Attestor::Key("-----BEGIN PUBLIC KEY-----\nMFk=\n-----END PUBLIC KEY-----".to_owned());
    let full = WantedSignatures {
        name: "caseharden-sample".to_owned(),
        purpose: "sample".to_owned(),
        notes: vec!["why".to_owned()],
        globs: vec!["registry.example.com/*".to_owned(), "*".to_owned()],
        attestors: vec![named("a", key), named("b", keyless(None)), named("c", keyless(Some("^x[.].*$")))],
        scope: Scope { namespaces: vec!["shop".to_owned()], all_but: None },
        enforce: true,
    };
    let least = WantedSignatures {
        notes: Vec::new(),
        attestors: vec![named("b", keyless(None))],
        scope: Scope { namespaces: Vec::new(), all_but: Some(vec!["kube-system".to_owned()]) },
        enforce: false,
        ..full.clone()
    };
    [full, least]
}
