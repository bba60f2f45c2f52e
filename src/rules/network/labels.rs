//! Labels for pods that no policy can select: which object gets which, so that a policy can.
//!
//! Only pods of kinds without a selector of their own: a new label of a Deployment's template would be harmless too, but
//! the API server refuses one without labels, so what seems to lack them gets them from a build.

use std::collections::{BTreeMap, HashMap};

use super::homes::is_editable;
use super::{Fixed, View, placed};
use crate::connections::{Connections, Member, MemberId, Space};
use crate::model::{Layout, Model, Object};
use crate::rules::{Change, Finding, RepoFindings, Rule, Safety};

/// A label that a fix adds to the pods of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    let mut taken: Vec<(Space, NewLabel)> = Vec::new();
    for (id, member) in fixed.connections.members() {
        let object = (member.file, member.object);
        if labels.contains_key(&object) || !lacks_labels(fixed, id, member) {
            continue;
        }
        let spaces: Vec<&Space> = members_of(fixed.connections, object).map(|member| &member.space).collect();
        let is_free = |label: &NewLabel| {
            spaces.iter().all(|space| {
                !taken.iter().any(|(of, other)| of == *space && other == label)
                    && !is_used(fixed.connections, space, label)
            })
        };
        if let Some(label) = candidates(fixed.connections, member).into_iter().find(is_free) {
            taken.extend(spaces.into_iter().map(|space| (space.clone(), label.clone())));
            labels.insert(object, label);
        }
    }
    labels
}

fn members_of(connections: &Connections, object: (usize, usize)) -> impl Iterator<Item = &Member> {
    connections.members.iter().filter(move |member| (member.file, member.object) == object)
}

/// Whether nothing in the file sets a pod apart that nobody else's selector is about.
fn lacks_labels(fixed: &Fixed<'_>, id: MemberId, member: &Member) -> bool {
    let is_kind = matches!((member.id.group(), &*member.id.kind), ("", "Pod") | ("batch", "CronJob" | "Job"));
    if !is_kind || member.is_labelled || member.host_network || fixed.is_left_alone(&member.space) {
        return false;
    }
    let shares = |(other, neighbour): (MemberId, &Member)| {
        other != id
            && neighbour.space == member.space
            && member.selector.iter().all(|(key, value)| neighbour.labels.get(key) == Some(value))
    };
    is_editable(fixed.model, &fixed.model.repo().files[member.file].path)
        && (member.selector.is_empty() || fixed.connections.members().any(shares))
}

/// What may do, the best first: the key that the neighbours are selected by, with the object's own name.
fn candidates(connections: &Connections, member: &Member) -> Vec<NewLabel> {
    let near = connections.members.iter().filter(|other| other.space == member.space);
    let used: Vec<&str> = near.flat_map(|other| other.selector.keys()).map(String::as_str).collect();
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

/// Whether somebody has the label already, or selects by it.
fn is_used(connections: &Connections, space: &Space, label: &NewLabel) -> bool {
    let has = |labels: &BTreeMap<String, String>| labels.get(&label.key) == Some(&label.value);
    let members = connections.members.iter().filter(|member| member.space == *space);
    let mut services = connections.services.iter();
    members.into_iter().any(|member| has(&member.labels) || has(&member.selector))
        || services.any(|service| service.selector.as_ref().is_some_and(has))
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
