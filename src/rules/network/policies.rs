//! The policies that a group of namespaces lacks: what each workload needs, DNS, and the denial of everything else.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::View;
use super::coverage::{allows, isolates_all, selecting};
use super::homes::{Files, Home, is_editable};
use super::needs::{Needs, configured, merged, needs, selector};
use crate::config::Mode;
use crate::connections::{Member, MemberId, Protocol, Space};
use crate::model::{ObjectId, labels_pods_of};
use crate::network_policy::Direction;
use crate::template::{PolicyKind, WantedPeer, WantedPolicy, WantedPort, WantedRule};

/// Namespaces that share objects: what is added to one of them is added to all.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) spaces: BTreeSet<Space>,
    pub(super) members: Vec<MemberId>,
}

/// What a group lacks.
#[derive(Debug, Default)]
pub(super) struct Lacking {
    pub(super) files: Files,
    /// Whether nothing denies by default, in the directions that are asked for.
    pub(super) is_open: bool,
    /// Members whose needs the policies there do not allow.
    pub(super) uncovered: Vec<MemberId>,
    pub(super) open_egress: Vec<MemberId>,
    pub(super) open_ingress: Vec<MemberId>,
    /// Why nothing is denied by default, if so.
    pub(super) held_back: Option<String>,
    pub(super) is_empty: bool,
}

/// Namespaces with workloads, joined where one object lands in several.
pub(super) fn groups(view: &View<'_>) -> Vec<Group> {
    let mut group_of: BTreeMap<&Space, usize> = BTreeMap::new();
    let mut by_object: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let mut parents: Vec<usize> = Vec::new();
    fn root(parents: &[usize], mut at: usize) -> usize {
        while parents[at] != at {
            at = parents[at];
        }
        at
    }
    for (_, member) in view.connections.members().filter(|(_, member)| !view.is_left_alone(&member.space)) {
        let space = *group_of.entry(&member.space).or_insert_with(|| {
            parents.push(parents.len());
            parents.len() - 1
        });
        let object = *by_object.entry((member.file, member.object)).or_insert(space);
        let (a, b) = (root(&parents, space), root(&parents, object));
        parents[a.max(b)] = a.min(b);
    }
    let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
    for (id, member) in view.connections.members() {
        if let Some(at) = group_of.get(&member.space) {
            let group = groups.entry(root(&parents, *at)).or_default();
            group.spaces.insert(member.space.clone());
            group.members.push(id);
        }
    }
    groups.into_values().collect()
}

