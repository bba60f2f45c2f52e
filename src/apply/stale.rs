//! Removes the temporary files that a killed run has left in a directory.
//!
//! Touches nothing but regular files with our own temporary name that no living process holds.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{TEMPORARY_PREFIX, TEMPORARY_SUFFIX};

/// Removes dead temporary files of `directory`, the first time this process writes there.
///
/// Once is enough, as our own errors clean up behind themselves, and listing a directory of thousands of
/// files for each file written there would make the whole quadratic. Best effort: a file that cannot be
/// removed harms nobody, its name is no manifest's.
pub(super) fn sweep_once(directory: &Path) {
    static SWEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let first = SWEPT.lock().unwrap_or_else(PoisonError::into_inner).insert(directory.to_owned());
    if first {
        sweep(directory);
    }
}

pub(super) fn sweep(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| {
            name.strip_prefix(TEMPORARY_PREFIX).is_some_and(|rest| rest.ends_with(TEMPORARY_SUFFIX))
        });
        // `file_type` does not follow symlinks.
        if ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            remove_if_dead(&entry.path());
        }
    }
}

/// A living writer holds a lock on its temporary file; the kernel drops it with the process.
fn remove_if_dead(path: &Path) {
    if let Ok(file) = File::open(path)
        && file.try_lock().is_ok()
    {
        let _ = fs::remove_file(path);
    }
}
