//! From the values that documents should have to a new text: edits, the proof, and what the text or a diff refuses.

use std::ops::Range;

use json_patch::{AddOperation, PatchOperation, ReplaceOperation};
use serde_json::Value;

use super::{Lowered, NewText, Place, Work, judge};
use crate::model::KubernetesOrder;
use crate::plan::{self, Fate, Judged, Purpose, exposure, merge};
use crate::pointer::{look_up, within};
use crate::repo::Content;
use crate::rules::Whole;
use crate::secret::{self, SecretLines};
use crate::yaml::{Edit, Refusal, Rewrite, Stream};

/// Turns wanted values into text. Changes that the text refuses are held back, one finding after the other, and in a
/// run that shows a diff those that it would show along with a secret.
pub(super) fn lower(at: &Place<'_, '_>, works: &mut [Work]) -> Lowered {
    if at.planner.purpose == Purpose::Values {
        hide_values(at, works);
    }
    let lowered = lower_all(at, works)?;
    let lowered = match lowered {
        Some(lowered) if at.planner.purpose == Purpose::Diff => lowered,
        lowered => return Ok(lowered),
    };
    let secret = SecretLines::of(at.stream);
    if let Some(context) = exposure::context(at.stream.text(), &lowered.after, &lowered.edits, &secret) {
        return Ok(Some(NewText { context, ..lowered }));
    }
    hide(at, works, &secret);
    let Some(lowered) = lower_all(at, works)? else { return Ok(None) };
    let context = exposure::context(at.stream.text(), &lowered.after, &lowered.edits, &secret);
    context.map(|context| Some(NewText { context, ..lowered })).ok_or_else(|| "shows a secret".to_owned())
}

/// Leaves in the plan only what can be shown without a secret: each fix that can be, one after the other.
fn hide(at: &Place<'_, '_>, works: &mut [Work], secret: &SecretLines) {
    let planned: Vec<(usize, usize)> = works
        .iter()
        .enumerate()
        .flat_map(|(idx, work)| {
            let planned = work.findings.iter().enumerate().filter(|(_, judged)| judged.fate == Fate::Planned);
            planned.map(move |(finding, _)| (idx, finding))
        })
        .collect();
    for (work, finding) in &planned {
        works[*work].findings[*finding].fate = Fate::Hidden;
    }
    for (work, finding) in planned {
        works[work].findings[finding].fate = Fate::Planned;
        let mut edits: Vec<Edit> = Vec::new();
        for work in works.iter_mut() {
            work.wanted = merge::merge(&work.value, &mut work.findings);
            edits.extend(work.edits(at.stream).0);
        }
        edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
        let after = at.stream.apply(edits.clone());
        if exposure::context(at.stream.text(), &after, &edits, secret).is_none() {
            works[work].findings[finding].fate = Fate::Hidden;
        }
    }
    for work in works.iter_mut() {
        work.wanted = merge::merge(&work.value, &mut work.findings);
    }
}

/// Leaves in the plan only what writes no secret: an operation on a text or a list may repeat one that is in it.
fn hide_values(at: &Place<'_, '_>, works: &mut [Work]) {
    let secrets = plan::secrets_of(at.stream);
    if secrets.is_empty() {
        return;
    }
    for work in works.iter_mut() {
        let value = &work.value;
        for judged in work.findings.iter_mut().filter(|judged| judged.fate == Fate::Planned) {
            let Some(object) = value.pointer(&judged.prefix) else { continue };
            let written = judged.finding.changes.iter().flat_map(|change| change.operations(object, ""));
            let shows = |operation: PatchOperation| match operation {
                PatchOperation::Add(AddOperation { value, .. })
                | PatchOperation::Replace(ReplaceOperation { value, .. }) => {
                    plan::shows_secret(&value, &secrets)
                }
                _ => false,
            };
            if written.into_iter().any(shows) {
                judged.fate = Fate::Hidden;
            }
        }
        work.wanted = merge::merge(&work.value, &mut work.findings);
    }
}

