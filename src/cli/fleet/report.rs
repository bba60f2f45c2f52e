//! `fleet --report`: which files there can be, and writing them.

use std::path::{Path, PathBuf};

use crate::apply;
use crate::fleet::Entry;
use crate::render::fleet;

/// A file whose name says what is in it.
pub(super) fn file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|end| end.to_str()) {
        Some("html" | "json") => Ok(path),
        _ => Err("its name must end in .html or .json".to_owned()),
    }
}

pub(super) fn write(path: &Path, entries: &[&Entry]) -> anyhow::Result<()> {
    let is_page = path.extension().is_some_and(|end| end == "html");
    let text = if is_page { fleet::page(entries) } else { fleet::data(entries) };
    let path = std::path::absolute(path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().map(Path::new).unwrap_or(Path::new("report"));
    let before = std::fs::read(&path).ok();
    apply::write(folder, name, text.as_bytes(), before.as_deref())?;
    Ok(())
}
