//! Whether the target of a patch picks an object, as kustomize decides it.
//!
//! Texts are regular expressions over the whole value; a text without any of their signs is compared as it is.

use std::collections::BTreeMap;

use regex_automata::meta::Regex;

use crate::repo::PatchTarget;

/// A compiled [`PatchTarget`].
#[derive(Debug, Clone)]
pub(super) struct Selector {
    group: Option<Pattern>,
    version: Option<Pattern>,
    kind: Option<Pattern>,
    name: Option<Pattern>,
    namespace: Option<Pattern>,
    labels: Option<String>,
    annotations: Option<String>,
}

#[derive(Debug, Clone)]
enum Pattern {
    Literal(String),
    Regex(Box<Regex>),
    /// Not a regular expression: the build fails, nothing is picked.
    Broken,
}

/// Bytes that a compiled pattern may take: far more than any name needs.
const LARGEST_PATTERN: usize = 1 << 20;

impl Pattern {
    fn new(text: &str) -> Pattern {
        if text.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '/')) {
            return Pattern::Literal(text.to_owned());
        }
        let config = Regex::config().nfa_size_limit(Some(LARGEST_PATTERN));
        match Regex::builder().configure(config).build(&format!("^(?:{text})$")) {
            Ok(regex) => Pattern::Regex(Box::new(regex)),
            Err(_) => Pattern::Broken,
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Literal(literal) => literal == text,
            Pattern::Regex(regex) => regex.is_match(text),
            Pattern::Broken => false,
        }
    }
}

/// What an object is asked for. Names and namespaces: the original and the current one.
pub(super) struct Candidate<'a> {
    pub(super) api_version: &'a str,
    pub(super) kind: &'a str,
    pub(super) names: [&'a str; 2],
    pub(super) namespaces: [&'a str; 2],
    pub(super) labels: &'a BTreeMap<String, String>,
    pub(super) annotations: &'a BTreeMap<String, String>,
}

impl Selector {
    pub(super) fn new(target: &PatchTarget) -> Selector {
        let pattern = |text: &Option<String>| text.as_deref().map(Pattern::new);
        Selector {
            group: pattern(&target.group),
            version: pattern(&target.version),
            kind: pattern(&target.kind),
            name: pattern(&target.name),
            namespace: pattern(&target.namespace),
            labels: target.labels.clone(),
            annotations: target.annotations.clone(),
        }
    }

    pub(super) fn picks(&self, candidate: &Candidate<'_>) -> bool {
        let (group, version) = candidate.api_version.rsplit_once('/').unwrap_or(("", candidate.api_version));
        let is = |pattern: &Option<Pattern>, texts: &[&str]| {
            pattern.as_ref().is_none_or(|pattern| texts.iter().any(|text| pattern.matches(text)))
        };
        is(&self.group, &[group])
            && is(&self.version, &[version])
            && is(&self.kind, &[candidate.kind])
            && is(&self.name, &candidate.names)
            && is(&self.namespace, &candidate.namespaces)
            && self.labels.as_deref().is_none_or(|text| selects(text, candidate.labels))
            && self.annotations.as_deref().is_none_or(|text| selects(text, candidate.annotations))
    }
}

/// Kubernetes' selector syntax: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
///
/// Source: <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>
fn selects(selector: &str, labels: &BTreeMap<String, String>) -> bool {
    requirements(selector).into_iter().all(|requirement| holds(requirement.trim(), labels))
}

/// Splits at the commas that stand outside of parentheses.
fn requirements(selector: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0usize, 0);
    for (at, char) in selector.char_indices() {
        match char {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&selector[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&selector[start..]);
    parts
}

fn holds(requirement: &str, labels: &BTreeMap<String, String>) -> bool {
    let has = |key: &str, value: &str| labels.get(key.trim()).is_some_and(|label| label == value.trim());
    if let Some((key, list)) = requirement.split_once(" notin ") {
        return !members(list).any(|value| has(key, value));
    }
    if let Some((key, list)) = requirement.split_once(" in ") {
        return members(list).any(|value| has(key, value));
    }
    if let Some((key, value)) = requirement.split_once("!=") {
        return !has(key, value);
    }
    if let Some((key, value)) = requirement.split_once("==").or_else(|| requirement.split_once('=')) {
        return has(key, value);
    }
    match requirement.strip_prefix('!') {
        Some(key) => !labels.contains_key(key.trim()),
        None => requirement.is_empty() || labels.contains_key(requirement),
    }
}

fn members(list: &str) -> impl Iterator<Item = &str> {
    list.trim().trim_start_matches('(').trim_end_matches(')').split(',').map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: PatchTarget, expected: bool) {
        let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        let candidate = Candidate {
            api_version: "apps/v1",
            kind: "Deployment",
            names: ["web", "dev-web"],
            namespaces: ["default", "dev"],
            labels: &labels,
            annotations: &BTreeMap::new(),
        };
        assert_eq!(Selector::new(&target).picks(&candidate), expected, "{target:?}");
    }

    fn named(name: &str) -> PatchTarget {
        PatchTarget { name: Some(name.to_owned()), ..PatchTarget::default() }
    }

    #[test]
    fn names_are_expressions_over_the_whole_name_old_or_new() {
        check(PatchTarget::default(), true);
        check(named("web"), true);
        check(named("dev-web"), true);
        check(named("we"), false);
        check(named("w.*|x"), true);
        check(named("e"), false);
        check(named("web("), false);
        check(PatchTarget { kind: Some("Deploy.*|Job".to_owned()), ..named(".*") }, true);
        check(PatchTarget { group: Some("batch".to_owned()), ..named("web") }, false);
        check(PatchTarget { version: Some("v1".to_owned()), ..named("web") }, true);
        check(PatchTarget { namespace: Some("dev".to_owned()), ..named("web") }, true);
        check(PatchTarget { namespace: Some("prod".to_owned()), ..named("web") }, false);
    }

    #[test]
    fn selectors_of_labels_follow_kubernetes() {
        for (selector, expected) in [
            ("app=web", true),
            ("app == web", true),
            ("app!=web", false),
            ("app in (web, api),!tier", true),
            ("app notin (web)", false),
            ("tier", false),
            ("app", true),
        ] {
            check(PatchTarget { labels: Some(selector.to_owned()), ..PatchTarget::default() }, expected);
        }
    }
}
