//! What goes into one commit: files, the findings they answer, and which files cannot go apart.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::division::Group;
use crate::cli::inputs::{Inputs, before};
use crate::forge::CodeOwners;
use crate::plan::{Fate, Judged, Planned, Planner};
use crate::render::{Created, Ending, Renderer};
use crate::repo;
use crate::rules::NewFile;

/// What goes into one commit.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) files: BTreeMap<String, Vec<u8>>,
    pub(super) findings: Vec<(String, Judged)>,
    /// What a pull request says of each file, as its renderer keeps it.
    shown: BTreeMap<String, Vec<u8>>,
    created: Vec<(String, Vec<Judged>, Vec<NewFile>)>,
    /// Paths whose changes are parts of what findings of other files speak for.
    parts: Vec<(String, String)>,
}

/// Files that are of use only together, as a new file and the kustomization that names it.
#[derive(Default)]
struct Units {
    /// By path: another path of the same unit, or the path itself.
    towards: BTreeMap<String, String>,
}

impl Units {
    fn of(&self, path: &str) -> String {
        let mut at = path;
        while let Some(next) = self.towards.get(at).filter(|next| *next != at) {
            at = next;
        }
        at.to_owned()
    }

    fn join(&mut self, one: &str, other: &str) {
        let (one, other) = (self.of(one), self.of(other));
        // The first path stands for all of them, whatever the order they are joined in.
        let (first, last) = if one < other { (one, other) } else { (other, one) };
        self.towards.insert(last, first);
    }
}

/// The new texts of a group, and the findings they answer; with a renderer also what it shows of them.
pub(super) fn collect(
    planner: &Planner<'_>,
    group: &Group,
    owners: &CodeOwners,
    renderer: Option<&dyn Renderer>,
) -> Changes {
    let mut all = Changes::default();
    planner.reports(|report| {
        if let Some(renderer) = renderer.filter(|_| report.after.is_some()) {
            let mut shown = Vec::new();
            renderer.file(&mut shown, &report).expect("memory takes all that is written");
            all.shown.insert(report.path.to_owned(), shown);
        }
        let Some(after) = report.after else { return };
        all.files.insert(report.path.to_owned(), after.into_bytes());
        all.parts.extend(report.part_of.into_iter().map(|part| (report.path.to_owned(), part)));
        let planned = report.findings.into_iter().filter(|judged| judged.fate == Fate::Planned);
        all.findings.extend(planned.map(|judged| (report.path.to_owned(), judged)));
    });
    for Planned { path, findings, files } in planner.new_files() {
        let planned: Vec<Judged> =
            findings.into_iter().filter(|judged| judged.fate == Fate::Planned).collect();
        if renderer.is_some() && !planned.is_empty() {
            all.created.push((path.to_owned(), planned.clone(), files.clone()));
        }
        all.findings.extend(planned.into_iter().map(|judged| (path.to_owned(), judged)));
        all.files.extend(files.into_iter().map(|file| (file.path, file.text.into_bytes())));
    }
    if group.folder.is_none() && group.owner.is_none() {
        return all;
    }
    let (units, homes) = (all.units(), all.homes());
    all.only(|path| {
        let home = homes.get(&units.of(path)).map_or(path, String::as_str);
        let is_folder = group.folder.as_ref().is_none_or(|folder| repo::folder(home) == folder);
        is_folder && group.owner.as_ref().is_none_or(|owner| owners.of(home).join(" ") == *owner)
    })
}

impl Changes {
    /// The files and findings of some paths.
    fn only(self, is_wanted: impl Fn(&str) -> bool) -> Changes {
        Changes {
            files: self.files.into_iter().filter(|(path, _)| is_wanted(path)).collect(),
            findings: self
                .findings
                .into_iter()
                .filter(|(path, judged)| is_wanted(place(path, judged)))
                .collect(),
            shown: self.shown.into_iter().filter(|(path, _)| is_wanted(path)).collect(),
            created: self
                .created
                .into_iter()
                .filter(|(path, _, files)| is_wanted(first(path, files)))
                .collect(),
            parts: self.parts.into_iter().filter(|(path, _)| is_wanted(path)).collect(),
        }
    }

