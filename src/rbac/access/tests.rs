use super::*;
use crate::rbac::Request;
use crate::repo::{File, Repo};
use crate::yaml::Stream;

/// A repo of files, each with its text.
fn repo(files: &[(&str, &str)]) -> Repo {
    let mut files: Vec<File> = files
        .iter()
        .map(|(path, text)| File {
            path: (*path).to_owned(),
            stream: Stream::parse((*text).to_owned(), &crate::repo::LIMITS).unwrap(),
            marker: None,
            context_only: false,
            content: crate::repo::Content::Objects,
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Repo { files, ..Repo::default() }
}

/// Whether the account `app/web` may get pods in a namespace.
#[track_caller]
fn check(files: &[(&str, &str)], namespace: &str, expected: bool) {
    let repo = repo(files);
    let model = Model::new(&repo, &[]);
    let access = Access::new(&model, KubernetesVersion { minor: 37 });
    let request = Request::resource("get", "", "pods", namespace);
    let web = Subject::account("app", "web").identity();
    assert_eq!(access.policy().allows(&web, &request), expected, "{:#?}", access.bindings);
}

const ROLE: &str = "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: r}, \
    rules: [{verbs: [get], apiGroups: [''], resources: [pods]}]}\n";
const EMPTY: &str =
    "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: r}, rules: []}\n";
const ACCOUNT: &str = "{apiVersion: v1, kind: ServiceAccount, metadata: {name: web}}\n";

fn binding(kind: &str, metadata: &str, subject: &str) -> String {
    format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: {kind}, metadata: {{{metadata}}}, \
         roleRef: {{kind: ClusterRole, name: r}}, subjects: [{{{subject}}}]}}\n"
    )
}

#[test]
fn bindings_hold_where_they_say() {
    let wide = binding("ClusterRoleBinding", "name: b", "kind: ServiceAccount, name: web, namespace: app");
    let narrow =
        binding("RoleBinding", "name: b, namespace: app", "kind: ServiceAccount, name: web, namespace: app");
    check(&[("a.yaml", ROLE), ("b.yaml", &wide)], "other", true);
    check(&[("a.yaml", ROLE), ("b.yaml", &narrow)], "other", false);
    check(&[("a.yaml", ROLE), ("b.yaml", &narrow)], "app", true);
}

#[test]
fn a_binding_means_the_nearest_role_of_its_name() {
    let wide = binding("ClusterRoleBinding", "name: b", "kind: ServiceAccount, name: web, namespace: app");
    check(&[("x/r.yaml", ROLE), ("y/b.yaml", &wide), ("y/r.yaml", EMPTY)], "app", false);
    check(&[("x/r.yaml", EMPTY), ("y/b.yaml", &wide), ("y/r.yaml", ROLE)], "app", true);
}

#[test]
fn a_build_moves_the_accounts_that_it_makes() {
    let wide = binding("ClusterRoleBinding", "name: b", "kind: ServiceAccount, name: web, namespace: system");
    let build = "kind: Kustomization\nnamespace: app\nresources: [a.yaml, b.yaml, c.yaml]\n";
    let files = [("a.yaml", ROLE), ("b.yaml", &*wide), ("c.yaml", ACCOUNT), ("kustomization.yaml", build)];
    check(&files, "other", true);
    // Somebody else's account stays where it is.
    let without = "kind: Kustomization\nnamespace: app\nresources: [a.yaml, b.yaml]\n";
    check(&[("a.yaml", ROLE), ("b.yaml", &wide), ("kustomization.yaml", without)], "other", false);
}

#[test]
fn groups_of_accounts_are_everybody_in_them() {
    let group =
        |name: &str| binding("ClusterRoleBinding", "name: b", &format!("kind: Group, name: '{name}'"));
    check(&[("a.yaml", ROLE), ("b.yaml", &group("system:serviceaccounts"))], "x", true);
    check(&[("a.yaml", ROLE), ("b.yaml", &group("system:serviceaccounts:app"))], "x", true);
    check(&[("a.yaml", ROLE), ("b.yaml", &group("system:serviceaccounts:x"))], "x", false);
}

#[test]
fn labels_extend_the_roles_that_every_server_has() {
    let source =
        ROLE.replace("name: r", "name: s, labels: {rbac.authorization.k8s.io/aggregate-to-view: 'true'}");
    let source = source.replace("[pods]", "[things]").replace("['']", "[x.example]");
    let view = binding("ClusterRoleBinding", "name: b", "kind: ServiceAccount, name: web, namespace: app")
        .replace("name: r", "name: view");
    let repo = repo(&[("a.yaml", &source), ("b.yaml", &view)]);
    let model = Model::new(&repo, &[]);
    let policy = Access::new(&model, KubernetesVersion { minor: 37 }).policy();
    let web = Subject::account("app", "web").identity();
    assert!(policy.allows(&web, &Request::resource("get", "x.example", "things", "a")));
    assert!(policy.allows(&web, &Request::resource("list", "", "pods", "a")));
    assert!(!policy.allows(&web, &Request::resource("get", "", "secrets", "a")));
}

#[test]
fn workloads_run_as_the_account_they_name() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: app}, spec: {serviceAccountName: web, \
               containers: [{name: c, image: i, env: [{name: WATCH_NAMESPACE, value: app}]}], \
               volumes: [{name: v, secret: {secretName: s}}]}}\n";
    let repo = repo(&[("p.yaml", pod)]);
    let model = Model::new(&repo, &[]);
    let access = Access::new(&model, KubernetesVersion { minor: 37 });
    let web = Subject::account("app", "web");
    let user = access.users_of(&web).next().unwrap();
    assert_eq!(user.secrets, BTreeSet::from(["s".to_owned()]));
    assert!(user.stays_home.is_some() && user.roams.is_none());
    assert!(access.users_of(&Subject::account("app", "default")).next().is_none());
}
