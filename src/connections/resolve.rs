//! Name → peer, as the cluster's DNS would answer the pods of a namespace.
//!
//! <https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/>

use std::collections::BTreeMap;

use super::address::{Form, Mention, PortText, ipv4};
use super::scene::{From, Scene};
use super::services::Service;
use super::{Evidence, MemberId, Peer, Port, Protocol, Space};

/// What a mention comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Peers with the ports of theirs; the Service that was named; why it is not quite sure.
    Peers { peers: Vec<(Peer, Vec<Port>)>, via: Option<String>, doubt: Option<String> },
    /// A word that happens to be the name of a Service.
    Coincidence { service: String },
    /// It is an address, but nothing says whose.
    Unknown(String),
    /// No address, or one within the pod.
    Nothing,
}

/// Ends of names on the internet that manifests have most; every two-letter one is a country's.
const PUBLIC: &[&str] = &[
    "ai", "app", "biz", "build", "cloud", "com", "dev", "edu", "gov", "info", "int", "io", "mil", "net",
    "online", "org", "page", "run", "sh", "site", "store", "tech", "tools", "xyz",
];

/// Two-letter words that are no country's: ends of files, most of all.
const NOT_COUNTRIES: &[&str] = &["db", "ts", "js", "py", "go", "rb", "cs", "gz", "xz", "md"];

/// Names of hosts that no program connects to: examples, and the names of schemas.
const NEVER_CALLED: &[&str] =
    &["example.com", "example.org", "example.net", "www.w3.org", "json-schema.org", "schemas.microsoft.com"];

/// `sibling_port`: the port that a variable beside it gives (`DB_PORT` for `DB_HOST`).
pub(super) fn resolve(
    scene: &Scene<'_>,
    client: MemberId,
    mention: &Mention,
    sibling_port: Option<u16>,
) -> Outcome {
    let host = mention.host.as_str();
    if matches!(host, "localhost" | "host.docker.internal") || host.ends_with(".localhost") {
        return Outcome::Nothing;
    }
    let wanted = wanted_port(mention, sibling_port);
    if let Some(address) = ipv4(host) {
        return address_peer(address, mention, &wanted);
    }
    let own = scene.member(client);
    let (space, from) = (own.space.clone(), From::member(own));
    let domain = format!(".{}", scene.network.cluster_domain);
    let (name, absolute) = match host.strip_suffix(&domain) {
        Some(name) => (name, true),
        None => (host, false),
    };
    let labels: Vec<&str> = name.split('.').filter(|label| !label.starts_with('_')).collect();
    match labels.as_slice() {
        [service] => match scene.service(&space, from, service) {
            Some(found) => named(found, service, of_service(scene, found, mention, &wanted, 0)),
            None if is_clear(mention) && !absolute => {
                Outcome::Unknown(format!("the repo has no Service `{service}`"))
            }
            None => Outcome::Nothing,
        },
        [service, namespace, "svc"] | [_, service, namespace, "svc"] => {
            in_namespace(scene, client, service, namespace, mention, &wanted)
        }
        [service, "svc"] => match scene.service(&space, from, service) {
            Some(found) => named(found, service, of_service(scene, found, mention, &wanted, 0)),
            None => Outcome::Unknown(format!("the repo has no Service `{service}`")),
        },
        [first, second] | [first, second, _] => {
            // `db-0.db`, `db-0.db.shop`
            let headless = scene.service(&space, from, second).filter(|service| service.headless);
            if let Some(found) = headless.filter(|_| first.bytes().any(|byte| byte.is_ascii_digit())) {
                return of_service(scene, found, mention, &wanted, 0);
            }
            if labels.len() == 2 && scene.knows_namespace(second) {
                return in_namespace(scene, client, first, second, mention, &wanted);
            }
            if labels.len() == 3 && scene.knows_namespace(labels[2]) {
                return in_namespace(scene, client, second, labels[2], mention, &wanted);
            }
            outside(host, mention, &wanted, labels.len() == 2)
        }
        _ => outside(host, mention, &wanted, false),
    }
}

/// Says so where the build calls the Service otherwise: kustomize adapts names of Services in other objects, and never
/// within a text.
fn named(service: &Service, asked: &str, mut outcome: Outcome) -> Outcome {
    if let Outcome::Peers { doubt, .. } = &mut outcome
        && service.name != asked
    {
        doubt.get_or_insert_with(|| {
            format!("the build calls it Service/{}: something must adapt the name", service.name)
        });
    }
    outcome
}

/// What is known of the port.
enum Wanted {
    Number(u16),
    Name(String),
    /// What the scheme implies: it counts only where there is such a port.
    Implied(u16),
    Unknown,
}

fn wanted_port(mention: &Mention, sibling: Option<u16>) -> Wanted {
    match (&mention.port, sibling, mention.default_port) {
        (Some(PortText::Number(number)), _, _) => Wanted::Number(*number),
        (Some(PortText::Name(name)), _, _) => Wanted::Name(name.clone()),
        (None, Some(number), _) => Wanted::Number(number),
        (None, None, Some(number)) => Wanted::Implied(number),
        (None, None, None) => Wanted::Unknown,
    }
}

