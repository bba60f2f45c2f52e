//! Each source on manifests of a few lines: what comes out, in words.

use std::fmt::Write;

use crate::config::Config;
use crate::connections::{Certainty, Connections, Flows, Peer, Space};
use crate::model::Model;
use crate::repo::{File, Repo};
use crate::yaml::{Limits, Stream};

/// `path: text` pairs as a repo.
pub(crate) fn repo(files: &[(&str, &str)]) -> Repo {
    let mut repo = Repo::default();
    for (path, text) in files {
        let stream = Stream::parse((*text).to_owned(), &Limits::default()).unwrap();
        let file =
            File { path: (*path).to_owned(), stream, marker: None, context_only: false, is_values: false };
        if path.ends_with("compose.yaml") {
            repo.compose.push(file);
        } else {
            repo.files.push(file);
        }
    }
    repo.files.sort_by(|a, b| a.path.cmp(&b.path));
    repo
}

fn end(connections: &Connections, peer: &Peer) -> String {
    match peer {
        Peer::Member(id) => {
            let member = connections.member(*id);
            match &member.space {
                Space::Named(name) => format!("{name}/{}", member.id.name),
                Space::Unnamed(_) => member.id.name.to_string(),
            }
        }
        Peer::Pods { namespace, labels } => {
            format!("pods {labels:?} of {}", namespace.name().unwrap_or("here"))
        }
        Peer::IngressController { class } => format!("ingress {}", class.as_deref().unwrap_or("-")),
        Peer::Monitoring => "monitoring".to_owned(),
        Peer::ApiServer => "api server".to_owned(),
        Peer::Dns => "dns".to_owned(),
        Peer::Host(name) => name.clone(),
        Peer::IpBlock { cidr, .. } => cidr.clone(),
        Peer::Everything => "anything".to_owned(),
    }
}

/// All connections and what is unresolved, one a line.
pub(crate) fn shown(connections: &Connections) -> String {
    let mut text = String::new();
    for connection in &connections.list {
        let (from, to) = (end(connections, &connection.from), end(connections, &connection.to));
        let port = connection.port.as_ref().map_or("all ports".to_owned(), ToString::to_string);
        let mark = match &connection.certainty {
            Certainty::Sure => "",
            Certainty::Likely(_) => " likely",
            Certainty::Guess(_) => " guess",
        };
        let first = &connection.evidence[0];
        writeln!(text, "{from} -> {to} {port}{mark} ({}:{})", first.path, first.line).unwrap();
    }
    for unresolved in &connections.unresolved {
        let member = connections.member(unresolved.member);
        writeln!(text, "{} ?? {} ({})", member.id.name, unresolved.reason, unresolved.evidence.line).unwrap();
    }
    text
}

#[track_caller]
fn check(files: &[(&str, &str)], expected: &[&str]) {
    let repo = repo(files);
    let model = Model::new(&repo, &[]);
    let connections = Connections::of(&model, &Config::default(), &Flows::default());
    assert_eq!(shown(&connections).lines().collect::<Vec<_>>(), expected);
}

/// A Deployment with a Service in front of its port.
fn server(name: &str, port: u16) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec: {{containers: [{{name: {name}, image: x, ports: [{{name: main, containerPort: {port}}}]}}]}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{selector: {{app: {name}}}, ports: [{{port: {port}, targetPort: main}}]}}\n"
    )
}

/// A Deployment whose container has these further fields.
fn client(fields: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec:\n      containers:\n        - name: web\n          image: x\n{fields}"
    )
}

#[track_caller]
fn check_client(fields: &str, expected: &[&str]) {
    check(&[("db.yaml", &server("db", 5432)), ("web.yaml", &client(fields))], expected);
}

#[test]
fn environment_variables_name_services() {
    let found = &["web -> db TCP main (5432) (web.yaml:14)"];
    check_client("          env:\n            - name: DB\n              value: db:5432\n", found);
    check_client("          env:\n            - name: DB_HOST\n              value: db\n", found);
    check_client(
        "          env:\n            - name: URL\n              value: postgres://u:p@db/x\n",
        found,
    );
}

