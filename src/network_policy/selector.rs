//! Label selectors as the API server matches them.
//!
//! Source: `LabelSelectorAsSelector` and `Requirement.Matches` of k8s.io/apimachinery
//! (<https://github.com/kubernetes/apimachinery/blob/master/pkg/labels/selector.go>), validation in
//! `ValidateLabelSelector`. Knows nothing of what carries the labels.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

pub type Labels = BTreeMap<String, String>;

/// A selector that is there; one that is absent is its user's business. Without requirements it matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector {
    /// All of them must hold.
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Operator {
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Exists,
    DoesNotExist,
}

impl Selector {
    /// Reads `{matchLabels, matchExpressions}`.
    ///
    /// # Errors
    /// What the API server would refuse, with the pointer of the value from the selector.
    pub fn read(value: &Value) -> Result<Selector, (String, String)> {
        let fail = |pointer: String, message: &str| Err((pointer, message.to_owned()));
        let mut selector = Selector::default();
        match value {
            Value::Object(fields) => {
                if let Some(field) =
                    fields.keys().find(|key| !["matchLabels", "matchExpressions"].contains(&key.as_str()))
                {
                    return fail(format!("/{field}"), &format!("a selector has no field `{field}`"));
                }
            }
            Value::Null => return Ok(selector),
            _ => return fail(String::new(), "a selector is a mapping"),
        }
        match &value["matchLabels"] {
            Value::Null => {}
            Value::Object(labels) => {
                for (key, label) in labels {
                    let Some(text) = label.as_str() else {
                        return fail("/matchLabels".to_owned(), &format!("label `{key}` is not a string"));
                    };
                    let operator = Operator::In(BTreeSet::from([text.to_owned()]));
                    selector.requirements.push(Requirement { key: key.clone(), operator });
                }
            }
            _ => return fail("/matchLabels".to_owned(), "`matchLabels` is no mapping"),
        }
        match &value["matchExpressions"] {
            Value::Null => {}
            Value::Array(expressions) => {
                for (idx, expression) in expressions.iter().enumerate() {
                    let requirement = Requirement::read(expression);
                    let at = format!("/matchExpressions/{idx}");
                    selector.requirements.push(requirement.map_err(|message| (at, message))?);
                }
            }
            _ => return fail("/matchExpressions".to_owned(), "`matchExpressions` is no list"),
        }
        selector.requirements.sort();
        selector.requirements.dedup();
        Ok(selector)
    }

    /// Whether it is written with nothing in it, and so selects everything.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
    }

    /// The same where only labels that `is_known` names are known; `None` when the others decide.
    pub fn matches_known(&self, labels: &Labels, is_known: impl Fn(&str) -> bool) -> Option<bool> {
        let (known, open): (Vec<_>, Vec<_>) =
            self.requirements.iter().partition(|requirement| is_known(&requirement.key));
        if !known.iter().all(|requirement| requirement.matches(labels)) {
            return Some(false);
        }
        open.is_empty().then_some(true)
    }

    /// Labels that everything it matches has.
    pub fn required_labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.requirements.iter().filter_map(|requirement| match &requirement.operator {
            Operator::In(values) if values.len() == 1 => {
                values.first().map(|value| (requirement.key.as_str(), value.as_str()))
            }
            _ => None,
        })
    }
}

impl Requirement {
    fn read(value: &Value) -> Result<Requirement, String> {
        let key = value["key"].as_str().filter(|key| !key.is_empty()).ok_or("a requirement needs a `key`")?;
        let values = match &value["values"] {
            Value::Null => BTreeSet::new(),
            Value::Array(values) => values
                .iter()
                .map(|value| value.as_str().map(str::to_owned).ok_or("`values` are strings"))
                .collect::<Result<_, _>>()?,
            _ => return Err("`values` is no list".to_owned()),
        };
        let operator = match (value["operator"].as_str(), values.is_empty()) {
            (Some("In"), false) => Operator::In(values),
            (Some("NotIn"), false) => Operator::NotIn(values),
            (Some("In" | "NotIn"), true) => return Err("`In` and `NotIn` need `values`".to_owned()),
            (Some("Exists"), true) => Operator::Exists,
            (Some("DoesNotExist"), true) => Operator::DoesNotExist,
            (Some("Exists" | "DoesNotExist"), false) => {
                return Err("`Exists` and `DoesNotExist` take no `values`".to_owned());
            }
            _ => return Err("`operator` is none of In, NotIn, Exists, DoesNotExist".to_owned()),
        };
        Ok(Requirement { key: key.to_owned(), operator })
    }

