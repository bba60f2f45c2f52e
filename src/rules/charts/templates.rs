//! Fixes of what no value of a chart decides: edits of its templates, where their text is plain.
//!
//! The chart is rendered again with all of its sets of values. What any of them renders otherwise than wanted is a
//! reason to leave the template alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::difference::{self, conforms};
use super::post_render::Installed;
use super::skeleton::Skeleton;
use super::slot::{self, Sibling, Slot};
use super::{Job, Judged, Raised, changed, report, values_of};
use crate::helm;
use crate::helm::concrete::{Render, Renders as _};
use crate::model::pods;
use crate::repo::{self, Content};
use crate::rules::{Change, RepoFindings};

/// Fixes beyond these are not tried alone: each try renders the chart with all of its values.
const MOST_ALONE: usize = 48;

/// A slot that fixes need.
pub(super) struct Draft {
    pub(super) template: String,
    /// Which one of its template.
    pub(super) number: usize,
    pub(super) slot: Slot,
    is_pod: bool,
    sibling: Option<Sibling>,
    pub(super) knob: Option<Knob>,
}

/// A new value that a slot takes.
pub(super) struct Knob {
    /// Index of the chart whose value it is.
    pub(super) owner: usize,
    pub(super) pointer: String,
    /// The value whose use it copies.
    pub(super) like: String,
}

/// A finding whose changes go into slots: index of the slot, and the change below it.
pub(super) struct Fix {
    set: usize,
    left: usize,
    pub(super) changes: Vec<(usize, Change)>,
}

/// Fixes what it can of what is left, and takes it out there.
pub(super) fn fix(job: &Job<'_, '_>, judged: &mut [Judged], found: &mut RepoFindings) {
    let Some(source) = job.source else { return };
    let mut plan = Plan { job, source, drafts: Vec::new(), fixes: Vec::new() };
    for (set, one) in judged.iter().enumerate() {
        for (left, raised) in one.left.iter().enumerate() {
            if let Some(changes) = plan.changes(&one.before, &raised.raised) {
                plan.fixes.push(Fix { set, left, changes });
            }
        }
    }
    if plan.fixes.is_empty() {
        return;
    }
    plan.name_values(judged);
    let (kept, after) = plan.kept(judged);
    if kept.is_empty() {
        return;
    }
    let fixes = std::mem::take(&mut plan.fixes).into_iter().enumerate();
    let fixes: Vec<Fix> = fixes.filter(|(idx, _)| kept.contains(idx)).map(|(_, fix)| fix).collect();
    let raised: Vec<&Raised> = fixes.iter().map(|fix| &judged[fix.set].left[fix.left].raised).collect();
    report::in_templates(job, &plan.drafts, &fixes, &raised, found);
    let done: BTreeSet<(usize, usize)> = fixes.iter().map(|fix| (fix.set, fix.left)).collect();
    for (set, (one, after)) in judged.iter_mut().zip(after).enumerate() {
        one.after = after;
        let mut idx = 0;
        one.left.retain(|_| {
            idx += 1;
            !done.contains(&(set, idx - 1))
        });
    }
}

impl Fix {
    fn is_within(&self, kept: &BTreeSet<usize>) -> bool {
        self.changes.iter().all(|(slot, _)| kept.contains(slot))
    }
}

struct Plan<'p, 'j, 'm> {
    job: &'p Job<'j, 'm>,
    source: &'p repo::Chart,
    drafts: Vec<Draft>,
    fixes: Vec<Fix>,
}

