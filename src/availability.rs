//! What the workloads of a namespace ask for in sum, what bounds it, and which of them survive the loss of a node's pods.
//!
//! Knows the model and Kubernetes' quantities; nothing of rules, templates or files.

mod quantity;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::{Container, Model, Object, Pod, Role, pods};
pub use quantity::{Resource, shown};

/// What a repo's workloads need to stay up.
#[derive(Debug, Default)]
pub struct Availability {
    pub namespaces: BTreeMap<String, NamespaceUse>,
    /// In the order of the files.
    pub workloads: Vec<Sized>,
    /// Workloads that do not say where they go.
    pub homeless: Vec<String>,
}

/// What a namespace's workloads ask for at most, by the manifests.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct NamespaceUse {
    pub has_quota: bool,
    pub has_limit_range: bool,
    /// A file of the namespace: its own manifest, or else its first workload's.
    pub path: String,
    pub pods: u64,
    pub requests: Asked,
    pub limits: Asked,
    /// Of each container, as far as they are said, in no order.
    pub each_request: BTreeMap<Resource, Vec<u64>>,
    pub each_limit: BTreeMap<Resource, Vec<u64>>,
    /// Workloads whose pods depend on the number of nodes.
    pub on_each_node: Vec<String>,
}

/// Sums by resource, and the first container that says nothing of it.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Asked {
    pub sum: BTreeMap<Resource, u64>,
    pub silent: BTreeMap<Resource, String>,
}

/// A workload that is scaled.
#[derive(Debug, Clone)]
pub struct Sized {
    pub namespace: String,
    pub kind: String,
    pub name: String,
    pub path: String,
    /// The least it runs with, in any overlay and by its autoscaler.
    pub replicas: u64,
    /// Of its pods, as it is written.
    pub selector: Value,
    pub labels: BTreeMap<String, String>,
    /// The PodDisruptionBudget that counts its pods.
    pub budget: Option<String>,
    /// Another workload of the namespace whose pods the selector counts as well.
    pub shares_with: Option<String>,
}

struct Autoscaler {
    namespaces: Vec<String>,
    target: (String, String),
    least: u64,
    most: u64,
}

struct Budget {
    namespaces: Vec<String>,
    name: String,
    selector: Value,
}

impl Availability {
    /// Of all workloads; `nodes` is how many pods a DaemonSet has.
    pub fn of(model: &Model<'_>) -> Availability {
        Availability::with_nodes(model, 1)
    }

    /// As [`Availability::of`], for a cluster of that many nodes.
    pub fn with_nodes(model: &Model<'_>, nodes: u64) -> Availability {
        let mut all = Availability::default();
        let mut autoscalers = Vec::new();
        let mut budgets = Vec::new();
        for object in model.objects() {
            match &*object.id.kind {
                "ResourceQuota" => all.mark(model, object, |used| used.has_quota = true),
                "LimitRange" => all.mark(model, object, |used| used.has_limit_range = true),
                "HorizontalPodAutoscaler" => autoscalers.extend(autoscaler(model, object)),
                "PodDisruptionBudget" => budgets.extend(budget(model, object)),
                _ => {}
            }
        }
        for object in model.objects().filter(|object| object.layout.is_some()) {
            all.add(model, object, &autoscalers, nodes);
        }
        all.settle_homes(model);
        all.find_budgets(&budgets);
        all
    }

    /// Workloads that have two pods or more, always.
    pub fn replicated(&self) -> impl Iterator<Item = &Sized> {
        self.workloads.iter().filter(|workload| workload.replicas >= 2)
    }

    fn mark(&mut self, model: &Model<'_>, object: &Object, act: impl Fn(&mut NamespaceUse)) {
        for namespace in model.namespaces(object) {
            act(self.namespaces.entry(namespace).or_default());
        }
    }

    fn add(&mut self, model: &Model<'_>, object: &Object, autoscalers: &[Autoscaler], nodes: u64) {
        let (Some(layout), Some(value)) = (&object.layout, model.value(object)) else { return };
        let name = format!("{}/{}", object.id.kind, object.id.name);
        let namespaces = model.namespaces(object);
        if namespaces.is_empty() {
            self.homeless.push(name);
            return;
        }
        let path = &model.file(object).path;
        let patches: Vec<Value> =
            model.builds.patches_on(path, &object.id).map(|patch| patch.applied(&value)).collect();
        let variants: Vec<&Value> = std::iter::once(&value).chain(&patches).collect();
        for namespace in &namespaces {
            let of_it = |scaler: &&Autoscaler| {
                scaler.target.0 == *object.id.kind
                    && scaler.target.1 == *object.id.name
                    && (scaler.namespaces.is_empty() || scaler.namespaces.contains(namespace))
            };
            let scaler = autoscalers.iter().find(of_it);
            let counts: Vec<u64> =
                variants.iter().map(|value| replicas(&object.id.kind, value, nodes)).collect();
            let least = scaler.map_or_else(|| counts.iter().copied().min(), |scaler| Some(scaler.least));
            let most = counts.iter().copied().chain(scaler.map(|scaler| scaler.most)).max();
            let used = self.namespaces.entry(namespace.clone()).or_default();
            if used.path.is_empty() {
                path.clone_into(&mut used.path);
            }
            if &*object.id.kind == "DaemonSet" {
                used.on_each_node.push(name.clone());
            }
            used.add(&name, &variants, layout, most.unwrap_or(1));
            if matches!(&*object.id.kind, "Deployment" | "StatefulSet" | "ReplicaSet") {
                self.workloads.push(Sized {
                    namespace: namespace.clone(),
                    kind: object.id.kind.to_string(),
                    name: object.id.name.to_string(),
                    path: path.clone(),
                    replicas: least.unwrap_or(1),
                    selector: value["spec"]["selector"].clone(),
                    labels: labels(&value["spec"]["template"]["metadata"]["labels"]),
                    budget: None,
                    shares_with: None,
                });
            }
        }
    }

