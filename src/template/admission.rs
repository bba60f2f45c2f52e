//! Admission policies: what their templates are given, and the spec that must come out, for each engine.
//!
//! A template decides how a policy reads, with comments and labels; what it asks for is decided before.

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use serde_json::{Map, Value, json};

use super::decode::{self, Problem};
use super::{RenderedFile, TemplateError, Templates, must_be};
use crate::admission::{KINDS, Scope, Variable};

pub(super) const POLICY: &str = "admission/validating-admission-policy.yaml";
const BINDING: &str = "admission/validating-admission-policy-binding.yaml";
const KYVERNO: &str = "admission/kyverno-policy.yaml";
const KYVERNO_IMAGES: &str = "admission/kyverno-image-policy.yaml";
const GATEKEEPER_TEMPLATE: &str = "admission/gatekeeper-template.yaml";
const GATEKEEPER_CONSTRAINT: &str = "admission/gatekeeper-constraint.yaml";
const CLUSTER_IMAGES: &str = "admission/cluster-image-policy.yaml";

/// A policy about objects that make pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedAdmission {
    /// Of the policy, in kebab-case.
    pub name: String,
    /// Comments: what it is for, and what should be known of it.
    pub purpose: String,
    pub notes: Vec<String>,
    pub variables: Vec<Variable>,
    pub validations: Vec<WantedValidation>,
    pub scope: Scope,
    /// Whether objects that break it are refused.
    pub enforce: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedValidation {
    pub notes: Vec<String>,
    pub expression: String,
    pub message: String,
}

/// A policy about who has signed images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedSignatures {
    pub name: String,
    pub purpose: String,
    pub notes: Vec<String>,
    pub globs: Vec<String>,
    pub attestors: Vec<WantedAttestor>,
    pub scope: Scope,
    pub enforce: bool,
}

/// Who may have signed, by a name for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedAttestor {
    /// Letters and digits.
    pub name: String,
    pub by: Attestor,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attestor {
    /// A public key (PEM).
    Key(String),
    Keyless {
        issuer: String,
        subject: String,
        /// A regular expression instead of the subject.
        pattern: Option<String>,
    },
}

const API: &str = "admissionregistration.k8s.io/v1";

impl Templates {
    /// A policy for the API server itself.
    pub fn validating_admission_policy(
        &self,
        wanted: &WantedAdmission,
    ) -> Result<RenderedFile, TemplateError> {
        let spec = json!({
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": resource_rules()},
            "matchConditions": match_conditions(),
            "variables": variables(wanted),
            "validations": validations(wanted),
        });
        self.policy(POLICY, wanted, |text| {
            whole(
                decode::typed::<ValidatingAdmissionPolicy>(text)?,
                (API, "ValidatingAdmissionPolicy"),
                wanted,
                &spec,
            )
        })
    }

    /// Where a policy for the API server holds, and what it does.
    pub fn validating_admission_policy_binding(
        &self,
        wanted: &WantedAdmission,
    ) -> Result<RenderedFile, TemplateError> {
        let spec = json!({
            "policyName": wanted.name,
            "validationActions": actions(wanted.enforce),
            "matchResources": {"namespaceSelector": selector(&wanted.scope)},
        });
        self.policy(BINDING, wanted, |text| {
            let value = decode::typed::<ValidatingAdmissionPolicyBinding>(text)?;
            whole(value, (API, "ValidatingAdmissionPolicyBinding"), wanted, &spec)
        })
    }

    /// A ValidatingPolicy of Kyverno.
    pub fn kyverno_policy(&self, wanted: &WantedAdmission) -> Result<RenderedFile, TemplateError> {
        let spec = json!({
            "validationActions": actions(wanted.enforce),
            "autogen": {"podControllers": {"controllers": []}},
            "matchConstraints": {
                "namespaceSelector": selector(&wanted.scope),
                "resourceRules": resource_rules(),
            },
            "matchConditions": match_conditions(),
            "variables": variables(wanted),
            "validations": validations(wanted),
        });
        self.policy(KYVERNO, wanted, |text| {
            whole(decode::value(text)?, ("policies.kyverno.io/v1", "ValidatingPolicy"), wanted, &spec)
        })
    }

