//! What the layers of an image leave in its root file system, as far as a fact rests on it: layer by layer, with
//! whiteouts, and without ever having the files.
//!
//! Layers: <https://github.com/opencontainers/image-spec/blob/main/layer.md>.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{self, Read};

use super::Writable;
use super::accounts::Accounts;
use super::capability;
use super::decode::decoded;
use super::tar::{self, Entry, Kind};

/// Bytes of `/etc/passwd` that are read.
const LARGEST_ACCOUNTS: u64 = 1 << 20;

/// Entries of one layer that can matter; more is no image that somebody built for use.
const MOST_CHANGES: usize = 200_000;

const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// Always writable for everybody, in every image.
const SCRATCH: &[&str] = &["tmp", "var/tmp", "dev/shm", "dev/mqueue", "run/lock", "var/lock"];

const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "busybox", "zsh", "ksh"];

/// The tracked part of a root file system. Paths have no leading slash.
#[derive(Debug, Clone, Default)]
pub struct RootFs {
    /// Bytes of all layers so far, unpacked.
    unpacked: u64,
    files: BTreeMap<String, Vec<u8>>,
    setuid: BTreeSet<String>,
    capabilities: BTreeMap<String, Vec<String>>,
    /// Directories of others than root, or for everybody: owner, and whether everybody may write.
    directories: BTreeMap<String, (u32, bool)>,
    shells: BTreeSet<String>,
    /// Symlinks at the top, such as `bin` → `usr/bin`: later layers write through them.
    links: BTreeMap<String, String>,
}

/// An entry that matters, with its contents where they do.
struct Change {
    path: String,
    entry: Entry,
    contents: Option<Vec<u8>>,
}

impl RootFs {
    /// The file system with another layer on top.
    ///
    /// # Errors
    /// What is wrong with the layer, or that all layers together have more than `limit` bytes.
    pub fn with_layer(&self, layer: &mut dyn Read, limit: u64) -> io::Result<RootFs> {
        let mut plain = Counted { inner: decoded(layer)?, count: self.unpacked, limit };
        let mut changes: Vec<Change> = Vec::new();
        let mut touched: HashSet<String> = HashSet::new();
        let mut hidden: Vec<(String, bool)> = Vec::new();
        tar::entries(&mut plain, &mut |entry, body| {
            let Some(path) = self.normal(&entry.path) else { return Ok(()) };
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if name == OPAQUE {
                hidden.push((folder.to_owned(), true));
            } else if let Some(name) = name.strip_prefix(WHITEOUT) {
                let hidden_path =
                    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
                hidden.push((hidden_path, false));
            } else if is_of_interest(&path, &entry)
                || self.is_tracked(&path)
                || touched.contains(&path)
                || self.links_to_tracked(&entry, &touched)
            {
                let contents = contents(&path, &entry, body)?;
                touched.insert(path.clone());
                changes.push(Change { path, entry, contents });
            }
            if changes.len() + hidden.len() > MOST_CHANGES {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a layer with more special files than any image has",
                ));
            }
            Ok(())
        })?;
        let unpacked = plain.count;
        let mut next = RootFs { unpacked, ..self.clone() };
        // Whiteouts hide what lower layers have, wherever they stand in the archive.
        for (path, contents_only) in hidden {
            next.remove(&path, contents_only);
        }
        for change in changes {
            next.apply(change);
        }
        Ok(next)
    }

    fn apply(&mut self, change: Change) {
        let Change { path, entry, contents } = change;
        if entry.kind == Kind::Directory {
            self.directories.remove(&path);
        } else {
            self.remove(&path, false);
        }
        match entry.kind {
            Kind::Directory => {
                if let Some(kept) = directory(&path, &entry) {
                    self.directories.insert(path, kept);
                }
            }
            Kind::File | Kind::HardLink => {
                let target = self.normal(&entry.link);
                let of_target =
                    |set: &BTreeSet<String>| target.as_ref().is_some_and(|target| set.contains(target));
                if is_setuid(&entry) || entry.kind == Kind::HardLink && of_target(&self.setuid) {
                    self.setuid.insert(path.clone());
                }
                let inherited = target.as_ref().and_then(|target| self.capabilities.get(target).cloned());
                let named = entry.capability.as_deref().and_then(capability::names).or(inherited);
                if let Some(names) = named.filter(|names| !names.is_empty()) {
                    self.capabilities.insert(path.clone(), names);
                }
                if let Some(contents) = contents {
                    self.files.insert(path.clone(), contents);
                }
                if is_shell(&path) {
                    self.shells.insert(path);
                }
            }
            Kind::Symlink => {
                if is_shell(&path) {
                    self.shells.insert(path);
                } else if !path.contains('/')
                    && let Some(target) = self.normal(&entry.link)
                {
                    self.links.insert(path, target);
                }
            }
            Kind::Other => {}
        }
    }

    /// Takes out a path with all below it, or only what is below it.
    fn remove(&mut self, path: &str, contents_only: bool) {
        if !self.is_tracked(path) {
            return;
        }
        let below = format!("{path}/");
        let stays =
            |at: &String| !(path.is_empty() || at.starts_with(&below) || at == path && !contents_only);
        self.files.retain(|at, _| stays(at));
        self.setuid.retain(stays);
        self.capabilities.retain(|at, _| stays(at));
        self.directories.retain(|at, _| stays(at));
        self.shells.retain(stays);
        self.links.retain(|at, _| stays(at));
    }

    /// Whether anything that is known is at the path or below it.
    fn is_tracked(&self, path: &str) -> bool {
        if path.is_empty() {
            return true;
        }
        let below = format!("{path}/");
        let in_map = |first: Option<&String>| first.is_some_and(|at| at.starts_with(&below));
        let from = || below.clone()..;
        self.files.contains_key(path)
            || self.setuid.contains(path)
            || self.capabilities.contains_key(path)
            || self.directories.contains_key(path)
            || self.shells.contains(path)
            || self.links.contains_key(path)
            || in_map(self.files.range(from()).next().map(|(at, _)| at))
            || in_map(self.setuid.range(from()).next())
            || in_map(self.capabilities.range(from()).next().map(|(at, _)| at))
            || in_map(self.directories.range(from()).next().map(|(at, _)| at))
            || in_map(self.shells.range(from()).next())
    }

    fn links_to_tracked(&self, entry: &Entry, touched: &HashSet<String>) -> bool {
        entry.kind == Kind::HardLink
            && self.normal(&entry.link).is_some_and(|target| {
                touched.contains(&target)
                    || self.setuid.contains(&target)
                    || self.capabilities.contains_key(&target)
            })
    }

    /// A path without leading slash, `.` and doubled slashes, led through the links at the top. `None` for one that
    /// climbs out.
    fn normal(&self, path: &str) -> Option<String> {
        let mut parts = path.split('/').filter(|part| !part.is_empty() && *part != ".").peekable();
        let mut normal = String::new();
        // A link is led through only where something is below it: the link itself stays itself.
        if let Some(target) = parts.peek().and_then(|first| self.links.get(*first)) {
            let first = parts.next()?;
            normal.push_str(if parts.peek().is_some() { target } else { first });
        }
        for part in parts {
            if part == ".." {
                return None;
            }
            if !normal.is_empty() {
                normal.push('/');
            }
            normal.push_str(part);
        }
        Some(normal)
    }

    pub(super) fn accounts(&self) -> Accounts {
        let file = |path: &str| self.files.get(path).map_or(&[][..], Vec::as_slice);
        Accounts::read(file("etc/passwd"), file("etc/group"))
    }

    pub(super) fn shell(&self) -> Option<String> {
        let best = |path: &&String| {
            let name = path.rsplit('/').next().unwrap_or(path);
            (SHELLS.iter().position(|shell| *shell == name), path.len())
        };
        self.shells.iter().min_by_key(best).map(|path| format!("/{path}"))
    }

    pub(super) fn setuid(&self) -> Vec<String> {
        self.setuid.iter().map(|path| shown(path)).collect()
    }

    pub(super) fn file_capabilities(&self) -> Vec<String> {
        self.capabilities.iter().map(|(path, names)| format!("{} {}", shown(path), names.join(","))).collect()
    }

    /// The topmost directories of these owners, and those for everybody.
    pub(super) fn writable(&self, owners: &[u32]) -> Vec<Writable> {
        let mut kept: BTreeMap<&str, Option<u32>> = BTreeMap::new();
        for (path, (uid, for_all)) in &self.directories {
            let owner = match for_all {
                true => None,
                false if owners.contains(uid) => Some(*uid),
                false => continue,
            };
            let mut above = path.as_str();
            let mut is_covered = false;
            while let Some((parent, _)) = above.rsplit_once('/') {
                is_covered |= kept.get(parent).is_some_and(|by| *by == owner);
                above = parent;
            }
            if !is_covered {
                kept.insert(path, owner);
            }
        }
        kept.into_iter().map(|(path, owner)| Writable { path: shown(path), owner }).collect()
    }
}

