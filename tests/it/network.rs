//! `network`: what its commands print and how they end.

use crate::cli::schema::conforms;
use crate::program::Folder;

/// A shop whose `db` takes connections of `web` only, on another port than `report` wants.
fn shop() -> Folder {
    let workload = |name: &str, env: &str, port: u16| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  selector: \
             {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      \
             containers:\n        - name: main\n          image: example.org/{name}:1\n          env:\n            {env}\n          \
             ports: [{{containerPort: {port}}}]\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: \
             shop}}\nspec: {{selector: {{app: {name}}}, ports: [{{port: 80, targetPort: {port}}}]}}\n"
        )
    };
    let policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: db, namespace: shop}\nspec:\n  \
                  podSelector: {matchLabels: {app: db}}\n  policyTypes: [Ingress]\n  ingress:\n    - from:\n        - \
                  podSelector: {matchLabels: {app: web}}\n      ports: [{port: 5432}]\n";
    let folder = Folder::new();
    folder.write("web.yaml", workload("web", "- {name: DB, value: 'db:80'}", 8080));
    folder.write("db.yaml", workload("db", "- {name: MODE, value: primary}", 5432));
    folder.write("report.yaml", workload("report", "- {name: DB, value: 'db:80'}", 9000));
    folder.write("policy.yaml", policy);
    folder
}

#[test]
fn a_graph_shows_what_is_allowed_and_what_is_needed_and_denied() {
    let text = shop().run(&["network", "graph"]).expect_code(0).stdout;
    assert!(
        text.contains("to      db                                  TCP 5432        needed: web.yaml:"),
        "{text}"
    );
    assert!(text.contains("denied  db                                                  needed and denied TCP 5432: report.yaml:"), "{text}");
    assert!(text.contains("from    web                                 TCP 5432\n"), "{text}");
    assert!(text.contains("3 workloads: policies restrict the ingress of 1 and the egress of 0"), "{text}");
}

#[test]
fn a_graph_for_programs_keeps_the_promise_of_its_schema() {
    let folder = shop();
    let schema = folder.run(&["network", "graph", "--schema"]).expect_code(0).json();
    let graph = folder.run(&["network", "graph", "--format", "json"]).expect_code(0).json();
    conforms(&graph, &schema);
    let denied: Vec<&serde_json::Value> = graph["connections"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|connection| connection["ports"].as_array().unwrap().is_empty())
        .collect();
    assert_eq!((denied.len(), &denied[0]["from"]), (1, &"report".into()));
}

#[test]
fn graphs_for_drawing_name_every_workload_and_connection() {
    for (format, arrow) in
        [("dot", "w2 -> w0 [label=\"TCP 5432\", style=bold]"), ("mermaid", "w2 ==>|\"TCP 5432\"| w0")]
    {
        let text = shop().run(&["network", "graph", "--format", format]).expect_code(0).stdout;
        assert!(text.contains(arrow), "{text}");
    }
}

/// Exit code, and what the answer must have.
#[track_caller]
fn check(folder: &Folder, from: &str, to: &str, code: i32, words: &[&str]) {
    let run = folder.run(&["network", "explain", from, to]).expect_code(code);
    for word in words {
        assert!(
            run.stdout.contains(word) || run.stderr.contains(word),
            "{word}: {}{}",
            run.stdout,
            run.stderr
        );
    }
}

#[test]
fn explain_names_the_line_that_decides() {
    let folder = shop();
    check(
        &folder,
        "web",
        "db:5432",
        0,
        &[
            "web -> db TCP 5432: allowed",
            "NetworkPolicy/db in shop, policy.yaml:8, allows TCP 5432",
            "needed: web.yaml:",
        ],
    );
    check(
        &folder,
        "deploy/report",
        "db:5432",
        1,
        &["denied", "isolated by NetworkPolicy/db (policy.yaml:1)"],
    );
    check(&folder, "db", "web", 0, &["allowed on any port", "no policy restricts it"]);
    check(&folder, "web", "db", 0, &["allowed on TCP 5432"]);
}

#[test]
fn explain_follows_a_services_port_to_the_pods() {
    check(
        &shop(),
        "web",
        "db:80",
        0,
        &["Service/db leads its port 80 to port 5432 of the pods", "TCP 5432: allowed"],
    );
}

#[test]
fn explain_knows_ends_that_no_manifest_shows() {
    let folder = shop();
    check(&folder, "192.0.2.1", "db:5432", 1, &["denied"]);
    check(&folder, "web", "192.0.2.1:443", 0, &["allowed"]);
    check(&folder, "node", "db:5432", 0, &["a pod's own node always reaches it"]);
    check(&folder, "shop/app=web", "db:5432", 0, &["allowed"]);
    check(&folder, "lab/app=web", "db:5432", 1, &["denied"]);
}

#[test]
fn explain_asks_back_when_it_cannot_tell_who_is_meant() {
    let folder = shop();
    check(&folder, "webb", "db", 2, &["there is no workload `webb`", "did you mean `web`?"]);
    check(&folder, "web", "db:http", 2, &["no container of the destination has a TCP port `http`"]);
}

#[test]
fn what_other_policies_decide_is_not_judged() {
    let folder = shop();
    folder.write("c.yaml", "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: c, namespace: shop}\nspec: {}\n");
    check(
        &folder,
        "web",
        "db:5432",
        2,
        &[
            "not judged; the policies that are judged allow it",
            "not judged: CiliumNetworkPolicy/c (c.yaml:1)",
        ],
    );
    let graph = folder.run(&["network", "graph", "--format", "json"]).expect_code(0).json();
    assert_eq!(graph["workloads"][0]["judged"], false);
}

#[test]
fn a_diff_shows_what_the_fixes_restrict_and_loses_nothing_that_is_needed() {
    let folder = shop();
    let run = folder.run(&["network", "diff"]).expect_code(0);
    assert!(run.stdout.contains("was open to everything, now only"), "{}", run.stdout);
    let diff = folder.run(&["network", "diff", "--format", "json"]).expect_code(0).json();
    assert_eq!(diff["lost_needs"], serde_json::json!([]));
    // What it says is what comes of it.
    folder.run(&["apply", "--quiet", "--allow-dirty"]);
    let again = folder.run(&["network", "diff"]).expect_code(0).stdout;
    assert_eq!(again, "the fixes change no connection\n");
}
