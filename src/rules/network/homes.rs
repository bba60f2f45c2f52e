//! Where new policies go: beside what they protect, and into the kustomizations that build it.

use std::collections::{BTreeMap, BTreeSet};

use super::View;
use crate::connections::Member;
use crate::model::Model;
use crate::repo::{Kustomization, Repo, folder};
use crate::rules::{NewFile, RepoFindings, Rule, placement};
use crate::template::WantedPolicy;

/// A folder, and the kustomizations that must list what goes there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Home {
    pub(super) folder: String,
    pub(super) listings: Vec<String>,
}

impl Home {
    /// Beside a file.
    pub(super) fn beside(view: &View<'_>, file: usize) -> Home {
        let path = &view.model.repo().files[file].path;
        let listings = view.model.builds.listing(path).map(|kustomization| kustomization.path.clone());
        Home { folder: folder(path).to_owned(), listings: listings.collect() }
    }

    /// Whether some build of a member takes what is listed here.
    pub(super) fn is_built_with(&self, view: &View<'_>, member: &Member) -> bool {
        let takes = |build: &str| {
            let mut listings = self.listings.iter();
            listings.any(|listing| listing == build || view.model.builds.takes(build, listing))
        };
        member.ways.iter().any(|way| takes(&way.build))
    }

    /// The kustomizations that write labels of their own into selectors of what lies here.
    pub(super) fn labelling<'v>(&self, view: &'v View<'_>) -> Vec<&'v str> {
        let builds = &view.model.builds;
        let using = self.listings.iter().flat_map(|kustomization| builds.using(kustomization));
        using
            .filter(|kustomization| kustomization.labels_selectors())
            .map(|kustomization| kustomization.path.as_str())
            .collect()
    }

    /// For what concerns all of some files: the innermost kustomization that takes them all, else the folder above.
    pub(super) fn around(view: &View<'_>, files: &BTreeSet<usize>) -> Option<Home> {
        let first = *files.first()?;
        let path = |file: usize| view.model.repo().files[file].path.as_str();
        let takes_all = |kustomization: &&Kustomization| {
            !kustomization.component
                && is_editable(view.model, &kustomization.path)
                && files.iter().all(|file| view.model.builds.takes(&kustomization.path, path(*file)))
        };
        let candidates: Vec<&Kustomization> =
            view.model.builds.using(path(first)).into_iter().filter(takes_all).collect();
        let is_outer = |outer: &Kustomization| {
            let inner = candidates.iter().filter(|inner| inner.path != outer.path);
            inner.into_iter().any(|inner| view.model.builds.takes(&outer.path, &inner.path))
        };
        let innermost: Vec<&&Kustomization> =
            candidates.iter().filter(|candidate| !is_outer(candidate)).collect();
        if let [only] = innermost.as_slice() {
            return Some(Home { folder: folder(&only.path).to_owned(), listings: vec![only.path.clone()] });
        }
        if !view.model.builds.outermost(path(first)).is_empty() {
            return Some(Home::beside(view, first));
        }
        let above = files.iter().map(|file| folder(path(*file)).to_owned()).reduce(|a, b| shared(&a, &b))?;
        if files.iter().any(|file| folder(path(*file)) == above) {
            return Some(Home { folder: above, listings: Vec::new() });
        }
        Some(Home::beside(view, first))
    }
}

/// Whether a file of the repo is there to be changed.
pub(super) fn is_editable(model: &Model<'_>, path: &str) -> bool {
    model.repo().file(path).is_some_and(|file| file.marker.is_none() && !file.context_only)
}

fn shared(a: &str, b: &str) -> String {
    let parts = a.split('/').zip(b.split('/')).take_while(|(a, b)| a == b).map(|(a, _)| a);
    parts.collect::<Vec<_>>().join("/")
}

/// New files by home.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) policies: BTreeMap<Home, Vec<WantedPolicy>>,
}

/// Chooses names of files; no two are the same.
pub(super) struct Names<'v> {
    repo: &'v Repo,
    chosen: BTreeSet<String>,
}

impl<'v> Names<'v> {
    pub(super) fn new(view: &View<'v>) -> Names<'v> {
        Names { repo: view.model.repo(), chosen: BTreeSet::new() }
    }

    fn choose(&mut self, folder: &str, name: &str) -> String {
        let at = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "yaml"));
        let numbered = (2..).map(|number| at(&format!("{stem}-{number}.{extension}")));
        let mut candidates = std::iter::once(at(name)).chain(numbered);
        let is_free = |path: &String| self.repo.file(path).is_none() && !self.chosen.contains(path);
        let path = candidates.find(is_free).expect("there is a number for every name");
        self.chosen.insert(path.clone());
        path
    }
}

impl Files {
    pub(super) fn add(&mut self, home: Home, policy: WantedPolicy) {
        self.policies.entry(home).or_default().push(policy);
    }

    /// The texts of the files, empty where nobody reads them. A file whose template fails is missing, and
    /// [`crate::template::Templates::failures`] has the reason.
    pub(super) fn render(self, view: &View<'_>) -> Rendered {
        let templates = view.settings.templates;
        let dialect = view.settings.config.network.dialect;
        let skips_texts = !view.settings.reads_new_files && templates.renders_all_policies(dialect);
        // What a kustomization lists takes the plain name.
        let mut homes: Vec<(Home, Vec<WantedPolicy>)> = self.policies.into_iter().collect();
        homes.sort_by_key(|(home, _)| home.listings.is_empty());
        let texts = homes.into_iter().filter_map(|(home, policies)| {
            if skips_texts {
                return Some((home, String::new()));
            }
            Some((home, templates.network_policies(&policies, dialect).ok()?.text))
        });
        Rendered { texts: texts.collect() }
    }
}

/// Texts of new files, before they have names.
pub(super) struct Rendered {
    texts: Vec<(Home, String)>,
}

impl Rendered {
    /// Names the files, and finds that their kustomizations do not list them.
    pub(super) fn into_files(
        self,
        view: &View<'_>,
        rule: &'static Rule,
        names: &mut Names<'_>,
        found: &mut RepoFindings,
    ) -> Vec<NewFile> {
        let mut files = Vec::new();
        for (home, text) in self.texts {
            let path = names.choose(&home.folder, &view.settings.config.network.file);
            for kustomization in home.listings.iter().filter(|path| is_editable(view.model, path)) {
                placement::list_in(view.model, kustomization, &path, rule, None, found);
            }
            files.push(NewFile { path, text });
        }
        files
    }
}