    /// What Gatekeeper asks of objects.
    pub fn gatekeeper_template(&self, wanted: &WantedAdmission) -> Result<RenderedFile, TemplateError> {
        let kind = gatekeeper_kind(&wanted.name);
        let source = json!({"variables": variables(wanted), "validations": validations(wanted)});
        let spec = json!({
            "crd": {"spec": {"names": {"kind": kind}}},
            "targets": [{
                "target": "admission.k8s.gatekeeper.sh",
                "code": [{"engine": "K8sNativeValidation", "source": without_empty(source)}],
            }],
        });
        self.policy(GATEKEEPER_TEMPLATE, wanted, |text| {
            let value = decode::value(text)?;
            must_be(&value, "/apiVersion", &json!("templates.gatekeeper.sh/v1"))?;
            must_be(&value, "/kind", &json!("ConstraintTemplate"))?;
            must_be(&value, "/metadata/name", &json!(kind.to_lowercase()))?;
            must_be(&value, "/spec", &spec)?;
            Ok(value)
        })
    }

    /// Where a template of Gatekeeper holds, and what it does.
    pub fn gatekeeper_constraint(&self, wanted: &WantedAdmission) -> Result<RenderedFile, TemplateError> {
        let kind = gatekeeper_kind(&wanted.name);
        let mut matches = json!({"kinds": kinds()});
        match &wanted.scope.all_but {
            Some(names) => matches["excludedNamespaces"] = json!(names),
            None => matches["namespaces"] = json!(wanted.scope.namespaces),
        }
        let spec = json!({"enforcementAction": gatekeeper_action(wanted.enforce), "match": matches});
        self.policy(GATEKEEPER_CONSTRAINT, wanted, |text| {
            whole(decode::value(text)?, ("constraints.gatekeeper.sh/v1beta1", &kind), wanted, &spec)
        })
    }

