//! ConfigMaps and the keys of Secrets, by namespace and name; those that kustomizations generate too.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::super::super::members::strings;
use super::super::super::scene::Scene;
use super::super::super::{MemberId, Space};
use super::pieces::Place;
use crate::model::Object;
use crate::repo::Kustomization;
use crate::repo::generator::{self, GeneratorFile};

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

impl Entries {
    fn of_object(scene: &Scene<'_>, file: usize, object: &Object, value: &Value) -> Option<Entries> {
        let idx = scene.model.objects_of(file).iter().position(|other| std::ptr::eq(other, object))?;
        let place = |key: &str| {
            let pointer = format!("/data/{}", crate::pointer::token(key));
            Place::Object { file, object: idx, pointer }
        };
        let texts = strings(&value["data"]).into_iter();
        let texts = texts.map(|(key, text)| {
            let place = place(&key);
            (key, text, place)
        });
        Some(Entries { texts: texts.collect(), ..Entries::default() })
    }

    fn read_file(&mut self, source: GeneratorFile, text: &str) {
        let place = |line| Place::Text { path: source.path.clone(), line };
        if let Some(key) = source.key {
            return self.texts.push((key, text.to_owned(), place(1)));
        }
        for (idx, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with('#')) {
            if let Some((key, value)) = line.trim_start_matches('\u{feff}').split_once('=') {
                self.texts.push((key.trim().to_owned(), value.to_owned(), place(idx + 1)));
            }
        }
    }
}

#[derive(Debug, Default)]
pub(in crate::connections) struct ConfigMaps {
    maps: Vec<Entries>,
    by_name: HashMap<(Space, String), usize>,
    /// By the kustomization that makes them.
    generated: HashMap<String, Vec<(String, usize)>>,
    secrets: HashMap<(Space, String), BTreeSet<String>>,
}

impl ConfigMaps {
    pub(in crate::connections) fn new(scene: &Scene<'_>) -> ConfigMaps {
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
        let is_core = |object: &Object| object.id.group().is_empty();
        let secrets = scene.each(
            |object| &*object.id.kind == "Secret" && is_core(object),
            |_, object, value| {
                let keys = ["data", "stringData"].iter().filter_map(|part| value[part].as_object());
                (object, keys.flat_map(|map| map.keys().cloned()).collect::<BTreeSet<String>>())
            },
        );
        for (object, keys) in secrets {
            for space in scene.spaces(object) {
                self.secrets.insert((space, object.id.name.to_string()), keys.clone());
            }
        }
        let maps = scene.each(
            |object| &*object.id.kind == "ConfigMap" && is_core(object),
            |file, object, value| Some((object, Entries::of_object(scene, file, object, value)?)),
        );
        for (object, entries) in maps.into_iter().flatten() {
            for space in scene.spaces(object) {
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
            let folder = crate::repo::folder(&kustomization.path);
            for source in generator::files(folder, generator) {
                let text = source.as_ref().and_then(|source| scene.model.repo().text(&source.path));
                match (source, text) {
                    (Some(source), Some(text)) => entries.read_file(source, text),
                    _ => entries.is_partial = true,
                }
            }
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
            for name in scene.maps_taken(member) {
                if let Some(idx) = self.index(scene, id, name) {
                    users.entry(idx).or_default().insert((member.file, member.object));
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
