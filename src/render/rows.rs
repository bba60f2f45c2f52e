//! What formats for programs have in common: one row for each finding, in the order of the paths.
//!
//! A row knows what the finding is called from one run to the next, and what its fix does by itself. How it is written
//! is the format's business.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Created, Ending, Renderer};
use crate::model::ObjectId;
use crate::plan::{Fate, FileReport, Judged};
use crate::pointer::decoded;
use crate::yaml::{Edit, LineIndex};

/// One finding as a format for programs shows it.
pub(super) struct Row<'r> {
    pub(super) path: &'r str,
    pub(super) judged: &'r Judged,
    /// The same as long as the problem is: it knows names, never lines.
    pub(super) fingerprint: String,
    /// The file as it is; none for findings whose file is not at hand.
    pub(super) file: Option<&'r Source<'r>>,
    /// What the fix of this finding alone does to the file.
    pub(super) edits: Option<Vec<Edit>>,
}

/// The text of a file, for places in it.
pub(super) struct Source<'r> {
    pub(super) text: &'r str,
    pub(super) lines: LineIndex<'r>,
    /// What must not be shown of it.
    pub(super) secrets: Vec<String>,
}

/// A format that shows one row after the other.
pub(super) trait Format: Sync {
    /// What stands between two rows.
    const SEPARATOR: &'static str;
    /// Whether [`Row::edits`] are wanted: they take time.
    const WANTS_FIXES: bool;

