//! See the rule's own docs below.

use serde_json::Value;

use super::coverage::{allows, reaches, selecting};
use super::needs::{merged, needs};
use super::*;
use crate::config::Dialect;
use crate::connections::Member;
use crate::network_policy::{Action, Api, Cidr, Direction, Peer, Rule as PolicyRule};
use crate::rules::{Area, Change, Check, Safety, Severity};
use crate::template::{PolicyKind, WantedPeer, WantedPolicy, WantedPort, WantedRule};

crate::rules::rule! {
    /// A network policy allows connections from or to anything, or on every port.
    ///
    /// ## Why
    /// Policies add up: a rule without peers, or with every namespace, allows what all others would deny. One without
    /// ports opens the debug and admin ports of its pods too, and those that a later version listens on.
    ///
    /// Policies of Cilium and Calico are judged like those of the core API: what they deny, or say of the world outside,
    /// is not what this is about. The whole internet (`0.0.0.0/0`) on named ports is taken for what is meant; on every
    /// port it is anything.
    ///
    /// ## Fix
    /// Where the policy is for one workload whose peers are known, a rule for anything is replaced by rules for those: of
    /// a policy of Cilium or Calico where `network.dialect` is theirs. A rule of the core API that names its peers gets
    /// the ports on which the repo shows each of them. Otherwise it is reported only.
    ///
    /// A rule below a comment that starts with `open:` and gives the reason is left as it is, as are those that this tool
    /// writes so.
    ///
    /// ## What could break
    /// Connections that nothing in the repo states: somebody may have opened it for them.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation>
    /// - <https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/>
    /// - <https://docs.cilium.io/en/stable/security/policy/language/#entities-based>
    /// - <https://docs.tigera.io/calico/latest/reference/resources/networkpolicy#entityrule>
    {
        id: "network-policy-too-wide",
        area: Area::Network,
        severity: Severity::Medium,
        pss: None,
        known_as: &[("kube-linter", "dangling-networkpolicy"), ("KubeHound", "NetworkPolicy")],
        check: Check::Repo,
    }
}

pub(super) fn check(view: &View<'_>, found: &mut RepoFindings) {
    let mut policies: BTreeMap<(&str, usize), Vec<&Policy>> = BTreeMap::new();
    for policy in &view.cluster.policies {
        // An administrator's policies are above those of namespaces, and meant to be wide.
        if !matches!(policy.api, Api::Admin | Api::Baseline) {
            policies.entry((&policy.place.path, policy.place.line)).or_default().push(policy);
        }
    }
    for object in view.model.objects() {
        let (path, line) = (&view.model.file(object).path, view.model.line(object));
        let Some(of_object) = policies.get(&(path.as_str(), line)) else { continue };
        let Some(value) = view.model.value(object) else { continue };
        let is_left_alone =
            |policy: &&Policy| policy.namespace.as_ref().is_some_and(|space| view.is_left_alone(space));
        if of_object.iter().any(is_left_alone) {
            continue;
        }
        for direction in [Direction::Ingress, Direction::Egress] {
            let finding =
                of_object.iter().find_map(|policy| too_wide(view, object, &value, policy, direction));
            if let Some(mut finding) = finding {
                if let Some(marker) = view.model.file(object).marker.filter(|_| !finding.changes.is_empty()) {
                    finding.make_manual(format!("not edited: {}", marker.detail()));
                }
                found.place(placed(&RULE, object, finding));
            }
        }
    }
}

fn is_wide(rule: &PolicyRule) -> bool {
    let any = |peer: &Peer| match peer {
        Peer::Pods { namespaces, pods } => {
            namespaces.as_ref().is_some_and(|all| all.is_empty()) && pods.is_empty()
        }
        Peer::Block(block) => rule.ports.is_none() && block.except.is_empty() && is_everything(&block.cidr),
        _ => false,
    };
    rule.action == Action::Allow && rule.peers.as_ref().is_none_or(|peers| peers.iter().any(any))
}

fn is_everything(cidr: &Cidr) -> bool {
    ["0.0.0.0/0", "::/0"].iter().any(|all| Cidr::parse(all).as_ref() == Some(cidr))
}

/// Whether a rule names its peers and allows every port. Names of the dialects, such as the API server's, say enough.
fn has_all_ports(rule: &PolicyRule) -> bool {
    rule.action == Action::Allow
        && rule.ports.is_none()
        && rule.peers.iter().flatten().any(|peer| !matches!(peer, Peer::Named(_)))
}

/// Whether the comment above a rule gives the reason why it is open.
fn is_said_open(text: &str, line: usize) -> bool {
    let above: Vec<&str> = text.lines().take(line.saturating_sub(1)).collect();
    let comments = above.iter().rev().map_while(|line| line.trim_start().strip_prefix('#'));
    comments.into_iter().any(|comment| comment.trim_start_matches('#').trim_start().starts_with("open:"))
}

