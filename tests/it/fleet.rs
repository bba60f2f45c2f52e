//! `fleet`: many repos, of which some are broken; cut short by a kill, gone on with, and ended in time.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use crate::cli::SOFT;
use crate::program::Folder;

const PROGRAM: &str = env!("CARGO_BIN_EXE_caseharden");
const REPOS: usize = 200;
/// Name of a repo, and what is said of it.
const BROKEN: [(&str, &str); 5] = [
    ("repos/missing", "there is no such folder"),
    ("repos/no-git", "is not the top of a git repository"),
    ("repos/lost", "the repository has no such commit"),
    ("repos/bad-config", "caseharden.toml:1:"),
    ("file:///nowhere/at/all", "does not appear to be a git repository"),
];

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// 195 repos and five that are none, with their list.
fn fleet() -> Folder {
    let folder = Folder::new();
    let seed = folder.path().join("repos/repo-0");
    folder.write("repos/repo-0/pod.yaml", SOFT);
    let git = |at: &Path, args: &[&str]| assert_eq!(folder.run_in(at, "git", args, b"").code, 0, "{args:?}");
    git(&seed, &["init", "--quiet", "--initial-branch=main"]);
    git(&seed, &["add", "--all"]);
    git(&seed, &["commit", "--quiet", "--message=before"]);
    let mut list = "# ours\n".to_owned();
    for number in 0..REPOS - BROKEN.len() {
        let name = format!("repos/repo-{number}");
        if number > 0 {
            copy(&seed, &folder.path().join(&name));
        }
        list.push_str(&format!("{name}\n"));
    }
    copy(&seed, &folder.path().join("repos/bad-config"));
    folder.write("repos/bad-config/caseharden.toml", "levle = 1\n");
    folder.write("repos/no-git/pod.yaml", SOFT);
    copy(&seed, &folder.path().join("repos/lost"));
    std::fs::remove_dir_all(folder.path().join("repos/lost/.git/objects")).unwrap();
    std::fs::create_dir(folder.path().join("repos/lost/.git/objects")).unwrap();
    list.extend(BROKEN.iter().map(|(name, _)| format!("{name}\n")));
    folder.write("list", list);
    folder
}

/// The repos that a run's output has a line for.
fn told(stdout: &str) -> BTreeSet<String> {
    let lines = stdout.lines().filter(|line| !line.starts_with("  "));
    lines.filter_map(|line| Some(line.split_once("  ")?.0.to_owned())).collect()
}

fn report(folder: &Folder) -> serde_json::Value {
    serde_json::from_str(&folder.read("report.json")).unwrap()
}

