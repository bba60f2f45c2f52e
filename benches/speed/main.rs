//! How long `check` and `diff` take, set against only reading and parsing the same files with the same parser
//! and threads, and how much memory they need, set against the size of the manifests.
//!
//! `cargo bench` makes the repos it needs under `target/` and prints the table of README. Every figure is of a
//! whole process, so that start-up and the walk count on both sides; the repos stay for the next run.

mod baseline;
mod child;
mod generate;
mod table;

use std::error::Error;
use std::path::PathBuf;

use crate::baseline::Baseline;
use crate::child::Child;
use crate::table::{Measured, Size, Table};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [role, folder] if role.starts_with("--only-") => {
            let baseline = Baseline::named(role).ok_or_else(|| format!("unknown baseline {role}"))?;
            say(&baseline.run(&PathBuf::from(folder))?.to_string());
            Ok(())
        }
        // `cargo test --all-targets` starts benchmarks as well, without `--bench`: nothing is timed there.
        list if !list.iter().any(|argument| argument == "--bench") => Ok(()),
        list => measure_all(&Options::read(list)?),
    }
}

/// What to measure.
struct Options {
    /// Sizes of the repos, in files.
    sizes: Vec<usize>,
    /// Interleaved runs of every command.
    runs: usize,
    /// Only make the repos.
    generate_only: bool,
}

impl Options {
    fn read(arguments: &[String]) -> Result<Options, Box<dyn Error>> {
        let mut options = Options { sizes: vec![10_000, 100_000], runs: 5, generate_only: false };
        let mut arguments = arguments.iter().filter(|argument| *argument != "--bench");
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--files" => options.sizes = value()?.split(',').map(str::parse).collect::<Result<_, _>>()?,
                "--runs" => options.runs = value()?.parse()?,
                "--generate-only" => options.generate_only = true,
                other => {
                    return Err(format!(
                        "unknown argument {other}: --files N,N · --runs N · --generate-only"
                    )
                    .into());
                }
            }
        }
        Ok(options)
    }
}

fn measure_all(options: &Options) -> Result<(), Box<dyn Error>> {
    let mut table = Table::default();
    for files in &options.sizes {
        let folder = generate::repo(*files)?;
        if options.generate_only {
            say(&folder.display().to_string());
            continue;
        }
        let parsed = Baseline::ParseManifests.run(&folder)?;
        let size = Size { files: *files, manifests: parsed.files, bytes: parsed.bytes };
        say(&format!("measuring {files} files, {} of them manifests, {} rounds", parsed.files, options.runs));
        table.add(size, measure(&folder, options.runs)?);
    }
    if !options.generate_only {
        say(&format!("\n{table}"));
    }
    Ok(())
}

/// Runs everything in turn, so that whatever else the machine does falls on all alike.
fn measure(folder: &std::path::Path, runs: usize) -> Result<Measured, Box<dyn Error>> {
    let one = "team-000/app-0000/base/deployment.yaml";
    let read = Child::baseline("--only-read", folder)?;
    let parse = Child::baseline("--only-parse-manifests", folder)?;
    let parse_all = Child::baseline("--only-parse-all", folder)?;
    let check = Child::command(&["check"], folder);
    let diff = Child::command(&["diff"], folder);
    let check_one = Child::command(&["check", one], folder);
    let diff_one = Child::command(&["diff", one], folder);
    // Once to fill the page cache, and to learn the memory where a look at it disturbs no timing.
    read.time()?;
    let mut measured = Measured { check_peak: check.peak()?, diff_peak: diff.peak()?, ..Measured::default() };
    for _ in 0..runs {
        measured.read.push(read.time()?);
        measured.parse.push(parse.time()?);
        measured.check.push(check.time()?);
        measured.diff.push(diff.time()?);
        measured.parse_all.push(parse_all.time()?);
        for _ in 0..4 {
            measured.check_one.push(check_one.time()?);
            measured.diff_one.push(diff_one.time()?);
        }
    }
    Ok(measured)
}

#[expect(clippy::print_stdout, reason = "a benchmark's table is its output")]
fn say(text: &str) {
    println!("{text}");
}