#[test]
fn a_word_that_is_spelled_like_a_service_is_a_guess() {
    check_client(
        "          env:\n            - name: DB_NAME\n              value: db\n",
        &["web -> db TCP main (5432) guess (web.yaml:14)"],
    );
}

#[test]
fn a_port_that_the_service_lacks_is_said() {
    check_client(
        "          env:\n            - name: DB\n              value: db:5433\n",
        &["web ?? Service/db has no port 5433 (14)"],
    );
}

#[test]
fn arguments_and_init_containers_count() {
    check_client("          args: [--host, db]\n", &["web -> db TCP main (5432) (web.yaml:12)"]);
    check_client(
        "      initContainers:\n        - name: wait\n          image: x\n          command: [sh, -c, 'nc -z db 5432']\n",
        &["web -> db TCP main (5432) (web.yaml:15)"],
    );
}

#[test]
fn files_in_config_maps_are_read_line_by_line() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\ndata:\n  app.conf: |\n    # db:1\n    [main]\n    upstream = db:5432, db.other:1\n";
    let web = client("      volumes:\n        - name: c\n          configMap: {name: app}\n");
    check(
        &[("db.yaml", &server("db", 5432)), ("map.yaml", map), ("web.yaml", &web)],
        &["web -> db TCP main (5432) (map.yaml:8)"],
    );
}

#[test]
fn only_keys_of_secrets_are_looked_at() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {DATABASE_URL: 'postgres://db:5432', PASSWORD: x}\n";
    let web = client("          envFrom: [{secretRef: {name: s}}]\n");
    check(
        &[("db.yaml", &server("db", 5432)), ("s.yaml", secret), ("web.yaml", &web)],
        &["web ?? key DATABASE_URL of Secret/s is not read (12)"],
    );
}

#[test]
fn hosts_outside_are_named_with_their_port() {
    check_client(
        "          env:\n            - name: STRIPE\n              value: https://api.stripe.com/v1\n",
        &["web -> api.stripe.com TCP 443 (web.yaml:14)"],
    );
}

#[test]
fn services_of_other_namespaces_are_found_by_every_form_of_their_name() {
    let namespaced = |text: String, namespace: &str| {
        text.replace("metadata: {name:", &format!("metadata: {{namespace: {namespace}, name:"))
    };
    let db = namespaced(server("db", 5432), "data");
    for name in ["db.data", "db.data.svc", "db.data.svc.cluster.local", "db.data.svc.cluster.local."] {
        let web = namespaced(
            client(&format!("          env:\n            - name: DB\n              value: {name}:5432\n")),
            "shop",
        );
        check(
            &[("db.yaml", &db), ("web.yaml", &web)],
            &["shop/web -> data/db TCP main (5432) (web.yaml:14)"],
        );
    }
}

#[test]
fn stateful_sets_find_their_own_pods() {
    let set = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: etcd}\nspec:\n  serviceName: etcd\n  replicas: 3\n  selector: {matchLabels: {app: etcd}}\n  template:\n    metadata: {labels: {app: etcd}}\n    spec:\n      containers:\n        - {name: etcd, image: x, args: ['--peers=http://etcd-0.etcd:2380']}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: etcd}\nspec: {clusterIP: None, selector: {app: etcd}, ports: [{port: 2379}]}\n";
    check(
        &[("etcd.yaml", set)],
        &["etcd -> etcd TCP 2379 likely (etcd.yaml:5)", "etcd -> etcd TCP 2380 (etcd.yaml:12)"],
    );
}

#[test]
fn routes_lead_from_the_controller_of_their_class() {
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i}\nspec:\n  ingressClassName: nginx\n  rules:\n    - http:\n        paths:\n          - path: /\n            backend: {service: {name: db, port: {number: 5432}}}\n";
    check(
        &[("db.yaml", &server("db", 5432)), ("i.yaml", ingress)],
        &["ingress nginx -> db TCP main (5432) (i.yaml:10)"],
    );
    let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n  rules:\n    - backendRefs:\n        - {name: db, port: 5432}\n";
    check(
        &[("db.yaml", &server("db", 5432)), ("r.yaml", route)],
        &["ingress gateway -> db TCP main (5432) (r.yaml:7)"],
    );
    let route = "apiVersion: route.openshift.io/v1\nkind: Route\nmetadata: {name: r}\nspec:\n  to: {kind: Service, name: db}\n  port: {targetPort: main}\n";
    check(
        &[("db.yaml", &server("db", 5432)), ("r.yaml", route)],
        &["ingress openshift-default -> db TCP main (5432) (r.yaml:5)"],
    );
    let virtual_service = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\nspec:\n  gateways: [edge]\n  http:\n    - route:\n        - destination: {host: db, port: {number: 5432}}\n";
    check(
        &[("db.yaml", &server("db", 5432)), ("v.yaml", virtual_service)],
        &["ingress istio -> db TCP main (5432) (v.yaml:8)"],
    );
}

