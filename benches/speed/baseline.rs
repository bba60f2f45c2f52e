//! The least any tool does that looks into a repo's manifests: walk, read, parse. Same walk, reader, limits,
//! parser and threads as the tool, and nothing kept: a stream is dropped as soon as it is parsed.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use caseharden::config::Config;
use caseharden::repo::{Disk, Entry, LIMITS, Root, Source, is_kustomization_name};
use caseharden::yaml::Stream;
use memchr::memmem;
use rayon::prelude::*;

/// What is done with every file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Baseline {
    Read,
    /// Parse what `check` parses: files that may hold Kubernetes objects and are no chart's templates.
    ParseManifests,
    /// Parse every YAML and JSON file.
    ParseAll,
}

/// What a baseline went through.
pub(crate) struct Handled {
    pub(crate) files: usize,
    pub(crate) bytes: usize,
}

impl fmt::Display for Handled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files, {} bytes", self.files, self.bytes)
    }
}

impl Baseline {
    pub(crate) fn named(role: &str) -> Option<Baseline> {
        match role {
            "--only-read" => Some(Baseline::Read),
            "--only-parse-manifests" => Some(Baseline::ParseManifests),
            "--only-parse-all" => Some(Baseline::ParseAll),
            _ => None,
        }
    }

    pub(crate) fn run(self, folder: &Path) -> io::Result<Handled> {
        let root = Root::find(&[folder.to_path_buf()]).map_err(io::Error::other)?;
        let disk = Disk::new(root.folder);
        let listing = disk.list(&root.wanted);
        let limit = Config::default().max_file_size;
        let (files, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        listing.entries.par_iter().try_for_each(|entry| -> io::Result<()> {
            let Some(read) = disk.read(entry, limit)? else { return Ok(()) };
            let size = read.len();
            if self.handles(entry, read) {
                files.fetch_add(1, Ordering::Relaxed);
                bytes.fetch_add(size, Ordering::Relaxed);
            }
            Ok(())
        })?;
        Ok(Handled { files: files.into_inner(), bytes: bytes.into_inner() })
    }

    fn handles(self, entry: &Entry, bytes: Vec<u8>) -> bool {
        match self {
            Baseline::Read => true,
            Baseline::ParseManifests if !may_be_manifest(&entry.path, &bytes) => false,
            Baseline::ParseManifests | Baseline::ParseAll => {
                let text = String::from_utf8(bytes).expect("the generated files are UTF-8");
                // A chart's template does not parse; trying it is part of the work.
                std::hint::black_box(Stream::parse(text, &LIMITS)).is_ok()
            }
        }
    }
}

fn may_be_manifest(path: &str, bytes: &[u8]) -> bool {
    let has = |word: &str| memmem::find(bytes, word.as_bytes()).is_some();
    is_kustomization_name(path) || has("kind") && has("apiVersion") && !path.contains("/chart/templates/")
}
