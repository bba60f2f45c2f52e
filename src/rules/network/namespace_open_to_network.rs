//! See the rule's own docs below.

use rayon::prelude::*;

use super::homes::{Files, Home, Names, Rendered, is_editable};
use super::policies::{Group, Lacking, default_deny, groups, lacking};
use super::*;
use crate::config::Mode;
use crate::network_policy::Direction;
use crate::repo::{Marker, SkipReason};
use crate::rules::{Area, Check, Safety, Severity};

crate::rules::rule! {
    /// A namespace lets its pods be reached, or reach others, without need.
    ///
    /// ## Why
    /// Without a policy every pod of the cluster can connect to every other one, so one that is taken over reaches
    /// all databases. A policy that denies everything breaks the application unless what it needs is allowed.
    ///
    /// ## Fix
    /// Adds a policy that denies by default, one that allows DNS, and one for each workload with exactly the peers and
    /// ports that the repo states: Services, environment, arguments, ConfigMaps, routes, monitors, webhooks, and flow
    /// logs (`--flow-log`). Each rule says in a comment what it rests on. Policies that are there stay as they are;
    /// only what they lack is added. What is not known stays open, in a rule of its own that says so.
    ///
    /// ## What could break
    /// Connections that nothing in the repo states: callers in other repos, addresses built into programs. Apply it
    /// where that shows first. Policies have no effect unless the cluster's network plugin enforces them.
    ///
    /// ## Sources
    /// - <https://kubernetes.io/docs/concepts/services-networking/network-policies/>
    {
        id: "namespace-open-to-network",
        area: Area::Network,
        severity: Severity::High,
        pss: None,
        known_as: &[("CIS", "5.3.2"), ("checkov", "CKV2_K8S_6"), ("kube-linter", "non-isolated-pod")],
        check: Check::Repo,
    }
}

pub(super) fn check(view: &View<'_>, found: &mut RepoFindings) {
    let mut names = Names::new(view);
    let open: Vec<_> = groups(view).into_par_iter().filter_map(|group| find(view, &group)).collect();
    for Open { object, mut finding, files, marker, unlabelled } in open {
        let files = files.into_files(view, &RULE, &mut names, found);
        if files.is_empty() {
            if let Some(marker) = marker {
                finding.notes.push(format!("not edited: {}", marker.detail()));
            }
        } else {
            finding.safety = Safety::Review;
            if !unlabelled.is_empty() {
                let fix = format!("{}: {}", RULE.id, files[0].path);
                labels::add(view, &unlabelled, &RULE, &fix, found);
                finding.together = Some(fix);
            }
            finding.new_files = files;
        }
        found.new_files.push(placed(&RULE, &object, finding));
    }
    check_empty(view, &mut names, found);
}

/// A group of pods with what it lacks.
struct Open {
    object: Object,
    finding: Finding,
    files: Rendered,
    /// Why a workload of the group is not edited, if so.
    marker: Option<Marker>,
    /// Members that get a label for their policy.
    unlabelled: Vec<MemberId>,
}

fn find(view: &View<'_>, group: &Group) -> Option<Open> {
    let lacking = lacking(view, group);
    if lacking.is_empty || group.members.iter().all(|id| view.member(*id).host_network) {
        return None;
    }
    if !lacking.is_open && lacking.files.policies.is_empty() {
        return None;
    }
    let finding = describe(view, group, &lacking);
    let marker = group.members.iter().find_map(|id| view.model.file(view.object(view.member(*id))).marker);
    let has_new_label = |id: &&MemberId| {
        let member = view.member(**id);
        view.new_labels.contains_key(&(member.file, member.object))
    };
    let unlabelled = group.members.iter().filter(has_new_label).copied().collect();
    Some(Open {
        object: subject(view, group),
        finding,
        files: lacking.files.render(view),
        marker,
        unlabelled,
    })
}

/// Namespaces whose manifest is here and whose workloads are not: nothing is known to need anything.
fn check_empty(view: &View<'_>, names: &mut Names<'_>, found: &mut RepoFindings) {
    let manifests = view.model.objects().filter(|object| is_namespace(object));
    // Charts are not rendered, and may well deploy into any of them.
    let has_charts = view.model.repo().skipped.iter().any(|skip| skip.reason == SkipReason::HelmTemplate);
    if has_charts || !view.hidden.is_empty() {
        return;
    }
    let mut said = BTreeSet::new();
    let used: BTreeSet<&str> =
        view.connections.members().filter_map(|(_, member)| member.space.name()).collect();
    let unnamed: BTreeSet<&Space> = view
        .connections
        .members()
        .map(|(_, member)| &member.space)
        .filter(|space| space.name().is_none())
        .collect();
    for object in manifests {
        let path = &view.model.file(object).path;
        let given: Vec<&str> = view.model.builds.given_namespaces(path).collect();
        let all = given.iter().copied().chain([&*object.id.name]);
        let spaces: BTreeSet<Space> = all.map(|name| Space::Named(name.to_owned())).collect();
        let is_used = spaces.iter().any(|space| {
            space.name().is_some_and(|name| used.contains(name))
                || view.is_left_alone(space)
                || view.hidden_in(space).next().is_some()
                || !view.policies(space).is_empty()
        });
        let home = crate::repo::folder(path);
        let is_beside = |space: &Space| match space {
            Space::Unnamed(at) => at
                .strip_prefix(home)
                .is_some_and(|rest| home.is_empty() || rest.is_empty() || rest.starts_with('/')),
            Space::Named(_) => false,
        };
        // Workloads beside it that name no namespace may be meant for it.
        let is_used = is_used || unnamed.iter().any(|space| is_beside(space));
        if is_used || !is_editable(view.model, path) || !said.insert(object.id.name.clone()) {
            continue;
        }
        let mode = view.settings.config.network.mode;
        let directions: &[Direction] = match mode {
            Mode::Ingress => &[Direction::Ingress],
            Mode::Known | Mode::Full => &[Direction::Ingress, Direction::Egress],
        };
        let namespace = given.is_empty().then(|| object.id.name.to_string());
        let mut files = Files::default();
        files.add(
            Home::beside(view, object.file),
            default_deny("default-deny".to_owned(), namespace, directions),
        );
        let mut finding = Finding::new("", format!("namespace {} denies nothing", object.id.name))
            .note("no workload of it is in the repo: check that none is deployed from elsewhere");
        finding.new_files = files.render(view).into_files(view, &RULE, names, found);
        finding.safety = Safety::Review;
        found.new_files.push(placed(&RULE, object, finding));
    }
}

