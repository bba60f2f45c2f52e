//! Two renderings of a chart, held against each other.

use super::value::{TERM_END, TERM_START};
use super::{Pin, Unproved};
use crate::image::Reference;
use crate::model::Image;

/// In front of the path of the file that the lines behind it are from.
pub(super) const FILE: &str = "--- file ";

/// What a chart renders.
#[derive(Debug)]
pub(super) struct Rendered {
    pub(super) text: String,
    /// What other values could add.
    pub(super) untaken: Vec<String>,
    /// Names that had to do with the change and are not known.
    pub(super) unknown: Vec<String>,
}

impl Rendered {
    /// Whether `after` is the same but for the digest of the image.
    pub(super) fn pinned(&self, after: &Rendered, pin: Pin<'_>) -> Result<(), Unproved> {
        let mut found = 0;
        let outcome = self.differences(after, pin, &mut found);
        match outcome {
            Ok(()) if found > 0 => Ok(()),
            outcome => match after.unknown.first().or(self.unknown.first()) {
                Some(name) => Err(Unproved::Elsewhere(name.clone())),
                None => Err(outcome.err().unwrap_or(Unproved::Unused)),
            },
        }
    }

    fn differences(&self, after: &Rendered, pin: Pin<'_>, found: &mut usize) -> Result<(), Unproved> {
        if self.untaken.len() != after.untaken.len() {
            return Err(Unproved::RendersOther("its templates".to_owned()));
        }
        *found += same_lines(&self.text, &after.text, |before, after| is_pinned(before, after, pin))?;
        for (before, after) in self.untaken.iter().zip(&after.untaken) {
            *found += same_lines(before, after, |before, after| {
                is_pinned(before, after, pin) || is_pinned_elsewhere(before, after, pin)
            })?;
        }
        Ok(())
    }
}

/// The number of lines that differ, each as `is_right` allows.
fn same_lines(before: &str, after: &str, is_right: impl Fn(&str, &str) -> bool) -> Result<usize, Unproved> {
    let (mut old, mut new) = (before.lines(), after.lines());
    let (mut found, mut file) = (0, "");
    loop {
        let (old, new) = (old.next(), new.next());
        file = old.and_then(|line| line.strip_prefix(FILE)).unwrap_or(file);
        match (old, new) {
            (None, None) => return Ok(found),
            (Some(old), Some(new)) if old == new => {}
            (Some(old), Some(new)) if is_right(old, new) => found += 1,
            (Some(old), Some(new)) if is_checksum(old) && is_checksum(new) => {}
            (Some(old), Some(new)) => {
                let (before, after) = words(old, new);
                let is_long = |text: &str| text.len() > 200 || text.contains([TERM_START, TERM_END]);
                return Err(if is_long(before) || is_long(after) {
                    Unproved::RendersOther(file.to_owned())
                } else {
                    Unproved::Renders { before: before.to_owned(), after: after.to_owned() }
                });
            }
            _ => return Err(Unproved::RendersOther(file.to_owned())),
        }
    }
}

/// An annotation that follows what another file renders, which is compared there.
fn is_checksum(line: &str) -> bool {
    let (key, value) = line.split_once(':').unwrap_or_default();
    let value = value.trim().trim_matches('"');
    key.trim_start().starts_with("checksum")
        && value.strip_prefix(TERM_START).is_some_and(|term| term.starts_with("sha256sum("))
        && value.find(TERM_END) == Some(value.len() - TERM_END.len_utf8())
}

/// The words of two lines that differ.
fn words<'a>(before: &'a str, after: &'a str) -> (&'a str, &'a str) {
    let shared = |(a, b): &(char, char)| a == b;
    let start: usize = before.chars().zip(after.chars()).take_while(shared).map(|(a, _)| a.len_utf8()).sum();
    let most = before.len().min(after.len()) - start;
    let mut end = 0;
    for (a, b) in before.chars().rev().zip(after.chars().rev()) {
        if a != b || end + a.len_utf8() > most {
            break;
        }
        end += a.len_utf8();
    }
    let ends_word = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '=' | ',');
    let start = before[..start].rfind(ends_word).map_or(0, |at| at + 1);
    let tail = |text: &'a str| {
        let from = text.len() - end;
        let stop =
            text[from..].find(|c| ends_word(c) || matches!(c, ']' | '}')).map_or(text.len(), |at| from + at);
        text.get(start..stop).unwrap_or_default()
    };
    (tail(before), tail(after))
}

fn is_pinned(before: &str, after: &str, pin: Pin<'_>) -> bool {
    let (before, after) = words(before, after);
    Reference::parse(before).is_ok_and(|reference| reference == *pin.reference)
        && has_digest(before, after, pin)
}

/// The same repository and tag from another registry, which other values would name.
fn is_pinned_elsewhere(before: &str, after: &str, pin: Pin<'_>) -> bool {
    let (before, after) = words(before, after);
    let known = |text: &str| {
        let known = text.rsplit(TERM_END).next().unwrap_or(text);
        known.trim_start_matches('/').to_owned()
    };
    let (before, after) = (known(before), known(after));
    let is_same = Image::parse(&before).is_some_and(|image| {
        pin.reference.name().ends_with(image.repository()) && image.tag == pin.reference.tag()
    });
    is_same && has_digest(&before, &after, pin)
}

/// Whether it is the same name with the digest, and no other tag.
fn has_digest(before: &str, after: &str, pin: Pin<'_>) -> bool {
    let (Some(old), Some(new)) = (Image::parse(before), Image::parse(after)) else { return false };
    new.name() == old.name()
        && new.digest == Some(pin.digest.as_str())
        && (new.tag.is_none() || new.tag == old.tag || old.tag.is_none() && new.tag == Some("latest"))
        && Reference::parse(after).is_ok()
}
