//! Runs the user's `git`, in an environment where only its configuration can change what it does.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::GitError;
use super::push::redact;
use crate::apply::PathError;

/// Variables that would point git to another repository, index or object store, or change how it reads
/// paths. Configuration, identity, ssh and proxy settings are the user's and stay.
const SCRUBBED: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_ATTR_SOURCE",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_DEFAULT_HASH",
    "GIT_DIFF_OPTS",
    "GIT_DIR",
    "GIT_EXTERNAL_DIFF",
    "GIT_GLOB_PATHSPECS",
    "GIT_GRAFT_FILE",
    "GIT_ICASE_PATHSPECS",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    // Traces can hold credentials, and what git says is shown to the user.
    "GIT_CURL_VERBOSE",
    "GIT_TRACE",
    "GIT_TRACE_CURL",
    "GIT_TRACE_PACKET",
    "GIT_WORK_TREE",
];

/// The `git` program, run in one directory.
#[derive(Debug, Clone)]
pub(super) struct Program {
    directory: PathBuf,
    /// Why it is needed, for the message when it is not installed.
    reason: String,
}

/// One run of `git`.
#[derive(Debug)]
pub(super) struct Run<'a> {
    program: &'a Program,
    command: Command,
    /// The subcommand, for messages.
    shown: String,
}

impl Program {
    pub(super) fn new(directory: &Path, reason: &str) -> Self {
        Self { directory: directory.to_owned(), reason: reason.to_owned() }
    }

    /// Prepares a local command: no hook, no prompt, no monitor, no lock that is not needed, plain English.
    pub(super) fn local<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run<'_> {
        let settings = [
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "gc.auto=0",
            "maintenance.auto=false",
            "i18n.commitEncoding=UTF-8",
        ];
        let mut run = self.bare_run();
        run.command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0");
        run.command.env("GIT_LITERAL_PATHSPECS", "1").env("GIT_NO_REPLACE_OBJECTS", "1");
        run.command.args(settings.iter().flat_map(|setting| ["-c", setting]));
        run.arguments(arguments)
    }

    /// Prepares a command that talks to a remote: hooks, prompts and language are the user's.
    pub(super) fn remote<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Run<'_> {
        self.bare_run().arguments(arguments)
    }

    fn bare_run(&self) -> Run<'_> {
        let mut command = Command::new("git");
        for name in SCRUBBED {
            command.env_remove(name);
        }
        command.arg("-C").arg(&self.directory);
        Run { program: self, command, shown: String::new() }
    }
}

impl Run<'_> {
    fn arguments<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        for argument in arguments {
            let argument = argument.as_ref();
            // Two words tell which command it was; the rest may be long, or an address with a password.
            if self.shown.len() < 16 && !self.shown.contains(' ') {
                let space = if self.shown.is_empty() { "" } else { " " };
                self.shown = redact(&format!("{}{space}{}", self.shown, argument.to_string_lossy()));
            }
            self.command.arg(argument);
        }
        self
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs to the end and returns what it wrote; a failure of `git` is an error.
    pub(super) fn read(self, input: &[u8]) -> Result<Vec<u8>, GitError> {
        let shown = self.shown.clone();
        let output = self.output(input)?;
        if output.status.success() { Ok(output.stdout) } else { Err(failure(shown, &output)) }
    }

    /// Like [`Self::read`], for one line of text.
    pub(super) fn line(self, input: &[u8]) -> Result<String, GitError> {
        Ok(String::from_utf8_lossy(&self.read(input)?).trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Runs to the end, whatever the outcome.
    pub(super) fn output(mut self, input: &[u8]) -> Result<Output, GitError> {
        let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.spawn_command()?;
        let stdin = child.stdin.take();
        let output = std::thread::scope(|scope| {
            scope.spawn(move || {
                // When git ends before it has read everything, its exit status says why.
                stdin.map(|mut stdin| stdin.write_all(input))
            });
            child.wait_with_output()
        });
        output.map_err(|source| PathError { path: self.program.directory.clone(), source }.into())
    }

    /// Starts a process that answers on its standard output for as long as it is asked.
    pub(super) fn converse(mut self) -> Result<Child, GitError> {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        self.spawn_command()
    }

    fn spawn_command(&mut self) -> Result<Child, GitError> {
        self.command.spawn().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => GitError::NoProgram { reason: self.program.reason.clone(), source },
            _ => PathError { path: "git".into(), source }.into(),
        })
    }
}

fn failure(command: String, output: &Output) -> GitError {
    let text = String::from_utf8_lossy(&output.stderr);
    let text = redact(text.trim());
    let output = if text.is_empty() { output.status.to_string() } else { text };
    GitError::Program { command, output }
}
