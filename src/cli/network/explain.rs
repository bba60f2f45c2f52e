//! `network explain`: whether one connection is allowed, and by which line.

use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;

use super::diff::Format;
use super::state::{State, say_skipped};
use crate::cli::inputs::{Inputs, Select};
use crate::cli::{Global, Helped, Outcome};
use crate::connections::{MemberId, Protocol, Service, Space};
use crate::network_policy::{
    Cluster, End, Graph, Names, Workload, named_space, protocol, shown_space, unseen_pods,
};
use crate::render::network::{Answer, Explanation, Question, explain_json, explain_text};
use crate::suggestion;

/// Say whether one connection is allowed or denied, by which policy's line, now and after the fixes
///
/// An end is a workload ([NAMESPACE/][KIND/]NAME), a Service (its port is followed to the pods' port), an address,
/// pods by their labels (NAMESPACE/KEY=VALUE,…), or `node`, the node that the destination's pod runs on. The port is a
/// number or a name, `/udp` or `/sctp` behind it; without one all ports are answered for.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden network explain web db:5432\n  \
    caseharden network explain shop/web kube-system/k8s-app=kube-dns:53/udp\n  \
    caseharden network explain ingress-nginx/app.kubernetes.io/name=ingress-nginx web:8080\n  \
    caseharden network explain web 203.0.113.9:443\n  \
    caseharden network explain 203.0.113.9 web:8080\n  \
    caseharden network explain node web:8080 apps/\n\n\
    Exit codes: 0 allowed now, 1 denied, 2 not judged, or it depends on what no manifest tells")]
pub(super) struct ExplainArgs {
    /// Where the connection comes from
    from: String,
    /// Where it goes, with the port
    #[arg(value_name = "TO[:PORT[/PROTOCOL]]")]
    to: String,
    /// Files and folders to read; `-` for standard input
    paths: Vec<PathBuf>,
    /// How to show the answer
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(flatten)]
    select: Select,
}

pub(super) fn run(args: &ExplainArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let inputs = Inputs::from_disk(&args.paths, &args.select, global)?;
    let now = State::now(&inputs);
    let planned = State::after(&inputs, &args.select)?;
    let before = Graph::new(&now.cluster, &now.connections);
    let (ends, question) = ask(args, &now, &before)?;
    let explanation = explain(&before, &ends, question.port);
    let later = planned.as_ref().map(|state| (Graph::new(&state.cluster, &state.connections), state));
    let moved = later.as_ref().and_then(|(graph, _)| ends.in_another(&now.cluster, graph.cluster));
    let after = match (&later, &moved) {
        (Some((graph, _)), Some(ends)) => Some(explain(graph, ends, question.port)),
        _ => None,
    };
    match args.format {
        Format::Text => explain_text(out, &question, &explanation, after.as_ref(), global.style())?,
        Format::Json => explain_json(out, &question, &explanation, after.as_ref())?,
    }
    let has_failed = say_skipped(&inputs, global.quiet);
    Ok(match explanation.answer(question.port) {
        _ if has_failed => Outcome::Failed,
        Answer::Allowed => Outcome::Done,
        Answer::Denied => Outcome::Found,
        Answer::Depends | Answer::NotJudged => Outcome::Failed,
    })
}

/// Both ends of what is asked.
struct Ends {
    from: Meant,
    to: Meant,
}

/// An end, with what it stands for.
#[derive(Clone)]
enum Meant {
    Workload(usize),
    Pods(Box<Workload>),
    Address(IpAddr),
    Node,
}

impl Meant {
    fn end(&self) -> End<'_> {
        match self {
            Meant::Workload(idx) => End::Workload(*idx),
            Meant::Pods(pods) => End::Pods(pods),
            Meant::Address(address) => End::Address(*address),
            Meant::Node => End::OwnNode,
        }
    }
}

impl Ends {
    /// The same ends in another state of the repo.
    fn in_another(&self, now: &Cluster, other: &Cluster) -> Option<Ends> {
        let moved = |meant: &Meant| match meant {
            Meant::Workload(idx) => {
                let old = &now.workloads[*idx];
                let same = |new: &Workload| {
                    (&new.place.path, &new.kind, &new.name, &new.space)
                        == (&old.place.path, &old.kind, &old.name, &old.space)
                };
                other.workloads.iter().position(same).map(Meant::Workload)
            }
            meant => Some(meant.clone()),
        };
        Some(Ends { from: moved(&self.from)?, to: moved(&self.to)? })
    }
}