impl Plan<'_, '_, '_> {
    fn charts(&self) -> &[repo::Chart] {
        &self.job.model.repo().charts
    }

    /// The text of a template that may be edited.
    fn text(&self, path: &str) -> Option<&str> {
        let file = self.job.model.repo().file(path)?;
        let is_ours = file.content == Content::Template && !file.context_only && file.marker.is_none();
        is_ours.then(|| file.stream.text())
    }

    /// The changes of a finding below the slots they need; `None` where one of them has none.
    fn changes(&mut self, before: &Render, raised: &Raised) -> Option<Vec<(usize, Change)>> {
        let rendered = &before.objects[raised.object];
        let mut changes = Vec::new();
        for change in &raised.finding.changes {
            if difference::is_made(change, &rendered.value) {
                continue;
            }
            let (mapping, key, is_pod) = self.key(&rendered.value, change.pointer())?;
            let slot = self.slot(rendered, &mapping, &key, is_pod)?;
            let below = format!("{mapping}/{key}").len();
            changes.push((slot, change.moved(|pointer| pointer[below..].to_owned())));
        }
        (!changes.is_empty()).then_some(changes)
    }

    /// The pod or the container that a pointer leads into, the key there, and whether it is the pod.
    fn key(&self, object: &Value, pointer: &str) -> Option<(String, String, bool)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let id = crate::model::ObjectId::named(&text(&object["apiVersion"]), &text(&object["kind"]), "");
        let layout = crate::model::layout(&id, &self.job.settings.config.workloads)?;
        let inside = |mapping: &str| {
            let key = pointer.strip_prefix(mapping)?.strip_prefix('/')?.split('/').next()?;
            Some((mapping.to_owned(), key.to_owned()))
        };
        for pod in pods(&layout, object).iter().filter(|pod| pod.has_containers) {
            if let Some((mapping, key)) =
                pod.containers.iter().find_map(|container| inside(&container.pointer))
            {
                return Some((mapping, key, false));
            }
            let is_list = |key: &str| matches!(key, "containers" | "initContainers" | "ephemeralContainers");
            if let Some((mapping, key)) = inside(&pod.pointer).filter(|(_, key)| !is_list(key)) {
                return Some((mapping, key, true));
            }
        }
        None
    }

    fn slot(
        &mut self,
        rendered: &helm::concrete::RenderedObject,
        mapping: &str,
        key: &str,
        is_pod: bool,
    ) -> Option<usize> {
        let text = self.text(&rendered.template)?;
        let literal =
            |pointer: &str| rendered.place(pointer).filter(|place| place.is_literal).map(|place| place.at);
        let at = literal(mapping)?;
        let skeleton = Skeleton::new(text)?;
        let (slot, sibling) = match is_pod {
            true => slot::of_pod(&skeleton, at, literal(&format!("{mapping}/containers"))?, key)?,
            false => slot::of_item(&skeleton, at, key)?,
        };
        // What the text says under a condition is not what was rendered.
        let is_there = rendered.value.pointer(mapping)?.get(key).is_some();
        if slot.is_missing() == is_there || slot.value(text).is_none() {
            return None;
        }
        let of_template = || self.drafts.iter().filter(|draft| draft.template == rendered.template);
        let known = |draft: &Draft| draft.template == rendered.template && draft.slot.place() == slot.place();
        if let Some(known) = self.drafts.iter().position(known) {
            return Some(known);
        }
        let number = of_template().count();
        self.drafts.push(Draft {
            template: rendered.template.clone(),
            number,
            slot,
            is_pod,
            sibling,
            knob: None,
        });
        Some(self.drafts.len() - 1)
    }

    /// Has security contexts come from values, where the chart has them for what is beside.
    fn name_values(&mut self, judged: &[Judged]) {
        let mut taken = BTreeSet::new();
        for idx in 0..self.drafts.len() {
            let draft = &self.drafts[idx];
            let Some(sibling) = draft.sibling.clone().filter(|_| draft.slot.is_missing()) else { continue };
            let fits = draft.slot.place().2 == "securityContext";
            let Some(owner) = self.owner(&draft.template).filter(|owner| fits && self.has_values(*owner))
            else {
                continue;
            };
            let names: &[&str] = match draft.is_pod {
                true => &["podSecurityContext"],
                false => &["securityContext", "containerSecurityContext"],
            };
            let wanted: Vec<&Change> = self
                .fixes
                .iter()
                .flat_map(|fix| &fix.changes)
                .filter(|(slot, _)| *slot == idx)
                .map(|(_, c)| c)
                .collect();
            let is_free = |pointer: &str| {
                !taken.contains(&(owner, pointer.to_owned())) && self.is_free(owner, pointer, judged, &wanted)
            };
            let Some((name, pointer)) =
                names.iter().map(|name| (*name, sibling.beside(name))).find(|(_, pointer)| is_free(pointer))
            else {
                continue;
            };
            taken.insert((owner, pointer.clone()));
            let draft = &mut self.drafts[idx];
            draft.slot.taken(&sibling, name);
            draft.knob = Some(Knob { owner, pointer, like: sibling.name().to_owned() });
        }
    }

    /// The chart that a template is one of.
    fn owner(&self, template: &str) -> Option<usize> {
        self.charts().iter().position(|chart| chart.templates.iter().any(|own| own.path == template))
    }

    fn has_values(&self, owner: usize) -> bool {
        let file = self.job.model.repo().file(&values_path(&self.charts()[owner]));
        file.is_some_and(|file| {
            file.content == Content::Values && !file.context_only && file.marker.is_none()
        })
    }

    /// Whether nothing has or asks for a value yet, and the schema lets it be.
    fn is_free(&self, owner: usize, pointer: &str, judged: &[Judged], wanted: &[&Change]) -> bool {
        let chart = &self.charts()[owner];
        let asked = format!(".Values{}", pointer.replace('/', "."));
        let is_asked = chart.templates.iter().any(|template| template.text.contains(&asked));
        let is_outermost = chart.folder == self.source.folder;
        let is_given =
            is_outermost && judged.iter().any(|one| one.set.values(&one.set.own).pointer(pointer).is_some());
        let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
        let is_beside = chart.values.pointer(parent).is_some_and(Value::is_object);
        let read = helm::Chart::new(chart, self.charts());
        let allowed = wanted.iter().all(|change| match change {
            Change::Set { pointer: below, value } => read.allows(&format!("{pointer}{below}"), value),
            Change::Append { list, value } => {
                read.allows(&format!("{pointer}{list}"), &Value::Array(vec![value.clone()]))
            }
            Change::Remove { .. } | Change::Item { .. } | Change::Inside { .. } | Change::Patched(_) => false,
        });
        is_beside && !is_asked && !is_given && chart.values.pointer(pointer).is_none() && allowed
    }

    /// The fixes that prove, by their numbers, and what each set of values renders with them. Those of one slot go
    /// together, or one by one where some of them do not prove.
    fn kept(&self, judged: &[Judged]) -> (BTreeSet<usize>, Vec<Vec<Value>>) {
        let all: BTreeSet<usize> = (0..self.fixes.len()).collect();
        if let Some(after) = self.rendered(judged, &all) {
            return (all, after);
        }
        let (mut kept, mut after) = (BTreeSet::new(), Vec::new());
        let mut slots = BTreeSet::new();
        for slot in 0..self.drafts.len() {
            slots.insert(slot);
            let within = all.iter().copied().filter(|idx| self.fixes[*idx].is_within(&slots)).collect();
            match self.rendered(judged, &within) {
                Some(rendered) => (kept, after) = (within, rendered),
                None => drop(slots.remove(&slot)),
            }
        }
        for idx in all.into_iter().take(MOST_ALONE) {
            let more: BTreeSet<usize> = kept.iter().copied().chain([idx]).collect();
            if more.len() > kept.len()
                && let Some(rendered) = self.rendered(judged, &more)
            {
                (kept, after) = (more, rendered);
            }
        }
        (kept, after)
    }

    /// What all sets of values render with some of the fixes made, if it is as wanted.
    fn rendered(&self, judged: &[Judged], kept: &BTreeSet<usize>) -> Option<Vec<Vec<Value>>> {
        let fixes: Vec<&Fix> = kept.iter().map(|idx| &self.fixes[*idx]).collect();
        let charts = self.edited(&fixes)?;
        let source = charts.iter().find(|chart| chart.folder == self.source.folder)?;
        let chart = helm::Chart::new(source, &charts);
        let new = self.new_values(&fixes, |owner| self.charts()[owner].folder == self.source.folder);
        let mut all = Vec::new();
        for (set, one) in judged.iter().enumerate() {
            let mut values = one.set.clone();
            let mut own = changed(&values.own, &one.changes)?;
            if values.is_default {
                own = changed(&own, &new)?;
            } else if values.has_defaults {
                values.below = changed(&values.below, &new)?;
            }
            let by = values.afterwards.as_ref().ok()?;
            let chart = Installed { model: self.job.model, chart: &chart, release: &values.release, by };
            let after = chart.rendered(&values.values(&own)).ok()?;
            let is_same =
                after.objects.len() == one.before.objects.len() && after.refused == one.before.refused;
            let mut pairs = one.before.objects.iter().zip(&after.objects).zip(&one.wanted);
            let conform =
                pairs.all(|((before, after), wanted)| conforms(&before.value, &after.value, wanted));
            let made = fixes.iter().filter(|fix| fix.set == set).all(|fix| {
                let Raised { object, finding } = &one.left[fix.left].raised;
                let after = after.objects.get(*object);
                after.is_some_and(|after| {
                    finding.changes.iter().all(|change| difference::is_made(change, &after.value))
                })
            });
            if !(is_same && conform && made) {
                return None;
            }
            all.push(values_of(&after));
        }
        Some(all)
    }

    /// The charts with their templates and values changed.
    fn edited(&self, fixes: &[&Fix]) -> Option<Vec<repo::Chart>> {
        let mut charts = self.charts().to_vec();
        let templates: BTreeSet<&str> = self.drafts.iter().map(|draft| &*draft.template).collect();
        for path in templates {
            let slots: Vec<&Draft> = self.drafts.iter().filter(|draft| draft.template == path).collect();
            let text = self.text(path)?;
            let before = Template { slots: slots.iter().map(|draft| &draft.slot).collect() };
            let value = before.value(text)?;
            let changes: Vec<Change> = fixes
                .iter()
                .flat_map(|fix| &fix.changes)
                .filter(|(slot, _)| self.drafts[*slot].template == path)
                .map(|(slot, change)| self.drafts[*slot].in_template(change))
                .collect();
            let edits = before.edits(text, &value, &changed(&value, &changes)?)?;
            let template = charts.iter_mut().flat_map(|chart| &mut chart.templates);
            template.filter(|template| template.path == path).for_each(|template| {
                template.text = applied(text, &edits);
            });
        }
        for (idx, chart) in charts.iter_mut().enumerate() {
            chart.values = changed(&chart.values, &self.new_values(fixes, |owner| owner == idx))?;
        }
        Some(charts)
    }

    /// The changes of values of some charts.
    fn new_values(&self, fixes: &[&Fix], is_one: impl Fn(usize) -> bool) -> Vec<Change> {
        let changes = fixes.iter().flat_map(|fix| &fix.changes);
        let of_knob = changes.filter_map(|(slot, change)| {
            let knob = self.drafts[*slot].knob.as_ref().filter(|knob| is_one(knob.owner))?;
            Some(knob.change(change))
        });
        of_knob.collect()
    }
}

