//! Rules about who can reach whom: namespaces without policies, policies that allow too much, and what keeps either
//! from being narrow.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use self::labels::NewLabel;
use self::operated::Operated;
use super::namespace::hidden_pods;
use super::{Finding, Placed, RepoFindings, Rule, Settings};
use crate::config::Dialect;
use crate::connections::{
    Certainty, Connection, Connections, Evidence, Member, MemberId, Peer, Space, Unresolved,
};
use crate::model::{Model, Object};
use crate::network_policy::{Cluster, Policy, Tier};

pub(super) mod chart_network_policy_off;
mod coverage;
mod egress_unexplained;
mod homes;
mod host_network_unprotected;
mod labels;
mod namespace_open_to_network;
mod needs;
mod network_policy_too_wide;
mod operated;
mod pod_labels_shared;
mod policies;

pub(super) const RULES: &[&Rule] = &[
    &namespace_open_to_network::RULE,
    &network_policy_too_wide::RULE,
    &egress_unexplained::RULE,
    &pod_labels_shared::RULE,
    &host_network_unprotected::RULE,
    &chart_network_policy_off::RULE,
];

/// What the rules look at: connections, the policies there are, and what cannot be seen.
struct View<'a> {
    model: &'a Model<'a>,
    settings: &'a Settings<'a>,
    connections: Connections,
    cluster: Cluster,
    /// Connections that policies must allow, by index, of the member that opens them.
    egress: HashMap<MemberId, Vec<usize>>,
    /// The same of the member that takes them.
    ingress: HashMap<MemberId, Vec<usize>>,
    unresolved: HashMap<MemberId, Vec<usize>>,
    guesses: HashMap<MemberId, Vec<usize>>,
    policies_in: HashMap<Space, Vec<usize>>,
    /// Policies that are in no namespace.
    cluster_wide: Vec<usize>,
    members_in: HashMap<Space, Vec<MemberId>>,
    /// Labels that fixes add to pods without any, by file and object.
    new_labels: HashMap<(usize, usize), NewLabel>,
    /// The first manifest of each namespace.
    manifests: HashMap<&'a str, &'a Object>,
    /// Objects whose pods nobody sees here, by namespace.
    hidden: BTreeMap<String, BTreeSet<String>>,
    /// Those of them whose pods have labels that are known.
    operated: Vec<Operated>,
}

/// What labels are chosen by, before there is a [`View`].
struct Fixed<'a> {
    model: &'a Model<'a>,
    settings: &'a Settings<'a>,
    connections: &'a Connections,
}

impl Fixed<'_> {
    fn is_left_alone(&self, space: &Space) -> bool {
        is_left_alone(self.settings, space)
    }
}

fn is_left_alone(settings: &Settings<'_>, space: &Space) -> bool {
    // A variable that something fills in later is no namespace to work on either.
    space.name().is_some_and(|name| name.contains('$') || settings.config.is_system_namespace(name))
}

fn is_namespace(object: &Object) -> bool {
    &*object.id.kind == "Namespace" && object.id.group().is_empty() && !object.id.name.is_empty()
}

/// Asks the rules that were selected.
pub(super) fn check(
    model: &Model<'_>,
    settings: &Settings<'_>,
    selected: &dyn Fn(&Rule) -> bool,
    found: &mut RepoFindings,
) {
    if !RULES.iter().any(|rule| selected(rule)) {
        return;
    }
    let view = View::new(model, settings);
    if selected(&namespace_open_to_network::RULE) {
        namespace_open_to_network::check(&view, found);
    }
    if selected(&network_policy_too_wide::RULE) {
        network_policy_too_wide::check(&view, found);
    }
    if selected(&egress_unexplained::RULE) {
        egress_unexplained::check(&view, found);
    }
    if selected(&pod_labels_shared::RULE) {
        pod_labels_shared::check(&view, found);
    }
    if selected(&host_network_unprotected::RULE) {
        host_network_unprotected::check(&view, found);
    }
}

