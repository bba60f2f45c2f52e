//! `branch --pull-request`: each branch on the remote, and a pull request for it.
//!
//! What others did there stays: a branch with commits of theirs, a pull request that they opened or closed, a title that
//! they changed.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Args;

use super::delivery::{Draft, Placed, Remote, TOUCHED};
use super::{Job, helped};
use crate::cli::{Helped, say};
use crate::forge::{Failure, Forge, Kind, Marker, Organisation, Place, Pull, State, Token, WantedPull};
use crate::git::{self, ObjectId, Repository, Standing};
use crate::render::branches::{Delivered, Delivery};
use crate::render::escaped;

#[derive(Debug, Default, Clone, Args)]
#[command(next_help_heading = "Pull requests")]
pub(in crate::cli) struct PullArgs {
    /// Open a pull request for each branch that is pushed, or bring its own up to date
    ///
    /// The token comes from GITHUB_TOKEN, GH_TOKEN, GITLAB_TOKEN, GITEA_TOKEN, FORGEJO_TOKEN or BITBUCKET_TOKEN, or from
    /// git's credential helper.
    #[arg(long, requires = "push")]
    pub(super) pull_request: bool,
    /// Open them as drafts
    #[arg(long, requires = "pull_request")]
    draft: bool,
    /// Who is asked to review; on GitHub also `org/team` (can be repeated)
    #[arg(long, value_name = "NAME", requires = "pull_request")]
    reviewer: Vec<String>,
    /// Label of new ones (can be repeated)
    #[arg(long, value_name = "LABEL", requires = "pull_request")]
    pub(super) label: Vec<String>,
    /// Branch they are for, instead of the remote's default
    #[arg(long, value_name = "BRANCH", requires = "pull_request")]
    target: Option<String>,
    /// Most that are opened in one run
    #[arg(long, value_name = "N", default_value_t = 10, requires = "pull_request")]
    max_pull_requests: u32,
    /// Most of ours that may be open in a repo at a time; no new one beyond
    #[arg(long, value_name = "N", requires = "pull_request")]
    max_open: Option<u32>,
    /// Which forge the remote is on, where its address does not tell
    #[arg(long, value_name = "FORGE")]
    forge: Option<Kind>,
    /// Where its API is, where its address does not tell
    #[arg(long, value_name = "URL")]
    api_url: Option<String>,
}

impl PullArgs {
    /// Most that are opened in one run.
    pub(in crate::cli) fn most_opened(&self) -> u32 {
        self.max_pull_requests
    }

    /// Has pull requests be for the branch that was worked from, unless they are for another one.
    pub(in crate::cli) fn aim_at(&mut self, branch: Option<&str>) {
        self.target = self.target.take().or(branch.map(str::to_owned));
    }
}

/// A remote and its forge, for one run.
pub(super) struct Desk<'a> {
    job: &'a Job<'a>,
    args: &'a PullArgs,
    remote: Remote<'a>,
    /// What tells the pull requests of runs like this one.
    scope: String,
    forge: Forge,
    target: String,
    open: Vec<Pull>,
    opened: u32,
}

pub(super) fn said(failure: &Failure) -> anyhow::Error {
    let help = failure.help().map(str::to_owned);
    anyhow::Error::new(Helped { message: failure.to_string(), help })
}

/// Where the branches of a remote are asked for, and with which token.
fn forge(args: &PullArgs, repository: &Repository, remote: &str) -> anyhow::Result<Forge> {
    let address = repository.remote_address(remote).map_err(helped)?;
    let place = Place::of(&address, args.forge, args.api_url.as_deref()).map_err(|failure| said(&failure))?;
    let token = token(&place, repository.workdir())?;
    Ok(Forge::new(place, token))
}

/// Where the repos of an organisation are asked for.
pub(in crate::cli) fn forge_of_org(args: &PullArgs, address: &str) -> anyhow::Result<Organisation> {
    let place =
        Place::of_org(address, args.forge, args.api_url.as_deref()).map_err(|failure| said(&failure))?;
    let token = token(&place, Path::new("."))?;
    Ok(Organisation::new(place, token))
}

