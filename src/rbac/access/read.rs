//! Reads the objects of a model that have to do with access.

mod signs;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rayon::prelude::*;
use serde_json::Value;

use super::index::Index;
use super::{
    Access, AccountObject, AccountUser, BindingObject, BoundSubject, DEFAULT_ACCOUNT, DEFAULT_NAMESPACE,
    RoleObject, RoleSource,
};
use crate::model::{Layout, Model, Object, Pod, pods};
use crate::rbac::policy::RoleKey;
use crate::rbac::recorded::Recorded;
use crate::rbac::resources::Resources;
use crate::rbac::rule::PolicyRule;
use crate::rbac::subject::Subject;
use crate::yaml::Node;

const GROUP: &str = "rbac.authorization.k8s.io";

/// A Secret of type `kubernetes.io/service-account-token`.
#[derive(Debug, Clone)]
pub struct LegacyToken {
    pub object: Object,
    /// The account it is a token of.
    pub account: Option<String>,
    pub places: Vec<String>,
}

/// A volume of a Secret that may hold a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUse {
    pub secret: String,
    /// Pointer of the volume in the workload.
    pub volume: String,
    /// Whether single keys of it are mapped to paths.
    pub mapped: bool,
}

/// What an object says of access.
enum Said<'m> {
    Role(RoleObject),
    /// Read when all roles are known.
    Binding(&'m Object, Value),
    Account(AccountObject),
    Token(LegacyToken),
    Definition(Node<'m>),
    Users(Vec<AccountUser>),
}

pub(super) fn read<'m>(model: &'m Model<'m>, recorded: Recorded) -> Access<'m> {
    let mut access = Access {
        model,
        resources: Resources::new(recorded.resources.clone()),
        roles: Vec::new(),
        bindings: Vec::new(),
        accounts: Vec::new(),
        users: Vec::new(),
        tokens: Vec::new(),
        index: Index::default(),
        recorded,
    };
    let files = (0..model.repo().files.len()).into_par_iter();
    let said: Vec<Said<'m>> = files
        .flat_map_iter(|file| model.objects_of(file).iter().filter_map(|object| said(model, object)))
        .collect();
    let mut bindings = Vec::new();
    for said in said {
        match said {
            Said::Role(role) => access.roles.push(role),
            Said::Binding(object, value) => bindings.push((object, value)),
            Said::Account(account) => access.accounts.push(account),
            Said::Token(token) => access.tokens.push(token),
            Said::Definition(definition) => access.resources.add_definition(definition),
            Said::Users(users) => access.users.extend(users),
        }
    }
    tell_apart(&mut access.roles);
    access.index = Index::of(&access);
    let read = bindings.par_iter().filter_map(|(object, value)| binding(&access, object, value)).collect();
    access.bindings = read;
    access.index.add_bindings(&access.bindings);
    access
}

fn said<'m>(model: &'m Model<'m>, object: &'m Object) -> Option<Said<'m>> {
    match (object.id.group(), &*object.id.kind) {
        (GROUP, "Role" | "ClusterRole") => role(model, object, &model.value(object)?).map(Said::Role),
        (GROUP, "RoleBinding" | "ClusterRoleBinding") => Some(Said::Binding(object, model.value(object)?)),
        ("", "ServiceAccount") => Some(Said::Account(AccountObject {
            object: object.clone(),
            places: places(model, object),
            carries: model.value(object).and_then(|value| carries(&value)),
        })),
        ("", "Secret") => token(model, object, &model.value(object)?).map(Said::Token),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => model.node(object).map(Said::Definition),
        _ => {
            let layout = object.layout.as_ref()?;
            Some(Said::Users(users(model, object, layout, &model.value(object)?)))
        }
    }
}

/// The namespaces of an object, where nothing tells the one that clients choose.
fn places(model: &Model<'_>, object: &Object) -> Vec<String> {
    let known = model.namespaces(object);
    if known.is_empty() { vec![DEFAULT_NAMESPACE.to_owned()] } else { known }
}

