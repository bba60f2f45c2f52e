//! Two texts of one file: what was removed must have had to go.

#![expect(clippy::print_stderr, reason = "a test says what it looked at and what it skipped")]

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize as _;
use serde_json::Value;

use super::Verdict;

/// Lines that git's diff takes out of the old text and puts into the new one, counted from 0.
pub(super) struct Hunk {
    removed: Range<usize>,
    added: Range<usize>,
}

/// The hunks of each file in the output of `git diff -U0`.
pub(super) fn hunks_by_file(diff: &str) -> BTreeMap<String, Vec<Hunk>> {
    let mut hunks: BTreeMap<String, Vec<Hunk>> = BTreeMap::new();
    let mut path = String::new();
    for line in diff.lines() {
        if let Some(file) = line.strip_prefix("+++ b/") {
            path = file.trim_end_matches('\t').to_owned();
        } else if let Some(header) = line.strip_prefix("@@ -") {
            let (removed, rest) = header.split_once(" +").unwrap();
            let (added, _) = rest.split_once(" @@").unwrap();
            hunks
                .entry(path.clone())
                .or_default()
                .push(Hunk { removed: range(removed), added: range(added) });
        }
    }
    hunks
}

/// `START,COUNT` or `START`. An empty range is given by the line in front of it.
fn range(text: &str) -> Range<usize> {
    let (start, count) = text.split_once(',').unwrap_or((text, "1"));
    let (start, count): (usize, usize) = (start.parse().unwrap(), count.parse().unwrap());
    let start = if count == 0 { start } else { start - 1 };
    start..start + count
}

/// The values of all documents; `None` when one of them does not parse.
pub(super) fn documents(text: &str) -> Option<Vec<Value>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_yaml::Deserializer::from_str(text)
        .map(|document| {
            let mut value = serde_yaml::Value::deserialize(document).ok()?;
            value.apply_merge().ok()?;
            Some(plain(value))
        })
        .collect()
}

/// Any YAML value as JSON: keys become text, tags stay with the value.
fn plain(value: serde_yaml::Value) -> Value {
    match value {
        serde_yaml::Value::Mapping(entries) => {
            let key = |key| match plain(key) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            Value::Object(entries.into_iter().map(|(name, value)| (key(name), plain(value))).collect())
        }
        serde_yaml::Value::Sequence(items) => Value::Array(items.into_iter().map(plain).collect()),
        serde_yaml::Value::Tagged(tagged) => {
            Value::Array(vec![Value::String(tagged.tag.to_string()), plain(tagged.value)])
        }
        other => serde_json::to_value(&other).unwrap_or_else(|_| Value::String(format!("{other:?}"))),
    }
}

pub(super) fn compare(verdict: &mut Verdict, path: &str, before: &str, after: &str, hunks: &[Hunk]) {
    let Some(old) = documents(before) else {
        // Duplicate keys and the like: this parser is stricter than Kubernetes' own, and no judge here.
        return eprintln!(
            "field: {}: {path}: nothing to compare with, the other parser refuses it",
            verdict.name
        );
    };
    let Some(new) = documents(after) else {
        return verdict.faults.push(format!("{path} does not parse any more"));
    };
    verdict.documents += new.len();
    verdict.expect(new.len() == old.len(), || {
        format!("{path} had {} documents and has {}", old.len(), new.len())
    });
    verdict.expect(new != old, || format!("{path} was changed for nothing"));
    verdict.comments += before.lines().filter(|line| comment(line).is_some()).count();
    judge_hunks(verdict, path, before, after, &new, hunks);
}

fn judge_hunks(
    verdict: &mut Verdict,
    path: &str,
    before: &str,
    after: &str,
    value: &[Value],
    hunks: &[Hunk],
) {
    let (old, new): (Vec<&str>, Vec<&str>) =
        (before.split_inclusive('\n').collect(), after.split_inclusive('\n').collect());
    verdict.expect(!hunks.is_empty(), || format!("{path}: git sees no change"));
    for Hunk { removed, added } in hunks {
        verdict.added += added.len();
        verdict.removed += removed.len();
        for &line in &old[removed.clone()] {
            if let Some(comment) = comment(line) {
                let is_data = |line: &&str| path.contains("values") && is_entry_of(line, comment);
                let kept = new[added.clone()].iter().any(|line| line.contains(comment) || is_data(line));
                verdict.expect(kept, || format!("{path} lost the comment {comment:?}"));
            }
            // In flow style, what follows a last entry puts a comma behind it.
            let gets_comma =
                new[added.clone()].iter().any(|new| new.trim_end() == format!("{},", line.trim_end()));
            let twin = |at: &usize| is_collateral(line, new[*at]) || means_the_same(line, *at, &new, value);
            if let Some(at) = added.clone().find(twin).filter(|_| !gets_comma) {
                verdict.faults.push(format!("{path}:{}: {line:?} became {:?} for nothing", at + 1, new[at]));
            }
        }
    }
}

/// Whether a line is the entry, or the item, that a comment says.
fn is_entry_of(line: &str, comment: &str) -> bool {
    let body = comment.trim_start_matches('#').trim();
    let start = body.split_once(':').map_or(body.to_owned(), |(key, _)| format!("{key}:"));
    !start.is_empty() && line.trim().starts_with(&start)
}

/// The comment of a line, as far as a line tells: a `#` at its start or behind white space.
fn comment(line: &str) -> Option<&str> {
    let text = line.trim();
    if text.starts_with('#') {
        return Some(text);
    }
    let at = text.find(" #").or_else(|| text.find("\t#"))?;
    Some(text[at..].trim_start())
}

/// The same words at another place, or with other white space; a last line gets its line break with the line that
/// follows it now.
fn is_collateral(old: &str, new: &str) -> bool {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().concat();
    old.ends_with('\n') && !old.trim().is_empty() && words(old) == words(new)
}

/// Whether the removed line could have stayed in place of an added one without changing any value.
fn means_the_same(old: &str, at: usize, new: &[&str], value: &[Value]) -> bool {
    let mut lines = new.to_vec();
    if !old.ends_with('\n') && at + 1 < new.len() {
        return false;
    }
    lines[at] = old;
    documents(&lines.concat()).is_some_and(|documents| documents == value)
}
