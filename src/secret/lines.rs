//! The lines of a text that show a secret, so that nobody shows them by accident beside a change.
//!
//! Looks at a stream's nodes alone: patches, values and build files count as much as objects do.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::content::{Nature, nature_of};
use super::settings::{argument, file_content};
use super::text::{is_secret_name, is_secret_value, known_token, literal};
use crate::yaml::{Kind, Limits, Node, Stream};

/// Written by `kubectl apply`: the whole object as it was, values included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Shorter text is in too many other words.
const SHORTEST: usize = 6;

/// The lines of a text that hold secrets, counted from 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretLines(BTreeSet<usize>);

impl SecretLines {
    pub fn of(stream: &Stream) -> SecretLines {
        let mut walk = Walk::new(stream);
        walk.all();
        walk.mark_copies();
        SecretLines(walk.lines)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, line: usize) -> bool {
        self.0.contains(&line)
    }

    /// Whether one of some lines is secret.
    pub fn any_in(&self, lines: std::ops::Range<usize>) -> bool {
        self.0.range(lines).next().is_some()
    }
}

/// Every secret text of a node, plain and as base64: what must be in nothing that is written in its place.
pub fn secret_values(node: Node<'_>) -> BTreeSet<String> {
    let mut walk = Walk::new(node.stream());
    walk.node(node);
    walk.values
}

struct Walk<'s> {
    stream: &'s Stream,
    /// Offsets at which lines start.
    starts: Vec<usize>,
    lines: BTreeSet<usize>,
    values: BTreeSet<String>,
}

impl<'s> Walk<'s> {
    fn new(stream: &'s Stream) -> Walk<'s> {
        let breaks = memchr::memchr_iter(b'\n', stream.text().as_bytes()).map(|at| at + 1);
        let starts = std::iter::once(0).chain(breaks).collect();
        Walk { stream, starts, lines: BTreeSet::new(), values: BTreeSet::new() }
    }

    fn all(&mut self) {
        for root in (0..self.stream.documents()).filter_map(|document| self.stream.root(document)) {
            if root.get("apiVersion").is_none() || root.get("kind").is_none() {
                self.settings(root);
            }
            self.node(root);
        }
    }

    fn line_of(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset) - 1
    }

    /// Marks all lines of a node whose text is a secret.
    fn mark(&mut self, node: Node<'_>) {
        let range = node.range();
        let end = range.end.max(range.start + 1) - 1;
        self.lines.extend(self.line_of(range.start)..=self.line_of(end));
        if let Some(text) = node.written() {
            self.keep(text.trim());
        }
    }

    fn keep(&mut self, text: &str) {
        let mut known = |text: &str| {
            if text.len() >= SHORTEST {
                self.values.insert(text.to_owned());
            }
        };
        known(text);
        // A key of many lines is there line by line, indented.
        text.lines().map(str::trim).filter(|line| line.len() >= 20).for_each(&mut known);
    }

    /// Marks the lines of a node that one of its secret lines stands on.
    fn mark_within(&mut self, node: Node<'_>, secret: &str) {
        let secret = secret.trim();
        let range = node.range();
        let source = &self.stream.text()[range.clone()];
        let mut found = false;
        for (at, _) in source.match_indices(secret).filter(|_| !secret.is_empty()) {
            let lines = self.line_of(range.start + at)..=self.line_of(range.start + at + secret.len() - 1);
            self.lines.extend(lines);
            found = true;
        }
        // Escaped or folded: it cannot be told on which line.
        if !found {
            self.mark(node);
        }
    }

    fn node(&mut self, node: Node<'_>) {
        match node.kind() {
            Kind::Mapping => self.mapping(node),
            Kind::Sequence => node.items().for_each(|item| self.node(item)),
            Kind::Scalar => self.scalar(node),
            Kind::Alias => {}
        }
    }

    fn scalar(&mut self, node: Node<'_>) {
        if node.range().len() < 8 {
            return;
        }
        let Some(text) = node.as_str() else { return };
        if known_token(&text).is_none() {
            return;
        }
        if !text.contains('\n') {
            return self.mark(node);
        }
        let is_key = text.contains("PRIVATE KEY-----");
        match text.lines().filter(|line| known_token(line).is_some()).collect::<Vec<_>>() {
            lines if is_key || lines.is_empty() => self.mark(node),
            lines => lines.into_iter().for_each(|line| self.mark_within(node, line)),
        }
    }

    fn mapping(&mut self, node: Node<'_>) {
        let text = |key: &str| node.get(key).and_then(Node::as_str);
        match text("kind").as_deref() {
            Some("Secret") => self.secret(node),
            Some("ConfigMap") => self.config_map(node),
            Some("HelmRelease" | "Application" | "HelmChart" | "HelmChartConfig") => self.settings(node),
            _ => {}
        }
        if let (Some(name), Some(value)) = (text("name"), node.get("value"))
            && value.as_str().is_some_and(|text| literal(&name, &text).is_some())
        {
            self.mark(value);
        }
        for (key, value) in node.entries() {
            match key.as_str().as_deref() {
                Some(LAST_APPLIED) => self.mark(value),
                Some("args" | "command") => self.arguments(value),
                Some("secretGenerator") => self.generator(value),
                Some("patch" | "values" | "valuesContent") => self.embedded(value),
                Some("patchesStrategicMerge") => value.items().for_each(|item| self.embedded(item)),
                _ => {}
            }
            self.node(value);
        }
    }

