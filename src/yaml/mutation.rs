//! Random changes to a value, for tests and the fuzzer: a seed decides everything.
//!
//! Knows only JSON values.

use serde_json::{Map, Value, json};

/// A small random number generator (xorshift*), the same on every machine.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        bits as usize % limit.max(1)
    }

    pub(super) fn pick<'v, T: ?Sized>(&mut self, from: &[&'v T]) -> &'v T {
        from[self.below(from.len())]
    }
}

const KEYS: &[&str] =
    &["added", "securityContext", "first", "mid", "a b", "true", "0644", "é", "x: y", "#k", "", "a,b", "~"];
const STRINGS: &[&str] = &[
    "x",
    "nginx:1.27",
    "",
    "yes",
    "0755",
    "a: b",
    "a #b",
    "- x",
    "two\nlines",
    "two\nlines\n",
    " lead",
    "tab\there",
    "it's",
    "say \"hi\"",
    "{{ x }}",
    "é\u{feff}",
    "a,b]",
    "--flag=1",
    "1e3",
    "|",
    "x\n\n",
    "trailing ",
    "\u{85}",
    "*a",
    "!t",
    "@",
    "\r",
    "a\r\nb",
    "\n",
    "---",
    "...",
    "%x",
    "multi\n  indented\n\nline\n",
    "end:",
    "12:30:45",
    "null",
    "\\",
];

pub(super) fn scalar(random: &mut Random) -> Value {
    match random.below(8) {
        0 => Value::Null,
        1 => json!(random.below(2) == 0),
        2 => json!(random.below(70_000)),
        3 => json!(-1.5),
        _ => json!(random.pick(STRINGS)),
    }
}

pub(super) fn any(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 2 } else { 5 }) {
        0 | 1 => scalar(random),
        2 => {
            let entries =
                (0..random.below(4)).map(|_| (random.pick(KEYS).to_owned(), any(random, depth - 1)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        3 => Value::Array((0..random.below(4)).map(|_| scalar(random)).collect()),
        _ => Value::Array((0..random.below(3)).map(|_| any(random, depth - 1)).collect()),
    }
}

/// Changes one random place of a value.
pub(super) fn change(value: &mut Value, random: &mut Random) {
    let stop = random.below(4) == 0;
    match value {
        Value::Object(map) if !map.is_empty() && !stop => {
            let index = random.below(map.len());
            if let Some(inner) = map.values_mut().nth(index) {
                change(inner, random);
            }
        }
        Value::Array(items) if !items.is_empty() && !stop => {
            let index = random.below(items.len());
            change(&mut items[index], random);
        }
        Value::Object(map) => match random.below(4) {
            0 if !map.is_empty() => {
                let key = map.keys().nth(random.below(map.len())).cloned().unwrap_or_default();
                map.shift_remove(&key);
            }
            1 => {
                let fresh = any(random, 2);
                *value = fresh;
            }
            _ => {
                map.insert(random.pick(KEYS).to_owned(), any(random, 3));
            }
        },
        Value::Array(items) => match random.below(4) {
            0 if !items.is_empty() => {
                items.remove(random.below(items.len()));
            }
            1 => {
                let fresh = any(random, 2);
                *value = fresh;
            }
            _ => items.insert(random.below(items.len() + 1), any(random, 3)),
        },
        _ => *value = if random.below(3) == 0 { any(random, 2) } else { scalar(random) },
    }
}
