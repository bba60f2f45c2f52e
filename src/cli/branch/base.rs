//! The commit that branches stand on: its manifests, its configuration, its owners, its lock.
//!
//! Everything is read from the commit; only a configuration that lies in the checkout goes before the committed one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::division::Per;
use super::{Job, helped};
use crate::cli::inputs::{self, Inputs, configured, flows};
use crate::cli::{Global, lock, say};
use crate::config::{self, Config, ConfigError};
use crate::forge::CodeOwners;
use crate::git::{HeadTree, ObjectId, Repository};
use crate::render::plural;
use crate::repo::{self, Root, Snapshot};

/// Larger than any file that a configuration names: a bound on what is read.
const LARGEST_SMALL_FILE: u64 = 1 << 20;

pub(super) struct Base<'a> {
    pub(super) repository: &'a Repository,
    pub(super) commit: ObjectId,
    job: &'a Job<'a>,
    global: &'a Global,
    tree: HeadTree,
    ids: BTreeMap<String, ObjectId>,
}

impl<'a> Base<'a> {
    pub(super) fn new(
        repository: &'a Repository,
        commit: ObjectId,
        job: &'a Job<'a>,
        global: &'a Global,
    ) -> anyhow::Result<Base<'a>> {
        let tree = repository.files(commit, &[]).map_err(helped)?;
        let ids = tree.files.iter().map(|file| (repo::slashed(&file.path), file.id)).collect();
        Ok(Base { repository, commit, job, global, tree, ids })
    }

    /// Reads the manifests.
    pub(super) fn read(&self, root: Root) -> anyhow::Result<Inputs> {
        let select = &self.job.making.select;
        let (config, templates) = configured(self.config(&root.folder)?, select, self.global)?;
        let limit = config.max_file_size;
        let snapshot = Snapshot::new(|path: &str| {
            let id = self.ids.get(path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
            let size = self.repository.blob_size(*id).map_err(io::Error::other)?;
            // One byte more than allowed tells the reader that there is more.
            if size > limit {
                Ok(vec![b' '; limit as usize + 1])
            } else {
                self.repository.blob(*id).map_err(io::Error::other)
            }
        });
        let listing = snapshot.list(self.ids.keys().cloned(), &root.wanted);
        let wanted: Vec<_> =
            listing.entries.iter().filter_map(|entry| self.ids.get(&entry.path).copied()).collect();
        self.repository.prefetch(self.tree.commit, &wanted).map_err(helped)?;
        let flows = flows(&select.flow_log)?;
        let audit = select.evidence.read(self.global)?;
        let read = Inputs::read(root, config, templates, &snapshot, listing, self.global)?;
        Ok(Inputs { flows, audit, ..read })
    }

    /// The configuration of the checkout, else the committed one: a checkout may lack files.
    fn config(&self, folder: &Path) -> anyhow::Result<Config> {
        let config = inputs::configuration(folder, self.global)?;
        if config.path.is_some() || !self.ids.contains_key(config::FILE_NAME) {
            return Ok(config);
        }
        let bytes = self.small_file(config::FILE_NAME)?;
        let text =
            String::from_utf8(bytes).map_err(|_| anyhow::anyhow!("{}: not UTF-8", config::FILE_NAME))?;
        let path = Path::new(config::FILE_NAME);
        Config::parse(&text, path, &inputs::known_ids())
            .map_err(|mistakes| ConfigError::Invalid(mistakes).into())
    }

    fn small_file(&self, path: &str) -> io::Result<Vec<u8>> {
        let id = self.ids.get(path).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        if self.repository.blob_size(*id).map_err(io::Error::other)? > LARGEST_SMALL_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
        }
        self.repository.blob(*id).map_err(io::Error::other)
    }

    /// Has the inputs know every image and chart that registries tell of. Returns the new text of the lock, if it
    /// changes, and whether something could not be resolved.
    pub(super) fn lock(&self, inputs: &mut Inputs) -> anyhow::Result<(Option<String>, bool)> {
        let (lock, failed) = lock::renewed(inputs, &|path| self.small_file(path), self.global)?;
        let text = lock.render();
        let is_new = !lock.is_empty() && text != inputs.lock.render();
        inputs.lock = lock;
        Ok((is_new.then_some(text), failed))
    }

    /// Has kustomize build what the commit holds, if asked for; whether a build failed.
    pub(super) fn prove(&self, inputs: &mut Inputs) -> anyhow::Result<bool> {
        let below = |folder: &str| {
            let is_below = |path: &str| folder.is_empty() || path.starts_with(&format!("{folder}/"));
            let inside = self.ids.iter().filter(|(path, _)| is_below(path));
            let read = inside
                .map(|(path, id)| Ok((path.clone(), self.repository.blob(*id).map_err(io::Error::other)?)));
            read.collect()
        };
        self.job.making.prove.hold(inputs, &self.job.making.select, &below, self.global)
    }

    /// The branches come from the commit: says so when the checkout holds something else.
    pub(super) fn say_dirty(&self, inputs: &Inputs) -> anyhow::Result<()> {
        let paths: Vec<PathBuf> = inputs.repo.files.iter().map(|file| repo::native(&file.path)).collect();
        let dirty = self.repository.uncommitted(&paths).map_err(helped)?;
        if !dirty.is_empty() && !self.global.quiet {
            say(&format!(
                "note: {} with uncommitted changes: the branches are made from the commit, not from the checkout\n",
                plural(dirty.len(), "manifest")
            ));
        }
        Ok(())
    }

    /// Who owns what, where that is asked for.
    pub(super) fn code_owners(&self) -> anyhow::Result<CodeOwners> {
        if self.job.making.per != Per::Owner {
            return Ok(CodeOwners::default());
        }
        let Some((path, id)) = CodeOwners::PLACES.iter().find_map(|place| self.ids.get_key_value(*place))
        else {
            anyhow::bail!("`--per owner` needs a file of owners: {}", CodeOwners::PLACES.join(", "));
        };
        // GitHub reads no larger one.
        anyhow::ensure!(
            self.repository.blob_size(*id).map_err(helped)? <= 3 << 20,
            "`{path}` is larger than 3 MiB"
        );
        Ok(CodeOwners::parse(&String::from_utf8_lossy(&self.repository.blob(*id).map_err(helped)?)))
    }
}
