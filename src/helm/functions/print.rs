//! Values as text: `printf`, and the YAML of `toYaml`.

use crate::helm::value::{Data, Value, float};

/// What `printf` makes of values.
pub(super) fn formatted(format: &str, values: &[Value]) -> Option<String> {
    let mut values = values.iter();
    let mut text = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        match rest.next()? {
            '%' => text.push('%'),
            verb => {
                let value = values.next()?;
                match (verb, &value.data) {
                    ('s' | 'v', Data::Text(_) | Data::Unknown(_)) => text.push_str(&value.printed()),
                    ('v', _) => text.push_str(&super::text(value)),
                    ('d', Data::Int(number)) => text.push_str(&number.to_string()),
                    ('t', Data::Bool(value)) => text.push_str(&value.to_string()),
                    ('q', Data::Text(inner)) => text.push_str(&format!("{inner:?}")),
                    // What Go writes for a value that does not fit its verb.
                    ('s' | 'd', Data::Float(number)) => {
                        text.push_str(&format!("%!{verb}(float64={})", float(*number)));
                    }
                    ('s', Data::Int(number)) => text.push_str(&format!("%!s(int={number})")),
                    ('s' | 'd', Data::Null) => text.push_str(&format!("%!{verb}(<nil>)")),
                    _ => return None,
                }
            }
        }
    }
    values.next().is_none().then_some(text)
}

/// YAML with one scalar a line, as Helm's is; long texts are one line here.
pub(super) fn yaml(value: &Value, indent: usize, lead: &str, lines: &mut Vec<String>) {
    let pad = " ".repeat(indent);
    match &value.data {
        Data::Map(entries) if !entries.borrow().is_empty() => {
            if !lead.is_empty() {
                lines.push(lead.to_owned());
            }
            for (key, value) in entries.borrow().iter() {
                let inner = if matches!(value.data, Data::List(_)) { indent } else { indent + 2 };
                yaml(value, inner, &format!("{pad}{key}:"), lines);
            }
        }
        Data::List(items) if !items.is_empty() => {
            if !lead.is_empty() {
                lines.push(lead.to_owned());
            }
            for item in items.iter() {
                yaml(item, indent + 2, &format!("{pad}-"), lines);
            }
        }
        _ => {
            let gap = if lead.is_empty() { "" } else { " " };
            lines.push(format!("{lead}{gap}{}", scalar(value)));
        }
    }
}

fn scalar(value: &Value) -> String {
    match &value.data {
        Data::Null => "null".to_owned(),
        Data::List(_) => "[]".to_owned(),
        Data::Map(_) => "{}".to_owned(),
        Data::Text(text) => {
            let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-:@".contains(c))
                && !text.ends_with(':')
                && !matches!(
                    &*text.to_ascii_lowercase(),
                    "true" | "false" | "null" | "yes" | "no" | "on" | "off"
                );
            match is_word {
                true => text.to_string(),
                // As Helm does: actions in there stay what they are, for `tpl`.
                false if !text.contains(char::is_control) => format!("'{}'", text.replace('\'', "''")),
                false => format!("{text:?}"),
            }
        }
        _ => value.printed(),
    }
}
