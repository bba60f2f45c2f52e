//! A lock as text: the same bytes for the same content, one line a fact so that a review sees what moved.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Lock, Verdict, Verification};

const HEADER: &str = "# Written by `caseharden lock`. Review it like code: the digests are what will run, the facts are what\n\
# fixes rest on. After a conflict take either side and run `caseharden lock` again.\n";

/// Longer lists get a line for each item.
const LONGEST_LINE: usize = 100;

pub(super) fn render(lock: &Lock) -> String {
    let mut text = format!("{HEADER}version = 1\n");
    for (reference, locked) in &lock.images {
        let _ = writeln!(text, "\n[image.{}]", quoted(&reference.to_string()));
        entry(&mut text, "digest", &locked.digest.as_str().into());
        entry(&mut text, "media-type", &locked.media_type.as_str().into());
        entry(&mut text, "platforms", &locked.platforms.as_slice().into());
        if let Some(index) = &locked.index {
            entry(&mut text, "index", &index.as_str().into());
        }
        if let Some(signatures) = &locked.signatures {
            entry(&mut text, "signatures", &signatures.as_slice().into());
        }
        if let Some(verification) = &locked.verification {
            verified(&mut text, verification);
        }
        if let Some(tag) = &locked.version_tag {
            entry(&mut text, "version-tag", &tag.as_str().into());
        }
        if let Some(reason) = &locked.no_facts {
            entry(&mut text, "no-facts", &reason.as_str().into());
        }
        if !locked.other_users.is_empty() {
            let users = serde_json::to_value(&locked.other_users).expect("users are plain values");
            entry(&mut text, "other-users", &users);
        }
        let facts =
            locked.facts.as_ref().map(|facts| serde_json::to_value(facts).expect("facts are plain values"));
        for (key, value) in facts.iter().filter_map(Value::as_object).flatten() {
            entry(&mut text, &format!("facts.{key}"), value);
        }
    }
    for (name, chart) in &lock.charts {
        let _ = writeln!(text, "\n[chart.{}]", quoted(name));
        entry(&mut text, "digest", &chart.digest.as_str().into());
        let outlines = chart.outlines.iter();
        let outlines =
            outlines.map(|outline| serde_json::to_string(outline).expect("outlines are plain values"));
        let rendered: Vec<String> = outlines.collect();
        entry(&mut text, "rendered", &rendered.into());
    }
    text
}

fn verified(text: &mut String, verification: &Verification) {
    let keys: Vec<String> =
        verification.keys.iter().map(|(name, digest)| format!("{name} {digest}")).collect();
    entry(text, "verification.keys", &keys.into());
    match &verification.verdict {
        Verdict::Verified(key) => entry(text, "verification.signed-by", &key.as_str().into()),
        Verdict::Invalid(fault) => entry(text, "verification.fault", &fault.as_str().into()),
        Verdict::Absent => {}
    }
}

fn entry(text: &mut String, key: &str, value: &Value) {
    let line = format!("{key} = {}", inline(value));
    match value {
        Value::Array(items) if line.chars().count() > LONGEST_LINE => {
            let _ = writeln!(text, "{key} = [");
            for item in items {
                let _ = writeln!(text, "    {},", inline(item));
            }
            text.push_str("]\n");
        }
        _ => {
            let _ = writeln!(text, "{line}");
        }
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

/// A basic string of TOML. What would not show, or would show as something else, is escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            char if char.is_control()
                || !char.is_ascii() && crate::render::escaped(char.encode_utf8(&mut [0; 4])).len() > 4 =>
            {
                let _ = write!(quoted, "\\u{:04X}", u32::from(char));
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}