fn explain<'a, 'g>(
    graph: &'a Graph<'g>,
    ends: &'a Ends,
    port: Option<(Protocol, u16)>,
) -> Explanation<'a, 'g> {
    let (from, to) = (ends.from.end(), ends.to.end());
    let of_pair =
        graph.edges.iter().filter(|edge| (End::Workload(edge.from), End::Workload(edge.to)) == (from, to));
    let needs = of_pair.flat_map(|edge| &edge.needs).filter(|need| {
        let connection = graph.connection(need);
        let destination = connection.to.member().map(|id| &graph.cluster.workloads[id.0]);
        let wanted = crate::network_policy::ports(connection.port.as_ref(), destination);
        match (port, wanted) {
            (Some((protocol, port)), Some(wanted)) => wanted.contains(protocol, port),
            _ => true,
        }
    });
    Explanation { graph, from, to, verdict: graph.evaluator.verdict(from, to), needs: needs.collect() }
}

fn ask(args: &ExplainArgs, state: &State, graph: &Graph<'_>) -> anyhow::Result<(Ends, Question)> {
    let from = meant(&args.from, state, &graph.names)?;
    let (to, port) = split_port(&args.to)?;
    let cluster = &state.cluster;
    let mut by_service = None;
    let mut question_port = None;
    let to_meant = match meant(to, state, &graph.names) {
        Ok(found) => found,
        Err(error) => match through_service(to, state)? {
            Some(workload) => Meant::Workload(workload),
            None => return Err(error),
        },
    };
    if let Some((text, protocol)) = port {
        let pods = match &to_meant {
            Meant::Workload(idx) => Some(&cluster.workloads[*idx]),
            Meant::Pods(pods) => Some(&**pods),
            _ => None,
        };
        let number = match text.parse::<u16>() {
            Ok(number) => number,
            Err(_) => named_port(text, protocol, pods)?,
        };
        question_port = Some((protocol, number));
        if let Meant::Workload(idx) = to_meant
            && let Some((service, target)) = translated(state, idx, to, protocol, number)
        {
            question_port = Some((protocol, target));
            by_service = Some(format!(
                "Service/{service} leads its port {number} to port {target} of the pods, which is what policies see"
            ));
        }
    }
    let shown = |meant: &Meant, text: &str| match meant {
        Meant::Workload(idx) => graph.names.of(*idx).to_owned(),
        Meant::Node => "the pod's own node".to_owned(),
        _ => text.to_owned(),
    };
    let question = Question {
        from: shown(&from, &args.from),
        to: shown(&to_meant, to),
        port: question_port,
        by_service,
    };
    Ok((Ends { from, to: to_meant }, question))
}

/// `web:80`, `web:http/tcp`, `[::1]:443`; a bare IPv6 address has no port.
fn split_port(text: &str) -> anyhow::Result<(&str, Option<(&str, Protocol)>)> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok((text, None));
    }
    let Some((end, port)) = text.rsplit_once(':') else { return Ok((text, None)) };
    let end = end.strip_prefix('[').and_then(|end| end.strip_suffix(']')).unwrap_or(end);
    let (port, name) = port.split_once('/').unwrap_or((port, "tcp"));
    let Some(protocol) = protocol(&name.to_ascii_uppercase()) else {
        anyhow::bail!("`{name}` is none of tcp, udp, sctp");
    };
    anyhow::ensure!(
        port != "0" && !port.is_empty(),
        "`{text}`: write the port as a number from 1, or as a name"
    );
    Ok((end, Some((port, protocol))))
}

fn named_port(name: &str, protocol: Protocol, pods: Option<&Workload>) -> anyhow::Result<u16> {
    let numbers: Vec<u16> = pods
        .into_iter()
        .flat_map(|pods| pods.named_ports(name, Some(protocol)))
        .map(|port| port.number)
        .collect();
    match numbers.as_slice() {
        [number] => Ok(*number),
        [] => anyhow::bail!("no container of the destination has a {} port `{name}`", protocol.as_str()),
        _ => anyhow::bail!("several containers of the destination have a port `{name}`: write its number"),
    }
}

