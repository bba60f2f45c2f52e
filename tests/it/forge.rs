//! Pull requests: real git over HTTP takes the pushes, doubles written from the forges' published APIs take the calls.

mod double;

use std::path::{Path, PathBuf};

use caseharden::forge::Kind;

use self::double::{Double, SECRET};
use crate::cli::shop;
use crate::program::{Folder, Run};

const KINDS: [(Kind, &str); 4] = [
    (Kind::Github, "github"),
    (Kind::Gitlab, "gitlab"),
    (Kind::Gitea, "gitea"),
    (Kind::Bitbucket, "bitbucket"),
];

/// A team's work: a forge, and a home whose git knows the login.
struct Team {
    double: Double,
    folder: Folder,
    kind: &'static str,
    clones: usize,
}

impl Team {
    fn new(kind: Kind, name: &'static str) -> Team {
        let folder = shop();
        let double = Double::start(kind, folder.path().join("../forge"));
        folder.git(&[
            "config",
            "--global",
            "credential.helper",
            &format!("!f() {{ echo username=ann; echo password={SECRET}; }}; f"),
        ]);
        let bare = double.repository();
        folder.git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
        folder.git(&["-C", bare.to_str().unwrap(), "config", "http.receivepack", "true"]);
        folder.git(&["remote", "add", "origin", &double.address()]);
        folder.git(&["fetch", "--quiet", "origin"]);
        Team { double, folder, kind: name, clones: 0 }
    }

    /// A checkout that has seen nothing yet, as CI has it.
    fn fresh(&mut self) -> PathBuf {
        self.clones += 1;
        let path = self.folder.path().join(format!("../clone-{}", self.clones));
        self.folder.git(&["clone", "--quiet", &self.double.address(), path.to_str().unwrap()]);
        path
    }

    fn branch_in(&self, at: &Path, more: &[&str]) -> Run {
        let api = self.double.api();
        let mut args = vec!["branch", "--per", "area", "--push", "origin", "--pull-request"];
        args.extend(["--forge", self.kind, "--api-url", &api]);
        args.extend(more);
        let run = self.folder.run_in(at, env!("CARGO_BIN_EXE_caseharden"), &args, b"");
        assert!(!format!("{}{}", run.stdout, run.stderr).contains(SECRET), "the token is shown");
        run
    }

    fn branch(&mut self, more: &[&str]) -> Run {
        let at = self.fresh();
        self.branch_in(&at, more)
    }

    /// Commits to a branch of the forge as a person does.
    fn person_commits(&mut self, branch: &str, path: &str, text: &str) {
        let at = self.fresh();
        let git = |args: &[&str]| {
            let run = self.folder.run_in(&at, "git", args, b"");
            assert_eq!(run.code, 0, "git {args:?}: {}", run.stderr);
        };
        git(&["checkout", "--quiet", branch]);
        std::fs::write(at.join(path), text).unwrap();
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--message=by hand"]);
        git(&["push", "--quiet", "origin", branch]);
    }

    fn tip(&self, branch: &str) -> String {
        self.folder.git(&["-C", self.double.repository().to_str().unwrap(), "rev-parse", branch])
    }
}

#[track_caller]
fn says(run: &Run, branch: &str, what: &str) {
    let line = run.stdout.lines().rfind(|line| line.starts_with(&format!("{branch}  ")));
    let line = line.unwrap_or_else(|| panic!("no word of {branch}: {}{}", run.stdout, run.stderr));
    assert!(line.contains(what), "{what:?} is not in {line:?}\n{}", run.stderr);
}

#[test]
fn branches_get_a_pull_request_each_and_a_second_run_adds_none() {
    for (kind, name) in KINDS {
        let mut team = Team::new(kind, name);
        let first = team.branch(&["--draft", "--label", "hardening", "--reviewer", "bob"]).expect_code(0);
        says(&first, "caseharden/pod", "opened: ");
        let opened = team.double.pulls();
        assert!(opened.len() >= 3, "{name}: {opened:?}");
        for pull in &opened {
            assert_eq!((pull.state.as_str(), pull.base.as_str()), ("open", "main"), "{name}");
            assert!(
                pull.body.contains("## Kubernetes hardening") && pull.body.contains("caseharden"),
                "{name}"
            );
            assert!(pull.draft && pull.reviewers == ["bob"], "{name}: {pull:?}");
            assert_eq!(pull.labels.is_empty(), kind == Kind::Bitbucket, "{name}: {pull:?}");
            assert!(!pull.body.contains(SECRET));
        }
        let tip = team.tip("caseharden/pod");
        let again = team.branch(&[]).expect_code(0);
        says(&again, "caseharden/pod", "up to date: ");
        assert_eq!(team.double.pulls(), opened, "{name}");
        assert_eq!(team.tip("caseharden/pod"), tip);
    }
}

