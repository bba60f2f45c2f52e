//! Workloads that charts render, judged by the rules about workloads; each finding is taken back to the value that
//! decides it.
//!
//! A fix is a change of values of which the templates make just what was wanted: the chart is rendered again with it,
//! and any other difference is a reason to report instead. Which value it is, [`knobs`] finds.

mod difference;
mod elsewhere;
mod knobs;
mod post_render;
mod report;
mod skeleton;
pub(super) mod slot;
mod switch;
pub(super) mod templates;
mod wrapper;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use rayon::prelude::*;
use serde_json::Value;

use self::difference::conforms;
use self::knobs::Knobs;
use self::post_render::Installed;
use super::network::chart_network_policy_off;
use super::{Area, Change, Finding, RepoFindings, Rule, Settings, Workload};
use crate::helm;
use crate::helm::concrete::{Render, RenderedObject, Renders, readable};
use crate::model::charts::{Gifts, ValuesSet, sets};
use crate::model::{Model, Object, ObjectId, layout};
use crate::pss;
use crate::repo;

/// How many of the workloads that others render a run can judge and harden.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// Workloads that were judged.
    pub workloads: usize,
    /// Those that meet the profile, as they are or with the fixes that were found.
    pub hardened: usize,
    /// What could not be looked at: its place and why.
    pub unseen: BTreeSet<(String, String)>,
    /// Places of the releases of which nothing is known: their charts are neither in the repo nor locked.
    pub unreached: BTreeSet<String>,
}

impl Rendered {
    pub fn add(&mut self, other: Rendered) {
        self.workloads += other.workloads;
        self.hardened += other.hardened;
        self.unseen.extend(other.unseen);
        self.unreached.extend(other.unreached);
    }
}

/// Whether it is about what charts render.
fn is_asked(rule: &Rule) -> bool {
    rule.area == Area::Pod || rule.id == chart_network_policy_off::RULE.id
}

/// Asks the rules about workloads of all charts that no other chart contains.
pub(super) fn check(
    model: &Model<'_>,
    settings: &Settings<'_>,
    selected: &(dyn Fn(&Rule) -> bool + Sync),
    found: &mut RepoFindings,
) {
    let asks = |rule: &Rule| is_asked(rule) && selected(rule);
    let gifts = Gifts::new(model);
    elsewhere::check(model, settings, &asks, &gifts, found);
    let charts = &model.repo().charts;
    let outermost: Vec<&repo::Chart> = charts.iter().filter(|chart| is_outermost(chart, charts)).collect();
    if outermost.is_empty() {
        return;
    }
    let all: Vec<RepoFindings> = outermost
        .into_par_iter()
        .with_max_len(1)
        .map(|chart| {
            let judged = crate::contained::contained(|| of_chart(model, settings, &asks, &gifts, chart));
            judged.unwrap_or_else(|failure| {
                let mut found = RepoFindings::default();
                let why = format!("a bug of caseharden, please report it: {failure}");
                found.rendered.unseen.insert((chart.folder.clone(), why));
                found
            })
        })
        .collect();
    all.into_iter().for_each(|one| found.append(one));
    found.in_templates.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
}

fn is_outermost(chart: &repo::Chart, all: &[repo::Chart]) -> bool {
    let is_inside = |other: &repo::Chart| {
        let inside = chart.folder.strip_prefix(other.folder.as_str());
        inside.is_some_and(|rest| rest.trim_start_matches('/').starts_with("charts/") && !rest.is_empty())
    };
    !all.iter().any(is_inside) && chart.metadata.get("Type").is_none_or(|kind| kind != "library")
}