fn role(model: &Model<'_>, object: &Object, value: &Value) -> Option<RoleObject> {
    let rules: Vec<PolicyRule> = match &value["rules"] {
        Value::Null => Vec::new(),
        rules => serde_json::from_value(rules.clone()).ok()?,
    };
    let is_cluster_wide = *object.id.kind == *"ClusterRole";
    let aggregates = value["aggregationRule"]["clusterRoleSelectors"].as_array().filter(|_| is_cluster_wide);
    Some(RoleObject {
        object: object.clone(),
        places: if is_cluster_wide { Vec::new() } else { places(model, object) },
        rules,
        labels: labels(value),
        aggregates: aggregates.map(|selectors| {
            selectors.iter().filter_map(|selector| serde_json::from_value(selector.clone()).ok()).collect()
        }),
        variant: 0,
    })
}

fn labels(value: &Value) -> BTreeMap<String, String> {
    let labels = value["metadata"]["labels"].as_object().into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// Numbers roles that would be the same one in a cluster.
fn tell_apart(roles: &mut [RoleObject]) {
    let mut seen: HashMap<(bool, String), usize> = HashMap::new();
    for role in roles {
        let next = seen.entry((role.is_cluster_wide(), role.object.id.name.to_string())).or_default();
        role.variant = *next;
        *next += 1;
    }
}

/// Cloud identities are given to accounts by annotation; pull secrets are those of the account's pods.
fn carries(account: &Value) -> Option<&'static str> {
    let has_items = |key: &str| account[key].as_array().is_some_and(|list| !list.is_empty());
    let annotations = account["metadata"]["annotations"].as_object();
    let has_identity = annotations.is_some_and(|annotations| {
        annotations.keys().any(|key| {
            ["eks.amazonaws.com/", "iam.gke.io/", "azure.workload.identity/"]
                .iter()
                .any(|start| key.starts_with(start))
        })
    });
    if has_items("imagePullSecrets") {
        Some("pull secrets")
    } else if has_identity {
        Some("a cloud identity")
    } else if has_items("secrets") {
        Some("secrets")
    } else {
        None
    }
}

fn token(model: &Model<'_>, object: &Object, value: &Value) -> Option<LegacyToken> {
    (value["type"] == "kubernetes.io/service-account-token").then(|| LegacyToken {
        object: object.clone(),
        account: value["metadata"]["annotations"]["kubernetes.io/service-account.name"]
            .as_str()
            .map(str::to_owned),
        places: places(model, object),
    })
}

/// The workload once for every account that its pods run as.
fn users(model: &Model<'_>, object: &Object, layout: &Layout, value: &Value) -> Vec<AccountUser> {
    let own = value["spec"]["serviceAccountName"].as_str();
    let pods = pods(layout, value);
    let mut users: BTreeMap<String, AccountUser> = BTreeMap::new();
    for pod in &pods {
        // What an operator or Tekton makes pods of names its account in the object itself, or not at all.
        let account = match layout {
            Layout::PodSpec { .. } | Layout::Argo { .. } => pod.service_account(),
            _ => match own {
                Some(account) => account,
                None => continue,
            },
        };
        let user = users.entry(account.to_owned()).or_insert_with(|| AccountUser {
            object: object.clone(),
            account: account.to_owned(),
            namespaces: model.namespaces(object),
            pod_spec: matches!(layout, Layout::PodSpec { .. }).then(|| pod.pointer.clone()),
            secrets: BTreeSet::new(),
            stays_home: None,
            roams: None,
            mounts: Vec::new(),
        });
        add_pod(user, pod);
    }
    users.into_values().collect()
}

fn add_pod(user: &mut AccountUser, pod: &Pod<'_>) {
    signs::secrets(&pod.spec, &mut user.secrets);
    for (idx, volume) in pod.spec["volumes"].as_array().into_iter().flatten().enumerate() {
        if let Some(secret) = volume["secret"]["secretName"].as_str() {
            let mapped = volume["secret"]["items"].is_array();
            let volume = format!("{}/volumes/{idx}", pod.pointer);
            user.mounts.push(TokenUse { secret: secret.to_owned(), volume, mapped });
        }
    }
    let home = &user.namespaces;
    user.stays_home = user.stays_home.take().or_else(|| signs::stays_home(pod, home));
    user.roams = user.roams.take().or_else(|| signs::roams(pod, home));
}

