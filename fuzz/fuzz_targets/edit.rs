//! Bytes → text and wanted changes → edits → proof. Whatever the bytes are: nothing panics, and an edit that
//! is not refused is proved, and leaves nothing to do.
#![no_main]

use caseharden::yaml::{KeyOrder, Limits, Pointer, Slot, Stream};
use libfuzzer_sys::fuzz_target;
use mutation::{Random, change};
use serde_json::Value;

#[path = "../../src/yaml/mutation.rs"]
mod mutation;

/// Some place or other, the same for the same key.
struct Anywhere;

impl KeyOrder for Anywhere {
    fn slot(&self, _: &Pointer, existing: &[&str], key: &str) -> Slot {
        match key.len() % 3 {
            0 => Slot::First,
            1 if !existing.is_empty() => Slot::After(key.len() % existing.len()),
            _ => Slot::Last,
        }
    }
}

fuzz_target!(|input: (u64, u8, &str)| {
    let (seed, changes, text) = input;
    let limits = Limits { depth: 64, expanded_nodes: 20_000 };
    let Ok(stream) = Stream::parse(text.to_owned(), &limits) else { return };
    for comment in stream.comments() {
        assert!(text[comment.range.clone()].starts_with('#'));
    }
    let mut random = Random::new(seed);
    for document in 0..stream.documents() {
        let Some(Ok(mut wanted)) = stream.root(document).map(|root| root.value()) else { continue };
        for _ in 0..=changes % 4 {
            change(&mut wanted, &mut random);
        }
        prove(&stream, document, &wanted);
    }
});

fn prove(stream: &Stream, document: usize, wanted: &Value) {
    let Ok(edits) = stream.edits(document, wanted, &Anywhere) else { return };
    let after = stream.apply(edits);
    let mut all = vec![None; stream.documents()];
    all[document] = Some(wanted);
    match stream.prove(after.clone(), &all, 0) {
        Ok(proved) => {
            let again = proved.edits(document, wanted, &Anywhere);
            assert!(again.is_ok_and(|edits| edits.is_empty()), "a second run:\n{after}");
        }
        Err(defect) => {
            panic!("{defect}\n--- before\n{}\n--- after\n{after}\n--- wanted\n{wanted:#}", stream.text())
        }
    }
}
