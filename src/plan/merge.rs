//! Merges the changes that findings want in one document, and shows which of them contradict each other.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Fate, Judged};
use crate::pointer::look_up;
use crate::rules::Change;

/// What has been claimed so far: the wanted value of a path, `None` for its removal, and the rule that wants it.
#[derive(Default)]
struct Claims {
    claims: BTreeMap<String, (Option<Value>, &'static str)>,
}

/// The document's value with all planned changes. A finding whose change contradicts an earlier one, or cannot be
/// made, is held back as a whole.
pub(super) fn merge(document: &Value, findings: &mut [Judged]) -> Value {
    loop {
        match try_merge(document, findings) {
            Ok(wanted) => return wanted,
            Err((idx, reason)) => findings[idx].fate = Fate::Held(reason),
        }
    }
}

/// Fails with the finding that cannot be made; what it had changed by then is lost with the value.
fn try_merge(document: &Value, findings: &mut [Judged]) -> Result<Value, (usize, String)> {
    let mut wanted = document.clone();
    let mut claims = Claims::default();
    for (idx, judged) in findings.iter_mut().enumerate().filter(|(_, judged)| judged.fate == Fate::Planned) {
        if let Some(other) =
            judged.finding.changes.iter().find_map(|change| claims.conflict(&judged.prefix, change))
        {
            judged.fate = Fate::Held(format!("conflicts with the fix of `{other}`"));
            continue;
        }
        for change in &judged.finding.changes {
            patch(&mut wanted, &judged.prefix, change).map_err(|reason| (idx, reason))?;
            claims.add(&judged.prefix, change, judged.finding.rule.id);
        }
    }
    Ok(wanted)
}

pub(super) fn patch(wanted: &mut Value, prefix: &str, change: &Change) -> Result<(), String> {
    let object = look_up(wanted, prefix).ok_or("the object is not there")?;
    let operations = change.operations(object, prefix);
    json_patch::patch(wanted, &operations).map_err(|error| error.to_string())
}

impl Claims {
    fn conflict(&self, prefix: &str, change: &Change) -> Option<&'static str> {
        let pointer = format!("{prefix}{}", change.full_pointer());
        let wanted = match change.innermost() {
            Change::Set { value, .. } => Some(value),
            Change::Remove { .. } => None,
            Change::Append { .. } | Change::Item { .. } | Change::Inside { .. } | Change::Patched(_) => {
                return None;
            }
        };
        if let Some((claimed, rule)) = self.claims.get(&pointer)
            && claimed.as_ref() != wanted
        {
            return Some(rule);
        }
        // A removal and a wanted value below it, in either order.
        let mut ancestors = pointer.match_indices('/').map(|(at, _)| &pointer[..at]);
        let removed_above =
            ancestors.find_map(|above| self.claims.get(above).filter(|(value, _)| value.is_none()));
        let below = format!("{pointer}/");
        let set_below = self
            .claims
            .range(below.clone()..)
            .take_while(|(claimed, _)| claimed.starts_with(&below))
            .map(|(_, claim)| claim)
            .find(|(value, _)| value.is_some() && wanted.is_none());
        removed_above.or(set_below).map(|(_, rule)| *rule)
    }

    fn add(&mut self, prefix: &str, change: &Change, rule: &'static str) {
        let pointer = format!("{prefix}{}", change.full_pointer());
        match change.innermost() {
            Change::Set { value, .. } => self.claims.insert(pointer, (Some(value.clone()), rule)),
            Change::Remove { .. } => self.claims.insert(pointer, (None, rule)),
            Change::Append { .. } | Change::Item { .. } | Change::Inside { .. } | Change::Patched(_) => None,
        };
    }
}
