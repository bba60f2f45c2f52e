//! The texts that a pod is given, each with its key and its place.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::super::MemberId;
use super::super::super::address::{names_address, split_words};
use super::super::super::scene::Scene;
use super::config_maps::{ConfigMaps, Entries};
use crate::model::{Container, Pod};

/// Where a text stands.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Object {
        file: usize,
        object: usize,
        pointer: String,
    },
    Kustomization {
        file: usize,
        pointer: String,
    },
    /// In a file that is no manifest, counted from 1.
    Text {
        path: String,
        line: usize,
    },
}

/// One text.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) key: Option<String>,
    pub(super) text: String,
    pub(super) place: Place,
    /// What it is, for evidence: ``env DB_HOST of container `web` ``.
    pub(super) words: String,
    pub(super) sibling_port: Option<u16>,
    /// Why it may not be meant for this workload.
    pub(super) doubt: Option<String>,
}

/// Something that may hold addresses and is not read.
#[derive(Debug, Clone)]
pub(super) struct Opaque {
    pub(super) reason: String,
    pub(super) words: String,
    pub(super) place: Place,
}

#[derive(Debug, Default)]
pub(super) struct Pieces {
    pub(super) texts: Vec<Piece>,
    pub(super) opaque: Vec<Opaque>,
}

impl Piece {
    pub(super) fn says(&self, shown: &str) -> String {
        format!("{} says `{shown}`", self.words)
    }
}

/// What the pod is made with.
struct Reader<'a, 'm> {
    scene: &'a Scene<'m>,
    maps: &'a ConfigMaps,
    member: MemberId,
    pieces: Pieces,
}

pub(super) fn of_pod(scene: &Scene<'_>, maps: &ConfigMaps, member: MemberId, pod: &Pod<'_>) -> Pieces {
    let mut reader = Reader { scene, maps, member, pieces: Pieces::default() };
    for container in &pod.containers {
        reader.container(container);
    }
    for (idx, volume) in pod.spec["volumes"].as_array().into_iter().flatten().enumerate() {
        let at = format!("{}/volumes/{idx}", pod.pointer);
        reader.volume(&volume["configMap"], &at);
        for source in volume["projected"]["sources"].as_array().into_iter().flatten() {
            reader.volume(&source["configMap"], &at);
        }
    }
    reader.pieces
}

impl Reader<'_, '_> {
    fn here(&self, pointer: String) -> Place {
        let member = self.scene.member(self.member);
        Place::Object { file: member.file, object: member.object, pointer }
    }

    fn container(&mut self, container: &Container<'_>) {
        let (scene, maps) = (self.scene, self.maps);
        let start = self.pieces.texts.len();
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        for source in container.value["envFrom"].as_array().into_iter().flatten() {
            if let Some(name) = source["configMapRef"]["name"].as_str() {
                let at = format!("{}/envFrom", container.pointer);
                let prefix = source["prefix"].as_str().unwrap_or_default();
                self.whole(name, &at, source["configMapRef"]["optional"] == true);
                if let Some(entries) = maps.get(scene, self.member, name) {
                    values.extend(
                        entries.texts.iter().map(|(key, text, _)| (format!("{prefix}{key}"), text.clone())),
                    );
                }
            }
            if let Some(name) = source["secretRef"]["name"].as_str() {
                self.whole_secret(container, name);
            }
        }
        for (idx, variable) in container.value["env"].as_array().into_iter().flatten().enumerate() {
            let Some(name) = variable["name"].as_str() else { continue };
            if let Some(text) = self.variable(container, idx, name, variable) {
                values.insert(name.to_owned(), text);
            }
        }
        for list in ["command", "args"] {
            let parts: Vec<&str> = match &container.value[list] {
                Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
                Value::String(text) => vec![text],
                _ => continue,
            };
            self.pieces.texts.push(Piece {
                key: None,
                text: parts.join(" "),
                place: self.here(format!("{}/{list}", container.pointer)),
                words: format!("{list} of {} `{}`", container.role.noun(), container.name),
                sibling_port: None,
                doubt: None,
            });
        }
        // Tekton's scripts are arguments as well.
        if let Some(script) = container.value["script"].as_str() {
            self.pieces.texts.push(Piece {
                key: None,
                text: script.to_owned(),
                place: self.here(format!("{}/script", container.pointer)),
                words: format!("the script of {} `{}`", container.role.noun(), container.name),
                sibling_port: None,
                doubt: None,
            });
        }
        for piece in &mut self.pieces.texts[start..] {
            piece.text = expanded(&piece.text, &values);
            piece.sibling_port = piece.key.as_deref().and_then(|key| sibling_port(key, &values));
        }
    }