/// The findings of one chart with each set of values that it gets.
fn of_chart(
    model: &Model<'_>,
    settings: &Settings<'_>,
    asks: &dyn Fn(&Rule) -> bool,
    gifts: &Gifts<'_>,
    source: &repo::Chart,
) -> RepoFindings {
    let mut found = RepoFindings::default();
    let (sets, unseen) = sets(model, gifts, source);
    for (place, why) in unseen {
        found.rendered.unseen.insert((place, why.to_string()));
    }
    let chart = helm::Chart::new(source, &model.repo().charts);
    let mut job = Job {
        model,
        settings,
        asks,
        source: Some(source),
        called: "",
        chart: &chart,
        defaults: source.values.clone(),
        fixed: Vec::new(),
        reported: BTreeSet::new(),
        varied: BTreeSet::new(),
    };
    job.varied = job.varied_templates(&sets);
    let mut refusals = Vec::new();
    let mut rendered_once = false;
    let mut judged = Vec::new();
    for set in &sets {
        match job.judge(set, &mut found) {
            Ok(one) => {
                rendered_once = true;
                judged.push(one);
            }
            Err(why) => refusals.push((set.place(model), why)),
        }
    }
    templates::fix(&job, &mut judged, &mut found);
    job.close(judged, &mut found);
    // A chart that wants values first says nothing of those that it gets.
    let is_silent = |(place, _): &(String, String)| {
        rendered_once && sets.first().is_some_and(|set| set.is_default && set.place(model) == *place)
    };
    refusals.retain(|refusal| !is_silent(refusal));
    found.rendered.unseen.extend(refusals);
    found
}

/// A chart whose sets of values are judged one after the other.
struct Job<'j, 'm> {
    model: &'j Model<'m>,
    settings: &'j Settings<'j>,
    asks: &'j dyn Fn(&Rule) -> bool,
    /// `None` for a chart that is not in the repo.
    source: Option<&'j repo::Chart>,
    /// How evidence names it.
    called: &'j str,
    chart: &'j dyn Renders,
    /// The chart's own values as they are.
    defaults: Value,
    /// What is wanted of them.
    fixed: Vec<Change>,
    /// What was reported without a fix: other sets of values need not say it again.
    reported: BTreeSet<String>,
    /// Templates whose pods have other containers with other sets of values.
    varied: BTreeSet<String>,
}

/// A finding about an object that a chart renders.
struct Raised {
    object: usize,
    finding: Finding,
}

/// What a chart renders with one set of values.
struct Judged {
    /// Around the chart's own values as they should be.
    set: ValuesSet,
    before: Render,
    /// Its objects as they should be.
    wanted: Vec<Value>,
    /// Of the values.
    changes: Vec<Change>,
    /// What they settle.
    kept: Vec<Group>,
    /// The objects with the fixes that were found.
    after: Vec<Value>,
    left: Vec<Left>,
}

/// A finding that no value settles.
struct Left {
    raised: Raised,
    /// The value that comes out where it is, if one does.
    value: Option<String>,
}