/// From the environment, or from the user's git.
fn token(place: &Place, folder: &Path) -> anyhow::Result<Token> {
    let variables = place.kind.variables();
    let given = variables.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let token = match given {
        Some(secret) => Token::new(None, secret.trim().to_owned()),
        None => {
            let (scheme, host) = &place.origin;
            let login = git::login(folder, scheme, host, &place.project).map_err(helped)?;
            login.and_then(|(user, secret)| Token::new(Some(user).filter(|user| !user.is_empty()), secret))
        }
    };
    token.ok_or_else(|| {
        let message = format!("there is no token for the API of {}", place.origin.1);
        let help = Some(format!("set {}, or store one with git's credential helper", variables.join(" or ")));
        Helped { message, help }.into()
    })
}

impl<'a> Desk<'a> {
    pub(super) fn new(job: &'a Job<'a>, remote: Remote<'a>, scope: String) -> anyhow::Result<Desk<'a>> {
        let args = &job.making.pulls;
        let forge = forge(args, remote.repository, remote.name)?;
        let target = match &args.target {
            Some(target) => target.clone(),
            None => remote.repository.default_branch(remote.name).map_err(helped)?.ok_or_else(|| {
                anyhow::anyhow!("the remote has no default branch: name the one that pull requests are for with `--target`")
            })?,
        };
        let open = forge.open().map_err(|failure| said(&failure))?;
        Ok(Desk { job, args, remote, scope, forge, target, open, opened: 0 })
    }

    /// Bytes that a body may have, with room for the marker and for what a team's template adds.
    pub(super) fn longest_summary(kind: Kind) -> usize {
        kind.longest_body() - 4000
    }

    pub(super) fn kind(&self) -> Kind {
        self.forge.kind()
    }

    /// Pushes a branch and opens or renews its pull request; says what was done.
    pub(super) fn settle(&mut self, draft: &Draft) -> anyhow::Result<Delivery> {
        let name = &draft.branch.name;
        let pull = self.open.iter().find(|pull| pull.branch == *name).cloned();
        if let Some(reason) = self.left_alone(name, pull.as_ref())? {
            return Ok(Delivery::because(Delivered::LeftAlone, reason));
        }
        let standing = self.remote.standing(name)?;
        if standing == Standing::Touched {
            return Ok(Delivery::because(Delivered::LeftAlone, TOUCHED));
        }
        if pull.is_none()
            && let Some(limit) = self.limit()
        {
            return Ok(Delivery::because(Delivered::Postponed, limit));
        }
        let Some(commit) = draft.commit else {
            self.opened += u32::from(pull.is_none());
            return Ok(match pull {
                Some(pull) => Delivery::of_pull(Delivered::WouldRenew, &pull.address),
                None => Delivery::because(Delivered::WouldOpen, draft.branch.title.clone()),
            });
        };
        match self.remote.place(name, commit, standing)? {
            Placed::Touched => Ok(Delivery::because(Delivered::LeftAlone, TOUCHED)),
            Placed::There(commit, _) => self.show(draft, pull, commit),
        }
    }

    /// The limit that one more would exceed.
    fn limit(&self) -> Option<&'static str> {
        let ours = self.open.iter().filter(|pull| pull.marker.is_some()).count() as u64;
        if self.opened >= self.args.max_pull_requests {
            return Some("this run has opened as many as `--max-pull-requests` allows");
        }
        if self.opened >= self.job.most_opened {
            return Some("this hour has as many as `--max-per-hour` allows");
        }
        let is_full = self.args.max_open.is_some_and(|most| ours + u64::from(self.opened) >= u64::from(most));
        is_full.then_some("as many are open as `--max-open` allows")
    }

