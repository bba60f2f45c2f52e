//! Merges the changes that findings want in one document, and shows which of them contradict each other.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Fate, Judged};
use crate::rules::Change;

/// What has been claimed so far: the wanted value of a path, `None` for its removal, and the rule that wants it.
#[derive(Default)]
struct Claims {
    claims: BTreeMap<String, (Option<Value>, &'static str)>,
}

/// The document's value with all planned changes. A finding whose change contradicts an earlier one, or cannot be
/// made, is held back as a whole.
pub(super) fn merge(document: &Value, findings: &mut [Judged]) -> Value {
    let mut wanted = document.clone();
    let mut claims = Claims::default();
    for judged in findings.iter_mut().filter(|judged| judged.fate == Fate::Planned) {
        if let Some(other) = judged.finding.changes.iter().find_map(|change| claims.conflict(&judged.prefix, change)) {
            judged.fate = Fate::Held(format!("conflicts with the fix of `{other}`"));
            continue;
        }
        match patched(&wanted, judged) {
            Ok(patched) => {
                wanted = patched;
                for change in &judged.finding.changes {
                    claims.add(&judged.prefix, change, judged.finding.rule.id);
                }
            }
            Err(reason) => judged.fate = Fate::Held(reason),
        }
    }
    wanted
}

fn patched(wanted: &Value, judged: &Judged) -> Result<Value, String> {
    let mut value = wanted.clone();
    for change in &judged.finding.changes {
        let Some(object) = value.pointer(&judged.prefix) else { return Err("the object is not there".to_owned()) };
        let operations = change.operations(object, &judged.prefix);
        json_patch::patch(&mut value, &operations).map_err(|error| error.to_string())?;
    }
    Ok(value)
}

impl Claims {
    fn conflict(&self, prefix: &str, change: &Change) -> Option<&'static str> {
        let pointer = format!("{prefix}{}", change.pointer());
        let wanted = match change {
            Change::Set { value, .. } => Some(value),
            Change::Remove { .. } => None,
            Change::Append { .. } => return None,
        };
        if let Some((claimed, rule)) = self.claims.get(&pointer)
            && claimed.as_ref() != wanted
        {
            return Some(rule);
        }
        // A removal and a wanted value below it, in either order.
        let below = format!("{pointer}/");
        let removed_above = self
            .claims
            .iter()
            .find(|(claimed, (value, _))| value.is_none() && pointer.strip_prefix(*claimed).is_some_and(|rest| rest.starts_with('/')));
        let set_below = self
            .claims
            .range(below.clone()..)
            .take_while(|(claimed, _)| claimed.starts_with(&below))
            .find(|(_, (value, _))| value.is_some() && wanted.is_none());
        removed_above.or(set_below).map(|(_, (_, rule))| *rule)
    }

    fn add(&mut self, prefix: &str, change: &Change, rule: &'static str) {
        let pointer = format!("{prefix}{}", change.pointer());
        match change {
            Change::Set { value, .. } => self.claims.insert(pointer, (Some(value.clone()), rule)),
            Change::Remove { .. } => self.claims.insert(pointer, (None, rule)),
            Change::Append { .. } => None,
        };
    }
}
