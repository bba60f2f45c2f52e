//! `branch --pull-request`: each branch on the remote, and a pull request for it.
//!
//! What others did there stays: a branch with commits of theirs, a pull request that they opened or closed, a title that
//! they changed.

use std::collections::BTreeSet;

use clap::Args;

use super::helped;
use crate::cli::{Helped, say};
use crate::forge::{Failure, Forge, Kind, Marker, Place, Pull, State, Token, WantedPull};
use crate::git::{ObjectId, Repository, Standing};
use crate::render::escaped;

#[derive(Debug, Default, Clone, Args)]
#[command(next_help_heading = "Pull requests")]
pub(super) struct PullArgs {
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
    /// Which forge the remote is on, where its address does not tell
    #[arg(long, value_name = "FORGE", requires = "pull_request")]
    forge: Option<Kind>,
    /// Where its API is, where its address does not tell
    #[arg(long, value_name = "URL", requires = "pull_request")]
    api_url: Option<String>,
}

/// A branch that a run made, or would make.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) name: String,
    /// None of a dry run.
    pub(super) commit: Option<ObjectId>,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) labels: Vec<String>,
    /// The branch it stands on, in a stack.
    pub(super) below: Option<String>,
}

/// A remote and its forge, for one run.
pub(super) struct Desk<'a> {
    args: &'a PullArgs,
    repository: &'a Repository,
    remote: &'a str,
    base: ObjectId,
    /// What tells the pull requests of runs like this one.
    scope: String,
    dry_run: bool,
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
    let variables = place.kind.variables();
    let given = variables.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let token = match given {
        Some(secret) => Token::new(None, secret.trim().to_owned()),
        None => {
            let (scheme, host) = &place.origin;
            let login = repository.login(scheme, host, &place.project).map_err(helped)?;
            login.and_then(|(user, secret)| Token::new(Some(user).filter(|user| !user.is_empty()), secret))
        }
    };
    let Some(token) = token else {
        let message = format!("there is no token for the API of {}", place.origin.1);
        let help = Some(format!("set {}, or store one with git's credential helper", variables.join(" or ")));
        return Err(Helped { message, help }.into());
    };
    Ok(Forge::new(place, token))
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        args: &'a PullArgs,
        repository: &'a Repository,
        remote: &'a str,
        base: ObjectId,
        scope: String,
        dry_run: bool,
    ) -> anyhow::Result<Desk<'a>> {
        let forge = forge(args, repository, remote)?;
        let target = match &args.target {
            Some(target) => target.clone(),
            None => repository.default_branch(remote).map_err(helped)?.ok_or_else(|| {
                anyhow::anyhow!("the remote has no default branch: name the one that pull requests are for with `--target`")
            })?,
        };
        let open = forge.open().map_err(|failure| said(&failure))?;
        Ok(Desk { args, repository, remote, base, scope, dry_run, forge, target, open, opened: 0 })
    }

    /// Bytes that a body may have, with room for the marker and for what a team's template adds.
    pub(super) fn longest_summary(kind: Kind) -> usize {
        kind.longest_body() - 4000
    }

    pub(super) fn kind(&self) -> Kind {
        self.forge.kind()
    }

    /// Pushes a branch and opens or renews its pull request; says what was done.
    pub(super) fn settle(&mut self, made: &Made) -> anyhow::Result<String> {
        let pull = self.open.iter().find(|pull| pull.branch == made.name).cloned();
        if let Some(reason) = self.left_alone(made, pull.as_ref())? {
            return Ok(format!("left alone: {reason}"));
        }
        let standing = self.repository.standing(self.remote, &made.name, self.base).map_err(helped)?;
        let seen = match standing {
            Standing::Touched => {
                return Ok("left alone: others have committed to it on the remote".to_owned());
            }
            Standing::Absent => None,
            Standing::Ours(tip) => Some(tip),
        };
        if pull.is_none() && self.opened >= self.args.max_pull_requests {
            return Ok("not opened: this run has opened as many as `--max-pull-requests` allows".to_owned());
        }
        let Some(commit) = made.commit else {
            self.opened += u32::from(pull.is_none());
            return Ok(match pull {
                Some(pull) => format!("would be compared with {}, and renewed if it differs", pull.address),
                None => format!("would be pushed, with a new pull request: {}", made.title),
            });
        };
        // What stands there with the same files on the same commit is as good as ours, and its own commit stays.
        let same = match seen {
            Some(tip) => self.repository.is_same(tip, commit).map_err(helped)?,
            None => false,
        };
        let commit = if same { seen.unwrap_or(commit) } else { commit };
        if !same {
            self.repository.publish(self.remote, &made.name, seen).map_err(helped)?;
        }
        self.show(made, pull, commit)
    }

    fn left_alone(&self, made: &Made, pull: Option<&Pull>) -> anyhow::Result<Option<String>> {
        if let Some(pull) = pull {
            let is_foreign = pull.marker.is_none();
            return Ok(is_foreign.then(|| format!("{} is somebody else's pull request", pull.address)));
        }
        let earlier = self.forge.of_branch(&made.name).map_err(|failure| said(&failure))?;
        let last = earlier.iter().find(|pull| pull.marker.is_some());
        let refused = last.filter(|pull| {
            pull.state == State::Closed && !pull.marker.as_ref().is_some_and(|marker| marker.done)
        });
        Ok(refused.map(|pull| format!("somebody closed {}; reopen it to have it renewed", pull.address)))
    }

    fn show(&mut self, made: &Made, pull: Option<Pull>, commit: ObjectId) -> anyhow::Result<String> {
        let target = made.below.as_deref().unwrap_or(&self.target);
        let marker = self.marker(&made.name, commit.to_string(), false);
        if let Some(pull) = pull {
            let is_current = pull.marker.as_ref() == Some(&marker) && pull.target == target;
            if is_current {
                return Ok(format!("up to date: {}", pull.address));
            }
            let body = self.body(&made.body, &marker)?;
            self.forge.update(&pull, &body, target).map_err(|failure| said(&failure))?;
            return Ok(format!("renewed: {}", pull.address));
        }
        let body = self.body(&made.body, &marker)?;
        let wanted = WantedPull {
            branch: &made.name,
            target,
            title: &made.title,
            body: &body,
            draft: self.args.draft,
        };
        let pull = self.forge.create(&wanted).map_err(|failure| said(&failure))?;
        self.opened += 1;
        // It is there: what it lacks is no reason to stop.
        if let Err(failure) = self.forge.adorn(pull.number, &made.labels, &self.args.reviewer) {
            say(&format!("warning: {}: labels or reviewers: {failure}\n", escaped(&pull.address)));
        }
        Ok(format!("opened: {}", pull.address))
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
    pub(super) fn close_empty(&self, names: &BTreeSet<&str>) -> Vec<(String, anyhow::Result<String>)> {
        let of_this_run = |pull: &&Pull| {
            pull.marker
                .as_ref()
                .is_some_and(|marker| marker.scope == self.scope && marker.branch == pull.branch)
        };
        let empty = self.open.iter().filter(of_this_run).filter(|pull| !names.contains(pull.branch.as_str()));
        empty.map(|pull| (pull.branch.clone(), self.close(pull))).collect()
    }

    fn close(&self, pull: &Pull) -> anyhow::Result<String> {
        let standing = self.repository.standing(self.remote, &pull.branch, self.base).map_err(helped)?;
        if standing == Standing::Touched {
            return Ok(format!("left alone: others have committed to it: {}", pull.address));
        }
        if self.dry_run {
            return Ok(format!("would be closed, nothing is left to change: {}", pull.address));
        }
        let commit = pull.marker.as_ref().map_or_else(String::new, |marker| marker.commit.clone());
        let marker = self.marker(&pull.branch, commit, true);
        let body = self.body("Nothing is left to change: closed by caseharden.", &marker)?;
        self.forge.close(pull, &body).map_err(|failure| said(&failure))?;
        Ok(format!("closed, nothing is left to change: {}", pull.address))
    }
}
