//! See the rule's own docs below.

use serde_json::Value;

use super::coverage::{allows, selecting};
use super::needs::{merged, needs};
use super::*;
use crate::config::Dialect;
use crate::network_policy::{Action, Api, Direction, Peer, Rule as PolicyRule};
use crate::rules::{Area, Change, Check, Safety, Severity};
use crate::template::{PolicyKind, WantedPolicy, WantedRule};

crate::rules::rule! {
    /// A network policy allows connections from or to anything.
    ///
    /// ## Why
    /// Policies add up: a rule without peers, or with every namespace, allows what all others would deny.
    ///
    /// Those of Cilium and Calico are judged like those of the core API: what they deny, or say of the world outside, is
    /// not what this is about.
    ///
    /// ## Fix
    /// Where the policy is for one workload whose peers are known, the rule is replaced by rules for those: of a policy of
    /// Cilium or Calico where `network.dialect` is theirs. Otherwise it is reported only. Rules that say in a comment what keeps them open are the subject of `egress-unexplained`.
    ///
    /// ## What could break
    /// Connections that nothing in the repo states: somebody may have opened it for them.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation>
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
        _ => false,
    };
    rule.action == Action::Allow && rule.peers.as_ref().is_none_or(|peers| peers.iter().any(any))
}

fn too_wide(
    view: &View<'_>,
    object: &Object,
    value: &Value,
    policy: &Policy,
    direction: Direction,
) -> Option<Finding> {
    let rules = policy.rules(direction)?;
    let wide: Vec<usize> =
        rules.iter().enumerate().filter(|(_, rule)| is_wide(rule)).map(|(idx, _)| idx).collect();
    let first = *wide.first()?;
    let key = direction.as_str();
    let selected: Vec<MemberId> = view
        .connections
        .members()
        .filter(|(id, _)| selecting(view, *id).iter().any(|other| other.place == policy.place))
        .map(|(id, _)| id)
        .collect();
    let objects: BTreeSet<(usize, usize)> =
        selected.iter().map(|id| (view.member(*id).file, view.member(*id).object)).collect();
    let ends = if direction == Direction::Ingress { "from" } else { "to" };
    // Cilium's API has lists of specs, and rules of which one is several here: those have no place of their own.
    let n_written = value["spec"][key].as_array().map_or(0, Vec::len);
    let is_plain = n_written == rules.len();
    let at = match (is_plain, value["spec"].is_object()) {
        (true, _) => format!("/spec/{key}/{first}"),
        (false, true) => "/spec".to_owned(),
        (false, false) => "/specs".to_owned(),
    };
    let mut finding =
        Finding::new(at, format!("{}/{} allows connections {ends} anything", object.id.kind, object.id.name));
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
    // What is wanted is known in the words of the configured dialect only.
    let is_ours = matches!(
        (policy.api, view.dialect()),
        (Api::Core, Dialect::Core) | (Api::Cilium, Dialect::Cilium) | (Api::Calico, Dialect::Calico)
    );
    if policy.api != Api::Core && !(is_ours && is_plain && objects.len() == 1) {
        return Some(finding.note("narrow it to what its pods need: `caseharden network graph` shows that"));
    }
    if objects.len() != 1 || !is_ours {
        return None;
    }
    let wanted = wanted(view, &selected, direction)?;
    let own = view.member(selected[0]);
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
    if missing.iter().any(|rule| rule.peers.is_empty()) {
        return None;
    }
    for connection in selected.iter().flat_map(|id| {
        view.of(if direction == Direction::Ingress { &view.ingress } else { &view.egress }, *id)
    }) {
        finding.evidence.extend(connection.evidence.iter().map(cited));
    }
    finding.evidence.dedup();
    Some(
        finding
            .changes(changes(value, key, &wide, written(view.dialect(), direction, &missing)))
            .safety(Safety::Review)
            .note(format!("check that {} needs nothing that the repo does not state", own.subject())),
    )
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

/// The first of the wide rules becomes the first that is missing; further ones are appended, or taken away.
fn changes(value: &Value, key: &str, wide: &[usize], missing: Vec<Value>) -> Vec<Change> {
    let list = format!("/spec/{key}");
    if let ([only], false) = (wide, missing.is_empty()) {
        let mut missing = missing.into_iter();
        let first = missing.next().map(|rule| Change::set(format!("{list}/{only}"), rule));
        return first.into_iter().chain(missing.map(|rule| Change::append(list.clone(), rule))).collect();
    }
    let mut rules: Vec<Value> = value["spec"][key].as_array().cloned().unwrap_or_default();
    let mut idx = 0;
    rules.retain(|_| {
        idx += 1;
        !wide.contains(&(idx - 1))
    });
    rules.extend(missing);
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
