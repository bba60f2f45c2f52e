//! `fleet`: the branches of many repos, each in a process of its own.

mod report;
mod supervision;
mod worker;

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::supervision::{Ended, Task};
use super::branch::{Making, forge_of_org};
use super::{Global, Helped, Outcome, say};
use crate::fleet::{Entry, Journal, Place, Shard, Status, Target, targets};
use crate::git;
use crate::render::branches::Record;
use crate::render::{escaped, plural};

/// Make the branches of many repos, and their pull requests
///
/// Each repo is worked on as `caseharden branch` would, in a process of its own: one that fails, hangs or is hostile
/// stops no other. A folder is worked on in place, its checkout untouched; an address is fetched into the working
/// folder, without a checkout and only the files that are read. A run that was cut short goes on where it was; after one
/// that ended, the next begins anew and makes nothing that is there already.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    caseharden fleet repos.txt                            a path or an address on each line\n  \
    caseharden fleet repos.txt --push --pull-request --draft --max-per-hour 20\n  \
    caseharden fleet --org https://github.com/acme --per area --push --pull-request\n  \
    caseharden fleet repos.txt --dry-run --report fleet.html --report fleet.json\n  \
    caseharden fleet repos.txt --shard 0/8 --push         the first of eight machines\n\n\
    Exit codes: 0 all done, 2 a repo failed or could not be read in part (the others were still done), or a limit left \
    some for a later run")]
pub(super) struct FleetArgs {
    /// List of repos, `-` for standard input; an address may be followed by the branch to work from
    list: Option<PathBuf>,
    /// All repos of an organisation, group or workspace on a forge, by its address (can be repeated)
    #[arg(long, value_name = "URL")]
    org: Vec<String>,
    /// With `--org`: forks too; archived and empty repos never
    #[arg(long, requires = "org")]
    forks: bool,
    /// Push the branches to each repo's `origin`; what others have committed to is left alone
    #[arg(long)]
    push: bool,
    /// Repos that are worked on at a time; as many as there are cores without it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    parallel: Option<u16>,
    /// Longest time for one repo, as `90s`, `10m` or `1h`
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    timeout: Duration,
    /// Only this part of the repos, as `0/8` for the first of eight
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Most pull requests that are opened in an hour, over all repos and runs with the same working folder
    #[arg(long, value_name = "N", requires = "pull_request")]
    max_per_hour: Option<u32>,
    /// Write what became of each repo: a page (.html) or data (.json) (can be repeated)
    #[arg(long, value_name = "FILE", value_parser = report::file)]
    report: Vec<PathBuf>,
    /// Folder of the journal and of what was fetched; by the list, in the user's cache, without it
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Begin anew, also where the run before was cut short
    #[arg(long)]
    restart: bool,
    /// This process works on the one repo that it is told on standard input.
    #[arg(long, hide = true)]
    worker: bool,
    #[command(flatten)]
    making: Making,
}

fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) =
        text.split_at(text.len() - text.chars().rev().take_while(char::is_ascii_alphabetic).count());
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => 0,
    };
    match number.parse::<u32>().map(|number| u64::from(number) * seconds) {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        _ => Err("write it as `90s`, `10m` or `1h`".to_owned()),
    }
}

