//! Where the text of a template gets a key of a pod or of a container, or already writes one out.
//!
//! Only a text that is plain around the place is understood: the mapping is block style, each of its keys is on a line
//! of its own, and nothing in it may bring the same key from elsewhere. Every edit is to be proved by rendering.

use std::ops::Range;

use serde_json::{Map, Value, json};

use super::skeleton::{Line, Skeleton};
use crate::helm::actions::Role;
use crate::model::KubernetesOrder;
use crate::repo::LIMITS;
use crate::yaml::{Edit, Stream};

/// A key of a mapping in a template's text.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// Counted from 1.
    pub line: usize,
    key: String,
    /// The lines that write the key out; empty where it comes.
    range: Range<usize>,
    indent: usize,
    form: Form,
}

#[derive(Debug, Clone, PartialEq)]
enum Form {
    Written,
    Missing,
    /// These lines take it from a value.
    Taken(String),
}

/// A value that the template puts into the same mapping, to write another one like it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sibling {
    lines: String,
    key: String,
    /// As the template says it: `.Values.web.resources`.
    path: String,
}

/// A mapping in block style.
struct Body {
    /// The first line behind the one it starts with.
    first: usize,
    /// Where its keys are.
    column: usize,
    /// Lines that are no deeper are no part of it.
    outer: usize,
    /// The blocks around all of it.
    blocks: Vec<(usize, usize)>,
    /// Where a security context goes.
    top: Option<usize>,
}

/// What the lines of a mapping say of one of its keys.
struct Scan {
    /// The lines that have it.
    present: Vec<usize>,
    /// Where its last line ends.
    bottom: Option<usize>,
    sibling: Option<Sibling>,
}

/// The slot of a container's key; `at` is a byte of the line that starts the container. With it what else the
/// container takes from values.
pub(super) fn of_item(skeleton: &Skeleton<'_>, at: usize, key: &str) -> Option<(Slot, Option<Sibling>)> {
    let line = skeleton.line_of(at);
    let Line::Written(outer, words) = skeleton.line(line) else { return None };
    let entry = words.strip_prefix('-')?;
    let inner = entry.trim_start();
    let column = outer + words.len() - inner.len();
    let (name, value) = inner.split_once(':')?;
    let range = skeleton.lines[line].clone();
    let (blocks, behind) = (skeleton.blocks(range.start), skeleton.behind(line));
    if name.contains([' ', '{', '[']) || skeleton.blocks(range.end) != blocks || name == key {
        return None;
    }
    let value = value.split(" #").next().unwrap_or_default().trim();
    let is_one_line = !value.is_empty() && !value.starts_with(['|', '>', '&', '[', '{']);
    let top = (is_one_line && !skeleton.is_trimmed(behind)).then_some(behind);
    slot(skeleton, &Body { first: line + 1, column, outer, blocks, top }, key)
}

/// The slot of a pod's key, given a byte of the lines `spec:` and `containers:`.
pub(super) fn of_pod(
    skeleton: &Skeleton<'_>,
    spec: usize,
    containers: usize,
    key: &str,
) -> Option<(Slot, Option<Sibling>)> {
    let (line, list) = (skeleton.line_of(spec), skeleton.line_of(containers));
    let Line::Written(outer, "spec:") = skeleton.line(line) else { return None };
    let Line::Written(column, "containers:") = skeleton.line(list) else { return None };
    let (blocks, at) = (skeleton.blocks(skeleton.lines[line].end), skeleton.lines[list].start);
    if column <= outer {
        return None;
    }
    let top = (skeleton.blocks(at) == blocks && !skeleton.is_trimmed(at)).then_some(at);
    slot(skeleton, &Body { first: line + 1, column, outer, blocks, top }, key)
}

fn slot(skeleton: &Skeleton<'_>, body: &Body, key: &str) -> Option<(Slot, Option<Sibling>)> {
    let scan = scan(skeleton, body, key)?;
    let (range, form) = match scan.present[..] {
        [] => {
            let at =
                if key == "securityContext" { body.top.or(scan.bottom) } else { scan.bottom.or(body.top) };
            (at?..at?, Form::Missing)
        }
        [line] => (written(skeleton, line, body.column)?, Form::Written),
        _ => return None,
    };
    let line = match form {
        Form::Written => skeleton.line_of(range.start),
        _ => body.first.saturating_sub(1),
    };
    let slot = Slot { line: line + 1, key: key.to_owned(), range, indent: body.column, form };
    Some((slot, scan.sibling))
}