/// Whether nobody would write the text for anything but an address.
fn is_clear(mention: &Mention) -> bool {
    match mention.form {
        Form::Url | Form::Whole => true,
        Form::Keyed => mention.port.is_some(),
        Form::Inline | Form::Word => false,
    }
}

fn in_namespace(
    scene: &Scene<'_>,
    client: MemberId,
    service: &str,
    namespace: &str,
    mention: &Mention,
    wanted: &Wanted,
) -> Outcome {
    let space = Space::Named(namespace.to_owned());
    let member = scene.member(client);
    if let Some(found) =
        scene.service(&space, From::member(member), service).filter(|found| found.space == space)
    {
        return named(found, service, of_service(scene, found, mention, wanted, 0));
    }
    // The API server's own Service.
    if (service, namespace) == ("kubernetes", "default") {
        let ports = scene.network.api_server_ports.iter().map(|port| Port::number(*port, Protocol::Tcp));
        return Outcome::Peers { peers: vec![(Peer::ApiServer, ports.collect())], via: None, doubt: None };
    }
    if (service, namespace) == ("kube-dns", "kube-system") {
        return Outcome::Nothing;
    }
    let peer = Peer::Pods { namespace: space, labels: BTreeMap::new() };
    let doubt = format!(
        "Service/{service} in {namespace} is not in the repo, so its pods and their ports are not known"
    );
    Outcome::Peers {
        peers: vec![(peer, Vec::new())],
        via: Some(format!("Service/{service}")),
        doubt: Some(doubt),
    }
}

fn of_service(
    scene: &Scene<'_>,
    service: &Service,
    mention: &Mention,
    wanted: &Wanted,
    depth: usize,
) -> Outcome {
    if mention.form == Form::Word && mention.port.is_none() {
        return Outcome::Coincidence { service: service.name.clone() };
    }
    if let Some(target) = &service.external_name {
        return external_name(scene, service, target, mention, wanted, depth);
    }
    let number = match wanted {
        Wanted::Number(number) => Some(*number),
        Wanted::Name(name) => match service.port_named(name) {
            Some(port) => Some(port.port),
            None => return Outcome::Unknown(format!("Service/{} has no port `{name}`", service.name)),
        },
        Wanted::Implied(number) => Some(*number)
            .filter(|number| service.headless || service.ports.iter().any(|port| port.port == *number)),
        Wanted::Unknown => None,
    };
    let via = Some(service.shown(number));
    if service.selector.is_none() {
        return without_selector(service, number, via);
    }
    if service.targets.is_empty() {
        let labels = service.selector.clone().unwrap_or_default();
        let peer = Peer::Pods { namespace: service.space.clone(), labels };
        return match service.ports_on(None, number) {
            Some(ports) => Outcome::Peers { peers: vec![(peer, ports)], via, doubt: None },
            None => no_such_port(service, number),
        };
    }
    let ports = |target: &MemberId| {
        let ports = service.ports_on(Some(scene.member(*target)), number)?;
        Some((Peer::Member(*target), ports))
    };
    let peers: Option<Vec<_>> = service.targets.iter().map(ports).collect();
    match peers {
        Some(peers) => Outcome::Peers { peers, via, doubt: None },
        // A headless Service may have no ports at all.
        None if service.headless => {
            let peers =
                service.targets.iter().map(|target| (Peer::Member(*target), declared(scene, *target)));
            let said = service.targets.iter().filter_map(|target| scene.exposed.get(target)?.first());
            let doubt = said.map(|(_, evidence)| exposed_only(evidence)).next();
            Outcome::Peers { peers: peers.collect(), via, doubt }
        }
        None => no_such_port(service, number),
    }
}

/// What the containers of a member declare; what their images say, when they declare nothing.
pub(super) fn declared(scene: &Scene<'_>, member: MemberId) -> Vec<Port> {
    let mut ports: Vec<Port> =
        scene.member(member).ports.iter().map(|port| Port::number(port.number, port.protocol)).collect();
    if ports.is_empty() {
        ports = scene.exposed.get(&member).into_iter().flatten().map(|(port, _)| port.clone()).collect();
    }
    ports.sort();
    ports.dedup();
    ports
}

/// Why a port that only an image names is not quite sure.
pub(super) fn exposed_only(evidence: &Evidence) -> String {
    format!("the manifest declares no port; {}:{}: {}", evidence.path, evidence.line, evidence.words)
}

fn no_such_port(service: &Service, number: Option<u16>) -> Outcome {
    Outcome::Unknown(match number {
        Some(number) => format!("Service/{} has no port {number}", service.name),
        None => format!("Service/{} has no ports", service.name),
    })
}

