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
use crate::yaml::Stream;

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

/// What a rule does not name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lack {
    Peers,
    Ports,
}

fn lack(rule: &PolicyRule) -> Option<Lack> {
    let is_anything = |peer: &Peer| match peer {
        Peer::Pods { namespaces, pods } => {
            namespaces.as_ref().is_some_and(|all| all.is_empty()) && pods.is_empty()
        }
        Peer::Block(block) => {
            rule.ports.is_none() && block.except.is_empty() && Cidr::ANY.contains(&block.cidr)
        }
        _ => false,
    };
    // Names of the dialects, such as the API server's, say enough.
    let says_enough = |peer: &Peer| matches!(peer, Peer::Named(_));
    match &rule.peers {
        _ if rule.action != Action::Allow => None,
        None => Some(Lack::Peers),
        Some(peers) if peers.iter().any(is_anything) => Some(Lack::Peers),
        Some(peers) => (rule.ports.is_none() && !peers.iter().all(says_enough)).then_some(Lack::Ports),
    }
}

/// Whether the comment above a rule gives the reason why it is open.
fn is_said_open(stream: &Stream, rule: &PolicyRule) -> bool {
    let mut comment = stream.comment_above(rule.line);
    comment.any(|line| line.trim_start_matches('#').trim_start().starts_with("open:"))
}

fn too_wide(
    view: &View<'_>,
    object: &Object,
    value: &Value,
    policy: &Policy,
    direction: Direction,
) -> Option<Finding> {
    let rules = policy.rules(direction)?;
    let stream = &view.model.file(object).stream;
    let lacking = |what: Lack| -> Vec<usize> {
        let is_meant =
            |(_, rule): &(usize, &PolicyRule)| lack(rule) == Some(what) && !is_said_open(stream, rule);
        rules.iter().enumerate().filter(is_meant).map(|(idx, _)| idx).collect()
    };
    let (mut wide, all_ports) = (lacking(Lack::Peers), lacking(Lack::Ports));
    let first = *wide.first().or(all_ports.first())?;
    let key = direction.as_str();
    // Cilium's API has lists of specs, and rules of which one is several here: those have no place of their own.
    let is_plain = value["spec"][key].as_array().map_or(0, Vec::len) == rules.len();
    let at = match (is_plain, value["spec"].is_object()) {
        (true, _) => format!("/spec/{key}/{first}"),
        (false, true) => "/spec".to_owned(),
        (false, false) => "/specs".to_owned(),
    };
    let (ends, id) = (direction.peers_key(), &object.id);
    let what = if wide.is_empty() { "its peers on every port" } else { "anything" };
    let mut finding = Finding::new(at, format!("{}/{} allows connections {ends} {what}", id.kind, id.name));

    let selected = selected(view, policy);
    if let Some(reason) = why_not_narrowed(view, policy, &selected, is_plain) {
        return Some(finding.note(reason));
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
        match shown(view, own, &rules[idx], &wanted) {
            Shown::On(known) if policy.api == Api::Core => {
                let rule = WantedRule { ports: known, ..WantedRule::default() };
                ports.insert(idx, rule.value(ends)["ports"].clone());
            }
            Shown::Without => {}
            Shown::On(_) | Shown::Not => is_unknown = true,
        }
    }
    let narrowed = match missing(view, policy, direction, &wide, selected[0], &wanted) {
        Some(missing) => written(view.dialect(), direction, &missing),
        None => {
            wide.clear();
            Vec::new()
        }
    };
    let is_changed = !wide.is_empty() || !ports.is_empty();
    if !is_changed && !is_unknown {
        return None;
    }
    if is_unknown {
        finding =
            finding.note("name the ports of the rules without: nothing in the repo says which are needed");
    }
    if !is_changed {
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

/// The members whose pods a policy is for.
fn selected(view: &View<'_>, policy: &Policy) -> Vec<MemberId> {
    let members = view.connections.members().map(|(id, _)| id);
    members.filter(|id| selecting(view, *id).iter().any(|other| other.place == policy.place)).collect()
}

/// Why a policy is only reported; nothing where it is for one workload, in the words of the configured dialect.
fn why_not_narrowed(
    view: &View<'_>,
    policy: &Policy,
    selected: &[MemberId],
    is_plain: bool,
) -> Option<String> {
    if policy.subject.pods.is_empty() {
        let whose = if policy.namespace.is_some() {
            "of its namespace"
        } else {
            "that it selects by namespace alone"
        };
        return Some(format!("it is for every pod {whose}: what other policies deny, it allows"));
    }
    let is_ours = matches!(
        (policy.api, view.dialect()),
        (Api::Core, Dialect::Core) | (Api::Cilium, Dialect::Cilium) | (Api::Calico, Dialect::Calico)
    );
    let of = selected.iter().map(|id| (view.member(*id).file, view.member(*id).object));
    match of.collect::<BTreeSet<(usize, usize)>>().len() {
        1 if is_ours && is_plain => None,
        1 => Some("narrow it to what its pods need: `caseharden network graph` shows that".to_owned()),
        0 => Some("it selects no workload of the repo: narrow it where those are known".to_owned()),
        n => Some(format!(
            "it is for {n} workloads, each of which needs less: `caseharden network graph` shows what"
        )),
    }
}

/// What the policies would no longer allow without the wide rules; nothing where one of these is needed as it is.
fn missing<'w>(
    view: &View<'_>,
    policy: &Policy,
    direction: Direction,
    wide: &[usize],
    id: MemberId,
    wanted: &'w [WantedRule],
) -> Option<Vec<&'w WantedRule>> {
    if wide.is_empty() {
        return Some(Vec::new());
    }
    let kept = Policy {
        ingress: keep(&policy.ingress, direction == Direction::Ingress, wide),
        egress: keep(&policy.egress, direction == Direction::Egress, wide),
        ..policy.clone()
    };
    let mut others: Vec<&Policy> = selecting(view, id);
    others.retain(|other| other.place != policy.place);
    others.push(&kept);
    let own = view.member(id);
    let missing: Vec<&WantedRule> =
        wanted.iter().filter(|rule| !allows(view, own, &others, direction, rule)).collect();
    let rules = policy.rules(direction).unwrap_or_default();
    // The API server, for example, is any address where nobody says which.
    let needs_anything = |rule: &&WantedRule| match rule.peers.as_slice() {
        [] => rule.ports.is_empty() || wide.iter().all(|idx| rules[*idx].ports.is_some()),
        peers => rule.ports.is_empty() && peers.iter().any(is_any_address),
    };
    (!missing.iter().any(needs_anything)).then_some(missing)
}