impl Draft {
    /// A change below the slot as one of what the template says.
    pub(super) fn in_template(&self, change: &Change) -> Change {
        match self.slot.is_taken() {
            true => Change::set(format!("/{}", self.number), true),
            false => {
                let key = self.slot.place().2;
                change.moved(|below| format!("/{}/{key}{below}", self.number))
            }
        }
    }
}

impl Knob {
    pub(super) fn change(&self, change: &Change) -> Change {
        change.moved(|below| format!("{}{below}", self.pointer))
    }
}

/// The slots of one template.
pub struct Template<'s> {
    pub slots: Vec<&'s Slot>,
}

impl Template<'_> {
    /// What its text says in each of the slots, by number.
    pub fn value(&self, text: &str) -> Option<Value> {
        let values = self.slots.iter().enumerate();
        let values = values.map(|(number, slot)| Some((number.to_string(), slot.value(text)?)));
        Some(Value::Object(values.collect::<Option<Map<_, _>>>()?))
    }

    /// What makes the text say something else, in its order; none where two edits meet.
    pub fn edits(&self, text: &str, before: &Value, wanted: &Value) -> Option<Vec<crate::yaml::Edit>> {
        let mut edits = Vec::new();
        for (number, slot) in self.slots.iter().enumerate() {
            let number = number.to_string();
            let own = slot.edits(text, before.get(&number)?, wanted.get(&number)?)?;
            edits.extend(own.into_iter().map(|edit| (slot.depth(), edit)));
        }
        // A container that ends where its pod does goes first.
        edits.sort_by_key(|(depth, edit)| (edit.range.start, edit.range.end, std::cmp::Reverse(*depth)));
        let edits: Vec<crate::yaml::Edit> = edits.into_iter().map(|(_, edit)| edit).collect();
        let is_apart = edits.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start);
        is_apart.then_some(edits)
    }
}

/// A text with edits made, which are in its order.
pub fn applied(text: &str, edits: &[crate::yaml::Edit]) -> String {
    let (mut after, mut at) = (String::with_capacity(text.len()), 0);
    for edit in edits {
        after.push_str(&text[at..edit.range.start]);
        after.push_str(&edit.replacement);
        at = edit.range.end;
    }
    after.push_str(&text[at..]);
    after
}

pub(super) fn values_path(chart: &repo::Chart) -> String {
    match chart.folder.as_str() {
        "" => "values.yaml".to_owned(),
        folder => format!("{folder}/values.yaml"),
    }
}

/// The slots of the templates that findings name, by file.
pub type Slots = BTreeMap<usize, Vec<Slot>>;
