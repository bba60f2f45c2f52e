//! The value of a node as Kubernetes' decoder sees it: aliases expanded, merge keys applied, the last of
//! duplicate keys kept, keys turned into strings.
//!
//! Decides no scalars itself, changes nothing.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::arena::{Shape, Tag};
use super::resolve::{Resolved, resolve, to_key, to_value};
use super::{Decoded, PointerBuf, Refusal, Stream};

/// What went wrong, and the path to it, innermost token first.
pub(super) struct Failure {
    reason: &'static str,
    path: Vec<String>,
}

impl Failure {
    fn new(reason: &'static str) -> Self {
        Failure { reason, path: Vec::new() }
    }

    fn within(mut self, token: impl Into<String>) -> Self {
        self.path.push(token.into());
        self
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let at = PointerBuf::from_tokens(failure.path.iter().rev().map(String::as_str));
        Refusal::Unsupported { at, reason: failure.reason }
    }
}

/// Decodes one document or a part of it.
struct Decoder<'s> {
    stream: &'s Stream,
    /// Nodes that may still be visited.
    budget: usize,
    depth: usize,
    /// As in [`Decoded`], for what was decoded so far.
    is_plain: bool,
}

impl Stream {
    pub(super) fn value_of(&self, id: u32) -> Result<Value, Failure> {
        Ok(self.decode(id)?.value)
    }

    pub(super) fn decode(&self, id: u32) -> Result<Decoded, Failure> {
        let limits = self.limits;
        // What stands in the text is bounded by the text; only expansion needs the budget.
        let own = (self.arena.next(id) - id) as usize;
        let budget = limits.expanded_nodes.max(own);
        let mut decoder = Decoder { stream: self, budget, depth: limits.depth, is_plain: true };
        let value = decoder.value(id)?;
        Ok(Decoded { value, is_plain: decoder.is_plain })
    }

    pub(super) fn resolved(&self, id: u32) -> Resolved {
        let raw = self.arena.raw(id);
        let (tag, has_tag) = match self.arena.properties(id) {
            Some(properties) => (properties.tag, !properties.tag_range.is_empty()),
            None => (Tag::None, false),
        };
        let implicit = matches!(raw.shape, Shape::Plain | Shape::Omitted) || has_tag && tag == Tag::None;
        if tag == Tag::None && !implicit {
            return Resolved::Text;
        }
        resolve(&self.arena.scalar(&self.text, id), implicit, tag)
    }

    /// The string a key node becomes; nothing when Kubernetes' decoder would refuse it.
    pub(super) fn key_of(&self, id: u32) -> Result<Cow<'_, str>, &'static str> {
        let id = self.arena.target(id);
        if !self.arena.raw(id).shape.is_scalar() {
            return Err("a key is a mapping or a sequence");
        }
        to_key(self.resolved(id), self.arena.scalar(&self.text, id))
    }

    /// Whether a key, with its properties, takes several lines.
    pub(super) fn is_long_key(&self, key: u32) -> bool {
        self.text[self.arena.outer_start(key)..self.arena.raw(key).end as usize].contains('\n')
    }

    /// Whether a key node is a merge key. Quoted, `<<` is a key like any other.
    pub(super) fn is_merge(&self, key: u32) -> bool {
        let raw = self.arena.raw(key);
        match raw.shape {
            Shape::Plain if raw.end - raw.start != 2 => return false,
            Shape::Plain => {}
            Shape::Single | Shape::Double if raw.has_properties => {}
            _ => return false,
        }
        self.arena.scalar(&self.text, key) == "<<"
            && match self.arena.properties(key) {
                None => true,
                Some(properties) => match properties.tag {
                    Tag::Merge => true,
                    Tag::None => raw.shape == Shape::Plain || !properties.tag_range.is_empty(),
                    _ => false,
                },
            }
    }

    /// The mappings a merge key's value names, the one with the last word last.
    pub(super) fn merge_sources(&self, value: u32) -> Result<Vec<u32>, &'static str> {
        const REASON: &str = "a merge key needs a mapping, or a list of mappings";
        let mapping = |id: u32| {
            let target = self.arena.target(id);
            (self.arena.raw(target).shape.is_mapping() && !self.arena.is_recursive(id)).then_some(target)
        };
        if let Some(source) = mapping(value) {
            return Ok(vec![source]);
        }
        if !self.arena.raw(value).shape.is_sequence() {
            return Err(REASON);
        }
        let mut sources: Vec<u32> =
            self.arena.children(value).map(mapping).collect::<Option<_>>().ok_or(REASON)?;
        sources.reverse();
        Ok(sources)
    }

    /// Value node of a key, merge keys looked through; the last in the text wins, as in the decoder.
    pub(super) fn lookup(&self, mapping: u32, key: &str) -> Option<(Option<u32>, u32)> {
        self.lookup_within(mapping, key, &mut self.limits.depth.clone())
    }

    fn lookup_within(&self, mapping: u32, key: &str, merges: &mut usize) -> Option<(Option<u32>, u32)> {
        let mut found = None;
        for (key_node, value) in self.arena.entries(mapping) {
            if self.is_merge(key_node) {
                let Some(left) = merges.checked_sub(1) else { continue };
                *merges = left;
                for source in self.merge_sources(value).unwrap_or_default() {
                    if let Some((_, merged)) = self.lookup_within(source, key, merges) {
                        found = Some((None, merged));
                    }
                }
            } else if self.key_is(key_node, key) {
                found = Some((Some(key_node), value));
            }
        }
        found
    }

    fn key_is(&self, key_node: u32, key: &str) -> bool {
        let raw = self.arena.raw(key_node);
        // Most keys are plain words: compare bytes before anything is decoded.
        if raw.shape == Shape::Plain && !raw.is_decoded && !raw.has_properties {
            let text = &self.text[raw.start as usize..raw.end as usize];
            if text.len() > 5 && text.as_bytes()[0].is_ascii_alphabetic() {
                return text == key;
            }
        }
        self.key_of(key_node).is_ok_and(|found| found == key)
    }
}

