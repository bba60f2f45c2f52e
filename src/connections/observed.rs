//! Flows → connections: what was seen confirms what the repo states, adds to it, or shows that it was never used.

use std::collections::{BTreeSet, HashMap};

use super::flow_log::{Flow, FlowEnd, Flows, Special};
use super::found::Found;
use super::scene::Scene;
use super::{Certainty, Evidence, MemberId, Observed, Peer, Port, Space};

/// Members whose flows the logs show.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// As the end that opens.
    pub(super) sources: BTreeSet<MemberId>,
    /// As the end that takes.
    pub(super) targets: BTreeSet<MemberId>,
}

pub(super) fn apply(scene: &Scene<'_>, flows: &Flows, found: &mut Found) -> Shown {
    let mut shown = Shown::default();
    if flows.is_empty() {
        return shown;
    }
    let index = Index::new(scene, found);
    for flow in &flows.list {
        let (from, to) = (index.end(scene, &flow.from), index.end(scene, &flow.to));
        for from in &from {
            for to in &to {
                shown.sources.extend(from.member());
                shown.targets.extend(to.member());
                take(scene, &index, flow, from, to, found);
            }
        }
    }
    for idx in 0..found.list().len() {
        let connection = &found.list()[idx];
        let is_shown = connection.source().is_none_or(|source| shown.sources.contains(&source))
            && connection.target().is_none_or(|target| shown.targets.contains(&target));
        if is_shown && connection.observed.is_none() {
            found.observe(idx, Observed::Never, None);
        }
    }
    shown
}

/// What ends of flows are looked up in.
struct Index {
    by_name: HashMap<String, Vec<MemberId>>,
    /// Connections by what they lead to or come from.
    by_member: HashMap<MemberId, Vec<usize>>,
}

impl Index {
    fn new(scene: &Scene<'_>, found: &Found) -> Index {
        let mut by_name: HashMap<String, Vec<MemberId>> = HashMap::new();
        for id in scene.ids() {
            by_name.entry(scene.member(id).name.clone()).or_default().push(id);
        }
        let mut by_member: HashMap<MemberId, Vec<usize>> = HashMap::new();
        for (idx, connection) in found.list().iter().enumerate() {
            for member in connection.source().into_iter().chain(connection.target()) {
                by_member.entry(member).or_default().push(idx);
            }
        }
        Index { by_name, by_member }
    }

    /// The peers an end may be; none for what no policy is about.
    fn end(&self, scene: &Scene<'_>, end: &FlowEnd) -> Vec<Peer> {
        match (end.special, &end.namespace, &end.workload) {
            (Some(Special::ApiServer), ..) => return vec![Peer::ApiServer],
            (Some(Special::Node), ..) => return Vec::new(),
            _ => {}
        }
        if let Some(workload) = &end.workload {
            let members = self.members(scene, end.namespace.as_deref(), workload);
            if !members.is_empty() {
                return members.into_iter().map(Peer::Member).collect();
            }
        }
        if let Some(namespace) = &end.namespace {
            let namespace = Space::Named(namespace.clone());
            return vec![Peer::Pods { namespace, labels: Default::default() }];
        }
        let host = end.host.as_deref().map(|host| host.trim_end_matches('.').to_ascii_lowercase());
        if let Some(host) = host.filter(|host| !host.is_empty()) {
            return vec![Peer::Host(host)];
        }
        let cidr = end.address.as_deref().and_then(crate::config::network::canonical_cidr);
        cidr.map(|cidr| Peer::IpBlock { cidr, except: Vec::new() }).into_iter().collect()
    }

    /// Members by the name of the workload, or of one of its pods: controllers append to it.
    fn members(&self, scene: &Scene<'_>, namespace: Option<&str>, name: &str) -> Vec<MemberId> {
        let mut candidate = name;
        loop {
            let found = self.by_name.get(candidate).into_iter().flatten().copied();
            let fits = |id: &MemberId| match (&scene.member(*id).space, namespace) {
                (Space::Named(own), Some(namespace)) => own == namespace,
                // Where the repo names no namespace, any may be meant.
                (Space::Unnamed(_), _) | (_, None) => true,
            };
            let fitting: Vec<MemberId> = found.filter(fits).collect();
            if !fitting.is_empty() {
                return fitting;
            }
            match candidate.rsplit_once('-') {
                Some((shorter, _)) => candidate = shorter,
                None => return Vec::new(),
            }
        }
    }
}

fn take(scene: &Scene<'_>, index: &Index, flow: &Flow, from: &Peer, to: &Peer, found: &mut Found) {
    let Some(own) = from.member().or(to.member()) else { return };
    if let (Peer::Member(a), Peer::Member(b)) = (from, to) {
        // Two unnamed namespaces are not one.
        let (a, b) = (&scene.member(*a).space, &scene.member(*b).space);
        if a != b && matches!((a, b), (Space::Unnamed(_), Space::Unnamed(_))) {
            return;
        }
    }
    // Queries to the cluster's DNS are allowed without a word.
    if flow.port == 53 && flow.to.namespace.as_deref() == Some("kube-system") {
        return;
    }
    let times = if flow.count == 1 { "once".to_owned() } else { format!("{} times", flow.count) };
    let words = format!("a flow log shows it {times}");
    let evidence = Evidence { path: flow.path.clone(), line: flow.line, words };
    let seen = Observed::Seen { flows: flow.count };
    let mut confirmed = false;
    for idx in index.by_member.get(&own).into_iter().flatten() {
        let connection = &found.list()[*idx];
        let same_port = connection.port.as_ref().is_none_or(|port| {
            port.protocol == flow.protocol
                && port.number.is_none_or(|first| (first..=port.end.unwrap_or(first)).contains(&flow.port))
        });
        let is_it = is_same(scene, &connection.from, from) && is_same(scene, &connection.to, to);
        if same_port && is_it && connection.is_needed() {
            found.observe(*idx, seen, Some(evidence.clone()));
            confirmed = true;
        }
    }
    if !confirmed {
        let port = Port::number(flow.port, flow.protocol);
        let idx = found.list().len();
        found.add(from, to, &[port], None, &Certainty::Sure, &evidence);
        if found.list().len() > idx {
            found.observe(idx, seen, None);
        }
    }
}

/// Whether the peer that a flow shows is the one that a connection names.
fn is_same(scene: &Scene<'_>, named: &Peer, seen: &Peer) -> bool {
    match (named, seen) {
        (a, b) if a == b => true,
        (Peer::IngressController { class }, Peer::Pods { namespace, .. }) => {
            let configured = scene.network.ingress_controller(class.as_deref()).namespace;
            namespace.name() == Some(&configured) || configured.is_empty()
        }
        (Peer::Monitoring, Peer::Pods { namespace, .. }) => {
            namespace.name() == Some(&scene.network.monitoring.namespace)
        }
        (Peer::Pods { namespace: a, .. }, Peer::Pods { namespace: b, .. }) => a == b,
        (Peer::Everything, Peer::IpBlock { .. } | Peer::Host(_)) => true,
        // The API server is an address where a log does not know it.
        (Peer::ApiServer, Peer::IpBlock { cidr, .. }) => {
            scene.network.api_server.is_empty() || scene.network.api_server.contains(cidr)
        }
        _ => false,
    }
}
