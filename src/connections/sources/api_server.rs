//! Workloads that talk to the API server: somebody gave their account rights, and they carry its token.

use super::super::found::Found;
use super::super::scene::Scene;
use super::super::{Certainty, Peer, Port, Protocol, Space};
use super::Workload;

pub(super) fn of_workload(scene: &Scene<'_>, workload: &Workload<'_>, found: &mut Found) {
    let ports: Vec<Port> =
        scene.network.api_server_ports.iter().map(|port| Port::number(*port, Protocol::Tcp)).collect();
    for id in workload.members {
        let member = scene.member(*id);
        let namespaces: Vec<String> = match &member.space {
            Space::Named(name) => vec![name.clone()],
            Space::Unnamed(_) => Vec::new(),
        };
        for pod in &workload.pods {
            let account = pod.service_account();
            let mounts = pod.spec["automountServiceAccountToken"].as_bool();
            let mounts = mounts.or_else(|| scene.model.accounts.automount(&namespaces, account));
            if mounts == Some(false) || !scene.model.accounts.is_bound(&namespaces, account) {
                continue;
            }
            let words =
                format!("ServiceAccount/{account} of {} is given rights in the API", member.subject());
            let pointer = format!("{}/serviceAccountName", pod.pointer);
            let evidence = scene.evidence(member.file, workload.object, &pointer, 0, words);
            found.add(&Peer::Member(*id), &Peer::ApiServer, &ports, None, &Certainty::Sure, &evidence);
        }
    }
}
