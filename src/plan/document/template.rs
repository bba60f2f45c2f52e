//! From findings in a chart's template to its new text. What the template says is known at a few places only; all else
//! of it stays byte for byte.

use super::{Lowered, NewText, Place, Work, place};
use crate::plan::{exposure, merge};
use crate::rules::{Placed, Slot, Template, applied};

/// The findings with their fates, and the text with those that are planned.
pub(super) fn lower(at: &Place<'_, '_>, placed: &[Placed]) -> (Vec<Work>, Lowered) {
    let text = at.stream.text();
    let slots: &[Slot] = at.planner.survey.slots.get(&at.file).map_or(&[], Vec::as_slice);
    let template = Template { slots: slots.iter().collect() };
    let Some(value) = template.value(text) else { return (Vec::new(), Ok(None)) };
    let mut findings = Vec::new();
    for placed in placed {
        let mut judged = place(at, &placed.object, placed.finding.clone());
        let number = judged.finding.pointer.split('/').nth(1).and_then(|number| number.parse::<usize>().ok());
        judged.line = number.and_then(|number| slots.get(number)).map_or(1, |slot| slot.line);
        findings.push(judged);
    }
    let wanted = merge::merge(&value, &mut findings);
    let edits = template.edits(text, &value, &wanted);
    let lowered = match edits {
        Some(edits) if edits.is_empty() => Ok(None),
        Some(edits) => {
            Ok(Some(NewText { after: applied(text, &edits), edits, context: exposure::CONTEXT_LINES }))
        }
        None => Err("the lines of a template cannot be changed as they were when it was proved".to_owned()),
    };
    let work = Work { document: 0, value: serde_json::Value::Null, is_plain: true, wanted, findings };
    (vec![work], lowered)
}