fn shown(path: &str) -> String {
    let end = path.char_indices().nth(256).map_or(path.len(), |(end, _)| end);
    format!("/{}", &path[..end])
}

fn is_of_interest(path: &str, entry: &Entry) -> bool {
    match entry.kind {
        Kind::Directory => directory(path, entry).is_some(),
        Kind::File | Kind::HardLink => {
            is_account_file(path) || is_setuid(entry) || entry.capability.is_some() || is_shell(path)
        }
        Kind::Symlink => is_shell(path) || !path.contains('/') || is_account_file(path),
        Kind::Other => false,
    }
}

fn is_account_file(path: &str) -> bool {
    matches!(path, "etc/passwd" | "etc/group")
}

/// Setgid without the right to execute is an old locking scheme, not a privilege.
fn is_setuid(entry: &Entry) -> bool {
    entry.mode & 0o4000 != 0 || entry.mode & 0o2010 == 0o2010
}

fn is_shell(path: &str) -> bool {
    let path = path.strip_prefix("usr/").unwrap_or(path);
    let path = path.strip_prefix("local/").unwrap_or(path);
    path.strip_prefix("bin/").is_some_and(|name| SHELLS.contains(&name))
}

fn directory(path: &str, entry: &Entry) -> Option<(u32, bool)> {
    let for_all = entry.mode & 0o002 != 0;
    let below = |folder: &&str| path == *folder || path.starts_with(&format!("{folder}/"));
    let is_ours = !SCRATCH.iter().chain(&["proc", "sys", "dev"]).any(below);
    (is_ours && !path.is_empty() && (for_all || entry.uid != 0)).then_some((entry.uid, for_all))
}

/// What a link or a special file would lead to is not followed: the contents are then unknown.
fn contents(path: &str, entry: &Entry, body: &mut dyn Read) -> io::Result<Option<Vec<u8>>> {
    if entry.kind != Kind::File || !is_account_file(path) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    body.take(LARGEST_ACCOUNTS).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

struct Counted<R> {
    inner: R,
    count: u64,
    limit: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.count += n as u64;
        if self.count > self.limit {
            let message = format!("more than {} bytes unpacked", self.limit);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests;
