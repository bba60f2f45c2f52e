//! Random clusters and policies: the evaluator says what the naive implementation says.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::naive::{Other, Pod, World};
use super::*;
use crate::connections::{ContainerPort, Protocol, Space};
use crate::network_policy::admin;
use crate::network_policy::cluster::{Namespace, Workload};
use crate::network_policy::policy::{Api, NetworkPolicySpec, Order, Place, Policy, Tier};

const PORTS: [u16; 6] = [1, 53, 80, 85, 8080, 65_535];
const ADDRESSES: [&str; 4] = ["10.1.0.1", "10.2.0.1", "192.0.2.1", "203.0.113.9"];

impl World {
    /// The same as the evaluator takes it, read by what reads manifests.
    pub(super) fn cluster(&self) -> Cluster {
        let place = Place { path: "x.yaml".to_owned(), line: 1 };
        let mut cluster = Cluster::default();
        for (name, labels) in &self.namespaces {
            cluster.namespaces.insert(Space::Named(name.clone()), Namespace::defined(name, labels.clone()));
        }
        for (idx, pod) in self.pods.iter().enumerate() {
            let port = |(name, protocol, number): &(String, &'static str, u16)| ContainerPort {
                name: Some(name.clone()),
                number: *number,
                protocol: Protocol::read(Some(*protocol)),
            };
            cluster.workloads.push(Workload {
                kind: "Deployment".to_owned(),
                name: format!("w{idx}"),
                space: Space::Named(pod.namespace.clone()),
                labels: pod.labels.clone(),
                ports: pod.ports.iter().map(port).collect(),
                host_network: false,
                place: place.clone(),
            });
        }
        for object in &self.policies {
            cluster.policies.push(policy(object, place.clone()));
        }
        cluster.policies.sort_by_key(|policy| policy.tier);
        cluster
    }
}

fn policy(object: &Value, place: Place) -> Policy {
    let name = "p".to_owned();
    if object["kind"] == "NetworkPolicy" {
        let spec = NetworkPolicySpec::read(object, &|_| 1).unwrap();
        let namespace = object["metadata"]["namespace"].as_str().unwrap().to_owned();
        return Policy::core(name, Space::Named(namespace), place, spec);
    }
    let spec = admin::read(object, object["kind"] == "BaselineAdminNetworkPolicy", &|_| 1).unwrap();
    Policy {
        api: if spec.tier == Tier::Baseline { Api::Baseline } else { Api::Admin },
        tier: spec.tier,
        order: Order::FIRST,
        name,
        namespace: None,
        place,
        subject: spec.subject,
        ingress: spec.ingress,
        egress: spec.egress,
        keeps_open: Vec::new(),
    }
}

fn selector(keys: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let value = prop::sample::select(vec!["a", "b", "c"]);
    let pair = (prop::sample::select(keys), value.clone());
    let values = prop::collection::btree_set(value, 1..3);
    let listed = (prop::sample::select(keys), prop::sample::select(vec!["In", "NotIn"]), values)
        .prop_map(|(key, operator, values)| json!({"key": key, "operator": operator, "values": values}));
    let bare = (prop::sample::select(keys), prop::sample::select(vec!["Exists", "DoesNotExist"]))
        .prop_map(|(key, operator)| json!({"key": key, "operator": operator}));
    let expressions = prop::collection::vec(prop_oneof![listed, bare], 0..2);
    prop_oneof![
        2 => Just(json!({})),
        4 => pair.prop_map(|(key, value)| json!({"matchLabels": {key: value}})),
        3 => expressions.prop_map(|expressions| json!({"matchExpressions": expressions})),
    ]
}

fn pods() -> impl Strategy<Value = Value> {
    selector(&["app", "tier"])
}

fn namespaces() -> impl Strategy<Value = Value> {
    selector(&["team", "kubernetes.io/metadata.name"])
}

fn protocol() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["TCP", "UDP", "SCTP"])
}

fn port() -> impl Strategy<Value = Value> {
    let number = prop::sample::select(PORTS.to_vec());
    prop_oneof![
        Just(json!({})),
        protocol().prop_map(|protocol| json!({"protocol": protocol})),
        (protocol(), number.clone()).prop_map(|(protocol, port)| json!({"protocol": protocol, "port": port})),
        (number.clone(), number).prop_map(|(a, b)| json!({"port": a.min(b), "endPort": a.max(b)})),
        (protocol(), prop::sample::select(vec!["http", "dns"]))
            .prop_map(|(protocol, name)| json!({"protocol": protocol, "port": name})),
    ]
}