    fn left_alone(&self, branch: &str, pull: Option<&Pull>) -> anyhow::Result<Option<String>> {
        if let Some(pull) = pull {
            let is_foreign = pull.marker.is_none();
            return Ok(is_foreign.then(|| format!("{} is somebody else's pull request", pull.address)));
        }
        let earlier = self.forge.of_branch(branch).map_err(|failure| said(&failure))?;
        let last = earlier.iter().find(|pull| pull.marker.is_some());
        let refused = last.filter(|pull| {
            pull.state == State::Closed && !pull.marker.as_ref().is_some_and(|marker| marker.done)
        });
        Ok(refused.map(|pull| format!("somebody closed {}; reopen it to have it renewed", pull.address)))
    }

    fn show(&mut self, draft: &Draft, pull: Option<Pull>, commit: ObjectId) -> anyhow::Result<Delivery> {
        let target = draft.below.as_deref().unwrap_or(&self.target);
        let marker = self.marker(&draft.branch.name, commit.to_string(), false);
        if let Some(pull) = pull {
            let is_current = pull.marker.as_ref() == Some(&marker) && pull.target == target;
            if is_current {
                return Ok(Delivery::of_pull(Delivered::UpToDate, &pull.address));
            }
            let body = self.body(&draft.body, &marker)?;
            self.forge.update(&pull, &body, target).map_err(|failure| said(&failure))?;
            return Ok(Delivery::of_pull(Delivered::Renewed, &pull.address));
        }
        let body = self.body(&draft.body, &marker)?;
        let wanted = WantedPull {
            branch: &draft.branch.name,
            target,
            title: &draft.branch.title,
            body: &body,
            draft: self.args.draft,
        };
        let pull = self.forge.create(&wanted).map_err(|failure| said(&failure))?;
        self.opened += 1;
        // It is there: what it lacks is no reason to stop.
        if let Err(failure) = self.forge.adorn(pull.number, &draft.labels, &self.args.reviewer) {
            say(&format!("warning: {}: labels or reviewers: {failure}\n", escaped(&pull.address)));
        }
        Ok(Delivery::of_pull(Delivered::Opened, &pull.address))
    }

    fn marker(&self, branch: &str, commit: String, done: bool) -> Marker {
        Marker { version: 1, branch: branch.to_owned(), scope: self.scope.clone(), commit, done }
    }

    fn body(&self, text: &str, marker: &Marker) -> anyhow::Result<String> {
        let body = format!("{}\n\n{}\n", text.trim_end(), marker.line(self.kind() != Kind::Bitbucket));
        let most = self.kind().longest_body();
        anyhow::ensure!(
            body.len() <= most,
            "the body has {} bytes, more than {most}: shorten branch/body.md",
            body.len()
        );
        Ok(body)
    }

    /// Closes the pull requests of runs like this one that have nothing left to change; says what was done with each.
    pub(super) fn close_empty(&self, names: &BTreeSet<&str>) -> Vec<(String, anyhow::Result<Delivery>)> {
        let of_this_run = |pull: &&Pull| {
            pull.marker
                .as_ref()
                .is_some_and(|marker| marker.scope == self.scope && marker.branch == pull.branch)
        };
        let empty = self.open.iter().filter(of_this_run).filter(|pull| !names.contains(pull.branch.as_str()));
        empty.map(|pull| (pull.branch.clone(), self.close(pull))).collect()
    }

    fn close(&self, pull: &Pull) -> anyhow::Result<Delivery> {
        let of_pull = |outcome| Delivery::of_pull(outcome, &pull.address);
        if self.remote.standing(&pull.branch)? == Standing::Touched {
            return Ok(Delivery { reason: Some(TOUCHED.to_owned()), ..of_pull(Delivered::LeftAlone) });
        }
        if self.job.making.dry_run {
            return Ok(of_pull(Delivered::WouldClose));
        }
        let commit = pull.marker.as_ref().map_or_else(String::new, |marker| marker.commit.clone());
        let marker = self.marker(&pull.branch, commit, true);
        let body = self.body("Nothing is left to change: closed by caseharden.", &marker)?;
        self.forge.close(pull, &body).map_err(|failure| said(&failure))?;
        Ok(of_pull(Delivered::Closed))
    }
}
