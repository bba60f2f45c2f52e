//! Properties of edits: random documents in random styles, random changes.
//!
//! Proptest chooses the seeds and sizes; [`Writer`] and [`super::mutation`] turn them into texts and changes.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::mutation::{Random, change, scalar};
use super::render::is_literal;
use super::scalar::{Quotes, inline, string};
use super::*;

/// Writes values in styles that change from line to line.
struct Writer {
    random: Random,
    /// Several indent steps and dash styles in one document.
    mixed: bool,
    step: usize,
    zero_indent: bool,
    comments: bool,
    flow: bool,
    anchors: usize,
    lines: Vec<String>,
}

const KEYS: [&str; 8] = ["a", "kind", "spec", "name", "labels", "list", "image", "x-é"];

fn document(random: &mut Random, size: usize) -> Value {
    let entries = (0..=random.below(size + 1)).map(|_| {
        let value = match random.below(if size == 0 { 2 } else { 6 }) {
            0 | 1 => scalar(random),
            2 | 3 => document(random, size - 1),
            4 => Value::Array((0..random.below(4)).map(|_| scalar(random)).collect()),
            _ => Value::Array((0..random.below(4)).map(|_| document(random, size - 1)).collect()),
        };
        (KEYS[random.below(KEYS.len())].to_owned(), value)
    });
    Value::Object(entries.collect::<Map<_, _>>())
}

impl Writer {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        Writer {
            mixed: random.below(4) == 0,
            step: [2, 2, 4, 3][random.below(4)],
            zero_indent: random.below(2) == 0,
            comments: random.below(2) == 0,
            flow: random.below(2) == 0,
            anchors: 0,
            lines: Vec::new(),
            random,
        }
    }

    fn one_in(&mut self, number: usize) -> bool {
        self.random.below(number) == 0
    }

    fn step(&mut self) -> usize {
        if self.mixed { 1 + self.random.below(5) } else { self.step }
    }

    fn comment(&mut self, column: usize) {
        if self.comments && self.one_in(6) {
            let line = format!("{}# comment {}", " ".repeat(column), self.random.below(100));
            self.lines.push(line);
        }
        if self.one_in(12) {
            self.lines.push(String::new());
        }
    }

    fn trailing(&mut self) -> String {
        if self.comments && self.one_in(6) { format!(" # {}", self.random.below(100)) } else { String::new() }
    }

    fn scalar(&mut self, value: &Value, in_flow: bool) -> String {
        let quotes = [Quotes::Plain, Quotes::Plain, Quotes::Single, Quotes::Double][self.random.below(4)];
        if value.is_null() && self.one_in(2) { "~".to_owned() } else { inline(value, quotes, in_flow) }
    }

    fn anchor(&mut self) -> String {
        if !self.one_in(25) {
            return String::new();
        }
        self.anchors += 1;
        format!("&a{} ", self.anchors)
    }

    fn flow(&mut self, value: &Value) -> String {
        let pad = if self.one_in(3) { " " } else { "" };
        match value {
            Value::Object(map) if !map.is_empty() => {
                let entries = map.iter().map(|(key, value)| {
                    format!("{}: {}", string(key, Quotes::Plain, true), self.flow(value))
                });
                let entries: Vec<String> = entries.collect();
                format!("{{{pad}{}{pad}}}", entries.join(", "))
            }
            Value::Array(items) if !items.is_empty() => {
                let items: Vec<String> = items.iter().map(|item| self.flow(item)).collect();
                format!("[{}]", items.join(", "))
            }
            scalar => self.scalar(scalar, true),
        }
    }

    /// What stands behind `key:` or a dash; `column` is where the key or dash is.
    fn value(&mut self, head: String, value: &Value, column: usize, in_item: bool) {
        let anchor = self.anchor();
        let is_empty =
            value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
        let is_collection = (value.is_array() || value.is_object()) && !is_empty;
        if is_collection && !(self.flow && self.one_in(5)) {
            if in_item && anchor.is_empty() && value.is_object() && !self.one_in(8) {
                let at = self.lines.len();
                let comments = std::mem::take(&mut self.comments);
                self.block(value, column + 2);
                self.comments = comments;
                // The first key moves up to the dash.
                while self.lines[at].is_empty() {
                    self.lines.remove(at);
                }
                let first = self.lines[at].trim_start().to_owned();
                self.lines[at] = format!("{head} {first}");
                return;
            }
            let trailing = self.trailing();
            self.lines.push(format!("{head} {anchor}").trim_end().to_owned() + &trailing);
            let zero = if self.mixed { self.one_in(2) } else { self.zero_indent };
            let deeper = if value.is_array() && zero && !in_item {
                0
            } else {
                self.step().max(usize::from(in_item) * 2)
            };
            self.block(value, column + deeper);
            return;
        }
        if let Some(text) = value.as_str().filter(|text| is_literal(text))
            && self.one_in(2)
        {
            let step = self.step();
            let header = super::render::literal_header(text);
            let trailing = self.trailing();
            self.lines.push(format!("{head} {anchor}{header}{trailing}"));
            super::render::literal_lines(text, column + step, &mut self.lines);
            return;
        }
        let text = if is_collection { self.flow(value) } else { self.scalar(value, false) };
        let gap = if self.one_in(10) { "  " } else { " " };
        let trailing = self.trailing();
        self.lines.push(format!("{head}{gap}{anchor}{text}{trailing}"));
    }

    fn block(&mut self, value: &Value, column: usize) {
        let indent = " ".repeat(column);
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    self.comment(column);
                    self.value(
                        format!("{indent}{}:", string(key, Quotes::Plain, false)),
                        value,
                        column,
                        false,
                    );
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.comment(column);
                    self.value(format!("{indent}-"), item, column, true);
                }
            }
            _ => {}
        }
        self.comment(column);
    }
}

