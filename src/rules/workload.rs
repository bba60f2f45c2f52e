//! A workload as rules see it: its pods, the settings, what the repo says about its account and namespaces.

use std::borrow::Cow;

use serde_json::Value;

use super::{Change, Settings};
use crate::image_facts::Facts;
use crate::lock::{Lock, Locked};
use crate::model::{Container, Model, Object, Patch, Pod, pods};
use crate::pss;

/// An object that makes pods, with everything a rule may ask about it.
pub struct Workload<'a> {
    pub settings: &'a Settings<'a>,
    pub model: &'a Model<'a>,
    pub object: &'a Object,
    pub pods: Vec<Pod<'a>>,
    /// Namespaces it lands in; empty when nothing tells.
    pub namespaces: Vec<String>,
    /// Names of the volumes that a StatefulSet claims for each of its pods.
    pub claim_templates: Vec<&'a str>,
    /// Patches that overlays may apply to it.
    pub patches: Vec<&'a Patch>,
    /// Whether a pod has other containers elsewhere: what is added for one is not to be called as if it were alone.
    pub names_apart: bool,
}

impl<'a> Workload<'a> {
    /// `None` for objects that make no pods.
    pub fn new(
        settings: &'a Settings<'a>,
        model: &'a Model<'a>,
        object: &'a Object,
        value: &'a Value,
    ) -> Option<Workload<'a>> {
        let mut pods = pods(object.layout.as_ref()?, value);
        for pod in &mut pods {
            // A pod runs on one system: one image that exists for Windows only tells which.
            pod.windows |= pod.containers.iter().any(|container| is_for_windows(settings.lock, container));
        }
        let claims = value["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten();
        let claim_templates = claims.filter_map(|claim| claim["metadata"]["name"].as_str()).collect();
        let patches = model.builds.patches_on(&model.file(object).path, &object.id).collect();
        let namespaces = model.namespaces(object);
        let names_apart = false;
        Some(Workload { settings, model, object, pods, namespaces, claim_templates, patches, names_apart })
    }

    /// How messages name the whole workload, or one of its pods when it has several.
    pub fn subject(&self, pod: &Pod<'_>) -> String {
        let (kind, name) = (&self.object.id.kind, &self.object.id.name);
        match pod.name {
            Some(part) => format!("`{part}` of {kind}/{name}"),
            None => format!("{kind}/{name}"),
        }
    }

    /// How messages name a container.
    pub fn container(&self, container: &Container<'_>) -> String {
        let (kind, name) = (&self.object.id.kind, &self.object.id.name);
        format!("{} `{}` of {kind}/{name}", container.role.noun(), container.name)
    }

    /// Pods that run on Linux with the containers that are in the object.
    pub fn linux(&self) -> impl Iterator<Item = &Pod<'a>> {
        self.pods.iter().filter(|pod| !pod.windows)
    }

    /// Containers of Linux pods.
    pub fn linux_containers(&self) -> impl Iterator<Item = (&Pod<'a>, &Container<'a>)> {
        self.linux().flat_map(|pod| pod.containers.iter().map(move |container| (pod, container)))
    }

    /// The value the standard wants for a field of every container's security context.
    pub fn wanted(&self, field: &str) -> Option<&'a Value> {
        self.settings.standard.container.get(field)
    }

    /// The value the standard wants for a field of the pod's security context.
    pub fn wanted_of_pod(&self, field: &str) -> Option<&'a Value> {
        self.settings.standard.pod.get(field)
    }

    /// What the lock file knows of a container's image.
    pub fn locked(&self, container: &Container<'_>) -> Option<&'a Locked> {
        self.settings.lock.lookup(container.image()?)
    }

    /// What was read from a container's image.
    pub fn facts(&self, container: &Container<'_>) -> Option<&'a Facts> {
        self.locked(container)?.facts.as_ref()
    }

    /// Whether one of its namespaces hosts node-level software.
    pub fn is_system(&self) -> bool {
        self.namespaces.iter().any(|namespace| self.settings.config.is_system_namespace(namespace))
    }
}

fn is_for_windows(lock: &Lock, container: &Container<'_>) -> bool {
    container.image().and_then(|image| lock.lookup(image)).is_some_and(Locked::is_for_windows)
}

impl Pod<'_> {
    /// As the Pod Security evaluator reads it, after the API server has given volumes without a source theirs.
    pub fn judged(&self) -> pss::Pod<'_> {
        pss::Pod::new(self.annotations, &self.spec).with_default_volumes()
    }
}

impl Container<'_> {
    pub fn is_privileged(&self) -> bool {
        self.security_context("privileged") == Some(&Value::Bool(true))
    }

    /// Whether some of its fields may be written elsewhere in the object (Tekton's `stepTemplate`): they can be
    /// overruled at the container, but not removed there.
    pub fn is_merged(&self) -> bool {
        matches!(self.value, Cow::Owned(_))
    }

    /// Takes away a field of the container's, or overrules it with what its absence means.
    pub fn without(&self, pointer: &str, default: impl Into<Value>) -> Change {
        if self.is_merged() { Change::set(pointer, default) } else { Change::remove(pointer) }
    }
}
