//! Text of a lock file → [`Lock`]. Every mistake has its place: a lock file is merged by machines and by hand.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::{Lock, Locked, LockedChart, OtherUser, Verdict, Verification};
use crate::config::Mistake;
use crate::config::mistake::Mistakes;
use crate::image::{Digest, Reference};
use crate::image_facts::Facts;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Raw {
    version: Spanned<u32>,
    #[serde(default)]
    image: BTreeMap<Spanned<String>, RawLocked>,
    #[serde(default)]
    chart: BTreeMap<String, RawChart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawChart {
    digest: Spanned<String>,
    #[serde(default)]
    rendered: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawLocked {
    digest: Spanned<String>,
    media_type: String,
    #[serde(default)]
    platforms: Vec<String>,
    #[serde(default)]
    index: Option<Spanned<String>>,
    #[serde(default)]
    signatures: Option<Vec<String>>,
    #[serde(default)]
    verification: Option<RawVerification>,
    #[serde(default)]
    version_tag: Option<String>,
    #[serde(default)]
    facts: Option<Facts>,
    #[serde(default)]
    other_users: Vec<OtherUser>,
    #[serde(default)]
    no_facts: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawVerification {
    keys: Vec<Spanned<String>>,
    #[serde(default)]
    signed_by: Option<Spanned<String>>,
    #[serde(default)]
    fault: Option<String>,
}

pub(super) fn parse(text: &str, path: &Path) -> Result<Lock, Vec<Mistake>> {
    let mut mistakes = Mistakes::new(text, path);
    find_conflicts(text, &mut mistakes);
    if mistakes.count() > 0 {
        return Err(mistakes.into_sorted());
    }
    let raw: Raw = match toml::from_str(text) {
        Ok(raw) => raw,
        Err(error) => {
            mistakes.add_decoding(&error);
            return Err(mistakes.into_sorted());
        }
    };
    if *raw.version.get_ref() != 1 {
        let help = Some("it was written by a newer caseharden: use that one".to_owned());
        mistakes.add(
            raw.version.span(),
            format!("version {} of the lock file is unknown", raw.version.get_ref()),
            help,
        );
        return Err(mistakes.into_sorted());
    }
    let mut lock = Lock::default();
    for (key, raw) in raw.image {
        if let Some((reference, locked)) = locked(&key, raw, &mut mistakes) {
            lock.insert(reference, locked);
        }
    }
    for (name, raw) in raw.chart {
        if let Some(chart) = chart(&raw, &mut mistakes) {
            lock.insert_chart(name, chart);
        }
    }
    match mistakes.into_sorted() {
        none if none.is_empty() => Ok(lock),
        mistakes => Err(mistakes),
    }
}

/// Markers of a merge that nobody finished; TOML's own message would only wonder about a `<`.
fn find_conflicts(text: &str, mistakes: &mut Mistakes<'_>) {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with("<<<<<<< ")
            || line.starts_with(">>>>>>> ")
            || line.trim_end() == "======="
            || line.starts_with("||||||| ")
        {
            let help = Some("take either side, then run `caseharden lock`".to_owned());
            mistakes.add(offset..offset + line.len(), "a conflict marker of an unfinished merge", help);
        }
        offset += line.len();
    }
}

const AGAIN: &str = "remove the block and run `caseharden lock`";

fn locked(key: &Spanned<String>, raw: RawLocked, mistakes: &mut Mistakes<'_>) -> Option<(Reference, Locked)> {
    let shown = key.get_ref().escape_debug();
    let again = || Some(AGAIN.to_owned());
    let reference = match Reference::parse(key.get_ref()) {
        Ok(reference) if reference.to_string() == *key.get_ref() => reference,
        Ok(reference) => {
            mistakes.add(
                key.span(),
                format!("`{shown}` is not written in full"),
                Some(format!("write `{reference}`")),
            );
            return None;
        }
        Err(error) => {
            mistakes.add(key.span(), format!("`{shown}`: {error}"), again());
            return None;
        }
    };
    let digest = self::digest(&raw.digest, mistakes)?;
    if reference.digest().is_some_and(|own| *own != digest) {
        mistakes.add(raw.digest.span(), "not the digest that the block is about", again());
        return None;
    }
    let index = match &raw.index {
        Some(index) => Some(self::digest(index, mistakes)?),
        None => None,
    };
    let verification = match raw.verification {
        Some(raw) => Some(verification(raw, mistakes)?),
        None => None,
    };
    let RawLocked { media_type, platforms, signatures, version_tag, facts, other_users, no_facts, .. } = raw;
    let locked = Locked {
        digest,
        media_type,
        platforms,
        index,
        signatures,
        verification,
        version_tag,
        facts,
        other_users,
        no_facts,
    };
    Some((reference, locked))
}

fn chart(raw: &RawChart, mistakes: &mut Mistakes<'_>) -> Option<LockedChart> {
    let digest = self::digest(&raw.digest, mistakes)?;
    let mut outlines = Vec::new();
    for text in &raw.rendered {
        match serde_json::from_str(text.get_ref()) {
            Ok(outline) => outlines.push(outline),
            Err(error) => {
                let message = format!("what the chart renders cannot be read: {error}");
                mistakes.add(text.span(), message, Some(AGAIN.to_owned()));
                return None;
            }
        }
    }
    Some(LockedChart { digest, outlines })
}

fn digest(text: &Spanned<String>, mistakes: &mut Mistakes<'_>) -> Option<Digest> {
    let digest = Digest::parse(text.get_ref());
    if digest.is_none() {
        let shown = text.get_ref().escape_debug();
        let message = format!("`{shown}` is not a digest like `sha256:` and 64 lower-case hex digits");
        mistakes.add(text.span(), message, Some(AGAIN.to_owned()));
    }
    digest
}

fn verification(raw: RawVerification, mistakes: &mut Mistakes<'_>) -> Option<Verification> {
    let mut keys = Vec::new();
    for key in &raw.keys {
        let parts = key.get_ref().rsplit_once(' ');
        let Some((name, digest)) = parts.and_then(|(name, digest)| Some((name, Digest::parse(digest)?)))
        else {
            let shown = key.get_ref().escape_debug();
            let message = format!("`{shown}` is not a key's file and the digest of its content");
            mistakes.add(key.span(), message, Some(AGAIN.to_owned()));
            return None;
        };
        keys.push((name.to_owned(), digest));
    }
    let verdict = match (raw.signed_by, raw.fault) {
        (Some(by), fault) => {
            if fault.is_some() || !keys.iter().any(|(name, _)| name == by.get_ref()) {
                let message = "a signature is by one of the `keys`, and then there is no `fault`";
                mistakes.add(by.span(), message, Some(AGAIN.to_owned()));
                return None;
            }
            Verdict::Verified(by.into_inner())
        }
        (None, Some(fault)) => Verdict::Invalid(fault),
        (None, None) => Verdict::Absent,
    };
    Some(Verification { keys, verdict })
}
