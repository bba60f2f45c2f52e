//! What templates compute with: plain values, and terms that stand for values nobody here can know.
//!
//! Every value remembers whether it comes from the part of the values that is about to change.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::image::Digest;
use crate::pointer::{token, within};

/// A mapping is shared by all that hold it, as in Go: `set` changes it for everybody.
pub(super) type Map = Rc<RefCell<BTreeMap<String, Value>>>;

#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) data: Data,
    /// Whether it depends on what is about to change.
    pub(super) changing: bool,
    /// Where in the values it is from (RFC 6901), while it is just that.
    pub(super) origin: Option<Rc<str>>,
}

#[derive(Debug, Clone)]
pub(super) enum Data {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Rc<str>),
    List(Rc<Vec<Value>>),
    Map(Map),
    /// A term: the same term stands for the same value.
    Unknown(Rc<str>),
}

/// Longer terms are named by their hash.
const LONGEST_TERM: usize = 160;

impl Value {
    pub(super) fn new(data: Data) -> Value {
        Value { data, changing: false, origin: None }
    }

    pub(super) fn null() -> Value {
        Value::new(Data::Null)
    }

    pub(super) fn bool(value: bool) -> Value {
        Value::new(Data::Bool(value))
    }

    pub(super) fn text(text: impl Into<Rc<str>>) -> Value {
        Value::new(Data::Text(text.into()))
    }

    pub(super) fn list(items: Vec<Value>) -> Value {
        Value::new(Data::List(Rc::new(items)))
    }

    pub(super) fn map(entries: BTreeMap<String, Value>) -> Value {
        Value::new(Data::Map(Rc::new(RefCell::new(entries))))
    }

    /// A value of its own for what cannot be computed.
    pub(super) fn unknown(term: &str) -> Value {
        let term = if term.len() > LONGEST_TERM {
            let name: String = term.chars().take(40).collect();
            format!("{name}…{}", &Digest::of(term.as_bytes()).hex()[..16])
        } else {
            term.to_owned()
        };
        Value::new(Data::Unknown(term.into()))
    }

    pub(super) fn depending(mut self, changing: bool) -> Value {
        self.changing |= changing;
        self
    }

    /// As Helm reads values: numbers are floating point. What is at or below one of the `changing` pointers changes.
    pub(super) fn from_json(value: &serde_json::Value, at: &str, changing: &[&str]) -> Value {
        use serde_json::Value as Json;
        let below = |key: &str| format!("{at}/{}", token(key));
        let data = match value {
            Json::Null => Data::Null,
            Json::Bool(value) => Data::Bool(*value),
            Json::Number(number) => Data::Float(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Data::Text(text.as_str().into()),
            Json::Array(items) => {
                let items = items.iter().enumerate();
                let items =
                    items.map(|(idx, item)| Value::from_json(item, &below(&idx.to_string()), changing));
                Data::List(Rc::new(items.collect()))
            }
            Json::Object(entries) => {
                let entries = entries.iter();
                let entries =
                    entries.map(|(key, value)| (key.clone(), Value::from_json(value, &below(key), changing)));
                Data::Map(Rc::new(RefCell::new(entries.collect())))
            }
        };
        Value { data, changing: changing.iter().any(|outer| within(at, outer)), origin: Some(at.into()) }
    }

    /// A value that templates made, from nowhere in the values.
    pub(super) fn plain(value: &serde_json::Value) -> Value {
        Value::from_json(value, "", &[]).nowhere()
    }

    fn nowhere(self) -> Value {
        Value::new(match self.data {
            Data::List(items) => Data::List(Rc::new(items.iter().cloned().map(Value::nowhere).collect())),
            Data::Map(entries) => {
                let entries = entries.borrow();
                let entries = entries.iter().map(|(key, value)| (key.clone(), value.clone().nowhere()));
                Data::Map(Rc::new(RefCell::new(entries.collect())))
            }
            data => data,
        })
    }

    /// As JSON; `None` for terms and numbers JSON cannot say.
    pub(super) fn json(&self) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        Some(match &self.data {
            Data::Null => Json::Null,
            Data::Bool(value) => (*value).into(),
            Data::Int(value) => (*value).into(),
            Data::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => (*value as i64).into(),
            Data::Float(value) => Json::Number(serde_json::Number::from_f64(*value)?),
            Data::Text(text) => Json::String(text.to_string()),
            Data::List(items) => Json::Array(items.iter().map(Value::json).collect::<Option<_>>()?),
            Data::Map(entries) => {
                let entries = entries.borrow();
                let entries = entries.iter().map(|(key, value)| Some((key.clone(), value.json()?)));
                Json::Object(entries.collect::<Option<_>>()?)
            }
            Data::Unknown(_) => return None,
        })
    }