pub(super) fn lacking(view: &View<'_>, group: &Group) -> Lacking {
    let mode = view.settings.config.network.mode;
    let with_egress = mode != Mode::Ingress;
    let mut lacking = Lacking::default();
    let hidden: BTreeSet<&str> = group.spaces.iter().flat_map(|space| view.hidden_in(space)).collect();
    let pods: Vec<MemberId> =
        group.members.iter().copied().filter(|id| !view.member(*id).host_network).collect();
    let unlabelled = pods.iter().find(|id| selector(view, view.member(**id)).is_empty());
    if mode != Mode::Full && !hidden.is_empty() {
        let list: Vec<&str> = hidden.iter().copied().take(3).collect();
        lacking.held_back = Some(format!("{} makes pods that the repo does not show", list.join(", ")));
    } else if let Some(id) = unlabelled {
        let subject = view.member(*id).subject();
        lacking.held_back = Some(format!("the pods of {subject} have no labels that a policy could select"));
    }
    let open_directions = |spaces: &BTreeSet<&Space>| -> Vec<Direction> {
        [Direction::Ingress, Direction::Egress]
            .into_iter()
            .filter(|direction| with_egress || *direction == Direction::Ingress)
            .filter(|direction| !spaces.iter().all(|space| isolates_all(view, space, *direction)))
            .collect()
    };
    lacking.is_open = !open_directions(&group.spaces.iter().collect()).is_empty();
    if !pods.iter().any(|id| is_editable(view.model, &view.model.repo().files[view.member(*id).file].path)) {
        lacking.is_empty = pods.is_empty();
        return lacking;
    }
    let dns = dns(view);
    let denies = lacking.held_back.is_none();
    let without_dns: BTreeSet<&Space> = pods
        .iter()
        .filter(|_| with_egress)
        .filter(|id| !allows(view, view.member(**id), &selecting(view, **id), Direction::Egress, &dns))
        .map(|id| &view.member(*id).space)
        .collect();
    let homes = homes(view, group, &pods);
    let Some(first) = homes.first() else { return lacking };
    let mut names = NameChoice::new(view, group);
    let mut policies: Vec<(Home, WantedPolicy)> = Vec::new();
    for common in homes.iter().filter(|common| denies && !common.spaces.is_disjoint(&without_dns)) {
        let policy = allow_dns(names.free("allow-dns"), common.namespace.clone(), dns.clone());
        policies.push((common.home.clone(), policy));
    }
    let extra = (!denies && !without_dns.is_empty()).then_some(&dns);
    for policy in workloads(view, &pods, &first.home, extra, &mut names, &mut lacking) {
        policies.push(policy);
    }
    for common in homes.iter().filter(|_| denies) {
        let directions = open_directions(&common.spaces);
        if !directions.is_empty() {
            let policy = default_deny(names.free("default-deny"), common.namespace.clone(), &directions);
            policies.push((common.home.clone(), policy));
        }
    }
    lacking.is_empty = policies.is_empty();
    for (home, mut policy) in policies {
        let labelling = home.labelling(view);
        if !labelling.is_empty() {
            // Another build's pods have other labels, and those of kinds that builds do not know have none of them.
            policy.keep_from_labels(&|labels| {
                let members = group.members.iter().map(|id| view.member(*id));
                let mut members = members.filter(|member| selector(view, member) == *labels).peekable();
                let builds = &view.model.builds;
                let path = |member: &Member| view.model.repo().files[member.file].path.as_str();
                members.peek().is_some()
                    && members.all(|member| {
                        labels_pods_of(&member.id)
                            && labelling.iter().all(|by| builds.takes(by, path(member)))
                    })
            });
        }
        lacking.files.add(home, policy);
    }
    lacking
}

/// What makes two objects one workload: their place, their name and the pods they select.
type Described<'a> = (Home, &'a ObjectId, BTreeMap<String, String>);

/// One policy for each object, with what its members lack in all their namespaces.
fn workloads(
    view: &View<'_>,
    pods: &[MemberId],
    home: &Home,
    dns: Option<&WantedRule>,
    names: &mut NameChoice,
    lacking: &mut Lacking,
) -> Vec<(Home, WantedPolicy)> {
    let with_egress = view.settings.config.network.mode != Mode::Ingress;
    // An object in several namespaces, or in several files of one folder, is one workload.
    let mut by_object: BTreeMap<Described<'_>, Vec<MemberId>> = BTreeMap::new();
    for id in pods {
        let member = view.member(*id);
        let key = (Home::beside(view, member.file), &member.id, selector(view, member));
        by_object.entry(key).or_default().push(*id);
    }
    let mut by_place: Vec<Vec<MemberId>> = by_object.into_values().collect();
    by_place.sort();
    let mut policies = Vec::new();
    for members in by_place {
        let member = view.member(members[0]);
        let file = member.file;
        let labels = selector(view, member);
        if labels.is_empty() {
            continue;
        }
        let (mut ingress, mut egress) = (Vec::new(), Vec::new());
        let mut is_selected = true;
        for id in &members {
            let existing = selecting(view, *id);
            is_selected &= !existing.is_empty();
            let Needs { ingress: needed, egress: opened, open_egress, open_ingress } = needs(view, *id);
            let own = view.member(*id);
            let missing = |rules: Vec<WantedRule>, direction| {
                rules
                    .into_iter()
                    .filter(|rule| !allows(view, own, &existing, direction, rule))
                    .collect::<Vec<_>>()
            };
            let (needed, opened) = (missing(needed, Direction::Ingress), missing(opened, Direction::Egress));
            if !needed.is_empty() || !opened.is_empty() {
                lacking.uncovered.push(*id);
            }
            if open_egress && opened.iter().any(|rule| rule.peers.is_empty() && rule.ports.is_empty()) {
                lacking.open_egress.push(*id);
            }
            if open_ingress {
                lacking.open_ingress.push(*id);
            }
            ingress.extend(needed);
            egress.extend(opened);
        }
        let needs_own = lacking.held_back.is_some() && !is_selected;
        if ingress.is_empty() && egress.is_empty() && !needs_own {
            continue;
        }
        egress.extend(dns.filter(|_| needs_own || !egress.is_empty()).cloned());
        let id = &view.object(member).id;
        // Where the workload may not be changed, neither may what lies beside it.
        let editable = is_editable(view.model, &view.model.repo().files[file].path);
        let home = if editable { Home::beside(view, file) } else { home.clone() };
        let name = names.of_workload(id, &home);
        policies.push((
            home,
            WantedPolicy {
                kind: PolicyKind::Workload,
                name,
                namespace: id.namespace.as_deref().map(str::to_owned),
                comments: vec![format!("What {}/{} needs.", id.kind, id.name)],
                selector: labels,
                foreign: false,
                ingress: Some(merged(ingress.into_iter())),
                egress: with_egress.then(|| merged(egress.into_iter())),
            },
        ));
    }
    policies
}

