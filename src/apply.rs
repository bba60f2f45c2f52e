//! Writes files of the work tree: the only place that does.
//!
//! A file is replaced whole or not at all: a kill, a full disk or a lost permission at any moment leaves the
//! old bytes or the new ones. Knows nothing about YAML, plans or git.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use tempfile::NamedTempFile;

mod stale;

/// What a temporary file beside its target is called: `.caseharden-XXXXXX.tmp`.
const TEMPORARY_PREFIX: &str = ".caseharden-";
const TEMPORARY_SUFFIX: &str = ".tmp";

/// An I/O error and the path it happened at. The cause is in `source`, not in the text.
#[derive(Debug, thiserror::Error)]
#[error("{}", path.display())]
pub struct PathError {
    pub path: PathBuf,
    pub source: io::Error,
}

/// Why a file was not written. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The path is absolute, empty, has a `..`, or lies in `.git`.
    #[error("{}: not a path of a file inside the repo", .0.display())]
    NotInside(PathBuf),
    /// A symlink on the way leads out of the repo, or into `.git`.
    #[error("{}: leads out of the repo, to `{}`", path.display(), target.display())]
    LeadsOut { path: PathBuf, target: PathBuf },
    /// A file that should be new is there already.
    #[error("{}: already exists", .0.display())]
    Exists(PathBuf),
    /// The file no longer holds the bytes the change was made for.
    #[error("{}: changed since it was read", .0.display())]
    Changed(PathBuf),
    /// The file has no write permission for us, or for nobody.
    #[error("{}: read-only", .0.display())]
    ReadOnly(PathBuf),
    /// A directory, a device, a socket.
    #[error("{}: not a regular file", .0.display())]
    NotAFile(PathBuf),
    #[error(transparent)]
    Io(#[from] PathError),
}

impl WriteError {
    /// Returns what the user can do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::LeadsOut { .. } => Some("run in the directory the symlink leads to"),
            Self::Changed(_) => Some("run again: the changes are made anew from what the file holds now"),
            Self::ReadOnly(_) => Some("`chmod u+w` the file if it may be changed"),
            Self::Exists(_) | Self::NotInside(_) | Self::NotAFile(_) | Self::Io(_) => None,
        }
    }
}

/// The bytes of a file that may be replaced, or `None` where there is none.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read_if_there(root: &Path, path: &Path) -> Result<Option<Vec<u8>>, PathError> {
    match fs::read(root.join(path)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PathError { path: path.to_owned(), source }),
    }
}

/// Replaces `root/path`, or creates it with the directories above it, atomically and durably.
///
/// `expected` is what the file must hold now; `None` means that it must not exist. A symlink is written
/// through when the real file lies inside `root`, and refused otherwise. Mode is kept, the owner where the
/// system lets us; a file without write permission is refused although its directory would let us replace
/// it. Other hard links of the file keep the old bytes, and extended attributes are not carried over.
///
/// # Errors
/// See [`WriteError`]. After an error the file is as it was.
pub fn write(root: &Path, path: &Path, contents: &[u8], expected: Option<&[u8]>) -> Result<(), WriteError> {
    write_with(root, path, expected, &|file| file.write_all(contents))
}

/// [`write`] with the step that may run out of disk given by the caller, so that a test can make it fail.
fn write_with(
    root: &Path,
    path: &Path,
    expected: Option<&[u8]>,
    fill: &dyn Fn(&mut File) -> io::Result<()>,
) -> Result<(), WriteError> {
    if !is_inside(path) {
        return Err(WriteError::NotInside(path.to_owned()));
    }
    let root = root.canonicalize().map_err(at(root))?;
    match expected {
        Some(expected) => replace(&root, path, expected, fill),
        None => create(&root, path, fill),
    }
}

fn replace(
    root: &Path,
    path: &Path,
    expected: &[u8],
    fill: &dyn Fn(&mut File) -> io::Result<()>,
) -> Result<(), WriteError> {
    let target = root.join(path).canonicalize().map_err(at(path))?;
    refuse_outside(root, path, &target)?;
    let before = fs::metadata(&target).map_err(at(path))?;
    if !before.is_file() {
        return Err(WriteError::NotAFile(path.to_owned()));
    }
    if !is_writable(&target, &before).map_err(at(path))? {
        return Err(WriteError::ReadOnly(path.to_owned()));
    }
    if fs::read(&target).map_err(at(path))? != expected {
        return Err(WriteError::Changed(path.to_owned()));
    }
    let directory = target.parent().expect("a file has a directory above it");
    let mut temporary = temporary_in(directory, None).map_err(at(path))?;
    fill(temporary.as_file_mut()).map_err(at(path))?;
    keep_owner_and_mode(temporary.as_file(), &before).map_err(at(path))?;
    temporary.as_file().sync_all().map_err(at(path))?;
    // The bytes were compared before the slow part; this closes all but the last moment of it.
    if !is_same(&before, &fs::metadata(&target).map_err(at(path))?) {
        return Err(WriteError::Changed(path.to_owned()));
    }
    temporary.persist(&target).map_err(|error| at(path)(error.error))?;
    sync_directory(directory).map_err(at(path))?;
    Ok(())
}