    /// New objects of a namespace go beside its own manifest, where there is one.
    fn settle_homes(&mut self, model: &Model<'_>) {
        for object in model.objects().filter(|object| &*object.id.kind == "Namespace") {
            if let Some(used) = self.namespaces.get_mut(&*object.id.name) {
                model.file(object).path.clone_into(&mut used.path);
            }
        }
    }

    fn find_budgets(&mut self, budgets: &[Budget]) {
        let pods: Vec<(String, String, BTreeMap<String, String>)> = self
            .workloads
            .iter()
            .map(|one| (one.namespace.clone(), format!("{}/{}", one.kind, one.name), one.labels.clone()))
            .collect();
        for workload in &mut self.workloads {
            let own = format!("{}/{}", workload.kind, workload.name);
            let counts = |budget: &&Budget| {
                (budget.namespaces.is_empty() || budget.namespaces.contains(&workload.namespace))
                    && selects(&budget.selector, &workload.labels)
            };
            workload.budget = budgets.iter().find(counts).map(|budget| budget.name.clone());
            let other = pods.iter().find(|(namespace, name, labels)| {
                *namespace == workload.namespace && *name != own && selects(&workload.selector, labels)
            });
            workload.shares_with = other.map(|(_, name, _)| name.clone());
        }
    }
}

impl NamespaceUse {
    fn add(&mut self, name: &str, variants: &[&Value], layout: &crate::model::Layout, count: u64) {
        self.pods += count;
        let all: Vec<Vec<Pod<'_>>> = variants.iter().map(|value| pods(layout, value)).collect();
        for resource in Resource::ALL {
            for (key, asked, each) in [
                ("requests", &mut self.requests, &mut self.each_request),
                ("limits", &mut self.limits, &mut self.each_limit),
            ] {
                let mut most = 0;
                for pods in &all {
                    let mut sum = 0;
                    for pod in pods {
                        let of = |container: &Container<'_>| amount(container, key, resource);
                        for container in &pod.containers {
                            match of(container) {
                                Some(amount) => each.entry(resource).or_default().push(amount),
                                None => {
                                    let silent = format!("container `{}` of {name}", container.name);
                                    asked.silent.entry(resource).or_insert(silent);
                                }
                            }
                        }
                        sum += pod_sum(pod, &of);
                    }
                    most = most.max(sum);
                }
                *asked.sum.entry(resource).or_default() += most * count;
            }
        }
    }
}

/// What a pod asks for: its containers together, or its hungriest init container.
/// <https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers>
fn pod_sum(pod: &Pod<'_>, of: &dyn Fn(&Container<'_>) -> Option<u64>) -> u64 {
    let (mut running, mut sidecars, mut starting) = (0, 0, 0);
    for container in &pod.containers {
        let amount = of(container).unwrap_or(0);
        match container.role {
            Role::Main => running += amount,
            Role::Sidecar => sidecars += amount,
            Role::Init => starting = amount.max(starting),
            Role::Ephemeral => {}
        }
    }
    (running + sidecars).max(starting + sidecars)
}

/// A limit without a request is the request as well.
fn amount(container: &Container<'_>, key: &str, resource: Resource) -> Option<u64> {
    let of = |key: &str| quantity::read(&container.value["resources"][key][resource.id()], resource);
    of(key).or_else(|| (key == "requests").then(|| of("limits")).flatten())
}

fn replicas(kind: &str, value: &Value, nodes: u64) -> u64 {
    let number = |pointer: &str| value.pointer(pointer).and_then(Value::as_u64);
    match kind {
        "DaemonSet" => nodes,
        "CronJob" => number("/spec/jobTemplate/spec/parallelism").unwrap_or(1),
        "Job" => number("/spec/parallelism").unwrap_or(1),
        _ => number("/spec/replicas").unwrap_or(1),
    }
}

fn autoscaler(model: &Model<'_>, object: &Object) -> Option<Autoscaler> {
    let value = model.value(object)?;
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    Some(Autoscaler {
        namespaces: model.namespaces(object),
        target: (text("/spec/scaleTargetRef/kind")?, text("/spec/scaleTargetRef/name")?),
        least: value["spec"]["minReplicas"].as_u64().unwrap_or(1),
        most: value["spec"]["maxReplicas"].as_u64()?,
    })
}

fn budget(model: &Model<'_>, object: &Object) -> Option<Budget> {
    let selector = model.value(object)?["spec"]["selector"].clone();
    Some(Budget { namespaces: model.namespaces(object), name: object.id.name.to_string(), selector })
}

fn labels(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// Whether a label selector takes pods with these labels. Empty takes all; none takes none.
fn selects(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let Some(selector) = selector.as_object() else { return false };
    let mut equal = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let mut expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    equal.all(|(key, value)| labels.get(key).map(String::as_str) == value.as_str())
        && expressions.all(|expression| {
            let values: BTreeSet<&str> =
                expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let value = expression["key"].as_str().and_then(|key| labels.get(key));
            match expression["operator"].as_str() {
                Some("In") => value.is_some_and(|value| values.contains(value.as_str())),
                Some("NotIn") => value.is_none_or(|value| !values.contains(value.as_str())),
                Some("Exists") => value.is_some(),
                Some("DoesNotExist") => value.is_none(),
                _ => false,
            }
        })
}