impl<'m> Job<'_, 'm> {
    fn judge(&mut self, set: &ValuesSet, found: &mut RepoFindings) -> Result<Judged, String> {
        let mut set = set.clone();
        if set.own.is_null() {
            set.own = Value::Object(serde_json::Map::new());
        }
        let set = &set;
        let around = self.with_fixed_defaults(set);
        let all = |own: &Value| around.values(own);
        let by = around.afterwards.as_ref().map_err(Clone::clone)?;
        let chart = Installed { model: self.model, chart: self.chart, release: &around.release, by };
        let before = chart.rendered(&all(&set.own)).map_err(|why| why.to_string())?;
        for (template, why) in &before.refused {
            let place = match self.called {
                "" => template.clone(),
                called => format!("{}: {template} of {called}", set.place(self.model)),
            };
            found.rendered.unseen.insert((place, why.clone()));
        }
        let raised = self.raised(&before, set);
        let wanted = wanted(&before, &raised);
        let trial = Trial {
            chart: &chart,
            own: &set.own,
            all: &all,
            before: &before,
            wanted: &wanted,
            done: RefCell::default(),
        };
        let knobs = Knobs::new(&chart, all(&set.own), &before);
        let mut groups: Vec<Group> = Vec::new();
        let mut without = Vec::new();
        for raised in raised {
            match trial.fix(&knobs, &raised) {
                Some(changes) => match groups.iter_mut().find(|group| group.is_same(&raised, &changes)) {
                    Some(group) => group.raised.push(raised),
                    None => groups.push(Group { changes, raised: vec![raised] }),
                },
                None => without.push(raised),
            }
        }
        let (kept, dropped) = trial.together(groups);
        let changes: Vec<Change> = kept.iter().flat_map(|group| group.changes.clone()).collect();
        // Others' values stay as they are, whatever is said of them.
        let is_ours = self.is_ours(&set.object);
        let changes = if is_ours { changes } else { Vec::new() };
        let after = trial.objects(&changes).unwrap_or_else(|| values_of(&before));
        let switched = switch::check(self, &chart, (set, &around), &before, found);
        if set.is_default && is_ours {
            self.fixed = changes.iter().cloned().chain(switched).collect();
        }
        let left = without.into_iter().chain(dropped.into_iter().flat_map(|group| group.raised));
        let left =
            left.map(|raised| Left { value: knobs.source(raised.object, &raised.finding.pointer), raised });
        let left = left.collect();
        drop(knobs);
        Ok(Judged { set: around, before, wanted, changes, kept, after, left })
    }

    /// Whether the file of an object may be edited.
    fn is_ours(&self, object: &Object) -> bool {
        let file = self.model.file(object);
        file.marker.is_none() && !file.context_only
    }

    /// Says what is left, and counts.
    fn close(&mut self, judged: Vec<Judged>, found: &mut RepoFindings) {
        for mut judged in judged {
            if !wrapper::fix(self, &mut judged, found) {
                post_render::fix(self, &mut judged, found);
            }
            let Judged { set, before, kept, after, left, .. } = judged;
            for group in kept {
                report::fix(self, &set, &before, group, found);
            }
            self.count(&before, &after, &mut found.rendered);
            for left in left {
                report::without(self, &set, &before, left, found);
            }
        }
    }

    /// Templates whose pods have more containers with one set of values than with another.
    fn varied_templates(&self, sets: &[ValuesSet]) -> BTreeSet<String> {
        let mut seen: HashMap<(String, usize), usize> = HashMap::new();
        let mut varied = BTreeSet::new();
        // One set alone varies nothing, and need not be rendered for that.
        for set in sets.iter().filter(|_| sets.len() > 1) {
            let Ok(render) = self.chart.rendered(&set.values(&set.own)) else { continue };
            for rendered in &render.objects {
                let object = self.object(rendered, set);
                let pods = object.layout.as_ref().map(|layout| crate::model::pods(layout, &rendered.value));
                let count = pods.iter().flatten().map(|pod| pod.containers.len()).sum();
                let key = (rendered.template.clone(), rendered.idx);
                if count > 0 && *seen.entry(key).or_insert(count) != count {
                    varied.insert(rendered.template.clone());
                }
            }
        }
        varied
    }

    /// What is around a set of values once the chart's own are as they should be.
    fn with_fixed_defaults(&self, set: &ValuesSet) -> ValuesSet {
        let mut set = set.clone();
        if !set.is_default {
            let is_default = |change: &&Change| {
                set.below.pointer(change.pointer()) == self.defaults.pointer(change.pointer())
            };
            let fixed: Vec<Change> = self.fixed.iter().filter(is_default).cloned().collect();
            set.below = changed(&set.below, &fixed).unwrap_or(set.below);
        }
        set
    }

    fn raised(&self, render: &Render, set: &ValuesSet) -> Vec<Raised> {
        let mut raised = Vec::new();
        for (idx, rendered) in render.objects.iter().enumerate() {
            if self.is_manifest(&rendered.template) {
                continue;
            }
            let object = self.object(rendered, set);
            let Some(mut workload) = Workload::new(self.settings, self.model, &object, &rendered.value)
            else {
                continue;
            };
            workload.names_apart = self.varied.contains(&rendered.template);
            let findings = super::check_workload(&workload, self.asks);
            raised.extend(findings.into_iter().map(|mut finding| {
                finding.message = readable(&finding.message);
                Raised { object: idx, finding }
            }));
        }
        raised
    }

    /// Whether a template has no actions: it is judged and edited as the manifest that it is.
    fn is_manifest(&self, template: &str) -> bool {
        let file = self.model.repo().file(template);
        file.is_some_and(|file| file.content == repo::Content::Objects && !file.context_only)
    }

    /// The rendered object as one that lies where its values do.
    fn object(&self, rendered: &RenderedObject, set: &ValuesSet) -> Object {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &rendered.value["metadata"];
        let id = ObjectId {
            namespace: metadata["namespace"].as_str().filter(|name| *name != "default").map(Into::into),
            ..ObjectId::named(
                &text(&rendered.value["apiVersion"]),
                &text(&rendered.value["kind"]),
                &text(&metadata["name"]),
            )
        };
        let layout = layout(&id, &self.settings.config.workloads);
        Object { file: set.object.file, document: 0, pointer: "".into(), id, layout }
    }

    fn count(&self, before: &Render, after: &[Value], rendered: &mut Rendered) {
        let objects = before.objects.iter().zip(after);
        for (object, after) in objects.filter(|(object, _)| !self.is_manifest(&object.template)) {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let id = ObjectId::named(&text(&object.value["apiVersion"]), &text(&object.value["kind"]), "");
            let Some(layout) = layout(&id, &self.settings.config.workloads) else { continue };
            let pods = crate::model::pods(&layout, after);
            let meets = |pod: &crate::model::Pod<'_>| {
                pss::allows(&pod.judged(), self.settings.level, self.settings.version)
            };
            rendered.workloads += usize::from(!pods.is_empty());
            rendered.hardened += usize::from(!pods.is_empty() && pods.iter().all(meets));
        }
    }
}