/// A stream of random documents and their values.
fn stream(seed: u64, size: usize) -> (String, Vec<Value>) {
    let mut random = Random::new(seed);
    let mut writer = Writer::new(seed ^ 0xabcd);
    let mut values = Vec::new();
    for number in 0..=random.below(3) {
        if number > 0 || random.below(3) == 0 {
            writer.lines.push("---".to_owned());
        }
        let value = document(&mut random, size);
        writer.block(&value, 0);
        values.push(value);
    }
    let eol = if random.below(4) == 0 { "\r\n" } else { "\n" };
    let mut text = writer.lines.join(eol);
    if random.below(4) > 0 {
        text.push_str(eol);
    }
    if random.below(8) == 0 {
        text.insert(0, source::BOM);
    }
    (text, values)
}

struct Somewhere;

impl KeyOrder for Somewhere {
    fn slot(&self, _: &Pointer, existing: &[&str], key: &str) -> Slot {
        match key.len() % 3 {
            0 => Slot::First,
            1 => Slot::After(key.len() % existing.len().max(1)),
            _ => Slot::Last,
        }
    }
}

fn parsed(text: &str) -> Stream {
    Stream::parse(text.to_owned(), &Limits::default()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The text after the change, proved.
fn edited(stream: &Stream, document: usize, wanted: &Value) -> String {
    let edits = stream.edits(document, wanted, &Somewhere).unwrap();
    let after = stream.apply(edits);
    let mut all = vec![None; stream.documents()];
    all[document] = Some(wanted);
    match stream.prove(after.clone(), &all, 0) {
        Ok(proved) => assert_eq!(proved.edits(document, wanted, &Somewhere), Ok(Vec::new())),
        Err(defect) => {
            panic!("{defect}\n--- before\n{}\n--- after\n{after}\n--- wanted\n{wanted}", stream.text())
        }
    }
    after
}

/// Pointers to all mappings or all scalars of a value.
fn pointers(
    value: &Value,
    at: &mut PointerBuf,
    wanted: &dyn Fn(&Value) -> bool,
    found: &mut Vec<PointerBuf>,
) {
    if wanted(value) {
        found.push(at.clone());
    }
    let mut inner = |token: &str, value: &Value| {
        at.push_back(token);
        pointers(value, at, wanted, found);
        at.pop_back();
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| inner(key, value)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| inner(&index.to_string(), value));
        }
        _ => {}
    }
}