/// Goes through the lines of a mapping; `None` where something is not understood.
fn scan(skeleton: &Skeleton<'_>, body: &Body, key: &str) -> Option<Scan> {
    let mut scan = Scan { present: Vec::new(), bottom: None, sibling: None };
    for line in body.first..skeleton.lines.len() {
        match skeleton.line(line) {
            Line::Written(indent, _) if indent <= body.outer => break,
            Line::Written(indent, _) if indent < body.column => return None,
            Line::Written(indent, words) if indent == body.column => {
                let name = words.split(':').next().unwrap_or_default().trim_matches(['"', '\'']);
                if name.starts_with("xx") || words.starts_with("? ") {
                    return None;
                }
                if name == key {
                    scan.present.push(line);
                }
                let sibling = sibling(skeleton, body, line, name);
                if scan.sibling.is_none() || name == "resources" {
                    scan.sibling = sibling.or(scan.sibling);
                }
            }
            Line::Inserted(depth) if depth.is_none_or(|depth| depth <= body.column) => return None,
            Line::Unclear => return None,
            Line::Written(..) | Line::Inserted(_) | Line::Silent => {}
        }
        let range = skeleton.lines[line].clone();
        let is_comment = skeleton.text[range.clone()].trim_start().starts_with('#');
        let is_end = !skeleton.text[range.clone()].trim().is_empty() && !is_comment;
        let behind = skeleton.behind(line);
        if is_end && skeleton.blocks(range.end) == body.blocks && !skeleton.is_trimmed(behind) {
            scan.bottom = Some(behind);
        }
    }
    Some(scan)
}

/// The lines that write a key and its value out, if nothing in them steers.
fn written(skeleton: &Skeleton<'_>, line: usize, column: usize) -> Option<Range<usize>> {
    let mut last = line;
    for next in line + 1..skeleton.lines.len() {
        match skeleton.line(next) {
            Line::Written(indent, words)
                if indent > column || indent == column && words.starts_with("- ") =>
            {
                last = next;
            }
            Line::Written(..) => break,
            Line::Inserted(Some(depth)) if depth <= column => break,
            Line::Inserted(_) | Line::Unclear => return None,
            Line::Silent => {}
        }
    }
    let range = skeleton.lines[line].start..skeleton.behind(last);
    let steers = |role: Role| matches!(role, Role::Opens | Role::Else | Role::Closes);
    let is_plain = !skeleton.actions_in(range.clone()).iter().any(|action| steers(action.role()));
    is_plain.then_some(range)
}

/// A key whose value the template takes from a value of the same name, by itself or where there is one.
fn sibling(skeleton: &Skeleton<'_>, body: &Body, line: usize, name: &str) -> Option<Sibling> {
    let Line::Written(_, words) = skeleton.line(line) else { return None };
    let (last, action) = match words.strip_prefix(name)?.strip_prefix(':')?.trim() {
        "" => (line + 1, skeleton.alone(line + 1)?),
        _ => match skeleton.actions_in(skeleton.lines[line].clone()) {
            [only] if words.len() == name.len() + 2 + only.range.len() => (line, only),
            _ => return None,
        },
    };
    if action.role() != Role::Renders || !action.words.contains("toYaml") || !action.words.contains("indent ")
    {
        return None;
    }
    let opener = line.checked_sub(1).and_then(|before| skeleton.alone(before));
    let opener = opener.filter(|action| action.role() == Role::Opens);
    let (first, end, path) = match opener {
        Some(opener) => {
            let (word, path) = opener.words.split_once(' ')?;
            let inner = value_path(&action.words);
            let is_same = match word {
                "with" => inner.is_none(),
                "if" => inner.as_deref() == Some(path),
                _ => false,
            };
            let closes = skeleton.alone(last + 1).is_some_and(|action| action.role() == Role::Closes);
            (is_same && closes && value_path(path).as_deref() == Some(path)).then_some(())?;
            (line - 1, last + 1, path.to_owned())
        }
        None => (line, last, value_path(&action.words)?),
    };
    let range = skeleton.lines[first].start..skeleton.behind(end);
    let is_free = skeleton.blocks(range.start) == body.blocks && !skeleton.is_trimmed(range.end);
    let is_named = path.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case(name));
    let lines = skeleton.text[range].to_owned();
    (is_free && is_named && lines.ends_with('\n')).then_some(Sibling { lines, key: name.to_owned(), path })
}

/// The one path of a value among the words of an action.
fn value_path(words: &str) -> Option<String> {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '|');
    let mut paths = words.split(is_end).filter(|word| word.contains(".Values."));
    let path = paths.next()?;
    let plain = path.strip_prefix('$').unwrap_or(path);
    let is_plain = plain.starts_with(".Values.")
        && plain.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'));
    (is_plain && paths.next().is_none()).then(|| path.to_owned())
}

impl Sibling {
    /// What it is called, in the value's own words.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }

    /// Pointer of a value beside it.
    pub(super) fn beside(&self, name: &str) -> String {
        let path = self.path.trim_start_matches('$').trim_start_matches(".Values.");
        let outer = path.rsplit_once('.').map_or("", |(outer, _)| outer);
        let outer: String =
            outer.split('.').filter(|key| !key.is_empty()).map(|key| format!("/{key}")).collect();
        format!("{outer}/{name}")
    }
}