fn binding(access: &Access<'_>, object: &Object, value: &Value) -> Option<BindingObject> {
    let model = access.model;
    let is_cluster_wide = *object.id.kind == *"ClusterRoleBinding";
    let around = places(model, object);
    let (role_kind, role_name) = (value["roleRef"]["kind"].as_str()?, value["roleRef"]["name"].as_str()?);
    let subjects = value["subjects"].as_array().into_iter().flatten().enumerate();
    let subjects =
        subjects.filter_map(|(index, subject)| bound(access, object, &around, index, subject)).collect();
    Some(BindingObject {
        object: object.clone(),
        role: role_source(access, object, role_kind, role_name, &around),
        places: if is_cluster_wide { Vec::new() } else { around },
        role_kind: role_kind.to_owned(),
        role_name: role_name.to_owned(),
        subjects,
    })
}

fn role_source(
    access: &Access<'_>,
    binding: &Object,
    kind: &str,
    name: &str,
    around: &[String],
) -> RoleSource {
    let named = access.index.roles_named(name).iter().map(|idx| (*idx, &access.roles[*idx]));
    let candidates = named.filter(|(_, role)| {
        *role.object.id.kind == *kind
            && (role.is_cluster_wide() || role.places.iter().any(|place| around.contains(place)))
    });
    // The first of the nearest.
    let nearest = candidates.map(|(idx, role)| (nearness(access.model, binding, &role.object), idx));
    if let Some((_, idx)) = nearest.max_by_key(|(near, idx)| (*near, std::cmp::Reverse(*idx))) {
        return RoleSource::Repo(idx);
    }
    let of = |key: &RoleKey| {
        key.name == name
            && match &key.namespace {
                None => kind == "ClusterRole",
                Some(namespace) => kind == "Role" && around.contains(namespace),
            }
    };
    let built_in = access.recorded.roles.iter().find(|role| of(&role.key));
    built_in.map_or(RoleSource::Missing, |role| RoleSource::BuiltIn(role.key.clone()))
}

/// How close an object is to another: in its file, in one of its builds, in a folder nearby.
fn nearness(model: &Model<'_>, a: &Object, b: &Object) -> (bool, bool, usize) {
    let (a_path, b_path) = (&model.file(a).path, &model.file(b).path);
    let shared = a_path.split('/').zip(b_path.split('/')).take_while(|(a, b)| a == b).count();
    (a.file == b.file, model.builds.share(a_path, b_path), shared)
}

fn bound(
    access: &Access<'_>,
    binding: &Object,
    around: &[String],
    index: usize,
    subject: &Value,
) -> Option<BoundSubject> {
    let (kind, name) = (subject["kind"].as_str()?, subject["name"].as_str()?);
    let written = subject["namespace"].as_str().filter(|namespace| !namespace.is_empty());
    let is = around.iter().map(|place| {
        let subject = match kind {
            "ServiceAccount" => {
                Subject::account(&account_namespace(access, binding, place, written, name), name)
            }
            "Group" => Subject::Group(name.to_owned()),
            _ => Subject::User(name.to_owned()),
        };
        (place.clone(), subject.normal())
    });
    Some(BoundSubject {
        index,
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: written.map(str::to_owned),
        is: is.collect(),
    })
}

/// The namespace of an account that a binding names. Kustomize gives accounts of its build, and those called
/// `default`, the namespace of the build, whatever is written:
/// <https://github.com/kubernetes-sigs/kustomize/blob/master/api/filters/namespace/namespace.go>.
fn account_namespace(
    access: &Access<'_>,
    binding: &Object,
    place: &str,
    written: Option<&str>,
    name: &str,
) -> String {
    let model = access.model;
    let path = &model.file(binding).path;
    let is_renamed = model.builds.given_namespaces(path).next().is_some()
        && (name == DEFAULT_ACCOUNT
            || access
                .accounts_named(name)
                .any(|account| model.builds.share(path, &model.file(&account.object).path)));
    match written {
        _ if is_renamed => place.to_owned(),
        Some(written) => written.to_owned(),
        None => place.to_owned(),
    }
}
