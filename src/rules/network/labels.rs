//! Labels for pods that no policy can select: which object gets which, so that a policy can.
//!
//! Only pods of kinds without a selector of their own: a new label of a Deployment's template would be harmless too, but
//! the API server refuses one without labels, so what seems to lack them gets them from a build.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::homes::is_editable;
use super::{Fixed, View, placed};
use crate::connections::{Connections, Member, MemberId, Space};
use crate::model::{Layout, Model, Object};
use crate::rules::{Change, Finding, RepoFindings, Rule, Safety};

/// A label that a fix adds to the pods of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct NewLabel {
    key: String,
    value: String,
}

impl NewLabel {
    pub(super) fn selector(&self) -> BTreeMap<String, String> {
        [(self.key.clone(), self.value.clone())].into()
    }
}

/// Keys that people select pods by, the one that Kubernetes recommends first:
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/>.
const KEYS: &[&str] = &["app.kubernetes.io/name", "app", "k8s-app", "name"];

/// The labels that objects lack, by file and place in it.
pub(super) fn new_labels(fixed: &Fixed<'_>) -> HashMap<(usize, usize), NewLabel> {
    let mut labels: HashMap<(usize, usize), NewLabel> = HashMap::new();
    let near = Neighbours::new(fixed.connections);
    let mut taken: HashSet<(&Space, NewLabel)> = HashSet::new();
    for (id, member) in fixed.connections.members() {
        let object = (member.file, member.object);
        if labels.contains_key(&object) || !lacks_labels(fixed, &near, id, member) {
            continue;
        }
        let spaces: Vec<&Space> = near.by_object[&object].iter().map(|member| &member.space).collect();
        let is_free = |label: &NewLabel| {
            let is_used =
                |space: &&Space| taken.contains(&(*space, label.clone())) || near.is_used(space, label);
            !spaces.iter().any(is_used)
        };
        if let Some(label) = candidates(&near, member).into_iter().find(is_free) {
            taken.extend(spaces.into_iter().map(|space| (space, label.clone())));
            labels.insert(object, label);
        }
    }
    labels
}

/// Who is in which namespace, and which labels are in use there.
struct Neighbours<'c> {
    by_space: HashMap<&'c Space, Vec<(MemberId, &'c Member)>>,
    by_object: HashMap<(usize, usize), Vec<&'c Member>>,
    /// Labels of pods, and those that policies would select them by.
    labels: HashSet<(&'c Space, &'c str, &'c str)>,
    /// What Services select by, wherever they are.
    of_services: HashSet<(&'c str, &'c str)>,
}

impl<'c> Neighbours<'c> {
    fn new(connections: &'c Connections) -> Neighbours<'c> {
        let mut near = Neighbours {
            by_space: HashMap::new(),
            by_object: HashMap::new(),
            labels: HashSet::new(),
            of_services: HashSet::new(),
        };
        for (id, member) in connections.members() {
            near.by_space.entry(&member.space).or_default().push((id, member));
            near.by_object.entry((member.file, member.object)).or_default().push(member);
            for (key, value) in member.labels.iter().chain(&member.selector) {
                near.labels.insert((&member.space, key, value));
            }
        }
        for (key, value) in
            connections.services.iter().filter_map(|service| service.selector.as_ref()).flatten()
        {
            near.of_services.insert((key, value));
        }
        near
    }

    /// Whether somebody has the label already, or selects by it.
    fn is_used(&self, space: &Space, label: &NewLabel) -> bool {
        self.labels.contains(&(space, &label.key, &label.value))
            || self.of_services.contains(&(&label.key, &label.value))
    }
}

/// Whether nothing in the file sets a pod apart that nobody else's selector is about.
fn lacks_labels(fixed: &Fixed<'_>, near: &Neighbours<'_>, id: MemberId, member: &Member) -> bool {
    let is_kind = matches!((member.id.group(), &*member.id.kind), ("", "Pod") | ("batch", "CronJob" | "Job"));
    if !is_kind || member.is_labelled || member.host_network || fixed.is_left_alone(&member.space) {
        return false;
    }
    let shares = |(other, neighbour): &(MemberId, &Member)| {
        *other != id && member.selector.iter().all(|(key, value)| neighbour.labels.get(key) == Some(value))
    };
    is_editable(fixed.model, &fixed.model.repo().files[member.file].path)
        && (member.selector.is_empty() || near.by_space[&member.space].iter().any(shares))
}

/// What may do, the best first: the key that the neighbours are selected by, with the object's own name.
fn candidates(near: &Neighbours<'_>, member: &Member) -> Vec<NewLabel> {
    let near = near.by_space[&member.space].iter();
    let used: Vec<&str> = near.flat_map(|(_, other)| other.selector.keys()).map(String::as_str).collect();
    let mut keys: Vec<&str> = KEYS.to_vec();
    keys.sort_by_key(|key| std::cmp::Reverse(used.iter().filter(|used| *used == key).count()));
    let name = member.id.name.trim_end_matches('*').trim_end_matches('-');
    let kind = member.id.kind.to_ascii_lowercase();
    let values = [name.to_owned(), format!("{name}-{kind}")];
    let all = keys
        .iter()
        .flat_map(|key| values.iter().map(|value| NewLabel { key: (*key).to_owned(), value: value.clone() }));
    all.filter(|label| is_value(&label.value)).collect()
}

/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>
fn is_value(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let bytes = text.as_bytes();
    bytes.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) && text.bytes().all(inner)
}

/// Finds that the objects need their labels, as parts of `fix`.
pub(super) fn add(
    view: &View<'_>,
    members: &[MemberId],
    rule: &'static Rule,
    fix: &str,
    found: &mut RepoFindings,
) {
    let mut done = std::collections::BTreeSet::new();
    for id in members {
        let member = view.member(*id);
        let at = (member.file, member.object);
        let Some(label) = view.new_labels.get(&at).filter(|_| done.insert(at)) else { continue };
        let object = view.object(member);
        let Some(pointer) = metadata(view.model, object) else { continue };
        let message = format!("no label tells the pods of {} from others", member.subject());
        let change = Change::set(
            format!("{pointer}/labels/{}", crate::pointer::token(&label.key)),
            label.value.clone(),
        );
        let mut finding = Finding::new(pointer, message)
            .change(change)
            .safety(Safety::Review)
            .note(format!("its network policy selects it by {}={}", label.key, label.value))
            .together(fix);
        if &*object.id.kind == "Job" {
            finding = finding
                .note("a Job that is there already must be deleted first: its pod template cannot change");
        }
        found.by_file.entry(member.file).or_default().push(placed(rule, object, finding));
    }
}

/// Where the pods' metadata is.
fn metadata(model: &Model<'_>, object: &Object) -> Option<String> {
    let layout = object.layout.as_ref().filter(|layout| matches!(layout, Layout::PodSpec { .. }))?;
    let value = model.value(object)?;
    crate::model::pods(layout, &value).first().map(|pod| pod.metadata.clone())
}
