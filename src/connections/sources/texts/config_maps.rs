//! ConfigMaps and the keys of Secrets, by namespace and name; those that kustomizations generate too.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::super::super::members::strings;
use super::super::super::scene::Scene;
use super::super::super::{MemberId, Space};
use super::pieces::Place;
use crate::model::{Layout, pods};
use crate::repo::Kustomization;

/// What a ConfigMap holds.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// Key, text, and where the text stands.
    pub(super) texts: Vec<(String, String, Place)>,
    /// Whether there is more that is not read.
    pub(super) is_partial: bool,
    /// Workloads that take all of it.
    pub(super) users: usize,
}

#[derive(Debug, Default)]
pub(super) struct ConfigMaps {
    maps: Vec<Entries>,
    by_name: HashMap<(Space, String), usize>,
    /// By the kustomization that makes them.
    generated: HashMap<String, Vec<(String, usize)>>,
    secrets: HashMap<(Space, String), BTreeSet<String>>,
}

impl ConfigMaps {
    pub(super) fn new(scene: &Scene<'_>) -> ConfigMaps {
        let mut maps = ConfigMaps::default();
        maps.read_objects(scene);
        for (file, source) in scene.model.repo().files.iter().enumerate() {
            let folder = crate::repo::folder(&source.path);
            if let Some(kustomization) =
                scene.model.builds.kustomization(folder).filter(|k| k.path == source.path)
            {
                maps.read_generators(scene, file, kustomization);
            }
        }
        maps.count_users(scene);
        maps
    }

    fn read_objects(&mut self, scene: &Scene<'_>) {
        for (file, object, value) in scene.objects(|object| {
            matches!(&*object.id.kind, "ConfigMap" | "Secret") && object.id.group().is_empty()
        }) {
            let spaces = scene.spaces(object);
            if &*object.id.kind == "Secret" {
                let keys = ["data", "stringData"].iter().filter_map(|part| value[part].as_object());
                let keys: BTreeSet<String> = keys.flat_map(|map| map.keys().cloned()).collect();
                for space in spaces {
                    self.secrets.insert((space, object.id.name.to_string()), keys.clone());
                }
                continue;
            }
            let idx = scene.model.objects_of(file).iter().position(|other| std::ptr::eq(other, object));
            let Some(idx) = idx else { continue };
            let place = |key: &str| {
                let pointer = format!("/data/{}", crate::pointer::token(key));
                Place::Object { file, object: idx, pointer }
            };
            let texts = strings(&value["data"]).into_iter();
            let entries = Entries {
                texts: texts.map(|(key, text)| (key.clone(), text, place(&key))).collect(),
                ..Entries::default()
            };
            for space in spaces {
                self.by_name.insert((space, object.id.name.to_string()), self.maps.len());
            }
            self.maps.push(entries);
        }
    }

    /// <https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/configmapgenerator/>
    fn read_generators(&mut self, scene: &Scene<'_>, file: usize, kustomization: &Kustomization) {
        let Some(Ok(value)) = scene.model.repo().files[file].stream.root(0).map(|root| root.value()) else {
            return;
        };
        for (idx, generator) in value["configMapGenerator"].as_array().into_iter().flatten().enumerate() {
            let Some(name) = generator["name"].as_str() else { continue };
            let mut entries = Entries::default();
            for (at, literal) in generator["literals"].as_array().into_iter().flatten().enumerate() {
                let Some((key, text)) = literal.as_str().and_then(|literal| literal.split_once('=')) else {
                    continue;
                };
                let pointer = format!("/configMapGenerator/{idx}/literals/{at}");
                let text = text.trim_matches(['"', '\'']).to_owned();
                entries.texts.push((key.to_owned(), text, Place::Kustomization { file, pointer }));
            }
            entries.is_partial = ["files", "envs", "env"].iter().any(|key| !generator[key].is_null());
            self.generated
                .entry(kustomization.path.clone())
                .or_default()
                .push((name.to_owned(), self.maps.len()));
            self.maps.push(entries);
        }
    }

    /// A ConfigMap that several workloads take as a whole has lines that are not meant for all of them.
    fn count_users(&mut self, scene: &Scene<'_>) {
        let mut users: BTreeMap<usize, BTreeSet<(usize, usize)>> = BTreeMap::new();
        for id in scene.ids() {
            let member = scene.member(id);
            let object = scene.object(member);
            let Some(Layout::PodSpec { .. }) = &object.layout else { continue };
            let (Some(layout), Some(value)) = (&object.layout, scene.model.value(object)) else { continue };
            for pod in pods(layout, &value) {
                for name in whole_references(&pod.spec) {
                    if let Some(idx) = self.index(scene, id, name) {
                        users.entry(idx).or_default().insert((member.file, member.object));
                    }
                }
            }
        }
        for (idx, users) in users {
            self.maps[idx].users = users.len();
        }
    }

    fn index(&self, scene: &Scene<'_>, client: MemberId, name: &str) -> Option<usize> {
        let member = scene.member(client);
        if let Some(idx) = self.by_name.get(&(member.space.clone(), name.to_owned())) {
            return Some(*idx);
        }
        let path = &scene.model.repo().files[member.file].path;
        let mut made: Vec<usize> = Vec::new();
        for kustomization in scene.model.builds.passages(path).into_iter().flatten() {
            let maps = self.generated.get(&kustomization.path).into_iter().flatten();
            made.extend(maps.filter(|(made, _)| made == name).map(|(_, idx)| *idx));
        }
        made.first().copied()
    }

    pub(super) fn get(&self, scene: &Scene<'_>, client: MemberId, name: &str) -> Option<&Entries> {
        self.index(scene, client, name).map(|idx| &self.maps[idx])
    }

    pub(super) fn secret_keys(&self, space: &Space, name: &str) -> Option<&BTreeSet<String>> {
        self.secrets.get(&(space.clone(), name.to_owned()))
    }
}

/// ConfigMaps that a pod takes as a whole.
fn whole_references(spec: &Value) -> Vec<&str> {
    let mut names = Vec::new();
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array().into_iter().flatten() {
            let sources = container["envFrom"].as_array().into_iter().flatten();
            names.extend(sources.filter_map(|source| source["configMapRef"]["name"].as_str()));
        }
    }
    for volume in spec["volumes"].as_array().into_iter().flatten() {
        names.extend(volume["configMap"]["name"].as_str().filter(|_| volume["configMap"]["items"].is_null()));
    }
    names
}