/// Findings of one rule that the same change of values settles.
struct Group {
    changes: Vec<Change>,
    raised: Vec<Raised>,
}

impl Group {
    fn is_same(&self, raised: &Raised, changes: &[Change]) -> bool {
        self.raised[0].finding.rule.id == raised.finding.rule.id && self.changes == changes
    }
}

/// The changes without those that are of no use: a switch may do all by itself.
fn fewest(mut changes: Vec<Change>, makes: &dyn Fn(&[Change]) -> bool) -> Vec<Change> {
    let mut idx = changes.len();
    while changes.len() > 1 && idx > 0 {
        idx -= 1;
        let mut fewer = changes.clone();
        fewer.remove(idx);
        if makes(&fewer) {
            changes = fewer;
        }
    }
    changes
}

/// The objects with all fixes made.
fn wanted(before: &Render, raised: &[Raised]) -> Vec<Value> {
    let mut wanted = values_of(before);
    for Raised { object, finding } in raised {
        if let Some(fixed) = changed(&wanted[*object], &finding.changes) {
            wanted[*object] = fixed;
        }
    }
    wanted
}

fn values_of(render: &Render) -> Vec<Value> {
    render.objects.iter().map(|object| object.value.clone()).collect()
}

/// A value with changes made; `None` where one does not go.
fn changed(value: &Value, changes: &[Change]) -> Option<Value> {
    let mut value = value.clone();
    for change in changes {
        let operations = change.operations(&value, "");
        json_patch::patch(&mut value, &operations).ok()?;
    }
    Some(value)
}

/// Tries changes of values by rendering the chart with them.
struct Trial<'t> {
    chart: &'t dyn Renders,
    own: &'t Value,
    all: &'t dyn Fn(&Value) -> Value,
    before: &'t Render,
    /// Its objects as they should be.
    wanted: &'t [Value],
    done: RefCell<HashMap<String, Option<Vec<Value>>>>,
}

