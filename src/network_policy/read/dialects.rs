//! Policies of Cilium and Calico: where they are put, and what of them is said not to be judged.

use super::super::dialect::DialectSpec;
use super::super::{calico, cilium};
use super::*;

/// The API of an object that is such a policy.
pub(super) fn api(id: &ObjectId) -> Option<Api> {
    match (id.group(), &*id.kind) {
        ("cilium.io", "CiliumNetworkPolicy") => Some(Api::Cilium),
        ("cilium.io", "CiliumClusterwideNetworkPolicy") => Some(Api::CiliumClusterwide),
        ("projectcalico.org" | "crd.projectcalico.org", "NetworkPolicy") => Some(Api::Calico),
        ("projectcalico.org" | "crd.projectcalico.org", "GlobalNetworkPolicy") => Some(Api::CalicoGlobal),
        _ => None,
    }
}

pub(super) fn read<'m>(
    model: &'m Model<'m>,
    connections: &Connections,
    object: &Object,
    api: Api,
    lines: &mut Lines<'m>,
    cluster: &mut Cluster,
) {
    let place = lines.place(object, "");
    let Some(value) = model.value(object) else {
        let message = format!("{} is not counted: its value cannot be read", object.id);
        return cluster.notes.push(Note { place, message });
    };
    let is_global = matches!(api, Api::CiliumClusterwide | Api::CalicoGlobal);
    for (space, way) in crate::connections::landings(model, object) {
        let made = model.builds.at_end(&way, &object.id, &value);
        let spec = {
            let cell = std::cell::RefCell::new(&mut *lines);
            let line_of = |pointer: &str| cell.borrow_mut().line(object, pointer);
            match api {
                Api::Cilium | Api::CiliumClusterwide => cilium::read(&made, is_global, &line_of),
                _ => calico::read(&made, is_global, &line_of),
            }
        };
        let DialectSpec { parts, left_out } = match spec {
            Ok(spec) => spec,
            Err(Unread::Refused(refused)) => {
                cluster.notes.push(refusal(object, &refused, lines));
                continue;
            }
            Err(Unread::Beyond(reason)) => {
                let reach = if is_global { Reach::Cluster } else { Reach::Namespace };
                name_foreign(model, connections, object, reach, &reason, lines, cluster);
                continue;
            }
        };
        for (pointer, what) in left_out {
            let place = lines.place(object, &pointer);
            let message = format!("{} is judged without {what}", object.id);
            cluster.notes.push(Note { place, message });
        }
        let name = made["metadata"]["name"].as_str().unwrap_or(&object.id.name);
        for part in parts {
            let spaces = match is_global {
                true => vec![None],
                false => spaces(space.clone(), &part.subject.pods, cluster).into_iter().map(Some).collect(),
            };
            for namespace in spaces {
                cluster.policies.push(Policy {
                    api,
                    tier: Tier::Namespaced,
                    order: part.order,
                    name: name.to_owned(),
                    namespace,
                    place: place.clone(),
                    subject: part.subject.clone(),
                    ingress: part.ingress.clone(),
                    egress: part.egress.clone(),
                    keeps_open: part.keeps_open.clone(),
                });
            }
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