pub(super) fn run(
    args: &FleetArgs,
    global: &Global,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Outcome> {
    if args.worker {
        return worker::run(args, global, out);
    }
    anyhow::ensure!(
        !(global.offline && (args.push || !args.org.is_empty())),
        "`--push` and `--org` need the network, which `--offline` refuses"
    );
    let select = &args.making.select;
    let reads_stdin =
        select.flow_log.iter().any(|path| path == Path::new("-")) || select.evidence.reads_stdin();
    anyhow::ensure!(
        !reads_stdin,
        "each repo reads the logs by itself: give them as files, not on standard input"
    );
    let mut targets = listed(args)?;
    if targets.is_empty() && args.list.is_none() && args.org.is_empty() {
        let help = "name a file with a path or an address on each line, or `--org https://github.com/acme`";
        return Err(Helped { message: "no repos are named".to_owned(), help: Some(help.to_owned()) }.into());
    }
    let total = targets.len();
    if let Some(shard) = args.shard {
        targets.retain(|target| shard.has(&target.name));
        say(&format!("shard: {} of {total}\n", plural(targets.len(), "repo")));
    }
    let work = work_folder(args)?;
    let asked = git::blob_id(format!("{:?} {} {:?}", args.making, args.push, args.shard).as_bytes());
    let journal = Journal::open(&work, &asked, args.restart, now())?;
    let n_known = targets.iter().filter(|target| journal.entries().contains_key(&target.name)).count();
    if n_known > 0 {
        say(&format!("going on with a run that was cut short: {} done already\n", plural(n_known, "repo")));
    }
    let fleet = Fleet {
        args,
        global,
        work: &work,
        journal: Mutex::new(journal),
        reserved: Mutex::new(0),
        out: Mutex::new(out),
        bar: progress(targets.len(), n_known, global),
        failure: Mutex::new(None),
        stopped: AtomicBool::new(false),
    };
    fleet.work_on(&targets)?;
    fleet.finish(&targets)
}

/// All repos that are asked for, each once.
fn listed(args: &FleetArgs) -> anyhow::Result<Vec<Target>> {
    let mut found = Vec::new();
    if let Some(list) = &args.list {
        let shown = list.display().to_string();
        let (text, folder) = if list == Path::new("-") {
            let mut text = String::new();
            std::io::stdin().lock().read_to_string(&mut text).context("standard input")?;
            (text, std::env::current_dir()?)
        } else {
            let text = std::fs::read_to_string(list).with_context(|| shown.clone())?;
            (text, std::path::absolute(list)?.parent().map(Path::to_owned).unwrap_or_default())
        };
        found = targets(&text, &folder);
    }
    for address in &args.org {
        let forge = forge_of_org(&args.making.pulls, address)?;
        let repos = forge.repos(args.forks).map_err(|failure| anyhow::anyhow!("{address}: {failure}"))?;
        let place = |address: String| Place::Remote { address, branch: None };
        let new: Vec<Target> = repos
            .into_iter()
            .map(|address| Target { name: git::without_credentials(&address), place: place(address) })
            .filter(|target| found.iter().all(|known| known.name != target.name))
            .collect();
        found.extend(new);
    }
    Ok(found)
}

/// Where the journal is: one folder for one list.
fn work_folder(args: &FleetArgs) -> anyhow::Result<PathBuf> {
    if let Some(folder) = &args.work {
        return Ok(std::path::absolute(folder)?);
    }
    let list = args.list.as_ref().map(std::path::absolute).transpose()?;
    let what = format!("{list:?} {:?}", args.org);
    let set = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set.or_else(|| Some(std::env::home_dir()?.join(".cache")));
    let base = base.context("there is no home for the journal: name a folder with `--work`")?;
    Ok(base.join("caseharden/fleet").join(&git::blob_id(what.as_bytes())[..16]))
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}

struct Fleet<'a> {
    args: &'a FleetArgs,
    global: &'a Global,
    work: &'a Path,
    journal: Mutex<Journal>,
    /// Pull requests that repos being worked on may still open.
    reserved: Mutex<u32>,
    out: Mutex<&'a mut (dyn Write + Send)>,
    bar: ProgressBar,
    /// Why the run cannot go on at all.
    failure: Mutex<Option<anyhow::Error>>,
    stopped: AtomicBool,
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Fleet<'_> {
    fn work_on(&self, targets: &[Target]) -> anyhow::Result<()> {
        let open: Vec<&Target> = {
            let journal = held(&self.journal);
            targets.iter().filter(|target| !journal.entries().contains_key(&target.name)).collect()
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let width = self.args.parallel.map_or(cores, usize::from).min(open.len());
        let threads = (cores / width.max(1)).max(1);
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..width {
                scope.spawn(|| {
                    while !self.stopped.load(Ordering::Relaxed)
                        && let Some(target) = open.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        if let Err(error) = self.one(target, threads) {
                            self.stopped.store(true, Ordering::Relaxed);
                            held(&self.failure).get_or_insert(error);
                        }
                    }
                });
            }
        });
        self.bar.finish_and_clear();
        held(&self.failure).take().map_or(Ok(()), Err)
    }

    /// Works on one repo; an error is one of the whole run.
    fn one(&self, target: &Target, threads: usize) -> anyhow::Result<()> {
        let Some(most_opened) = self.reserve() else { return Ok(()) };
        let folder = match &target.place {
            Place::Folder(path) => path.clone(),
            Place::Remote { .. } => self.work.join("repos").join(folder_name(&target.name)),
        };
        let (address, branch) = match &target.place {
            Place::Folder(_) => (None, None),
            Place::Remote { address, branch } => (Some(address.clone()), branch.clone()),
        };
        let task = Task { folder, address, branch, most_opened };
        let began = Instant::now();
        let ended = supervision::supervise(&task, self.args.timeout, threads)?;
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let entry = entry(target, ended, milliseconds);
        self.say_entry(&entry)?;
        // The allowance is given back only when the journal knows what was opened.
        held(&self.journal).note(entry)?;
        *held(&self.reserved) -= if self.args.max_per_hour.is_some() { most_opened } else { 0 };
        self.bar.inc(1);
        Ok(())
    }

    /// How many pull requests the next repo may open; `None` when that has to wait for the next hour.
    fn reserve(&self) -> Option<u32> {
        let most = self.args.making.pulls.most_opened();
        let Some(limit) = self.args.max_per_hour else { return Some(most) };
        let journal = held(&self.journal);
        let mut reserved = held(&self.reserved);
        let left = limit.saturating_sub(journal.opened_lately(now())).saturating_sub(*reserved);
        let taken = left.min(most);
        *reserved += taken;
        (taken > 0 || self.args.making.dry_run).then_some(taken)
    }

    fn say_entry(&self, entry: &Entry) -> anyhow::Result<()> {
        let name = escaped(&entry.repo);
        let mut text = match (entry.status, &entry.record) {
            (Status::Done, Some(record)) => format!("{name}  {}\n", record.summary()),
            (Status::Partial, Some(record)) => format!("{name}  in part: {}\n", record.summary()),
            _ => format!("{name}  failed\n"),
        };
        let shown = if self.global.verbose { entry.problems.len() } else { 3 };
        for problem in entry.problems.iter().take(shown) {
            text.push_str(&format!("  {}\n", escaped(problem)));
        }
        if entry.problems.len() > shown {
            text.push_str(&format!("  and {} more; -v lists them\n", entry.problems.len() - shown));
        }
        text.extend(entry.help.iter().map(|help| format!("  help: {}\n", escaped(help))));
        if self.global.quiet && entry.status == Status::Done {
            return Ok(());
        }
        let mut out = held(&self.out);
        let written = self.bar.suspend(|| out.write_all(text.as_bytes()).and_then(|()| out.flush()));
        Ok(written?)
    }

    fn finish(&self, targets: &[Target]) -> anyhow::Result<Outcome> {
        let mut journal = held(&self.journal);
        let entries: Vec<&Entry> =
            targets.iter().filter_map(|target| journal.entries().get(&target.name)).collect();
        let n_left = targets.len() - entries.len();
        let mut by_status: BTreeMap<Status, usize> = BTreeMap::new();
        for entry in &entries {
            *by_status.entry(entry.status).or_default() += 1;
        }
        let count = |status| by_status.get(&status).copied().unwrap_or(0);
        let mut text = format!("{} done", plural(count(Status::Done), "repo"));
        for (n, what) in [
            (count(Status::Partial), "in part"),
            (count(Status::Failed), "failed"),
            (n_left, "left for a later run"),
        ] {
            if n > 0 {
                text.push_str(&format!(", {n} {what}"));
            }
        }
        say(&format!("{text}\n"));
        if n_left > 0 {
            say("  help: `--max-per-hour` is reached; run the same again when the hour is over\n");
        }
        for path in &self.args.report {
            report::write(path, &entries)?;
        }
        if self.global.verbose {
            say(&format!("journal: {}\n", self.work.display()));
        }
        if n_left == 0 {
            journal.end()?;
        }
        let all_done = n_left == 0 && count(Status::Done) == targets.len();
        Ok(if all_done { Outcome::Done } else { Outcome::Failed })
    }
}

fn entry(target: &Target, ended: Ended, milliseconds: u64) -> Entry {
    let (status, record, problems, help) = match ended {
        Ended::Made { record, .. } if !record.failed => (Status::Done, Some(record), Vec::new(), None),
        Ended::Made { record, problems } => (Status::Partial, Some(record), problems, None),
        Ended::Failed { problems, help } => (Status::Failed, None::<Record>, problems, help),
    };
    Entry { repo: target.name.clone(), status, ended: now(), milliseconds, record, problems, help }
}

/// The folder of a fetched repo: what people recognise of its name, and what tells it from all others.
fn folder_name(name: &str) -> String {
    let plain: String = name
        .trim_end_matches(".git")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
        .collect();
    let tail: String = plain.chars().skip(plain.chars().count().saturating_sub(60)).collect();
    format!("{}-{}", tail.trim_start_matches(['-', '.']), &git::blob_id(name.as_bytes())[..8])
}

fn progress(repos: usize, done: usize, global: &Global) -> ProgressBar {
    if global.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(repos as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{pos}/{len} repos {wide_bar} {eta}");
    bar.set_style(style.expect("the template names only fields that exist"));
    bar.set_position(done as u64);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
