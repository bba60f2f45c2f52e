//! A process for one repo: started, timed, and ended with everything that it has started.
//!
//! The process is told its task on standard input, which then stays open. When it closes - the time is over, or this
//! process is killed - the other one ends itself and its children: no lost process goes on pushing.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::git;
use crate::render::branches::Record;

/// What one process is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) folder: PathBuf,
    /// What is fetched into the folder first.
    pub(super) address: Option<String>,
    pub(super) branch: Option<String>,
    /// Most pull requests that may be opened.
    pub(super) most_opened: u32,
}

/// What a process says at its end.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Said {
    Made(Record),
    Failed { problems: Vec<String>, help: Option<String> },
}

/// How a process ended.
#[derive(Debug)]
pub(super) enum Ended {
    Made { record: Record, problems: Vec<String> },
    Failed { problems: Vec<String>, help: Option<String> },
}

/// Bytes of what a process says that are kept.
const LONGEST_TALK: u64 = 1 << 20;
/// For a process that was told to end.
const GRACE: Duration = Duration::from_secs(5);
const MOST_PROBLEMS: usize = 100;

/// Runs this program on one repo.
///
/// # Errors
/// When no process can be started at all.
pub(super) fn supervise(task: &Task, timeout: Duration, threads: usize) -> anyhow::Result<Ended> {
    let mut command = Command::new(std::env::current_exe().context("this program cannot be found again")?);
    command.args(std::env::args_os().skip(1)).arg("--worker");
    command.env("RAYON_NUM_THREADS", threads.to_string()).env("GIT_TERMINAL_PROMPT", "0");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().context("this program cannot be started again")?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else {
        anyhow::bail!("a process without its pipes");
    };
    let mut line = serde_json::to_vec(task)?;
    line.push(b'\n');
    // One that ended before it read its task says why.
    stdin.write_all(&line).and_then(|()| stdin.flush()).ok();

    let talk = std::thread::spawn(move || last_of(stderr));
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut answer = String::new();
        BufReader::new(stdout).read_line(&mut answer).ok();
        sender.send(answer).ok();
    });
    let answer = match receiver.recv_timeout(timeout) {
        Ok(answer) => answer,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            drop(stdin);
            if receiver.recv_timeout(GRACE).is_err() {
                child.kill().ok();
            }
            child.wait().ok();
            let problem = format!("not done within {} s: ended", timeout.as_secs());
            let help = Some("`--timeout` gives it longer".to_owned());
            return Ok(Ended::Failed { problems: vec![problem], help });
        }
    };
    drop(stdin);
    let status = child.wait().context("a process that was lost")?;
    let talk = talk.join().unwrap_or_default();
    Ok(match serde_json::from_str(&answer) {
        Ok(Said::Made(record)) => Ended::Made { problems: problems(&record, &talk), record },
        Ok(Said::Failed { problems, help }) => Ended::Failed { problems, help },
        Err(_) => {
            let last = talk.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            let problem = format!("the process ended early ({status}): {}", git::without_credentials(last));
            Ended::Failed { problems: vec![problem], help: None }
        }
    })
}

/// What went wrong in a repo that was done in part.
fn problems(record: &Record, talk: &str) -> Vec<String> {
    let of_branches = record
        .branches
        .iter()
        .filter_map(|branch| Some(format!("{}: {}", branch.name, branch.error.as_ref()?)));
    let said = talk.lines().filter_map(|line| {
        let text = line.strip_prefix("error: ").or_else(|| line.strip_prefix("skipped: "))?;
        Some(git::without_credentials(text))
    });
    let mut problems: Vec<String> = Vec::new();
    for problem in of_branches.chain(said).take(MOST_PROBLEMS) {
        if !problems.iter().any(|known| known.contains(&problem) || problem.contains(known.as_str())) {
            problems.push(problem);
        }
    }
    problems
}

/// The end of what a process says.
fn last_of(mut pipe: impl Read) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 8192];
    while let Ok(n @ 1..) = pipe.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..n]);
        if kept.len() as u64 > LONGEST_TALK {
            kept.drain(..kept.len() / 2);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}
