//! Objects that make pods: where each kind keeps its pod spec, and the pods and containers in it.
//!
//! Sources: the API types (k8s.io/api), `defaultPodSpecResources` of k8s.io/pod-security-admission for the
//! built-in kinds, and the CRD types of Argo, Knative, Tekton, OpenKruise, KEDA, OpenShift, Prometheus and Strimzi.
//! Knows nothing of rules: it says what is there and which fields an object of the kind can carry.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::object::ObjectId;
use crate::config::CustomWorkload;
use crate::pointer::look_up;

/// Where a kind keeps its pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// A whole PodSpec at this pointer, its metadata beside it.
    PodSpec { spec: Cow<'static, str>, fields: Fields },
    /// Argo Workflows: templates that share pod-level fields of the workflow spec at this pointer.
    Argo { spec: &'static str },
    /// Tekton: lists of steps and sidecars, each task a pod.
    Tekton,
    /// A PodSecurityContext for pods whose containers an operator makes.
    SecurityContextOnly { carriers: &'static [Carrier] },
}

/// A place for the security context of pods that an operator makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carrier {
    /// The part of the object that makes it run pods at all.
    part: &'static str,
    /// What has the `securityContext`; may not be there yet.
    pod: &'static str,
}

/// The pods of a Strimzi cluster, each with a template: <https://strimzi.io/docs/operators/latest/configuring#type-PodTemplate-reference>.
const KAFKA: &[Carrier] = &[
    Carrier { part: "/spec/kafka", pod: "/spec/kafka/template/pod" },
    Carrier { part: "/spec/zookeeper", pod: "/spec/zookeeper/template/pod" },
    Carrier { part: "/spec/entityOperator", pod: "/spec/entityOperator/template/pod" },
    Carrier { part: "/spec/cruiseControl", pod: "/spec/cruiseControl/template/pod" },
    Carrier { part: "/spec/kafkaExporter", pod: "/spec/kafkaExporter/template/pod" },
];

/// Which pod-level fields the API of a kind accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    pub security_context: bool,
    pub volumes: bool,
    pub automount: bool,
}

const ALL_FIELDS: Fields = Fields { security_context: true, volumes: true, automount: true };

/// Knative takes pod-level security contexts only behind a feature flag
/// (`kubernetes.podspec-securitycontext`, <https://knative.dev/docs/serving/configuration/feature-flags/>).
const KNATIVE_FIELDS: Fields = Fields { security_context: false, volumes: true, automount: false };

type Row = (&'static [&'static str], &'static [&'static str], &'static str, Fields);

const POD_SPECS: &[Row] = &[
    (&[""], &["Pod"], "/spec", ALL_FIELDS),
    (&[""], &["PodTemplate"], "/template/spec", ALL_FIELDS),
    (&[""], &["ReplicationController"], "/spec/template/spec", ALL_FIELDS),
    (&["apps", "extensions"], &["Deployment", "DaemonSet", "ReplicaSet"], "/spec/template/spec", ALL_FIELDS),
    (&["apps"], &["StatefulSet"], "/spec/template/spec", ALL_FIELDS),
    (&["batch"], &["Job"], "/spec/template/spec", ALL_FIELDS),
    (&["batch"], &["CronJob"], "/spec/jobTemplate/spec/template/spec", ALL_FIELDS),
    (&["argoproj.io"], &["Rollout"], "/spec/template/spec", ALL_FIELDS),
    (&["apps.openshift.io"], &["DeploymentConfig"], "/spec/template/spec", ALL_FIELDS),
    (
        &["apps.kruise.io"],
        &["CloneSet", "StatefulSet", "DaemonSet", "BroadcastJob", "UnitedDeployment"],
        "/spec/template/spec",
        ALL_FIELDS,
    ),
    (&["apps.kruise.io"], &["AdvancedCronJob"], "/spec/template/jobTemplate/spec/template/spec", ALL_FIELDS),
    (&["keda.sh"], &["ScaledJob"], "/spec/jobTargetRef/template/spec", ALL_FIELDS),
    (&["serving.knative.dev"], &["Service", "Configuration"], "/spec/template/spec", KNATIVE_FIELDS),
];

