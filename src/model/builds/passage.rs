//! One way of a file's objects through a build: which kustomizations change them, in which order, and what they make
//! of names, labels and everything that is patched.
//!
//! Order of a kustomization's own work: patches, then prefix and suffix, then labels (`configureBuiltinTransformers` in
//! kustomize's `api/internal/target/kusttarget_configplugin.go`); its components come before itself. Which fields get
//! labels: `api/konfig/builtinpluginconsts/commonlabels.go`. Images, replacements, generators and transformers of a
//! user's own are not applied.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Builds, Patch};
use crate::model::object::ObjectId;
use crate::repo::{LabelSetting, PatchTarget, folder};

/// More ways than this through diamonds of kustomizations tell nothing new.
const MOST_PASSAGES: usize = 64;
const DEEPEST: usize = 32;

/// What a build makes of the objects of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Passage {
    /// Kustomizations and components that change the objects, the innermost first.
    steps: Vec<usize>,
    /// The path of the outermost kustomization; empty when no build takes the file.
    pub build: String,
    /// The namespace that the build gives.
    pub namespace: Option<String>,
}

impl Passage {
    /// How many steps two passages share: objects with more of them are built together.
    pub fn shared(&self, other: &Passage) -> usize {
        self.steps.iter().filter(|step| other.steps.contains(step)).count()
    }
}

impl Builds {
    /// The ways of a file's objects through the builds that no other build takes. Empty when none takes the file.
    pub fn ways(&self, path: &str) -> Vec<Passage> {
        let mut found = Vec::new();
        let takers = self.takers.get(path).into_iter().flatten();
        let mut open: Vec<Vec<usize>> = takers.map(|taker| vec![*taker]).collect();
        open.reverse();
        while let Some(chain) = open.pop() {
            if found.len() >= MOST_PASSAGES {
                break;
            }
            let last = chain[chain.len() - 1];
            let parents = self.takers.get(folder(&self.kustomizations[last].path)).into_iter().flatten();
            let is_new = |parent: &&usize| !chain.contains(*parent) && chain.len() < DEEPEST;
            let outer: Vec<usize> = parents.filter(is_new).copied().collect();
            if outer.is_empty() {
                found.push(self.passage(path, &chain));
            }
            for parent in outer.into_iter().rev() {
                open.push(chain.iter().copied().chain([parent]).collect());
            }
        }
        found
    }

    /// The kustomizations that change what one of them generates, the innermost first: itself, and those around it where
    /// only one way leads through them.
    pub(in crate::model) fn changing_generated(&self, path: &str) -> Vec<usize> {
        let Some(own) = self.by_path.get(path) else { return Vec::new() };
        let ways = self.ways(folder(path));
        let around = match ways.as_slice() {
            [only] => only.steps.as_slice(),
            _ => &[],
        };
        [*own].into_iter().chain(around.iter().copied()).collect()
    }

    fn passage(&self, path: &str, chain: &[usize]) -> Passage {
        let mut steps = Vec::new();
        let mut taken = path;
        for at in chain {
            self.components_after(*at, taken, 0, &mut steps);
            steps.push(*at);
            taken = folder(&self.kustomizations[*at].path);
        }
        let namespaces = chain.iter().rev().map(|at| &self.kustomizations[*at].namespace);
        Passage {
            steps,
            build: chain.last().map(|at| self.kustomizations[*at].path.clone()).unwrap_or_default(),
            namespace: namespaces.flatten().next().cloned(),
        }
    }

    /// The components of a kustomization that change what comes from `taken`: those that are listed behind it.
    fn components_after(&self, at: usize, taken: &str, depth: usize, steps: &mut Vec<usize>) {
        let inputs = self.kustomizations[at].inputs.iter();
        let components: Vec<(&str, usize)> = inputs
            .filter_map(|input| Some((input.as_str(), *self.by_folder.get(input)?)))
            .filter(|(_, idx)| self.kustomizations[*idx].component)
            .collect();
        let own = components.iter().position(|(folder, _)| *folder == taken);
        for (_, idx) in components.iter().skip(own.map_or(0, |own| own + 1)) {
            if depth < DEEPEST && !steps.contains(idx) {
                self.components_after(*idx, "", depth + 1, steps);
                steps.push(*idx);
            }
        }
    }

    /// What the object is called at the end of a passage.
    pub fn name_at_end(&self, passage: &Passage, id: &ObjectId) -> String {
        let steps = passage.steps.iter();
        steps.fold(id.name.to_string(), |name, step| self.renamed(*step, id, name))
    }

    fn renamed(&self, step: usize, id: &ObjectId, name: String) -> String {
        let kustomization = &self.kustomizations[step];
        kustomization.renamed(&id.kind, &name).unwrap_or(name)
    }

