//! Which files kustomizations, Flux and Argo CD join: the patches that apply to an object, and the namespace a
//! build puts it in.
//!
//! Reads the graph only; builds nothing.

mod entry;
mod passage;
mod patch;
mod selector;
mod trace;

use std::collections::{BTreeSet, HashMap, HashSet};

use rayon::prelude::*;

pub(super) use self::entry::EntryPoint;
pub use self::passage::{Passage, labels_pods_of};
pub use self::patch::{Patch, PatchBody};
pub use self::trace::{Stage, Step, Trace};
use super::object::ObjectId;
use crate::repo::{ImageSetting, Kustomization, Repo};

/// By path, each namespace once.
type Placed = HashMap<String, Vec<Option<String>>>;

fn put(placed: &mut Placed, path: &str, namespace: Option<String>) {
    let namespaces = placed.entry(path.to_owned()).or_default();
    if !namespaces.contains(&namespace) {
        namespaces.push(namespace);
    }
}

#[derive(Debug, Default)]
pub struct Builds {
    kustomizations: Vec<Kustomization>,
    by_folder: HashMap<String, usize>,
    by_path: HashMap<String, usize>,
    /// Files that are patches or build configuration, and the kustomization that says so.
    partial: HashMap<String, usize>,
    /// Files and kustomizations that each kustomization takes objects from, itself included, directly or through
    /// others.
    users: HashMap<String, BTreeSet<usize>>,
    /// Kustomizations that another one takes.
    taken: HashSet<usize>,
    /// The kustomizations that name a file or folder themselves.
    takers: HashMap<String, Vec<usize>>,
    /// Namespaces that builds put a file's objects in; `None`: a build that leaves it to the object.
    placed: Placed,
    /// Those that Flux or Argo CD deploy.
    deployed: BTreeSet<usize>,
    /// The patches of each kustomization.
    patches: Vec<Vec<Patch>>,
}

impl Builds {
    pub(super) fn new(repo: &Repo, kustomizations: Vec<Kustomization>, entries: &[EntryPoint]) -> Builds {
        let by_folder = kustomizations
            .iter()
            .enumerate()
            .map(|(idx, k)| (crate::repo::folder(&k.path).to_owned(), idx))
            .collect();
        let by_path = kustomizations.iter().enumerate().map(|(idx, k)| (k.path.clone(), idx)).collect();
        let mut builds = Builds { kustomizations, by_folder, by_path, ..Builds::default() };
        builds.find_partial_files();
        builds.find_users();
        builds.place(repo, entries);
        builds.read_patches(repo);
        builds
    }

    fn find_partial_files(&mut self) {
        for (idx, kustomization) in self.kustomizations.iter().enumerate() {
            let patches = kustomization.patches.iter().filter_map(|patch| patch.file.clone());
            for file in patches.chain(kustomization.configuration.iter().cloned()) {
                self.partial.entry(file).or_insert(idx);
            }
        }
        // A file that some build also takes as a whole object stays one.
        for kustomization in &self.kustomizations {
            for input in &kustomization.inputs {
                self.partial.remove(input);
            }
        }
    }

    fn find_users(&mut self) {
        for (idx, kustomization) in self.kustomizations.iter().enumerate() {
            for input in &kustomization.inputs {
                self.takers.entry(input.clone()).or_default().push(idx);
            }
        }
        let mut users: HashMap<String, BTreeSet<usize>> = HashMap::new();
        for idx in 0..self.kustomizations.len() {
            let mut seen = HashSet::new();
            let mut queue = vec![idx];
            while let Some(at) = queue.pop() {
                if !seen.insert(at) {
                    continue;
                }
                users.entry(self.kustomizations[at].path.clone()).or_default().insert(idx);
                for input in &self.kustomizations[at].inputs {
                    match self.by_folder.get(input) {
                        Some(inner) => queue.push(*inner),
                        None => {
                            users.entry(input.clone()).or_default().insert(idx);
                        }
                    }
                }
            }
        }
        self.users = users;
    }

    /// Follows every build from its outermost kustomization inwards: the outermost namespace wins.
    fn place(&mut self, repo: &Repo, entries: &[EntryPoint]) {
        let used: HashSet<usize> = self
            .kustomizations
            .iter()
            .flat_map(|kustomization| &kustomization.inputs)
            .filter_map(|input| self.by_folder.get(input).copied())
            .collect();
        let mut placed = Placed::new();
        let mut seen = HashSet::new();
        for entry in entries {
            let built = self.by_folder.get(&entry.folder);
            self.deployed.extend(built);
            let Some(namespace) = &entry.namespace else { continue };
            match built {
                Some(idx) => {
                    let outer = entry.replaces.then(|| namespace.clone());
                    let filled = (!entry.replaces).then_some(namespace);
                    self.descend(*idx, outer, filled, &mut seen, &mut placed);
                }
                None => {
                    for file in entry.files(repo) {
                        put(&mut placed, &file.path, Some(namespace.clone()));
                    }
                }
            }
        }
        for idx in (0..self.kustomizations.len()).filter(|idx| !used.contains(idx)) {
            self.descend(idx, None, None, &mut seen, &mut placed);
        }
        self.placed = placed;
        self.taken = used;
    }