fn meant(text: &str, state: &State, names: &Names) -> anyhow::Result<Meant> {
    let cluster = &state.cluster;
    if let Ok(address) = text.parse() {
        return Ok(Meant::Address(address));
    }
    let found = names.find(cluster, text);
    match found.as_slice() {
        [one] => return Ok(Meant::Workload(*one)),
        [] => {}
        several => {
            let list: Vec<&str> = several.iter().map(|idx| names.of(*idx)).collect();
            return Err(Helped {
                message: format!("`{text}` is {} workloads", several.len()),
                help: Some(format!("name one of them: {}", list.join(", "))),
            }
            .into());
        }
    }
    if text == "node" {
        return Ok(Meant::Node);
    }
    if let Some((space, labels)) = text.split_once('/').filter(|(_, labels)| labels.contains('=')) {
        let labels = labels.split(',').map(|label| label.split_once('='));
        let labels: Option<Vec<(&str, &str)>> = labels.collect();
        let labels =
            labels.ok_or_else(|| anyhow::anyhow!("`{text}`: write labels as KEY=VALUE,KEY=VALUE"))?;
        let labels = labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let known = cluster.workloads.iter().map(|workload| &workload.space);
        let space = known.into_iter().find(|known| shown_space(known) == space);
        let named = || named_space(text.split('/').next().unwrap_or_default());
        return Ok(Meant::Pods(Box::new(unseen_pods(space.cloned().unwrap_or_else(named), labels))));
    }
    let nearest = suggestion::nearest(text, names.all());
    Err(Helped {
        message: format!("there is no workload `{text}`"),
        help: Some(match nearest {
            Some(nearest) => {
                format!("did you mean `{nearest}`? `caseharden network graph` lists all of them")
            }
            None => "`caseharden network graph` lists all of them".to_owned(),
        }),
    }
    .into())
}

/// The only workload behind a Service of this name.
fn through_service(text: &str, state: &State) -> anyhow::Result<Option<usize>> {
    let fits = |space: &Space, name: &str| {
        let bare = text.strip_prefix("svc/").or_else(|| text.strip_prefix("Service/")).unwrap_or(text);
        bare == name || bare == format!("{}/{name}", shown_space(space))
    };
    let services = state.connections.services.iter();
    let named = services.filter(|service| fits(&service.space, &service.name));
    let mut workloads: Vec<usize> =
        named.flat_map(|service| &service.targets).map(|MemberId(idx)| *idx).collect();
    workloads.sort_unstable();
    workloads.dedup();
    match workloads.as_slice() {
        [one] => Ok(Some(*one)),
        [] => Ok(None),
        _ => anyhow::bail!("Service `{text}` sends to {} workloads: name one of them", workloads.len()),
    }
}

/// Where the number is a Service's and no port of the pods: the Service and the port it leads to.
fn translated(
    state: &State,
    workload: usize,
    text: &str,
    protocol: Protocol,
    number: u16,
) -> Option<(String, u16)> {
    let pods = &state.cluster.workloads[workload];
    if pods.ports.iter().any(|port| port.number == number && port.protocol == protocol) {
        return None;
    }
    let named_first = |name: &str| text.rsplit('/').next() != Some(name);
    let sends_here = |service: &&Service| service.targets.contains(&MemberId(workload));
    let mut services: Vec<&Service> = state.connections.services.iter().filter(sends_here).collect();
    services.sort_by_key(|service| named_first(&service.name));
    services.into_iter().find_map(|service| {
        let port = service.ports.iter().find(|port| port.port == number && port.protocol == protocol)?;
        let (_, first, last) = pods.behind(port).ranges().next()?;
        (first == last && first != number).then(|| (service.name.clone(), first))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, end: &str, port: Option<(&str, Protocol)>) {
        assert_eq!(split_port(text).unwrap(), (end, port));
    }

    #[test]
    fn ports_are_told_from_addresses() {
        check("web", "web", None);
        check("web:80", "web", Some(("80", Protocol::Tcp)));
        check("a/k=v:53/udp", "a/k=v", Some(("53", Protocol::Udp)));
        check("app.kubernetes.io/name=x:http", "app.kubernetes.io/name=x", Some(("http", Protocol::Tcp)));
        check("10.0.0.1:443", "10.0.0.1", Some(("443", Protocol::Tcp)));
        check("2001:db8::1", "2001:db8::1", None);
        check("[2001:db8::1]:443", "2001:db8::1", Some(("443", Protocol::Tcp)));
        assert!(split_port("web:80/icmp").is_err() && split_port("web:").is_err());
    }
}
