//! Pods of a StatefulSet that find each other by the DNS names of its headless Service.
//!
//! <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-network-id>

use super::super::found::Found;
use super::super::resolve::declared;
use super::super::scene::{From, Scene};
use super::super::{Certainty, Peer};
use super::Workload;

pub(super) fn of_workload(scene: &Scene<'_>, workload: &Workload<'_>, found: &mut Found) {
    let (object, spec) = (workload.object, &workload.value["spec"]);
    if &*object.id.kind != "StatefulSet" {
        return;
    }
    let replicas = spec["replicas"].as_u64().unwrap_or(1);
    let Some(name) = spec["serviceName"].as_str() else { return };
    for id in workload.members {
        let member = scene.member(*id);
        let Some(service) = scene.service(&member.space, From::member(member), name) else { continue };
        if replicas < 2 || !service.headless || !service.targets.contains(id) {
            continue;
        }
        let words =
            format!("StatefulSet/{} runs {replicas} pods that Service/{name} gives names", member.id.name);
        let evidence = scene.evidence(member.file, object, "/spec/serviceName", 0, words);
        let why = "pods with names of their own often form a cluster".to_owned();
        let mut ports = declared(scene, *id);
        ports.extend(service.ports.iter().map(|port| port.on(Some(member))));
        for port in &mut ports {
            // One port by name and by number is one port.
            port.name = port.name.take().filter(|_| port.number.is_none());
        }
        ports.sort();
        ports.dedup();
        if !ports.is_empty() {
            let peer = Peer::Member(*id);
            found.add(&peer, &peer, &ports, Some(&service.shown(None)), &Certainty::Likely(why), &evidence);
        }
    }
}