fn too_wide(
    view: &View<'_>,
    object: &Object,
    value: &Value,
    policy: &Policy,
    direction: Direction,
) -> Option<Finding> {
    let rules = policy.rules(direction)?;
    let of = |is: fn(&PolicyRule) -> bool| -> Vec<usize> {
        rules.iter().enumerate().filter(|(_, rule)| is(rule)).map(|(idx, _)| idx).collect()
    };
    let (mut wide, mut all_ports) = (of(is_wide), of(|rule| has_all_ports(rule) && !is_wide(rule)));
    if wide.is_empty() && all_ports.is_empty() {
        return None;
    }
    let text = view.model.repo().text(&view.model.file(object).path).unwrap_or_default();
    wide.retain(|idx| !is_said_open(text, rules[*idx].line));
    all_ports.retain(|idx| !is_said_open(text, rules[*idx].line));
    let first = *wide.first().or(all_ports.first())?;
    let key = direction.as_str();
    let ends = if direction == Direction::Ingress { "from" } else { "to" };
    // Cilium's API has lists of specs, and rules of which one is several here: those have no place of their own.
    let n_written = value["spec"][key].as_array().map_or(0, Vec::len);
    let is_plain = n_written == rules.len();
    let at = match (is_plain, value["spec"].is_object()) {
        (true, _) => format!("/spec/{key}/{first}"),
        (false, true) => "/spec".to_owned(),
        (false, false) => "/specs".to_owned(),
    };
    let what = if wide.is_empty() { "its peers on every port" } else { "anything" };
    let mut finding =
        Finding::new(at, format!("{}/{} allows connections {ends} {what}", object.id.kind, object.id.name));
    if policy.subject.pods.is_empty() {
        let whose = if policy.namespace.is_some() {
            "of its namespace"
        } else {
            "that it selects by namespace alone"
        };
        return Some(
            finding.note(format!("it is for every pod {whose}: what other policies deny, it allows")),
        );
    }
    let selected: Vec<MemberId> = view
        .connections
        .members()
        .filter(|(id, _)| selecting(view, *id).iter().any(|other| other.place == policy.place))
        .map(|(id, _)| id)
        .collect();
    let objects: BTreeSet<(usize, usize)> =
        selected.iter().map(|id| (view.member(*id).file, view.member(*id).object)).collect();
    // What is wanted is known in the words of the configured dialect only.
    let is_ours = matches!(
        (policy.api, view.dialect()),
        (Api::Core, Dialect::Core) | (Api::Cilium, Dialect::Cilium) | (Api::Calico, Dialect::Calico)
    );
    match objects.len() {
        1 if is_ours && is_plain => {}
        1 => {
            return Some(
                finding.note("narrow it to what its pods need: `caseharden network graph` shows that"),
            );
        }
        0 => {
            return Some(finding.note("it selects no workload of the repo: narrow it where those are known"));
        }
        n => {
            return Some(finding.note(format!(
                "it is for {n} workloads, each of which needs less: `caseharden network graph` shows what"
            )));
        }
    }
    let own = view.member(selected[0]);
    let Some(wanted) = wanted(view, &selected, direction) else {
        return Some(finding.note(match direction {
            Direction::Ingress => format!("nothing in the repo says who calls {}", own.subject()),
            Direction::Egress => format!(
                "the repo does not say all that {} connects to: state it, or give a flow log (`--flow-log`)",
                own.subject()
            ),
        }));
    };
    let mut ports: BTreeMap<usize, Value> = BTreeMap::new();
    let mut is_unknown = false;
    for &idx in &all_ports {
        match ports_of(view, own, &rules[idx], &wanted) {
            // Somebody calls it on a port that nothing names.
            Some(known) if known.is_empty() => {}
            Some(known) if policy.api == Api::Core => {
                let rule = WantedRule { ports: known, ..WantedRule::default() };
                ports.insert(idx, rule.value(ends)["ports"].clone());
            }
            Some(_) | None => is_unknown = true,
        }
    }
    let mut narrowed = Vec::new();
    if !wide.is_empty() {
        let kept = Policy {
            ingress: keep(&policy.ingress, direction == Direction::Ingress, &wide),
            egress: keep(&policy.egress, direction == Direction::Egress, &wide),
            ..policy.clone()
        };
        let mut others: Vec<&Policy> = selecting(view, selected[0]);
        others.retain(|other| other.place != policy.place);
        others.push(&kept);
        let missing: Vec<&WantedRule> =
            wanted.iter().filter(|rule| !allows(view, own, &others, direction, rule)).collect();
        // The API server, for example, is any address where nobody says which.
        let is_needed = |rule: &&WantedRule| match rule.peers.as_slice() {
            [] => rule.ports.is_empty() || wide.iter().all(|idx| rules[*idx].ports.is_some()),
            peers => rule.ports.is_empty() && peers.iter().any(is_any_address),
        };
        if missing.iter().any(is_needed) {
            wide.clear();
        } else {
            narrowed = written(view.dialect(), direction, &missing);
        }
    }
    if wide.is_empty() && ports.is_empty() && !is_unknown {
        return None;
    }
    if is_unknown {
        finding =
            finding.note("name the ports of the rules without: nothing in the repo says which are needed");
    }
    if wide.is_empty() && ports.is_empty() {
        return Some(finding);
    }
    for connection in selected.iter().flat_map(|id| {
        view.of(if direction == Direction::Ingress { &view.ingress } else { &view.egress }, *id)
    }) {
        finding.evidence.extend(connection.evidence.iter().map(cited));
    }
    finding.evidence.dedup();
    Some(
        finding
            .changes(changes(value, key, &wide, narrowed, ports))
            .safety(Safety::Review)
            .note(format!("check that {} needs nothing that the repo does not state", own.subject())),
    )
}

