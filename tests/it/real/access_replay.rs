//! An audit log that a real API server writes while a client works makes rights that are enough for the client, and for
//! nothing else.

use std::path::Path;

use serde_json::{Value, json};

use super::access::{Server, State};
use super::program;
use crate::program::Folder;

fn request(method: &str, path: &str, body: Value) -> Value {
    json!({"method": method, "path": path, "type": "application/json", "body": body})
}

fn get(path: &str) -> Value {
    request("GET", path, Value::Null)
}

/// A program that elects its leader, keeps its settings, reads pods of its namespace, services of another one, and nodes.
fn work() -> Vec<Value> {
    let lease = |name: &str| json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name}, "spec": {"holderIdentity": "me"}});
    let settings = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "b"}});
    let changed = request("PUT", "/api/v1/namespaces/shop/configmaps/settings", settings.clone());
    let leases = "/apis/coordination.k8s.io/v1/namespaces/shop/leases";
    let maps = "/api/v1/namespaces/shop/configmaps";
    let mut applied = request("PATCH", &format!("{maps}/settings?fieldManager=me"), settings);
    applied["type"] = "application/apply-patch+yaml".into();
    let mut renewed =
        request("PATCH", &format!("{leases}/leader"), json!({"spec": {"holderIdentity": "still-me"}}));
    renewed["type"] = "application/merge-patch+json".into();
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "shop"}},
    });
    vec![
        get("/version"),
        get("/apis"),
        request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review),
        request("POST", leases, lease("leader")),
        renewed,
        get(&format!("{leases}/leader")),
        request("DELETE", &format!("{leases}/leader"), Value::Null),
        applied,
        changed,
        get(&format!("{maps}/settings")),
        request("DELETE", &format!("{maps}/settings"), Value::Null),
        get("/api/v1/namespaces/shop/pods"),
        get("/api/v1/namespaces/shop/pods?watch=true&timeoutSeconds=1"),
        get("/api/v1/namespaces/stock/services"),
        get("/api/v1/nodes"),
        get("/metrics/slis"),
    ]
}

/// What it never did: other names, namespaces, verbs, resources, paths, and ways to more power.
fn mischief() -> Vec<Value> {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}});
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "more"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": "shop"}],
    });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "registry.example.com/c:1"}]},
    });
    vec![
        get("/api/v1/namespaces/shop/secrets"),
        get("/api/v1/namespaces/shop/secrets/x"),
        get("/api/v1/namespaces/shop/configmaps"),
        get("/api/v1/namespaces/shop/configmaps/other"),
        get("/api/v1/namespaces/stock/configmaps/settings"),
        get("/api/v1/pods"),
        get("/api/v1/namespaces/stock/pods"),
        get("/api/v1/namespaces/shop/pods/p"),
        get("/api/v1/namespaces/shop/pods/p/log"),
        get("/api/v1/namespaces/shop/services"),
        get("/api/v1/services"),
        get("/api/v1/nodes/n"),
        get("/api/v1/nodes?watch=true&timeoutSeconds=1"),
        get("/api/v1/nodes/n/proxy/pods"),
        get("/apis/coordination.k8s.io/v1/namespaces/shop/leases/other"),
        get("/apis/coordination.k8s.io/v1/namespaces/shop/leases"),
        get("/metrics"),
        get("/apis/rbac.authorization.k8s.io/v1/clusterroles"),
        request("POST", "/api/v1/namespaces/stock/configmaps", map),
        request("POST", "/api/v1/namespaces/shop/pods", pod),
        request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding),
        request(
            "POST",
            "/api/v1/namespaces/shop/serviceaccounts/web/token",
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}),
        ),
        request("DELETE", "/api/v1/namespaces/shop/pods", Value::Null),
        request("DELETE", "/api/v1/namespaces/shop/configmaps/other", Value::Null),
    ]
}

fn act(server: &mut Server, requests: &[Value]) -> Vec<(String, u64)> {
    let script = json!({"namespace": "shop", "name": "web", "namespaces": ["stock"], "requests": requests});
    let answer = server.ask(&json!({"op": "act", "script": script}));
    let codes =
        answer["codes"].as_array().unwrap_or_else(|| panic!("{answer}")).iter().filter_map(Value::as_u64);
    let names = requests.iter().map(|request| format!("{} {}", request["method"], request["path"]));
    names.zip(codes).collect()
}

fn apply(server: &mut Server, folder: &Path) {
    server.ask(&json!({"op": "reset"}));
    let (objects, _) = State::of(folder).cluster();
    let answer = server.ask(&json!({"op": "apply", "objects": objects}));
    assert_eq!(answer["refused"], json!([]));
}

#[track_caller]
fn check(server: &mut Server, roles: &str, args: &[&str]) {
    let folder = Folder::new();
    let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: web\n  namespace: shop\n";
    folder.write("rbac.yaml", format!("{account}---\n{roles}"));
    apply(server, &folder.path());
    let log = server.audit_log();
    let already = std::fs::read(&log).unwrap_or_default().len();
    // Twice: a name that is asked for once may be another one tomorrow.
    for _ in 0..2 {
        let failed: Vec<_> = act(server, &work()).into_iter().filter(|(_, code)| *code >= 400).collect();
        assert_eq!(failed, [], "with the rights it has");
    }
    folder.write("audit.log", &std::fs::read(&log).unwrap()[already..]);
    let select = ["--select", "permission-never-used", "--audit-log", "audit.log"];
    let command = |name: &'static str| [&[name], &select[..], args].concat();
    folder.run(&[&command("apply")[..], &["--allow-dirty"]].concat()).expect_code(0);
    folder.run(&command("diff")).expect_code(0);

    apply(server, &folder.path());
    let refused: Vec<_> = act(server, &work()).into_iter().filter(|(_, code)| *code >= 400).collect();
    assert_eq!(refused, [], "what was used is still allowed: {}", folder.read("rbac.yaml"));
    let others = act(server, &mischief());
    let allowed: Vec<_> = others.iter().filter(|(_, code)| *code != 403).collect();
    assert!(allowed.is_empty(), "nothing else is: {allowed:?}\n{}", folder.read("rbac.yaml"));
    eprintln!("real: {} requests replayed, {} others refused", work().len(), others.len());
}

fn binding(role: &str) -> String {
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata:\n  name: web-{role}\nroleRef:\n  \
         apiGroup: rbac.authorization.k8s.io\n  kind: ClusterRole\n  name: {role}\nsubjects:\n- kind: ServiceAccount\n  \
         name: web\n  namespace: shop\n"
    )
}

#[test]
fn a_recorded_log_makes_rights_for_what_was_done_and_nothing_else() {
    let Some(program) = program("CASEHARDEN_RBAC_ORACLE") else { return };
    let mut server = Server::start(&program, None);
    check(&mut server, &binding("cluster-admin"), &[]);
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: web\nrules:\n\
        - apiGroups: [\"\", \"apps\"]\n  resources: [\"*\"]\n  verbs: [\"*\"]\n\
        - apiGroups: [\"coordination.k8s.io\"]\n  resources: [\"*\"]\n  verbs: [\"*\"]\n\
        - nonResourceURLs: [\"*\"]\n  verbs: [\"get\", \"post\"]\n";
    check(&mut server, &format!("{role}---\n{}", binding("web")), &[]);
}
