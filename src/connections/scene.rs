//! Everything that sources of connections look things up in: members by namespace, Services by name, lines of files.
//!
//! Says what is where; finds no connections.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

use rayon::prelude::*;
use serde_json::Value;

use super::exposed_ports::{ExposedPorts, exposed_ports};
use super::members::{Members, covers, landings, members, spaces};
use super::services::{Service, services};
use super::{Evidence, Member, MemberId, Port, Space};
use crate::config::{Config, Network};
use crate::model::{Model, Object, Passage};
use crate::repo::folder;
use crate::yaml::{LineIndex, Node, Pointer};

/// Who names a Service.
#[derive(Debug, Clone, Copy)]
pub(super) struct From<'a> {
    pub(super) file: usize,
    pub(super) ways: &'a [Passage],
}

impl<'a> From<'a> {
    pub(super) fn member(member: &'a Member) -> From<'a> {
        From { file: member.file, ways: &member.ways }
    }
}

pub(super) struct Scene<'m> {
    pub(super) model: &'m Model<'m>,
    pub(super) network: &'m Network,
    pub(super) members: Vec<Member>,
    pub(super) services: Vec<Service>,
    pub(super) exposed: ExposedPorts,
    by_space: HashMap<Space, Vec<MemberId>>,
    by_object: HashMap<(usize, usize), Vec<MemberId>>,
    maps_taken: HashMap<(usize, usize), Vec<String>>,
    services_by_name: HashMap<Space, HashMap<String, Vec<usize>>>,
    /// Services that builds rename, by the name in their files.
    renamed_services: HashMap<Space, HashMap<String, Vec<usize>>>,
    /// Folders that hold objects without a namespace, below the folder they are in.
    folders_below: HashMap<String, Vec<String>>,
    /// Of the kustomizations too.
    lines: Vec<OnceLock<LineIndex<'m>>>,
}