fn is_any_address(peer: &WantedPeer) -> bool {
    matches!(peer, WantedPeer::Block { cidr, except } if except.is_empty()
        && Cidr::parse(cidr).is_some_and(|cidr| is_everything(&cidr)))
}

/// The ports on which the repo shows all of a rule's peers; nothing where it is silent of one, none where it shows one
/// without a port.
fn ports_of(
    view: &View<'_>,
    own: &Member,
    rule: &PolicyRule,
    wanted: &[WantedRule],
) -> Option<Vec<WantedPort>> {
    let mut ports = BTreeSet::new();
    let mut is_named = true;
    for peer in rule.peers.iter().flatten() {
        let mut of_peer = wanted.iter().filter(|wanted| reaches(view, own, peer, wanted)).peekable();
        of_peer.peek()?;
        for wanted in of_peer {
            is_named &= !wanted.ports.is_empty();
            ports.extend(wanted.ports.iter().cloned());
        }
    }
    if !is_named {
        ports.clear();
    }
    Some(ports.into_iter().collect())
}

/// Rules as the dialect writes them.
fn written(dialect: Dialect, direction: Direction, rules: &[&WantedRule]) -> Vec<Value> {
    let (key, ends) = match direction {
        Direction::Ingress => ("ingress", "from"),
        Direction::Egress => ("egress", "to"),
    };
    if dialect == Dialect::Core || rules.is_empty() {
        return rules.iter().map(|rule| rule.value(ends)).collect();
    }
    let rules = Some(rules.iter().map(|rule| (*rule).clone()).collect());
    let (ingress, egress) = if key == "ingress" { (rules, None) } else { (None, rules) };
    let policy = WantedPolicy {
        kind: PolicyKind::Workload,
        name: String::new(),
        namespace: None,
        comments: Vec::new(),
        selector: BTreeMap::new(),
        foreign: false,
        ingress,
        egress,
    };
    let spec = if dialect == Dialect::Cilium { policy.cilium_spec() } else { policy.calico_spec() };
    spec[key].as_array().cloned().unwrap_or_default()
}

/// The first of the wide rules becomes the first that is missing; further ones are appended, or taken away. Others get
/// their ports.
fn changes(
    value: &Value,
    key: &str,
    wide: &[usize],
    missing: Vec<Value>,
    ports: BTreeMap<usize, Value>,
) -> Vec<Change> {
    let list = format!("/spec/{key}");
    if wide.is_empty() || (wide.len() == 1 && !missing.is_empty()) {
        let ports = ports.into_iter().map(|(idx, ports)| Change::set(format!("{list}/{idx}/ports"), ports));
        let mut missing = missing.into_iter();
        let first =
            wide.iter().zip(missing.by_ref()).map(|(idx, rule)| Change::set(format!("{list}/{idx}"), rule));
        let first: Vec<Change> = first.collect();
        let appended = missing.map(|rule| Change::append(list.clone(), rule));
        return ports.chain(first).chain(appended).collect();
    }
    let written = value["spec"][key].as_array().into_iter().flatten().enumerate();
    let kept = written.filter(|(idx, _)| !wide.contains(idx)).map(|(idx, rule)| {
        let mut rule = rule.clone();
        if let Some(ports) = ports.get(&idx) {
            rule["ports"] = ports.clone();
        }
        rule
    });
    let rules: Vec<Value> = kept.chain(missing).collect();
    vec![Change::set(list, rules)]
}

fn keep(rules: &Option<Vec<PolicyRule>>, is_narrowed: bool, wide: &[usize]) -> Option<Vec<PolicyRule>> {
    let rules = rules.as_ref()?;
    let kept = rules.iter().enumerate().filter(|(idx, _)| !is_narrowed || !wide.contains(idx));
    Some(kept.map(|(_, rule)| rule.clone()).collect())
}

/// What the policy's workload needs in a direction; nothing where that is not known.
fn wanted(view: &View<'_>, members: &[MemberId], direction: Direction) -> Option<Vec<WantedRule>> {
    let mut wanted = Vec::new();
    for id in members {
        let needs = needs(view, *id);
        match direction {
            Direction::Ingress if needs.open_ingress || needs.ingress.is_empty() => return None,
            Direction::Ingress => wanted.extend(needs.ingress),
            Direction::Egress if !view.explains_egress(*id) || needs.egress.is_empty() => return None,
            Direction::Egress => {
                wanted.extend(needs.egress);
                wanted.push(super::policies::dns(view));
            }
        }
    }
    Some(merged(wanted.into_iter()))
}