fn create(root: &Path, path: &Path, fill: &dyn Fn(&mut File) -> io::Result<()>) -> Result<(), WriteError> {
    let wanted = root.join(path);
    // Not `exists`: a dangling symlink is there, too.
    if fs::symlink_metadata(&wanted).is_ok() {
        return Err(WriteError::Exists(path.to_owned()));
    }
    let parent = wanted.parent().expect("a path inside the root has a directory above it");
    let missing: Vec<&Path> =
        parent.ancestors().take_while(|dir| fs::symlink_metadata(dir).is_err()).collect();
    let existing = missing.last().map_or(parent, |top| top.parent().expect("the root exists"));
    refuse_outside(root, path, &existing.canonicalize().map_err(at(path))?)?;

    let result = create_in(root, path, &wanted, &missing, fill);
    if result.is_err() {
        for directory in &missing {
            // Only what is empty goes: somebody else may have put a file there meanwhile.
            let _ = fs::remove_dir(directory);
        }
    }
    result
}

/// Creates `wanted` below the directories in `missing` (deepest first).
fn create_in(
    root: &Path,
    path: &Path,
    wanted: &Path,
    missing: &[&Path],
    fill: &dyn Fn(&mut File) -> io::Result<()>,
) -> Result<(), WriteError> {
    for directory in missing.iter().rev() {
        match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(at(path)(error).into()),
            _ => {}
        }
    }
    let parent = wanted.parent().expect("a path inside the root has a directory above it");
    let directory = parent.canonicalize().map_err(at(path))?;
    refuse_outside(root, path, &directory)?;
    let name = wanted.file_name().expect("the last component is a name");

    let mut temporary = temporary_in(&directory, new_file_permissions()).map_err(at(path))?;
    fill(temporary.as_file_mut()).map_err(at(path))?;
    temporary.as_file().sync_all().map_err(at(path))?;
    temporary.persist_noclobber(directory.join(name)).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => WriteError::Exists(path.to_owned()),
        _ => at(path)(error.error).into(),
    })?;
    sync_directory(&directory).map_err(at(path))?;
    for made in missing {
        sync_directory(made.parent().expect("the root exists")).map_err(at(path))?;
    }
    Ok(())
}

/// Returns a locked temporary file in `directory`, and removes those that a killed run has left there.
fn temporary_in(directory: &Path, permissions: Option<fs::Permissions>) -> io::Result<NamedTempFile> {
    stale::sweep_once(directory);
    loop {
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY_PREFIX).suffix(TEMPORARY_SUFFIX);
        if let Some(permissions) = &permissions {
            builder.permissions(permissions.clone());
        }
        let temporary = builder.tempfile_in(directory)?;
        // The lock tells a sweeping run that this file is alive. Between creation and lock a sweeper may have
        // taken the file for a dead one: then there is another to make.
        match temporary.as_file().try_lock() {
            Err(TryLockError::WouldBlock) => {}
            // A file system without locks: a sweeper cannot lock either, and leaves everything alone.
            Err(TryLockError::Error(_)) => return Ok(temporary),
            Ok(()) if temporary.path().exists() => return Ok(temporary),
            Ok(()) => {}
        }
    }
}

fn is_inside(path: &Path) -> bool {
    path.file_name().is_some()
        && path.components().all(|part| matches!(part, Component::Normal(_)))
        && !touches_git_directory(path)
}

fn touches_git_directory(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str().eq_ignore_ascii_case(".git"))
}

fn refuse_outside(root: &Path, path: &Path, target: &Path) -> Result<(), WriteError> {
    match target.strip_prefix(root) {
        Ok(inside) if !touches_git_directory(inside) => Ok(()),
        _ => Err(WriteError::LeadsOut { path: path.to_owned(), target: target.to_owned() }),
    }
}

/// Whether the file itself may be written. Mode bits count even for root, whom the kernel lets do anything:
/// whoever took the write permission away meant it.
fn is_writable(target: &Path, metadata: &fs::Metadata) -> io::Result<bool> {
    if metadata.permissions().readonly() {
        return Ok(false);
    }
    match OpenOptions::new().write(true).open(target) {
        Ok(_) => Ok(true),
        Err(error) => match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Ok(false),
            _ => Err(error),
        },
    }
}

#[cfg(unix)]
fn keep_owner_and_mode(file: &File, before: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (before.uid(), before.gid())
        && fchown(file, Some(before.uid()), Some(before.gid())).is_err()
    {
        // Only root may give a file away, but a member of the group may keep the group.
        let _ = fchown(file, None, Some(before.gid()));
    }
    file.set_permissions(before.permissions())
}

#[cfg(not(unix))]
fn keep_owner_and_mode(file: &File, before: &fs::Metadata) -> io::Result<()> {
    file.set_permissions(before.permissions())
}

#[cfg(unix)]
fn is_same(before: &fs::Metadata, now: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity =
        |m: &fs::Metadata| (m.dev(), m.ino(), m.len(), m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec());
    identity(before) == identity(now)
}

#[cfg(not(unix))]
fn is_same(before: &fs::Metadata, now: &fs::Metadata) -> bool {
    before.len() == now.len() && before.modified().ok() == now.modified().ok()
}

/// Whatever the umask leaves of `rw-rw-rw-`, as for any new file. Temporary files are private otherwise.
#[cfg(unix)]
fn new_file_permissions() -> Option<fs::Permissions> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(fs::Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn new_file_permissions() -> Option<fs::Permissions> {
    None
}

/// Makes a rename in `directory` survive a power cut, where the file system has a way to.
#[cfg(unix)]
fn sync_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory).and_then(|dir| dir.sync_all()) {
        // The new file is in place by now: a directory that cannot be opened or synced is no failure.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

#[cfg(not(unix))]
fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}

fn at(path: &Path) -> impl Fn(io::Error) -> PathError {
    move |source| PathError { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
