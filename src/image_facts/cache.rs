//! Facts that were read before, by the digest of the image's manifest: content never changes, so they never do.
//!
//! A file that is not there, not ours or not readable is as good as none. Two runs may write one entry at a time.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Facts;
use crate::image::Digest;

/// Raised whenever facts are read in another way, so that old ones are read anew.
const VERSION: u32 = 1;

const LARGEST_ENTRY: u64 = 1 << 20;

/// A folder of facts; without one nothing is kept.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    folder: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    version: u32,
    digest: String,
    facts: Facts,
    /// What the image says of its own version.
    label: Option<String>,
}

impl Cache {
    pub fn new(folder: PathBuf) -> Cache {
        Cache { folder: Some(folder) }
    }

    /// In `$XDG_CACHE_HOME`, else in `.cache` of the home directory.
    pub fn of_environment() -> Cache {
        let set = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let base = set.or_else(|| Some(std::env::home_dir()?.join(".cache")));
        Cache { folder: base.map(|base| base.join("caseharden/images")) }
    }

    /// Facts and version label of a manifest.
    pub fn get(&self, manifest: &Digest) -> Option<(Facts, Option<String>)> {
        let path = self.path(manifest)?;
        if std::fs::metadata(&path).ok()?.len() > LARGEST_ENTRY {
            return None;
        }
        let entry: Entry = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        (entry.version == VERSION && entry.digest == manifest.as_str()).then_some((entry.facts, entry.label))
    }

    /// Keeps facts; a full disk costs only the next run's time.
    pub fn put(&self, manifest: &Digest, facts: &Facts, label: Option<&str>) -> io::Result<()> {
        let Some(path) = self.path(manifest) else { return Ok(()) };
        let folder = path.parent().unwrap_or(Path::new(""));
        create_private(folder)?;
        let entry = Entry {
            version: VERSION,
            digest: manifest.to_string(),
            facts: facts.clone(),
            label: label.map(str::to_owned),
        };
        let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
        temporary.write_all(&serde_json::to_vec(&entry)?)?;
        temporary.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    fn path(&self, manifest: &Digest) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{}-{}.json", manifest.algorithm(), manifest.hex())))
    }
}

#[cfg(unix)]
fn create_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn create_private(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_facts_by_digest_and_takes_nothing_else_for_them() {
        let home = tempfile::tempdir().unwrap();
        let cache = Cache::new(home.path().join("a/b"));
        let (one, other) = (Digest::of(b"1"), Digest::of(b"2"));
        assert_eq!(cache.get(&one), None);
        let facts = Facts { user: "app".to_owned(), uid: Some(7), ..Facts::default() };
        cache.put(&one, &facts, Some("1.2")).unwrap();
        assert_eq!(cache.get(&one), Some((facts, Some("1.2".to_owned()))));
        assert_eq!(cache.get(&other), None);
        let path = |digest: &Digest| cache.path(digest).unwrap();
        std::fs::copy(path(&one), path(&other)).unwrap();
        assert_eq!(cache.get(&other), None);
        std::fs::write(path(&one), "{").unwrap();
        assert_eq!(cache.get(&one), None);
    }
}