#[test]
fn broken_repos_are_explained_and_a_kill_has_nothing_done_twice() {
    let folder = fleet();
    let args = ["fleet", "list", "--work", "work", "--report", "report.json", "--report", "report.html"];
    let mut child = folder
        .command(&folder.path(), PROGRAM, &args)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut before: String = lines.by_ref().take(60).map(|line| line.unwrap() + "\n").collect();
    child.kill().unwrap();
    child.wait().unwrap();
    before.extend(lines.map_while(Result::ok).map(|line| line + "\n"));
    let done = std::fs::read_to_string(folder.path().join("work/journal.jsonl")).unwrap();
    let known = done.lines().filter(|line| line.contains("\"repo\"")).count();
    assert!((55..REPOS).contains(&known), "{known}");

    let run = folder.run(&args).expect_code(2);
    assert!(run.stderr.contains("going on with a run that was cut short"), "{}", run.stderr);
    assert!(run.stderr.ends_with("195 repos done, 5 failed\n"), "{}", run.stderr);
    // What was told last may not have come to the journal any more.
    let after = told(&run.stdout);
    assert!(told(&before).intersection(&after).count() <= 2, "{before}\n{}", run.stdout);
    assert_eq!(after.len(), REPOS - known);
    let report = report(&folder);
    assert_eq!(
        (&report["repos"], &report["done"], &report["failed"]),
        (&REPOS.into(), &195.into(), &5.into())
    );
    for (name, what) in BROKEN {
        let entries = report["entries"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["repo"] == name).unwrap();
        let problem = entry["problems"][0].as_str().unwrap();
        assert!(problem.contains(what), "{name}: {problem}");
        assert!(folder.read("report.html").contains(name), "{name}");
    }
    for number in 0..REPOS - BROKEN.len() {
        let reflog = folder.read(&format!("repos/repo-{number}/.git/refs/heads/caseharden/harden"));
        assert_eq!(reflog.trim().len(), 40, "{number}");
        let objects = folder.path().join(format!("repos/repo-{number}/.git/objects"));
        let count = std::fs::read_dir(objects).unwrap().count();
        let first = std::fs::read_dir(folder.path().join("repos/repo-0/.git/objects")).unwrap().count();
        // A second commit would be one more object.
        assert!(count.abs_diff(first) <= 2, "{number}: {count} {first}");
    }

    let tip = folder.read("repos/repo-7/.git/refs/heads/caseharden/harden");
    let again = folder.run(&args).expect_code(2);
    assert_eq!(told(&again.stdout).len(), REPOS, "a run after one that ended begins anew");
    assert_eq!(folder.read("repos/repo-7/.git/refs/heads/caseharden/harden"), tip);
}

#[test]
fn a_remote_that_never_answers_ends_in_time_and_leaves_no_process() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/a/b.git", listener.local_addr().unwrap());
    let folder = Folder::new();
    folder.write("list", format!("{address}\n"));
    let waits = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Ends when nobody is left that holds the other end.
        let mut asked = Vec::new();
        stream.read_to_end(&mut asked).ok();
        asked.len()
    });
    let run = folder.run(&["fleet", "list", "--work", "work", "--timeout", "2s"]).expect_code(2);
    assert!(run.stdout.contains("not done within 2 s"), "{}{}", run.stdout, run.stderr);
    assert!(waits.join().unwrap() > 0, "git asked nothing");
}

#[test]
fn shards_divide_a_list_and_dry_runs_make_nothing() {
    let folder = Folder::new();
    let mut list = String::new();
    for number in 0..12 {
        folder.write(&format!("r{number}/pod.yaml"), SOFT);
        let at = folder.path().join(format!("r{number}"));
        for args in [&["init", "--quiet"][..], &["add", "--all"], &["commit", "--quiet", "--message=a"]] {
            assert_eq!(folder.run_in(&at, "git", args, b"").code, 0);
        }
        list.push_str(&format!("r{number}\n"));
    }
    folder.write("list", &list);
    let shard = |which: &str| {
        let run =
            folder.run(&["fleet", "list", "--dry-run", "--work", "work", "--shard", which]).expect_code(0);
        told(&run.stdout)
    };
    let (one, two, three) = (shard("0/3"), shard("1/3"), shard("2/3"));
    assert_eq!(one.len() + two.len() + three.len(), 12);
    let all: BTreeSet<String> = [one, two, three].into_iter().flatten().collect();
    assert_eq!(all.len(), 12);
    assert!(!folder.path().join("r0/.git/refs/heads/caseharden").exists());
}

#[test]
fn what_no_run_can_be_made_of_is_told_so() {
    let folder = Folder::new();
    let run = folder.run(&["fleet"]).expect_code(2);
    assert!(run.stderr.contains("no repos are named") && run.stderr.contains("help: "), "{}", run.stderr);
    folder.write("list", "a\n");
    let run = folder.run(&["fleet", "list", "--flow-log", "-"]).expect_code(2);
    assert!(run.stderr.contains("not on standard input"), "{}", run.stderr);
    let run = folder.run(&["fleet", "list", "--report", "x.pdf"]).expect_code(2);
    assert!(run.stderr.contains(".html or .json"), "{}", run.stderr);
}