    /// Where each unit belongs: the first of its paths that a finding speaks of.
    fn homes(&self) -> BTreeMap<String, String> {
        let units = self.units();
        let mut homes: BTreeMap<String, String> = BTreeMap::new();
        for (path, judged) in &self.findings {
            let path = place(path, judged);
            let home = homes.entry(units.of(path)).or_insert_with(|| path.to_owned());
            if path < home.as_str() {
                *home = path.to_owned();
            }
        }
        homes
    }

    fn units(&self) -> Units {
        let mut units = Units::default();
        let mut first: BTreeMap<&str, &str> = BTreeMap::new();
        for (path, part) in &self.parts {
            units.join(first.entry(part).or_insert(path), path);
        }
        for (path, judged) in &self.findings {
            let path = place(path, judged);
            for part in &judged.part_of {
                units.join(first.entry(part).or_insert(path), path);
                if self.files.contains_key(part) {
                    units.join(part, path);
                }
            }
            for file in &judged.finding.new_files {
                units.join(&file.path, path);
            }
        }
        units
    }

    /// The same in pieces of at most so many files; what cannot go apart may be more.
    pub(super) fn pieces(self, most: Option<usize>) -> Vec<Changes> {
        let Some(most) = most.filter(|most| self.files.len() > *most) else { return vec![self] };
        let units = self.units();
        let mut sizes: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for path in self.files.keys() {
            sizes.entry(units.of(path)).or_default().insert(path);
        }
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        let (mut number, mut size) = (0, 0);
        for (unit, paths) in &sizes {
            if size > 0 && size + paths.len() > most {
                (number, size) = (number + 1, 0);
            }
            size += paths.len();
            numbers.insert(unit.clone(), number);
        }
        let mut pieces: Vec<Changes> = (0..=number).map(|_| Changes::default()).collect();
        for (path, judged) in self.findings {
            let unit = units.of(place(&path, &judged));
            if let Some(number) = numbers.get(&unit) {
                pieces[*number].findings.push((path, judged));
            }
        }
        for (path, findings, files) in self.created {
            if let Some(number) = numbers.get(&units.of(first(&path, &files))) {
                pieces[*number].created.push((path, findings, files));
            }
        }
        for (path, shown) in self.shown {
            pieces[numbers[&units.of(&path)]].shown.insert(path, shown);
        }
        for (path, text) in self.files {
            pieces[numbers[&units.of(&path)]].files.insert(path, text);
        }
        pieces
    }
}

impl Changes {
    /// All of it, as a renderer of the same kind shows it.
    pub(super) fn show(&self, inputs: &Inputs, renderer: &dyn Renderer) -> io::Result<String> {
        let mut text = Vec::new();
        renderer.begin(&mut text)?;
        for shown in self.shown.values() {
            renderer.shown(&mut text, shown)?;
        }
        for (path, findings, files) in &self.created {
            let created: Vec<Created<'_>> =
                files.iter().map(|file| Created { file, before: before(inputs, &file.path) }).collect();
            renderer.created(&mut text, path, findings, &created)?;
        }
        renderer.end(&mut text, &Ending::default())?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// The file that a finding's fix is in: the first new one, or the one it is about.
fn place<'a>(path: &'a str, judged: &'a Judged) -> &'a str {
    first(path, &judged.finding.new_files)
}

fn first<'a>(path: &'a str, files: &'a [NewFile]) -> &'a str {
    files.first().map_or(path, |file| &file.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_joined_is_one_unit_that_its_first_path_stands_for() {
        let mut units = Units::default();
        for (one, other) in [("c", "d"), ("a", "d"), ("x", "y"), ("d", "c")] {
            units.join(one, other);
        }
        assert_eq!(["a", "c", "d", "x", "y", "z"].map(|path| units.of(path)), ["a", "a", "a", "x", "x", "z"]);
    }

    #[test]
    fn pieces_are_no_larger_than_asked_and_lose_nothing() {
        let files = (0..7).map(|number| (format!("{number}.yaml"), vec![number])).collect();
        let all = Changes { files, ..Changes::default() };
        let pieces = all.pieces(Some(3));
        let sizes: Vec<usize> = pieces.iter().map(|piece| piece.files.len()).collect();
        assert_eq!(sizes, [3, 3, 1]);
    }
}