    /// Patches along a passage that speak of the object, each with whether it is sure that it does.
    pub fn patches_along<'b>(&'b self, passage: &Passage, id: &ObjectId) -> Vec<(&'b Patch, bool)> {
        let mut found = Vec::new();
        let mut name = id.name.to_string();
        for step in &passage.steps {
            for patch in &self.patches[*step] {
                if let Some(is_sure) = speaks_of(&patch.target, id, &name) {
                    found.push((patch, is_sure));
                }
            }
            name = self.renamed(*step, id, name);
        }
        found
    }

    /// The object as the passage makes it: patched where that is sure, renamed, labelled.
    pub fn at_end<'v>(&self, passage: &Passage, id: &ObjectId, value: &'v Value) -> Cow<'v, Value> {
        let mut made = Cow::Borrowed(value);
        let mut name = id.name.to_string();
        for step in &passage.steps {
            let patches = self.patches[*step].iter();
            for patch in patches.filter(|patch| speaks_of(&patch.target, id, &name) == Some(true)) {
                made = Cow::Owned(patch.applied(&made));
            }
            let renamed = self.renamed(*step, id, name.clone());
            if renamed != name {
                name = renamed;
                put(made.to_mut(), "/metadata", &[("name".to_owned(), name.clone())].into(), true);
            }
            for setting in &self.kustomizations[*step].labels {
                label(made.to_mut(), id, setting);
            }
        }
        made
    }

    /// Labels that the passage puts on the pods of an object, whatever the object itself has.
    pub fn pod_labels(&self, passage: &Passage, id: &ObjectId) -> BTreeMap<String, String> {
        let mut bare = json!({});
        for setting in passage.steps.iter().flat_map(|step| &self.kustomizations[*step].labels) {
            label(&mut bare, id, setting);
        }
        let at = if is_pod(id) { Some("") } else { template(id) };
        let labels = at.and_then(|at| bare.pointer(&format!("{at}/metadata/labels")));
        let entries = labels.and_then(Value::as_object).into_iter().flatten();
        entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    }
}

/// Whether a patch is for the object that is called `name` by now; nothing when it is not, `false` when it may be.
fn speaks_of(target: &PatchTarget, id: &ObjectId, name: &str) -> Option<bool> {
    let part = |pattern: &Option<String>, names: &[&str]| match pattern {
        None => Some(true),
        Some(pattern) => names.iter().filter_map(|name| fits(pattern, name)).max(),
    };
    let kind = part(&target.kind, &[&id.kind])?;
    let name = part(&target.name, &[name, &id.name])?;
    Some(kind && name && !target.is_narrower())
}

/// Whether an anchored regular expression is the text; `None` when it is not, `false` when it would take more than
/// literals, `.*` and `|` to tell.
fn fits(pattern: &str, text: &str) -> Option<bool> {
    let pattern = pattern.trim_start_matches('^').trim_end_matches('$');
    if pattern == text {
        return Some(true);
    }
    let plain = |text: &str| !text.contains(['*', '|', '(', '[', '^', '$', '+', '?', '\\', '{']);
    if !pattern.split('|').all(|part| part.split(".*").all(plain)) {
        return Some(false);
    }
    pattern.split('|').any(|part| has_parts(part, text)).then_some(true)
}

/// Whether the text is the parts of a pattern between its `.*`, in their order.
fn has_parts(pattern: &str, text: &str) -> bool {
    let parts: Vec<&str> = pattern.split(".*").collect();
    let [first, middle @ .., last] = parts.as_slice() else { return pattern == text };
    let Some(rest) = text.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else { return false };
    let found = middle.iter().try_fold(rest, |rest, part| Some(&rest[rest.find(part)? + part.len()..]));
    found.is_some()
}

/// Whether labels that builds add reach the pods of an object: kustomize knows where its own kinds have them.
pub fn labels_pods_of(id: &ObjectId) -> bool {
    is_pod(id) || template(id).is_some()
}

fn is_pod(id: &ObjectId) -> bool {
    &*id.kind == "Pod" && id.group().is_empty()
}

/// Where kinds keep their pod template, for those that kustomize knows.
fn template(id: &ObjectId) -> Option<&'static str> {
    match (id.group(), &*id.kind) {
        ("", "ReplicationController")
        | (_, "Deployment" | "ReplicaSet" | "DaemonSet")
        | ("apps", "StatefulSet")
        | ("batch", "Job") => Some("/spec/template"),
        ("batch", "CronJob") => Some("/spec/jobTemplate/spec/template"),
        _ => None,
    }
}

fn label(object: &mut Value, id: &ObjectId, setting: &LabelSetting) {
    let pairs = &setting.pairs;
    put(object, "/metadata/labels", pairs, true);
    if let Some(template) = template(id).filter(|_| setting.templates || setting.selectors) {
        put(object, &format!("{template}/metadata/labels"), pairs, true);
    }
    if !setting.selectors {
        return;
    }
    match (id.group(), &*id.kind) {
        ("", "Service" | "ReplicationController") => put(object, "/spec/selector", pairs, true),
        (_, "Deployment" | "ReplicaSet" | "DaemonSet") | ("apps", "StatefulSet") => {
            put(object, "/spec/selector/matchLabels", pairs, true);
        }
        ("batch", "Job") => put(object, "/spec/selector/matchLabels", pairs, false),
        ("networking.k8s.io", "NetworkPolicy") => {
            put(object, "/spec/podSelector/matchLabels", pairs, false);
            for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
                let rules = object.pointer_mut(&format!("/spec/{rules}")).and_then(Value::as_array_mut);
                let peers = rules.into_iter().flatten().filter_map(|rule| rule.get_mut(peers));
                for peer in peers.filter_map(Value::as_array_mut).flatten() {
                    put(peer, "/podSelector/matchLabels", pairs, false);
                }
            }
        }
        _ => {}
    }
}

/// Sets texts in the mapping at a path, which is made where `create` says so.
fn put(object: &mut Value, path: &str, pairs: &BTreeMap<String, String>, create: bool) {
    let mut at = object;
    for token in path.split('/').skip(1) {
        let Value::Object(map) = at else { return };
        if map.get(token).is_none_or(Value::is_null) {
            if !create {
                return;
            }
            map.insert(token.to_owned(), Value::Object(Map::new()));
        }
        let Some(next) = map.get_mut(token) else { return };
        at = next;
    }
    if let Value::Object(map) = at {
        map.extend(pairs.iter().map(|(key, value)| (key.clone(), Value::from(value.clone()))));
    }
}

#[cfg(test)]
mod tests;