#[test]
fn what_people_did_stays_and_what_became_empty_is_closed() {
    for (kind, name) in KINDS {
        let mut team = Team::new(kind, name);
        team.branch(&[]).expect_code(0);
        team.double.rename("caseharden/pod", "A title of the team");
        team.person_commits("caseharden/network", "notes.txt", "mine");
        team.double.close("caseharden/namespace");
        team.person_commits("main", "base/more.yaml", crate::cli::SOFT);
        let theirs = team.tip("caseharden/network");
        let before = team.tip("caseharden/pod");
        let count = team.double.pulls().len();

        let run = team.branch(&[]).expect_code(0);
        says(&run, "caseharden/pod", "renewed: ");
        says(&run, "caseharden/network", "left alone: others have committed");
        says(&run, "caseharden/namespace", "left alone: somebody closed");
        assert_eq!(team.tip("caseharden/network"), theirs, "{name}");
        assert_ne!(team.tip("caseharden/pod"), before, "{name}");
        assert_eq!(team.double.pulls().len(), count, "{name}");
        assert_eq!(team.double.of("caseharden/pod").title, "A title of the team");

        // Somebody does by hand what the branch of the pod rules would have done.
        let at = team.fresh();
        team.folder
            .run_in(&at, env!("CARGO_BIN_EXE_caseharden"), &["apply", "-q", "--select", "pod"], b"")
            .expect_code(0);
        for args in
            [&["commit", "--quiet", "--all", "--message=all"][..], &["push", "--quiet", "origin", "main"]]
        {
            assert_eq!(team.folder.run_in(&at, "git", args, b"").code, 0);
        }
        let run = team.branch(&[]).expect_code(0);
        says(&run, "caseharden/pod", "closed, nothing is left");
        assert_eq!(team.double.of("caseharden/pod").state, "closed", "{name}");
        assert_eq!(team.double.of("caseharden/network").state, "open", "{name}");
    }
}

#[test]
fn a_dry_run_asks_only_and_limits_hold() {
    let mut team = Team::new(Kind::Github, "github");
    let dry = team.branch(&["--dry-run"]).expect_code(0);
    says(&dry, "caseharden/pod", "would be pushed, with a new pull request: ");
    assert_eq!((team.double.pulls().len(), team.double.writes()), (0, 0));
    let listed = team.folder.git(&["ls-remote", "--heads", "origin"]);
    assert_eq!(listed.lines().count(), 1, "{listed}");

    team.double.refuse_next(429);
    let limited = team.branch(&["--max-pull-requests", "1"]).expect_code(0);
    assert_eq!(team.double.pulls().len(), 1, "{}", limited.stdout);
    assert!(limited.stdout.contains("not opened: "), "{}", limited.stdout);
    assert_eq!(team.folder.git(&["ls-remote", "--heads", "origin"]).lines().count(), 2);
}

#[test]
fn somebody_elses_pull_request_and_a_bad_token_are_said() {
    let mut team = Team::new(Kind::Gitea, "gitea");
    team.double.open_by_hand("caseharden/pod");
    let run = team.branch(&[]).expect_code(0);
    says(&run, "caseharden/pod", "left alone: http");
    team.double.accept_nothing();
    let run = team.branch(&[]).expect_code(2);
    assert!(run.stderr.contains("does not accept the token (401)"), "{}", run.stderr);
}

#[test]
fn an_amended_commit_is_somebody_elses() {
    let mut team = Team::new(Kind::Gitlab, "gitlab");
    team.branch(&[]).expect_code(0);
    let at = team.fresh();
    let git = |args: &[&str]| assert_eq!(team.folder.run_in(&at, "git", args, b"").code, 0, "{args:?}");
    git(&["checkout", "--quiet", "caseharden/pod"]);
    std::fs::write(at.join("notes.txt"), "mine").unwrap();
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--amend", "--no-edit"]);
    git(&["push", "--quiet", "--force", "origin", "caseharden/pod"]);
    let tip = team.tip("caseharden/pod");
    let run = team.branch(&[]).expect_code(0);
    says(&run, "caseharden/pod", "left alone: others have committed");
    assert_eq!(team.tip("caseharden/pod"), tip);
}