/// Where the pods of an object are, if its kind makes any.
pub fn layout(id: &ObjectId, custom: &[CustomWorkload]) -> Option<Layout> {
    let (group, kind) = (id.group(), &*id.kind);
    if let Some(workload) = custom.iter().find(|custom| custom.group == group && custom.kind == kind) {
        return Some(Layout::PodSpec { spec: Cow::Owned(workload.pod_spec.to_string()), fields: ALL_FIELDS });
    }
    let row = POD_SPECS.iter().find(|(groups, kinds, _, _)| groups.contains(&group) && kinds.contains(&kind));
    if let Some((_, _, spec, fields)) = row {
        return Some(Layout::PodSpec { spec: Cow::Borrowed(spec), fields: *fields });
    }
    match (group, kind) {
        ("argoproj.io", "Workflow" | "WorkflowTemplate" | "ClusterWorkflowTemplate") => {
            Some(Layout::Argo { spec: "/spec" })
        }
        ("argoproj.io", "CronWorkflow") => Some(Layout::Argo { spec: "/spec/workflowSpec" }),
        ("tekton.dev", "Task" | "ClusterTask" | "TaskRun" | "Pipeline" | "PipelineRun") => {
            Some(Layout::Tekton)
        }
        ("monitoring.coreos.com", "Prometheus" | "PrometheusAgent" | "Alertmanager" | "ThanosRuler") => {
            Some(Layout::SecurityContextOnly { carriers: &[Carrier { part: "/spec", pod: "/spec" }] })
        }
        ("kafka.strimzi.io", "Kafka") => Some(Layout::SecurityContextOnly { carriers: KAFKA }),
        ("kafka.strimzi.io", "KafkaConnect" | "KafkaBridge" | "KafkaMirrorMaker2" | "KafkaNodePool") => {
            Some(Layout::SecurityContextOnly {
                carriers: &[Carrier { part: "/spec", pod: "/spec/template/pod" }],
            })
        }
        _ => None,
    }
}

/// The pod spec, for kinds that hold exactly one; lets a file be judged before its values are built.
pub fn pod_spec_pointer(layout: &Layout) -> Option<&str> {
    match layout {
        Layout::PodSpec { spec, .. } => Some(spec),
        _ => None,
    }
}

/// A pod as an object describes it.
#[derive(Debug, Clone)]
pub struct Pod<'a> {
    /// The PodSpec, put together from its parts for kinds that spread it.
    pub spec: Cow<'a, Value>,
    /// The pod template's annotations.
    pub annotations: Option<&'a Map<String, Value>>,
    /// Pointer of the pod template's metadata.
    pub metadata: String,
    /// Pointer of the mapping that carries pod-level fields.
    pub pointer: String,
    pub fields: Fields,
    pub containers: Vec<Container<'a>>,
    pub windows: bool,
    /// What the object calls this pod, when it has several.
    pub name: Option<&'a str>,
    /// Whether its containers are in the object, as opposed to made by an operator.
    pub has_containers: bool,
}

#[derive(Debug, Clone)]
pub struct Container<'a> {
    pub name: &'a str,
    pub role: Role,
    pub pointer: String,
    /// The container with what it inherits from its kind's own defaults (Tekton's `stepTemplate`).
    pub value: Cow<'a, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Init,
    /// An init container with `restartPolicy: Always` (KEP-753).
    Sidecar,
    Main,
    Ephemeral,
}

impl Role {
    pub fn noun(self) -> &'static str {
        match self {
            Role::Init => "init container",
            Role::Sidecar => "sidecar container",
            Role::Main => "container",
            Role::Ephemeral => "ephemeral container",
        }
    }
}

impl<'a> Pod<'a> {
    /// Pointer of the pod-level security context.
    pub fn security_context(&self) -> String {
        format!("{}/securityContext", self.pointer)
    }

    pub fn service_account(&self) -> &str {
        let name = |key: &str| self.spec[key].as_str().filter(|name| !name.is_empty());
        name("serviceAccountName").or_else(|| name("serviceAccount")).unwrap_or("default")
    }
}

impl<'a> Container<'a> {
    pub fn security_context(&self, field: &str) -> Option<&Value> {
        self.value.get("securityContext")?.get(field).filter(|value| !value.is_null())
    }

    pub fn image(&self) -> Option<&str> {
        self.value["image"].as_str()
    }
}

/// The pods of an object.
pub fn pods<'a>(layout: &Layout, object: &'a Value) -> Vec<Pod<'a>> {
    match layout {
        Layout::PodSpec { spec, fields } => plain(object, spec, *fields).into_iter().collect(),
        Layout::Argo { spec } => argo(object, spec),
        Layout::Tekton => tekton(object),
        Layout::SecurityContextOnly { carriers } => {
            carriers.iter().filter_map(|carrier| operated(object, carrier)).collect()
        }
    }
}