#[test]
fn services_open_to_the_outside_say_to_whom() {
    let open = server("db", 5432).replace(
        "spec: {selector",
        "spec: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/8], selector",
    );
    check(&[("db.yaml", &open)], &["10.0.0.0/8 -> db TCP main (5432) likely (db.yaml:13)"]);
    let open = server("db", 5432).replace("spec: {selector", "spec: {type: NodePort, selector");
    check(&[("db.yaml", &open)], &["anything -> db TCP main (5432) (db.yaml:13)"]);
}

#[test]
fn the_api_server_calls_webhooks() {
    let hook = "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: h}\nwebhooks:\n  - name: x\n    clientConfig: {service: {name: db, namespace: default, port: 5432}}\n";
    let db = server("db", 5432).replace("metadata: {name:", "metadata: {namespace: default, name:");
    check(&[("db.yaml", &db), ("h.yaml", hook)], &["api server -> default/db TCP main (5432) (h.yaml:6)"]);
}

#[test]
fn accounts_with_rights_talk_to_the_api_server() {
    let binding = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: b, namespace: shop}\nroleRef: {kind: Role, name: r}\nsubjects: [{kind: ServiceAccount, name: web, namespace: shop}]\n";
    let web = client("      serviceAccountName: web\n")
        .replace("metadata: {name:", "metadata: {namespace: shop, name:");
    check(
        &[("b.yaml", binding), ("web.yaml", &web)],
        &["shop/web -> api server TCP 443 (web.yaml:12)", "shop/web -> api server TCP 6443 (web.yaml:12)"],
    );
}

#[test]
fn monitors_and_annotations_ask_for_scrapes() {
    let monitor = "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: m}\nspec:\n  selector: {matchLabels: {team: a}}\n  endpoints: [{targetPort: 5432}]\n";
    let db = server("db", 5432).replace(
        "kind: Service\nmetadata: {name: db}",
        "kind: Service\nmetadata: {name: db, labels: {team: a}}",
    );
    check(&[("db.yaml", &db), ("m.yaml", monitor)], &["monitoring -> db TCP 5432 (m.yaml:6)"]);
    let db = server("db", 5432).replace(
        "metadata: {labels",
        "metadata: {annotations: {prometheus.io/scrape: 'true', prometheus.io/port: '9090'}, labels",
    );
    check(&[("db.yaml", &db)], &["monitoring -> db TCP 9090 (db.yaml:7)"]);
}

#[test]
fn compose_files_say_who_needs_whom() {
    let compose = "services:\n  web:\n    depends_on: [db]\n";
    check(
        &[("db.yaml", &server("db", 5432)), ("web.yaml", &client("")), ("compose.yaml", compose)],
        &["web -> db TCP main (5432) likely (compose.yaml:3)"],
    );
}

#[test]
fn services_without_pods_lead_to_their_endpoints_or_names() {
    let endpoints = "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {ports: [{port: 5432}]}\n---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: db}\nsubsets: [{addresses: [{ip: 10.1.2.3}], ports: [{port: 5432}]}]\n";
    let web = client("          env:\n            - name: DB\n              value: db:5432\n");
    check(&[("db.yaml", endpoints), ("web.yaml", &web)], &["web -> 10.1.2.3/32 TCP 5432 (web.yaml:14)"]);
    let name = "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {type: ExternalName, externalName: db.example.net}\n";
    check(&[("db.yaml", name), ("web.yaml", &web)], &["web -> db.example.net TCP 5432 (web.yaml:14)"]);
}