    fn descend(
        &self,
        idx: usize,
        outer: Option<String>,
        filled: Option<&String>,
        seen: &mut HashSet<(usize, Option<String>)>,
        placed: &mut Placed,
    ) {
        let kustomization = &self.kustomizations[idx];
        let namespace = outer.or_else(|| kustomization.namespace.clone());
        if !seen.insert((idx, namespace.clone())) {
            return;
        }
        for input in &kustomization.inputs {
            match self.by_folder.get(input) {
                Some(inner) => self.descend(*inner, namespace.clone(), filled, seen, placed),
                None => {
                    let namespace = namespace.clone().or_else(|| filled.cloned());
                    put(placed, input, namespace);
                }
            }
        }
    }

    fn read_patches(&mut self, repo: &Repo) {
        let read = |kustomization: &Kustomization| {
            let references = kustomization.patches.iter();
            references.flat_map(|reference| patch::read(kustomization, reference, repo)).collect()
        };
        self.patches = self.kustomizations.par_iter().map(read).collect();
    }

    /// The kustomization that makes a file a patch or build configuration.
    pub fn partial(&self, path: &str) -> Option<&str> {
        self.partial.get(path).map(|idx| self.kustomizations[*idx].path.as_str())
    }

    /// The builds that take objects from a file, or apply it as a patch, and that no other build takes: for each, the
    /// kustomizations the file's objects pass through.
    pub fn passages(&self, path: &str) -> Vec<Vec<&Kustomization>> {
        let patched = || self.users.get(self.partial(path)?);
        let Some(users) = self.users.get(path).or_else(patched) else { return Vec::new() };
        let inner = |idx: &usize| {
            self.kustomizations[*idx].inputs.iter().filter_map(|input| self.by_folder.get(input))
        };
        let taken: HashSet<usize> =
            users.iter().flat_map(|idx| inner(idx).copied().collect::<Vec<_>>()).collect();
        let tops = users.iter().filter(|idx| !taken.contains(idx));
        tops.map(|top| {
            let (mut seen, mut queue) = (BTreeSet::from([*top]), vec![*top]);
            while let Some(at) = queue.pop() {
                queue.extend(inner(&at).filter(|idx| users.contains(idx)).filter(|idx| seen.insert(**idx)));
            }
            seen.into_iter().map(|idx| &self.kustomizations[idx]).collect()
        })
        .collect()
    }

    /// The builds that take objects from a file and that no other build takes, by the paths of their kustomizations.
    pub fn outermost(&self, path: &str) -> Vec<&str> {
        let users = self.users.get(path).into_iter().flatten();
        let mut tops: Vec<&str> = users
            .filter(|idx| !self.taken.contains(idx))
            .map(|idx| self.kustomizations[*idx].path.as_str())
            .collect();
        tops.sort_unstable();
        tops
    }

    /// The kustomizations of builds that no other build takes, or that Flux or Argo CD deploy; components left out.
    pub fn outermost_builds(&self) -> impl Iterator<Item = &str> {
        let is_top = |idx: &usize| {
            (!self.taken.contains(idx) || self.deployed.contains(idx)) && !self.kustomizations[*idx].component
        };
        (0..self.kustomizations.len()).filter(is_top).map(|idx| self.kustomizations[idx].path.as_str())
    }

    /// All kustomizations of a build, given that of the build itself.
    fn inner(&self, top: &str) -> Vec<&Kustomization> {
        let Some(top) = self.by_path.get(top) else { return Vec::new() };
        let (mut seen, mut queue) = (BTreeSet::from([*top]), vec![*top]);
        while let Some(at) = queue.pop() {
            let inner = self.kustomizations[at].inputs.iter().filter_map(|input| self.by_folder.get(input));
            queue.extend(inner.filter(|idx| seen.insert(**idx)));
        }
        seen.into_iter().map(|idx| &self.kustomizations[idx]).collect()
    }

    /// Every file that a build reads: kustomizations, what they take, their patches and their configuration.
    pub fn taken_by(&self, top: &str) -> HashSet<String> {
        let mut taken = HashSet::new();
        for kustomization in self.inner(top) {
            taken.insert(kustomization.path.clone());
            taken.extend(kustomization.inputs.iter().cloned());
            taken.extend(kustomization.patches.iter().filter_map(|patch| patch.file.clone()));
            taken.extend(kustomization.configuration.iter().cloned());
        }
        taken
    }

    /// The folders of all kustomizations of a build, and those of files it takes from elsewhere.
    pub fn folders_of(&self, top: &str) -> BTreeSet<String> {
        let files = self.taken_by(top).into_iter().filter(|path| !self.by_folder.contains_key(path));
        files.map(|path| crate::repo::folder(&path).to_owned()).collect()
    }

    /// Something that a build would fetch, as it is written there.
    pub fn fetched_by(&self, top: &str) -> Option<&str> {
        self.inner(top).into_iter().find_map(|kustomization| kustomization.remote.first()).map(String::as_str)
    }