/// The object a finding about the group points at: its Namespace, else its first workload.
fn subject(view: &View<'_>, group: &Group) -> Object {
    let manifests =
        group.spaces.iter().filter_map(Space::name).filter_map(|name| view.manifests.get(name).copied());
    let first = manifests.min_by_key(|object| (object.file, object.document));
    first.unwrap_or_else(|| view.object(view.member(group.members[0]))).clone()
}

pub(super) fn shown(group: &Group) -> String {
    let names: Vec<&str> = group.spaces.iter().filter_map(Space::name).collect();
    match names.as_slice() {
        [] => match group.spaces.first() {
            Some(Space::Unnamed(path)) if !path.is_empty() => format!("the namespace of {path}"),
            _ => "the namespace of the repo's root".to_owned(),
        },
        [one] => format!("namespace {one}"),
        many => format!("namespaces {}", many.join(", ")),
    }
}

fn describe(view: &View<'_>, group: &Group, lacking: &Lacking) -> Finding {
    let place = shown(group);
    let objects: BTreeSet<(usize, usize)> =
        group.members.iter().map(|id| (view.member(*id).file, view.member(*id).object)).collect();
    let message = if lacking.is_open {
        let does = if group.spaces.iter().filter_map(Space::name).count() > 1 { "do" } else { "does" };
        match objects.len() {
            1 => format!("{place} {does} not deny what its workload does not need"),
            count => format!("{place} {does} not deny what its {count} workloads do not need"),
        }
    } else {
        let subjects = listed(view, &lacking.uncovered);
        format!("policies of {place} lack connections that {subjects} need")
    };
    let mut finding = Finding::new("", message);
    let mode = view.settings.config.network.mode;
    if let Some(why) = &lacking.held_back {
        finding = finding.note(format!("nothing is denied by default: {why}"));
    }
    if !lacking.open_egress.is_empty() {
        let subjects = listed(view, &lacking.open_egress);
        finding = finding.note(format!("egress stays open, since not all of it is known: {subjects}"));
    }
    if !lacking.open_ingress.is_empty() {
        let subjects = listed(view, &lacking.open_ingress);
        finding =
            finding.note(format!("ingress stays open to pods, since nobody is known to call: {subjects}"));
    }
    if !view.settings.flows.is_empty() {
        finding = finding
            .note("flow logs count as complete for the pods they show: check how long they were taken");
    }
    if mode == Mode::Full {
        finding.notes.extend(cut(view, group));
    }
    finding = finding.note("check for callers in other repos and for addresses built into programs");
    for id in &group.members {
        for connection in view.of(&view.egress, *id).chain(view.of(&view.ingress, *id)) {
            for evidence in &connection.evidence {
                let fact = cited(evidence);
                if !finding.evidence.contains(&fact) && finding.evidence.len() < 100 {
                    finding.evidence.push(fact);
                }
            }
        }
    }
    finding
}

/// What full denial cuts: everything that nothing explains.
fn cut(view: &View<'_>, group: &Group) -> Vec<String> {
    let mut cuts = Vec::new();
    for id in &group.members {
        let subject = view.member(*id).subject();
        for item in view.unresolved_of(*id) {
            cuts.push(format!("cuts {subject}: {}: {}", item.evidence.words, item.reason));
        }
        if view.of(&view.egress, *id).next().is_none() {
            cuts.push(format!("cuts all that {subject} opens beside DNS"));
        }
        if view.of(&view.ingress, *id).next().is_none() && !view.connections.served(*id).is_empty() {
            cuts.push(format!("cuts all callers of {subject}"));
        }
    }
    cuts.dedup();
    cuts
}

fn listed(view: &View<'_>, members: &[MemberId]) -> String {
    let mut subjects: Vec<String> = members.iter().map(|id| view.member(*id).subject()).collect();
    subjects.sort();
    subjects.dedup();
    subjects.join(", ")
}