fn is_any_address(peer: &WantedPeer) -> bool {
    matches!(peer, WantedPeer::Block { cidr, except } if except.is_empty()
        && Cidr::parse(cidr).is_some_and(|cidr| Cidr::ANY.contains(&cidr)))
}

/// How the repo shows the peers of a rule.
enum Shown {
    /// Not all of them.
    Not,
    /// One on no named port.
    Without,
    On(Vec<WantedPort>),
}

fn shown(view: &View<'_>, own: &Member, rule: &PolicyRule, wanted: &[WantedRule]) -> Shown {
    let mut ports = BTreeSet::new();
    let mut is_without = false;
    for peer in rule.peers.iter().flatten() {
        let mut of_peer = wanted.iter().filter(|wanted| reaches(view, own, peer, wanted)).peekable();
        if of_peer.peek().is_none() {
            return Shown::Not;
        }
        for wanted in of_peer {
            is_without |= wanted.ports.is_empty();
            ports.extend(wanted.ports.iter().cloned());
        }
    }
    if is_without { Shown::Without } else { Shown::On(ports.into_iter().collect()) }
}

/// Rules as the dialect writes them.
fn written(dialect: Dialect, direction: Direction, rules: &[&WantedRule]) -> Vec<Value> {
    if dialect == Dialect::Core || rules.is_empty() {
        return rules.iter().map(|rule| rule.value(direction.peers_key())).collect();
    }
    let rules = Some(rules.iter().map(|rule| (*rule).clone()).collect());
    let (ingress, egress) = if direction == Direction::Ingress { (rules, None) } else { (None, rules) };
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
    spec[direction.as_str()].as_array().cloned().unwrap_or_default()
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
        let mut wide = wide.iter();
        let rules = missing.into_iter().map(|rule| match wide.next() {
            Some(idx) => Change::set(format!("{list}/{idx}"), rule),
            None => Change::append(list.clone(), rule),
        });
        return ports.chain(rules).collect();
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
