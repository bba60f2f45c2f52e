use super::*;
use crate::config::Config;
use crate::connections::Flows;
use crate::network_policy::{Direction, End, Evaluator, Names};
use crate::repo::{Repo, Snapshot};

/// A repo of these files.
fn repo(files: &[(&str, &str)]) -> Repo {
    let texts: BTreeMap<String, String> =
        files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    let source = Snapshot::new(|path: &str| {
        Ok(texts.get(path).ok_or(std::io::ErrorKind::NotFound)?.clone().into_bytes())
    });
    let listing = source.list(texts.keys().cloned(), &[String::new()]);
    crate::repo::read(&source, listing, &Config::default(), &|| ())
}

pub(super) fn read(files: &[(&str, &str)]) -> Cluster {
    let repo = repo(files);
    let config = Config::default();
    let model = Model::new(&repo, &config.workloads);
    Cluster::read(&model, &Connections::of(&model, &config, &Flows::default()))
}

pub(super) fn deployment(name: &str, namespace: &str) -> String {
    let namespace = if namespace.is_empty() { String::new() } else { format!("\n  namespace: {namespace}") };
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}{namespace}\nspec:\n  selector: \
         {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      \
         containers: [{{name: c, image: {name}}}]\n"
    )
}

pub(super) fn policy(name: &str, namespace: &str, spec: &str) -> String {
    let namespace = if namespace.is_empty() { String::new() } else { format!("\n  namespace: {namespace}") };
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: {name}{namespace}\nspec: {spec}\n"
    )
}

/// Names of the workloads whose ingress is restricted.
fn restricted(cluster: &Cluster) -> Vec<String> {
    let (evaluator, names) = (Evaluator::new(cluster), Names::new(cluster));
    let of = 0..cluster.workloads.len();
    of.filter(|idx| evaluator.is_restricted(*idx, Direction::Ingress))
        .map(|idx| names.of(idx).to_owned())
        .collect()
}

const DENY: &str = "{podSelector: {}}";

#[test]
fn a_policy_is_in_every_namespace_that_builds_put_it_in() {
    let base = "resources: [web.yaml, policy.yaml]\n";
    let overlay = |name: &str| format!("namespace: {name}\nresources: [../base]\n");
    let cluster = read(&[
        ("base/kustomization.yaml", base),
        ("base/web.yaml", &deployment("web", "")),
        ("base/policy.yaml", &policy("deny", "", DENY)),
        ("one/kustomization.yaml", &overlay("one")),
        ("two/kustomization.yaml", &overlay("two")),
        ("other.yaml", &deployment("other", "three")),
    ]);
    assert_eq!(restricted(&cluster), ["one/web", "two/web"]);
    assert_eq!(cluster.policies.len(), 2);
}

#[test]
fn without_a_namespace_a_policy_is_for_the_workloads_around_it() {
    let cluster = read(&[
        ("app/manifests/web.yaml", &deployment("web", "")),
        ("app/policies/deny.yaml", &policy("deny", "", DENY)),
        ("other/db.yaml", &deployment("db", "")),
    ]);
    assert_eq!(restricted(&cluster), ["[app/manifests]/web"]);
    let cluster =
        read(&[("web.yaml", &deployment("web", "default")), ("deny.yaml", &policy("deny", "", DENY))]);
    assert_eq!(restricted(&cluster), ["web"]);
}

#[test]
fn places_are_lines_of_the_policy_and_its_rules() {
    let text =
        policy("p", "a", "\n  podSelector: {}\n  ingress:\n  - ports: [{port: 80}]\n  -\n    from: []");
    let cluster = read(&[("x.yaml", &format!("---\n{text}"))]);
    let found = &cluster.policies[0];
    assert_eq!(found.place.to_string(), "x.yaml:2");
    let lines: Vec<usize> = found.ingress.iter().flatten().map(|rule| rule.line).collect();
    assert_eq!(lines, [10, 12]);
}

#[test]
fn a_refused_policy_is_noted_with_its_line_and_not_counted() {
    let bad = policy("p", "a", "\n  podSelector: {}\n  ingress:\n  - from:\n    - {}");
    let cluster = read(&[("web.yaml", &deployment("web", "a")), ("p.yaml", &bad)]);
    assert!(restricted(&cluster).is_empty());
    assert_eq!(cluster.notes[0].place.to_string(), "p.yaml:10");
    assert!(cluster.notes[0].message.contains("API server refuses"), "{}", cluster.notes[0].message);
}

#[test]
fn one_policy_in_two_files_is_one_and_two_that_differ_are_both_counted() {
    let web = deployment("web", "a");
    let same =
        read(&[("web.yaml", &web), ("p.yaml", &policy("p", "a", DENY)), ("q.yaml", &policy("p", "a", DENY))]);
    assert_eq!((same.policies.len(), same.notes.len()), (1, 0));
    let open = policy("p", "a", "{podSelector: {}, ingress: [{}]}");
    let two = read(&[("web.yaml", &web), ("p.yaml", &policy("p", "a", DENY)), ("q.yaml", &open)]);
    assert_eq!((two.policies.len(), two.notes.len()), (2, 1));
}

#[test]
fn policies_of_others_are_named_where_they_have_an_effect() {
    let antrea = "apiVersion: crd.antrea.io/v1beta1\nkind: NetworkPolicy\nmetadata: {name: c, namespace: a}\nspec: {}\n";
    let cluster =
        read(&[("a.yaml", &deployment("web", "a")), ("b.yaml", &deployment("web", "b")), ("c.yaml", antrea)]);
    let named: Vec<usize> =
        cluster.workloads.iter().map(|workload| cluster.foreign_of(workload).count()).collect();
    assert_eq!(named, [1, 0]);
}

#[test]
fn namespaces_have_the_labels_of_their_manifests_under_the_name_a_build_gives_them() {
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: x, labels: {team: a}}\n";
    let allow = policy(
        "p",
        "",
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: a}}}]}]}",
    );
    let cluster = read(&[
        ("kustomization.yaml", "namespace: prod\nresources: [ns.yaml, web.yaml, p.yaml]\n"),
        ("ns.yaml", namespace),
        ("web.yaml", &deployment("web", "")),
        ("p.yaml", &allow),
    ]);
    let verdict = Evaluator::new(&cluster).verdict(End::Workload(0), End::Workload(0));
    assert!(verdict.allowed.is_all());
}

#[test]
fn pods_of_a_job_have_the_labels_that_its_controller_adds() {
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: seed, namespace: a}\nspec:\n  template:\n    spec:\n      \
               containers: [{name: c, image: c}]\n";
    let deny = policy("p", "a", "{podSelector: {matchLabels: {batch.kubernetes.io/job-name: seed}}}");
    assert_eq!(restricted(&read(&[("job.yaml", job), ("p.yaml", &deny)])), ["seed"]);
}
