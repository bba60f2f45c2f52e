//! Which connections are worth trying in a real cluster: for each pair of namespaces some that must work and some that
//! must be blocked, by name and port of a Service.
//!
//! Only TCP: whether a packet of another protocol got through, nobody answers.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::Workload;
use super::evaluate::End;
use super::graph::Graph;
use crate::connections::{MemberId, Protocol, Service, Space};

/// The attempts of one workload's pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    pub from: usize,
    pub attempts: Vec<Attempt>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt {
    /// The Service's name as the source may write it.
    pub host: String,
    /// The Service's port.
    pub port: u16,
    pub should_work: bool,
}

/// How many attempts of each kind a pair of namespaces gets, unless all are wanted.
const PER_PAIR: usize = 3;

/// Chooses attempts; `shows` picks the sources. With `all`, every source tries every Service.
pub fn probes(
    graph: &Graph<'_>,
    services: &[Service],
    shows: &dyn Fn(usize) -> bool,
    all: bool,
) -> Vec<Probe> {
    let workloads = &graph.cluster.workloads;
    let addressed = addressed(graph, services);
    let needed: BTreeSet<(usize, usize)> =
        graph.edges.iter().filter(|edge| !edge.needs.is_empty()).map(|edge| (edge.from, edge.to)).collect();
    // What is needed first: that is what must not break.
    let mut sources: Vec<usize> =
        (0..workloads.len()).filter(|idx| shows(*idx) && may_pose(graph, services, *idx)).collect();
    sources.sort_by_key(|from| (!needed.iter().any(|(source, _)| source == from), *from));
    let mut counts: BTreeMap<(&Space, &Space, bool), usize> = BTreeMap::new();
    let mut probes: BTreeMap<usize, BTreeSet<Attempt>> = BTreeMap::new();
    for from in sources {
        let mut targets: Vec<&Addressed<'_>> =
            addressed.iter().filter(|target| target.workload != from).collect();
        targets.sort_by_key(|target| !needed.contains(&(from, target.workload)));
        for target in targets {
            let Some(host) = host(&workloads[from].space, target) else { continue };
            let verdict = graph.evaluator.verdict(End::Workload(from), End::Workload(target.workload));
            let should_work = verdict.allowed.contains(Protocol::Tcp, target.pod_port);
            // What may or may not be allowed proves nothing.
            if !should_work && verdict.possible.contains(Protocol::Tcp, target.pod_port) {
                continue;
            }
            let pair = (&workloads[from].space, &workloads[target.workload].space, should_work);
            let count = counts.entry(pair).or_default();
            if all || *count < PER_PAIR {
                *count += 1;
                probes.entry(from).or_default().insert(Attempt { host, port: target.port, should_work });
            }
        }
    }
    let probe = |(from, attempts): (usize, BTreeSet<Attempt>)| {
        let mut attempts: Vec<Attempt> = attempts.into_iter().collect();
        attempts.sort_by_key(|attempt| !attempt.should_work);
        Probe { from, attempts }
    };
    probes.into_iter().map(probe).collect()
}

/// A Service's port behind which there is one workload.
struct Addressed<'a> {
    service: &'a Service,
    workload: usize,
    port: u16,
    pod_port: u16,
}

fn addressed<'a>(graph: &Graph<'_>, services: &'a [Service]) -> Vec<Addressed<'a>> {
    let mut addressed = Vec::new();
    for service in services {
        // Behind several workloads, any of them may answer.
        let [MemberId(workload)] = service.targets.as_slice() else { continue };
        let pods = &graph.cluster.workloads[*workload];
        if graph.foreign_of(*workload).next().is_some() || pods.host_network {
            continue;
        }
        for port in service.ports.iter().filter(|port| port.protocol == Protocol::Tcp) {
            let ranges: Vec<_> = pods.behind(port).ranges().collect();
            if let [(_, pod_port, _)] = ranges.as_slice() {
                addressed.push(Addressed {
                    service,
                    workload: *workload,
                    port: port.port,
                    pod_port: *pod_port,
                });
            }
        }
    }
    addressed
}

