//! What policies of Cilium and Calico come to, from their text.

use super::super::tests::{deployment, policy, read};
use crate::connections::Protocol;
use crate::network_policy::{Cluster, Direction, End, Evaluator, Names};

/// `web`, `db` and `job` of namespace `a`, `web` of `b`, with a policy's text.
fn cluster(policies: &str) -> Cluster {
    let namespaces = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {team: one}}\n---\napiVersion: v1\nkind: \
                      Namespace\nmetadata: {name: b, labels: {team: two}}\n";
    read(&[
        ("n.yaml", namespaces),
        ("1.yaml", &deployment("web", "a")),
        ("2.yaml", &deployment("db", "a")),
        ("3.yaml", &deployment("job", "a")),
        ("4.yaml", &deployment("web", "b")),
        ("p.yaml", policies),
    ])
}

fn cilium(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {{name: {name}, namespace: a}}\nspec: {spec}\n---\n"
    )
}

fn calico(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: a}}\nspec: {spec}\n---\n"
    )
}

/// What `from` may use of `to`; an end may be an address.
fn ports(cluster: &Cluster, from: &str, to: &str) -> String {
    let (evaluator, names) = (Evaluator::new(cluster), Names::new(cluster));
    let end = |text: &str| match text.parse() {
        Ok(address) => End::Address(address),
        Err(_) => End::Workload(names.find(cluster, text)[0]),
    };
    evaluator.verdict(end(from), end(to)).allowed.to_string()
}

#[track_caller]
fn check(policies: &str, expected: &[(&str, &str, &str)]) {
    let cluster = cluster(policies);
    assert_eq!(cluster.foreign, [], "all of it is judged");
    for (from, to, allowed) in expected {
        assert_eq!(ports(&cluster, from, to), *allowed, "{from} -> {to} with {policies}");
    }
}

fn notes(policies: &str) -> Vec<String> {
    cluster(policies).notes.into_iter().map(|note| format!("{}: {}", note.place, note.message)).collect()
}

#[test]
fn an_empty_rule_of_cilium_isolates_and_an_empty_peer_is_the_own_namespace() {
    check(
        &cilium("deny", "{endpointSelector: {}, ingress: [{}]}"),
        &[("a/web", "a/db", "no port"), ("a/web", "b/web", "any port"), ("192.0.2.1", "a/db", "no port")],
    );
    check(
        &cilium("own", "{endpointSelector: {matchLabels: {app: db}}, ingress: [{fromEndpoints: [{}]}]}"),
        &[("a/web", "a/db", "any port"), ("b/web", "a/db", "no port"), ("b/web", "a/web", "any port")],
    );
}

#[test]
fn labels_of_cilium_name_pods_and_namespaces() {
    let from = |labels: &str| {
        cilium(
            "p",
            &format!(
                "{{endpointSelector: {{matchLabels: {{'k8s:app': db}}}}, ingress: [{{fromEndpoints: [{{matchLabels: {labels}}}], \
                 toPorts: [{{ports: [{{port: '5432', protocol: TCP}}, {{port: '0', protocol: SCTP}}]}}]}}]}}"
            ),
        )
    };
    check(
        &from("{'any:app': web, 'k8s:io.kubernetes.pod.namespace': b}"),
        &[("b/web", "a/db", "TCP 5432 SCTP"), ("a/web", "a/db", "no port")],
    );
    check(
        &from("{app: web, io.cilium.k8s.namespace.labels.team: two}"),
        &[("b/web", "a/db", "TCP 5432 SCTP"), ("a/web", "a/db", "no port")],
    );
}

#[test]
fn what_cilium_denies_is_denied_whatever_allows_it() {
    let policies = [
        cilium(
            "p",
            "{endpointSelector: {matchLabels: {app: db}}, ingressDeny: [{fromEndpoints: [{matchLabels: {app: web}}], toPorts: [{ports: [{port: '1', endPort: 99}]}]}], ingress: [{fromEntities: [all]}]}",
        ),
        policy("open", "a", "{podSelector: {}, ingress: [{}]}"),
    ];
    check(
        &policies.concat(),
        &[
            ("a/web", "a/db", "TCP 100-65535 UDP 100-65535 SCTP 100-65535"),
            ("a/job", "a/db", "any port"),
            ("b/web", "a/db", "any port"),
        ],
    );
}