    /// Go templates' truth; `None` for a term.
    pub(super) fn truth(&self) -> Option<bool> {
        Some(match &self.data {
            Data::Null => false,
            Data::Bool(value) => *value,
            Data::Int(value) => *value != 0,
            Data::Float(value) => *value != 0.0,
            Data::Text(text) => !text.is_empty(),
            Data::List(items) => !items.is_empty(),
            Data::Map(entries) => !entries.borrow().is_empty(),
            Data::Unknown(_) => return None,
        })
    }

    /// The value of a field. Go's templates fail for fields of text and numbers; here that is a term.
    pub(super) fn field(&self, name: &str) -> Value {
        let nothing = || match &self.origin {
            Some(origin) => {
                Value { origin: Some(format!("{origin}/{}", token(name)).into()), ..Value::null() }
            }
            None => Value::null(),
        };
        let found = match &self.data {
            Data::Map(entries) => entries.borrow().get(name).cloned().unwrap_or_else(nothing),
            Data::Null => nothing(),
            _ => Value::unknown(&format!("{}.{name}", self.term())),
        };
        found.depending(self.changing)
    }

    pub(super) fn as_text(&self) -> Option<&Rc<str>> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether something in it depends on the change.
    pub(super) fn changes_within(&self) -> bool {
        self.changing
            || match &self.data {
                Data::List(items) => items.iter().any(Value::changes_within),
                Data::Map(entries) => entries.borrow().values().any(Value::changes_within),
                _ => false,
            }
    }

    /// Whether a term is in it.
    pub(super) fn has_unknown(&self) -> bool {
        match &self.data {
            Data::Unknown(_) => true,
            Data::Text(text) => text.contains(TERM_START),
            Data::List(items) => items.iter().any(Value::has_unknown),
            Data::Map(entries) => entries.borrow().values().any(Value::has_unknown),
            _ => false,
        }
    }

    /// As `{{ . }}` prints it; collections as a term that has all that is in them.
    pub(super) fn printed(&self) -> String {
        match &self.data {
            Data::Null => String::new(),
            Data::Bool(value) => value.to_string(),
            Data::Int(value) => value.to_string(),
            Data::Float(value) => float(*value),
            Data::Text(text) => text.to_string(),
            Data::List(_) | Data::Map(_) => format!("{TERM_START}{}{TERM_END}", self.term()),
            Data::Unknown(term) => format!("{TERM_START}{term}{TERM_END}"),
        }
    }

    /// All that is in it, in one line: equal values have equal terms.
    pub(super) fn term(&self) -> String {
        match &self.data {
            Data::Null => "nil".to_owned(),
            Data::Text(text) => format!("{text:?}"),
            Data::Unknown(term) => term.to_string(),
            Data::List(items) => {
                format!("[{}]", items.iter().map(Value::term).collect::<Vec<_>>().join(" "))
            }
            Data::Map(entries) => {
                let entries = entries.borrow();
                let entries = entries.iter().map(|(key, value)| format!("{key:?}:{}", value.term()));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
            }
            _ => self.printed(),
        }
    }

    /// A copy that shares nothing.
    pub(super) fn deep_copy(&self) -> Value {
        let data = match &self.data {
            Data::List(items) => Data::List(Rc::new(items.iter().map(Value::deep_copy).collect())),
            Data::Map(entries) => {
                let entries = entries.borrow();
                let entries = entries.iter().map(|(key, value)| (key.clone(), value.deep_copy()));
                Data::Map(Rc::new(RefCell::new(entries.collect())))
            }
            data => data.clone(),
        };
        Value { data, changing: self.changing, origin: self.origin.clone() }
    }
}

/// Around terms in rendered text; not found in charts.
pub(super) const TERM_START: char = '\u{27e6}';
pub(super) const TERM_END: char = '\u{27e7}';

/// A number as Go's `%v` writes it: `1e+06`, not `1000000`.
pub(super) fn float(number: f64) -> String {
    if !number.is_finite() {
        return number.to_string();
    }
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // strconv's `%g` with the shortest digits.
    if (-4..6).contains(&exponent) {
        return number.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_does() {
        for (number, expected) in [
            (1.10, "1.1"),
            (8080.0, "8080"),
            (1_000_000.0, "1e+06"),
            (20_240_101.0, "2.0240101e+07"),
            (0.00001, "1e-05"),
        ] {
            assert_eq!(float(number), expected);
        }
    }
}
