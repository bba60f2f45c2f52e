//! What is known of a round over many repos, in a file that a kill at any moment leaves readable.
//!
//! A line for each repo as it ends, each one on the disk before the next repo is begun. A round that did not come to its
//! end is gone on with; after one that did, the next is a new one.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::render::branches::{Delivered, Record};

const FILE_NAME: &str = "journal.jsonl";
const LOCK_NAME: &str = "in-use";
const HOUR: u64 = 3600;
/// Larger than a journal of a hundred thousand repos: a bound on what is read.
const LARGEST_FILE: u64 = 1 << 30;

/// How a repo ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Done,
    /// Branches were made, and something could not be read or done.
    Partial,
    Failed,
}

/// What became of one repo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub repo: String,
    pub status: Status,
    /// When it ended, in seconds since 1970.
    pub ended: u64,
    /// How long it took.
    pub milliseconds: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    /// What went wrong, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Entry {
    /// How many pull requests were opened.
    pub fn opened(&self) -> u32 {
        let deliveries = self.record.iter().flat_map(|record| &record.branches);
        let opened = deliveries.filter(|branch| {
            branch.delivered.as_ref().is_some_and(|delivery| delivery.outcome == Delivered::Opened)
        });
        u32::try_from(opened.count()).unwrap_or(u32::MAX)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    /// A round begins: what was asked for, and what earlier rounds opened lately (when, how many).
    Begin {
        format: u32,
        asked: String,
        lately: Vec<(u64, u32)>,
    },
    Repo(Box<Entry>),
    End,
}

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("another run is at work in `{}`", .0.display())]
    InUse(PathBuf),
    #[error("`{}`", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// The journal of a folder, which nobody else uses meanwhile.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Held until the journal is dropped, or its process killed.
    _lock: File,
    entries: BTreeMap<String, Entry>,
    lately: Vec<(u64, u32)>,
}

impl Journal {
    /// Opens the journal of `folder`, and goes on with its round if that asked for the same and did not end; else begins
    /// a new one, as it does with `restart`.
    ///
    /// # Errors
    /// Another process uses the folder; files that cannot be read or written.
    pub fn open(folder: &Path, asked: &str, restart: bool, now: u64) -> Result<Journal, JournalError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Io { path, source }
        };
        std::fs::create_dir_all(folder).map_err(at(folder))?;
        let lock_path = folder.join(LOCK_NAME);
        let lock = OpenOptions::new().create(true).append(true).open(&lock_path).map_err(at(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(JournalError::InUse(folder.to_owned())),
            Err(std::fs::TryLockError::Error(error)) => return Err(at(&lock_path)(error)),
        }
        let path = folder.join(FILE_NAME);
        let before = read(&path).map_err(at(&path))?;
        let known = Known::read(before.as_deref().unwrap_or_default());
        let goes_on = !restart && !known.ended && known.asked.as_deref() == Some(asked);
        if !goes_on {
            let lately = known.opened_since(now.saturating_sub(HOUR));
            let begin = line(&Line::Begin { format: 1, asked: asked.to_owned(), lately: lately.clone() });
            crate::apply::write(folder, Path::new(FILE_NAME), &begin, before.as_deref())
                .map_err(|error| at(&path)(io::Error::other(error.to_string())))?;
            let file = OpenOptions::new().append(true).open(&path).map_err(at(&path))?;
            return Ok(Journal { path, file, _lock: lock, entries: BTreeMap::new(), lately });
        }
        let file = OpenOptions::new().append(true).open(&path).map_err(at(&path))?;
        // A line that a kill cut short is none.
        file.set_len(known.whole as u64).map_err(at(&path))?;
        Ok(Journal { path, file, _lock: lock, entries: known.entries, lately: known.lately })
    }

    /// What is known of this round's repos, by their names.
    pub fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.entries
    }

    /// How many pull requests were opened in the hour before `now`.
    pub fn opened_lately(&self, now: u64) -> u32 {
        let since = now.saturating_sub(HOUR);
        let of_round = self.entries.values().map(|entry| (entry.ended, entry.opened()));
        let all = self.lately.iter().copied().chain(of_round);
        all.filter(|(when, _)| *when > since).map(|(_, n)| n).sum()
    }

    /// Notes how a repo ended.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note(&mut self, entry: Entry) -> Result<(), JournalError> {
        self.append(&Line::Repo(Box::new(entry.clone())))?;
        self.entries.insert(entry.repo.clone(), entry);
        Ok(())
    }

    /// Ends the round.
    ///
    /// # Errors
    /// As for [`Self::note`].
    pub fn end(&mut self) -> Result<(), JournalError> {
        self.append(&Line::End)
    }

    fn append(&mut self, what: &Line) -> Result<(), JournalError> {
        let written = self.file.write_all(&line(what)).and_then(|()| self.file.sync_data());
        written.map_err(|source| JournalError::Io { path: self.path.clone(), source })
    }
}

