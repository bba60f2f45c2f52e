//! Random policies as they are wanted: whatever dialect they are written in, they allow the same.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::tests::{deployment, read};
use crate::config::Dialect;
use crate::connections::Protocol;
use crate::network_policy::{Cluster, Direction, End, Evaluator};
use crate::template::{InNamespace, PolicyKind, Templates, WantedPeer, WantedPolicy, WantedPort, WantedRule};

const WORKLOADS: &[(&str, &str)] = &[("x", "a"), ("y", "a"), ("z", "a"), ("x", "b"), ("y", "b"), ("z", "c")];

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    let one = |name: &str| BTreeMap::from([("app".to_owned(), name.to_owned())]);
    prop_oneof![
        1 => Just(BTreeMap::new()),
        3 => prop::sample::select(vec!["x", "y", "z"]).prop_map(one),
    ]
}

fn peer() -> impl Strategy<Value = WantedPeer> {
    let namespace = prop_oneof![
        Just(InNamespace::Own),
        Just(InNamespace::Any),
        prop::sample::select(vec!["a", "b", "c"]).prop_map(|name| InNamespace::Named(name.to_owned())),
    ];
    let block = prop::sample::select(vec![
        ("0.0.0.0/0", vec!["10.0.0.0/8"]),
        ("0.0.0.0/0", vec![]),
        ("::/0", vec!["fc00::/7"]),
        ("203.0.113.9/32", vec![]),
    ]);
    let owned = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
    prop_oneof![
        3 => (namespace, labels(), any::<bool>())
            .prop_map(|(namespace, labels, foreign)| WantedPeer::Pods { namespace, labels, foreign }),
        1 => block.prop_map(move |(cidr, except)| WantedPeer::Block { cidr: cidr.to_owned(), except: owned(except) }),
    ]
}

fn port() -> impl Strategy<Value = WantedPort> {
    let protocol = || prop::sample::select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp]);
    prop_oneof![
        3 => (protocol(), prop::sample::select(vec![53, 80, 8080]))
            .prop_map(|(protocol, number)| WantedPort { name: None, number, end: None, protocol }),
        1 => Just(WantedPort { name: None, number: 80, end: Some(90), protocol: Protocol::Tcp }),
        1 => Just(WantedPort { name: Some("http".to_owned()), number: 0, end: None, protocol: Protocol::Tcp }),
    ]
}

fn rules() -> impl Strategy<Value = Option<Vec<WantedRule>>> {
    let rule = (prop::collection::vec(peer(), 0..3), prop::collection::vec(port(), 0..3))
        .prop_map(|(peers, ports)| WantedRule { comments: Vec::new(), peers, ports });
    prop::option::of(prop::collection::vec(rule, 0..3))
}

fn policies() -> impl Strategy<Value = Vec<WantedPolicy>> {
    let policy = (prop::sample::select(vec!["a", "b"]), labels(), rules(), rules())
        .prop_filter("a policy is for some direction", |(_, _, ingress, egress)| {
            ingress.is_some() || egress.is_some()
        });
    prop::collection::vec(policy, 0..4).prop_map(|list| {
        let each = list.into_iter().enumerate();
        each.map(|(number, (namespace, selector, ingress, egress))| WantedPolicy {
            kind: PolicyKind::Workload,
            name: format!("p{number}"),
            namespace: Some(namespace.to_owned()),
            comments: Vec::new(),
            selector,
            foreign: false,
            ingress,
            egress,
        })
        .collect()
    })
}

fn cluster(policies: &[WantedPolicy], dialect: Dialect) -> Cluster {
    let rendered = Templates::builtin().network_policies(policies, dialect).unwrap();
    let mut files: Vec<(String, String)> = Vec::new();
    for (name, namespace) in WORKLOADS {
        let ports = "\n          ports: [{name: http, containerPort: 8081}]\n";
        let text = deployment(name, namespace)
            .replace("containers: [{name: c, image:", "containers:\n        - name: c\n          image:");
        files.push((
            format!("{namespace}-{name}.yaml"),
            text.trim_end().trim_end_matches("}]").to_owned() + ports,
        ));
    }
    files.push(("policies.yaml".to_owned(), rendered.text));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    read(&files)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_dialect_allows_what_the_core_api_does(policies in policies()) {
        let core = cluster(&policies, Dialect::Core);
        prop_assert_eq!(core.workloads.len(), WORKLOADS.len());
        prop_assert!(core.workloads.iter().all(|workload| workload.ports.len() == 1));
        let of_core = Evaluator::new(&core);
        for dialect in [Dialect::Cilium, Dialect::Calico] {
            let other = cluster(&policies, dialect);
            prop_assert_eq!((&other.foreign, &other.notes), (&vec![], &vec![]));
            let of_other = Evaluator::new(&other);
            for from in 0..WORKLOADS.len() {
                for to in (0..WORKLOADS.len()).map(End::Workload) {
                    let [a, b] = [&of_core, &of_other].map(|of| of.verdict(End::Workload(from), to).allowed);
                    prop_assert_eq!(a, b, "{:?}: {} -> {:?}", dialect, from, to);
                }
                for direction in [Direction::Egress, Direction::Ingress] {
                    let [a, b] = [&of_core, &of_other].map(|of| of.outside(from, direction).addresses);
                    prop_assert_eq!(a, b, "{:?}: {:?} of {}", dialect, direction, from);
                    let [a, b] = [&of_core, &of_other].map(|of| of.is_restricted(from, direction));
                    prop_assert_eq!(a, b);
                }
            }
            prop_assert_eq!(of_core.connections(), of_other.connections());
        }
    }
}
