use serde_json::json;

use super::*;

fn read(spec: Value) -> Result<NetworkPolicySpec, Refused> {
    NetworkPolicySpec::read(&json!({"spec": spec}), &|pointer| pointer.len())
}

/// Which directions a spec isolates.
#[track_caller]
fn check_directions(spec: Value, ingress: bool, egress: bool) {
    let spec = read(spec).unwrap();
    assert_eq!((spec.ingress.is_some(), spec.egress.is_some()), (ingress, egress));
}

#[test]
fn without_types_it_is_for_ingress_and_for_egress_when_there_is_an_egress_rule() {
    check_directions(json!({}), true, false);
    check_directions(json!({"ingress": []}), true, false);
    check_directions(json!({"egress": [{}]}), true, true);
    check_directions(json!({"policyTypes": [], "egress": [{}]}), true, true);
}

#[test]
fn an_empty_egress_list_without_types_isolates_no_egress() {
    check_directions(json!({"egress": []}), true, false);
}

#[test]
fn types_decide_whatever_sections_there_are() {
    check_directions(json!({"policyTypes": ["Egress"], "ingress": [{}]}), false, true);
    check_directions(json!({"policyTypes": ["Ingress"], "egress": [{}]}), true, false);
    check_directions(json!({"policyTypes": ["Ingress", "Egress"]}), true, true);
}

#[track_caller]
fn check_port(port: Value, expected: PortMatch) {
    let spec = read(json!({"ingress": [{"ports": [port]}]})).unwrap();
    assert_eq!(spec.ingress.unwrap()[0].ports.as_deref(), Some(&[expected][..]));
}

#[test]
fn a_port_without_a_number_is_all_of_its_protocol_which_is_tcp_by_default() {
    check_port(json!({}), PortMatch::Numbers(PortSet::of(Protocol::Tcp)));
    check_port(json!({"protocol": "SCTP"}), PortMatch::Numbers(PortSet::of(Protocol::Sctp)));
    check_port(json!({"port": 80}), PortMatch::Numbers(PortSet::one(Protocol::Tcp, 80)));
    check_port(
        json!({"port": 80, "endPort": 90, "protocol": "UDP"}),
        PortMatch::Numbers(PortSet::range(Protocol::Udp, 80, 90)),
    );
    check_port(json!({"port": "http"}), PortMatch::Named(Some(Protocol::Tcp), "http".to_owned()));
}

#[test]
fn empty_lists_of_peers_and_ports_are_no_restriction() {
    for rule in [json!({}), json!({"from": [], "ports": []}), json!({"from": null})] {
        let rules = read(json!({"ingress": [rule]})).unwrap().ingress.unwrap();
        assert!(rules[0].peers.is_none() && rules[0].ports.is_none());
    }
}

#[test]
fn one_peer_with_two_selectors_is_not_two_peers() {
    let both = json!({"namespaceSelector": {}, "podSelector": {"matchLabels": {"a": "1"}}});
    let rules = read(json!({"ingress": [{"from": [both]}]})).unwrap().ingress.unwrap();
    let peers = rules[0].peers.as_deref().unwrap();
    assert!(matches!(peers, [Peer::Pods { namespaces: Some(_), pods }] if !pods.is_empty()));
    let split = json!([{"namespaceSelector": {}}, {"podSelector": {"matchLabels": {"a": "1"}}}]);
    let rules = read(json!({"ingress": [{"from": split}]})).unwrap().ingress.unwrap();
    assert_eq!(rules[0].peers.as_deref().unwrap().len(), 2);
}

#[test]
fn rules_know_their_lines() {
    let object = json!({"spec": {"ingress": [{}, {}]}});
    let lines = |pointer: &str| if pointer == "/spec/ingress/1" { 7 } else { 3 };
    let rules = NetworkPolicySpec::read(&object, &lines).unwrap().ingress.unwrap();
    assert_eq!((rules[0].line, rules[1].line), (3, 7));
}

/// What the API server refuses, and where.
#[track_caller]
fn check_refused(spec: Value, pointer: &str) {
    assert_eq!(read(spec).unwrap_err().pointer, pointer);
}

#[test]
fn what_the_server_refuses_is_refused_at_its_place() {
    let from = |peer: Value| json!({"ingress": [{"from": [peer]}]});
    let at = |rest: &str| format!("/spec/ingress/0/from/0{rest}");
    check_refused(from(json!({})), &at(""));
    check_refused(from(json!({"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}})), &at(""));
    check_refused(from(json!({"ipBlock": {"cidr": "10.0.0.0"}})), &at("/ipBlock/cidr"));
    check_refused(
        from(json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}})),
        &at("/ipBlock/except/0"),
    );
    check_refused(
        from(json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}})),
        &at("/ipBlock/except/0"),
    );
    let port = |port: Value| json!({"egress": [{"ports": [port]}]});
    let at = |rest: &str| format!("/spec/egress/0/ports/0{rest}");
    check_refused(port(json!({"endPort": 80})), &at("/endPort"));
    check_refused(port(json!({"port": "http", "endPort": 80})), &at("/endPort"));
    check_refused(port(json!({"port": 80, "endPort": 79})), &at("/endPort"));
    check_refused(port(json!({"port": 0})), &at("/port"));
    check_refused(port(json!({"port": "80"})), &at("/port"));
    check_refused(port(json!({"protocol": "tcp"})), &at("/protocol"));
    check_refused(json!({"policyTypes": ["ingress"]}), "/spec/policyTypes/0");
    check_refused(json!({"ingress": [{"form": []}]}), "/spec/ingress/0/form");
    check_refused(json!({"egress": [{"from": []}]}), "/spec/egress/0/from");
}
