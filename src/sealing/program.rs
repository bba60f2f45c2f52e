//! Runs one program: input on stdin, answer on stdout, within a time limit, with next to no environment.

use std::ffi::OsStr;
use std::io::{Read, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Far longer than encrypting a Secret takes.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// Larger than any Secret, which may have 1 MiB, encrypted.
const LARGEST_ANSWER: u64 = 8 << 20;

pub(super) struct Program {
    name: &'static str,
    command: Command,
}

impl Program {
    pub(super) fn new(name: &'static str) -> Program {
        let mut command = Command::new(name);
        // A kubeconfig or keys of a cloud would make it ask a network.
        command.env_clear();
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        #[cfg(windows)]
        command.envs(std::env::var_os("SystemRoot").map(|root| ("SystemRoot", root)));
        // Configuration in the repo or above it must not change what it does.
        command.current_dir(std::env::temp_dir());
        Program { name, command }
    }

    pub(super) fn argument(&mut self, argument: impl AsRef<OsStr>) -> &mut Program {
        self.command.arg(argument);
        self
    }

    /// What it answers to `input`. What it says when it fails is passed on, but for lines with `forbidden` text.
    pub(super) fn run(mut self, input: &[u8], forbidden: &[String]) -> Result<Vec<u8>, String> {
        let name = self.name;
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("the program `{name}` is not installed"),
            _ => format!("`{name}`: {error}"),
        })?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (done, answer) = mpsc::channel();
        let input = input.to_vec();
        std::thread::spawn(move || {
            // A program that does not read has its reasons; its exit code tells.
            stdin.map(|mut stdin| stdin.write_all(&input));
        });
        let said = std::thread::spawn(move || stderr.map(read).unwrap_or_default());
        std::thread::spawn(move || done.send(stdout.map(read).unwrap_or_default()));
        let Ok(answer) = answer.recv_timeout(TIME_LIMIT) else {
            child.kill().ok();
            child.wait().ok();
            return Err(format!("`{name}` did not end within {} seconds", TIME_LIMIT.as_secs()));
        };
        let status = child.wait().map_err(|error| format!("`{name}`: {error}"))?;
        if status.success() && answer.len() as u64 <= LARGEST_ANSWER {
            return Ok(answer);
        }
        let said = said.join().unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let is_fit =
            |line: &&str| !line.trim().is_empty() && !forbidden.iter().any(|text| line.contains(text));
        let reason = said.lines().find(is_fit).unwrap_or("it does not say why").trim();
        Err(format!("`{name}` failed: {}", reason.chars().take(200).collect::<String>()))
    }
}

fn read(from: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.take(LARGEST_ANSWER + 1).read_to_end(&mut bytes).ok();
    bytes
}