/// Where what concerns all pods of some namespaces goes.
struct Common<'v> {
    home: Home,
    /// The namespace that policies there name.
    namespace: Option<String>,
    /// Those it is for: no home before it reaches them.
    spaces: BTreeSet<&'v Space>,
}

/// Where what concerns the whole group goes. One home where some objects land in all of its namespaces, so that every
/// build gets it once; else as many as it takes to reach all of them.
fn homes<'v>(view: &'v View<'_>, group: &'v Group, pods: &[MemberId]) -> Vec<Common<'v>> {
    let mut spaces_of: BTreeMap<(usize, usize), BTreeSet<&Space>> = BTreeMap::new();
    for id in pods {
        let member = view.member(*id);
        if is_editable(view.model, &view.model.repo().files[member.file].path) {
            spaces_of.entry((member.file, member.object)).or_default().insert(&member.space);
        }
    }
    let mut homes = Vec::new();
    while let Some(common) = next_home(view, group, &spaces_of) {
        for spaces in spaces_of.values_mut() {
            spaces.retain(|space| !common.spaces.contains(space));
        }
        homes.push(common);
    }
    homes
}

/// The home for most of the namespaces that objects still land in.
fn next_home<'v>(
    view: &'v View<'_>,
    group: &'v Group,
    spaces_of: &BTreeMap<(usize, usize), BTreeSet<&'v Space>>,
) -> Option<Common<'v>> {
    let (first, reaching) = spaces_of
        .iter()
        .filter(|(_, spaces)| !spaces.is_empty())
        .min_by_key(|(object, spaces)| (Reverse(spaces.len()), **object))?;
    let (file, object) = *first;
    let everywhere: Vec<(usize, usize)> =
        spaces_of.iter().filter(|(_, spaces)| *spaces == reaching).map(|(object, _)| *object).collect();
    let files: BTreeSet<usize> = everywhere.iter().map(|(file, _)| *file).collect();
    let namespace_of =
        |(file, object): &(usize, usize)| view.model.objects_of(*file)[*object].id.namespace.as_deref();
    // Of `default` are also those beside it that name none.
    let stated = everywhere.iter().find_map(namespace_of).filter(|name| *name == "default");
    let namespace = namespace_of(&(file, object)).or(stated).map(str::to_owned);
    let around = Home::around(view, &files)?;
    // A kustomization around those that give the namespace does not give it itself.
    let gives = |name: &str| {
        let mut listings = around.listings.iter();
        listings.any(|listing| view.model.builds.given_namespaces(listing).any(|given| given == name))
    };
    let is_given = namespace.is_some() || group.spaces.iter().filter_map(Space::name).all(gives);
    let reached = |home: &Home| -> BTreeSet<&Space> {
        let members = group.members.iter().map(|id| view.member(*id));
        members.filter(|member| home.is_built_with(view, member)).map(|member| &member.space).collect()
    };
    let reaches_all = around.listings.is_empty() || reached(&around).is_superset(reaching);
    let home = if is_given && reaches_all { around } else { Home::beside(view, file) };
    let spaces = reached(&home).union(reaching).copied().collect();
    Some(Common { home, namespace, spaces })
}

