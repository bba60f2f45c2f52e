//! Pods that an operator makes of its own objects, where it is known which labels it gives them.
//!
//! Of the prometheus-operator: <https://github.com/prometheus-operator/prometheus-operator> (`podSelectorLabels` of
//! pkg/prometheus/server, pkg/prometheus/agent and pkg/alertmanager, `makeSelectorLabels` of pkg/thanos). Its labels win
//! over those that an object asks for.

use std::collections::BTreeMap;

use super::View;
use crate::config::PodPeer;
use crate::connections::{Member, Space, spaces};
use crate::model::{Model, ObjectId};
use crate::template::{InNamespace, WantedPeer};

/// The pods of one object in one namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Operated {
    space: Space,
    /// Kind and name.
    subject: String,
    labels: BTreeMap<String, String>,
    /// Whether it collects metrics.
    is_collector: bool,
}

/// Kind, the name of its program as a label, the label with the object's own name where it has had one for long, and
/// whether it collects metrics.
const KINDS: &[(&str, &str, Option<&str>, bool)] = &[
    ("Alertmanager", "alertmanager", Some("alertmanager"), false),
    ("Prometheus", "prometheus", Some("prometheus"), true),
    ("PrometheusAgent", "prometheus-agent", None, true),
    ("ThanosRuler", "thanos-ruler", None, false),
];

fn labels(id: &ObjectId) -> Option<(BTreeMap<String, String>, bool)> {
    let of_operator = id.group() == "monitoring.coreos.com" && !id.name.is_empty();
    let (_, program, key, is_collector) =
        KINDS.iter().find(|(kind, ..)| of_operator && *kind == &*id.kind)?;
    let own = key.map(|key| (key, &*id.name));
    let labels = std::iter::once(("app.kubernetes.io/name", *program)).chain(own);
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Some((labels.collect(), *is_collector))
}

pub(super) fn operated(model: &Model<'_>) -> Vec<Operated> {
    let mut found = Vec::new();
    for object in model.objects() {
        let Some((labels, is_collector)) = labels(&object.id) else { continue };
        let Some(value) = model.value(object) else { continue };
        // No selector finds pods on the network of their node; DaemonSets of agents are named otherwise.
        if value["spec"]["hostNetwork"] == true || value["spec"]["mode"] == "DaemonSet" {
            continue;
        }
        for space in spaces(model, object) {
            let subject = format!("{}/{}", object.id.kind, object.id.name);
            found.push(Operated { space, subject, labels: labels.clone(), is_collector });
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Who collects the metrics of a member: what the configuration says, or the collectors of the repo where it says no
/// more than a namespace that has some.
pub(super) fn collectors(view: &View<'_>, own: &Member, configured: &PodPeer) -> Vec<WantedPeer> {
    let is_asked = |operated: &&Operated| {
        let name = operated.space.name();
        operated.is_collector && name.is_some_and(|name| name == configured.namespace)
    };
    let here: Vec<&Operated> = view.operated.iter().filter(is_asked).collect();
    if !configured.labels.is_empty() || here.is_empty() {
        return vec![super::needs::configured(configured)];
    }
    let each = here.into_iter().map(|operated| peer(operated, &own.space));
    each.collect()
}

/// The pods behind some hidden objects of a namespace; nothing unless all of their labels are known.
pub(super) fn behind(view: &View<'_>, own: &Member, hidden: &[&str]) -> Option<Vec<WantedPeer>> {
    let find = |subject: &&str| {
        let mut operated = view.operated.iter();
        operated.find(|operated| operated.space == own.space && operated.subject == **subject)
    };
    hidden.iter().map(|subject| Some(peer(find(subject)?, &own.space))).collect()
}

fn peer(operated: &Operated, own: &Space) -> WantedPeer {
    let namespace = match operated.space.name() {
        Some(name) if operated.space != *own => InNamespace::Named(name.to_owned()),
        _ => InNamespace::Own,
    };
    WantedPeer::Pods { namespace, labels: operated.labels.clone(), foreign: false }
}
