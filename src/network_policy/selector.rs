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
    /// One of each must match.
    alternatives: Vec<Vec<Selector>>,
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
    /// A part of the value; of Calico's selectors only.
    Text(Part, String),
    /// The opposite, which a label that is not there meets.
    NotText(Part, String),
}

/// Where in a value a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part {
    Anywhere,
    Start,
    End,
}

/// What a label of another API's selector is about.
pub(super) enum About {
    /// The pod, by this key.
    Pod(String),
    /// Its namespace.
    Namespace(String),
    /// What no manifest of the pod tells.
    Other,
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
        self.requirements.is_empty() && self.alternatives.is_empty()
    }

    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|requirement| requirement.matches(labels))
            && self.alternatives.iter().all(|any| any.iter().any(|selector| selector.matches(labels)))
    }

    /// The same where only labels that `is_known` names are known; `None` when the others decide.
    pub fn matches_known(&self, labels: &Labels, is_known: impl Fn(&str) -> bool) -> Option<bool> {
        let (known, open): (Vec<_>, Vec<_>) =
            self.requirements.iter().partition(|requirement| is_known(&requirement.key));
        if !known.iter().all(|requirement| requirement.matches(labels)) {
            return Some(false);
        }
        let mut is_open = !open.is_empty();
        for any in &self.alternatives {
            let each: Vec<Option<bool>> =
                any.iter().map(|selector| selector.matches_known_by(labels, &is_known)).collect();
            if each.contains(&Some(true)) {
                continue;
            }
            if !each.contains(&None) {
                return Some(false);
            }
            is_open = true;
        }
        (!is_open).then_some(true)
    }

    fn matches_known_by(&self, labels: &Labels, is_known: &dyn Fn(&str) -> bool) -> Option<bool> {
        self.matches_known(labels, is_known)
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

/// How other APIs put selectors together.
impl Selector {
    /// One that nothing matches.
    pub(super) fn none() -> Selector {
        Selector { requirements: Vec::new(), alternatives: vec![Vec::new()] }
    }

    fn of(key: &str, operator: Operator) -> Selector {
        Selector {
            requirements: vec![Requirement { key: key.to_owned(), operator }],
            alternatives: Vec::new(),
        }
    }

    pub(super) fn is_in(key: &str, values: impl IntoIterator<Item = String>) -> Selector {
        Selector::of(key, Operator::In(values.into_iter().collect()))
    }

    pub(super) fn has(key: &str) -> Selector {
        Selector::of(key, Operator::Exists)
    }

    pub(super) fn has_text(key: &str, part: Part, text: String) -> Selector {
        Selector::of(key, Operator::Text(part, text))
    }

    pub(super) fn and(mut self, other: Selector) -> Selector {
        self.requirements.extend(other.requirements);
        self.requirements.sort();
        self.requirements.dedup();
        self.alternatives.extend(other.alternatives);
        self
    }

    pub(super) fn or(self, other: Selector) -> Selector {
        if self.is_empty() || other.is_empty() {
            return Selector::default();
        }
        Selector { requirements: Vec::new(), alternatives: vec![vec![self, other]] }
    }

    /// What matches exactly the rest.
    pub(super) fn not(self) -> Selector {
        let single = self.requirements.into_iter().map(|Requirement { key, operator }| {
            let operator = match operator {
                Operator::In(values) => Operator::NotIn(values),
                Operator::NotIn(values) => Operator::In(values),
                Operator::Exists => Operator::DoesNotExist,
                Operator::DoesNotExist => Operator::Exists,
                Operator::Text(part, text) => Operator::NotText(part, text),
                Operator::NotText(part, text) => Operator::Text(part, text),
            };
            Selector::of(&key, operator)
        });
        let none_of = self
            .alternatives
            .into_iter()
            .map(|any| any.into_iter().map(Selector::not).fold(Selector::default(), Selector::and));
        let mut any: Vec<Selector> = single.chain(none_of).collect();
        match any.len() {
            1 => any.remove(0),
            _ => Selector { requirements: Vec::new(), alternatives: vec![any] },
        }
    }

    /// Takes apart what is said of pods and of their namespaces.
    ///
    /// # Errors
    /// The key that is about neither, or that cannot be taken from what is said of pods.
    pub(super) fn split(self, about: &dyn Fn(&str) -> About) -> Result<(Selector, Selector), String> {
        let (mut pods, mut namespaces) = (Selector::default(), Selector::default());
        for Requirement { key, operator } in self.requirements {
            match about(&key) {
                About::Pod(key) => pods = pods.and(Selector::of(&key, operator)),
                About::Namespace(key) => namespaces = namespaces.and(Selector::of(&key, operator)),
                About::Other => return Err(key),
            }
        }
        for any in self.alternatives {
            let mut renamed = Vec::new();
            for selector in any {
                let (of_pods, of_namespaces) = selector.split(about)?;
                if let Some(requirement) = of_namespaces.requirements.first() {
                    return Err(requirement.key.clone());
                }
                renamed.push(of_pods);
            }
            pods.alternatives.push(renamed);
        }
        Ok((pods, namespaces))
    }

    /// Leaves out that a label is there.
    pub(super) fn without_presence_of(mut self, key: &str) -> Selector {
        self.requirements
            .retain(|requirement| requirement.key != key || requirement.operator != Operator::Exists);
        self
    }
}

impl Part {
    fn holds(self, label: &str, text: &str) -> bool {
        match self {
            Part::Anywhere => label.contains(text),
            Part::Start => label.starts_with(text),
            Part::End => label.ends_with(text),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Part::Anywhere => "contains",
            Part::Start => "starts with",
            Part::End => "ends with",
        }
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
            Operator::Text(part, text) => label.is_some_and(|label| part.holds(label, text)),
            Operator::NotText(part, text) => label.is_none_or(|label| !part.holds(label, text)),
        }
    }
}

/// As `kubectl --selector` takes it: `app=web,tier in (a,b),!canary`; empty for everything. What kubectl has no form for
/// is said in words.
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
                Operator::Text(part, text) => write!(f, "{key} {} {text}", part.as_str())?,
                Operator::NotText(part, text) => write!(f, "!({key} {} {text})", part.as_str())?,
            }
        }
        for (idx, any) in self.alternatives.iter().enumerate() {
            let shown: Vec<String> = any.iter().map(ToString::to_string).collect();
            let comma = if idx == 0 && self.requirements.is_empty() { "" } else { "," };
            write!(f, "{comma}({})", shown.join(" or "))?;
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