    /// An ImageValidatingPolicy of Kyverno.
    pub fn kyverno_image_policy(&self, wanted: &WantedSignatures) -> Result<RenderedFile, TemplateError> {
        let mut variables = signature_variables(wanted);
        let expression = signed_by_any(wanted);
        let message = "the image is not signed by one of those who may sign it";
        variables["expression"] = json!(expression);
        variables["message"] = json!(message);
        let spec = json!({
            "validationActions": actions(wanted.enforce),
            "failurePolicy": "Fail",
            "matchConstraints": {
                "namespaceSelector": selector(&wanted.scope),
                "resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"],
                    "operations": ["CREATE", "UPDATE"],
                }],
            },
            "matchImageReferences": wanted.globs.iter().map(|glob| json!({"glob": glob})).collect::<Vec<_>>(),
            "validationConfigurations": {"mutateDigest": false, "verifyDigest": false, "required": false},
            "attestors": wanted.attestors.iter().map(|attestor| {
                json!({"name": attestor.name, "cosign": authority(&attestor.by)})
            }).collect::<Vec<_>>(),
            "validations": [{"expression": expression, "message": message}],
        });
        self.file(KYVERNO_IMAGES, json!({"policy": variables}), |text| {
            let kind = ("policies.kyverno.io/v1", "ImageValidatingPolicy");
            named_whole(decode::value(text)?, kind, &wanted.name, &spec)
        })
    }

    /// A ClusterImagePolicy of Sigstore's policy-controller.
    pub fn cluster_image_policy(&self, wanted: &WantedSignatures) -> Result<RenderedFile, TemplateError> {
        let spec = json!({
            "mode": if wanted.enforce { "enforce" } else { "warn" },
            "images": wanted.globs.iter().map(|glob| json!({"glob": glob})).collect::<Vec<_>>(),
            "authorities": wanted.attestors.iter().map(|attestor| {
                let mut authority = authority(&attestor.by);
                authority["name"] = json!(attestor.name);
                authority
            }).collect::<Vec<_>>(),
        });
        self.file(CLUSTER_IMAGES, json!({"policy": signature_variables(wanted)}), |text| {
            let kind = ("policy.sigstore.dev/v1beta1", "ClusterImagePolicy");
            named_whole(decode::value(text)?, kind, &wanted.name, &spec)
        })
    }

    fn policy(
        &self,
        name: &'static str,
        wanted: &WantedAdmission,
        decode: impl FnOnce(&str) -> Result<Value, Problem>,
    ) -> Result<RenderedFile, TemplateError> {
        let kind = gatekeeper_kind(&wanted.name);
        let policy = json!({
            "name": wanted.name,
            "purpose": wanted.purpose,
            "notes": wanted.notes,
            "kind": kind,
            "template": kind.to_lowercase(),
            "resources": KINDS.iter().map(|(group, version, kinds)| {
                json!({"groups": [group], "versions": [version], "resources": resources(kinds)})
            }).collect::<Vec<_>>(),
            "kinds": KINDS.iter().map(|(group, _, kinds)| {
                json!({"groups": [group], "kinds": kinds.iter().map(|(kind, _)| kind).collect::<Vec<_>>()})
            }).collect::<Vec<_>>(),
            "variables": variables(wanted),
            "validations": wanted.validations.iter().map(|validation| json!({
                "notes": validation.notes, "expression": validation.expression, "message": validation.message,
            })).collect::<Vec<_>>(),
            "namespaces": match wanted.scope.all_but {
                Some(_) => Vec::new(),
                None => wanted.scope.namespaces.clone(),
            },
            "all_but": wanted.scope.all_but,
            "actions": actions(wanted.enforce),
            "action": gatekeeper_action(wanted.enforce),
        });
        self.file(name, json!({"policy": policy}), decode)
    }

    /// Renders every policy with every kind of input.
    pub(super) fn try_out_admission(&self) -> Vec<TemplateError> {
        let mut results = Vec::new();
        for wanted in super::samples::admission() {
            results.push(self.validating_admission_policy(&wanted));
            results.push(self.validating_admission_policy_binding(&wanted));
            results.push(self.kyverno_policy(&wanted));
            results.push(self.gatekeeper_template(&wanted));
            results.push(self.gatekeeper_constraint(&wanted));
        }
        for wanted in super::samples::signatures() {
            results.push(self.kyverno_image_policy(&wanted));
            results.push(self.cluster_image_policy(&wanted));
        }
        results.into_iter().filter_map(Result::err).collect()
    }
}

fn whole(value: Value, kind: (&str, &str), wanted: &WantedAdmission, spec: &Value) -> Result<Value, Problem> {
    named_whole(value, kind, &wanted.name, &without_empty(spec.clone()))
}

fn named_whole(value: Value, kind: (&str, &str), name: &str, spec: &Value) -> Result<Value, Problem> {
    must_be(&value, "/apiVersion", &json!(kind.0))?;
    must_be(&value, "/kind", &json!(kind.1))?;
    must_be(&value, "/metadata/name", &json!(name))?;
    // Part by part, so that a mistake is named.
    for (key, wanted) in spec.as_object().into_iter().flatten() {
        must_be(&value, &format!("/spec/{key}"), wanted)?;
    }
    must_be(&value, "/spec", spec)?;
    Ok(value)
}

/// A list of variables that has none is not written.
fn without_empty(mut spec: Value) -> Value {
    if let Some(map) = spec.as_object_mut()
        && map.get("variables").and_then(Value::as_array).is_some_and(Vec::is_empty)
    {
        map.remove("variables");
    }
    spec
}

fn variables(wanted: &WantedAdmission) -> Value {
    let variable = |variable: &Variable| json!({"name": variable.name, "expression": variable.expression});
    wanted.variables.iter().map(variable).collect()
}

fn validations(wanted: &WantedAdmission) -> Value {
    let validation = |one: &WantedValidation| json!({"expression": one.expression, "message": one.message});
    wanted.validations.iter().map(validation).collect()
}

/// Objects whose spec did not change were there before the policy.
fn match_conditions() -> Value {
    json!([{"name": "spec-is-new", "expression": "oldObject == null || !has(oldObject.spec) || object.spec != oldObject.spec"}])
}

