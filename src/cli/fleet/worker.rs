//! The process that works on one repo of a fleet.

use std::io::{self, BufRead, Read, Write};

use anyhow::Context;

use super::FleetArgs;
use super::supervision::{Said, Task};
use crate::cli::branch::{Job, Making, make};
use crate::cli::{Global, Helped, Outcome};
use crate::git;
use crate::render::branches::{FORMAT, Record};
use crate::repo::Root;

pub(super) fn run(args: &FleetArgs, global: &Global, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let task: Task = serde_json::from_str(&line).context("`--worker` is for the program itself")?;
    std::thread::spawn(end_with_parent);
    let said = match work(args, &task, global) {
        Ok(record) => Said::Made(record),
        Err(error) => Said::Failed {
            problems: vec![git::without_credentials(
                &error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": "),
            )],
            help: error.chain().find_map(|cause| cause.downcast_ref::<Helped>()?.help.clone()),
        },
    };
    writeln!(out, "{}", serde_json::to_string(&said)?)?;
    out.flush()?;
    Ok(Outcome::Done)
}

fn work(args: &FleetArgs, task: &Task, global: &Global) -> anyhow::Result<Record> {
    let mut making: Making = args.making.clone();
    if let Some(address) = &task.address {
        anyhow::ensure!(!global.offline, "a repo is fetched, and `--offline` refuses the network");
        let branch = task.branch.as_deref();
        let commit = git::fetched(address, &task.folder, branch).map_err(|error| {
            let help = error.help();
            anyhow::Error::new(Helped { message: error.to_string(), help })
        })?;
        if commit.is_none() {
            return Ok(Record { format: FORMAT, ..Record::default() });
        }
        making.pulls.aim_at(branch);
    } else {
        let folder = &task.folder;
        anyhow::ensure!(folder.is_dir(), "there is no such folder: `{}`", folder.display());
        // Two folders of one repo would make the same branch.
        anyhow::ensure!(
            folder.join(".git").exists(),
            "`{}` is not the top of a git repository's work tree",
            folder.display()
        );
    }
    let job = Job {
        making: &making,
        root: Root::find(std::slice::from_ref(&task.folder))?,
        path: None,
        base: None,
        push: args.push.then_some(git::REMOTE),
        is_one_of_many: true,
        most_opened: task.most_opened,
    };
    make(job, global, &mut io::sink())
}

/// Waits for standard input to close; then nobody is there to take what this process and its children would do.
fn end_with_parent() {
    io::stdin().lock().read_to_end(&mut Vec::new()).ok();
    #[cfg(unix)]
    rustix::process::kill_current_process_group(rustix::process::Signal::KILL).ok();
    std::process::exit(2);
}
