//! Where files come from: the disk, a commit, standard input. Lists them and gives their bytes.
//!
//! Does not look into a file.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Skip, SkipReason, native, slashed};

/// A source of files.
pub trait Source: Sync {
    /// The bytes of a file; `None` when there are more than `limit`.
    fn read(&self, entry: &Entry, limit: u64) -> io::Result<Option<Vec<u8>>>;
}

/// The files to read, ordered by path.
#[derive(Debug, Default)]
pub struct Listing {
    pub entries: Vec<Entry>,
    pub skipped: Vec<Skip>,
    /// `.gitattributes` files: their folder and text.
    pub attributes: Vec<(String, String)>,
    /// Paths of Dockerfiles.
    pub dockerfiles: Vec<String>,
    /// URLs of the repo's git remotes.
    pub remotes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub path: String,
    /// Read only for what it says about other files.
    pub context_only: bool,
}

/// Whether a file's name alone makes it a kustomization.
pub fn is_kustomization_name(path: &str) -> bool {
    matches!(path.rsplit('/').next(), Some("kustomization.yaml" | "kustomization.yml" | "Kustomization"))
}

fn is_dockerfile(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matches!(name, "Dockerfile" | "Containerfile")
        || name.starts_with("Dockerfile.")
        || name.ends_with(".Dockerfile")
}

fn is_candidate(path: &str) -> bool {
    let extension = path.rsplit('/').next().unwrap_or(path).rsplit_once('.').map(|(_, extension)| extension);
    extension
        .is_some_and(|e| ["yaml", "yml", "json", "tpl"].iter().any(|known| e.eq_ignore_ascii_case(known)))
        || is_kustomization_name(path)
}

/// The folder that all shown paths start from, and what was asked for below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    pub folder: PathBuf,
    /// Slashed paths below the folder; an empty one means all of it.
    pub wanted: Vec<String>,
    /// Whether the folder is a git work tree.
    pub git: bool,
}

/// Why paths cannot be read together.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error("`{}`: {source}", path.display())]
    Path { path: PathBuf, source: io::Error },
    #[error("`{}` and `{}` are not in one repository", first.display(), second.display())]
    TwoRepositories { first: PathBuf, second: PathBuf },
}

impl Root {
    /// Finds the root of the given paths: their git work tree, else the folder they share.
    pub fn find(paths: &[PathBuf]) -> Result<Root, RootError> {
        let here = [PathBuf::from(".")];
        let paths = if paths.is_empty() { &here[..] } else { paths };
        let mut real = Vec::with_capacity(paths.len());
        for path in paths {
            let resolved =
                path.canonicalize().map_err(|source| RootError::Path { path: path.clone(), source })?;
            real.push(resolved);
        }
        let tops: Vec<Option<PathBuf>> = real.iter().map(|path| git_top(path)).collect();
        if let Some(other) = tops.iter().position(|top| *top != tops[0]) {
            return Err(RootError::TwoRepositories { first: paths[0].clone(), second: paths[other].clone() });
        }
        let git = tops[0].is_some();
        let folder = match &tops[0] {
            Some(top) => top.clone(),
            None => plain_root(&real),
        };
        let wanted = real
            .iter()
            .map(|path| slashed(path.strip_prefix(&folder).expect("the root was chosen above every path")))
            .collect();
        Ok(Root { folder, wanted, git })
    }
}

fn git_top(path: &Path) -> Option<PathBuf> {
    path.ancestors().find(|folder| folder.join(".git").exists()).map(Path::to_path_buf)
}