fn resource_rules() -> Value {
    let rule = |(group, version, kinds): &(&str, &str, &[(&str, &str)])| {
        json!({
            "apiGroups": [group], "apiVersions": [version], "resources": resources(kinds),
            "operations": ["CREATE", "UPDATE"],
        })
    };
    KINDS.iter().map(rule).collect()
}

/// Ephemeral containers are added to pods through a resource of their own.
fn resources(kinds: &[(&str, &str)]) -> Vec<String> {
    let with_parts = |(kind, resource): &(&str, &str)| match *kind {
        "Pod" => vec![(*resource).to_owned(), format!("{resource}/ephemeralcontainers")],
        _ => vec![(*resource).to_owned()],
    };
    kinds.iter().flat_map(with_parts).collect()
}

fn kinds() -> Value {
    let rule = |(group, _, kinds): &(&str, &str, &[(&str, &str)])| json!({"apiGroups": [group], "kinds": kinds.iter().map(|(kind, _)| kind).collect::<Vec<_>>()});
    KINDS.iter().map(rule).collect()
}

fn selector(scope: &Scope) -> Value {
    let (operator, values) = match &scope.all_but {
        Some(names) => ("NotIn", names),
        None => ("In", &scope.namespaces),
    };
    json!({"matchExpressions": [
        {"key": "kubernetes.io/metadata.name", "operator": operator, "values": values},
    ]})
}

/// `Deny` and `Warn` do not go together: a refusal says it all.
fn actions(enforce: bool) -> Value {
    if enforce { json!(["Deny", "Audit"]) } else { json!(["Warn", "Audit"]) }
}

fn gatekeeper_action(enforce: bool) -> &'static str {
    if enforce { "deny" } else { "warn" }
}

/// `caseharden-pod-security` → `CasehardenPodSecurity`.
fn gatekeeper_kind(name: &str) -> String {
    let capitalized = |part: &str| {
        let mut letters = part.chars();
        letters
            .next()
            .map_or_else(String::new, |first| format!("{}{}", first.to_ascii_uppercase(), letters.as_str()))
    };
    name.split('-').map(capitalized).collect()
}

fn signature_variables(wanted: &WantedSignatures) -> Value {
    let attestors: Vec<Value> = wanted
        .attestors
        .iter()
        .map(|attestor| match &attestor.by {
            Attestor::Key(pem) => json!({"name": attestor.name, "key": pem}),
            Attestor::Keyless { issuer, subject, pattern } => json!({
                "name": attestor.name, "issuer": issuer, "subject": subject, "pattern": pattern,
            }),
        })
        .collect();
    json!({
        "name": wanted.name,
        "purpose": wanted.purpose,
        "notes": wanted.notes,
        "globs": wanted.globs,
        "attestors": attestors,
        "mode": if wanted.enforce { "enforce" } else { "warn" },
        "actions": actions(wanted.enforce),
        "namespaces": match wanted.scope.all_but {
            Some(_) => Vec::new(),
            None => wanted.scope.namespaces.clone(),
        },
        "all_but": wanted.scope.all_but,
    })
}

fn authority(by: &Attestor) -> Value {
    let mut authority = Map::new();
    match by {
        Attestor::Key(pem) => {
            authority.insert("key".to_owned(), json!({"data": pem}));
        }
        Attestor::Keyless { issuer, subject, pattern } => {
            let identity = match pattern {
                Some(pattern) => json!({"issuer": issuer, "subjectRegExp": pattern}),
                None => json!({"issuer": issuer, "subject": subject}),
            };
            authority.insert("keyless".to_owned(), json!({"identities": [identity]}));
        }
    }
    Value::Object(authority)
}

/// In CEL with Kyverno's functions, over all containers of the pod.
fn signed_by_any(wanted: &WantedSignatures) -> String {
    let attestors: Vec<String> =
        wanted.attestors.iter().map(|attestor| format!("attestors.{}", attestor.name)).collect();
    let counts = |list: &str| {
        format!("images.{list}.all(image,\n  verifyImageSignatures(image, [{}]) > 0)", attestors.join(", "))
    };
    ["containers", "initContainers", "ephemeralContainers"].map(counts).join(" &&\n")
}