impl Work {
    /// What makes of the document what is wanted, and the range that is rewritten as a whole, if so.
    fn edits(&mut self, stream: &Stream) -> (Vec<Edit>, Option<Range<usize>>) {
        let Some(whole) = self.whole() else { return (document_edits(stream, self), None) };
        let edit = match whole {
            Whole::Replaced(file) => stream.replace_document(self.document, &file.text, &file.value),
            Whole::Removed => stream.remove_document(self.document),
            Whole::ReplacedLater => return (Vec::new(), None),
        };
        match edit.map_err(|refusal| refusal.to_string()).and_then(|edit| self.keeps_no_secret(stream, edit))
        {
            Ok(edit) => {
                let range = edit.range.clone();
                (vec![edit], Some(range))
            }
            Err(reason) => {
                hold(self, |_| true, &reason);
                (Vec::new(), None)
            }
        }
    }

    /// What becomes of the whole object, if anything does.
    fn whole(&self) -> Option<&Whole> {
        let planned = self.findings.iter().filter(|judged| judged.fate == Fate::Planned);
        planned.filter_map(|judged| judged.finding.whole.as_ref()).next()
    }

    /// Comments in front of a document stay when it goes: they must not hold what it held.
    fn keeps_no_secret(&self, stream: &Stream, edit: Edit) -> Result<Edit, String> {
        let Some(root) = stream.root(self.document) else { return Ok(edit) };
        let values = secret::secret_values(root);
        let kept = stream.comments().iter().filter(|comment| {
            comment.document == self.document && !edit.range.contains(&comment.range.start)
        });
        for comment in kept {
            let text = &stream.text()[comment.range.clone()];
            if values.iter().any(|value| text.contains(value.as_str())) {
                let line = stream.position(comment.range.start).line;
                return Err(format!(
                    "the comment on line {line} holds a value of it too: take that out first"
                ));
            }
        }
        Ok(edit)
    }
}

fn lower_all(at: &Place<'_, '_>, works: &mut [Work]) -> Lowered {
    let stream = at.stream;
    if at.planner.purpose == Purpose::Findings {
        hold_refused(at, works);
        return Ok(None);
    }
    if let Some(lowered) = uncommented(at, works) {
        return lowered;
    }
    let mut edits = Vec::new();
    let mut rewritten = Vec::new();
    for work in works.iter_mut() {
        let (of_document, range) = work.edits(stream);
        edits.extend(of_document);
        rewritten.push(range);
    }
    if edits.is_empty() {
        return Ok(None);
    }
    let mut wanted: Vec<Option<&Value>> = vec![None; stream.documents()];
    for work in works.iter() {
        wanted[work.document] = Some(&work.wanted);
    }
    let rewrites: Vec<Rewrite<'_>> = works
        .iter()
        .zip(rewritten)
        .filter_map(|(work, range)| {
            let value = match work.whole()? {
                Whole::Replaced(file) => Some(&file.value),
                Whole::Removed | Whole::ReplacedLater => None,
            };
            Some(Rewrite { document: work.document, range: range?, value })
        })
        .collect();
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let after = stream.apply(edits.clone());
    let proved = stream.prove_with(after, &wanted, 0, &rewrites).map_err(|defect| defect.to_string());
    drop(rewrites);
    let settled = proved.and_then(|after| unsettled(at, works).map_or(Ok(after), Err));
    match settled {
        Ok(after) => Ok(Some(NewText { after: after.into_text(), edits, context: exposure::CONTEXT_LINES })),
        Err(defect) => {
            for work in works.iter_mut() {
                hold(work, |_| true, "the edit failed its proof");
                work.wanted = work.value.clone();
            }
            Err(defect)
        }
    }
}