#[test]
fn cilium_denies_by_default_only_where_it_is_to() {
    check(
        &cilium(
            "p",
            "{endpointSelector: {}, enableDefaultDeny: {egress: false}, egress: [{toEntities: [world]}], egressDeny: \
             [{toCIDR: [192.0.2.1]}]}",
        ),
        &[
            ("a/web", "a/db", "any port"),
            ("a/web", "192.0.2.1", "no port"),
            ("a/web", "192.0.2.2", "any port"),
        ],
    );
}

#[test]
fn ends_of_cilium_with_names_are_those_ends_and_no_others() {
    let policy = cilium(
        "p",
        "{endpointSelector: {matchLabels: {app: web}}, egress: [{toFQDNs: [{matchPattern: '*.example.org'}], toPorts: \
         [{ports: [{port: '443', protocol: TCP}]}]}, {toEntities: [kube-apiserver]}, {toCIDRSet: [{cidr: 10.0.0.0/8, \
         except: [10.1.0.0/16]}]}]}",
    );
    check(
        &policy,
        &[("a/web", "a/db", "no port"), ("a/web", "10.2.0.1", "any port"), ("a/web", "10.1.0.1", "no port")],
    );
    let cluster = cluster(&policy);
    let web = cluster.workloads.iter().position(|workload| workload.name == "web").unwrap();
    let named = Evaluator::new(&cluster).outside(web, Direction::Egress).named;
    let shown: Vec<String> = named.iter().map(|(end, ports)| format!("{end}: {ports}")).collect();
    assert_eq!(shown, ["the Kubernetes API server: any port", "host *.example.org: TCP 443"]);
    assert!(named[1].0.is_host("API.example.org.") && !named[1].0.is_host("a.b.example.org"));
}

#[test]
fn a_clusterwide_policy_of_cilium_is_for_all_namespaces() {
    let policy = "apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {name: p}\nspecs:\n  - \
                  {endpointSelector: {matchLabels: {app: web}}, ingress: [{fromEndpoints: [{matchLabels: {app: db}}]}]}\n  - \
                  {endpointSelector: {matchLabels: {io.kubernetes.pod.namespace: a, app: job}}, ingress: [{}]}\n";
    check(
        policy,
        &[
            ("a/db", "b/web", "any port"),
            ("a/job", "b/web", "no port"),
            ("a/db", "a/job", "no port"),
            ("a/web", "a/db", "any port"),
        ],
    );
}

#[test]
fn what_is_not_judged_of_cilium_is_named_and_counts_as_possible() {
    let policy = cilium(
        "p",
        "\n  endpointSelector: {matchLabels: {app: db}}\n  ingress:\n    - fromEndpoints: [{}]\n      toPorts: [{ports: \
         [{port: '80'}], rules: {http: [{method: GET}]}}]\n  egress:\n    - toServices: [{k8sService: {serviceName: x}}]\n    \
         - icmps: [{fields: [{type: 8}]}]",
    );
    assert_eq!(
        notes(&policy),
        [
            "p.yaml:8: CiliumNetworkPolicy/p in a is judged without which requests of `http` it allows",
            "p.yaml:10: CiliumNetworkPolicy/p in a is judged without `toServices`",
        ]
    );
    let cluster = cluster(&policy);
    let (evaluator, names) = (Evaluator::new(&cluster), Names::new(&cluster));
    let [db, web] = ["a/db", "a/web"].map(|name| End::Workload(names.find(&cluster, name)[0]));
    assert!(evaluator.verdict(web, db).allowed.contains(Protocol::Tcp, 80));
    let out = evaluator.verdict(db, web);
    assert!(out.allowed.is_empty() && out.possible.is_all());
}

#[test]
fn policies_of_calico_are_asked_in_their_order() {
    let (deny, allow) = (
        "selector: \"app == 'db'\", ingress: [{action: Deny, source: {selector: \"app == 'web'\"}}]",
        "selector: \"app == 'db'\", ingress: [{action: Allow, protocol: TCP, destination: {ports: [80, '90:91', http]}}]",
    );
    let both = |of_deny: u32, of_allow: u32| {
        calico("deny", &format!("{{order: {of_deny}, {deny}}}"))
            + &calico("allow", &format!("{{order: {of_allow}, {allow}}}"))
    };
    check(&both(1, 2), &[("a/web", "a/db", "no port"), ("a/job", "a/db", "TCP 80,90-91")]);
    check(&both(2, 1), &[("a/web", "a/db", "TCP 80,90-91"), ("a/job", "a/db", "TCP 80,90-91")]);
    // Without an order they come last, by name.
    let unordered = calico("b-deny", &format!("{{{deny}}}")) + &calico("a-allow", &format!("{{{allow}}}"));
    check(&unordered, &[("a/web", "a/db", "TCP 80,90-91")]);
}

