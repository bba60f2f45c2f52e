//! Values with several users: anchors, aliases and merge keys.
//!
//! A change inside an anchored value is made once, when all of its users want the same.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

use super::super::value::{first_difference, same};
use super::super::{Edit, PointerBuf, Refusal, Stream};
use super::mapping::Entry;
use super::{Editor, Site};

/// What one user wants a shared value to be.
struct Demand {
    wanted: Value,
    at: PointerBuf,
}

/// Where a shared value itself stands.
struct Home {
    site: Site,
    ancestors: Vec<u32>,
    path: Vec<String>,
}

/// The shared values of a document.
pub(super) struct Sharing {
    /// Shared values and the number of aliases (outside of merge keys) that stand for them. A value comes
    /// after all values that contain it.
    order: Vec<u32>,
    aliases: HashMap<u32, usize>,
    demands: HashMap<u32, Vec<Demand>>,
    homes: HashMap<u32, Home>,
    /// What the values will be, as far as it is decided.
    decided: HashMap<u32, Value>,
    /// Nodes that some alias names, merge keys included.
    named: HashSet<u32>,
}

impl Sharing {
    pub(super) fn of(stream: &Stream, root: u32) -> Self {
        let arena = &stream.arena;
        let mut in_merge = HashSet::new();
        let (mut aliases, mut named) = (HashMap::new(), HashSet::new());
        for id in root..arena.next(root) {
            let shape = arena.raw(id).shape;
            if shape.is_mapping() {
                for (_, value) in arena.entries(id).filter(|(key, _)| stream.is_merge(*key)) {
                    in_merge.insert(value);
                    if arena.raw(value).shape.is_sequence() {
                        in_merge.extend(arena.children(value));
                    }
                }
            } else if shape == super::Shape::Alias {
                named.insert(arena.target(id));
                if !in_merge.contains(&id) {
                    *aliases.entry(arena.target(id)).or_insert(0) += 1;
                }
            }
        }
        let order = containers_first(stream, &aliases);
        Sharing {
            order,
            aliases,
            demands: HashMap::new(),
            homes: HashMap::new(),
            decided: HashMap::new(),
            named,
        }
    }
}

/// Shared values, each behind all that contain it (its text or an alias to it).
fn containers_first(stream: &Stream, aliases: &HashMap<u32, usize>) -> Vec<u32> {
    let arena = &stream.arena;
    let mut shared: Vec<u32> = aliases.keys().copied().collect();
    shared.sort_unstable();
    // Depth first over "contains", with an own stack: chains of aliases can be long.
    let (mut done, mut finished) = (HashSet::new(), Vec::new());
    for start in &shared {
        let mut stack = vec![(*start, *start)];
        if !done.insert(*start) {
            continue;
        }
        while let Some((value, next)) = stack.pop() {
            let end = arena.next(value);
            let mut at = next;
            let mut inner = None;
            while at < end && inner.is_none() {
                let id = arena.target(at);
                if id != value && aliases.contains_key(&id) && done.insert(id) {
                    inner = Some(id);
                }
                at += 1;
            }
            match inner {
                Some(inner) => stack.extend([(value, at), (inner, inner)]),
                None => finished.push(value),
            }
        }
    }
    finished.reverse();
    finished
}