    fn begin(&self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
    fn row(&self, out: &mut dyn Write, row: &Row<'_>) -> io::Result<()>;
    fn end(&self, _out: &mut dyn Write, _ending: &Ending<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// Which findings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// All: `check`.
    Findings,
    /// Those whose fix is in the plan: `diff`.
    Fixes,
}

/// Shows a run in such a format.
pub(super) struct Rows<F> {
    format: F,
    scope: Scope,
    is_first: AtomicBool,
    /// How often each fingerprint came up, of findings that come one by one.
    seen: Mutex<Seen>,
}

type Seen = HashMap<[u8; 16], usize>;

impl<F: Format> Rows<F> {
    pub(super) fn new(format: F, scope: Scope) -> Rows<F> {
        Rows { format, scope, is_first: AtomicBool::new(true), seen: Mutex::default() }
    }

    fn takes(&self, judged: &Judged) -> bool {
        self.scope == Scope::Findings || judged.fate == Fate::Planned
    }

    /// Writes one that does not come with its file.
    fn single(&self, out: &mut dyn Write, path: &str, judged: &Judged) -> io::Result<()> {
        let fingerprint = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            fingerprint(&mut seen, path, judged, None)
        };
        let mut shown = F::SEPARATOR.as_bytes().to_vec();
        let row = Row { path, judged, fingerprint, file: None, edits: None };
        self.format.row(&mut shown, &row)?;
        self.shown(out, &shown)
    }
}

impl<F: Format> Renderer for Rows<F> {
    fn begin(&self, out: &mut dyn Write) -> io::Result<()> {
        self.format.begin(out)
    }

    fn file(&self, out: &mut Vec<u8>, report: &FileReport<'_>) -> io::Result<()> {
        let (text, lines) = (report.before, LineIndex::new(report.before));
        let source = Source { text, lines, secrets: report.secrets() };
        let mut seen = Seen::new();
        for judged in report.findings.iter().filter(|judged| self.takes(judged)) {
            let row = Row {
                path: report.path,
                judged,
                fingerprint: fingerprint(&mut seen, report.path, judged, report.object(judged)),
                file: Some(&source),
                edits: if F::WANTS_FIXES { report.fix_alone(judged) } else { None },
            };
            out.extend_from_slice(F::SEPARATOR.as_bytes());
            self.format.row(out, &row)?;
        }
        Ok(())
    }

    fn shown(&self, out: &mut dyn Write, file: &[u8]) -> io::Result<()> {
        if file.is_empty() {
            return Ok(());
        }
        let skipped = if self.is_first.swap(false, Ordering::Relaxed) { F::SEPARATOR.len() } else { 0 };
        out.write_all(&file[skipped..])
    }

    fn created(
        &self,
        out: &mut dyn Write,
        path: &str,
        findings: &[Judged],
        _: &[Created<'_>],
    ) -> io::Result<()> {
        let taken = findings.iter().filter(|judged| self.takes(judged));
        taken.into_iter().try_for_each(|judged| self.single(out, path, judged))
    }

    fn end(&self, out: &mut dyn Write, ending: &Ending<'_>) -> io::Result<()> {
        for (path, line, notice) in ending.notices.iter().filter(|_| self.scope == Scope::Findings) {
            let judged = Judged::of_no_object(notice.clone(), *line);
            self.single(out, path, &judged)?;
        }
        self.format.end(out, ending)
    }
}

impl Row<'_> {
    pub(super) fn rule(&self) -> &'static crate::rules::Rule {
        self.judged.finding.rule
    }

    /// The column of the finding, counted from 1 as the format counts: `length` measures what is in front of it.
    pub(super) fn column(&self, length: fn(&str) -> usize) -> usize {
        let Some(source) = self.file else { return self.judged.column };
        let line = &source.text[source.lines.start(self.judged.line - 1)..];
        let end = line.char_indices().nth(self.judged.column - 1).map_or(line.len(), |(at, _)| at);
        length(&line[..end]) + 1
    }

    /// The message, with what has to be known before merging.
    pub(super) fn message(&self) -> String {
        let mut message = super::escaped(&self.judged.finding.message).into_owned();
        if let Fate::Held(reason) = &self.judged.fate {
            message.push_str(&format!("\nNot fixed: {}", super::escaped(reason)));
        }
        for note in &self.judged.finding.notes {
            message.push_str(&format!("\nCheck: {}", super::escaped(note)));
        }
        for fact in &self.judged.finding.evidence {
            message.push_str(&format!("\nBecause: {}", super::escaped(fact)));
        }
        message
    }
}

/// Names a finding by what it is about. The second of two that are about the same says so.
fn fingerprint(seen: &mut Seen, path: &str, judged: &Judged, object: Option<&Value>) -> String {
    let ObjectId { kind, namespace, name, .. } = &judged.object;
    let finding = &judged.finding;
    let mut hash = Sha256::new();
    let place = object.map_or_else(|| finding.pointer.clone(), |object| by_names(object, &finding.pointer));
    for part in [
        finding.rule.id,
        path,
        judged.object.group(),
        kind,
        namespace.as_deref().unwrap_or_default(),
        name,
        finding.container.as_deref().unwrap_or_default(),
        &place,
    ] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let hash = hash.finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let count = seen.entry(id).and_modify(|count| *count += 1).or_insert(1);
    format!("{hex}:{count}")
}

/// The pointer with names where it counts items that have one: a further container moves the others.
fn by_names(object: &Value, pointer: &str) -> String {
    let mut named = String::new();
    let mut at = Some(object);
    for token in pointer.split('/').skip(1) {
        let key = decoded(token);
        let next = match at {
            Some(Value::Array(items)) => key.parse().ok().and_then(|idx: usize| items.get(idx)),
            Some(Value::Object(map)) => map.get(&key),
            _ => None,
        };
        let name = match at {
            Some(Value::Array(_)) => next.and_then(|item| item.get("name")).and_then(Value::as_str),
            _ => None,
        };
        named.push('/');
        match name {
            Some(name) => named.push_str(&format!("[{name}]")),
            None => named.push_str(token),
        }
        at = next;
    }
    named
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rules::Finding;

    #[test]
    fn items_go_by_their_names() {
        let object = json!({"spec": {"containers": [{"name": "a"}, {"name": "b", "args": ["x"]}]}});
        assert_eq!(by_names(&object, "/spec/containers/1/args/0"), "/spec/containers/[b]/args/0");
        assert_eq!(
            by_names(&object, "/spec/containers/1/securityContext"),
            "/spec/containers/[b]/securityContext"
        );
        assert_eq!(by_names(&object, "/no/1"), "/no/1");
        assert_eq!(by_names(&object, ""), "");
    }

    #[test]
    fn the_same_finding_twice_is_counted() {
        let judged = Judged::of_no_object(Finding::new("/a", "x"), 3);
        let elsewhere = Judged::of_no_object(Finding::new("/a", "x"), 30);
        let mut seen = Seen::new();
        let first = fingerprint(&mut seen, "a.yaml", &judged, None);
        let second = fingerprint(&mut seen, "a.yaml", &elsewhere, None);
        assert_eq!((&first[..32], &first[32..]), (&second[..32], ":1"));
        assert_eq!(&second[32..], ":2");
        assert_ne!(fingerprint(&mut seen, "b.yaml", &judged, None)[..32], first[..32]);
    }
}
