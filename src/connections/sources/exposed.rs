//! Services that take connections from outside the cluster.

use super::super::found::Found;
use super::super::scene::Scene;
use super::super::{Certainty, Peer};

pub(super) fn read(scene: &Scene<'_>, found: &mut Found) {
    for service in &scene.services {
        let Some(external) = &service.external else { continue };
        let words = match external.ranges.as_slice() {
            [] => format!("Service/{} is of type {} and open to any address", service.name, external.kind),
            ranges => format!(
                "Service/{} is of type {} and open to {}",
                service.name,
                external.kind,
                ranges.join(", ")
            ),
        };
        let evidence = scene.evidence(service.file, &service.object, "/spec/type", 0, words);
        let hides =
            !external.ranges.is_empty() && !external.keeps_addresses && scene.network.nodes.is_empty();
        let certainty = if hides {
            let why = "without `externalTrafficPolicy: Local` pods may see a node's address instead; `nodes` in caseharden.toml adds those";
            Certainty::Likely(why.to_owned())
        } else {
            Certainty::Sure
        };
        let mut from: Vec<Peer> = external
            .ranges
            .iter()
            .map(|cidr| Peer::IpBlock { cidr: cidr.clone(), except: Vec::new() })
            .collect();
        if from.is_empty() {
            from.push(Peer::Everything);
        } else if !external.keeps_addresses {
            // The node that takes the packet puts its own address into it:
            // <https://kubernetes.io/docs/tutorials/services/source-ip/>
            let nodes = scene.network.nodes.iter();
            from.extend(nodes.map(|cidr| Peer::IpBlock { cidr: cidr.clone(), except: Vec::new() }));
        }
        for target in &service.targets {
            let ports = service.ports_on(Some(scene.member(*target)), None).unwrap_or_default();
            for peer in &from {
                let to = Peer::Member(*target);
                found.add(peer, &to, &ports, Some(&service.shown(None)), &certainty, &evidence);
            }
        }
    }
}
