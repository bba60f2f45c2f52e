//! Changes that somebody edited by hand, in the way of `git add -p`: the hunk in an editor, and what becomes of it.
//!
//! What a person wrote is not planned, but it is held to the same: it must parse with both parsers, keep the number of
//! documents and every comment that it does not remove itself.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use super::items::Item;
use crate::apply;
use crate::cli::{Outcome, say};
use crate::render::escaped;
use crate::repo::{self, Root};
use crate::yaml::{Limits, Stream};

/// Lines of a file and what somebody made of them.
pub(super) struct Edited {
    path: String,
    /// The first of them, counted from 0.
    line: usize,
    old: String,
    new: String,
}

const HELP: &str = "\
# Lines with `-` go, lines with `+` come, lines with a blank stay.
# To keep a `-` line, make its sign a blank; to drop a `+` line, delete it.
# Lines that start with `#` are ignored. Without any other line nothing changes.
";

/// Opens the hunk in the editor; `None` when nothing is left of it.
pub(super) fn edit(item: &Item) -> anyhow::Result<Option<Edited>> {
    anyhow::ensure!(!item.is_new, "a new file is edited when it is there: take it first");
    let mut file = tempfile::Builder::new().prefix("caseharden-").suffix(".diff").tempfile()?;
    let hunk = item.hunk.lines.join("\n");
    writeln!(file, "{hunk}\n{HELP}")?;
    file.flush()?;
    let editor = ["GIT_EDITOR", "VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok());
    let editor = editor.unwrap_or_else(|| "vi".to_owned());
    let status = Command::new("sh")
        .args(["-c", &format!("{editor} \"$@\""), &editor])
        .arg(file.path())
        .status()
        .with_context(|| format!("`{editor}` does not start"))?;
    anyhow::ensure!(status.success(), "`{editor}` failed: nothing was taken");
    let text = std::fs::read_to_string(file.path())?;
    let old = side(&hunk, '-')?;
    if text.lines().all(|line| line.starts_with('#') || line.trim().is_empty()) {
        return Ok(None);
    }
    anyhow::ensure!(side(&text, '-')? == old, "lines with `-` or a blank are not those of the file");
    Ok(Some(Edited { path: item.path.clone(), line: item.hunk.old.start, old, new: side(&text, '+')? }))
}

/// The text of one side of a hunk.
fn side(hunk: &str, sign: char) -> anyhow::Result<String> {
    let mut text = String::new();
    let mut is_of_side = false;
    for line in hunk.split('\n') {
        match line.chars().next() {
            Some('#') | None => {}
            Some('\\') if is_of_side => {
                text.pop();
            }
            Some('\\') => {}
            Some(first) if first == sign || first == ' ' => {
                is_of_side = true;
                text.push_str(&line[1..]);
                text.push('\n');
            }
            Some('+' | '-') => is_of_side = false,
            Some(_) => anyhow::bail!("`{line}` starts with none of ` `, `+`, `-`"),
        }
    }
    Ok(text)
}

/// Writes all of them, each into its file as it is by then.
pub(super) fn write_all(paths: &[PathBuf], all: &[Edited], out: &mut dyn Write) -> anyhow::Result<Outcome> {
    if all.is_empty() {
        return Ok(Outcome::Done);
    }
    let root = Root::find(paths)?;
    let mut outcome = Outcome::Done;
    for edited in all {
        match write(&root, edited) {
            Ok(()) => writeln!(out, "{}", escaped(&edited.path))?,
            Err(error) => {
                outcome = Outcome::Failed;
                let reason = escaped(&format!("{error:#}")).into_owned();
                say(&format!("error: {}: not changed: {reason}\n", escaped(&edited.path)));
            }
        }
    }
    Ok(outcome)
}

fn write(root: &Root, edited: &Edited) -> anyhow::Result<()> {
    let native = repo::native(&edited.path);
    let before = std::fs::read_to_string(root.folder.join(&native))?;
    let at = place(&before, edited).context("its lines are not there any more")?;
    let after = format!("{}{}{}", &before[..at], edited.new, &before[at + edited.old.len()..]);
    prove(&before, &after)?;
    apply::write(&root.folder, &native, after.as_bytes(), Some(before.as_bytes()))?;
    Ok(())
}

/// Where its lines are, nearest to where they were.
fn place(text: &str, edited: &Edited) -> Option<usize> {
    let starts = text.match_indices(&edited.old).map(|(at, _)| at);
    let whole = starts.filter(|at| *at == 0 || text.as_bytes()[at - 1] == b'\n');
    whole.min_by_key(|at| text[..*at].matches('\n').count().abs_diff(edited.line))
}

fn prove(before: &str, after: &str) -> anyhow::Result<()> {
    let old = Stream::parse(before.to_owned(), &Limits::default())?;
    let new = Stream::parse(after.to_owned(), &Limits::default()).map_err(|error| {
        anyhow::anyhow!("the edited text is not YAML: {}:{}: {error}", error.line, error.column)
    })?;
    anyhow::ensure!(old.documents() == new.documents(), "the edited text has another number of documents");
    let values: Vec<_> = (0..new.documents())
        .map(|document| new.root(document).map(|root| root.value()).transpose())
        .collect::<Result<_, _>>()?;
    let wanted: Vec<_> = values.iter().map(Option::as_ref).collect();
    old.prove(after.to_owned(), &wanted, 0)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_a_hunk() {
        let hunk = " a\n-b\n+c\n+d\n# note\n";
        assert_eq!(side(hunk, '-').unwrap(), "a\nb\n");
        assert_eq!(side(hunk, '+').unwrap(), "a\nc\nd\n");
        assert_eq!(side("-a\n\\ No newline at end of file\n+b", '-').unwrap(), "a");
        assert_eq!(side("-a\n\\ No newline at end of file\n+b", '+').unwrap(), "b\n");
        assert!(side("x", '+').is_err());
    }

    #[test]
    fn the_nearest_of_equal_lines_is_meant() {
        let edited = |line| Edited { path: String::new(), line, old: "b\n".to_owned(), new: String::new() };
        assert_eq!(place("b\na\nb\n", &edited(0)), Some(0));
        assert_eq!(place("b\na\nb\n", &edited(3)), Some(4));
        assert_eq!(place("ab\n", &edited(0)), None);
    }

    #[test]
    fn what_is_no_yaml_or_loses_a_comment_is_refused() {
        assert!(prove("a: 1 # x\n", "a: 2 # x\n").is_ok());
        assert!(prove("a: 1 # x\n", "a: 2\n").is_err());
        assert!(prove("a: 1\n", "a: [\n").is_err());
        assert!(prove("a: 1\n", "a: 1\n---\nb: 2\n").is_err());
    }
}