    /// The text of a variable, where the repo has it.
    fn variable(
        &mut self,
        container: &Container<'_>,
        idx: usize,
        name: &str,
        variable: &Value,
    ) -> Option<String> {
        let words = format!("env {name} of {} `{}`", container.role.noun(), container.name);
        let here = self.here(format!("{}/env/{idx}", container.pointer));
        if let Some(text) = variable["value"].as_str() {
            self.pieces.texts.push(Piece {
                key: Some(name.to_owned()),
                text: text.to_owned(),
                place: self.here(format!("{}/env/{idx}/value", container.pointer)),
                words,
                sibling_port: None,
                doubt: None,
            });
            return Some(text.to_owned());
        }
        let from = &variable["valueFrom"];
        if let (Some(map), Some(key)) =
            (from["configMapKeyRef"]["name"].as_str(), from["configMapKeyRef"]["key"].as_str())
        {
            let entry = self.maps.get(self.scene, self.member, map);
            let text = entry.and_then(|entries| entries.texts.iter().find(|(known, _, _)| known == key));
            let Some((_, text, place)) = text else {
                if names_address(name) || names_address(key) {
                    let reason = format!("key {key} of ConfigMap/{map} is not in the repo");
                    self.pieces.opaque.push(Opaque { reason, words, place: here });
                }
                return None;
            };
            self.pieces.texts.push(Piece {
                key: Some(name.to_owned()),
                text: text.clone(),
                place: place.clone(),
                words: format!("{words} (ConfigMap/{map})"),
                sibling_port: None,
                doubt: None,
            });
            return Some(text.clone());
        }
        if let (Some(secret), Some(key)) =
            (from["secretKeyRef"]["name"].as_str(), from["secretKeyRef"]["key"].as_str())
            && (names_address(name) || names_address(key))
        {
            let reason = format!("it is given by Secret/{secret}, which is not read");
            self.pieces.opaque.push(Opaque { reason, words, place: here });
        }
        None
    }

    /// A Secret that becomes variables. Where its keys are known, only those that name addresses count.
    fn whole_secret(&mut self, container: &Container<'_>, name: &str) {
        let space = &self.scene.member(self.member).space;
        let keys = self.maps.secret_keys(space, name);
        let telling = keys.and_then(|keys| keys.iter().find(|key| names_address(key)));
        let reason = match (keys, telling) {
            (Some(_), None) => return,
            (Some(_), Some(key)) => format!("key {key} of Secret/{name} is not read"),
            (None, _) => format!("Secret/{name} becomes variables and is not read"),
        };
        let words = format!("envFrom of {} `{}`", container.role.noun(), container.name);
        let place = self.here(format!("{}/envFrom", container.pointer));
        self.pieces.opaque.push(Opaque { reason, words, place });
    }

    fn volume(&mut self, source: &Value, at: &str) {
        let Some(name) = source["name"].as_str() else { return };
        let Some(items) = source["items"].as_array() else {
            return self.whole(name, at, source["optional"] == true);
        };
        let wanted: Vec<&str> = items.iter().filter_map(|item| item["key"].as_str()).collect();
        let Some(entries) = self.maps.get(self.scene, self.member, name) else {
            return self.missing(name, at, source["optional"] == true);
        };
        let texts = entries.texts.iter().filter(|(key, _, _)| wanted.contains(&key.as_str())).cloned();
        let texts: Vec<_> = texts.collect();
        self.entries(name, &texts, None);
    }

    fn whole(&mut self, name: &str, at: &str, optional: bool) {
        let maps = self.maps;
        let Some(entries) = maps.get(self.scene, self.member, name) else {
            return self.missing(name, at, optional);
        };
        let Entries { texts, is_partial, users } = entries;
        let doubt = (*users > 1).then(|| format!("ConfigMap/{name} is shared by {users} workloads"));
        self.entries(name, texts, doubt);
        if *is_partial {
            let reason = format!("ConfigMap/{name} is made from files that are not read");
            let words = format!("ConfigMap/{name}");
            self.pieces.opaque.push(Opaque { reason, words, place: self.here(at.to_owned()) });
        }
    }