fn plain<'a>(object: &'a Value, pointer: &str, fields: Fields) -> Option<Pod<'a>> {
    let spec = look_up(object, pointer).filter(|spec| spec.is_object())?;
    let template = pointer.rsplit_once('/').map_or("", |(template, _)| template);
    let metadata = format!("{template}/metadata");
    let mut containers = Vec::new();
    for (list, role) in LISTS {
        containers.extend(listed(spec, &format!("{pointer}/{list}"), list, role));
    }
    Some(Pod {
        annotations: look_up(object, &metadata).and_then(|metadata| metadata["annotations"].as_object()),
        metadata,
        pointer: pointer.to_owned(),
        fields,
        containers,
        windows: is_windows(spec),
        name: None,
        has_containers: true,
        spec: Cow::Borrowed(spec),
    })
}

const LISTS: [(&str, Role); 3] =
    [("initContainers", Role::Init), ("containers", Role::Main), ("ephemeralContainers", Role::Ephemeral)];

fn listed<'a>(parent: &'a Value, pointer: &str, list: &str, role: Role) -> Vec<Container<'a>> {
    let items = parent[list].as_array().into_iter().flatten().enumerate();
    items
        .filter(|(_, value)| value.is_object())
        .map(|(idx, value)| Container {
            name: value["name"].as_str().unwrap_or_default(),
            role: match role {
                Role::Init if value["restartPolicy"] == "Always" => Role::Sidecar,
                role => role,
            },
            pointer: format!("{pointer}/{idx}"),
            value: Cow::Borrowed(value),
        })
        .collect()
}

/// `spec.os` decides for the API server; node selectors and affinity tell the same to people and schedulers.
fn is_windows(spec: &Value) -> bool {
    if let Some(os) = spec["os"]["name"].as_str() {
        return os == "windows";
    }
    let labels = ["kubernetes.io/os", "beta.kubernetes.io/os"];
    let selected = labels.iter().any(|label| spec["nodeSelector"][label] == "windows");
    let terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        ["nodeSelectorTerms"]
        .as_array();
    let required = |term: &Value| {
        term["matchExpressions"].as_array().into_iter().flatten().any(|expression| {
            labels.iter().any(|label| expression["key"] == *label)
                && expression["operator"] == "In"
                && expression["values"] == json!(["windows"])
        })
    };
    selected || terms.is_some_and(|terms| !terms.is_empty() && terms.iter().all(required))
}

/// Argo: each template with a container is a pod; its own pod-level fields win over the workflow's.
fn argo<'a>(object: &'a Value, pointer: &str) -> Vec<Pod<'a>> {
    let Some(spec) = look_up(object, pointer) else { return Vec::new() };
    let templates = spec["templates"].as_array().into_iter().flatten().enumerate();
    templates.filter_map(|(idx, template)| argo_template(spec, pointer, idx, template)).collect()
}

fn argo_template<'a>(spec: &'a Value, pointer: &str, idx: usize, template: &'a Value) -> Option<Pod<'a>> {
    let at = format!("{pointer}/templates/{idx}");
    let mut containers = listed(template, &format!("{at}/initContainers"), "initContainers", Role::Init);
    for (key, fallback) in [("container", "main"), ("script", "script")] {
        if let Some(value) = template.get(key).filter(|value| value.is_object()) {
            containers.push(Container {
                name: value["name"].as_str().unwrap_or(fallback),
                role: Role::Main,
                pointer: format!("{at}/{key}"),
                value: Cow::Borrowed(value),
            });
        }
    }
    let set = &template["containerSet"];
    containers.extend(listed(set, &format!("{at}/containerSet/containers"), "containers", Role::Main));
    if !containers.iter().any(|container| container.role == Role::Main) {
        return None;
    }
    containers.extend(listed(template, &format!("{at}/sidecars"), "sidecars", Role::Main));

    let own_context = template.get("securityContext").is_some_and(Value::is_object);
    let mut pod = Map::new();
    for key in ["hostNetwork", "serviceAccountName", "nodeSelector", "affinity"] {
        if let Some(value) = template.get(key).or_else(|| spec.get(key)) {
            pod.insert(key.to_owned(), value.clone());
        }
    }
    let context = if own_context { &template["securityContext"] } else { &spec["securityContext"] };
    if !context.is_null() {
        pod.insert("securityContext".to_owned(), context.clone());
    }
    let volumes = [&spec["volumes"], &template["volumes"]];
    let volumes: Vec<Value> = volumes.into_iter().filter_map(Value::as_array).flatten().cloned().collect();
    pod.insert("volumes".to_owned(), Value::Array(volumes));
    let list = |roles: &[Role]| -> Vec<Value> {
        containers.iter().filter(|c| roles.contains(&c.role)).map(|c| named(&c.value, c.name)).collect()
    };
    pod.insert("initContainers".to_owned(), list(&[Role::Init, Role::Sidecar]).into());
    pod.insert("containers".to_owned(), list(&[Role::Main]).into());
    let pod = Value::Object(pod);
    Some(Pod {
        annotations: template["metadata"]["annotations"].as_object(),
        metadata: format!("{at}/metadata"),
        pointer: if own_context { at } else { pointer.to_owned() },
        // The executor that Argo puts beside the containers talks to the API server with the same token.
        fields: Fields { automount: false, ..ALL_FIELDS },
        windows: is_windows(&pod),
        name: template["name"].as_str(),
        has_containers: true,
        containers,
        spec: Cow::Owned(pod),
    })
}

