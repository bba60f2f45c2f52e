//! Rendered text → value, through the Kubernetes type it must have. Knows YAML and types, not templates.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why a text does not have the type, and where in the text as far as that is known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) message: String,
    /// Counts from 1.
    pub(crate) line: Option<usize>,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Problem { message: message.into(), line: None }
    }

    fn from_yaml(error: &serde_yaml::Error) -> Self {
        let text = error.to_string();
        let Some(place) = error.location() else { return Problem::new(text) };
        // The place is given on its own; the text repeats it.
        let message = text.replace(&format!(" at line {} column {}", place.line(), place.column()), "");
        Problem { message, line: Some(place.line()) }
    }

    /// For errors about a value, which are placed at the start of the mapping when the parser knows no better:
    /// at the root that says nothing.
    fn from_value(error: &serde_yaml::Error) -> Self {
        let exact = error.location().is_some_and(|place| place.column() > 1);
        let problem = Problem::from_yaml(error);
        Problem { line: problem.line.filter(|_| exact), ..problem }
    }
}

/// Reads YAML; keys keep their order, an empty text is null. Refuses duplicate keys and several documents.
pub(crate) fn value(text: &str) -> Result<Value, Problem> {
    let yaml: serde_yaml::Value = serde_yaml::from_str(text).map_err(|error| {
        let duplicate = error.to_string().contains("duplicate entry");
        let problem = if duplicate { Problem::from_value(&error) } else { Problem::from_yaml(&error) };
        Problem { message: format!("does not render YAML: {}", problem.message), ..problem }
    })?;
    serde_json::to_value(yaml)
        .map_err(|error| Problem::new(format!("does not render a plain value: {error}")))
}

/// Reads YAML that must be a `T`, and returns it as it was written (not as `T` would write it).
pub(crate) fn typed<T: DeserializeOwned + Serialize>(text: &str) -> Result<Value, Problem> {
    let value = value(text)?;
    if let Some(path) = null_in(&value) {
        return Err(Problem {
            line: line_of_key(text, &path),
            message: format!("`{}` has no value", path.join(".")),
        });
    }
    // Only the text tells where a mistake is, and is lenient where a scalar could be a string.
    let typed = match T::deserialize(&value) {
        Ok(typed) => typed,
        Err(_) => serde_yaml::from_str(text).map_err(|error| Problem::from_value(&error))?,
    };
    // These types ignore what they do not know, so what is not there afterwards was not known.
    let back = serde_json::to_value(&typed).map_err(|error| Problem::new(error.to_string()))?;
    match lost_in(&value, &back) {
        Some(path) => Err(Problem {
            line: line_of_key(text, &path),
            message: format!("unknown field `{}`", path.join(".")),
        }),
        None => Ok(value),
    }
}

/// The first path of `written` that `back` lacks. Values may differ (a quantity has a canonical form).
fn lost_in(written: &Value, back: &Value) -> Option<Vec<String>> {
    search(written, back, &|_, back| back.is_none())
}

fn null_in(value: &Value) -> Option<Vec<String>> {
    search(value, value, &|written, _| written.is_null())
}

fn search(
    written: &Value,
    back: &Value,
    hit: &dyn Fn(&Value, Option<&Value>) -> bool,
) -> Option<Vec<String>> {
    let within = |inner: &Value, back: Option<&Value>| match back {
        found if hit(inner, found) => Some(Vec::new()),
        Some(back) => search(inner, back, hit),
        None => None,
    };
    let at = |key: String, below: Vec<String>| [vec![key], below].concat();
    match written {
        Value::Object(map) => {
            map.iter().find_map(|(key, inner)| Some(at(key.clone(), within(inner, back.get(key))?)))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(n, inner)| Some(at(n.to_string(), within(inner, back.get(n))?))),
        _ => None,
    }
}

/// The line that holds the last key of the path, when only one does.
fn line_of_key(text: &str, path: &[String]) -> Option<usize> {
    let key = path.iter().rev().find(|part| part.parse::<usize>().is_err())?;
    let starts_with_key = |line: &str| {
        let line = line.trim_start_matches([' ', '-', '"', '\'', '{']);
        line.strip_prefix(key.as_str())
            .is_some_and(|rest| rest.trim_start_matches(['"', '\'']).starts_with(':'))
    };
    let mut lines = text.lines().enumerate().filter(|(_, line)| starts_with_key(line));
    match (lines.next(), lines.next()) {
        (Some((n, _)), None) => Some(n + 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{PodSecurityContext, Volume};

    use super::*;

    #[track_caller]
    fn check<T: DeserializeOwned + Serialize>(text: &str, expected: Result<(), (&str, Option<usize>)>) {
        let found = typed::<T>(text).map(|_| ()).map_err(|problem| (problem.message, problem.line));
        assert_eq!(found, expected.map_err(|(message, line)| (message.to_owned(), line)));
    }

    #[test]
    fn values_keep_their_form_and_order() {
        let text = "seccompProfile: {type: RuntimeDefault}\nrunAsNonRoot: true\nrunAsUser: 10001\n";
        let value = typed::<PodSecurityContext>(text).unwrap();
        assert_eq!(
            value.to_string(),
            r#"{"seccompProfile":{"type":"RuntimeDefault"},"runAsNonRoot":true,"runAsUser":10001}"#
        );
        check::<Volume>("name: x\nemptyDir: {sizeLimit: 1024Mi}", Ok(()));
    }

    #[test]
    fn unknown_fields_wrong_types_and_missing_values_are_named() {
        check::<PodSecurityContext>("runAsNonRot: true", Err(("unknown field `runAsNonRot`", Some(1))));
        check::<PodSecurityContext>(
            "runAsUser: 1\nseccompProfile:\n  type: RuntimeDefault\n  typ: x",
            Err(("unknown field `seccompProfile.typ`", Some(4))),
        );
        check::<PodSecurityContext>(
            "sysctls:\n- name: a\n  value: b\n- name: c\n  valu: d",
            Err(("unknown field `sysctls.1.valu`", Some(5))),
        );
        check::<PodSecurityContext>("runAsUser:", Err(("`runAsUser` has no value", Some(1))));
        check::<PodSecurityContext>(
            "fsGroup: 1\nrunAsUser: root",
            Err(("runAsUser: invalid type: string \"root\", expected i64", Some(2))),
        );
    }
}
