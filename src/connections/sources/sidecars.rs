//! Sidecars that an admission webhook adds: the repo shows neither what they open nor who calls them.
//!
//! Dapr (`dapr.io/enabled`), Linkerd (`linkerd.io/inject`), Istio (`sidecar.istio.io/inject`, and `istio-injection` or
//! `istio.io/rev` on the namespace), as each project documents its injection.

use std::collections::BTreeMap;

use super::super::found::Found;
use super::super::members::strings;
use super::super::scene::Scene;
use super::super::{MemberId, Space};
use super::Workload;

type Labels = BTreeMap<String, String>;

/// Namespaces whose pods all get a sidecar, with whose it is.
pub(super) type Meshed = BTreeMap<Space, &'static str>;

/// Members whose pods get a sidecar; that its connections are not known is said of each.
pub(super) fn of_workload(
    scene: &Scene<'_>,
    meshed: &Meshed,
    workload: &Workload<'_>,
    found: &mut Found,
) -> Vec<MemberId> {
    let mut injected = Vec::new();
    for id in workload.members {
        let member = scene.member(*id);
        for pod in &workload.pods {
            let (at, annotations) = workload.annotations(pod);
            let of_pod = injector(&annotations, &member.labels);
            let of_namespace = meshed.get(&member.space).filter(|_| !refuses(&annotations, &member.labels));
            let Some(name) = of_pod.or(of_namespace.copied()) else { continue };
            let words = format!("{name} adds a sidecar to the pods of {}", member.subject());
            let evidence = scene.evidence(member.file, workload.object, &at, 0, words);
            found.unresolved(*id, "what a sidecar connects to is not in the repo".to_owned(), evidence);
            injected.push(*id);
        }
    }
    injected
}

pub(super) fn meshed_namespaces(scene: &Scene<'_>) -> Meshed {
    let mut meshed = BTreeMap::new();
    for (_, object, value) in scene.objects(|object| &*object.id.kind == "Namespace") {
        let labels = strings(&value["metadata"]["labels"]);
        let annotations = strings(&value["metadata"]["annotations"]);
        let is_istio = labels.get("istio-injection").is_some_and(|value| value == "enabled")
            || labels.contains_key("istio.io/rev")
            || labels.get("istio.io/dataplane-mode").is_some_and(|value| value == "ambient");
        let name = if is_istio { Some("Istio") } else { injector(&annotations, &labels) };
        if let Some(name) = name {
            let given = scene.model.builds.given_namespaces(&scene.model.file(object).path);
            for space in given.chain([&*object.id.name]) {
                meshed.insert(Space::Named(space.to_owned()), name);
            }
        }
    }
    meshed
}

fn injector(annotations: &Labels, labels: &Labels) -> Option<&'static str> {
    let has = |key: &str, values: &[&str]| {
        [annotations, labels]
            .iter()
            .any(|map| map.get(key).is_some_and(|value| values.contains(&value.as_str())))
    };
    if has("dapr.io/enabled", &["true"]) {
        Some("Dapr")
    } else if has("linkerd.io/inject", &["enabled", "ingress"]) {
        Some("Linkerd")
    } else if has("sidecar.istio.io/inject", &["true"]) {
        Some("Istio")
    } else {
        None
    }
}

fn refuses(annotations: &Labels, labels: &Labels) -> bool {
    [annotations, labels].iter().any(|map| {
        map.get("sidecar.istio.io/inject").is_some_and(|value| value == "false")
            || map.get("linkerd.io/inject").is_some_and(|value| value == "disabled")
    })
}