fn peer() -> impl Strategy<Value = Value> {
    let block = prop::sample::select(vec![
        json!({"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}),
        json!({"cidr": "10.0.0.0/8", "except": ["10.2.0.0/16"]}),
        json!({"cidr": "203.0.113.9/32"}),
        json!({"cidr": "::/0"}),
    ]);
    prop_oneof![
        4 => pods().prop_map(|pods| json!({"podSelector": pods})),
        3 => namespaces().prop_map(|namespaces| json!({"namespaceSelector": namespaces})),
        3 => (namespaces(), pods()).prop_map(|(n, p)| json!({"namespaceSelector": n, "podSelector": p})),
        1 => block.prop_map(|block| json!({"ipBlock": block})),
    ]
}

fn rules(peers: &'static str) -> impl Strategy<Value = Value> {
    let rule = (prop::collection::vec(peer(), 0..3), prop::collection::vec(port(), 0..3))
        .prop_map(move |(list, ports)| json!({peers: list, "ports": ports}));
    prop::collection::vec(rule, 0..3).prop_map(Value::Array)
}

fn network_policy() -> impl Strategy<Value = Value> {
    let types = prop::sample::select(vec![
        json!(null),
        json!([]),
        json!(["Ingress"]),
        json!(["Egress"]),
        json!(["Ingress", "Egress"]),
    ]);
    let namespace = prop::sample::select(vec!["a", "b", "c"]);
    (namespace, pods(), types, rules("from"), rules("to")).prop_map(|(namespace, pods, types, from, to)| {
        json!({
            "kind": "NetworkPolicy",
            "metadata": {"name": "p", "namespace": namespace},
            "spec": {"podSelector": pods, "policyTypes": types, "ingress": from, "egress": to},
        })
    })
}

fn admin_pods() -> impl Strategy<Value = Value> {
    prop_oneof![
        namespaces().prop_map(|namespaces| json!({"namespaces": namespaces})),
        (namespaces(), pods()).prop_map(|(n, p)| json!({"pods": {"namespaceSelector": n, "podSelector": p}})),
    ]
}

fn admin_port() -> impl Strategy<Value = Value> {
    let number = prop::sample::select(PORTS.to_vec());
    prop_oneof![
        (protocol(), number.clone())
            .prop_map(|(protocol, port)| json!({"portNumber": {"protocol": protocol, "port": port}})),
        (number.clone(), number)
            .prop_map(|(a, b)| json!({"portRange": {"start": a.min(b), "end": a.max(b)}})),
        prop::sample::select(vec!["http", "dns"]).prop_map(|name| json!({"namedPort": name})),
    ]
}

fn admin_rules(peers: &'static str, actions: Vec<&'static str>) -> impl Strategy<Value = Value> {
    let rule = (
        prop::sample::select(actions),
        prop::collection::vec(admin_pods(), 1..3),
        prop::collection::vec(admin_port(), 0..3),
    )
        .prop_map(move |(action, list, ports)| json!({"action": action, peers: list, "ports": ports}));
    prop::collection::vec(rule, 0..3).prop_map(Value::Array)
}

fn admin_policy(kind: &'static str, actions: Vec<&'static str>) -> impl Strategy<Value = Value> {
    (admin_pods(), admin_rules("from", actions.clone()), admin_rules("to", actions)).prop_map(
        move |(subject, from, to)| {
            json!({
                "kind": kind,
                "metadata": {"name": "default"},
                "spec": {"priority": 0, "subject": subject, "ingress": from, "egress": to},
            })
        },
    )
}

fn labels(
    keys: &'static [&'static str],
) -> impl Strategy<Value = std::collections::BTreeMap<String, String>> {
    let pair = (prop::sample::select(keys), prop::sample::select(vec!["a", "b", "c"]));
    prop::collection::btree_map(
        pair.clone().prop_map(|(key, _)| key.to_owned()),
        pair.prop_map(|(_, v)| v.to_owned()),
        0..3,
    )
}

fn pod() -> impl Strategy<Value = Pod> {
    let port = (prop::sample::select(vec!["http", "dns"]), protocol(), prop::sample::select(PORTS.to_vec()))
        .prop_map(|(name, protocol, number)| (name.to_owned(), protocol, number));
    let ports = prop::collection::vec(port, 0..3);
    (prop::sample::select(vec!["a", "b", "c"]), labels(&["app", "tier"]), ports)
        .prop_map(|(namespace, labels, ports)| Pod { namespace: namespace.to_owned(), labels, ports })
}

fn world(with_admins: bool) -> impl Strategy<Value = World> {
    let team = || labels(&["team"]);
    let spaces = (team(), team(), team())
        .prop_map(|(a, b, c)| vec![("a".to_owned(), a), ("b".to_owned(), b), ("c".to_owned(), c)]);
    let most = if with_admins { 3 } else { 0 };
    let admins =
        prop::collection::vec(admin_policy("AdminNetworkPolicy", vec!["Allow", "Deny", "Pass"]), 0..=most);
    let baseline = prop::collection::vec(
        admin_policy("BaselineAdminNetworkPolicy", vec!["Allow", "Deny"]),
        0..=most.min(1),
    );
    let policies = prop::collection::vec(network_policy(), 0..5);
    (spaces, prop::collection::vec(pod(), 1..14), policies, admins, baseline).prop_map(
        |(namespaces, pods, mut policies, admins, baseline)| {
            for (idx, mut admin) in admins.into_iter().enumerate() {
                // Two of one priority are not defined.
                admin["spec"]["priority"] = (7 - idx).into();
                policies.push(admin);
            }
            policies.extend(baseline);
            World { namespaces, pods, policies }
        },
    )
}

fn check(world: &World) -> Result<(), TestCaseError> {
    let cluster = world.cluster();
    let evaluator = Evaluator::new(&cluster);
    let mut ends: Vec<(End<'_>, Other)> =
        (0..world.pods.len()).map(|pod| (End::Workload(pod), Other::Pod(pod))).collect();
    ends.extend(ADDRESSES.map(|address| {
        let address = address.parse().unwrap();
        (End::Address(address), Other::Address(address))
    }));
    for (from, naive_from) in &ends {
        for (to, naive_to) in &ends {
            let verdict = evaluator.verdict(*from, *to);
            prop_assert!(verdict.possible.contains_all(&verdict.allowed));
            for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
                for port in PORTS {
                    let expected = world.allows(*naive_from, *naive_to, protocol.as_str(), port);
                    let found = verdict.allowed.contains(protocol, port);
                    prop_assert_eq!(found, expected, "{:?} -> {:?} {:?} {}", from, to, protocol, port);
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn agrees_with_the_naive_implementation(world in world(false)) {
        check(&world)?;
    }

    #[test]
    fn agrees_with_the_naive_implementation_on_admin_policies(world in world(true)) {
        check(&world)?;
    }

    #[test]
    fn the_list_of_connections_is_what_asking_for_each_pair_gives(world in world(true)) {
        let cluster = world.cluster();
        let evaluator = Evaluator::new(&cluster);
        let mut expected = Vec::new();
        for from in 0..world.pods.len() {
            for to in 0..world.pods.len() {
                let is_free = !evaluator.is_restricted(from, Direction::Egress)
                    && !evaluator.is_restricted(to, Direction::Ingress);
                let ports = evaluator.verdict(End::Workload(from), End::Workload(to)).allowed;
                if is_free {
                    prop_assert!(ports.is_all());
                } else if !ports.is_empty() {
                    expected.push(Allowed { from, to, ports });
                }
            }
        }
        prop_assert_eq!(evaluator.connections(), expected);
    }

    #[test]
    fn pods_that_are_no_workload_are_judged_like_one(world in world(true)) {
        let cluster = world.cluster();
        let evaluator = Evaluator::new(&cluster);
        for (idx, pods) in cluster.workloads.iter().enumerate() {
            for other in (0..cluster.workloads.len()).map(End::Workload) {
                let (own, alike) = (End::Workload(idx), End::Pods(pods));
                prop_assert_eq!(evaluator.verdict(own, other), evaluator.verdict(alike, other));
                prop_assert_eq!(evaluator.verdict(other, own), evaluator.verdict(other, alike));
            }
        }
    }

    #[test]
    fn what_is_outside_is_what_asking_for_each_address_gives(world in world(false)) {
        let cluster = world.cluster();
        let evaluator = Evaluator::new(&cluster);
        for workload in 0..world.pods.len() {
            let (egress, ingress) =
                (evaluator.outside(workload, Direction::Egress), evaluator.outside(workload, Direction::Ingress));
            for address in ADDRESSES {
                let address: std::net::IpAddr = address.parse().unwrap();
                let of = |outside: &Outside| {
                    let found = outside.addresses.spans().iter().find(|span| {
                        !span.is_v6() && span.first() <= address && address <= span.last()
                    });
                    found.map_or_else(PortSet::none, |span| span.ports.clone())
                };
                let (own, other) = (End::Workload(workload), End::Address(address));
                prop_assert_eq!(of(&egress), evaluator.verdict(own, other).allowed);
                prop_assert_eq!(of(&ingress), evaluator.verdict(other, own).allowed);
            }
        }
    }
}
