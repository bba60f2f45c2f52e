//! The functions of templates that can be computed here: Go's own, and those of Sprig and Helm that charts use
//! around images. All others are terms.
//!
//! Sources: <https://pkg.go.dev/text/template#hdr-Functions>, <https://masterminds.github.io/sprig/>,
//! <https://helm.sh/docs/chart_template_guide/function_list/>.

mod print;

use std::collections::BTreeMap;

use self::print::{formatted, yaml};
use super::value::{Data, TERM_START, Value, float};
use crate::repo::LIMITS;
use crate::yaml::Stream;

/// What a function gives; `None` where that is not known.
pub(super) fn call(name: &str, arguments: &[Value]) -> Option<Value> {
    let changing = arguments.iter().any(Value::changes_within);
    let is_about_items = matches!(
        name,
        "dict"
            | "list"
            | "tuple"
            | "index"
            | "get"
            | "pick"
            | "omit"
            | "values"
            | "first"
            | "last"
            | "rest"
            | "initial"
            | "append"
            | "prepend"
            | "concat"
            | "deepCopy"
            | "dig"
    );
    let value = logic(name, arguments)
        .or_else(|| maps(name, arguments))
        .or_else(|| lists(name, arguments))
        .or_else(|| strings(name, arguments))
        .or_else(|| numbers(name, arguments))?;
    // Collections keep for each item whether it changes; what is computed from several depends on all of them.
    let direct = arguments.iter().any(|argument| argument.changing);
    Some(value.depending(if is_about_items { direct } else { changing }))
}

fn logic(name: &str, arguments: &[Value]) -> Option<Value> {
    let truths = || arguments.iter().map(Value::truth).collect::<Option<Vec<bool>>>();
    Some(match (name, arguments) {
        ("and" | "or", [_, ..]) => {
            let mut last = arguments.first()?.clone();
            for argument in arguments {
                last = argument.clone();
                if argument.truth()? == (name == "or") {
                    break;
                }
            }
            last
        }
        ("not", [value]) => Value::bool(!value.truth()?),
        ("empty", [value]) => Value::bool(!value.truth()?),
        ("all", _) => Value::bool(truths()?.into_iter().all(|truth| truth)),
        ("any", _) => Value::bool(truths()?.into_iter().any(|truth| truth)),
        ("default", [default]) => default.clone(),
        ("default", [default, given]) => {
            if given.truth()? {
                given.clone()
            } else {
                default.clone()
            }
        }
        ("coalesce", _) => {
            for argument in arguments {
                if argument.truth()? {
                    return Some(argument.clone());
                }
            }
            Value::null()
        }
        ("ternary", [yes, no, condition]) => {
            if condition.truth()? {
                yes.clone()
            } else {
                no.clone()
            }
        }
        ("required", [_, value]) => {
            // Helm stops at nothing and at the empty text, not at `false`.
            let is_there = match &value.data {
                Data::Null => false,
                Data::Text(text) => !text.is_empty(),
                Data::Unknown(_) => return None,
                _ => true,
            };
            return is_there.then(|| value.clone());
        }
        ("eq", [first, others @ ..]) if !others.is_empty() => {
            for other in others {
                if equal(first, other)? {
                    return Some(Value::bool(true));
                }
            }
            Value::bool(false)
        }
        ("ne", [a, b]) => Value::bool(!equal(a, b)?),
        ("lt", [a, b]) => Value::bool(order(a, b)?.is_lt()),
        ("le", [a, b]) => Value::bool(order(a, b)?.is_le()),
        ("gt", [a, b]) => Value::bool(order(a, b)?.is_gt()),
        ("ge", [a, b]) => Value::bool(order(a, b)?.is_ge()),
        ("kindOf", [value]) => Value::text(kind(value)?),
        ("kindIs", [wanted, value]) => Value::bool(&**wanted.as_text()? == kind(value)?),
        ("typeOf", [value]) => Value::text(type_name(value)?),
        ("typeIs", [wanted, value]) => Value::bool(&**wanted.as_text()? == type_name(value)?),
        _ => return None,
    })
}

/// Go compares basic kinds only, and fails for others and for pairs that do not go together.
fn equal(a: &Value, b: &Value) -> Option<bool> {
    Some(match (&a.data, &b.data) {
        (Data::Text(a), Data::Text(b)) if !a.contains(TERM_START) && !b.contains(TERM_START) => a == b,
        (Data::Bool(a), Data::Bool(b)) => a == b,
        (Data::Int(a), Data::Int(b)) => a == b,
        #[expect(clippy::float_cmp, reason = "Go compares them so")]
        (Data::Float(a), Data::Float(b)) => a == b,
        (Data::Null, Data::Null) => true,
        (Data::Null, Data::Text(_) | Data::Bool(_) | Data::Int(_) | Data::Float(_))
        | (Data::Text(_) | Data::Bool(_) | Data::Int(_) | Data::Float(_), Data::Null) => false,
        _ => return None,
    })
}