impl Editor<'_> {
    /// Notes what a user of a shared value wants, to be done when all have spoken.
    pub(super) fn defer_shared(&mut self, node: u32, site: Site, wanted: &Value) -> Result<bool, Refusal> {
        let target = self.stream.arena.target(node);
        let at = self.here();
        let home = (target == node).then(|| Home {
            site,
            ancestors: self.ancestors.clone(),
            path: self.path.clone(),
        });
        let Some(sharing) = &mut self.sharing else { return Ok(false) };
        if sharing.named.contains(&target) && target == node {
            sharing.decided.insert(target, wanted.clone());
        }
        if !sharing.aliases.contains_key(&target) {
            return Ok(false);
        }
        sharing.demands.entry(target).or_default().push(Demand { wanted: wanted.clone(), at });
        if let Some(home) = home {
            sharing.homes.insert(target, home);
        }
        Ok(true)
    }

    /// Makes the changes that all users of a shared value want; refuses those that not all want.
    pub(super) fn settle_shared(&mut self) -> Result<(), Refusal> {
        let order = self.sharing.as_mut().map(|sharing| std::mem::take(&mut sharing.order));
        for target in order.unwrap_or_default() {
            let Some(sharing) = &mut self.sharing else { break };
            let Some(demands) = sharing.demands.remove(&target) else { continue };
            let users = 1 + sharing.aliases.get(&target).copied().unwrap_or_default();
            let home = sharing.homes.remove(&target);
            let (first, rest) = demands.split_first().expect("demands are made, then looked at");
            let Some(home) = home.filter(|_| demands.len() == users) else {
                return Err(self.shared(target, first.at.clone()));
            };
            if let Some(other) = rest.iter().find(|demand| !same(&demand.wanted, &first.wanted)) {
                return Err(self.shared(target, other.at.clone()));
            }
            let old = self.stream.value_of(target)?;
            self.ancestors = home.ancestors;
            self.path = home.path;
            self.reconcile_content(target, home.site, &old, &first.wanted)?;
        }
        Ok(())
    }

    fn shared(&self, target: u32, at: PointerBuf) -> Refusal {
        let anchor = self.stream.arena.anchor_name(&self.stream.text, target).unwrap_or_default().to_owned();
        Refusal::Shared { at, anchor }
    }

    /// A subtree can only go when no alias elsewhere stands for a part of it.
    pub(super) fn refuse_if_others_point_inside(&self, node: u32) -> Result<(), Refusal> {
        let Some(sharing) = &self.sharing else { return Ok(()) };
        let arena = &self.stream.arena;
        let end = arena.next(node);
        let target =
            (node..end).find(|id| sharing.named.contains(id) && (*id != node || self.is_leaving(node)));
        match target {
            Some(target) => Err(self.shared(target, self.here())),
            None => Ok(()),
        }
    }

    /// Whether the anchor of a node goes with it: not when the node is only given another value.
    fn is_leaving(&self, node: u32) -> bool {
        !self.sharing.as_ref().is_some_and(|sharing| sharing.decided.contains_key(&node))
    }

    /// The keys a mapping gets through its merge keys once all is done, and whether that is new.
    pub(super) fn merged(&self, entries: &[Entry<'_>]) -> Result<BTreeMap<String, (Value, bool)>, Refusal> {
        let mut merged = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.is_merge) {
            let unsupported = |reason| Refusal::Unsupported { at: self.here(), reason };
            for source in self.stream.merge_sources(entry.value).map_err(unsupported)? {
                let old = self.stream.value_of(source)?;
                let decided = self.sharing.as_ref().and_then(|sharing| sharing.decided.get(&source));
                let before = old.as_object().cloned().unwrap_or_default();
                let now: &Map<String, Value> = decided.and_then(Value::as_object).unwrap_or(&before);
                for (key, value) in now {
                    merged.insert(key.clone(), (value.clone(), !before.contains_key(key)));
                }
            }
        }
        Ok(merged)
    }

    /// A key that comes from a merge key and is not wanted.
    pub(super) fn merged_refusal(&self, key: &str, is_new: bool, entries: &[Entry<'_>]) -> Refusal {
        if !is_new {
            return Refusal::Merged { at: self.at(key) };
        }
        let sources = entries.iter().filter(|entry| entry.is_merge);
        let source = sources
            .flat_map(|entry| self.stream.merge_sources(entry.value).unwrap_or_default())
            .find(|source| self.sharing.as_ref().is_some_and(|sharing| sharing.decided.contains_key(source)));
        source
            .map_or_else(|| Refusal::Merged { at: self.at(key) }, |source| self.shared(source, self.at(key)))
    }
}

/// With aliases around, an edit can have consequences elsewhere: try it, and refuse when it has.
pub(super) fn verify(
    stream: &Stream,
    document: usize,
    wanted: &Value,
    edits: &[Edit],
) -> Result<(), Refusal> {
    let text = super::super::apply(&stream.text, edits);
    let refusal = |at| Refusal::Shared { at, anchor: stream.any_anchor(document) };
    let Ok(after) = Stream::parse(text, &stream.limits) else { return Err(refusal(PointerBuf::new())) };
    let root = after.arena.documents.get(document).and_then(|document| document.root);
    let value = root.map_or(Ok(Value::Null), |root| after.value_of(root))?;
    first_difference(&value, wanted).map_or(Ok(()), |at| Err(refusal(at)))
}

impl Stream {
    /// Name of the first anchor that an alias of a document means.
    fn any_anchor(&self, document: usize) -> String {
        let root = self.arena.documents[document].root.unwrap_or_default();
        let alias = (root..self.arena.next(root)).find(|id| self.arena.raw(*id).shape == super::Shape::Alias);
        let name = alias.and_then(|alias| self.arena.anchor_name(&self.text, self.arena.target(alias)));
        name.unwrap_or_default().to_owned()
    }
}