impl Slot {
    /// The value of a missing key comes from a value beside another one, in the same words.
    pub(super) fn taken(&mut self, sibling: &Sibling, name: &str) {
        let outer = sibling.path.strip_suffix(sibling.name()).unwrap_or_default();
        let lines = sibling.lines.replace(&sibling.path, &format!("{outer}{name}"));
        let key = format!("{}:", sibling.key);
        self.form = Form::Taken(lines.replacen(&key, &format!("{}:", self.key), 1));
    }

    pub(super) fn is_missing(&self) -> bool {
        self.form == Form::Missing
    }

    /// Whether the text takes it from a value once it is edited.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self.form, Form::Taken(_))
    }

    /// How deep its key is.
    pub(super) fn depth(&self) -> usize {
        self.indent
    }

    /// Where it is, for telling slots apart.
    pub(super) fn place(&self) -> (usize, usize, &str) {
        (self.range.start, self.range.end, &self.key)
    }

    /// What the text says now: a mapping with the key, or without it; `false` where the text takes no value yet.
    pub fn value(&self, text: &str) -> Option<Value> {
        match self.form {
            Form::Taken(_) => Some(false.into()),
            Form::Missing => Some(json!({})),
            Form::Written => {
                let value = self.fragment(text)?.root(0)?.value().ok()?;
                let is_only =
                    value.as_object().is_some_and(|map| map.len() == 1 && map.contains_key(&self.key));
                is_only.then_some(value)
            }
        }
    }

    fn fragment(&self, text: &str) -> Option<Stream> {
        let skeleton = Skeleton::new(text)?;
        Stream::parse(skeleton.masked(self.range.clone()).to_owned(), &LIMITS).ok()
    }

    /// What makes the text say something else.
    pub fn edits(&self, text: &str, before: &Value, wanted: &Value) -> Option<Vec<Edit>> {
        if before == wanted {
            return Some(Vec::new());
        }
        match &self.form {
            Form::Taken(lines) => Some(vec![self.inserted(text, lines)]),
            Form::Missing => {
                let lines = block(text, self.indent, &self.key, wanted.get(&self.key)?)?;
                Some(vec![self.inserted(text, &lines)])
            }
            Form::Written if wanted.get(&self.key).is_none() => {
                Some(vec![Edit { range: self.range.clone(), replacement: String::new() }])
            }
            Form::Written => {
                let fragment = self.fragment(text)?;
                let edits = fragment.edits_from(0, before, wanted, &KubernetesOrder).ok()?;
                fragment.prove(fragment.apply(edits.clone()), &[Some(wanted)], 0).ok()?;
                let edits: Vec<Edit> = edits.into_iter().map(|edit| self.moved(edit)).collect();
                edits.iter().all(|edit| !text[edit.range.clone()].contains("{{")).then_some(edits)
            }
        }
    }

    fn moved(&self, edit: Edit) -> Edit {
        Edit { range: self.range.start + edit.range.start..self.range.start + edit.range.end, ..edit }
    }

    fn inserted(&self, text: &str, lines: &str) -> Edit {
        let is_open = self.range.start == text.len() && !text.ends_with('\n');
        let eol = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let lines = lines.replace("\r\n", "\n").replace('\n', eol);
        let replacement = match is_open {
            true => format!("{eol}{}", lines.trim_end()),
            false => lines,
        };
        Edit { range: self.range.clone(), replacement }
    }
}

/// A key and its value in block style, with lists as the text has them.
fn block(text: &str, indent: usize, key: &str, value: &Value) -> Option<String> {
    let pad = " ".repeat(indent);
    let dash = if has_flat_lists(text) { "" } else { "  " };
    let known = format!("{pad}x:\n{pad}{dash}- x\n");
    let stream = Stream::parse(known.clone(), &LIMITS).ok()?;
    let before = json!({ "x": ["x"] });
    let mut wanted = before.as_object().cloned().unwrap_or_else(Map::new);
    wanted.insert(key.to_owned(), value.clone());
    let wanted = Value::Object(wanted);
    let after = stream.apply(stream.edits_from(0, &before, &wanted, &KubernetesOrder).ok()?);
    let after = stream.prove(after, &[Some(&wanted)], 0).ok()?.into_text();
    let lines = after.strip_prefix(&known).or_else(|| after.strip_suffix(&known))?;
    Some(lines.to_owned())
}

/// Whether the items of its lists are no deeper than their keys.
fn has_flat_lists(text: &str) -> bool {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let pairs = text.lines().zip(text.lines().skip(1));
    let mut lists =
        pairs.filter(|(key, item)| key.trim_end().ends_with(':') && item.trim_start().starts_with("- "));
    lists.next().is_some_and(|(key, item)| indent(item) == indent(key.trim_start_matches("- ")))
}

#[cfg(test)]
mod tests;