impl Decoder<'_> {
    fn value(&mut self, id: u32) -> Result<Value, Failure> {
        self.budget = self.budget.checked_sub(1).ok_or(Failure::new("aliases expand to too many values"))?;
        let arena = &self.stream.arena;
        let raw = arena.raw(id);
        match raw.shape {
            Shape::Alias if arena.is_recursive(id) => Err(Failure::new("an alias contains itself")),
            Shape::Alias => {
                self.is_plain = false;
                self.nested(raw.link, Self::value)
            }
            _ if raw.is_forgotten => self.stream.forgotten_value(id),
            shape if shape.is_mapping() => self.nested(id, |decoder, id| {
                // Patches keep their values for the whole run.
                let entries = decoder.stream.arena.entries(id).count();
                let mut map = Map::with_capacity(entries);
                decoder.fill(id, &mut map)?;
                // Otherwise a key is there twice, or merged in.
                decoder.is_plain &= map.len() == entries;
                Ok(Value::Object(map))
            }),
            shape if shape.is_sequence() => self.nested(id, |decoder, id| {
                let items = decoder.stream.arena.children(id).enumerate();
                let values = items.map(|(index, item)| {
                    decoder.value(item).map_err(|failure| failure.within(index.to_string()))
                });
                Ok(Value::Array(values.collect::<Result<_, _>>()?))
            }),
            _ => {
                to_value(self.stream.resolved(id), arena.scalar(&self.stream.text, id)).map_err(Failure::new)
            }
        }
    }

    /// Goes one level deeper: what aliases expand to can be deeper than the text.
    fn nested<T>(
        &mut self,
        id: u32,
        inner: impl FnOnce(&mut Self, u32) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.depth = self.depth.checked_sub(1).ok_or(Failure::new("aliases nest too deeply"))?;
        let result = inner(self, id);
        self.depth += 1;
        result
    }

    fn fill(&mut self, mapping: u32, map: &mut Map<String, Value>) -> Result<(), Failure> {
        let in_flow = self.stream.arena.raw(mapping).shape.is_flow_collection();
        for (key_node, value_node) in self.stream.arena.entries(mapping) {
            self.is_plain &= !(in_flow && self.stream.is_long_key(key_node));
            if self.stream.is_merge(key_node) {
                self.is_plain = false;
                let sources = self.stream.merge_sources(value_node);
                for source in sources.map_err(|reason| Failure::new(reason).within("<<"))? {
                    self.budget = self
                        .budget
                        .checked_sub(1)
                        .ok_or(Failure::new("aliases expand to too many values"))?;
                    self.nested(source, |decoder, source| decoder.fill(source, map))?;
                }
                continue;
            }
            let key = self.stream.key_of(key_node).map_err(Failure::new)?.into_owned();
            match self.value(value_node) {
                Ok(value) => {
                    map.insert(key, value);
                }
                Err(failure) => return Err(failure.within(key)),
            }
        }
        Ok(())
    }
}

/// Whether two values are the same to Kubernetes: numbers by value, mappings in any order.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    first_difference(left, right).is_none()
}

/// The path to the first place where two values differ.
pub(super) fn first_difference(left: &Value, right: &Value) -> Option<PointerBuf> {
    let mut path = Vec::new();
    let differ = !walk(left, right, &mut path);
    return differ.then(|| PointerBuf::from_tokens(path.iter().rev().map(String::as_str)));

    fn walk(left: &Value, right: &Value, path: &mut Vec<String>) -> bool {
        match (left, right) {
            (Value::Object(left), Value::Object(right)) => {
                let mut others = Lockstep::new(right);
                for (key, value) in left {
                    if !others.get(key).is_some_and(|other| walk(value, other, path)) {
                        path.push(key.clone());
                        return false;
                    }
                }
                if left.len() == right.len() {
                    return true;
                }
                let extra = right.keys().find(|key| !left.contains_key(*key));
                path.extend(extra.cloned());
                extra.is_none()
            }
            (Value::Array(left), Value::Array(right)) => {
                for (index, (value, other)) in left.iter().zip(right).enumerate() {
                    if !walk(value, other, path) {
                        path.push(index.to_string());
                        return false;
                    }
                }
                left.len() == right.len()
            }
            (Value::Number(left), Value::Number(right)) => {
                left == right
                    || left.as_f64().is_some_and(|float| {
                        (left.is_f64() || right.is_f64()) && right.as_f64() == Some(float)
                    })
            }
            _ => left == right,
        }
    }
}

/// Looks keys up in about the order they have, which needs no hashing as long as they come in order.
pub(super) struct Lockstep<'v> {
    map: &'v Map<String, Value>,
    next: std::iter::Peekable<serde_json::map::Iter<'v>>,
}

impl<'v> Lockstep<'v> {
    pub(super) fn new(map: &'v Map<String, Value>) -> Lockstep<'v> {
        Lockstep { map, next: map.iter().peekable() }
    }

    pub(super) fn get(&mut self, key: &str) -> Option<&'v Value> {
        match self.next.next_if(|(next, _)| *next == key) {
            Some((_, value)) => Some(value),
            None => self.map.get(key),
        }
    }
}