    fn matches(&self, labels: &Labels) -> bool {
        let label = labels.get(&self.key);
        match &self.operator {
            Operator::In(values) => label.is_some_and(|label| values.contains(label)),
            // An absent label is in no list.
            Operator::NotIn(values) => label.is_none_or(|label| !values.contains(label)),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
        }
    }
}

/// As `kubectl --selector` takes it: `app=web,tier in (a,b),!canary`; empty for everything.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, Requirement { key, operator }) in self.requirements.iter().enumerate() {
            if idx > 0 {
                f.write_str(",")?;
            }
            let list = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join(",");
            match operator {
                Operator::In(values) if values.len() == 1 => write!(f, "{key}={}", list(values))?,
                Operator::In(values) => write!(f, "{key} in ({})", list(values))?,
                Operator::NotIn(values) if values.len() == 1 => write!(f, "{key}!={}", list(values))?,
                Operator::NotIn(values) => write!(f, "{key} notin ({})", list(values))?,
                Operator::Exists => f.write_str(key)?,
                Operator::DoesNotExist => write!(f, "!{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[track_caller]
    fn check(selector: Value, pairs: &[(&str, &str)], expected: bool) {
        assert_eq!(Selector::read(&selector).unwrap().matches(&labels(pairs)), expected);
    }

    #[test]
    fn empty_matches_everything() {
        check(json!({}), &[], true);
        check(json!({"matchLabels": {}, "matchExpressions": []}), &[("a", "1")], true);
    }

    #[test]
    fn all_match_labels_must_hold_and_an_empty_value_is_a_value() {
        let both = json!({"matchLabels": {"a": "1", "b": "2"}});
        check(both.clone(), &[("a", "1"), ("b", "2"), ("c", "3")], true);
        check(both, &[("a", "1")], false);
        check(json!({"matchLabels": {"a": ""}}), &[], false);
        check(json!({"matchLabels": {"a": ""}}), &[("a", "")], true);
    }

    fn expression(operator: &str, values: &[&str]) -> Value {
        json!({"matchExpressions": [{"key": "a", "operator": operator, "values": values}]})
    }

    #[test]
    fn in_needs_the_label_and_not_in_does_not() {
        check(expression("In", &["1", "2"]), &[("a", "2")], true);
        check(expression("In", &["1", "2"]), &[("a", "3")], false);
        check(expression("In", &["1", "2"]), &[], false);
        check(expression("NotIn", &["1"]), &[("a", "1")], false);
        check(expression("NotIn", &["1"]), &[("a", "2")], true);
        check(expression("NotIn", &["1"]), &[], true);
    }

    #[test]
    fn exists_and_does_not_exist_look_at_the_key_alone() {
        check(expression("Exists", &[]), &[("a", "")], true);
        check(expression("Exists", &[]), &[("b", "1")], false);
        check(expression("DoesNotExist", &[]), &[("a", "")], false);
        check(expression("DoesNotExist", &[]), &[], true);
    }

    #[test]
    fn labels_and_expressions_are_anded() {
        let selector = json!({
            "matchLabels": {"a": "1"},
            "matchExpressions": [{"key": "b", "operator": "DoesNotExist"}],
        });
        check(selector.clone(), &[("a", "1")], true);
        check(selector, &[("a", "1"), ("b", "")], false);
    }

    #[test]
    fn what_the_server_refuses_is_refused() {
        for bad in [
            expression("In", &[]),
            expression("Exists", &["1"]),
            expression("in", &["1"]),
            json!({"matchExpressions": [{"operator": "Exists"}]}),
            json!({"matchLabels": {"a": 1}}),
            json!({"app": "web"}),
            json!(["a"]),
        ] {
            assert!(Selector::read(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_back_as_kubectl_takes_it() {
        let selector = json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["b", "a"]},
                {"key": "env", "operator": "NotIn", "values": ["dev"]},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        });
        let shown = Selector::read(&selector).unwrap().to_string();
        assert_eq!(shown, "app=web,env!=dev,!old,tier in (a,b)");
    }

    #[test]
    fn unknown_labels_leave_the_answer_open_unless_a_known_one_decides() {
        let selector = Selector::read(&json!({"matchLabels": {"name": "x", "team": "a"}})).unwrap();
        let known = |key: &str| key == "name";
        assert_eq!(selector.matches_known(&labels(&[("name", "x")]), known), None);
        assert_eq!(selector.matches_known(&labels(&[("name", "y")]), known), Some(false));
    }
}
