//! Quotas, limits and disruption budgets: what their templates are given, and what must come out.

use k8s_openapi::api::core::v1::{LimitRange, ResourceQuota};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::decode::{self, Problem};
use super::{RenderedFile, TemplateError, Templates, must_be};

const QUOTA: &str = "resources/resource-quota.yaml";
const LIMITS: &str = "resources/limit-range.yaml";
const BUDGET: &str = "resources/disruption-budget.yaml";

/// Amounts by resource, in the order in which they are written.
pub type Amounts = Vec<(String, String)>;

/// The object of a namespace that bounds what its workloads take, or what may be taken of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedBound {
    pub name: String,
    pub namespace: String,
    /// Comments.
    pub notes: Vec<String>,
}

/// What a LimitRange says of containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedLimits {
    /// For containers that ask for nothing.
    pub requests: Amounts,
    pub limits: Amounts,
    /// The most that a container may ask for.
    pub most: Amounts,
}

impl Templates {
    /// The manifest of a ResourceQuota.
    pub fn resource_quota(&self, bound: &WantedBound, hard: &Amounts) -> Result<RenderedFile, TemplateError> {
        let spec = json!({"hard": mapping(hard)});
        self.bound::<ResourceQuota>(QUOTA, bound, json!({"hard": pairs(hard)}), &spec)
    }

    /// The manifest of a LimitRange.
    pub fn limit_range(
        &self,
        bound: &WantedBound,
        wanted: &WantedLimits,
    ) -> Result<RenderedFile, TemplateError> {
        let mut limit = json!({"type": "Container"});
        for (key, amounts) in
            [("defaultRequest", &wanted.requests), ("default", &wanted.limits), ("max", &wanted.most)]
        {
            if !amounts.is_empty() {
                limit[key] = mapping(amounts);
            }
        }
        let more = json!({
            "requests": pairs(&wanted.requests), "limits": pairs(&wanted.limits), "most": pairs(&wanted.most),
        });
        self.bound::<LimitRange>(LIMITS, bound, more, &json!({"limits": [limit]}))
    }

    /// The manifest of a PodDisruptionBudget for the pods of a selector.
    pub fn disruption_budget(
        &self,
        bound: &WantedBound,
        selector: &Value,
        evicts_unhealthy: bool,
    ) -> Result<RenderedFile, TemplateError> {
        let mut spec = json!({"maxUnavailable": 1, "selector": selector});
        if evicts_unhealthy {
            spec["unhealthyPodEvictionPolicy"] = json!("AlwaysAllow");
        }
        let more = json!({"selector": selector, "evicts_unhealthy": evicts_unhealthy});
        self.bound::<PodDisruptionBudget>(BUDGET, bound, more, &spec)
    }

    fn bound<T: DeserializeOwned + Serialize>(
        &self,
        template: &'static str,
        bound: &WantedBound,
        more: Value,
        spec: &Value,
    ) -> Result<RenderedFile, TemplateError> {
        let mut variables = more;
        variables["name"] = json!(bound.name);
        variables["namespace"] = json!(bound.namespace);
        variables["notes"] = json!(bound.notes);
        self.file(template, variables, |text| {
            let value = decode::typed::<T>(text)?;
            must_be(&value, "/metadata/name", &json!(bound.name))?;
            must_be(&value, "/metadata/namespace", &json!(bound.namespace))?;
            must_be(&value, "/spec", spec)?;
            Ok::<Value, Problem>(value)
        })
    }

    /// Renders all of them with amounts of every kind.
    pub(super) fn try_out_resources(&self) -> Vec<TemplateError> {
        let bound = WantedBound {
            name: "sample".to_owned(),
            namespace: "yes".to_owned(),
            notes: vec!["why: \"so\"\n{".to_owned()],
        };
        let amounts = vec![("requests.cpu".to_owned(), "1".to_owned()), ("pods".to_owned(), "10".to_owned())];
        let of_containers = vec![("memory".to_owned(), "64Mi".to_owned())];
        let all = WantedLimits {
            requests: of_containers.clone(),
            limits: of_containers.clone(),
            most: of_containers.clone(),
        };
        let least = WantedLimits { requests: of_containers, ..WantedLimits::default() };
        let selector = json!({
            "matchLabels": {"app": "no"},
            "matchExpressions": [{"key": "a", "operator": "In", "values": ["b: c"]}],
        });
        let results = [
            self.resource_quota(&bound, &amounts),
            self.limit_range(&bound, &all),
            self.limit_range(&bound, &least),
            self.disruption_budget(&bound, &selector, true),
            self.disruption_budget(&bound, &json!({"matchLabels": {"app": "x"}}), false),
        ];
        results.into_iter().filter_map(Result::err).collect()
    }
}

fn pairs(amounts: &Amounts) -> Value {
    amounts.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

fn mapping(amounts: &Amounts) -> Value {
    let entries = amounts.iter().map(|(key, value)| (key.clone(), json!(value)));
    Value::Object(entries.collect::<Map<_, _>>())
}