/// Makes data of what Helm values only say in comments, where that is what is wanted; `None` where nothing is.
fn uncommented(at: &Place<'_, '_>, works: &[Work]) -> Option<Lowered> {
    let [work] = works else { return None };
    let is_values = at.planner.model.repo().files[at.file].content == Content::Values;
    if !is_values || work.wanted == work.value || work.whole().is_some() {
        return None;
    }
    let uncommented = at.stream.uncommented(&work.value, &work.wanted)?;
    let between = at.stream.with_uncommented(&uncommented).ok()?;
    let value = between.root(0)?.value().ok()?;
    let edits = between.edits_from(0, &value, &work.wanted, &KubernetesOrder).ok()?;
    let after = between.apply(edits.clone());
    let edits = uncommented.followed_by(edits);
    if at.stream.apply(edits.clone()) != after {
        return None;
    }
    let proved = at.stream.prove_uncommented(after, &work.value, &work.wanted, &uncommented);
    let text = |after: Stream| NewText { after: after.into_text(), edits, context: exposure::CONTEXT_LINES };
    Some(proved.map(|after| Some(text(after))).map_err(|defect| defect.to_string()))
}

/// Takes back the fixes that the text refuses, for a run that wants no edits. Most texts can refuse none.
pub(super) fn hold_refused(at: &Place<'_, '_>, works: &mut [Work]) {
    let may_refuse = |work: &Work| !work.is_plain || at.has_obstacles() || work.whole().is_some();
    for work in works.iter_mut().filter(|work| may_refuse(work)) {
        work.edits(at.stream);
    }
}

fn document_edits(stream: &Stream, work: &mut Work) -> Vec<Edit> {
    loop {
        if work.wanted == work.value {
            return Vec::new();
        }
        let edits = stream.edits_from(work.document, &work.value, &work.wanted, &KubernetesOrder);
        let refusal = match edits {
            Ok(edits) => return edits,
            Err(refusal) => refusal,
        };
        let reason = refusal.to_string();
        let at = refused_at(&refusal);
        let touches = |judged: &Judged| {
            judged.finding.changes.iter().any(|change| {
                let pointer = format!("{}{}", judged.prefix, change.pointer());
                at.as_deref().is_some_and(|at| related(&pointer, at))
            })
        };
        if !hold(work, touches, &reason) {
            hold(work, |_| true, &reason);
        }
        work.wanted = merge::merge(&work.value, &mut work.findings);
    }
}

/// Holds back the planned findings that `which` picks; whether there were any.
fn hold(work: &mut Work, which: impl Fn(&Judged) -> bool, reason: &str) -> bool {
    let mut held = false;
    for judged in work.findings.iter_mut().filter(|judged| judged.fate == Fate::Planned) {
        if which(judged) {
            judged.fate = Fate::Held(reason.to_owned());
            held = true;
        }
    }
    held
}

fn refused_at(refusal: &Refusal) -> Option<String> {
    match refusal {
        Refusal::Shared { at, .. }
        | Refusal::Merged { at }
        | Refusal::DuplicateKey { at }
        | Refusal::Unsupported { at, .. } => Some(at.to_string()),
        _ => None,
    }
}

/// Whether one of the pointers leads through the other.
fn related(a: &str, b: &str) -> bool {
    within(a, b) || within(b, a)
}

/// A second run over the new values must want nothing more; says what it wants otherwise.
fn unsettled(at: &Place<'_, '_>, works: &[Work]) -> Option<String> {
    let planner = at.planner;
    let again = Place::new(planner, at.file, false);
    for work in works.iter().filter(|work| work.wanted != work.value) {
        for object in
            planner.model.objects_of(at.file).iter().filter(|object| object.document == work.document)
        {
            let Some(value) = look_up(&work.wanted, &object.pointer) else { continue };
            if object.layout.is_none() || !planner.selection.takes_object(planner.model, object) {
                continue;
            }
            let again = judge(&again, object, value);
            let wants_more = again.iter().find(|judged| {
                judged.fate == Fate::Planned
                    && judged.finding.changes.iter().any(|change| !change.operations(value, "").is_empty())
                    && !was_left(work, judged)
            });
            if let Some(judged) = wants_more {
                return Some(format!(
                    "a second run would change {} again: {}",
                    judged.object, judged.finding.message
                ));
            }
        }
    }
    None
}

/// Whether the first run left the same finding alone on purpose.
fn was_left(work: &Work, again: &Judged) -> bool {
    work.findings.iter().any(|judged| {
        judged.fate != Fate::Planned
            && judged.finding.rule.id == again.finding.rule.id
            && judged.document_pointer() == again.document_pointer()
    })
}
