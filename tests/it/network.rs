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
    folder.write("c.yaml", "apiVersion: crd.antrea.io/v1beta1\nkind: NetworkPolicy\nmetadata: {name: c, namespace: shop}\nspec: {}\n");
    check(
        &folder,
        "web",
        "db:5432",
        2,
        &["not judged; the policies that are judged allow it", "not judged: NetworkPolicy/c (c.yaml:1)"],
    );
    let graph = folder.run(&["network", "graph", "--format", "json"]).expect_code(0).json();
    assert_eq!(graph["workloads"][0]["judged"], false);
}

#[test]
fn policies_of_cilium_and_calico_are_judged_along_with_the_others() {
    let folder = shop();
    let cilium = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: c, namespace: shop}\nspec:\n  \
                  endpointSelector: {matchLabels: {app: db}}\n  ingressDeny:\n    - fromEndpoints: [{matchLabels: {app: web}}]\n  \
                  ingress:\n    - fromEndpoints: [{matchLabels: {app: report}}]\n  egress:\n    - toFQDNs: [{matchName: \
                  api.example.org}]\n";
    folder.write("c.yaml", cilium);
    check(
        &folder,
        "web",
        "db:5432",
        1,
        &["denied", "CiliumNetworkPolicy/c in shop, c.yaml:7, denies any port"],
    );
    check(&folder, "report", "db:5432", 0, &["CiliumNetworkPolicy/c in shop, c.yaml:9, allows any port"]);
    let text = folder.run(&["network", "graph"]).expect_code(0).stdout;
    assert!(text.contains("host api.example.org"), "{text}");
    folder.write("c.yaml", "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: c}\nspec: {order: 1, ingress: [{action: Deny, source: {selector: \"app == 'web'\"}}]}\n");
    check(&folder, "web", "db:5432", 1, &["GlobalNetworkPolicy/c, c.yaml:4, denies any port"]);
}

/// A team's own template that fails on a name which it was not tried out with.
#[test]
fn a_template_that_fails_is_an_error_with_its_line() {
    let folder = shop();
    folder.run(&["templates", "export", "own"]).expect_code(0);
    let path = "own/network/policy.yaml";
    let text = folder.read(path);
    let at = text.find("apiVersion: networking").unwrap();
    let (before, after) = text.split_at(at);
    folder.write(
        path,
        format!("{before}{{% if name == \"report\" %}}{{{{ nothing.at.all }}}}{{% endif %}}\n{after}"),
    );
    let line = before.lines().count() + 1;
    let run = folder.run(&["diff", "--templates", "own", "--select", "network"]).expect_code(2);
    assert!(run.stderr.contains(&format!("error: own/network/policy.yaml:{line}")), "{}", run.stderr);
    folder.run(&["network", "diff", "--templates", "own"]).expect_code(2);
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

#[test]
fn a_probe_tries_what_must_work_and_what_must_not_and_is_restricted_itself() {
    let folder = shop();
    let run = folder.run(&["network", "probe"]).expect_code(0);
    assert!(run.stdout.contains("- blocked db 80") && run.stdout.contains("- works db 80"), "{}", run.stdout);
    assert!(run.stderr.contains("2 jobs: 3 connections must work, 1 must be blocked"), "{}", run.stderr);
    let report = folder.run_with(&["check", "--format", "json", "-"], run.stdout.as_bytes()).json();
    let workloads = report["workloads"].as_array().unwrap();
    assert_eq!(workloads.len(), 2);
    assert!(workloads.iter().all(|workload| workload["level"] == "restricted"), "{workloads:?}");
}

/// The script of a probe, run with stand-ins for what it calls: `db` has no address, `web:80` answers.
#[cfg(unix)]
#[test]
fn a_probes_script_says_pass_or_fail_and_fails_with_any_row() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = shop();
    let jobs = folder.run(&["network", "probe"]).expect_code(0).stdout;
    let job: serde_json::Value = serde_yaml::from_str(jobs.split("---\n").nth(1).unwrap()).unwrap();
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    let script = container["command"][2].as_str().unwrap();
    folder.write("bin/nslookup", "#!/bin/sh\n[ \"$1\" != db ]\n");
    folder.write("bin/nc", "#!/bin/sh\n[ \"$4 $5\" = 'web 80' ]\n");
    for name in ["nslookup", "nc"] {
        let path = folder.path().join("bin").join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let run = |rows: &[&str]| {
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", script, "probe"]).args(rows);
        let path = format!("{}:/usr/bin:/bin", folder.path().join("bin").display());
        let output = command.env("PATH", path).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(
        run(&["works web 80", "blocked web 81"]),
        (0, "pass  web:80 works\npass  web:81 blocked\n".to_owned())
    );
    let (code, text) = run(&["blocked web 80", "works web 81", "blocked db 80"]);
    assert_eq!((code, text.matches("FAIL").count()), (1, 3), "{text}");
}