#[test]
fn network_policies_are_among_those_of_calico() {
    let core = policy("core", "a", "{podSelector: {matchLabels: {app: db}}, ingress: [{}]}") + "---\n";
    let deny = |order: u32| calico("deny", &format!("{{order: {order}, ingress: [{{action: Deny}}]}}"));
    check(&(core.clone() + &deny(999)), &[("a/web", "a/db", "no port"), ("a/db", "a/web", "no port")]);
    check(&(core + &deny(1001)), &[("a/web", "a/db", "any port"), ("a/db", "a/web", "no port")]);
}

#[test]
fn calico_passes_on_logs_and_isolates() {
    check(
        &calico(
            "p",
            "{selector: \"app == 'db'\", ingress: [{action: Log}, {action: Pass, source: {selector: \"app == 'web'\"}}]}",
        ),
        &[("a/web", "a/db", "any port"), ("a/job", "a/db", "no port"), ("a/db", "a/web", "any port")],
    );
    check(
        &calico("p", "{types: [Egress]}"),
        &[("a/web", "b/web", "no port"), ("b/web", "a/web", "any port"), ("a/web", "192.0.2.1", "no port")],
    );
}

#[test]
fn calico_names_peers_by_expressions_nets_and_their_opposites() {
    check(
        &calico(
            "p",
            "{selector: \"app == 'db'\", ingress: [{action: Allow, source: {namespaceSelector: \"team in {'two', 'three'}\"}}, \
             {action: Allow, source: {notSelector: \"app == 'web'\"}}]}",
        ),
        &[("b/web", "a/db", "any port"), ("a/web", "a/db", "no port"), ("a/job", "a/db", "any port")],
    );
    check(
        &calico(
            "p",
            "{egress: [{action: Allow, notProtocol: UDP, destination: {nets: [10.0.0.0/8], notNets: [10.1.0.0/16], notPorts: \
             [22]}}], types: [Egress]}",
        ),
        &[
            ("a/web", "10.2.0.1", "TCP 1-21,23-65535 SCTP 1-21,23-65535"),
            ("a/web", "10.1.0.1", "no port"),
            ("a/web", "b/web", "no port"),
        ],
    );
}

#[test]
fn a_global_policy_of_calico_is_for_the_namespaces_it_selects() {
    let policy = "apiVersion: crd.projectcalico.org/v1\nkind: GlobalNetworkPolicy\nmetadata: {name: default.p}\nspec:\n  \
                  namespaceSelector: projectcalico.org/name != 'b'\n  ingress: [{action: Allow, source: {selector: \
                  \"projectcalico.org/namespace == 'b'\"}}]\n";
    check(
        policy,
        &[("b/web", "a/db", "any port"), ("a/web", "a/db", "no port"), ("a/web", "b/web", "any port")],
    );
}

#[test]
fn what_is_not_judged_of_calico_is_named() {
    let tier = cluster(&calico("p", "{tier: security, ingress: [{action: Deny}]}"));
    assert_eq!(tier.foreign[0].reason, "it is of tier `security`");
    assert_eq!(tier.foreign.len(), 1);
    let policy = calico(
        "p",
        "\n  selector: app == 'db'\n  ingress:\n    - action: Allow\n      source: {serviceAccounts: {names: [x]}}\n    - \
         action: Allow\n      source: {selector: \"has(pcsa.x)\"}",
    );
    assert_eq!(
        notes(&policy),
        [
            "p.yaml:8: NetworkPolicy/p in a is judged without `serviceAccounts`",
            "p.yaml:10: NetworkPolicy/p in a is judged without label `pcsa.x`",
        ]
    );
    assert_eq!(
        notes(&calico("p", "{selector: 'app ='}")),
        [
            "p.yaml:4: NetworkPolicy/p in a is not counted, the API server refuses it: `=` is no part of a selector"
        ]
    );
}
