//! Service accounts, roles and bindings, rendered. Knows their shapes; not who needs them.

use k8s_openapi::api::core::v1::{ServiceAccount, Volume};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use serde_json::{Value, json};

use super::decode::{self, Problem};
use super::{RenderedFile, TemplateError, Templates, must_be};
use crate::rbac::PolicyRule;

const ACCOUNT: &str = "rbac/service-account.yaml";
const BINDING: &str = "rbac/role-binding.yaml";
const ROLE: &str = "rbac/role.yaml";
const TOKEN: &str = "rbac/token-volume.yaml";

/// A role to render.
#[derive(Debug, Clone, Copy)]
pub struct NewRole<'a> {
    /// `None` for a ClusterRole; empty for a Role whose namespace a kustomization gives.
    pub namespace: Option<&'a str>,
    pub name: &'a str,
    pub rules: &'a [PolicyRule],
}

/// A binding to render.
#[derive(Debug, Clone, Copy)]
pub struct NewBinding<'a> {
    /// As that of a [`NewRole`].
    pub namespace: Option<&'a str>,
    pub name: &'a str,
    pub role_kind: &'a str,
    pub role_name: &'a str,
    /// Namespace and name; the namespace may be empty where a kustomization gives it.
    pub accounts: &'a [(String, String)],
}

impl Templates {
    /// The manifest of a service account.
    pub fn service_account(
        &self,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<RenderedFile, TemplateError> {
        self.file(ACCOUNT, json!({"name": name, "namespace": namespace}), |text| {
            let value = decode::typed::<ServiceAccount>(text)?;
            must_be(&value, "/metadata/name", &json!(name))?;
            must_have_namespace(&value, namespace)?;
            Ok(value)
        })
    }

    /// The manifest of a Role or ClusterRole.
    pub fn role(&self, role: &NewRole<'_>) -> Result<RenderedFile, TemplateError> {
        let kind = if role.namespace.is_some() { "Role" } else { "ClusterRole" };
        let namespace = role.namespace.filter(|namespace| !namespace.is_empty());
        let rules = json!(role.rules);
        let variables = json!({"kind": kind, "name": role.name, "namespace": namespace, "rules": rules});
        self.file(ROLE, variables, |text| {
            let value = match kind {
                "Role" => decode::typed::<Role>(text)?,
                _ => decode::typed::<ClusterRole>(text)?,
            };
            must_be(&value, "/kind", &json!(kind))?;
            must_be(&value, "/metadata/name", &json!(role.name))?;
            must_have_namespace(&value, namespace)?;
            must_be(&value, "/rules", &rules)?;
            Ok(value)
        })
    }

    /// The manifest of a RoleBinding or ClusterRoleBinding.
    pub fn role_binding(&self, binding: &NewBinding<'_>) -> Result<RenderedFile, TemplateError> {
        let kind = if binding.namespace.is_some() { "RoleBinding" } else { "ClusterRoleBinding" };
        let namespace = binding.namespace.filter(|namespace| !namespace.is_empty());
        let accounts: Vec<Value> = binding
            .accounts
            .iter()
            .map(|(namespace, name)| {
                let namespace = Some(namespace).filter(|namespace| !namespace.is_empty());
                json!({"name": name, "namespace": namespace})
            })
            .collect();
        let role = json!({"kind": binding.role_kind, "name": binding.role_name});
        let variables = json!({
            "kind": kind, "name": binding.name, "namespace": namespace, "role": role, "accounts": accounts,
        });
        self.file(BINDING, variables, |text| {
            let value = match kind {
                "RoleBinding" => decode::typed::<RoleBinding>(text)?,
                _ => decode::typed::<ClusterRoleBinding>(text)?,
            };
            must_be(&value, "/kind", &json!(kind))?;
            must_be(&value, "/metadata/name", &json!(binding.name))?;
            must_have_namespace(&value, namespace)?;
            must_be(&value, "/roleRef/kind", &json!(binding.role_kind))?;
            must_be(&value, "/roleRef/name", &json!(binding.role_name))?;
            for (idx, (_, name)) in binding.accounts.iter().enumerate() {
                must_be(&value, &format!("/subjects/{idx}/name"), &json!(name))?;
            }
            if value["subjects"].as_array().is_some_and(|list| list.len() != binding.accounts.len()) {
                return Err(Problem::new("`subjects` must be the accounts that are given"));
            }
            Ok(value)
        })
    }

    /// The volume that takes the place of a mounted token Secret.
    pub fn token_volume(&self, name: &str) -> Result<Value, TemplateError> {
        let value = self.cached(TOKEN, json!({"name": name}), |text| {
            let value = decode::typed::<Volume>(text)?;
            must_be(&value, "/name", &json!(name))?;
            let sources = value["projected"]["sources"].as_array();
            let mut tokens = sources.into_iter().flatten().map(|source| &source["serviceAccountToken"]);
            if !tokens.any(|token| token["expirationSeconds"].is_i64()) {
                return Err(Problem::new("it must project a `serviceAccountToken` with `expirationSeconds`"));
            }
            Ok(value)
        })?;
        Ok((*value).clone())
    }

    /// Renders all of these with sample values.
    pub(super) fn try_out_access(&self) -> Vec<TemplateError> {
        let rule = PolicyRule {
            verbs: vec!["get".to_owned()],
            api_groups: vec![String::new()],
            resources: vec!["pods/log".to_owned()],
            resource_names: vec!["a: b".to_owned()],
            non_resource_urls: Vec::new(),
        };
        let paths = PolicyRule {
            verbs: vec!["get".to_owned()],
            non_resource_urls: vec!["/metrics*".to_owned()],
            ..PolicyRule::default()
        };
        let accounts = [("sample".to_owned(), "sample".to_owned()), (String::new(), "other".to_owned())];
        let mut results = vec![self.token_volume("sample").map(drop)];
        for namespace in [None, Some(""), Some("sample")] {
            let rules =
                if namespace.is_none() { vec![rule.clone(), paths.clone()] } else { vec![rule.clone()] };
            results.push(self.role(&NewRole { namespace, name: "sample", rules: &rules }).map(drop));
            let (role_kind, role_name) = ("ClusterRole", "sample");
            let binding = NewBinding { namespace, name: "sample", role_kind, role_name, accounts: &accounts };
            results.push(self.role_binding(&binding).map(drop));
            let namespace = namespace.filter(|namespace| !namespace.is_empty());
            results.push(self.service_account(namespace, "sample").map(drop));
        }
        results.into_iter().filter_map(Result::err).collect()
    }
}

pub(super) fn must_have_namespace(value: &Value, namespace: Option<&str>) -> Result<(), Problem> {
    match namespace {
        Some(namespace) => must_be(value, "/metadata/namespace", &json!(namespace)),
        None if value["metadata"]["namespace"].is_null() => Ok(()),
        None => Err(Problem::new("`metadata.namespace` must not be there")),
    }
}