    /// Kustomizations that take objects from a file, directly or through others, ordered by path.
    pub fn using(&self, path: &str) -> Vec<&Kustomization> {
        let users = self.users.get(path).into_iter().flatten();
        let mut using: Vec<&Kustomization> = users.map(|idx| &self.kustomizations[*idx]).collect();
        using.sort_by(|a, b| a.path.cmp(&b.path));
        using
    }

    /// Kustomizations that name a file themselves, ordered by path.
    pub fn listing(&self, path: &str) -> impl Iterator<Item = &Kustomization> {
        let users = self.users.get(path).into_iter().flatten().map(|idx| &self.kustomizations[*idx]);
        users.filter(move |kustomization| kustomization.inputs.iter().any(|input| input == path))
    }

    /// Whether a kustomization takes objects from a file, directly or through others.
    pub fn takes(&self, kustomization: &str, file: &str) -> bool {
        let idx = self.by_path.get(kustomization);
        idx.is_some_and(|idx| self.users.get(file).is_some_and(|users| users.contains(idx)))
    }

    /// Whether a file is a kustomization.
    pub fn is_kustomization(&self, path: &str) -> bool {
        self.by_path.contains_key(path)
    }

    /// All kustomizations, ordered by path.
    pub fn kustomizations(&self) -> &[Kustomization] {
        &self.kustomizations
    }

    /// The kustomization of a folder.
    pub fn kustomization(&self, folder: &str) -> Option<&Kustomization> {
        self.by_folder.get(folder).map(|idx| &self.kustomizations[*idx])
    }

    /// Every namespace that some kustomization gives to what it builds from a file, whatever those around it do.
    pub fn given_namespaces(&self, path: &str) -> impl Iterator<Item = &str> {
        let users = self.users.get(path).into_iter().flatten();
        users.filter_map(|idx| self.kustomizations[*idx].namespace.as_deref())
    }

    /// Whether some build gives the objects of both files one namespace. It renames Namespaces too, so two of them
    /// in it are one too many.
    pub fn share_a_namespace(&self, a: &str, b: &str) -> bool {
        let (Some(a), Some(b)) = (self.users.get(a), self.users.get(b)) else { return false };
        a.intersection(b).any(|idx| self.kustomizations[*idx].namespace.is_some())
    }

    /// Whether some build takes objects from both files.
    pub fn share(&self, a: &str, b: &str) -> bool {
        let (Some(a), Some(b)) = (self.users.get(a), self.users.get(b)) else { return false };
        !a.is_disjoint(b)
    }

    /// Kustomizations that give this namespace to the objects of a file, ordered by path. Components are left out:
    /// they say what is done to a build and are none.
    pub fn naming(&self, namespace: &str, path: &str) -> Vec<&Kustomization> {
        let users = self.users.get(path).into_iter().flatten().map(|idx| &self.kustomizations[*idx]);
        let mut naming: Vec<_> =
            users.filter(|user| !user.component && user.namespace.as_deref() == Some(namespace)).collect();
        naming.sort_by(|a, b| a.path.cmp(&b.path));
        naming
    }

    /// Namespaces of an object in a file, given the one it names itself; empty when nothing tells.
    pub(super) fn namespaces(&self, path: &str, own: Option<&str>) -> Vec<String> {
        let own = || own.map(str::to_owned);
        match self.placed.get(path) {
            None => own().into_iter().collect(),
            Some(placed) => {
                let names: BTreeSet<String> =
                    placed.iter().filter_map(|namespace| namespace.clone().or_else(own)).collect();
                names.into_iter().collect()
            }
        }
    }

    /// What kustomizations make of an image of a file, with the path of each, ordered by path.
    pub fn image_overrides(&self, path: &str, name: &str) -> ImageOverrides<'_> {
        let of = |kustomization: &&Kustomization| kustomization.images.iter().any(|image| image.name == name);
        let passages = self.passages(path);
        let always = !passages.is_empty() && passages.iter().all(|passage| passage.iter().any(of));
        let users = self.users.get(path).into_iter().flatten().map(|idx| &self.kustomizations[*idx]);
        let mut settings: Vec<(&str, &ImageSetting)> = users
            .flat_map(|user| user.images.iter().map(move |image| (user.path.as_str(), image)))
            .filter(|(_, image)| image.name == name)
            .collect();
        settings.sort_by_key(|(path, _)| *path);
        ImageOverrides { settings, always }
    }

    /// Patches that builds may apply to an object of a file. Names are compared loosely, because builds add
    /// prefixes and suffixes: a patch too many only makes a fix more careful.
    pub fn patches_on<'a>(&'a self, path: &str, id: &'a ObjectId) -> impl Iterator<Item = &'a Patch> {
        let users = self.users.get(path).into_iter().flatten();
        users.flat_map(|idx| &self.patches[*idx]).filter(move |patch| patch.may_match(id))
    }
}

/// What kustomizations make of an image.
#[derive(Debug, Clone)]
pub struct ImageOverrides<'b> {
    pub settings: Vec<(&'b str, &'b ImageSetting)>,
    /// Whether no build runs the image as it stands.
    pub always: bool,
}
