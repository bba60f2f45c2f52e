//! Starts a process and says how long it took, or how much memory it had at most.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A process that can be run again and again.
pub(crate) struct Child {
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
}

impl Child {
    /// The tool itself.
    pub(crate) fn command(arguments: &[&str], folder: &Path) -> Child {
        Child {
            program: PathBuf::from(env!("CARGO_BIN_EXE_caseharden")),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            folder: folder.to_path_buf(),
        }
    }

    /// This program in one of its baseline roles.
    pub(crate) fn baseline(role: &str, folder: &Path) -> Result<Child, Box<dyn Error>> {
        Ok(Child {
            program: std::env::current_exe()?,
            arguments: vec![role.to_owned(), ".".to_owned()],
            folder: folder.to_path_buf(),
        })
    }

    fn prepared(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// From its start to its end.
    pub(crate) fn time(&self) -> Result<Duration, Box<dyn Error>> {
        let start = Instant::now();
        let status = self.prepared().status()?;
        let took = start.elapsed();
        self.must_have_worked(status)?;
        Ok(took)
    }

    /// The most memory it had resident, in bytes; nothing where there is no `/proc`.
    pub(crate) fn peak(&self) -> Result<Option<u64>, Box<dyn Error>> {
        let mut child = self.prepared().spawn()?;
        let status = PathBuf::from(format!("/proc/{}/status", child.id()));
        let mut peak = None;
        loop {
            // The kernel's own high-water mark: only what happens after the last look is missed.
            peak = fs::read_to_string(&status).ok().as_deref().and_then(high_water).or(peak);
            if let Some(status) = child.try_wait()? {
                self.must_have_worked(status)?;
                return Ok(peak);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// 0 and 1 say whether something was found; anything else would be measured in vain.
    fn must_have_worked(&self, status: ExitStatus) -> Result<(), Box<dyn Error>> {
        match status.code() {
            Some(0 | 1) => Ok(()),
            _ => Err(format!("{} {:?}: {status}", self.program.display(), self.arguments).into()),
        }
    }
}

fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