fn is_subsequence(old: &str, new: &str) -> bool {
    let old = old.trim_start_matches(source::BOM);
    let mut new = new.trim_start_matches(source::BOM).lines();
    old.lines().all(|old| new.any(|new| new == old))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn texts_mean_what_was_written(seed in any::<u64>(), size in 0usize..5) {
        let (text, values) = stream(seed, size);
        let parsed = parsed(&text);
        let found: Vec<Value> = (0..parsed.documents())
            .map(|document| parsed.root(document).map_or(Value::Null, |root| root.value().unwrap()))
            .collect();
        prop_assert_eq!(&found, &values, "{}", text);
        for (document, value) in values.iter().enumerate() {
            prop_assert_eq!(parsed.edits(document, value, &Somewhere), Ok(Vec::new()));
        }
    }

    #[test]
    fn any_change_is_reached_and_proved(seed in any::<u64>(), size in 0usize..5, changes in 1usize..5) {
        let (text, values) = stream(seed, size);
        let parsed = parsed(&text);
        let mut random = Random::new(seed.rotate_left(7));
        let document = random.below(values.len());
        let mut wanted = values[document].clone();
        for _ in 0..changes {
            change(&mut wanted, &mut random);
        }
        edited(&parsed, document, &wanted);
    }

    #[test]
    fn other_documents_are_untouched(seed in any::<u64>(), size in 1usize..4) {
        let (text, values) = stream(seed, size);
        let parsed = parsed(&text);
        let mut random = Random::new(seed.rotate_left(9));
        let document = random.below(values.len());
        let mut wanted = values[document].clone();
        change(&mut wanted, &mut random);
        let region = &parsed.arena.documents[document];
        let start = document.checked_sub(1).map_or(0, |before| parsed.arena.documents[before].end);
        for edit in parsed.edits(document, &wanted, &Somewhere).unwrap() {
            prop_assert!(edit.range.start >= start as usize && edit.range.end <= region.end as usize, "{:?}", edit);
        }
    }

    #[test]
    fn a_new_key_in_a_block_mapping_removes_no_line(seed in any::<u64>(), size in 0usize..5) {
        let (text, values) = stream(seed, size);
        let parsed = parsed(&text);
        let mut random = Random::new(seed.rotate_left(11));
        let document = random.below(values.len());
        let mut found = Vec::new();
        let is_filled = |value: &Value| value.as_object().is_some_and(|map| !map.is_empty());
        pointers(&values[document], &mut PointerBuf::new(), &is_filled, &mut found);
        found.retain(|at| {
            let range = parsed.locate(document, at).unwrap();
            // Not inside of flow collections.
            !text[range].contains(['{', '['])
        });
        if let Some(at) = found.get(random.below(found.len())) {
            let mut wanted = values[document].clone();
            wanted.pointer_mut(at.as_str()).unwrap()["securityContext"] = json!({"runAsNonRoot": true, "drop": ["ALL"]});
            let after = edited(&parsed, document, &wanted);
            prop_assert!(is_subsequence(&text, &after), "--- before\n{}\n--- after\n{}", text, after);
            // One line less where the document writes its lists as `[a, b]`.
            prop_assert!([3, 4].contains(&(after.lines().count() - text.lines().count())), "{}", after);
        }
    }

    #[test]
    fn a_replaced_scalar_changes_one_line(seed in any::<u64>(), size in 0usize..5) {
        let (text, values) = stream(seed, size);
        let parsed = parsed(&text);
        let mut random = Random::new(seed.rotate_left(13));
        let document = random.below(values.len());
        let mut found = Vec::new();
        let is_scalar = |value: &Value| !value.is_array() && !value.is_object();
        pointers(&values[document], &mut PointerBuf::new(), &is_scalar, &mut found);
        found.retain(|at| !text[parsed.locate(document, at).unwrap()].contains('\n'));
        if let Some(at) = found.get(random.below(found.len())) {
            let mut wanted = values[document].clone();
            *wanted.pointer_mut(at.as_str()).unwrap() = json!("registry.example/app:1.2.3");
            let after = edited(&parsed, document, &wanted);
            let (old, new): (Vec<&str>, Vec<&str>) = (text.lines().collect(), after.lines().collect());
            prop_assert_eq!(old.len(), new.len());
            prop_assert_eq!(old.iter().zip(&new).filter(|(old, new)| old != new).count(), 1);
        }
    }
}
