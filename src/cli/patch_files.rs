//! Patches, one a line, as files: a folder as deep as the repo, a file for each object.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::render::PatchLine;
use crate::repo;

/// Takes the lines of `--format json-patch` and writes each patch as its file.
pub(super) struct PatchFiles<'a> {
    folder: PathBuf,
    line: Vec<u8>,
    taken: BTreeSet<PathBuf>,
    /// Gets the paths of the files.
    out: &'a mut dyn Write,
}

impl<'a> PatchFiles<'a> {
    pub(super) fn new(folder: &Path, out: &'a mut dyn Write) -> PatchFiles<'a> {
        PatchFiles { folder: folder.to_owned(), line: Vec::new(), taken: BTreeSet::new(), out }
    }

    fn write_line(&mut self) -> io::Result<()> {
        let line: PatchLine = serde_json::from_slice(&self.line)?;
        self.line.clear();
        let path = self.path(&line);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut text = serde_json::to_string_pretty(&line.patch)?;
        text.push('\n');
        fs::write(&path, text)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        writeln!(self.out, "{}", crate::render::escaped(&path.display().to_string()))
    }

    /// `FOLDER/apps/web.yaml/deployment-web.json`: no part of it comes from a manifest unchecked.
    fn path(&mut self, line: &PatchLine) -> PathBuf {
        let object = &line.object;
        let namespace = object.namespace.iter().map(String::as_str);
        let parts: Vec<String> =
            [object.kind.as_str(), object.name.as_str()].into_iter().chain(namespace).map(slug).collect();
        let folder = self.folder.join(repo::native(&line.path));
        let stem = parts.join("-").to_lowercase();
        let mut path = folder.join(format!("{stem}.json"));
        let mut count = 2;
        while !self.taken.insert(path.clone()) {
            path = folder.join(format!("{stem}-{count}.json"));
            count += 1;
        }
        path
    }
}

fn slug(text: &str) -> String {
    let slug: String = text
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() || char == '.' { char } else { '-' })
        .collect();
    let slug = slug.trim_matches(['-', '.']);
    if slug.is_empty() { "unnamed".to_owned() } else { slug.chars().take(80).collect() }
}

impl Write for PatchFiles<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.write_line()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
