//! Files that an API server reads, rendered. Knows their shapes; not where they are kept, nor which flag names them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::decode::{self, Problem};
use super::{RenderedFile, TemplateError, Templates, must_be};

const AUDIT_POLICY: &str = "cluster/audit-policy.yaml";

/// `audit.k8s.io/v1 Policy`: <https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/>. The API server
/// passes unknown fields over in silence, so here they are errors.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AuditPolicy {
    api_version: String,
    kind: String,
    rules: Vec<AuditRule>,
    #[serde(default)]
    omit_stages: Vec<Stage>,
    omit_managed_fields: Option<bool>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AuditRule {
    level: AuditLevel,
    users: Option<Vec<String>>,
    user_groups: Option<Vec<String>>,
    verbs: Option<Vec<String>>,
    resources: Option<Vec<GroupResources>>,
    namespaces: Option<Vec<String>>,
    #[serde(rename = "nonResourceURLs")]
    non_resource_urls: Option<Vec<String>>,
    omit_stages: Option<Vec<Stage>>,
    omit_managed_fields: Option<bool>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GroupResources {
    group: Option<String>,
    resources: Option<Vec<String>>,
    resource_names: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
enum AuditLevel {
    None,
    Metadata,
    Request,
    RequestResponse,
}

#[derive(Serialize, Deserialize)]
enum Stage {
    RequestReceived,
    ResponseStarted,
    ResponseComplete,
    Panic,
}

impl Templates {
    /// The audit policy of an API server. `secret_bodies`: whether it logs the values of Secrets and tokens.
    pub fn audit_policy(&self, secret_bodies: bool) -> Result<RenderedFile, TemplateError> {
        self.file(AUDIT_POLICY, json!({"secret_bodies": secret_bodies}), |text| {
            let value = decode::typed::<AuditPolicy>(text)?;
            must_be(&value, "/apiVersion", &json!("audit.k8s.io/v1"))?;
            must_be(&value, "/kind", &json!("Policy"))?;
            if value["rules"].as_array().is_none_or(Vec::is_empty) {
                return Err(Problem::new("the API server refuses a policy without rules"));
            }
            Ok::<Value, Problem>(value)
        })
    }

    /// Renders the templates of this file with every kind of input.
    pub(super) fn try_out_cluster(&self) -> Vec<TemplateError> {
        [false, true].into_iter().filter_map(|bodies| self.audit_policy(bodies).err()).collect()
    }
}