    fn entries(&mut self, name: &str, texts: &[(String, String, Place)], doubt: Option<String>) {
        let of_map: BTreeMap<String, String> =
            texts.iter().map(|(key, text, _)| (key.clone(), text.clone())).collect();
        for (key, text, place) in texts {
            let is_file = text.trim_end().contains('\n');
            self.pieces.texts.push(Piece {
                key: (!is_file).then(|| key.clone()),
                text: text.clone(),
                place: place.clone(),
                words: format!("key {key} of ConfigMap/{name}"),
                sibling_port: sibling_port(key, &of_map),
                doubt: doubt.clone(),
            });
        }
    }

    fn missing(&mut self, name: &str, at: &str, optional: bool) {
        // Every namespace has it: the certificate of the API server.
        if optional || name == "kube-root-ca.crt" {
            return;
        }
        let reason = format!("ConfigMap/{name} is not in the repo");
        let words = format!("ConfigMap/{name}");
        self.pieces.opaque.push(Opaque { reason, words, place: self.here(at.to_owned()) });
    }
}

/// `$(NAME)`, as the kubelet expands it, and `$NAME`, `${NAME}`, as shells do. Variables that the kubelet makes for
/// Services become the Service's name.
fn expanded(text: &str, values: &BTreeMap<String, String>) -> String {
    if !text.contains('$') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, len) = match after.chars().next() {
            Some(open @ ('(' | '{')) => {
                let close = if open == '(' { ')' } else { '}' };
                match after.find(close) {
                    Some(end) => (&after[1..end], end + 1),
                    None => ("", 0),
                }
            }
            _ => {
                let end = after.find(|c: char| !is_name(c)).unwrap_or(after.len());
                (&after[..end], end)
            }
        };
        // `${NAME:-default}`
        let (name, fallback) = name.split_once(":-").unwrap_or((name, ""));
        let service = |name: &str| name.to_lowercase().replace('_', "-");
        if let Some(value) = values.get(name) {
            out.push_str(value);
        } else if let Some(name) = name.strip_suffix("_SERVICE_HOST") {
            out.push_str(&service(name));
        } else if name.contains("_SERVICE_PORT") {
        } else if !name.is_empty() && name.chars().all(is_name) {
            out.push_str(fallback);
        } else {
            out.push('$');
            rest = after;
            continue;
        }
        rest = &after[len..];
    }
    out.push_str(rest);
    out
}

/// The port that the variable beside one gives: `DB_PORT` for `DB_HOST`.
fn sibling_port(key: &str, values: &BTreeMap<String, String>) -> Option<u16> {
    let words = split_words(key);
    let stem = &words[..words.len().checked_sub(1)?];
    if stem.is_empty() {
        return None;
    }
    let is_sibling = |other: &str| {
        let other = split_words(other);
        other.last().is_some_and(|last| last == "port") && other[..other.len() - 1] == *stem
    };
    values.iter().find(|(other, _)| is_sibling(other)).and_then(|(_, text)| text.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_to_variables_become_what_they_hold() {
        let values: BTreeMap<String, String> =
            [("HOST", "db"), ("PORT", "5432")].map(|(key, text)| (key.to_owned(), text.to_owned())).into();
        let check = |text: &str, expected: &str| assert_eq!(expanded(text, &values), expected);
        check("postgres://$(HOST):$(PORT)/x", "postgres://db:5432/x");
        check("nc -z ${HOST} $PORT", "nc -z db 5432");
        check("http://$(REDIS_MASTER_SERVICE_HOST):6379", "http://redis-master:6379");
        check("${MISSING:-cache}:1 $$ 5$", "cache:1 $$ 5$");
    }

    #[test]
    fn a_port_beside_a_host_is_its_port() {
        let values: BTreeMap<String, String> =
            [("DB_PORT", "5432"), ("PORT", "80")].map(|(key, text)| (key.to_owned(), text.to_owned())).into();
        assert_eq!(sibling_port("DB_HOST", &values), Some(5432));
        assert_eq!(sibling_port("HOST", &values), None);
        assert_eq!(sibling_port("CACHE_HOST", &values), None);
    }
}
