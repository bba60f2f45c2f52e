//! Where generated files go: to standard output, or into a folder. Knows nothing of what is in them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::apply::{self, PathError};
use crate::cli::{Helped, Outcome};
use crate::render::escaped;

/// A new file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Generated {
    /// Relative to the output folder.
    pub(super) path: PathBuf,
    /// Ends with a line break.
    pub(super) text: String,
}

/// Options of every `generate` command.
#[derive(Debug, clap::Args)]
pub(super) struct Destination {
    /// Write the files into this folder instead of printing them
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Overwrite files that are there and differ
    #[arg(long, requires = "output")]
    force: bool,
}

impl Destination {
    /// Prints the files, or writes them.
    ///
    /// # Errors
    /// A file is there already and differs, unless `--force` is given; then nothing is written at all.
    pub(super) fn take(&self, files: &[Generated], out: &mut dyn Write) -> anyhow::Result<Outcome> {
        match &self.output {
            Some(dir) => write_all(files, dir, self.force, out)?,
            None => print(files, out)?,
        }
        Ok(Outcome::Done)
    }
}

/// One file as it is. Several YAML files are a stream of documents, each with its name in a comment; anything else
/// stands below a line with its name.
fn print(files: &[Generated], out: &mut dyn Write) -> io::Result<()> {
    let is_yaml = |file: &Generated| file.path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    let all_yaml = files.iter().all(is_yaml);
    for (idx, file) in files.iter().enumerate() {
        let path = file.path.display().to_string();
        match files.len() {
            1 => {}
            _ if all_yaml => writeln!(out, "---\n# file: {}", escaped(&path))?,
            _ if idx > 0 => writeln!(out, "\n==> {} <==", escaped(&path))?,
            _ => writeln!(out, "==> {} <==", escaped(&path))?,
        }
        out.write_all(file.text.as_bytes())?;
    }
    Ok(())
}

fn write_all(files: &[Generated], dir: &Path, force: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| PathError { path, source }
    };
    let mut there: Vec<Option<Vec<u8>>> = Vec::new();
    for file in files {
        let path = dir.join(&file.path);
        there.push(match std::fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(at(&path)(error).into()),
        });
    }
    let differs = |file: &Generated, bytes: &Option<Vec<u8>>| {
        bytes.as_deref().is_some_and(|bytes| bytes != file.text.as_bytes())
    };
    let different: Vec<String> = files
        .iter()
        .zip(&there)
        .filter(|(file, bytes)| differs(file, bytes))
        .map(|(file, _)| format!("`{}`", dir.join(&file.path).display()))
        .collect();
    if !force && !different.is_empty() {
        let message = format!("would overwrite {}", different.join(", "));
        let help = "nothing was written; `--force` overwrites".to_owned();
        return Err(Helped { message, help: Some(help) }.into());
    }
    std::fs::create_dir_all(dir).map_err(at(dir))?;
    for (file, bytes) in files.iter().zip(&there) {
        let is_same = bytes.as_deref() == Some(file.text.as_bytes());
        if !is_same {
            apply::write(dir, &file.path, file.text.as_bytes(), bytes.as_deref())?;
        }
        let verb = if is_same { "unchanged" } else { "wrote" };
        writeln!(out, "{verb} {}", escaped(&dir.join(&file.path).display().to_string()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> Generated {
        Generated { path: path.into(), text: text.to_owned() }
    }

    #[track_caller]
    fn check_printed(files: &[Generated], expected: &str) {
        let mut out = Vec::new();
        print(files, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn one_file_is_printed_as_it_is() {
        check_printed(&[file("a.yaml", "a: 1\n")], "a: 1\n");
    }

    #[test]
    fn several_yaml_files_are_one_stream() {
        check_printed(
            &[file("a.yaml", "a: 1\n"), file("b/c.yml", "b: 2\n")],
            "---\n# file: a.yaml\na: 1\n---\n# file: b/c.yml\nb: 2\n",
        );
    }

    #[test]
    fn other_files_stand_below_their_names() {
        check_printed(
            &[file("a.yaml", "a: 1\n"), file("Jenkinsfile", "x\n")],
            "==> a.yaml <==\na: 1\n\n==> Jenkinsfile <==\nx\n",
        );
    }

    #[test]
    fn nothing_is_written_when_one_file_differs_unless_forced() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("new");
        let mut out = Vec::new();
        write_all(&[file("b.yaml", "b: 1\n")], &root, false, &mut out).unwrap();
        let files = [file("a.yaml", "a: 1\n"), file("b.yaml", "b: 2\n")];
        let error = write_all(&files, &root, false, &mut out).unwrap_err();
        assert!(error.to_string().starts_with("would overwrite `"), "{error}");
        assert!(!root.join("a.yaml").exists());
        write_all(&files, &root, true, &mut out).unwrap();
        assert_eq!(std::fs::read_to_string(root.join("b.yaml")).unwrap(), "b: 2\n");
    }

    #[test]
    fn files_that_are_there_already_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let mut out = Vec::new();
        for _ in 0..2 {
            write_all(&[file("a.yaml", "a: 1\n")], dir.path(), false, &mut out).unwrap();
        }
        let path = dir.path().join("a.yaml").display().to_string();
        assert_eq!(String::from_utf8(out).unwrap(), format!("wrote {path}\nunchanged {path}\n"));
    }
}
