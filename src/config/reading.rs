//! Text of a `caseharden.toml` → [`RawConfig`], with every mistake and not only the first. Knows TOML,
//! not what a key means.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::mistake::Mistakes;
use super::raw::RawConfig;

/// Enough to work on; bounds the time that a hostile file can cost.
const MOST_MISTAKES: usize = 100;

/// Reads what can be read; the rest is in `mistakes`.
///
/// serde stops at the first value it cannot take. So the entry it stopped at is taken out and the rest is
/// read again, until nothing is wrong with what is left.
pub(crate) fn read(text: &str, mistakes: &mut Mistakes<'_>) -> RawConfig {
    let (mut document, syntax_errors) = DeTable::parse_recoverable(text);
    for error in syntax_errors.iter().take(MOST_MISTAKES) {
        mistakes.add_decoding(error);
    }
    if !syntax_errors.is_empty() {
        // What was recovered is a guess: judging it would blame the user for our guess.
        return RawConfig::default();
    }
    let mut removed_keys: Vec<String> = Vec::new();
    while mistakes.count() < MOST_MISTAKES {
        let error = match RawConfig::deserialize(toml::de::Deserializer::from(document.clone())) {
            Ok(config) => return config,
            Err(error) => error,
        };
        // A key that was taken out because its value is wrong is not missing.
        let ours = removed_keys.iter().position(|key| error.message() == format!("missing field `{key}`"));
        match ours {
            Some(index) => drop(removed_keys.remove(index)),
            None => mistakes.add_decoding(&error),
        }
        match error.span().and_then(|span| remove_from_table(document.get_mut(), &span)) {
            Some(Removed::Key(key)) => removed_keys.push(key),
            Some(Removed::Item) => {}
            None => break,
        }
    }
    RawConfig::default()
}

enum Removed {
    Key(String),
    Item,
}

/// Removes the innermost entry that `span` lies in.
fn remove_from_table(table: &mut DeTable<'_>, span: &Range<usize>) -> Option<Removed> {
    // The span of a `[header]` table is its header, so its entries are asked first whatever its span is.
    if let Some(removed) = table.iter_mut().find_map(|(_, value)| remove_inside(value.get_mut(), span)) {
        return Some(removed);
    }
    let hit =
        |(key, value): &(&Spanned<_>, &Spanned<_>)| covers(&key.span(), span) || covers(&value.span(), span);
    let key = table.iter().find(hit).map(|(key, _)| key.clone())?;
    table.remove(&key);
    Some(Removed::Key(key.into_inner().into_owned()))
}

fn remove_from_array(array: &mut DeArray<'_>, span: &Range<usize>) -> Option<Removed> {
    if let Some(removed) = array.iter_mut().find_map(|value| remove_inside(value.get_mut(), span)) {
        return Some(removed);
    }
    let index = array.iter().position(|value| covers(&value.span(), span))?;
    *array = std::mem::replace(array, DeArray::new())
        .into_iter()
        .enumerate()
        .filter(|(n, _)| *n != index)
        .map(|(_, v)| v)
        .collect();
    Some(Removed::Item)
}

fn remove_inside(value: &mut DeValue<'_>, span: &Range<usize>) -> Option<Removed> {
    match value {
        DeValue::Table(table) => remove_from_table(table, span),
        DeValue::Array(array) => remove_from_array(array, span),
        _ => None,
    }
}

fn covers(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// The span of a value that is only sometimes there.
pub(crate) fn span_of<T>(value: &Option<Spanned<T>>) -> Range<usize> {
    value.as_ref().map_or(0..0, Spanned::span)
}