#[test]
fn pull_requests_of_a_stack_stand_on_each_other() {
    let mut team = Team::new(Kind::Github, "github");
    let run = team.branch(&["--stacked"]).expect_code(0);
    let names: Vec<String> = run
        .stdout
        .lines()
        .filter(|line| line.contains("opened: "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect();
    assert!(names.len() >= 2, "{}", run.stdout);
    let mut below = "main".to_owned();
    for name in names {
        assert_eq!(team.double.of(&name).base, below);
        below = name;
    }
}

impl Team {
    fn fleet(&self, args: &[&str]) -> Run {
        let (api, work) = (self.double.api(), self.folder.path().join("../work"));
        let mut all =
            vec!["fleet", "--forge", self.kind, "--api-url", &api, "--work", work.to_str().unwrap()];
        all.extend(args);
        let run = self.folder.run(&all);
        assert!(!format!("{}{}", run.stdout, run.stderr).contains(SECRET), "the token is shown");
        run
    }
}

#[test]
fn all_repos_of_an_organisation_get_their_pull_requests() {
    for (kind, name) in KINDS {
        let team = Team::new(kind, name);
        let org = team.double.address().replace("/shop.git", "");
        let report = team.folder.path().join("../report.json");
        let args = ["--org", &org, "--per", "area", "--push", "--pull-request"];
        let first = team.fleet(&[&args[..], &["--report", report.to_str().unwrap()]].concat()).expect_code(0);
        assert!(first.stderr.ends_with("1 repo done\n"), "{name}: {}", first.stderr);
        let opened = team.double.pulls();
        assert!(opened.len() >= 3, "{name}: {opened:?}");
        let told = std::fs::read_to_string(&report).unwrap();
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["pullRequests"], opened.len(), "{name}");
        let (writes, tip) = (team.double.writes(), team.tip("caseharden/pod"));
        team.fleet(&args).expect_code(0);
        assert_eq!((team.double.writes(), team.tip("caseharden/pod")), (writes, tip), "{name}");
    }
}

#[test]
fn a_password_in_an_address_is_in_nothing_that_is_said_or_kept_of_it() {
    let team = Team::new(Kind::Gitea, "gitea");
    let list = team.folder.path().join("../list");
    let address = team.double.address();
    let with_password = address.replace("http://", &format!("http://ann:{SECRET}@"));
    std::fs::write(&list, format!("{with_password}\n{with_password} nowhere\n")).unwrap();
    let page = team.folder.path().join("../report.html");
    let run = team
        .fleet(&[list.to_str().unwrap(), "--push", "--report", page.to_str().unwrap(), "-v"])
        .expect_code(2);
    assert!(run.stdout.contains(&format!("{address}  1 branch")), "{}", run.stdout);
    for path in [page, team.folder.path().join("../work/journal.jsonl")] {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("acme/shop.git") && !text.contains(SECRET), "{text}");
    }
}

#[test]
fn a_fleet_leaves_alone_what_people_did() {
    let mut team = Team::new(Kind::Gitea, "gitea");
    let list = team.folder.path().join("../list");
    std::fs::write(&list, format!("{}\n", team.double.address())).unwrap();
    let args = [list.to_str().unwrap(), "--per", "area", "--push"];
    team.fleet(&args).expect_code(0);
    assert_eq!(team.double.pulls().len(), 0);
    team.person_commits("caseharden/network", "notes.txt", "mine");
    team.person_commits("main", "base/more.yaml", crate::cli::SOFT);
    let (theirs, ours) = (team.tip("caseharden/network"), team.tip("caseharden/pod"));
    let run = team.fleet(&args).expect_code(0);
    assert!(run.stdout.contains("1 left alone"), "{}", run.stdout);
    assert_eq!(team.tip("caseharden/network"), theirs);
    assert_ne!(team.tip("caseharden/pod"), ours);
}

#[test]
fn an_hour_has_only_so_many_new_pull_requests() {
    let team = Team::new(Kind::Github, "github");
    let list = team.folder.path().join("../list");
    std::fs::write(&list, format!("{0}\n{0} main\n", team.double.address())).unwrap();
    let args = [list.to_str().unwrap(), "--per", "area", "--push", "--pull-request", "--max-per-hour", "2"];
    let run = team.fleet(&[&args[..], &["--parallel", "1"]].concat()).expect_code(2);
    assert_eq!(team.double.pulls().len(), 2, "{}", run.stdout);
    assert!(run.stderr.contains("1 repo done, 1 left for a later run"), "{}", run.stderr);
    let run = team.branch_in(&team.folder.path(), &["--max-open", "2"]).expect_code(0);
    assert!(run.stdout.contains("not opened: as many are open as `--max-open` allows"), "{}", run.stdout);
    assert_eq!(team.double.pulls().len(), 2);
}