    fn secret(&mut self, node: Node<'_>) {
        for (field, is_encoded) in [("data", true), ("stringData", false)] {
            for (_, value) in node.get(field).into_iter().flat_map(Node::entries) {
                let Some(text) = value.written() else { continue };
                let (nature, decoded) = nature_of(&text, is_encoded);
                if matches!(nature, Nature::Empty | Nature::FilledIn | Nature::Public) {
                    continue;
                }
                self.mark(value);
                match std::str::from_utf8(&decoded) {
                    Ok(decoded) if is_encoded => self.keep(decoded.trim()),
                    _ if !is_encoded => self.keep(&STANDARD.encode(&decoded)),
                    _ => {}
                }
            }
        }
    }

    fn config_map(&mut self, node: Node<'_>) {
        for (key, value) in node.get("data").into_iter().flat_map(Node::entries) {
            let (Some(key), Some(text)) = (key.as_str(), value.as_str()) else { continue };
            if text.trim().contains('\n') {
                let lines: Vec<&str> = text.lines().collect();
                file_content(&text).iter().for_each(|found| self.mark_within(value, lines[found.line]));
            } else if literal(&key, &text).is_some() {
                self.mark(value);
            }
        }
    }

    fn arguments(&mut self, list: Node<'_>) {
        let items: Vec<Node<'_>> = list.items().collect();
        let texts: Vec<String> = items.iter().map(|item| item.written().unwrap_or_default()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        argument(&texts).iter().for_each(|found| self.mark(items[found.index]));
    }

    /// YAML in a text: patches in a kustomization, values in a resource.
    fn embedded(&mut self, node: Node<'_>) {
        let Some(text) = (node.kind() == Kind::Scalar).then(|| node.as_str()).flatten() else { return };
        if !text.trim().contains('\n') {
            return;
        }
        let Ok(inner) = Stream::parse(text.into_owned(), &Limits::default()) else { return };
        let mut walk = Walk::new(&inner);
        walk.all();
        let lines: Vec<&str> = inner.text().lines().collect();
        walk.lines.iter().filter_map(|line| lines.get(*line)).for_each(|line| self.mark_within(node, line));
        self.values.extend(walk.values);
    }

    /// `literals` of kustomize's generator: every value is one of a Secret.
    fn generator(&mut self, list: Node<'_>) {
        for literal in list.items().filter_map(|item| item.get("literals")).flat_map(Node::items) {
            self.mark(literal);
            if let Some((_, value)) = literal.written().as_deref().and_then(|text| text.split_once('=')) {
                self.keep(value.trim_matches(['"', '\'']));
                self.keep(&STANDARD.encode(value.trim_matches(['"', '\''])));
            }
        }
    }

    /// Values of charts: keys that promise a secret, at any depth.
    fn settings(&mut self, node: Node<'_>) {
        for (key, value) in node.entries() {
            match (value.kind(), key.as_str(), value.as_str()) {
                (Kind::Scalar, Some(key), Some(text)) if is_secret_name(&key) && is_secret_value(&text) => {
                    self.mark(value);
                }
                (Kind::Mapping, ..) => self.settings(value),
                (Kind::Sequence, ..) => value.items().for_each(|item| self.settings(item)),
                _ => {}
            }
        }
    }

    /// Comments and other places may repeat a value.
    fn mark_copies(&mut self) {
        let text = self.stream.text();
        for value in std::mem::take(&mut self.values) {
            for at in memchr::memmem::find_iter(text.as_bytes(), value.as_bytes()) {
                self.lines.extend(self.line_of(at)..=self.line_of(at + value.len() - 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[usize]) {
        let stream = Stream::parse(text.to_owned(), &Limits::default()).unwrap();
        let found: Vec<usize> = SecretLines::of(&stream).0.into_iter().collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn values_of_secrets_and_their_copies_are_secret() {
        check(
            "# was hunter22 before\napiVersion: v1\nkind: Secret\ndata:\n  a: aHVudGVyMjI=\nstringData:\n  b: |\n    one\n    two\n  c: ${C}\n",
            &[0, 4, 6, 7, 8],
        );
    }

    #[test]
    fn environments_arguments_and_generators_are_looked_at_anywhere() {
        check(
            "spec:\n  containers:\n  - env:\n    - name: DB_PASSWORD\n      value: hunter22\n    args: [--token, abc123def]\n",
            &[4, 5],
        );
        check("kind: Kustomization\nsecretGenerator:\n- name: x\n  literals:\n  - user=app\n", &[4]);
        check("a: postgres://app:hunter22@db/app\nb: 1\n", &[0]);
    }

    #[test]
    fn files_in_config_maps_are_secret_line_by_line() {
        check(
            "apiVersion: v1\nkind: ConfigMap\ndata:\n  app.ini: |\n    user=app\n    password=hunter22\n    port=1\n",
            &[5],
        );
    }

    #[test]
    fn yaml_in_a_text_is_looked_at_like_any_other() {
        check(
            "patches:\n- patch: |\n    spec:\n      env: [{name: API_TOKEN, value: hunter22}]\n      a: 1\n",
            &[3],
        );
        check(
            "kind: Application\nspec:\n  helm:\n    values: |\n      a: 1\n      password: hunter22\n",
            &[5],
        );
        check(
            "patchesStrategicMerge:\n- |\n  kind: Secret\n  stringData:\n    a: hunter22\n- b.yaml\n",
            &[4],
        );
    }

    #[test]
    fn values_of_charts_are_known_by_their_keys() {
        check("db:\n  user: app\n  password: hunter22\n", &[2]);
        check("apiVersion: v1\nkind: Service\npassword: no\n", &[]);
    }
}