/// Outside git: the deepest folder above all paths, and the current folder when that is above them too.
fn plain_root(real: &[PathBuf]) -> PathBuf {
    let mut shared = if real[0].is_dir() { real[0].clone() } else { parent(&real[0]) };
    while !real.iter().all(|path| path.starts_with(&shared)) {
        shared = parent(&shared);
    }
    match std::env::current_dir().and_then(|here| here.canonicalize()) {
        Ok(here) if shared.starts_with(&here) => here,
        _ => shared,
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_path_buf()
}

/// All regular files below a folder with their bytes, ignored ones too; `.git` and symlinks are left out.
///
/// # Errors
/// The first file that cannot be read.
pub fn files_below(root: &Path, folder: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let walk = ignore::WalkBuilder::new(root.join(native(folder)))
        .standard_filters(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    let mut files = Vec::new();
    for entry in walk {
        let entry = entry.map_err(io::Error::other)?;
        if entry.file_type().is_some_and(|kind| kind.is_file())
            && let Ok(path) = entry.path().strip_prefix(root)
        {
            files.push((slashed(path), fs::read(entry.path())?));
        }
    }
    Ok(files)
}

/// The files of a folder on disk, as git sees them.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    pub fn new(folder: PathBuf) -> Disk {
        Disk { folder }
    }

    /// Walks the wanted paths. Files that git ignores and `.git` itself are left out; symlinks are not followed.
    pub fn list(&self, wanted: &[String]) -> Listing {
        let mut listing = Listing::default();
        for path in wanted {
            let full = self.folder.join(native(path));
            if full.is_dir() {
                self.walk(&full, &mut listing);
            } else {
                listing.entries.push(Entry { path: path.clone(), context_only: false });
            }
        }
        self.add_context(wanted, &mut listing);
        listing.entries.sort_by(|a, b| (&a.path, a.context_only).cmp(&(&b.path, b.context_only)));
        listing.entries.dedup_by(|later, first| later.path == first.path);
        listing
    }

    fn walk(&self, folder: &Path, listing: &mut Listing) {
        let walk = ignore::WalkBuilder::new(folder)
            .hidden(false)
            .ignore(false)
            .git_global(false)
            .require_git(false)
            .filter_entry(|entry| entry.file_name() != ".git")
            .build();
        for result in walk {
            match result {
                Ok(entry) => self.take(&entry, listing),
                Err(error) => listing.skipped.push(Skip {
                    path: walk_error_path(&error).map(|path| self.shown(&path)).unwrap_or_default(),
                    line: None,
                    column: None,
                    reason: SkipReason::Unreadable,
                    detail: walk_error_text(&error),
                }),
            }
        }
    }

    fn take(&self, entry: &ignore::DirEntry, listing: &mut Listing) {
        let Some(kind) = entry.file_type() else { return };
        if kind.is_dir() {
            return;
        }
        let path = self.shown(entry.path());
        if kind.is_file() && entry.file_name() == ".gitattributes" {
            if let Ok(text) = fs::read_to_string(entry.path()) {
                listing.attributes.push((super::folder(&path).to_owned(), text));
            }
        } else if kind.is_file() && is_dockerfile(&path) {
            listing.dockerfiles.push(path);
        } else if !is_candidate(&path) {
        } else if kind.is_symlink() {
            let detail = match entry.path().canonicalize() {
                Ok(target) if target.starts_with(&self.folder) => "a link to a file of this repo",
                Ok(_) => "a link that leaves the repo",
                Err(_) => "a link to nothing",
            };
            listing.skipped.push(Skip {
                path,
                line: None,
                column: None,
                reason: SkipReason::Symlink,
                detail: detail.to_owned(),
            });
        } else if kind.is_file() {
            listing.entries.push(Entry { path, context_only: false });
        }
    }

    /// Adds what is above the wanted paths and says more about them: kustomizations, which may call a wanted file a
    /// patch, and the chart that a wanted file belongs to.
    fn add_context(&self, wanted: &[String], listing: &mut Listing) {
        for path in wanted {
            let mut at = path.as_str();
            while !at.is_empty() {
                at = super::folder(at);
                for name in ["kustomization.yaml", "kustomization.yml", "Kustomization"] {
                    let path = if at.is_empty() { name.to_owned() } else { format!("{at}/{name}") };
                    if self.folder.join(native(&path)).is_file() {
                        listing.entries.push(Entry { path, context_only: true });
                    }
                }
                if self.folder.join(native(at)).join("Chart.yaml").is_file() {
                    let mut chart = Listing::default();
                    self.walk(&self.folder.join(native(at)), &mut chart);
                    let context =
                        chart.entries.into_iter().map(|entry| Entry { context_only: true, ..entry });
                    listing.entries.extend(context);
                }
            }
        }
    }

    fn shown(&self, path: &Path) -> String {
        slashed(path.strip_prefix(&self.folder).unwrap_or(path))
    }
}

