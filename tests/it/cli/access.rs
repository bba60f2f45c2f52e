//! `rbac`: the same facts in every format, before and after the fixes.

use crate::program::Folder;

const REPO: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: rota}
rules: [{apiGroups: [''], resources: [pods], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: rota}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: rota}
subjects: [{kind: ServiceAccount, name: rota, namespace: shop}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: rota, namespace: shop}
spec:
  selector: {matchLabels: {app: rota}}
  template:
    metadata: {labels: {app: rota}}
    spec:
      serviceAccountName: rota
      containers: [{name: rota, image: 'registry.example/rota:1'}]
";

fn repo() -> Folder {
    Folder::committed(&[("a.yaml", REPO)])
}

#[test]
fn who_can_names_subject_binding_and_role_before_and_after() {
    let report = repo().run(&["rbac", "who-can", "list", "pod", "--format", "json"]).expect_code(0).json();
    let who = report["who"].as_array().unwrap();
    let account = who.iter().find(|who| who["subject"] == "ServiceAccount shop/rota").unwrap();
    assert_eq!(account["binding"], "ClusterRoleBinding/rota");
    assert_eq!((&account["before"], &account["after"]), (&true.into(), &false.into()));
    let there = repo().run(&["rbac", "who-can", "list", "pods", "-n", "shop"]).expect_code(0).stdout;
    assert!(
        there.contains("+ ServiceAccount shop/rota") && there.contains("RoleBinding/rota in shop"),
        "{there}"
    );
    let nobody = repo().run(&["rbac", "who-can", "escalate", "roles", "-n", "shop"]).expect_code(0).stdout;
    assert!(!nobody.contains("rota"), "{nobody}");
}

#[test]
fn show_says_what_the_fixes_take_away() {
    let text = repo().run(&["rbac", "show", "shop/rota"]).expect_code(0).stdout;
    assert!(text.contains("Deployment/rota runs as it"), "{text}");
    assert!(text.contains("the fixes take away: get, list on pods outside of shop"), "{text}");
    let json = repo().run(&["rbac", "show", "shop/rota", "--format", "json"]).expect_code(0).json();
    assert_eq!(json["lost"], serde_json::json!(["get, list on pods outside of shop"]));
    let safe = repo().run(&["rbac", "show", "shop/rota", "--level", "safe", "--format", "json"]).json();
    assert_eq!(safe["lost"], serde_json::json!([]));
    let markdown = repo().run(&["rbac", "show", "shop/rota", "--format", "markdown"]).expect_code(0).stdout;
    assert!(markdown.contains("| - | * | get, list on pods |"), "{markdown}");
}

#[test]
fn a_graph_has_an_edge_for_every_binding() {
    let json = repo().run(&["rbac", "graph", "--format", "json"]).expect_code(0).json();
    let roles: Vec<&str> =
        json["edges"].as_array().unwrap().iter().map(|edge| edge["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["ClusterRole/rota", "Role/rota in shop"]);
    let markdown = repo().run(&["rbac", "graph", "--format", "markdown"]).expect_code(0).stdout;
    assert!(markdown.starts_with("```mermaid\nflowchart LR\n"), "{markdown}");
}

#[test]
fn what_cannot_be_meant_is_an_error_with_help() {
    let run = repo().run(&["rbac", "show", "rota"]).expect_code(2);
    assert!(run.stderr.contains("names nobody") && run.stderr.contains("NAMESPACE/NAME"), "{}", run.stderr);
    let run = repo().run(&["rbac", "who-can", "get", "thingamajigs"]).expect_code(2);
    assert!(run.stderr.contains("no resource is called"), "{}", run.stderr);
}