/// Whether other pods may carry the workload's labels for a while: no Service sends to pods that are not ready.
fn may_pose(graph: &Graph<'_>, services: &[Service], idx: usize) -> bool {
    let workload = &graph.cluster.workloads[idx];
    let takes_unready = |service: &Service| service.takes_unready && service.targets.contains(&MemberId(idx));
    !workload.host_network
        && !workload.labels.is_empty()
        && graph.foreign_of(idx).next().is_none()
        && !services.iter().any(takes_unready)
}

fn host(from: &Space, target: &Addressed<'_>) -> Option<String> {
    match &target.service.space {
        space if space == from => Some(target.service.name.clone()),
        Space::Named(namespace) => Some(format!("{}.{namespace}.svc", target.service.name)),
        Space::Unnamed(_) => None,
    }
}

impl Probe {
    /// A name for the Job, in the namespace of its source.
    pub fn name(&self, workload: &Workload) -> String {
        let cut: String = workload.name.chars().take(40).collect();
        format!("probe-{}-{}", cut.trim_end_matches(['-', '.']), self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::Place;
    use super::*;
    use crate::connections::{Connections, ContainerPort, ServicePort, Target};
    use crate::model::{Object, ObjectId, Passage};
    use crate::network_policy::{Cluster, NetworkPolicySpec, Policy};

    fn cluster() -> Cluster {
        let place = Place { path: "x".to_owned(), line: 1 };
        let workload = |name: &str, space: &str| Workload {
            kind: "Deployment".to_owned(),
            name: name.to_owned(),
            space: Space::Named(space.to_owned()),
            labels: [("app".to_owned(), name.to_owned())].into(),
            ports: vec![ContainerPort { name: None, number: 8080, protocol: Protocol::Tcp }],
            host_network: false,
            place: place.clone(),
        };
        let object = serde_json::json!({"spec": {
            "podSelector": {"matchLabels": {"app": "db"}},
            "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}],
        }});
        let spec = NetworkPolicySpec::read(&object, &|_| 1).unwrap();
        Cluster {
            workloads: vec![workload("web", "shop"), workload("db", "shop"), workload("job", "lab")],
            policies: vec![Policy::core("p".to_owned(), Space::Named("shop".to_owned()), place, spec)],
            ..Cluster::default()
        }
    }

    fn service(name: &str, takes_unready: bool) -> Service {
        let target = cluster().workloads.iter().position(|workload| workload.name == name).unwrap();
        let port =
            ServicePort { name: None, port: 80, protocol: Protocol::Tcp, target: Target::Number(8080) };
        Service {
            file: 0,
            object: Object {
                file: 0,
                document: 0,
                pointer: "".into(),
                id: ObjectId::named("v1", "Service", name),
                layout: None,
            },
            path: "x".to_owned(),
            space: Space::Named("shop".to_owned()),
            name: name.to_owned(),
            way: Passage::default(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            selector: Some([("app".to_owned(), name.to_owned())].into()),
            ports: vec![port],
            external_name: None,
            headless: false,
            takes_unready,
            external: None,
            endpoints: Vec::new(),
            targets: vec![MemberId(target)],
        }
    }

    /// `SOURCE: works HOST PORT`, one for each attempt.
    fn tried(services: &[Service]) -> Vec<String> {
        let (cluster, connections) = (cluster(), Connections::default());
        let graph = Graph::new(&cluster, &connections);
        let probes = probes(&graph, services, &|_| true, false);
        let words = |probe: &Probe| {
            let from = cluster.workloads[probe.from].name.clone();
            let shown = move |attempt: &Attempt| {
                let word = if attempt.should_work { "works" } else { "blocked" };
                format!("{from}: {word} {} {}", attempt.host, attempt.port)
            };
            probe.attempts.iter().map(shown).collect::<Vec<_>>()
        };
        probes.iter().flat_map(words).collect()
    }

    #[test]
    fn what_must_work_and_what_must_not_is_tried_by_service_and_its_port() {
        assert_eq!(
            tried(&[service("db", false), service("web", false)]),
            [
                "web: works db 80",
                "db: works web 80",
                "job: works web.shop.svc 80",
                "job: blocked db.shop.svc 80"
            ]
        );
    }

    #[test]
    fn nobody_poses_as_pods_that_get_traffic_before_they_are_ready() {
        assert_eq!(tried(&[service("db", false), service("web", true)])[0], "db: works web 80");
    }
}