pub(super) fn dns(view: &View<'_>) -> WantedRule {
    let (network, distribution) = (&view.settings.config.network, view.settings.config.distribution);
    let mut peers = vec![configured(&network.dns_peer(distribution))];
    if let Some(cidr) = &network.node_local_dns {
        peers.push(WantedPeer::Block { cidr: cidr.clone(), except: Vec::new() });
    }
    let number = network.dns_port(distribution);
    let port = |protocol| WantedPort { name: None, number, end: None, protocol };
    let comments = vec!["answers that are too long for UDP come over TCP".to_owned()];
    WantedRule { comments, peers, ports: vec![port(Protocol::Udp), port(Protocol::Tcp)] }
}

fn allow_dns(name: String, namespace: Option<String>, rule: WantedRule) -> WantedPolicy {
    WantedPolicy {
        kind: PolicyKind::AllowDns,
        name,
        namespace,
        comments: vec!["Every pod may ask the cluster's DNS.".to_owned()],
        selector: BTreeMap::new(),
        foreign: false,
        ingress: None,
        egress: Some(vec![rule]),
    }
}

pub(super) fn default_deny(
    name: String,
    namespace: Option<String>,
    directions: &[Direction],
) -> WantedPolicy {
    let rules = |direction| directions.contains(&direction).then(Vec::new);
    WantedPolicy {
        kind: PolicyKind::DefaultDeny,
        name,
        namespace,
        comments: vec!["What no other policy of the namespace allows is denied.".to_owned()],
        selector: BTreeMap::new(),
        foreign: false,
        ingress: rules(Direction::Ingress),
        egress: rules(Direction::Egress),
    }
}

/// Names of policies that the group's namespaces do not have yet.
struct NameChoice {
    taken: BTreeSet<String>,
    /// By kind and name: copies of a workload, for other builds, have copies of its policy.
    of_workloads: BTreeMap<(String, String), Vec<String>>,
    used: BTreeSet<(Home, String)>,
}

impl NameChoice {
    fn new(view: &View<'_>, group: &Group) -> NameChoice {
        let policies = group.spaces.iter().flat_map(|space| view.policies(space));
        NameChoice {
            taken: policies.map(|policy| policy.name.clone()).collect(),
            of_workloads: BTreeMap::new(),
            used: BTreeSet::new(),
        }
    }

    fn free(&mut self, name: &str) -> String {
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
        let chosen =
            candidates.find(|name| !self.taken.contains(name)).expect("there is a number for every name");
        self.taken.insert(chosen.clone());
        chosen
    }

    fn of_workload(&mut self, id: &ObjectId, home: &Home) -> String {
        let key = (id.kind.to_string(), id.name.to_string());
        let known = self.of_workloads.get(&key).into_iter().flatten();
        let copy =
            known.into_iter().find(|name| !self.used.contains(&(home.clone(), (*name).clone()))).cloned();
        let chosen = copy.unwrap_or_else(|| {
            let name = id.name.trim_end_matches('*').trim_end_matches('-');
            let chosen = if self.taken.contains(name) {
                self.free(&format!("{name}-{}", id.kind.to_lowercase()))
            } else {
                self.free(name)
            };
            self.of_workloads.entry(key).or_default().push(chosen.clone());
            chosen
        });
        self.used.insert((home.clone(), chosen.clone()));
        chosen
    }
}
