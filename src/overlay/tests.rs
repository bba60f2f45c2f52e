use super::*;

const OBJECT: PatchedObject<'_> =
    PatchedObject { api_version: "apps/v1", kind: "Deployment", name: "web", namespace: None };

fn workload(api_version: &str, spec: Value) -> Value {
    json!({"apiVersion": api_version, "kind": "X", "metadata": {"name": "web"}, "spec": spec})
}

#[track_caller]
fn check(api_version: &str, before: Value, after: Value, expected: &str, target: Option<Value>) {
    let object = PatchedObject { api_version, ..OBJECT };
    let (before, after) = (workload(api_version, before), workload(api_version, after));
    let patch = patch(&Templates::builtin(), &object, &before, &after).unwrap();
    let text = patch.text.split_once('\n').unwrap().1;
    assert_eq!(text, expected);
    assert_eq!(patch.target, target);
}

#[test]
fn containers_are_named_and_what_goes_is_null() {
    check(
        "apps/v1",
        json!({"containers": [
            {"name": "a", "image": "x", "securityContext": {"privileged": true, "runAsUser": 5}},
            {"name": "b"},
        ]}),
        json!({
            "securityContext": {"runAsNonRoot": true},
            "containers": [
                {"name": "a", "image": "x", "securityContext": {"runAsUser": 5, "capabilities": {"drop": ["ALL"]}}},
                {"name": "b"},
            ],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        }),
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  securityContext:\n    runAsNonRoot: true\n  \
         containers:\n    - name: a\n      securityContext:\n        privileged: null\n        capabilities:\n          \
         drop:\n            - ALL\n  volumes:\n    - name: tmp\n      emptyDir: {}\n",
        None,
    );
}

#[test]
fn items_that_go_are_deleted_by_name() {
    check(
        "apps/v1",
        json!({"containers": [{"name": "a", "env": [{"name": "x", "value": "1"}, {"name": "y"}]}]}),
        json!({"containers": [{"name": "a", "env": [{"name": "y"}]}]}),
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  containers:\n    - name: a\n      \
         env:\n        - $patch: delete\n          name: x\n",
        None,
    );
}

#[test]
fn ports_are_named_by_their_protocol_too() {
    let port = json!({"containerPort": 80, "hostPort": 80, "protocol": "TCP"});
    check(
        "apps/v1",
        json!({"containers": [{"name": "a", "ports": [port]}]}),
        json!({"containers": [{"name": "a", "ports": [{"containerPort": 80, "protocol": "TCP"}]}]}),
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  containers:\n    - name: a\n      \
         ports:\n        - containerPort: 80\n          protocol: TCP\n          hostPort: null\n",
        None,
    );
}

#[test]
fn unknown_kinds_get_steps_behind_tests() {
    check(
        "argoproj.io/v1alpha1",
        json!({"containers": [{"name": "a"}, {"name": "b", "x": 1}]}),
        json!({"containers": [{"name": "a"}, {"name": "b", "x": 1, "securityContext": {"z": true}}]}),
        "- op: test\n  path: /apiVersion\n  value: argoproj.io/v1alpha1\n- op: test\n  path: \
         /spec/containers/1/name\n  value: b\n- op: add\n  path: /spec/containers/1/securityContext\n  value:\n    \
         z: true\n",
        Some(json!({"group": "argoproj.io", "kind": "Deployment", "name": "web"})),
    );
}

#[test]
fn lists_that_no_merge_can_say_get_steps() {
    let ports = json!([{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]);
    let mut fewer = ports.clone();
    fewer[0]["hostPort"] = json!(53);
    let (before, after) = (
        workload("apps/v1", json!({"containers": [{"name": "a", "ports": fewer}]})),
        workload("apps/v1", json!({"containers": [{"name": "a", "ports": ports}]})),
    );
    let patch = patch(&Templates::builtin(), &OBJECT, &before, &after).unwrap();
    assert!(patch.target.is_some(), "{}", patch.text);
}