fn named(container: &Value, name: &str) -> Value {
    let mut container = container.clone();
    if let Some(map) = container.as_object_mut() {
        map.entry("name").or_insert_with(|| name.into());
    }
    container
}

/// Tekton: the tasks of an object, each with steps and sidecars.
fn tekton(object: &Value) -> Vec<Pod<'_>> {
    let mut tasks: Vec<(String, &Value, Option<&str>)> = Vec::new();
    let spec = &object["spec"];
    match object["kind"].as_str() {
        Some("Task" | "ClusterTask") => tasks.push(("/spec".to_owned(), spec, None)),
        Some("TaskRun") => tasks.push(("/spec/taskSpec".to_owned(), &spec["taskSpec"], None)),
        Some("Pipeline") => embedded_tasks("/spec", spec, &mut tasks),
        Some("PipelineRun") => embedded_tasks("/spec/pipelineSpec", &spec["pipelineSpec"], &mut tasks),
        _ => {}
    }
    tasks.into_iter().filter_map(|(at, task, name)| tekton_task(&at, task, name)).collect()
}

fn embedded_tasks<'a>(at: &str, pipeline: &'a Value, tasks: &mut Vec<(String, &'a Value, Option<&'a str>)>) {
    for list in ["tasks", "finally"] {
        for (idx, task) in pipeline[list].as_array().into_iter().flatten().enumerate() {
            tasks.push((format!("{at}/{list}/{idx}/taskSpec"), &task["taskSpec"], task["name"].as_str()));
        }
    }
}

fn tekton_task<'a>(at: &str, task: &'a Value, name: Option<&'a str>) -> Option<Pod<'a>> {
    let mut containers = listed(task, &format!("{at}/steps"), "steps", Role::Main);
    if containers.is_empty() {
        return None;
    }
    let defaults = &task["stepTemplate"];
    if defaults.is_object() {
        for step in &mut containers {
            step.value = Cow::Owned(with_defaults(&step.value, defaults));
        }
    }
    containers.extend(listed(task, &format!("{at}/sidecars"), "sidecars", Role::Main));
    let list: Vec<Value> = containers.iter().map(|container| container.value.clone().into_owned()).collect();
    let spec = json!({ "containers": list, "volumes": task["volumes"] });
    Some(Pod {
        spec: Cow::Owned(spec),
        annotations: None,
        metadata: format!("{at}/metadata"),
        pointer: at.to_owned(),
        fields: Fields { security_context: false, volumes: true, automount: false },
        containers,
        windows: false,
        name,
        has_containers: true,
    })
}

/// Tekton merges `stepTemplate` into each step; the step's own values win, security contexts field by field.
fn with_defaults(step: &Value, defaults: &Value) -> Value {
    let mut merged = defaults.clone();
    if let (Some(merged), Some(step)) = (merged.as_object_mut(), step.as_object()) {
        for (key, value) in step {
            match (key.as_str(), merged.get_mut(key).and_then(Value::as_object_mut), value.as_object()) {
                ("securityContext", Some(base), Some(own)) => {
                    base.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
                }
                _ => {
                    merged.insert(key.clone(), value.clone());
                }
            }
        }
    }
    merged
}

fn operated<'a>(object: &'a Value, carrier: &Carrier) -> Option<Pod<'a>> {
    look_up(object, carrier.part).filter(|part| part.is_object())?;
    let mut pod = Map::new();
    if let Some(context) = look_up(object, carrier.pod).and_then(|pod| pod.get("securityContext")) {
        pod.insert("securityContext".to_owned(), context.clone());
    }
    Some(Pod {
        spec: Cow::Owned(Value::Object(pod)),
        annotations: None,
        metadata: format!("{}/podMetadata", carrier.pod),
        pointer: carrier.pod.to_owned(),
        fields: Fields { security_context: true, volumes: false, automount: false },
        containers: Vec::new(),
        windows: false,
        name: carrier.part.strip_prefix("/spec/"),
        has_containers: false,
    })
}