fn line(line: &Line) -> Vec<u8> {
    let mut text = serde_json::to_vec(line).expect("names, numbers and texts are JSON");
    text.push(b'\n');
    text
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(LARGEST_FILE).read_to_end(&mut text).map(|_| Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a journal's text says.
#[derive(Default)]
struct Known {
    asked: Option<String>,
    entries: BTreeMap<String, Entry>,
    lately: Vec<(u64, u32)>,
    ended: bool,
    /// Bytes of its whole lines.
    whole: usize,
}

impl Known {
    fn read(text: &[u8]) -> Known {
        let mut known = Known::default();
        for part in text.split_inclusive(|byte| *byte == b'\n') {
            let Some(Ok(line)) = part.strip_suffix(b"\n").map(serde_json::from_slice::<Line>) else { break };
            known.whole += part.len();
            match line {
                Line::Begin { format: 1, asked, lately } => {
                    (known.asked, known.lately) = (Some(asked), lately);
                }
                // Of another version of the program: not gone on with.
                Line::Begin { .. } => break,
                Line::Repo(entry) => drop(known.entries.insert(entry.repo.clone(), *entry)),
                Line::End => known.ended = true,
            }
        }
        known
    }

    fn opened_since(&self, since: u64) -> Vec<(u64, u32)> {
        let of_round = self.entries.values().map(|entry| (entry.ended, entry.opened()));
        let all = self.lately.iter().copied().chain(of_round);
        all.filter(|(when, n)| *when > since && *n > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::branches::{Branch, Delivery};

    fn entry(repo: &str, ended: u64, opened: usize) -> Entry {
        let branch = Branch { delivered: Some(Delivery::new(Delivered::Opened)), ..Branch::default() };
        let record = Record { branches: vec![branch; opened], ..Record::default() };
        Entry {
            repo: repo.to_owned(),
            status: Status::Done,
            ended,
            milliseconds: 1,
            record: Some(record),
            problems: Vec::new(),
            help: None,
        }
    }

    fn names(journal: &Journal) -> Vec<&str> {
        journal.entries().keys().map(String::as_str).collect()
    }

    #[test]
    fn a_round_is_gone_on_with_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let open = |asked: &str, restart| Journal::open(folder.path(), asked, restart, 10_000).unwrap();
        open("x", false).note(entry("a", 9_999, 2)).unwrap();
        let mut journal = open("x", false);
        assert_eq!((names(&journal), journal.opened_lately(10_000)), (vec!["a"], 2));
        journal.note(entry("b", 10_000, 1)).unwrap();
        journal.end().unwrap();
        drop(journal);
        let journal = open("x", false);
        assert_eq!((names(&journal), journal.opened_lately(10_000)), (vec![], 3));
        assert_eq!(journal.opened_lately(13_599), 1);
        drop(journal);
        open("x", false).note(entry("c", 10_000, 0)).unwrap();
        assert_eq!(names(&open("y", false)), Vec::<&str>::new());
        open("y", false).note(entry("d", 10_000, 0)).unwrap();
        assert_eq!(names(&open("y", true)), Vec::<&str>::new());
    }

    #[test]
    fn a_line_cut_short_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Journal::open(folder.path(), "x", false, 0).unwrap();
        open().note(entry("a", 0, 0)).unwrap();
        open().note(entry("b", 0, 0)).unwrap();
        let path = folder.path().join(FILE_NAME);
        let text = std::fs::read(&path).unwrap();
        for end in 0..text.len() {
            std::fs::write(&path, &text[..end]).unwrap();
            let mut journal = open();
            assert!(names(&journal).len() < 2, "{end}");
            journal.note(entry("c", 0, 0)).unwrap();
            drop(journal);
            assert!(names(&open()).contains(&"c"), "{end}");
        }
    }

    #[test]
    fn two_runs_do_not_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Journal::open(folder.path(), "x", false, 0).unwrap();
        let second = Journal::open(folder.path(), "x", false, 0);
        assert!(matches!(second, Err(JournalError::InUse(_))));
    }
}