fn order(a: &Value, b: &Value) -> Option<std::cmp::Ordering> {
    match (&a.data, &b.data) {
        (Data::Text(a), Data::Text(b)) if !a.contains(TERM_START) && !b.contains(TERM_START) => {
            Some(a.cmp(b))
        }
        (Data::Int(a), Data::Int(b)) => Some(a.cmp(b)),
        (Data::Float(a), Data::Float(b)) => a.partial_cmp(b),
        _ => None,
    }
}

fn kind(value: &Value) -> Option<&'static str> {
    Some(match &value.data {
        Data::Null => "invalid",
        Data::Bool(_) => "bool",
        Data::Int(_) => "int",
        Data::Float(_) => "float64",
        Data::Text(_) => "string",
        Data::List(_) => "slice",
        Data::Map(_) => "map",
        Data::Unknown(_) => return None,
    })
}

fn type_name(value: &Value) -> Option<&'static str> {
    Some(match kind(value)? {
        "invalid" => "<nil>",
        "slice" => "[]interface {}",
        "map" => "map[string]interface {}",
        basic => basic,
    })
}

fn maps(name: &str, arguments: &[Value]) -> Option<Value> {
    Some(match (name, arguments) {
        ("dict", _) if arguments.len().is_multiple_of(2) => {
            let pairs = arguments.chunks_exact(2);
            let pairs = pairs.map(|pair| Some((pair[0].as_text()?.to_string(), pair[1].clone())));
            Value::map(pairs.collect::<Option<BTreeMap<_, _>>>()?)
        }
        ("index", [from, keys @ ..]) => {
            let mut at = from.clone();
            for key in keys {
                at = item(&at, key)?;
            }
            at
        }
        ("get", [from, key]) => match &from.data {
            Data::Map(entries) => {
                let found = entries.borrow().get(&**key.as_text()?).cloned();
                found.unwrap_or_else(|| Value::text("")).depending(from.changing)
            }
            _ => return None,
        },
        ("dig", [keys @ .., default, from]) => {
            let mut at = from.clone();
            for key in keys {
                let Data::Map(entries) = &at.data else { return None };
                let found = entries.borrow().get(&**key.as_text()?).cloned();
                match found {
                    Some(found) => at = found.depending(at.changing),
                    None => return Some(default.clone().depending(at.changing)),
                }
            }
            at
        }
        ("toJson" | "mustToJson" | "toRawJson", [value]) if !value.has_unknown() => {
            Value::text(value.json()?.to_string())
        }
        ("hasKey", [from, key]) => match &from.data {
            Data::Map(entries) => Value::bool(entries.borrow().contains_key(&**key.as_text()?)),
            _ => return None,
        },
        ("keys" | "values", [from]) => match &from.data {
            // Helm's order is not fixed; charts sort it.
            Data::Map(entries) => {
                let entries = entries.borrow();
                Value::list(match name {
                    "keys" => entries.keys().map(|key| Value::text(key.as_str())).collect(),
                    _ => entries.values().cloned().collect(),
                })
            }
            _ => return None,
        },
        ("pick" | "omit", [from, keys @ ..]) => match &from.data {
            Data::Map(entries) => {
                let keys = keys.iter().map(|key| key.as_text().map(ToString::to_string));
                let keys: Vec<String> = keys.collect::<Option<_>>()?;
                let entries = entries.borrow();
                let kept = entries.iter().filter(|(key, _)| keys.contains(key) == (name == "pick"));
                Value::map(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
            }
            _ => return None,
        },
        ("deepCopy" | "mustDeepCopy", [value]) => value.deep_copy(),
        ("len", [value]) => Value::new(Data::Int(match &value.data {
            Data::List(items) => items.len() as i64,
            Data::Map(entries) => entries.borrow().len() as i64,
            Data::Text(text) if !text.contains(TERM_START) => text.len() as i64,
            _ => return None,
        })),
        _ => return None,
    })
}

fn lists(name: &str, arguments: &[Value]) -> Option<Value> {
    let items = |idx: usize| match &arguments.get(idx)?.data {
        Data::List(items) => Some(items.as_slice()),
        _ => None,
    };
    Some(match (name, arguments) {
        ("list" | "tuple", _) => Value::list(arguments.to_vec()),
        ("first" | "mustFirst", [_]) => items(0)?.first().cloned().unwrap_or_else(Value::null),
        ("last" | "mustLast", [_]) => items(0)?.last().cloned().unwrap_or_else(Value::null),
        ("rest" | "mustRest", [_]) => Value::list(items(0)?.get(1..).unwrap_or_default().to_vec()),
        ("initial" | "mustInitial", [_]) => {
            Value::list(items(0)?.split_last().map_or_else(Vec::new, |(_, initial)| initial.to_vec()))
        }
        ("append" | "push" | "mustAppend", [_, item]) => {
            Value::list(items(0)?.iter().chain([item]).cloned().collect())
        }
        ("prepend", [_, item]) => Value::list([item].into_iter().chain(items(0)?).cloned().collect()),
        ("concat", _) => {
            let lists = (0..arguments.len()).map(items).collect::<Option<Vec<_>>>()?;
            Value::list(lists.concat())
        }
        ("compact" | "mustCompact", [_]) => {
            let mut kept = Vec::new();
            for item in items(0)? {
                if item.truth()? {
                    kept.push(item.clone());
                }
            }
            Value::list(kept)
        }
        ("uniq" | "mustUniq", [_]) if !arguments[0].has_unknown() => {
            let mut seen = std::collections::BTreeSet::new();
            Value::list(items(0)?.iter().filter(|item| seen.insert(item.term())).cloned().collect())
        }
        ("sortAlpha", [_]) if !arguments[0].has_unknown() => {
            let mut texts: Vec<String> = items(0)?.iter().map(text).collect();
            texts.sort();
            Value::list(texts.into_iter().map(Value::text).collect())
        }
        ("has" | "mustHas", [needle, _]) if !needle.has_unknown() && !arguments[1].has_unknown() => {
            Value::bool(items(1)?.iter().any(|item| item.term() == needle.term()))
        }
        ("until", [count]) => match count.data {
            Data::Int(count) => {
                Value::list((0..count.clamp(0, 1000)).map(|n| Value::new(Data::Int(n))).collect())
            }
            _ => return None,
        },
        _ => return None,
    })
}

fn item(from: &Value, key: &Value) -> Option<Value> {
    let found = match (&from.data, &key.data) {
        (Data::Map(entries), Data::Text(key)) => {
            entries.borrow().get(&**key).cloned().unwrap_or_else(Value::null)
        }
        (Data::List(items), Data::Int(idx)) => items.get(usize::try_from(*idx).ok()?)?.clone(),
        _ => return None,
    };
    Some(found.depending(from.changing))
}

/// As Sprig's functions read an argument that should be text.
fn text(value: &Value) -> String {
    match &value.data {
        Data::Null => "<nil>".to_owned(),
        Data::Float(number) => float(*number),
        _ => value.printed(),
    }
}

fn strings(name: &str, arguments: &[Value]) -> Option<Value> {
    if let Some(text) = passed_on(name, arguments) {
        return Some(Value::text(text));
    }
    // The others look into the text, which terms do not have.
    if arguments.iter().any(Value::has_unknown) {
        return None;
    }
    let texts: Vec<String> = arguments.iter().map(text).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    Some(match (name, texts.as_slice()) {
        ("trim", [text]) => Value::text(text.trim()),
        ("trimAll", [cut, text]) => Value::text(text.trim_matches(|c| cut.contains(c))),
        ("trimSuffix", [end, text]) => Value::text(text.strip_suffix(end).unwrap_or(text)),
        ("trimPrefix", [start, text]) => Value::text(text.strip_prefix(start).unwrap_or(text)),
        ("lower", [text]) => Value::text(text.to_lowercase()),
        ("upper", [text]) => Value::text(text.to_uppercase()),
        ("nospace", [text]) => Value::text(text.split_whitespace().collect::<String>()),
        ("contains", [part, text]) => Value::bool(text.contains(part)),
        ("hasPrefix", [start, text]) => Value::bool(text.starts_with(start)),
        ("hasSuffix", [end, text]) => Value::bool(text.ends_with(end)),
        ("replace", [old, new, text]) => Value::text(text.replace(old, new)),
        ("trunc", [_, text]) => match arguments[0].data {
            Data::Int(length) => Value::text(truncated(text, length)?),
            _ => return None,
        },
        ("splitList", [separator, text]) if !separator.is_empty() => {
            Value::list(text.split(separator).map(Value::text).collect())
        }
        ("split", [separator, text]) if !separator.is_empty() => {
            let parts = text.split(separator).enumerate();
            Value::map(parts.map(|(idx, part)| (format!("_{idx}"), Value::text(part))).collect())
        }
        ("semverCompare", [constraint, version]) => Value::bool(super::version::fits(constraint, version)?),
        ("title", [text]) => {
            let words = text.split(' ').map(|word| {
                let mut chars = word.chars();
                let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
                first + chars.as_str()
            });
            Value::text(words.collect::<Vec<_>>().join(" "))
        }
        ("b64enc", [text]) => {
            use base64::Engine as _;
            Value::text(base64::engine::general_purpose::STANDARD.encode(text))
        }
        ("fromYaml" | "fromJson" | "fromYamlArray" | "fromJsonArray", [text]) => {
            let stream = Stream::parse((*text).to_owned(), &LIMITS).ok()?;
            Value::plain(&stream.root(0).map_or(Some(serde_json::Value::Null), |root| root.value().ok())?)
        }
        _ => return None,
    })
}

fn truncated(text: &str, length: i64) -> Option<&str> {
    let wanted = usize::try_from(length.unsigned_abs()).ok()?;
    if wanted >= text.len() {
        return Some(text);
    }
    if length >= 0 { text.get(..wanted) } else { text.get(text.len() - wanted..) }
}

/// Functions that only pass text on, so that terms in it stay what they are.
fn passed_on(name: &str, arguments: &[Value]) -> Option<String> {
    let is_collection = |value: &Value| matches!(value.data, Data::List(_) | Data::Map(_));
    Some(match (name, arguments) {
        ("printf", [format, values @ ..]) if !values.iter().any(is_collection) => {
            formatted(format.as_text()?, values)?
        }
        ("print", _) => {
            let mut text = String::new();
            for (idx, value) in arguments.iter().enumerate() {
                let is_text = |value: &Value| matches!(value.data, Data::Text(_) | Data::Unknown(_));
                if idx > 0 && !is_text(value) && !is_text(&arguments[idx - 1]) {
                    text.push(' ');
                }
                text.push_str(&self::text(value));
            }
            text
        }
        ("toString", [value]) if !is_collection(value) => text(value),
        ("quote" | "squote", _) if !arguments.iter().any(is_collection) => {
            let quoted = arguments.iter().filter(|value| !matches!(value.data, Data::Null));
            let quoted = quoted.map(|value| match name {
                "quote" => format!("{:?}", text(value)),
                _ => format!("'{}'", text(value)),
            });
            quoted.collect::<Vec<_>>().join(" ")
        }
        ("cat", _) if !arguments.iter().any(is_collection) => {
            let kept = arguments.iter().filter(|value| !matches!(value.data, Data::Null));
            kept.map(text).collect::<Vec<_>>().join(" ")
        }
        ("join", [separator, list]) => match &list.data {
            Data::List(items) if !items.iter().any(is_collection) => {
                let items = items.iter().filter(|item| !matches!(item.data, Data::Null));
                items.map(text).collect::<Vec<_>>().join(separator.as_text()?)
            }
            _ => return None,
        },
        ("indent" | "nindent", [width, value]) => {
            let Data::Int(width) = width.data else { return None };
            let pad = " ".repeat(usize::try_from(width).ok()?.min(200));
            let text = value.as_text()?.split('\n').map(|line| format!("{pad}{line}")).collect::<Vec<_>>();
            let start = if name == "nindent" { "\n" } else { "" };
            format!("{start}{}", text.join("\n"))
        }
        ("toYaml" | "mustToYaml", [value]) => {
            let mut lines = Vec::new();
            yaml(value, 0, "", &mut lines);
            lines.join("\n")
        }
        _ => return None,
    })
}

fn numbers(name: &str, arguments: &[Value]) -> Option<Value> {
    let int = |value: &Value| match &value.data {
        Data::Int(number) => Some(*number),
        Data::Float(number) if number.abs() < 9e15 => Some(*number as i64),
        Data::Text(text) => Some(text.parse().unwrap_or(0)),
        Data::Null => Some(0),
        Data::Bool(value) => Some(i64::from(*value)),
        _ => None,
    };
    if arguments.iter().any(Value::has_unknown) {
        return None;
    }
    let ints: Option<Vec<i64>> = arguments.iter().map(int).collect();
    let number = match (name, ints?.as_slice()) {
        ("int" | "int64", [number]) => *number,
        ("add", numbers) => numbers.iter().copied().try_fold(0_i64, i64::checked_add)?,
        ("add1", [number]) => number.checked_add(1)?,
        ("sub", [a, b]) => a.checked_sub(*b)?,
        ("mul", numbers) => numbers.iter().copied().try_fold(1_i64, i64::checked_mul)?,
        ("div", [a, b]) => a.checked_div(*b)?,
        ("mod", [a, b]) => a.checked_rem(*b)?,
        ("max", [first, rest @ ..]) => rest.iter().copied().fold(*first, i64::max),
        ("min", [first, rest @ ..]) => rest.iter().copied().fold(*first, i64::min),
        _ => return None,
    };
    Some(Value::new(Data::Int(number)))
}