fn without_selector(service: &Service, number: Option<u16>, via: Option<String>) -> Outcome {
    if service.endpoints.is_empty() {
        return Outcome::Unknown(format!(
            "Service/{} selects no pods and the repo has no Endpoints of it",
            service.name
        ));
    }
    let ports = service.ports_on(None, number).unwrap_or_default();
    let ports: Vec<Port> = ports.into_iter().filter(|port| port.number.is_some()).collect();
    let blocks =
        service.endpoints.iter().filter_map(|address| crate::config::network::canonical_cidr(address));
    let peers = blocks.map(|cidr| (Peer::IpBlock { cidr, except: Vec::new() }, ports.clone()));
    Outcome::Peers { peers: peers.collect(), via, doubt: None }
}

fn external_name(
    scene: &Scene<'_>,
    service: &Service,
    target: &str,
    mention: &Mention,
    wanted: &Wanted,
    depth: usize,
) -> Outcome {
    let domain = format!(".{}", scene.network.cluster_domain);
    let inner = target.strip_suffix(&domain).unwrap_or(target);
    if let (Some((name, rest)), true) = (inner.split_once('.'), depth < 4)
        && let Some(namespace) = rest.strip_suffix(".svc")
    {
        let space = Space::Named(namespace.to_owned());
        if let Some(found) =
            scene.service(&space, From { file: service.file, ways: std::slice::from_ref(&service.way) }, name)
        {
            return of_service(scene, found, mention, wanted, depth + 1);
        }
        let peer = Peer::Pods { namespace: space, labels: BTreeMap::new() };
        let doubt = format!(
            "Service/{name} in {namespace} is not in the repo, so its pods and their ports are not known"
        );
        return Outcome::Peers {
            peers: vec![(peer, Vec::new())],
            via: Some(service.shown(None)),
            doubt: Some(doubt),
        };
    }
    // Clients dial the port they name; the Service's own ports mean nothing.
    let ports = match wanted {
        Wanted::Number(number) | Wanted::Implied(number) => vec![Port::number(*number, Protocol::Tcp)],
        _ => Vec::new(),
    };
    let peers = vec![(Peer::Host(target.to_owned()), ports)];
    Outcome::Peers { peers, via: Some(service.shown(None)), doubt: None }
}

fn address_peer(address: std::net::Ipv4Addr, mention: &Mention, wanted: &Wanted) -> Outcome {
    let clear = mention.form >= Form::Keyed || mention.port.is_some();
    if !clear
        || address.is_loopback()
        || address.is_unspecified()
        || address.is_broadcast()
        || address.is_multicast()
    {
        return Outcome::Nothing;
    }
    let peer = Peer::IpBlock { cidr: format!("{address}/32"), except: Vec::new() };
    Outcome::Peers { peers: vec![(peer, port_of(wanted))], via: None, doubt: None }
}

fn port_of(wanted: &Wanted) -> Vec<Port> {
    match wanted {
        Wanted::Number(number) | Wanted::Implied(number) => vec![Port::number(*number, Protocol::Tcp)],
        Wanted::Name(_) | Wanted::Unknown => Vec::new(),
    }
}

/// A name that is none of the cluster's, or of a namespace the repo does not show.
fn outside(host: &str, mention: &Mention, wanted: &Wanted, may_be_service: bool) -> Outcome {
    let end = host.rsplit('.').next().unwrap_or_default();
    let is_public = PUBLIC.contains(&end) || end.len() == 2 && !NOT_COUNTRIES.contains(&end);
    let clear = match mention.form {
        Form::Url | Form::Whole | Form::Keyed => true,
        Form::Inline => is_public,
        Form::Word => false,
    };
    if !clear || NEVER_CALLED.iter().any(|never| host == *never || host.ends_with(&format!(".{never}"))) {
        return Outcome::Nothing;
    }
    // `metadata.google.internal` is the link-local address of every cloud's machine.
    if host == "metadata.google.internal" {
        let peer = Peer::IpBlock { cidr: "169.254.169.254/32".to_owned(), except: Vec::new() };
        return Outcome::Peers { peers: vec![(peer, port_of(wanted))], via: None, doubt: None };
    }
    let is_private = matches!(end, "internal" | "local" | "lan" | "corp" | "home" | "intranet" | "private");
    match (is_public || is_private, may_be_service) {
        (true, _) => {
            let ports = port_of(wanted);
            if ports.is_empty() && mention.form < Form::Url {
                return Outcome::Unknown(format!("nothing says on which port of {host}"));
            }
            Outcome::Peers { peers: vec![(Peer::Host(host.to_owned()), ports)], via: None, doubt: None }
        }
        (false, true) if is_clear(mention) => {
            let (service, namespace) = host.split_once('.').unwrap_or((host, ""));
            let peer = Peer::Pods { namespace: Space::Named(namespace.to_owned()), labels: BTreeMap::new() };
            let doubt = format!(
                "namespace {namespace} is not in the repo, so the pods behind Service/{service} and their ports are not known"
            );
            Outcome::Peers { peers: vec![(peer, Vec::new())], via: None, doubt: Some(doubt) }
        }
        (false, _) if is_clear(mention) => Outcome::Unknown(format!("nothing says what `{host}` is")),
        _ => Outcome::Nothing,
    }
}