impl Source for Disk {
    fn read(&self, entry: &Entry, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let path = self.folder.join(native(&entry.path));
        let file = fs::File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let mut bytes = Vec::with_capacity(metadata.len().min(limit) as usize + 1);
        file.take(limit + 1).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= limit).then_some(bytes))
    }
}

fn walk_error_path(error: &ignore::Error) -> Option<PathBuf> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path.clone()),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            walk_error_path(err)
        }
        _ => None,
    }
}

fn walk_error_text(error: &ignore::Error) -> String {
    match error {
        ignore::Error::WithPath { err, .. }
        | ignore::Error::WithDepth { err, .. }
        | ignore::Error::WithLineNumber { err, .. } => walk_error_text(err),
        other => other.to_string(),
    }
}

/// Files whose bytes another part of the program provides, such as those of a commit.
pub struct Snapshot<F> {
    read: F,
}

impl<F: Fn(&str) -> io::Result<Vec<u8>> + Sync> Snapshot<F> {
    pub fn new(read: F) -> Self {
        Snapshot { read }
    }

    /// The candidates among `paths` that lie under one of the `wanted` paths; kustomizations above those are context.
    pub fn list(&self, paths: impl Iterator<Item = String>, wanted: &[String]) -> Listing {
        let mut listing = Listing::default();
        let paths: Vec<String> = paths.collect();
        // The charts that wanted paths are in.
        let charts = paths.iter().filter_map(|path| path.strip_suffix("Chart.yaml"));
        let charts: Vec<&str> = charts
            .filter(|folder| {
                (folder.is_empty() || folder.ends_with('/'))
                    && wanted.iter().any(|wanted| wanted.starts_with(folder) && !wanted.is_empty())
            })
            .collect();
        let of_chart = |path: &str| charts.iter().any(|folder| path.starts_with(folder));
        for path in &paths {
            let path = path.clone();
            let under = |wanted: &String| {
                wanted.is_empty()
                    || path == *wanted
                    || path.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.starts_with('/'))
            };
            let inside = wanted.iter().any(under);
            let above = || {
                is_kustomization_name(&path)
                    && wanted.iter().any(|wanted| wanted.starts_with(super::folder(&path)))
            };
            if path == ".gitattributes" || path.ends_with("/.gitattributes") {
                if let Ok(bytes) = (self.read)(&path) {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    listing.attributes.push((super::folder(&path).to_owned(), text));
                }
            } else if is_dockerfile(&path) {
                listing.dockerfiles.push(path);
            } else if is_candidate(&path) && (inside || above() || of_chart(&path)) {
                listing.entries.push(Entry { path, context_only: !inside });
            }
        }
        listing.entries.sort_by(|a, b| a.path.cmp(&b.path));
        listing
    }
}

impl<F: Fn(&str) -> io::Result<Vec<u8>> + Sync> Source for Snapshot<F> {
    fn read(&self, entry: &Entry, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let bytes = (self.read)(&entry.path)?;
        Ok((bytes.len() as u64 <= limit).then_some(bytes))
    }
}

/// One stream from standard input, under a name of its own.
#[derive(Debug)]
pub struct StandardInput {
    bytes: Vec<u8>,
}

impl StandardInput {
    pub const NAME: &'static str = "stdin.yaml";

    pub fn new(bytes: Vec<u8>) -> Self {
        StandardInput { bytes }
    }

    pub fn list(&self) -> Listing {
        let entries = vec![Entry { path: Self::NAME.to_owned(), context_only: false }];
        Listing { entries, ..Listing::default() }
    }
}

impl Source for StandardInput {
    fn read(&self, entry: &Entry, limit: u64) -> io::Result<Option<Vec<u8>>> {
        // There is this one file and no other: neither exceptions nor what it may name.
        if entry.path != Self::NAME {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok((self.bytes.len() as u64 <= limit).then(|| self.bytes.clone()))
    }
}

impl<F> std::fmt::Debug for Snapshot<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}
