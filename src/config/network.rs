//! `[network]`: which policies are wanted and where the peers live that no manifest shows. Data only.

use std::collections::BTreeMap;
use std::ops::Range;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::Distribution;
use super::mistake::Mistakes;
use super::raw::{RawNetwork, RawPeer};

/// How connections are found and policies written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub mode: Mode,
    pub dialect: Dialect,
    /// A plain file name.
    pub file: String,
    /// What names of Services end in.
    pub cluster_domain: String,
    /// Where the cluster's DNS answers; `None`: where the distribution has it.
    pub dns: Option<PodPeer>,
    /// The port its pods listen on; `None`: the distribution's.
    pub dns_port: Option<u16>,
    /// Address of NodeLocal DNSCache, where nodes have one.
    pub node_local_dns: Option<String>,
    /// Ingress controllers by the class they serve; `*` for all others.
    pub ingress_controllers: BTreeMap<String, PodPeer>,
    pub monitoring: PodPeer,
    /// Addresses of the API server in CIDR notation; empty: not known.
    pub api_server: Vec<String>,
    pub api_server_ports: Vec<u16>,
    /// Addresses of nodes in CIDR notation; empty: not known.
    pub nodes: Vec<String>,
}

/// What is denied.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Deserialize,
    JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Connections to pods only
    Ingress,
    /// Both directions, except what the repo does not explain
    #[default]
    Known,
    /// Everything without evidence
    Full,
}

/// Whose policies are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    #[default]
    Core,
    Cilium,
    Calico,
}

/// Pods by namespace and labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodPeer {
    /// Empty for any namespace.
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
}

impl PodPeer {
    fn new(namespace: &str, labels: &[(&str, &str)]) -> PodPeer {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        PodPeer { namespace: namespace.to_owned(), labels: labels.collect() }
    }
}

impl Default for Network {
    fn default() -> Self {
        Network {
            mode: Mode::default(),
            dialect: Dialect::default(),
            file: "network-policy.yaml".to_owned(),
            cluster_domain: "cluster.local".to_owned(),
            dns: None,
            dns_port: None,
            node_local_dns: None,
            ingress_controllers: BTreeMap::new(),
            monitoring: PodPeer::new("monitoring", &[]),
            api_server: Vec::new(),
            api_server_ports: vec![443, 6443],
            nodes: Vec::new(),
        }
    }
}

impl Network {
    /// The pods that answer DNS queries. CoreDNS keeps kube-dns's label: <https://kubernetes.io/docs/tasks/administer-cluster/coredns/>;
    /// OpenShift has an operator's own: <https://docs.openshift.com/container-platform/latest/networking/networking_operators/dns-operator.html>.
    pub fn dns_peer(&self, distribution: Distribution) -> PodPeer {
        match (&self.dns, distribution) {
            (Some(peer), _) => peer.clone(),
            (None, Distribution::Openshift) => {
                PodPeer::new("openshift-dns", &[("dns.operator.openshift.io/daemonset-dns", "default")])
            }
            (None, _) => PodPeer::new("kube-system", &[("k8s-app", "kube-dns")]),
        }
    }

    /// The port those pods listen on, which is what a policy must name.
    pub fn dns_port(&self, distribution: Distribution) -> u16 {
        self.dns_port.unwrap_or(if distribution == Distribution::Openshift { 5353 } else { 53 })
    }

    /// The pods that bring in traffic for a class. Namespaces are those of the projects' own installation guides; a
    /// class that nobody knows is any namespace.
    pub fn ingress_controller(&self, class: Option<&str>) -> PodPeer {
        let configured = class.and_then(|class| self.ingress_controllers.get(class));
        if let Some(peer) = configured.or_else(|| self.ingress_controllers.get("*")) {
            return peer.clone();
        }
        let class = class.unwrap_or("nginx");
        let namespace = match class {
            "nginx" => "ingress-nginx",
            "traefik" => "traefik",
            "contour" => "projectcontour",
            "kong" => "kong",
            "istio" => "istio-system",
            "openshift-default" => "openshift-ingress",
            "cilium" => "kube-system",
            _ => "",
        };
        PodPeer::new(namespace, &[])
    }
}

pub(super) fn network(raw: RawNetwork, mistakes: &mut Mistakes<'_>) -> Network {
    let default = Network::default();
    let cidrs = |list: Vec<Spanned<String>>, mistakes: &mut Mistakes<'_>| {
        list.into_iter().filter_map(|text| cidr(text, mistakes)).collect()
    };
    Network {
        mode: raw.mode.unwrap_or(default.mode),
        dialect: raw.dialect.unwrap_or(default.dialect),
        file: super::validate::beside(raw.file, mistakes).unwrap_or(default.file),
        cluster_domain: raw.cluster_domain.map_or(default.cluster_domain, |domain| domain.to_lowercase()),
        dns: raw.dns.map(|peer| pod_peer(peer, mistakes)),
        dns_port: raw.dns_port.and_then(|port| checked_port(&port, mistakes)),
        node_local_dns: raw.node_local_dns.and_then(|address| cidr(address, mistakes)),
        ingress_controllers: raw
            .ingress_controllers
            .into_iter()
            .map(|(class, peer)| (class, pod_peer(peer, mistakes)))
            .collect(),
        monitoring: raw.monitoring.map_or(default.monitoring, |peer| pod_peer(peer, mistakes)),
        api_server: cidrs(raw.api_server, mistakes),
        api_server_ports: match raw.api_server_ports {
            Some(ports) => ports.iter().filter_map(|port| checked_port(port, mistakes)).collect(),
            None => default.api_server_ports,
        },
        nodes: cidrs(raw.nodes, mistakes),
    }
}

fn pod_peer(peer: RawPeer, mistakes: &mut Mistakes<'_>) -> PodPeer {
    let (namespace, span) = (peer.namespace.get_ref().clone(), peer.namespace.span());
    let plain = namespace.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !plain || namespace.len() > 63 {
        mistakes.add(span, format!("`{}` is not a namespace", namespace.escape_debug()), None);
    }
    PodPeer { namespace, labels: peer.labels }
}

fn checked_port(port: &Spanned<i64>, mistakes: &mut Mistakes<'_>) -> Option<u16> {
    let number = u16::try_from(*port.get_ref()).ok().filter(|port| *port > 0);
    if number.is_none() {
        mistakes.add(port.span(), "a port is a number from 1 to 65535", None);
    }
    number
}

/// An address alone stands for itself.
fn cidr(text: Spanned<String>, mistakes: &mut Mistakes<'_>) -> Option<String> {
    let span: Range<usize> = text.span();
    let text = text.into_inner();
    match canonical_cidr(&text) {
        Some(cidr) => Some(cidr),
        None => {
            let help = Some("write it like `10.0.0.0/16` or `192.0.2.7`".to_owned());
            mistakes.add(span, format!("`{}` is not a range of addresses", text.escape_debug()), help);
            None
        }
    }
}

/// The range in CIDR notation, when the text is one or an address.
pub(crate) fn canonical_cidr(text: &str) -> Option<String> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: std::net::IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    (bits <= most).then(|| format!("{address}/{bits}"))
}