impl<'m> Scene<'m> {
    pub(super) fn new(model: &'m Model<'m>, config: &'m Config) -> Scene<'m> {
        let Members { list: members, maps_taken } = members(model);
        let (mut by_space, mut by_object) = (HashMap::new(), HashMap::new());
        let mut folders_below: HashMap<String, Vec<String>> = HashMap::new();
        for (idx, member) in members.iter().enumerate() {
            let id = MemberId(idx);
            by_space.entry(member.space.clone()).or_insert_with(Vec::new).push(id);
            by_object.entry((member.file, member.object)).or_insert_with(Vec::new).push(id);
        }
        let exposed = exposed_ports(model, &members);
        let mut scene = Scene {
            model,
            exposed,
            network: &config.network,
            members,
            services: Vec::new(),
            by_space,
            by_object,
            maps_taken,
            services_by_name: HashMap::new(),
            renamed_services: HashMap::new(),
            folders_below: HashMap::new(),
            lines: (0..model.repo().files.len()).map(|_| OnceLock::new()).collect(),
        };
        let services = services(&scene);
        let unnamed = scene.by_space.keys().chain(services.iter().map(|service| &service.space));
        let mut folders: Vec<&str> = unnamed
            .filter_map(|space| match space {
                Space::Unnamed(path) if !path.ends_with(".yaml") && !path.ends_with(".yml") => {
                    Some(path.as_str())
                }
                _ => None,
            })
            .collect();
        folders.sort_unstable();
        folders.dedup();
        for path in folders {
            folders_below.entry(folder(path).to_owned()).or_default().push(path.to_owned());
        }
        for (idx, service) in services.iter().enumerate() {
            let names = scene.services_by_name.entry(service.space.clone()).or_default();
            names.entry(service.name.clone()).or_default().push(idx);
            if service.name != *service.object.id.name {
                let names = scene.renamed_services.entry(service.space.clone()).or_default();
                names.entry(service.object.id.name.to_string()).or_default().push(idx);
            }
        }
        scene.folders_below = folders_below;
        scene.services = services;
        for idx in 0..scene.services.len() {
            scene.services[idx].targets = scene.selected(&scene.services[idx]);
        }
        scene
    }

    /// The ports that Services lead to, by member.
    pub(super) fn served(&self) -> BTreeMap<MemberId, Vec<Port>> {
        let mut served: BTreeMap<MemberId, BTreeSet<Port>> = BTreeMap::new();
        for service in &self.services {
            for target in &service.targets {
                let ports = service.ports_on(Some(self.member(*target)), None).unwrap_or_default();
                served.entry(*target).or_default().extend(ports);
            }
        }
        served.into_iter().map(|(id, ports)| (id, ports.into_iter().collect())).collect()
    }

    pub(super) fn member(&self, id: MemberId) -> &Member {
        &self.members[id.0]
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = MemberId> + use<> {
        (0..self.members.len()).map(MemberId)
    }

    /// The members that an object is.
    pub(super) fn of_object(&self, file: usize, object: usize) -> &[MemberId] {
        self.by_object.get(&(file, object)).map(Vec::as_slice).unwrap_or_default()
    }

    /// ConfigMaps that the pods of a member take as a whole.
    pub(super) fn maps_taken(&self, member: &Member) -> &[String] {
        self.maps_taken.get(&(member.file, member.object)).map(Vec::as_slice).unwrap_or_default()
    }

    /// The members of each object, in the order of the objects.
    pub(super) fn by_object(&self) -> Vec<&[MemberId]> {
        let firsts = self.ids().filter(|id| {
            let member = self.member(*id);
            self.of_object(member.file, member.object).first() == Some(id)
        });
        let members = firsts.map(|id| self.member(id));
        members.map(|member| self.of_object(member.file, member.object)).collect()
    }

    pub(super) fn in_space(&self, space: &Space) -> &[MemberId] {
        self.by_space.get(space).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn object(&self, member: &Member) -> &'m Object {
        &self.model.objects_of(member.file)[member.object]
    }

    /// Objects of some kind, each with its file.
    pub(super) fn objects_like(
        &self,
        wanted: impl Fn(&Object) -> bool,
    ) -> impl Iterator<Item = (usize, &'m Object)> {
        self.model.objects().filter(move |object| wanted(object)).map(|object| (object.file, object))
    }

    /// The same with their values.
    pub(super) fn objects(
        &self,
        wanted: impl Fn(&Object) -> bool,
    ) -> impl Iterator<Item = (usize, &'m Object, Value)> {
        self.objects_like(wanted).filter_map(|(file, object)| Some((file, object, self.model.value(object)?)))
    }

    /// What `read` makes of the objects of some kind, in their order. Decoded in many threads, one by one.
    pub(super) fn each<T: Send>(
        &self,
        wanted: impl Fn(&Object) -> bool + Sync,
        read: impl Fn(usize, &'m Object, &Value) -> T + Sync,
    ) -> Vec<T> {
        let (model, wanted, read) = (self.model, &wanted, &read);
        let files = (0..model.repo().files.len()).into_par_iter();
        let of_file = |file: usize| {
            let objects = model.objects_of(file).iter().filter(move |object| wanted(object));
            objects.filter_map(move |object| Some(read(file, object, &model.value(object)?)))
        };
        files.flat_map_iter(of_file).collect()
    }

    pub(super) fn spaces(&self, object: &Object) -> Vec<Space> {
        spaces(self.model, object)
    }

    pub(super) fn landings(&self, object: &Object) -> Vec<(Space, Passage)> {
        landings(self.model, object)
    }

    /// The Services of some spaces, in the order of all.
    pub(super) fn services_in(&self, spaces: &[Space]) -> Vec<&Service> {
        let names = spaces.iter().filter_map(|space| self.services_by_name.get(space));
        let mut found: Vec<usize> = names.flat_map(HashMap::values).flatten().copied().collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(|idx| &self.services[idx]).collect()
    }

    /// The Service that a name means to pods of a space. What builds make of names comes first; a name as files have it
    /// is one that builds adapt, or that somebody forgot.
    pub(super) fn service(&self, space: &Space, from: From<'_>, name: &str) -> Option<&Service> {
        let path = &self.model.repo().files[from.file].path;
        let built_with = |service: &Service| from.ways.iter().map(|way| way.shared(&service.way)).max();
        let tiers = self.tiers(space, from.file);
        [&self.services_by_name, &self.renamed_services].into_iter().find_map(|names| {
            let find = |space: &Space| {
                let found = names.get(space)?.get(name)?.iter().map(|idx| (*idx, &self.services[*idx]));
                // What is built together, then the nearest file, where several define it.
                found.max_by_key(|(idx, service)| {
                    (built_with(service), shared(path, &service.path), std::cmp::Reverse(*idx))
                })
            };
            tiers.iter().find_map(|tier| tier.iter().find_map(find)).map(|(_, service)| service)
        })
    }

    /// Whether the repo puts anything into a namespace of this name.
    pub(super) fn knows_namespace(&self, name: &str) -> bool {
        let space = Space::Named(name.to_owned());
        self.by_space.contains_key(&space) || self.services_by_name.contains_key(&space)
    }

    fn selected(&self, service: &Service) -> Vec<MemberId> {
        let Some(selector) = &service.selector else { return Vec::new() };
        let selects = |space: &Space| -> Vec<MemberId> {
            let members = self.in_space(space).iter().copied();
            members.filter(|id| covers(selector, &self.member(*id).labels)).collect()
        };
        let tiers = self.tiers(&service.space, service.file);
        let mut found = tiers.iter().map(|tier| tier.iter().flat_map(selects).collect::<Vec<_>>());
        self.nearest_copies(service, found.find(|members| !members.is_empty()).unwrap_or_default())
    }

    /// Of a workload that several files describe, the one that is nearest to the Service: the others are deployed
    /// with other Services.
    fn nearest_copies(&self, service: &Service, members: Vec<MemberId>) -> Vec<MemberId> {
        let near = |id: MemberId| shared(&service.path, &self.model.repo().files[self.member(id).file].path);
        let mut nearest: HashMap<(&str, &str, &Space), usize> = HashMap::new();
        let name = |id: MemberId| {
            let member = self.member(id);
            (&*member.id.kind, &*member.name, &member.space)
        };
        for id in &members {
            let known = nearest.entry(name(*id)).or_default();
            *known = near(*id).max(*known);
        }
        members.iter().copied().filter(|id| nearest[&name(*id)] == near(*id)).collect()
    }

    /// Where something of a space is looked for, the most likely place first. Objects that name no namespace and that
    /// no build joins are deployed together with those in the folders around theirs.
    fn tiers(&self, space: &Space, file: usize) -> Vec<Vec<Space>> {
        let own = vec![space.clone()];
        let of_folder = || Space::Unnamed(folder(&self.model.repo().files[file].path).to_owned());
        match space {
            Space::Named(_) => vec![own, vec![of_folder()]],
            Space::Unnamed(path) if *space == of_folder() => {
                let below = |folder: &str| -> Vec<Space> {
                    let found = self.folders_below.get(folder).into_iter().flatten();
                    found.filter(|found| *found != path).cloned().map(Space::Unnamed).collect()
                };
                let above = folder(path);
                let siblings = if path.is_empty() { Vec::new() } else { below(above) };
                let default = Space::Named("default".to_owned());
                vec![own, below(path), vec![Space::Unnamed(above.to_owned())], siblings, vec![default]]
            }
            Space::Unnamed(_) => vec![own],
        }
    }

    /// Where a pointer of an object stands.
    pub(super) fn line(&self, file: usize, document: usize, pointer: &str) -> usize {
        let stream = &self.model.repo().files[file].stream;
        let range = Pointer::parse(pointer).ok().and_then(|pointer| stream.locate(document, pointer));
        let index = self.lines[file].get_or_init(|| LineIndex::new(stream.text()));
        range.map_or(1, |range| index.position(range.start).line)
    }

    /// Evidence at a pointer of an object, `below` lines further down where a block of text starts there.
    pub(super) fn evidence(
        &self,
        file: usize,
        object: &Object,
        pointer: &str,
        below: usize,
        words: String,
    ) -> Evidence {
        let pointer = format!("{}{pointer}", object.pointer);
        let source = &self.model.repo().files[file];
        let node = source.stream.root(object.document).and_then(|root| root.at(&pointer));
        let is_block = node.map(Node::source).is_some_and(|text| text.starts_with(['|', '>']));
        let line = self.line(file, object.document, &pointer);
        let line = if is_block { line + 1 + below } else { line };
        Evidence { path: source.path.clone(), line, words }
    }
}

/// How many folders two paths share.
fn shared(a: &str, b: &str) -> usize {
    let parts = folder(a).split('/').zip(folder(b).split('/'));
    let folders = parts.take_while(|(a, b)| a == b).count();
    if a == b { folders + 1 } else { folders }
}