impl Trial<'_> {
    /// The objects that the chart renders with changed values, if they are as wanted wherever they differ from before.
    fn objects(&self, changes: &[Change]) -> Option<Vec<Value>> {
        let key = format!("{changes:?}");
        if let Some(known) = self.done.borrow().get(&key) {
            return known.clone();
        }
        let objects = self.render(changes);
        self.done.borrow_mut().insert(key, objects.clone());
        objects
    }

    /// Whether the chart's schema allows the values.
    fn may_be(&self, changes: &[Change]) -> bool {
        changes.iter().all(|change| match change {
            Change::Set { pointer, value } => self.chart.allows(pointer, value),
            // A schema knows strings, not what is in them.
            Change::Remove { .. } | Change::Item { .. } | Change::Inside { .. } | Change::Patched(_) => true,
            Change::Append { list, value } => self.chart.allows(list, &Value::Array(vec![value.clone()])),
        })
    }

    fn render(&self, changes: &[Change]) -> Option<Vec<Value>> {
        let own = changed(self.own, changes)?;
        let after = self.chart.rendered(&(self.all)(&own)).ok()?;
        let is_same =
            after.objects.len() == self.before.objects.len() && after.refused == self.before.refused;
        let mut pairs = self.before.objects.iter().zip(&after.objects).zip(self.wanted);
        let conform = pairs.all(|((before, after), wanted)| {
            before.template == after.template && conforms(&before.value, &after.value, wanted)
        });
        (is_same && conform).then(|| values_of(&after))
    }

    /// The changes of values that make those of a finding.
    fn fix(&self, knobs: &Knobs<'_>, raised: &Raised) -> Option<Vec<Change>> {
        if raised.finding.changes.is_empty() {
            return None;
        }
        let mut fix: Vec<Change> = Vec::new();
        for change in &raised.finding.changes {
            let is_made = |objects: &Vec<Value>| difference::is_made(change, &objects[raised.object]);
            if is_made(&values_of(self.before)) {
                continue;
            }
            let mut candidates = knobs.candidates(raised.object, &self.wanted[raised.object], change);
            let makes = |changes: &[Change]| self.objects(changes).as_ref().is_some_and(is_made);
            let own = candidates.find(|candidate| self.may_be(candidate) && makes(candidate))?;
            let own = fewest(own, &makes);
            fix.extend(own.into_iter().filter(|change| !fix.contains(change)).collect::<Vec<_>>());
        }
        let objects = self.objects(&fix)?;
        let is_whole =
            raised.finding.changes.iter().all(|change| difference::is_made(change, &objects[raised.object]));
        (is_whole && !fix.is_empty()).then_some(fix)
    }

    /// The groups whose changes go together, and those that do not go with the ones before them.
    fn together(&self, groups: Vec<Group>) -> (Vec<Group>, Vec<Group>) {
        let (mut kept, mut dropped): (Vec<Group>, Vec<Group>) = (Vec::new(), Vec::new());
        let all: Vec<Change> = groups.iter().flat_map(|group| group.changes.clone()).collect();
        if self.settles(&all, &groups) {
            return (groups, dropped);
        }
        for group in groups {
            kept.push(group);
            let all: Vec<Change> = kept.iter().flat_map(|group| group.changes.clone()).collect();
            if !self.settles(&all, &kept) {
                dropped.extend(kept.pop());
            }
        }
        (kept, dropped)
    }

    fn settles(&self, changes: &[Change], groups: &[Group]) -> bool {
        let Some(objects) = self.objects(changes) else { return false };
        groups.iter().flat_map(|group| &group.raised).all(|raised| {
            raised.finding.changes.iter().all(|change| difference::is_made(change, &objects[raised.object]))
        })
    }
}
