//! The archive of a chart, read: its parts as they would lie in a repo. Nothing is unpacked to a disk.

use std::collections::BTreeSet;
use std::io::{self, Read};

use crate::image_facts::archive_entries;
use crate::repo::{Chart, charts_of};

/// Most bytes of one file of a chart, and of all of them.
const LARGEST_FILE: u64 = 8 << 20;
const LARGEST_CHART: u64 = 64 << 20;

/// More files than any chart has.
const MOST_FILES: usize = 10_000;

/// The charts of an archive: the first is the chart itself, the others those it brings along.
///
/// # Errors
/// The archive is none, or larger than charts are.
pub fn charts(archive: &[u8]) -> io::Result<Vec<Chart>> {
    let too_large = || io::Error::new(io::ErrorKind::InvalidData, "the chart is larger than charts are");
    let mut files: Vec<(String, String)> = Vec::new();
    let mut total = 0;
    archive_entries(&mut &*archive, &mut |path, size, body| {
        let path = path.trim_start_matches("./").to_owned();
        total += size;
        if size > LARGEST_FILE || total > LARGEST_CHART || files.len() > MOST_FILES {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        body.take(LARGEST_FILE).read_to_end(&mut bytes)?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push((path, text));
        }
        Ok(())
    })?;
    let folders: BTreeSet<String> =
        files.iter().filter_map(|(path, _)| Some(path.strip_suffix("/Chart.yaml")?.to_owned())).collect();
    let mut charts = charts_of(files, &folders);
    charts.sort_by_key(|chart| chart.folder.matches('/').count());
    match charts.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::InvalidData, "the archive has no Chart.yaml")),
        false => Ok(charts),
    }
}