impl<'a> View<'a> {
    fn new(model: &'a Model<'a>, settings: &'a Settings<'a>) -> View<'a> {
        let connections = Connections::of(model, settings.config, settings.flows);
        let cluster = Cluster::read(model, &connections);
        let by_member = |end: fn(&Connection) -> Option<MemberId>, needed: bool| {
            let mut map: HashMap<MemberId, Vec<usize>> = HashMap::new();
            for (idx, connection) in connections.list.iter().enumerate() {
                if let Some(member) = end(connection).filter(|_| connection.is_needed() == needed) {
                    map.entry(member).or_default().push(idx);
                }
            }
            map
        };
        let (egress, ingress) = (by_member(Connection::source, true), by_member(Connection::target, true));
        let guesses = by_member(Connection::source, false);
        let mut unresolved: HashMap<MemberId, Vec<usize>> = HashMap::new();
        for (idx, item) in connections.unresolved.iter().enumerate() {
            unresolved.entry(item.member).or_default().push(idx);
        }
        let mut policies_in: HashMap<Space, Vec<usize>> = HashMap::new();
        let mut cluster_wide = Vec::new();
        for (idx, policy) in cluster.policies.iter().enumerate() {
            match (policy.tier, &policy.namespace) {
                (Tier::Namespaced, Some(space)) => policies_in.entry(space.clone()).or_default().push(idx),
                (Tier::Namespaced, None) => cluster_wide.push(idx),
                _ => {}
            }
        }
        let mut members_in: HashMap<Space, Vec<MemberId>> = HashMap::new();
        for (id, member) in connections.members() {
            members_in.entry(member.space.clone()).or_default().push(id);
        }
        let mut manifests = HashMap::new();
        for object in model.objects().filter(|object| is_namespace(object)) {
            manifests.entry(&*object.id.name).or_insert(object);
        }
        let hidden = hidden_pods(model);
        let new_labels = labels::new_labels(&Fixed { model, settings, connections: &connections });
        View {
            model,
            settings,
            connections,
            cluster,
            egress,
            ingress,
            unresolved,
            guesses,
            policies_in,
            cluster_wide,
            members_in,
            new_labels,
            manifests,
            hidden,
            operated: operated::operated(model),
        }
    }

    fn dialect(&self) -> Dialect {
        self.settings.config.network.dialect
    }

    fn member(&self, id: MemberId) -> &Member {
        self.connections.member(id)
    }

    fn object(&self, member: &Member) -> &'a Object {
        &self.model.objects_of(member.file)[member.object]
    }

    fn of<'v>(
        &'v self,
        map: &'v HashMap<MemberId, Vec<usize>>,
        id: MemberId,
    ) -> impl Iterator<Item = &'v Connection> {
        map.get(&id).into_iter().flatten().map(|idx| &self.connections.list[*idx])
    }

    fn unresolved_of(&self, id: MemberId) -> impl Iterator<Item = &Unresolved> {
        self.unresolved.get(&id).into_iter().flatten().map(|idx| &self.connections.unresolved[*idx])
    }

    /// Whether evidence accounts for all that a member opens, as far as anything can tell. Who reads the API finds
    /// peers there: controllers of Ingresses, collectors of metrics.
    fn explains_egress(&self, id: MemberId) -> bool {
        if self.connections.shown_sources.contains(&id) {
            return true;
        }
        let mut opened = self.of(&self.egress, id).peekable();
        opened.peek().is_some()
            && opened.all(|connection| connection.to != Peer::ApiServer)
            && self.unresolved_of(id).next().is_none()
            && self.of(&self.guesses, id).next().is_none()
    }

    fn in_space(&self, space: &Space) -> &[MemberId] {
        self.members_in.get(space).map(Vec::as_slice).unwrap_or_default()
    }

    /// Policies that are for pods of a namespace, its own and those of the whole cluster.
    fn policies(&self, space: &Space) -> Vec<&Policy> {
        let own = self.policies_in.get(space).into_iter().flatten();
        let mut policies: Vec<&Policy> = own.map(|idx| &self.cluster.policies[*idx]).collect();
        if !self.cluster_wide.is_empty() {
            let namespace = self.cluster.namespace(space);
            let is_selected = |policy: &&Policy| {
                let selector = policy.subject.namespaces.as_ref();
                selector.is_some_and(|selector| {
                    selector.matches_known(&namespace.labels, |key| namespace.knows(key)) == Some(true)
                })
            };
            let global = self.cluster_wide.iter().map(|idx| &self.cluster.policies[*idx]);
            policies.extend(global.filter(is_selected));
        }
        policies
    }

    fn is_left_alone(&self, space: &Space) -> bool {
        is_left_alone(self.settings, space)
    }

    /// What makes pods in the namespace that the repo does not show.
    fn hidden_in(&self, space: &Space) -> impl Iterator<Item = &str> {
        let names = space.name().and_then(|name| self.hidden.get(name));
        names.into_iter().flatten().map(String::as_str)
    }
}

/// How findings say where something stands.
fn cited(evidence: &Evidence) -> String {
    format!("{}:{}: {}", evidence.path, evidence.line, evidence.words)
}

/// A finding of a rule at an object.
fn placed(rule: &'static Rule, object: &Object, mut finding: Finding) -> Placed {
    finding.rule = rule;
    Placed { object: object.clone(), finding, needs_file: None }
}

/// What a doubtful connection rests on.
fn doubt(certainty: &Certainty) -> Option<&str> {
    match certainty {
        Certainty::Sure => None,
        Certainty::Likely(why) | Certainty::Guess(why) => Some(why),
    }
}
