//! Runs the user's own kustomize on a copy of a folder.
//!
//! The repo may be hostile: kustomize runs without a shell, environment, plugins, Helm or git, with its own limits on
//! what a kustomization may load, within a time limit, and never on a build that would fetch something. Knows nothing
//! of what is built.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// The program that builds: `kustomize`, or `kubectl` with its own.
#[derive(Debug, Clone)]
pub struct Kustomize {
    program: PathBuf,
    arguments: &'static [&'static str],
}

/// Why a build gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{0}")]
    Refused(String),
    #[error("takes longer than {} seconds", TIME_LIMIT.as_secs())]
    TooSlow,
    #[error("builds more than {LARGEST_OUTPUT} bytes")]
    TooLarge,
    #[error("cannot be run: {0}")]
    Program(#[from] io::Error),
}

const TIME_LIMIT: Duration = Duration::from_secs(60);
const LARGEST_OUTPUT: u64 = 256 * 1024 * 1024;
const LOAD_LIMIT: &str = "--load-restrictor=LoadRestrictionsRootOnly";

impl Kustomize {
    /// The first of both in the folders of `path`, as the environment's `PATH` has them.
    pub fn find(path: Option<OsString>) -> Option<Kustomize> {
        let folders: Vec<PathBuf> = path.iter().flat_map(std::env::split_paths).collect();
        let named = |name: &str| {
            let mut programs =
                folders.iter().filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
            programs.find(|program| program.is_file())
        };
        let own = || Some(Kustomize { program: named("kustomize")?, arguments: &["build", LOAD_LIMIT] });
        let kubectl =
            || Some(Kustomize { program: named("kubectl")?, arguments: &["kustomize", LOAD_LIMIT] });
        own().or_else(kubectl)
    }

    /// How people call it.
    pub fn name(&self) -> String {
        self.program.display().to_string()
    }

    /// Builds a folder below `root`. `home` is an empty folder that stands for the user's.
    ///
    /// # Errors
    /// See [`BuildError`]; what kustomize itself refuses is the first.
    pub fn build(&self, root: &Path, folder: &str, home: &Path) -> Result<String, BuildError> {
        let target = if folder.is_empty() { "." } else { folder };
        let child = Command::new(&self.program)
            .args(self.arguments)
            .arg(format!("./{target}"))
            .current_dir(root)
            .env_clear()
            // No git, no Helm, and nobody behind a proxy: what would be fetched fails at once.
            .env("PATH", home)
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home)
            .env("HTTP_PROXY", "http://127.0.0.1:9")
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        finish(child)
    }
}

/// Waits for a child within its limits; kills it behind them.
fn finish(mut child: Child) -> Result<String, BuildError> {
    let (send, receive) = mpsc::channel();
    let streams = (child.stdout.take(), child.stderr.take());
    let reader = thread::spawn(move || {
        let (out, err) = streams;
        let errors = thread::spawn(move || read(err));
        let built = read(out);
        // Nobody waits for it any more when the time is over.
        send.send((built, errors.join().unwrap_or_default())).ok();
    });
    let read = receive.recv_timeout(TIME_LIMIT);
    if read.is_err() {
        child.kill().ok();
    }
    let status = child.wait()?;
    reader.join().ok();
    match read {
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(BuildError::TooSlow),
        Ok((built, _)) if built.len() as u64 > LARGEST_OUTPUT => Err(BuildError::TooLarge),
        Ok((built, _)) if status.success() => {
            String::from_utf8(built).map_err(|error| BuildError::Refused(error.to_string()))
        }
        Ok((_, errors)) => {
            let errors = String::from_utf8_lossy(&errors);
            let last = errors.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given");
            Err(BuildError::Refused(last.to_owned()))
        }
    }
}

fn read(stream: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What was read before an error tells enough: the exit code says whether it was all.
        stream.take(LARGEST_OUTPUT + 1).read_to_end(&mut bytes).ok();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_for_in_absolute_folders_only() {
        assert!(Kustomize::find(None).is_none());
        assert!(Kustomize::find(Some("bin:./here".into())).is_none());
    }
}
